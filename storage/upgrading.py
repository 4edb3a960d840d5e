"""Bringing an older store to the present layout, in place.

Nothing upgrades unasked: several backends share a store, and those that still run an older release are refused by an
upgraded one when they next start. So `Store.open` refuses an older store, and this is called when all are ready.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic.ddl.impl import DefaultImpl
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, Engine, Text, column, select, table, update

from ..errors import StoreError
from . import tables
from .engine import database_url, open_engine, reading, writing
from .engines import database_of, locked
from .opening import refuse_newer, store_name, store_version

__all__ = ["SchemaVersion", "check_version", "schema_version", "upgrade", "upgrade_sql"]

_SCRIPTS = Path(__file__).parent / "migrations"


class _DuckDB(DefaultImpl):
    """What Alembic has to know of DuckDB, which it finds by this name."""

    __dialect__ = "duckdb"
    transactional_ddl = True


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """The layout of a store.

    Attributes:
        store: URL of the store, without its password, and its schema.
        stored: number of its layout.
        needed: number of the layout that this release reads and writes.
        pending: what is to be done, one sentence an upgrade; none where the layout is the needed one, or newer.
    """

    store: str
    stored: int
    needed: int
    pending: tuple[str, ...]


def schema_version(url: str | Path, *, schema: str | None = None) -> SchemaVersion:
    """Which layout a store has, and what an upgrade would do; nothing is changed.

    Raises:
        StoreError: there is no store, or it cannot be read.
    """
    with _opened(url, schema) as engine:
        return _read(engine, schema)


def check_version(url: str | Path, *, schema: str | None = None) -> SchemaVersion:
    """Which layout a store has, if this release can use it as it is or after an upgrade; nothing is changed.

    Raises:
        StoreError: there is no store, it cannot be read, or a newer offerlift wrote it.
    """
    version = schema_version(url, schema=schema)
    refuse_newer(version.store, version.stored)
    return version


def upgrade(url: str | Path, *, schema: str | None = None) -> SchemaVersion:
    """Bring a store to the present layout, and return which one it had before.

    All or nothing: a failed or killed upgrade leaves the store as it was. On MariaDB and MySQL, whose changes cannot be
    taken back, it leaves a store that is still of the old version and is finished by the next upgrade. Of two upgrades
    at once one waits for the other, and finds nothing to do.

    Raises:
        StoreError: there is no store, it cannot be written, it is damaged, or a newer offerlift wrote it.
    """
    with _opened(url, schema) as engine:
        before = _read(engine, schema)
        refuse_newer(before.store, before.stored)
        if before.pending:
            _check(engine)
            writing(engine, lambda connection: _upgrade(connection, schema))
        return before


def upgrade_sql(url: str | Path, *, schema: str | None = None) -> str:
    """The SQL of an upgrade of this store, which is read and not changed; "" where there is nothing to do.

    Raises:
        StoreError: there is no store, it cannot be read, or a newer offerlift wrote it.
    """
    with _opened(url, schema) as engine:
        version = _read(engine, schema)
        refuse_newer(version.store, version.stored)
        if not version.pending:
            return ""
        text = io.StringIO()
        with reading(engine) as connection:
            _run(connection, schema, version.stored, as_sql=True, literal_binds=True, output_buffer=text)
        return f"BEGIN;\n\n{text.getvalue().strip()}\n\nCOMMIT;\n"


@contextmanager
def _opened(url: str | Path, schema: str | None) -> Iterator[Engine]:
    engine = open_engine(database_url(url), schema=schema, create=False)
    try:
        yield engine
    finally:
        engine.dispose()


def _read(engine: Engine, schema: str | None) -> SchemaVersion:
    stored = store_version(engine, schema)
    pending = tuple(f"{script.revision}: {script.doc}" for script in _pending(stored))
    return SchemaVersion(store_name(engine, schema), stored, tables.SCHEMA_VERSION, pending)


def _pending(stored: int) -> list[Script]:
    scripts = list(ScriptDirectory(str(_SCRIPTS)).walk_revisions())
    return [script for script in reversed(scripts) if int(script.revision) > stored]


def _check(engine: Engine) -> None:
    """Refuse a damaged file before anything is written; servers look after their own."""
    with reading(engine) as connection:
        damage = database_of(engine).damage(connection)
    if damage is not None:
        raise StoreError(
            f"the store {engine.url.render_as_string(hide_password=True)} is damaged: {damage}",
            hint="Nothing was changed. Restore it from a backup.",
        )


def _upgrade(connection: Connection, schema: str | None) -> None:
    with database_of(connection).alone(connection):
        # Read again: another may have upgraded while this one waited. On PostgreSQL it is this row that it waits for.
        entry = select(tables.store.c.value).where(tables.store.c.key == "schema_version")
        stored = int(connection.scalars(locked(connection, entry)).one())
        _run(connection, schema, stored)


def _run(connection: Connection, schema: str | None, stored: int, **options: Any) -> None:
    options |= {"store": connection, "schema": schema}
    store = table("store", column("key", Text), column("value", Text), schema=schema)
    context = MigrationContext.configure(connection, opts=options)
    with Operations.context(context) as operations:
        for script in _pending(stored):
            script.module.upgrade()
            number = str(int(script.revision))
            operations.execute(update(store).where(store.c.key == "schema_version").values(value=number))
