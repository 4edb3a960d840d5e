"""`offerlift plan`: how long an experiment takes at the shop's own traffic, and what would shorten it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError
from .analysis import observations_of
from .options import database_option, history_options, open_store
from .output import Output, prints

if TYPE_CHECKING:
    from ..experiments.definition import Definition
    from ..reports import History

__all__ = ["Share", "plan"]


class Share(click.ParamType):
    """A share or a relative change: 0.05 or 5%."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number; a value that is none is a usage error."""
        if isinstance(value, float):
            return value
        text = str(value).strip()
        try:
            number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            self.fail(f"{value!r} is not a number; write for example 5% or 0.05", param, ctx)
        return number


@click.command(epilog="Example: offerlift plan free-shipping --lift 5% --visitors-per-week 20000")
@history_options
@click.option("--baseline", type=Share(), help="The primary metric without an offer, such as 3.1% or 2.40.")
@click.option("--sd", type=float, help="Standard deviation of one visitor's value, zeros included.")
@click.option("--visitors-per-week", type=float, help="Eligible visitors; measured from the history if not given.")
@click.option("--r-squared", type=Share(), help="Share of the variance that the covariate explains.")
@click.option("--lift", type=Share(), help="The lift to detect, in place of the plan's minimum_detectable_effect.")
@database_option
@prints
def plan(
    experiment: str,
    definitions: Path | None,
    source: str | None,
    table: Path | None,
    baseline: float | None,
    sd: float | None,
    visitors_per_week: float | None,
    r_squared: float | None,
    lift: float | None,
    db: str,
    **columns: Any,
) -> Output:
    """Tell how many weeks EXPERIMENT takes, and what would shorten it.

    Also what it detects by when. The history is that of the experiment itself, or of the latest one that measures the
    same; or a file, or numbers.
    """
    from ..reports import forecast, render_forecast
    from ..reports.rows import forecast_rows

    if (source is not None) + (table is not None) + (baseline is not None) > 1:
        raise click.UsageError("give one history: --from, --table or --baseline")
    if sd is not None and baseline is None:
        raise click.UsageError("--sd goes with --baseline")
    if lift is not None and not 0 < lift < 1:
        raise click.UsageError(f"--lift is {lift}; a share above 0 and below 1 is needed, such as 5%")
    definition, history = _known(experiment, definitions, source, table, baseline, sd, db, columns)
    found = forecast(
        definition,
        history,
        visitors_per_week=visitors_per_week,
        minimum_detectable_effect=lift,
        r_squared=r_squared,
    )
    return Output(lambda: render_forecast(found), found.to_dict(), lambda: forecast_rows(found))


def _known(
    experiment: str,
    definitions: Path | None,
    source: str | None,
    table: Path | None,
    baseline: float | None,
    sd: float | None,
    db: str,
    columns: dict[str, Any],
) -> tuple[Definition, History]:
    """The definition and what is known of the shop; the store is opened only where one of both is in it."""
    from ..experiments.files import find_definition
    from ..reports import given_history, table_history

    definition = None if definitions is None else find_definition(definitions, experiment)[0]
    if table is None and baseline is None:
        return _stored(experiment, definition, source, db)
    if definition is None:
        with open_store(db, create=False) as store:
            definition = store.published(experiment).definition
    if baseline is not None:
        return definition, given_history(definition, baseline, sd)
    assert table is not None, "there is a table where there is no baseline"
    return definition, table_history(observations_of(table, None, columns), definition)


def _stored(experiment: str, definition: Definition | None, source: str | None, db: str) -> tuple[Definition, History]:
    from ..reports import read_history

    with open_store(db, create=False) as store:
        if definition is None:
            definition = store.published(experiment).definition
        history = read_history(store, definition, source=source)
    if history is None:
        raise InputError(
            f"no experiment in {db} has 1,000 analysed visitors and measures {definition.plan.primary} in its window",
            hint="Give --from EXPERIMENT, --table FILE, or --baseline, --sd and --visitors-per-week.",
        )
    return definition, history
