"""The grouped statements behind an analysis: one pass over exposures and outcomes for each window.

Portable SQL only: joins, GROUP BY, CASE, SUM, MIN, MAX and COUNT. Every sum is taken of doubles: they hold whole minor
units exactly up to 2⁵³ and lose digits gracefully above, where a sum of 64-bit integers would overflow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Double, Select, and_, case, cast, func, literal, or_, select, true

from ..experiments.metrics import DAY, Column, CovariateUse
from .features import Feature, Pair
from .tables import covariate, exposure, outcome

__all__ = ["Cohort", "Window", "arm_statement", "moment_statement", "outcome_statement"]


PARTS = 256
"""How many sums an arm's visitors are spread over."""


@dataclass(frozen=True, slots=True)
class Window:
    """Microseconds after the exposure: from `start` until before `end`; None: for ever."""

    start: int
    end: int | None

    def holds(self, at: ColumnElement[int], exposed: ColumnElement[int]) -> ColumnElement[bool]:
        """Whether an outcome's time lies in the window of an exposure's."""
        opened = at >= exposed + self.start
        return opened if self.end is None else and_(opened, at < exposed + self.end)


@dataclass(frozen=True, slots=True)
class Cohort:
    """Whose rows are read: an experiment's phase, what had happened by `as_of`; `names` numbers events, covariates."""

    experiment_id: int
    phase: int
    as_of: int
    names: Mapping[str, int]

    def exposed(self, until: int) -> ColumnElement[bool]:
        """The condition on `exposure` that a visitor belongs to it and was exposed by then."""
        return and_(
            exposure.c.experiment_id == self.experiment_id, exposure.c.phase == self.phase, exposure.c.at <= until
        )

    def number(self, name: str) -> int:
        """Number of a name; one that no row has where the name was never stored."""
        return self.names.get(name, -1)

    def is_event(self, event: str | None) -> ColumnElement[bool]:
        """The condition on `outcome` that it is of that event; None: of any."""
        return true() if event is None else outcome.c.event_id == self.number(event)


def arm_statement(cohort: Cohort) -> Select:
    """Per arm and UTC day: arm_id, day (its first microsecond), visitors, crossovers, first and last exposure."""
    crossed = func.sum(case((exposure.c.crossover_at <= cohort.as_of, 1), else_=0))
    day = exposure.c.at - exposure.c.at % literal(DAY, literal_execute=True)
    return (
        select(exposure.c.arm_id, day, func.count(), crossed, func.min(exposure.c.at), func.max(exposure.c.at))
        .where(cohort.exposed(cohort.as_of))
        .group_by(exposure.c.arm_id, day)
    )


def outcome_statement(cohort: Cohort, uses: Sequence[tuple[str | None, Window]]) -> Select:
    """Per arm and event: arm_id, event_id, how many outcomes fall into any of the windows that use the event."""
    counted = or_(*(and_(cohort.is_event(event), window.holds(outcome.c.at, exposure.c.at)) for event, window in uses))
    return (
        select(exposure.c.arm_id, outcome.c.event_id, func.count())
        .select_from(exposure.join(outcome, outcome.c.visitor_id == exposure.c.visitor_id))
        .where(cohort.exposed(cohort.as_of), outcome.c.at <= cohort.as_of, counted)
        .group_by(exposure.c.arm_id, outcome.c.event_id)
    )


