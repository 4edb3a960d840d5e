"""Files of an export, written batch by batch."""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any

from ..money import major_units
from ..times import from_micros
from .relations import Field

__all__ = ["CsvWriter", "ParquetWriter", "Writer"]

Columns = Mapping[str, Sequence[Any]]

DIGITS, PLACES = 20, 4
"""Of a decimal in Parquet: 2⁵³ minor units of any currency of ISO 4217, which have up to four places."""


class Writer(ABC):
    """A file of one relation; `write` takes the columns of some rows, as the store has them."""

    def __init__(self, path: Path, fields: Sequence[Field], currency: str):
        self._path = path
        self._fields = fields
        self._currency = currency

    @abstractmethod
    def __enter__(self) -> Writer: ...

    @abstractmethod
    def write(self, columns: Columns) -> None:
        """Append rows."""

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def _money(self, field: Field, columns: Columns) -> list[Decimal | None]:
        amounts = columns[field.name]
        currencies = [self._currency] * len(amounts) if field.currency is None else columns[field.currency]
        return [
            None if amount is None else major_units(amount, currency)
            for amount, currency in zip(amounts, currencies, strict=True)
        ]


class CsvWriter(Writer):
    """CSV in UTF-8 with a header: ISO times with Z, amounts with the places of their currency, nothing for NULL."""

    def __enter__(self) -> CsvWriter:
        self._file = self._path.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._rows.writerow([field.name for field in self._fields])
        return self

    def write(self, columns: Columns) -> None:
        """Append rows."""
        self._rows.writerows(zip(*(self._cells(field, columns) for field in self._fields), strict=True))

    def _cells(self, field: Field, columns: Columns) -> Sequence[Any]:
        values = columns[field.name]
        if field.kind == "time":
            return [None if value is None else _iso(value) for value in values]
        if field.kind == "money":
            return [None if value is None else f"{value:f}" for value in self._money(field, columns)]
        if field.kind == "flag":
            return ["true" if value else "false" for value in values]
        return values

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()


def _iso(micros: int) -> str:
    return from_micros(micros).isoformat(timespec="microseconds").replace("+00:00", "Z")


class ParquetWriter(Writer):
    """Parquet: strings, 64-bit integers, doubles, booleans, UTC timestamps of microseconds, and decimals for money."""

    def __enter__(self) -> ParquetWriter:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._arrow = pa
        types = {
            "text": pa.string(),
            "whole": pa.int64(),
            "number": pa.float64(),
            "time": pa.timestamp("us", tz="UTC"),
            "money": pa.decimal128(DIGITS, PLACES),
            "flag": pa.bool_(),
        }
        self._schema = pa.schema([pa.field(field.name, types[field.kind]) for field in self._fields])
        self._file = pq.ParquetWriter(self._path, self._schema, compression="zstd")
        return self

    def write(self, columns: Columns) -> None:
        """Append rows, as a group of their own."""
        arrays = [
            self._arrow.array(self._values(field, columns), type=self._schema.field(field.name).type)
            for field in self._fields
        ]
        self._file.write_batch(self._arrow.RecordBatch.from_arrays(arrays, schema=self._schema))

    def _values(self, field: Field, columns: Columns) -> Sequence[Any]:
        if field.kind == "money":
            return self._money(field, columns)
        return [bool(value) for value in columns[field.name]] if field.kind == "flag" else columns[field.name]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
