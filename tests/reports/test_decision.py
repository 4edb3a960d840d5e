"""The decision rule, branch by branch: what was observed leads to which action, arm and words."""

from __future__ import annotations

import pytest
from offerlift.reports import scorecard
from offerlift.reports.tree import Scorecard

DAY = 86_400_000_000


def decided(card: Scorecard) -> tuple[str, str | None]:
    return card.decision.action, card.decision.arm


def verdicts(card: Scorecard) -> dict[str, str | None]:
    return {arm.arm: arm.verdict for arm in card.arms}


def test_nobody_exposed_yet(observed, sample):
    """Without a visitor the experiment is collecting, and every number is absent."""
    card = scorecard(observed({"control": sample(0, 0), "b": sample(0, 0)}))
    assert decided(card) == ("collecting", None)
    assert "Nobody was exposed yet" in card.decision.reason
    assert card.metric("conversion").comparison("b").difference.estimate is None


def test_a_draft_says_that_it_has_to_be_started(observed, sample):
    """A draft is collecting, with what to do."""
    card = scorecard(observed({"control": sample(0, 0), "b": sample(0, 0)}, state="draft"))
    assert decided(card) == ("collecting", None)
    assert "draft" in card.decision.reason


def test_health_comes_first(observed, sample, control):
    """A split that is wrong blocks even an overwhelming gain, in every arm."""
    card = scorecard(observed({"control": control, "b": sample(18_000, 1_800)}))
    assert decided(card) == ("do_not_read", None)
    assert verdicts(card) == {"control": None, "b": "do_not_read"}
    assert "20,000 and 18,000 visitors where 19,000 each were planned" in card.decision.reason


def test_a_comparison_without_a_number_is_collecting(observed, sample):
    """One visitor in an arm has no variance: collecting, with the estimator's reason."""
    card = scorecard(observed({"control": sample(1, 0, waiting=400), "b": sample(1, 0, waiting=400)}))
    assert decided(card) == ("collecting", None)
    assert "cannot be compared yet" in card.decision.reason


def test_too_early(observed, sample):
    """Below 100 conversions in the comparison nothing is decided, however large the gain; at 100 it is."""
    card = scorecard(observed({"control": sample(2_000, 9), "b": sample(2_000, 90)}))
    assert decided(card) == ("collecting", None)
    assert card.decision.reason.startswith("Too early: 99 conversions")
    card = scorecard(observed({"control": sample(2_000, 9), "b": sample(2_000, 91)}))
    assert decided(card) == ("ship", "b")


def test_conversions_are_counted_for_the_primary_event(observed, sample, changed):
    """Unsubscribes are no conversions of a revenue metric: many of them do not end the burn-in."""
    card = scorecard(
        observed({"control": sample(2_000, 20, unsubscribed=500), "b": sample(2_000, 60, unsubscribed=500)})
    )
    assert card.decision.reason.startswith("Too early: 80 conversions")


def test_without_a_metric_that_counts_there_is_no_burn_in(observed, sample, changed):
    """Where no column counts conversions, the always-valid interval alone decides."""
    seen = observed({"control": sample(2_000, 9), "b": sample(2_000, 90)})
    revenue = tuple(metric for metric in seen.definition.metrics if metric.kind in ("revenue", "margin"))
    assert decided(scorecard(changed(seen, metrics=revenue))) == ("ship", "b")


def test_a_gain_ships(observed, control, winner):
    """The always-valid interval above zero ships the arm and says by how much."""
    card = scorecard(observed({"control": control, "b": winner}))
    assert decided(card) == ("ship", "b")
    assert card.decision.reason.startswith("Ship “b”: revenue per visitor is €0.90 higher than in “control” (+30%; ")
    assert card.metric("revenue_per_visitor").comparison("b").anytime.valid_for == "any look"


def test_a_loss_is_rolled_back(observed, control, loser):
    """The primary crossing downward stops the only arm for harm."""
    card = scorecard(observed({"control": control, "b": loser}))
    assert decided(card) == ("stop_harm", "b")
    assert card.decision.reason.startswith("Roll back “b”: revenue per visitor is €0.75 lower")


