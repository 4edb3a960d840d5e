"""A folder of Parquet files as a database: each file is a table, and so is each folder below with such files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...errors import StoreError

__all__ = ["check_folder", "is_folder", "parquet_views"]


def is_folder(database: str | None) -> bool:
    """Whether that is the path of a folder."""
    return bool(database) and Path(database or "").is_dir()


def check_folder(folder: Path) -> None:
    """See that it has tables.

    Raises:
        StoreError: there is no Parquet file.
    """
    if not _tables(folder):
        raise StoreError(
            f"the folder {folder} has no Parquet files",
            hint="A table is a file NAME.parquet there, or a folder NAME with such files.",
        )


def parquet_views(folder: Path) -> Iterator[str]:
    """A statement for each table, which gives it its name: that of the file without `.parquet`, or of the folder."""
    for name, path in _tables(folder).items():
        quoted = name.replace('"', '""')
        literal = str(path.absolute()).replace("'", "''")
        yield f"CREATE VIEW \"{quoted}\" AS SELECT * FROM read_parquet('{literal}')"


def _tables(folder: Path) -> dict[str, Path]:
    files = {one.stem: one for one in sorted(folder.glob("*.parquet")) if one.is_file()}
    # Spark writes a folder NAME.parquet.
    folders = {
        one.name.removesuffix(".parquet"): one / "**" / "*.parquet"
        for one in sorted(folder.iterdir())
        if one.is_dir() and next(one.rglob("*.parquet"), None) is not None
    }
    return folders | files
