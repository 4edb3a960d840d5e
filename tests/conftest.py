"""What all tests share: stores on every engine, each test in one of its own, and waiting for what must come."""

from __future__ import annotations

import gc
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy
from hypothesis import HealthCheck, settings
from offerlift.storage import tables
from offerlift.storage.store import Store
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import CreateSchema, DropSchema

from .shelf import fill_shelf

# Neither a slow example nor slow drawing says anything about the code: the machine may be busy.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")


def pytest_collection_finish() -> None:
    """Take the tests and modules, which stay to the end, out of each search for garbage: a sixth of all time."""
    gc.collect()
    gc.freeze()


DEFAULT_POSTGRESQL = "postgresql+psycopg://postgres@127.0.0.1:5432/test"
DEFAULT_MARIADB = "mysql+pymysql://root@127.0.0.1:3306/test"


def _answering(name: str, variable: str, url: str) -> str:
    engine = sqlalchemy.create_engine(url, connect_args={"connect_timeout": 5})
    try:
        with engine.connect():
            return url
    except OperationalError as error:
        reason = f"no {name} to test with ({variable}): {error.orig}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    finally:
        engine.dispose()


@pytest.fixture(scope="session")
def postgresql_server() -> str:
    """URL of a PostgreSQL that answers; without one the test is skipped, but fails where CI=true."""
    url = os.environ.get("OFFERLIFT_TEST_POSTGRESQL", DEFAULT_POSTGRESQL)
    return _answering("PostgreSQL", "OFFERLIFT_TEST_POSTGRESQL", url)


@pytest.fixture
def postgresql_schema(postgresql_server: str) -> Iterator[str]:
    """Name of a schema that nobody else has and that does not exist yet; dropped afterwards."""
    name = f"offerlift_{uuid4().hex}"
    yield name
    engine = sqlalchemy.create_engine(postgresql_server)
    with engine.begin() as connection:
        connection.execute(DropSchema(name, cascade=True, if_exists=True))
    engine.dispose()


@pytest.fixture
def postgresql_url(postgresql_server: str, postgresql_schema: str) -> str:
    """URL of a PostgreSQL whose tables go into a schema of the test's own."""
    engine = sqlalchemy.create_engine(postgresql_server)
    with engine.begin() as connection:
        connection.execute(CreateSchema(postgresql_schema))
    engine.dispose()
    url = sqlalchemy.make_url(postgresql_server)
    url = url.update_query_dict({"options": f"-csearch_path={postgresql_schema}"})
    return url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def mariadb_server() -> str:
    """URL of a MariaDB or MySQL that answers; without one the test is skipped, but fails where CI=true."""
    url = os.environ.get("OFFERLIFT_TEST_MARIADB", DEFAULT_MARIADB)
    return _answering("MariaDB", "OFFERLIFT_TEST_MARIADB", url)


@pytest.fixture
def new_mariadb_url(mariadb_server: str) -> Iterator[str]:
    """URL of a new MariaDB database, not in UTF-8 as many a shop's is not; dropped afterwards."""
    with _mariadb_database(mariadb_server) as url:
        yield url


@pytest.fixture(scope="session")
def mariadb_database(mariadb_server: str) -> Iterator[str]:
    """URL of a MariaDB database for all tests together: creating fourteen tables there takes a second."""
    with _mariadb_database(mariadb_server) as url:
        yield url


@contextmanager
def _mariadb_database(server: str) -> Iterator[str]:
    name = f"offerlift_{uuid4().hex}"
    engine = sqlalchemy.create_engine(server)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} CHARACTER SET latin1")
    yield sqlalchemy.make_url(server).set(database=name).render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name}")
    engine.dispose()


@pytest.fixture
def mariadb_url(mariadb_database: str) -> Iterator[str]:
    """URL of a MariaDB database that nobody else has, with nothing in it, or the empty tables of a store.

    Those are what is left of a store whose creation was killed just before its end, and opening it finishes that.
    """
    yield mariadb_database
    engine = sqlalchemy.create_engine(mariadb_database)
    with engine.begin() as connection:
        connection.exec_driver_sql("SET foreign_key_checks = 0")
        for table in sqlalchemy.inspect(connection).get_table_names():
            connection.exec_driver_sql(f"DELETE FROM `{table}`")
    engine.dispose()


