"""Effects before the first planned look: the rows are there, their numbers are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .tree import AnytimeRow, BayesRow, ComparisonRow, DifferenceRow, HealthCheck, Interval, LiftRow, MetricRow

__all__ = ["withhold", "withhold_counts"]

REASON = "withheld until the first look"


def withhold(metrics: Sequence[MetricRow]) -> tuple[MetricRow, ...]:
    """The rows without anything that an effect could be computed from; how many visitors there are stays."""
    return tuple(_withheld(metric) for metric in metrics)


def withhold_counts(health: Sequence[HealthCheck]) -> tuple[HealthCheck, ...]:
    """Health without the numbers of outcomes by arm, which are an effect."""
    return tuple(
        replace(check, reason="Outcomes are arriving.") if check.check == "outcomes" and check.status == "ok" else check
        for check in health
    )


def _status(metric: MetricRow, one: ComparisonRow) -> dict[str, str]:
    """Why there are no numbers, if it is only that nobody is analysed: any other reason says what an arm has done."""
    if one.status != "ok" and not all(metric.arm(arm).n for arm in (one.arm, one.reference)):
        return {"status": one.status, "reason": one.reason}
    return {"status": "ok", "reason": REASON}


def _withheld(metric: MetricRow) -> MetricRow:
    return replace(
        metric,
        arms=tuple(
            replace(arm, value=None, probability_best=None, interval=Interval(), variance=None) for arm in metric.arms
        ),
        comparisons=tuple(
            replace(
                one,
                withheld=True,
                **_status(metric, one),
                difference=DifferenceRow(),
                lift=LiftRow(reason=REASON),
                adjusted=None,
                adjusted_reason="",
                anytime=AnytimeRow(valid_for=one.anytime.valid_for),
                sequential=None,
                bayes=BayesRow(),
                bayes_reason="",
                skew=None,
                guardrail=one.guardrail and replace(one.guardrail, result=None),
            )
            for one in metric.comparisons
        ),
    )
