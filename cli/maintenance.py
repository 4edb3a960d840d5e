"""`offerlift db stats|export|prune|forget`: what is in a store, taking it out, and taking it away."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ..errors import InputError
from .database import confirm, database, store_options
from .options import open_store, print_json

if TYPE_CHECKING:
    from ..storage.maintenance.forgetting import Forgetting
    from ..storage.maintenance.inventory import Delivery, Inventory
    from ..storage.maintenance.pruning import Pruning

__all__ = ["database"]

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@database.command()
@json_option
@store_options
def stats(as_json: bool, schema: str | None, db: str) -> None:
    """Print rows, bytes and times of each table, how late facts arrive, and the visitors of each experiment."""
    from ..storage.maintenance.inventory import take_inventory

    with open_store(db, create=False, schema=schema) as store:
        inventory = take_inventory(store)
    if as_json:
        print_json(_plain(asdict(inventory)))
    else:
        _print_inventory(inventory)


def _print_inventory(found: Inventory) -> None:
    size = "" if found.bytes is None else f", {found.bytes:,} bytes"
    click.echo(f"{found.store}: {found.currency}, schema version {found.schema_version}{size}")
    if found.pruned_before is not None:
        click.echo(f"pruned: what is from before {found.pruned_before.isoformat()} is not taken any more")
    click.echo("\ntable\trows\tbytes\toldest\tnewest")
    for one in found.tables:
        size = "-" if one.bytes is None else f"{one.bytes:,}"
        click.echo(f"{one.table}\t{one.rows:,}\t{size}\t{_time(one.oldest)}\t{_time(one.newest)}")
    click.echo("\ndelivery\trows\tmedian\t95 %\tworst")
    for delivery in found.delivery:
        click.echo(_delivery(delivery))
    click.echo("\nexperiment\tstate\tphase\tvisitors\tcrossovers\tfirst\tlast\tarms")
    for one in found.experiments:
        state = f"{one.state}, pruned" if one.pruned else one.state
        arms = ", ".join(f"{arm} {count:,}" for arm, count in one.arms.items()) or "-"
        times = f"{_time(one.oldest)}\t{_time(one.newest)}"
        click.echo(f"{one.experiment}\t{state}\t{one.phase}\t{one.visitors:,}\t{one.crossovers:,}\t{times}\t{arms}")


def _delivery(one: Delivery) -> str:
    delays = ["-" if seconds is None else _duration(seconds) for seconds in (one.median, one.p95, one.worst)]
    early = f"\t{one.early:,} received before they happened: check the clocks" if one.early else ""
    return "\t".join([one.table, f"{one.rows:,}", *delays]) + early


def _duration(seconds: float) -> str:
    """In the largest unit of which there are two."""
    for unit, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if abs(seconds) >= 2 * unit:
            return f"{seconds / unit:,.1f} {name}"
    return f"{seconds:,.1f} s"


def _time(at: datetime | None) -> str:
    return "-" if at is None else at.isoformat(timespec="seconds")


@database.command()
@click.option("--to", "folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="The folder.")
@click.option(
    "--format", type=click.Choice(["parquet", "csv"]), default="parquet", show_default=True, help="Of the files."
)
@click.option("--table", "names", metavar="NAME", multiple=True, help="Only this table; may be given several times.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@json_option
@store_options
def export(
    folder: Path,
    format: Literal["parquet", "csv"],
    names: tuple[str, ...],
    force: bool,
    as_json: bool,
    schema: str | None,
    db: str,
) -> None:
    """Write all tables to a folder, one Parquet or CSV file each, with text ids, UTC times and decimal money.

    Parquet needs pyarrow: pip install 'offerlift[parquet]'.
    """
    from ..storage.maintenance.exporting import export_store

    with open_store(db, create=False, schema=schema) as store:
        files = export_store(store, folder, format=format, names=names, force=force)
    if as_json:
        print_json({"files": [{**asdict(one), "path": str(one.path)} for one in files]})
    else:
        for one in files:
            click.echo(f"{one.path}\t{one.rows:,}")


def _moment(context: click.Context, parameter: click.Parameter, value: str) -> datetime:
    from ..storage.times import parse_time

    try:
        day = date.fromisoformat(value.strip())
    except ValueError:
        try:
            return parse_time(value)
        except InputError as error:
            raise click.BadParameter(f"{error}; a day is written 2026-05-04, and begins in UTC") from error
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@database.command()
@click.option("--before", metavar="DATE", required=True, callback=_moment, help="A day (UTC), or an ISO time.")
@click.option("--yes", is_flag=True, help="Remove the rows; without it, only print what would go.")
@json_option
@store_options
def prune(before: datetime, yes: bool, as_json: bool, schema: str | None, db: str) -> None:
    """Remove the exposures and outcomes from before DATE of experiments that are stopped and whose windows have closed.

    Their reports stay as they are. Outcomes that other experiments read stay too.
    """
    from ..storage.maintenance.pruning import plan_pruning, prune_store

    with open_store(db, create=False, schema=schema) as store:
        found = prune_store(store, before) if yes else plan_pruning(store, before)
    if as_json:
        print_json(_plain(asdict(found)))
    else:
        _print_pruning(found)
    if not yes and found.pruned:
        click.echo("Nothing was changed; --yes removes these rows, which cannot be taken back.", err=True)


def _print_pruning(found: Pruning) -> None:
    verb = "removed" if found.done else "to be removed"
    for one in found.experiments:
        if one.kept is not None:
            click.echo(f"{one.experiment}\tkept: {one.kept}")
            continue
        click.echo(f"{one.experiment}\t{one.exposures:,} exposures {verb}; its report is kept")
        if one.endless:
            click.echo(
                f"{one.experiment}\tno window: {', '.join(one.endless)}; what comes later does not count any more"
            )
    click.echo(f"{found.outcomes:,} outcomes {verb}, {found.needed:,} kept for other experiments")
    if found.pruned:
        click.echo(f"outcomes and exposures from before {found.before.isoformat()} are refused from then on")


@database.command()
@click.argument("visitor")
@click.option("--linked", is_flag=True, help="Forget all ids that identity links connect with VISITOR, too.")
@click.option("--outcome-ids", is_flag=True, help="Replace the ids of all their outcomes, such as order numbers.")
@click.option("--dry-run", is_flag=True, help="Print what would be erased, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@store_options
@click.pass_context
def forget(
    context: click.Context,
    visitor: str,
    linked: bool,
    outcome_ids: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    schema: str | None,
    db: str,
) -> None:
    """Erase the id VISITOR everywhere in the store; every total stays as it is.

    The id becomes a random one that leads back to nobody. Exit code 1 where the store does not know the visitor.
    """
    from ..storage.maintenance.forgetting import forget_visitor, plan_forgetting

    with open_store(db, create=False, schema=schema) as store:
        found = plan_forgetting(store, visitor, linked=linked, outcome_ids=outcome_ids)
        if found.ids and not dry_run:
            if not yes:
                confirm(
                    f"Forget {', '.join(found.ids)}? This cannot be taken back.",
                    _forgetting(found),
                    refusal=f"forgetting {visitor!r} cannot be taken back, and nobody is there to be asked",
                )
            found = forget_visitor(store, visitor, linked=linked, outcome_ids=outcome_ids)
    if as_json:
        print_json(asdict(found))
    else:
        click.echo("\n".join(_forgetting(found)))
    if not found.ids:
        context.exit(1)
    if found.done:
        click.echo(
            "Not looked at: recorders' spools, files of imports, their rejects and exports, backups and logs.", err=True
        )


def _forgetting(found: Forgetting) -> list[str]:
    if not found.ids:
        return [f"{found.store}: no such visitor; nothing to erase"]
    verb = "erased" if found.done else "to be erased"
    lines = [f"{one}\t{verb}" for one in found.ids]
    lines += [f"{one}\tlinked, kept; --linked erases it too" for one in found.linked]
    lines += [f"{_rows(rows)} of {table} {verb}" for table, rows in found.erased.items()]
    ids = "outcome id" if found.renamed_outcomes == 1 else "outcome ids"
    lines.append(f"{found.renamed_outcomes:,} {ids} {verb}")
    return lines + [
        f"{_rows(rows)} of {table} {'stays' if rows == 1 else 'stay'}, of nobody"
        for table, rows in found.anonymous.items()
    ]


def _rows(number: int) -> str:
    return f"{number:,} row{'s' if number != 1 else ''}"


def _plain(value: Any) -> Any:
    """The value with times as ISO text, as JSON has none."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
