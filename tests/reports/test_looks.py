"""Planned looks, sentence by sentence: when they are made, what they decide, what is shown between them."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from offerlift.experiments.metrics import CovariateUse
from offerlift.reports import render_html, render_text, scorecard
from offerlift.reports.format import lift_in_words
from offerlift.stats import adjusted_alpha, next_boundary, sequential_boundaries, spent_alpha, spent_by
from offerlift.stats.moments import Moments

DAY = 86_400_000_000


def revenue(card, arm="b"):
    return card.metric("revenue_per_visitor").comparison(arm)


def test_before_the_first_look_nothing_is_shown_but_health(planned, review):
    """24 % of the sample: no look, every number that an effect could be had from is null, `withheld` is true."""
    card = review(planned(4_800, 0.08))
    assert (card.decision.action, review.looks) == ("collecting", [])
    assert review.reason == "No look is recorded: 24% of the planned sample is before the first planned look. " + (
        "The next is at 25%."
    )
    found = card.to_dict()
    for metric in found["metrics"]:
        assert {(arm["value"], arm["probability_best"], arm["interval"]["low"]) for arm in metric["arms"]} == {
            (None, None, None)
        }
        for comparison in metric["comparisons"]:
            assert comparison["withheld"]
            assert comparison["sequential"] is None
            for part in ("difference", "lift", "bayes"):
                assert {v for k, v in comparison[part].items() if k not in ("kind", "reason")} == {None}
            assert (comparison["anytime"]["low"], comparison["anytime"]["p_value"]) == (None, None)
            assert (comparison["adjusted"], comparison["skew"]) == (None, None)
    assert {check["check"]: check["status"] for check in found["health"]}["srm"] == "ok"
    assert found["arms"][0]["mature"] == 4_800
    assert (found["progress"]["clock"], found["progress"]["next_look"]) == (pytest.approx(0.24), 0.25)


def test_what_is_withheld_is_in_no_output(planned, review):
    """Not in the text, the page or the JSON: orders of either arm, their rates and revenue, the lift."""
    card = review(planned(4_800, 0.08, guardrails=("margin_per_visitor",)))
    shown = scorecard(planned(4_800, 0.08), None)
    assert revenue(shown).lift.estimate == pytest.approx(0.6)
    texts = [render_text(card), render_html([card]), json.dumps(card.to_dict(), ensure_ascii=False)]
    for text in texts:
        for secret in ("+60", "0.6", "384", "€4.80", "€1.80", "8.0%", "passed", "inconclusive"):
            assert secret not in text.replace("0.6rem", "").replace("#384", ""), secret
    assert "withheld until the first planned look" in " ".join(texts[0].split())
    assert "withheld until the first planned look" in texts[1]


def test_an_arm_without_orders_is_withheld_too(planned, review, sample):
    """No status and no reason tells that nobody in an arm has bought; that nobody is analysed may be told."""
    silent, other = (
        review(planned(4_800, samples={"b": sample(4_800, orders)}, covariate=True)).to_dict()["metrics"]
        for orders in (0, 240)
    )
    for one, bought in zip(silent, other, strict=True):
        assert one["comparisons"] == bought["comparisons"], one["metric"]
    nobody = review(planned(0, samples={"b": sample(0, 0, waiting=50), "control": sample(0, 0, waiting=50)}))
    assert nobody.metric("conversion").comparison("b").status == "insufficient"


def test_health_is_shown_and_blocks_before_the_first_look(planned, review, sample):
    """A wrong split fails before any look, and no look is recorded while it does."""
    card = review(planned(8_000, 0.05, samples={"b": sample(7_000, 350)}))
    assert card.decision.action == "do_not_read"
    assert review.looks == []
    assert "sample ratio check failed" in review.reason


def test_a_look_is_made_where_the_clock_reaches_a_planned_share(planned, review):
    """Looks at 25, 50, 75 and 100 % of the mature visitors; reviews between them record nothing."""
    for n in (2_500, 5_000, 6_000, 9_999, 10_000, 12_000, 15_000, 18_000, 20_000):
        review(planned(n))
    assert [one.clock for one in review.rows()] == [0.25, 0.5, 0.75, 1.0]
    assert all(one.planned for one in review.looks)


def test_shares_that_were_passed_over_are_one_look(planned, review):
    """From nothing to 80 % is one look, at 80 %; the next is the end."""
    review(planned(16_000))
    review(planned(17_000))
    review(planned(20_000))
    assert [one.clock for one in review.rows()] == [0.8, 1.0]


def test_the_boundaries_are_those_of_lan_and_demets(planned, review, sample):
    """Two-sided .05 over the clocks of the looks, however much the data vary at each."""
    for n, spread in ((5_000, 40.0), (11_000, 400.0), (15_000, 4.0), (20_000, 40.0)):
        review(planned(n, samples={"b": sample(n, n // 20, spread=spread)}))
    expected = sequential_boundaries([0.25, 0.55, 0.75, 1.0])
    assert [one.boundary for one in review.rows()] == pytest.approx(expected.z, rel=1e-12)
    assert [one.alpha_spent for one in review.rows()] == pytest.approx(expected.spent, rel=1e-12)
    assert review.rows()[-1].alpha_spent == 0.05


def test_the_clock_counts_visitors_not_information(planned, review, sample):
    """A tenfold spread of the order values leaves clock and boundary where they were."""
    review(planned(10_000))
    other = type(review)([])
    other(planned(10_000, samples={"b": sample(10_000, 500, spread=400.0)}))
    first, second = review.rows()[0], other.rows()[0]
    assert second.se > 3 * first.se
    assert (second.clock, second.boundary) == (first.clock, first.boundary)


def test_the_clock_does_not_run_backwards_or_past_the_end(planned, review):
    """Visitors who vanish from the store do not turn it back, and more than planned are 1."""
    review(planned(15_000))
    assert review(planned(9_000)).progress.clock == 0.75
    review(planned(30_000))
    assert [one.clock for one in review.rows()] == [0.75, 1.0]


def test_crossing_up_ships_and_down_is_harm(planned, review):
    """Half-way the boundary is 2.96 standard errors: +24 % is beyond it, -24 % too, +18 % is not."""
    for rate, action in ((0.062, "ship"), (0.038, "stop_harm"), (0.059, "collecting")):
        other = type(review)([])
        card = other(planned(10_000, rate))
        assert other.rows()[0].boundary == pytest.approx(2.963, abs=1e-3)
        assert (abs(other.rows()[0].z) > 2.963) == (action != "collecting")
        assert card.decision.action == action
        assert revenue(card).sequential.crossed == (action != "collecting")


def test_a_fixed_sample_interval_decides_nothing_at_an_early_look(planned, review):
    """p = .02 half-way would be a winner to a test of one look; here it is `collecting`, and every output says why."""
    card = review(planned(10_000, 0.059))
    fixed, sequential = revenue(card).difference, revenue(card).sequential
    assert fixed.p_value < 0.025
    assert fixed.low > 0 > sequential.low
    assert card.decision.action == "collecting"
    assert "The fixed-sample interval leaves no difference out" in card.decision.reason
    assert "sequential interval −€" in card.decision.reason
    text, page = render_text(card), render_html([card])
    assert "sequential" in text
    assert "The sequential interval decides, the fixed-sample one does not" in " ".join(text.split())
    assert "does not decide; right only for one look, planned before" in page
    # The forest plot draws and describes the sequential interval.
    lift = sequential.lift
    assert lift.low < 0
    drawn = page[page.index("<title>Lift of b against control") :][:250]
    words = lift_in_words(lift.kind, lift.estimate, lift.low, lift.high)
    assert "−" in words
    assert f"revenue per visitor: {words}" in drawn


def test_between_looks_the_last_one_holds(planned, review):
    """Data that cross after a look are not read before the next; what was said at the look stays."""
    at_look = review(planned(10_000, 0.058))
    between = review(planned(14_000, 0.07), day=9)
    assert revenue(between).difference.estimate > revenue(at_look).difference.estimate
    assert revenue(between).sequential == revenue(at_look).sequential
    assert between.decision == at_look.decision
    assert between.decision.action == "collecting"
    assert "(Of look 1, 3 March 2026, 09:00 UTC, at 50% of the planned sample.)" in between.decision.reason
    assert "Look" not in review.reason.removeprefix("No look")


def test_the_plan_is_on_the_page(planned, review):
    """Shares of the looks and the planned visitors, in words."""
    page = render_html([review(planned(10_000))])
    assert "at 25%, 50%, 75% and 100% of the planned visitors" in page
    assert "40,000" in page


def test_reading_spends_nothing(planned, review):
    """A scorecard of a moment at which a look is due says so, withholds, and records nothing."""
    card = scorecard(planned(10_000, 0.07), review.looks)
    assert card.withheld
    assert card.progress.look_due
    assert "which is due" in card.decision.reason


def test_a_reveal_is_a_look_that_spends(planned, review):
    """At 15 % an unplanned look is recorded; the boundaries that follow account for it."""
    card = review(planned(3_000), reveal=True)
    assert [(one.clock, one.planned) for one in review.rows()] == [(0.15, False)]
    assert not card.withheld
    assert revenue(card).sequential.planned is False
    assert "which was not planned" in card.decision.reason
    review(planned(12_000), reveal=True)
    review(planned(14_000), reveal=True)
    review(planned(20_000))
    clocks, bounds = [one.clock for one in review.rows()], [one.boundary for one in review.rows()]
    assert clocks == [0.15, 0.6, 0.7, 1.0]
    assert [one.planned for one in review.rows()] == [False, True, False, True]
    assert bounds[-1] > sequential_boundaries([0.6, 1.0]).z[-1]
    assert spent_by(clocks, bounds) == pytest.approx(0.05, abs=1e-6)


def test_a_review_of_the_past_records_nothing(planned, review):
    """As of the moment of the last look or before it, nothing is recorded, even where a look would be due."""
    review(planned(10_000, 0.055), day=5)
    for day in (5, 4):
        card = review(planned(20_000, 0.09), day=day, reveal=True)
        assert review.reason == "The moment of this review is not after that of the last look, whose verdicts hold."
        assert card.withheld == (day == 4)
    assert len(review.rows()) == 1


def test_error_is_never_spent_twice(planned):
    """Whatever the times of the looks, planned or revealed, all together have error .05 at most; by recursion."""
    from offerlift.reports.recording import make_look

    draw = random.Random(5)
    for _ in range(8):
        looks, sizes = [], sorted(draw.sample(range(600, 20_500), 9))
        for day, n in enumerate(sizes):
            seen = planned(n)
            rows, _ = make_look(replace(seen, as_of=seen.as_of.replace(day=3 + day)), looks, reveal=draw.random() < 0.4)
            looks += rows
        found = [one for one in looks if one.metric == "revenue_per_visitor"]
        spent = spent_by([one.clock for one in found], [one.boundary for one in found])
        assert spent <= 0.05 + 1e-9
        assert spent == pytest.approx(spent_alpha(found[-1].clock), rel=1e-6)


def test_several_arms_share_the_error_by_dunnett(planned, review):
    """Three equal arms: each has 2 Φ(-c) with c their critical value, over the looks by the same function."""
    review(planned(10_000, others=(0.05, 0.05)))
    variances = [1.0] * 3
    assert review.rows()[0].boundary == pytest.approx(
        next_boundary([], [], 0.5, alpha=adjusted_alpha(variances, 1.0)).z, rel=1e-9
    )
    assert {one.boundary for one in review.looks} == {review.rows()[0].boundary}


def test_guardrails_leave_the_primary_four_fifths(planned, review):
    """.04 for the primary; .01 for the alarms, in equal parts over two arms and two guardrails, on one side."""
    review(planned(10_000, others=(0.05,), guardrails=("margin_per_visitor", "unsubscribe_rate")))
    primary = next_boundary([], [], 0.5, alpha=adjusted_alpha([1.0, 1.0], 1.0, alpha=0.04)).z
    alarm = next_boundary([], [], 0.5, alpha=0.01 / 4, sides=1).z
    assert review.rows()[0].boundary == pytest.approx(primary, rel=1e-9)
    for metric in ("margin_per_visitor", "unsubscribe_rate"):
        for arm in "bc":
            assert review.rows(metric, arm)[0].boundary == pytest.approx(alarm, rel=1e-9)
    review(planned(20_000, others=(0.05,), guardrails=("margin_per_visitor", "unsubscribe_rate")))
    found = review.rows("unsubscribe_rate")
    spent = spent_by([one.clock for one in found], [one.boundary for one in found], sides=1)
    assert spent == pytest.approx(0.0025, rel=1e-6)


def test_the_longest_duration_is_the_end(planned, review):
    """After it the next review looks for the last time and spends what is left, at whatever clock."""
    review(planned(5_000, longest_duration=28 * DAY))
    card = review(planned(8_000, longest_duration=28 * DAY, days=27))
    last = review.rows()[-1]
    assert (last.clock, last.alpha_spent) == (0.4, 0.05)
    assert spent_by([0.25, 0.4], [one.boundary for one in review.rows()]) == pytest.approx(0.05, rel=1e-6)
    assert card.decision.action == "stop_no_effect"
    assert "the longest planned duration has passed" in card.decision.reason
    assert card.progress.decided


def test_who_stops_an_experiment_does_not_get_the_rest(planned, review):
    """Stopped by hand at 40 %, the last look is unplanned and spends what 40 % may, not what is left."""
    review(planned(5_000))
    card = review(planned(8_000, 0.059, state="stopped"))
    last = review.rows()[-1]
    assert (last.planned, last.alpha_spent) == (False, pytest.approx(spent_alpha(0.4)))
    assert revenue(card).difference.p_value < 0.05
    assert card.decision.action == "stop_no_effect"
    assert "the experiment is stopped and every visitor is counted" in card.decision.reason


def test_the_planned_end_without_crossing(planned, review):
    """At 100 % an arm that did not cross is over, with what is ruled out."""
    card = review(planned(20_000, 0.051))
    assert card.decision.action == "stop_no_effect"
    assert "the planned sample is reached" in card.decision.reason
    assert "is ruled out, a smaller one is not" in card.decision.reason
    assert "next look" not in card.decision.reason


def test_too_little_at_the_planned_end(planned, review):
    """38 conversions decide nothing at any look; at the end that is no effect shown, and the reason says of what."""
    early = review(planned(10_000, 0.001, control=0.001))
    assert early.decision.action == "collecting"
    assert early.decision.reason.startswith("Too early: 20 conversions")
    card = review(planned(20_000, 0.0009, control=0.001))
    assert card.decision.action == "stop_no_effect"
    assert card.decision.reason.startswith("No effect was shown, and the planned sample is reached. Too early: 38 conv")


def test_no_effect_worth_having(planned, review):
    """The interval inside ± the smallest effect worth having stops at a look, before the end."""
    card = review(planned(15_000, minimum_detectable_effect=0.3))
    assert card.decision.action == "stop_no_effect"
    assert "wholly inside ±30% of “control”" in card.decision.reason
    other = type(review)([])
    assert other(planned(15_000, minimum_detectable_effect=0.1)).decision.action == "collecting"


def test_an_early_stop_corrects_its_estimate(planned, review):
    """After a crossing at a later look the headline is the median-unbiased estimate, beside the raw one."""
    for n in (5_000, 10_000, 15_000):
        review(planned(n))
    card = review(planned(20_000, 0.0565))
    row = revenue(card).sequential
    assert (card.decision.action, row.look, row.crossed) == ("ship", 4, True)
    assert row.raw_estimate == pytest.approx(revenue(card).difference.estimate)
    assert 0 < row.estimate < row.raw_estimate
    assert row.lift.estimate == pytest.approx(revenue(card).lift.estimate * row.estimate / row.raw_estimate)
    assert "is €0.37 higher than in “control” (+12%; as seen +€0.39, which crossing" in card.decision.reason
    first = type(review)([])
    row = revenue(first(planned(10_000, 0.063))).sequential
    assert row.estimate == pytest.approx(row.raw_estimate, rel=1e-6)


def test_posteriors_decide_nothing(planned, review):
    """P(better) of 99 % at an early look is collecting."""
    card = review(planned(5_000, 0.0615))
    assert revenue(card).bayes.probability_better > 0.98
    assert card.decision.action == "collecting"


def test_a_plan_of_visitors_alone_tunes_the_band_and_ends_it(planned, observed, sample):
    """Without looks the always-valid interval decides, tightest half-way; at the planned sample it is over."""
    seen = {"control": sample(10_000, 500), "b": sample(10_000, 500)}
    half, without = scorecard(observed(seen, sample_size=40_000)), scorecard(observed(seen))
    assert (half.withheld, half.progress, revenue(half).sequential) == (False, None, None)
    assert revenue(half).anytime.boundary == pytest.approx(3.03, abs=0.01)
    assert half.decision.action == without.decision.action == "collecting"
    end = scorecard(observed(seen, sample_size=20_000))
    assert end.decision.action == "stop_no_effect"
    assert "the planned sample is reached" in end.decision.reason


def test_where_no_look_can_be_recorded_the_always_valid_interval_decides(planned):
    """A warehouse keeps no looks: nothing is withheld, and `sequential` is null."""
    card = scorecard(planned(5_000, 0.08), None)
    assert (card.withheld, revenue(card).sequential) == (False, None)
    assert card.decision.action == "ship"
    assert "always-valid" in card.decision.reason


def test_a_verdict_without_planned_looks_is_recorded_with_the_estimate_that_was_judged(
    observed, changed, sample, review
):
    """Where the adjusted row decides, the recorded estimate is the adjusted one, in either desired direction."""
    seen = observed(
        {"control": sample(20_000, 1_000, past=0.6), "b": sample(20_000, 1_400, past=0.6)},
        covariate=True,
        adjusted=True,
    )
    own = seen.moments["revenue_per_visitor"]
    at = own["b"].columns.index(CovariateUse("past").column)
    mean = list(own["b"].mean)
    mean[at] += 0.05
    b = Moments(own["b"].columns, own["b"].n, mean, own["b"].m2, own["b"].m3)
    seen = changed(seen, moments={**seen.moments, "revenue_per_visitor": {**own, "b": b}})
    metrics = tuple(replace(one, desired_change="decrease") for one in seen.definition.metrics)
    for one, action in ((seen, "ship"), (changed(seen, metrics=metrics), "stop_harm")):
        other = type(review)([])
        card = other(one)
        assert card.decision.action == action
        assert revenue(card).adjusted.difference.estimate < revenue(card).difference.estimate
        assert [look.estimate for look in other.looks] == [revenue(card).adjusted.difference.estimate]


def test_the_end_without_a_new_visitor_spends_the_rest(planned, review):
    """What half of the plan leaves open, and the whole of alpha does not, is found when the longest duration passes."""
    seen = planned(10_000, 0.059, longest_duration=40 * DAY)
    first = review(seen, day=1)
    assert (first.decision.action, review.rows()[-1].clock) == ("collecting", 0.5)
    end = review(seen, day=41)
    last = review.rows()[-1]
    assert (last.look, last.clock, last.planned) == (2, 0.5, True)
    assert last.alpha_spent == pytest.approx(0.05)
    assert last.boundary < abs(last.z) < review.rows()[0].boundary
    assert end.decision.action == "ship"
