"""The reasons of verdicts and decisions, in sentences that a marketer reads: what was seen, how sure, what is next."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..storage.observations import Observations
from .counts import dropped_arms, mature_counts, visitor_counts
from .format import change, count, half_width, interval, join, label, lift, p_value, quote, setting
from .tree import ComparisonRow, HealthCheck, MetricRow, RandomisationRow, Scorecard
from .verdict import Reading, Verdict

if TYPE_CHECKING:
    pass

SUBJECTS = {
    "srm": "the sample ratio check",
    "srm_sequential": "the sample ratio check",
    "crossovers": "the crossover check",
    "outcomes": "the check of outcome data",
    "currencies": "the check of currencies",
}
SMALLEST_FOR_LIFT = 60
"""Conversions of the control below which sentences leave the lift out: its interval is wide or has no end."""

END_OF_PLAN = "the planned sample is reached"
SRM_SUSPECTED = "the sample ratio test fails, although the sequential check does not (yet)"


def dropped_in_words(observations: Observations) -> tuple[str, ...]:
    """What became of the arms that an earlier phase had and a later one dropped, a sentence each."""
    visitors, mature = visitor_counts(observations), mature_counts(observations)
    phases = {arm: one.phase for one in observations.earlier for arm in one.arms}
    return tuple(
        f"{quote(arm)} was taken out after phase {phases[arm]}: its {count(visitors[arm])} visitors, "
        f"{count(mature[arm])} of them analysed, stay counted in the planned sample and in the checks of that phase."
        for arm in dropped_arms(observations)
    )


def do_not_read(failed: Sequence[HealthCheck]) -> str:
    """A health check fails."""
    names = list(dict.fromkeys(SUBJECTS.get(check.check, label(check.check)) for check in failed))
    return f"Do not read the effects, {join(names)} failed. {failed[-1 if len(names) == 1 else 0].reason}"


def nobody_exposed(observations: Observations) -> str:
    """A draft, or no visitor (yet)."""
    if observations.definition.source == "table":
        return "This table cannot decide: it has no visitors."
    start = " It is a draft: start it first." if observations.state == "draft" else ""
    return f"Nobody was exposed yet.{start}"


def not_computable(reading: Reading, comparison: ComparisonRow) -> str:
    """The primary comparison has no number."""
    why = comparison.reason
    if not why and comparison.judged_by == "adjusted":
        why = comparison.adjusted_reason or "the adjusted row, by which the plan judges it, could not be computed"
    why = why or "its variance is zero"
    where = f"{_metric(reading.primary)} in {quote(comparison.arm)}"
    if _is_table(reading):
        needed = f"A new experiment needs visitors in every arm, and {_metric(reading.primary)} has to vary among them."
        return _sentence(f"This table cannot decide: {where} cannot be compared: {why}") + f" {needed}"
    return _sentence(f"{where} cannot be compared yet: {why}")


def too_early(reading: Reading, comparison: ComparisonRow, conversions: int, needed: int) -> str:
    """Fewer conversions than the interval needs; a table gets no more of them."""
    both = f"{quote(comparison.arm)} and {quote(comparison.reference)} together"
    seen = f"{count(conversions)} conversion{'s' if conversions != 1 else ''} in {both}"
    if _is_table(reading):
        visitors = sum(reading.primary.arm(arm).n for arm in (comparison.arm, comparison.reference))
        rate = f", about {count(-(-visitors * needed // conversions))} visitors at this rate" if conversions else ""
        return (
            f"This table is too small to decide: {seen}, where {count(needed)} are needed. A new experiment needs at "
            f"least these{rate}."
        )
    return f"Too early: {seen}, and {count(needed)} are needed before anything is decided.{_waiting(reading)}"


def too_few_visitors(reading: Reading, arm: str, visitors: int, needed: int) -> str:
    """An arm smaller than the interval needs."""
    seen = f"{count(visitors)} analysed visitor{'s' if visitors != 1 else ''} in {quote(arm)}"
    if _is_table(reading):
        return (
            f"This table is too small to decide: {seen}, where {count(needed)} are needed in each arm. A new "
            f"experiment needs at least these."
        )
    return (
        f"Too early: {seen}, and {count(needed)} are needed in each arm before anything is decided.{_waiting(reading)}"
    )


def too_early_at_the_end(reading: Reading, early: str) -> str:
    """The planned end came with too little to decide by."""
    return f"No effect was shown, and {reading.ended}. {early}"


def harm_alarm(reading: Reading, guardrail: MetricRow, comparison: ComparisonRow) -> str:
    """A guardrail is surely worse."""
    harmed = guardrail.comparison(comparison.arm)
    said = f"Roll back {quote(comparison.arm)}: the guardrail {_effect(guardrail, harmed, reading)}."
    if harmed.sequential is not None:
        return f"{said} That interval is as wide as the harm alarm wants it, and leaves no difference out."
    bar = p_value(reading.budget.alarm)
    return f"{said} The harm alarm needs p < {bar} and has p {_p(harmed.anytime.p_value)}."


def primary_harm(reading: Reading, comparison: ComparisonRow) -> str:
    """The primary crossed against the desired direction."""
    return f"Roll back {quote(comparison.arm)}: {_effect(reading.primary, comparison, reading)}."


def ship(reading: Reading, comparison: ComparisonRow) -> str:
    """The primary crossed in the desired direction and every guardrail passed."""
    names = [_metric(row) for row in reading.guardrails]
    holds = f", and {join(names)} {'stay' if len(names) > 1 else 'stays'} within the margin" if names else ""
    return f"Ship {quote(comparison.arm)}: {_effect(reading.primary, comparison, reading)}{holds}."


def guardrail_failed(reading: Reading, comparison: ComparisonRow, failed: Sequence[MetricRow]) -> str:
    """The primary crossed upward, a guardrail is worse than its margin."""
    return (
        f"Roll back {quote(comparison.arm)}: {_effect(reading.primary, comparison, reading)}, but "
        f"{_guardrails(failed, comparison)} worse than the margin allows."
    )


def guardrail_failed_at_the_end(reading: Reading, comparison: ComparisonRow, failed: Sequence[MetricRow]) -> str:
    """The primary shows nothing at the end, a guardrail is worse than its margin."""
    seen = _effect(reading.primary, comparison, reading) + _bar(reading, comparison)
    return (
        f"Roll back {quote(comparison.arm)}: {_guardrails(failed, comparison)} worse than the margin allows, and "
        f"{reading.ended} without an effect shown: {seen}.{_why_wider(reading, comparison)}"
    )


def guardrail_inconclusive(reading: Reading, comparison: ComparisonRow, undecided: Sequence[MetricRow]) -> str:
    """The primary crossed upward, a guardrail neither passed nor failed."""
    return (
        f"People have to decide on {quote(comparison.arm)}: {_effect(reading.primary, comparison, reading)}, but "
        f"{_guardrails(undecided, comparison)} neither surely within the margin nor surely beyond it."
    )


def review_of_gain(reading: Reading, comparison: ComparisonRow, doubt: str) -> str:
    """The primary crossed upward, under a doubt."""
    seen = _effect(reading.primary, comparison, reading)
    return f"People have to look before {quote(comparison.arm)} ships: {seen}, but {doubt}."


def review_of_harm(reading: Reading, comparison: ComparisonRow, doubt: str) -> str:
    """The primary crossed downward, under a doubt."""
    return (
        f"People have to look before {quote(comparison.arm)} is rolled back: "
        f"{_effect(reading.primary, comparison, reading)}, but {doubt}."
    )


def skewed(kappa: float, limit: float, randomisation: RandomisationRow | None) -> str:
    """Skewed values in arms of different size, and the test that needs no normality."""
    test = ""
    if randomisation is not None:
        test = f"; the randomisation test, which needs no normality, gives p {_p(randomisation.p_value)}"
    return (
        f"the values are so skewed in arms of unequal size (κ = {kappa:.2f}, limit {limit:.2f}) that one end of the "
        f"interval is too short{test}"
    )


def few_orders(orders: int, needed: int) -> str:
    """Too few orders in an uneven split."""
    return (
        f"the split is uneven and the smaller side has {count(orders)} orders, where the interval needs {count(needed)}"
    )


def no_worthwhile_effect(reading: Reading, comparison: ComparisonRow) -> str:
    """The interval that decides lies inside the smallest effect worth having."""
    smallest = reading.observations.definition.plan.minimum_detectable_effect
    seen = _effect(reading.primary, comparison, reading, name_arm=True)
    return (
        f"Stop, there is no effect worth having: {seen}, wholly inside "
        f"±{setting(smallest or 0.0)} of {quote(comparison.reference)}, the smallest effect that the plan looks for."
    )


def cause(rows: Sequence[MetricRow], arm: str, note: str = "") -> str:
    """The metrics behind a verdict with their lift ("unsubscribe rate +117%"), or difference."""
    said = []
    for row in rows:
        comparison = row.comparison(arm)
        judged = comparison.adjusted if comparison.judged_by == "adjusted" and comparison.adjusted else comparison
        relative, difference = judged.lift, judged.difference
        if relative.kind == "bounded" and relative.estimate is not None:
            size = f" {lift(relative.estimate, half_width(relative.low, relative.high))}"
        elif difference.estimate is not None:
            size = f" {change(difference.estimate, row.unit, half_width(difference.low, difference.high))}"
        else:
            size = ""
        said.append(f"{_metric(row)}{size}{f', {note}' if note else ''}")
    return join(said)


def ended_without_crossing(reading: Reading, comparison: ComparisonRow) -> str:
    """The planned end came first."""
    low, high = deciding_interval(reading, comparison)
    half, unit = half_width(low, high), reading.primary.unit
    excluded = ""
    if low is not None and high is not None and low < 0 < high:
        excluded = (
            f" A loss of more than {change(-low, unit, half).lstrip('+')} or a gain of more than "
            f"{change(high, unit, half).lstrip('+')} is ruled out, a smaller one is not."
        )
    seen = _effect(reading.primary, comparison, reading, name_arm=True) + _bar(reading, comparison)
    excluded = excluded if reading.primary.desired_change == "increase" else _mirrored(excluded)
    return f"No effect was shown, and {reading.ended}: {seen}.{excluded}{_why_wider(reading, comparison)}"


def collecting(reading: Reading, comparison: ComparisonRow) -> str:
    """Nothing is decided."""
    seen = _effect(reading.primary, comparison, reading, name_arm=True) + _bar(reading, comparison)
    following = "" if reading.look is None else _next_look(reading)
    why = _why_wider(reading, comparison)
    return f"Keep collecting: {seen}, so nothing is decided.{following}{why}{_waiting(reading)}"


def with_others(reason: str, others: Sequence[Verdict]) -> str:
    """The chosen arm's reason, and in short what became of the others."""
    return f"{reason} {_others(others)}" if others else reason


