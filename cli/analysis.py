"""`offerlift analyze` and `offerlift report`: from the store, or from a file, to the scorecard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .importing import require_table_columns
from .options import database_option, open_store, print_json, table_columns

if TYPE_CHECKING:
    from datetime import datetime

    from ..storage.observations import Observations
    from ..storage.store import Store

__all__ = ["analyze", "report"]


@click.command()
@click.argument("experiment", required=False)
@click.option("--table", type=click.Path(path_type=Path), help="Analyse this one-row-a-visitor file without a store.")
@table_columns
@click.option(
    "--as-of", metavar="DATE", help="As it was at the end of that day, or at a time such as 2026-05-04T12:00Z."
)
@click.option("--by", type=click.Choice(["day"]), help="Print how the numbers grew, day by day, and no decision.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@database_option
def analyze(
    experiment: str | None,
    table: Path | None,
    as_of: str | None,
    by: str | None,
    as_json: bool,
    db: str,
    **columns: Any,
) -> None:
    """Analyse EXPERIMENT: health first, then the decision, then the numbers."""
    from ..reports import course, render_course, render_text, scorecard

    if table is not None:
        for option, given in (("--as-of", as_of), ("--by", by)):
            if given is not None:
                raise click.UsageError(f"{option} needs the times that a store has; a table has none")
        found, render = scorecard(_observations_of(table, experiment, columns)), render_text
    else:
        key = _stored_experiment(experiment, columns)
        with open_store(db, create=False) as store:
            at = _as_of(store, key, as_of)
            if by is None:
                found, render = scorecard(store.observations(key, as_of=at)), render_text
            else:
                found, render = course(store.cumulative(key, as_of=at)), render_course
    if as_json:
        print_json(found.to_dict())
    else:
        click.echo(render(found))


@click.command()
@click.argument("experiment")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The HTML file.")
@database_option
def report(experiment: str, output: Path, db: str) -> None:
    """Write the report of EXPERIMENT as one HTML page that needs no network."""
    from ..reports import render_html, scorecard

    with open_store(db, create=False) as store:
        card = scorecard(store.observations(experiment))
    output.write_text(render_html([card]), encoding="utf-8")
    click.echo(str(output))


def _stored_experiment(experiment: str | None, columns: dict[str, Any]) -> str:
    if experiment is None:
        raise click.UsageError("name an EXPERIMENT of the store, or give --table FILE")
    given = [name for name in ("arm", "control", "visitor", "revenue", "conversion", "covariate") if columns[name]]
    if given:
        raise click.UsageError(f"--{given[0]} says what a column of a file is; it goes with --table FILE")
    return experiment


def _as_of(store: Store, experiment: str, text: str | None) -> datetime | None:
    from ..storage.times import as_of_time

    return None if text is None else as_of_time(text, store.published(experiment).definition.utc_offset_minutes)


def _observations_of(table: Path, experiment: str | None, columns: dict[str, Any]) -> Observations:
    from ..storage import read_table

    require_table_columns(columns)
    rows = read_table(table, key=experiment, currency=columns.pop("currency") or "EUR", **columns)
    for reject in rows.rejects[:5]:
        click.echo(f"{table}, line {reject.line}: {reject.reason}", err=True)
    if rows.rejects:
        click.echo(f"{len(rows.rejects)} rows were refused and are not in the numbers.", err=True)
    return rows.observations()
