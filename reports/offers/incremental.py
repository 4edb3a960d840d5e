"""Who would have bought anyway: the cost of the offers, split by whether it brought orders."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...errors import InputError
from ...experiments.metrics import Column, Metric
from ...stats import Amount, Incrementality, Lift, Moments, RatioInterval, incrementality
from .. import format as fmt
from ..phases import Strata, moments_over_phases, strata_of, visitors_by_phase
from .seen import Seen, money_metric
from .tree import Estimate, Incremental, IncrementalRow, SetEstimate

__all__ = ["asks_for_incremental", "incremental_of"]

ORDERS, EARNED, COST = "orders", "margin", "cost"


def asks_for_incremental(seen: Seen) -> bool:
    """Whether the plan names what is given away, and a metric says what is earned."""
    return seen.definition.plan.offer_cost is not None and money_metric(seen) is not None


def incremental_of(seen: Seen) -> Incremental | None:
    """The split of each arm's cost; None where the plan does not say what is given away.

    It is never derived: the cost of an outcome has the goods in it, too. Several phases are strata, as in the metrics'
    own rows: orders that came because the split moved with demand are no orders that an offer brought.
    """
    definition, row = seen.definition, money_metric(seen)
    name = definition.plan.offer_cost
    if name is None or row is None:
        return None
    earned, given = row.definition, definition.metric(name)
    words = f"{fmt.label(name)[:1].upper()}{fmt.label(name)[1:]} is what the offers gave away."
    pairs = _pairs(earned, given)
    measured = seen.details.offers.measured(pairs)
    if isinstance(measured, str):
        return Incremental("unavailable", measured, words)
    by_pair = [strata_of(measured, pair) for pair in pairs]
    arms = {arm: tuple(map(_together, *(found[arm] for found in by_pair))) for arm in by_pair[0]}
    rows = tuple(_row(arm, definition.control, arms) for arm in definition.treatments)
    known = any(one.status == "ok" for one in rows)
    return Incremental("ok" if known else "insufficient", "" if known else rows[0].reason, words, rows)


PAIRS = ("earned per order", "given per order")


def _pairs(earned: Metric, given: Metric) -> tuple[Metric, Metric]:
    """Two ratios that give orders together with what was earned, and with what was given away."""
    orders = Column(earned.numerator.event, "count")
    window = {"window_end": earned.window_end, "refund_window": earned.refund_window}
    return (
        Metric(PAIRS[0], "ratio", earned.numerator, orders, **window),
        Metric(PAIRS[1], "ratio", given.numerator, orders, **window),
    )


def _together(earned: Moments, given: Moments) -> Moments:
    """Orders, margin and cost as three columns; of margin and cost together nothing is known, nor used."""
    (_, orders), (_, again) = earned.columns, given.columns
    assert earned.n == given.n
    assert orders == again
    m2 = np.zeros((3, 3))
    m2[:2, :2] = earned.m2[::-1, ::-1]
    m2[0, 2] = m2[2, 0] = given.m2[0, 1]
    m2[2, 2] = given.m2[0, 0]
    mean, m3 = (
        np.array([one[1], one[0], other[0]]) for one, other in ((earned.mean, given.mean), (earned.m3, given.m3))
    )
    return Moments((ORDERS, EARNED, COST), earned.n, mean, m2, m3)


def _row(arm: str, control: str, arms: Mapping[str, Strata]) -> IncrementalRow:
    both = moments_over_phases({name: arms[name] for name in (arm, control)}, visitors_by_phase(arms))
    if both is None:
        return IncrementalRow(arm, "insufficient", "No phase has two visitors in both arms.")
    try:
        found = incrementality(both[arm], both[control], orders=ORDERS, margin=EARNED, cost=COST)
    except InputError as error:
        return IncrementalRow(arm, "undefined", error.message)
    if found.status != "ok":
        return IncrementalRow(arm, "insufficient", found.reason)
    return _shown(arm, found)


def _shown(arm: str, found: Incrementality) -> IncrementalRow:
    return IncrementalRow(
        arm,
        "ok",
        found.reason,
        _amount(found.cost),
        _set(found.share_incremental),
        _amount(found.cost_incremental),
        _amount(found.cost_non_incremental),
        _set(found.cost_per_incremental_order),
        _set(found.observed_lift),
        _set(found.break_even_lift),
    )


def _amount(found: Amount | None) -> Estimate:
    return Estimate() if found is None else Estimate(found.estimate, found.low, found.high)


def _set(found: Lift | RatioInterval) -> SetEstimate:
    return SetEstimate(found.kind, found.estimate, found.low, found.high, found.reason)
