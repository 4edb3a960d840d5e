"""Opening a database: addresses, SQLite's settings, transactions, and errors that say what to do.

Writing transactions of SQLite begin with BEGIN IMMEDIATE: a deferred one that reads before it writes fails at once when
another process writes in between, whatever the busy timeout.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from ..errors import StoreError

__all__ = ["Raced", "checkpoint", "database_url", "open_engine", "reading", "translated", "use_wal", "writing"]

BUSY_SECONDS = 30
"""How long SQLite waits for another writer."""

ATTEMPTS = 20
"""How often a transaction is tried that lost a race against another writer."""

_READ_ONLY = "offerlift_read_only"
_EXTRAS = {"postgresql": "postgresql"}
# PostgreSQL: deadlock, serialization failure.
_TRY_AGAIN = {"40P01", "40001"}

Result = TypeVar("Result")


class Raced(Exception):  # noqa: N818 - a signal to try again, never seen by callers
    """Another writer stored one of the same keys between our reading and our writing."""


def database_url(address: str | Path) -> URL:
    """The URL of an address; a plain path is a SQLite file.

    Raises:
        StoreError: it cannot be read as a URL.
    """
    text = str(address)
    if "://" not in text:
        return URL.create("sqlite", database=text)
    try:
        return make_url(text)
    except (ArgumentError, ValueError) as error:
        raise StoreError(
            f"not the URL of a database: {text.split('://')[0]}://...",
            hint="Write a path, sqlite:///shop.db or postgresql+psycopg://user:password@host/database.",
        ) from error


def open_engine(url: URL, *, schema: str | None, create: bool) -> Engine:
    """An engine for the URL, with this package's settings; connects only when used.

    Raises:
        StoreError: an unknown engine, a driver that is not installed, a file that does not exist (without `create`),
            a folder that does not exist.
    """
    options: dict[str, Any] = {}
    if url.get_backend_name() == "sqlite":
        if url.database in (None, "", ":memory:"):
            options["poolclass"] = StaticPool
            options["connect_args"] = {"check_same_thread": False}
        else:
            _check_query(url)
            # SQLite's own notation, as in file:shop.db?mode=ro&uri=true, says itself what to create.
            if not url.database.startswith("file:"):
                _check_file(Path(url.database), create=create)
    if url.drivername == "postgresql+psycopg":
        # A prepared statement keeps the plan that it got while the table was empty: minutes instead of seconds.
        options["connect_args"] = {"prepare_threshold": None}
    try:
        engine = create_engine(url, **options)
    except NoSuchModuleError as error:
        raise StoreError(
            f"no such kind of database: {url.drivername}", hint="SQLite and PostgreSQL are supported."
        ) from error
    except ImportError as error:
        extra = _EXTRAS.get(url.get_backend_name())
        hint = f"Install it: pip install 'offerlift[{extra}]'" if extra else "Install it with pip."
        if extra and url.drivername != "postgresql+psycopg":
            hint += ", and write postgresql+psycopg://."
        raise StoreError(f"the driver for {url.drivername} is missing: {error.name or error}", hint=hint) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    if schema is not None:
        engine = engine.execution_options(schema_translate_map={None: schema})
    return engine


def _check_query(url: URL) -> None:
    # SQLite's own parameters are taken only by its own notation; elsewhere the driver drops them with a warning.
    dropped = sorted({"mode", "cache", "immutable", "vfs", "nolock", "psow"} & url.query.keys())
    if dropped and "uri" not in url.query:
        raise StoreError(
            f"SQLite does not take ?{dropped[0]}= in {url.render_as_string()}",
            hint=f"Leave it out, or write sqlite:///file:{url.database}?{dropped[0]}=...&uri=true.",
        )


def _check_file(path: Path, *, create: bool) -> None:
    # Path.exists answers False below a regular file; the folder is named in either case.
    try:
        folder_exists, exists = path.parent.is_dir(), path.exists()
    except OSError as error:
        raise StoreError(f"the store {path} cannot be reached: {error.strerror or error}") from error
    if not folder_exists:
        raise StoreError(f"the folder of the store does not exist: {path.parent}", hint="Create it, or check the path.")
    if exists and not path.is_file():
        raise StoreError(f"the store {path} is not a file", hint="Give the path of a file, such as shop.db.")
    if not exists and not create:
        raise StoreError(
            f"there is no store at {path}", hint="Check the path; publishing or importing creates a store."
        )


def _configure_sqlite(connection: Any, _record: object) -> None:
    # SQLAlchemy's begin event then decides how a transaction begins, not the driver.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout = {BUSY_SECONDS * 1000}",
        "foreign_keys = ON",
        "temp_store = MEMORY",
        "cache_size = -262144",
        "mmap_size = 268435456",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def use_wal(engine: Engine) -> None:
    """Let a SQLite file be read while it is written; it remembers. Nothing happens on other engines."""
    if engine.dialect.name != "sqlite":
        return None
    # While another process opens the same new file this fails at once, whatever the busy timeout.
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return _pragma(engine, "journal_mode = WAL")
        except StoreError as error:
            if "locked" not in error.message or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def checkpoint(engine: Engine) -> None:
    """Move SQLite's write-ahead log into the file, unless somebody is reading: it grew to 500 MB when left alone."""
    if engine.dialect.name == "sqlite":
        _pragma(engine, "busy_timeout = 0", "wal_checkpoint(TRUNCATE)", f"busy_timeout = {BUSY_SECONDS * 1000}")


