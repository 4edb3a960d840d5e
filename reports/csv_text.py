"""Rows as CSV for a spreadsheet: raw numbers, UTC times, and no cell that a spreadsheet would run as a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

__all__ = ["csv_text"]

FORMULA = ("=", "+", "-", "@", "\t", "\n")
"""What a text must not begin with: spreadsheets take it for a formula, which may send data away (CWE-1236)."""


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows with one header row, "" where there are none; each row has the same columns.

    Numbers have every digit and a point; True and False are `true` and `false`, None is an empty cell, times are in UTC
    and end in Z, the parts of a list stand between semicolons. A text that begins like a formula gets an apostrophe
    before it.
    """
    if not rows:
        return ""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(list(rows[0]))
    writer.writerows([_cell(value) for value in row.values()] for row in rows)
    return out.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"
    if isinstance(value, list | tuple):
        value = "; ".join(str(one) for one in value)
    # A bare carriage return would end the row in some readers, and Python 3.11 does not quote it.
    text = str(value).replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if text.startswith(FORMULA) else text
