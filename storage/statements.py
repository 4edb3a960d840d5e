"""The grouped statements behind an analysis, for all metrics and windows of an experiment together.

Portable SQL only: joins, GROUP BY, CASE, SUM, MIN, MAX and COUNT. Every sum is taken of doubles: they hold whole minor
units exactly up to 2⁵³ and lose digits gracefully above, where a sum of 64-bit integers would overflow.

A visitor without outcomes has zeros, which no sum needs. So the joins are inner ones and read only those who did
something, and the visitors of an arm are counted by themselves: with 8 % buyers that is a quarter of the work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Double,
    FromClause,
    Integer,
    Select,
    Subquery,
    and_,
    case,
    cast,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)

from ..experiments.metrics import DAY, Column, CovariateUse
from .features import Feature, Window
from .sources import Sources
from .sums import Layout

__all__ = ["Cohort", "arm_statement", "covariate_statement", "day_statement", "moment_statement", "subjects"]

PARTS = 251
"""How many sums an arm's visitors are spread over: a prime, so that round times spread as well as numbers do."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """Whose rows are read: an experiment's phase, what had happened by `as_of`; `names` numbers events, covariates."""

    experiment_id: int
    phase: int
    as_of: int
    names: Mapping[str, int]

    def number(self, name: str) -> int:
        """Number of a name; one that no row has where the name was never stored."""
        return self.names.get(name, -1)


def subjects(sources: Sources, cohort: Cohort) -> Subquery:
    """One row a visitor who was exposed by then: phase, arm_id, visitor_id, at, crossover_at."""
    exposure = sources.exposure.c
    return (
        select(exposure.phase, exposure.arm_id, exposure.visitor_id, exposure.at, exposure.crossover_at)
        .where(
            exposure.experiment_id == cohort.experiment_id,
            exposure.phase == cohort.phase,
            exposure.at <= cohort.as_of,
        )
        .subquery("subject")
    )


def arm_statement(sources: Sources, cohort: Cohort, windows: Sequence[Window]) -> Select:
    """Per phase and arm: visitors, crossovers, then for each window the visitors for whom it has passed."""
    subject = subjects(sources, cohort)
    return select(
        subject.c.phase,
        subject.c.arm_id,
        func.count(),
        _count(subject.c.crossover_at <= cohort.as_of),
        *(_count(subject.c.at <= window.closed(cohort.as_of)) for window in windows),
    ).group_by(subject.c.phase, subject.c.arm_id)


def day_statement(sources: Sources, cohort: Cohort) -> Select:
    """Per phase, UTC day (its first microsecond) and arm: visitors, first and last exposure."""
    subject = subjects(sources, cohort)
    day = subject.c.at - subject.c.at % literal(DAY, literal_execute=True)
    # The day before the arm: visitors numbered as they came are nearly in its order already.
    return select(
        subject.c.phase, day, subject.c.arm_id, func.count(), func.min(subject.c.at), func.max(subject.c.at)
    ).group_by(subject.c.phase, day, subject.c.arm_id)


def moment_statement(
    sources: Sources,
    cohort: Cohort,
    layout: Layout,
    shifts: Sequence[float],
) -> Select:
    """The sums over visitors with at least one outcome in any window, per phase, arm and part of the visitors.

    Columns: phase, arm_id; how many outcomes of each of the layout's events; for each of its windows the visitors for
    whom it has passed; over these Σx of each feature, Σx³ of each one taken from outcomes, and Σxy of each pair.

    The parts are there to be added by the reader: a database adds doubles one after the other, and its rounding errors
    grow with their number. `shifts` is what is subtracted from each feature first.
    """
    visitors = _visitors(sources, cohort, layout)
    closed = {window: _closed(visitors.c.at, window, cohort) for window in layout.windows}
    source: FromClause = visitors
    known: dict[CovariateUse, ColumnElement[float]] = {}
    later: list[ColumnElement[bool]] = []
    for i, use in enumerate(layout.covariates):
        value, newer = (sources.covariate.alias(f"{what}{i}") for what in ("value", "newer"))
        source = source.outerjoin(value, _before(value, visitors, use, cohort))
        source = source.outerjoin(newer, _newer(newer, value, visitors, use, cohort))
        known[use] = value.c.value
        later.append(newer.c.visitor_id.is_(None))
    moved = (
        select(
            visitors.c.phase,
            visitors.c.arm_id,
            _part(visitors).label("part"),
            *(visitors.c[f"n{i}"] for i in range(len(layout.events))),
            *(_flag(closed[window]).label(f"w{i}") for i, window in enumerate(layout.windows)),
            *(
                _moved(_feature_value(feature, i, visitors, known), closed[feature.window], shifts[i]).label(f"x{i}")
                for i, feature in enumerate(layout.features)
            ),
        )
        .select_from(source)
        .where(*later)
        .subquery("moved")
    )
    x = [moved.c[f"x{i}"] for i in range(len(layout.features))]
    return select(
        moved.c.phase,
        moved.c.arm_id,
        *(func.sum(moved.c[f"n{i}"]) for i in range(len(layout.events))),
        *(func.sum(moved.c[f"w{i}"]) for i in range(len(layout.windows))),
        *(func.sum(one) for one in x),
        *(func.sum(x[i] * x[i] * x[i]) for i in layout.outcome_features),
        *(func.sum(x[i] * x[j]) for i, j in layout.outcome_pairs),
    ).group_by(moved.c.phase, moved.c.arm_id, moved.c.part)


def covariate_statement(
    sources: Sources, cohort: Cohort, use: CovariateUse, windows: Sequence[Window], shifts: Sequence[float]
) -> Select:
    """The sums over visitors who have a covariate, per phase, arm and part of the visitors.

    Columns: phase, arm_id; for each window the visitors for whom it has passed, Σc, Σc² and Σc³ over them, a shift
    for each window subtracted from c first.
    """
    subject = subjects(sources, cohort)
    value, newer = (sources.covariate.alias(what) for what in ("value", "newer"))
    closed = [_closed(subject.c.at, window, cohort) for window in windows]
    moved = (
        select(
            subject.c.phase,
            subject.c.arm_id,
            _part(subject).label("part"),
            *(_flag(one).label(f"w{i}") for i, one in enumerate(closed)),
            *(_moved(value.c.value, one, shifts[i]).label(f"x{i}") for i, one in enumerate(closed)),
        )
        .select_from(
            subject.join(value, _before(value, subject, use, cohort)).outerjoin(
                newer, _newer(newer, value, subject, use, cohort)
            )
        )
        .where(newer.c.visitor_id.is_(None))
        .subquery("moved")
    )
    sums: list[ColumnElement] = []
    for i in range(len(windows)):
        x = moved.c[f"x{i}"]
        sums += [func.sum(moved.c[f"w{i}"]), func.sum(x), func.sum(x * x), func.sum(x * x * x)]
    return select(moved.c.phase, moved.c.arm_id, *sums).group_by(moved.c.phase, moved.c.arm_id, moved.c.part)


def _visitors(sources: Sources, cohort: Cohort, layout: Layout) -> Subquery:
    """One row a visitor with outcomes: the keys, at, outcomes by event n0, n1, ... and outcome features x0, x1, ..."""
    subject = subjects(sources, cohort)
    outcome = sources.outcome
    within = {
        use: and_(_is_event(use[0], outcome, cohort), _holds(use[1], outcome.c.at, subject.c.at)) for use in layout.uses
    }
    joined = and_(
        outcome.c.visitor_id == subject.c.visitor_id,
        # Said once more without the windows, so that an engine can look events up by key.
        or_(*(_is_event(event, outcome, cohort) for event in layout.events)),
        outcome.c.at >= subject.c.at,
        outcome.c.at <= cohort.as_of,
        or_(*within.values()),
    )
    named = [condition for (event, _), condition in within.items() if event is not None]
    counted = []
    for event in layout.events:
        of_event = or_(*(condition for use, condition in within.items() if use[0] == event))
        # Each outcome is counted once: under its own event where a metric names it, otherwise under "any".
        if event is None and named:
            of_event = and_(of_event, not_(or_(*named)))
        counted.append(func.sum(_flag(of_event)))
    return (
        select(
            subject.c.phase,
            subject.c.arm_id,
            subject.c.visitor_id,
            subject.c.at,
            *(one.label(f"n{i}") for i, one in enumerate(counted)),
            *(
                _outcome_value(feature.source, within[feature.source.event, feature.window], sources).label(f"x{i}")
                for i, feature in enumerate(layout.features)
                if isinstance(feature.source, Column)
            ),
        )
        .select_from(subject.join(outcome, joined))
        .group_by(subject.c.visitor_id, subject.c.phase, subject.c.arm_id, subject.c.at)
        .subquery("visitors")
    )


def _holds(window: Window, at: ColumnElement[int], exposed: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether an outcome's time lies in the window of an exposure's."""
    opened = at >= exposed + window.start
    return opened if window.end is None else and_(opened, at < exposed + window.end)


