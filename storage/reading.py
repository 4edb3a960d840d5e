"""Observations of an experiment, read by a handful of grouped statements."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from sqlalchemy import Connection, Select, func, select

from ..experiments.snapshot import Published
from ..stats.moments import Moments
from .features import Feature, refuse_unexecuted
from .lookups import arm_ids, find_ids
from .money import exponent
from .observations import ArmCounts, Observations
from .sources import Sources, store_sources
from .statements import Cohort, arm_statement, covariate_statement, day_statement, moment_statement
from .sums import Layout, Sums, add_covariate, add_outcomes, best_shift, moments_of, summed
from .tables import experiment, import_file, name
from .times import from_micros

__all__ = ["read_observations"]

ANY = "*"
"""What outcomes are counted under that only a metric of any event takes."""

Key = tuple[int, int]
"""Phase and arm_id."""


def read_observations(connection: Connection, published: Published, as_of: int) -> Observations:
    """Counts and moments of a published version, as of a time in microseconds."""
    definition = published.definition
    refuse_unexecuted(definition)
    cohort = _cohort(connection, published, as_of)
    sources = store_sources(definition.currency)
    names = {number: arm for arm, number in arm_ids(connection, cohort.experiment_id).items()}
    layout = Layout(definition.metrics)
    counts: dict[str, tuple[int, int]] = {}
    arms: dict[Key, Sums] = defaultdict(Sums)
    for phase, arm_id, visitors, crossovers, *mature in connection.execute(
        arm_statement(sources, cohort, layout.windows)
    ):
        counts[names[arm_id]] = int(visitors), int(crossovers)
        arms[phase, arm_id].visitors.update(zip(layout.windows, map(int, mature), strict=True))
    _read_sums(connection, sources, cohort, layout, arms)
    found = {names[arm_id]: sums for (_, arm_id), sums in arms.items()}
    days: dict[int, Counter[str]] = defaultdict(Counter)
    times: list[int] = []
    for _, day, arm_id, visitors, first, last in connection.execute(day_statement(sources, cohort)):
        days[int(day)][names[arm_id]] += int(visitors)
        times += [first, last]
    known = [arm.name for arm in definition.arms]
    scale = 10 ** exponent(definition.currency)
    refused = select(func.sum(import_file.c.refused)).where(import_file.c.experiment_id == cohort.experiment_id)
    return Observations(
        definition=definition,
        state=published.state,
        phase=published.phase,
        as_of=from_micros(as_of),
        arms={arm: ArmCounts(*counts.get(arm, (0, 0)), _outcomes(found.get(arm), layout)) for arm in known},
        moments={
            metric.name: {
                arm: moments_of(metric, found[arm], layout, scale)
                if arm in found
                else Moments.zero(metric.moment_columns)
                for arm in known
            }
            for metric in definition.metrics
        },
        unknown_arms={arm: count for arm, (count, _) in sorted(counts.items()) if arm not in known},
        exposures_by_day=tuple((from_micros(day), {arm: days[day][arm] for arm in known}) for day in sorted(days)),
        first_exposure=from_micros(min(times)) if times else None,
        last_exposure=from_micros(max(times)) if times else None,
        refused_rows=int(connection.scalar(refused) or 0),
    )


def _cohort(connection: Connection, published: Published, as_of: int) -> Cohort:
    definition = published.definition
    used = {column.event for metric in definition.metrics for column in metric.columns if column.event is not None}
    used |= {metric.covariate.name for metric in definition.metrics if metric.covariate is not None}
    number = find_ids(connection, experiment, [definition.experiment])[definition.experiment]
    return Cohort(number, published.phase, as_of, find_ids(connection, name, used))


def _outcomes(sums: Sums | None, layout: Layout) -> dict[str, int]:
    return {event or ANY: sums.outcomes[event] if sums else 0 for event in layout.events}


def _read_sums(connection: Connection, sources: Sources, cohort: Cohort, layout: Layout, arms: dict[Key, Sums]) -> None:
    """Fill the arms' sums, which know their visitors already."""
    counted = {key: dict(sums.visitors) for key, sums in arms.items()}
    shifts = [0.0] * len(layout.features)
    _read_shifted(connection, sources, cohort, layout, shifts, arms)
    shifts = [best_shift(feature, i, arms.values()) for i, feature in enumerate(layout.features)]
    if any(shifts):
        for key, visitors in counted.items():
            arms[key] = Sums()
            arms[key].visitors.update(visitors)
        _read_shifted(connection, sources, cohort, layout, shifts, arms)


def _read_shifted(
    connection: Connection,
    sources: Sources,
    cohort: Cohort,
    layout: Layout,
    shifts: Sequence[float],
    arms: dict[Key, Sums],
) -> None:
    statement = moment_statement(sources, cohort, layout, shifts)
    for key, rows in _parts(connection, statement).items():
        add_outcomes(arms[key], layout, summed(rows), shifts)
    for use, windows in layout.covariates.items():
        own = [shifts[layout.features.index(Feature(use, window))] for window in windows]
        parts = _parts(connection, covariate_statement(sources, cohort, use, windows, own))
        for key, sums in arms.items():
            add_covariate(sums, layout, use, summed(parts[key]) if key in parts else None, own)


def _parts(connection: Connection, statement: Select) -> dict[Key, list[Sequence[float]]]:
    """The rows of each phase and arm, without these keys."""
    parts: dict[Key, list[Sequence[float]]] = defaultdict(list)
    for phase, arm_id, *values in connection.execute(statement):
        parts[phase, arm_id].append(values)
    return parts
