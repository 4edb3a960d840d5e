"""What a report says as rows for a spreadsheet: raw numbers under one header, withheld ones as the word.

The names of the columns are stable: columns may be added at the end, none is renamed or removed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .course import Course
from .planning import Forecast
from .review import Review, ReviewRow
from .simulation import Simulation
from .tree import ComparisonRow, LiftRow, MetricRow, Scorecard

__all__ = ["WITHHELD", "card_rows", "course_rows", "forecast_rows", "review_document", "review_rows", "simulation_rows"]

Row = dict[str, Any]

WITHHELD = "withheld"
"""Stands where a number is kept back until the first planned look."""

NOT_READ = "do_not_read"
"""Stands where a number is not to be read, because a health check fails."""


def card_rows(card: Scorecard) -> list[Row]:
    """One row a metric and arm, the primary first.

    `difference` and `lift` are the fixed-sample estimates with their 95 % intervals, and the columns that begin with
    `deciding` those that the verdict rests on: of planned looks the sequential interval, else the always-valid one.
    """
    head = {
        "experiment": card.experiment,
        "state": card.state,
        "as_of": card.as_of,
        "action": card.decision.action,
        "ship": card.decision.arm,
    }
    hidden = _hidden(card)
    return [head | _arm_row(card, metric, arm.arm, hidden) for metric in card.metrics for arm in card.arms]


def _hidden(card: Scorecard) -> str | None:
    """The word that stands where effects would; None where they are shown."""
    return WITHHELD if card.withheld else None if card.healthy else NOT_READ


def _arm_row(card: Scorecard, metric: MetricRow, arm: str, hidden: str | None) -> Row:
    seen = next(one for one in card.arms if one.arm == arm)
    value = metric.arm(arm)
    row: Row = {
        "metric": metric.metric,
        "role": metric.role,
        "unit": metric.unit,
        "arm": arm,
        "is_control": arm == card.control,
        "visitors": seen.visitors,
        "analysed": value.n,
        "verdict": seen.verdict,
        "value": hidden or value.value,
    }
    if arm == card.control:
        return row | dict.fromkeys(_EFFECTS) | {"status": "ok", "reason": ""}
    comparison = metric.comparison(arm)
    effects = {name: hidden or read(comparison) for name, read in _EFFECTS.items()}
    return row | effects | {"status": comparison.status, "reason": comparison.reason}


def _deciding(comparison: ComparisonRow) -> Any:
    return comparison.sequential or comparison.anytime


def _deciding_estimate(comparison: ComparisonRow) -> float | None:
    if comparison.sequential is not None:
        return comparison.sequential.estimate
    if comparison.judged_by == "adjusted" and comparison.adjusted is not None:
        return comparison.adjusted.difference.estimate
    return comparison.difference.estimate


_EFFECTS: dict[str, Callable[[ComparisonRow], Any]] = {
    "difference": lambda one: one.difference.estimate,
    "difference_low": lambda one: one.difference.low,
    "difference_high": lambda one: one.difference.high,
    "p_value": lambda one: one.difference.p_value,
    "lift": lambda one: one.lift.estimate,
    "lift_low": lambda one: one.lift.low,
    "lift_high": lambda one: one.lift.high,
    "lift_kind": lambda one: one.lift.kind,
    "deciding_difference": _deciding_estimate,
    "deciding_low": lambda one: _deciding(one).low,
    "deciding_high": lambda one: _deciding(one).high,
    "guardrail": lambda one: None if one.guardrail is None else one.guardrail.result,
}
"""Columns of an arm against the control, and where each is read."""


def course_rows(course: Course) -> list[Row]:
    """One row a day, metric and arm."""
    return [
        {
            "experiment": course.experiment,
            "phase": course.phase,
            "day": day.day,
            "metric": metric.metric,
            "unit": metric.unit,
            "arm": value.arm,
            "visitors": value.n,
            "value": WITHHELD if course.withheld else value.value,
            "standard_error": WITHHELD if course.withheld else value.standard_error,
            "split_p_value": day.srm_p_value,
        }
        for day in course.days
        for metric in day.metrics
        for value in metric.arms
    ]


def review_rows(review: Review) -> list[Row]:
    """One row an experiment and treatment arm, with the primary metric's lift by the interval that decides."""
    return [one for row in review.rows for one in _reviewed(row)]


def review_document(review: Review) -> Row:
    """The review for JSON: the moment, and of each experiment what is to be done beside its whole scorecard."""
    return {
        "at": review.at.isoformat(),
        "dry_run": review.dry_run,
        "experiments": [
            {
                "experiment": row.card.experiment,
                "group": row.group,
                "state": row.state,
                "action": row.card.decision.action,
                "arm": row.card.decision.arm,
                "weeks_left": row.weeks_left,
                "next_step": {"action": row.step.action, "text": row.step.following, "command": row.step.command},
                "look": row.reviewed.look,
                "look_planned": row.reviewed.planned if row.reviewed.look is not None else None,
                "look_reason": row.reviewed.reason,
                "scorecard": row.card.to_dict(),
            }
            for row in review.rows
        ],
    }


def _reviewed(row: ReviewRow) -> list[Row]:
    card = row.card
    hidden = _hidden(card)
    head = {
        "experiment": card.experiment,
        "group": row.group,
        "state": row.state,
        "owner": card.definition.owner,
        "as_of": card.as_of,
        "action": card.decision.action,
        "ship": card.decision.arm,
        "weeks_left": row.weeks_left,
        "next_step": row.step.command,
        "look": row.reviewed.look,
        "primary": card.primary,
    }
    rows = []
    for comparison in card.metric(card.primary).comparisons:
        lift: LiftRow = _deciding(comparison).lift
        visitors = next(one.visitors for one in card.arms if one.arm == comparison.arm)
        shown = {"lift": lift.estimate, "lift_low": lift.low, "lift_high": lift.high, "lift_kind": lift.kind}
        verdict = next(one.verdict for one in card.arms if one.arm == comparison.arm)
        rows.append(
            head
            | {"arm": comparison.arm, "visitors": visitors, "verdict": verdict}
            | {name: hidden or value for name, value in shown.items()}
            | {"reason": card.decision.reason}
        )
    return rows


def forecast_rows(forecast: Forecast) -> list[Row]:
    """One row a week after which the plan could end."""
    return [
        {
            "experiment": forecast.experiment,
            "primary": forecast.primary,
            "week": week.week,
            "visitors": week.visitors,
            "detectable_lift": week.detectable_lift,
            "power": week.power,
            "weeks_to_decide": forecast.weeks,
        }
        for week in forecast.by_week
    ]


def simulation_rows(simulation: Simulation) -> list[Row]:
    """One row a scenario: the share of its runs that ended in each way, with its standard error."""
    return [
        {
            "experiment": simulation.experiment,
            "scenario": scenario.name,
            "effect": scenario.effect,
            "runs": simulation.runs,
            **_shares(scenario.outcomes),
            "called": scenario.called.share,
            "called_error": scenario.called.error,
            "median_visitors": scenario.ending.median_visitors,
            "median_weeks": scenario.ending.median_weeks,
        }
        for scenario in simulation.scenarios
    ]


def _shares(outcomes: Mapping[str, Any]) -> Row:
    names: Sequence[str] = list(outcomes)
    return {name: outcomes[name].share for name in names} | {f"{name}_error": outcomes[name].error for name in names}
