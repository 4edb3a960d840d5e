"""`offerlift simulate`: a plan tried out on the shop's own visitors before it starts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError
from .analysis import read_rows
from .options import database_option, history_options, open_store
from .output import Output, prints
from .planning import Share

if TYPE_CHECKING:
    from ..experiments.definition import Definition
    from ..reports import PastVisitors

__all__ = ["simulate"]


class Harm(click.ParamType):
    """A metric and its relative change: margin_per_visitor=-3%."""

    name = "METRIC=CHANGE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        """Name and change; a value that is none is a usage error."""
        name, equals, change = str(value).rpartition("=")
        if not equals or not name.strip():
            self.fail(f"{value!r} is not METRIC=CHANGE; write for example margin_per_visitor=-3%", param, ctx)
        number = Share().convert(change, param, ctx)
        if not -1 < number < 10 or number == 0:
            self.fail(f"{change} is no relative change; write for example -3%", param, ctx)
        return name.strip(), number


@dataclass(frozen=True)
class Known:
    """What is tried out, and on whom."""

    definition: Definition
    past: PastVisitors
    source: str
    visitors_per_week: float | None = None
    notes: tuple[str, ...] = ()


@click.command(epilog="Example: offerlift simulate free-shipping --lift 5% --runs 1000")
@history_options
@click.option("--baseline", type=Share(), help="A conversion rate, such as 3.1%, in place of a history.")
@click.option("--visitors-per-week", type=float, help="Eligible visitors; measured from the history if not given.")
@click.option("--lift", type=Share(), help="The lift to find, in place of the plan's minimum_detectable_effect.")
@click.option("--harm", type=Harm(), multiple=True, help="A metric that the offer harms besides, in a third scenario.")
@click.option("--runs", type=click.IntRange(100, 100_000), default=2_000, show_default=True, help="Of each scenario.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The same gives the same output.")
@database_option
@prints
def simulate(
    experiment: str,
    definitions: Path | None,
    source: str | None,
    table: Path | None,
    baseline: float | None,
    visitors_per_week: float | None,
    lift: float | None,
    harm: tuple[tuple[str, float], ...],
    runs: int,
    seed: int,
    db: str,
    **columns: Any,
) -> Output:
    """Try the plan of EXPERIMENT out on the shop's own visitors.

    It tells false verdicts, power and weeks to the decision. Experiments are drawn from the control's visitors of a
    history, without any effect and with the lift worth finding, and decided by the rule that will decide the real one.
    """
    from ..reports import render_simulation
    from ..reports import simulate as simulated
    from ..reports.rows import simulation_rows

    if (source is not None) + (table is not None) + (baseline is not None) > 1:
        raise click.UsageError("give one history: --from, --table or --baseline")
    if lift is not None and not 0 < lift < 1:
        raise click.UsageError(f"--lift is {lift}; a share above 0 and below 1 is needed, such as 5%")
    known = _known(experiment, definitions, source, table, baseline, db, columns)
    with _progress((2 + bool(harm)) * runs) as advance:
        found = simulated(
            known.definition,
            known.past,
            source=known.source,
            visitors_per_week=visitors_per_week if visitors_per_week is not None else known.visitors_per_week,
            lift=lift,
            harm=dict(harm),
            runs=runs,
            seed=seed,
            notes=known.notes,
            progress=advance,
        )
    return Output(lambda: render_simulation(found), found.to_dict(), lambda: simulation_rows(found))


@contextmanager
def _progress(length: int) -> Iterator[Callable[[int], None] | None]:
    """A bar on standard error, at a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=length, label="Simulating", file=sys.stderr) as bar:
        yield bar.update


def _known(
    experiment: str,
    definitions: Path | None,
    source: str | None,
    table: Path | None,
    baseline: float | None,
    db: str,
    columns: dict[str, Any],
) -> Known:
    """The definition and the visitors; the store is opened only where one of both is in it."""
    from ..experiments.files import find_definition
    from ..reports import given_visitors, past_visitors

    definition = None if definitions is None else find_definition(definitions, experiment)[0]
    if table is None and baseline is None:
        return _stored(experiment, definition, source, db)
    if definition is None:
        with open_store(db, create=False) as store:
            definition = store.published(experiment).definition
    if baseline is not None:
        return Known(definition, given_visitors(definition, baseline), "")
    assert table is not None, "there is a table where there is no baseline"
    rows = read_rows(table, None, columns)
    values = rows.visitor_values(rows.definition.control)
    return Known(definition, past_visitors(rows.definition, values, definition), rows.file)


def _stored(experiment: str, definition: Definition | None, source: str | None, db: str) -> Known:
    from ..reports import past_visitors, read_history

    with open_store(db, create=False) as store:
        if definition is None:
            definition = store.published(experiment).definition
        primary = definition.plan.primary
        history = read_history(store, definition, source=source)
        if history is None:
            raise InputError(
                f"no experiment in {db} has 1,000 analysed visitors and measures {primary} in its window",
                hint="Give --from EXPERIMENT or --table FILE; for a conversion, --baseline and --visitors-per-week.",
            )
        past = store.published(history.source).definition
        values = store.visitor_values(history.source, past.control)
    found = past_visitors(past, values, definition)
    return Known(definition, found, history.source, history.visitors_per_week, history.notes)
