"""DuckDB: one file, one process at a time, by duckdb-engine. Nothing here asks it to reflect, which fails on DuckDB 2.

Its transactions do not wait for one another: of two that write the same row one fails, at the latest when it commits.
The threads of this process therefore take turns at writing; against others that use the file in this process, a
transaction that failed so is tried again.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import Any, ClassVar, NoReturn
from weakref import WeakKeyDictionary

import numpy as np
from sqlalchemy import (
    ARRAY,
    URL,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Dialect,
    Engine,
    Float,
    PrimaryKeyConstraint,
    Select,
    String,
    Subquery,
    Table,
    UniqueConstraint,
    bindparam,
    cast,
    column,
    event,
    func,
    insert,
    literal,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy import table as table_clause
from sqlalchemy.dialects.postgresql.base import PGDDLCompiler
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool
from sqlalchemy.schema import CreateTable
from sqlalchemy.types import TypeEngine

from ...errors import StoreError
from ...experiments.definition import BUCKETS
from .base import TIMED_OUT, Database, Row, interrupt_after
from .files import check_file
from .parquet import check_folder, is_folder, parquet_views

__all__ = ["DuckDB"]

_GIVEN = "offerlift_given"

_open: WeakKeyDictionary[Engine, set[int]] = WeakKeyDictionary()
"""Connections, by their `id`, that were not closed yet."""

_turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
if hasattr(os, "register_at_fork"):
    # A thread that held one does not exist in the child.
    os.register_at_fork(after_in_child=_turns.clear)


class DuckDB(Database):
    """DuckDB 1.4 and later."""

    label = "DuckDB"
    driver = "duckdb"
    extra = "duckdb"
    hints: ClassVar[Mapping[str, str]] = {
        "could not set lock": "DuckDB lets one process at a time open a file: try again when the other is done, "
        "or keep the store in SQLite or on a server.",
        "interrupted": TIMED_OUT,
        "not a valid duckdb database": "It is no DuckDB file; give another path.",
        "corrupt database": "The file is damaged; restore it from a backup.",
        "could not read enough bytes": "The file is damaged; restore it from a backup.",
        "cannot open file": "Check that the folder exists and that you may write to it.",
        "read-only": "The file is opened for reading only; leave out access_mode.",
        "no space left": "Free some space, then try again; what was acknowledged is stored.",
    }

    def check_address(self, url: URL, *, create: bool) -> None:
        """See that the file, or the folder that it is to be created in, is there."""
        if not _in_memory(url):
            check_file(Path(url.database or ""), create=create)

    def options(self, url: URL) -> dict[str, Any]:
        """One connection for all threads where the store is in memory: another would see an empty one."""
        _keep_keywords_apart()
        return {"poolclass": StaticPool} if _in_memory(url) else {}

    def configure(self, engine: Engine) -> None:
        """Number rows by sequences, as DuckDB has no serial types, quote all of its keywords, know what is open."""
        engine.dialect.__class__ = _keeping_statements(type(engine.dialect))
        engine.dialect.ddl_compiler = _Definitions
        connections = _open[engine] = set()
        event.listen(engine, "connect", lambda connection, _record: connections.add(id(connection)))
        event.listen(engine, "close", lambda connection, _record: connections.discard(id(connection)))
        preparer = engine.dialect.identifier_preparer
        preparer.reserved_words = preparer.reserved_words | _keywords()

    def limit_statements(self, engine: Engine, seconds: float) -> None:
        """By a timer that interrupts the connection: DuckDB has no such setting."""
        interrupt_after(engine, seconds)

    def begin_reading(self, connection: Connection) -> Connection:
        """Every transaction sees one state throughout."""
        return connection

    def turn_to_write(self, engine: Engine) -> AbstractContextManager[Any]:
        """One thread at a time, for each file."""
        return _turns[os.path.realpath(engine.url.database or "")]

    def before_fork(self, engine: Engine) -> None:
        """Close what is not in use: the lock of the file and DuckDB's own threads belong to the process."""
        if not _in_memory(engine.url):
            engine.dispose()

    def after_fork(self, engine: Engine) -> None:
        """Begin anew, unless the file is open still: then what is written to it here would be lost, and is refused."""
        if _in_memory(engine.url):
            return
        if _open[engine]:
            event.listen(engine, "do_connect", _refuse_inherited)
        super().after_fork(engine)

    def check_warehouse(self, url: URL) -> None:
        """See that the file is there, or a folder of Parquet files."""
        if is_folder(url.database):
            check_folder(Path(url.database or ""))
        else:
            super().check_warehouse(url)

    def only_read(self, engine: Engine) -> None:
        """By DuckDB itself; of a folder, each Parquet file and each folder of such is a view in memory."""
        folder = Path(engine.url.database or "") if is_folder(engine.url.database) else None

        @event.listens_for(engine, "do_connect")
        def settle(_dialect: object, _record: object, _arguments: object, options: dict[str, Any]) -> None:
            if folder is not None:
                options["database"] = ":memory:"
            elif not _in_memory(engine.url):
                options["read_only"] = True

        @event.listens_for(engine, "connect")
        def name_files(connection: Any, _record: object) -> None:
            for statement in () if folder is None else parquet_views(folder):
                connection.cursor().execute(statement)

    def table_names(self, connection: Connection) -> list[str]:
        """By its catalogue: it cannot be reflected."""
        names = text("SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()")
        return sorted(connection.scalars(names))

    def micros(self, at: ColumnElement[Any]) -> ColumnElement[int]:
        """By a function of that name."""
        return func.epoch_us(at, type_=BigInteger)

    def is_conflict(self, error: DBAPIError) -> bool:
        """Transactions that failed against others."""
        reason = str(error.orig)
        return type(error.orig).__name__ == "TransactionException" and (
            "onflict" in reason or "constraint violation" in reason
        )

    def is_unreachable(self, error: DBAPIError) -> bool:
        """Whether another process has the file open."""
        return _says(error, "IOException", "Could not set lock")

    def is_missing_table(self, error: DBAPIError) -> bool:
        """By its message: DuckDB has no codes."""
        return _says(error, "CatalogException", "does not exist")

    def is_missing_column(self, error: DBAPIError) -> bool:
        """By its message, as above."""
        return _says(error, "BinderException", "not found") or _says(error, "BinderException", "does not have a column")

    def exists_already(self, error: DBAPIError) -> bool:
        """By its message, as above."""
        return _says(error, "CatalogException", "already exists")

    def insert_missing(self, connection: Connection, table: Table, fields: tuple[str, ...], rows: Sequence[Row]) -> int:
        """One array a column and one statement: an executemany takes 2 ms a row.

        By a join with what is stored, as one thread writes at a time: DuckDB 2 takes for `ON CONFLICT` a time that
        grows with the table, 2.6 s for a thousand rows beside a million, and 0.03 s for this.
        """
        keys = _unique_keys(table, fields)
        with _given(connection, table, fields, _first_of_each(fields, keys, rows)) as source:
            missing = select(*source.c)
            for key in keys:
                stored = table.alias("stored")
                same = select(literal_column("1")).where(*(stored.c[name] == source.c[name] for name in key))
                missing = missing.where(~same.exists())
            statement = insert(table).from_select(fields, missing, include_defaults=False)
            return len(connection.execute(statement.returning(literal_column("1"))).all())

    def update_rows(self, connection: Connection, table: Table, fields: tuple[str, ...], rows: Sequence[Row]) -> None:
        """In one statement, as above."""
        key = set(table.primary_key.columns.keys())
        with _given(connection, table, fields, rows) as source:
            connection.execute(
                update(table)
                .where(*(table.c[name] == source.c[name] for name in fields if name in key))
                .values({name: source.c[name] for name in fields if name not in key})
            )

    def matches(self, field: ColumnElement[Any], values: Collection[Any]) -> ColumnElement[bool]:
        """One list instead of thousands of parameters."""
        return field == func.any(_list(field.type, list(values)))

    def locked(self, statement: Select[Any]) -> Select[Any]:
        """As it is: DuckDB knows no row locks."""
        return statement

    def total_bytes(self, connection: Connection, tables: Sequence[Table]) -> int | None:
        """Blocks of the file that are in use; DuckDB does not say whose they are."""
        sizes = connection.exec_driver_sql("SELECT used_blocks * block_size FROM pragma_database_size()")
        return sizes.scalars().first()

    def bucket(self, connection: Connection, salt: str, key: ColumnElement[str]) -> ColumnElement[int]:
        """By its md5; text is UTF-8 there."""
        digits = func.substr(func.md5(literal(f"{salt}:").concat(key)), 1, 15)
        return cast(literal("0x").concat(digits), BigInteger) % BUCKETS


