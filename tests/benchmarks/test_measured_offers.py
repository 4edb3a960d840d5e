"""The tables of docs/measured-offers.md hold: rows of theirs, from other seeds, within 3.5 Monte Carlo errors."""

from __future__ import annotations

import importlib
import math
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "measured-offers.md"

ROWS = [
    ("promotions", 0),
    ("promotions", 2),
    ("effects", 0),
    ("anyway", 1),
    ("anyway_phases", 0),
    ("factors", 0),
    ("factors", 1),
    ("priced", 1),
    ("priced_phases", 2),
    ("depths", 1),
    ("threshold", 1),
    ("course_after", 2),
    ("segmented", 0),
    ("segmented", 1),
    ("agents", 2),
    ("agents_phases", 2),
    ("overlapping", 0),
    ("holdout", 0),
    ("programmes", 1),
    ("week_more", 1),
]
"""Table and number of the row."""

RUNS = 200
OTHER_SEED = 77_000


@pytest.fixture(scope="module")
def tables():
    """The tables of benchmarks/offers.py, by name."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return importlib.import_module("offer_tables").TABLES
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


def tabulated(title):
    """The rows of a table on the page, each by its column's name."""
    section = PAGE.read_text(encoding="utf-8").split(f"## {title}\n")[1].split("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


@pytest.mark.parametrize(("name", "number"), ROWS)
def test_row(tables, name, number):
    """Every share and average of a row is what the page says, but for chance: of this run and the page's together."""
    table = tables[name]
    page = tabulated(table.title)
    assert len(page) == len(table.cells)
    known = page[number]
    found = table.measure(table.cells[number], RUNS, OTHER_SEED + number)
    compared = 0
    for column, value in found.items():
        match = re.fullmatch(r"(-?[\d.]+) ± ([\d.]+)", known[column])
        if match is None:
            continue
        said, error = float(match[1]), float(match[2])
        here = value.error
        if type(value).__name__ == "Share":
            here = math.sqrt(max(said * (1 - said), 1 / value.runs) / value.runs)
        assert abs(value.value - said) <= 3.5 * math.hypot(here, error), (column, value.value, said)
        compared += 1
    assert compared >= 2


def test_every_table_took_a_thousand_seeds(tables):
    """No row of the page was made with fewer."""
    for table in tables.values():
        assert all(int(row["runs"].replace(",", "")) >= 1_000 for row in tabulated(table.title))


def test_every_table_is_held(tables):
    """A row of each table is drawn again above."""
    assert {name for name, _ in ROWS} == set(tables)


def test_a_promotion_that_loses_money_never_shipped(tables):
    """Of a thousand seeds a row, not one ended in `ship`, though conversion truly rises and margin truly falls."""
    for row in tabulated(tables["promotions"].title):
        assert row["ship"].startswith("0.0000 ±")
        assert float(row["true margin"]) < 0 < float(row["true conversion"])


COVERED = {
    "anyway_phases": ("incremental share", "its cost", "cost of the others", "cost an incremental order",
                      "break-even lift"),
    "priced_phases": ("coverage of elasticity", "margin at low", "margin at list", "margin at high", "linear"),
    "agents_phases": ("cluster-robust",),
    "holdout": ("conversion", "repeat rate", "margin of a week", "margin of three months", "its lift",
                "money of half a year"),
}  # fmt: skip
"""Columns that are coverage of a 95 % interval."""


@pytest.mark.parametrize("name", COVERED)
def test_intervals_cover(tables, name):
    """Over phases and of a holdout, each interval holds the truth in 95 % of the runs, but for chance."""
    for row in tabulated(tables[name].title):
        for column in COVERED[name]:
            share, error = (float(one) for one in row[column].split(" ± "))
            assert abs(share - 0.95) <= 3.5 * error, (row, column)


def test_visitors_of_all_phases_together_are_wrong(tables):
    """What strata are for: with the split moving along with demand, the pooled interval never holds the truth."""
    for name, column in (("anyway_phases", "share, phases together"), ("priced_phases", "elasticity, phases together")):
        assert all(row[column].startswith("0.0000 ±") for row in tabulated(tables[name].title))
