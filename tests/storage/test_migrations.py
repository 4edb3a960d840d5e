"""Bringing an older store to the present layout, on every engine."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy
from alembic.script import ScriptDirectory
from offerlift.errors import StoreError
from offerlift.experiments.records import Exposure, Outcome
from offerlift.storage import migrations, tables
from offerlift.storage.store import Store
from offerlift.storage.upgrading import schema_version, upgrade, upgrade_sql

from .old_stores import OBSERVATIONS, ROWS, by_value, layout, remove_all, stored_rows, write_version_1

PROCESSES = 4
STEPS = 17
"""Changes that the upgrade from version 1 makes, the last one of each version its number."""


@dataclass(frozen=True)
class Old:
    """A store that the first release wrote, and the layout that one made today has in the same database."""

    url: str
    today: set[tuple[object, ...]]


@pytest.fixture
def old(store_url: str) -> Old:
    Store.open(store_url).close()
    today = layout(store_url)
    remove_all(store_url)
    write_version_1(store_url)
    return Old(store_url, today)


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    """A SQLite file that the first release wrote."""
    write_version_1(f"sqlite:///{tmp_path / 'old.db'}")
    return tmp_path / "old.db"


def refused(work, *arguments, **options) -> StoreError:
    with pytest.raises(StoreError) as error:
        work(*arguments, **options)
    assert error.value.exit_code == 3
    return error.value


def set_version(url: str, number: str) -> None:
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.execute(tables.store.update().where(tables.store.c.key == "schema_version").values(value=number))
    engine.dispose()


def read_by_version_1(url: str) -> dict:
    """What is read of the experiment today, in the shape in which the first release's answer is kept."""
    with Store.open(url) as store:
        seen = store.observations("exit", as_of=datetime.fromisoformat(OBSERVATIONS["as_of"]))
    return {
        "as_of": seen.as_of.isoformat(),
        "arms": {
            arm: {"visitors": one.visitors, "crossovers": one.crossovers, "outcomes": dict(one.outcomes)}
            for arm, one in seen.arms.items()
        },
        "moments": {
            metric: {
                arm: {"n": one.n, "mean": one.mean.tolist(), "m2": one.m2.tolist(), "m3": one.m3.tolist()}
                for arm, one in arms.items()
            }
            for metric, arms in seen.moments.items()
        },
        "refused_rows": seen.refused_rows,
    }


def assert_read_as_before(url: str) -> None:
    """Counts exactly; moments to what a sum in another order may differ by."""
    seen, before = read_by_version_1(url), OBSERVATIONS
    assert seen | {"moments": None} == before | {"moments": None}
    assert {metric: list(arms) for metric, arms in seen["moments"].items()} == {
        metric: list(arms) for metric, arms in before["moments"].items()
    }
    for metric, arms in before["moments"].items():
        for arm, expected in arms.items():
            found = seen["moments"][metric][arm]
            assert found["n"] == expected["n"]
            for part in ("mean", "m2", "m3"):
                np.testing.assert_allclose(found[part], expected[part], rtol=1e-12)


def test_an_upgraded_store_is_like_a_new_one(old):
    """Tables, columns and their order, constraints and indexes are those of a store made in one step."""
    assert layout(old.url) != old.today
    assert upgrade(old.url).stored == 1
    assert layout(old.url) == old.today


def test_an_upgrade_keeps_every_row(old):
    """Each row of each table is there afterwards as it was; what is new in it is empty."""
    upgrade(old.url)
    # The number of the layout is what an upgrade is there to change.
    expected = [{"table": part["table"], "rows": by_value(part["rows"])} for part in ROWS]
    (entries,) = (part["rows"] for part in expected if part["table"] == "store")
    (number,) = (row for row in entries if row["key"] == "schema_version")
    try:
        number["value"] = str(tables.SCHEMA_VERSION)
        assert stored_rows(old.url) == expected
    finally:
        number["value"] = "1"
    engine = sqlalchemy.create_engine(old.url)
    with engine.connect() as connection:
        for table in (tables.exposure, tables.outcome):
            assert set(connection.scalars(sqlalchemy.select(table.c.received_at))) == {None}
        assert set(connection.scalars(sqlalchemy.select(tables.outcome.c.reporting_cost))) == {None}
    engine.dispose()


def test_an_analysis_is_the_same_before_and_after(old):
    """What the first release read of its store is read of the upgraded one."""
    upgrade(old.url)
    assert_read_as_before(old.url)


def test_an_upgraded_store_takes_what_comes(old, at):
    """Known visitors, orders and arms are recognised, new ones are numbered after them."""
    upgrade(old.url)
    with Store.open(old.url) as store:
        exposures = [Exposure("exit", visitor, "Control", at(10**12)) for visitor in ("v1", "new", "V2")]
        written = store.write_exposures(exposures)
        assert (written.new, written.repeated) == (2, 1)
        order = Outcome("order-late", "v0", "purchase", at(9 * 86_400_000_000), value=Decimal("1.00"))
        assert store.write_outcomes([order]).repeated == 1