def overall_collecting(waiting: Sequence[Verdict], verdicts: Mapping[str, Verdict]) -> str:
    """Some arm goes on."""
    others = [verdict for verdict in verdicts.values() if verdict.action != "collecting"]
    if len(waiting) == 1:
        return with_others(waiting[0].reason, others)
    first = max(waiting, key=lambda verdict: float("-inf") if verdict.sureness is None else verdict.sureness)
    still = f"{join([quote(verdict.arm) for verdict in waiting])} are undecided."
    return " ".join([first.reason, still, *([_others(others)] if others else [])])


def overall_harm(worst: Verdict, harmed: Sequence[Verdict]) -> str:
    """Every arm does harm."""
    return worst.reason if len(harmed) == 1 else f"Every arm does harm. The worst: {worst.reason}"


def overall_no_effect(unmoved: Sequence[Verdict], harmed: Sequence[Verdict]) -> str:
    """No arm is worth shipping."""
    reasons = unmoved[0].reason if len(unmoved) == 1 else " ".join(verdict.reason for verdict in unmoved)
    return with_others(reasons, harmed)


_OTHERS = {
    "ship": "also gains",
    "review": "needs people to look",
    "collecting": "is undecided",
    "stop_harm": "does harm and is dropped",
    "stop_no_effect": "shows no effect to act on",
}


