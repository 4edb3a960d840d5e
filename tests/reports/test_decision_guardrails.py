"""Guardrails in the decision without planned looks: non-inferiority, harm alarms, their part of the error."""

from __future__ import annotations

import pytest
from offerlift.reports import scorecard
from offerlift.reports.estimates import guardrail_result
from offerlift.reports.tree import LiftRow, Scorecard

DAY = 86_400_000_000


def decided(card: Scorecard) -> tuple[str, str | None]:
    return card.decision.action, card.decision.arm


def verdicts(card: Scorecard) -> dict[str, str | None]:
    return {arm.arm: arm.verdict for arm in card.arms}


def test_guardrails_that_hold_let_it_ship(observed, control, winner):
    """The primary crosses, the guardrail's 95 % lift interval is above minus its margin: ship."""
    card = scorecard(observed({"control": control, "b": winner}, guardrails=("margin_per_visitor",)))
    assert decided(card) == ("ship", "b")
    assert "margin per visitor stays within the margin" in card.decision.reason


def test_a_failed_guardrail_is_rolled_back(observed, sample, control):
    """Revenue crosses upward, margin is surely more than 5 % worse (but short of the harm alarm): rolled back."""
    card = scorecard(
        observed({"control": control, "b": sample(20_000, 1_300, margin=0.26)}, guardrails=("margin_per_visitor",))
    )
    guardrail = card.metric("margin_per_visitor").comparison("b")
    assert guardrail.guardrail is not None
    assert (guardrail.guardrail.result, guardrail.anytime.p_value > 0.01) == ("failed", True)
    assert decided(card) == ("stop_harm", "b")
    assert "worse than the margin allows" in card.decision.reason


def test_an_inconclusive_guardrail_needs_people(observed, sample, control):
    """Revenue crosses upward, margin may or may not be 5 % worse: review."""
    card = scorecard(
        observed({"control": control, "b": sample(20_000, 1_300, margin=0.31)}, guardrails=("margin_per_visitor",))
    )
    assert decided(card) == ("review", "b")
    assert "neither surely within the margin nor surely beyond it" in card.decision.reason


def test_a_guardrail_alarm_stops_before_the_primary_crosses(observed, sample, control):
    """A guardrail surely worse at .01 over arms and guardrails stops an arm whose primary is undecided."""
    card = scorecard(
        observed({"control": control, "b": sample(20_000, 1_020, margin=0.2)}, guardrails=("margin_per_visitor",))
    )
    assert decided(card) == ("stop_harm", "b")
    assert "harm alarm" in card.decision.reason


def test_a_guardrail_that_gains_raises_no_alarm(observed, sample, control):
    """The harm alarm looks at the harmful direction only, mirrored where less is better."""
    seen = {"control": sample(20_000, 1_000, unsubscribed=600), "b": sample(20_000, 1_020, unsubscribed=300)}
    assert decided(scorecard(observed(seen, guardrails=("unsubscribe_rate",)))) == ("collecting", None)
    seen["b"] = sample(20_000, 1_020, unsubscribed=1_000)
    assert decided(scorecard(observed(seen, guardrails=("unsubscribe_rate",)))) == ("stop_harm", "b")


@pytest.fixture
def surely_less(sample):
    """Revenue up by 4 %, margin down by 1.2 %: proven at 95 %, inside its 5 %, and short of the harm alarm's 99 %."""
    return {"control": sample(2_000_000, 100_000), "b": sample(2_000_000, 104_000, margin=0.4 * 0.988 / 1.04)}


def test_a_loss_inside_the_declared_margin_ships_and_is_said(observed, surely_less):
    """By the one rule: its owner declared what may be lost, no alarm is raised; the reason says that profit fell."""
    card = scorecard(observed(surely_less, guardrails=("margin_per_visitor",)))
    guardrail = card.metric("margin_per_visitor").comparison("b")
    assert guardrail.difference.high < 0
    assert (guardrail.guardrail.result, guardrail.anytime.p_value > 0.01) == ("passed", True)
    assert decided(card) == ("ship", "b")
    assert "Margin per visitor fell all the same, −1.2% (fixed-sample 95% interval −2" in card.decision.reason
    assert "a loss within the 5% that the plan accepts" in card.decision.reason


def test_profit_that_fell_for_certain_never_ships(observed, sample):
    """Twice that loss raises the harm alarm, whatever the margin: rolled back, and the reason has both sides of it."""
    arms = {"control": sample(2_000_000, 100_000), "b": sample(2_000_000, 104_000, margin=0.4 * 0.976 / 1.04)}
    card = scorecard(observed(arms, guardrails=("margin_per_visitor",)))
    assert card.metric("margin_per_visitor").comparison("b").guardrail.result == "passed"
    assert decided(card) == ("stop_harm", "b")
    assert "Roll back “b”: the guardrail margin per visitor is" in card.decision.reason
    assert "It sells more and earns less: conversion +4.00%, but margin per visitor −2.4%" in card.decision.reason


def test_profit_that_nobody_guards_is_said(observed, surely_less, control, winner):
    """A plan on revenue without a guardrail on margin ships, with the fall in its reason; without a fall, no word."""
    reason = scorecard(observed(surely_less)).decision.reason
    assert "Margin per visitor fell all the same, −1.2%" in reason
    assert "which the plan does not guard" in reason
    held = scorecard(observed({"control": control, "b": winner}, guardrails=("margin_per_visitor",)))
    assert "all the same" not in held.decision.reason


