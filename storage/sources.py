"""Where an analysis reads from: a few relations with fixed column names, which all statements are written against.

For a store they are its tables. For somebody else's tables they are subqueries that give the same columns; ids of
visitors, arms, names and outcomes may be numbers or text there, times are UTC microseconds, money is whole minor units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import ColumnElement, Connection, FromClause, Select, Subquery, and_, func, select

from . import tables
from .engines import database_of
from .persons import person_relation
from .planning import SEEKS

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
        offer_step: one row an experiment, id, step and offer: experiment_id, visitor_id, step, offer_id, at. None: no
            steps of offers are kept.
        own_covariates: relations like `covariate` of single names.
        busy_exposure: like `exposure`, but only those of visitors who have some row in `outcome` or `refund`, where a
            database finds these by less work. None: it does not.
        settled: covariates of which there is one value an exposure, at its time.
        scan_of: about how many outcomes there are at most, if the database has to be told when to read them all rather
            than to search those of each visitor. None: it plans that itself.
        scans: whether it is told so.
        sorts_groups: whether the database sorts what it groups, as it has no hash tables.
        grouped_once: whether the exposures are themselves groups, which cost so much that one statement reads them.
    """

    currency: str
    exposure: FromClause
    outcome: FromClause
    covariate: FromClause
    segment: FromClause
    refund: FromClause | None = None
    orphan: FromClause | None = None
    member: FromClause | None = None
    offer_step: FromClause | None = None
    own_covariates: Mapping[str, FromClause] = field(default_factory=dict)
    busy_exposure: FromClause | None = None
    settled: frozenset[str] = frozenset()
    scan_of: int | None = None
    scans: bool = False
    sorts_groups: bool = False
    grouped_once: bool = False

    def covariate_of(self, name: str) -> FromClause:
        """The relation that has the covariate of that name, others perhaps too."""
        return self.own_covariates.get(name, self.covariate)

    def planned(self, visitors: int) -> Sources:
        """The same, for an analysis of so many visitors."""
        return replace(self, scans=self.scan_of is not None and self.scan_of <= SEEKS * visitors)

    def with_refunds(self, rows: FromClause, as_of: int) -> Sources:
        """The same, with these rows as outcomes and refunds, which have outcome_id and refund_of besides."""
        outcome = select(rows).where(rows.c.refund_of.is_(None)).subquery("outcome")
        return replace(self, outcome=outcome, refund=_refunds(rows, as_of), orphan=_orphans(rows, as_of))


def store_sources(connection: Connection, currency: str, as_of: int) -> Sources:
    """A store's tables; what refunds and identity links cost is paid only where there are any."""
    exposure, outcome = tables.exposure.c, tables.outcome
    database = database_of(connection)
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
        offer_step=tables.offer_step,
        scan_of=database.most_rows(connection),
        sorts_groups=database.sorts_groups,
    )
    if _exists(connection, select(outcome.c.refund_of).where(outcome.c.refund_of.is_not(None))):
        sources = sources.with_refunds(outcome, as_of)
    if _exists(connection, select(tables.identity.c.anonymous_id).where(tables.identity.c.at <= as_of)):
        sources = _linked(sources, person_relation(connection, as_of))
    return sources


def _exists(connection: Connection, rows: Select) -> bool:
    return connection.execute(rows.limit(1)).first() is not None


def _refunds(rows: FromClause, as_of: int) -> Subquery:
    refund, original = rows.alias("given_back"), rows.alias("original")
    kept = ("event_id", "at", "value", "cost", "currency", "reporting_value", "reporting_cost")
    return (
        select(original.c.visitor_id, original.c.at.label("original_at"), *(refund.c[name] for name in kept))
        .select_from(original.join(refund, _is_original(original, refund, as_of)))
        .where(refund.c.refund_of.is_not(None))
        .subquery("refund")
    )


def _orphans(rows: FromClause, as_of: int) -> Subquery:
    refund, original = rows.alias("given_back"), rows.alias("original")
    return (
        select(refund.c.visitor_id, refund.c.event_id, refund.c.at)
        .select_from(refund.outerjoin(original, _is_original(original, refund, as_of)))
        .where(refund.c.refund_of.is_not(None), original.c.visitor_id.is_(None))
        .subquery("orphan")
    )


def _is_original(original: FromClause, refund: FromClause, as_of: int) -> ColumnElement[bool]:
    # A refund of a refund has no original either.
    return and_(
        original.c.outcome_id == refund.c.refund_of,
        original.c.event_id == refund.c.event_id,
        original.c.refund_of.is_(None),
        original.c.at <= as_of,
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
