"""Planned looks: when the next one is due, at which boundary, and what the recorded ones say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any, cast

from ..experiments.definition import Definition
from ..stats import ErrorBudget, Finding, error_budget, next_boundary, stagewise_estimate
from ..storage.looks import Look
from ..storage.observations import Observations
from .counts import mature_counts, visitor_counts
from .phases import primary_variances
from .tree import Action, ComparisonRow, LiftRow, MetricRow, Progress, SequentialRow
from .verdict import LookAt, Verdict

__all__ = [
    "budget_of",
    "clock_of",
    "corrected",
    "due_look",
    "ended",
    "has_planned_looks",
    "is_decided",
    "look_at",
    "look_rows",
    "progress_of",
    "recorded_rows",
    "recorded_verdicts",
    "verdict_rows",
]

TOLERANCE = 1e-9
"""By which a clock may fall short of a planned share and still have reached it."""


@dataclass(frozen=True, slots=True)
class Due:
    """Whether a look is to be made, and as what."""

    now: bool
    planned: bool = False
    last: bool = False


def has_planned_looks(definition: Definition) -> bool:
    """Whether the experiment is read at planned looks; a table is read once."""
    return bool(definition.plan.looks and definition.planned_sample and definition.source != "table")


def budget_of(observations: Observations) -> ErrorBudget:
    """How the plan's alpha is shared out; an arm without data yet counts as if it were as precise as the control.

    Arms that a later phase dropped keep their part: which of them go on was chosen after seeing them, and the best of
    several is compared as one of several.
    """
    definition = observations.definition
    plan, variances = definition.plan, primary_variances(observations)
    earlier = {arm for stratum in observations.earlier for arm in stratum.shares}
    arms = [*definition.treatments, *sorted(earlier - {arm.name for arm in definition.arms})]
    control = variances.get(definition.control)
    if not control:
        return error_budget([1.0] * len(arms), 1.0, len(plan.guardrails), alpha=plan.alpha)
    return error_budget(
        [variances.get(arm) or control for arm in arms], control, len(plan.guardrails), alpha=plan.alpha
    )


def clock_of(observations: Observations, past: Sequence[Look]) -> float:
    """Share of the planned sample that is reached: of mature visitors, at most 1, never before that of a look."""
    planned = observations.definition.planned_sample or 0
    reached = sum(mature_counts(observations).values()) / planned if planned else 0.0
    return min(max([reached, *(one.clock for one in past)]), 1.0)


def ended(observations: Observations, past: Sequence[Look] = ()) -> str:
    """Why the experiment is over and undecided means no effect was shown; "" while it goes on."""
    definition = observations.definition
    if definition.source == "table":
        return "a table is read once"
    if definition.planned_sample and _reached(clock_of(observations, past), 1.0):
        return "the planned sample is reached"
    if _out_of_time(observations):
        return "the longest planned duration has passed"
    waiting = sum(visitor_counts(observations).values()) - sum(mature_counts(observations).values())
    if observations.state == "stopped" and waiting <= 0:
        return "the experiment is stopped and every visitor is counted"
    return ""


def due_look(observations: Observations, past: Sequence[Look], *, reveal: bool = False) -> Due:
    """Whether a review at this moment makes a look, apart from health.

    A planned share that the clock has newly reached, the longest duration and the end of a stopped experiment do;
    anything else is an unplanned look, which has to be asked for. Only the planned ends spend the rest: who stops an
    experiment may have seen why.
    """
    looks = observations.definition.plan.looks
    clock = clock_of(observations, past)
    if clock <= 0 or observations.state == "draft" or is_decided(observations.definition, past):
        return Due(now=False)
    if past and observations.as_of <= past[-1].at:
        return Due(now=False)
    last = _reached(clock, looks[-1]) or _out_of_time(observations)
    before = past[-1].clock if past else 0.0
    if last or _count_reached(clock, looks) > _count_reached(before, looks):
        return Due(now=True, planned=True, last=last)
    return Due(now=reveal or bool(ended(observations, past)))


def look_at(observations: Observations, past: Sequence[Look], due: Due, budget: ErrorBudget) -> LookAt:
    """The look that is being made, with the boundaries that the recorded ones leave it."""
    plan = observations.definition.plan
    clock = clock_of(observations, past)
    earlier = _earlier(past, (plan.primary,))
    alarm = None
    if budget.alarm is not None:
        before = _earlier(past, plan.guardrails)
        alarm = next_boundary(*before, clock, alpha=budget.alarm, sides=1, last=due.last)
    return LookAt(
        number=past[-1].look + 1 if past else 1,
        at=observations.as_of,
        clock=clock,
        planned=due.planned,
        last=due.last,
        primary=next_boundary(*earlier, clock, alpha=budget.comparison, last=due.last),
        alarm=alarm,
        earlier=earlier,
    )


def _earlier(past: Sequence[Look], metrics: Sequence[str]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Clocks and boundaries of the recorded looks at one of these metrics, which share them; one entry a look."""
    found = {one.look: (one.clock, one.boundary) for one in past if one.metric in metrics and one.boundary is not None}
    clocks, bounds = tuple(clock for clock, _ in found.values()), tuple(bound for _, bound in found.values())
    return clocks, bounds


