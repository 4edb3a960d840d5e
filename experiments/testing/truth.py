"""The truth of a simulated shop: what its experiment would find with endlessly many visitors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from ...errors import InputError
from ..definition import Definition
from ..metrics import Column, Metric
from .behaviour import Behaviour
from .expected import Expected, expected, mixed
from .habits import FULL_PRICE, GIVEN, Habits, Population

__all__ = ["Truth"]

_METRICS: Mapping[str, Callable[[Expected], float]] = {
    "conversion": lambda one: one.conversion,
    "orders_per_visitor": lambda one: one.conversion,
    "revenue_per_visitor": lambda one: one.revenue,
    "margin_per_visitor": lambda one: one.margin,
    "average_order_value": lambda one: one.revenue / one.conversion,
    "full_price_orders": lambda one: one.full_price,
    "refunded_orders": lambda one: one.refunded,
    "refund_rate": lambda one: one.refunded / one.conversion,
    "repeat_rate": lambda one: one.later,
    "customer_value": lambda one: one.margin + one.later_margin,
    "discount_cost": lambda one: one.discount,
    "topped_up": lambda one: one.topped_up / one.conversion,
}


@dataclass(frozen=True)
class Truth:
    """Expectations by arm and group, and what experiments estimate from them. All in closed form.

    Metrics: `conversion`, `orders_per_visitor`, `revenue_per_visitor`, `margin_per_visitor` (net of refunds, over the
    response time), `average_order_value`, `full_price_orders` (baskets at list price, a visitor), `refunded_orders` (a
    visitor), `refund_rate` (an order), `repeat_rate`
    (visitors with a later order), `customer_value` (margin, later orders included), `discount_cost` (a visitor, before
    refunds), `topped_up` (share of the orders that were added to so as to ship free), and `<event>_rate`.
    """

    habits: Habits
    population: Population
    behaviours: Mapping[str, Behaviour]
    control: str

    @cached_property
    def _expected(self) -> dict[tuple[str, str], Expected]:
        return {
            (arm, group.name): expected(self.habits, behaviour, group)
            for arm, behaviour in self.behaviours.items()
            for group in self.population.groups
        }

    def expected(self, arm: str, group: str | None = None) -> Expected:
        """Everything that is expected of an arm's visitors, or of those of one group.

        Raises:
            InputError: no such arm or group.
        """
        groups = [one for one in self.population.groups if group in (None, one.name)]
        if arm not in self.behaviours or not groups:
            raise InputError(
                f"no arm {arm!r} with group {group!r}; arms are {', '.join(self.behaviours)}, groups "
                f"{', '.join(one.name for one in self.population.groups)}"
            )
        whole = sum(one.share for one in groups)
        return mixed([(one.share / whole, self._expected[arm, one.name]) for one in groups])

    def value(self, metric: str, arm: str, group: str | None = None) -> float:
        """A metric's expectation in an arm.

        Raises:
            InputError: no such metric, arm or group.
        """
        found = self.expected(arm, group)
        if metric in _METRICS:
            return _METRICS[metric](found)
        event = metric.removesuffix("_rate")
        if event == metric or event not in found.events:
            rates = (f"{name}_rate" for name in found.events)
            raise InputError(f"no metric {metric!r} has a truth; those that have: {', '.join((*_METRICS, *rates))}")
        return found.events[event]

    def of_metric(self, metric: Metric, arm: str) -> float | None:
        """What is true of a definition's metric; None where its window cuts through what happens, or it is capped.

        Known are metrics of `purchase`, `full_price_purchase`, `offer_given` and the shop's other events whose windows
        are past the response time, past all refunds where they are of money, and before or past all later orders.
        """
        return _of_metric(self, metric, arm)

    def table(self, definition: Definition) -> dict[str, dict[str, tuple[float, float]]]:
        """Metric -> arm -> true difference from the control and lift, of all metrics that have a truth."""
        found: dict[str, dict[str, tuple[float, float]]] = {}
        for metric in definition.metrics:
            control = self.of_metric(metric, self.control)
            for arm in definition.treatments:
                value = self.of_metric(metric, arm)
                if value is not None and control:
                    found.setdefault(metric.name, {})[arm] = (value - control, value / control - 1)
        return found

    def difference(self, metric: str, arm: str, group: str | None = None) -> float:
        """An arm's difference from the control."""
        return self.value(metric, arm, group) - self.value(metric, self.control, group)

    def lift(self, metric: str, arm: str, group: str | None = None) -> float:
        """An arm's relative difference from the control."""
        return self.value(metric, arm, group) / self.value(metric, self.control, group) - 1

    def contrast(self, metric: str, weights: Mapping[str, float], *, log: bool = False) -> float:
        """Σ weight · value over arms, or of the values' logarithms: main effects and interactions of a factorial."""
        values = {arm: self.value(metric, arm) for arm in weights}
        return sum(weight * (math.log(values[arm]) if log else values[arm]) for arm, weight in weights.items())

    def best(self, metric: str) -> str:
        """The arm with the largest value of a metric."""
        return max(self.behaviours, key=lambda arm: self.value(metric, arm))

    def regret(self, metric: str, arm: str) -> float:
        """What choosing this arm loses against the best one."""
        return self.value(metric, self.best(metric)) - self.value(metric, arm)

    def incremental_share(self, arm: str) -> float:
        """Share of an arm's orders that there would not be without it; negative where it loses orders."""
        return 1 - self.value("conversion", self.control) / self.value("conversion", arm)

    def break_even_lift(self, arm: str) -> float:
        """Relative rise in orders at which an arm with its margin an order earns what the control does."""
        margin, margin_control = (self.value("margin_per_visitor", one) for one in (arm, self.control))
        orders, orders_control = (self.value("conversion", one) for one in (arm, self.control))
        return (margin_control / orders_control) / (margin / orders) - 1

    def elasticity(self) -> float:
        """Relative change of all sales with the list price, where nothing is offered and shipping costs nothing."""
        sales = [(group.share * group.purchase, group.elasticity) for group in self.population.groups]
        return self.habits.elasticity * sum(sold * own for sold, own in sales) / sum(sold for sold, _ in sales)

    def best_price(self) -> float:
        """The price, relative to the list price, with the largest margin where visitors are of one group, shipping and
        refunds cost nothing: cost · e / (1 + e) with the elasticity e below -1; infinite otherwise.
        """
        elasticity = self.elasticity()
        return self.habits.cost_share * elasticity / (1 + elasticity) if elasticity < -1 else math.inf

    def shares(self) -> dict[str, float]:
        """Expected share of each group among the visitors."""
        return {group.name: group.share for group in self.population.groups}


