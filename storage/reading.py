"""Observations of an experiment, read by a handful of grouped statements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from ..errors import InputError, known_or_nearest
from ..experiments.currencies import minor_digits
from ..experiments.definition import Definition, State
from ..experiments.metrics import CovariateUse
from ..experiments.snapshot import Published
from ..stats.moments import Moments
from .cohort import Key, unpacked
from .exploring import segments_of_versions, with_frequent_values
from .features import Feature
from .groups import Group, read_groups
from .late_covariates import refuse_late_covariates
from .observations import ArmCounts, Breakdown, Observations, Stratum
from .origins import Origin, store_origin
from .rejections import read_rejections
from .statements import day_statement, orphan_statement
from .sums import Layout, moments_of
from .times import from_micros, to_micros
from .versions import all_versions, planned_shares

__all__ = [
    "count_by",
    "observed",
    "read_breakdown",
    "read_counts",
    "read_observations",
    "read_variant",
    "require_segment",
    "split_by",
    "strata_by",
    "visitors_of",
]

SegmentCounts = dict[str, dict[int, dict[str, int]]]
"""Value of a segment -> phase -> arm -> visitors."""

ANY = "*"
"""What outcomes are counted under that only a metric of any event takes."""


def read_observations(connection: Connection, published: Published, as_of: int) -> Observations:
    """Counts and moments of a published version, as of a time in microseconds."""
    shares = planned_shares(connection, published.definition.experiment) if published.phase > 1 else {}
    seen = observed(connection, published.state, store_origin(connection, published, as_of), shares)
    began = [to_micros(one) for one in (published.started_at, seen.first_exposure) if one is not None]
    rejections = read_rejections(connection, published.definition, min(began, default=None), as_of)
    return replace(seen, rejections=rejections)


def read_variant(
    connection: Connection, origin: Origin, caps: Mapping[str, int | None], *, without_crossovers: bool
) -> Observations:
    """The same counts and moments read otherwise: with other caps on these metrics, or without crossovers."""
    definition, key = origin.definition, origin.definition.experiment
    metrics = tuple(replace(one, cap=caps.get(one.name, one.cap)) for one in definition.metrics)
    cohort = replace(origin.cohort, without_crossovers=without_crossovers)
    other = replace(origin, definition=replace(definition, metrics=metrics), cohort=cohort)
    shares = planned_shares(connection, key) if len(cohort.phases) > 1 else {}
    return observed(connection, "running", other, shares)


def read_breakdown(
    connection: Connection, published: Published, as_of: int, segment: str, *, grouped: bool = False
) -> Breakdown:
    """Counts and moments of a published version by the values of a segment; `grouped`, by its most frequent ones.

    Raises:
        InputError: no version names that segment; or, `grouped`, hardly any visitor has one of its most frequent
            values.
    """
    _require_recorded(connection, published.definition, segment)
    origin = store_origin(connection, published, as_of, segment)
    return split_by(connection, with_frequent_values(connection, origin) if grouped else origin)


def read_counts(connection: Connection, published: Published, as_of: int, segment: str) -> SegmentCounts:
    """Visitors of a published version by the values of a segment, without any outcome.

    Raises:
        InputError: no version names that segment.
    """
    _require_recorded(connection, published.definition, segment)
    return count_by(connection, store_origin(connection, published, as_of, segment))


def observed(
    connection: Connection, state: State, origin: Origin, shares: Mapping[int, Mapping[str, float]] | None = None
) -> Observations:
    """Counts and moments of an experiment in this state.

    Args:
        connection: to where its rows are.
        state: of the experiment.
        origin: whose rows are read, and from where.
        shares: planned share of the visitors by arm, in each phase; None where there is but one.
    """
    shares = shares or {}
    definition, sources, cohort, names = origin.definition, origin.sources, origin.cohort, origin.arms
    layout = Layout(definition.metrics)
    groups, times = read_groups(connection, sources, cohort, names, layout)
    refuse_late_covariates(connection, sources, cohort, _unseen(layout, groups))
    arms = {phase: _arms_of(definition, shares.get(phase, {})) for phase in cohort.phases[:-1]}
    *earlier, current = (
        replace(
            _stratum(definition, layout, phase, groups, (), names, arms.get(phase, ())), shares=shares.get(phase, {})
        )
        for phase in cohort.phases
    )
    orphans = orphan_statement(sources, cohort, layout.events)
    return Observations(
        definition=definition,
        state=state,
        phase=origin.phase,
        as_of=from_micros(cohort.as_of),
        arms=current.arms,
        moments=current.moments,
        unknown_arms=_unknown_arms(definition, arms, groups, names),
        exposures_by_day=current.exposures_by_day,
        first_exposure=from_micros(min(times)) if times else None,
        last_exposure=from_micros(max(times)) if times else None,
        refused_rows=origin.refused_rows,
        earlier=tuple(earlier),
        unreported_rows=sum(group.sums.unreported for group in groups.values()),
        orphaned_refunds=0 if orphans is None else int(connection.scalar(orphans) or 0),
    )


def _unseen(layout: Layout, groups: Mapping[Key, Group]) -> list[CovariateUse]:
    """The covariates that no mature visitor has, where there are any."""
    return [
        use
        for use, windows in layout.covariates.items()
        if any(group.sums.visitors[window] for group in groups.values() for window in windows)
        and all(
            group.sums.first[layout.features.index(Feature(use, window, missing=True))] == group.sums.visitors[window]
            for group in groups.values()
            for window in windows
        )
    ]


def _require_recorded(connection: Connection, definition: Definition, segment: str) -> None:
    if segment not in definition.recorded_segments:
        found = segments_of_versions(all_versions(connection, definition.experiment))
        require_segment(definition, segment, (*found.planned, *found.exploratory))


def require_segment(definition: Definition, segment: str, known: Sequence[str] | None = None) -> None:
    """See that a definition names the segment, or that it is one of those `known`.

    Raises:
        InputError: it is not.
    """
    names = definition.recorded_segments if known is None else known
    if segment not in names:
        raise InputError(
            f"{definition.experiment!r} has no segment {segment!r}",
            hint=known_or_nearest(
                segment,
                names,
                whose="Its segments",
                none="It has none; definitions name them in `segments` or `exploratory_segments`.",
            ),
        )


def split_by(connection: Connection, origin: Origin) -> Breakdown:
    """Counts and moments by the values of the cohort's segment."""
    assert origin.cohort.segment is not None
    values = strata_by(connection, origin)
    return Breakdown(origin.cohort.segment, from_micros(origin.cohort.as_of), values)


