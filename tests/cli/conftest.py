"""A small shop for the commands: one experiment with two planned looks, past its first one, that nobody has made."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from offerlift.cli.app import run

START = datetime(2026, 3, 2, tzinfo=UTC)
DEFINITION = """\
experiment: cart
owner: "=team*one*"
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


BUYERS = {"planned": {"control": 2, "ship-free": 4}, "otherwise": {"control": 4, "ship-free": 2}}
"""Of ten visitors of each arm, how many buy."""


@pytest.fixture(scope="session")
def shelf(tmp_path_factory):
    """Folders with a store of 1,200 of 2,000 planned visitors each, made once, for copying."""
    folder = tmp_path_factory.mktemp("shelf")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OFFERLIFT_DB", raising=False)
        for name, tenths in BUYERS.items():
            (folder / name).mkdir()
            patch.chdir(folder / name)
            fill_here(tenths)
    return folder


@pytest.fixture
def planned(shelf, tmp_path, monkeypatch):
    """The store in which 20 % of the control and 40 % of the arm buy, in the folder where commands look for one."""
    monkeypatch.delenv("OFFERLIFT_DB", raising=False)
    monkeypatch.delenv("OFFERLIFT_USER", raising=False)
    shutil.copytree(shelf / "planned", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def planned_otherwise(planned, shelf, tmp_path):
    """When called, the store becomes one with the arms' buyers exchanged."""
    return lambda: shutil.copytree(shelf / "otherwise", tmp_path, dirs_exist_ok=True)


def fill_here(tenths: dict[str, int]) -> None:
    """Make a store in the folder, in which so many of ten visitors of each arm buy."""
    Path("cart.yaml").write_text(DEFINITION, encoding="utf-8")
    rows = [
        (i, "control" if i % 2 else "ship-free", (START + timedelta(minutes=14.4 * i)).isoformat())
        for i in range(1_200)
    ]
    bought = [(i, at) for i, arm, at in rows if i // 2 % 10 < tenths[arm]]
    exposures = [f"{i},{arm},{at}" for i, arm, at in rows]
    outcomes = [f"o{i},{i},{at},50,30" for i, at in bought]
    Path("exposures.csv").write_text("\n".join(["visitor,arm,at", *exposures]), encoding="utf-8")
    Path("outcomes.csv").write_text("\n".join(["id,visitor,at,value,cost", *outcomes]), encoding="utf-8")
    amounts = ["--value", "value", "--cost", "cost"]
    for command in (
        ["publish", "cart.yaml"],
        ["start", "cart"],
        ["import", "exposures", "exposures.csv", "--experiment", "cart"],
        ["import", "outcomes", "outcomes.csv", "--event", "purchase", *amounts],
    ):
        assert run(command) == 0
