"""Somebody else's tables as the relations that all statements are written against.

An exposure log has any number of rows a visitor: it is grouped, with the earliest time of each arm in a column of its
own, so that the first exposure and the first one in another arm are the smallest two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Double,
    FromClause,
    Integer,
    Select,
    String,
    Subquery,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    literal_column,
    null,
    select,
    union_all,
)

from ..errors import InputError
from ..experiments.currencies import minor_digits
from ..experiments.definition import Definition
from ..experiments.warehouse import (
    AssignmentSource,
    ComputedCovariate,
    CovariateSource,
    FactSource,
    Relation,
    WarehouseTables,
)
from .cells import LARGEST_NUMBER, SMALLEST_NUMBER
from .cohort import Cohort
from .engines import database_of
from .features import refuse_unexecuted
from .foreign import Found, common_visitor, find, require_alike
from .happened import amounts
from .origins import Origin, offset_of, used_names
from .planning import dealt_out
from .sources import Sources
from .survey import Survey, check_facts, survey_of

__all__ = ["warehouse_origin"]

_FAR = 2**62
"""Later than any time."""

_NO_EXPERIMENT = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """What one analysis reads: the relations that it needs, found, and the visitor of each in one type."""

    connection: Connection
    definition: Definition
    as_of: int
    found: Mapping[Relation, Found]
    visitors: Mapping[Relation, ColumnElement[Any]]

    def micros(self, relation: Relation) -> ColumnElement[int]:
        """The time of a relation's rows."""
        return self.found[relation].micros(self.connection, relation)


def warehouse_origin(
    connection: Connection, definition: Definition, tables: WarehouseTables, as_of: int, segment: str | None = None
) -> Origin:
    """Where the experiment's rows are in these tables.

    Raises:
        InputError: a table or column that is not there or holds something else, no exposures, no known arm.
    """
    refuse_unexecuted(definition)
    log = tables.assignments
    facts, covariates = _used_facts(definition, tables), _used_covariates(definition, tables)
    relations = [log, *facts, *(one for one in covariates if isinstance(one, CovariateSource))]
    found = {relation: find(connection, relation) for relation in dict.fromkeys(relations)}
    reading = Reading(connection, definition, as_of, found, common_visitor(connection, found))
    check_facts(connection, [(found[fact].label, reading.micros(fact)) for fact in facts])
    rows = _log_rows(reading, log, segment)
    survey = survey_of(connection, definition, log, rows, found[log].label)
    deals_out = database_of(connection).deals_out
    dealt = dealt_out(rows, "visitor_id", survey.rows) if deals_out else rows
    exposure = _exposures(reading, dealt, survey)
    with_refunds = any(fact.refund_of is not None for fact in facts)
    happened = _fact_relation(reading, facts, with_refunds=with_refunds)
    none = _none("name_id", "visitor_id", "at", "value")
    split = _segments(rows, survey, exposure, segment)
    busy = _exposures(reading, _of_the_busy(rows, happened, definition), survey)
    sources = Sources(definition.currency, exposure, happened, none, split, busy_exposure=busy, grouped_once=deals_out)
    if with_refunds:
        _check_ids(reading, facts, happened)
        sources = sources.with_refunds(happened, as_of)
    sources = replace(
        sources,
        own_covariates={one.name: _covariate(reading, one, sources, len(survey.phases)) for one in covariates},
        settled=frozenset(one.name for one in covariates if isinstance(one, ComputedCovariate)),
    )
    names = {name: name for name in used_names(definition) | ({segment} if segment is not None else set())}
    cohort = Cohort(_NO_EXPERIMENT, survey.phases, as_of, names, segment, offset_of(definition))
    return Origin(definition, sources, cohort, dict(enumerate(survey.arms)), survey.refused)


def _used_facts(definition: Definition, tables: WarehouseTables) -> list[FactSource]:
    """The sources in which rows of some metric's event, of a computed covariate's or of offers seen may be."""
    events = {column.event for metric in definition.metrics for column in metric.columns}
    if definition.shown_event is not None:
        events.add(definition.shown_event)
    events |= {one.event for one in _used_covariates(definition, tables) if isinstance(one, ComputedCovariate)}
    return [one for one in tables.facts if any(one.has(event) for event in events)]


def _used_covariates(definition: Definition, tables: WarehouseTables) -> list[CovariateSource | ComputedCovariate]:
    used = {metric.covariate.name for metric in definition.metrics if metric.covariate is not None}
    return [one for one in tables.covariates if one.name in used]


