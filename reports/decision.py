"""The one decision rule: health, then the primary metric's always-valid interval, then the guardrails.

Each treatment arm gets a verdict of its own; the decision follows from the verdicts. Posterior probabilities, expected
loss, secondary metrics and fixed-sample p-values never enter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from ..stats import SKEW_LIMIT, adjusted_alpha
from ..storage.observations import Observations
from . import sentences as say
from .health import SRM_ALARM, mature_counts
from .tree import Action, ComparisonRow, Decision, DifferenceRow, HealthCheck, MetricRow
from .verdict import Reading, Verdict

__all__ = ["decide"]

SMALLEST_CONVERSIONS = 100
"""Visitors converted in both arms together before anything is decided: below, the interval is not yet normal.

Together on purpose: given their sum, the conversions of two equal arms without a difference are binomial with p = 1/2,
so the sum alone says how normal the statistic is, and 0 against 100 is an effect and not an accident.
"""

SMALLEST_ARM = 100
"""Analysed visitors of each arm before anything is decided: a small arm without a conversion has no variance."""

SMALLEST_ORDERS = 250
"""Orders in each arm that an uneven split needs: the estimated skew is itself biased low in heavy tails."""

EVEN_SPLIT = (0.4, 0.6)
HARM_BUDGET = 0.2
"""Share of the plan's alpha that the guardrails' harm alarms spend; the primary keeps the rest."""


def decide(
    observations: Observations, health: Sequence[HealthCheck], metrics: Sequence[MetricRow]
) -> tuple[Decision, Mapping[str, Verdict]]:
    """The decision, and the verdict of each treatment arm."""
    treatments = observations.definition.treatments
    failed = [check for check in health if check.status == "fail"]
    if failed:
        reason = say.do_not_read(failed)
        return Decision("do_not_read", None, reason), {arm: Verdict(arm, "do_not_read", reason) for arm in treatments}
    if observations.state == "draft" or not any(arm.visitors for arm in observations.arms.values()):
        reason = say.nobody_exposed(observations)
        return Decision("collecting", None, reason), {arm: Verdict(arm, "collecting", reason) for arm in treatments}
    reading = _reading(observations, health, metrics)
    verdicts = {arm: _verdict(arm, reading) for arm in treatments}
    return _overall(verdicts, reading), verdicts


def _reading(observations: Observations, health: Sequence[HealthCheck], metrics: Sequence[MetricRow]) -> Reading:
    plan = observations.definition.plan
    primary = next(row for row in metrics if row.role == "primary")
    guardrails = tuple(row for row in metrics if row.role == "guardrail")
    treatments = len(observations.definition.treatments)
    alpha = plan.alpha * (1 - HARM_BUDGET) if guardrails else plan.alpha
    status = {check.check: check for check in health}
    srm = status["srm"].p_value
    return Reading(
        observations=observations,
        primary=primary,
        guardrails=guardrails,
        alpha=_alpha_for_several_arms(primary, alpha),
        harm_alpha=plan.alpha * HARM_BUDGET / (treatments * len(guardrails)) if guardrails else None,
        conversions=_conversions(observations, primary),
        ended=_ended(observations),
        srm_suspected=srm is not None and srm < SRM_ALARM and status["srm_sequential"].status != "fail",
    )


def _alpha_for_several_arms(primary: MetricRow, alpha: float) -> float:
    """Dunnett's level for the arms; an arm without data yet counts as if it were as precise as the control."""
    control = primary.arm(primary.comparisons[0].reference).variance if primary.comparisons else None
    if not control or len(primary.comparisons) < 2:
        return alpha
    treatments = [primary.arm(comparison.arm).variance or control for comparison in primary.comparisons]
    return adjusted_alpha(treatments, control, alpha=alpha)


def _conversions(observations: Observations, primary: MetricRow) -> dict[str, int] | None:
    """Converted visitors by arm, from the column that counts the most: of the primary's event where there is one."""
    definition = observations.definition
    event = primary.definition.numerator.event
    counts: list[tuple[bool, int, dict[str, int]]] = []
    for metric in definition.metrics:
        moments = observations.moments.get(metric.name, {})
        for column in metric.columns:
            if column.measure in ("converted", "count") and moments:
                arms = {
                    arm.name: round(moments[arm.name].sum_of(column.name)) if arm.name in moments else 0
                    for arm in definition.arms
                }
                counts.append((column.event == event, sum(arms.values()), arms))
    return max(counts, key=lambda found: found[:2])[2] if counts else None


def _ended(observations: Observations) -> str:
    """Why the experiment is over and undecided means no effect was shown; "" while it goes on."""
    definition = observations.definition
    if definition.source == "table":
        return "a table is read once"
    longest, first = definition.plan.longest_duration, observations.first_exposure
    if longest is not None and first is not None and observations.as_of - first >= timedelta(microseconds=longest):
        return "the longest planned duration has passed"
    waiting = sum(arm.visitors for arm in observations.arms.values()) - sum(mature_counts(observations).values())
    if observations.state == "stopped" and waiting <= 0:
        return "the experiment is stopped and every visitor is counted"
    return ""


def _verdict(arm: str, reading: Reading) -> Verdict:
    """The rule, from top to bottom, for one arm."""
    primary, comparison = reading.primary, reading.primary.comparison(arm)
    judged = judged_row(comparison)
    if comparison.status != "ok" or judged is None or comparison.anytime.p_value is None:
        return Verdict(arm, "collecting", say.not_computable(reading, comparison))
    conversions = _conversions_of(comparison, reading)
    if conversions is not None and sum(conversions) < SMALLEST_CONVERSIONS:
        return Verdict(arm, "collecting", say.too_early(reading, comparison, sum(conversions), SMALLEST_CONVERSIONS))
    smallest = min((primary.arm(name) for name in (arm, comparison.reference)), key=lambda row: row.n)
    if smallest.n < SMALLEST_ARM:
        return Verdict(arm, "collecting", say.too_few_visitors(reading, smallest.arm, smallest.n, SMALLEST_ARM))
    alarm = _harm_alarm(arm, reading)
    if alarm is not None:
        return Verdict(arm, "stop_harm", say.harm_alarm(reading, alarm, comparison), say.cause([alarm], arm))
    if comparison.anytime.p_value < reading.alpha:
        return _crossed(arm, reading, comparison, judged)
    failed = _guardrails(reading, arm, "failed")
    if reading.ended and failed:
        reason = say.guardrail_failed_at_the_end(reading, comparison, failed)
        return Verdict(arm, "stop_harm", reason, say.cause(failed, arm))
    if _within_smallest_effect(primary, comparison, reading):
        return Verdict(arm, "stop_no_effect", say.no_worthwhile_effect(reading, comparison))
    if reading.ended:
        return Verdict(arm, "stop_no_effect", say.ended_without_crossing(reading, comparison))
    return Verdict(arm, "collecting", say.collecting(reading, comparison))


def _crossed(arm: str, reading: Reading, comparison: ComparisonRow, judged: DifferenceRow) -> Verdict:
    doubt, moved = _skew_doubt(comparison, reading), say.cause([reading.primary], arm)
    if not is_better(judged.estimate, reading.primary):
        if doubt:
            return Verdict(arm, "review", say.review_of_harm(reading, comparison, doubt), moved)
        return Verdict(arm, "stop_harm", say.primary_harm(reading, comparison), moved)
    failed = _guardrails(reading, arm, "failed")
    if failed:
        return Verdict(arm, "stop_harm", say.guardrail_failed(reading, comparison, failed), say.cause(failed, arm))
    undecided = _guardrails(reading, arm, "inconclusive")
    if undecided:
        reason = say.guardrail_inconclusive(reading, comparison, undecided)
        return Verdict(arm, "review", reason, say.cause(undecided, arm, "inconclusive"))
    if doubt:
        return Verdict(arm, "review", say.review_of_gain(reading, comparison, doubt), moved)
    if reading.srm_suspected:
        return Verdict(arm, "review", say.review_of_gain(reading, comparison, say.SRM_SUSPECTED), moved)
    return Verdict(arm, "ship", say.ship(reading, comparison))


def judged_row(comparison: ComparisonRow) -> DifferenceRow | None:
    """The row that the verdict rests on; None where it could not be computed."""
    if comparison.judged_by == "adjusted":
        return comparison.adjusted.difference if comparison.adjusted is not None else None
    return comparison.difference if comparison.difference.estimate is not None else None