def corrected(metrics: Sequence[MetricRow], look: LookAt, findings: Mapping[str, Finding]) -> tuple[MetricRow, ...]:
    """The rows with the median-unbiased estimate of the primary metric where an arm crossed, or came to the end."""
    return tuple(
        replace(
            metric,
            comparisons=tuple(
                replace(one, sequential=_corrected(one.sequential, look))
                if one.sequential is not None and _stops(findings[one.arm], one.sequential, look)
                else one
                for one in metric.comparisons
            ),
        )
        if metric.role == "primary"
        else metric
        for metric in metrics
    )


def _stops(finding: Finding, row: SequentialRow, look: LookAt) -> bool:
    ends = (Finding.ENDED, Finding.GUARDRAIL_FAILED_AT_END)
    return row.look == look.number and finding.is_final and (row.crossed or finding in ends)


def _corrected(row: SequentialRow, look: LookAt) -> SequentialRow:
    if not row.standard_error or row.raw_estimate is None:
        return row
    clocks, bounds = look.earlier
    found = stagewise_estimate(
        len(clocks) + 1,
        [*clocks, look.clock],
        [*bounds, row.boundary],
        row.raw_estimate / row.standard_error,
        row.standard_error,
    )
    lift = row.lift
    if lift.estimate is not None and row.raw_estimate:
        # The control's value is the same.
        lift = replace(lift, estimate=lift.estimate * found.estimate / row.raw_estimate)
    return replace(row, estimate=found.estimate, lift=lift)


def look_rows(
    metrics: Sequence[MetricRow], look: LookAt, verdicts: Mapping[str, Verdict], before: Mapping[str, Verdict]
) -> list[Look]:
    """What is recorded of a look: every metric of the arms that had no final verdict before it."""
    rows = []
    for metric in metrics:
        for comparison in metric.comparisons:
            former, verdict = before.get(comparison.arm), verdicts[comparison.arm]
            if former is not None and former.finding is not None and former.finding.is_final:
                continue
            row = comparison.sequential
            is_guardrail = metric.role == "guardrail" and look.alarm is not None
            boundary = look.alarm if is_guardrail and look.alarm is not None else look.primary
            rows.append(
                Look(
                    look=look.number,
                    arm=comparison.arm,
                    metric=metric.metric,
                    at=look.at,
                    clock=look.clock,
                    planned=look.planned,
                    verdict=verdict.action if metric.role == "primary" else "",
                    estimate=row and row.raw_estimate,
                    se=row and row.standard_error,
                    z=row.raw_estimate / row.standard_error
                    if row and row.standard_error and row.raw_estimate is not None
                    else None,
                    boundary=boundary.z,
                    alpha_spent=boundary.spent,
                    document=(_said(verdict) if metric.role == "primary" else {})
                    | ({"shown": _shown(row)} if row is not None else {})
                    | ({"guardrail": comparison.guardrail.result} if comparison.guardrail is not None else {}),
                )
            )
    return rows


def verdict_rows(
    metrics: Sequence[MetricRow],
    verdicts: Mapping[str, Verdict],
    before: Mapping[str, Verdict],
    observations: Observations,
    past: Sequence[Look],
) -> list[Look]:
    """What is recorded where no looks are planned: the arms that have just got a final verdict."""
    primary = next(metric for metric in metrics if metric.role == "primary")
    sign = 1 if primary.desired_change == "increase" else -1
    return [
        Look(
            look=past[-1].look + 1 if past else 1,
            arm=arm,
            metric=primary.metric,
            at=observations.as_of,
            clock=clock_of(observations, past),
            planned=False,
            verdict=verdict.action,
            estimate=None if verdict.gain is None else sign * verdict.gain,
            boundary=primary.comparison(arm).anytime.boundary,
            document=_said(verdict),
        )
        for arm, verdict in verdicts.items()
        if verdict.finding is not None and verdict.finding.is_final and arm not in before
    ]


