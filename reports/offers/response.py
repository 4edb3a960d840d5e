"""Response curves: demand and profit by price, discount depth or free-shipping threshold, of the tested ones alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...errors import InputError
from ...experiments.metrics import Metric
from ...stats import (
    DoseResponse,
    Histogram,
    Moments,
    demand_curve,
    dose_response,
    order_histogram,
    threshold_bunching_over_strata,
)
from .. import format as fmt
from ..phases import Strata, moments_over_phases, strata_of, visitors_by_phase
from .doses import Doses, doses_of
from .seen import Seen, money_metric
from .tree import Bunching, Estimate, HistogramBin, Response, ResponsePoint

__all__ = ["asks_for_response", "response_of"]

BAND = 0.2
"""Width of the bands on either side of a threshold, as a share of it."""


def asks_for_response(seen: Seen) -> Doses | None:
    """What the arms differ in, if it is one dose."""
    return doses_of(seen.definition)


def response_of(seen: Seen) -> Response | None:
    """Demand, profit, P(best) and regret of each tested dose; None where the arms differ in something else."""
    doses = asks_for_response(seen)
    if doses is None:
        return None
    empty = Response("ok", "", doses.kind, doses.unit)
    money, demand = money_metric(seen), _demand_metric(seen)
    if doses.kind == "threshold":
        empty = replace(empty, bunching=_bunching(seen, doses))
    if money is None or demand is None:
        needed = "a metric of margin or revenue" if money is None else "a metric of conversion"
        return replace(empty, status="undefined", reason=f"It needs {needed}.")
    profit = money.definition
    empty = replace(empty, demand_metric=demand.name, profit_metric=profit.name)
    phases = _phases_in_words(seen, doses, profit)
    if len(doses.by_arm) < 2:
        return replace(empty, trend=phases)
    earned, bought = (_arms(seen, metric, doses) for metric in (profit, demand))
    if earned is None or bought is None:
        return replace(empty, status="insufficient", reason="No phase has two visitors at every tested dose.")
    try:
        gains = dose_response(earned, doses.by_arm, profit.numerator.name)
        sold = dose_response(bought, doses.by_arm, demand.numerator.name)
    except InputError as error:
        return replace(empty, status="undefined", reason=error.message)
    elasticity, reason = Estimate(), ""
    if doses.kind == "price":
        elasticity, reason = _elasticity(seen, doses, demand)
    points = tuple(_point(arm, gains, sold) for arm in doses.by_arm)
    return replace(
        empty,
        status="ok" if gains.status == "ok" else "insufficient",
        reason=gains.reason or reason,
        points=points,
        elasticity=elasticity,
        best=gains.best,
        trend=" ".join(filter(None, (_trend(gains, doses, profit, seen.definition.currency), phases))),
    )


def _demand_metric(seen: Seen) -> Metric | None:
    """Who bought: the conversion whose event is that of the money."""
    money = money_metric(seen)
    rows = [row.definition for row in seen.metrics if row.kind == "conversion"]
    event = None if money is None else money.definition.numerator.event
    return next((one for one in rows if one.numerator.event == event), None)


def _strata(seen: Seen, metric: Metric, doses: Doses) -> tuple[dict[str, Strata], tuple[int, ...]]:
    """The arms with a dose phase by phase, and the visitors of all arms in each."""
    arms = strata_of(seen.observations, metric)
    return {arm: arms[arm] for arm in doses.by_arm}, visitors_by_phase(arms)


def _arms(seen: Seen, metric: Metric, doses: Doses) -> dict[str, Moments] | None:
    """Moments of the arms with a dose; None where no phase has all of them."""
    return moments_over_phases(*_strata(seen, metric, doses))


def _phases_in_words(seen: Seen, doses: Doses, profit: Metric) -> str:
    """How several phases are read; "" of one."""
    strata, _ = _strata(seen, profit, doses)
    phases = [stratum.phase for stratum in seen.observations.strata]
    if len(phases) == 1:
        return ""
    drawn = " Order values are drawn of the newest phase that has any." if doses.kind == "threshold" else ""
    kept = [str(phase) for at, phase in enumerate(phases) if all(arm[at].n >= 2 for arm in strata.values())]
    if len(kept) == len(phases):
        return f"Arms are compared within each of {len(phases)} phases, of which the split may differ.{drawn}"
    alone = f"Of phase{'s' if len(kept) > 1 else ''} {fmt.join(kept)} alone: the others lack an arm."
    return (alone if kept else "") + drawn


def _elasticity(seen: Seen, doses: Doses, demand: Metric) -> tuple[Estimate, str]:
    strata, visitors = _strata(seen, demand, doses)
    curve = demand_curve(strata, doses.by_arm, demand.numerator.name, visitors=visitors)
    found = curve.elasticity
    if found is None:
        return Estimate(), curve.reason
    return Estimate(found.estimate, found.low, found.high), ""


def _point(arm: str, gains: DoseResponse, sold: DoseResponse) -> ResponsePoint:
    gain, sale = gains[arm], sold[arm]
    return ResponsePoint(
        arm,
        gain.dose,
        gain.n,
        Estimate(sale.estimate, sale.low, sale.high),
        Estimate(gain.estimate, gain.low, gain.high),
        gain.probability_best,
        gain.expected_regret,
    )


def _trend(gains: DoseResponse, doses: Doses, profit: Metric, currency: str) -> str:
    """What the contrasts say, and where the best tested dose leaves the question open."""
    linear = gains.linear
    if linear is None or gains.best is None:
        return ""
    half = fmt.half_width(linear.low, linear.high)
    said = (
        f"From the lowest to the highest tested, {fmt.label(profit.name)} changes by "
        f"{fmt.change(linear.estimate, currency, half)} ({fmt.interval(linear.low, linear.high, currency)}) by a "
        "straight line"
    )
    bend = gains.quadratic
    if bend is not None:
        bends = bend.low > 0 or bend.high < 0
        said += ", from which the doses between depart" if bends else ", from which nothing clearly departs"
    arms = list(doses.by_arm)
    if gains.best in (arms[0], arms[-1]):
        which, further = ("lowest", "lower") if gains.best == arms[0] else ("highest", "higher")
        said += f". The best is the {which} tested; {further} ones were not tested, and nothing is said of them"
    return f"{said}."


def _bunching(seen: Seen, doses: Doses) -> tuple[Bunching, ...]:
    """The order values of each arm about the thresholds, in common bins; empty where they cannot be read.

    Of several phases the newest with orders of the control is drawn, as bins of all would mix days that were split
    differently; shares are compared within each.
    """
    phases, control = _orders(seen), seen.definition.control
    drawn_phase = next((orders for orders in reversed(phases) if orders[control].n), None)
    if drawn_phase is None:
        return ()
    orders = drawn_phase
    thresholds = {arm: dose for arm, dose in doses.by_arm.items() if dose > 0}
    smallest = min(thresholds.values(), default=None)
    try:
        drawn = order_histogram(orders, width=_width(smallest or 50.0), threshold=smallest)
    except InputError:
        # The threshold lies inside a bin: it is drawn, and cannot begin one.
        drawn = order_histogram(orders, width=_width(smallest or 50.0))
    edges = drawn.edges
    found = []
    for arm in seen.definition.arms:
        if arm.name not in orders:
            continue
        bins = tuple(HistogramBin(edges[at], edges[at + 1], n) for at, n in enumerate(drawn.counts[arm.name]))
        threshold = thresholds.get(arm.name)
        excess, reason = Estimate(), ""
        if threshold is not None and arm.name != control:
            excess, reason = _excess([one[arm.name] for one in phases], [one[control] for one in phases], threshold)
        found.append(Bunching(arm.name, threshold, orders[arm.name].n, bins, excess, reason))
    return tuple(found)


def _orders(seen: Seen) -> list[dict[str, Histogram]]:
    """Order values of each arm, phase by phase; empty where they cannot be read."""
    values = seen.details.values()
    row = next((one for one in seen.metrics if one.kind == "revenue"), None)
    if isinstance(values, str) or row is None:
        return []
    phases = []
    for phase in sorted(values):
        by_arm = values[phase].get(row.metric, {})
        found = {
            arm: orders for arm, one in by_arm.items() if isinstance(orders := getattr(one, "orders", None), Histogram)
        }
        # All phases have the arms of the definition, with no orders where a phase did not have one yet.
        if seen.definition.control in found:
            phases.append(found)
    return phases


def _excess(treatment: Sequence[Histogram], control: Sequence[Histogram], threshold: float) -> tuple[Estimate, str]:
    """The share of orders just above the threshold, less the control's."""
    try:
        found = threshold_bunching_over_strata(treatment, control, threshold=threshold, width=_width(threshold) * 2)
    except InputError as error:
        return Estimate(), error.message
    if found.above is None:
        return Estimate(), found.reason
    difference = found.above.difference
    return Estimate(difference.estimate, difference.low, difference.high), ""


def _width(threshold: float) -> float:
    """Of a bin: about a tenth of the threshold, at whole units below a hundred and whole tens below a thousand."""
    unit = 1.0
    while threshold >= 100 * unit:
        unit *= 10
    return max(round(BAND / 2 * threshold / unit), 1) * unit
