"""Paragraphs and columns of a terminal's page, at most 100 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

__all__ = ["WIDTH", "printable", "short", "table", "wrapped"]

WIDTH = 100
NAME = 24


def table(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """Columns as wide as their widest cell, two spaces apart; right-aligned but for those in `left`."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [f"{c:<{w}}" if at in left else f"{c:>{w}}" for at, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return lines


def wrapped(text: str, indent: str = "  ") -> list[str]:
    """A paragraph in lines of at most 100 columns."""
    text = printable(text)
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def printable(text: str) -> str:
    """Names come from files: escape sequences in them must not reach a terminal."""
    return "".join(character if character.isprintable() else "�" for character in text)


def short(name: str) -> str:
    """A name cut to a column's width."""
    name = printable(name)
    return name if len(name) <= NAME else name[: NAME - 1] + "…"
