"""Several arms in the decision without planned looks: the bar they raise, and what becomes of the others."""

from __future__ import annotations

from offerlift.reports import scorecard
from offerlift.reports.tree import Scorecard


def decided(card: Scorecard) -> tuple[str, str | None]:
    return card.decision.action, card.decision.arm


def verdicts(card: Scorecard) -> dict[str, str | None]:
    return {arm.arm: arm.verdict for arm in card.arms}


def test_several_arms_raise_the_bar(observed, sample, control):
    """The same gain that ships alone is undecided beside three other arms (Dunnett)."""
    gain = sample(20_000, 1_171)
    assert decided(scorecard(observed({"control": control, "b": gain}))) == ("ship", "b")
    several = observed({"control": control, "b": gain, "c": control, "d": control})
    assert decided(scorecard(several)) == ("collecting", None)


def test_of_several_gains_the_largest_ships(observed, sample, control, winner):
    """Two arms cross upward: both verdicts are ship, the decision names the larger and mentions the other."""
    card = scorecard(observed({"control": control, "b": winner, "c": sample(20_000, 1_400)}))
    assert verdicts(card) == {"control": None, "b": "ship", "c": "ship"}
    assert decided(card) == ("ship", "c")
    assert "“b” also gains" in card.decision.reason


def test_a_harmed_arm_is_dropped_and_the_rest_go_on(observed, sample, control, loser):
    """One arm harms, another is undecided: collecting, with the harmed arm named."""
    card = scorecard(observed({"control": control, "b": loser, "c": control}))
    assert verdicts(card) == {"control": None, "b": "stop_harm", "c": "collecting"}
    assert decided(card) == ("collecting", None)
    assert "“b” does harm and is dropped (revenue per visitor −25.0%)" in card.decision.reason


def test_a_gain_outranks_a_review(observed, sample, control, winner):
    """One arm passes its guardrail, another's is inconclusive: the first ships."""
    card = scorecard(
        observed(
            {"control": control, "b": sample(20_000, 1_400, margin=0.29), "c": winner},
            guardrails=("margin_per_visitor",),
        )
    )
    assert verdicts(card) == {"control": None, "b": "review", "c": "ship"}
    assert decided(card) == ("ship", "c")


def test_when_every_arm_harms_the_worst_is_named(observed, sample, control, loser):
    """All arms cross downward: stop_harm, naming the worst."""
    card = scorecard(observed({"control": control, "b": loser, "c": sample(20_000, 600)}))
    assert decided(card) == ("stop_harm", "c")


def test_harm_and_no_effect_together_are_no_effect(observed, sample, control, loser):
    """At the end, one arm harms and one shows nothing: stop without an effect, the harmed one named."""
    card = scorecard(observed({"control": control, "b": loser, "c": control}, source="table"))
    assert verdicts(card) == {"control": None, "b": "stop_harm", "c": "stop_no_effect"}
    assert decided(card) == ("stop_no_effect", None)
    assert "“b” does harm" in card.decision.reason