def _closed(exposed: ColumnElement[int], window: Window, cohort: Cohort) -> ColumnElement[bool] | None:
    """Whether a visitor's window has passed; None: everybody's has."""
    return None if window.end is None else exposed <= window.closed(cohort.as_of)


def _is_event(event: str | None, outcome: FromClause, cohort: Cohort) -> ColumnElement[bool]:
    return true() if event is None else outcome.c.event_id == cohort.number(event)


def _before(value: FromClause, subject: FromClause, use: CovariateUse, cohort: Cohort) -> ColumnElement[bool]:
    """Whether a covariate's value was taken before the exposure, and not too long before."""
    found = and_(
        value.c.name_id == cohort.number(use.name),
        value.c.visitor_id == subject.c.visitor_id,
        value.c.at <= subject.c.at,
    )
    return found if use.window is None else and_(found, value.c.at >= subject.c.at - use.window)


def _newer(
    newer: FromClause, value: FromClause, subject: FromClause, use: CovariateUse, cohort: Cohort
) -> ColumnElement[bool]:
    """Whether a covariate has another value, later than that one and still before the exposure.

    The latest value is the one without a newer one: a join, which every engine does well. A lookup of the maximum for
    each visitor is refused by some, a grouped subquery is mistaken for a small table by others.
    """
    return and_(
        newer.c.name_id == cohort.number(use.name),
        newer.c.visitor_id == subject.c.visitor_id,
        newer.c.at <= subject.c.at,
        newer.c.at > value.c.at,
    )


