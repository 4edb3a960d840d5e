"""A shelf of experiments to look at: one store with every kind that a review meets, and a maker of many small ones.

Tests in any folder below tests/ import it, `from ..shelf import END, fill_shelf, fill_many`, or take the fixtures of
tests/conftest.py: `shelf` is an open store of the test's own, `shelf_file` the SQLite file that all share and nobody
writes to. Nothing in it is drawn at random, so that the same store comes out on every machine: visitors arrive evenly,
buyers are spread evenly among them, and baskets go round a fixed list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from offerlift.experiments.definition import Arm, Audience, Definition, Offer, Plan
from offerlift.experiments.lifecycle import open_phase, pause, resume, stop
from offerlift.experiments.metrics import Column, CovariateUse, Metric
from offerlift.experiments.publishing import publish, start
from offerlift.experiments.records import Covariate, Exposure, Outcome
from offerlift.experiments.snapshot import Published
from offerlift.experiments.terms import Discount
from offerlift.reports import review_store
from offerlift.storage import Store

__all__ = ["CASES", "END", "LONG_NAME", "RIGHT_TO_LEFT", "SCRIPT", "START", "Case", "fill", "fill_many", "fill_shelf"]

START = datetime(2026, 3, 2, tzinfo=UTC)
END = START + timedelta(weeks=5)
"""When all visitors' windows have passed; the shelf is reviewed at the end of weeks 2, 3 and 4, and not yet here."""

DAY = 86_400_000_000
BASKETS = (19, 24, 29, 29, 35, 39, 45, 52, 68, 90)
"""Values of orders, in turn."""

SCRIPT = "<script>alert(1)</script>"
LONG_NAME = "an-offer-with-a-name-that-nobody-would-read-to-its-end-" * 4
LONG_NAME = LONG_NAME[:200]
RIGHT_TO_LEFT = "عرض-خاص"

FREE_SHIPPING = Offer("free-shipping", "threshold", "cart", "cart_viewed", free_shipping_from=Decimal(39))
TEN_OFF = Offer(
    "ten-off",
    "downsell",
    "exit_popup",
    "exit_intent",
    product="the lighter model",
    discount=Discount("percentage", Decimal(10)),
    timer=1_800_000_000,
)
UPSELL = Offer("upsell", "upsell", "post_purchase", "purchase", product="a second bottle", delay=60_000_000)


@dataclass(frozen=True)
class Case:
    """An experiment: its arms' visitors, how many of them buy, and what is peculiar about it.

    Attributes:
        visitors, buyers: by arm, the control first; who buys does so on the day of the exposure.
        leavers: by arm, visitors who unsubscribe; none where not given.
        offers: by arm, what it shows.
        sample: planned visitors in all arms, which also plans looks at each quarter; None: no looks.
        days: over which visitors arrive.
        stopped: days after the start.
        serve: what everyone gets from then on.
        paused: days after the start at which it was paused and resumed.
        second_phase: days after the start at which the last arm was taken out.
        known: whether it is known what visitors bought before.
        plan: further settings of the plan.
    """

    visitors: Mapping[str, int]
    buyers: Mapping[str, int]
    leavers: Mapping[str, int] = field(default_factory=dict)
    offers: Mapping[str, Offer] = field(default_factory=dict)
    description: str = ""
    owner: str = "Checkout team"
    sample: int | None = None
    days: int = 28
    started: bool = True
    stopped: int | None = None
    serve: str | None = None
    paused: tuple[int, int] | None = None
    second_phase: int | None = None
    known: bool = False
    segments: tuple[str, ...] = ()
    plan: Mapping[str, object] = field(default_factory=dict)


def _even(n: int, *arms: str) -> dict[str, int]:
    return dict.fromkeys(arms, n)


