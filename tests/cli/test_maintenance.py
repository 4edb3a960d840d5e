"""`offerlift db stats|export|prune|forget`: what is printed, what is asked, and the exit codes."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import click
import pytest
from offerlift.cli.app import run
from offerlift.experiments.definition import Arm, Definition, Plan
from offerlift.experiments.metrics import Column, Metric
from offerlift.experiments.records import Exposure, Link, Outcome
from offerlift.experiments.snapshot import Published
from offerlift.storage import Store

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def shop(tmp_path, monkeypatch):
    """A store with a stopped experiment in the folder, where commands look for one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OFFERLIFT_DB", raising=False)
    metric = Metric("conversion", "conversion", Column("purchase", "converted"))
    arms = (Arm("a", 5_000), Arm("b", 5_000))
    definition = Definition("old", "a", arms, (metric,), Plan("conversion"), currency="EUR")
    published = Published(definition, "stopped", 1, 1, START, START, "hash", "plan")
    with Store.open("sqlite:///offerlift.db") as store:
        store.publish(published)
        store.publish(replace(published, state="stopped", version=2))
        store.write_exposures(Exposure("old", f"v{i}", "ab"[i % 2], START) for i in range(20))
        store.write_outcomes(
            Outcome(f"o{i}", f"v{i}", "purchase", START, value=Decimal("9.90")) for i in range(0, 20, 4)
        )
        store.write_links([Link("cookie", "v3", START)])


def printed(capsys, *arguments, code=0):
    assert run(["db", *arguments]) == code
    return capsys.readouterr()


def as_json(capsys, *arguments, code=0):
    return json.loads(printed(capsys, *arguments, "--json", code=code).out)


def card(capsys):
    assert run(["analyze", "old", "--json"]) == 0
    return {name: value for name, value in json.loads(capsys.readouterr().out).items() if name != "as_of"}


def test_stats_as_text_and_as_json(capsys):
    """Both name the tables, the delivery and the experiments; times in JSON are ISO."""
    lines = printed(capsys, "stats").out.splitlines()
    assert "old\tstopped\t1\t20\t0\t2026-01-01T00:00:00+00:00\t2026-01-01T00:00:00+00:00\ta 10, b 10" in lines
    found = as_json(capsys, "stats")
    rows = {one["table"]: one["rows"] for one in found["tables"]}
    assert (rows["exposure"], rows["outcome"], rows["visitor"]) == (20, 5, 21)
    assert found["tables"][6]["oldest"] == "2026-01-01T00:00:00+00:00"
    assert found["delivery"][0]["median"] > 0
    assert found["experiments"][0]["arms"] == {"a": 10, "b": 10}


@pytest.mark.parametrize(
    ("late", "shown"),
    [
        (0.25, "0.2 s"),
        (119, "119.0 s"),
        (120, "2.0 min"),
        (7_200, "2.0 h"),
        (400 * 86_400, "400.0 days"),
        (-90, "-90.0 s"),
    ],
)
def test_delays_are_shown_in_a_unit_that_is_read(capsys, monkeypatch, late, shown):
    """Imported history is late by days, not by millions of seconds; JSON has the seconds."""
    received = datetime(2026, 6, 1, tzinfo=UTC)
    monkeypatch.setattr("offerlift.storage.store.now_micros", lambda: int(received.timestamp() * 1_000_000))
    with Store.open("late.db") as store:
        store.write_outcomes([Outcome("o", "v", "purchase", received - timedelta(seconds=late))])
    lines = printed(capsys, "stats", "--db", "late.db").out.splitlines()
    assert lines[lines.index("delivery\trows\tmedian\t95 %\tworst") + 2].startswith(f"outcome\t1\t{shown}\t{shown}")
    assert as_json(capsys, "stats", "--db", "late.db")["delivery"][1]["worst"] == late


