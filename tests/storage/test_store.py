"""Opening stores and publishing into them."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import sqlalchemy
from offerlift.errors import ConflictError, InputError, StoreError
from offerlift.experiments.records import Outcome
from offerlift.storage import tables
from offerlift.storage.engine import reading
from offerlift.storage.store import Store
from offerlift.storage.versions import Revision


def refused(url, **options):
    with pytest.raises(StoreError) as error:
        Store.open(url, **options)
    assert error.value.exit_code == 3
    return error.value


def test_all_tables_exist(store):
    """A new store has every table of the design, under its own name."""
    with reading(store._engine) as connection:
        if connection.dialect.name == "sqlite":
            listed = "SELECT name FROM sqlite_master WHERE type = 'table'"
        else:
            here = {"mysql": "database()", "postgresql": "current_schema()", "duckdb": "'main'"}[
                connection.dialect.name
            ]
            listed = f"SELECT table_name FROM information_schema.tables WHERE table_schema = {here}"
        names = set(connection.exec_driver_sql(listed).scalars())
    design = {"definition", "exposure", "outcome", "covariate", "segment", "identity", "look", "decision"}
    assert design < names
    assert names == set(tables.metadata.tables)


def test_a_store_remembers_its_currency(store_url):
    """Opened without a currency a store has its own; opened with another one it is refused."""
    Store.open(store_url, currency="USD").close()
    with Store.open(store_url) as store:
        assert store.currency == "USD"
    assert "in USD, not in EUR" in str(refused(store_url, currency="EUR"))


def test_a_read_only_store_is_read_and_never_written(store_url, make_published):
    """On every engine: its experiments, visitors and looks are read, and the database itself refuses a write."""
    with Store.open(store_url) as store:
        store.publish(make_published())
    with Store.open(store_url, read_only=True) as store:
        assert store.experiments() == ["exit"]
        assert store.revisions() == {"exit": Revision(version=1, look=0)}
        assert store.observations("exit").arms
        assert store.looks("exit") == ()
        for write in (
            lambda: store.publish(replace(make_published(), version=2, state="paused")),
            lambda: store.write_outcomes([Outcome("o", "v", "purchase", datetime.now(UTC))]),
        ):
            with pytest.raises(StoreError):
                write()
    with Store.open(store_url, read_only=True) as store:
        assert store.revisions() == {"exit": Revision(version=1, look=0)}


def test_a_read_only_store_is_not_created(tmp_path):
    """Where there is none that is an error, and none is there afterwards."""
    assert "none.db" in str(refused(tmp_path / "none.db", read_only=True))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("currency", ["eur", "EURO", "", "€"])
def test_a_currency_is_an_iso_code(currency):
    """What is no ISO 4217 code is refused before anything is opened."""
    with pytest.raises(InputError, match="ISO 4217"):
        Store.open("sqlite://", currency=currency)


def test_a_plain_path_is_a_sqlite_file(tmp_path):
    """ "shop.db" is sqlite:///shop.db, in WAL mode."""
    with Store.open(tmp_path / "shop.db") as store:
        assert store.url.startswith("sqlite:///")
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_no_store_is_created_unasked(tmp_path, postgresql_url, new_mariadb_url):
    """With create=False a missing store is an error and stays missing."""
    for path, url in ((tmp_path / "shop.db", tmp_path / "shop.db"), (tmp_path / "duck", f"duckdb:///{tmp_path}/duck")):
        assert "no store" in str(refused(url, create=False))
        assert not path.exists()
    for url in (postgresql_url, new_mariadb_url):
        assert "no store" in str(refused(url, create=False))
        engine = sqlalchemy.create_engine(url)
        assert sqlalchemy.inspect(engine).get_table_names() == []
        engine.dispose()


def test_a_path_that_cannot_be_written(tmp_path):
    """Below a regular file, below nothing, a folder, and where the system allows no files."""
    (tmp_path / "file").write_text("")
    assert "folder" in str(refused(tmp_path / "file" / "shop.db"))
    assert "folder" in str(refused(tmp_path / "missing" / "shop.db"))
    assert "not a file" in str(refused(tmp_path))
    assert "hint" not in str(refused("/proc/shop.db"))
    assert refused("/proc/shop.db").hint == "Check that the folder exists and that you may write to it."