def test_an_upgrade_is_done_once(old):
    """The second finds nothing to do, and what is pending is said before and not after."""
    before = schema_version(old.url)
    assert (before.stored, before.needed) == (1, tables.SCHEMA_VERSION)
    assert [one[:6] for one in before.pending] == [f"{n:04}: " for n in range(2, tables.SCHEMA_VERSION + 1)]
    assert upgrade(old.url) == before
    after = schema_version(old.url)
    assert (after.stored, after.pending) == (tables.SCHEMA_VERSION, ())
    assert upgrade(old.url) == after
    assert upgrade_sql(old.url) == ""


def test_the_sql_of_an_upgrade_is_what_it_does(old):
    """Read without changing anything, and run by hand, it leaves what the upgrade leaves."""
    was = layout(old.url)
    sql = upgrade_sql(old.url)
    assert layout(old.url) == was
    assert sql.startswith("BEGIN;")
    assert sql.endswith("COMMIT;\n")
    engine = sqlalchemy.create_engine(old.url)
    with engine.begin() as connection:
        for statement in sql.split(";\n")[1:-2]:
            connection.exec_driver_sql(statement)
    engine.dispose()
    assert layout(old.url) == old.today
    assert schema_version(old.url).pending == ()


def test_opening_does_not_upgrade(old):
    """An older store is refused with the command to type, and stays as it is."""
    was = layout(old.url)
    error = refused(Store.open, old.url)
    assert f"schema version 1; this offerlift reads {tables.SCHEMA_VERSION}" in error.message
    assert "offerlift db upgrade --db " in (error.hint or "")
    assert layout(old.url) == was


def test_a_newer_store_is_refused(store_url):
    """Opened or upgraded by an older release, it is left alone and said to be newer; its number can be read."""
    Store.open(store_url).close()
    set_version(store_url, "99")
    was = layout(store_url)
    for work in (Store.open, upgrade, upgrade_sql):
        error = refused(work, store_url)
        assert "schema version 99" in error.message
        assert "A newer offerlift" in (error.hint or "")
    assert (schema_version(store_url).stored, schema_version(store_url).pending) == (99, ())
    assert layout(store_url) == was


@pytest.mark.parametrize("number", ["", "two", "-1", "0", "1.5", "²"])
def test_a_number_that_offerlift_did_not_write(number, memory, tmp_path):
    """A store whose version is no version is neither guessed at nor upgraded."""
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    Store.open(url).close()
    set_version(url, number)
    for work in (Store.open, upgrade, upgrade_sql, schema_version):
        assert f"no schema version, seen {number!r}" in str(refused(work, url))


def test_nothing_is_upgraded_where_there_is_no_store(store_url, tmp_path):
    """An empty database and a missing file are errors, and no store comes of it."""
    remove_all(store_url)
    engine = sqlalchemy.create_engine(store_url)
    engine.connect().close()
    for work in (upgrade, upgrade_sql, schema_version):
        assert "there is no store" in str(refused(work, store_url))
        assert "there is no store" in str(refused(work, tmp_path / "missing.db"))
    assert sqlalchemy.inspect(engine).get_table_names() == []
    engine.dispose()
    assert not (tmp_path / "missing.db").exists()


UPGRADE = """
import sys
from offerlift.storage.upgrading import upgrade
print("ready", flush=True)
sys.stdin.readline()
print(upgrade(sys.argv[1]).needed)
"""


def test_upgrades_at_once(old):
    """Of several processes that upgrade one store at the same moment all succeed, and it is upgraded once.

    DuckDB lets one process at a time open a file: there the others are told so, and one at least succeeds.
    """
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", UPGRADE, old.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    for one in processes:
        assert one.stdout.readline() == "ready\n"
    for one in processes:
        one.stdin.write("go\n")
        one.stdin.flush()
    said = [one.communicate(timeout=120) for one in processes]
    failed = [said[i][1] for i, one in enumerate(processes) if one.returncode]
    if old.url.startswith("duckdb"):
        assert [error for error in failed if "one process at a time" not in error] == []
        assert len(failed) < PROCESSES
    else:
        assert failed == []
    assert layout(old.url) == old.today
    assert_read_as_before(old.url)


def test_what_another_did_meanwhile_is_not_done_again(old, monkeypatch):
    """An upgrade that was overtaken between its look and its turn finds nothing to do."""
    from offerlift.storage import upgrading

    def overtaken(engine):
        monkeypatch.setattr(upgrading, "_check", lambda engine: None)
        upgrade(old.url)

    monkeypatch.setattr(upgrading, "_check", overtaken)
    assert upgrade(old.url).stored == 1
    assert layout(old.url) == old.today


