"""What a kind of database has to answer so that a store can be in it."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Dialect,
    Engine,
    MetaData,
    Select,
    Table,
    bindparam,
    event,
    update,
)
from sqlalchemy.exc import DBAPIError

from ...errors import StoreError
from .foreign import ForeignTables

__all__ = ["BUSY_SECONDS", "TIMED_OUT", "Database", "Row", "insert_text", "interrupt_after", "on_connect"]

BUSY_SECONDS = 30
"""How long one writer waits for another."""

TIMED_OUT = "It took longer than the statement_timeout in the URL; allow more, or ask for less."
"""What to do about a statement that was ended by `limit_statements`."""

Row = tuple[Any, ...]
"""The values of a row, in the order of the fields that are named with it."""


class Database(ForeignTables):
    """A kind of database: how it is connected to, what its errors mean, and what it says in words of its own.

    Attributes:
        label: its name in messages.
        driver: what a URL that names no driver gets, and what is tested.
        extra: of offerlift, that installs the driver; None where Python has it.
        has_schemas: whether one database holds several stores.
        place: what holds one store where it has none.
        sorts_groups: whether it sorts what it groups, as it has no hash tables.
        deals_out: whether it groups rows faster that were dealt out by group before, as each group has few.
        hints: what to do next, by what the driver's message has in it (in lower case); the first that fits.
    """

    label: ClassVar[str]
    driver: ClassVar[str]
    extra: ClassVar[str | None] = None
    has_schemas: ClassVar[bool] = False
    place: ClassVar[str] = "file"
    sorts_groups: ClassVar[bool] = False
    deals_out: ClassVar[bool] = False
    hints: ClassVar[Mapping[str, str]] = {}

    # Connecting

    def check_address(self, url: URL, *, create: bool) -> None:
        """See that the database can be where the URL says, before anything is opened.

        Raises:
            StoreError: it cannot; or, without `create`, it is not there.
        """

    def check_warehouse(self, url: URL) -> None:
        """See that somebody else's database can be where the URL says.

        Raises:
            StoreError: it cannot.
        """
        self.check_address(url, create=False)

    def options(self, url: URL) -> dict[str, Any]:
        """Arguments for SQLAlchemy's `create_engine`."""
        return {}

    def configure(self, engine: Engine) -> None:
        """Settle how its connections and transactions begin; called once, before the first."""

    @abstractmethod
    def limit_statements(self, engine: Engine, seconds: float) -> None:
        """End every statement that takes longer, with an error that `hints` explains; before the first connection."""

    def begin_reading(self, connection: Connection) -> Connection:
        """The connection, whose next transaction sees one state of the store throughout."""
        return connection.execution_options(isolation_level="REPEATABLE READ")

    def turn_to_write(self, engine: Engine) -> AbstractContextManager[Any]:
        """Held around a writing transaction, where the database itself does not make writers wait for one another."""
        return nullcontext()

    def before_fork(self, engine: Engine) -> None:
        """Close what must not be open in two processes; the next use opens it again."""

    def after_fork(self, engine: Engine) -> None:
        """In the child: leave the connections to the parent, without closing them."""
        engine.dispose(close=False)

    def alone(self, connection: Connection) -> AbstractContextManager[Any]:
        """Held by what changes tables, where its transaction alone does not keep others that do waiting.

        Raises:
            StoreError: another process has been changing them for long.
        """
        return nullcontext()

    # Errors

    @abstractmethod
    def is_conflict(self, error: DBAPIError) -> bool:
        """Whether a transaction lost against another one, and would succeed if tried again."""

    def is_unreachable(self, error: DBAPIError) -> bool:
        """Whether no connection could be had, as while a server restarts."""
        return False

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
    def insert_missing(self, connection: Connection, table: Table, fields: tuple[str, ...], rows: Sequence[Row]) -> int:
        """Insert the rows (one or more) whose key is not stored yet; how many were inserted, exactly."""

    def insert_keys(self, connection: Connection, table: Table, keys: Sequence[str]) -> dict[str, int]:
        """Insert those keys (one or more) of a lookup table that are not stored yet; the numbers that are known now."""
        self.insert_missing(connection, table, ("key",), [(key,) for key in keys])
        return {}

    def update_rows(self, connection: Connection, table: Table, fields: tuple[str, ...], rows: Sequence[Row]) -> None:
        """Write the rows (one or more), which have all fields of the primary key, over those of their keys."""
        key = set(table.primary_key.columns.keys())
        names = [f"{name}_" for name in fields]
        statement = (
            update(table)
            .where(*(table.c[name] == bindparam(f"{name}_") for name in fields if name in key))
            .values({name: bindparam(f"{name}_") for name in fields if name not in key})
        )
        connection.execute(statement, [dict(zip(names, row, strict=True)) for row in rows])

    def matches(self, field: ColumnElement[Any], values: Collection[Any]) -> ColumnElement[bool]:
        """The condition that a field is one of (thousands of) values."""
        return field.in_(values)

    def locked(self, statement: Select[Any]) -> Select[Any]:
        """The statement, locking the rows that it reads against other writers."""
        return statement.with_for_update()

    def most_rows(self, connection: Connection) -> int | None:
        """About how many rows its largest table has at most, if it cannot plan by that; None: it can."""

    @abstractmethod
    def bucket(self, connection: Connection, salt: str, key: ColumnElement[str]) -> ColumnElement[int]:
        """The bucket of a visitor under a salt, by this database's own md5 where it has one."""

    # Upkeep

    def create_tables(self, connection: Connection, metadata: MetaData) -> None:
        """Create all tables, or finish what a process that was killed has begun.

        Raises:
            DBAPIError: `exists_already`: one of them is there, whoever made it; nothing was changed then.
        """
        # Without looking first: a table of that name that is not ours must be an error, not be adopted.
        metadata.create_all(connection, checkfirst=False)

    def damage(self, connection: Connection) -> str | None:
        """What is wrong with the file, if it is one that nobody else looks after; None where nothing is."""

    def table_bytes(self, connection: Connection, tables: Sequence[Table]) -> dict[str, int]:
        """Bytes that tables take with their indexes, by name; those of which the database says nothing are left out."""
        return {}

    def total_bytes(self, connection: Connection, tables: Sequence[Table]) -> int | None:
        """Bytes that the store takes as a whole; None where the database does not say."""
        return sum(self.table_bytes(connection, tables).values()) or None

    def clock(self, connection: Connection) -> float | None:
        """Seconds since 1970 by the server's clock; None where the database is in this process, with its clock."""
        return None

    def overwrite_erased(self, connection: Connection) -> None:
        """Before something is erased that nobody may read again: let the database write over it, where it can."""

    def created(self, engine: Engine) -> None:
        """After a store was created: settings that the database itself remembers."""

    def settle(self, engine: Engine) -> None:
        """After a large write: let the next reader plan and read well."""

    def checkpoint(self, engine: Engine) -> None:
        """Before closing: leave nothing in logs that only grow."""