@cache
def _keep_keywords_apart() -> None:
    """Give the dialect a set of its own: it adds DuckDB's keywords to the one that it shares with PostgreSQL's."""
    try:
        from duckdb_engine import DuckDBIdentifierPreparer
    except ImportError:
        # Whoever makes the engine is told what to install.
        return
    DuckDBIdentifierPreparer.reserved_words = set(DuckDBIdentifierPreparer.reserved_words)


@cache
def _keywords() -> set[str]:
    # duckdb-engine quotes those of the category "reserved" only; `at` is of another, and no name of a column either.
    import duckdb

    with duckdb.connect(":memory:") as connection:
        found = connection.execute("SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category <> 'unreserved'")
        return {name for (name,) in found.fetchall()}


def _refuse_inherited(*_: object) -> NoReturn:
    raise StoreError(
        "the DuckDB file was being used by a thread while the process forked, so it cannot be used in the child",
        hint="Fork before the store is opened, or while nothing reads or writes; or let a Recorder hold it.",
    )


def _in_memory(url: URL) -> bool:
    return url.database in (None, "", ":memory:")


@cache
def _keeping_statements(dialect: type[Dialect]) -> type[Dialect]:
    """A dialect whose statements are compiled once, not each time: it takes PostgreSQL's compiler, which allows that.

    The dialect itself says no, to be spared a warning (duckdb_engine, pull request 268); each compilation takes as long
    as DuckDB takes to answer a small question.
    """
    return type(dialect.__name__, (dialect,), {"supports_statement_cache": True})


