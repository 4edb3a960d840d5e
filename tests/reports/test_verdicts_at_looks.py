"""Verdicts at planned looks: guardrails and alarms, several arms, and that a verdict stays."""

from __future__ import annotations

from dataclasses import replace

from offerlift.reports import scorecard
from offerlift.storage.observations import ArmCounts

MARGIN = ("margin_per_visitor",)


def verdicts(card):
    return {arm.arm: arm.verdict for arm in card.arms if arm.verdict}


def revenue(card, arm="b"):
    return card.metric("revenue_per_visitor").comparison(arm)


def test_guardrails_are_judged_when_the_primary_crosses(planned, review, sample):
    """Revenue crosses half-way; margin within 5 % ships, surely beyond is harm, neither is for people."""
    for margin, action in ((0.4, "ship"), (0.31, "review"), (0.235, "stop_harm")):
        other = type(review)([])
        card = other(planned(10_000, samples={"b": sample(10_000, 700, margin=margin)}, guardrails=MARGIN))
        assert revenue(card).sequential.crossed
        assert card.decision.action == action, margin
        assert not card.metric("margin_per_visitor").comparison("b").sequential.crossed


def test_a_guardrail_is_judged_once(planned, review, sample):
    """What was inconclusive when the primary crossed stays so, in the verdict and in the row, whatever comes later."""
    at = review(planned(10_000, samples={"b": sample(10_000, 700, margin=0.31)}, guardrails=MARGIN))
    later = review(planned(20_000, samples={"b": sample(20_000, 1_400, margin=0.4)}, guardrails=MARGIN))
    for card in (at, later):
        assert verdicts(card) == {"b": "review"}
        assert card.metric("margin_per_visitor").comparison("b").guardrail.result == "inconclusive"
    assert review.reason == "Everything is decided: what comes later is overrun and is not looked at."


def test_guardrails_are_judged_at_the_end_where_nothing_crossed(planned, review, sample):
    """Failed short of the alarm is collecting before the end and harm at it; inconclusive is no effect."""
    settings = {"others": (0.05, 0.05), "guardrails": MARGIN, "sample_size": 8_000}
    early = review(planned(1_000, samples={"b": sample(1_000, 60, margin=0.17)}, **settings))
    assert early.metric("margin_per_visitor").comparison("b").guardrail.result == "failed"
    assert set(verdicts(early).values()) == {"collecting"}
    short = sample(2_000, 100, margin=0.26)
    card = review(planned(2_000, samples={"b": short}, **settings))
    row = card.metric("margin_per_visitor").comparison("b")
    assert (row.guardrail.result, row.sequential.crossed) == ("failed", False)
    assert verdicts(card) == {"b": "stop_harm", "c": "stop_no_effect", "d": "stop_no_effect"}
    reason = next(arm.verdict_reason for arm in card.arms if arm.arm == "b")
    assert "and the planned sample is reached without an effect shown" in reason
    assert {one.comparison(arm).guardrail.result for one in card.metrics[1:2] for arm in "cd"} == {"inconclusive"}


def test_a_harm_alarm_stops_before_the_primary_crosses(planned, review, sample):
    """A guardrail beyond the boundary of its alarm, on the harmful side, stops the arm at that look."""
    quiet, loud = sample(10_000, 500, unsubscribed=100), sample(10_000, 500, unsubscribed=170)
    card = review(planned(10_000, samples={"control": quiet, "b": loud}, guardrails=("unsubscribe_rate",)))
    assert verdicts(card) == {"b": "stop_harm"}
    assert card.metric("unsubscribe_rate").comparison("b").sequential.crossed
    assert "the guardrail unsubscribe rate is" in card.decision.reason
    other = type(review)([])
    card = other(planned(10_000, samples={"control": loud, "b": quiet}, guardrails=("unsubscribe_rate",)))
    row = card.metric("unsubscribe_rate").comparison("b").sequential
    assert (verdicts(card), row.crossed) == ({"b": "collecting"}, False)
    assert abs(other.rows("unsubscribe_rate")[0].z) > row.boundary


def test_a_harmed_arm_is_dropped_and_the_rest_go_on(planned, review):
    """The dropped arm keeps the look at which it was; the other arm has the looks that follow, and ships."""
    card = review(planned(10_000, 0.036, others=(0.051,)))
    assert verdicts(card) == {"b": "stop_harm", "c": "collecting"}
    assert card.decision.action == "collecting"
    card = review(planned(15_000, 0.05, others=(0.061,)))
    assert verdicts(card) == {"b": "stop_harm", "c": "ship"}
    assert (revenue(card, "b").sequential.look, revenue(card, "c").sequential.look) == (1, 2)
    assert [one.look for one in review.rows(arm="b")] == [1]
    assert (card.decision.action, card.decision.arm) == ("ship", "c")
    assert "“b” does harm and is dropped (revenue per visitor −28%)" in card.decision.reason


def test_of_several_gains_the_largest_ships(planned, review):
    """Two arms cross at one look: both verdicts are ship, the decision names the larger."""
    card = review(planned(10_000, 0.067, others=(0.071,)))
    assert verdicts(card) == {"b": "ship", "c": "ship"}
    assert (card.decision.action, card.decision.arm) == ("ship", "c")
    assert "“b” also gains" in card.decision.reason