def test_a_file_that_is_no_database(tmp_path):
    """A text file is refused and not overwritten."""
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes, not a database\n" * 50)
    assert "file is not a database" in str(refused(path))
    assert path.read_text().startswith("these are my notes")


def test_a_database_of_somebody_else(tmp_path):
    """Tables of the same names that are not ours are neither adopted nor changed."""
    for statement, said in (
        ("CREATE TABLE outcome (x)", "not offerlift's"),
        ("CREATE TABLE store (address)", "no such column"),
    ):
        path = tmp_path / f"{len(said)}.db"
        connection = sqlite3.connect(path)
        connection.execute(statement)
        connection.close()
        error = refused(path)
        assert said in error.message
        assert "another file" in (error.hint or "")
        connection = sqlite3.connect(path)
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (1,)
        connection.close()


def test_a_read_only_store_can_be_read_but_not_written(tmp_path, make_published):
    """Writing into a read-only file is an error that says so."""
    with Store.open(tmp_path / "shop.db") as store:
        store.publish(make_published())
    with Store.open(f"sqlite:///file:{tmp_path}/shop.db?mode=ro&uri=true") as store:
        assert store.experiments() == ["exit"]
        with pytest.raises(StoreError, match="permissions"):
            store.publish(make_published("other"))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("foo://host/db", "no such kind of database"),
        ("oracle://host/db", "no such kind of database: oracle"),
        ("postgresql+psycopg2://host/db", "pip install 'offerlift[postgresql]'"),
        ("postgresql+psycopg://me:secret@127.0.0.1:1/test", "Check host, port"),
        ("mysql://me:secret@127.0.0.1:1/test", "Check host, port"),
        ("mysql+oursql://host/db", "pip install 'offerlift[mysql]', and write mysql+pymysql://"),
        ("mariadb+nothing://host/db", "pip install 'offerlift[mysql]', and write mariadb+pymysql://"),
        ("duckdb+nothing:///shop.db", "pip install 'offerlift[duckdb]', and write duckdb://"),
        ("://", "not the URL"),
    ],
)
def test_servers_that_cannot_be_reached(url, said):
    """An unknown engine, a missing driver, an unreachable server: each says what to do, without the password."""
    error = refused(url)
    assert said in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("url", "said"), [("sqlite://", "one file"), ("duckdb://", "one file"), ("mysql://127.0.0.1/test", "one database")]
)
def test_only_postgresql_has_schemas(url, said):
    """A schema for another engine is refused rather than ignored."""
    with pytest.raises(InputError, match=f"Use {said} a store"):
        Store.open(url, schema="staging")


def test_stores_of_two_schemas_are_apart(postgresql_server, postgresql_schema, make_published):
    """One PostgreSQL database holds a store in each schema, created on opening."""
    with Store.open(postgresql_server, schema=postgresql_schema) as store:
        store.publish(make_published())
        assert store.experiments() == ["exit"]
    with Store.open(postgresql_server, schema=postgresql_schema) as again:
        assert again.published("exit") == make_published()
    assert "no store" in str(refused(postgresql_server, schema=postgresql_schema + "x", create=False))


def test_a_version_is_published_once(store, make_published):
    """The same version again changes nothing; other content under its number, or an older number, is a conflict."""
    first = make_published()
    store.publish(first)
    store.publish(first)
    assert store.published("exit") == first
    with pytest.raises(ConflictError, match="version 1 with other content"):
        store.publish(replace(first, state="paused"))
    third = make_published(version=3)
    store.publish(third)
    with pytest.raises(ConflictError, match="has version 3 already"):
        store.publish(make_published(version=2))
    store.publish(first)
    assert store.published("exit") == third


def test_an_unknown_experiment_names_the_nearest(store, make_published):
    """A mistyped key is answered with the one that was probably meant."""
    with pytest.raises(InputError, match="no experiments"):
        store.published("exit")
    store.publish(make_published("exit-downsell"))
    with pytest.raises(InputError, match="Did you mean 'exit-downsell'"):
        store.observations("exit-downsel")
    for key in ("zzz", "\0", "\ud800", "'; DROP TABLE definition; --"):
        with pytest.raises(InputError, match="There are: exit-downsell"):
            store.published(key)
    assert store.experiments() == ["exit-downsell"]


def test_money_of_another_currency_is_not_published(memory, make_published):
    """One store has one currency."""
    with pytest.raises(InputError, match="is in USD, the store in EUR"):
        memory.publish(make_published(currency="USD"))
