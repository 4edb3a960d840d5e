"""Files of rows, whatever their format: cells as text, rows that were left out, and records made of the others."""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import Generic, TypeVar, TypeVarTuple

from ..errors import InputError, OfferliftError, StoreError

__all__ = ["LONGEST_CELL", "Meaning", "Records", "Reject", "RowFile", "write_rejects"]

LONGEST_CELL = 131_072
"""Most characters of one cell, in every format: what Python's csv module reads."""

Given = TypeVarTuple("Given")
Record = TypeVar("Record")
Value = TypeVar("Value")


class Meaning(Enum):
    """What is read out of a column; a format whose columns have types refuses those that cannot say it."""

    ID = "an id"
    NAME = "a name"
    TIME = "a time"
    AMOUNT = "an amount"
    NUMBER = "a number"
    FLAG = "a conversion"


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was not taken: where it is in the file, why, and its cells.

    Attributes:
        line: its first line, the header included; of a file without lines, its row. From 1.
        reason: why.
        row: its cells by column.
        counted: what `line` counts, "line" or "row".
    """

    line: int
    reason: str
    row: Mapping[str, str] = field(default_factory=dict)
    counted: str = "line"

    @property
    def place(self) -> str:
        """Where the row is, such as "line 3"."""
        return f"{self.counted} {self.line}"


class RowFile(ABC):
    """A file of rows under named columns.

    A cell is text in every format, in one notation: what is not text in the file is written as a CSV file would have
    it, exactly, and what is missing is empty. So a value means the same wherever it comes from.

    Attributes:
        counted: what the numbers of the rows count: "line" or "row".
        columns: names of the columns.
        rejects: rows that were left out so far.
        read: rows seen so far, those included.
    """

    counted = "line"

    def __init__(self, path: Path, columns: Sequence[str]):
        self.path = path
        self.columns = list(columns)
        self.rejects: list[Reject] = []
        self.read = 0
        twice = sorted({name for name in columns if self.columns.count(name) > 1})
        if twice:
            raise InputError(f"{path} has columns of the same name: {', '.join(map(repr, twice))}")

    @property
    def names(self) -> Sequence[str]:
        """Columns of the cells that each row has: all of them, unless a format reads only those asked for."""
        return self.columns

    @abstractmethod
    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """Number and cells of each row; what cannot be read goes to `rejects`.

        Raises:
            InputError: the file is damaged, or has no rows.
        """

    def position(self, column: str, meaning: Meaning = Meaning.NAME) -> int:
        """Position of a column's cell in each row; to be asked before the rows are.

        Raises:
            InputError: there is none of that name, and the message lists those there are; it cannot have that meaning.
        """
        if column in self.columns:
            return self.columns.index(column)
        listed = ", ".join(map(repr, self.columns))
        raise InputError(f"{self.path} has no column {column!r}; it has {listed}", hint=self._hint(column))

    def field(
        self, column: str, meaning: Meaning, parse: Callable[[str, *Given], Value]
    ) -> Callable[[list[str], *Given], Value]:
        """What reads the value of a column out of a row's cells; its errors name the column. Errors as `position`."""
        position = self.position(column, meaning)

        def read(cells: list[str], *given: *Given) -> Value:
            try:
                return parse(cells[position], *given)
            except InputError as error:
                raise _in_column(column, error) from None

        return read

    def optional(
        self, column: str | None, meaning: Meaning, parse: Callable[[str, *Given], Value]
    ) -> Callable[[list[str], *Given], Value | None]:
        """Likewise of a column that a file may lack (None) and of cells that may be empty: None is read there."""
        if column is None:
            return lambda _cells, *_given: None
        position = self.position(column, meaning)

        def read(cells: list[str], *given: *Given) -> Value | None:
            text = cells[position].strip()
            try:
                return parse(text, *given) if text else None
            except InputError as error:
                raise _in_column(column, error) from None

        return read

    def reject(self, line: int, reason: str, cells: Sequence[str]) -> None:
        """Leave a row out."""
        self.rejects.append(Reject(line, reason, dict(zip(self.names, cells, strict=False)), self.counted))

    def _hint(self, missing: str) -> str | None:
        folded = {name.casefold(): name for name in self.columns}
        near = get_close_matches(missing.casefold(), folded, n=1, cutoff=0.6)
        return f"Did you mean {folded[near[0]]!r}?" if near else None


class Records(Generic[Record]):
    """The records of a file, one a row; iterate once. Rows that make no record go to `rejects`."""

    def __init__(self, file: RowFile, make: Callable[[list[str]], Record]):
        self.file = file
        self._make = make

    @property
    def rejects(self) -> list[Reject]:
        """Rows that were left out so far."""
        return self.file.rejects

    @property
    def read(self) -> int:
        """Rows seen so far."""
        return self.file.read

    def __iter__(self) -> Iterator[tuple[int, list[str], Record]]:
        """Line, cells and record of each row that makes one."""
        for line, cells in self.file:
            try:
                record = self._make(cells)
            except OfferliftError as error:
                self.file.reject(line, error.message, cells)
            else:
                yield line, cells, record


def _in_column(column: str, error: InputError) -> InputError:
    return InputError(f"column {column!r}: {error.message}", hint=error.hint)


def write_rejects(path: str | Path, rejects: Sequence[Reject]) -> None:
    """Write the rows that were left out as CSV: line (or row), reason, then the original cells.

    Raises:
        StoreError: the file cannot be written.
    """
    columns = list(dict.fromkeys(name for reject in rejects for name in reject.row))
    counted = rejects[0].counted if rejects else "line"
    try:
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([counted, "reason", *columns])
            for one in rejects:
                cells = [one.row.get(name, "") for name in columns]
                # What could not be decoded as text cannot be written as text either.
                writer.writerow(
                    [cell.encode(errors="replace").decode() for cell in [str(one.line), one.reason, *cells]]
                )
    except OSError as error:
        raise StoreError(f"cannot write the rejects to {path}: {error.strerror or error}") from error
