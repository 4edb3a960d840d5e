"""The one decision rule: health, then the primary metric's interval at the look, then the guardrails.

Each treatment arm gets a verdict of its own; the decision follows from the verdicts. Where looks are planned, their
boundaries decide and the verdicts of the last look hold until the next; otherwise the always-valid interval decides at
any time. Posterior probabilities, expected loss, secondary metrics and fixed-sample p-values never enter. The rule
itself is `offerlift.stats.decision_rule`; what it is given, and how its findings are put, is here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..stats import SKEW_LIMIT, Evidence, Finding, judge
from ..storage.observations import Observations
from . import sentences as say
from .diagnostics import is_skewed_and_unequal
from .health import SRM_ALARM
from .looks import budget_of, corrected, ended
from .losses import accepted_losses, sells_more_earns_less
from .phases import strata_of
from .tree import Action, ComparisonRow, Decision, DifferenceRow, HealthCheck, MetricRow, SequentialRow
from .verdict import LookAt, Reading, Verdict

__all__ = ["blocked", "decide", "overall"]

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

NOT_SHIPPED = (
    Finding.HARM,
    Finding.HARM_IN_DOUBT,
    Finding.GUARDRAIL_FAILED,
    Finding.GUARDRAIL_FAILED_AT_END,
    Finding.GUARDRAIL_INCONCLUSIVE,
    Finding.ALARM,
)
"""Findings against an arm, whose reason says where it sells more all the same."""


def blocked(observations: Observations, health: Sequence[HealthCheck]) -> tuple[Action, str] | None:
    """Why no effect is read at all: a health check that fails, or nobody to read it of."""
    failed = [check for check in health if check.status == "fail"]
    if failed:
        return "do_not_read", say.do_not_read(failed)
    visitors = sum(arm.visitors for stratum in observations.strata for arm in stratum.arms.values())
    if observations.state == "draft" or not visitors:
        return "collecting", say.nobody_exposed(observations)
    return None


def decide(
    observations: Observations,
    health: Sequence[HealthCheck],
    metrics: Sequence[MetricRow],
    *,
    look: LookAt | None = None,
    before: Mapping[str, Verdict] | None = None,
) -> tuple[Decision, Mapping[str, Verdict]]:
    """The decision, and the verdict of each treatment arm.

    Args:
        observations: what was seen.
        health: the checks, of which a failing one suspends every verdict.
        metrics: the numbers; with a look they have its repeated intervals.
        look: the planned look that is being made; None where the always-valid interval decides.
        before: the verdicts of the look before; a final one stays.
    """
    treatments = observations.definition.treatments
    before = before or {}
    stop = blocked(observations, health)
    if stop is not None:
        action, reason = stop
        return Decision(action, None, reason), {arm: Verdict(arm, action, reason) for arm in treatments}
    reading = _reading(observations, health, metrics, look)
    codes = judge(_evidence(reading, treatments), _findings(before, treatments))
    findings = {arm: Finding(code) for arm, code in zip(treatments, codes.tolist(), strict=True)}
    if look is not None:
        reading = _reading(observations, health, corrected(metrics, look, findings), look)
    verdicts = {}
    for arm, finding in findings.items():
        former = before.get(arm)
        is_settled = former is not None and former.finding == finding and finding.is_final
        verdicts[arm] = former if former is not None and is_settled else _verdict(arm, finding, reading)
    return overall(verdicts), verdicts


def _reading(
    observations: Observations, health: Sequence[HealthCheck], metrics: Sequence[MetricRow], look: LookAt | None
) -> Reading:
    primary = next(row for row in metrics if row.role == "primary")
    status = {check.check: check for check in health}
    srm = status["srm"].p_value
    return Reading(
        observations=observations,
        primary=primary,
        guardrails=tuple(row for row in metrics if row.role == "guardrail"),
        metrics=tuple(metrics),
        budget=budget_of(observations),
        conversions=_conversions(observations, primary),
        ended=ended(observations) or (say.END_OF_PLAN if look is not None and look.last else ""),
        srm_suspected=srm is not None and srm < SRM_ALARM and status["srm_sequential"].status != "fail",
        look=look,
    )


def _findings(before: Mapping[str, Verdict], treatments: Sequence[str]) -> np.ndarray:
    known = [before[arm].finding if arm in before else None for arm in treatments]
    return np.array([Finding.OPEN if finding is None else finding for finding in known], dtype=np.int64)


def _evidence(reading: Reading, treatments: Sequence[str]) -> Evidence:
    """What the rule is told of each arm, in their order."""
    rows = [reading.primary.comparison(arm) for arm in treatments]
    computable = np.array([_is_computable(row, reading) for row in rows])
    too_early = np.array([_too_early(row, reading) is not None for row in rows])
    # A table has one look and is no plan that came to its end: one that is too small says so.
    is_over = np.array([bool(reading.ended)] * len(rows))
    if reading.look is None:
        is_over &= computable & ~too_early
    return Evidence(
        crossed=np.array([_crossed(row, reading) for row in rows], dtype=np.int64),
        failed=np.array([bool(_guardrails(reading, arm, "failed")) for arm in treatments]),
        passed=np.array([not _guardrails(reading, arm, "inconclusive") for arm in treatments]),
        alarm=np.array([_harm_alarm(arm, reading) is not None for arm in treatments]),
        no_effect=np.array([_within_smallest_effect(row, reading) for row in rows]),
        doubted=np.array([bool(_skew_doubt(row, reading)) for row in rows]),
        gain_doubted=reading.srm_suspected,
        computable=computable,
        too_early=too_early,
        ended=is_over,
    )


def _is_computable(comparison: ComparisonRow, reading: Reading) -> bool:
    if comparison.status != "ok" or judged_row(comparison) is None:
        return False
    return comparison.sequential is not None if reading.look is not None else comparison.anytime.p_value is not None


def _crossed(comparison: ComparisonRow, reading: Reading) -> int:
    """1 where the primary crossed in the desired direction, -1 against it, 0 where it did not."""
    judged, p = judged_row(comparison), comparison.anytime.p_value
    if reading.look is not None:
        crossed = comparison.sequential is not None and comparison.sequential.crossed
    else:
        crossed = p is not None and p < reading.budget.comparison
    if judged is None or not crossed:
        return 0
    return 1 if is_better(judged.estimate, reading.primary) else -1


def _conversions(observations: Observations, primary: MetricRow) -> dict[str, int] | None:
    """Converted visitors by arm, from the column that counts the most: of the primary's event where there is one."""
    definition = observations.definition
    event = primary.definition.numerator.event
    counts: list[tuple[bool, int, dict[str, int]]] = []
    for metric in definition.metrics:
        strata = strata_of(observations, metric)
        for column in metric.columns:
            if column.measure in ("converted", "count"):
                arms = {
                    arm: sum(round(moments.sum_of(column.name)) for moments in phases) for arm, phases in strata.items()
                }
                counts.append((column.event == event, sum(arms.values()), arms))
    return max(counts, key=lambda found: found[:2])[2] if counts else None


