"""What the grouped statements say of an experiment, added up by phase, arm and segment."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Select

from ..errors import StoreError
from .cohort import Cohort, Key, keys_of, unpacked
from .features import Feature
from .sources import Sources
from .statements import HOUR, covariate_statement, day_statement, joint_statement, moment_statement
from .sums import Layout, Sums, add_covariate, add_outcomes, best_shift, summed
from .tally import tallied

__all__ = ["Group", "keyed", "read_groups"]


@dataclass(slots=True)
class Group:
    """What was read of one key."""

    visitors: int = 0
    crossovers: int = 0
    returned: int = 0
    sums: Sums = field(default_factory=Sums)
    days: Counter[int] = field(default_factory=Counter)


def read_groups(
    connection: Connection, sources: Sources, cohort: Cohort, arms: Collection[int], layout: Layout
) -> tuple[dict[Key, Group], list[int]]:
    """What the statements give for each key, and some times of exposure, the first and the last among them.

    Raises:
        StoreError: exposures in arms that are none of these.
    """
    groups: dict[Key, Group] = defaultdict(Group)
    shifts = [0.0] * len(layout.features)
    if sources.grouped_once:
        times = _read_at_once(connection, sources, cohort, layout, groups)
        _require_known(groups, arms)
    else:
        times = _read_counts(connection, sources, cohort, arms, layout, groups)
        _require_known(groups, arms)
        sources = sources.planned(sum(group.visitors for group in groups.values()))
        _read_outcomes(connection, sources, cohort, layout, shifts, groups)
    _read_covariates(connection, sources, cohort, layout, shifts, groups)
    all_sums = [group.sums for group in groups.values()]
    shifts = [best_shift(feature, i, all_sums) for i, feature in enumerate(layout.features)]
    if any(shifts):
        for group in groups.values():
            group.sums = Sums(visitors=group.sums.visitors)
        _read_outcomes(connection, sources, cohort, layout, shifts, groups)
        _read_covariates(connection, sources, cohort, layout, shifts, groups)
    return groups, times


def _require_known(groups: Mapping[Key, Group], arms: Collection[int]) -> None:
    strange = sorted({arm_id for _, arm_id, *_ in groups} - set(arms))
    if strange:
        raise StoreError(
            f"visitors were exposed in arms that the experiment never had: {strange}",
            hint="The table of arms, or that of exposures, was changed by hand; restore it from a backup.",
        )


def _read_counts(
    connection: Connection,
    sources: Sources,
    cohort: Cohort,
    arms: Collection[int],
    layout: Layout,
    groups: Mapping[Key, Group],
) -> list[int]:
    """Count the groups' visitors; returns first and last exposures."""
    times: list[int] = []
    rows: Iterable[tuple[Key, int, Sequence[Any]]] | None = tallied(connection, sources, cohort, arms, layout.windows)
    if rows is None:
        found = connection.execute(day_statement(sources, cohort, layout.windows))
        rows = (unpacked(row, cohort) for row in found)
    for key, day, rest in rows:
        numbers = iter(rest)
        visitors = _add_counts(groups[key], cohort, day, numbers, times)
        for window in layout.windows:
            groups[key].sums.visitors[window] += visitors if window.end is None else int(next(numbers))
    return times


def _read_at_once(
    connection: Connection, sources: Sources, cohort: Cohort, layout: Layout, groups: Mapping[Key, Group]
) -> list[int]:
    """Count the groups' visitors and fill their sums; returns first and last exposures."""
    times: list[int] = []
    parts: dict[Key, list[Sequence[float]]] = defaultdict(list)
    for row in connection.execute(joint_statement(sources, cohort, layout)):
        key, day, rest = unpacked(row, cohort, HOUR)
        numbers = iter(rest)
        _add_counts(groups[key], cohort, day, numbers, times)
        parts[key].append(list(numbers))
    for key, rows in parts.items():
        passed = add_outcomes(groups[key].sums, layout, summed(rows), [0.0] * len(layout.features))
        for window, visitors in passed.items():
            groups[key].sums.visitors[window] += int(visitors)
    return times


def _add_counts(group: Group, cohort: Cohort, day: int, numbers: Iterator[Any], times: list[int]) -> int:
    """Add what a statement counts of a day; returns the visitors."""
    first, last, visitors, crossovers = map(int, islice(numbers, 4))
    times += [first, last]
    group.days[day] += visitors
    group.visitors += visitors
    group.crossovers += crossovers
    group.returned += int(next(numbers)) if len(cohort.phases) > 1 else 0
    return visitors


def _read_outcomes(
    connection: Connection,
    sources: Sources,
    cohort: Cohort,
    layout: Layout,
    shifts: Sequence[float],
    groups: Mapping[Key, Group],
) -> None:
    """Fill the groups' sums, which know their visitors already."""
    statement = moment_statement(sources, cohort, layout, shifts)
    for key, rows in _parts(connection, cohort, statement).items():
        add_outcomes(groups[key].sums, layout, summed(rows), shifts)


def _read_covariates(
    connection: Connection,
    sources: Sources,
    cohort: Cohort,
    layout: Layout,
    shifts: Sequence[float],
    groups: Mapping[Key, Group],
) -> None:
    """Fill the groups' sums of covariates alone."""
    for use, windows in layout.covariates.items():
        own = [shifts[layout.features.index(Feature(use, window))] for window in windows]
        parts = _parts(connection, cohort, covariate_statement(sources, cohort, use, windows, own))
        for key, group in groups.items():
            add_covariate(group.sums, layout, use, summed(parts[key]) if key in parts else None, own)


def _parts(connection: Connection, cohort: Cohort, statement: Select) -> dict[Key, list[Sequence[float]]]:
    """The rows of each key, without it."""
    parts: dict[Key, list[Sequence[float]]] = defaultdict(list)
    for key, row in keyed(connection, cohort, statement):
        parts[key].append(row)
    return parts


def keyed(connection: Connection, cohort: Cohort, statement: Select) -> Iterator[tuple[Key, Sequence[Any]]]:
    """Each row's key, its phase included, and the rest of the row."""
    size = len(keys_of(cohort))
    phase = cohort.phases if len(cohort.phases) == 1 else ()
    for row in connection.execute(statement):
        yield (*phase, *row[:size]), row[size:]
