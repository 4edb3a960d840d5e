"""Planned looks from the command line: what `analyze` and `report` show, and that they record nothing."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from offerlift.cli.app import run
from offerlift.reports import record_look
from offerlift.storage import Store

START = datetime(2026, 3, 2, tzinfo=UTC)
DEFINITION = """\
experiment: cart
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
    """A store with 1,000 of 2,000 planned visitors, a day apart from a look; 100 and 200 of 500 buy."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OFFERLIFT_DB", raising=False)
    Path("cart.yaml").write_text(DEFINITION, encoding="utf-8")
    assert run(["publish", "cart.yaml"]) == 0
    assert run(["start", "cart"]) == 0
    arms = [("control" if i % 2 else "ship-free", i) for i in range(1_000)]
    at = [(START + timedelta(minutes=i)).isoformat() for i in range(1_000)]
    exposures = [f"{i},{arm},{at[i]}" for arm, i in arms]
    bought = [i for arm, i in arms if i < (400 if arm == "ship-free" else 200)]
    outcomes = [f"o{i},{i},{at[i]},50,30" for i in bought]
    Path("exposures.csv").write_text("\n".join(["visitor,arm,at", *exposures]), encoding="utf-8")
    Path("outcomes.csv").write_text("\n".join(["id,visitor,at,value,cost", *outcomes]), encoding="utf-8")
    options = ["--visitor", "visitor", "--at", "at"]
    assert run(["import", "exposures", "exposures.csv", "--experiment", "cart", "--arm", "arm", *options]) == 0
    columns = ["--id", "id", "--value", "value", "--cost", "cost"]
    assert run(["import", "outcomes", "outcomes.csv", "--event", "purchase", *columns, *options]) == 0


CONVERSION = re.compile(r"\b40(\.0+)?%")
"""The conversion of the treatment, as a page would have it."""


def shown(capsys, *arguments: str) -> str:
    capsys.readouterr()
    assert run([*arguments]) == 0
    return capsys.readouterr().out


def test_effects_are_withheld_until_a_look_is_recorded(capsys):
    """Text, JSON, days and page have no effect before; `analyze` records no look; afterwards all have it."""
    found = json.loads(shown(capsys, "analyze", "cart", "--json"))
    assert {one["withheld"] for metric in found["metrics"] for one in metric["comparisons"]} == {True}
    assert found["progress"]["look_due"]
    assert "withheld" in shown(capsys, "analyze", "cart")
    days = json.loads(shown(capsys, "analyze", "cart", "--by", "day", "--json"))
    values = [v["value"] for day in days["days"] for metric in day["metrics"] for v in metric["arms"]]
    assert (days["withheld"], set(values)) == (True, {None})
    assert "metrics are withheld" in shown(capsys, "analyze", "cart", "--by", "day")
    assert run(["report", "cart", "-o", "page.html"]) == 0
    page = Path("page.html").read_text(encoding="utf-8")
    assert "withheld until the first planned look" in page
    assert not CONVERSION.search(page.split("</style>")[1])
    with Store.open("offerlift.db") as store:
        assert store.looks("cart") == ()
        assert record_look(store, "cart").look == 1
    assert run(["report", "cart", "-o", "page.html"]) == 0
    assert CONVERSION.search(Path("page.html").read_text(encoding="utf-8").split("</style>")[1])
    found = json.loads(shown(capsys, "analyze", "cart", "--json"))
    sequential = found["metrics"][0]["comparisons"][0]["sequential"]
    assert {"low", "high", "boundary", "look", "alpha_spent", "crossed", "lift"} <= sequential.keys()
    assert (sequential["look"], sequential["crossed"]) == (1, True)
    assert (found["decision"]["action"], found["decision"]["arm"]) == ("ship", "ship-free")
    assert "sequential" in shown(capsys, "analyze", "cart")
    early = json.loads(shown(capsys, "analyze", "cart", "--as-of", "2026-03-04", "--json"))
    assert {one["withheld"] for metric in early["metrics"] for one in metric["comparisons"]} == {True}
