"""What happened to the visitors of a cohort: the rows and conditions that all statements over outcomes are made of."""

from __future__ import annotations

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

from ..experiments.metrics import CovariateUse
from .cohort import Cohort, keys_of, subjects
from .features import Window
from .sources import Sources
from .sums import Layout, Use

__all__ = [
    "Within",
    "capped",
    "count_if",
    "counted_flags",
    "flag",
    "has_passed",
    "ids_of",
    "is_event",
    "join_covariate",
    "outcome_rows",
    "unreported_flag",
    "uses_within",
]

Within = dict[Use, ColumnElement[bool]]
"""For each event and window in which some metric looks for it, whether an outcome counts there."""


def outcome_rows(sources: Sources, cohort: Cohort, layout: Layout) -> FromClause:
    """One row an outcome or refund after the exposure: who, event_id, at of the original, refunded_at, amounts."""
    subject = subjects(sources, cohort)
    who = [subject.c[key] for key in keys_of(cohort)] + [subject.c.visitor_id, subject.c.at.label("exposed_at")]

    def joined(relation: FromClause, at: ColumnElement[int]) -> ColumnElement[bool]:
        return and_(
            relation.c.visitor_id == visitor_id,
            or_(*(is_event(event, relation, cohort) for event in layout.events)),
            at >= subject.c.at,
            relation.c.at <= cohort.as_of,
        )

    outcome = sources.outcome
    value, cost, unreported = _amounts(outcome, sources.currency)
    ids, visitor_id = ids_of(sources, subject)
    orders = select(
        *who,
        outcome.c.event_id,
        outcome.c.at,
        cast(null(), BigInteger).label("refunded_at"),
        value.label("value"),
        cost.label("cost"),
        unreported.label("unreported"),
    ).select_from(ids.join(outcome, joined(outcome, outcome.c.at)))
    refund = sources.refund
    if refund is None:
        return orders.subquery("happened")
    value, cost, unreported = _amounts(refund, sources.currency)
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


def ids_of(sources: Sources, subject: FromClause) -> tuple[FromClause, ColumnElement]:
    """The subjects with each id of theirs, and that id."""
    member = sources.member
    if member is None:
        return subject, subject.c.visitor_id
    ids = subject.outerjoin(member, member.c.person_id == subject.c.visitor_id)
    return ids, func.coalesce(member.c.visitor_id, subject.c.visitor_id)


def _amounts(
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
    return value, cost, flag(unknown)


def uses_within(layout: Layout, rows: FromClause, cohort: Cohort) -> Within:
    """For each of the layout's uses whether it takes a row of `outcome_rows`."""
    return {use: _within(use, rows, cohort) for use in layout.uses}


def _within(use: Use, rows: FromClause, cohort: Cohort) -> ColumnElement[bool]:
    """Whether an outcome counts: the window holds it, and a refund came in time."""
    event, window = use
    found = and_(is_event(event, rows, cohort), _holds(window, rows.c.at, rows.c.exposed_at))
    if window.end is None:
        return found
    in_time = rows.c.refunded_at < rows.c.exposed_at + (window.end + window.refund)
    return and_(found, or_(rows.c.refunded_at.is_(None), in_time))


def _holds(window: Window, at: ColumnElement[int], exposed: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether an outcome's time lies in the window of an exposure's."""
    opened = at >= exposed + window.start
    return opened if window.end is None else and_(opened, at < exposed + window.end)


def has_passed(exposed: ColumnElement[int], window: Window, cohort: Cohort) -> ColumnElement[bool] | None:
    """Whether a visitor's window has passed; None: everybody's has."""
    return None if window.end is None else exposed <= window.closed(cohort.as_of)


def is_event(event: str | None, outcome: FromClause, cohort: Cohort) -> ColumnElement[bool]:
    """Whether a row is of that event; None: of any."""
    return true() if event is None else outcome.c.event_id == cohort.number(event)


def counted_flags(layout: Layout, rows: FromClause, within: Within) -> list[ColumnElement[bool]]:
    """Whether a row is an outcome of each of the layout's events.

    Each outcome is counted once: under its own event where a metric names it, otherwise under "any".
    """
    named = [condition for (event, _), condition in within.items() if event is not None]
    is_order = rows.c.refunded_at.is_(None)
    counted = []
    for event in layout.events:
        of_event = and_(is_order, or_(*(condition for use, condition in within.items() if use[0] == event)))
        counted.append(and_(of_event, not_(or_(*named))) if event is None and named else of_event)
    return counted


def unreported_flag(layout: Layout, rows: FromClause, within: Within) -> ColumnElement[bool]:
    """Whether a row would be in a money column, but for its currency."""
    return and_(rows.c.unreported == 1, or_(false(), *(within[use] for use in layout.money_uses)))


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
    value, newer = (sources.covariate.alias(f"{what}{number}") for what in ("value", "newer"))
    joined = joined.join(value, _before(value, visitors, use, cohort), isouter=keep_missing)
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


def flag(condition: ColumnElement[bool] | None) -> ColumnElement[int]:
    """1 where it holds, else 0; None: it always holds."""
    return literal(1) if condition is None else case((condition, 1), else_=0)


def count_if(condition: ColumnElement[bool]) -> ColumnElement[int]:
    """How many rows it holds for."""
    return func.sum(flag(condition))


def capped(total: ColumnElement[float], cap: int) -> ColumnElement[float]:
    """The total, or the cap where it is more."""
    most = literal(float(cap), Double)
    return case((total > most, most), else_=total)