def is_better(estimate: float | None, metric: MetricRow) -> bool:
    """Whether a difference goes in the desired direction."""
    if estimate is None:
        return False
    return estimate > 0 if metric.desired_change == "increase" else estimate < 0


def _guardrails(reading: Reading, arm: str, result: str) -> list[MetricRow]:
    """The guardrails with that result in an arm; one that could not be judged is inconclusive."""
    judged = [(row, row.comparison(arm).guardrail) for row in reading.guardrails]
    return [row for row, guardrail in judged if (guardrail.result if guardrail else "inconclusive") == result]


def _harm_alarm(arm: str, reading: Reading) -> MetricRow | None:
    """The guardrail whose always-valid p-value proves harm within its part of the harm budget; the surest one."""
    if reading.harm_alpha is None:
        return None
    harmed: list[tuple[float, MetricRow]] = []
    for row in reading.guardrails:
        comparison = row.comparison(arm)
        p = comparison.anytime.p_value
        harmful = comparison.difference.estimate is not None and not is_better(comparison.difference.estimate, row)
        if p is not None and harmful and p < reading.harm_alpha:
            harmed.append((p, row))
    return min(harmed, key=lambda found: found[0])[1] if harmed else None


def _within_smallest_effect(primary: MetricRow, comparison: ComparisonRow, reading: Reading) -> bool:
    smallest = reading.observations.definition.plan.minimum_detectable_effect
    control = primary.arm(comparison.reference).value
    low, high = comparison.anytime.low, comparison.anytime.high
    if smallest is None or control is None or low is None or high is None:
        return False
    bound = smallest * abs(control)
    return -bound < low and high < bound


def _conversions_of(comparison: ComparisonRow, reading: Reading) -> tuple[int, int] | None:
    counts = reading.conversions
    return None if counts is None else (counts[comparison.arm], counts[comparison.reference])


def _skew_doubt(comparison: ComparisonRow, reading: Reading) -> str:
    """Why the tails of the interval cannot be trusted; "" where they can. Even splits cancel skew by themselves."""
    primary = reading.primary
    if comparison.skew is None:
        return ""
    shares = reading.observations.definition.expected_shares
    if abs(comparison.skew) > SKEW_LIMIT and shares[comparison.arm] != shares[comparison.reference]:
        return say.skewed(comparison.skew, SKEW_LIMIT)
    n, n_control = primary.arm(comparison.arm).n, primary.arm(comparison.reference).n
    orders = _conversions_of(comparison, reading)
    uneven = not EVEN_SPLIT[0] <= n / (n + n_control) <= EVEN_SPLIT[1]
    if uneven and orders is not None and min(orders) < SMALLEST_ORDERS:
        return say.few_orders(min(orders), SMALLEST_ORDERS)
    return ""


def _overall(verdicts: Mapping[str, Verdict], reading: Reading) -> Decision:
    by_action: dict[Action, list[Verdict]] = {}
    for verdict in verdicts.values():
        by_action.setdefault(verdict.action, []).append(verdict)
    for action in ("ship", "review"):
        if action in by_action:
            chosen = _best(by_action[action], reading)
            others = [verdict for verdict in verdicts.values() if verdict.arm != chosen.arm]
            return Decision(action, chosen.arm, say.with_others(chosen.reason, others))
    if "collecting" in by_action:
        return Decision("collecting", None, say.overall_collecting(by_action["collecting"], verdicts, reading))
    harmed = by_action.get("stop_harm", [])
    if len(harmed) == len(verdicts):
        worst = _best(harmed, reading, worst=True)
        return Decision("stop_harm", worst.arm, say.overall_harm(worst, harmed))
    unmoved = by_action["stop_no_effect"]
    return Decision("stop_no_effect", None, say.overall_no_effect(unmoved, harmed))


def _best(verdicts: Sequence[Verdict], reading: Reading, *, worst: bool = False) -> Verdict:
    """The arm whose judged estimate on the primary is best (or worst) in the desired direction."""
    sign = 1 if reading.primary.desired_change == "increase" else -1

    def gain(verdict: Verdict) -> float:
        judged = judged_row(reading.primary.comparison(verdict.arm))
        estimate = judged.estimate if judged is not None else None
        return sign * estimate if estimate is not None else float("-inf")

    return min(verdicts, key=gain) if worst else max(verdicts, key=gain)
