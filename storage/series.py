"""Courses over time: moments by calendar day and by days since the exposure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from sqlalchemy import Connection

from ..errors import InputError
from ..experiments.currencies import minor_digits
from ..experiments.definition import Definition
from ..experiments.metrics import DAY
from ..stats.moments import Moments
from .cohort import Cohort, Key
from .daily import Calendar, Clock, Observed, change_statement, covariate_entry_statement, entry_statement
from .features import Feature
from .groups import keyed
from .origins import Origin
from .sources import Sources
from .sums import Layout, Sums, add_covariate, add_outcomes, best_shift, moments_of, summed
from .times import from_micros

__all__ = ["LONGEST", "Series", "SinceExposure", "read_series", "read_since_exposure"]

LONGEST = 366
"""Most days since the exposure that are read."""

Courses = Mapping[str, Mapping[str, tuple[Moments, ...]]]
"""Metric name -> arm name -> moments, one of each day."""


@dataclass(frozen=True, slots=True)
class Series:
    """How the sums of an experiment grew, day by day: the running view.

    At the end of a day every visitor exposed by then counts, with what is known by then of the metric's window, whether
    it has passed or not. So once all windows have passed, the last day has the moments of `Observations`. Who is one
    person, and which exposure counts, is told from everything that is known at `as_of`: a visitor who later turned out
    to be a customer seen before is that customer from the beginning.

    Attributes:
        definition: the version that was analysed.
        phase: of that version.
        as_of: the moment of the analysis; what came later is left out, so the last day may be cut short.
        days: when each day begins on which something changed, by the definition's offset; between them nothing did.
        by_phase: phase -> metric name -> arm name -> cumulative moments at the end of each day, with the columns
            `metric.moment_columns`, money in major units.
    """

    definition: Definition
    phase: int
    as_of: datetime
    days: tuple[datetime, ...]
    by_phase: Mapping[int, Courses]

    @property
    def moments(self) -> Courses:
        """Those of the analysed phase."""
        return self.by_phase[self.phase]


@dataclass(frozen=True, slots=True)
class SinceExposure:
    """How the sums of an experiment grow with the time since each visitor's exposure.

    Attributes:
        definition: the version that was analysed.
        phase: of that version.
        as_of: the moment of the analysis.
        days: how many days the courses have: as many as somebody was observed for, at most those asked for.
        by_phase: phase -> metric name -> arm name -> moments, for k = 1, 2, ... `days`: what came of visitors who were
            observed for at least k whole days until k days had passed since their exposure. The visitors are fewer from
            day to day; `n` says how many.
    """

    definition: Definition
    phase: int
    as_of: datetime
    days: int
    by_phase: Mapping[int, Courses]

    @property
    def moments(self) -> Courses:
        """Those of the analysed phase."""
        return self.by_phase[self.phase]


@dataclass(slots=True)
class Cells:
    """What was read of one key: of each cell the visitors who entered it, and what changed in it."""

    entered: defaultdict[tuple[int, ...], Sums] = field(default_factory=lambda: defaultdict(Sums))
    changed: defaultdict[tuple[int, ...], Sums] = field(default_factory=lambda: defaultdict(Sums))


def read_series(connection: Connection, origin: Origin) -> Series:
    """Cumulative moments of an experiment by day."""
    definition, cohort = origin.definition, origin.cohort
    layout = Layout(definition.metrics)
    found = _read_cells(connection, origin.sources, cohort, layout, Calendar(cohort.offset))
    days = sorted({day for cells in found.values() for part in (cells.entered, cells.changed) for (day,) in part})
    courses = {key: _by_day(cells, days) for key, cells in found.items()}
    local = timezone(timedelta(minutes=definition.utc_offset_minutes))
    return Series(
        definition,
        origin.phase,
        from_micros(cohort.as_of),
        tuple(from_micros(day).astimezone(local) for day in days),
        _by_phase(origin, layout, courses, len(days)),
    )


def read_since_exposure(connection: Connection, origin: Origin, days: int) -> SinceExposure:
    """Moments of an experiment by whole days since the exposure.

    Raises:
        InputError: days outside 1 to 366.
    """
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= LONGEST:
        raise InputError(f"days since the exposure must be a whole number from 1 to {LONGEST}, seen {days!r}")
    definition, cohort = origin.definition, origin.cohort
    layout = Layout(definition.metrics)
    found = _read_cells(connection, origin.sources, cohort, layout, Observed(cohort.as_of, days))
    longest = max((observed // DAY for cells in found.values() for (observed,) in cells.entered), default=0)
    courses = {key: _by_age(cells, longest) for key, cells in found.items()}
    return SinceExposure(
        definition,
        origin.phase,
        from_micros(cohort.as_of),
        longest,
        _by_phase(origin, layout, courses, longest),
    )


def _by_day(cells: Cells, days: Sequence[int]) -> Iterator[Sums]:
    """The sums at the end of each day; each is only good until the next is asked for."""
    total = Sums()
    for day in days:
        for part in (cells.entered, cells.changed):
            if (day,) in part:
                total.add(part[day,])
        yield total


def _by_age(cells: Cells, days: int) -> Iterator[Sums]:
    """The sums k = 1, 2, ... days after the exposure, of those observed as long; good until the next is asked for."""
    total = Sums()
    of_observed = {observed: Sums() for observed in range(days + 1)}
    for (observed,), sums in cells.entered.items():
        of_observed[observed // DAY].add(sums)
        total.add(sums)
    for age in range(days):
        # Their last day is not whole.
        total.add(of_observed.pop(age), sign=-1)
        for observed, sums in of_observed.items():
            change = cells.changed.get((observed * DAY, age * DAY))
            if change is not None:
                sums.add(change)
                total.add(change)
        yield total


def _by_phase(origin: Origin, layout: Layout, courses: Mapping[Key, Iterable[Sums]], length: int) -> dict[int, Courses]:
    definition, cohort = origin.definition, origin.cohort
    numbers = {arm: arm_id for arm_id, arm in origin.arms.items()}
    scale = 10 ** minor_digits(definition.currency)
    found: dict[int, Courses] = {}
    for phase in cohort.phases:
        by_metric: dict[str, dict[str, tuple[Moments, ...]]] = {metric.name: {} for metric in definition.metrics}
        for arm in definition.arms:
            sums = courses.get((phase, numbers.get(arm.name)), [Sums()] * length)
            rows = [[moments_of(metric, one, layout, scale) for metric in definition.metrics] for one in sums]
            for i, metric in enumerate(definition.metrics):
                by_metric[metric.name][arm.name] = tuple(row[i] for row in rows)
        found[phase] = by_metric
    return found


def _read_cells(
    connection: Connection, sources: Sources, cohort: Cohort, layout: Layout, clock: Clock
) -> dict[Key, Cells]:
    """What the statements give for each key; read again about the means where squares would cancel."""
    shifts = [0.0] * len(layout.features)
    found = _read_shifted(connection, sources, cohort, layout, clock, shifts)
    totals = [_total(cells) for cells in found.values()]
    shifts = [best_shift(feature, i, totals) for i, feature in enumerate(layout.features)]
    return _read_shifted(connection, sources, cohort, layout, clock, shifts) if any(shifts) else found


def _read_shifted(
    connection: Connection, sources: Sources, cohort: Cohort, layout: Layout, clock: Clock, shifts: Sequence[float]
) -> dict[Key, Cells]:
    found: dict[Key, Cells] = defaultdict(Cells)
    for key, (*cell, visitors) in keyed(connection, cohort, entry_statement(sources, cohort, clock)):
        found[key].entered[_whole(cell)].visitors.update(dict.fromkeys(layout.windows, int(visitors)))
    entered = (sums for cells in found.values() for sums in cells.entered.values())
    sources = sources.planned(sum(sums.visitors[layout.windows[0]] for sums in entered))
    for use, windows in layout.covariates.items():
        # In every window the visitors, and so the shift, are the same.
        shift = shifts[layout.features.index(Feature(use, windows[0]))]
        known: dict[tuple[Key, tuple[int, ...]], list] = {}
        for key, (cell, *sums) in keyed(
            connection, cohort, covariate_entry_statement(sources, cohort, use, clock, shift)
        ):
            known[key, _whole([cell])] = summed([sums]) * len(windows)
        for key, cells in found.items():
            for cell, sums in cells.entered.items():
                add_covariate(sums, layout, use, known.get((key, cell)), [shift] * len(windows))
    for key, row in keyed(connection, cohort, change_statement(sources, cohort, layout, clock, shifts)):
        cell = _whole(row[: clock.width])
        add_outcomes(found[key].changed[cell], layout, summed([row[clock.width :]]), shifts)
    return found


def _total(cells: Cells) -> Sums:
    total = Sums()
    for part in (*cells.entered.values(), *cells.changed.values()):
        total.add(part)
    return total


def _whole(cell: Sequence[Any]) -> tuple[int, ...]:
    return tuple(map(int, cell))
