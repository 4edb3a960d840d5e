"""Money: what an offer earns a visitor net of its costs, a week, and until the plan's horizon."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ...experiments.definition import BUCKETS, Definition
from ...experiments.metrics import DAY, Metric
from ...stats import Audience, campaign_total, money_per_week
from ...stats import Money as Total
from .. import format as fmt
from ..history import recent_traffic
from ..tree import ComparisonRow, MetricRow
from .seen import Seen, deciding, money_metric
from .tree import CustomerValue, Estimate, Money, MoneyRow

__all__ = ["AudienceSeen", "asks_for_money", "audience_of", "horizon_weeks", "is_one_off", "money_of"]

WEEK = 7 * DAY

LEAST_DAYS = 3
"""Days of traffic from which on it says how many visitors a week has."""

ONE_OFF = ("flash_sale",)
"""Kinds of offers that end by themselves: their week is not one of many."""


@dataclass(frozen=True, slots=True)
class AudienceSeen:
    """The eligible visitors of a week, and where their number is from."""

    week: Audience | None
    source: Literal["observed", "plan"] | None
    words: str

    @property
    def per_week(self) -> float | None:
        """How many there are."""
        return None if self.week is None else self.week.visitors


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
    rows = tuple(_row(metric.comparison(arm), seen, audience, weeks, cost) for arm in definition.treatments)
    end = metric.definition.window_end
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
        measured_days=None if end is None else end / DAY,
        arms=rows,
        customer_value=tuple(_longer(seen, metric)),
    )


def _row(comparison: ComparisonRow, seen: Seen, audience: AudienceSeen, weeks: float | None, cost: float) -> MoneyRow:
    found = deciding(comparison, has_looks=seen.has_looks)
    if found.estimate is None:
        reason = comparison.reason or "It was not compared at a look yet."
        return MoneyRow(comparison.arm, "insufficient" if comparison.status == "ok" else _status(comparison), reason)
    if is_one_off(seen.definition):
        visitors = sum(arm.visitors for stratum in seen.observations.strata for arm in stratum.arms.values())
        total = campaign_total(_inside(found), float(visitors), cost=cost)
        return MoneyRow(comparison.arm, "ok", "", found, over_horizon=_amount(found, total, visitors, cost))
    if audience.week is None:
        return MoneyRow(comparison.arm, "ok", "", found)
    week = money_per_week(_inside(found), audience.week)
    horizon = Estimate()
    if weeks is not None:
        later = week.over(weeks, switching_cost=cost)
        horizon = _amount(found, later, later.visitors, cost)
    return MoneyRow(comparison.arm, "ok", "", found, _amount(found, week, week.visitors), horizon)


def _inside(found: Estimate) -> tuple[float, float, float]:
    """The interval, with an estimate inside: one that is corrected for stopping may lie just beyond its end."""
    assert found.estimate is not None
    low = found.estimate if found.low is None else found.low
    high = found.estimate if found.high is None else found.high
    return min(max(found.estimate, low), high), low, high


def _amount(found: Estimate, money: Total, visitors: float, cost: float = 0.0) -> Estimate:
    assert found.estimate is not None
    return Estimate(found.estimate * visitors - cost, money.low, money.high)


def _longer(seen: Seen, metric: MetricRow) -> Iterator[CustomerValue]:
    """The difference by metrics of the same kind over longer windows, with the interval that decides."""
    end = metric.definition.window_end
    for row in seen.metrics:
        longer = row.definition.window_end
        if row.kind != metric.kind or row.metric == metric.metric or longer is None or end is None or longer <= end:
            continue
        for comparison in row.comparisons:
            found = deciding(comparison, has_looks=seen.has_looks)
            if found.estimate is not None:
                yield CustomerValue(row.metric, longer / DAY, comparison.arm, found)


def _status(comparison: ComparisonRow) -> Literal["insufficient", "undefined"]:
    return "undefined" if comparison.status == "undefined" else "insufficient"


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
    """Whether the offers are a campaign that ends by itself: the plan says so, or a flash sale is one of them."""
    return definition.plan.audience.one_off or any(
        arm.offer is not None and arm.offer.kind in ONE_OFF for arm in definition.arms
    )


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
        return AudienceSeen(Audience.weekly(round(let_in * days / 7), days=days, traffic=share), "observed", words)
    planned = definition.plan.audience.per_week
    if planned is not None:
        return AudienceSeen(Audience(float(planned)), "plan", f"{fmt.count(planned)} visitors a week, as the plan says")
    return AudienceSeen(None, None, "Neither the days seen nor the plan say how many visitors a week there are.")
