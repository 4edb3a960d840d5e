"""`offerlift analyze` and `offerlift report`: from the store, or from a file, to the scorecard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError
from .importing import require_table_columns
from .options import database_option, experiment_argument, open_store, table_columns, warehouse_options
from .output import Output, has_colour, prints

if TYPE_CHECKING:
    from datetime import datetime

    from ..experiments.definition import Definition
    from ..experiments.warehouse import WarehouseTables
    from ..reports import Course, Scorecard
    from ..storage.observations import Observations
    from ..storage.table import Table

__all__ = ["analyze", "observations_of", "read_rows", "report"]


@click.command(epilog="Example: offerlift analyze free-shipping --as-of 2026-05-04 --format markdown")
@experiment_argument(required=False)
@click.option("--table", type=click.Path(path_type=Path), help="Analyse this one-row-a-visitor file without a store.")
@table_columns
@warehouse_options
@click.option(
    "--as-of", metavar="DATE", help="As it was at the end of that day, or at a time such as 2026-05-04T12:00Z."
)
@click.option("--by", type=click.Choice(["day"]), help="Print how the numbers grew, day by day, and no decision.")
@database_option
@prints
def analyze(
    experiment: str | None,
    table: Path | None,
    warehouse: str | None,
    definitions: Path,
    as_of: str | None,
    by: str | None,
    db: str,
    **columns: Any,
) -> Output:
    """Analyse EXPERIMENT: health, the decision, the numbers."""
    if table is not None:
        if warehouse is not None:
            raise click.UsageError("give either --table or --warehouse")
        for option, given in (("--as-of", as_of), ("--by", by)):
            if given is not None:
                raise click.UsageError(f"{option} needs the times that a store has; a table has none")
        return _card(_of_table(table, experiment, columns))
    key = _stored_experiment(experiment, columns)
    if by is not None:
        return _course(_days(db, warehouse, definitions, key, as_of))
    return _card(_read(db, warehouse, definitions, key, as_of))


@click.command(epilog="Example: offerlift report free-shipping -o free-shipping.html --png charts")
@experiment_argument()
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The HTML file; or, where its name ends in .png, the chart of the lifts.",
)
@click.option(
    "--png", "folder", type=click.Path(file_okay=False, path_type=Path), help="Write every chart to this folder."
)
@warehouse_options
@database_option
@prints
def report(
    experiment: str, output: Path | None, folder: Path | None, warehouse: str | None, definitions: Path, db: str
) -> Output:
    """Write the report of EXPERIMENT as one HTML page, or as charts.

    The page needs no network. Charts are PNG files for slides and chats; what is withheld has none.
    """
    from ..reports import render_html

    if output is None and folder is None:
        raise click.UsageError("say where: -o FILE.html, -o FILE.png or --png FOLDER")
    card = _read(db, warehouse, definitions, experiment, None, background=True)
    written: list[Path] = []
    if output is not None and output.suffix.lower() == ".png":
        from ..reports.pictures import write_chart

        written.append(write_chart(card, output))
    elif output is not None:
        output.write_text(render_html([card]), encoding="utf-8")
        written.append(output)
    if folder is not None:
        from ..reports.pictures import write_charts

        written += write_charts(card, folder)
    rows = [{"experiment": experiment, "file": str(path)} for path in written]
    return Output("\n".join(map(str, written)), {"experiment": experiment, "files": written}, rows)


def _card(card: Scorecard) -> Output:
    from ..reports import render_text
    from ..reports.markdown import card_markdown
    from ..reports.rows import card_rows

    return Output(
        text=lambda: render_text(card, color=has_colour()),
        document=card.to_dict(),
        rows=lambda: card_rows(card),
        markdown=lambda: card_markdown(card),
    )


def _course(found: Course) -> Output:
    from ..reports import render_course
    from ..reports.rows import course_rows

    return Output(lambda: render_course(found), found.to_dict(), lambda: course_rows(found))


def _of_table(path: Path, experiment: str | None, columns: dict[str, Any]) -> Scorecard:
    from ..reports import scorecard
    from ..reports.details import Details

    table = read_rows(path, experiment, columns)
    return scorecard(table.observations(), (), Details.of_table(table))


def _read(
    db: str, warehouse: str | None, definitions: Path, key: str, as_of: str | None, *, background: bool = False
) -> Scorecard:
    """The scorecard, from the store or from a warehouse, of which nothing is recorded."""
    from ..reports import scorecard
    from ..reports.background import with_background
    from ..reports.details import Details

    if warehouse is None:
        with open_store(db, create=False) as store:
            at = _as_of(as_of, lambda: store.published(key).definition)
            observations = store.observations(key, as_of=at)
            card = scorecard(observations, store.looks(key), Details.of_store(store, observations))
            return with_background(store, observations, card) if background else card
    from ..storage import Warehouse

    definition, tables = _mapped(definitions, key)
    with Warehouse.open(warehouse) as opened:
        observations = opened.observations(definition, tables, as_of=_as_of(as_of, lambda: definition))
        return scorecard(observations, None, Details.of_warehouse(opened, tables, observations))


def _days(db: str, warehouse: str | None, definitions: Path, key: str, as_of: str | None) -> Course:
    from ..reports import course

    if warehouse is None:
        with open_store(db, create=False) as store:
            at = _as_of(as_of, lambda: store.published(key).definition)
            return course(store.cumulative(key, as_of=at), store.looks(key))
    from ..storage import Warehouse

    definition, tables = _mapped(definitions, key)
    with Warehouse.open(warehouse) as opened:
        return course(opened.cumulative(definition, tables, as_of=_as_of(as_of, lambda: definition)), None)


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
