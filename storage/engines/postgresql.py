"""PostgreSQL, by psycopg 3."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from sqlalchemy import (
    URL,
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    Table,
    bindparam,
    cast,
    column,
    event,
    extract,
    func,
    literal,
    select,
)
from sqlalchemy import table as table_clause
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError, OperationalError

from ...experiments.definition import BUCKETS
from .base import TIMED_OUT, Database, Row, on_connect
from .foreign import ColumnType, Kind
from .statistics import collect_statistics

__all__ = ["PostgreSQL"]

MANY = 1_000
"""Rows from which COPY pays for the table that it needs."""

_GIVEN = "offerlift_given"

# Deadlock, serialization failure.
_CONFLICT = {"40P01", "40001"}
# Undefined table, undefined schema.
_MISSING = {"42P01", "3F000"}
# Table or type, schema, row of a catalogue, object.
_EXISTS = {"42P07", "42P06", "23505", "42710"}

_OIDS: dict[Kind, tuple[int, ...]] = {
    "integer": (20, 21, 23),
    "number": (700, 701, 1700),
    "text": (18, 19, 25, 1042, 1043),
    # Day, time without and with a zone.
    "time": (1082, 1114, 1184),
}
_KINDS: dict[int, Kind] = {oid: kind for kind, oids in _OIDS.items() for oid in oids}


class PostgreSQL(Database):
    """PostgreSQL by psycopg 3."""

    label = "PostgreSQL"
    driver = "postgresql+psycopg"
    extra = "postgresql"
    has_schemas = True
    hints: ClassVar[Mapping[str, str]] = {
        "statement timeout": TIMED_OUT,
        "read-only": "The server or transaction is read-only; connect to the primary.",
        "disk space": "Free some space, then try again; what was acknowledged is stored.",
        "no space left": "Free some space, then try again; what was acknowledged is stored.",
        "password": "Check user and password in the URL.",
        "connect": "Check host, port and database in the URL, and that the server runs.",
        "permission denied": "Ask for CREATE and USAGE on the schema, or give another one with schema=; "
        "and for TEMPORARY on the database.",
        "does not exist": "Create it on the server, or check the URL.",
    }

    def options(self, url: URL) -> dict[str, Any]:
        """Look at a connection before it is used again: the server may have restarted meanwhile."""
        options: dict[str, Any] = {"pool_pre_ping": True}
        if url.drivername == self.driver:
            # A prepared statement keeps the plan that it got while the table was empty: minutes instead of seconds.
            options["connect_args"] = {"prepare_threshold": None}
        return options

    def limit_statements(self, engine: Engine, seconds: float) -> None:
        """By the server itself."""
        on_connect(engine, f"SET statement_timeout = {max(1, round(1000 * seconds))}")

    def only_read(self, engine: Engine) -> None:
        """By the server itself."""
        on_connect(engine, "SET default_transaction_read_only = on")

    def column_type(self, described: tuple[Any, ...]) -> ColumnType:
        """By the number that PostgreSQL gives each type."""
        return ColumnType(_KINDS.get(described[1], "other"), str(getattr(described, "type_display", described[1])))

    def micros(self, at: ColumnElement[Any]) -> ColumnElement[int]:
        """Of what PostgreSQL counts exactly, in decimals."""
        return cast(extract("epoch", at) * 1_000_000, BigInteger)

    def is_conflict(self, error: DBAPIError) -> bool:
        """Deadlocks and serialization failures."""
        return _state(error) in _CONFLICT

    def is_unreachable(self, error: DBAPIError) -> bool:
        """No answer, or one that says that it starts or stops."""
        return isinstance(error, OperationalError) and _state(error) in {None, "57P01", "57P02", "57P03"}

    def is_missing_table(self, error: DBAPIError) -> bool:
        """Undefined tables and schemas."""
        return _state(error) in _MISSING

    def is_missing_column(self, error: DBAPIError) -> bool:
        """Undefined columns."""
        return _state(error) == "42703"

    def exists_already(self, error: DBAPIError) -> bool:
        """Duplicate tables and schemas, and rows of the catalogue where two create the same at once."""
        return _state(error) in _EXISTS

    def configure(self, engine: Engine) -> None:
        """Let psycopg's COPY be said like any other statement, with its errors and events."""
        if engine.dialect.driver == "psycopg":
            event.listen(engine, "do_executemany", _copy)

    def insert_missing(self, connection: Connection, table: Table, fields: tuple[str, ...], rows: Sequence[Row]) -> int:
        """Few rows as one array a column, many by COPY: an executemany sends every row by itself."""
        copied = len(rows) >= MANY and connection.dialect.driver == "psycopg"
        source = _copied(connection, table, fields, rows) if copied else _unnested(table, fields, rows)
        statement = postgresql.insert(table).from_select(fields, select(*(source.c[name] for name in fields)))
        connection = connection.execution_options(preserve_rowcount=True)
        inserted = connection.execute(statement.on_conflict_do_nothing()).rowcount
        if copied:
            connection.exec_driver_sql(f"DROP TABLE pg_temp.{_GIVEN}")
        return inserted

    def insert_keys(self, connection: Connection, table: Table, keys: Sequence[str]) -> dict[str, int]:
        """In one statement, which returns what it inserted."""
        source = select(_unnested(table, ("key",), [(key,) for key in keys]).c.key)
        statement = postgresql.insert(table).from_select(["key"], source).on_conflict_do_nothing()
        return dict(connection.execute(statement.returning(table.c.key, table.c.id)).all())

    def matches(self, field: ColumnElement[Any], values: Collection[Any]) -> ColumnElement[bool]:
        """One array instead of thousands of parameters."""
        return field == func.any(bindparam(None, list(values), type_=postgresql.ARRAY(field.type)))

    def bucket(self, connection: Connection, salt: str, key: ColumnElement[str]) -> ColumnElement[int]:
        """By its md5, of UTF-8 bytes whatever the encoding of the database."""
        text = func.convert_to(literal(f"{salt}:").concat(key), "UTF8")
        digits = literal("x").concat(func.substr(func.md5(text), 1, 15))
        return cast(cast(digits, postgresql.BIT(60)), BigInteger) % BUCKETS

    def clock(self, connection: Connection) -> float | None:
        """By the server, whatever the time zone of the session."""
        return float(connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar_one())

    def table_bytes(self, connection: Connection, tables: Sequence[Table]) -> dict[str, int]:
        """With their indexes and what is stored out of line."""
        schema = (connection.get_execution_options().get("schema_translate_map") or {}).get(None)
        quoted = connection.dialect.identifier_preparer.quote
        sizes = {}
        for table in tables:
            name = quoted(table.name) if schema is None else f"{quoted(schema)}.{quoted(table.name)}"
            sizes[table.name] = connection.scalars(
                select(func.pg_total_relation_size(cast(literal(name), postgresql.REGCLASS)))
            ).one()
        return sizes

    def settle(self, engine: Engine) -> None:
        """Collect statistics: its own daemon does after a minute, until when a fresh table is joined row by row."""
        collect_statistics(engine)