def _says(error: DBAPIError, kind: str, text: str) -> bool:
    return type(error.orig).__name__ == kind and text in str(error.orig)


def _list(kind: Any, values: list[Any]) -> ColumnElement[Any]:
    return cast(bindparam(None, values, type_=ARRAY(kind)), ARRAY(kind))


def _unique_keys(table: Table, fields: Collection[str]) -> list[tuple[str, ...]]:
    """The fields of each key of the table that rows of these fields have; a key that has another in it says no more."""
    unique = [one for one in table.constraints if isinstance(one, PrimaryKeyConstraint | UniqueConstraint)]
    keys = [key for one in unique if set(key := tuple(column.name for column in one.columns)) <= set(fields)]
    return [key for key in keys if not any(set(other) < set(key) for other in keys)]


def _first_of_each(fields: tuple[str, ...], keys: Sequence[tuple[str, ...]], rows: Sequence[Row]) -> Sequence[Row]:
    """The rows without those that have a key of an earlier one."""
    for key in keys:
        found: dict[Any, Row] = {}
        of_row = itemgetter(*(fields.index(name) for name in key))
        for row in rows:
            found.setdefault(of_row(row), row)
        rows = list(found.values())
    return rows


@contextmanager
def _given(connection: Connection, table: Table, fields: Sequence[str], rows: Sequence[Row]) -> Iterator[Subquery]:
    """The rows as a relation that DuckDB reads where they are: three times as fast as lists in parameters."""
    arrays = {
        name: _array(table.c[name].type, values) for name, values in zip(fields, zip(*rows, strict=True), strict=True)
    }
    driver: Any = connection.connection.driver_connection
    # DuckDB 2 registers nothing while a result is left unread, as SQLAlchemy leaves that of `scalar`.
    connection.exec_driver_sql("SELECT 1").all()
    driver.register(_GIVEN, arrays)
    given = table_clause(_GIVEN, *(column(name) for name in fields))
    yield select(*(cast(given.c[name], table.c[name].type).label(name) for name in fields)).subquery("given")
    # Not after an error: nothing more is said in that transaction.
    driver.unregister(_GIVEN)


def _array(kind: TypeEngine[Any], values: Sequence[Any]) -> np.ndarray:
    if isinstance(kind, String):
        return np.array(values, dtype=object)
    number = np.float64 if isinstance(kind, Float) else np.int64
    if None not in values:
        return np.array(values, dtype=number)
    missing = [value is None for value in values]
    return np.ma.array([0 if value is None else value for value in values], mask=missing, dtype=number)


class _Definitions(PGDDLCompiler):
    """CREATE TABLE as DuckDB takes it: what numbers rows by itself does so from a sequence."""

    def visit_create_table(self, create: CreateTable, **kw: Any) -> str:
        numbered = create.element.autoincrement_column
        table = super().visit_create_table(create, **kw)
        return table if numbered is None else f"CREATE SEQUENCE {_sequence(numbered)};{table}"

    def get_column_specification(self, column: Column[Any], **kwargs: Any) -> str:
        if column is not column.table.autoincrement_column:
            return super().get_column_specification(column, **kwargs)
        return f"{self.preparer.format_column(column)} BIGINT DEFAULT nextval('{_sequence(column)}') NOT NULL"


def _sequence(column: Column[Any]) -> str:
    return f"{column.table.name}_{column.name}_seq"