def strata_by(connection: Connection, origin: Origin) -> dict[Any, tuple[Stratum, ...]]:
    """The strata of each value that the cohort is split by."""
    definition, cohort, names = origin.definition, origin.cohort, origin.arms
    layout = Layout(definition.metrics)
    groups, _ = read_groups(connection, origin.sources, cohort, names, layout)
    return {
        value: tuple(_stratum(definition, layout, phase, groups, (value,), names) for phase in cohort.phases)
        for value in sorted({value for _, _, value in groups})
    }


def count_by(connection: Connection, origin: Origin) -> SegmentCounts:
    """Visitors of the definition's arms by the values of the cohort's segment."""
    known = {arm.name for arm in origin.definition.arms}
    found: SegmentCounts = {}
    for row in connection.execute(day_statement(origin.sources, origin.cohort, ())):
        (phase, arm_id, value), _, (_, _, visitors, *_) = unpacked(row, origin.cohort)
        arm = origin.arms[arm_id]
        if arm in known:
            arms = found.setdefault(value, {}).setdefault(int(phase), {})
            arms[arm] = arms.get(arm, 0) + int(visitors)
    return found


def visitors_of(breakdown: Breakdown) -> SegmentCounts:
    """The visitors alone of what was read with the outcomes, as `count_by` finds them."""
    counts = {
        value: {one.phase: {arm: seen.visitors for arm, seen in one.arms.items() if seen.visitors} for one in strata}
        for value, strata in breakdown.values.items()
    }
    return {value: {phase: arms for phase, arms in phases.items() if arms} for value, phases in counts.items()}


def _stratum(
    definition: Definition,
    layout: Layout,
    phase: int,
    groups: Mapping[Key, Group],
    value: tuple[Any, ...],
    names: Mapping[int, str],
    known: Sequence[str] = (),
) -> Stratum:
    """One phase; of the definition's arms, or of those `known` where the phase had others."""
    found = {names[key[1]]: group for key, group in groups.items() if (key[0], *key[2:]) == (phase, *value)}
    arms = {arm: found.get(arm, Group()) for arm in known or [arm.name for arm in definition.arms]}
    scale = 10 ** minor_digits(definition.currency)
    return Stratum(
        phase,
        {
            arm: ArmCounts(group.visitors, group.crossovers, _outcomes(group, layout), group.returned)
            for arm, group in arms.items()
        },
        {
            metric.name: {
                arm: moments_of(metric, group.sums, layout, scale)
                if group.visitors
                else Moments.zero(metric.moment_columns)
                for arm, group in arms.items()
            }
            for metric in definition.metrics
        },
        tuple(
            (from_micros(day), {arm: group.days[day] for arm, group in arms.items()})
            for day in sorted({day for group in found.values() for day in group.days})
        ),
    )


def _outcomes(group: Group, layout: Layout) -> dict[str, int]:
    return {event or ANY: group.sums.outcomes[event] for event in layout.events}


def _arms_of(definition: Definition, shares: Mapping[str, float]) -> list[str]:
    """The definition's arms, then those that an earlier phase had and a later one dropped."""
    own = [arm.name for arm in definition.arms]
    return [*own, *(arm for arm in shares if arm not in own)]


def _unknown_arms(
    definition: Definition,
    arms: Mapping[int, Sequence[str]],
    groups: Mapping[Key, Group],
    names: Mapping[int, str],
) -> dict[str, int]:
    """Visitors in arms that their own phase did not have."""
    own = [arm.name for arm in definition.arms]
    unknown = Counter[str]()
    for (phase, arm_id, *_), group in sorted(groups.items()):
        if names[arm_id] not in arms.get(phase, own):
            unknown[names[arm_id]] += group.visitors
    return dict(sorted(unknown.items()))
