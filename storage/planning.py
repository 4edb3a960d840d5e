"""What a planner is told, where it would otherwise take the wrong way through an analysis."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, FromClause, Integer, Join, Subquery, select, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

__all__ = ["SEEKS", "InOrder", "dealt_out", "is_rarely", "scanned"]

SEEKS = 8
"""How many rows SQLite scans in the time of a search for one."""

DEALT = 500_000
"""How many rows Spark is to group in one part: some fifty megabytes of groups."""

OUTCOME = {"visitor_id", "event_id", "at", "value", "cost", "currency", "reporting_value", "reporting_cost"}
"""What an analysis reads of an outcome."""


class is_rarely(FunctionElement[int]):  # noqa: N801 - written like SQLAlchemy's own functions
    """Whether a column of whole numbers has a value that few rows have.

    Of two events DuckDB expects each in half of the outcomes, and so builds its hash table over the exposures, which
    are ten times as many as the purchases. It takes each condition to be true of a fifth of the rows.
    """

    # Boolean would be compared to 1 where a database has no such type.
    type = Integer()
    inherit_cache = True


@compiles(is_rarely)
def _compile(element: is_rarely, compiler: SQLCompiler, **options: Any) -> str:
    column, value = element.clauses
    return compiler.process(column == value, **options)


@compiles(is_rarely, "duckdb")
def _compile_duckdb(element: is_rarely, compiler: SQLCompiler, **options: Any) -> str:
    column, value = (compiler.process(one, **options) for one in element.clauses)
    # Remainders by primes past any number of events: true where the first is, which the planner cannot know.
    again = (f" AND {column} % {prime} = {value} % {prime}" for prime in (1_000_000_007, 1_000_000_009))
    return f"({column} = {value}{''.join(again)})"


class InOrder(Join):
    """A join that SQLite does in this order: for each row on the left it looks for those on the right."""

    inherit_cache = True


@compiles(InOrder, "sqlite")
def _compile_in_order(element: InOrder, compiler: SQLCompiler, **options: Any) -> str:
    options |= {"asfrom": True}
    assert element.onclause is not None
    left, right, condition = (
        compiler.process(part, **options) for part in (element.left, element.right, element.onclause)
    )
    return f"{left} CROSS JOIN {right} ON {condition}"


def scanned(outcome: FromClause, condition: ColumnElement[bool]) -> Subquery:
    """The outcomes that meet the condition, read in the order of their key.

    SQLite would prefer any index that has the condition's columns, and look up each row that it finds there. A subquery
    with a limit is not merged into the statement around it.
    """
    read = (column for column in outcome.c if column.name in OUTCOME)
    return select(*read).where(condition).limit(-1).subquery("scanned")


def dealt_out(rows: Subquery, key: str, number: int) -> Subquery:
    """The rows, of which there are about that number, those of one key together, before Spark groups by it.

    Otherwise it groups where the rows are and then again where it has sent the groups. Where most have one row the
    first is in vain, and takes a third of the time. And it would make as few parts as there are cores, whose groups,
    once they do not fit into memory, are sorted instead: at ten million rows that takes one and a half times as long.
    """
    parts = -(-number // DEALT)
    hint = text(f"/*+ REPARTITION({f'{parts}, ' if parts > 1 else ''}{key}) */")
    return select(rows).prefix_with(hint, dialect="spark").subquery(rows.name)