def test_after_a_gain_there_are_no_more_looks(planned, review):
    """An arm that ships ends the experiment; the undecided one is not looked at again, however well it does."""
    card = review(planned(10_000, 0.067, others=(0.052,)))
    assert verdicts(card) == {"b": "ship", "c": "collecting"}
    assert card.progress.decided
    later = review(planned(20_000, 0.05, others=(0.09,)), reveal=True)
    assert (later.decision.action, later.decision.arm) == ("ship", "b")
    assert {one.look for one in review.looks} == {1}


def test_a_verdict_stays(planned, review):
    """A gain that later data undo is still what was decided, and the page says that what came later is not used."""
    review(planned(10_000, 0.063))
    card = review(planned(20_000, 0.05))
    assert revenue(card).difference.estimate == 0
    assert (card.decision.action, card.decision.arm) == ("ship", "b")
    assert card.decision.reason.endswith("What came later does not change it.")


def test_only_health_suspends_a_verdict(planned, review, sample):
    """With a wrong split the verdict is not shown; when the split is right again, it is the one that it was."""
    shipped = review(planned(10_000, 0.063))
    wrong = review(planned(12_000, samples={"b": sample(9_000, 500)}))
    assert (wrong.decision.action, verdicts(wrong)) == ("do_not_read", {"b": "do_not_read"})
    again = review(planned(12_000, 0.055))
    assert verdicts(again) == verdicts(shipped) == {"b": "ship"}


def test_a_suspected_split_holds_back_shipping_only(planned, review):
    """Fixed SRM below .001 that the sequential test does not confirm: a gain is for people, a loss is harm."""
    for rate, action in ((0.07, "review"), (0.03, "stop_harm")):
        seen = planned(10_000, rate)
        arms = {"control": seen.arms["control"], "b": ArmCounts(10_480, 0, {"purchase": 600})}
        card = type(review)([])(replace(seen, arms=arms))
        checks = {check.check: check.status for check in card.health}
        assert (checks["srm"], checks["srm_sequential"]) == ("warn", "ok")
        assert card.decision.action == action


def test_skewed_and_unequal_arms_need_people(planned, review, sample):
    """κ above its limit in arms of planned unequal size: a crossing is a review, both ways, and stays one."""
    third = {"samples": {"b": sample(5_000, 400, third=4e12)}, "weights": (2, 1), "sample_size": 20_000}
    card = review(planned(10_000, **third))
    assert abs(revenue(card).skew) > 0.06
    assert verdicts(card) == {"b": "review"}
    assert "skewed" in card.decision.reason


def test_less_can_be_better(planned, review, sample):
    """Where a decrease is wanted, crossing below ships and crossing above is harm."""
    few, many = sample(10_000, 500, unsubscribed=150), sample(10_000, 500, unsubscribed=250)
    given = {"primary": "unsubscribe_rate"}
    for control, treatment, action in ((many, few, "ship"), (few, many, "stop_harm")):
        card = type(review)([])(planned(10_000, samples={"control": control, "b": treatment}, **given))
        assert verdicts(card) == {"b": action}
        row = card.metric("unsubscribe_rate").comparison("b").sequential
        assert row.crossed


def test_the_adjusted_row_decides_where_the_plan_says_so(planned, review, sample):
    """The repeated interval is of the CUPED-adjusted difference, on both scales."""
    arms = {"control": sample(10_000, 500, past=0.7), "b": sample(10_000, 590, past=0.7)}
    plain = type(review)([])(planned(10_000, samples=arms, covariate=True))
    card = review(planned(10_000, samples=arms, covariate=True, adjusted=True))
    assert (verdicts(plain), verdicts(card)) == ({"b": "collecting"}, {"b": "ship"})
    row, adjusted = revenue(card).sequential, revenue(card).adjusted
    assert row.raw_estimate == adjusted.difference.estimate
    assert row.low > 0
    assert row.lift.low > 0
    assert revenue(plain).sequential.lift.low < 0


def test_without_planned_looks_a_verdict_is_recorded_and_stays(observed, sample, review):
    """The always-valid interval ships at any time; recorded by a review, the verdict outlives data that undo it."""
    control = sample(20_000, 1_000)
    card = review(observed({"control": control, "b": control}))
    assert (card.decision.action, review.looks) == ("collecting", [])
    assert review.reason.startswith("No looks are planned")
    shipped = review(observed({"control": control, "b": sample(20_000, 1_300)}))
    assert shipped.decision.action == "ship"
    assert [(one.arm, one.verdict, one.planned, one.alpha_spent) for one in review.looks] == [
        ("b", "ship", False, None)
    ]
    undone = observed({"control": control, "b": sample(20_000, 1_010)})
    later = review(undone)
    assert later.decision.action == "ship"
    assert "(Decided on the data of 4 March 2026, 09:00 UTC.)" in later.decision.reason
    assert revenue(later).sequential is None
    assert scorecard(undone).decision.action == "collecting"


def test_a_table_has_no_looks(observed, sample, review):
    """It is read once: nothing is recorded, and its interval is the one tuned to that look."""
    card = review(
        observed({"control": sample(20_000, 1_000), "b": sample(20_000, 1_300)}, source="table", looks=(1.0,))
    )
    assert (card.decision.action, review.looks) == ("ship", [])
    assert revenue(card).anytime.valid_for == "one look"
