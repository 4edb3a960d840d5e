"""What the page shows of one experiment: numbers in words, figures, and the rows of its tables."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import format as fmt
from .charts import (
    Truth,
    can_draw_forest,
    describe_forest,
    describe_money,
    forest_plot,
    lifts_in_words,
    money_plot,
)
from .drawing import interval_cell, to_svg
from .offers.section import offers_section
from .sentences import decides
from .tree import AnytimeRow, ComparisonRow, LiftRow, MetricRow, RandomisationRow, Scorecard, SequentialRow
from .words import arm_in_words, metric_in_words, offer_pairs, plan_pairs, setup_pairs

__all__ = ["CHECKS", "ICONS", "STATUS_ICONS", "Lifts", "lifts", "section"]

ICONS = {
    "ship": "▲",
    "stop_harm": "▼",
    "stop_no_effect": "■",
    "collecting": "…",
    "review": "?",
    "do_not_read": "✕",
}
STATUS_ICONS = {"ok": "✓", "warn": "!", "fail": "✕", "not_run": "–"}
CHECKS = {
    "srm": "Sample ratio",
    "srm_sequential": "Sample ratio, at any look",
    "srm_by_day": "Sample ratio day by day",
    "srm_by_segment": "Sample ratio by segment",
    "srm_mature": "Sample ratio of analysed visitors",
    "crossovers": "Crossovers",
    "outcomes": "Outcome data",
    "currencies": "Currencies",
    "refunds": "Refunds",
    "outliers": "Outliers",
    "covariates": "Covariates",
    "phases": "Phases",
    "unknown_arms": "Unknown arms",
    "rows": "Rows of the table",
}


@dataclass(frozen=True)
class Scale:
    """The scale that all interval cells of a metric share."""

    low: float
    high: float

    @classmethod
    def of(cls, lifts: Sequence[LiftRow]) -> Scale:
        ends = [end for row in lifts if row.kind == "bounded" for end in (row.low, row.high) if end is not None]
        low, high = min([0.0, *ends]), max([0.0, *ends])
        return cls(low, high) if high > low else cls(-0.1, 0.1)

    def cell(self, row: LiftRow) -> str:
        """An interval cell; nothing where there is no interval to draw."""
        if row.kind not in ("bounded", "unbounded"):
            return ""
        return interval_cell(row.low, row.estimate, row.high, self.low, self.high)


def section(number: int, card: Scorecard, truth: Truth | None = None, *, note: str = "") -> dict[str, Any]:
    """What `experiment.html.j2` shows of a scorecard.

    Args:
        number: sets its ids apart from those of the others on the page.
        card: the scorecard.
        truth: metric -> arm -> (true difference, true lift), where a simulator knows them.
        note: a sentence below the decision.
    """
    prefix = f"e{number}"
    money = [metric for metric in card.metrics if metric.kind in ("revenue", "margin")]
    has_numbers = not card.withheld and any(row.value is not None for metric in card.metrics for row in metric.arms)
    return {
        "id": f"experiment-{number}",
        "card": card,
        "heading": heading(card),
        "reason": _reason(card),
        "note": note,
        "truth": truth is not None,
        "health": _health_summary(card),
        "arms": [_arm(card, arm.arm) for arm in card.arms],
        "forest": to_svg(
            forest_plot(card, truth=truth),
            title=f"Lift of each arm of {card.experiment} against {card.control}",
            description=describe_forest(card),
            prefix=f"{prefix}-forest",
        )
        if has_numbers and can_draw_forest(card)
        else "",
        "lifts_in_words": lifts_in_words(card) if has_numbers else "",
        "money": to_svg(
            money_plot(card, money),
            title="Money per visitor in each arm",
            description=describe_money(money),
            prefix=f"{prefix}-money",
        )
        if money and has_numbers
        else "",
        "money_title": fmt.join([fmt.label(metric.metric) for metric in money]).capitalize(),
        "metrics": [_metric(card, metric, truth) for metric in card.metrics],
        "sureness": _sureness(card),
        "decides": decides(card),
        "band": "sequential" if card.progress is not None else "always-valid 95%",
        "bayes": [row for metric in card.metrics for row in _bayes(metric)],
        "offers": offers_section(card.offers, card.currency, prefix),
        "setup": setup_pairs(card.definition),
        "plan": plan_pairs(card.definition),
        "metric_words": [(metric.metric, metric.role, metric_in_words(metric.definition)) for metric in card.metrics],
        "commands": [
            f"offerlift analyze {shlex.quote(card.experiment)} --json",
            f"offerlift report {shlex.quote(card.experiment)} -o report.html",
        ],
    }


def heading(card: Scorecard) -> str:
    """The decision in a few words."""
    arm = fmt.quote(card.decision.arm) if card.decision.arm else ""
    words = {
        "ship": f"Ship {arm}",
        "stop_harm": f"Roll back {arm}",
        "stop_no_effect": "Stop, no effect",
        "collecting": "No decision from this table" if card.source == "table" else "Keep collecting",
        "review": f"Review {arm}",
        "do_not_read": "Do not read the effects",
    }
    return words[card.decision.action].strip()


def _reason(card: Scorecard) -> str:
    """The decision's reason without the words that the heading already says."""
    reason, said = card.decision.reason, heading(card)
    for mark in (": ", ", "):
        if reason.startswith(said + mark):
            rest = reason.removeprefix(said + mark)
            return rest[:1].upper() + rest[1:]
    return reason


