"""After the sale: what waits for refunds, how the difference builds up, and whether orders only came earlier.

A discount can pull orders forward that would have come anyway: the difference is large in the first days and falls back
later. That is tested on the same visitors by two parts of the metric's window, the first days and the rest, each with a
difference and an interval of its own; where to part them is fixed before any data, never where the curve peaks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from ...experiments.metrics import DAY, Metric
from ...stats import Moments, compare_means_over_strata
from ...storage.observations import Observations
from .. import format as fmt
from ..estimates import metric_unit
from ..phases import strata_of, visitors_by_phase
from ..tree import MetricRow
from .seen import Seen, money_metric
from .showing import estimate_in_words
from .tree import AfterSale, AfterSaleRow, CourseRow, Estimate

__all__ = ["after_sale_of", "followed_metric", "maturity", "split_day"]

LONGEST_COURSE = 90
"""Most days since the exposure that are shown."""

EARLY = 0.25
"""The share of the window that counts as its first days, at least one whole day."""

Shape = Literal["growing", "holding", "pulled_forward", "delayed", "unclear"]


def followed_metric(seen: Seen) -> Metric | None:
    """The metric whose difference is followed: money where there is any, else the primary; None of ratios alone."""
    row = money_metric(seen)
    if row is None:
        rows: Sequence[MetricRow] = [one for one in seen.metrics if one.role == "primary"]
        row = next((one for one in rows if one.definition.denominator is None), None)
    return None if row is None else row.definition


def maturity(observations: Observations) -> tuple[str, ...]:
    """Who still waits for a window, or for refunds after it, a sentence for each length of waiting."""
    visitors = sum(arm.visitors for stratum in observations.strata for arm in stratum.arms.values())
    by_wait: dict[tuple[int, int], list[Metric]] = {}
    for metric in observations.definition.metrics:
        if metric.window_end is not None and (metric.refund_window or metric.kind == "retention"):
            by_wait.setdefault((metric.window_end, metric.refund_window), []).append(metric)
    said = []
    for (end, refund), metrics in by_wait.items():
        mature = sum(
            moments.n
            for stratum in observations.strata
            for moments in stratum.moments.get(metrics[0].name, {}).values()
        )
        wait = fmt.duration(end) + (f", and {fmt.duration(refund)} more for refunds" if refund else "")
        names = fmt.join([fmt.label(metric.name) for metric in metrics])
        said.append(
            f"{names[:1].upper()}{names[1:]}: {fmt.count(mature)} of {fmt.count(visitors)} visitors have passed the "
            f"{wait}; {fmt.count(visitors - mature)} wait and are not in the numbers."
        )
    return tuple(said)


def split_day(metric: Metric) -> int | None:
    """The day since the exposure that parts the first days from the rest; None where the window has no two days."""
    if metric.window_end is None:
        return None
    days = metric.window_end / DAY
    first = math.ceil(EARLY * days)
    return first if first < days else None


def after_sale_of(seen: Seen) -> AfterSale | None:
    """How the difference builds up with the days since the exposure; None where no metric can be followed."""
    metric, observations = followed_metric(seen), seen.observations
    waits, holdout = maturity(observations), holdout_in_words(seen)
    if metric is None or metric.window_end is None or metric.window_end < 2 * DAY or metric.window_start:
        # A day is the step of the course: a shorter window has none.
        if not waits and not holdout:
            return None
        return AfterSale("undefined", "No metric has a window of days to follow.", maturity=waits, holdout=holdout)
    days = min(metric.window_end // DAY, LONGEST_COURSE)
    course = seen.details.offers.since_exposure(replace(metric, covariate=None), days)
    unit = metric_unit(metric, seen.definition.currency)
    empty = AfterSale("ok", "", metric.name, unit, waits, holdout)
    if isinstance(course, str):
        return replace(empty, status="unavailable", reason=course)
    first = split_day(metric)
    parts = None if first is None else seen.details.offers.measured(_parts(metric, first))
    rows = tuple(_row(arm, seen, course.by_phase, parts, metric, unit, first) for arm in seen.definition.treatments)
    known = any(row.status == "ok" for row in rows)
    reason = "" if known else "Nobody was observed for a whole day in both arms yet."
    return replace(empty, status="ok" if known else "insufficient", reason=reason, split_day=first, arms=rows)


def holdout_in_words(seen: Seen) -> str:
    """What a holdout's comparison says; "" elsewhere."""
    if not seen.definition.holdout:
        return ""
    held_out, offered = (fmt.quote(arm.name) for arm in seen.definition.arms)
    covered = seen.details.offers.covered()
    known = not isinstance(covered, str) and bool(covered)
    which = f" of {fmt.join([fmt.quote(key) for key in covered])}" if known else ""
    return (
        f"A holdout: {held_out} got no offer of any experiment that it covers, {offered} got whatever these gave. So "
        f"the difference is what all offers{which} bring together, losers and their effects on each other included."
    )


