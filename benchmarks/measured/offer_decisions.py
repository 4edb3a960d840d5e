"""Simulated shops: promotions that lose money, the total of a programme, and what one more week is worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
from offerlift.experiments import BUILT_IN_METRICS, Arm, Definition, Discount, Offer, Plan
from offerlift.experiments.metrics import DAY
from offerlift.experiments.testing import Behaviour, Habits, SimulatedShop
from offerlift.reports import scorecard
from offerlift.reports.recording import make_look
from offerlift.stats import Moments, PastExperiment, compare_means, programme_total, value_of_waiting
from offerlift.storage.observations import ArmCounts, Observations

from .simulated import moments
from .tables import Average, Cell, Row, Table, share

__all__ = ["PROGRAMMES", "PROMOTIONS", "WEEK_MORE"]

RUNS = 1_000

SAMPLE = 6_000
LOOKS = (0.5, 1.0)
COLUMNS = {
    "conversion": "purchase:converted",
    "revenue_per_visitor": "purchase:value",
    "margin_per_visitor": "purchase:margin",
}


def promotion(primary: str) -> Definition:
    """A quarter off; margin decides, or guards revenue with a non-inferiority margin of 5 %."""
    guards = () if primary == "margin_per_visitor" else ("margin_per_visitor",)
    metrics = tuple(
        replace(BUILT_IN_METRICS[name], window_end=7 * DAY, non_inferiority_margin=0.05 if name in guards else None)
        for name in COLUMNS
    )
    sale = Offer("sale", "flash_sale", "cart", "cart_view", discount=Discount("percentage", Decimal(25)))
    plan = Plan(primary, guards, minimum_detectable_effect=0.1, looks=LOOKS, sample_size=SAMPLE)
    return Definition("sale", "control", (Arm("control", 5_000), Arm("sale", 5_000, sale)), metrics, plan)


def measure_promotions(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    definition = promotion(str(cell["primary"]))
    habits = Habits(purchase=0.2, elasticity=float(cell["elasticity"]), shipping=0.0)
    shop = SimulatedShop.of(definition, habits=habits)
    endings: Counter[str] = Counter()
    named = 0
    for run in range(runs):
        decision = decided(definition, shop, [seed, run])
        endings[decision.action] += 1
        named += decision.action == "stop_harm" and "margin per visitor" in decision.reason
    return {
        "true margin": shop.truth.lift("margin_per_visitor", "sale"),
        "true conversion": shop.truth.lift("conversion", "sale"),
        **{action: share(endings[action], runs) for action in ("ship", "stop_harm", "review", "stop_no_effect")},
        "stop_harm that names the margin": share(named, endings["stop_harm"]),
    }


def decided(definition: Definition, shop: SimulatedShop, seed: list[int]):
    """What is decided after the planned looks, by the code that reviews experiments."""
    arms = shop.arrays(seed, SAMPLE)
    past = []
    start = datetime(2026, 1, 5, tzinfo=UTC)
    observed = None
    for number, reached in enumerate(LOOKS, start=1):
        seen = {
            arm: {name: values[: round(reached * len(values))] for name, values in columns.items()}
            for arm, columns in arms.items()
        }
        observed = observations(definition, seen, start + timedelta(weeks=number))
        made, _ = make_look(observed, past)
        past += made
    return scorecard(observed, past).decision


def observations(definition: Definition, seen, at: datetime) -> Observations:
    """What a store would give of these visitors, all of them mature."""
    by_arm = {arm: {column: columns[name] for name, column in COLUMNS.items()} for arm, columns in seen.items()}
    return Observations(
        definition,
        "running",
        at,
        {
            arm: ArmCounts(len(one["conversion"]), outcomes={"purchase": int(one["conversion"].sum())})
            for arm, one in seen.items()
        },
        {
            name: {arm: Moments.from_arrays({column: one[column]}) for arm, one in by_arm.items()}
            for name, column in COLUMNS.items()
        },
        first_exposure=datetime(2026, 1, 5, tzinfo=UTC),
        last_exposure=at,
    )


PROMOTIONS = Table(
    "promotions",
    "Promotions that sell more and earn less",
    "A quarter off everything, two planned looks at 6,000 visitors in all, the decision of scorecards as reviews make "
    "it. Margin is the primary metric, or the guardrail (5 %) of revenue. It must not ship.",
    [
        {"primary": primary, "elasticity": elasticity}
        for primary in ("margin_per_visitor", "revenue_per_visitor")
        for elasticity in (-1.2, -1.8)
    ],
    measure_promotions,
    lambda _: RUNS,
)

EACH = 2_000
EXPERIMENTS = 12


def measure_programme(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    spread = float(cell["spread of appeal"])
    rng = np.random.default_rng(seed)
    covered = some = 0
    raw, shrunk, corrected = [], [], []
    for run in range(runs):
        past, truths = [], []
        for number, appeal in enumerate(rng.normal(1.01, spread, EXPERIMENTS)):
            shop = SimulatedShop(
                {"control": Behaviour(), "offer": Behaviour(appeal=float(appeal))}, Habits(purchase=0.3)
            )
            found = moments(shop.arrays([seed, run, number], EACH), "margin_per_visitor")
            seen = compare_means(found["offer"], found["control"], "margin_per_visitor").difference
            truths.append(shop.truth.difference("margin_per_visitor", "offer"))
            past.append(PastExperiment(str(number), seen.estimate, seen.se, seen.estimate > 1.96 * seen.se))
        total = programme_total(past, smallest_effect=0.5, thresholds=1.96)
        if not total.shipped:
            continue
        some += 1
        true = sum(value for one, value in zip(past, truths, strict=True) if one.shipped)
        covered += total.total.low <= true <= total.total.high
        raw.append(total.raw - true)
        shrunk.append(total.total.estimate - true)
        corrected.append(total.corrected - true)
    return {
        "coverage": share(covered, some),
        "raw - truth": Average.of(raw),
        "shrunk - truth": Average.of(shrunk),
        "corrected - truth": Average.of(corrected),
        "programmes that shipped": share(some, runs),
    }


PROGRAMMES = Table(
    "programmes",
    "The total of twelve experiments",
    "Offers whose appeal is normal around 1.01, 2,000 visitors each; those with z above 1.96 ship. Coverage of the "
    "total of the shipped margins, and how far its raw sum, the shrunk one and the one corrected for selection are "
    "above the truth, in money a visitor; over the programmes that shipped anything, which picks the lucky ones.",
    [{"spread of appeal": spread} for spread in (0.05, 0.15)],
    measure_programme,
    lambda _: RUNS,
)

SEEN, WEEK, LATER = 4_000, 2_000, 100_000


def measure_week(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    rng = np.random.default_rng(seed)
    said, gained, price, paid = [], [], [], []
    for run in range(runs):
        # Truths that lie much wider apart than one experiment tells: nearly the flat prior that is assumed.
        offers = {f"offer {at}": Behaviour(appeal=float(rng.uniform(0.5, 1.5))) for at in range(int(cell["offers"]))}
        shop = SimulatedShop({"control": Behaviour(), **offers}, Habits(purchase=0.15))
        names = list(shop.behaviours)
        before = moments(shop.arrays([seed, run, 0], SEEN), "margin_per_visitor")
        more = moments(shop.arrays([seed, run, 1], WEEK), "margin_per_visitor")
        means = {arm: one.mean_of("margin_per_visitor") for arm, one in before.items()}
        variances = {arm: one.variance_of("margin_per_visitor") / one.n for arm, one in before.items()}
        found = value_of_waiting(
            {arm: (means[arm], variances[arm]) for arm in names},
            {arm: one.n for arm, one in before.items()},
            {arm: one.n for arm, one in more.items()},
            LATER,
        )
        after = {arm: (before[arm] + more[arm]).mean_of("margin_per_visitor") for arm in names}
        then = max(names, key=after.__getitem__)
        truth = {arm: shop.truth.value("margin_per_visitor", arm) for arm in names}
        said.append(found.worth)
        gained.append((LATER - WEEK) * (truth[then] - truth[found.now]))
        price.append(found.price)
        paid.append(sum(more[arm].n * (truth[found.now] - truth[arm]) for arm in names))
    return {
        "worth said": Average.of(said),
        "gained": Average.of(gained),
        "price said": Average.of(price),
        "paid": Average.of(paid),
    }


WEEK_MORE = Table(
    "week_more",
    "What one more week is worth",
    "4,000 visitors seen, 2,000 more in the week, 100,000 until the horizon, offers whose appeal is anything from half "
    "to one and a half. What the week's data is said to be worth, and what choosing after it gained; what waiting is "
    "said to cost, and what it did; all in money.",
    [{"offers": offers} for offers in (1, 3)],
    measure_week,
    lambda _: RUNS,
)
