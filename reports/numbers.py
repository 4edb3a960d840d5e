"""The numbers of an experiment's page in tables: every metric in every arm, how sure the primary is, the posteriors."""

from __future__ import annotations

from typing import Any

from . import format as fmt
from .bars import Scale, bar, lift_scale, tone
from .charts import Truth
from .tree import AnytimeRow, ComparisonRow, LiftRow, MetricRow, RandomisationRow, Scorecard, SequentialRow

__all__ = ["bayes_rows", "metric_table", "sureness"]


def metric_table(card: Scorecard, metric: MetricRow, truth: Truth | None) -> dict[str, Any]:
    """A metric in every arm: value, difference and lift with their fixed-sample intervals."""
    scale = lift_scale([comparison.lift for comparison in metric.comparisons])
    rows = []
    for arm in metric.arms:
        half = fmt.half_width(arm.interval.low, arm.interval.high)
        value = fmt.level(arm.value, metric.unit, half)
        shown: dict[str, Any] = {"arm": arm.arm, "n": arm.n, "value": value, "comparison": None, "adjusted": None}
        shown["guardrail"] = ""
        if arm.arm != card.control:
            comparison = metric.comparison(arm.arm)
            true = (truth or {}).get(metric.metric, {}).get(arm.arm)
            shown |= _comparison(metric, comparison, scale, true)
        rows.append(shown)
    better = "" if metric.desired_change == "increase" else "less is better"
    notes = [note for note in (metric.role, metric.condition, better) if note]
    return {"name": fmt.label(metric.metric), "notes": ", ".join(notes), "rows": rows, "role": metric.role}


def _comparison(
    metric: MetricRow, comparison: ComparisonRow, scale: Scale, true: tuple[float, float] | None
) -> dict[str, Any]:
    difference, lift, unit = comparison.difference, comparison.lift, metric.unit
    half = fmt.half_width(difference.low, difference.high)
    guardrail = comparison.guardrail
    return {
        "comparison": comparison,
        "difference": fmt.change(difference.estimate, unit, half),
        "interval": "" if difference.low is None else fmt.interval(difference.low, difference.high, unit),
        "p": fmt.p_value(difference.p_value),
        "lift": _lift_parts(lift),
        "cell": _cell(lift, scale),
        "band": _band(comparison.sequential or comparison.anytime, unit),
        "adjusted": _adjusted(metric, comparison, scale),
        "guardrail": "" if guardrail is None else _guardrail(guardrail.margin, guardrail.result),
        "true": None if true is None else _true(metric, comparison, true),
    }


def _cell(lift: LiftRow, scale: Scale) -> str:
    return bar(lift, scale, tone=tone(lift.low, lift.high) if lift.kind == "bounded" else "open")


def _lift_parts(lift: LiftRow) -> tuple[str, str]:
    """A lift's estimate, and what is known of its interval."""
    if lift.kind == "undefined":
        return "undefined", lift.reason
    half = fmt.half_width(lift.low, lift.high) if lift.kind == "bounded" else None
    estimate = fmt.ABSENT if lift.estimate is None else fmt.lift(lift.estimate, half)
    return estimate, fmt.lift_interval(lift.kind, lift.low, lift.high)


def _band(row: AnytimeRow | SequentialRow, unit: str) -> str:
    return fmt.ABSENT if row.low is None else fmt.interval(row.low, row.high, unit)


def _guardrail(margin: float | None, result: str | None) -> str:
    result = result or "withheld"
    return f"guardrail {result}" + (f" (margin {fmt.setting(margin)})" if margin is not None else " (no margin)")


def _adjusted(metric: MetricRow, comparison: ComparisonRow, scale: Scale) -> dict[str, Any] | None:
    adjusted = comparison.adjusted
    if adjusted is None:
        return None
    difference = adjusted.difference
    half = fmt.half_width(difference.low, difference.high)
    return {
        "covariate": fmt.label(adjusted.covariate),
        "removed": "" if adjusted.variance_removed is None else fmt.percent(adjusted.variance_removed, 0.2),
        "difference": fmt.change(difference.estimate, metric.unit, half),
        "interval": fmt.interval(difference.low, difference.high, metric.unit),
        "p": fmt.p_value(difference.p_value),
        "lift": _lift_parts(adjusted.lift),
        "cell": _cell(adjusted.lift, scale),
    }


def _true(metric: MetricRow, comparison: ComparisonRow, true: tuple[float, float]) -> dict[str, Any]:
    """The simulator's effect, and whether the fixed-sample interval of the difference has it inside."""
    low, high = comparison.difference.low, comparison.difference.high
    half = fmt.half_width(low, high)
    inside = None if low is None or high is None else low <= true[0] <= high
    return {"difference": fmt.change(true[0], metric.unit, half), "lift": fmt.lift(true[1], 0.02), "inside": inside}


