"""What happened to the visitors of a cohort: the rows and conditions that all statements over outcomes are made of."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    FromClause,
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
from sqlalchemy.sql.elements import False_, True_

from ..experiments.metrics import CovariateUse
from .cohort import Cohort, ids_of, keys_of, subjects
from .features import Window
from .planning import InOrder, is_rarely, scanned
from .sources import Sources
from .sums import Layout, Use

__all__ = [
    "Within",
    "all_of",
    "among_counted",
    "amounts",
    "any_of",
    "capped",
    "count_if",
    "counted_flags",
    "flag",
    "has_passed",
    "is_event",
    "is_order",
    "join_covariate",
    "outcome_rows",
    "unreported_flag",
    "uses_within",
    "when",
]

Within = dict[Use, ColumnElement[bool]]
"""For each event and window in which some metric looks for it, whether an outcome counts there."""


def outcome_rows(sources: Sources, cohort: Cohort, layout: Layout, *, of_everyone: bool = False) -> FromClause:
    """One row an outcome or refund after the exposure: who, event_id, at of the original, refunded_at, amounts.

    Where there are no refunds, refunded_at is left out. With `of_everyone` a visitor without any has one row, whose at
    is NULL, and each row has crossover_at and returned of its visitor.
    """
    subject = subjects(sources, cohort, only_busy=not of_everyone)
    # Linked ids and several phases make a relation of the visitors that cannot be searched.
    searched = sources.member is None and len(cohort.phases) == 1 and not of_everyone
    scans = sources.scans and searched and None not in layout.events
    who = [subject.c[key] for key in keys_of(cohort)] + [subject.c.visitor_id, subject.c.at.label("exposed_at")]
    if of_everyone:
        who += [subject.c.crossover_at, subject.c.returned]

    def joined(relation: FromClause, at: ColumnElement[int]) -> ColumnElement[bool]:
        return and_(
            relation.c.visitor_id == visitor_id,
            any_of(*(_is_rarely(event, relation, cohort) for event in layout.events)),
            at >= subject.c.at,
            relation.c.at <= cohort.as_of,
        )

    outcome = sources.outcome
    if scans:
        outcome = scanned(outcome, any_of(*(is_event(event, outcome, cohort) for event in layout.events)))
    value, cost, unreported = amounts(outcome, sources.currency)
    ids, visitor_id = ids_of(sources, subject)
    refund = sources.refund
    orders = select(
        *who,
        outcome.c.event_id,
        outcome.c.at,
        *([] if refund is None else [cast(null(), BigInteger).label("refunded_at")]),
        value.label("value"),
        cost.label("cost"),
        unreported.label("unreported"),
    )
    found = joined(outcome, outcome.c.at)
    # SQLite knows no hash join: it would search the outcomes of each visitor.
    orders = orders.select_from(
        InOrder(outcome, ids, found) if scans else ids.join(outcome, found, isouter=of_everyone)
    )
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
    ).select_from(ids.join(refund, joined(refund, refund.c.original_at)))
    return orders.union_all(refunds).subquery("happened")


def amounts(outcome: FromClause, currency: str) -> tuple[ColumnElement, ColumnElement, ColumnElement[int]]:
    """Value and cost in the reporting currency, 0 where there are none, and whether they are not known in it."""
    row = outcome.c
    # First what nearly all rows are.
    ours = row.currency == currency
    unknown = or_(
        and_(row.value.is_not(None), row.reporting_value.is_(None)),
        and_(row.cost.is_not(None), row.reporting_cost.is_(None)),
    )
    value, cost = (
        cast(func.coalesce(case((ours, own), (unknown, null()), else_=reported), 0), Double)
        for reported, own in ((row.reporting_value, row.value), (row.reporting_cost, row.cost))
    )
    return value, cost, case((ours, 0), (unknown, 1), else_=0)


def uses_within(layout: Layout, rows: FromClause, cohort: Cohort) -> Within:
    """For each of the layout's uses whether it takes a row of `outcome_rows`."""
    return {use: _within(use, rows, cohort) for use in layout.uses}


def _within(use: Use, rows: FromClause, cohort: Cohort) -> ColumnElement[bool]:
    """Whether an outcome counts: the window holds it, and a refund came in time."""
    event, window = use
    found = all_of(is_event(event, rows, cohort), _holds(window, rows.c.at, rows.c.exposed_at))
    if window.end is None or "refunded_at" not in rows.c:
        return found
    in_time = rows.c.refunded_at < rows.c.exposed_at + (window.end + window.refund)
    return and_(found, or_(is_order(rows), in_time))


