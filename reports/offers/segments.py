"""For whom: the primary metric by segments, the interaction first, effects shrunk, p-values adjusted.

Segments that the definition named when the experiment started were planned. Every other attribute that is recorded with
the exposures is exploratory: adjusted in a family of its own, over all such cuts together, and labelled as what it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from ...errors import InputError
from ...experiments.metrics import Metric
from ...stats import Contrast, Moments, Segmentation, Shrunk, WaldTest, compare_segments
from ...storage.exploring import RecordedSegments
from ...storage.observations import Breakdown
from ..estimates import PROPORTIONS, metric_unit
from .seen import Seen
from .tree import Estimate, SegmentRow, Segments, SegmentTest, Status

__all__ = ["EXPLORATORY", "Label", "asks_for_segments", "segments_of", "without_numbers"]

EXPLORATORY = (
    "Exploratory: not planned, a finding here is a reason for a next test and no result. P-values are adjusted over "
    "all exploratory cuts together, and none of them enters the verdict."
)

Label = Literal["pre_declared", "exploratory"]

MOST_VALUES = 30
"""Most values of a segment that are compared: beyond, none has visitors enough to be told from luck."""


def asks_for_segments(seen: Seen) -> dict[str, Label]:
    """The segments that are split by, the planned ones first; the clusters' own name is not one of them."""
    recorded = seen.details.offers.recorded_segments()
    if isinstance(recorded, str):
        recorded = RecordedSegments.of(seen.definition)
    labels: dict[str, Label] = dict.fromkeys(recorded.planned, "pre_declared")
    labels |= dict.fromkeys(recorded.exploratory, "exploratory")
    return {name: label for name, label in labels.items() if name != seen.definition.plan.cluster}


def segments_of(seen: Seen) -> tuple[Segments, ...]:
    """The primary metric by each planned segment, and by every other attribute that is recorded."""
    metric = seen.definition.metric(seen.definition.plan.primary)
    unit = metric_unit(metric, seen.definition.currency)
    labels = asks_for_segments(seen)
    found: dict[str, Segments] = {}
    cells: dict[str, Mapping[tuple[str, str], tuple[Moments, ...]]] = {}
    for name, label in labels.items():
        read = seen.details.offers.breakdown if label == "pre_declared" else seen.details.offers.explored
        split = read(name)
        empty = without_numbers(name, label, "unavailable", metric=metric.name, unit=unit)
        if isinstance(split, str):
            found[name] = replace(empty, reason=split)
        elif not split.values:
            found[name] = replace(empty, status="insufficient", reason="Nobody was exposed yet.")
        elif len(split.values) > MOST_VALUES:
            found[name] = replace(
                empty, reason=f"It has {len(split.values)} values; at most {MOST_VALUES} are compared."
            )
        else:
            found[name] = empty
            cells[name] = _cells(split, metric, [arm.name for arm in seen.definition.arms])
    if cells:
        compared = _compared(seen, cells, metric, [name for name in cells if labels[name] == "pre_declared"])
        for name in cells:
            if isinstance(compared, str):
                found[name] = replace(found[name], status="undefined", reason=compared)
            else:
                found[name] = _shown(found[name], [one for one in compared if one.attribute == name])
    return tuple(found[name] for name in labels)


def without_numbers(
    name: str, label: Label, status: Status, reason: str = "", *, metric: str = "", unit: str = ""
) -> Segments:
    """A segment before, or without, its numbers."""
    return Segments(name, label, status, reason, metric, unit, caution=EXPLORATORY if label == "exploratory" else "")


def _cells(split: Breakdown, metric: Metric, arms: list[str]) -> dict[tuple[str, str], tuple[Moments, ...]]:
    return {
        (value, arm): tuple(stratum.moments[metric.name][arm] for stratum in strata)
        for value, strata in split.values.items()
        for arm in arms
    }


def _compared(
    seen: Seen,
    cells: Mapping[str, Mapping[tuple[str, str], tuple[Moments, ...]]],
    metric: Metric,
    planned: Sequence[str],
) -> tuple[Segmentation, ...] | str:
    plan, control = seen.definition.plan, seen.metric(metric.name).arm(seen.definition.control).value
    smallest = plan.minimum_detectable_effect
    try:
        return compare_segments(
            cells,
            metric.numerator.name,
            control=seen.definition.control,
            declared=planned,
            per=None if metric.denominator is None else metric.denominator.name,
            kind="conversion" if metric.kind in PROPORTIONS else "mean",
            power=plan.power,
            smallest_effect=abs(smallest * control) if smallest and control else None,
        ).segmentations
    except InputError as error:
        return error.message


def _shown(empty: Segments, compared: list[Segmentation]) -> Segments:
    tests = tuple(_test(one.arm, one.test) for one in compared)
    rows = tuple(
        SegmentRow(
            effect.value,
            one.arm,
            _status(effect.status),
            effect.reason,
            effect.visitors,
            Estimate()
            if effect.difference is None
            else Estimate(effect.difference.estimate, effect.difference.low, effect.difference.high),
            _shrunk(effect.shrunk),
            *_p_values(effect.against_others),
        )
        for one in compared
        for effect in one.effects
    )
    known = any(row.status == "ok" for row in rows)
    reason = "" if known else "No value of it can be compared yet."
    return replace(empty, status="ok" if known else "insufficient", reason=reason, tests=tests, rows=rows)


def _test(arm: str, test: WaldTest) -> SegmentTest:
    adjusted = test.p_value if test.p_adjusted is None else test.p_adjusted
    return SegmentTest(arm, _status(test.status), test.reason, test.chi_squared, test.df, test.p_value, adjusted)


def _shrunk(found: Shrunk | None) -> Estimate:
    if found is None:
        return Estimate()
    half = 1.959963984540054 * found.shrunk_se
    return Estimate(found.shrunk, found.shrunk - half, found.shrunk + half)


def _p_values(contrast: Contrast | None) -> tuple[float | None, float | None]:
    return (None, None) if contrast is None else (contrast.p_value, contrast.p_adjusted)


def _status(status: str) -> Status:
    return "ok" if status == "ok" else "undefined" if status in ("undefined", "aliased") else "insufficient"