def sureness(card: Scorecard) -> list[dict[str, Any]]:
    """The primary metric's rows, each labelled with what its interval is good for."""
    metric = card.metric(card.primary)
    once = card.source == "table"
    shown = []
    for comparison in metric.comparisons:
        anytime, difference, adjusted = comparison.anytime, comparison.difference, comparison.adjusted
        judged = adjusted.difference if comparison.judged_by == "adjusted" and adjusted else difference
        half = fmt.half_width(anytime.low, anytime.high)
        base = "CUPED-adjusted, " if comparison.judged_by == "adjusted" else ""
        monitors = card.progress is not None
        rows = [_sequential_row(metric, base, comparison.sequential)] if comparison.sequential is not None else []
        rows += [
            (
                f"{base}always-valid",
                "monitors; may be looked at any day, and does not decide where looks are planned"
                if monitors
                else "decides; does not assume a planned look, and is tuned to this one"
                if once
                else "decides; may be looked at any day",
                fmt.change(judged.estimate, metric.unit, half),
                _band(anytime, metric.unit),
                fmt.p_value(anytime.p_value),
                not monitors,
            ),
            _fixed_row(metric, "fixed-sample", difference),
        ]
        if adjusted is not None:
            rows.append(_fixed_row(metric, f"CUPED-adjusted for {fmt.label(adjusted.covariate)}", adjusted.difference))
        if comparison.randomisation is not None:
            rows.append(_randomisation_row(comparison.randomisation))
        rows += _sensitivity_rows(card, metric, comparison.arm)
        shown.append({"arm": comparison.arm, "rows": rows})
    return shown


def _sequential_row(metric: MetricRow, base: str, row: SequentialRow) -> tuple[str, str, str, str, str, bool]:
    half = fmt.half_width(row.low, row.high)
    estimate = fmt.change(row.estimate, metric.unit, half)
    if row.estimate != row.raw_estimate:
        estimate += f" (as seen {fmt.change(row.raw_estimate, metric.unit, half)})"
    kind = "planned" if row.planned else "not planned"
    return (
        f"{base}sequential",
        f"decides; of look {row.look} ({kind}), {fmt.moment(row.at)}, valid at all looks together",
        estimate,
        _band(row, metric.unit),
        fmt.ABSENT,
        True,
    )


def _randomisation_row(test: RandomisationRow) -> tuple[str, str, str, str, str, bool]:
    return (
        "randomisation test",
        f"does not decide; needs no normality, for skew in unequal arms ({fmt.count(test.resamples)} resamples)",
        fmt.ABSENT,
        fmt.ABSENT,
        fmt.p_value(test.p_value),
        False,
    )


def _sensitivity_rows(card: Scorecard, metric: MetricRow, arm: str) -> list[tuple[str, str, str, str, str, bool]]:
    """The primary read otherwise, to see how much hangs on a few visitors."""
    rows = []
    for one in card.background.sensitivity if card.background is not None else ():
        if one.arm != arm:
            continue
        row = _fixed_row(metric, one.name, one.difference)
        rows.append((row[0], f"sensitivity, does not decide{f': {one.reason}' if one.reason else ''}", *row[2:]))
    return rows


def _fixed_row(metric: MetricRow, name: str, difference: Any) -> tuple[str, str, str, str, str, bool]:
    half = fmt.half_width(difference.low, difference.high)
    return (
        name,
        "does not decide; right only for one look, planned before",
        fmt.change(difference.estimate, metric.unit, half),
        fmt.ABSENT if difference.low is None else fmt.interval(difference.low, difference.high, metric.unit),
        fmt.p_value(difference.p_value),
        False,
    )


def bayes_rows(metric: MetricRow) -> list[dict[str, str]]:
    """The posterior of every treatment arm."""
    rows = []
    for comparison in metric.comparisons:
        bayes = comparison.bayes
        half = fmt.half_width(bayes.low, bayes.high)
        rows.append(
            {
                "metric": fmt.label(metric.metric),
                "arm": comparison.arm,
                "better": _probability(bayes.probability_better),
                "best": _probability(metric.arm(comparison.arm).probability_best),
                "loss": fmt.loss(bayes.expected_loss, metric.unit, half),
                "interval": fmt.ABSENT if bayes.low is None else fmt.interval(bayes.low, bayes.high, metric.unit),
            }
        )
    return rows


def _probability(p: float | None) -> str:
    """A probability in percent; never 0 % or 100 %, which no data can show."""
    if p is None:
        return fmt.ABSENT
    if p > 0.999:
        return "> 99.9%"
    return "< 0.1%" if p < 0.001 else f"{p * 100:.1f}%"
