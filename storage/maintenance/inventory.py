"""What is in a store: rows, sizes, ages, and how late it hears of what happens."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, func, select

from .. import tables
from ..engine import reading
from ..engines import database_of
from ..horizon import prune_horizon
from ..store import Store
from ..times import from_micros
from ..versions import experiment_keys, latest_version

__all__ = ["Delivery", "ExperimentRows", "Inventory", "TableRows", "take_inventory"]

_TIMES = {
    "exposure": "at",
    "outcome": "at",
    "covariate": "at",
    "identity": "at",
    "offer_step": "at",
    "definition": "published_at",
    "look": "at",
    "decision": "at",
    "archive": "pruned_at",
    "rejection": "at",
}
"""The column of a table that says when what is in it happened."""

_DELIVERED = (tables.exposure, tables.outcome, tables.offer_step)


@dataclass(frozen=True, slots=True)
class TableRows:
    """A table: its rows, the bytes that they take (None where the database does not say), and when they happened."""

    table: str
    rows: int
    bytes: int | None
    oldest: datetime | None
    newest: datetime | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """How late the store heard of what happened: seconds from a fact's own time to its first writing here.

    Attributes:
        table: exposure, outcome or offer_step.
        rows: those of which it is known; rows from before schema version 2 have no time of receipt.
        early: how many of them were received before they happened: a clock is wrong somewhere.
        median, p95, worst: by nearest rank, over all rows, imported history included; None without rows.
    """

    table: str
    rows: int
    early: int
    median: float | None
    p95: float | None
    worst: float | None


@dataclass(frozen=True, slots=True)
class ExperimentRows:
    """Exposures of an experiment: visitors by arm, over all phases, and when the first and the last was exposed.

    `pruned` says that its rows were removed, and what was read of them is kept.
    """

    experiment: str
    state: str
    phase: int
    visitors: int
    crossovers: int
    arms: dict[str, int]
    oldest: datetime | None
    newest: datetime | None
    pruned: bool


@dataclass(frozen=True, slots=True)
class Inventory:
    """All that is in a store; `bytes` is its size as a whole, `pruned_before` how far back it was pruned."""

    store: str
    currency: str
    schema_version: int
    bytes: int | None
    pruned_before: datetime | None
    tables: tuple[TableRows, ...]
    delivery: tuple[Delivery, ...]
    experiments: tuple[ExperimentRows, ...]


def take_inventory(store: Store) -> Inventory:
    """Count what is in a store, in one state of it. Reads every row once, and sorts exposures and outcomes by delay."""
    listed = list(tables.metadata.tables.values())
    with reading(store.engine) as connection:
        sizes = database_of(connection).table_bytes(connection, listed)
        horizon = prune_horizon(connection)
        return Inventory(
            store.url,
            store.currency,
            tables.SCHEMA_VERSION,
            database_of(connection).total_bytes(connection, listed),
            None if horizon is None else from_micros(horizon),
            tuple(_rows(connection, table, sizes.get(table.name)) for table in listed),
            tuple(_delivery(connection, table) for table in _DELIVERED),
            tuple(_experiments(connection)),
        )


def _rows(connection: Connection, table: Table, size: int | None) -> TableRows:
    count = select(func.count()).select_from(table)
    if table.name not in _TIMES:
        return TableRows(table.name, connection.scalars(count).one(), size, None, None)
    at = table.c[_TIMES[table.name]]
    rows, oldest, newest = connection.execute(count.add_columns(func.min(at), func.max(at))).one()
    return TableRows(table.name, rows, size, _time(oldest), _time(newest))


def _time(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def _delivery(connection: Connection, table: Table) -> Delivery:
    late = table.c.received_at - table.c.at
    known = table.c.received_at.is_not(None)
    rows = connection.scalars(select(func.count()).select_from(table).where(known)).one()
    if not rows:
        return Delivery(table.name, 0, 0, None, None, None)
    early = connection.scalars(select(func.count()).select_from(table).where(late < 0)).one()
    ranks = [math.ceil(rows / 2), math.ceil(rows * 95 / 100), rows]
    ranked = select(late.label("late"), func.row_number().over(order_by=late).label("place")).where(known).subquery()
    places = select(ranked.c.place, ranked.c.late).where(ranked.c.place.in_(sorted(set(ranks))))
    found = dict(connection.execute(places).all())
    median, p95, worst = (int(found[rank]) / 1e6 for rank in ranks)
    return Delivery(table.name, rows, early, median, p95, worst)


def _experiments(connection: Connection) -> Iterator[ExperimentRows]:
    exposure = tables.exposure.c
    pruned = set(
        connection.scalars(
            select(tables.experiment.c.key).join(
                tables.archive, tables.archive.c.experiment_id == tables.experiment.c.id
            )
        )
    )
    grouped = (
        select(
            tables.experiment.c.key,
            tables.arm.c.name,
            func.count(),
            func.count(exposure.crossover_arm_id),
            func.min(exposure.at),
            func.max(exposure.at),
        )
        .select_from(
            tables.exposure.join(tables.experiment, tables.experiment.c.id == exposure.experiment_id).join(
                tables.arm, tables.arm.c.id == exposure.arm_id
            )
        )
        .group_by(tables.experiment.c.key, tables.arm.c.name)
    )
    groups: list[tuple[Any, ...]] = [tuple(row) for row in connection.execute(grouped)]
    for key in experiment_keys(connection):
        latest = latest_version(connection, key)
        own = sorted(row[1:] for row in groups if row[0] == key)
        yield ExperimentRows(
            key,
            latest.state,
            latest.phase,
            sum(count for _, count, _, _, _ in own),
            sum(crossovers for _, _, crossovers, _, _ in own),
            {arm: count for arm, count, _, _, _ in own},
            _time(min((first for *_, first, _ in own), default=None)),
            _time(max((last for *_, last in own), default=None)),
            key in pruned,
        )