def _too_early(comparison: ComparisonRow, reading: Reading) -> str | None:
    """Why the comparison rests on too little; None where it does not."""
    conversions = _conversions_of(comparison, reading)
    if conversions is not None and sum(conversions) < SMALLEST_CONVERSIONS:
        return say.too_early(reading, comparison, sum(conversions), SMALLEST_CONVERSIONS)
    arms = [reading.primary.arm(name) for name in (comparison.arm, comparison.reference)]
    smallest = min(arms, key=lambda row: row.n)
    if smallest.n < SMALLEST_ARM:
        return say.too_few_visitors(reading, smallest.arm, smallest.n, SMALLEST_ARM)
    return None


def _verdict(arm: str, finding: Finding, reading: Reading) -> Verdict:
    """The finding in words."""
    comparison = reading.primary.comparison(arm)
    reason, cause = _words(finding, comparison, reading)
    if finding in NOT_SHIPPED:
        reason += sells_more_earns_less(reading, arm)
    elif finding is Finding.GAIN:
        reason += accepted_losses(reading, arm)
    judged = judged_row(comparison)
    sign = 1 if reading.primary.desired_change == "increase" else -1
    p, z = comparison.anytime.p_value, _z(comparison.sequential)
    sureness = abs(z) if z is not None else None if p is None else -p
    return Verdict(
        arm=arm,
        action=finding.action,
        reason=reason,
        finding=finding,
        cause=cause,
        gain=None if judged is None or judged.estimate is None else sign * judged.estimate,
        sureness=sureness,
    )


