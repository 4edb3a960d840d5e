"""How fast a store is written, beside the plainest statements that leave the same rows under the same keys, in one run.

    pip install -e '.[benchmarks,postgresql,duckdb]' && python benchmarks/ingest.py [--quick] [--json]

The floor gets tuples made beforehand, and knows nothing of crossovers, conflicts, refusals and counts; the store gets
records, and checks them. They take turns block by block, each in a database of its own with the store's tables, so that
a busy machine slows both; a ratio is the median over the blocks. Time is the processor's, on PostgreSQL the clock's.
PostgreSQL is the one of OFFERLIFT_TEST_POSTGRESQL; one that cannot be reached, and a driver that is not installed, have
no ratio.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from offerlift.errors import StoreError
from offerlift.experiments import BUILT_IN_METRICS, Arm, Definition, Exposure, Outcome, Plan, publish
from offerlift.storage.store import CHUNK, Store
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.schema import DropSchema

START = datetime(2026, 3, 1, tzinfo=UTC)

POSTGRESQL = os.environ.get("OFFERLIFT_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/test")

# The numbers of the first experiment, its arms and the first event in a new store are known: they count from 1.
VISITOR = "INSERT INTO visitor (key) VALUES (:visitor) ON CONFLICT DO NOTHING"
EXPOSURE = """
    INSERT INTO exposure (experiment_id, phase, visitor_id, arm_id, "at", assignment_hash, received_at)
    SELECT 1, 1, id, CAST(:arm AS INTEGER), CAST(:at AS BIGINT), :hash, CAST(:now AS BIGINT)
    FROM visitor WHERE key = :visitor
    ON CONFLICT DO NOTHING
"""
OUTCOME = """
    INSERT INTO outcome (visitor_id, event_id, "at", outcome_id, at_given, value, quantity, currency, received_at)
    SELECT id, 1, CAST(:at AS BIGINT), :outcome_id, 1, CAST(:value AS BIGINT), 1, 'EUR', CAST(:now AS BIGINT)
    FROM visitor WHERE key = :visitor
    ON CONFLICT DO NOTHING
"""

FIELDS = {
    EXPOSURE: ("arm", "at", "hash", "now", "visitor"),
    OUTCOME: ("at", "outcome_id", "value", "now", "visitor"),
}

PRAGMAS = ("journal_mode = WAL", "cache_size = -262144", "mmap_size = 268435456")
"""Those that a store sets too."""


@dataclass(frozen=True)
class Block:
    """Some exposures, or outcomes: as records, and as the values of the floor's statement."""

    records: list[Any]
    statement: str
    rows: list[tuple[Any, ...]]


Data = dict[str, list[Block]]
"""Blocks by what they hold: exposures or outcomes."""

Seconds = dict[str, dict[str, list[float]]]
"""Of each block, by what it holds and by who wrote it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a fifth of the records, for a first look")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    options = parser.parse_args()
    blocks = 10 if options.quick else 50
    found: dict[str, float | None] = {
        "sqlite_ingest_over_raw": None,
        "sqlite_replay_over_first": None,
        "postgresql_over_sqlalchemy_executemany": None,
        "duckdb_over_sqlalchemy_executemany": None,
    }
    seconds = {"sqlite": on_sqlite(made(blocks, CHUNK))}
    found |= compared(seconds["sqlite"], "sqlite", "ingest_over_raw")
    for engine, measure, data in (
        ("postgresql", on_postgresql, made(blocks // 3, CHUNK)),
        ("duckdb", on_duckdb, made(blocks // 5, 500)),
    ):
        try:
            seconds[engine] = measure(data)
        except StoreError as error:
            print(f"{engine}: {error}", file=sys.stderr)
        else:
            found |= compared(seconds[engine], engine, "over_sqlalchemy_executemany")
    result = {"ratios": found, "milliseconds_per_block": {engine: medians(one) for engine, one in seconds.items()}}
    if options.json:
        print(json.dumps(result, indent=2))
        return
    for name, ratio in found.items():
        print(f"{name:48} {'not measured' if ratio is None else format(ratio, '.3g')}")


def compared(seconds: Seconds, engine: str, over_floor: str) -> dict[str, float]:
    """Rows a second over the floor's, and the replay's time over the first one's: the worse of both kinds, and each."""
    speed = {kind: middle(one["floor"], one["store"]) for kind, one in seconds.items()}
    replay = {kind: middle(one["replay"], one["store"]) for kind, one in seconds.items()}
    return {
        f"{engine}_{over_floor}": min(speed.values()),
        f"{engine}_replay_over_first": max(replay.values()),
        **{f"{engine}_{kind}_{over_floor}": ratio for kind, ratio in speed.items()},
    }


def middle(above: list[float], below: list[float]) -> float:
    return statistics.median(one / other for one, other in zip(above, below, strict=True))


def medians(seconds: Seconds) -> dict[str, float]:
    return {
        f"{kind} {who}": 1_000 * statistics.median(times) for kind, one in seconds.items() for who, times in one.items()
    }


