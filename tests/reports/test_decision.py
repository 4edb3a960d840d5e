"""The decision rule, branch by branch: what was observed leads to which action, arm and words."""

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


@pytest.fixture(scope="session")
def control(sample):
    return sample(20_000, 1_000)


@pytest.fixture(scope="session")
def winner(sample):
    return sample(20_000, 1_300)


@pytest.fixture(scope="session")
def loser(sample):
    return sample(20_000, 750)


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


def test_several_arms_raise_the_bar(observed, sample, control):
    """The same gain that ships alone is undecided beside three other arms (Dunnett)."""
    gain = sample(20_000, 1_171)
    assert decided(scorecard(observed({"control": control, "b": gain}))) == ("ship", "b")
    several = observed({"control": control, "b": gain, "c": control, "d": control})
    assert decided(scorecard(several)) == ("collecting", None)


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


def test_the_two_intervals_do_not_contradict(observed, sample, control):
    """Where only the fixed-sample interval leaves zero out, the reason says which one decides and why it is wider."""
    seen = {"control": sample(2_000, 120), "b": sample(2_000, 150, value=70)}
    table = scorecard(observed(seen, source="table")).decision.reason
    assert (
        "The fixed-sample interval leaves no difference out (p = .0074), but it does not decide: it is right" in table
    )
    assert table.endswith("it is wider for that reason, and tuned to this one look.")
    monitored = scorecard(observed(seen)).decision.reason
    assert monitored.endswith("The always-valid one may be looked at any day; it is wider for that reason.")
    for reason in (table, monitored):
        assert "always-valid 95% interval −€" in reason
    assert "fixed-sample" not in scorecard(observed({"control": control, "b": control})).decision.reason


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


def test_metrics_that_do_not_vary_are_said_so_by_name(observed, sample):
    """Every control visitor spends 5, every treated one 6: no variance within either arm, and no column's name."""
    arms = {"control": sample(200, 200, value=5, spread=0), "b": sample(200, 200, value=6, spread=0)}
    reason = scorecard(observed(arms, source="table")).decision.reason
    assert "revenue per visitor does not vary within either arm." in reason
    assert "purchase:value" not in reason
    card = scorecard(observed({"control": sample(200, 0), "b": sample(200, 20)}, source="table"))
    comparison = card.metric("average_order_value").comparison("b")
    assert comparison.reason == "the number of “purchase” is not above 0 in the control"
    assert comparison.lift.reason == comparison.reason


def test_a_table_that_is_too_small_promises_nothing(observed, sample):
    """A table stays `collecting` in the action; its words do not wait for data that will not come."""
    small = scorecard(observed({"control": sample(60, 1), "b": sample(60, 8)}, source="table"))
    assert decided(small) == ("collecting", None)
    assert small.decision.reason == (
        "This table is too small to decide: 9 conversions in “b” and “control” together, where 100 are needed. "
        "A new experiment needs at least these, about 1,334 visitors at this rate."
    )
    one = scorecard(observed({"control": sample(200, 5), "b": sample(1, 0)}, source="table", weights=(200, 1)))
    assert one.decision.reason.startswith(
        "This table cannot decide: revenue per visitor in “b” cannot be compared: 1 v"
    )
    empty = scorecard(observed({"control": sample(0, 0), "b": sample(0, 0)}, source="table"))
    assert empty.decision.reason == "This table cannot decide: it has no visitors."
    for card in (small, one, empty):
        assert "yet" not in card.decision.reason


@pytest.mark.parametrize(("n", "action"), [(99, "collecting"), (100, "review")])
def test_a_handful_of_visitors_decides_nothing(observed, sample, n, action):
    """99 visitors without a conversion have no variance and look like sure harm: too early."""
    arms = {"control": sample(100 * n, 1_000), "b": sample(n, 0)}
    card = scorecard(observed(arms, weights=(100, 1)))
    assert decided(card)[0] == action
    if n < 100:
        assert card.decision.reason.startswith("Too early: 99 analysed visitors in “b”, and 100 are needed in each arm")
        table = scorecard(observed(arms, weights=(100, 1), source="table"))
        assert table.decision.reason.startswith("This table is too small to decide: 99 analysed visitors in “b”")


def test_nothing_against_a_hundred_is_an_effect(observed, sample):
    """In equal arms 0 against 100 conversions ships, without a lift, which a control of 0 does not have."""
    card = scorecard(observed({"control": sample(2_000, 0), "b": sample(2_000, 100)}, source="table"))
    assert decided(card) == ("ship", "b")
    assert "(too early for a lift; always-valid 95% interval" in card.decision.reason


@pytest.mark.parametrize(("orders", "early"), [(59, True), (60, False)])
def test_a_lift_wants_sixty_conversions_in_the_control(observed, sample, orders, early):
    """Below 60 conversions of the control the decision gives the difference alone."""
    reason = scorecard(observed({"control": sample(2_000, orders), "b": sample(2_000, 150)})).decision.reason
    assert ("too early for a lift" in reason) == early
    assert ("%; always-valid" in reason) != early


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


def test_a_small_control_is_an_uneven_split_too(observed, sample):
    """240 orders in a control of one tenth are as few as in a treatment of one tenth."""
    card = scorecard(observed({"control": sample(2_000, 240), "b": sample(18_000, 3_400)}, weights=(1, 9)))
    assert decided(card) == ("review", "b")
    assert "240 orders" in card.decision.reason
