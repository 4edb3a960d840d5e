"""What each engine is told in words of its own: the same comes of it on every one."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from offerlift.errors import StoreError
from offerlift.experiments import Exposure, Outcome, bucket
from offerlift.experiments.sinks import is_refusal
from offerlift.storage import tables
from offerlift.storage.engine import Raced, read, reading, writing
from offerlift.storage.engines import (
    bucket_in_sql,
    database_of,
    insert_missing,
    locked,
    matches,
    update_rows,
)
from offerlift.storage.lookups import find_ids, visitor_ids
from offerlift.storage.store import Store
from sqlalchemy import func, select, text
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateTable

AT = datetime(2026, 5, 4, tzinfo=UTC)
# Each pair is one text to a database that folds case, pads with spaces, or normalises.
HOSTILE = ["a", "A", "a ", " a", "a  ", "\u00e9", "e\u0301", "E\u0301", "\u00c9", "ss", "\u00df", "\u0131", "i", "I"]
HOSTILE += [
    "\U0001f600",
    "\U0001f601",
    "a:b",
    "a:B",
    "\uff41",
    "a\u200b",
    "a\t",
    "\\",
    "\\\\",
    "'",
    "''",
    "%",
    "%%",
    "_",
]


def test_ids_that_differ_by_a_byte_are_different_visitors(store, make_published):
    """Case, trailing spaces, accents, composed or not, emoji: each has its own visitor, outcome and bucket."""
    store.publish(make_published())
    exposed = store.write_exposures(Exposure("exit", key, "a", AT, 1, "hash") for key in HOSTILE)
    bought = store.write_outcomes(Outcome(key, key, "purchase", AT, value=1) for key in HOSTILE)
    assert (exposed.new, exposed.repeated, bought.new, bought.repeated) == (len(HOSTILE), 0, len(HOSTILE), 0)
    assert store.observations("exit").arms["a"].visitors == len(HOSTILE)
    with reading(store._engine) as connection:
        found = find_ids(connection, tables.visitor, HOSTILE)
        assert set(found) == set(HOSTILE)
        computed = select(tables.visitor.c.key, bucket_in_sql(connection, "exit/s", tables.visitor.c.key))
        assert dict(connection.execute(computed).all()) == {key: bucket("exit/s", key) for key in HOSTILE}


def test_names_of_experiments_arms_and_hashes_compare_by_bytes(store, make_published):
    """Two experiments, two arms and two hashes whose names differ in case only are kept apart."""
    store.publish(make_published("exit", arms=("a", "A")))
    store.publish(make_published("Exit", arms=("a", "A")))
    store.write_exposures([Exposure("exit", "v1", "a", AT, 1, "hash"), Exposure("exit", "v2", "A", AT, 1, "HASH")])
    assert store.experiments() == ["Exit", "exit"]
    assert {arm: counts.visitors for arm, counts in store.observations("exit").arms.items()} == {"a": 1, "A": 1}
    assert store.audit("exit").causes["unknown_version"] == 1


def columns(rows):
    """The fields that rows have in common, and the values of each."""
    return tuple(rows[0]), [tuple(row[name] for name in rows[0]) for row in rows]


def test_inserting_counts_what_was_not_there(store):
    """Of rows that are there, not there, there under another unique key, or given twice, those inserted are counted."""

    def insert(connection, numbers):
        rows = [(f"v{number}",) for number in numbers]
        return insert_missing(connection, tables.visitor, ("key",), rows)

    assert writing(store._engine, lambda connection: insert(connection, range(1_000))) == 1_000
    assert writing(store._engine, lambda connection: insert(connection, range(1_000))) == 0
    assert writing(store._engine, lambda connection: insert(connection, range(500, 1_700))) == 700
    assert writing(store._engine, lambda connection: insert(connection, [])) == 0
    assert writing(store._engine, lambda connection: insert(connection, [1_699, 1_700, 1_700, 1_701])) == 2
    row = {"visitor_id": 1, "event_id": 1, "at": 5, "outcome_id": "o1", "at_given": 1, "currency": "EUR"}
    other = row | {"visitor_id": 2}
    assert writing(store._engine, lambda connection: insert_missing(connection, tables.outcome, *columns([row]))) == 1
    assert writing(store._engine, lambda connection: insert_missing(connection, tables.outcome, *columns([other]))) == 0
    with reading(store._engine) as connection:
        assert connection.scalar(select(func.count()).select_from(tables.visitor)) == 1_702
        assert connection.execute(select(tables.outcome.c.visitor_id, tables.outcome.c.value)).all() == [(1, None)]


def test_what_does_not_fit_is_an_error_and_nothing_of_it_stays(store):
    """A missing value where one is needed fails the whole insert, instead of being filled in or left out."""
    rows = [{"experiment_id": 1, "file": "a", "read": 1, "refused": 0}, {"experiment_id": 1, "file": "b", "read": None}]
    rows[1]["refused"] = 0
    store.note_import("exit", "earlier", read=1, refused=0)
    with pytest.raises(StoreError) as error:
        writing(store._engine, lambda connection: insert_missing(connection, tables.import_file, *columns(rows)))
    assert is_refusal(error.value)
    with reading(store._engine) as connection:
        assert connection.scalars(select(tables.import_file.c.file)).all() == ["earlier"]


def test_large_numbers_are_kept(store):
    """Integers of 64 bits come back as they were, on both sides of zero."""
    largest = 2**63 - 1
    rows = [
        {"name_id": largest, "visitor_id": -largest, "at": largest - 1, "value": -1.7e300},
        {"name_id": 1, "visitor_id": 2**53 + 1, "at": 0, "value": 5e-300},
    ]
    assert writing(store._engine, lambda connection: insert_missing(connection, tables.covariate, *columns(rows))) == 2
    with reading(store._engine) as connection:
        found = connection.execute(select(tables.covariate).order_by(tables.covariate.c.at)).mappings().all()
    assert [dict(row) for row in found] == [rows[1], rows[0]]


def test_many_rows_keep_text_and_nothing(store):
    """Of 1,500 rows at once, text that means something to COPY or JSON comes back as it was, and nothing as nothing."""
    ids = [
        "\\N",
        "\\.",
        "a\tb",
        "a\nb\r",
        '"',
        "\\",
        "null",
        "7",
        "é\u2028",
        *(f"o{number}" for number in range(1_491)),
    ]
    rows = [
        {"visitor_id": place, "event_id": 1, "at": 5, "outcome_id": key, "at_given": 1, "currency": "EUR"}
        | {"value": None if place % 2 else -place, "refund_of": ids[0] if place == 1_499 else None}
        for place, key in enumerate(ids)
    ]
    assert (
        writing(store._engine, lambda connection: insert_missing(connection, tables.outcome, *columns(rows))) == 1_500
    )
    with reading(store._engine) as connection:
        fields = [tables.outcome.c[name] for name in rows[0]]
        found = connection.execute(select(*fields).order_by(tables.outcome.c.visitor_id)).mappings().all()
    assert [dict(row) for row in found] == rows


def test_updates_reach_their_rows_only(store):
    """Of three rows, two are written over by key, with numbers, text and nothing; the third stays."""
    rows = [
        {"experiment_id": 1, "phase": 1, "visitor_id": number, "arm_id": 1, "at": 5, "assignment_hash": "h"}
        for number in (1, 2, 3)
    ]
    empty = {"crossover_arm_id": None, "crossover_at": None, "received_at": None}
    crossed = rows[1] | empty | {"arm_id": 7, "assignment_hash": "'; --", "crossover_arm_id": 2, "crossover_at": 9}

    def work(connection):
        insert_missing(connection, tables.exposure, *columns([row | empty for row in rows]))
        update_rows(connection, tables.exposure, *columns([rows[0] | empty | {"at": 4}, crossed]))
        update_rows(connection, tables.exposure, ("at",), [])
        found = select(tables.exposure).order_by(tables.exposure.c.visitor_id)
        return [dict(row) for row in connection.execute(locked(connection, found)).mappings()]

    assert writing(store._engine, work) == [rows[0] | empty | {"at": 4}, crossed, rows[2] | empty]


def test_thousands_of_keys_are_matched(store):
    """5,000 texts of 255 bytes full of quotes, or as many numbers, are found in one condition; of none, none."""
    keys = [f"{number:05d}{'%' * 100}{chr(39) * 150}" for number in range(5_000)]
    numbers = writing(store._engine, lambda connection: visitor_ids(connection, keys))
    assert len(set(numbers.values())) == 5_000
    with reading(store._engine) as connection:
        field = tables.visitor.c.id
        assert find_ids(connection, tables.visitor, keys) == numbers
        count = select(func.count()).select_from(tables.visitor)
        assert connection.scalar(count.where(matches(connection, field, list(numbers.values())))) == 5_000
        assert connection.scalar(count.where(matches(connection, field, []))) == 0


def test_a_race_is_run_again_from_its_start(store):
    """Work that lost a race is done again, without what it had written, and gives up with a clear error."""
    tries = []

    def lose(connection):
        tries.append(insert_missing(connection, tables.visitor, ("key",), [("v1",)]))
        if len(tries) < 3:
            raise Raced
        return "done"

    assert writing(store._engine, lose) == "done"
    assert tries == [1, 1, 1]

    def never(connection):
        raise Raced

    with pytest.raises(StoreError, match="written by others 20 times") as error:
        writing(store._engine, never)
    assert error.value.hint == "Try again."


def test_two_that_lock_each_other_out_both_get_through(store):
    """Two transactions that take two rows in opposite orders end with both done, each once."""
    rows = [{"name_id": 1, "visitor_id": number, "at": 0, "value": 0.0} for number in (1, 2)]
    writing(store._engine, lambda connection: insert_missing(connection, tables.covariate, *columns(rows)))
    both = threading.Barrier(2)
    value = tables.covariate.c.value

    def add(order):
        first = True

        def work(connection):
            nonlocal first
            for number in order:
                mine = tables.covariate.c.visitor_id == number
                connection.execute(tables.covariate.update().where(mine).values(value=value + 1))
                if first:
                    first = False
                    # Broken where writers take turns, and the other has not begun.
                    with suppress(threading.BrokenBarrierError):
                        both.wait(1)

        writing(store._engine, work)

    threads = [threading.Thread(target=add, args=(order,)) for order in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(store._engine) as connection:
        assert connection.scalars(select(value)).all() == [2.0, 2.0]


def test_a_reader_sees_one_state(store):
    """What is committed while a reader reads is not seen by it, and is by the next."""
    count = select(func.count()).select_from(tables.visitor)
    with reading(store._engine) as connection:
        assert connection.scalar(count) == 0
        writing(store._engine, lambda other: insert_missing(other, tables.visitor, ("key",), [("v1",)]))
        assert connection.scalar(count) == 0
    assert read(store._engine, lambda connection: connection.scalar(count)) == 1


LONG = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
SELECT SUM((a.i * b.i + c.i * d.i) % 7) FROM n a, n b, n c, n d
"""


