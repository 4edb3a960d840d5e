"""A store's own entries: created with the tables, checked whenever it is opened."""

from __future__ import annotations

import shlex

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateSchema

from ..errors import StoreError
from . import tables
from .engine import reading, writing
from .engines import database_of

__all__ = ["open_tables", "refuse_newer", "store_name", "store_version"]


def open_tables(engine: Engine, *, schema: str | None, currency: str | None, create: bool) -> str:
    """Currency of the store behind the engine; created where there is none.

    Raises:
        StoreError: there is none and `create` is not set; it is of another schema version or currency.
    """
    name = store_name(engine, schema)
    found = _entries(engine)
    if found is None and create:
        _create(engine, name, schema, currency or "EUR")
        found = _entries(engine)
    if found is None:
        raise _missing(name)
    version = _version(name, found)
    refuse_newer(name, version)
    if version < tables.SCHEMA_VERSION:
        command = f"offerlift db upgrade --db {shlex.quote(engine.url.render_as_string(hide_password=True))}"
        raise StoreError(
            f"the store {name} has schema version {version}; this offerlift reads {tables.SCHEMA_VERSION}",
            hint=f"Upgrade it in place: {command}{'' if schema is None else f' --schema {shlex.quote(schema)}'}",
        )
    if currency not in (None, found.get("currency")):
        raise StoreError(
            f"the store {name} is in {found.get('currency')}, not in {currency}",
            hint="Use another store: one store a shop, one currency a store.",
        )
    return found["currency"]


def store_name(engine: Engine, schema: str | None) -> str:
    """What messages call a store: its URL without the password, and its schema."""
    name = engine.url.render_as_string(hide_password=True)
    return name if schema is None else f"{name} (schema {schema})"


def store_version(engine: Engine, schema: str | None) -> int:
    """Schema version of the store behind the engine, older and newer ones included.

    Raises:
        StoreError: there is none, or it cannot be read.
    """
    name = store_name(engine, schema)
    found = _entries(engine)
    if found is None:
        raise _missing(name)
    return _version(name, found)


def refuse_newer(name: str, version: int) -> None:
    """Refuse a store that a newer release wrote: what this one would write there, that one could misread.

    Raises:
        StoreError: it is of a newer schema version.
    """
    if version > tables.SCHEMA_VERSION:
        raise StoreError(
            f"the store {name} has schema version {version}; this offerlift reads {tables.SCHEMA_VERSION}",
            hint="A newer offerlift wrote it: upgrade this one (pip install --upgrade offerlift).",
        )


def _missing(name: str) -> StoreError:
    return StoreError(f"there is no store in {name}", hint="Check the URL; publishing or importing creates a store.")


def _version(name: str, entries: dict[str, str]) -> int:
    version = entries.get("schema_version", "")
    if not (version.isascii() and version.isdecimal() and int(version) > 0):
        raise StoreError(
            f"the store {name} has no schema version, seen {version!r}",
            hint="Its table `store` is not as offerlift wrote it; restore it from a backup.",
        )
    return int(version)


def _entries(engine: Engine) -> dict[str, str] | None:
    """What the table `store` says; None where there is no such table, or one that was not finished."""
    try:
        with reading(engine) as connection:
            found = dict(connection.execute(select(tables.store.c.key, tables.store.c.value)).all())
            # Written last: without it, whoever created the tables was killed before the end.
            return found if "schema_version" in found else None
    except StoreError as error:
        database, cause = database_of(engine), error.__cause__
        if isinstance(cause, DBAPIError) and database.is_missing_table(cause):
            return None
        if isinstance(cause, DBAPIError) and database.is_missing_column(cause):
            error.hint = "The database has a table `store` of somebody else; give another file, or schema=."
        raise


def _create(engine: Engine, name: str, schema: str | None, currency: str) -> None:
    def create(connection: Connection) -> None:
        if schema is not None:
            connection.execute(CreateSchema(schema, if_not_exists=True))
        database_of(connection).create_tables(connection, tables.metadata)
        entries = {"schema_version": str(tables.SCHEMA_VERSION), "currency": currency}
        connection.execute(tables.store.insert(), [{"key": key, "value": value} for key, value in entries.items()])

    try:
        writing(engine, create)
        database_of(engine).created(engine)
    except StoreError as error:
        cause = error.__cause__
        if not (isinstance(cause, DBAPIError) and database_of(engine).exists_already(cause)):
            raise
        # Another process may just have created the same store.
        if _entries(engine) is None:
            raise StoreError(
                f"{name} holds tables of the same names that are not offerlift's: {error.message}",
                hint="Give another file, or schema= for tables of their own.",
            ) from error
