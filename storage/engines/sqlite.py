"""SQLite: one file, in this process.

Writing transactions begin with BEGIN IMMEDIATE: a deferred one that reads before it writes fails at once when another
process writes in between, whatever the busy timeout.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import (
    URL,
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Table,
    column,
    event,
    func,
    quoted_name,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from ...errors import StoreError
from ...experiments.hashing import bucket_of_bytes
from .base import BUSY_SECONDS, TIMED_OUT, Database, Row, insert_text
from .files import check_file
from .foreign import ColumnType, Kind, empty, verbatim

__all__ = ["SQLite"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
ROW_BYTES = 100
"""What an outcome takes at least, with ids of a dozen characters."""

_READ_ONLY = "offerlift_read_only"
_DEADLINE = "offerlift_deadline"

# Text may be a time; what is read as one and is none becomes NULL.
_KINDS: dict[str, Kind] = {"integer": "integer", "real": "number", "text": "text", "null": "other", "blob": "other"}


class SQLite(Database):
    """SQLite 3, by Python's own module."""

    label = "SQLite"
    driver = "sqlite+pysqlite"
    times_are_text = True
    types_are_of_values = True
    sorts_groups = True
    hints: ClassVar[Mapping[str, str]] = {
        "file is not a database": "It is no SQLite file; give another path.",
        "malformed": "The file is damaged; restore it from a backup.",
        "unable to open database file": "Check that the folder exists and that you may write to it.",
        "readonly": "The file or its folder cannot be written; check the permissions.",
        "database is locked": "Another process has been writing for long; try again.",
        "interrupted": TIMED_OUT,
        "disk is full": "Free some space, then try again; what was acknowledged is stored.",
    }

    def check_address(self, url: URL, *, create: bool) -> None:
        """See that the file, or the folder that it is to be created in, is there."""
        if _in_memory(url):
            return
        # SQLite's own parameters are taken only by its own notation; elsewhere the driver drops them with a warning.
        dropped = sorted({"mode", "cache", "immutable", "vfs", "nolock", "psow"} & url.query.keys())
        if dropped and "uri" not in url.query:
            raise StoreError(
                f"SQLite does not take ?{dropped[0]}= in {url.render_as_string()}",
                hint=f"Leave it out, or write sqlite:///file:{url.database}?{dropped[0]}=...&uri=true.",
            )
        # Its own notation, as in file:shop.db?mode=ro&uri=true, says itself what to create.
        if url.database is not None and not url.database.startswith("file:"):
            check_file(Path(url.database), create=create)

    def options(self, url: URL) -> dict[str, Any]:
        """One connection for all threads where the store is in memory: another would see an empty one."""
        return {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}} if _in_memory(url) else {}

    def configure(self, engine: Engine) -> None:
        """Pragmas of a connection, and how a transaction begins."""
        event.listen(engine, "connect", _configure)
        event.listen(engine, "begin", _begin)

    def limit_statements(self, engine: Engine, seconds: float) -> None:
        """By looking at the clock every so many steps, from a statement's start until its last row was fetched."""

        @event.listens_for(engine, "connect")
        def watch(connection: Any, record: Any) -> None:
            record.info[_DEADLINE] = math.inf
            connection.set_progress_handler(lambda: time.monotonic() > record.info[_DEADLINE], 10_000)

        @event.listens_for(engine, "before_cursor_execute")
        def start(connection: Connection, *_: object) -> None:
            connection.info[_DEADLINE] = time.monotonic() + seconds

        def stop(connection: Connection) -> None:
            connection.info[_DEADLINE] = math.inf

        event.listen(engine, "commit", stop)
        event.listen(engine, "rollback", stop)

    def only_read(self, engine: Engine) -> None:
        """By SQLite itself."""

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, _record: object) -> None:
            connection.execute("PRAGMA query_only = ON")
            connection.create_function("offerlift_micros", 1, _micros, deterministic=True)

    def describe(self, connection: Connection, query: str) -> dict[str, ColumnType]:
        """By the first value that is not NULL: in SQLite types are those of values, not of columns."""
        cursor: Any = connection.execute(empty(query)).cursor
        names = [column[0] for column in cursor.description]
        found = {}
        for name in names:
            field = quoted_name(name, quote=True)
            value = column(field)
            rows = text(verbatim(query)).columns(value).subquery("described")
            kind = connection.scalar(select(func.typeof(rows.c[name])).where(rows.c[name].is_not(None)).limit(1))
            found[name] = ColumnType(_KINDS.get(kind or "null", "other"), kind or "NULL throughout")
        return found

    def micros(self, at: ColumnElement[Any]) -> ColumnElement[int]:
        """Of ISO 8601, as SQLite keeps times; NULL for other text."""
        return func.offerlift_micros(at, type_=BigInteger)

    def least(self, *columns: ColumnElement[int]) -> ColumnElement[int]:
        """SQLite calls it MIN."""
        return func.min(*columns, type_=BigInteger)

    def begin_reading(self, connection: Connection) -> Connection:
        """Readers see the state at their first read, and neither wait nor block."""
        return connection.execution_options(**{_READ_ONLY: True})

    def before_fork(self, engine: Engine) -> None:
        """Close what is not in use: SQLite's locks belong to the process."""
        if not _in_memory(engine.url):
            engine.dispose()

    def after_fork(self, engine: Engine) -> None:
        """A store in memory was copied with the process; of a file, begin anew."""
        if not _in_memory(engine.url):
            super().after_fork(engine)

    def is_conflict(self, error: DBAPIError) -> bool:
        """Never: writers wait for one another."""
        return False

    def is_missing_table(self, error: DBAPIError) -> bool:
        """By its message, as SQLite has one code for all mistakes in a statement."""
        return "no such table" in str(error.orig)

    def is_missing_column(self, error: DBAPIError) -> bool:
        """By its message, as above."""
        return "no such column" in str(error.orig)

    def exists_already(self, error: DBAPIError) -> bool:
        """By its message, as above."""
        return "already exists" in str(error.orig)

    def insert_missing(self, connection: Connection, table: Table, fields: tuple[str, ...], rows: Sequence[Row]) -> int:
        """The driver's executemany, which adds up what was inserted."""
        statement = f"{insert_text(connection.dialect, table, fields, '?')} ON CONFLICT DO NOTHING"
        return connection.exec_driver_sql(statement, list(rows), {"preserve_rowcount": True}).rowcount

    def insert_keys(self, connection: Connection, table: Table, keys: Sequence[str]) -> dict[str, int]:
        """With the numbers that SQLite would give them: it numbers on from the largest, and nobody else is writing."""
        first = 1 + (connection.scalar(select(func.max(table.c.id))) or 0)
        numbers = {key: number for number, key in enumerate(keys, first)}
        inserted = self.insert_missing(connection, table, ("key", "id"), list(numbers.items()))
        return numbers if inserted == len(numbers) else {}

    def matches(self, field: ColumnElement[Any], values: Collection[Any]) -> ColumnElement[bool]:
        """One JSON array instead of thousands of parameters."""
        return field.in_(select(_listed(values)))

    def most_rows(self, connection: Connection) -> int:
        """As many as outcomes would fill the file, with their two keys."""
        pages, size = (
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("page_count", "page_size")
        )
        return pages * size // ROW_BYTES

    def bucket(self, connection: Connection, salt: str, key: ColumnElement[str]) -> ColumnElement[int]:
        """By a function registered with the connection: SQLite has no md5."""
        driver = connection.connection.dbapi_connection
        assert driver is not None
        driver.create_function("offerlift_bucket", 2, _bucket, deterministic=True)
        return func.offerlift_bucket(f"{salt}:", key, type_=BigInteger)

    def damage(self, connection: Connection) -> str | None:
        """By reading all of the file."""
        found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        return None if found == "ok" else " ".join(found.split())

    def table_bytes(self, connection: Connection, tables: Sequence[Table]) -> dict[str, int]:
        """By counting pages, which reads the whole file; nothing where SQLite was compiled without `dbstat`."""
        # Bytes of a tree, and the table that it belongs to.
        statement = (
            "SELECT m.tbl_name, SUM(s.pgsize) FROM dbstat AS s JOIN sqlite_master AS m ON m.name = s.name "
            "WHERE s.aggregate GROUP BY m.tbl_name"
        )
        try:
            found = dict(connection.exec_driver_sql(statement).all())
        except DBAPIError as error:
            if self.is_missing_table(error):
                return {}
            raise
        return {table.name: found[table.name] for table in tables if table.name in found}

    def total_bytes(self, connection: Connection, tables: Sequence[Table]) -> int | None:
        """Size of the file, without its log."""
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        return pages * connection.exec_driver_sql("PRAGMA page_size").scalar_one()

    def overwrite_erased(self, connection: Connection) -> None:
        """With zeros, from now on in this connection."""
        connection.exec_driver_sql("PRAGMA secure_delete = ON")

    def created(self, engine: Engine) -> None:
        """Let the file be read while it is written; it remembers."""
        # While another process opens the same new file this fails at once, whatever the busy timeout.
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                return self._pragma(engine, "journal_mode = WAL")
            except StoreError as error:
                if "locked" not in error.message or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def settle(self, engine: Engine) -> None:
        """Move the write-ahead log into the file: it grew to 500 MB when left alone."""
        self.checkpoint(engine)

    def checkpoint(self, engine: Engine) -> None:
        """Move the write-ahead log into the file, unless somebody is reading."""
        self._pragma(engine, "busy_timeout = 0", "wal_checkpoint(TRUNCATE)", f"busy_timeout = {BUSY_SECONDS * 1000}")

    def _pragma(self, engine: Engine, *pragmas: str) -> None:
        # These are refused inside a transaction, which is what SQLAlchemy's connections always are in.
        connection = engine.raw_connection()
        try:
            for pragma in pragmas:
                connection.cursor().execute(f"PRAGMA {pragma}").close()
        except engine.dialect.loaded_dbapi.Error as error:
            raise self.failure(engine.url, error) from error
        finally:
            connection.close()


def _listed(values: Collection[Any]) -> ColumnElement[Any]:
    return func.json_each(json.dumps(list(values), ensure_ascii=False)).table_valued("value").c.value


def _in_memory(url: URL) -> bool:
    return url.database in (None, "", ":memory:")


def _configure(connection: Any, _record: object) -> None:
    # SQLAlchemy's begin event then decides how a transaction begins, not the driver.
    connection.isolation_level = None
    # Not temp_store = MEMORY: SQLite then sorts rows that lie all over the heap, which takes up to twice as long.
    for pragma in (
        f"busy_timeout = {BUSY_SECONDS * 1000}",
        "foreign_keys = ON",
        "cache_size = -262144",
        "mmap_size = 268435456",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _bucket(prefix: str, key: str) -> int:
    return bucket_of_bytes(prefix.encode(), key.encode())


def _micros(written: object) -> int | None:
    try:
        at = datetime.fromisoformat(str(written).strip())
    except ValueError:
        return None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return (at - _EPOCH) // _MICROSECOND
