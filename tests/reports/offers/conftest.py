"""A shop in a real store: visitors with what they bought, written as a backend would, for the parts to be read of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from offerlift.experiments.definition import Arm, Definition, Offer, Plan
from offerlift.experiments.metrics import Column, Metric
from offerlift.experiments.records import Exposure, Outcome
from offerlift.experiments.snapshot import Published
from offerlift.reports import Scorecard, scorecard
from offerlift.reports.details import Details
from offerlift.storage import Store

DAY = 86_400_000_000
START = datetime(2026, 3, 2, tzinfo=UTC)
METRICS = (
    Metric("margin_per_visitor", "margin", Column("purchase", "margin"), window_end=14 * DAY),
    Metric("conversion", "conversion", Column("purchase", "converted"), window_end=14 * DAY),
    Metric("revenue_per_visitor", "revenue", Column("purchase", "value"), window_end=14 * DAY),
)


@dataclass(frozen=True)
class Bought:
    """One order: so many days after the exposure, what was paid and what it cost, and what was given away."""

    value: float
    cost: float = 0.0
    day: float = 0.5
    given: float = 0.0
    event: str = "purchase"


@dataclass(frozen=True)
class Visit:
    """One visitor of an arm."""

    arm: str
    orders: tuple[Bought, ...] = ()
    segments: tuple[tuple[str, str], ...] = ()


@dataclass
class Shop:
    """A store with one experiment, to be filled and read."""

    store: Store
    key: str = "offer"
    visitors: int = 0
    phase: int = 1
    names: list[str] = field(default_factory=list)

    def publish(
        self,
        offers: Mapping[str, Offer | None],
        *,
        metrics: tuple[Metric, ...] = METRICS,
        levels: Mapping[str, Mapping[str, str]] | None = None,
        factors: Mapping[str, tuple[str, ...]] | None = None,
        plan: Plan | None = None,
        further: tuple[Offer, ...] = (),
        **more: object,
    ) -> None:
        """The experiment, its first arm the control."""
        names = list(offers)
        weights = [10_000 // len(names)] * len(names)
        weights[0] += 10_000 - sum(weights)
        definition = Definition(
            self.key,
            names[0],
            tuple(
                Arm(name, weight, offers[name], levels=dict((levels or {}).get(name, {})))
                for name, weight in zip(names, weights, strict=True)
            ),
            metrics,
            plan or Plan(metrics[0].name),
            factors=factors or {},
            offers=further,
            **more,
        )
        self.store.publish(Published(definition, "running", 1, 1, START, START, "hash", "plan"))

    def write(self, visits: Iterable[Visit]) -> None:
        """The visitors, spread over the first two weeks."""
        exposures, outcomes = [], []
        for visit in visits:
            number, self.visitors = self.visitors, self.visitors + 1
            name, at = f"v{number}", START + timedelta(minutes=number * 7_919 % 20_000)
            exposures.append(Exposure(self.key, name, visit.arm, at, self.phase, segments=dict(visit.segments)))
            for i, order in enumerate(visit.orders):
                when = at + timedelta(days=order.day)
                value, cost = Decimal(str(order.value)), Decimal(str(order.cost))
                outcomes.append(Outcome(f"{name}-{i}", name, order.event, when, value, cost))
                if order.given:
                    outcomes.append(Outcome(f"{name}-{i}", name, "discount", when, Decimal(str(order.given))))
        written = [self.store.write_exposures(exposures), self.store.write_outcomes(outcomes)]
        assert not any(one.refused or one.conflicts for one in written)

    def begin_phase(self) -> None:
        """The next phase, to which visitors belong that are written from now on."""
        now = self.store.published(self.key)
        self.phase = now.phase + 1
        self.store.publish(replace(now, phase=self.phase, version=now.version + 1))

    def card(self, days: float = 60) -> Scorecard:
        """The scorecard so many days after the start."""
        observations = self.store.observations(self.key, as_of=START + timedelta(days=days))
        return scorecard(observations, self.store.looks(self.key), Details.of_store(self.store, observations))


@pytest.fixture
def shop() -> Iterator[Shop]:
    """An empty store in memory."""
    with Store.open("sqlite://") as opened:
        yield Shop(opened)
