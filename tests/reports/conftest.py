"""Observations made by hand: counts and moments with known values, no store and no random numbers."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import cast

import pytest
from offerlift.experiments.definition import Arm, Definition, Plan
from offerlift.experiments.metrics import Column, CovariateUse, Metric
from offerlift.reports import Review, Scorecard, render_review_html, review_store, scorecard
from offerlift.reports.recording import make_look
from offerlift.stats.moments import Moments
from offerlift.storage import Look, Store
from offerlift.storage.observations import ArmCounts, Observations

from ..shelf import END

DAY = 86_400_000_000
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
VALUE, MARGIN = Column("purchase", "value"), Column("purchase", "margin")
CONVERTED, COUNT = Column("purchase", "converted"), Column("purchase", "count")
UNSUBSCRIBED = Column("unsubscribe", "converted")


@dataclass(frozen=True)
class Sample:
    """An arm's mature visitors: `orders` of them bought once, at mean `value` with standard deviation `spread`.

    `margin` is the share of the value that is left, `past` the correlation of the value with the covariate.
    """

    n: int
    orders: int
    value: float = 60.0
    spread: float = 40.0
    margin: float = 0.4
    unsubscribed: int = 0
    past: float = 0.0
    third: float = 0.0
    waiting: int = 0
    crossovers: int = 0

    def moments(self, columns: tuple[str, ...]) -> Moments:
        """The sample's moments of the columns asked for."""
        n, x, past = self.n, self.orders, CovariateUse("past")
        square = x * (self.value**2 + self.spread**2)
        deviation = (square / n - (x * self.value / n) ** 2) ** 0.5 if n else 0.0
        together = n * (10.0 * x * self.value / n + self.past * 5.0 * deviation) if n else 0.0
        names = (VALUE.name, MARGIN.name, CONVERTED.name, COUNT.name, UNSUBSCRIBED.name, past.column)
        names = (*names, past.missing_column)
        m = self.margin
        sums = [x * self.value, m * x * self.value, x, x, self.unsubscribed, 10.0 * n, 0]
        table = [
            [square, m * square, x * self.value, x * self.value, 0, together, 0],
            [0, m * m * square, m * x * self.value, m * x * self.value, 0, m * together, 0],
            [0, 0, x, x, 0, 10.0 * x, 0],
            [0, 0, 0, x, 0, 10.0 * x, 0],
            [0, 0, 0, 0, self.unsubscribed, 10.0 * self.unsubscribed, 0],
            [0, 0, 0, 0, 0, 125.0 * n, 0],
            [0, 0, 0, 0, 0, 0, 0],
        ]
        products = {(a, b): table[i][j] for i, a in enumerate(names) for j, b in enumerate(names) if j >= i}
        moments = Moments.from_sums(names, n, sums, products)
        thirds = [self.third if name == VALUE.name else 0.0 for name in names]
        return Moments(names, n, moments.mean, moments.m2, thirds if n else moments.m3).select(columns)


