"""PostgreSQL and MariaDB: lost connections, restarts, and creations that were cut short."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest
import sqlalchemy
from offerlift.errors import StoreError
from offerlift.experiments import Outcome
from offerlift.storage import tables
from offerlift.storage.engine import read, writing
from offerlift.storage.engines import insert_missing
from offerlift.storage.store import Store
from sqlalchemy import func, select

from .servers import PrivateMariaDB, PrivatePostgreSQL

AT = datetime(2026, 5, 4, tzinfo=UTC)
servers = pytest.mark.parametrize("store_url", ["postgresql", "mariadb"], indirect=True)


def end_connection(store: Store, connection: sqlalchemy.Connection) -> None:
    """End a connection from outside, as an administrator or a firewall does."""
    own, kill = {
        "postgresql": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend({})"),
        "mysql": ("SELECT connection_id()", "KILL {}"),
    }[connection.dialect.name]
    number = connection.exec_driver_sql(own).scalar_one()
    with store._engine.connect() as other:
        other.exec_driver_sql(kill.format(number))


@servers
def test_a_connection_that_is_lost_in_a_transaction(store):
    """Work whose connection is ended in its middle is done again from its start, once, whether it reads or writes."""
    writes, reads = [], []

    def write(connection):
        writes.append(insert_missing(connection, tables.visitor, ("key",), [("v1",)]))
        if len(writes) == 1:
            end_connection(store, connection)
        return insert_missing(connection, tables.visitor, ("key",), [("v2",)])

    def count(connection):
        reads.append(connection.scalar(select(func.count()).select_from(tables.visitor)))
        if len(reads) == 1:
            end_connection(store, connection)
        return connection.scalar(select(func.count()).select_from(tables.visitor))

    assert writing(store._engine, write) == 1
    assert writes == [1, 1]
    assert read(store._engine, count) == 2
    assert reads == [2, 2]


MANY = 1_200
"""Rows that are enough for the way in which each engine takes many at once."""


def outcomes(store: Store) -> int:
    return read(store._engine, lambda one: one.scalar(select(func.count()).select_from(tables.outcome))) or 0


def batch(name: str, size: int) -> list[Outcome]:
    ids = [f"{name}-{number}" for number in range(size)]
    return [Outcome(one, one, "purchase", AT) for one in ids]


@pytest.mark.parametrize("kind", [PrivatePostgreSQL, PrivateMariaDB])
def test_a_server_that_restarts_under_load(kind, until):
    """Four threads write 40 batches each, of 5 rows and each tenth of 1,200, while the server is killed and started.

    No error, and nothing is lost: 20 or more batches were written by then, 20 or more came afterwards.
    """
    errors, done = [], []
    with kind() as server:
        server.start()
        with Store.open(server.url) as store:

            def work(thread: int) -> None:
                for number in range(40):
                    size = MANY if number % 10 == 9 else 5
                    try:
                        result = store.write_outcomes(batch(f"{thread}-{number}", size))
                        # Repeated, where the connection was lost after the server had committed.
                        assert result.new + result.repeated == size
                        done.append(size)
                    except Exception as error:
                        errors.append(error)

            threads = [threading.Thread(target=work, args=(thread,)) for thread in range(4)]
            for thread in threads:
                thread.start()
            until(lambda: len(done) >= 20 or errors)
            server.kill()
            before = len(done)
            server.start()
            for thread in threads:
                thread.join()
            assert errors == []
            assert 20 <= before <= 140
            assert (len(done), sum(done)) == (160, 4 * (36 * 5 + 4 * MANY))
            assert outcomes(store) == sum(done)


def fill(store: Store) -> tuple[int, StoreError]:
    """Batches that are written before one fails, and its error."""
    for number in itertools.count():
        try:
            assert store.write_outcomes(batch(f"{number}", MANY)).new == MANY
        except StoreError as error:
            return number, error
    raise AssertionError


@pytest.mark.full
@pytest.mark.parametrize(("kind", "size"), [(PrivatePostgreSQL, "80m"), (PrivateMariaDB, "160m")])
def test_a_server_whose_disk_is_full(kind, size):
    """Batches of 1,200 until the disk is full: those acknowledged are there when there is room, and the last one too.

    PostgreSQL says so, and is read meanwhile; MariaDB may end itself, and is then started again.
    """
    with kind(disk=size) as server:
        server.start()
        ballast = server.folder / "ballast"
        ballast.write_bytes(bytes(20_000_000))
        with Store.open(server.url) as store:
            acknowledged, error = fill(store)
            assert acknowledged >= 2
            if kind is PrivatePostgreSQL:
                assert "Free some space" in (error.hint or "")
                assert outcomes(store) == acknowledged * MANY
            ballast.unlink()
            if not server.runs:
                server.start()
            again = store.write_outcomes(batch(f"{acknowledged}", MANY))
            assert again.new + again.repeated == MANY
            assert outcomes(store) == (acknowledged + 1) * MANY


@pytest.mark.parametrize("kind", [PrivatePostgreSQL, PrivateMariaDB])
def test_a_server_that_stays_away(kind):
    """When the server does not come back, reading and writing fail with what to check; the store is usable later."""
    with kind() as server:
        server.start()
        with Store.open(server.url) as store:
            assert store.experiments() == []
            server.kill()
            for attempt in (store.experiments, lambda: store.write_outcomes([Outcome("o1", "v1", "purchase", AT)])):
                with pytest.raises(StoreError, match="failed") as error:
                    attempt()
                assert "Check host, port" in (error.value.hint or "")
            server.start()
            assert store.write_outcomes([Outcome("o1", "v1", "purchase", AT)]).new == 1


CREATE = """
import os, signal, sys
from sqlalchemy import event
from offerlift.storage import Store, tables
made = []
for table in tables.metadata.tables.values():
    @event.listens_for(table, "after_create")
    def count(table, connection, **_):
        made.append(table.name)
        if len(made) == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