def test_a_rise_inside_the_margin_is_said_where_less_is_better(observed, sample):
    """Unsubscribes up by an eighth, of which a quarter is accepted."""
    arms = {"control": sample(20_000, 1_000, unsubscribed=1_300), "b": sample(20_000, 1_300, unsubscribed=1_412)}
    card = scorecard(observed(arms, guardrails=("unsubscribe_rate",)))
    assert decided(card) == ("ship", "b")
    assert "Unsubscribe rate rose all the same, +8.6%" in card.decision.reason
    assert "a loss within the 25% that the plan accepts" in card.decision.reason


@pytest.mark.parametrize(
    ("low", "high", "direction", "result"),
    [
        (-0.04, 0.10, "increase", "passed"),
        (-0.06, 0.10, "increase", "inconclusive"),
        (-0.20, -0.06, "increase", "failed"),
        (-0.10, 0.04, "decrease", "passed"),
        (-0.10, 0.06, "decrease", "inconclusive"),
        (0.06, 0.20, "decrease", "failed"),
    ],
)
def test_non_inferiority(low, high, direction, result):
    """A guardrail passes with the whole interval inside its margin, fails with the whole of it outside."""
    assert guardrail_result(LiftRow("bounded", 0.0, low, high), 0.05, direction) == result


@pytest.mark.parametrize("kind", ["unbounded", "complement", "undefined"])
def test_non_inferiority_needs_a_bounded_lift(kind):
    """A lift that the data cannot bound neither passes nor fails."""
    assert guardrail_result(LiftRow(kind, 0.5, 0.4, None), 0.05, "increase") == "inconclusive"


def test_guardrails_take_a_fifth_of_the_error_rate(observed, sample, control):
    """A p-value between .04 and .05 ships alone, and with a guardrail does not; the reason names the bar."""
    seen = {"control": control, "b": sample(20_000, 1_171)}
    alone = scorecard(observed(seen))
    assert 0.04 < alone.metric("revenue_per_visitor").comparison("b").anytime.p_value < 0.05
    assert decided(alone) == ("ship", "b")
    guarded = scorecard(observed(seen, guardrails=("unsubscribe_rate",)))
    assert decided(guarded) == ("collecting", None)
    assert "has not reached the bar of p < .040" in guarded.decision.reason


def test_a_dropped_arm_is_named_with_its_guardrail(observed, sample, control):
    """An arm stopped by a harm alarm beside an undecided one: the decision says which guardrail, and by how much."""
    quiet, loud = sample(20_000, 1_000, unsubscribed=150), sample(20_000, 1_200, unsubscribed=325)
    card = scorecard(observed({"control": quiet, "b": loud, "c": quiet}, guardrails=("unsubscribe_rate",)))
    assert verdicts(card) == {"control": None, "b": "stop_harm", "c": "collecting"}
    assert "“b” does harm and is dropped (unsubscribe rate +117%)." in card.decision.reason


def test_a_reviewed_arm_is_named_with_its_guardrail(observed, sample, control, winner):
    """An arm under review beside one that ships: the decision says which guardrail is inconclusive."""
    arms = {"control": control, "b": sample(20_000, 1_400, margin=0.29), "c": winner}
    card = scorecard(observed(arms, guardrails=("margin_per_visitor",)))
    assert "“b” needs people to look (margin per visitor +1.5%, inconclusive)." in card.decision.reason


def test_guardrails_are_judged_at_the_end_too(observed, sample, control):
    """Undecided primary, guardrail failed short of the alarm: harm at the end, undecided before it."""
    arms = {"control": control, "b": sample(20_000, 1_020, margin=0.33), "c": control}
    given = {"guardrails": ("margin_per_visitor",), "longest_duration": 20 * DAY}
    early = scorecard(observed(arms, days=19, **given))
    assert early.metric("margin_per_visitor").comparison("b").guardrail.result == "failed"
    assert verdicts(early) == {"control": None, "b": "collecting", "c": "collecting"}
    end = scorecard(observed(arms, days=20, **given))
    assert verdicts(end) == {"control": None, "b": "stop_harm", "c": "stop_no_effect"}
    assert "“b” does harm and is dropped (margin per visitor −15.8%)" in end.decision.reason
    reason = next(arm.verdict_reason for arm in end.arms if arm.arm == "b")
    assert "worse than the margin allows, and the longest planned duration has passed without an effect" in reason


def test_the_harm_budget_is_split_over_the_arms(observed, sample, control):
    """A guardrail's p between .005 and .01 raises the alarm against one arm, and not where two arms share the .01."""
    harmed = sample(20_000, 1_020, margin=0.322)
    given = {"guardrails": ("margin_per_visitor",)}
    alone = scorecard(observed({"control": control, "b": harmed}, **given))
    assert 0.005 < alone.metric("margin_per_visitor").comparison("b").anytime.p_value < 0.01
    assert verdicts(alone)["b"] == "stop_harm"
    assert verdicts(scorecard(observed({"control": control, "b": harmed, "c": control}, **given)))["b"] == "collecting"