def _log_rows(reading: Reading, log: AssignmentSource, segment: str | None) -> Subquery:
    """The log's rows of this experiment: visitor_id, arm, at, phase, and with a segment its value."""
    found = reading.found[log]
    phase = literal_column("1", Integer) if log.phase is None else found.number(log.phase, "a phase")
    rows = select(
        reading.visitors[log].label("visitor_id"),
        found.as_key(reading.connection, log.arm).label("arm"),
        reading.micros(log).label("at"),
        phase.label("phase"),
    )
    if segment is not None:
        if segment not in log.segments:
            raise InputError(
                f"the warehouse has no column for the segment {segment!r}",
                hint="Name it in warehouse.assignments.segments of the definition.",
            )
        rows = rows.add_columns(found.as_text(reading.connection, log.segments[segment]).label("segment"))
    if log.experiment is not None:
        rows = rows.where(found.as_text(reading.connection, log.experiment) == log.experiment_value)
    return rows.subquery("log")


def _exposures(reading: Reading, rows: Subquery, survey: Survey) -> Subquery:
    """One row a phase and visitor."""
    several = len(survey.phases) > 1
    keys = [rows.c.visitor_id, *([rows.c.phase] if several else [])]
    far = literal_column(str(_FAR), BigInteger)
    firsts = [
        func.min(case((rows.c.arm.in_(values), rows.c.at), else_=far)).label(f"t{i}")
        for i, values in enumerate(survey.arms.values())
    ]
    grouped = select(*keys, *firsts).where(rows.c.at <= reading.as_of, *survey.readable(rows)).group_by(*keys)
    log = grouped.subquery("first_by_arm")
    at = [log.c[f"t{i}"] for i in range(len(firsts))]

    def earliest(times: Sequence[ColumnElement[int]]) -> ColumnElement[int]:
        return times[0] if len(times) == 1 else database_of(reading.connection).least(*times)

    # Ties go by arm name, in whose order they are.
    *others, last = range(len(at))
    first = [(and_(*(at[i] <= other for other in at[i + 1 :])), i) for i in others]
    arm = case(*((is_first, _whole(i)) for is_first, i in first), else_=_whole(last)) if first else _whole(last)
    second = far
    if first:
        second = case(*((is_first, earliest(at[:i] + at[i + 1 :])) for is_first, i in first), else_=earliest(at[:last]))
    return select(
        _whole(_NO_EXPERIMENT).label("experiment_id"),
        (log.c.phase if several else _whole(1)).label("phase"),
        log.c.visitor_id,
        log.c.visitor_id.label("exposed_id"),
        arm.label("arm_id"),
        earliest(at).label("at"),
        func.nullif(second, far, type_=BigInteger).label("crossover_at"),
    ).subquery("exposure")


def _of_the_busy(rows: Subquery, happened: Subquery, definition: Definition) -> Subquery:
    """The log's rows of those who did something that a metric counts: mostly a few, and grouping is what costs."""
    events = {column.event for metric in definition.metrics for column in metric.columns}
    who = select(happened.c.visitor_id)
    named = [event for event in events if event is not None]
    if len(named) == len(events):
        who = who.where(happened.c.event_id.in_(named))
    return select(rows).where(rows.c.visitor_id.in_(who)).subquery("log")


def _whole(number: int) -> ColumnElement[int]:
    return literal_column(str(number), Integer)


def _fact_relation(reading: Reading, facts: Sequence[FactSource], *, with_refunds: bool) -> Subquery:
    parts = [_fact_rows(reading, fact, with_refunds) for fact in facts]
    return (parts[0] if len(parts) == 1 else union_all(*parts)).subquery("fact")


def _fact_rows(reading: Reading, fact: FactSource, with_refunds: bool) -> Select:
    found, connection = reading.found[fact], reading.connection

    def written(name: str | None) -> ColumnElement[Any]:
        return cast(null(), String) if name is None else found.as_text(connection, name)

    factor = 10 ** minor_digits(reading.definition.currency) if fact.money == "major" else 1
    event = literal(fact.event, String) if fact.event_column is None else written(fact.event_column)
    own = literal(reading.definition.currency, String)
    rows = select(
        reading.visitors[fact].label("visitor_id"),
        event.label("event_id"),
        reading.micros(fact).label("at"),
        found.amount(fact.value, factor).label("value"),
        found.amount(fact.cost, factor).label("cost"),
        (own if fact.currency is None else func.coalesce(written(fact.currency), own)).label("currency"),
        found.amount(fact.reporting_value, factor).label("reporting_value"),
        found.amount(fact.reporting_cost, factor).label("reporting_cost"),
    )
    if with_refunds:
        # Files write "" where a table has NULL.
        refund_of = func.nullif(written(fact.refund_of), "").label("refund_of")
        rows = rows.add_columns(written(fact.id).label("outcome_id"), refund_of)
    return rows


