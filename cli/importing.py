"""`offerlift import`: rows from files into the store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError, StoreError
from .options import database_option, delimiter_option, open_store, program, stored_currency, table_columns

if TYPE_CHECKING:
    from ..storage import ImportReport

__all__ = ["import_group"]

file_argument = click.argument("file", type=click.Path(path_type=Path))
rejects_option = click.option(
    "--rejects",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where refused rows are listed [default: FILE's name with .rejects.csv, in this folder].",
)
encoding_option = click.option("--encoding", default="utf-8", show_default=True, help="Encoding of a CSV file.")


@click.group("import")
def import_group() -> None:
    """Bring rows from CSV files (plain or gzip) and Parquet files into the store.

    Good rows are stored; refused ones are listed with line (of Parquet: row) and reason in a rejects file, and the
    exit code is 1. The same import again changes nothing.
    """


@import_group.command("exposures")
@file_argument
@click.option("--experiment", metavar="KEY", help="The experiment of every row; or give --experiment-column.")
@click.option("--experiment-column", metavar="COL", help="Column with the experiment.")
@click.option("--visitor", metavar="COL", default="visitor", show_default=True, help="Column with the visitor id.")
@click.option("--arm", metavar="COL", default="arm", show_default=True, help="Column with the arm.")
@click.option("--at", metavar="COL", default="at", show_default=True, help="Column with the ISO time and its offset.")
@encoding_option
@delimiter_option
@rejects_option
@database_option
@click.pass_context
def exposures(context: click.Context, file: Path, rejects: Path | None, db: str, **columns: Any) -> None:
    """Import exposures: one row each time a visitor reached the point where the arms could differ."""
    from ..storage import import_exposures, read_exposures

    if (columns["experiment"] is None) == (columns["experiment_column"] is None):
        raise click.UsageError("give either --experiment KEY or --experiment-column COL")
    _check_rejects(file, rejects)
    records = read_exposures(file, **columns)
    with open_store(db, create=False) as store:
        report = import_exposures(store, records)
    _finish(context, report, file, rejects)


@import_group.command("outcomes")
@file_argument
@click.option("--id", "outcome_id", metavar="COL", default="id", show_default=True, help="Column with the unique id.")
@click.option("--visitor", metavar="COL", default="visitor", show_default=True, help="Column with the visitor id.")
@click.option("--event", metavar="NAME", help="The event of every row, such as purchase; or give --event-column.")
@click.option("--event-column", metavar="COL", help="Column with the event's name.")
@click.option("--at", metavar="COL", default="at", show_default=True, help="Column with the ISO time and its offset.")
@click.option("--value", metavar="COL", help="Column with the value in major units.")
@click.option("--cost", metavar="COL", help="Column with the cost in major units.")
@click.option("--quantity", metavar="COL", help="Column with the quantity.")
@click.option("--currency-column", metavar="COL", help="Column with the currency; the store's if not given.")
@click.option("--reporting-value", metavar="COL", help="Column with the value in the store's currency, of others.")
@click.option("--reporting-cost", metavar="COL", help="Column with the cost in the store's currency, of others.")
@click.option(
    "--refund-of", metavar="COL", help="Column with the id that a refund takes back; its amounts are positive."
)
@encoding_option
@delimiter_option
@rejects_option
@database_option
@click.pass_context
def outcomes(context: click.Context, file: Path, rejects: Path | None, db: str, **columns: Any) -> None:
    """Import outcomes: orders, clicks, cancellations, one row each."""
    from ..storage import import_outcomes, read_outcomes

    if (columns["event"] is None) == (columns["event_column"] is None):
        raise click.UsageError("give either --event NAME or --event-column COL")
    _check_rejects(file, rejects)
    with open_store(db, create=False) as store:
        report = import_outcomes(store, read_outcomes(file, currency=store.currency, **columns))
        used = {
            column.event
            for key in store.experiments()
            for metric in store.published(key).definition.metrics
            for column in metric.columns
            if column.event is not None
        }
    unused = [event for event in report.events if event not in used]
    if unused:
        listed = ", ".join(map(repr, unused[:5])) + (f" and {len(unused) - 5} more" if len(unused) > 5 else "")
        known = ", ".join(sorted(used)) or "none"
        click.echo(f"Warning: no metric of any experiment counts {listed}; the events that count: {known}.", err=True)
    _finish(context, report, file, rejects)


@import_group.command("steps")
@file_argument
@click.option("--experiment", metavar="KEY", help="The experiment of every row; or give --experiment-column.")
@click.option("--experiment-column", metavar="COL", help="Column with the experiment.")
@click.option("--visitor", metavar="COL", default="visitor", show_default=True, help="Column with the visitor id.")
@click.option(
    "--step",
    metavar="COL",
    default="step",
    show_default=True,
    help="Column with the step: reached, withheld, undelivered, delivered, accepted or declined.",
)
@click.option("--offer", metavar="COL", default="offer", show_default=True, help="Column with the offer's name.")
@click.option("--at", metavar="COL", default="at", show_default=True, help="Column with the ISO time and its offset.")
@click.option("--reason", metavar="COL", help="Column with the reason: of a refusal, a withholding, a bounce.")
@encoding_option
@delimiter_option
@rejects_option
@database_option
@click.pass_context
def steps(context: click.Context, file: Path, rejects: Path | None, db: str, **columns: Any) -> None:
    """Import how far visitors came with offers, one step a row, such as bounces of an e-mail or a call list."""
    from ..storage import import_offer_steps, read_offer_steps

    if (columns["experiment"] is None) == (columns["experiment_column"] is None):
        raise click.UsageError("give either --experiment KEY or --experiment-column COL")
    _check_rejects(file, rejects)
    records = read_offer_steps(file, **columns)
    with open_store(db, create=False) as store:
        report = import_offer_steps(store, records)
    _finish(context, report, file, rejects)


@import_group.command("table")
@file_argument
@click.option("--experiment", metavar="KEY", required=True, help="The experiment; its definition is written if new.")
@table_columns
@rejects_option
@database_option
@click.pass_context
def table(context: click.Context, file: Path, experiment: str, rejects: Path | None, db: str, **columns: Any) -> None:
    """Import a file with one row a visitor: arm, and what came of it.

    The row's number is the visitor's id where the file has none.
    """
    from ..storage import import_table, read_table

    require_table_columns(columns)
    _check_rejects(file, rejects)
    currency = columns.pop("currency")
    # The file is read before a store is made: a file that cannot be used leaves nothing behind.
    rows = read_table(file, key=experiment, currency=currency or stored_currency(db), **columns)
    with open_store(db, currency=currency) as store:
        report = import_table(store, rows)
    click.echo(f"Next: {program(db)} analyze {experiment}", err=True)
    _finish(context, report, file, rejects)


def require_table_columns(columns: dict[str, Any]) -> None:
    """Refuse a table without an arm, a control or anything to measure."""
    for name in ("arm", "control"):
        if columns[name] is None:
            raise click.UsageError(f"a table needs --{name}")
    if columns["revenue"] is None and columns["conversion"] is None:
        raise click.UsageError("a table needs --revenue COL, --conversion COL or both: there is nothing to measure")


def _check_rejects(file: Path, rejects: Path | None) -> None:
    """Refuse a --rejects that cannot be written, before any row is stored."""
    if rejects is None:
        return
    if rejects.resolve() == file.resolve() or (rejects.exists() and file.exists() and rejects.samefile(file)):
        raise InputError(f"--rejects {rejects} is the file to import", hint="Name another file.")
    if not rejects.parent.is_dir() or not os.access(rejects if rejects.exists() else rejects.parent, os.W_OK):
        raise StoreError(f"--rejects {rejects} cannot be written", hint="Check its folder and the permissions.")


def _finish(context: click.Context, report: ImportReport, file: Path, rejects: Path | None) -> None:
    from ..storage import write_rejects

    click.echo(
        f"{report.read} rows read: {report.new} new, {report.changed} changed, {report.repeated} repeated, "
        f"{report.refused} refused"
    )
    if not report.rejects:
        return
    target = rejects or Path(f"{file.name}.rejects.csv")
    write_rejects(target, report.rejects)
    for reject in report.rejects[:5]:
        click.echo(f"{reject.place}: {reject.reason}", err=True)
    more = len(report.rejects) - 5
    click.echo(f"{f'... and {more} more. ' if more > 0 else ''}All refused rows: {target}", err=True)
    context.exit(1)
