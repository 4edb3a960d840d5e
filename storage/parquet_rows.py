"""Parquet files, read batch by batch: typed columns become the cells that a CSV file of the same rows would have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ..errors import InputError, StoreError
from .rows import LONGEST_CELL, Meaning, RowFile

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ParquetFile"]

BATCH = 5_000
"""Rows that are in memory at a time."""

_BUFFER = 1 << 20
_SHOWN = 100

_ALLOWED = {
    Meaning.ID: ("text", "integer", "uuid"),
    Meaning.NAME: ("text", "integer", "uuid", "boolean"),
    Meaning.TIME: ("text", "time"),
    Meaning.AMOUNT: ("text", "integer", "decimal", "double"),
    Meaning.NUMBER: ("text", "integer", "decimal", "double"),
    Meaning.FLAG: ("text", "integer", "double", "boolean"),
}
_WORDS = {
    "text": "text",
    "integer": "an integer (or a decimal of scale 0)",
    "uuid": "a UUID",
    "boolean": "a boolean",
    "time": "a timestamp with a time zone",
    "decimal": "a decimal",
    "double": "a floating-point number",
}


class ParquetFile(RowFile):
    """A Parquet file; of its columns only those are read that `position` was asked for.

    Cells are text, exactly what is stored: integers and decimals in digits, doubles in the fewest digits that make the
    same double, timestamps in UTC, booleans as true and false, nulls empty.

    Raises:
        InputError: damaged, of a kind that pyarrow does not read, a name twice among the columns, no pyarrow.
        StoreError: the system does not let us read it.
    """

    counted = "row"

    def __init__(self, path: Path):
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise InputError(
                f"{path} is a Parquet file, and pyarrow is not installed",
                hint="Install it: pip install 'offerlift[parquet]'",
            ) from error
        # UnicodeDecodeError: the name of a column or a time zone that is no text.
        self._errors = (pa.ArrowException, OSError, UnicodeDecodeError)
        try:
            # Read as it comes instead of a whole row group at once, which may be the whole file.
            self._file = pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER, page_checksum_verification=True)
            schema = self._file.schema_arrow
            self._types = {one.name: (_kind(one.type), str(one.type)) for one in schema}
        except PermissionError as error:
            raise StoreError(f"cannot read {path}: {error.strerror or error}") from error
        except self._errors as error:
            raise InputError(
                f"cannot read {path}: {_first_line(error)}",
                hint="It begins as a Parquet file does and goes on otherwise: cut off or damaged, so fetch it again.",
            ) from error
        super().__init__(path, schema.names)
        self._asked: list[str] = []

    @property
    def names(self) -> Sequence[str]:
        """The columns that were asked for."""
        return self._asked

    def position(self, column: str, meaning: Meaning = Meaning.NAME) -> int:
        """Position of a column's cell in each row; to be asked before the rows are.

        Raises:
            InputError: there is none of that name, or its type cannot have that meaning.
        """
        super().position(column, meaning)
        kind, written = self._types[column]
        if kind is not None and kind not in _ALLOWED[meaning]:
            allowed = " or ".join(_WORDS[one] for one in _ALLOWED[meaning])
            raise InputError(
                f"{self.path}, column {column!r}: {meaning.value} is {allowed}; seen {written}",
                hint=_remedy(kind, meaning),
            )
        if column not in self._asked:
            self._asked.append(column)
        return self._asked.index(column)

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        for rows, columns in self._batches():
            long = {index for cells in columns for index, cell in enumerate(cells) if len(cell) > LONGEST_CELL}
            for index, cells in enumerate(zip(*columns, strict=True) if columns else repeat((), rows)):
                self.read += 1
                if index in long:
                    self._reject_long(cells)
                else:
                    yield self.read, list(cells)
        if not self.read:
            raise InputError(f"{self.path} has columns and no rows")

    def _batches(self) -> Iterator[tuple[int, list[list[str]]]]:
        """How many rows, and the cells of each column that was asked for."""
        try:
            for batch in self._file.iter_batches(BATCH, columns=self._asked, use_threads=False):
                yield batch.num_rows, [_texts(batch.column(name)) for name in self._asked]
        except self._errors as error:
            raise InputError(
                f"cannot read {self.path} after row {self.read}: {_first_line(error)}",
                hint="Fetch or write it again: plain Parquet without encryption, in a usual compression.",
            ) from error

    def _reject_long(self, cells: Sequence[str]) -> None:
        lengths = {name: len(cell) for name, cell in zip(self.names, cells, strict=True)}
        name = max(lengths, key=lambda one: lengths[one])
        short = [cell if len(cell) <= LONGEST_CELL else f"{cell[:_SHOWN]}..." for cell in cells]
        reason = f"column {name!r}: a cell has at most {LONGEST_CELL} characters, this one {lengths[name]}"
        self.reject(self.read, reason, short)


def _kind(of: pa.DataType) -> str | None:
    """What a type is to us, a key of _WORDS or else its own name; None: it has nothing but nulls."""
    from pyarrow import types

    if types.is_null(of):
        return None
    if types.is_dictionary(of):
        return _kind(of.value_type)
    if types.is_timestamp(of):
        return "time" if of.tz is not None else "naive"
    if types.is_date(of):
        return "date"
    if types.is_decimal(of):
        return "decimal" if of.scale else "integer"
    if _extension(of) == "arrow.uuid":
        return "uuid"
    for kind, is_one in (
        ("text", types.is_string),
        ("text", types.is_large_string),
        ("text", types.is_string_view),
        ("integer", types.is_integer),
        ("double", types.is_floating),
        ("boolean", types.is_boolean),
    ):
        if is_one(of):
            return kind
    return str(of)


def _extension(of: pa.DataType) -> str | None:
    return getattr(of, "extension_name", None)


def _remedy(kind: str, meaning: Meaning) -> str | None:
    if meaning is Meaning.TIME and kind == "naive":
        return (
            "Without its zone nobody knows which moment it is: write the column in UTC or with its zone, "
            "in pandas with .dt.tz_localize('Europe/Berlin')."
        )
    if meaning is Meaning.TIME and kind == "date":
        return "A day is no moment: write the time with its zone, such as the start of the day where the shop is."
    if meaning is Meaning.ID and kind in ("double", "decimal"):
        return "Write the ids as integers or text; pandas makes doubles of integers where some are missing."
    return None


def _texts(array: pa.Array) -> list[str]:
    """The cells of a column as text."""
    import pyarrow as pa
    from pyarrow import types

    of: Any = array.type
    if types.is_dictionary(of):
        # Each value is written once, however often it is repeated.
        values, indices = _texts(array.dictionary), array.indices.to_pylist()
        # Arrow does not check them: in a damaged file one may point anywhere.
        if any(index is not None and not 0 <= index < len(values) for index in indices):
            raise pa.ArrowInvalid("a value that its dictionary does not have")
        return ["" if index is None else values[index] for index in indices]
    if _extension(of) == "arrow.uuid":
        return ["" if raw is None else str(UUID(bytes=raw)) for raw in array.storage.to_pylist()]
    if types.is_timestamp(of):
        array = array.cast(pa.timestamp(of.unit, "UTC"))
    if types.is_floating(of):
        # The digits of what is stored, not the few that single precision is known by.
        array = array.cast(pa.float64())
    try:
        texts = array.cast(pa.string()).to_pylist()
    except UnicodeDecodeError:
        # Bytes that are no text stay what no check of a name, id or number lets through.
        raws = array.cast(pa.binary()).to_pylist()
        texts = [None if raw is None else raw.decode(errors="surrogateescape") for raw in raws]
    return ["" if text is None else text for text in texts]


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:300] or type(error).__name__
