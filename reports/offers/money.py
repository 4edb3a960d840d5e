"""Money: what an offer earns a visitor net of its costs, a week, and until the plan's horizon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...experiments.definition import BUCKETS, Definition
from ...experiments.metrics import DAY, Metric
from .. import format as fmt
from ..history import recent_traffic
from ..tree import ComparisonRow, MetricRow
from .seen import Seen, deciding, money_metric
from .tree import Estimate, Money, MoneyRow

__all__ = ["AudienceSeen", "asks_for_money", "audience_of", "horizon_weeks", "is_one_off", "money_of"]

WEEK = 7 * DAY

LEAST_DAYS = 3
"""Days of traffic from which on it says how many visitors a week has."""

ONE_OFF = ("flash_sale",)
"""Kinds of offers that end by themselves: their week is not one of many."""


@dataclass(frozen=True, slots=True)
class AudienceSeen:
    """The eligible visitors of a week, and where their number is from."""

    per_week: float | None
    source: Literal["observed", "plan"] | None
    words: str


def asks_for_money(seen: Seen) -> bool:
    """Whether any metric is of money."""
    return money_metric(seen) is not None


def money_of(seen: Seen) -> Money | None:
    """What each arm earns beyond the control, by the interval that decides; None without a metric of money."""
    metric = money_metric(seen)
    if metric is None:
        return None
    definition = seen.definition
    audience, weeks, one_off = audience_of(seen), horizon_weeks(definition), is_one_off(definition)
    cost = float(definition.plan.audience.switching_cost)
    rows = tuple(
        _row(metric.comparison(arm), seen, None if one_off else audience.per_week, weeks, cost, one_off)
        for arm in definition.treatments
    )
    known = any(row.status == "ok" for row in rows)
    return Money(
        status="ok" if known else "insufficient",
        reason="" if known else "No arm can be compared yet.",
        metric=metric.metric,
        measures="margin" if metric.kind == "margin" else "revenue",
        netted=netted(metric),
        interval=seen.deciding,
        audience_per_week=audience.per_week,
        audience_source=audience.source,
        audience=audience.words,
        horizon_weeks=weeks,
        switching_cost=cost,
        one_off=one_off,
        arms=rows,
    )


def _row(
    comparison: ComparisonRow, seen: Seen, per_week: float | None, weeks: float | None, cost: float, one_off: bool
) -> MoneyRow:
    found = deciding(comparison, has_looks=seen.has_looks)
    if found.estimate is None:
        reason = comparison.reason or "It was not compared at a look yet."
        return MoneyRow(comparison.arm, "insufficient" if comparison.status == "ok" else _status(comparison), reason)
    if one_off:
        visitors = sum(arm.visitors for stratum in seen.observations.strata for arm in stratum.arms.values())
        return MoneyRow(comparison.arm, "ok", "", found, over_horizon=times(found, visitors, cost))
    week = times(found, per_week) if per_week is not None else Estimate()
    horizon = times(found, per_week * weeks, cost) if per_week is not None and weeks is not None else Estimate()
    return MoneyRow(comparison.arm, "ok", "", found, week, horizon)


def _status(comparison: ComparisonRow) -> Literal["insufficient", "undefined"]:
    return "undefined" if comparison.status == "undefined" else "insufficient"


def times(found: Estimate, visitors: float, cost: float = 0.0) -> Estimate:
    """A difference a visitor as that of so many, less what it costs once."""
    estimate, low, high = (
        None if end is None else end * visitors - cost for end in (found.estimate, found.low, found.high)
    )
    return Estimate(estimate, low, high)


def netted(metric: MetricRow) -> str:
    """What a metric of money has taken off already, in words."""
    definition = metric.definition
    refunds = _refunds(definition)
    if metric.kind == "revenue":
        return (
            f"Revenue, not margin: what was paid after discounts; {refunds}. The cost of goods, shipping and gifts is "
            "not taken off."
        )
    return (
        "Margin: what was paid after discounts, less the cost that was recorded with each outcome (goods, and shipping "
        f"and gifts where the shop records them there); {refunds}."
    )


def _refunds(metric: Metric) -> str:
    if metric.window_end is None:
        return "refunds taken off whenever they come"
    if metric.refund_window:
        return f"refunds taken off until {fmt.duration(metric.refund_window)} after the window"
    return "refunds taken off inside the window only"


def horizon_weeks(definition: Definition) -> float | None:
    """The plan's horizon in weeks."""
    horizon = definition.plan.audience.horizon
    return None if horizon is None else horizon / WEEK


def is_one_off(definition: Definition) -> bool:
    """Whether an arm's offer is a campaign that ends by itself."""
    return any(arm.offer is not None and arm.offer.kind in ONE_OFF for arm in definition.arms)


def audience_of(seen: Seen) -> AudienceSeen:
    """The eligible visitors of a week: as many as came, scaled up to what the traffic lets in, or the plan's."""
    definition = seen.definition
    let_in, days = recent_traffic(seen.observations, definition)
    low, _ = definition.layer_range
    share = (definition.traffic_end - low) / BUCKETS
    if let_in and days >= LEAST_DAYS and share > 0:
        words = f"{fmt.count(round(let_in))} eligible visitors a week were exposed in the last {fmt.count(days)} days"
        if share < 1:
            words += f", {fmt.setting(share)} of all; counted for {fmt.count(round(let_in / share))}"
        return AudienceSeen(let_in / share, "observed", words)
    planned = definition.plan.audience.per_week
    if planned is not None:
        return AudienceSeen(float(planned), "plan", f"{fmt.count(planned)} visitors a week, as the plan says")
    return AudienceSeen(None, None, "Neither the days seen nor the plan say how many visitors a week there are.")
