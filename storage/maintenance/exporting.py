"""All of a store as files that any warehouse reads: one Parquet or CSV file a table."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Table

from ...errors import InputError, StoreError, known_or_nearest
from ..engine import reading
from ..store import Store
from .files import CsvWriter, ParquetWriter, Writer
from .relations import EXPORTED, Field, relation

__all__ = ["ExportedFile", "Format", "export_store", "exported_tables"]

Format = Literal["parquet", "csv"]

BATCH = 20_000
"""Rows that are in memory at a time."""


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file that was written, and how many rows it has."""

    table: str
    path: Path
    rows: int


def exported_tables() -> list[str]:
    """Names of the tables that an export has."""
    return [table.name for table in EXPORTED]


def export_store(
    store: Store, folder: Path, *, format: Format = "parquet", names: Sequence[str] = (), force: bool = False
) -> list[ExportedFile]:
    """Write tables of a store to `folder`/TABLE.parquet or .csv, all in the state of one moment.

    Ids are text, times UTC timestamps of microseconds, money decimals in major units with their currency beside them.
    Files are written elsewhere and then moved, so that none is ever there by half.

    Args:
        store: to read from.
        folder: where the files go; made where it is missing.
        format: Parquet needs pyarrow.
        names: tables to write; all where none is named.
        force: whether files of an earlier export are replaced.

    Raises:
        InputError: an unknown table or format; files that are there already, without `force`.
        StoreError: pyarrow is not installed; the store cannot be read.
        OSError: the files cannot be written.
    """
    chosen = _chosen(names)
    writer = _writer(format)
    paths = {table.name: folder / f"{table.name}.{format}" for table in chosen}
    there = sorted(path.name for path in paths.values() if path.exists())
    if there and not force:
        raise InputError(
            f"{folder} has {', '.join(there)} already", hint="Give another folder, or replace them with --force."
        )
    with _beside(folder) as elsewhere, reading(store.engine) as connection:
        counts = {
            table.name: _write(connection, table, writer, store.currency, elsewhere / paths[table.name].name)
            for table in chosen
        }
        folder.mkdir(exist_ok=True)
        for path in paths.values():
            (elsewhere / path.name).replace(path)
    return [ExportedFile(name, paths[name], count) for name, count in counts.items()]


def _chosen(names: Sequence[str]) -> list[Table]:
    known = exported_tables()
    for name in names:
        if name not in known:
            raise InputError(f"no table {name!r} to export", hint=known_or_nearest(name, known))
    return [table for table in EXPORTED if not names or table.name in names]


def _writer(format: str) -> type[Writer]:
    if format == "csv":
        return CsvWriter
    if format != "parquet":
        raise InputError(f"an export is parquet or csv, seen {format!r}")
    try:
        import pyarrow.parquet  # noqa: F401 - only to see whether it is there
    except ImportError as error:
        raise StoreError(
            f"Parquet needs pyarrow, which is missing: {error}",
            hint="Install it: pip install 'offerlift[parquet]', or export CSV.",
        ) from error
    return ParquetWriter


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A folder on the same disk, gone afterwards: moving a file from there is one step."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Where the folder is a mount of its own, only inside it is the same disk.
    elsewhere = Path(tempfile.mkdtemp(prefix=".offerlift-export-", dir=folder if folder.is_dir() else folder.parent))
    try:
        yield elsewhere
    finally:
        shutil.rmtree(elsewhere, ignore_errors=True)


def _write(connection: Connection, table: Table, writer: type[Writer], currency: str, path: Path) -> int:
    statement, fields = relation(table)
    rows = 0
    with writer(path, fields, currency) as file:
        # The server hands the rows out batch by batch; without this the driver fetches all of them first.
        result = connection.execution_options(yield_per=BATCH).execute(statement)
        for batch in result.partitions():
            file.write(_columns(batch, fields))
            rows += len(batch)
    return rows


def _columns(rows: Sequence[Any], fields: Sequence[Field]) -> dict[str, Sequence[Any]]:
    return {field.name: column for field, column in zip(fields, zip(*rows, strict=True), strict=True)}
