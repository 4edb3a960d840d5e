"""`offerlift analyze` and `offerlift report`: from the store, or from a file, to the scorecard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError
from .importing import require_table_columns
from .options import database_option, open_store, print_json, table_columns, warehouse_options

if TYPE_CHECKING:
    from datetime import datetime

    from ..experiments.definition import Definition
    from ..experiments.warehouse import WarehouseTables
    from ..reports.details import Details
    from ..storage.looks import Look
    from ..storage.observations import Observations
    from ..storage.series import Series
    from ..storage.table import Table

Printable = Any
"""A scorecard or a course: what it is rendered by comes with it."""

__all__ = ["analyze", "observations_of", "report"]


@click.command()
@click.argument("experiment", required=False)
@click.option("--table", type=click.Path(path_type=Path), help="Analyse this one-row-a-visitor file without a store.")
@table_columns
@warehouse_options
@click.option(
    "--as-of", metavar="DATE", help="As it was at the end of that day, or at a time such as 2026-05-04T12:00Z."
)
@click.option("--by", type=click.Choice(["day"]), help="Print how the numbers grew, day by day, and no decision.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@database_option
def analyze(
    experiment: str | None,
    table: Path | None,
    warehouse: str | None,
    definitions: Path,
    as_of: str | None,
    by: str | None,
    as_json: bool,
    db: str,
    **columns: Any,
) -> None:
    """Analyse EXPERIMENT: health first, then the decision, then the numbers."""
    if table is not None:
        if warehouse is not None:
            raise click.UsageError("give either --table or --warehouse")
        for option, given in (("--as-of", as_of), ("--by", by)):
            if given is not None:
                raise click.UsageError(f"{option} needs the times that a store has; a table has none")
        found, render = _of_table(table, experiment, columns)
    else:
        key = _stored_experiment(experiment, columns)
        if warehouse is not None:
            found, render = _in_warehouse(warehouse, definitions, key, as_of, by)
        else:
            found, render = _in_store(db, key, as_of, by)
    if as_json:
        print_json(found.to_dict())
    else:
        click.echo(render(found))


@click.command()
@click.argument("experiment")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The HTML file.")
@warehouse_options
@database_option
def report(experiment: str, output: Path, warehouse: str | None, definitions: Path, db: str) -> None:
    """Write the report of EXPERIMENT as one HTML page that needs no network."""
    from ..reports import render_html

    if warehouse is None:
        card, _ = _in_store(db, experiment, None, None)
    else:
        card, _ = _in_warehouse(warehouse, definitions, experiment, None, None)
    output.write_text(render_html([card]), encoding="utf-8")
    click.echo(str(output))


def _of_table(path: Path, experiment: str | None, columns: dict[str, Any]) -> tuple[Printable, Callable[[Any], str]]:
    from ..reports.details import Details

    table = read_rows(path, experiment, columns)
    return _card(table.observations(), (), Details.of_table(table))


def _in_store(db: str, key: str, as_of: str | None, by: str | None) -> tuple[Printable, Callable[[Any], str]]:
    with open_store(db, create=False) as store:
        at = _as_of(as_of, lambda: store.published(key).definition)
        if by is None:
            from ..reports.details import Details

            observations = store.observations(key, as_of=at)
            return _card(observations, store.looks(key), Details.of_store(store, observations))
        return _course(store.cumulative(key, as_of=at), store.looks(key))


def _in_warehouse(
    url: str, definitions: Path, key: str, as_of: str | None, by: str | None
) -> tuple[Printable, Callable[[Any], str]]:
    from ..storage import Warehouse

    definition, tables = _mapped(definitions, key)
    at = _as_of(as_of, lambda: definition)
    with Warehouse.open(url) as warehouse:
        if by is None:
            from ..reports.details import Details

            observations = warehouse.observations(definition, tables, as_of=at)
            return _card(observations, None, Details.of_warehouse(warehouse, tables, observations))
        return _course(warehouse.cumulative(definition, tables, as_of=at), None)


def _card(
    observations: Observations, looks: Sequence[Look] | None, details: Details
) -> tuple[Printable, Callable[[Any], str]]:
    from ..reports import render_text, scorecard

    return scorecard(observations, looks, details), render_text


def _course(series: Series, looks: Sequence[Look] | None) -> tuple[Printable, Callable[[Any], str]]:
    from ..reports import course, render_course

    return course(series, looks), render_course


def _mapped(definitions: Path, key: str) -> tuple[Definition, WarehouseTables]:
    from ..experiments.files import find_definition

    definition, tables = find_definition(definitions, key)
    if tables is None:
        raise InputError(
            f"the definition of {key!r} does not say which tables of a warehouse it is in",
            hint="Add a section `warehouse` with `assignments` and `facts`; docs/warehouses.md has an example.",
        )
    return definition, tables


def _stored_experiment(experiment: str | None, columns: dict[str, Any]) -> str:
    if experiment is None:
        raise click.UsageError("name an EXPERIMENT of the store, or give --table FILE")
    given = [name for name in ("arm", "control", "visitor", "revenue", "conversion", "covariate") if columns[name]]
    if given:
        raise click.UsageError(f"--{given[0]} says what a column of a file is; it goes with --table FILE")
    return experiment


def _as_of(text: str | None, definition: Callable[[], Definition]) -> datetime | None:
    from ..storage.times import as_of_time

    return None if text is None else as_of_time(text, definition().utc_offset_minutes)


def observations_of(table: Path, experiment: str | None, columns: dict[str, Any]) -> Observations:
    """What a file of one row a visitor says."""
    return read_rows(table, experiment, columns).observations()


def read_rows(table: Path, experiment: str | None, columns: dict[str, Any]) -> Table:
    """A file of one row a visitor; rows that cannot be read are named on standard error."""
    from ..storage import read_table

    require_table_columns(columns)
    rows = read_table(table, key=experiment, currency=columns.pop("currency") or "EUR", **columns)
    for reject in rows.rejects[:5]:
        click.echo(f"{table}, {reject.place}: {reject.reason}", err=True)
    if rows.rejects:
        count = len(rows.rejects)
        refused = "1 row was refused and is" if count == 1 else f"{count} rows were refused and are"
        click.echo(f"{refused} not in the numbers.", err=True)
    return rows
