"""PostgreSQL and MariaDB: lost connections, restarts, and creations that were cut short."""

from __future__ import annotations

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
        writes.append(insert_missing(connection, tables.visitor, [{"key": "v1"}]))
        if len(writes) == 1:
            end_connection(store, connection)
        return insert_missing(connection, tables.visitor, [{"key": "v2"}])

    def count(connection):
        reads.append(connection.scalar(select(func.count()).select_from(tables.visitor)))
        if len(reads) == 1:
            end_connection(store, connection)
        return connection.scalar(select(func.count()).select_from(tables.visitor))

    assert writing(store._engine, write) == 1
    assert writes == [1, 1]
    assert read(store._engine, count) == 2
    assert reads == [2, 2]


@pytest.mark.parametrize("kind", [PrivatePostgreSQL, PrivateMariaDB])
def test_a_server_that_restarts_under_load(kind):
    """Four threads write 40 batches each while the server is killed and started again: no error, nothing lost."""
    errors, started = [], threading.Barrier(5)
    with kind() as server:
        server.start()
        with Store.open(server.url) as store:

            def work(thread: int) -> None:
                started.wait()
                for batch in range(40):
                    ids = [f"{thread}-{batch}-{number}" for number in range(5)]
                    try:
                        result = store.write_outcomes([Outcome(one, f"v{thread}", "purchase", AT) for one in ids])
                        # Repeated, where the connection was lost after the server had committed.
                        assert result.new + result.repeated == 5
                    except Exception as error:
                        errors.append(error)

            threads = [threading.Thread(target=work, args=(thread,)) for thread in range(4)]
            for thread in threads:
                thread.start()
            started.wait()
            server.kill()
            server.start()
            for thread in threads:
                thread.join()
            assert errors == []
            count = read(store._engine, lambda one: one.scalar(select(func.count()).select_from(tables.outcome)))
        assert count == 800


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
