"""What is said differently to each engine: inserting what is not there yet, and matching many keys at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Table, bindparam, column, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.sql.compiler import DDLCompiler

from ..errors import StoreError
from .engine import checkpoint
from .tables import covariate, exposure, outcome, visitor

__all__ = ["insert_missing", "matches", "settle"]

Row = dict[str, Any]


def insert_missing(connection: Connection, table: Table, rows: Sequence[Row]) -> int:
    """Insert the rows whose key is not stored yet; how many were inserted.

    All rows have the same fields. Rows whose key another transaction has stored meanwhile are left out silently: a
    caller that must know compares the count.
    """
    if not rows:
        return 0
    try:
        return _INSERTS[connection.dialect.name](connection, table, rows)
    except KeyError:
        raise StoreError(f"writing to {connection.dialect.name} is not supported") from None


def _sqlite(connection: Connection, table: Table, rows: Sequence[Row]) -> int:
    statement = sqlite.insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
    return connection.execute(statement, list(rows)).rowcount


def _postgresql(connection: Connection, table: Table, rows: Sequence[Row]) -> int:
    # One array a column and one statement: an executemany sends every row by itself.
    names = list(rows[0])
    arrays = [bindparam(f"{name}_", type_=postgresql.ARRAY(table.c[name].type)) for name in names]
    source = func.unnest(*arrays).table_valued(*(column(name) for name in names)).render_derived()
    statement = postgresql.insert(table).from_select(names, select(*(source.c[name] for name in names)))
    values = {f"{name}_": [row[name] for row in rows] for name in names}
    return (
        connection.execution_options(preserve_rowcount=True)
        .execute(statement.on_conflict_do_nothing(), values)
        .rowcount
    )


_INSERTS: dict[str, Callable[[Connection, Table, Sequence[Row]], int]] = {
    "sqlite": _sqlite,
    "postgresql": _postgresql,
}


def matches(connection: Connection, field: ColumnElement[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """The condition that a field is one of the values."""
    if connection.dialect.name == "postgresql":
        # One array instead of thousands of parameters.
        return field == func.any(bindparam(None, list(values), type_=postgresql.ARRAY(field.type)))
    return field.in_(values)


def settle(engine: Engine) -> None:
    """After a large write: let the next reader plan and read well.

    PostgreSQL plans with statistics that its own daemon collects only after a minute; until then it may join a fresh
    table row by row. SQLite's write-ahead log grew to 500 MB when left alone.
    """
    if engine.dialect.name == "sqlite":
        checkpoint(engine)
    elif engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            for table in (visitor, exposure, outcome, covariate):
                connection.execute(Analyze(table))


class Analyze(ExecutableDDLElement):
    """PostgreSQL's ANALYZE of one table."""

    def __init__(self, table: Table):
        self.table = table


@compiles(Analyze, "postgresql")
def _compile_analyze(element: Analyze, compiler: DDLCompiler, **_: Any) -> str:
    return f"ANALYZE {compiler.preparer.format_table(element.table)}"