def _parts(metric: Metric, first: int) -> tuple[Metric, Metric]:
    """The first days and the rest of a metric's window, of visitors for whom all of it has passed."""
    assert metric.window_end is not None
    split, end = first * DAY, metric.window_end
    # Refunds count as long as in the whole, so that both parts are mature with it and add up to it.
    early = replace(metric, name="early", window_end=split, refund_window=end + metric.refund_window - split)
    late = replace(metric, name="late", window_start=split)
    return replace(early, cap=None, covariate=None), replace(late, cap=None, covariate=None)


def _row(
    arm: str,
    seen: Seen,
    by_phase: Mapping[int, Mapping[str, Mapping[str, tuple[Moments, ...]]]],
    parts: Observations | str | None,
    metric: Metric,
    unit: str,
    first: int | None,
) -> AfterSaleRow:
    control = seen.definition.control
    phases = [courses[metric.name] for courses in by_phase.values()]
    length = len(phases[0][arm]) if phases else 0
    course = []
    for at in range(length):
        treated, others = ([phase[one][at] for phase in phases] for one in (arm, control))
        everybody = [sum(phase[one.name][at].n for one in seen.definition.arms) for phase in phases]
        found = _difference(treated, others, metric, everybody)
        if found.estimate is not None:
            course.append(CourseRow(at + 1, sum(one.n for one in (*treated, *others)), found))
    if not course:
        return AfterSaleRow(arm, "insufficient", "Nobody was observed for a whole day in both arms yet.")
    if parts is None or isinstance(parts, str) or first is None:
        reason = parts if isinstance(parts, str) else ""
        return AfterSaleRow(arm, "ok", reason, tuple(course))
    early, late = (_part(parts, name, arm, control) for name in ("early", "late"))
    shape = _shape(early, late)
    return AfterSaleRow(arm, "ok", "", tuple(course), early, late, shape, _in_words(shape, early, late, unit, first))


def _difference(
    treated: Sequence[Moments], control: Sequence[Moments], metric: Metric, visitors: Sequence[int]
) -> Estimate:
    found = compare_means_over_strata(treated, control, metric.numerator.name, visitors=visitors).difference
    return Estimate() if found is None else Estimate(found.estimate, found.low, found.high)


def _part(parts: Observations, name: str, arm: str, control: str) -> Estimate:
    metric = parts.definition.metric(name)
    arms = strata_of(parts, metric)
    return _difference(arms[arm], arms[control], metric, visitors_by_phase(arms))


def _shape(early: Estimate, late: Estimate) -> Shape:
    """What the two parts say together; "unclear" where the first has no sign."""
    first, rest = _sign(early), _sign(late)
    if first == 0:
        return "unclear"
    if rest == 0:
        return "holding"
    if rest == first:
        return "growing"
    return "pulled_forward" if first > 0 else "delayed"


def _sign(found: Estimate) -> int:
    """1 or -1 where the interval leaves out 0, else 0."""
    if found.low is not None and found.low > 0:
        return 1
    return -1 if found.high is not None and found.high < 0 else 0


def _in_words(shape: Shape, early: Estimate, late: Estimate, unit: str, first: int) -> str:
    days = "the first day" if first == 1 else f"the first {first} days"
    rest = "nothing that varies" if late.estimate is None else estimate_in_words(late, unit)
    seen = f"{estimate_in_words(early, unit)} in {days}, {rest} after"
    words = {
        "growing": "The difference keeps growing",
        "holding": "What came in the first days is not seen to be taken back",
        "pulled_forward": "Part of it was pulled forward: it is lost again after",
        "delayed": "Part of the loss was a delay: it comes back after",
        "unclear": "The first days show no clear difference yet",
    }
    return f"{words[shape]}: {seen}."
