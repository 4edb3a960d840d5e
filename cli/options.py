"""Options that several commands share, each declared once."""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import InputError, OfferliftError, StoreError

if TYPE_CHECKING:
    from ..experiments import Snapshot
    from ..storage.store import Store

Command = TypeVar("Command", bound=Callable[..., Any])

__all__ = [
    "DATABASE_ENV",
    "DEFAULT_DATABASE",
    "assigned_snapshot",
    "database_option",
    "delimiter_option",
    "experiment_argument",
    "history_options",
    "open_store",
    "program",
    "share_weights",
    "stored_currency",
    "table_columns",
    "warehouse_options",
]

DATABASE_ENV = "OFFERLIFT_DB"
DEFAULT_DATABASE = "sqlite:///offerlift.db"


def database_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--db URL` and pass it the URL as `db`; the group's own --db, the environment, the default."""

    @click.option("--db", metavar="URL", help=f"The store [env {DATABASE_ENV}; default {DEFAULT_DATABASE}].")
    @click.pass_context
    @functools.wraps(command)
    def with_database(context: click.Context, /, *args: Any, db: str | None, **kwargs: Any) -> Any:
        chosen = db or context.obj or os.environ.get(DATABASE_ENV) or DEFAULT_DATABASE
        return context.invoke(command, *args, db=chosen, **kwargs)

    return with_database


def experiment_argument(name: str = "experiment", **settings: Any) -> Callable[[Command], Command]:
    """An argument that is the key of an experiment, which shells complete from the store."""
    return click.argument(name, shell_complete=_stored_keys, **settings)


def _stored_keys(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Keys of the store that begin so; none where it cannot be read: a completion says nothing of errors."""
    named = context.params.get("db") or context.find_root().params.get("db")
    try:
        with open_store(named or os.environ.get(DATABASE_ENV) or DEFAULT_DATABASE, create=False) as store:
            return [key for key in store.experiments() if key.startswith(incomplete)]
    except OfferliftError:
        return []


def open_store(url: str, *, create: bool = True, currency: str | None = None, schema: str | None = None) -> Store:
    """Open the store; commands that only read do not create one, those that create one may say its currency."""
    from ..storage import Store
    from ..storage.engine import database_url

    address = database_url(url)
    database = address.database or ""
    memory = database in ("", ":memory:") or ("mode" in address.query and address.query["mode"] == "memory")
    if address.get_backend_name() in ("sqlite", "duckdb") and (memory or ":memory:" in database):
        raise InputError(
            f"{url} is a store in memory: all would be lost when this command ends",
            hint="Give a file, such as sqlite:///shop.db.",
        )
    return Store.open(url, create=create, currency=currency, schema=schema)


def assigned_snapshot(store: Store) -> Snapshot:
    """The latest versions of the experiments that offerlift assigns; an imported table is nothing to a backend."""
    from ..experiments import Snapshot

    versions = [store.published(key) for key in store.experiments()]
    return Snapshot.of([version for version in versions if version.definition.source == "assigner"])


def stored_currency(url: str) -> str:
    """The currency of a store; EUR, that of a new one, where there is none yet."""
    try:
        with open_store(url, create=False) as store:
            return store.currency
    except StoreError:
        # There is no store, or it cannot be opened: opening it to write says which.
        return "EUR"


def share_weights(context: click.Context, parameter: click.Parameter, value: str | None) -> dict[str, str] | None:
    """Parse `ARM=N,ARM=N`; the numbers stay text, so that thirds and large counts arrive exactly."""
    if value is None:
        return None
    weights: dict[str, str] = {}
    for part in value.split(","):
        name, equals, number = part.rpartition("=")
        if not equals or not name.strip() or not number.strip():
            raise click.BadParameter(f"{part!r} is not ARM=N; write for example control=50,discount=50")
        if name.strip() in weights:
            raise click.BadParameter(f"{name.strip()!r} stands there twice")
        weights[name.strip()] = number.strip()
    return weights


def _one_character(context: click.Context, parameter: click.Parameter, value: str) -> str:
    # A tab is hard to type in most shells.
    return "\t" if value in ("\\t", "tab") else value


delimiter_option = click.option(
    "--delimiter",
    default=",",
    show_default=True,
    callback=_one_character,
    help="Between cells of a CSV file, such as ';' or tab.",
)


def table_columns(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which column of a one-row-a-visitor file is what."""
    for option in reversed(
        (
            click.option("--arm", metavar="COL", help="Column with the arm."),
            click.option("--control", metavar="NAME", help="The arm that the others are compared with."),
            click.option("--visitor", metavar="COL", help="Column with the visitor id; the row number if not given."),
            click.option("--revenue", metavar="COL", help="Column with the visitor's revenue in major units."),
            click.option("--conversion", metavar="COL", help="Column with 0/1 or true/false."),
            click.option("--covariate", metavar="COL", help="Column with a number known before the exposure (CUPED)."),
            click.option(
                "--weights", metavar="ARM=N,ARM=N", callback=share_weights, help="Planned split; equal if not given."
            ),
            click.option("--primary", metavar="METRIC", help="Primary metric; revenue_per_visitor if there is one."),
            click.option("--currency", metavar="CODE", help="Currency of the revenue; else the store's, or EUR."),
            click.option("--encoding", default="utf-8", show_default=True, help="Encoding of a CSV file."),
            delimiter_option,
        )
    ):
        command = option(command)
    return command


def history_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an EXPERIMENT, its definition, and where past visitors are: --from, --table and its columns."""
    options = (
        experiment_argument(),
        click.option(
            "--definitions",
            type=click.Path(path_type=Path),
            help="The definition, or a folder of definitions, in place of the version in the store.",
        ),
        click.option("--from", "source", metavar="EXPERIMENT", help="Whose visitors are the history."),
        click.option(
            "--table", type=click.Path(path_type=Path), help="Take the history from this one-row-a-visitor file."
        ),
        table_columns,
    )
    for option in reversed(options):
        command = option(command)
    return command


def warehouse_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say whose tables are analysed, and which definition names them."""
    for option in (
        click.option(
            "--definitions",
            type=click.Path(path_type=Path),
            default=Path("offers"),
            show_default=True,
            help="With --warehouse: the definition, or a folder of definitions.",
        ),
        click.option("--warehouse", metavar="URL", help="Analyse the tables that the definition names, there."),
    ):
        command = option(command)
    return command


def program(db: str | None = None) -> str:
    """How to call this program again from here: its name where the shell finds it, else the path it was called by.

    `db` is the store to name with it, where neither the default nor the environment gives it.
    """
    called = Path(sys.argv[0])
    if called.name != "offerlift" or shutil.which("offerlift") == str(called.absolute()):
        name = "offerlift"
    else:
        name = os.path.relpath(called) if called.is_absolute() and called.is_relative_to(Path.cwd()) else str(called)
    if db is None or db == os.environ.get(DATABASE_ENV, DEFAULT_DATABASE):
        return name
    return f"{name} --db {shlex.quote(db)}"
