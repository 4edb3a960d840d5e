"""What a command prints, and the one decorator that lets the caller choose its format: text, JSON, CSV or Markdown.

A command returns an `Output`, decorated with `prints`; nothing else writes to standard output.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import PurePath
from typing import Any, Literal

import click

__all__ = ["Format", "Output", "has_colour", "jsonable", "printable", "prints", "table"]

Format = Literal["text", "json", "csv", "markdown"]
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Output:
    """One answer in every format; what a function gives is made only when its format is asked for.

    Attributes:
        text: for a terminal, without a final newline; nothing is printed of an empty one.
        document: for JSON: records, mappings, sequences, times and numbers.
        rows: for CSV, each with the same columns: raw numbers, aware times, None where there is none.
        markdown: for a chat; None: the text as a block of code, which every chat leaves as it is.
        findings: whether the command ends with exit code 1.
    """

    text: str | Callable[[], str]
    document: Any
    rows: Rows | Callable[[], Rows]
    markdown: Callable[[], str] | None = None
    findings: bool = False


def prints(command: Callable[..., Output]) -> Callable[..., Any]:
    """Give a command `--format` and `--json`, and print the `Output` that it returns."""

    @click.option(
        "--format",
        "chosen",
        type=click.Choice(["text", "json", "csv", "markdown"]),
        help="How it is printed: text for a terminal (the default), json, csv for a spreadsheet, markdown for a chat.",
    )
    @click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
    @click.pass_context
    @functools.wraps(command)
    def printing(context: click.Context, /, *args: Any, chosen: Format | None, as_json: bool, **kwargs: Any) -> None:
        if as_json and chosen not in (None, "json"):
            raise click.UsageError(f"give either --json or --format {chosen}")
        output = context.invoke(command, *args, **kwargs)
        printed = _printed(output, "json" if as_json else chosen or "text")
        if printed:
            click.echo(printed)
        if output.findings:
            context.exit(1)

    return printing


def _printed(output: Output, chosen: Format) -> str:
    if chosen == "json":
        return json.dumps(jsonable(output.document), indent=2, ensure_ascii=False, allow_nan=False)
    if chosen == "csv":
        from ..reports.csv_text import csv_text

        return csv_text(output.rows() if callable(output.rows) else output.rows).rstrip("\n")
    if chosen == "markdown" and output.markdown is not None:
        return output.markdown()
    text = output.text() if callable(output.text) else output.text
    if chosen == "markdown":
        fence = "`" * max(3, 1 + _longest_run(text))
        return f"{fence}\n{click.unstyle(text)}\n{fence}"
    return text


def _longest_run(text: str) -> int:
    """The most backticks in a row."""
    longest = here = 0
    for character in text:
        here = here + 1 if character == "`" else 0
        longest = max(longest, here)
    return longest


def jsonable(value: Any) -> Any:
    """What JSON can say of records, mappings, sequences, times, paths and money.

    A number that JSON does not have stays, and `json.dumps` refuses it: it is a bug, not `NaN`.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: jsonable(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): jsonable(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, PurePath | Decimal) else value


def has_colour() -> bool:
    """Whether standard output is a terminal that may be coloured: https://no-color.org."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def printable(text: str) -> str:
    """The text with a mark in place of each character that a terminal would obey, on one line."""
    return "".join(character if character.isprintable() else "�" for character in text)


def table(rows: Iterable[Sequence[object]], *, right: Iterable[int] = ()) -> str:
    """Rows as columns that are as wide as their widest cell, two spaces apart.

    Names come from files: escape sequences in them must not reach a terminal.

    Args:
        rows: of the same length, the headings first.
        right: columns that are aligned to the right.
    """
    cells = [[printable(str(cell)) for cell in row] for row in rows]
    widths = [max(len(row[at]) for row in cells) for at in range(len(cells[0]))] if cells else []
    to_right = set(right)
    return "\n".join(
        "  ".join(
            f"{cell:>{width}}" if at in to_right else f"{cell:<{width}}"
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )
