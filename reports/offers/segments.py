"""For whom: the primary metric by declared segments, the interaction first, effects shrunk, p-values adjusted.

Segments of the frozen definition were named before the data came; they are the only ones that are recorded with the
exposures, so that any other split is exploratory and made elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import InputError
from ...experiments.metrics import Metric
from ...stats import Contrast, Moments, Segmentation, Shrunk, WaldTest, compare_segments
from ...storage.observations import Breakdown
from ..estimates import PROPORTIONS, metric_unit
from .seen import Seen
from .tree import Estimate, SegmentRow, Segments, SegmentTest, Status

__all__ = ["asks_for_segments", "segments_of"]

MOST_VALUES = 30
"""Most values of a segment that are compared: beyond, none has visitors enough to be told from luck."""


def asks_for_segments(seen: Seen) -> tuple[str, ...]:
    """The segments that are split by; the clusters' own name is not one of them."""
    return tuple(name for name in seen.definition.segments if name != seen.definition.plan.cluster)


def segments_of(seen: Seen) -> tuple[Segments, ...]:
    """The primary metric by each declared segment."""
    metric = seen.definition.metric(seen.definition.plan.primary)
    unit = metric_unit(metric, seen.definition.currency)
    found: dict[str, Segments] = {}
    cells: dict[str, Mapping[tuple[str, str], tuple[Moments, ...]]] = {}
    for name in asks_for_segments(seen):
        split = seen.details.offers.breakdown(name)
        if isinstance(split, str):
            found[name] = Segments(name, "pre_declared", "unavailable", split, metric.name, unit)
        elif not split.values:
            found[name] = Segments(name, "pre_declared", "insufficient", "Nobody was exposed yet.", metric.name, unit)
        elif len(split.values) > MOST_VALUES:
            reason = f"It has {len(split.values)} values; at most {MOST_VALUES} are compared."
            found[name] = Segments(name, "pre_declared", "unavailable", reason, metric.name, unit)
        else:
            cells[name] = _cells(split, metric, [arm.name for arm in seen.definition.arms])
    if cells:
        compared = _compared(seen, cells, metric)
        if isinstance(compared, str):
            found |= {name: Segments(name, "pre_declared", "undefined", compared, metric.name, unit) for name in cells}
        else:
            for name in cells:
                own = [one for one in compared if one.attribute == name]
                found[name] = _shown(name, own, metric.name, unit)
    return tuple(found[name] for name in asks_for_segments(seen))


def _cells(split: Breakdown, metric: Metric, arms: list[str]) -> dict[tuple[str, str], tuple[Moments, ...]]:
    return {
        (value, arm): tuple(stratum.moments[metric.name][arm] for stratum in strata)
        for value, strata in split.values.items()
        for arm in arms
    }


def _compared(
    seen: Seen, cells: Mapping[str, Mapping[tuple[str, str], tuple[Moments, ...]]], metric: Metric
) -> tuple[Segmentation, ...] | str:
    plan, control = seen.definition.plan, seen.metric(metric.name).arm(seen.definition.control).value
    smallest = plan.minimum_detectable_effect
    try:
        return compare_segments(
            cells,
            metric.numerator.name,
            control=seen.definition.control,
            declared=list(cells),
            per=None if metric.denominator is None else metric.denominator.name,
            kind="conversion" if metric.kind in PROPORTIONS else "mean",
            power=plan.power,
            smallest_effect=abs(smallest * control) if smallest and control else None,
        ).segmentations
    except InputError as error:
        return error.message


def _shown(name: str, compared: list[Segmentation], metric: str, unit: str) -> Segments:
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
    return Segments(name, "pre_declared", "ok" if known else "insufficient", reason, metric, unit, tests, rows)


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