def _others(others: Sequence[Verdict]) -> str:
    return join([_other(verdict) for verdict in others]) + "."


def _other(verdict: Verdict) -> str:
    why = f" ({verdict.cause})" if verdict.cause and verdict.action in ("stop_harm", "review") else ""
    return f"{quote(verdict.arm)} {_OTHERS.get(verdict.action, verdict.action)}{why}"


def deciding_interval(reading: Reading, comparison: ComparisonRow) -> tuple[float | None, float | None]:
    """The interval of the difference that decides: at a planned look the repeated one, else the always-valid one."""
    if reading.look is None:
        return comparison.anytime.low, comparison.anytime.high
    row = comparison.sequential
    return (None, None) if row is None else (row.low, row.high)


def _next_look(reading: Reading) -> str:
    """Where the next planned look is."""
    assert reading.look is not None
    definition, clock = reading.observations.definition, reading.look.clock
    following = next((share for share in definition.plan.looks if share > clock + 1e-9), None)
    if following is None:
        return ""
    visitors = count(math.ceil(following * (definition.planned_sample or 0) - 1e-6))
    return f" The next look is at {setting(following)} of the planned sample, {visitors} visitors."


def _effect(metric: MetricRow, comparison: ComparisonRow, reading: Reading, *, name_arm: bool = False) -> str:
    """Such as: revenue per visitor is €0.42 higher than in “control” (+8.1%; always-valid 95% interval a to b).

    At a planned look the interval is the sequential one; its level is what several arms and guardrails leave.
    """
    adjusted = comparison.adjusted if comparison.judged_by == "adjusted" else None
    judged = adjusted.difference if adjusted else comparison.difference
    relative = adjusted.lift if adjusted else comparison.lift
    low, high = deciding_interval(reading, comparison)
    name = "always-valid 95% interval" if reading.look is None else "sequential interval"
    half = half_width(low, high)
    estimate = judged.estimate or 0.0
    row, as_seen = comparison.sequential, ""
    if reading.look is not None and row is not None and row.estimate is not None:
        seen, estimate, relative = change(row.raw_estimate, metric.unit, half), row.estimate, row.lift
        if seen != change(estimate, metric.unit, half):
            as_seen = f"as seen {seen}{', which crossing at this look flatters' if row.crossed else ''}; "
    size = change(abs(estimate), metric.unit, half).lstrip("+")
    direction = "higher" if estimate > 0 else "lower" if estimate < 0 else "higher or lower"
    where = f" in {quote(comparison.arm)}" if name_arm else ""
    kept = "" if adjusted is None else f", adjusted for {label(adjusted.covariate)},"
    lifted = ""
    if metric is reading.primary and _too_early_for_a_lift(reading, comparison):
        lifted = "too early for a lift; "
    elif relative.kind == "bounded" and relative.estimate is not None:
        lifted = f"{lift(relative.estimate, half_width(relative.low, relative.high))}; "
    return (
        f"{_metric(metric)}{kept}{where} is {size} {direction} than in {quote(comparison.reference)} "
        f"({lifted}{as_seen}{name} {interval(low, high, metric.unit)})"
    )


