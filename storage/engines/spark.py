"""Spark, from which is only read: how the statements of an analysis are run there, and what its errors mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NoReturn

from sqlalchemy import (
    TIMESTAMP,
    URL,
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Select,
    Table,
    cast,
    func,
    literal,
    text,
)
from sqlalchemy.exc import DBAPIError

from ...errors import StoreError
from ...experiments.definition import BUCKETS
from .base import TIMED_OUT, Database, Row, interrupt_after

__all__ = ["Spark"]


class Spark(Database):
    """Spark 4, by the dialect and the driver beside."""

    label = "Spark"
    driver = "spark"
    extra = "spark"
    deals_out = True
    hints: ClassVar[Mapping[str, str]] = {"operation_canceled": TIMED_OUT, "cancelled": TIMED_OUT}

    def limit_statements(self, engine: Engine, seconds: float) -> None:
        """By a timer that interrupts the session."""
        interrupt_after(engine, seconds)

    def begin_reading(self, connection: Connection) -> Connection:
        """There are no transactions: each statement sees the tables as they are when it begins."""
        return connection

    def table_names(self, connection: Connection) -> list[str]:
        """Of the session's database, temporary views included."""
        return sorted(name for _, name, *_ in connection.execute(text("SHOW TABLES")))

    def micros(self, at: ColumnElement[Any]) -> ColumnElement[int]:
        """By a function of that name; a time without a zone is cast in the session's, which is UTC."""
        return func.unix_micros(cast(at, TIMESTAMP(timezone=True)), type_=BigInteger)

    def is_conflict(self, error: DBAPIError) -> bool:
        """Never: nothing is written."""
        return False

    def is_unreachable(self, error: DBAPIError) -> bool:
        """A server that does not answer, which the driver has asked for a while already."""
        return False

    def is_missing_table(self, error: DBAPIError) -> bool:
        """By SQLSTATE, which is PostgreSQL's for a table."""
        return _state(error) in ("42P01", "42704")

    def is_missing_column(self, error: DBAPIError) -> bool:
        """By SQLSTATE."""
        return _state(error) == "42703"

    def exists_already(self, error: DBAPIError) -> bool:
        """Never: nothing is created."""
        return False

    def failure(self, url: URL, error: BaseException) -> StoreError:
        """With the driver's own hint, where it has one."""
        found = super().failure(url, error)
        found.hint = found.hint or getattr(error, "hint", None)
        return found

    def insert_missing(
        self, connection: Connection, table: Table, fields: tuple[str, ...], rows: Sequence[Row]
    ) -> NoReturn:
        """Refused."""
        raise _read_only()

    def update_rows(
        self, connection: Connection, table: Table, fields: tuple[str, ...], rows: Sequence[Row]
    ) -> NoReturn:
        """Refused."""
        raise _read_only()

    def locked(self, statement: Select[Any]) -> Select[Any]:
        """Nobody writes."""
        return statement

    def bucket(self, connection: Connection, salt: str, key: ColumnElement[str]) -> ColumnElement[int]:
        """By Spark's own md5."""
        digits = func.substr(func.md5(func.concat(literal(f"{salt}:"), key)), 1, 15)
        return cast(func.conv(digits, 16, 10), BigInteger) % BUCKETS


def _state(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _read_only() -> StoreError:
    return StoreError(
        "Spark is only read from", hint="A store is in SQLite, PostgreSQL, MySQL or DuckDB; give the URL of one."
    )
