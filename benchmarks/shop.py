"""A shop of any size for benchmarks/store.py and dashboard.py: 28 days, three arms, three outcomes a visitor; 8 % buy.

It is written to Parquet once, as a log of exposures and one of outcomes, and from there to each store's own tables by
that database's fastest raw SQL: what is measured is reading. Texts of ids are left out; no analysis reads them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
from offerlift.experiments import BUILT_IN_METRICS, Arm, Definition, Plan, publish
from offerlift.experiments.metrics import DAY, Metric
from offerlift.storage import Store
from sqlalchemy import NullPool, create_engine, make_url, text

__all__ = [
    "AS_OF",
    "CONVERSION",
    "EXPERIMENTS",
    "FILLS",
    "METRICS",
    "OFFER",
    "OTHER",
    "PURCHASE",
    "START",
    "fill_sqlite",
    "make",
]

START = 1_767_225_600_000_000
"""2026-01-01 in microseconds."""

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
"""Months after the last exposure, so that no outcome is later: the peers read all of them."""
PURCHASE, OTHER = 1, 2
"""Numbers of the events: what the metrics are about, and what else visitors do."""

METRICS = tuple(BUILT_IN_METRICS[name] for name in ("conversion", "orders_per_visitor", "revenue_per_visitor"))
METRICS = (*METRICS, BUILT_IN_METRICS["margin_per_visitor"])
OFFER, CONVERSION = "four-metrics", "one-metric"
"""Experiments with the same visitors, of four metrics and of one: conversion."""

BATCH = 200_000
HASH = "0123456789abcdef"
"""An assignment hash, as long as they are."""


def make(folder: Path, visitors: int) -> None:
    """exposure.parquet, one row a visitor; log.parquet, 5 % of them again; outcome.parquet, three rows a visitor.

    Visitors are numbered in the order in which they came, as a store does.
    """
    random = np.random.default_rng(20260101)
    at = START + np.sort(random.integers(0, 28 * DAY, visitors))
    who = np.arange(1, visitors + 1)
    arm = random.choice(3, visitors, p=(0.34, 0.33, 0.33)) + 1
    again = np.sort(random.choice(visitors, visitors // 20, replace=False))
    # One in ten of those who come again sees another arm.
    arm_again = np.where(random.random(again.size) < 0.1, arm[again] % 3 + 1, arm[again])
    at_again = at[again] + random.integers(1, 3 * DAY, again.size)
    crossed = arm_again != arm[again]
    crossover_arm, crossover_at = (np.full(visitors, -1) for _ in range(2))
    crossover_arm[again[crossed]], crossover_at[again[crossed]] = arm_again[crossed], at_again[crossed]
    never = crossover_at < 0
    exposure = {
        "visitor_id": who,
        "arm_id": arm,
        "at": at,
        "crossover_arm_id": pa.array(crossover_arm, mask=never),
        "crossover_at": pa.array(crossover_at, mask=never),
    }
    pq.write_table(pa.table(exposure), folder / "exposure.parquet")
    log = (np.concatenate(both) for both in ((who, who[again]), (arm, arm_again), (at, at_again)))
    pq.write_table(pa.table(dict(zip(("visitor_id", "arm_id", "at"), log, strict=True))), folder / "log.parquet")
    pq.write_table(_outcomes(random, at), folder / "outcome.parquet")


def _outcomes(random: np.random.Generator, exposed: np.ndarray) -> pa.Table:
    """8 % buy, up to three times; the rest of three rows a visitor is something else, one in ten before exposure."""
    visitors = exposed.size
    buyers = np.repeat(*_often(random.choice(visitors, visitors * 8 // 100, replace=False), random))
    others = random.integers(0, visitors, 3 * visitors - buyers.size)
    index = np.concatenate([buyers, others])
    event = np.repeat([PURCHASE, OTHER], [buyers.size, others.size])
    after = random.exponential(3 * DAY, index.size).astype(np.int64) + 1
    early = np.concatenate([np.zeros(buyers.size, bool), random.random(others.size) < 0.1])
    at = exposed[index] + np.where(early, -after, after)
    value = np.round(np.exp(random.normal(8.5, 0.7, index.size))).astype(np.int64)
    cost = (value * random.uniform(0.4, 0.8, index.size)).astype(np.int64)
    order = np.lexsort((at, event, index))
    nothing = event[order] == OTHER
    return pa.table(
        {
            "visitor_id": index[order] + 1,
            "event_id": event[order],
            "at": at[order],
            "outcome_id": pa.array([f"o-{number:010d}" for number in range(index.size)]),
            "value": pa.array(value[order], mask=nothing),
            "cost": pa.array(cost[order], mask=nothing),
        }
    )


def _often(buyers: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return buyers, random.choice([1, 2, 3], buyers.size, p=(0.85, 0.12, 0.03))


def _tables(folder: Path, experiments: int = 1) -> Iterator[tuple[str, pa.Table]]:
    """Name and rows of each of the store's tables, with the columns that cannot be NULL."""
    exposure = pq.read_table(folder / "exposure.parquet")
    for experiment in range(1, experiments + 1):
        # Arms are numbered on: the second experiment has 4 to 6.
        arm = pa.array(exposure["arm_id"].to_numpy() + 3 * (experiment - 1))
        yield (
            "exposure",
            _with(
                exposure.set_column(exposure.schema.get_field_index("arm_id"), "arm_id", arm),
                experiment_id=experiment,
                phase=1,
                assignment_hash=HASH,
            ),
        )
    yield "outcome", _with(pq.read_table(folder / "outcome.parquet"), at_given=1, currency="EUR")


