"""What a kind of database has to answer so that a store can be in it."""

# ruff: noqa: B027 - an empty method is the right answer of every database that needs nothing there

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from sqlalchemy import URL, ColumnElement, Connection, Engine, Select, Table
from sqlalchemy.exc import DBAPIError

from ...errors import StoreError

__all__ = ["BUSY_SECONDS", "Database", "Row"]

BUSY_SECONDS = 30
"""How long one writer waits for another."""

Row = dict[str, Any]


class Database(ABC):
    """A kind of database: how it is connected to, what its errors mean, and what it says in words of its own.

    Attributes:
        label: its name in messages.
        driver: what a URL that names no driver gets, and what is tested.
        extra: of offerlift, that installs the driver; None where Python has it.
        has_schemas: whether one database holds several stores.
        hints: what to do next, by what the driver's message has in it (in lower case); the first that fits.
    """

    label: ClassVar[str]
    driver: ClassVar[str]
    extra: ClassVar[str | None] = None
    has_schemas: ClassVar[bool] = False
    hints: ClassVar[Mapping[str, str]] = {}

    # Connecting

    def check_address(self, url: URL, *, create: bool) -> None:
        """See that the database can be where the URL says, before anything is opened.

        Raises:
            StoreError: it cannot; or, without `create`, it is not there.
        """

    def options(self, url: URL) -> dict[str, Any]:
        """Arguments for SQLAlchemy's `create_engine`."""
        return {}

    def configure(self, engine: Engine) -> None:
        """Settle how its connections and transactions begin; called once, before the first."""

    def begin_reading(self, connection: Connection) -> Connection:
        """The connection, whose next transaction sees one state of the store throughout."""
        return connection.execution_options(isolation_level="REPEATABLE READ")

    def before_fork(self, engine: Engine) -> None:
        """Close what must not be open in two processes; the next use opens it again."""

    # Errors

    @abstractmethod
    def is_conflict(self, error: DBAPIError) -> bool:
        """Whether a transaction lost against another one, and would succeed if tried again."""

    @abstractmethod
    def is_missing_table(self, error: DBAPIError) -> bool:
        """Whether a table, or the schema that it should be in, does not exist."""

    @abstractmethod
    def is_missing_column(self, error: DBAPIError) -> bool:
        """Whether a table has other columns than ours."""

    @abstractmethod
    def exists_already(self, error: DBAPIError) -> bool:
        """Whether what was to be created exists already, or was just created by another process."""

    def failure(self, url: URL, error: BaseException) -> StoreError:
        """The driver's error as ours, with what to do next, and without the password."""
        name = url.render_as_string(hide_password=True)
        reason = " ".join(str(error).split())
        hint = next((hint for sign, hint in self.hints.items() if sign in reason.lower()), None)
        return StoreError(f"the store {name} failed: {reason}", hint=hint)

    # Statements

    @abstractmethod
    def insert_missing(self, connection: Connection, table: Table, rows: Sequence[Row]) -> int:
        """Insert the rows (one or more) whose key is not stored yet; how many were inserted, exactly."""

    def matches(self, field: ColumnElement[Any], values: Collection[Any]) -> ColumnElement[bool]:
        """The condition that a field is one of (thousands of) values."""
        return field.in_(values)

    def locked(self, statement: Select[Any]) -> Select[Any]:
        """The statement, locking the rows that it reads against other writers."""
        return statement.with_for_update()

    @abstractmethod
    def bucket(self, connection: Connection, salt: str, key: ColumnElement[str]) -> ColumnElement[int]:
        """The bucket of a visitor under a salt, by this database's own md5 where it has one."""

    # Upkeep

    def created(self, engine: Engine) -> None:
        """After a store was created: settings that the database itself remembers."""

    def settle(self, engine: Engine) -> None:
        """After a large write: let the next reader plan and read well."""

    def checkpoint(self, engine: Engine) -> None:
        """Before closing: leave nothing in logs that only grow."""
