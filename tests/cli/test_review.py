"""`offerlift review`: it alone records looks, writes the page, and prints what is to be done."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from offerlift.cli.app import run
from offerlift.storage import Store

START = datetime(2026, 3, 2, tzinfo=UTC)
DEFINITION = """\
experiment: cart
owner: checkout team
utc_offset: "+02:00"
arms:
  - {name: control}
  - name: ship-free
    offer: {kind: threshold, placement: cart, trigger: cart_view, free_shipping: true}
metrics:
  - conversion: {window: 1d}
  - margin_per_visitor: {window: 1d, margin: 20%}
plan: {primary: conversion, guardrails: [margin_per_visitor], looks: 2, sample_size: 2000}
"""


@pytest.fixture(autouse=True)
def cart(tmp_path, monkeypatch):
    """A store with 1,200 of 2,000 planned visitors, 100 a day; 20 % of the control and 40 % of the arm buy."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OFFERLIFT_DB", raising=False)
    Path("cart.yaml").write_text(DEFINITION, encoding="utf-8")
    assert run(["publish", "cart.yaml"]) == 0
    assert run(["start", "cart"]) == 0
    rows = [
        (i, "control" if i % 2 else "ship-free", (START + timedelta(minutes=14.4 * i)).isoformat())
        for i in range(1_200)
    ]
    bought = [(i, at) for i, arm, at in rows if i % 10 < (4 if arm == "ship-free" else 2)]
    exposures = [f"{i},{arm},{at}" for i, arm, at in rows]
    outcomes = [f"o{i},{i},{at},50,30" for i, at in bought]
    Path("exposures.csv").write_text("\n".join(["visitor,arm,at", *exposures]), encoding="utf-8")
    Path("outcomes.csv").write_text("\n".join(["id,visitor,at,value,cost", *outcomes]), encoding="utf-8")
    options = ["--visitor", "visitor", "--at", "at"]
    assert run(["import", "exposures", "exposures.csv", "--experiment", "cart", "--arm", "arm", *options]) == 0
    columns = ["--id", "id", "--value", "value", "--cost", "cost"]
    assert run(["import", "outcomes", "outcomes.csv", "--event", "purchase", *columns, *options]) == 0


def looks() -> list[tuple[int, bool]]:
    with Store.open("offerlift.db") as store:
        return sorted({(one.look, one.planned) for one in store.looks("cart")})


def reviewed(capsys, *arguments: str) -> tuple[str, str]:
    capsys.readouterr()
    assert run(["review", *arguments]) == 0
    out, err = capsys.readouterr()
    return " ".join(out.split()), err


def test_a_due_look_is_recorded_once_and_the_page_is_written(capsys):
    """The first review of a day records the look and writes review.html; the second records nothing."""
    out, err = reviewed(capsys, "--as-of", "2026-03-14")
    assert "RECORDED cart: Look 1 is recorded, as planned, at 59% of the planned sample." in out
    assert "Open review.html in a browser." in err
    page = Path("review.html").read_text(encoding="utf-8")
    assert "Review of 14 March 2026, 21:59 UTC" in page
    again, _ = reviewed(capsys, "--as-of", "2026-03-14", "-o", "again.html")
    assert "RECORDED Nothing." in again
    assert again.split("RECORDED")[0] == out.split("RECORDED")[0]
    assert looks() == [(1, True)]
    assert Path("again.html").exists()


def test_after_a_look_analyze_shows_it(capsys):
    """What nobody could read from the command line before can be read after the review."""
    assert run(["analyze", "cart", "--as-of", "2026-03-14", "--json"]) == 0
    before = json.loads(capsys.readouterr().out)
    reviewed(capsys, "--as-of", "2026-03-14")
    assert run(["analyze", "cart", "--as-of", "2026-03-14", "--json"]) == 0
    after = json.loads(capsys.readouterr().out)
    assert [found["metrics"][0]["comparisons"][0]["withheld"] for found in (before, after)] == [True, False]


def test_before_the_first_look_numbers_are_withheld(capsys):
    """Health, owner and weeks left, no lift, no look; how long it takes follows the traffic."""
    out, _ = reviewed(capsys, "--as-of", "2026-03-09")
    assert "cart (running, checkout team): Collecting, about 2 weeks left. The first look is at 50%" in out
    assert "conversion: withheld until the first look" in out
    assert "RECORDED Nothing." in out
    assert looks() == []


def test_a_reveal_is_recorded_as_unplanned(capsys):
    """--reveal records a look that spends, shows the effect, and says both; unasked it does nothing of it."""
    assert run(["review", "--as-of", "2026-03-09", "--reveal", "cart"]) == 2
    assert "say --yes" in capsys.readouterr().err
    assert looks() == []
    out, _ = reviewed(capsys, "--as-of", "2026-03-09", "--reveal", "cart", "--yes")
    assert "Look 1 is recorded, which was not planned and spends all the same" in out
    assert "conversion: ship-free +" in out
    assert looks() == [(1, False)]


def test_a_dry_run_writes_nothing(capsys):
    """No look and no file; it says what would be recorded, and keeps back what that look would show."""
    out, err = reviewed(capsys, "--as-of", "2026-03-14", "--dry-run", "--reveal", "cart", "-o", "dry.html")
    assert "WOULD BE RECORDED cart: Look 1 would be recorded, as planned, at 59%" in out
    assert "withheld until the first look" in out
    assert err == ""
    assert looks() == []
    assert not Path("dry.html").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--reveal", "card"], "no experiment 'card'"),
        (["--as-of", "2999-01-01"], "lies in the future"),
        (["-o", "nowhere/review.html"], "no folder 'nowhere'"),
        (["-o", "."], "is a directory"),
    ],
)
def test_what_is_refused_records_nothing(capsys, arguments, said):
    """An unknown key, a day to come, a page that cannot be written: exit code 2 before any look."""
    assert run(["review", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert looks() == []


def test_a_failing_health_check_is_no_failure_of_the_command(capsys):
    """A wrong split: the row says so and no look is recorded, with exit code 0."""
    rows = [f"x{i},ship-free,{(START + timedelta(minutes=i)).isoformat()}" for i in range(900)]
    Path("more.csv").write_text("\n".join(["visitor,arm,at", *rows]), encoding="utf-8")
    options = ["--arm", "arm", "--visitor", "visitor", "--at", "at"]
    assert run(["import", "exposures", "more.csv", "--experiment", "cart", *options]) == 0
    out, _ = reviewed(capsys, "--as-of", "2026-03-14")
    assert "UNHEALTHY cart (running, checkout team): Do not read." in out
    assert looks() == []


def test_without_a_store_there_is_an_error(capsys):
    """No store is made by reviewing one."""
    assert run(["review", "--db", "sqlite:///other.db"]) == 3
    assert not Path("other.db").exists()
