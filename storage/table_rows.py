"""Storing the rows of a table: all that a row says, or nothing of it, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from ..experiments.snapshot import Published
from .engines import matches
from .exposures import Mark, PreparedExposure, store_exposures
from .lookups import arm_ids, find_ids, name_ids
from .money import major_units
from .outcomes import Content, PreparedCovariate, PreparedOutcome, store_covariates, store_outcomes
from .results import Conflict, Tally
from .table import TableRow, covariate_time, instant, outcome_key, row_outcomes
from .table_definition import CONVERSION, REVENUE
from .tables import covariate, experiment, exposure, outcome, visitor
from .times import to_micros

__all__ = ["store_table_rows"]


def store_table_rows(
    connection: Connection,
    published: Published,
    covariate_name: str | None,
    rows: Sequence[tuple[int, TableRow]],
    now: int,
) -> Tally:
    """Store one transaction's rows, each with its position, received at `now` in microseconds.

    Those of known visitors must say what is stored.

    Raises:
        Raced: another writer stored one of the visitors meanwhile; the transaction has to be repeated.
    """
    definition = published.definition
    key, currency = definition.experiment, definition.currency
    at, before = to_micros(instant(definition)), to_micros(covariate_time(definition))
    stored = _stored(connection, published, covariate_name, [row.visitor for _, row in rows])
    tally = Tally()
    exposures, outcomes, covariates = [], [], []
    for index, row in rows:
        known = stored.get(row.visitor)
        if known is not None:
            if known == (row.arm, bool(row.converted), row.revenue or 0, row.covariate):
                tally.repeated += 1
            else:
                tally.conflicts.append(Conflict(index, _conflict(row, known, currency)))
            continue
        mark = Mark(at, row.arm, not published.assignment_hash, published.assignment_hash)
        exposures.append(PreparedExposure(index, key, published.phase, row.visitor, mark))
        for event, value in row_outcomes(row):
            content = Content(row.visitor, value, None, None, currency, None, None, None, at)
            outcomes.append(PreparedOutcome(index, event, outcome_key(key, row.visitor), content))
        if covariate_name is not None and row.covariate is not None:
            covariates.append(PreparedCovariate(index, covariate_name, row.visitor, before, row.covariate))
    written = store_exposures(connection, exposures, now)
    tally.new += written.new
    # All that a row says is stored, or nothing of it.
    refused = {one.index for one in written.refused}
    for done in (
        written,
        store_outcomes(connection, [one for one in outcomes if one.place not in refused], now),
        store_covariates(connection, [one for one in covariates if one.place not in refused]),
    ):
        tally.conflicts += done.conflicts
        tally.refused += done.refused
    return tally


Known = tuple[str, bool, int, float | None]


def _stored(
    connection: Connection, published: Published, covariate_name: str | None, visitors: Sequence[str]
) -> dict[str, Known]:
    """What is stored of each visitor that was exposed already: arm, converted, revenue, covariate."""
    definition = published.definition
    numbers = find_ids(connection, visitor, visitors)
    if not numbers:
        return {}
    experiment_id = find_ids(connection, experiment, [definition.experiment])[definition.experiment]
    arms = {number: name for name, number in arm_ids(connection, experiment_id).items()}
    exposed = connection.execute(
        select(exposure.c.visitor_id, exposure.c.arm_id)
        .where(exposure.c.experiment_id == experiment_id, exposure.c.phase == published.phase)
        .where(matches(connection, exposure.c.visitor_id, list(numbers.values())))
    )
    arm_of = {number: arms[arm_id] for number, arm_id in exposed}
    if not arm_of:
        return {}
    names = name_ids(connection, [CONVERSION, REVENUE])
    values = _outcome_values(connection, names, list(arm_of), to_micros(instant(definition)))
    known = {}
    if covariate_name is not None:
        known = _covariate_values(connection, covariate_name, list(arm_of), to_micros(covariate_time(definition)))
    return {
        key: (
            arm_of[number],
            (names[CONVERSION], number) in values,
            values.get((names[REVENUE], number)) or 0,
            known.get(number),
        )
        for key, number in numbers.items()
        if number in arm_of
    }


def _outcome_values(
    connection: Connection, names: dict[str, int], visitors: Sequence[int], at: int
) -> dict[tuple[int, int], int | None]:
    rows = connection.execute(
        select(outcome.c.event_id, outcome.c.visitor_id, outcome.c.value)
        .where(matches(connection, outcome.c.visitor_id, visitors), outcome.c.event_id.in_(names.values()))
        .where(outcome.c.at == at)
    )
    return {(event_id, number): value for event_id, number, value in rows}


def _covariate_values(connection: Connection, name: str, visitors: Sequence[int], at: int) -> dict[int, float]:
    names = name_ids(connection, [name])
    rows = connection.execute(
        select(covariate.c.visitor_id, covariate.c.value)
        .where(covariate.c.name_id == names[name], covariate.c.at == at)
        .where(matches(connection, covariate.c.visitor_id, visitors))
    )
    return dict(rows.all())


def _conflict(row: TableRow, known: Known, currency: str) -> str:
    offered = row.arm, bool(row.converted), row.revenue or 0, row.covariate
    return (
        f"visitor {row.visitor!r} is stored with {_say(known, currency)}; this row has {_say(offered, currency)}; "
        "the stored one stays"
    )


def _say(content: Known, currency: str) -> str:
    arm, converted, revenue, value = content
    said = f"arm {arm!r}, {'converted' if converted else 'not converted'}, revenue {major_units(revenue, currency)}"
    return said if value is None else f"{said}, covariate {value!r}"