def moment_statement(
    cohort: Cohort, window: Window, features: Sequence[Feature], pairs: Sequence[Pair], shifts: Sequence[float]
) -> Select:
    """Per arm and part of its visitors: arm_id, mature visitors, Σx and Σx³ of each feature, Σxy of each pair.

    The parts are there to be added by the reader: a database adds doubles one after the other, and its rounding errors
    grow with their number. `shifts` is what is subtracted from each feature first. Visitors without outcomes count as
    zeros.
    """
    mature_by = cohort.as_of if window.end is None else cohort.as_of - window.end
    values = _visitor_values(cohort, window, features, mature_by)
    moved = select(
        values.c.arm_id,
        (values.c.visitor_id % PARTS).label("part"),
        *(
            (values.c[f"x{i}"] - literal(shift, Double) if shift else values.c[f"x{i}"]).label(f"x{i}")
            for i, shift in enumerate(shifts)
        ),
    ).subquery("moved")
    x = [moved.c[f"x{i}"] for i in range(len(features))]
    return select(
        moved.c.arm_id,
        func.count(),
        *(func.sum(one) for one in x),
        *(func.sum(one * one * one) for one in x),
        *(func.sum(x[i] * x[j]) for i, j in pairs),
    ).group_by(moved.c.arm_id, moved.c.part)


def _visitor_values(cohort: Cohort, window: Window, features: Sequence[Feature], mature_by: int):
    """One row a mature visitor: arm_id, visitor_id and the features x0, x1, ..."""
    used = [feature.source for feature in features if isinstance(feature.source, Column)]
    joined = and_(
        outcome.c.visitor_id == exposure.c.visitor_id,
        window.holds(outcome.c.at, exposure.c.at),
        outcome.c.at <= cohort.as_of,
        or_(*(cohort.is_event(event) for event in dict.fromkeys(one.event for one in used))),
    )
    source = exposure.outerjoin(outcome, joined)
    known: dict[CovariateUse, ColumnElement[float]] = {}
    for feature in features:
        if isinstance(feature.source, CovariateUse) and feature.source not in known:
            use = feature.source
            value = covariate.alias(f"covariate{len(known)}")
            mine = and_(value.c.name_id == cohort.number(use.name), value.c.visitor_id == exposure.c.visitor_id)
            source = source.outerjoin(value, and_(mine, value.c.at == _latest(cohort, use)))
            known[use] = value.c.value
    columns = (_value(cohort, feature, known).label(f"x{i}") for i, feature in enumerate(features))
    return (
        select(exposure.c.arm_id, exposure.c.visitor_id, *columns)
        .select_from(source)
        .where(cohort.exposed(mature_by))
        .group_by(exposure.c.visitor_id, exposure.c.arm_id)
        .subquery("visitors")
    )


def _latest(cohort: Cohort, use: CovariateUse):
    """When the latest value of a covariate before the exposure was taken, of the visitor of the outer statement.

    Looked up by key for each visitor: a join with a grouped subquery is a nested loop over all pairs of visitors where
    the database underestimates them, as it does for any experiment that began after it last collected statistics.
    """
    before = and_(
        covariate.c.name_id == cohort.number(use.name),
        covariate.c.visitor_id == exposure.c.visitor_id,
        covariate.c.at <= exposure.c.at,
    )
    if use.window is not None:
        before = and_(before, covariate.c.at >= exposure.c.at - use.window)
    return select(func.max(covariate.c.at)).where(before).correlate(exposure).scalar_subquery()


def _value(
    cohort: Cohort, feature: Feature, known: Mapping[CovariateUse, ColumnElement[float]]
) -> ColumnElement[float]:
    zero, one = literal(0.0, Double), literal(1.0, Double)
    if isinstance(feature.source, CovariateUse):
        # A visitor has one value, repeated on each joined outcome.
        value = func.max(known[feature.source])
        return case((value.is_(None), one), else_=zero) if feature.missing else func.coalesce(value, zero)
    # An unmatched outer join has no outcome id; for one event, a missing event number says no by itself.
    happened = and_(outcome.c.outcome_id.is_not(None), cohort.is_event(feature.source.event))
    match feature.source.measure:
        case "converted":
            return func.max(case((happened, one), else_=zero))
        case "count":
            return func.sum(case((happened, one), else_=zero))
        case "value":
            amount = _money(outcome.c.value)
        case "margin":
            amount = _money(outcome.c.value) - _money(outcome.c.cost)
    return func.sum(case((happened, amount), else_=zero))


def _money(amount: ColumnElement[int]) -> ColumnElement[float]:
    return cast(func.coalesce(amount, 0), Double)
