"""`offerlift analyze` and `offerlift report`: from the store, or from a file, to the scorecard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .importing import require_table_columns
from .options import database_option, open_store, print_json, table_columns

if TYPE_CHECKING:
    from ..storage.observations import Observations

__all__ = ["analyze", "report"]


@click.command()
@click.argument("experiment", required=False)
@click.option("--table", type=click.Path(path_type=Path), help="Analyse this one-row-a-visitor file without a store.")
@table_columns
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@database_option
def analyze(experiment: str | None, table: Path | None, as_json: bool, db: str, **columns: Any) -> None:
    """Analyse EXPERIMENT: health first, then the decision, then the numbers."""
    from ..reports import scorecard

    if table is not None:
        observations = _observations_of(table, experiment, columns)
    else:
        observations = _stored_observations(experiment, columns, db)
    card = scorecard(observations)
    if as_json:
        print_json(card.to_dict())
    else:
        from ..reports import render_text

        click.echo(render_text(card))


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


def _stored_observations(experiment: str | None, columns: dict[str, Any], db: str) -> Observations:
    if experiment is None:
        raise click.UsageError("name an EXPERIMENT of the store, or give --table FILE")
    given = [name for name in ("arm", "control", "visitor", "revenue", "conversion", "covariate") if columns[name]]
    if given:
        raise click.UsageError(f"--{given[0]} says what a column of a file is; it goes with --table FILE")
    with open_store(db, create=False) as store:
        return store.observations(experiment)


def _observations_of(table: Path, experiment: str | None, columns: dict[str, Any]) -> Observations:
    from ..storage import read_table

    require_table_columns(columns)
    rows = read_table(table, key=experiment, currency=columns.pop("currency") or "EUR", **columns)
    for reject in rows.rejects[:5]:
        click.echo(f"{table}, {reject.place}: {reject.reason}", err=True)
    if rows.rejects:
        click.echo(f"{len(rows.rejects)} rows were refused and are not in the numbers.", err=True)
    return rows.observations()
