"""Who would have bought anyway: what an offer's cost bought, and the lift at which it breaks even."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .fieller import Estimate, check_alpha, compare_estimates, fieller, two_sided_quantile
from .means import mean_estimate
from .moments import Moments
from .ratios import compare_ratios
from .results import Amount, Lift, RatioInterval
from .showing import Shown

__all__ = ["Incrementality", "incrementality"]

NO_MORE_ORDERS = "the treatment had no more orders a visitor than the control"
UP_TO_INFINITY = "the difference in orders is too close to 0 for its precision: the cost has no upper limit"


@dataclass(frozen=True, slots=True)
class Incrementality(Shown):
    """An offer's cost, split into orders that it brought and orders that would have come anyway.

    Attributes:
        status: `ok`, or `insufficient` with a `reason`.
        reason: one sentence where something needs explaining: also where the treatment had fewer orders.
        orders_treatment, orders_control: orders a visitor.
        share_incremental: of the treatment's orders, (o_t - o_c)/o_t.
        cost: what the offer cost a visitor of the treatment.
        cost_incremental, cost_non_incremental: its part for orders that the offer brought, and for those that would
            have come anyway; they add up to `cost`. Where the treatment had fewer orders, all of it is the latter.
        cost_per_incremental_order: the treatment's cost above the control's for each order more.
        observed_lift: of orders a visitor.
        break_even_lift: the lift of orders at which the treatment's margin a visitor would equal the control's, at the
            margin per order that it had. The offer pays where the observed lift is above it.

    Example:
        >>> import numpy as np
        >>> def arm(orders, margin, cost):
        ...     bought = np.repeat([1.0, 0.0], [orders, 1000 - orders])
        ...     return Moments.from_arrays({"orders": bought, "margin": margin * bought, "cost": cost * bought})
        >>> columns = {"orders": "orders", "margin": "margin", "cost": "cost"}
        >>> found = incrementality(arm(150, 8.0, 4.0), arm(100, 12.0, 0.0), **columns)
        >>> round(found.share_incremental.estimate, 3), round(found.cost_per_incremental_order.estimate, 2)
        (0.333, 12.0)
        >>> round(found.cost_incremental.estimate, 3), round(found.cost_non_incremental.estimate, 3)
        (0.2, 0.4)
        >>> round(found.break_even_lift.estimate, 3), round(found.observed_lift.estimate, 3)
        (0.5, 0.5)
    """

    status: Literal["ok", "insufficient"]
    reason: str
    orders_treatment: float | None
    orders_control: float | None
    share_incremental: RatioInterval
    cost: Amount | None
    cost_incremental: Amount | None
    cost_non_incremental: Amount | None
    cost_per_incremental_order: RatioInterval
    observed_lift: Lift
    break_even_lift: Lift


def incrementality(
    treatment: Moments, control: Moments, *, orders: str, margin: str, cost: str, alpha: float = 0.05
) -> Incrementality:
    """How much of an offer's cost went to orders that would have come anyway.

    The share of the treatment's orders that the offer brought is 1 - o_c/o_t with Fieller's set (1954) by the inverted
    Welch test. The cost per incremental order is (k_t - k_c)/(o_t - o_c), by Fieller with the covariance of cost and
    orders of the same visitors: where the difference of orders is not clear, it has no upper end (`kind` says so). The
    split of the cost k_t is k_t · o_c/o_t and the rest, by the delta method (Deng, Knoblich and Lu 2018). The
    break-even lift is (m_c/o_c)/(m_t/o_t) - 1.

    Which orders were incremental is seen in no single order; the shares hold under *monotonicity*: the offer kept
    nobody from ordering who would have ordered without it (Angrist, Imbens and Rubin 1996). The split of the cost
    assumes besides that an incremental order costs the offer as much as any other; the cost per incremental order and
    the break-even lift do not need either. Assumes independent visitors and some hundred orders an arm. Not for
    deciding, which margin a visitor does; not for orders of those who accepted alone, which has no control.

    Args:
        treatment, control: moments of all eligible visitors with the three columns.
        orders: orders of the visitor, or 0/1 whether there was one.
        margin: the visitor's margin net of the offer's cost.
        cost: what the offer cost on the visitor: discount, shipping subsidy, gift; mostly 0 in the control.
        alpha: 1 minus the confidence level, two-sided.

    Returns:
        Status `insufficient` below two visitors in an arm, and where orders do not vary or the treatment has none.

    Raises:
        InputError: no such column, or alpha outside (0, 1).

    Example:
        >>> import numpy as np
        >>> def arm(orders, margin, cost):
        ...     bought = np.repeat([1.0, 0.0], [orders, 1000 - orders])
        ...     return Moments.from_arrays({"orders": bought, "margin": margin * bought, "cost": cost * bought})
        >>> columns = {"orders": "orders", "margin": "margin", "cost": "cost"}
        >>> found = incrementality(arm(105, 8.0, 4.0), arm(100, 12.0, 0.0), **columns)
        >>> found.cost_per_incremental_order.kind, round(found.cost_per_incremental_order.low, 1)
        ('unbounded', 14.9)
    """
    alpha = check_alpha(alpha)
    t, c = mean_estimate(treatment, orders), mean_estimate(control, orders)
    for arm in (treatment, control):
        arm.index(margin)
    paid_t, paid_c = mean_estimate(treatment, cost), mean_estimate(control, cost)
    if isinstance(t, str) or isinstance(c, str) or isinstance(paid_t, str) or isinstance(paid_c, str):
        return _nothing(next(why for why in (t, c) if isinstance(why, str)))
    if t.mean <= 0:
        return _nothing("the treatment has no orders")
    if t.variance == 0 and c.variance == 0:
        return _nothing(f"{orders!r} does not vary within either arm")
    # The control over the treatment: the share that would have come anyway.
    anyway = compare_estimates(c, t, alpha=alpha, method="welch").lift
    share = RatioInterval(
        anyway.kind, _less(anyway.estimate), _less(anyway.high), _less(anyway.low), _of_share(anyway.reason)
    )
    observed = compare_estimates(t, c, alpha=alpha, method="welch")
    quantile = two_sided_quantile(observed.difference.df if observed.difference else t.df, alpha)
    incremental, non_incremental = _split(treatment, t, c, paid_t, orders, cost, quantile)
    return Incrementality(
        "ok",
        f"{NO_MORE_ORDERS}: all of its cost went to orders that would have come anyway" if t.mean <= c.mean else "",
        t.mean,
        c.mean,
        share,
        Amount.around(paid_t.mean, paid_t.variance, two_sided_quantile(paid_t.df, alpha)),
        incremental,
        non_incremental,
        _per_order(treatment, control, (t, c), (paid_t, paid_c), orders, cost, quantile),
        observed.lift,
        _break_even(treatment, control, orders, margin, alpha),
    )


def _split(
    treatment: Moments, t: Estimate, c: Estimate, paid: Estimate, orders: str, cost: str, quantile: float
) -> tuple[Amount, Amount]:
    """The cost for incremental orders and for the others, k (1 - o_c/o_t) and k o_c/o_t, by the delta method."""
    together = treatment.covariance_of(orders, cost) / treatment.n
    anyway, each = c.mean / t.mean, paid.mean / t.mean

    def variance(by_cost: float, by_orders: float, by_control: float) -> float:
        within = by_cost**2 * paid.variance + 2 * by_cost * by_orders * together + by_orders**2 * t.variance
        return within + by_control**2 * c.variance

    brought = Amount.around(paid.mean * (1 - anyway), variance(1 - anyway, each * anyway, -each), quantile)
    rest = Amount.around(paid.mean * anyway, variance(anyway, -each * anyway, each), quantile)
    # Nobody is kept from ordering, so that neither part can be below nothing.
    return (
        Amount(max(brought.estimate, 0.0), brought.se, max(brought.low, 0.0), max(brought.high, 0.0)),
        Amount(min(rest.estimate, paid.mean), rest.se, min(max(rest.low, 0.0), paid.mean), rest.high),
    )


def _per_order(
    treatment: Moments,
    control: Moments,
    orders_of: tuple[Estimate, Estimate],
    paid: tuple[Estimate, Estimate],
    orders: str,
    cost: str,
    quantile: float,
) -> RatioInterval:
    more = orders_of[0].mean - orders_of[1].mean
    if more <= 0:
        return RatioInterval("undefined", None, None, None, NO_MORE_ORDERS)
    together = sum(arm.covariance_of(orders, cost) / arm.n for arm in (treatment, control))
    found = fieller(
        paid[0].mean - paid[1].mean,
        paid[0].variance + paid[1].variance,
        more,
        orders_of[0].variance + orders_of[1].variance,
        quantile,
        covariance=together,
    )
    if found.kind == "complement" and found.low is not None and found.low <= 0:
        # What is left below zero stands for fewer orders, which cost no finite amount each.
        return RatioInterval("unbounded", found.estimate, found.high, None, UP_TO_INFINITY)
    return RatioInterval(
        found.kind, found.estimate, found.low, found.high, UP_TO_INFINITY if found.kind != "bounded" else ""
    )


def _break_even(treatment: Moments, control: Moments, orders: str, margin: str, alpha: float) -> Lift:
    """The control's margin per order over the treatment's, less one."""
    if control.mean_of(orders) <= 0:
        return Lift("undefined", None, None, None, "the control has no orders: it has no margin per order")
    if treatment.mean_of(margin) <= 0:
        reason = "the treatment's orders bring no margin: no lift of orders breaks even"
        return Lift("undefined", None, None, None, reason)
    if control.mean_of(margin) <= 0:
        reason = "the control's orders bring no margin: there is nothing to break even with"
        return Lift("undefined", None, None, None, reason)
    found = compare_ratios(control, treatment, margin, orders, alpha=alpha)
    if found.status != "ok":
        # Every order of an arm brings the same: the ratio is known, its precision is not.
        t, c = (arm.mean_of(margin) / arm.mean_of(orders) for arm in (treatment, control))
        return Lift("unbounded", c / t - 1, None, None, found.reason)
    return found.lift


def _less(value: float | None) -> float | None:
    return None if value is None else -value


def _of_share(reason: str) -> str:
    return reason.replace("the control's mean", "the treatment's orders") if reason else ""


def _nothing(reason: str) -> Incrementality:
    none = RatioInterval("undefined", None, None, None, reason)
    return Incrementality("insufficient", reason, None, None, none, None, None, None, none, none.lift(), none.lift())