def _check_ids(reading: Reading, facts: Sequence[FactSource], happened: Subquery) -> None:
    """See that each refund can find its order, and only one.

    Raises:
        InputError: ids of types that never meet, or two orders of one id.
    """
    require_alike([(reading.found[one], name) for one in facts for name in (one.id, one.refund_of) if name is not None])
    order = happened.c.outcome_id
    twice = (
        select(order, happened.c.event_id)
        .where(happened.c.refund_of.is_(None), order.is_not(None))
        .group_by(order, happened.c.event_id)
        .having(func.count() > 1)
        .limit(1)
    )
    found = reading.connection.execute(twice).first()
    if found is not None:
        raise InputError(
            f"the id {found[0]!r} of {found[1]!r} stands in several rows: a refund would be taken off once for each",
            hint="Write `sql` with one row an order instead of `table`, or leave `refund_of` out.",
        )


def _covariate(
    reading: Reading, covariate: CovariateSource | ComputedCovariate, sources: Sources, phases: int
) -> Subquery:
    if isinstance(covariate, ComputedCovariate):
        return _computed(covariate, sources, phases).subquery("covariate")
    return _stored(reading, covariate).subquery("covariate")


def _none(*names: str) -> Subquery:
    return select(*(null().label(name) for name in names)).where(false()).subquery("none")


def _stored(reading: Reading, covariate: CovariateSource) -> Select:
    value = cast(reading.found[covariate].number(covariate.value, "a covariate"), Double)
    given = select(
        reading.visitors[covariate].label("visitor_id"),
        reading.micros(covariate).label("at"),
        value.label("value"),
    )
    rows = given.subquery("given")
    flushed = case((func.abs(rows.c.value) < SMALLEST_NUMBER, 0.0), else_=rows.c.value)
    # A visitor may have two values of one instant; one stays.
    return (
        select(_name(covariate.name), rows.c.visitor_id, rows.c.at, func.max(flushed).label("value"))
        # To most databases NaN is more than any number.
        .where(func.abs(rows.c.value) <= LARGEST_NUMBER)
        .group_by(rows.c.visitor_id, rows.c.at)
    )


def _name(name: str) -> ColumnElement[str]:
    return literal(name, String).label("name_id")


def _computed(covariate: ComputedCovariate, sources: Sources, phases: int) -> Select:
    """One row an exposure, at its time."""
    exposure, outcome = sources.exposure, sources.outcome
    rows = select(exposure.c.visitor_id, exposure.c.at)
    exposed = (rows if phases == 1 else rows.distinct()).subquery("exposed")
    before = and_(
        outcome.c.visitor_id == exposed.c.visitor_id,
        outcome.c.event_id == covariate.event,
        outcome.c.at < exposed.c.at,
    )
    if covariate.window is not None:
        before = and_(before, outcome.c.at >= exposed.c.at - covariate.window)
    value, cost, _ = amounts(outcome, sources.currency)
    unit = float(10 ** minor_digits(sources.currency))
    number = func.count(outcome.c.at)
    match covariate.measure:
        case "converted":
            total = case((number > 0, 1), else_=0)
        case "count":
            total = number
        case "value":
            total = func.sum(value) / literal(unit, Double)
        case "margin":
            total = func.sum(value - cost) / literal(unit, Double)
    return (
        select(_name(covariate.name), exposed.c.visitor_id, exposed.c.at, cast(total, Double).label("value"))
        .select_from(exposed.outerjoin(outcome, before))
        .group_by(exposed.c.visitor_id, exposed.c.at)
    )


def _segments(rows: Subquery, survey: Survey, exposure: Subquery, segment: str | None) -> FromClause:
    """The value that a visitor had at the first exposure."""
    if segment is None:
        return _none("experiment_id", "phase", "visitor_id", "name_id", "value")
    arm = case(*((rows.c.arm.in_(values), _whole(i)) for i, values in enumerate(survey.arms.values())))
    first = and_(
        rows.c.visitor_id == exposure.c.visitor_id,
        rows.c.phase == exposure.c.phase,
        rows.c.at == exposure.c.at,
        arm == exposure.c.arm_id,
    )
    keys = (exposure.c.experiment_id, exposure.c.phase, exposure.c.visitor_id)
    return (
        select(*keys, _name(segment), func.min(rows.c.segment).label("value"))
        .select_from(exposure.join(rows, first))
        .where(rows.c.segment.is_not(None))
        .group_by(*keys)
        .subquery("segment")
    )
