"""A table of measured shares with their Monte Carlo error, as Markdown and as plain data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Average", "Cell", "Row", "Share", "Table", "markdown", "plain", "share"]


@dataclass(frozen=True, slots=True)
class Share:
    """How often something happened in a number of independent runs."""

    hits: int
    runs: int

    @property
    def value(self) -> float:
        return self.hits / self.runs if self.runs else math.nan

    @property
    def error(self) -> float:
        """Monte Carlo standard error of the value; of one more hit and one more miss where it would be 0."""
        if not self.runs:
            return math.nan
        p = min(max(self.value, 1 / (self.runs + 2)), 1 - 1 / (self.runs + 2))
        return math.sqrt(p * (1 - p) / self.runs)

    def __str__(self) -> str:
        return f"{self.value:.4f} ± {self.error:.4f}" if self.runs else "-"


@dataclass(frozen=True, slots=True)
class Average:
    """The mean of a number over independent runs, with its Monte Carlo standard error."""

    value: float
    error: float
    runs: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Average:
        runs = len(values)
        if runs < 2:
            return cls(math.nan, math.nan, runs)
        mean = math.fsum(values) / runs
        return cls(mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (runs - 1) / runs), runs)

    def __str__(self) -> str:
        return f"{self.value:.4f} ± {self.error:.4f}" if self.runs > 1 else "-"


def share(hits: float, runs: int) -> Share:
    return Share(int(hits), int(runs))


Cell = str | int | float | Share | Average
Row = Mapping[str, Cell]


@dataclass(frozen=True)
class Table:
    """One table: how it is made, and what is to be seen in it.

    Attributes:
        name: what it is asked for by.
        title, note: one line each, above the table.
        cells: the parameters of each row.
        measure: (parameters, runs, seed) -> the row.
        runs: how many runs a row takes in full; by row where it depends on the parameters.
    """

    name: str
    title: str
    note: str
    cells: Sequence[Mapping[str, Cell]]
    measure: Callable[[Mapping[str, Cell], int, int], Row]
    runs: Callable[[Mapping[str, Cell]], int] = field(default=lambda _: 20_000)

    def row(self, number: int, scale: float) -> Row:
        """One row, from a seed of its own: rows can be made in any order and alone."""
        cell = self.cells[number]
        runs = max(int(self.runs(cell) * scale), 20)
        return {**cell, "runs": runs, **self.measure(cell, runs, 1_000 * (hash_of(self.name) % 1_000) + number)}


def hash_of(name: str) -> int:
    return sum((i + 1) * ord(letter) for i, letter in enumerate(name))


def markdown(table: Table, rows: Sequence[Row]) -> str:
    columns = list(rows[0])
    lines = [
        f"## {table.title}",
        "",
        table.note,
        "",
        "| " + " | ".join(columns) + " |",
        "|" + "---|" * len(columns),
        *("| " + " | ".join(_text(row[column]) for column in columns) + " |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def plain(row: Row) -> dict[str, object]:
    """A row for JSON: a share or an average as its value and error."""
    return {
        name: {"value": value.value, "error": value.error} if isinstance(value, Share | Average) else value
        for name, value in row.items()
    }


def _text(value: Cell) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value)
