"""`offerlift import`: rows from files into the store."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError, StoreError
from .confirming import dry_run_option
from .lazy import Group
from .options import database_option, delimiter_option, open_store, program, stored_currency, table_columns
from .output import Output, prints

if TYPE_CHECKING:
    from ..storage import ImportReport
    from ..storage.store import Store

__all__ = ["import_group"]

file_argument = click.argument("file", type=click.Path(path_type=Path))
rejects_option = click.option(
    "--rejects",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where refused rows are listed [default: FILE's name with .rejects.csv, in this folder].",
)
encoding_option = click.option("--encoding", default="utf-8", show_default=True, help="Encoding of a CSV file.")


@click.group("import", cls=Group)
def import_group() -> None:
    """Bring rows from CSV and Parquet files into the store.

    CSV may be gzipped. Good rows are stored; refused ones are listed with line (of Parquet: row) and reason in a
    rejects file, and the exit code is 1. The same import again changes nothing. With --dry-run every row is tried out
    in one transaction, which is taken back: other writers wait meanwhile.
    """


@import_group.command(
    "exposures", epilog="Example: offerlift import exposures exposures.csv --experiment free-shipping"
)
@file_argument
@click.option("--experiment", metavar="KEY", help="The experiment of every row; or give --experiment-column.")
@click.option("--experiment-column", metavar="COL", help="Column with the experiment.")
@click.option("--visitor", metavar="COL", default="visitor", show_default=True, help="Column with the visitor id.")
@click.option("--arm", metavar="COL", default="arm", show_default=True, help="Column with the arm.")
@click.option("--at", metavar="COL", default="at", show_default=True, help="Column with the ISO time and its offset.")
@encoding_option
@delimiter_option
@rejects_option
@dry_run_option
@database_option
@prints
def exposures(file: Path, rejects: Path | None, dry_run: bool, db: str, **columns: Any) -> Output:
    """Import exposures: one row each time a visitor reached the point where the arms could differ."""
    from ..storage import import_exposures, read_exposures

    if (columns["experiment"] is None) == (columns["experiment_column"] is None):
        raise click.UsageError("give either --experiment KEY or --experiment-column COL")
    _check_rejects(file, rejects)
    records = read_exposures(file, **columns)
    with _opened(db, dry_run=dry_run) as store:
        report = import_exposures(store, records)
    return _finish(report, file, rejects, dry_run)


@import_group.command(
    "outcomes", epilog="Example: offerlift import outcomes orders.csv --event purchase --value value --cost cost"
)
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
@dry_run_option
@database_option
@prints
def outcomes(file: Path, rejects: Path | None, dry_run: bool, db: str, **columns: Any) -> Output:
    """Import outcomes: orders, clicks, cancellations, one row each."""
    from ..storage import import_outcomes, read_outcomes

    if (columns["event"] is None) == (columns["event_column"] is None):
        raise click.UsageError("give either --event NAME or --event-column COL")
    _check_rejects(file, rejects)
    with _opened(db, dry_run=dry_run) as store:
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
    return _finish(report, file, rejects, dry_run)


@import_group.command("steps", epilog="Example: offerlift import steps bounces.csv --experiment win-back")
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
@dry_run_option
@database_option
@prints
def steps(file: Path, rejects: Path | None, dry_run: bool, db: str, **columns: Any) -> Output:
    """Import how far visitors came with offers, one step a row, such as bounces of an e-mail or a call list."""
    from ..storage import import_offer_steps, read_offer_steps

    if (columns["experiment"] is None) == (columns["experiment_column"] is None):
        raise click.UsageError("give either --experiment KEY or --experiment-column COL")
    _check_rejects(file, rejects)
    records = read_offer_steps(file, **columns)
    with _opened(db, dry_run=dry_run) as store:
        report = import_offer_steps(store, records)
    return _finish(report, file, rejects, dry_run)


@import_group.command(
    "table",
    epilog="Example: offerlift import table visitors.csv --experiment mailing --arm arm --control none --revenue spent",
)
@file_argument
@click.option("--experiment", metavar="KEY", required=True, help="The experiment; its definition is written if new.")
@table_columns
@rejects_option
@dry_run_option
@database_option
@prints
def table(file: Path, experiment: str, rejects: Path | None, dry_run: bool, db: str, **columns: Any) -> Output:
    """Import a file with one row a visitor: arm, and what came of it.

    The row's number is the visitor's id where the file has none.
    """
    from ..storage import import_table, read_table

    require_table_columns(columns)
    _check_rejects(file, rejects)
    currency = columns.pop("currency")
    # The file is read before a store is made: a file that cannot be used leaves nothing behind.
    rows = read_table(file, key=experiment, currency=currency or stored_currency(db), **columns)
    with _opened(db, dry_run=dry_run, create=True, currency=currency) as store:
        report = import_table(store, rows)
    if not dry_run:
        click.echo(f"Next: {program(db)} analyze {experiment}", err=True)
    return _finish(report, file, rejects, dry_run)


@contextmanager
def _opened(db: str, *, dry_run: bool, create: bool = False, currency: str | None = None) -> Iterator[Store]:
    """The store; with `dry_run` what is written to it is taken back, and none is created."""
    if not dry_run:
        with open_store(db, create=create, currency=currency) as store:
            yield store
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            opened = open_store(db, create=False, currency=currency)
        except StoreError as error:
            if not create:
                raise
            click.echo(f"Taken as a new store: {error.message}", err=True)
            opened = open_store(f"sqlite:///{Path(folder, 'new.db')}", currency=currency)
        with opened as store, store.rehearsal():
            yield store


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


def _finish(report: ImportReport, file: Path, rejects: Path | None, dry_run: bool) -> Output:
    from ..storage import write_rejects

    if report.rejects:
        target = rejects or Path(f"{file.name}.rejects.csv")
        for reject in report.rejects[:5]:
            click.echo(f"{reject.place}: {reject.reason}", err=True)
        more = len(report.rejects) - 5
        said = f"... and {more} more. " if more > 0 else ""
        if dry_run:
            click.echo(f"{said}Without --dry-run all refused rows are listed in {target}.", err=True)
        else:
            write_rejects(target, report.rejects)
            click.echo(f"{said}All refused rows: {target}", err=True)
    if dry_run:
        click.echo("Dry run: nothing was changed.", err=True)
    counts = {name: getattr(report, name) for name in ("read", "new", "changed", "repeated", "refused", "crossovers")}
    text = (
        f"{report.read} rows read: {report.new} new, {report.changed} changed, {report.repeated} repeated, "
        f"{report.refused} refused"
    )
    listed = [{"place": reject.place, "reason": reject.reason} for reject in report.rejects]
    row = {"file": str(file)} | counts | {"dry_run": dry_run}
    return Output(text, row | {"rejects": listed}, [row], findings=bool(report.rejects))
