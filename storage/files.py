"""Which kind of file it is: by its first bytes, whatever it is called."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from ..errors import InputError, StoreError
from .csv_rows import CsvFile
from .parquet_rows import ParquetFile
from .rows import RowFile

__all__ = ["open_rows"]

_PARQUET = b"PAR1"
_ENCRYPTED = b"PARE"
_GZIP = b"\x1f\x8b"


def open_rows(path: str | Path, *, encoding: str = "utf-8", delimiter: str = ",") -> RowFile:
    """The rows of a CSV file, plain or gzipped, or of a Parquet file.

    Args:
        path: one file.
        encoding: of a CSV file.
        delimiter: between the cells of a CSV file.

    Raises:
        InputError: it is missing, damaged or encrypted, or neither kind; pyarrow is not installed.
        StoreError: a folder, or a file that the system does not let us read.
    """
    path = Path(path)
    start = _first_bytes(path)
    if start == _PARQUET:
        return ParquetFile(path)
    if start == _ENCRYPTED:
        raise InputError(f"{path} is an encrypted Parquet file", hint="Write it again without encryption.")
    if start[:2] == _GZIP and _first_unpacked(path) == _PARQUET:
        raise InputError(f"{path} is a gzipped Parquet file", hint="Unpack it first: Parquet is compressed inside.")
    if start and path.suffix.lower() in (".parquet", ".pq"):
        raise InputError(
            f"{path} is no Parquet file: one begins with {_PARQUET!r}, seen {start!r}",
            hint="Fetch or write it again; if it is CSV, name it .csv.",
        )
    return CsvFile(path, encoding=encoding, delimiter=delimiter)


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4)
    except FileNotFoundError as error:
        raise InputError(f"no such file: {path}") from error
    except IsADirectoryError as error:
        raise StoreError(
            f"cannot read {path}: it is a folder",
            hint="Give one file; of several, import one after the other: a row that is there already changes nothing.",
        ) from error
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"not the name of a file: {str(path)!r} ({error})") from error


def _first_unpacked(path: Path) -> bytes:
    try:
        with gzip.open(path, "rb") as file:
            return file.read(4)
    except (EOFError, zlib.error, OSError):
        # Whoever reads on says where it is damaged.
        return b""
