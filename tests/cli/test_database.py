"""`offerlift db`: what it prints, what it asks, and its exit codes."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path

import click
import pytest
from offerlift.cli.app import run
from offerlift.storage import Store, tables

VERSION_1 = Path(__file__).parents[1] / "storage" / "version_1" / "sqlite.sql"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OFFERLIFT_DB", raising=False)


@pytest.fixture
def old():
    """A store of schema version 1 in the folder, where commands look for one; its number when called."""
    execute(VERSION_1.read_text(encoding="utf-8"))
    execute("INSERT INTO store VALUES ('schema_version', '1'), ('currency', 'EUR');")
    return lambda: execute("SELECT value FROM store WHERE key = 'schema_version'")


def execute(sql):
    connection = sqlite3.connect("offerlift.db")
    try:
        if sql.startswith("SELECT"):
            return int(connection.execute(sql).fetchone()[0])
        connection.executescript(sql)
    finally:
        connection.close()


def test_the_road_of_an_upgrade(old, capsys):
    """Refused by the commands that read, shown, checked, upgraded, read: each step says the next."""
    assert run(["analyze", "exit"]) == 3
    assert "offerlift db upgrade --db sqlite:///offerlift.db" in capsys.readouterr().err
    assert run(["db", "check"]) == 1
    assert run(["db", "current"]) == 0
    assert "schema version 1; this offerlift needs" in capsys.readouterr().out
    assert run(["db", "upgrade", "--yes"]) == 0
    assert f"from schema version 1 to {tables.SCHEMA_VERSION}" in capsys.readouterr().out
    assert run(["db", "check"]) == 0
    assert run(["analyze", "exit"]) == 2
    assert "no experiment 'exit'" in capsys.readouterr().err


def test_the_version_as_json(old, capsys):
    """`current --json` is one object with the store, both numbers and what is pending."""
    assert run(["db", "current", "--json"]) == 0
    version = json.loads(capsys.readouterr().out)
    assert version["store"] == "sqlite:///offerlift.db"
    assert (version["stored"], version["needed"], len(version["pending"])) == (
        1,
        tables.SCHEMA_VERSION,
        tables.SCHEMA_VERSION - 1,
    )


def test_a_dry_run_prints_sql_and_changes_nothing(old, capsys):
    """SQL goes to standard output; where nothing is pending there is none."""
    assert run(["db", "upgrade", "--dry-run"]) == 0
    assert "ALTER TABLE outcome ADD COLUMN" in capsys.readouterr().out
    assert old() == 1
    assert run(["db", "upgrade", "--yes"]) == 0
    capsys.readouterr()
    assert run(["db", "upgrade", "--dry-run"]) == 0
    assert capsys.readouterr().out == ""


def test_an_upgrade_asks_first(old, capsys, monkeypatch):
    """Without --yes it asks at a terminal and takes no for an answer; where nobody can be asked it is refused."""
    assert run(["db", "upgrade"]) == 2
    assert "--yes" in capsys.readouterr().err
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    for answer, code, number in (("n", 130, 1), ("y", 0, tables.SCHEMA_VERSION)):
        monkeypatch.setattr(click.termui, "visible_prompt_func", lambda _, answer=answer: answer)
        assert run(["db", "upgrade"]) == code
        assert old() == number
    assert run(["db", "upgrade"]) == 0


def test_a_newer_store_and_none(capsys):
    """A newer store can be looked at, but is no finding: exit code 3, as where there is no store."""
    assert run(["db", "current"]) == 3
    assert "no store" in capsys.readouterr().err
    Store.open("offerlift.db").close()
    execute("UPDATE store SET value = '99' WHERE key = 'schema_version';")
    assert run(["db", "current"]) == 0
    assert "schema version 99" in capsys.readouterr().out
    for command in (["check"], ["upgrade", "--yes"], ["upgrade", "--dry-run"]):
        assert run(["db", *command]) == 3
        assert "A newer offerlift" in capsys.readouterr().err


def test_the_schema_is_passed_on(capsys):
    """--schema names the place of a store in PostgreSQL; SQLite has none, and says so."""
    Store.open("offerlift.db").close()
    for command in (["current"], ["check"], ["upgrade", "--yes"]):
        assert run(["db", *command, "--schema", "staging"]) == 2
        assert "SQLite has no schemas" in capsys.readouterr().err