def _with(rows: pa.Table, **constants: int | str) -> pa.Table:
    for name, value in constants.items():
        rows = rows.append_column(name, pa.repeat(value, rows.num_rows))
    return rows


EXPERIMENTS = {OFFER: METRICS, CONVERSION: METRICS[:1]}
"""Experiments of a store and their metrics, in the order of their numbers."""


def _publish(url: str, experiments: Mapping[str, tuple[Metric, ...]] = EXPERIMENTS) -> None:
    """Create the store, with the experiments numbered from 1 and the names of the events."""
    at = datetime.fromtimestamp(START / 1e6, UTC)
    arms = (Arm("a", 3_400), Arm("b", 3_300), Arm("c", 3_300))
    with Store.open(url) as store:
        for key, metrics in experiments.items():
            definition = Definition(key, "a", arms, metrics, Plan("conversion"))
            store.publish(publish(definition, None, state="running", at=at))


NAMES = "INSERT INTO name (id, key) VALUES (1, 'purchase'), (2, 'view')"


def fill_sqlite(folder: Path, url: str, experiments: Mapping[str, tuple[Metric, ...]] = EXPERIMENTS) -> None:
    _publish(url, experiments)
    with sqlite3.connect(make_url(url).database or "") as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(NAMES)
        # All experiments: its tables are kept in the order of the experiments, so none pays for another.
        for table, rows in _tables(folder, experiments=len(experiments)):
            marks = ", ".join("?" * rows.num_columns)
            for batch in rows.to_batches(max_chunksize=BATCH):
                columns = [column.to_pylist() for column in batch.columns]
                connection.executemany(
                    f"INSERT INTO {table} ({', '.join(rows.column_names)}) VALUES ({marks})",
                    zip(*columns, strict=True),
                )
    connection.close()
    # As after a large write through the store: statistics, and nothing left in the log.
    Store.open(url).close()


def fill_duckdb(folder: Path, url: str) -> None:
    import duckdb

    _publish(url)
    with duckdb.connect(make_url(url).database or "") as connection:
        connection.execute(NAMES)
        for table, rows in _tables(folder):
            connection.register("rows", rows)
            connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM rows")
            connection.unregister("rows")


def fill_postgresql(folder: Path, url: str) -> None:
    _publish(url)
    # Every connection is new: none stays open beside those that are measured.
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as begun:
        connection: Any = begun.connection.driver_connection
        connection.execute(NAMES)
        for table, rows in _tables(folder):
            columns = ", ".join(f'"{name}"' for name in rows.column_names)
            with connection.cursor().copy(f"COPY {table} ({columns}) FROM STDIN (FORMAT csv)") as copy:
                for batch in rows.to_batches(max_chunksize=BATCH):
                    written = BytesIO()
                    csv.write_csv(pa.Table.from_batches([batch]), written, csv.WriteOptions(include_header=False))
                    copy.write(written.getvalue())
    # As after a large write through the store: statistics, without which it joins row by row.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as alone:
        alone.execute(text("VACUUM ANALYZE exposure"))
        alone.execute(text("VACUUM ANALYZE outcome"))


FILLS: dict[str, Callable[[Path, str], None]] = {
    "sqlite": fill_sqlite,
    "duckdb": fill_duckdb,
    "postgresql": fill_postgresql,
}
