"""Opening a database: addresses, transactions, and errors that say what to do."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from ..errors import InputError, StoreError
from .engines import Database, database_of

__all__ = ["Raced", "database_url", "open_engine", "read", "reading", "translated", "writing"]

ATTEMPTS = 20
"""How often a transaction is tried that lost a race against another writer."""

PATIENCE = 5.0
"""Seconds for which a transaction is tried again after its connection was lost."""

LONGEST_TIMEOUT = 86_400
"""Seconds that a statement_timeout may allow: a day."""

Result = TypeVar("Result")


class Raced(Exception):  # noqa: N818 - a signal to try again, never seen by callers
    """Another writer stored one of the same keys between our reading and our writing."""


def database_url(address: str | Path) -> URL:
    """The URL of an address; a plain path is a SQLite file, and a URL without driver gets the one that is tested.

    Raises:
        StoreError: it cannot be read as a URL, or is of a database that no store can be in.
    """
    text = str(address)
    if "://" not in text:
        return URL.create("sqlite", database=text)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise StoreError(
            f"not the URL of a database: {text.split('://')[0]}://...",
            hint="Write a path, sqlite:///shop.db or postgresql+psycopg://user:password@host/database.",
        ) from error
    driver = database_of(url).driver
    return url if "+" in url.drivername or url.drivername == "sqlite" else url.set(drivername=driver)


def open_engine(url: URL, *, schema: str | None, create: bool, only_read: bool = False) -> Engine:
    """An engine for the URL, with this package's settings; connects only when used.

    With `only_read` nothing can be written in it: somebody else's database, or a store that is only looked at.

    Of the URL, `?statement_timeout=SECONDS` is ours: no statement may take longer.

    Raises:
        StoreError: a timeout that is no number of seconds, a driver that is not installed, a file that does not exist
            (without `create`), a folder that does not exist.
        InputError: a schema for a database that has none.
    """
    database = database_of(url)
    if schema is not None and not database.has_schemas:
        raise InputError(
            f"{database.label} has no schemas, seen schema={schema!r}", hint=f"Use one {database.place} a store."
        )
    url, seconds = _statement_timeout(url)
    if only_read:
        database.check_warehouse(url)
    else:
        database.check_address(url, create=create)
    try:
        engine = create_engine(url, **database.options(url))
    except (ImportError, NoSuchModuleError) as error:
        raise _missing_driver(database, url, error) from error
    database.configure(engine)
    if only_read:
        database.only_read(engine)
    if seconds is not None:
        database.limit_statements(engine, seconds)
    if schema is not None:
        engine = engine.execution_options(schema_translate_map={None: schema})
    return engine


def _statement_timeout(url: URL) -> tuple[URL, float | None]:
    text = url.query.get("statement_timeout")
    if text is None:
        return url, None
    try:
        seconds = float(text) if isinstance(text, str) else math.nan
    except ValueError:
        seconds = math.nan
    if not 0.001 <= seconds <= LONGEST_TIMEOUT:
        raise StoreError(
            f"statement_timeout is a number of seconds from 0.001 to {LONGEST_TIMEOUT}, seen {text!r}",
            hint="Write it as in postgresql://user:password@host/database?statement_timeout=60.",
        )
    return url.difference_update_query(["statement_timeout"]), seconds


def _missing_driver(database: Database, url: URL, error: Exception) -> StoreError:
    steps = [f"install it: pip install 'offerlift[{database.extra}]'"] if database.extra else []
    steps += [f"write {database.driver}://"] if url.drivername != database.driver else []
    reason = error.name or error if isinstance(error, ImportError) else "unknown to SQLAlchemy"
    hint = ", and ".join(steps)
    return StoreError(f"the driver for {url.drivername} is missing: {reason}", hint=f"{hint[0].upper()}{hint[1:]}.")


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Turn the driver's errors into StoreError with what to do next."""
    try:
        yield
    except DBAPIError as error:
        raise database_of(url).failure(url, error.orig or error) from error
    except SQLAlchemyError as error:
        raise database_of(url).failure(url, error) from error


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads and sees one state of the store throughout, without blocking writers."""
    with translated(engine.url), _read(engine) as connection:
        yield connection


def read(engine: Engine, work: Callable[[Connection], Result]) -> Result:
    """The result of `work` in such a transaction, tried again from its start when the connection is lost."""
    return _persist(engine, _read, work)


def writing(engine: Engine, work: Callable[[Connection], Result]) -> Result:
    """The result of `work` in a transaction, tried again from its start.

    That is when another writer came in between, and for a while when the connection is lost. It may be lost while the
    server commits, so `work` must find what it has already done.
    """
    return _persist(engine, _write, work)


@contextmanager
def _read(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        connection = database_of(engine).begin_reading(connection)
        with connection.begin():
            yield connection


@contextmanager
def _write(engine: Engine) -> Iterator[Connection]:
    with database_of(engine).turn_to_write(engine), engine.begin() as connection:
        yield connection


def _persist(
    engine: Engine,
    begin: Callable[[Engine], AbstractContextManager[Connection]],
    work: Callable[[Connection], Result],
) -> Result:
    database = database_of(engine)
    raced, lost, deadline = 0, 0, math.inf
    with translated(engine.url):
        while raced < ATTEMPTS:
            try:
                with begin(engine) as connection:
                    return work(connection)
            except Raced:
                raced += 1
            except DBAPIError as error:
                if database.is_conflict(error):
                    raced += 1
                elif error.connection_invalidated or database.is_unreachable(error):
                    lost, deadline = lost + 1, min(deadline, time.monotonic() + PATIENCE)
                else:
                    raise
                if time.monotonic() > deadline:
                    raise
            time.sleep(min(0.005 * raced + 0.05 * lost, 1.0))
    name = engine.url.render_as_string(hide_password=True)
    raise StoreError(f"the store {name} was written by others {ATTEMPTS} times in between", hint="Try again.")