def test_an_export_and_a_second_one(capsys, tmp_path):
    """Paths and rows go to standard output; a folder with files is left alone (exit code 2) unless --force is said."""
    assert "out/exposure.parquet\t20\n" in printed(capsys, "export", "--to", "out").out
    assert "already" in printed(capsys, "export", "--to", "out", code=2).err
    found = as_json(capsys, "export", "--to", "out", "--force", "--files", "csv", "--table", "outcome")
    assert found == {"files": [{"table": "outcome", "path": "out/outcome.csv", "rows": 5}]}
    assert (tmp_path / "out" / "outcome.csv").read_text().count("\n") == 6


def test_a_pruning_is_shown_before_it_is_done(capsys):
    """A dry run changes nothing, nobody at the terminal is a refusal; with --yes the rows go, the report stays."""
    before = card(capsys)
    assert "say --yes" in printed(capsys, "prune", "--before", "2026-02-01", code=2).err
    shown = printed(capsys, "prune", "--before", "2026-02-01", "--dry-run")
    assert "old\t20 exposures to be removed; its report is kept" in shown.out
    assert "no window: conversion" in shown.out
    assert "nothing was changed" in shown.err
    assert as_json(capsys, "stats")["experiments"][0]["visitors"] == 20
    done = as_json(capsys, "prune", "--before", "2026-02-01T00:00:00+00:00", "--yes")
    assert (done["done"], done["before"], done["outcomes"]) == (True, "2026-02-01T00:00:00+00:00", 5)
    assert as_json(capsys, "stats")["experiments"][0]["visitors"] == 0
    assert "pruned: what is from before 2026-02-01" in printed(capsys, "stats").out
    assert card(capsys) == before


@pytest.mark.parametrize("text", ["yesterday", "2026-02-01T00:00", "1969-01-01", "2098-01-01"])
def test_a_date_that_is_none(capsys, text):
    """Neither words nor times without an offset nor what is still to come: exit code 2."""
    assert "Error" in printed(capsys, "prune", "--before", text, code=2).err


def test_a_visitor_is_forgotten_after_asking(capsys, monkeypatch):
    """A dry run changes nothing, nobody at the terminal is a refusal, no is taken for an answer, --yes does not ask."""
    shown = printed(capsys, "forget", "v4", "--dry-run").out
    assert "v4\tto be erased" in shown
    assert "1 row of outcome stays, of nobody" in shown
    assert "--yes" in printed(capsys, "forget", "v4", code=2).err
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(click.termui, "visible_prompt_func", lambda _: "n")
    printed(capsys, "forget", "v4", code=130)
    before = card(capsys)
    done = printed(capsys, "forget", "v4", "--yes")
    assert "v4\terased" in done.out
    assert "Not looked at: recorders' spools" in done.err
    assert card(capsys) == before
    assert "no such visitor" in printed(capsys, "forget", "v4", "--yes", code=1).out


def test_linked_ids_are_named_and_forgotten(capsys):
    """The other ids of a person are listed; with --linked they go too."""
    assert "cookie\tlinked, kept; --linked erases it too" in printed(capsys, "forget", "v3", "--dry-run").out
    assert as_json(capsys, "forget", "v3", "--linked", "--yes")["ids"] == ["v3", "cookie"]
    assert as_json(capsys, "forget", "cookie", "--yes", code=1)["ids"] == []


def test_a_store_is_not_made_by_looking(capsys):
    """Where there is none, each command says so (exit code 3) and none is made."""
    for command in (["stats"], ["export", "--to", "x"], ["prune", "--before", "2026-02-01"], ["forget", "v1"]):
        assert "no store" in printed(capsys, *command, "--db", "sqlite:///none.db", code=3).err
        assert "no schemas" in printed(capsys, *command, "--schema", "s", code=2).err


def test_the_audit_says_who_is_missing(capsys):
    """Forgotten visitors are counted in their own line, and are no finding."""
    printed(capsys, "forget", "v4", "--yes")
    assert run(["audit", "old"]) in (0, 1)
    assert "1 more are of forgotten visitors" in capsys.readouterr().out