def is_order(rows: FromClause) -> ColumnElement[bool]:
    """Whether a row of `outcome_rows` is no refund."""
    return rows.c.refunded_at.is_(None) if "refunded_at" in rows.c else true()


def among_counted(within: Within) -> Within:
    """The same conditions, for rows that one of them holds for."""
    return {use: true() for use in within} if len(within) == 1 else within


def _holds(window: Window, at: ColumnElement[int], exposed: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether an outcome's time lies in the window of an exposure's."""
    # The rows are joined from the exposure on.
    opened = at >= exposed + window.start if window.start > 0 else true()
    return opened if window.end is None else all_of(opened, at < exposed + window.end)


def has_passed(exposed: ColumnElement[int], window: Window, cohort: Cohort) -> ColumnElement[bool] | None:
    """Whether a visitor's window has passed; None: everybody's has."""
    return None if window.end is None else exposed <= window.closed(cohort.as_of)


def is_event(event: str | None, outcome: FromClause, cohort: Cohort) -> ColumnElement[bool]:
    """Whether a row is of that event; None: of any."""
    return true() if event is None else outcome.c.event_id == cohort.number(event)


def _is_rarely(event: str | None, outcome: FromClause, cohort: Cohort) -> ColumnElement[Any]:
    number = None if event is None else cohort.number(event)
    return is_rarely(outcome.c.event_id, number) if isinstance(number, int) else is_event(event, outcome, cohort)


def counted_flags(layout: Layout, rows: FromClause, within: Within) -> list[ColumnElement[bool]]:
    """Whether a row is an outcome of each of the layout's events.

    Each outcome is counted once: under its own event where a metric names it, otherwise under "any".
    """
    named = [condition for (event, _), condition in within.items() if event is not None]
    counted = []
    for event in layout.events:
        of_event = all_of(is_order(rows), any_of(*(one for use, one in within.items() if use[0] == event)))
        counted.append(all_of(of_event, not_(any_of(*named))) if event is None and named else of_event)
    return counted


def unreported_flag(layout: Layout, rows: FromClause, within: Within) -> ColumnElement[bool]:
    """Whether a row would be in a money column, but for its currency."""
    return all_of(any_of(*(within[use] for use in layout.money_uses)), rows.c.unreported == 1)


def join_covariate(
    sources: Sources,
    cohort: Cohort,
    joined: FromClause,
    visitors: FromClause,
    use: CovariateUse,
    number: int = 0,
    *,
    keep_missing: bool,
) -> tuple[FromClause, ColumnElement[float], ColumnElement[bool]]:
    """Join what was known of each visitor at the exposure.

    Args:
        sources: where from.
        cohort: whose.
        joined: what is joined to.
        visitors: the relation in it with visitor_id and at, the exposure's time.
        use: the covariate.
        number: of the use, where several are joined.
        keep_missing: whether visitors without the covariate stay, with NULL.

    Returns:
        The join, the covariate's value, and the condition that leaves one row a visitor.
    """
    value, newer = (sources.covariate_of(use.name).alias(f"{what}{number}") for what in ("value", "newer"))
    joined = joined.join(value, _before(value, visitors, use, cohort), isouter=keep_missing)
    if use.name in sources.settled:
        return joined, value.c.value, true()
    joined = joined.outerjoin(newer, _newer(newer, value, visitors, use, cohort))
    return joined, value.c.value, newer.c.visitor_id.is_(None)


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


def all_of(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether all of them hold; `true()` itself where they always do, for which `when` writes no CASE."""
    some = [one for one in conditions if not isinstance(one, True_)]
    return and_(*some) if some else true()


def any_of(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether one of them holds, likewise."""
    if any(isinstance(one, True_) for one in conditions):
        return true()
    return conditions[0] if len(conditions) == 1 else or_(false(), *conditions)


def flag(condition: ColumnElement[bool] | None) -> ColumnElement[int]:
    """1 where it holds, else 0; None: it always holds."""
    return literal(1) if condition is None else when(condition, literal(1), literal(0))


def when(condition: ColumnElement[bool], value: ColumnElement, other: ColumnElement) -> ColumnElement:
    """The value where the condition holds, else the other; without CASE where it always or never does."""
    if isinstance(condition, True_):
        return value
    return other if isinstance(condition, False_) else case((condition, value), else_=other)


def count_if(condition: ColumnElement[bool]) -> ColumnElement[int]:
    """How many rows it holds for."""
    return func.count() if isinstance(condition, True_) else func.sum(flag(condition))


def capped(total: ColumnElement[float], cap: int) -> ColumnElement[float]:
    """The total, or the cap where it is more."""
    most = literal(float(cap), Double)
    return case((total > most, most), else_=total)
