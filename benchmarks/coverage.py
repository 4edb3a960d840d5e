"""What the methods do on simulated shops whose truth is known: the tables of docs/measured.md, made again.

    pip install -e . && python benchmarks/coverage.py [--quick] [--table NAME ...] [--json] [--write docs/measured.md]

Every share comes with its Monte Carlo standard error, and every row from a seed of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from coverage_tables import TABLES
from measured.tables import Row, Table, markdown, plain

QUICK = 0.05
"""The share of the runs that --quick takes."""

INTRODUCTION = """# Measured

What each method does on simulated shops whose truth is known, with the Monte Carlo standard error of each share.
`python benchmarks/coverage.py --write docs/measured.md` makes this page again (three quarters of an hour on two cores;
`--quick` takes a twentieth of the runs). Conversion of 2 % and 5 %, lognormal order values with the `sigma` named, one
order a buyer; `n` is the visitors of the smaller arm, and of each arm at 50/50. Not every cell should be .95: few
orders with heavy tails are too cautious at equal arms, and at unequal ones too bold, which is what the skew flag is
for.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a twentieth of the runs, for a first look")
    parser.add_argument("--table", action="append", choices=sorted(TABLES), help="only this table; may be repeated")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of Markdown")
    parser.add_argument("--write", type=Path, help="write the page to this file")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="default: one a core")
    options = parser.parse_args()
    tables = [TABLES[name] for name in options.table or TABLES]
    with ProcessPoolExecutor(options.processes) as pool:
        found = {table.name: measured(table, QUICK if options.quick else 1.0, pool) for table in tables}
    if options.json:
        print(json.dumps({name: [plain(row) for row in rows] for name, rows in found.items()}, indent=1))
        return
    page = "\n".join([INTRODUCTION, *(markdown(table, found[table.name]) for table in tables)])
    if options.write is None:
        print(page)
    else:
        options.write.write_text(page, encoding="utf-8")


def measured(table: Table, scale: float, pool: ProcessPoolExecutor) -> list[Row]:
    """All rows of a table, in order; progress on stderr."""
    waiting = [pool.submit(row_of, table.name, number, scale) for number in range(len(table.cells))]
    rows = []
    for number, one in enumerate(waiting, start=1):
        rows.append(one.result())
        print(f"{table.name}: {number} of {len(waiting)}", file=sys.stderr)
    return rows


def row_of(name: str, number: int, scale: float) -> Row:
    return TABLES[name].row(number, scale)


if __name__ == "__main__":
    main()