def definition(
    arms: tuple[str, ...] = ("control", "b"),
    *,
    weights: tuple[int, ...] | None = None,
    source: str = "assigner",
    covariate: bool = False,
    **plan: object,
) -> Definition:
    """An experiment on revenue per visitor with margin, conversion, order value and unsubscribes beside it."""
    use = CovariateUse("past") if covariate else None
    window = 7 * DAY
    settings = {"primary": "revenue_per_visitor"} | plan
    return Definition(
        experiment="exit-offer",
        control="control",
        arms=tuple(
            Arm(name, 10_000 // len(arms), ratio=Fraction(weights[at] if weights else 1))
            for at, name in enumerate(arms)
        ),
        metrics=(
            Metric("conversion", "conversion", CONVERTED, window_end=window, covariate=use),
            Metric("revenue_per_visitor", "revenue", VALUE, window_end=window, covariate=use),
            Metric("margin_per_visitor", "margin", MARGIN, window_end=window, non_inferiority_margin=0.05),
            Metric("average_order_value", "ratio", VALUE, denominator=COUNT, window_end=window),
            Metric(
                "unsubscribe_rate",
                "conversion",
                UNSUBSCRIBED,
                window_end=window,
                desired_change="decrease",
                non_inferiority_margin=0.25,
            ),
        ),
        plan=Plan(**settings),
        source=source,
        description="An offer when a visitor leaves",
    )


def observe(
    samples: Mapping[str, Sample], *, days: float = 20, state: str | None = None, **given: object
) -> Observations:
    """Observations of the samples; `given` goes to the definition, or, where it is one of theirs, to Observations."""
    own = {name: given.pop(name) for name in ("unknown_arms", "refused_rows", "outcomes") if name in given}
    outcomes = own.pop("outcomes", None)
    made = definition(tuple(samples), **given)
    by_arm = cast("Mapping[str, int] | None", outcomes)
    counts = {
        name: ArmCounts(
            sample.n + sample.waiting,
            sample.crossovers,
            {"purchase": sample.orders if by_arm is None else by_arm[name], UNSUBSCRIBED.event: sample.unsubscribed},
        )
        for name, sample in samples.items()
    }
    anyone = any(arm.visitors for arm in counts.values())
    return Observations(
        definition=made,
        state=state or ("stopped" if made.source == "table" else "running"),
        as_of=NOW,
        arms=counts,
        moments={m.name: {arm: s.moments(m.moment_columns) for arm, s in samples.items()} for m in made.metrics},
        first_exposure=NOW - timedelta(days=days) if anyone else None,
        last_exposure=NOW if anyone else None,
        **own,
    )


@pytest.fixture(scope="session")
def sample() -> type[Sample]:
    """The class of a hand-made arm."""
    return Sample


@pytest.fixture(scope="session")
def observed() -> Callable[..., Observations]:
    """Makes observations from hand-made arms."""
    return observe


@pytest.fixture(scope="session")
def changed() -> Callable[..., Observations]:
    """Replaces fields of observations or of their definition."""

    def change(observations: Observations, **fields: object) -> Observations:
        own = {name: value for name, value in fields.items() if hasattr(observations, name)}
        rest = {name: value for name, value in fields.items() if name not in own}
        made = replace(observations.definition, **rest) if rest else observations.definition
        return replace(observations, **({"definition": made} | own))

    return change


@dataclass
class Reviews:
    """Reviews of one experiment, a day apart; the looks are kept as in a store."""

    looks: list[Look]
    day: float = 0

    def __call__(self, seen: Observations, *, day: float | None = None, reveal: bool = False) -> Scorecard:
        """Review it so many days after NOW, by default one after the last review."""
        self.day = self.day + 1 if day is None else day
        now = replace(seen, as_of=NOW + timedelta(days=self.day))
        rows, self.reason = make_look(now, self.looks, reveal=reveal)
        self.looks += rows
        return scorecard(now, self.looks)

    def rows(self, metric: str = "revenue_per_visitor", arm: str = "b") -> list[Look]:
        """What was recorded of an arm at a metric, look by look."""
        return [one for one in self.looks if (one.metric, one.arm) == (metric, arm)]


@pytest.fixture
def review() -> Reviews:
    """Reviews an experiment, and keeps its looks."""
    return Reviews([])


@pytest.fixture
def planned() -> Callable[..., Observations]:
    """Makes an experiment of 20,000 planned visitors an arm and four looks, with `n` of them in each arm.

    `rate` is what the treatment b converts at, where the control converts 5 %; further arms are given by their rates.
    """

    def make(n, rate=0.05, *, others=(), control=0.05, samples=None, **given):
        arms = {"control": Sample(n, round(control * n)), "b": Sample(n, round(rate * n))}
        arms |= {name: Sample(n, round(other * n)) for name, other in zip("cdef", others, strict=False)}
        settings = {"looks": (0.25, 0.5, 0.75, 1.0), "sample_size": 20_000 * len(arms)} | given
        return observe(arms | (samples or {}), **settings)

    return make


@pytest.fixture(scope="session")
def control(sample) -> Sample:
    """An arm of 20,000 visitors and 1,000 orders."""
    return sample(20_000, 1_000)


@pytest.fixture(scope="session")
def winner(sample) -> Sample:
    """The same with 30 % more orders."""
    return sample(20_000, 1_300)


@pytest.fixture(scope="session")
def loser(sample) -> Sample:
    """The same with a quarter less orders."""
    return sample(20_000, 750)


@pytest.fixture(scope="session")
def reviewed(shelf_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Review, str]:
    """The review of the shelf with what its pages show, and the page."""
    path = tmp_path_factory.mktemp("reviewed") / "shelf.db"
    shutil.copy(shelf_file, path)
    with Store.open(path) as store:
        review = review_store(store, END, background=True)
    return review, render_review_html(review)