_DAY = 86_400_000_000


def _of_metric(truth: Truth, metric: Metric, arm: str) -> float | None:
    if metric.cap is not None or metric.filters:
        return None
    habits, event = truth.habits, metric.numerator.event
    end = math.inf if metric.window_end is None else metric.window_end / _DAY
    first, last = habits.repeat_days
    found = truth.expected(arm)
    if metric.kind == "retention":
        covers = habits.response_days <= metric.window_start / _DAY <= first and last <= end
        return found.later if covers and event == "purchase" else None
    if end < habits.response_days:
        return None
    if event != "purchase":
        if event == GIVEN and metric.kind == "revenue":
            return found.discount
        if metric.kind != "conversion":
            return None
        return found.full_price if event == FULL_PRICE else found.events.get(event or "")
    if metric.kind == "conversion":
        return found.conversion
    # Later orders are all in the window, or none.
    if first < end < last:
        return None
    later = 0.0 if end <= first else 1.0
    orders = found.conversion + later * found.later
    if metric.kind == "count":
        return orders
    if end + metric.refund_window / _DAY < habits.response_days + habits.refund_days:
        return None
    margin = found.margin + later * found.later_margin
    revenue = found.revenue + later * found.later_revenue
    if metric.kind != "ratio":
        return margin if metric.kind == "margin" else revenue
    of = (metric.numerator, metric.denominator)
    return revenue / orders if of == (Column("purchase", "value"), Column("purchase", "count")) else None