CASES: dict[str, Case] = {
    "cart-free-shipping": Case(
        _even(2_400, "control", "free-shipping"),
        {"control": 216, "free-shipping": 330},
        leavers={"control": 240, "free-shipping": 236},
        offers={"free-shipping": FREE_SHIPPING},
        description="Free shipping from €39 in the cart",
        sample=4_800,
        known=True,
        segments=("country",),
        plan={"audience": Audience(per_week=1_200), "guardrails": ("unsubscribe_rate",)},
    ),
    "exit-ten-off": Case(
        _even(2_000, "control", "ten-off"),
        {"control": 240, "ten-off": 130},
        offers={"ten-off": TEN_OFF},
        description="10 % off the lighter model when a visitor moves to leave",
        owner="Cart team",
        sample=4_000,
    ),
    "thank-you-upsell": Case(
        _even(1_500, "control", "upsell"),
        {"control": 150, "upsell": 153},
        offers={"upsell": UPSELL},
        description="A second bottle on the thank-you page; past its planned end without an effect",
        sample=2_800,
        segments=("country",),
    ),
    "app-banner": Case(
        {"control": 1_500, "banner": 1_100},
        {"control": 150, "banner": 160},
        description="A banner whose visitors are partly lost",
        owner="App team",
        sample=4_000,
    ),
    "no-outcomes": Case(
        _even(3_500, "control", "b"), _even(0, "control", "b"), description="Nothing is ever sold or seen to happen"
    ),
    "zero-conversions": Case(
        _even(600, "control", "b"),
        _even(0, "control", "b"),
        leavers={"control": 12, "b": 14},
        description="Some unsubscribe, and nobody has bought yet",
        sample=2_400,
    ),
    "twelve-arms": Case(
        {"control": 400} | _even(400, *(f"headline-{n:02d}" for n in range(1, 12))),
        {"control": 40} | {f"headline-{n:02d}": 34 + 2 * n for n in range(1, 12)},
        description="Eleven headlines",
        owner="Content team",
        sample=7_200,
    ),
    "names": Case(
        _even(800, "control", SCRIPT, LONG_NAME, RIGHT_TO_LEFT),
        {"control": 80, SCRIPT: 84, LONG_NAME: 76, RIGHT_TO_LEFT: 90},
        description=f"{SCRIPT} and {RIGHT_TO_LEFT}",
        owner=RIGHT_TO_LEFT,
        sample=4_800,
    ),
    "not-looked-at-yet": Case(
        _even(300, "control", "b"),
        {"control": 30, "b": 90},
        description="Before its first planned look",
        sample=12_000,
        segments=("country",),
    ),
    "two-phases": Case(
        _even(1_200, "control", "small", "large"),
        {"control": 120, "small": 130, "large": 118},
        description="The large banner was taken out after two weeks",
        second_phase=14,
        paused=(20, 22),
        sample=6_000,
    ),
    "inconclusive-guardrail": Case(
        _even(2_000, "control", "b"),
        {"control": 160, "b": 280},
        leavers={"control": 20, "b": 27},
        description="More sales, and perhaps more unsubscribes",
        sample=4_000,
        plan={"guardrails": ("unsubscribe_rate",)},
    ),
    "stopped-this-week": Case(
        _even(1_000, "control", "b"),
        {"control": 100, "b": 190},
        sample=2_000,
        days=21,
        stopped=33,
        serve="b",
        description="Shipped two days ago",
    ),
    "stopped-long-ago": Case(
        _even(400, "control", "b"), {"control": 40, "b": 42}, days=7, stopped=16, description="Concluded earlier"
    ),
    "few-orders": Case(
        _even(400, "control", "b"),
        {"control": 2, "b": 9},
        description="Too early for a lift: two orders in the control",
        owner="Content team",
    ),
    "a-draft": Case(_even(0, "control", "b"), _even(0, "control", "b"), started=False, description="Starts soon"),
}
"""What is on the shelf, by key."""


def fill_shelf(store: Store, *, cases: Mapping[str, Case] = CASES, reviewed: bool = True) -> None:
    """Write every case, and review the store at the end of weeks 2, 3 and 4 as its meetings would have."""
    for key, case in cases.items():
        fill(store, key, case)
    if reviewed:
        for week in (2, 3, 4):
            review_store(store, START + timedelta(weeks=week))


