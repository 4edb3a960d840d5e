"""`offerlift db current|check|upgrade`: the layout of the store, whatever experiments are in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from .confirming import changes, confirm
from .lazy import Group
from .options import database_option
from .output import Output, prints

if TYPE_CHECKING:
    from ..storage.upgrading import SchemaVersion

__all__ = ["database", "store_options"]


@click.group(name="db", cls=Group)
def database() -> None:
    """Look after the store: its layout, what is in it, taking rows out."""


def store_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that name a store: `--db URL` and `--schema NAME`."""

    schema = click.option(
        "--schema", metavar="NAME", help="Schema of PostgreSQL that holds the store, if not the usual one."
    )
    return database_option(schema(command))


@database.command(epilog="Example: offerlift db current --json")
@store_options
@prints
def current(schema: str | None, db: str) -> Output:
    """Print the schema version of the store and the one that this offerlift needs."""
    from ..storage.upgrading import schema_version

    return _version(schema_version(db, schema=schema))


@database.command(epilog="Example: offerlift db check || offerlift db upgrade --yes")
@store_options
@prints
def check(schema: str | None, db: str) -> Output:
    """Say whether the store has the layout that this offerlift needs.

    Exit code 1 where an upgrade is pending, 3 where the store is newer, or none.
    """
    from ..storage.upgrading import check_version

    version = check_version(db, schema=schema)
    return _version(version, findings=bool(version.pending))


@database.command(epilog="Example: offerlift db upgrade --dry-run")
@changes
@store_options
@prints
def upgrade(dry_run: bool, yes: bool, schema: str | None, db: str) -> Output:
    """Bring the store to the layout that this offerlift needs, in place and without loss.

    Backends that still run an older offerlift go on writing while they have it open. When they next open it, it is
    refused.
    """
    from ..storage.upgrading import check_version, upgrade_sql
    from ..storage.upgrading import upgrade as upgrade_store

    version = check_version(db, schema=schema)
    if dry_run:
        sql = upgrade_sql(db, schema=schema)
        if not sql:
            click.echo("Nothing is pending.", err=True)
        row = _row(version) | {"upgraded": False, "sql": sql}
        return Output(sql.rstrip("\n"), row, [row])
    if not version.pending:
        return _version(version)
    confirm(
        f"Upgrade {version.store} from schema version {version.stored}?",
        version.pending,
        yes=yes,
        refusal=f"upgrading {version.store} changes its layout, and nobody is there to be asked",
    )
    upgrade_store(db, schema=schema)
    row = _row(version) | {"upgraded": True, "sql": None}
    return Output(f"{version.store}: upgraded from schema version {version.stored} to {version.needed}", row, [row])


def _row(version: SchemaVersion) -> dict[str, Any]:
    return asdict(version)


def _version(version: SchemaVersion, *, findings: bool = False) -> Output:
    lines = [f"{version.store}: schema version {version.stored}; this offerlift needs {version.needed}"]
    lines += [f"  pending {one}" for one in version.pending]
    row = _row(version)
    return Output("\n".join(lines), row, [row], findings=findings)