@pytest.fixture(scope="session")
def common_postgresql_store(postgresql_server: str) -> Iterator[str]:
    """URL of a PostgreSQL store for all tests together: creating and dropping one takes half a second."""
    schema = f"offerlift_{uuid4().hex}"
    Store.open(postgresql_server, schema=schema).close()
    url = sqlalchemy.make_url(postgresql_server).update_query_dict({"options": f"-csearch_path={schema}"})
    yield url.render_as_string(hide_password=False)
    engine = sqlalchemy.create_engine(postgresql_server)
    with engine.begin() as connection:
        connection.execute(DropSchema(schema, cascade=True))
    engine.dispose()


@pytest.fixture
def empty_postgresql_store(common_postgresql_store: str) -> Iterator[str]:
    """URL of a PostgreSQL store in euros that nobody else has, with nothing in it."""
    yield common_postgresql_store
    _empty(common_postgresql_store)


@pytest.fixture(scope="session")
def common_mariadb_store(mariadb_server: str) -> Iterator[str]:
    """URL of a MariaDB store for all tests together."""
    with _mariadb_database(mariadb_server) as url:
        Store.open(url).close()
        yield url


@pytest.fixture
def empty_mariadb_store(common_mariadb_store: str) -> Iterator[str]:
    """URL of a MariaDB store in euros that nobody else has, with nothing in it."""
    yield common_mariadb_store
    _empty(common_mariadb_store)


def _empty(url: str) -> None:
    """Take out all rows of a store but those that a new one has; these a test must have left as they were."""
    new, key = {"schema_version": str(tables.SCHEMA_VERSION), "currency": "EUR"}, tables.store.c.key
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        for table in reversed(tables.metadata.sorted_tables):
            connection.execute(table.delete() if table is not tables.store else table.delete().where(key.not_in(new)))
        about = dict(connection.execute(sqlalchemy.select(key, tables.store.c.value)).all())
        held = set(sqlalchemy.inspect(connection).get_table_names())
    engine.dispose()
    assert about == new
    assert held == set(tables.metadata.tables), "a test that adds or drops tables takes a database of its own"


@pytest.fixture(scope="session")
def empty_files(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The file of an empty store in euros on SQLite or DuckDB, made once, for copying."""
    folder = tmp_path_factory.mktemp("empty")

    def made(engine: str) -> Path:
        path = folder / f"{engine}.db"
        if not path.exists():
            Store.open(f"{engine}:///{path}").close()
        return path

    return made


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "duckdb"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database, of each engine in turn; or of an empty store where the test asks for `store`, too."""
    engine, with_store = request.param, "store" in request.fixturenames
    if engine in ("sqlite", "duckdb"):
        path = tmp_path / "store.db"
        if with_store:
            shutil.copy(request.getfixturevalue("empty_files")(engine), path)
        return f"{engine}:///{path}"
    return request.getfixturevalue(f"empty_{engine}_store" if with_store else f"{engine}_url")


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty store in euros, of each engine in turn."""
    with Store.open(store_url) as opened:
        yield opened


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Wait until a condition holds, however slow the machine is; fail after two minutes."""

    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < deadline, "what a test waited for did not come"
            time.sleep(0.005)

    return wait


@pytest.fixture(scope="session")
def shelf_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shelf of `shelf.py` as a SQLite file, which nobody writes to."""
    path = tmp_path_factory.mktemp("shelf") / "shelf.db"
    with Store.open(path) as store:
        fill_shelf(store)
    return path


@pytest.fixture
def shelf(shelf_file: Path, tmp_path: Path) -> Iterator[Store]:
    """A store of its own with everything that is on the shelf."""
    path = tmp_path / "shelf.db"
    shutil.copy(shelf_file, path)
    with Store.open(path) as store:
        yield store