def _outcome_value(column: Column, within: ColumnElement[bool], sources: Sources) -> ColumnElement[float]:
    zero, one = literal(0.0, Double), literal(1.0, Double)
    outcome = sources.outcome.c
    match column.measure:
        case "converted":
            return func.max(case((within, one), else_=zero))
        case "count":
            return func.sum(case((within, one), else_=zero))
        case "value":
            amount = _money(outcome.value)
        case "margin":
            amount = _money(outcome.value) - _money(outcome.cost)
    return func.sum(case((within, amount), else_=zero))


def _money(amount: ColumnElement[int]) -> ColumnElement[float]:
    return cast(func.coalesce(amount, 0), Double)


def _feature_value(
    feature: Feature, i: int, visitors: FromClause, known: Mapping[CovariateUse, ColumnElement[float]]
) -> ColumnElement[float]:
    if isinstance(feature.source, Column):
        return visitors.c[f"x{i}"]
    value = known[feature.source]
    if feature.missing:
        return case((value.is_(None), literal(1.0, Double)), else_=literal(0.0, Double))
    return func.coalesce(value, literal(0.0, Double))


def _moved(value: ColumnElement[float], closed: ColumnElement[bool] | None, shift: float) -> ColumnElement[float]:
    moved = value - literal(shift, Double) if shift else value
    return moved if closed is None else case((closed, moved), else_=literal(0.0, Double))


def _part(relation: FromClause) -> ColumnElement[int]:
    number = relation.c.visitor_id if isinstance(relation.c.visitor_id.type, Integer) else relation.c.at
    return number % literal(PARTS, literal_execute=True)


def _flag(condition: ColumnElement[bool] | None) -> ColumnElement[int]:
    return literal(1) if condition is None else case((condition, 1), else_=0)


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(_flag(condition))
