"""What would change a verdict, and what to keep in mind about the data, in sentences for the meeting."""

from __future__ import annotations

import math
from collections.abc import Iterator

from . import format as fmt
from .look_sentences import share_reached
from .sentences import SMALLEST_FOR_LIFT
from .tree import ComparisonRow, MetricRow, Scorecard

__all__ = ["caveats", "guardrail_in_words", "what_would_change"]

WEEK_DAYS = 7
STICKY = "What comes later does not change it; only a failing health check would suspend it."


def what_would_change(card: Scorecard) -> str:
    """What would have to be seen for another verdict, or that nothing does."""
    action = card.decision.action
    if action == "do_not_read":
        return (
            "Effects can be read once the cause is mended. Visitors who came in before stay as they are: a new phase "
            "starts with clean ones."
        )
    if card.source == "table":
        return "A table gets no more data: only a new experiment would change it."
    if card.state == "draft":
        return "It has to be started."
    if card.withheld:
        return "The first planned look: before it effects are not read, so that nobody is tempted to stop early."
    if action == "ship" or action == "stop_harm":
        return STICKY
    if action == "stop_no_effect":
        return f"{STICKY} A smaller effect may be there: finding it takes a new experiment with more visitors."
    if action == "review":
        return _review(card)
    return _collecting(card)


def _review(card: Scorecard) -> str:
    """Needs people: which guardrail is not yet excluded, or what is doubtful."""
    arm = card.decision.arm
    open_ones = [
        guardrail_in_words(metric, comparison)
        for metric in card.metrics
        for comparison in metric.comparisons
        if comparison.arm == arm and comparison.guardrail is not None and comparison.guardrail.result == "inconclusive"
    ]
    if open_ones:
        said = fmt.join(open_ones)
        return f"{said[:1].upper()}{said[1:]}. People decide whether that risk is worth the gain; more data may tell."
    return "People who know the data have to say whether the doubt above matters; then `offerlift decide` records it."


def _collecting(card: Scorecard) -> str:
    """What an arm still lacks."""
    metric = card.metric(card.primary)
    when = "On any day" if card.progress is None else "At a look"
    smallest = card.definition.plan.minimum_detectable_effect
    better = "above" if metric.desired_change == "increase" else "below"
    said = (
        f"{when}, an arm ships once its interval of {fmt.label(metric.metric)} lies wholly {better} no effect "
        f"and every guardrail is within its margin; it stops once the interval lies on the other side"
    )
    if smallest is not None:
        said += f", or wholly within ±{fmt.setting(smallest)}"
    return f"{said}."


def guardrail_in_words(metric: MetricRow, comparison: ComparisonRow) -> str:
    """What is known of a guardrail: within its margin, beyond it, or a loss that is not yet excluded."""
    row, lift = comparison.guardrail, comparison.lift
    assert row is not None
    name = f"{fmt.label(metric.metric)} in {fmt.quote(comparison.arm)}"
    if row.result is None:
        return f"{name}: withheld until the first look"
    if row.margin is None:
        return f"{name} has no margin to be held against"
    worst = lift.low if metric.desired_change == "increase" else lift.high
    known = lift.kind == "bounded" and worst is not None
    against = f"the margin of {fmt.setting(row.margin)}"
    end = "" if not known else f": it may be {fmt.lift(worst, fmt.half_width(lift.low, lift.high))}"
    change = "loss" if metric.desired_change == "increase" else "rise"
    if row.result == "passed":
        return f"{name}: a {change} beyond {against} is excluded"
    if row.result == "failed":
        return f"{name} is worse than {against} allows"
    return f"{name}: a {change} beyond {against} is not yet excluded{end}"


def caveats(card: Scorecard) -> list[str]:
    """What the data shows that a reader has to keep in mind, a sentence each; nothing of effects while withheld."""
    found = [f"{one.reason}" for one in card.health if one.status == "warn"]
    found += card.notes
    if not card.withheld and card.healthy:
        found += _of_effects(card)
    found += _of_time(card)
    return found


def _of_effects(card: Scorecard) -> Iterator[str]:
    metric = card.metric(card.primary)
    early = [one.arm for one in metric.comparisons if one.status == "ok" and _is_early(one)]
    if early:
        yield (
            f"Too early for a lift of {fmt.join([fmt.quote(arm) for arm in early])}: below about {SMALLEST_FOR_LIFT} "
            f"conversions in an arm its interval has no end. Read the difference instead."
        )
    for one in metric.comparisons:
        row = one.sequential
        if row is not None and row.crossed and row.estimate != row.raw_estimate:
            yield (
                f"Stopping {fmt.quote(one.arm)} at look {row.look} flatters what was seen: the estimate is the "
                f"median-unbiased one, and the raw one is larger."
            )
        if one.randomisation_reason:
            yield one.randomisation_reason
    if len(metric.comparisons) > 1:
        yield (
            f"{len(metric.comparisons)} arms are compared: the best of several looks better than it is, and the "
            f"intervals that decide are the wider for it."
        )


def _is_early(one: ComparisonRow) -> bool:
    return (one.sequential or one.anytime).lift.kind != "bounded"


def _of_time(card: Scorecard) -> Iterator[str]:
    if card.first_exposure is None or card.last_exposure is None or card.source == "table":
        return
    days = math.ceil((card.last_exposure - card.first_exposure).total_seconds() / 86_400)
    if days < WEEK_DAYS:
        came = f"{days} day{'' if days == 1 else 's'}"
        yield f"Visitors came for {came}: no whole week, and weekends may be unlike other days."
    elif days % WEEK_DAYS in (2, 3, 4, 5):
        yield f"Visitors came for {days} days, which are no whole weeks: some days of the week count more than others."
    waiting = sum(arm.waiting for arm in card.arms)
    if waiting:
        who = "1 visitor waits" if waiting == 1 else f"{fmt.count(waiting)} visitors wait"
        yield f"{who} for the window to pass, and will count later."
    progress = card.progress
    if progress is not None and progress.decided and progress.clock < 1:
        yield f"It was decided at {share_reached(progress.clock)} of the planned sample."
