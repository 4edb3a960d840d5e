"""The grouped statements behind an analysis, for all metrics and windows of an experiment together.

Portable SQL only: joins, GROUP BY, CASE, SUM, MIN, MAX and COUNT. Every sum is taken of doubles: they hold whole minor
units exactly up to 2⁵³ and lose digits gracefully above, where a sum of 64-bit integers would overflow.

A visitor without outcomes has zeros, which no sum needs. So the joins are inner ones and read only those who did
something, and the visitors of an arm are counted by themselves: with 8 % buyers that is a quarter of the work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    FromClause,
    Integer,
    Select,
    Subquery,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    not_,
    null,
    or_,
    select,
    true,
)

from ..experiments.metrics import DAY, Column, CovariateUse
from .cohort import Cohort, keys_of, subjects
from .features import Feature, Window
from .sources import Sources
from .sums import Layout, Use

__all__ = [
    "amounts",
    "arm_statement",
    "covariate_statement",
    "day_statement",
    "moment_statement",
    "orphan_statement",
]

PART = 2**15
"""How many visitors, at most, a sum is over where they are numbered."""

HOUR = 3_600_000_000
"""Otherwise a sum is over those of an hour."""


def arm_statement(sources: Sources, cohort: Cohort, windows: Sequence[Window]) -> Select:
    """The keys, visitors, crossovers, those returned, then for each window the visitors for whom it has passed."""
    subject = subjects(sources, cohort)
    keys = [subject.c[key] for key in keys_of(cohort)]
    return select(
        *keys,
        func.count(),
        _count(subject.c.crossover_at <= cohort.as_of),
        func.sum(subject.c.returned),
        *(_count(subject.c.at <= window.closed(cohort.as_of)) for window in windows),
    ).group_by(*keys)


def day_statement(sources: Sources, cohort: Cohort) -> Select:
    """The keys, UTC day (its first microsecond), visitors, first and last exposure."""
    subject = subjects(sources, cohort)
    keys = [subject.c[key] for key in keys_of(cohort)]
    day = subject.c.at - subject.c.at % literal(DAY, literal_execute=True)
    # The day before the keys: visitors numbered as they came are nearly in its order already.
    return select(*keys, day, func.count(), func.min(subject.c.at), func.max(subject.c.at)).group_by(day, *keys)


def orphan_statement(sources: Sources, cohort: Cohort, events: Sequence[str | None]) -> Select | None:
    """How many refunds of these events have no original, by visitors exposed before; None: there are no refunds."""
    if sources.refund is None:
        return None
    subject, refund = subjects(sources, cohort), sources.refund
    return (
        select(func.count())
        .select_from(subject.join(refund, refund.c.visitor_id == subject.c.visitor_id))
        .where(
            refund.c.original_at.is_(None),
            refund.c.at >= subject.c.at,
            refund.c.at <= cohort.as_of,
            or_(*(_is_event(event, refund, cohort) for event in events)),
        )
    )


def moment_statement(sources: Sources, cohort: Cohort, layout: Layout, shifts: Sequence[float]) -> Select:
    """The sums over visitors with at least one outcome in any window, by keys and part of the visitors.

    Columns: the keys; how many outcomes of each of the layout's events; how many of them have no value in the reporting
    currency; for each of the layout's windows the visitors for whom it has passed; over these Σx of each feature, Σx³
    of each one taken from outcomes, and Σxy of each pair.

    The parts are there to be added by the reader: a database adds doubles one after the other, and its rounding errors
    grow with their number. `shifts` is what is subtracted from each feature first.
    """
    visitors = _visitors(sources, cohort, layout)
    closed = {window: _closed(visitors.c.at, window, cohort) for window in layout.windows}
    source: FromClause = visitors
    known: dict[CovariateUse, ColumnElement[float]] = {}
    latest: list[ColumnElement[bool]] = []
    for i, use in enumerate(layout.covariates):
        value, newer = (sources.covariate_of(use.name).alias(f"{what}{i}") for what in ("value", "newer"))
        source = source.outerjoin(value, _before(value, visitors, use, cohort))
        known[use] = value.c.value
        if use.name not in sources.settled:
            source = source.outerjoin(newer, _newer(newer, value, visitors, use, cohort))
            latest.append(newer.c.visitor_id.is_(None))
    counts = [f"n{i}" for i in range(len(layout.events))] + ["unreported"]
    moved = (
        select(
            *(visitors.c[key] for key in keys_of(cohort)),
            _part(visitors).label("part"),
            *(visitors.c[name] for name in counts),
            *(_flag(closed[window]).label(f"w{i}") for i, window in enumerate(layout.windows)),
            *(
                _moved(_feature_value(feature, i, visitors, known), closed[feature.window], shifts[i]).label(f"x{i}")
                for i, feature in enumerate(layout.features)
            ),
        )
        .select_from(source)
        .where(*latest)
        .subquery("moved")
    )
    x = [moved.c[f"x{i}"] for i in range(len(layout.features))]
    keys = [moved.c[key] for key in keys_of(cohort)]
    return select(
        *keys,
        *(func.sum(moved.c[name]) for name in counts),
        *(func.sum(moved.c[f"w{i}"]) for i in range(len(layout.windows))),
        *(func.sum(one) for one in x),
        *(func.sum(x[i] * x[i] * x[i]) for i in layout.outcome_features),
        *(func.sum(x[i] * x[j]) for i, j in layout.outcome_pairs),
    ).group_by(moved.c.part, *keys)


def covariate_statement(
    sources: Sources, cohort: Cohort, use: CovariateUse, windows: Sequence[Window], shifts: Sequence[float]
) -> Select:
    """The sums over visitors who have a covariate, by keys and part of the visitors.

    Columns: the keys; for each window the visitors for whom it has passed, Σc, Σc² and Σc³ over them, a shift
    for each window subtracted from c first.
    """
    subject = subjects(sources, cohort)
    value, newer = (sources.covariate_of(use.name).alias(what) for what in ("value", "newer"))
    known, is_settled = subject.join(value, _before(value, subject, use, cohort)), use.name in sources.settled
    closed = [_closed(subject.c.at, window, cohort) for window in windows]
    moved = (
        select(
            *(subject.c[key] for key in keys_of(cohort)),
            _part(subject).label("part"),
            *(_flag(one).label(f"w{i}") for i, one in enumerate(closed)),
            *(_moved(value.c.value, one, shifts[i]).label(f"x{i}") for i, one in enumerate(closed)),
        )
        .select_from(known if is_settled else known.outerjoin(newer, _newer(newer, value, subject, use, cohort)))
        .where(*([] if is_settled else [newer.c.visitor_id.is_(None)]))
        .subquery("moved")
    )
    sums: list[ColumnElement] = []
    for i in range(len(windows)):
        x = moved.c[f"x{i}"]
        sums += [func.sum(moved.c[f"w{i}"]), func.sum(x), func.sum(x * x), func.sum(x * x * x)]
    keys = [moved.c[key] for key in keys_of(cohort)]
    return select(*keys, *sums).group_by(moved.c.part, *keys)


def _visitors(sources: Sources, cohort: Cohort, layout: Layout) -> Subquery:
    """One row a visitor with outcomes: the keys, at, outcomes by event n0, n1, ..., outcome features x0, x1, ..."""
    rows = _outcome_rows(sources, cohort, layout)
    within = {use: _within(use, rows, cohort) for use in layout.uses}
    named = [condition for (event, _), condition in within.items() if event is not None]
    is_order = rows.c.refunded_at.is_(None)
    counted = []
    for event in layout.events:
        of_event = and_(is_order, or_(*(condition for use, condition in within.items() if use[0] == event)))
        # Each outcome is counted once: under its own event where a metric names it, otherwise under "any".
        if event is None and named:
            of_event = and_(of_event, not_(or_(*named)))
        counted.append(_count(of_event))
    for_money = and_(rows.c.unreported == 1, or_(false(), *(within[use] for use in layout.money_uses)))
    keys = [rows.c[key] for key in keys_of(cohort)]
    return (
        select(
            *keys,
            rows.c.visitor_id,
            rows.c.exposed_at.label("at"),
            *(one.label(f"n{i}") for i, one in enumerate(counted)),
            _count(for_money).label("unreported"),
            *(
                _outcome_value(feature, within[feature.source.event, feature.window], rows).label(f"x{i}")
                for i, feature in enumerate(layout.features)
                if isinstance(feature.source, Column)
            ),
        )
        .where(or_(*within.values()))
        .group_by(rows.c.visitor_id, rows.c.exposed_at, *keys)
        .subquery("visitors")
    )


def _outcome_rows(sources: Sources, cohort: Cohort, layout: Layout) -> FromClause:
    """One row an outcome or refund after the exposure: who, event_id, at of the original, refunded_at, amounts."""
    subject = subjects(sources, cohort)
    who = [subject.c[key] for key in keys_of(cohort)] + [subject.c.visitor_id, subject.c.at.label("exposed_at")]

    def joined(relation: FromClause, at: ColumnElement[int]) -> ColumnElement[bool]:
        return and_(
            relation.c.visitor_id == subject.c.visitor_id,
            or_(*(_is_event(event, relation, cohort) for event in layout.events)),
            at >= subject.c.at,
            relation.c.at <= cohort.as_of,
        )

    outcome = sources.outcome
    value, cost, unreported = amounts(outcome, sources.currency)
    orders = select(
        *who,
        outcome.c.event_id,
        outcome.c.at,
        cast(null(), BigInteger).label("refunded_at"),
        value.label("value"),
        cost.label("cost"),
        unreported.label("unreported"),
    ).select_from(subject.join(outcome, joined(outcome, outcome.c.at)))
    refund = sources.refund
    if refund is None:
        return orders.subquery("happened")
    value, cost, unreported = amounts(refund, sources.currency)
    refunds = select(
        *who,
        refund.c.event_id,
        refund.c.original_at,
        refund.c.at,
        -value,
        -cost,
        unreported,
    ).select_from(subject.join(refund, joined(refund, refund.c.original_at)))
    return orders.union_all(refunds).subquery("happened")


def amounts(
    outcome: FromClause, currency: str
) -> tuple[ColumnElement[float], ColumnElement[float], ColumnElement[int]]:
    """Value and cost in the reporting currency, 0 where there are none, and whether they are not known in it."""
    row = outcome.c
    foreign = row.currency != currency
    unknown = and_(
        foreign,
        or_(
            and_(row.value.is_not(None), row.reporting_value.is_(None)),
            and_(row.cost.is_not(None), row.reporting_cost.is_(None)),
        ),
    )
    value, cost = (
        cast(func.coalesce(case((unknown, null()), (foreign, reported), else_=own), 0), Double)
        for reported, own in ((row.reporting_value, row.value), (row.reporting_cost, row.cost))
    )
    return value, cost, _flag(unknown)


def _within(use: Use, rows: FromClause, cohort: Cohort) -> ColumnElement[bool]:
    """Whether an outcome counts: the window holds it, and a refund came in time."""
    event, window = use
    found = and_(_is_event(event, rows, cohort), _holds(window, rows.c.at, rows.c.exposed_at))
    if window.end is None:
        return found
    in_time = rows.c.refunded_at < rows.c.exposed_at + (window.end + window.refund)
    return and_(found, or_(rows.c.refunded_at.is_(None), in_time))


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


def _outcome_value(feature: Feature, within: ColumnElement[bool], rows: FromClause) -> ColumnElement[float]:
    zero, one = literal(0.0, Double), literal(1.0, Double)
    assert isinstance(feature.source, Column)
    ordered = and_(within, rows.c.refunded_at.is_(None))
    match feature.source.measure:
        case "converted":
            total = func.max(case((ordered, one), else_=zero))
        case "count":
            total = func.sum(case((ordered, one), else_=zero))
        case "value":
            total = func.sum(case((within, rows.c.value), else_=zero))
        case "margin":
            total = func.sum(case((within, rows.c.value - rows.c.cost), else_=zero))
    if feature.cap is None:
        return total
    cap = literal(float(feature.cap), Double)
    return case((total > cap, cap), else_=total)


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
    # Neighbours stay together: an engine that sorts its groups has nearly sorted rows, which takes half the time.
    if isinstance(relation.c.visitor_id.type, Integer):
        number, size = relation.c.visitor_id, PART
    else:
        number, size = relation.c.at, HOUR
    return number - number % literal(size, literal_execute=True)


def _flag(condition: ColumnElement[bool] | None) -> ColumnElement[int]:
    return literal(1) if condition is None else case((condition, 1), else_=0)


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(_flag(condition))
