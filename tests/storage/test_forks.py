"""A store that is open while its process forks, as in a server that loads the application before its workers."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy
from offerlift.errors import StoreError
from offerlift.experiments import Outcome
from offerlift.storage import tables
from offerlift.storage.engine import read, reading
from offerlift.storage.store import Store
from offerlift.storage.warehouse import Warehouse
from sqlalchemy import func, select

AT = datetime(2026, 5, 4, tzinfo=UTC)

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning"),
]


LONGEST = 120
"""Seconds; two that read from one connection wait for one another's answers for ever."""


@pytest.fixture(autouse=True)
def ends() -> Iterator[None]:
    """Fail a test that would wait for ever."""

    def stop(*_: object) -> None:
        raise TimeoutError("the process waited for ever")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def in_child(work: Callable[[], object]) -> int:
    """Fork, and run `work` in the child; the number of the child, whose exit code is 0 where nothing was raised."""
    child = os.fork()
    if child:
        return child
    signal.alarm(LONGEST // 2)
    try:
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc(file=sys.stderr)
        os._exit(1)


def exit_code(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def put(store: Store, name: str) -> None:
    result = store.write_outcomes([Outcome(name, "v1", "purchase", AT)])
    assert (result.new, result.repeated) == (1, 0)


def outcomes(store: Store) -> int:
    return read(store._engine, lambda one: one.scalar(select(func.count()).select_from(tables.outcome))) or 0


def test_parent_and_children_lose_nothing_of_one_another(store_url):
    """10 outcomes before the fork, 10 of the parent and 10 of each of two children after it: 40 in the store.

    They write at once, but for DuckDB, where one process at a time has the file.
    """
    in_turn = store_url.startswith("duckdb")
    with Store.open(store_url) as store:

        def ten(name: str) -> None:
            for number in range(10):
                put(store, f"{name}-{number}")

        ten("before")
        codes, children = [], []
        for name in ("first", "second"):
            child = in_child(lambda name=name: (ten(name), store.close()))
            if in_turn:
                codes.append(exit_code(child))
            else:
                children.append(child)
        ten("after")
        codes += map(exit_code, children)
        assert codes == [0, 0]
        assert outcomes(store) == 40
    with Store.open(store_url) as store:
        assert outcomes(store) == 40


@pytest.mark.parametrize("store_url", ["sqlite", "duckdb"], indirect=True)
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs a list of the open files of the process")
def test_a_file_is_not_open_in_a_child_that_does_not_use_it(store_url, tmp_path):
    """Its locks are the parent's process's, so what a child inherits and closes would end them."""

    def open_files() -> set[str]:
        paths = {os.path.realpath(one) for one in Path("/proc/self/fd").iterdir() if one.is_symlink()}
        return {one for one in paths if one.startswith(str(tmp_path / "store.db"))}

    def look() -> None:
        assert open_files() == set()

    with Store.open(store_url) as store:
        put(store, "o1")
        assert open_files()
        assert exit_code(in_child(look)) == 0


@pytest.mark.parametrize("store_url", ["postgresql", "mariadb"], indirect=True)
@pytest.mark.parametrize("kind", [Store, Warehouse])
def test_a_child_has_a_connection_of_its_own(store_url, kind):
    """A server answers parent and child on two connections: on one, each would read the other's answers."""
    own = "SELECT pg_backend_pid()" if store_url.startswith("postgresql") else "SELECT connection_id()"
    Store.open(store_url).close()
    opened = kind.open(store_url)

    def number() -> int:
        with reading(opened._engine) as connection:
            return connection.exec_driver_sql(own).scalar_one()

    before = number()

    def look() -> None:
        assert number() != before

    assert exit_code(in_child(look)) == 0
    assert number() == before
    opened.close()


def test_a_store_in_memory_is_copied():
    """What was in memory before the fork is there in the child, who has it for itself."""
    with Store.open("sqlite://") as store:
        put(store, "before")

        def more() -> None:
            put(store, "child")
            assert outcomes(store) == 2

        assert exit_code(in_child(more)) == 0
        assert outcomes(store) == 1


def test_a_duckdb_file_in_the_middle_of_a_transaction_is_refused_in_the_child(tmp_path):
    """What the child would write there would be told as stored and lost; the parent's transaction goes on."""
    with Store.open(f"duckdb:///{tmp_path / 'shop.duckdb'}") as store:
        with reading(store._engine) as connection:
            assert connection.scalar(sqlalchemy.text("SELECT 1")) == 1

            def write() -> None:
                with pytest.raises(StoreError, match="while the process forked"):
                    put(store, "child")

            assert exit_code(in_child(write)) == 0
            assert connection.scalar(sqlalchemy.text("SELECT 2")) == 2
        put(store, "parent")
        assert outcomes(store) == 1
