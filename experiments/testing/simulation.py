"""One run of a simulated shop: who came, what the assigner said, what they did, and the records of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..assignment import Assignment, Reason
from ..recording import Recording
from ..records import Covariate, Exposure, OfferStep, Outcome
from ..snapshot import Published
from ..steps import Step
from .behaviour import NOTHING, Behaviour
from .captures import exposures_of
from .habits import FULL_PRICE, GIVEN, REFUND, Habits, Population
from .purchases import Purchases, Visitors, moment, purchases

__all__ = ["REFUSALS", "Positions", "Simulation"]

Array = NDArray[np.float64]
Positions = NDArray[np.int64]

REFUSALS = ("too_expensive", "not_needed", "other_brand")
"""Why visitors decline, equally often."""

_DAY = 86_400_000_000


@dataclass(frozen=True, eq=False)
class Simulation:
    """Everything that happened in one run of a simulated shop.

    Attributes:
        behaviours, habits, population: of the shop.
        published: the experiment.
        visitors: who came.
        ids: their ids.
        assignments: what the assigner said of each.
    """

    behaviours: Mapping[str, Behaviour]
    habits: Habits
    population: Population
    published: Published
    visitors: Visitors
    ids: list[str]
    assignments: list[Assignment]

    @cached_property
    def delivered(self) -> NDArray[np.bool_]:
        """Whether each visitor saw what the arm offers; in an arm that offers nothing, always."""
        found = np.zeros(len(self.ids), dtype=bool)
        for at, assignment in enumerate(self.assignments):
            lost = self.visitors.luck["deliver"][at] < self.behaviours[assignment.arm].undelivered
            found[at] = assignment.reason is Reason.SPLIT and assignment.withheld is None and not lost
        return found

    def positions(self, arm: str) -> Positions:
        """Positions of the visitors who are analysed in an arm."""
        return np.flatnonzero([one.reason is Reason.SPLIT and one.arm == arm for one in self.assignments])

    @cached_property
    def parts(self) -> list[tuple[Positions, Behaviour, Purchases]]:
        """Visitors who behave in one way: their positions, the behaviour, and what they did."""
        seen = [(np.flatnonzero(self.delivered & self._in(arm)), one) for arm, one in self.behaviours.items()]
        unseen = (np.flatnonzero(~self.delivered), NOTHING)
        return [
            (at, how, purchases(self.habits, self.population, how, self.visitors.take(at)))
            for at, how in (*seen, unseen)
        ]

    def _in(self, arm: str) -> NDArray[np.bool_]:
        return np.array([one.arm == arm for one in self.assignments], dtype=bool)

    def columns(self, arm: str) -> dict[str, Array]:
        """Per visitor analysed in an arm, in the order of `positions`, once everything has happened."""
        at = self.positions(arm)
        gathered: dict[str, Array] = {}
        for positions, _, did in self.parts:
            for name, values in did.columns().items():
                gathered.setdefault(name, np.zeros(len(self.ids)))[positions] = values
        return {name: values[at] for name, values in gathered.items()}

    def exposures(self) -> Iterator[Exposure]:
        """What `Recorder.expose` would write, holdouts included."""
        for at, assignment in enumerate(self.assignments):
            yield from exposures_of(assignment, self.visitors.arrived(at))

    def covariates(self, name: str = "past_revenue") -> Iterator[Covariate]:
        """What was known before the exposure."""
        past = self.visitors.past_revenue
        for at in np.flatnonzero(~np.isnan(past)).tolist():
            yield Covariate(self.ids[at], name, float(past[at]), self.visitors.arrived(at))

    def outcomes(self, *, arrived_by: datetime | None = None) -> Iterator[Outcome]:
        """Orders, refunds, later orders and events, of visitors who are not analysed too.

        Args:
            arrived_by: only those that had happened and reached the store by then; late ones reach it later.
        """
        for at, outcome in self._outcomes():
            if arrived_by is None or self._arrives(at, outcome) <= arrived_by:
                yield outcome

    def _arrives(self, at: int, outcome: Outcome) -> datetime:
        people, luck = self.population, float(self.visitors.luck["late"][at])
        assert outcome.at is not None
        late = timedelta(days=people.late_days * luck / people.late) if luck < people.late else timedelta()
        return outcome.at + late

    def _outcomes(self) -> Iterator[tuple[int, Outcome]]:
        habits, luck = self.habits, self.visitors.luck
        first, last = habits.repeat_days
        for positions, _, did in self.parts:
            for here in np.flatnonzero(did.ordered).tolist():
                at = int(positions[here])
                visitor, order = self.ids[at], f"{self.ids[at]}-order"
                when = float(did.after[here])
                value, goods = _money(did.value[here]), _money(did.goods[here])
                cost = _money(did.cost[here])
                yield at, Outcome(order, visitor, "purchase", self._days_later(at, when), value, cost)
                if did.full_price[here]:
                    yield at, Outcome(f"{visitor}-full-price", visitor, FULL_PRICE, self._days_later(at, when))
                if did.given[here] > 0:
                    given = _money(did.given[here])
                    yield at, Outcome(f"{visitor}-given", visitor, GIVEN, self._days_later(at, when), given)
                if did.refunded[here]:
                    back = self._days_later(at, when + float(luck["refund_when"][at]) * habits.refund_days)
                    refund = f"{visitor}-refund"
                    yield at, Outcome(refund, visitor, "purchase", back, value, goods, refund_of=order)
                    yield at, Outcome(f"{visitor}-refund", visitor, REFUND, back)
                if did.again[here]:
                    again = self._days_later(at, first + float(luck["repeat_when"][at]) * (last - first))
                    value, cost = _money(did.later_value[here]), _money(did.later_cost[here])
                    yield at, Outcome(f"{visitor}-later", visitor, "purchase", again, value, cost)
            for event, happened in did.events.items():
                for at in positions[happened].tolist():
                    when = float(luck["when"][at]) * habits.response_days
                    yield at, Outcome(f"{self.ids[at]}-{event}", self.ids[at], event, self._days_later(at, when))

    def _days_later(self, at: int, days: float) -> datetime:
        return moment(int(self.visitors.at[at]) + round(days * _DAY))

    def offer_steps(self) -> Iterator[OfferStep]:
        """How far visitors come with the offer of their arm: reached, withheld, undelivered, delivered, the answer."""
        for at, step, offer, reason, when in self._steps():
            yield OfferStep(self.published.definition.experiment, self.ids[at], step, offer, when, reason)

    def _steps(self) -> Iterator[tuple[int, Step, str, str | None, datetime]]:
        offers = {arm.name: arm.offer for arm in self.published.definition.arms}
        for positions, _, did in self.parts:
            for here, at in enumerate(positions.tolist()):
                assignment, arrived = self.assignments[at], self.visitors.arrived(at)
                offer = offers[assignment.arm]
                if offer is None or assignment.reason is not Reason.SPLIT:
                    continue
                yield at, "reached", offer.name, None, arrived
                if assignment.withheld is not None:
                    yield at, "withheld", offer.name, assignment.withheld, arrived
                    continue
                shown = arrived + timedelta(microseconds=offer.delay)
                if not self.delivered[at]:
                    yield at, "undelivered", offer.name, "not_shown", shown
                    continue
                yield at, "delivered", offer.name, None, shown
                choices = self.behaviours[assignment.arm].choices
                if choices and did.choice[here] >= 0:
                    taken = choices[int(did.choice[here])].name
                    yield at, "accepted", taken, None, self._days_later(at, float(did.after[here]))
                elif not choices and did.ordered[here]:
                    yield at, "accepted", offer.name, None, self._days_later(at, float(did.after[here]))
                else:
                    number = int(self.visitors.luck["reason"][at] * (len(REFUSALS) + 1))
                    # As often as each of the reasons, none is given.
                    reason = REFUSALS[number] if number < len(REFUSALS) else None
                    yield at, "declined", offer.name, reason, shown + timedelta(minutes=1)

    def record(self, recorder: Recording) -> None:
        """Report everything through a recorder, as a shop's backend does. Covariates are the store's own to write."""
        for at, assignment in enumerate(self.assignments):
            recorder.expose(assignment, at=self.visitors.arrived(at))
        for at, step, offer, reason, when in self._steps():
            # Exposing has recorded what was withheld.
            if step != "withheld":
                recorder.offer_step(self.assignments[at], step, offer=offer, reason=reason, at=when)
        for one in self.outcomes():
            recorder.outcome(
                one.outcome_id,
                one.visitor,
                one.name,
                value=one.value,
                cost=one.cost,
                refund_of=one.refund_of,
                at=one.at,
            )


def _money(cents: np.int64) -> Decimal:
    return Decimal(int(cents)).scaleb(-2)