def _health_summary(card: Scorecard) -> dict[str, Any]:
    count = {status: sum(check.status == status for check in card.health) for status in STATUS_ICONS}
    said = [f"{count['ok']} ok"]
    if count["warn"]:
        said.append(f"{count['warn']} {'warning' if count['warn'] == 1 else 'warnings'}")
    if count["fail"]:
        said.append(f"{count['fail']} failed")
    if count["not_run"]:
        said.append(f"{count['not_run']} not run")
    verdict = "nothing blocks the verdict" if card.healthy else "the verdict is blocked"
    return {"verdict": verdict, "counts": ", ".join(said)}


def _arm(card: Scorecard, name: str) -> dict[str, Any]:
    row = next(arm for arm in card.arms if arm.arm == name)
    definition = card.definition.arm(name)
    table = card.source == "table"
    return {
        "row": row,
        "words": "Assigned outside offerlift." if table else arm_in_words(definition, card.currency),
        "pairs": offer_pairs(definition.offer, card.currency) if definition.offer else [],
        "share": fmt.percent(row.share, 0.001),
        "planned": fmt.percent(row.expected_share, 0.001),
        "levels": ", ".join(f"{factor}: {level}" for factor, level in row.levels.items()),
        "icon": ICONS.get(row.verdict or "", ""),
    }


def _metric(card: Scorecard, metric: MetricRow, truth: Truth | None) -> dict[str, Any]:
    scale = Scale.of([comparison.lift for comparison in metric.comparisons])
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
        "cell": scale.cell(lift),
        "band": _band(comparison.sequential or comparison.anytime, unit),
        "adjusted": _adjusted(metric, comparison, scale),
        "guardrail": "" if guardrail is None else _guardrail(guardrail.margin, guardrail.result),
        "true": None if true is None else _true(metric, comparison, true),
    }


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
        "cell": scale.cell(adjusted.lift),
    }


def _true(metric: MetricRow, comparison: ComparisonRow, true: tuple[float, float]) -> dict[str, Any]:
    """The simulator's effect, and whether the fixed-sample interval of the difference has it inside."""
    low, high = comparison.difference.low, comparison.difference.high
    half = fmt.half_width(low, high)
    inside = None if low is None or high is None else low <= true[0] <= high
    return {"difference": fmt.change(true[0], metric.unit, half), "lift": fmt.lift(true[1], 0.02), "inside": inside}


def _sureness(card: Scorecard) -> list[dict[str, Any]]:
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


def _bayes(metric: MetricRow) -> list[dict[str, str]]:
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


@dataclass(frozen=True)
class ArmLift:
    """An arm's lift with the interval that decides: drawn, and in numbers."""

    arm: str
    cell: str
    lift: str
    interval: str


@dataclass(frozen=True)
class Lifts:
    """The primary metric in an overview: the lift of its arms, or why none is shown."""

    metric: str
    arms: tuple[ArmLift, ...]
    absent: str


def lifts(card: Scorecard) -> Lifts:
    """What an overview shows of the primary metric; nothing before the first look or while health fails."""
    metric = card.metric(card.primary)
    name = fmt.label(metric.metric)
    if card.withheld or not card.healthy:
        return Lifts(name, (), "withheld until the first look" if card.withheld else "not shown: health fails")
    bands = [(comparison, (comparison.sequential or comparison.anytime).lift) for comparison in metric.comparisons]
    scale = Scale.of([band for _, band in bands])
    arms = []
    for comparison, band in bands:
        shown = band if band.kind == "bounded" else comparison.lift
        half = fmt.half_width(shown.low, shown.high)
        text = "no lift yet" if shown.estimate is None else fmt.lift(shown.estimate, half)
        ends = "" if band.kind == "undefined" else fmt.lift_interval(band.kind, band.low, band.high)
        arms.append(ArmLift(comparison.arm, scale.cell(band), text, ends))
    return Lifts(name, tuple(arms), "")
