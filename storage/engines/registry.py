"""Which module speaks to which database, by the name that a URL begins with; loaded when it is first asked for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from importlib import import_module
from typing import Any

from sqlalchemy import URL, ColumnElement, Connection, Engine, Select, Table

from ...errors import StoreError, known_or_nearest
from .base import Database, Row

__all__ = ["bucket_in_sql", "database_of", "insert_keys", "insert_missing", "locked", "matches", "update_rows"]

_MODULES = {
    "sqlite": ("sqlite", "SQLite"),
    "postgresql": ("postgresql", "PostgreSQL"),
    "mysql": ("mysql", "MySQL"),
    "mariadb": ("mysql", "MariaDB"),
    "duckdb": ("duckdb", "DuckDB"),
    "spark": ("spark", "Spark"),
}


def database_of(where: URL | Engine | Connection) -> Database:
    """What speaks to the database of a URL, an engine or a connection.

    Raises:
        StoreError: it is none of those that a store can be in.
    """
    name = where.get_backend_name() if isinstance(where, URL) else where.dialect.name
    if name not in _MODULES:
        raise StoreError(f"no such kind of database: {name}", hint=known_or_nearest(name, _MODULES))
    return _database(*_MODULES[name])


@cache
def _database(module: str, name: str) -> Database:
    return getattr(import_module(f".{module}", __package__), name)()


def insert_missing(connection: Connection, table: Table, fields: tuple[str, ...], rows: Sequence[Row]) -> int:
    """Insert the rows whose key is not stored yet; how many were inserted.

    A row has the values of the fields, in that order: int, float, str or None. Rows whose key another transaction
    has stored meanwhile are left out silently: a caller that must know compares the count.
    """
    return database_of(connection).insert_missing(connection, table, fields, rows) if rows else 0


def insert_keys(connection: Connection, table: Table, keys: Sequence[str]) -> dict[str, int]:
    """Insert the keys of a lookup table that are not stored yet.

    Returns the numbers that are known by that; a caller asks for the others, which may have been stored meanwhile.
    """
    return database_of(connection).insert_keys(connection, table, keys) if keys else {}


def update_rows(connection: Connection, table: Table, fields: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Write the rows, which have all fields of the primary key, over those of their keys."""
    if rows:
        database_of(connection).update_rows(connection, table, fields, rows)


def matches(connection: Connection, field: ColumnElement[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """The condition that a field is one of the values."""
    return database_of(connection).matches(field, values)


def locked(connection: Connection, statement: Select[Any]) -> Select[Any]:
    """The statement, locking the rows that it reads against other writers."""
    return database_of(connection).locked(statement)


def bucket_in_sql(connection: Connection, salt: str, key: ColumnElement[str]) -> ColumnElement[int]:
    """The bucket of a visitor under a salt, as an expression of this connection's database."""
    return database_of(connection).bucket(connection, salt, key)
