"""Where a lift of revenue per visitor comes from: more buyers, more orders of a buyer, or larger orders."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .means import compare_means
from .moments import Moments
from .proportions import compare_proportions
from .ratios import compare_ratios
from .results import Comparison, Lift

__all__ = ["Factor", "RevenueDecomposition", "decompose_revenue"]


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor of revenue per visitor.

    Attributes:
        name: `conversion`, `orders_per_buyer`, `order_value`, or `revenue_per_visitor` for their product.
        treatment, control: the factor in either arm; None where it does not exist.
        log_ratio: ln(treatment / control); None where that does not exist.
        lift: relative lift with its confidence set.
        causal: False where the factor compares the buyers of one arm with the buyers of the other, who are not the same
            people: it says where the money came from, not what the offer did to a buyer.
    """

    name: str
    treatment: float | None
    control: float | None
    log_ratio: float | None
    lift: Lift
    causal: bool


@dataclass(frozen=True, slots=True)
class RevenueDecomposition:
    """The factors, whose `log_ratio`s add up to that of `total`."""

    factors: tuple[Factor, Factor, Factor]
    total: Factor


def decompose_revenue(
    treatment: Moments, control: Moments, *, converted: str, orders: str, revenue: str, alpha: float = 0.05
) -> RevenueDecomposition:
    """ln RPV = ln(conversion rate) + ln(orders per buyer) + ln(order value), treatment over control.

    The identity holds exactly for the estimates; each interval is that of its own method (Miettinen and Nurminen for
    the rate, the delta method per visitor and Fieller for the ratios, Welch and Fieller for the total), and they do not
    add up. Only conversion and the total compare randomised groups.

    Args:
        treatment, control: moments with the three columns of every visitor.
        converted: 1 for a visitor with an order, else 0.
        orders: number of orders.
        revenue: sum of their values.
        alpha: 1 minus the confidence level, two-sided.

    Raises:
        InputError: no such column, a `converted` that is not 0/1, or alpha outside (0, 1).
    """
    arms = treatment, control
    rate = compare_proportions(*arms, converted, alpha=alpha)
    return RevenueDecomposition(
        (
            _factor("conversion", arms, converted, None, rate, True),
            _factor(
                "orders_per_buyer",
                arms,
                orders,
                converted,
                compare_ratios(*arms, orders, converted, alpha=alpha),
                False,
            ),
            _factor("order_value", arms, revenue, orders, compare_ratios(*arms, revenue, orders, alpha=alpha), False),
        ),
        _factor("revenue_per_visitor", arms, revenue, None, compare_means(*arms, revenue, alpha=alpha), True),
    )


def _factor(
    name: str, arms: tuple[Moments, Moments], above: str, below: str | None, comparison: Comparison, causal: bool
) -> Factor:
    values = [_value(arm, above, below) for arm in arms]
    t, c = values
    log_ratio = math.log(t / c) if t is not None and c is not None and t > 0 and c > 0 else None
    return Factor(name, t, c, log_ratio, comparison.lift, causal)


def _value(arm: Moments, above: str, below: str | None) -> float | None:
    if arm.n == 0:
        return None
    total = arm.mean_of(below) if below is not None else 1.0
    return arm.mean_of(above) / total if total > 0 else None
