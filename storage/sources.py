"""Where an analysis reads from: a few relations with fixed column names, which all statements are written against.

For a store they are its tables. For somebody else's tables they are subqueries that give the same columns; ids of
visitors, arms, names and outcomes may be numbers or text there, times are UTC microseconds, money is whole minor units.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, Connection, FromClause, Select, Subquery, and_, func, select

from . import tables
from .persons import person_relation

__all__ = ["Sources", "store_sources"]


@dataclass(frozen=True, slots=True)
class Sources:
    """The relations of one store or warehouse.

    Attributes:
        currency: the currency that money is reported in.
        exposure: one row an experiment, phase and visitor: experiment_id, phase, visitor_id, exposed_id (the id that
            was exposed: the same, unless links made one person of several), arm_id, at (of the first exposure),
            crossover_at (of the first exposure in another arm; NULL without).
        outcome: one row an outcome that is no refund: visitor_id, event_id, at, value, cost, currency, reporting_value,
            reporting_cost.
        covariate: one row a name, visitor and time: name_id, visitor_id, at, value (a double).
        segment: one row an experiment, phase, id that was exposed and name: experiment_id, phase, visitor_id, name_id,
            value (text).
        refund: the columns of `outcome` with the amounts that were given back, positive; visitor_id is that of the
            original, and original_at its time. None: there are no refunds.
        orphan: refunds whose original is not known: visitor_id (their own), event_id, at. None: there are no refunds.
        member: where links made one person of several ids: person_id and visitor_id of each of them. The visitor_id of
            an exposure (of which a person may have several even in one phase) and of a covariate is then the person's,
            that of an outcome or refund one of their ids. None: nobody is linked.
    """

    currency: str
    exposure: FromClause
    outcome: FromClause
    covariate: FromClause
    segment: FromClause
    refund: FromClause | None = None
    orphan: FromClause | None = None
    member: FromClause | None = None


def store_sources(connection: Connection, currency: str, as_of: int) -> Sources:
    """A store's tables; what refunds and identity links cost is paid only where there are any."""
    exposure, outcome = tables.exposure.c, tables.outcome
    sources = Sources(
        currency,
        select(
            exposure.experiment_id,
            exposure.phase,
            exposure.visitor_id,
            exposure.visitor_id.label("exposed_id"),
            exposure.arm_id,
            exposure.at,
            exposure.crossover_at,
        ).subquery("exposure"),
        outcome,
        tables.covariate,
        tables.segment,
    )
    if _exists(connection, select(outcome.c.refund_of).where(outcome.c.refund_of.is_not(None))):
        orders = select(outcome).where(outcome.c.refund_of.is_(None)).subquery("outcome")
        sources = replace(sources, outcome=orders, refund=_refunds(as_of), orphan=_orphans(as_of))
    if _exists(connection, select(tables.identity.c.anonymous_id).where(tables.identity.c.at <= as_of)):
        sources = _linked(sources, person_relation(connection, as_of))
    return sources


def _exists(connection: Connection, rows: Select) -> bool:
    return connection.execute(rows.limit(1)).first() is not None


_REFUND, _ORIGINAL = tables.outcome.alias("given_back"), tables.outcome.alias("original")


def _is_original(as_of: int) -> ColumnElement[bool]:
    # A refund of a refund has no original either.
    return and_(
        _ORIGINAL.c.outcome_id == _REFUND.c.refund_of,
        _ORIGINAL.c.event_id == _REFUND.c.event_id,
        _ORIGINAL.c.refund_of.is_(None),
        _ORIGINAL.c.at <= as_of,
    )


def _refunds(as_of: int) -> Subquery:
    kept = ("event_id", "at", "value", "cost", "currency", "reporting_value", "reporting_cost")
    return (
        select(_ORIGINAL.c.visitor_id, _ORIGINAL.c.at.label("original_at"), *(_REFUND.c[name] for name in kept))
        .select_from(_ORIGINAL.join(_REFUND, _is_original(as_of)))
        .where(_REFUND.c.refund_of.is_not(None))
        .subquery("refund")
    )


def _orphans(as_of: int) -> Subquery:
    return (
        select(_REFUND.c.visitor_id, _REFUND.c.event_id, _REFUND.c.at)
        .select_from(_REFUND.outerjoin(_ORIGINAL, _is_original(as_of)))
        .where(_REFUND.c.refund_of.is_not(None), _ORIGINAL.c.visitor_id.is_(None))
        .subquery("orphan")
    )


def _linked(sources: Sources, person: FromClause) -> Sources:
    """The same with persons as visitors; `person` has visitor_id and person_id of everybody who was linked."""
    value = sources.covariate
    person_of_value, of_value = _person(value, person)
    # Two ids of a person may have a value of one instant; one row stays.
    covariate = (
        select(value.c.name_id, of_value.label("visitor_id"), value.c.at, func.max(value.c.value).label("value"))
        .select_from(person_of_value)
        .group_by(value.c.name_id, of_value, value.c.at)
        .subquery("covariate")
    )
    return replace(
        sources,
        exposure=_of_persons(sources.exposure, person),
        covariate=covariate,
        member=_members(person),
    )


def _members(person: FromClause) -> Subquery:
    # The customer at the end of the links is linked to nobody. Outcomes are found through their own id, by key.
    linked = select(person.c.person_id, person.c.visitor_id)
    return linked.union(select(person.c.person_id, person.c.person_id)).subquery("member")


def _of_persons(relation: FromClause, person: FromClause) -> Subquery:
    joined, visitor = _person(relation, person)
    others = (column for column in relation.c if column.name != "visitor_id")
    return (
        select(visitor.label("visitor_id"), *others).select_from(joined).subquery(f"{relation.description}_of_person")
    )


def _person(relation: FromClause, person: FromClause) -> tuple[FromClause, ColumnElement[int]]:
    who = person.alias()
    joined = relation.outerjoin(who, who.c.visitor_id == relation.c.visitor_id)
    return joined, func.coalesce(who.c.person_id, relation.c.visitor_id)
