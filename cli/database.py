"""`offerlift db`: the store itself, whatever experiments are in it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError
from .options import database_option, print_json

if TYPE_CHECKING:
    from ..storage.upgrading import SchemaVersion

__all__ = ["confirm", "database", "store_options"]


@click.group(name="db")
def database() -> None:
    """Look after the store: its layout, what is in it, and taking rows out of it."""


def store_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that name a store: `--db URL` and `--schema NAME`."""

    schema = click.option(
        "--schema", metavar="NAME", help="Schema of PostgreSQL that holds the store, if not the usual one."
    )
    return database_option(schema(command))


@database.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@store_options
def current(as_json: bool, schema: str | None, db: str) -> None:
    """Print the schema version of the store and the one that this offerlift needs."""
    from ..storage.upgrading import schema_version

    version = schema_version(db, schema=schema)
    if as_json:
        print_json(asdict(version))
    else:
        _print_version(version)


@database.command()
@store_options
@click.pass_context
def check(context: click.Context, schema: str | None, db: str) -> None:
    """Say whether the store has the layout that this offerlift needs.

    Exit code 1 where an upgrade is pending, 3 where the store is newer, or none.
    """
    from ..storage.upgrading import check_version

    version = check_version(db, schema=schema)
    _print_version(version)
    if version.pending:
        context.exit(1)


@database.command()
@click.option("--dry-run", is_flag=True, help="Print the SQL, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@store_options
def upgrade(dry_run: bool, yes: bool, schema: str | None, db: str) -> None:
    """Bring the store to the layout that this offerlift needs, in place and without loss.

    Backends that still run an older offerlift go on writing while they have it open. When they next open it, it is
    refused.
    """
    from ..storage.upgrading import check_version, upgrade_sql
    from ..storage.upgrading import upgrade as upgrade_store

    if dry_run:
        sql = upgrade_sql(db, schema=schema)
        click.echo(sql or "Nothing is pending.", nl=not sql, err=not sql)
        return
    version = check_version(db, schema=schema)
    if version.pending and not yes:
        confirm(
            f"Upgrade {version.store} from schema version {version.stored}?",
            version.pending,
            refusal=f"upgrading {version.store} changes its layout, and nobody is there to be asked",
        )
    if version.pending:
        upgrade_store(db, schema=schema)
        click.echo(f"{version.store}: upgraded from schema version {version.stored} to {version.needed}")
    else:
        _print_version(version)


def _print_version(version: SchemaVersion) -> None:
    click.echo(f"{version.store}: schema version {version.stored}; this offerlift needs {version.needed}")
    for one in version.pending:
        click.echo(f"  pending {one}")


def confirm(question: str, details: Iterable[str], *, refusal: str) -> None:
    """Ask at a terminal before something that cannot be taken back; elsewhere `refusal` says why it is not done."""
    if not sys.stdin.isatty():
        raise InputError(refusal, hint="Look with --dry-run, then say --yes.")
    for line in details:
        click.echo(line, err=True)
    click.confirm(question, abort=True, err=True)