def _unnested(table: Table, fields: Sequence[str], rows: Sequence[Row]) -> FromClause:
    """The rows as one array a column."""
    arrays = (
        bindparam(None, list(values), type_=postgresql.ARRAY(table.c[name].type))
        for name, values in zip(fields, zip(*rows, strict=True), strict=True)
    )
    return func.unnest(*arrays).table_valued(*(column(name) for name in fields)).render_derived()


def _copied(connection: Connection, table: Table, fields: Sequence[str], rows: Sequence[Row]) -> FromClause:
    """The rows in a table of this connection, until the transaction ends."""
    quote = connection.dialect.identifier_preparer.quote
    types = (f"{quote(name)} {table.c[name].type.compile(connection.dialect)}" for name in fields)
    connection.exec_driver_sql(f"CREATE TEMPORARY TABLE {_GIVEN} ({', '.join(types)}) ON COMMIT DROP")
    connection.exec_driver_sql(f"COPY pg_temp.{_GIVEN} FROM STDIN", list(rows))
    return table_clause(_GIVEN, *(column(name) for name in fields), schema="pg_temp")


def _copy(cursor: Any, statement: str, rows: Sequence[Row], _context: object) -> bool:
    """Whether the statement was a COPY, and has been done."""
    if not statement.startswith("COPY "):
        return False
    with cursor.copy(statement) as copying:
        for row in rows:
            copying.write_row(row)
    return True


def _state(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)
