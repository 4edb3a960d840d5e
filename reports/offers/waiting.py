"""Is another week worth its price? What each arm is expected to bring, and what more data would be worth.

By the flat prior and the data of now, as the rest of the Bayesian view: it ranks arms, and never ships one.
"""

from __future__ import annotations

from dataclasses import replace

from ...stats import Moments, expected_net_gain, value_of_waiting
from ...stats.largest import chances
from .. import format as fmt
from ..looks import ended
from ..phases import moments_over_phases, strata_of, visitors_by_phase
from ..tree import MetricRow
from .money import audience_of, horizon_weeks, is_one_off
from .seen import Seen, money_metric
from .showing import amount
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
    empty = Waiting("insufficient", "No arm can be compared yet.", metric.metric, weeks, per_week)
    known = _known(seen, metric)
    if known is None:
        without = [_without(metric, arm) for arm in seen.definition.treatments]
        return replace(empty, arms=tuple(without))
    rows = _rows(seen, metric, known, per_week * weeks)
    found = replace(empty, status="ok", reason="", arms=rows)
    if ended(seen.observations):
        return replace(found, words="It has ended: no week more can come.")
    if weeks <= 1:
        return replace(found, words="The horizon is no longer than a week: there is none to wait for.")
    return _with_a_week(found, seen, known, per_week, weeks)


def _known(seen: Seen, metric: MetricRow) -> dict[str, Moments] | None:
    """The control and the arms that have a posterior, over the phases that have all of them; None of fewer than two."""
    control = seen.definition.control
    arms = strata_of(seen.observations, metric.definition)
    compared = [arm for arm in seen.definition.treatments if metric.comparison(arm).bayes.expected_loss is not None]
    if not compared:
        return None
    return moments_over_phases({arm: arms[arm] for arm in (control, *compared)}, visitors_by_phase(arms))


def _rows(seen: Seen, metric: MetricRow, known: dict[str, Moments], future: float) -> tuple[WaitingRow, ...]:
    """What each arm is expected to bring, ranked, and to lose to the best of all."""
    cost, control = float(seen.definition.plan.audience.switching_cost), seen.definition.control
    means = {arm: _mean(metric, moments) for arm, moments in known.items()}
    losses = dict(
        zip(means, chances([mean for mean, _ in means.values()], [v for _, v in means.values()]), strict=True)
    )
    gains = {
        arm: expected_net_gain(mean - means[control][0], future, switching_cost=cost)
        for arm, (mean, _) in means.items()
        if arm != control
    }
    ranks = {arm: rank for rank, arm in enumerate(sorted(gains, key=lambda arm: -gains[arm]), start=1)}
    return tuple(
        WaitingRow(arm, "ok", "", ranks[arm], gains[arm], losses[arm].expected_regret * future)
        if arm in gains
        else _without(metric, arm)
        for arm in seen.definition.treatments
    )


def _with_a_week(found: Waiting, seen: Seen, known: dict[str, Moments], per_week: float, weeks: float) -> Waiting:
    """The same with what another week's data is worth to the choice among all arms, and what the week costs."""
    definition, metric = seen.definition, seen.metric(found.metric)
    cost = float(definition.plan.audience.switching_cost)
    week = value_of_waiting(
        {arm: _mean(metric, moments) for arm, moments in known.items()},
        {arm: float(moments.n) for arm, moments in known.items()},
        {arm: float(definition.expected_shares[arm]) * per_week for arm in known},
        per_week * weeks,
        switching_cost={arm: cost for arm in known if arm != definition.control},
    )
    worth, price = (amount(abs(x), definition.currency).lstrip("+") for x in (week.worth, week.price))
    keeps = week.now == definition.control
    chosen = (
        f"Chosen now, {fmt.quote(week.now)} would stay: no arm is expected to earn more than it costs to change."
        if keeps
        else f"Chosen now, {fmt.quote(week.now)} is expected to earn the most."
    )
    # Those already served by an arm that is too dear to change to can earn more meanwhile than is lost.
    priced = f"costs {price}" if week.price >= 0 else f"itself earns {price}"
    waits = "another week pays" if week.net > 0 else "another week costs more than it tells"
    stop = " That supports stopping without effect." if keeps and week.net <= 0 else ""
    week_said = f"A week's data is worth {worth} to that choice and {priced}: {waits}."
    words = f"{chosen} {week_said}{stop} None of this ships an arm."
    return replace(
        found, now=week.now, value_of_week=week.worth, cost_of_week=week.price, gain_of_waiting=week.net, words=words
    )


def _mean(metric: MetricRow, moments: Moments) -> tuple[float, float]:
    """The metric's mean a visitor, and the variance of that mean."""
    column = metric.definition.numerator.name
    return moments.mean_of(column), moments.variance_of(column) / moments.n


def _without(metric: MetricRow, arm: str) -> WaitingRow:
    comparison = metric.comparison(arm)
    why = comparison.reason or comparison.bayes_reason or "No phase has visitors of all arms."
    return WaitingRow(arm, "insufficient", why)
