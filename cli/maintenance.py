"""`offerlift db stats|export|prune|forget`: what is in a store, taking it out, and taking it away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from ..errors import InputError
from .confirming import changes, confirm
from .database import database, store_options
from .options import open_store
from .output import Output, prints

if TYPE_CHECKING:
    from ..storage.maintenance.forgetting import Forgetting
    from ..storage.maintenance.inventory import Delivery, Inventory
    from ..storage.maintenance.pruning import Pruning

__all__ = ["database"]


@database.command(epilog="Example: offerlift db stats --json")
@store_options
@prints
def stats(schema: str | None, db: str) -> Output:
    """Print rows, bytes and times of each table, how late facts arrive, and the visitors of each experiment."""
    from ..storage.maintenance.inventory import take_inventory

    with open_store(db, create=False, schema=schema) as store:
        found = take_inventory(store)
    rows = [asdict(one) for one in found.tables]
    return Output(lambda: "\n".join(_inventory(found)), asdict(found), rows)


def _inventory(found: Inventory) -> Iterator[str]:
    size = "" if found.bytes is None else f", {found.bytes:,} bytes"
    yield f"{found.store}: {found.currency}, schema version {found.schema_version}{size}"
    if found.pruned_before is not None:
        yield f"pruned: what is from before {found.pruned_before.isoformat()} is not taken any more"
    yield "\ntable\trows\tbytes\toldest\tnewest"
    for one in found.tables:
        size = "-" if one.bytes is None else f"{one.bytes:,}"
        yield f"{one.table}\t{one.rows:,}\t{size}\t{_time(one.oldest)}\t{_time(one.newest)}"
    yield "\ndelivery\trows\tmedian\t95 %\tworst"
    for delivery in found.delivery:
        yield _delivery(delivery)
    yield "\nexperiment\tstate\tphase\tvisitors\tcrossovers\tfirst\tlast\tarms"
    for one in found.experiments:
        state = f"{one.state}, pruned" if one.pruned else one.state
        arms = ", ".join(f"{arm} {count:,}" for arm, count in one.arms.items()) or "-"
        times = f"{_time(one.oldest)}\t{_time(one.newest)}"
        yield f"{one.experiment}\t{state}\t{one.phase}\t{one.visitors:,}\t{one.crossovers:,}\t{times}\t{arms}"


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


@database.command(epilog="Example: offerlift db export --to backup --files csv")
@click.option("--to", "folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="The folder.")
@click.option(
    "--files",
    "kind",
    type=click.Choice(["parquet", "csv"]),
    default="parquet",
    show_default=True,
    help="What the files are.",
)
@click.option("--table", "names", metavar="NAME", multiple=True, help="Only this table; may be given several times.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@store_options
@prints
def export(
    folder: Path,
    kind: Literal["parquet", "csv"],
    names: tuple[str, ...],
    force: bool,
    schema: str | None,
    db: str,
) -> Output:
    """Write all tables to a folder, one Parquet or CSV file each, with text ids, UTC times and decimal money.

    Parquet needs pyarrow: pip install 'offerlift[parquet]'.
    """
    from ..storage.maintenance.exporting import export_store

    with open_store(db, create=False, schema=schema) as store:
        files = export_store(store, folder, format=kind, names=names, force=force)
    rows = [asdict(one) | {"path": str(one.path)} for one in files]
    return Output("\n".join(f"{one.path}\t{one.rows:,}" for one in files), {"files": rows}, rows)


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


@database.command(epilog="Example: offerlift db prune --before 2025-06-01 --dry-run")
@click.option("--before", metavar="DATE", required=True, callback=_moment, help="A day (UTC), or an ISO time.")
@changes
@store_options
@prints
def prune(before: datetime, dry_run: bool, yes: bool, schema: str | None, db: str) -> Output:
    """Remove what is from before DATE of experiments that are over.

    Those are stopped, and their windows have closed. Their exposures and outcomes go, their reports stay as they are.
    Outcomes that other experiments read stay too.
    """
    from ..storage.maintenance.pruning import plan_pruning, prune_store

    with open_store(db, create=False, schema=schema) as store:
        found = plan_pruning(store, before)
        if found.pruned and not dry_run:
            confirm(
                "Remove these rows? This cannot be taken back.",
                _pruning(found),
                yes=yes,
                refusal="removing rows cannot be taken back, and nobody is there to be asked",
            )
            found = prune_store(store, before)
    if dry_run and found.pruned:
        click.echo("Dry run: nothing was changed.", err=True)
    rows = [asdict(one) for one in found.experiments]
    return Output(lambda: "\n".join(_pruning(found)), asdict(found), rows)


def _pruning(found: Pruning) -> Iterator[str]:
    verb = "removed" if found.done else "to be removed"
    for one in found.experiments:
        if one.kept is not None:
            yield f"{one.experiment}\tkept: {one.kept}"
            continue
        yield f"{one.experiment}\t{one.exposures:,} exposures {verb}; its report is kept"
        if one.endless:
            yield f"{one.experiment}\tno window: {', '.join(one.endless)}; what comes later does not count any more"
    yield f"{found.outcomes:,} outcomes {verb}, {found.needed:,} kept for other experiments"
    if found.pruned:
        yield f"outcomes and exposures from before {found.before.isoformat()} are refused from then on"


@database.command(epilog="Example: offerlift db forget jane.doe@example.org --dry-run")
@click.argument("visitor")
@click.option("--linked", is_flag=True, help="Forget all ids that identity links connect with VISITOR, too.")
@click.option("--outcome-ids", is_flag=True, help="Replace the ids of all their outcomes, such as order numbers.")
@changes
@store_options
@prints
def forget(
    visitor: str,
    linked: bool,
    outcome_ids: bool,
    dry_run: bool,
    yes: bool,
    schema: str | None,
    db: str,
) -> Output:
    """Erase the id VISITOR everywhere in the store; every total stays as it is.

    The id becomes a random one that leads back to nobody. Exit code 1 where the store does not know the visitor.
    """
    from ..storage.maintenance.forgetting import forget_visitor, plan_forgetting

    with open_store(db, create=False, schema=schema) as store:
        found = plan_forgetting(store, visitor, linked=linked, outcome_ids=outcome_ids)
        if found.ids and not dry_run:
            confirm(
                f"Forget {', '.join(found.ids)}? This cannot be taken back.",
                _forgetting(found),
                yes=yes,
                refusal=f"forgetting {visitor!r} cannot be taken back, and nobody is there to be asked",
            )
            found = forget_visitor(store, visitor, linked=linked, outcome_ids=outcome_ids)
    if found.done:
        click.echo(
            "Not looked at: recorders' spools, files of imports, their rejects and exports, backups and logs.", err=True
        )
    rows = [{"id": one, "what": "erased" if found.done else "to be erased"} for one in found.ids]
    rows += [{"id": one, "what": "linked, kept"} for one in found.linked]
    return Output("\n".join(_forgetting(found)), asdict(found), rows, findings=not found.ids)


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
