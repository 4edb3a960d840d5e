"""The figures of an experiment's page that are made of interval bars: the primary, the guardrails, money."""

from __future__ import annotations

from typing import Any

from . import format as fmt
from .bars import Scale, axis, bar, lift_scale, tone
from .charts import Truth
from .outlook import guardrail_in_words
from .overview import deciding
from .tree import ComparisonRow, Interval, LiftRow, MetricRow, Scorecard

__all__ = ["guardrail_rows", "money_rows", "primary_forest"]

LONGEST_NAME = 28
"""Characters of a reference arm's name below its line."""

GUARDRAIL_WORDS = {
    "passed": ("✓", "beyond the margin is excluded"),
    "failed": ("✕", "worse than the margin"),
    "inconclusive": ("?", "beyond the margin is not yet excluded"),
    None: ("–", "withheld"),
}


def primary_forest(card: Scorecard, truth: Truth | None = None) -> dict[str, Any] | None:
    """The primary metric's lift of each arm, with the interval that decides; None where there is nothing yet."""
    metric = card.metric(card.primary)
    if card.withheld or all(one.value is None for one in metric.arms):
        return None
    bands = [deciding(one).lift for one in metric.comparisons]
    known = {arm: true[1] for arm, true in (truth or {}).get(metric.metric, {}).items()}
    scale = lift_scale(bands, list(known.values()))
    rows = [_primary_row(card, metric, one, scale, known.get(one.arm)) for one in metric.comparisons]
    return {
        "metric": fmt.label(metric.metric),
        "interval": _interval_name(card),
        "rows": rows,
        "axis": axis(scale, lambda x: fmt.lift(x, 0.2), _reference(card.control)),
        "nothing": all(deciding(one).lift.kind != "bounded" for one in metric.comparisons),
        "less": metric.desired_change == "decrease",
        "has_truth": bool(known),
    }


def _interval_name(card: Scorecard) -> str:
    if card.progress is not None:
        return "sequential interval, valid at all looks together"
    return "always-valid 95% interval" + (", read once" if card.source == "table" else ", valid on any day")


def _reference(control: str) -> str:
    """What the line of no effect is called: after the arm that it is."""
    return control if len(control) <= LONGEST_NAME else control[: LONGEST_NAME - 1] + "…"


def _primary_row(
    card: Scorecard, metric: MetricRow, one: ComparisonRow, scale: Scale, truth: float | None
) -> dict[str, Any]:
    row = deciding(one)
    band = row.lift
    if one.status != "ok":
        return {"arm": one.arm, "bar": "", "lift": one.status, "interval": one.reason, "difference": "", "tone": "open"}
    look = tone(band.low, band.high) if band.kind == "bounded" else tone(row.low, row.high)
    half = fmt.half_width(band.low, band.high)
    if band.kind == "bounded":
        lift, interval = fmt.lift(band.estimate or 0.0, half), fmt.lift_interval(band.kind, band.low, band.high)
    else:
        lift, interval = "too early", "for a lift: its interval has no two ends yet"
    difference = "" if row.low is None and row.high is None else fmt.interval(row.low, row.high, metric.unit)
    said = (
        f"Lift of {one.arm} against {card.control}",
        f"{fmt.label(metric.metric)}: {lift}, {interval}; difference {difference or 'not known'}.",
    )
    return {
        "arm": one.arm,
        "bar": bar(band, scale, tone=look, truth=truth, said=said),
        "lift": lift,
        "interval": interval,
        "difference": difference,
        "tone": look,
    }


def guardrail_rows(card: Scorecard) -> dict[str, Any] | None:
    """Every guardrail in every arm against its margin; None without guardrails."""
    found = [(metric, one) for metric in card.metrics if metric.role == "guardrail" for one in metric.comparisons]
    if not found or card.withheld:
        return None
    limits = [_limit(metric, one) for metric, one in found]
    scale = lift_scale([one.lift for _, one in found], [limit for limit in limits if limit is not None])
    rows = []
    for (metric, one), limit in zip(found, limits, strict=True):
        assert one.guardrail is not None, "a guardrail's comparison says how it stands"
        icon, words = GUARDRAIL_WORDS[one.guardrail.result]
        words = (
            f"a {'loss' if metric.desired_change == 'increase' else 'rise'} {words}" if "margin is" in words else words
        )
        interval = fmt.lift_in_words(one.lift.kind, one.lift.estimate, one.lift.low, one.lift.high)
        said = (f"{fmt.label(metric.metric)} of {one.arm} against {card.control}", guardrail_in_words(metric, one))
        rows.append(
            {
                "metric": fmt.label(metric.metric),
                "arm": one.arm,
                "bar": bar(one.lift, scale, margin=limit, said=said),
                "margin": fmt.ABSENT if limit is None else fmt.percent(limit, 0.1, signed=True),
                "interval": interval if one.status == "ok" else f"{one.status}: {one.reason}",
                "result": one.guardrail.result or "withheld",
                "icon": icon,
                "words": words,
            }
        )
    return {"rows": rows, "axis": axis(scale, lambda x: fmt.lift(x, 0.2), _reference(card.control))}


def _limit(metric: MetricRow, one: ComparisonRow) -> float | None:
    """Where the margin lies on the scale of lifts."""
    margin = one.guardrail.margin if one.guardrail is not None else None
    if margin is None:
        return None
    return -margin if metric.desired_change == "increase" else margin


def money_rows(card: Scorecard) -> list[dict[str, Any]]:
    """Money per visitor in every arm, a block a metric; the line is the control's."""
    if card.withheld:
        return []
    return [_money_block(card, metric) for metric in card.metrics if metric.kind in ("revenue", "margin")]


def _money_block(card: Scorecard, metric: MetricRow) -> dict[str, Any]:
    ends = [x for one in metric.arms for x in (one.value, one.interval.low, one.interval.high) if x is not None]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    pad = 0.04 * (high - low) or abs(high) * 0.1 or 1.0
    scale = Scale(low - pad, high + pad)
    control = metric.arm(card.control).value
    rows = []
    for one in metric.arms:
        half = fmt.half_width(one.interval.low, one.interval.high)
        value = fmt.level(one.value, metric.unit, half)
        interval = _level_interval(one.interval, metric.unit, half)
        said = (f"{fmt.label(metric.metric)} in {one.arm}", f"{value}, 95% interval {interval or 'not known'}.")
        drawn = LiftRow("undefined" if one.value is None else "bounded", one.value, one.interval.low, one.interval.high)
        shape = "level" if one.arm == card.control else "open"
        whole = drawn if one.interval.low is not None else LiftRow("bounded", one.value, one.value, one.value)
        rows.append(
            {
                "arm": one.arm,
                "bar": bar(whole if one.value is not None else LiftRow(), scale, zero=control, tone=shape, said=said),
                "value": value if one.value is not None else "no visitors yet",
                "interval": interval,
            }
        )
    return {"metric": fmt.label(metric.metric), "rows": rows}


def _level_interval(interval: Interval, unit: str, half: float | None) -> str:
    if interval.low is None or interval.high is None:
        return ""
    return f"{fmt.level(interval.low, unit, half)} to {fmt.level(interval.high, unit, half)}"