def _bar(reading: Reading, comparison: ComparisonRow) -> str:
    """What an interval that leaves zero out still lacks, where several arms or guardrails raise the bar."""
    (low, high), p = deciding_interval(reading, comparison), comparison.anytime.p_value
    if low is None or high is None or p is None or low <= 0 <= high:
        return ", which includes no difference"
    return f", and with p {_p(p)} it has not reached the bar of p < {p_value(reading.budget.comparison)}"


def _why_wider(reading: Reading, comparison: ComparisonRow) -> str:
    """Why the interval that decides is the wider one, said where the two disagree about zero."""
    adjusted = comparison.adjusted if comparison.judged_by == "adjusted" else None
    fixed = (adjusted or comparison).difference
    low, high = deciding_interval(reading, comparison)
    if low is None or high is None or fixed.low is None or fixed.high is None:
        return ""
    if not low <= 0 <= high or fixed.low <= 0 <= fixed.high:
        return ""
    return (
        f" The fixed-sample interval leaves no difference out (p {_p(fixed.p_value)}), but it does not decide: "
        f"{why_wider(is_table=_is_table(reading), has_looks=reading.look is not None)}"
    )


def decides(card: Scorecard) -> str:
    """Which interval decides, and why not the narrower one."""
    planned = card.progress is not None
    name = "sequential interval" if planned else "always-valid interval"
    why = why_wider(is_table=card.source == "table", has_looks=planned)
    of_then = " It and the differences beside it are of the last look." if planned else ""
    return f"The {name} decides, the fixed-sample one does not: {why}{of_then}"


def why_wider(*, is_table: bool, has_looks: bool = False) -> str:
    """Why the interval that decides is wider than the fixed-sample one."""
    if has_looks:
        return (
            "it is right only for one look, planned before the data came. The sequential one is right at all planned "
            "looks together; it is wider for that reason, the more so the earlier the look."
        )
    if is_table:
        return (
            "it is right only if this one look was planned before the data came, which a table cannot show. The "
            "always-valid one does not assume that; it is wider for that reason, and tuned to this one look."
        )
    return (
        "it is right only for one look, planned before the data came. The always-valid one may be looked at any day; "
        "it is wider for that reason."
    )


def _too_early_for_a_lift(reading: Reading, comparison: ComparisonRow) -> bool:
    return reading.conversions is not None and reading.conversions[comparison.reference] < SMALLEST_FOR_LIFT


def _is_table(reading: Reading) -> bool:
    return reading.observations.definition.source == "table"


def _guardrails(rows: Sequence[MetricRow], comparison: ComparisonRow) -> str:
    said = []
    for row in rows:
        seen = row.comparison(comparison.arm).lift
        margin = row.definition.non_inferiority_margin
        against = "no margin" if margin is None else f"margin {setting(margin)}"
        said.append(f"{_metric(row)} (lift {interval(seen.low, seen.high, 'lift')}, {against})")
    return f"{join(said)} {'is' if len(said) == 1 else 'are'}"


def _waiting(reading: Reading) -> str:
    return still_waiting(reading.observations)


def still_waiting(observations: Observations) -> str:
    """How many visitors' windows have not passed."""
    waiting = sum(visitor_counts(observations).values()) - sum(mature_counts(observations).values())
    if waiting <= 0:
        return ""
    return f" {count(waiting)} more visitor{'s are' if waiting > 1 else ' is'} waiting for the window to pass."


def _metric(metric: MetricRow) -> str:
    return label(metric.metric)


def _p(p: float | None) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def _mirrored(text: str) -> str:
    """Where less is better, a fall is the gain."""
    return text.replace("A loss of", "A fall of").replace("a gain of", "a rise of")


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith(".") else text + "."
