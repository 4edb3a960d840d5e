"""Is another week worth its price? What each arm is expected to bring, and what more data would be worth.

By the flat prior and the data of now, as the rest of the Bayesian view: it ranks arms, and never ships one.
"""

from __future__ import annotations

from ...stats.value import expected_net_gain, gain_of_waiting, value_of_more_visitors
from ..looks import ended
from ..tree import MetricRow
from .money import audience_of, horizon_weeks, is_one_off
from .seen import Seen, money_metric
from .tree import Money, Waiting, WaitingRow

__all__ = ["asks_for_waiting", "waiting_of"]


def asks_for_waiting(seen: Seen) -> bool:
    """Whether there is money to count, and a plan that says until when."""
    return money_metric(seen) is not None and horizon_weeks(seen.definition) is not None


def waiting_of(seen: Seen, money: Money | None) -> Waiting | None:
    """What waiting is worth; None where the plan has no horizon or no metric is of money."""
    metric, weeks = money_metric(seen), horizon_weeks(seen.definition)
    if metric is None or weeks is None or money is None:
        return None
    per_week = audience_of(seen).per_week
    if is_one_off(seen.definition):
        return Waiting("undefined", "A campaign that ends by itself leaves no later visitors to wait for.")
    if per_week is None:
        return Waiting(
            "insufficient", "How many visitors a week has is neither seen nor planned.", metric.metric, weeks
        )
    rows = [_row(metric, arm, seen, per_week, weeks) for arm in seen.definition.treatments]
    by_gain = sorted(
        (row for row in rows if row.expected_gain is not None), key=lambda row: -(row.expected_gain or 0.0)
    )
    ranks = {row.arm: rank for rank, row in enumerate(by_gain, start=1)}
    known = bool(by_gain)
    return Waiting(
        "ok" if known else "insufficient",
        "" if known else "No arm can be compared yet.",
        metric.metric,
        weeks,
        per_week,
        tuple(WaitingRow(row.arm, row.status, row.reason, ranks.get(row.arm), *_numbers(row)) for row in rows),
    )


def _numbers(row: WaitingRow) -> tuple[float | None, ...]:
    return row.expected_gain, row.expected_loss, row.value_of_week, row.cost_of_week, row.gain_of_waiting


def _row(metric: MetricRow, arm: str, seen: Seen, per_week: float, weeks: float) -> WaitingRow:
    comparison, control = metric.comparison(arm), metric.arm(seen.definition.control)
    treatment, loss = metric.arm(arm), comparison.bayes.expected_loss
    difference = comparison.difference.estimate
    if difference is None or treatment.variance is None or control.variance is None or loss is None:
        return WaitingRow(arm, "insufficient", comparison.reason or comparison.bayes_reason)
    definition = seen.definition
    future, cost = per_week * weeks, float(definition.plan.audience.switching_cost)
    gain = expected_net_gain(difference, future, switching_cost=cost)
    if ended(seen.observations) or weeks <= 1:
        why = "It has ended: no week more can come." if weeks > 1 else "The horizon is no longer than a week."
        return WaitingRow(arm, "ok", why, None, gain, loss * future)
    share = definition.expected_shares
    in_treatment, in_control = (float(share[one]) * per_week for one in (arm, definition.control))
    variance = treatment.variance + control.variance
    after = sum(
        row.variance * row.n / (row.n + more) if row.variance is not None else 0.0
        for row, more in ((treatment, in_treatment), (control, in_control))
    )
    later = future - in_treatment - in_control
    value = value_of_more_visitors(difference, variance, after, later, switching_cost=cost)
    waiting = gain_of_waiting(
        difference,
        variance,
        after,
        future,
        in_treatment=in_treatment,
        in_control=in_control,
        switching_cost=cost,
    )
    return WaitingRow(arm, "ok", "", None, gain, loss * future, value, value - waiting, waiting)
