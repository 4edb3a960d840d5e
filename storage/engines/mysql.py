"""MariaDB and MySQL, by PyMySQL.

Nothing there undoes a CREATE TABLE, so a store is created under a lock of the server, its table `store` first: one that
was begun and not finished is known by that table, with our comment and without rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from sqlalchemy import (
    URL,
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    MetaData,
    String,
    Table,
    cast,
    func,
    inspect,
    literal,
    literal_column,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from ...errors import StoreError
from ...experiments.definition import BUCKETS
from ..columns import bytes_collation
from .base import BUSY_SECONDS, TIMED_OUT, Database, Row, insert_text, on_connect
from .foreign import ColumnType, Kind
from .statistics import collect_statistics

__all__ = ["MariaDB", "MySQL"]

# Deadlock, lock wait timeout, record changed since it was read.
_CONFLICT = {1213, 1205, 1020}
# Table; database.
_MISSING = {1146, 1049}
# Table; row.
_EXISTS = {1050, 1062}
# Shutdown in progress, connection killed; not to be reached by socket, by network; gone away, lost.
_UNREACHABLE = {1053, 1927, 2002, 2003, 2006, 2013}

# By the numbers of the protocol.
_NUMBERS: dict[Kind, tuple[int, ...]] = {
    "integer": (1, 2, 3, 8, 9),
    "number": (0, 4, 5, 246),
    "text": (15, 249, 250, 251, 252, 253, 254),
    "time": (7, 10, 12),
}
_KINDS: dict[int, Kind] = {number: kind for kind, numbers in _NUMBERS.items() for number in numbers}

_SESSION = (
    # What does not fit is refused, not cut off.
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', default_storage_engine = InnoDB, "
    f"innodb_lock_wait_timeout = {BUSY_SECONDS}, lock_wait_timeout = {BUSY_SECONDS}"
)


class _ByBytes(FunctionElement[str]):
    """Text that compares by its bytes."""

    type = String()
    inherit_cache = True


@compiles(_ByBytes, "mysql", "mariadb")
def _compile_by_bytes(element: _ByBytes, compiler: SQLCompiler, **options: Any) -> str:
    collation = bytes_collation(compiler.dialect)
    return f"CONVERT({compiler.process(element.clauses, **options)} USING utf8mb4) COLLATE {collation}"


class MySQL(Database):
    """MySQL since 8.0.17, which has a collation that does not pad; the tests run on MariaDB."""

    label = "MySQL"
    driver = "mysql+pymysql"
    extra = "mysql"
    place = "database"
    hints: ClassVar[Mapping[str, str]] = {
        "max_statement_time": TIMED_OUT,
        "maximum statement execution time": TIMED_OUT,
        "max_allowed_packet": "Set max_allowed_packet to 16M or more on the server.",
        "binlog_format": "Set binlog_format to ROW or MIXED on the server.",
        "read-only": "The server or transaction is read-only; connect to the primary.",
        "read only": "The server or transaction is read-only; connect to the primary.",
        "disk full": "Free some space, then try again; what was acknowledged is stored.",
        "is full": "Free some space, then try again; what was acknowledged is stored.",
        "unknown database": "Create it on the server, or check the URL.",
        "no database selected": "Give the database in the URL: mysql+pymysql://user:password@host/database.",
        "using password": "Check user and password in the URL.",
        "command denied": "Ask for CREATE, ALTER, INDEX, REFERENCES, SELECT, INSERT, UPDATE and DELETE there.",
        "access denied": "Check user, password and database in the URL, and what the user may do.",
        "connect": "Check host, port and database in the URL, and that the server runs.",
    }

    def options(self, url: URL) -> dict[str, Any]:
        """Writers see what others have just committed, readers ask for one state; UTF-8; rows counted as changed."""
        return {
            "pool_pre_ping": True,
            "isolation_level": "READ COMMITTED",
            # Without the flag FOUND_ROWS, a row that is there already and stays as it is counts as 0.
            "connect_args": {"charset": "utf8mb4", "client_flag": 0, "init_command": _SESSION},
        }

    def limit_statements(self, engine: Engine, seconds: float) -> None:
        """By the server itself, which on MySQL ends only statements that read."""
        on_connect(
            engine,
            # Each server sees its own: the first comment is code to MariaDB, the second to MySQL 8.
            f"/*M! SET SESSION max_statement_time = {seconds} */"
            f"/*!80000 SET SESSION max_execution_time = {max(1, round(1000 * seconds))} */",
        )

    def only_read(self, engine: Engine) -> None:
        """By the server itself; and let it give the times of TIMESTAMP columns in UTC."""
        on_connect(engine, "SET SESSION TRANSACTION READ ONLY")
        on_connect(engine, "SET SESSION time_zone = '+00:00'")

    def column_type(self, described: tuple[Any, ...]) -> ColumnType:
        """By the number that the protocol gives each type."""
        return ColumnType(_KINDS.get(described[1], "other"), f"type {described[1]} of the protocol")

    def micros(self, at: ColumnElement[Any]) -> ColumnElement[int]:
        """The microseconds from 1970 until then."""
        return func.timestampdiff(text("MICROSECOND"), literal_column("'1970-01-01'"), at, type_=BigInteger)

    def as_text(self, field: ColumnElement[Any], kind: Kind) -> ColumnElement[str]:
        """In UTF-8 with a collation by which "a" is neither "A" nor "a "; columns mostly have another."""
        return _ByBytes(super().as_text(field, kind))

    @contextmanager
    def alone(self, connection: Connection) -> Iterator[None]:
        """By a lock of the server on the name of the database: a change of a table ends the transaction."""
        name = func.concat("offerlift ", func.md5(func.database()))
        if connection.scalar(select(func.get_lock(name, BUSY_SECONDS))) != 1:
            raise StoreError("another process has been creating or upgrading this store for long", hint="Try again.")
        try:
            yield
        finally:
            connection.scalar(select(func.release_lock(name)))

    def is_conflict(self, error: DBAPIError) -> bool:
        """Deadlocks and locks that were waited for in vain."""
        return _code(error) in _CONFLICT

    def is_unreachable(self, error: DBAPIError) -> bool:
        """No answer, or one that says that it stops."""
        return _code(error) in _UNREACHABLE

    def is_missing_table(self, error: DBAPIError) -> bool:
        """Unknown tables."""
        return _code(error) == 1146

    def is_missing_column(self, error: DBAPIError) -> bool:
        """Unknown columns."""
        return _code(error) == 1054

    def exists_already(self, error: DBAPIError) -> bool:
        """Tables that exist, and entries that another process has just made."""
        return _code(error) in _EXISTS

    def insert_missing(self, connection: Connection, table: Table, fields: tuple[str, ...], rows: Sequence[Row]) -> int:
        """The driver's executemany: statements of up to a megabyte. INSERT IGNORE would hide what does not fit."""
        key = connection.dialect.identifier_preparer.quote(next(iter(table.primary_key.columns)).name)
        statement = insert_text(connection.dialect, table, fields, "%s")
        statement = f"{statement} ON DUPLICATE KEY UPDATE {key} = {key}"
        return connection.exec_driver_sql(statement, list(rows), {"preserve_rowcount": True}).rowcount

    def bucket(self, connection: Connection, salt: str, key: ColumnElement[str]) -> ColumnElement[int]:
        """By its md5, of the UTF-8 bytes that columns and parameters have here."""
        digits = func.substr(func.md5(func.concat(literal(f"{salt}:"), key)), 1, 15)
        return cast(func.conv(digits, 16, 10), BigInteger) % BUCKETS

    def create_tables(self, connection: Connection, metadata: MetaData) -> None:
        """One after the other, alone; those of a creation that was not finished are ours, and are kept."""
        first = metadata.tables["store"]
        with self.alone(connection):
            found = set(inspect(connection).get_table_names()) & set(metadata.tables)
            if found and not _is_begun(connection, first, found):
                # An error that names it.
                metadata.tables[min(found)].create(connection, checkfirst=False)
            first.create(connection, checkfirst=True)
            metadata.create_all(connection)

    def clock(self, connection: Connection) -> float | None:
        """By the server, whatever the time zone of the session."""
        return float(connection.exec_driver_sql("SELECT UNIX_TIMESTAMP(SYSDATE(6))").scalar_one())

    def table_bytes(self, connection: Connection, tables: Sequence[Table]) -> dict[str, int]:
        """With their indexes, as the server estimates them."""
        found = connection.exec_driver_sql(
            "SELECT table_name, data_length + index_length FROM information_schema.tables "
            "WHERE table_schema = DATABASE()"
        )
        sizes = {name: int(size) for name, size in found.all() if size is not None}
        return {table.name: sizes[table.name] for table in tables if table.name in sizes}

    def settle(self, engine: Engine) -> None:
        """Collect statistics."""
        collect_statistics(engine)


class MariaDB(MySQL):
    """The same under its own name; a URL may use either."""

    label = "MariaDB"
    driver = "mariadb+pymysql"


def _code(error: DBAPIError) -> int | None:
    args = getattr(error.orig, "args", ())
    return args[0] if args else None


def _is_begun(connection: Connection, first: Table, found: set[str]) -> bool:
    """Whether a creation was begun here, and its process killed before the end."""
    if first.name not in found or inspect(connection).get_table_comment(first.name)["text"] != first.comment:
        return False
    return connection.scalar(select(func.count()).select_from(first)) == 0
