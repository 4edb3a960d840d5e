"""Spark SQL as a PEP 249 driver: statements go to `SparkSession.sql`, which only reads.

A connection is a clone of a Spark session: tables, temporary views and functions of the session are there, and what the
connection sets (ANSI arithmetic, UTC, its database) stays its own. A session that runs already is taken; otherwise
one is started, and stays until the process ends, as starting takes ten seconds.
"""

# PySpark is half a gigabyte, and not where the types are checked.
# pyright: reportMissingImports=false

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .spark_errors import (
    CONNECTION_LOST,
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Warning,
    translated,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import DataType

__all__ = [
    "CONNECTION_LOST",
    "Connection",
    "Cursor",
    "DataError",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Warning",
    "apilevel",
    "connect",
    "paramstyle",
    "threadsafety",
]

apilevel = "2.0"
threadsafety = 1
# Spark takes names too, but none with a hyphen, and parameters are named after a warehouse's columns.
paramstyle = "qmark"

_SETTINGS = {"spark.sql.ansi.enabled": "true", "spark.sql.session.timeZone": "UTC"}
"""Of every connection: overflow raises instead of wrapping, and days are cut in UTC."""

_READS = {"SELECT", "WITH", "VALUES", "TABLE", "SHOW", "DESCRIBE", "DESC", "EXPLAIN"}
# WITH may also introduce one of these.
_WRITES = re.compile(r"\b(INSERT|MERGE|UPDATE|DELETE)\b", re.IGNORECASE)
# Strings, quoted names and comments, where any word may stand.
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`]|``)*`|--[^\n]*|/\*.*?\*/""", re.DOTALL)

_RETRIES = 6
"""How often a Spark Connect server that does not answer is asked again, some eight seconds in all."""

_starting = threading.Lock()


def connect(
    *,
    master: str | None = None,
    remote: str | None = None,
    database: str | None = None,
    settings: Mapping[str, str] | None = None,
) -> Connection:
    """Open a connection.

    Args:
        master: where a new session runs, such as `local[2]` or `spark://host:7077`, if none runs in this process yet.
        remote: a Spark Connect server instead, as `sc://host:port`.
        database: whose tables are meant where a statement names none.
        settings: configuration of a session that is started or opened here, such as `spark.driver.memory`.

    Raises:
        OperationalError: no Java, no cluster, no server.
    """
    with translated():
        session = _remote_session(remote) if remote else _clone(_local_session(master, settings or {}))
        try:
            # In this process they were for the start; a server's session takes them now.
            own = dict(settings or {}) if remote else {}
            for key, value in (own | _SETTINGS).items():
                session.conf.set(key, value)
            if database:
                session.catalog.setCurrentDatabase(database)
        except BaseException:
            _release(session)
            raise
    return Connection(session)


def _local_session(master: str | None, settings: Mapping[str, str]) -> SparkSession:
    from pyspark.sql import SparkSession

    with _starting:
        running = SparkSession.getActiveSession() or _session_of_other_thread()
        if running is not None:
            return running
        builder = SparkSession.builder.master(master or "local[*]").appName("offerlift")
        log = Path(__file__).with_name("spark_log4j2.properties")
        own = {
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile=file:{log}",
        }
        if (master or "local").startswith("local"):
            # A machine's own name often leads to an address that it cannot be reached at.
            own |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
        for key, value in (own | dict(settings)).items():
            builder = builder.config(key, value)
        return builder.getOrCreate()


def _session_of_other_thread() -> SparkSession | None:
    # The active session is a thread's own; the process has one context. Without options nothing of it is changed.
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    return SparkSession.builder.getOrCreate() if SparkContext._active_spark_context is not None else None


def _clone(session: SparkSession) -> SparkSession:
    from pyspark.sql import SparkSession

    clone = getattr(session, "cloneSession", None)
    if clone is not None:
        return clone()
    # PySpark has a name for it in sessions of Spark Connect alone.
    return SparkSession(session.sparkContext, session._jsparkSession.cloneSession())


def _remote_session(remote: str) -> SparkSession:
    from pyspark.sql.connect.client.retries import DefaultPolicy
    from pyspark.sql.connect.session import SparkSession

    # Not through its builder, which would make this the session that other code of the process gets.
    session: Any = SparkSession(connection=remote)
    # By default it tries for ten minutes: fifteen times, up to a minute apart.
    session.client.set_retry_policies([DefaultPolicy(max_retries=_RETRIES, max_backoff=2_000)])
    return session


def _release(session: SparkSession) -> None:
    # Stopping a session of Spark Connect ends that one; stopping one of this process would end all.
    if not hasattr(session, "_jsparkSession"):
        session.stop()


class Connection:
    """A session of its own settings. Nothing is ever written, so there is nothing to commit or to roll back."""

    def __init__(self, session: SparkSession):
        self._session: SparkSession | None = session

    @property
    def session(self) -> SparkSession:
        """The session that statements run in."""
        if self._session is None:
            raise InterfaceError("the connection is closed")
        return self._session

    def interrupt(self) -> None:
        """End the statement that runs in another thread; there it raises an OperationalError."""
        with translated():
            # The session is this connection's own, so nothing else runs in it.
            self.session.interruptAll()

    def cursor(self) -> Cursor:
        """A new cursor."""
        return Cursor(self)

    def commit(self) -> None:
        """Nothing: there are no transactions."""

    def rollback(self) -> None:
        """Nothing: there are no transactions."""

    def close(self) -> None:
        """Let go of the session; the one that it was cloned from goes on."""
        session, self._session = self._session, None
        if session is not None:
            _release(session)


class Cursor:
    """Statements and their rows, which are fetched whole: grouped statements return few."""

    arraysize = 1

    def __init__(self, connection: Connection):
        self.connection = connection
        self.description: list[tuple[Any, ...]] | None = None
        self.rowcount = -1
        self._rows: list[tuple[Any, ...]] = []
        self._next = 0

    def execute(self, operation: str, parameters: Sequence[Any] = ()) -> Cursor:
        """Run a statement that reads; `?` stands for a parameter.

        Raises:
            NotSupportedError: it writes.
            DataError: a parameter cannot be passed, or a value cannot be computed.
            ProgrammingError: Spark cannot read it, or it names what is not there.
            OperationalError: Spark cannot be asked.
        """
        _refuse_writing(operation)
        arguments = [_argument(value) for value in parameters]
        with translated():
            # Without parameters Spark must not look for any.
            frame = self.connection.session.sql(operation, args=arguments or None)
            rows, fields = frame.collect(), frame.schema.fields
        readers = [_reader(field.dataType) for field in fields]
        self.description = [
            (field.name, field.dataType.simpleString(), None, None, None, None, field.nullable) for field in fields
        ]
        self._rows = [
            tuple(
                value if read is None or value is None else read(value)
                for value, read in zip(row, readers, strict=True)
            )
            for row in rows
        ]
        self._next = 0
        self.rowcount = len(self._rows)
        return self

    def executemany(self, operation: str, seq_of_parameters: Sequence[Sequence[Any]]) -> Cursor:
        """Run a statement once for each set of parameters; the rows of the last are kept."""
        for parameters in seq_of_parameters:
            self.execute(operation, parameters)
        return self

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row; None after the last."""
        return next(iter(self.fetchmany(1)), None)

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        """The next rows."""
        self._require_rows()
        found = self._rows[self._next : self._next + (self.arraysize if size is None else size)]
        self._next += len(found)
        return found

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows that are left."""
        return self.fetchmany(len(self._rows))

    def close(self) -> None:
        """Let go of the rows."""
        self._rows, self.description = [], None

    def setinputsizes(self, sizes: object) -> None:
        """Nothing; PEP 249 asks for it."""

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """Nothing; PEP 249 asks for it."""

    def _require_rows(self) -> None:
        if self.description is None:
            raise InterfaceError("there are no rows: no statement was executed, or the cursor is closed")


def _refuse_writing(operation: str) -> None:
    words = _QUOTED.sub(" ", operation).lstrip(" \t\r\n(")
    first = (re.match(r"\w+", words) or [""])[0].upper()
    written = first if first not in _READS else None
    if first == "WITH" and (found := _WRITES.search(words)):
        written = found[0].upper()
    if written is not None:
        raise NotSupportedError(
            f"Spark is only read from; refused: {written or operation[:20]} ...",
            hint="offerlift writes to SQLite, PostgreSQL, MySQL and DuckDB; give it the URL of a store there.",
        )


def _argument(value: Any) -> Any:
    """A parameter that PySpark passes on as it is."""
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        raise DataError(f"{value} is beyond 64 bits")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"{value!r} is no Unicode text: {error.reason}") from error
    if isinstance(value, datetime) and value.tzinfo is None:
        raise DataError(f"{value} has no time zone", hint="Use datetime(..., tzinfo=UTC).")
    return value


def _reader(kind: DataType) -> Callable[[Any], Any] | None:
    """How a value of a Spark type becomes Python's; None where it is already."""
    from pyspark.sql.types import DecimalType, TimestampType

    if isinstance(kind, DecimalType) and kind.scale == 0:
        return int
    if isinstance(kind, TimestampType):
        # PySpark gives the wall clock of the process's own time zone.
        return lambda value: value.astimezone(UTC)
    return None


class _Types:
    """One of PEP 249's type objects: equal to each of some of Spark's types, as `description` spells them."""

    def __init__(self, *kinds: str):
        self.kinds = kinds

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and other.partition("(")[0] in self.kinds

    __hash__ = None  # pyright: ignore[reportAssignmentType] - equal to several strings, so no hash is right


STRING = _Types("string", "varchar", "char")
BINARY = _Types("binary")
NUMBER = _Types("tinyint", "smallint", "int", "bigint", "float", "double", "decimal")
DATETIME = _Types("date", "timestamp", "timestamp_ntz")
ROWID = _Types()

Date, Time, Timestamp, Binary = date, time, datetime, bytes


def DateFromTicks(ticks: float) -> date:  # noqa: N802 - PEP 249 names it so
    """The UTC day of a POSIX time."""
    return datetime.fromtimestamp(ticks, UTC).date()


def TimeFromTicks(ticks: float) -> time:  # noqa: N802 - PEP 249 names it so
    """The UTC time of day of a POSIX time."""
    return datetime.fromtimestamp(ticks, UTC).timetz()


def TimestampFromTicks(ticks: float) -> datetime:  # noqa: N802 - PEP 249 names it so
    """The UTC time of a POSIX time."""
    return datetime.fromtimestamp(ticks, UTC)