KILLED = """
import os, signal, sys
from offerlift.storage.upgrading import upgrade
from sqlalchemy import Engine, event

left = int(sys.argv[2])

@event.listens_for(Engine, "after_cursor_execute")
def stop(connection, cursor, statement, *_):
    global left
    left -= statement.lstrip().startswith(("ALTER", "CREATE", "DELETE", "INSERT", "UPDATE"))
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

upgrade(sys.argv[1])
"""


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_killed_upgrade_is_done_again(old, step):
    """Killed after any of its changes, it leaves a store of the old version, which the next upgrade brings up."""
    was = layout(old.url)
    done = subprocess.run([sys.executable, "-c", KILLED, old.url, str(step)], check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    if old.url.startswith("mysql"):
        # Nothing there takes back a change of a table, but a version's number comes last: what it says is done.
        assert layout(old.url) != was
        assert schema_version(old.url).stored == (1 if step <= 6 else 2 if step <= 8 else 3 if step <= 13 else 4)
    else:
        assert layout(old.url) == was
        assert schema_version(old.url).stored == 1
    upgrade(old.url)
    assert layout(old.url) == old.today
    assert_read_as_before(old.url)


def test_steps_that_were_done_are_left_out(old_file):
    """Where an engine could not take back the first steps of a killed upgrade, the next one does the others."""
    url = f"sqlite:///{old_file}"
    Store.open(old_file.with_name("today.db")).close()
    steps = upgrade_sql(url).split(";\n")[1:-3]
    assert len(steps) == STEPS - 1
    for done in range(1, STEPS):
        path = old_file.with_name(f"{done}.db")
        write_version_1(f"sqlite:///{path}")
        connection = sqlite3.connect(path)
        connection.executescript(";\n".join(steps[:done]))
        connection.close()
        upgrade(path)
        assert layout(f"sqlite:///{path}") == layout(f"sqlite:///{old_file.with_name('today.db')}")


def test_a_read_only_file(old_file):
    """Its version and the SQL of an upgrade can be read; the upgrade is refused and the file is as it was."""
    before = old_file.read_bytes()
    url = f"sqlite:///file:{old_file}?mode=ro&uri=true"
    assert schema_version(url).stored == 1
    assert "ALTER TABLE outcome" in upgrade_sql(url)
    assert "permissions" in (refused(upgrade, url).hint or "")
    assert old_file.read_bytes() == before


@pytest.mark.parametrize("damage", ["a page of a table", "a page of an index", "the end is missing", "no database"])
def test_a_corrupt_file_is_not_touched(old_file, damage):
    """A damaged file, wherever the damage is, is refused before a byte of it is written."""
    connection = sqlite3.connect(old_file)
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_master WHERE rootpage > 0"))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = bytearray(old_file.read_bytes())
    if damage == "the end is missing":
        del content[-2 * size :]
    elif damage == "no database":
        content[:16] = b"not a database!\n"
    else:
        root = roots["outcome"] if damage == "a page of a table" else roots["sqlite_autoindex_visitor_1"]
        content[(root - 1) * size : root * size] = b"\xff" * size
    old_file.write_bytes(content)
    error = refused(upgrade, old_file)
    assert "backup" in str(error) or "no SQLite file" in str(error)
    assert old_file.read_bytes() == content


def test_the_store_of_a_schema_is_upgraded_alone(postgresql_server, postgresql_schema):
    """With schema= the store in it is upgraded, whatever the search path, and its neighbour is not."""
    neighbour = f"{postgresql_schema}_b"
    server = sqlalchemy.create_engine(postgresql_server)
    urls = {}
    with server.begin() as connection:
        for name in (postgresql_schema, neighbour):
            connection.exec_driver_sql(f"CREATE SCHEMA {name}")
            address = sqlalchemy.make_url(postgresql_server).update_query_dict({"options": f"-csearch_path={name}"})
            urls[name] = address.render_as_string(hide_password=False)
    try:
        for url in urls.values():
            write_version_1(url)
        was = layout(urls[neighbour])
        hint = refused(Store.open, postgresql_server, schema=postgresql_schema).hint
        assert f"--schema {postgresql_schema}" in (hint or "")
        statements = upgrade_sql(postgresql_server, schema=postgresql_schema).split(";\n")[1:-2]
        assert [one for one in statements if f"{postgresql_schema}." not in one] == []
        upgrade(postgresql_server, schema=postgresql_schema)
        with Store.open(postgresql_server, schema=postgresql_schema) as store:
            assert store.experiments() == ["exit"]
        assert layout(urls[neighbour]) == was
        assert schema_version(urls[neighbour]).stored == 1
    finally:
        with server.begin() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA {neighbour} CASCADE")
        server.dispose()


def test_revisions_are_numbered_as_versions():
    """One line of revisions leads from version 1 to the version of the tables, one number each."""
    scripts = list(ScriptDirectory(str(Path(migrations.__file__).parent)).walk_revisions())
    numbers = [int(script.revision) for script in reversed(scripts)]
    assert numbers == list(range(2, tables.SCHEMA_VERSION + 1))