Store.open(sys.argv[1])
"""


@pytest.mark.parametrize("tables_made", [1, 2, 7, 14])
def test_a_creation_that_was_killed_is_finished(new_mariadb_url, tables_made):
    """Killed after some of the tables: not yet a store, and the next to open it gets a whole one."""
    code = subprocess.run([sys.executable, "-c", CREATE, new_mariadb_url, str(tables_made)]).returncode
    assert code == -signal.SIGKILL
    engine = sqlalchemy.create_engine(new_mariadb_url)
    assert len(sqlalchemy.inspect(engine).get_table_names()) == tables_made
    engine.dispose()
    with pytest.raises(StoreError, match="no store"):
        Store.open(new_mariadb_url, create=False)
    with Store.open(new_mariadb_url, currency="USD") as store:
        assert store.currency == "USD"
        assert store.write_outcomes([Outcome("o1", "v1", "purchase", AT)]).new == 1


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE outcome (x INT)", "CREATE TABLE store (`key` VARCHAR(9), value TEXT)"]
)
def test_tables_of_somebody_else_are_left_alone(new_mariadb_url, statement):
    """A database with a table of one of our names gets no store, and no other table either."""
    engine = sqlalchemy.create_engine(new_mariadb_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    with pytest.raises(StoreError, match="not offerlift's"):
        Store.open(new_mariadb_url)
    assert len(sqlalchemy.inspect(engine).get_table_names()) == 1
    engine.dispose()


def test_many_create_one_store_at_once(new_mariadb_url):
    """Eight threads that open an empty database at the same moment all get the one store."""
    barrier, opened = threading.Barrier(8), []

    def work() -> None:
        barrier.wait()
        with Store.open(new_mariadb_url) as store:
            opened.append(store.write_outcomes([Outcome("o1", "v1", "purchase", AT)]).new)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(opened) == [0] * 7 + [1]


def test_text_is_kept_whatever_the_server_prefers(new_mariadb_url):
    """In a database of latin1, tables of ours compare by bytes without padding, hold emoji, and are InnoDB's."""
    with Store.open(new_mariadb_url) as store:

        def look(connection: sqlalchemy.Connection):
            where = "WHERE table_schema = database()"
            columns = (
                f"SELECT DISTINCT collation_name FROM information_schema.columns {where} AND data_type LIKE '%%char'"
            )
            engines = f"SELECT DISTINCT engine FROM information_schema.tables {where}"
            return [connection.exec_driver_sql(one).scalars().all() for one in (columns, engines)]

        assert read(store._engine, look) == [["utf8mb4_nopad_bin"], ["InnoDB"]]