def _said(verdict: Verdict) -> dict[str, Any]:
    finding = verdict.finding.name if verdict.finding is not None else None
    return {
        "finding": finding,
        "reason": verdict.reason,
        "cause": verdict.cause,
        "gain": verdict.gain,
        "sureness": verdict.sureness,
    }


def _shown(row: SequentialRow) -> dict[str, Any]:
    return {
        "estimate": row.estimate,
        "low": row.low,
        "high": row.high,
        "crossed": row.crossed,
        "lift": asdict(row.lift),
    }


def recorded_rows(
    metrics: Sequence[MetricRow], past: Sequence[Look], verdicts: Mapping[str, Verdict]
) -> tuple[MetricRow, ...]:
    """The rows with the repeated intervals of each arm's last look, and its guardrails as they were judged there."""
    latest = {(one.arm, one.metric): one for one in past}

    def recorded(metric: MetricRow, one: ComparisonRow) -> ComparisonRow:
        look = latest.get((one.arm, metric.metric))
        finding = verdicts[one.arm].finding if one.arm in verdicts else None
        guardrail = one.guardrail
        if guardrail is not None and look is not None and finding is not None and finding.is_final:
            guardrail = replace(guardrail, result=look.document.get("guardrail", guardrail.result))
        return replace(one, sequential=_row_of(look), guardrail=guardrail)

    return tuple(
        replace(metric, comparisons=tuple(recorded(metric, one) for one in metric.comparisons)) for metric in metrics
    )


def _row_of(look: Look | None) -> SequentialRow | None:
    if look is None or "shown" not in look.document or look.boundary is None or look.alpha_spent is None:
        return None
    shown = look.document["shown"]
    return SequentialRow(
        estimate=shown["estimate"],
        raw_estimate=look.estimate,
        low=shown["low"],
        high=shown["high"],
        boundary=look.boundary,
        look=look.look,
        planned=look.planned,
        clock=look.clock,
        at=look.at,
        alpha_spent=look.alpha_spent,
        crossed=shown["crossed"],
        lift=LiftRow(**shown["lift"]),
        standard_error=look.se,
    )


def recorded_verdicts(definition: Definition, past: Sequence[Look]) -> dict[str, Verdict]:
    """The verdict of each arm at its last look; arms that nobody has looked at are left out."""
    verdicts = {}
    for one in past:
        if one.metric == definition.plan.primary and one.arm in definition.treatments:
            said = one.document
            verdicts[one.arm] = Verdict(
                arm=one.arm,
                action=cast("Action", one.verdict),
                reason=said.get("reason", ""),
                finding=Finding[said["finding"]] if said.get("finding") else None,
                cause=said.get("cause", ""),
                gain=said.get("gain"),
                sureness=said.get("sureness"),
            )
    return verdicts


def progress_of(observations: Observations, past: Sequence[Look]) -> Progress:
    """How far the plan of looks has come."""
    looks = observations.definition.plan.looks
    clock = clock_of(observations, past)
    decided = is_decided(observations.definition, past)
    reached = max(clock, past[-1].clock) if past else clock
    return Progress(
        clock=clock,
        planned_sample=observations.definition.planned_sample or 0,
        planned_looks=looks,
        next_look=None if decided else next((share for share in looks if not _reached(reached, share)), None),
        look_due=due_look(observations, past).now,
        looks=past[-1].look if past else 0,
        decided=decided,
    )


def is_decided(definition: Definition, past: Sequence[Look]) -> bool:
    """Whether an arm ships, or every arm of the definition has a final verdict.

    A later phase may have dropped an arm that was undecided, and may have brought one that no look has seen.
    """
    latest = {one.arm: Finding[one.document["finding"]] for one in past if one.document.get("finding")}
    known = [latest.get(arm, Finding.OPEN) for arm in definition.treatments]
    return Finding.GAIN in latest.values() or all(finding.is_final for finding in known)


def _out_of_time(observations: Observations) -> bool:
    longest, first = observations.definition.plan.longest_duration, observations.first_exposure
    return longest is not None and first is not None and observations.as_of - first >= timedelta(microseconds=longest)


def _count_reached(clock: float, looks: Sequence[float]) -> int:
    return sum(_reached(clock, share) for share in looks)


def _reached(clock: float, share: float) -> bool:
    return clock >= share - TOLERANCE