def insert_text(dialect: Dialect, table: Table, fields: Sequence[str], mark: str) -> str:
    """INSERT of these fields as text, for a driver's own executemany; `mark` stands for a value there.

    Between SQLAlchemy's executemany and the driver's lies a dict a row, which costs more than the row itself.
    """
    quoted = dialect.identifier_preparer
    names = ", ".join(quoted.quote(name) for name in fields)
    return f"INSERT INTO {quoted.format_table(table)} ({names}) VALUES ({', '.join([mark] * len(fields))})"


def on_connect(engine: Engine, statement: str) -> None:
    """Say something to each new connection of a server, before its first transaction."""

    @event.listens_for(engine, "connect")
    def say(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(statement)
        cursor.close()
        connection.commit()


def interrupt_after(engine: Engine, seconds: float) -> None:
    """End every statement that takes longer by a timer, for drivers whose connections have `interrupt()`."""

    @event.listens_for(engine, "before_cursor_execute")
    def start(connection: Connection, _cursor: object, _statement: str, _values: object, context: Any, _: bool):
        driver: Any = connection.connection.dbapi_connection
        context.offerlift_timer = threading.Timer(seconds, driver.interrupt)
        context.offerlift_timer.daemon = True
        context.offerlift_timer.start()

    @event.listens_for(engine, "after_cursor_execute")
    def stop(_connection: Connection, _cursor: object, _statement: str, _values: object, context: Any, _: bool):
        context.offerlift_timer.cancel()

    @event.listens_for(engine, "handle_error")
    def give_up(failed: Any) -> None:
        timer = getattr(failed.execution_context, "offerlift_timer", None)
        if timer is not None:
            timer.cancel()