def _pragma(engine: Engine, *pragmas: str) -> None:
    # These are refused inside a transaction, which is what SQLAlchemy's connections always are in.
    connection = engine.raw_connection()
    try:
        for pragma in pragmas:
            connection.cursor().execute(f"PRAGMA {pragma}").close()
    except engine.dialect.loaded_dbapi.Error as error:
        name = engine.url.render_as_string(hide_password=True)
        raise StoreError(f"the store {name} failed: {error}", hint=_hint(str(error))) from error
    finally:
        connection.close()


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Turn the driver's errors into StoreError with what to do next."""
    try:
        yield
    except DBAPIError as error:
        name = url.render_as_string(hide_password=True)
        reason = " ".join(str(error.orig).split())
        hint = getattr(error.orig, "hint", None) or _hint(reason)
        raise StoreError(f"the store {name} failed: {reason}", hint=hint) from error
    except SQLAlchemyError as error:
        name = url.render_as_string(hide_password=True)
        raise StoreError(f"the store {name} failed: {' '.join(str(error).split())}") from error


def _hint(reason: str) -> str | None:
    known = {
        "file is not a database": "It is no SQLite file; give another path.",
        "malformed": "The file is damaged; restore it from a backup.",
        "unable to open database file": "Check that the folder exists and that you may write to it.",
        "readonly": "The file or its folder cannot be written; check the permissions.",
        "read-only": "The server or transaction is read-only; connect to the primary.",
        "database is locked": "Another process has been writing for long; try again.",
        "disk is full": "Free some space, then try again; what was acknowledged is stored.",
        "password": "Check user and password in the URL.",
        "connect": "Check host, port and database in the URL, and that the server runs.",
        "permission denied": "Ask for CREATE and USAGE on the schema, or give another one with schema=.",
        "does not exist": "Create it on the server, or check the URL.",
    }
    return next((hint for sign, hint in known.items() if sign in reason.lower()), None)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads and sees one state of the store throughout, without blocking writers."""
    with translated(engine.url), engine.connect() as connection:
        options: dict[str, Any] = {_READ_ONLY: True}
        # Spark has no transactions: each statement sees the tables as they are when it begins.
        if engine.dialect.name not in ("sqlite", "spark"):
            options["isolation_level"] = "REPEATABLE READ"
        connection = connection.execution_options(**options)
        with connection.begin():
            yield connection


def writing(engine: Engine, work: Callable[[Connection], Result]) -> Result:
    """The result of `work` in a transaction, tried again from its start when another writer came in between."""
    with translated(engine.url):
        for attempt in range(ATTEMPTS):
            try:
                with engine.begin() as connection:
                    return work(connection)
            except Raced:
                pass
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in _TRY_AGAIN:
                    raise
            time.sleep(0.005 * attempt)
    name = engine.url.render_as_string(hide_password=True)
    raise StoreError(f"the store {name} was written by others {ATTEMPTS} times in between", hint="Try again.")