def test_less_can_be_better(observed, sample):
    """Where a decrease is wanted, fewer ships and more is rolled back."""
    few, many = sample(20_000, 1_000, unsubscribed=300), sample(20_000, 1_000, unsubscribed=500)
    settings = {"primary": "unsubscribe_rate"}
    assert decided(scorecard(observed({"control": many, "b": few}, **settings))) == ("ship", "b")
    assert decided(scorecard(observed({"control": few, "b": many}, **settings))) == ("stop_harm", "b")


def test_no_effect_worth_having(observed, sample):
    """An always-valid interval inside the minimum detectable effect stops without an effect."""
    flat = sample(400_000, 40_000, spread=10.0)
    card = scorecard(observed({"control": flat, "b": flat}, minimum_detectable_effect=0.05))
    assert decided(card) == ("stop_no_effect", None)
    assert "wholly inside ±5% of “control”" in card.decision.reason
    assert decided(scorecard(observed({"control": flat, "b": flat}))) == ("collecting", None)


def test_no_effect_takes_both_ends(observed, sample):
    """An interval that reaches below minus the minimum detectable effect, but not above it, goes on."""
    seen = {"control": sample(400_000, 40_000), "b": sample(400_000, 39_900)}
    card = scorecard(observed(seen)).metric("revenue_per_visitor")
    anytime = card.comparison("b").anytime
    assert anytime.low < 0 < anytime.high < -anytime.low
    between = (anytime.high - anytime.low) / 2 / card.arm("control").value
    assert decided(scorecard(observed(seen, minimum_detectable_effect=between)))[0] == "collecting"
    assert decided(scorecard(observed(seen, minimum_detectable_effect=2 * between)))[0] == "stop_no_effect"


def test_the_longest_duration_ends_it(observed, control):
    """Undecided at the planned end stops without an effect and says what is excluded; a day before, it goes on."""
    arms = {"control": control, "b": control}
    card = scorecard(observed(arms, longest_duration=20 * DAY, days=20))
    assert decided(card) == ("stop_no_effect", None)
    assert "the longest planned duration has passed" in card.decision.reason
    assert "is ruled out, a smaller one is not" in card.decision.reason
    assert decided(scorecard(observed(arms, longest_duration=20 * DAY, days=19))) == ("collecting", None)


def test_a_stopped_experiment_does_not_go_on_collecting(observed, sample, control):
    """Stopped with everyone counted is over; stopped with visitors waiting is not yet."""
    assert decided(scorecard(observed({"control": control, "b": control}, state="stopped")))[0] == "stop_no_effect"
    waiting = sample(20_000, 1_000, waiting=100)
    assert decided(scorecard(observed({"control": waiting, "b": waiting}, state="stopped")))[0] == "collecting"


def test_a_table_is_read_once(observed, sample, control, winner):
    """A table ships or stops, and its interval is tuned for the one look that it gets."""
    card = scorecard(observed({"control": control, "b": winner}, source="table"))
    assert decided(card) == ("ship", "b")
    assert "; always-valid 95% interval +€0.39 to" in card.decision.reason
    card = scorecard(observed({"control": control, "b": control}, source="table"))
    assert decided(card) == ("stop_no_effect", None)
    assert "a table is read once" in card.decision.reason
    assert card.metric("revenue_per_visitor").comparison("b").anytime.boundary == pytest.approx(3.03, abs=0.01)


def test_collecting_counts_those_who_wait(observed, sample):
    """An undecided experiment says how many visitors' windows have not passed."""
    waiting = sample(20_000, 1_000, waiting=750)
    card = scorecard(observed({"control": waiting, "b": waiting}))
    assert decided(card) == ("collecting", None)
    assert "1,500 more visitors are waiting" in card.decision.reason


def test_skewed_and_unequal_arms_need_people(observed, sample, control):
    """κ above the limit in arms of planned unequal size turns ship into review; in equal arms it does not."""
    gain = sample(20_000, 1_300, third=4e12)
    equal = scorecard(observed({"control": control, "b": gain}))
    assert abs(equal.metric("revenue_per_visitor").comparison("b").skew) > 0.06
    assert decided(equal) == ("ship", "b")
    third = sample(10_000, 650, third=4e12)
    unequal = scorecard(observed({"control": control, "b": third}, weights=(2, 1)))
    assert decided(unequal) == ("review", "b")
    assert "skewed" in unequal.decision.reason
    loss = sample(10_000, 300, third=4e12)
    assert decided(scorecard(observed({"control": control, "b": loss}, weights=(2, 1)))) == ("review", "b")


