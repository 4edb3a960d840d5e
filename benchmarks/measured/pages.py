"""From tables to a page: the command line of the measurements."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from pathlib import Path

from .tables import Row, Table, markdown, plain

__all__ = ["make_page"]

QUICK = 0.05
"""The share of the runs that --quick takes."""


def make_page(description: str | None, module: str, introduction: str) -> None:
    """Measure the tables of a module's `TABLES`, as the command line says, and print or write the page.

    Rows are made in processes of their own, which find the tables by the module's name.
    """
    tables: Mapping[str, Table] = import_module(module).TABLES
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a twentieth of the runs, for a first look")
    parser.add_argument("--table", action="append", choices=sorted(tables), help="only this table; may be repeated")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of Markdown")
    parser.add_argument("--write", type=Path, help="write the page to this file")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="default: one a core")
    options = parser.parse_args()
    chosen = [tables[name] for name in options.table or tables]
    with ProcessPoolExecutor(options.processes) as pool:
        found = {table.name: _measured(module, table, QUICK if options.quick else 1.0, pool) for table in chosen}
    if options.json:
        print(json.dumps({name: [plain(row) for row in rows] for name, rows in found.items()}, indent=1))
        return
    page = "\n".join([introduction, *(markdown(table, found[table.name]) for table in chosen)])
    if options.write is None:
        print(page)
    else:
        options.write.write_text(page, encoding="utf-8")


def _measured(module: str, table: Table, scale: float, pool: ProcessPoolExecutor) -> list[Row]:
    """All rows of a table, in order; progress on stderr."""
    waiting = [pool.submit(_row, module, table.name, number, scale) for number in range(len(table.cells))]
    rows = []
    for number, one in enumerate(waiting, start=1):
        rows.append(one.result())
        print(f"{table.name}: {number} of {len(waiting)}", file=sys.stderr)
    return rows


def _row(module: str, name: str, number: int, scale: float) -> Row:
    return import_module(module).TABLES[name].row(number, scale)