def test_a_statement_that_takes_too_long_is_ended(store_url):
    """With ?statement_timeout= a statement of hours ends with what to do, and the store works as before."""
    joint = "&" if "?" in store_url else "?"
    with Store.open(f"{store_url}{joint}statement_timeout=0.5") as store:
        with pytest.raises(StoreError) as error:
            read(store._engine, lambda connection: connection.execute(text(LONG)).all())
        assert error.value.hint is not None
        assert "statement_timeout" in error.value.hint
        assert store.write_outcomes([Outcome("o1", "v1", "purchase", AT)]).new == 1


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "1e9", "a minute"])
def test_a_timeout_is_a_number_of_seconds(tmp_path, seconds):
    """What is no time from a millisecond to a day is refused before anything is created."""
    with pytest.raises(StoreError, match="number of seconds"):
        Store.open(f"sqlite:///{tmp_path}/shop.db?statement_timeout={seconds}")
    assert not (tmp_path / "shop.db").exists()


def test_every_engine_says_what_it_is(store):
    """The driver in use is the one that the engine's module names and the messages recommend."""
    database = database_of(store._engine)
    assert store._engine.url.drivername in (database.driver, database.driver.split("+")[0])


@pytest.mark.parametrize("table", ["visitor", "definition", "outcome"])
def test_mysql_gets_collations_of_its_own(table):
    """Every text column of MySQL's tables, where MariaDB's collation is unknown, compares by bytes without padding."""
    created = str(CreateTable(tables.metadata.tables[table]).compile(dialect=mysql.dialect()))
    texts = [line for line in created.splitlines() if "VARCHAR" in line or "TEXT" in line]
    assert texts
    assert all("CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin" in line for line in texts)