def _words(finding: Finding, comparison: ComparisonRow, reading: Reading) -> tuple[str, str]:
    """The reason of a finding, and its cause in a few words."""
    arm, primary = comparison.arm, [reading.primary]
    if finding in (Finding.HARM, Finding.HARM_IN_DOUBT, Finding.GAIN_IN_DOUBT):
        moved = say.cause(primary, arm)
        doubt = _skew_doubt(comparison, reading)
        if finding is Finding.HARM:
            return say.primary_harm(reading, comparison), moved
        if finding is Finding.HARM_IN_DOUBT:
            return say.review_of_harm(reading, comparison, doubt), moved
        return say.review_of_gain(reading, comparison, doubt or say.SRM_SUSPECTED), moved
    if finding in (Finding.GUARDRAIL_FAILED, Finding.GUARDRAIL_FAILED_AT_END):
        failed = _guardrails(reading, arm, "failed")
        at_end = finding is Finding.GUARDRAIL_FAILED_AT_END
        put = say.guardrail_failed_at_the_end if at_end else say.guardrail_failed
        return put(reading, comparison, failed), say.cause(failed, arm)
    if finding is Finding.GUARDRAIL_INCONCLUSIVE:
        undecided = _guardrails(reading, arm, "inconclusive")
        reason = say.guardrail_inconclusive(reading, comparison, undecided)
        return reason, say.cause(undecided, arm, "inconclusive")
    if finding is Finding.ALARM:
        alarm = _harm_alarm(arm, reading)
        assert alarm is not None
        return say.harm_alarm(reading, alarm, comparison), say.cause([alarm], arm)
    early = _too_early(comparison, reading)
    plain = {
        Finding.NOT_COMPUTABLE: lambda: say.not_computable(reading, comparison),
        Finding.TOO_EARLY: lambda: early or "",
        Finding.TOO_EARLY_AT_END: lambda: say.too_early_at_the_end(
            reading, early or say.not_computable(reading, comparison)
        ),
        Finding.GAIN: lambda: say.ship(reading, comparison),
        Finding.NO_WORTHWHILE_EFFECT: lambda: say.no_worthwhile_effect(reading, comparison),
        Finding.ENDED: lambda: say.ended_without_crossing(reading, comparison),
        Finding.OPEN: lambda: say.collecting(reading, comparison),
    }
    return plain[finding](), ""


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
    """The guardrail that proves harm within its part of the harm budget; the surest one."""
    harmed: list[tuple[float, MetricRow]] = []
    for row in reading.guardrails:
        sureness = _sureness_of_harm(row, row.comparison(arm), reading)
        if sureness is not None:
            harmed.append((sureness, row))
    return max(harmed, key=lambda found: found[0])[1] if harmed else None


def _sureness_of_harm(metric: MetricRow, comparison: ComparisonRow, reading: Reading) -> float | None:
    """The more, the surer; None where the alarm is not raised."""
    sequential, p, estimate = comparison.sequential, comparison.anytime.p_value, comparison.difference.estimate
    if reading.look is not None:
        raised = sequential is not None and sequential.crossed
        return abs(_z(sequential) or 0.0) if raised else None
    if p is None or estimate is None or reading.budget.alarm is None:
        return None
    # The always-valid p-value is of both sides; harm is one of them.
    return -p if not is_better(estimate, metric) and p < reading.budget.alarm else None


def _z(row: SequentialRow | None) -> float | None:
    if row is None or row.raw_estimate is None or not row.standard_error:
        return None
    return row.raw_estimate / row.standard_error


def _within_smallest_effect(comparison: ComparisonRow, reading: Reading) -> bool:
    smallest = reading.observations.definition.plan.minimum_detectable_effect
    control = reading.primary.arm(comparison.reference).value
    low, high = say.deciding_interval(reading, comparison)
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
    if is_skewed_and_unequal(reading.observations, comparison):
        return say.skewed(comparison.skew, SKEW_LIMIT, comparison.randomisation)
    n, n_control = primary.arm(comparison.arm).n, primary.arm(comparison.reference).n
    orders = _conversions_of(comparison, reading)
    uneven = not EVEN_SPLIT[0] <= n / (n + n_control) <= EVEN_SPLIT[1]
    if uneven and orders is not None and min(orders) < SMALLEST_ORDERS:
        return say.few_orders(min(orders), SMALLEST_ORDERS)
    return ""


def overall(verdicts: Mapping[str, Verdict]) -> Decision:
    """What to do about the experiment, by the verdicts of its arms."""
    by_action: dict[Action, list[Verdict]] = {}
    for verdict in verdicts.values():
        by_action.setdefault(verdict.action, []).append(verdict)
    for action in ("ship", "review"):
        if action in by_action:
            chosen = max(by_action[action], key=_gain)
            others = [verdict for verdict in verdicts.values() if verdict.arm != chosen.arm]
            return Decision(action, chosen.arm, say.with_others(chosen.reason, others))
    if "collecting" in by_action:
        return Decision("collecting", None, say.overall_collecting(by_action["collecting"], verdicts))
    harmed = by_action.get("stop_harm", [])
    if len(harmed) == len(verdicts):
        worst = min(harmed, key=_gain)
        return Decision("stop_harm", worst.arm, say.overall_harm(worst, harmed))
    return Decision("stop_no_effect", None, say.overall_no_effect(by_action["stop_no_effect"], harmed))


def _gain(verdict: Verdict) -> float:
    """The judged estimate on the primary metric, in the desired direction."""
    return float("-inf") if verdict.gain is None else verdict.gain
