"""CSV files, read row by row: plain or gzipped, with errors that name line, column and what to do."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from ..errors import InputError, StoreError
from .rows import Reject, RowFile

__all__ = ["CsvFile"]

MOST_LINES = 20
"""Most lines that one row may have, by line breaks inside quotes; more are taken for a quote that is not closed."""

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"


class CsvFile(RowFile):
    """A CSV file with a header.

    Iterating gives the line number and the cells of each row;
    rows of another width than the header, and lines that are not CSV, go to `rejects`.

    Raises:
        InputError: missing, damaged, empty, not in the encoding, a name twice in the header.
        StoreError: a folder, or a file that the system does not let us read.
    """

    def __init__(self, path: str | Path, *, encoding: str = "utf-8", delimiter: str = ","):
        path = Path(path)
        try:
            # Python's codecs include some that are no encodings of text files, such as base64.
            if "\n,a".encode(encoding).decode(encoding) != "\n,a":
                raise LookupError(encoding)
        except (LookupError, UnicodeError, ValueError):
            raise InputError(f"unknown encoding {encoding!r}", hint="Try utf-8, latin-1 or cp1252.") from None
        if len(delimiter) != 1 or delimiter in '\r\n"\0':
            raise InputError(f"a delimiter is one character, seen {delimiter!r}")
        self._delimiter = delimiter
        self._lines = _Lines(_lines(path, encoding))
        self._reader = csv.reader(self._lines, delimiter=delimiter, strict=True)
        try:
            header = self._next()
            while header == []:
                header = self._next()
        except csv.Error as error:
            raise InputError(
                f"{path}, line {self._reader.line_num}: not CSV ({error})",
                hint='Save it as CSV: lines that end in LF or CRLF, cells with line ends within quoted by ".',
            ) from error
        if header is None:
            raise InputError(f"{path} is empty", hint="The first line must name the columns.")
        columns = [name.strip() for name in header]
        # Spreadsheets write columns that were emptied once; they have no name and no cells.
        while len(columns) > 1 and not columns[-1]:
            columns.pop()
        self._spare = len(header) - len(columns)
        super().__init__(path, columns)

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        width = len(self.columns)
        while True:
            line = self._reader.line_num + 1
            try:
                cells = self._next()
            except csv.Error as error:
                self._reject_lines(line, str(error))
                continue
            if cells is None:
                break
            if not cells:
                continue
            self.read += 1
            if len(cells) > width and len(cells) <= width + self._spare and not any(cells[width:]):
                cells = cells[:width]
            if len(cells) == width:
                yield line, cells
            else:
                self._reject_ragged(line, cells)
        if not self.read:
            raise InputError(f"{self.path} has a header and no rows")

    def _hint(self, missing: str) -> str | None:
        if len(self.columns) == 1 and any(other in self.columns[0] for other in ";\t|"):
            other = max(";\t|", key=self.columns[0].count)
            shown = "tab" if other == "\t" else f"'{other}'"
            return f"The file seems to be separated by something else than {self._delimiter!r}: --delimiter {shown}."
        return super()._hint(missing)

    def _reject_ragged(self, line: int, cells: Sequence[str]) -> None:
        width = len(self.columns)
        row = dict(zip(self.columns, cells, strict=False))
        if len(cells) > width:
            row["..."] = self._delimiter.join(cells[width:])
        self.rejects.append(Reject(line, f"the row has {len(cells)} cells, the header {width}", row))

    def _reject_lines(self, first: int, reason: str) -> None:
        """Leave out every line that the row took: one quote that is not closed must not swallow rows unseen."""
        lines = self._lines.taken
        last = first + len(lines) - 1
        where = f"line {first} is" if last == first else f"lines {first} to {last} are"
        for number, text in enumerate(lines, first):
            self.read += 1
            self.rejects.append(Reject(number, f"{where} not CSV ({reason})", {"...": text.rstrip("\r\n")}))

    def _next(self) -> list[str] | None:
        self._lines.taken.clear()
        return next(self._reader, None)


class _Lines:
    """Lines for a csv reader; `taken` has those of the row that is being read."""

    def __init__(self, source: Iterator[str]):
        self._source = source
        self.taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self.taken) == MOST_LINES:
            raise csv.Error(f"a quote is not closed within {MOST_LINES} lines")
        line = next(self._source)
        self.taken.append(line)
        return line


def _lines(path: Path, encoding: str) -> Iterator[str]:
    """The decoded lines, one by one, so that a byte which cannot be decoded is reported with its place."""
    number, offset = 0, 0
    try:
        with _opened(path) as file:
            if "\n".encode(encoding) != b"\n":
                # Of UTF-16 and its like, bytes have no lines.
                yield from file.read().decode(encoding).splitlines(keepends=True)
                return
            for number, raw in enumerate(file, 1):
                skipped = (
                    len(_BOM) if number == 1 and raw.startswith(_BOM) and encoding.lower().startswith("utf") else 0
                )
                try:
                    text = raw[skipped:].decode(encoding)
                except UnicodeDecodeError as error:
                    seen = raw[skipped + error.start]
                    raise InputError(
                        f"{path}, line {number}: byte 0x{seen:02x} at offset {offset + skipped + error.start} "
                        f"is not {encoding}",
                        hint="Say which encoding it is, such as --encoding cp1252, or save the file as UTF-8.",
                    ) from error
                offset += len(raw)
                yield text
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: the byte at offset {error.start} is not {encoding}") from error
    except (UnicodeError, LookupError) as error:
        raise InputError(f"{path}, after line {number}: not {encoding} ({error})") from error
    except FileNotFoundError as error:
        raise InputError(f"no such file: {path}") from error
    except IsADirectoryError as error:
        raise StoreError(f"cannot read {path}: it is a folder") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(
            f"cannot read {path} after line {number}: {error}", hint="The file is damaged or cut off; copy it again."
        ) from error
    except OSError as error:
        raise StoreError(f"cannot read {path} after line {number}: {error.strerror or error}") from error


def _opened(path: Path) -> BinaryIO | gzip.GzipFile:
    file = path.open("rb")
    packed = file.read(2) == _GZIP
    file.seek(0)
    if not packed:
        return file
    file.close()
    return gzip.open(path, "rb")
