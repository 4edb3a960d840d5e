"""DuckDB: one process at a time, threads together, and what two transactions do to one another."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime

import duckdb
import pytest
from offerlift.errors import StoreError
from offerlift.experiments import Outcome
from offerlift.experiments.sinks import is_down
from offerlift.storage import tables
from offerlift.storage.engine import read, writing
from offerlift.storage.engines import insert_missing
from offerlift.storage.store import Store
from sqlalchemy import func, select

AT = datetime(2026, 5, 4, tzinfo=UTC)


@pytest.fixture
def url(tmp_path) -> str:
    return f"duckdb:///{tmp_path / 'shop.duckdb'}"


def outcomes(store: Store) -> int:
    return read(store._engine, lambda one: one.scalar(select(func.count()).select_from(tables.outcome))) or 0


HOLD = """
import sys
from offerlift.storage import Store
with Store.open(sys.argv[1]) as store:
    print(store.experiments(), flush=True)
    sys.stdin.readline()
"""


def test_another_process_is_told_to_come_back(url):
    """While a process has the store open another gets an error that says so, to be tried again; then it works."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "[]\n"
    with pytest.raises(StoreError, match="Conflicting lock") as error:
        Store.open(url)
    assert "one process at a time" in (error.value.hint or "")
    assert error.value.exit_code == 3
    assert is_down(error.value)
    holder.communicate("\n", timeout=60)
    with Store.open(url) as store:
        assert store.write_outcomes([Outcome("o1", "v1", "purchase", AT)]).new == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_a_fork_leaves_the_file_to_the_child(url):
    """Closed before the fork, the file is the child's while it writes, and the parent's again afterwards."""
    with Store.open(url) as store:
        store.write_outcomes([Outcome("before", "v1", "purchase", AT)])
        store.before_fork()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                store.after_fork_in_child()
                code = 0 if store.write_outcomes([Outcome("child", "v1", "purchase", AT)]).new == 1 else 2
                store.close()
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        store.write_outcomes([Outcome("after", "v1", "purchase", AT)])
        assert outcomes(store) == 3


def test_a_transaction_that_fails_against_another_is_tried_again(url):
    """One that somebody else in this process makes fail, by a row of the same key, is done again and succeeds."""
    with Store.open(url) as store:
        tries = []

        def work(connection):
            tries.append(insert_missing(connection, tables.visitor, [{"key": "v1"}]))
            if len(tries) == 1:
                # Out of turn, as a library that shares the file would.
                with store._engine.begin() as other:
                    other.exec_driver_sql("INSERT INTO visitor (key) VALUES ('v1')")
            return tries[-1]

        assert writing(store._engine, work) == 0
        assert tries == [1, 0]


def test_a_file_of_something_else_is_left_alone(url, tmp_path):
    """A text file is refused and stays as it was."""
    notes = "these are my notes, not a database\n" * 500
    (tmp_path / "shop.duckdb").write_text(notes)
    with pytest.raises(StoreError) as error:
        Store.open(url)
    assert error.value.hint == "It is no DuckDB file; give another path."
    assert (tmp_path / "shop.duckdb").read_text() == notes


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("CREATE TABLE outcome (x INT)", "not offerlift's"),
        ("CREATE TABLE store (address TEXT)", "does not have a column"),
    ],
)
def test_tables_of_somebody_else_are_left_alone(url, tmp_path, statement, said):
    """A file with a table of one of our names gets no store, and no other table either."""
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute(statement)
    with pytest.raises(StoreError, match=said) as error:
        Store.open(url)
    assert "another file" in (error.value.hint or "")
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        assert connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (1,)


def test_a_store_in_memory_is_one_for_all_threads():
    """Every connection of a store in memory sees what the others wrote."""
    with Store.open("duckdb://") as store:
        store.write_outcomes(Outcome(number, number, "purchase", AT) for number in range(100))
        assert outcomes(store) == 100