def test_few_orders_in_an_uneven_split_need_people(observed, sample):
    """Below 250 orders on one side of a 9:1 split a gain is reviewed; of an even split it ships."""
    small = sample(2_000, 240)
    card = scorecard(observed({"control": sample(18_000, 1_080), "b": small}, weights=(9, 1)))
    assert decided(card) == ("review", "b")
    assert "240 orders" in card.decision.reason
    assert decided(scorecard(observed({"control": sample(2_000, 120), "b": small}))) == ("ship", "b")


def test_a_suspected_split_holds_back_shipping(observed, sample):
    """Fixed SRM below .001 with the sequential one above .01: a gain is reviewed, a loss is still rolled back."""
    large = sample(10_500, 650)
    card = scorecard(observed({"control": sample(10_000, 300), "b": large}))
    checks = {check.check: check for check in card.health}
    assert (checks["srm"].status, checks["srm_sequential"].status) == ("warn", "ok")
    assert checks["srm"].p_value < 0.001
    assert decided(card) == ("review", "b")
    assert decided(scorecard(observed({"control": sample(10_000, 650), "b": sample(10_500, 300)}))) == (
        "stop_harm",
        "b",
    )


def test_the_adjusted_row_decides_where_the_plan_says_so(observed, sample):
    """A gain that only the CUPED-adjusted interval can see ships with `adjusted`, and is undecided without."""
    seen = {"control": sample(20_000, 1_000, past=0.7), "b": sample(20_000, 1_150, past=0.7)}
    plain = scorecard(observed(seen, covariate=True))
    assert decided(plain) == ("collecting", None)
    assert plain.metric("revenue_per_visitor").comparison("b").adjusted is not None
    adjusted = scorecard(observed(seen, covariate=True, adjusted=True))
    assert decided(adjusted) == ("ship", "b")
    comparison = adjusted.metric("revenue_per_visitor").comparison("b")
    assert comparison.judged_by == "adjusted"
    assert comparison.anytime.lift.low > 0
    assert "adjusted for past" in adjusted.decision.reason


def test_the_plan_s_alpha_decides_but_does_not_move_intervals(observed, sample, control):
    """alpha .01 undoes a crossing at .05; the intervals stay at 95 %."""
    seen = {"control": control, "b": sample(20_000, 1_171)}
    usual, strict = scorecard(observed(seen)), scorecard(observed(seen, alpha=0.01))
    assert (decided(usual)[0], decided(strict)[0]) == ("ship", "collecting")
    assert usual.metrics[0].comparisons == strict.metrics[0].comparisons


@pytest.mark.parametrize(("n", "action"), [(99, "collecting"), (100, "review")])
def test_a_handful_of_visitors_decides_nothing(observed, sample, n, action):
    """99 visitors without a conversion have no variance and look like sure harm: too early."""
    # 3 % of 99: that none of them bought is no sign of outcomes that do not arrive.
    arms = {"control": sample(100 * n, 3 * n), "b": sample(n, 0)}
    card = scorecard(observed(arms, weights=(100, 1)))
    assert decided(card)[0] == action
    if n < 100:
        assert card.decision.reason.startswith("Too early: 99 analysed visitors in “b”, and 100 are needed in each arm")
        table = scorecard(observed(arms, weights=(100, 1), source="table"))
        assert table.decision.reason.startswith("This table is too small to decide: 99 analysed visitors in “b”")


def test_a_small_control_is_an_uneven_split_too(observed, sample):
    """240 orders in a control of one tenth are as few as in a treatment of one tenth."""
    card = scorecard(observed({"control": sample(2_000, 240), "b": sample(18_000, 3_400)}, weights=(1, 9)))
    assert decided(card) == ("review", "b")
    assert "240 orders" in card.decision.reason
