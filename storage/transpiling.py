"""The statements of an analysis as text, in the SQL of warehouses that offerlift does not connect to.

SQLGlot (the extra `transpile`) turns PostgreSQL's SQL into theirs. Nothing is left to bind: every value is written into
the text, escaped as the dialect asks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Double, Select, event
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import CompileError
from sqlalchemy.sql import visitors
from sqlalchemy.sql.functions import FunctionElement

from ..errors import InputError, known_or_nearest
from ..experiments.snapshot import Published
from .origins import store_origin
from .reading import observed
from .tables import covariate, exposure, outcome

__all__ = ["DIALECTS", "analysis_statements", "transpile"]

DIALECTS = ("bigquery", "duckdb", "mysql", "postgres", "redshift", "snowflake", "spark", "sqlite", "trino")
"""What statements can be written in, by SQLGlot's names."""

_FACTS = {exposure, outcome, covariate}


class _ExplicitDouble(Double):
    def literal_processor(self, dialect: Any):
        """A number with a point is a DECIMAL to most warehouses, which rounds products."""

        def write(value: float) -> str:
            if not math.isfinite(value):
                raise ValueError(f"{value} cannot be written as a number")
            return f"CAST({float(value)!r} AS DOUBLE PRECISION)"

        return write


class _Source(PGDialect_psycopg):
    """The SQL that is transpiled from."""

    colspecs = {**PGDialect_psycopg.colspecs, Double: _ExplicitDouble}  # noqa: RUF012 - SQLAlchemy's own declaration
    # Without it, per cent signs are doubled for the driver.
    default_paramstyle = "named"
    supports_statement_cache = True


def transpile(statement: Select, dialect: str) -> str:
    """The statement in a dialect, all values inlined, without a semicolon.

    Raises:
        InputError: an unknown dialect, or a statement that it has no words for; SQLGlot is not installed.
    """
    try:
        import sqlglot
        from sqlglot.errors import ErrorLevel, SqlglotError
    except ImportError as error:
        raise InputError("SQLGlot is not installed", hint="Install it: pip install 'offerlift[transpile]'") from error
    if dialect not in DIALECTS:
        raise InputError(f"unknown dialect {dialect!r}", hint=known_or_nearest(dialect, DIALECTS))
    try:
        source = statement.compile(dialect=_Source(paramstyle="named"), compile_kwargs={"literal_binds": True})
        tree = sqlglot.parse_one(str(source), read="postgres")
        text = tree.sql(dialect, pretty=True, unsupported_level=ErrorLevel.RAISE)
        # What it writes, it must be able to read.
        sqlglot.parse_one(text, read=dialect)
    except (CompileError, SqlglotError) as error:
        raise InputError(f"the statement cannot be written for {dialect}: {error}") from error
    return text


def analysis_statements(connection: Connection, published: Published, as_of: int) -> list[Select]:
    """The statements that an analysis of a published version, as of a time in microseconds, sends for its numbers.

    They are those that the reader sends, recorded, and answered with no rows instead of being run. Where an answer
    makes the reader ask again (about the mean of a column whose squares would cancel), the second question is not here.
    """
    origin = store_origin(connection, published, as_of)
    # Not in the words that SQLite alone has for it.
    origin = replace(origin, sources=replace(origin.sources, sorts_groups=False))
    with _recorded(connection) as statements:
        observed(connection, published.state, origin)
    return statements


@contextmanager
def _recorded(connection: Connection) -> Iterator[list[Select]]:
    statements: list[Select] = []

    def record(_connection: object, statement: Any, many: Any, parameters: Any, _options: object) -> Any:
        # Other questions are answered as ever: what is in the store decides what is asked.
        if isinstance(statement, Select) and _sums_facts(statement):
            statements.append(statement)
            statement = statement.limit(0)
        return statement, many, parameters

    event.listen(connection, "before_execute", record, retval=True)
    try:
        yield statements
    finally:
        event.remove(connection, "before_execute", record)


def _sums_facts(statement: Select) -> bool:
    parts = (part for column in statement.selected_columns for part in visitors.iterate(column))
    return any(isinstance(part, FunctionElement) for part in parts) and not _FACTS.isdisjoint(
        visitors.iterate(statement)
    )
