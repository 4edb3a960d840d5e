"""The tables of docs/measured.md hold: rows of theirs, drawn again with fewer runs, within 3.5 Monte Carlo errors."""

from __future__ import annotations

import importlib
import math
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "measured.md"

ROWS = [
    ("rule", 0, 1_000),
    ("rule", 12, 500),
    ("rule", 26, 500),
    ("peeking", 0, 300),
    ("peeking", 3, 100),
    ("revenue", 0, 2_000),
    ("revenue", 7, 2_000),
    ("revenue", 26, 1_000),
    ("revenue_lift", 1, 1_500),
    ("revenue_lift", 24, 1_000),
    ("conversion", 0, 20_000),
    ("conversion", 16, 20_000),
    ("adjusted", 1, 500),
    ("adjusted", 8, 300),
    ("permutation", 4, 150),
    ("bootstrap", 0, 150),
    ("posteriors", 5, 300),
    ("demand", 0, 1_000),
    ("choice", 1, 300),
    ("doses", 0, 500),
    ("bunching", 1, 500),
    ("incremental", 1, 500),
    ("money", 4, 2_000),
    ("programme", 4, 500),
    ("experience", 1, 500),
    ("course", 2, 100),
    ("factorial", 0, 1_000),
    ("factorial", 3, 1_000),
    ("factorial_tests", 1, 200),
    ("best_cell", 4, 60),
    ("segments", 1, 40),
    ("overlaps", 1, 40),
    ("clusters", 3, 100),
    ("clusters", 15, 100),
]
"""Table, number of the row, runs."""


@pytest.fixture(scope="module")
def tables():
    """The tables of benchmarks/coverage.py, by name."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return importlib.import_module("coverage_tables").TABLES
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


def tabulated(title):
    """The rows of a table on the page, each by its column's name."""
    section = PAGE.read_text(encoding="utf-8").split(f"## {title}\n")[1].split("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


@pytest.mark.parametrize(("name", "number", "runs"), ROWS)
def test_row(tables, name, number, runs):
    """Every share of a row is what the page says, but for chance: of this run and of the page's together."""
    table = tables[name]
    page = tabulated(table.title)
    assert len(page) == len(table.cells)
    known = page[number]
    found = table.row(number, runs / table.runs(table.cells[number]))
    assert found["runs"] == runs
    compared = 0
    for column, value in found.items():
        match = re.fullmatch(r"([\d.]+) ± ([\d.]+)", known[column])
        if match is None:
            continue
        share, error = float(match[1]), float(match[2])
        here = math.sqrt(max(share * (1 - share), 1 / value.runs) / value.runs)
        assert abs(value.value - share) <= 3.5 * math.hypot(here, error), (column, value.value, share)
        compared += 1
    assert compared >= 2