def fill_many(store: Store, number: int = 100, *, visitors: int = 60) -> None:
    """Write so many small running experiments, `experiment-001` and on, with so many visitors in each arm."""
    for n in range(1, number + 1):
        buyers = {"control": visitors // 10, "b": visitors // 10 + n % 5}
        fill(store, f"experiment-{n:03d}", Case(_even(visitors, "control", "b"), buyers, owner=f"Team {n % 7 + 1}"))


def definition_of(key: str, case: Case) -> Definition:
    """What the case tests: revenue per visitor, with conversion, order value and unsubscribes beside it."""
    share = 10_000 // len(case.visitors)
    rest = 10_000 - share * len(case.visitors)
    known = CovariateUse("past_revenue") if case.known else None
    settings: dict[str, object] = {"primary": "revenue_per_visitor", "minimum_detectable_effect": 0.1}
    if case.sample is not None:
        settings |= {"looks": (0.25, 0.5, 0.75, 1.0), "sample_size": case.sample}
    window = 7 * DAY
    return Definition(
        key,
        "control",
        tuple(Arm(arm, share + (rest if arm == "control" else 0), case.offers.get(arm)) for arm in case.visitors),
        (
            Metric("revenue_per_visitor", "revenue", Column("purchase", "value"), window_end=window, covariate=known),
            Metric("conversion", "conversion", Column("purchase", "converted"), window_end=window),
            Metric(
                "average_order_value",
                "ratio",
                Column("purchase", "value"),
                denominator=Column("purchase", "count"),
                window_end=window,
            ),
            Metric(
                "unsubscribe_rate",
                "conversion",
                Column("unsubscribe", "converted"),
                window_end=window,
                desired_change="decrease",
                non_inferiority_margin=0.5,
            ),
        ),
        Plan(**(settings | dict(case.plan))),
        description=case.description,
        owner=case.owner,
        segments=case.segments,
    )


def fill(store: Store, key: str, case: Case) -> None:
    """Publish an experiment through its life, and write its visitors, evenly over its days, and what they did."""
    version = publish(definition_of(key, case), None, at=START - timedelta(days=3))
    store.publish(version)
    if not case.started:
        return
    version = start(version, START)
    versions = [version, *_later_versions(version, case)]
    for one in versions:
        store.publish(one)
    exposures, outcomes, covariates = [], [], []
    for arm, number in case.visitors.items():
        for i in range(number):
            at = START + timedelta(seconds=case.days * 86_400 * i // number)
            current = next(one for one in reversed(versions) if one.state != "stopped" and one.published_at <= at)
            if current.state == "paused" or arm not in {one.name for one in current.definition.arms}:
                continue
            visitor = f"{key[:24]}-{list(case.visitors).index(arm)}-{i}"
            segments = {"country": ("DE", "AT", "DE", "CH", "DE")[i % 5]} if case.segments else {}
            exposures.append(Exposure(key, visitor, arm, at, current.phase, current.assignment_hash, segments))
            outcomes += _done(case, arm, visitor, i, at)
            if case.known and i % 4:
                covariates.append(Covariate(visitor, "past_revenue", float(BASKETS[i % 7]), at - timedelta(days=1)))
    store.write_exposures(exposures)
    store.write_outcomes(outcomes)
    store.write_covariates(covariates)


def _later_versions(version: Published, case: Case) -> Sequence[Published]:
    """What was published after the start, in order."""
    versions = []
    if case.second_phase is not None:
        *kept, _ = version.definition.arms
        share = 10_000 // len(kept)
        arms = tuple(replace(arm, weight=share) for arm in kept)
        at = START + timedelta(days=case.second_phase)
        version = open_phase(replace(version.definition, arms=arms), version, at=at)
        versions.append(version)
    if case.paused is not None:
        since, until = (START + timedelta(days=day) for day in case.paused)
        version = pause(version, since)
        versions.append(version)
        version = resume(version, until)
        versions.append(version)
    if case.stopped is not None:
        versions.append(stop(version, START + timedelta(days=case.stopped), serve=case.serve))
    return versions


def _done(case: Case, arm: str, visitor: str, i: int, at: datetime) -> list[Outcome]:
    """What the arm's visitor number i does."""
    number, done = case.visitors[arm], []
    if _is_one_of(case.buyers[arm], number, i):
        value = BASKETS[i * case.buyers[arm] // number % len(BASKETS)]
        done.append(Outcome(f"order-{visitor}", visitor, "purchase", at + timedelta(hours=2), value=Decimal(value)))
    if _is_one_of(case.leavers.get(arm, 0), number, i):
        done.append(Outcome(f"leave-{visitor}", visitor, "unsubscribe", at + timedelta(hours=30)))
    return done


def _is_one_of(chosen: int, number: int, i: int) -> bool:
    """Whether number i is among the so many chosen, which lie evenly."""
    return i * chosen // number != (i + 1) * chosen // number