def made(blocks: int, size: int) -> Data:
    """Visitors and outcome ids are random UUIDs; each outcome is that of a random visitor."""
    draw = random.Random(1)

    def new_id() -> str:
        return str(uuid.UUID(int=draw.getrandbits(128)))

    def at() -> datetime:
        return START + timedelta(microseconds=draw.randrange(10**12))

    visitors = [new_id() for _ in range(blocks * size)]
    exposures = [Exposure("exit", visitor, draw.choice("abc"), at(), 1, "3f8a" * 4) for visitor in visitors]
    outcomes = [
        Outcome(new_id(), draw.choice(visitors), "purchase", at(), Decimal(draw.randrange(20_000)) / 100, quantity=1)
        for _ in visitors
    ]
    starts = range(0, len(visitors), size)
    return {
        "exposures": [of_exposures(exposures[start : start + size]) for start in starts],
        "outcomes": [of_outcomes(outcomes[start : start + size]) for start in starts],
    }


def of_exposures(records: list[Exposure]) -> Block:
    rows = [("abc".index(one.arm) + 1, micros(one.at), one.assignment_hash, 1, one.visitor) for one in records]
    return Block(records, EXPOSURE, rows)


def of_outcomes(records: list[Outcome]) -> Block:
    rows = [(micros(one.at or START), one.outcome_id, int((one.value or 0) * 100), 1, one.visitor) for one in records]
    return Block(records, OUTCOME, rows)


def micros(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def on_sqlite(data: Data) -> Seconds:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        floor = sqlite3.connect(path / "floor.db", isolation_level=None)

        def ready(block: Block) -> Callable[[], None]:
            statement = block.statement
            for place, name in enumerate(FIELDS[statement], 1):
                statement = statement.replace(f":{name}", f"?{place}")
            visitors = [(row[-1],) for row in block.rows]

            def write() -> None:
                floor.execute("BEGIN IMMEDIATE")
                floor.executemany(VISITOR.replace(":visitor", "?"), visitors)
                floor.executemany(statement, block.rows)
                floor.execute("COMMIT")

            return write

        with opened(f"sqlite:///{path}/store.db") as store, opened(f"sqlite:///{path}/floor.db"):
            for pragma in PRAGMAS:
                floor.execute(f"PRAGMA {pragma}")
            seconds = taken_in_turns(store, ready, data, time.process_time)
        floor.close()
        return seconds


def on_postgresql(data: Data) -> Seconds:
    schemas = [f"offerlift_{uuid.uuid4().hex}" for _ in range(2)]
    engine = create_engine(POSTGRESQL)
    try:
        with opened(POSTGRESQL, schemas[0]) as store, opened(POSTGRESQL, schemas[1]):
            # As in the store: a prepared statement would keep the plan that it got while the tables were empty.
            arguments = {"options": f"-csearch_path={schemas[1]}", "prepare_threshold": None}
            floor = create_engine(POSTGRESQL, connect_args=arguments)
            return taken_in_turns(store, by_sqlalchemy(floor), data, time.perf_counter)
    finally:
        with engine.begin() as connection:
            for schema in schemas:
                connection.execute(DropSchema(schema, cascade=True, if_exists=True))
        engine.dispose()


def on_duckdb(data: Data) -> Seconds:
    with tempfile.TemporaryDirectory() as folder:
        with opened(f"duckdb:///{folder}/floor.db"):
            pass
        floor = create_engine(f"duckdb:///{folder}/floor.db")
        with opened(f"duckdb:///{folder}/store.db") as store:
            seconds = taken_in_turns(store, by_sqlalchemy(floor), data, time.process_time)
        floor.dispose()
        return seconds


def opened(url: str, schema: str | None = None) -> Store:
    """A new store with the experiment in it."""
    arms = (Arm("a", 5_000), Arm("b", 2_500), Arm("c", 2_500))
    definition = Definition("exit", "a", arms, (BUILT_IN_METRICS["conversion"],), Plan("conversion"))
    store = Store.open(url, schema=schema)
    store.publish(publish(definition, None, state="running", at=START))
    # Gives the event its number.
    store.write_outcomes([Outcome("first", "first", "purchase", START)])
    return store


def by_sqlalchemy(engine: Engine) -> Callable[[Block], Callable[[], None]]:
    def ready(block: Block) -> Callable[[], None]:
        rows = [dict(zip(FIELDS[block.statement], row, strict=True)) for row in block.rows]
        visitors = [{"visitor": row["visitor"]} for row in rows]

        def write() -> None:
            with engine.begin() as connection:
                connection.execute(text(VISITOR), visitors)
                connection.execute(text(block.statement), rows)

        return write

    return ready


def taken_in_turns(
    store: Store, ready: Callable[[Block], Callable[[], None]], data: Data, clock: Callable[[], float]
) -> Seconds:
    """Each block by the floor and by the store, then all once more by the store."""
    seconds: Seconds = {}
    for kind, blocks in data.items():
        floors = list(map(ready, blocks))
        # What is given was made beforehand: looking through it for garbage is no part of writing.
        gc.collect()
        gc.freeze()
        take = store.write_exposures if kind == "exposures" else store.write_outcomes
        times = seconds[kind] = {"floor": [], "store": [], "replay": []}
        for block, floor in zip(blocks, floors, strict=True):
            started = clock()
            floor()
            between = clock()
            result = take(block.records)
            times["store"].append(clock() - between)
            times["floor"].append(between - started)
            assert result.new == len(block.records), result
        for block in blocks:
            started = clock()
            result = take(block.records)
            times["replay"].append(clock() - started)
            assert result.repeated == len(block.records), result
    return seconds


if __name__ == "__main__":
    main()
