"""Several phases in a report: compared within themselves, each against the split that it had."""

from __future__ import annotations

from dataclasses import replace

import pytest
from offerlift.reports import scorecard
from offerlift.stats import SKEW_LIMIT, error_budget
from offerlift.storage.observations import ArmCounts, Stratum


@pytest.fixture
def two_phases(observed, changed):
    """Observations of a second phase, with the first as a stratum; `shares` are the first one's split."""

    def make(first, second, shares, **given):
        before, now = observed(first, **given), observed(second, **given)
        stratum = Stratum(1, before.arms, before.moments, before.exposures_by_day, shares)
        return changed(now, phase=2, earlier=(stratum,))

    return make


@pytest.fixture
def simpson(two_phases, sample):
    """The treatment gets 1 in 10 while 10 % buy, and half when 2 % do; in neither phase does it change anything."""
    return two_phases(
        {"control": sample(18_000, 1_800), "b": sample(2_000, 200)},
        {"control": sample(20_000, 400), "b": sample(20_000, 400)},
        {"control": 0.9, "b": 0.1},
    )


def test_a_change_of_the_split_is_no_effect(simpson):
    """Pooled, the treatment seems to lose 53 %; within the phases nothing differs, for every kind of metric."""
    card = scorecard(simpson)
    assert (1_800 + 400) / 38_000 > 2 * (200 + 400) / 22_000
    for metric in card.metrics:
        comparison = metric.comparison("b")
        if metric.metric != "unsubscribe_rate":
            assert comparison.difference.estimate == pytest.approx(0, abs=1e-12), metric.metric
            assert comparison.lift.estimate == pytest.approx(0, abs=1e-12), metric.metric
            assert metric.arm("b").value == pytest.approx(metric.arm("control").value)
    assert card.decision.action == "collecting"
    assert card.metric("conversion").comparison("b").bayes.probability_better == pytest.approx(0.5, abs=0.02)


def test_phases_weigh_by_their_visitors(simpson):
    """A third of the visitors came while 10 % bought: the control's rate is a third of the way from 2 % to 10 %."""
    card = scorecard(simpson)
    assert card.metric("conversion").arm("control").value == pytest.approx(0.1 / 3 + 0.02 * 2 / 3)
    arms = {arm.arm: arm for arm in card.arms}
    assert (arms["control"].visitors, arms["b"].visitors) == (38_000, 22_000)
    assert arms["control"].mature == 38_000
    assert arms["control"].expected_share == pytest.approx(0.9 / 3 + 0.5 * 2 / 3)


def test_each_phase_is_held_against_its_own_split(simpson, two_phases, sample):
    """9 to 1 and then 1 to 1 is as planned; 9 to 1 where 1 to 1 was planned blocks, and names the phase."""
    assert scorecard(simpson).healthy
    wrong = two_phases(
        {"control": sample(18_000, 1_800), "b": sample(2_000, 200)},
        {"control": sample(20_000, 400), "b": sample(20_000, 400)},
        {"control": 0.5, "b": 0.5},
    )
    card = scorecard(wrong)
    assert card.decision.action == "do_not_read"
    found = {check.check: check for check in card.health}
    assert found["srm"].status == "fail"
    assert found["srm"].reason.startswith("Phase 1: 18,000 and 2,000 visitors where 10,000 each were planned")


def test_an_arm_that_came_later_is_compared_where_it_was(two_phases, sample):
    """An arm of the second phase meets the control of that phase, not that of the first."""
    card = scorecard(
        two_phases(
            {"control": sample(10_000, 1_000), "b": sample(10_000, 1_000), "c": sample(0, 0)},
            {"control": sample(10_000, 300), "b": sample(10_000, 300), "c": sample(10_000, 300)},
            {"control": 0.5, "b": 0.5},
        )
    )
    conversion = card.metric("conversion")
    assert conversion.comparison("c").difference.estimate == pytest.approx(0, abs=1e-12)
    assert conversion.arm("c").value == pytest.approx(0.03)
    assert conversion.arm("control").value > 0.05
    assert card.healthy


def test_what_waits_and_what_is_planned_counts_all_phases(two_phases, sample):
    """The clock and those who wait are of both phases."""
    card = scorecard(
        two_phases(
            {"control": sample(1_000, 100), "b": sample(1_000, 100)},
            {"control": sample(500, 50, waiting=70), "b": sample(500, 50, waiting=30)},
            {},
            looks=(0.5, 1.0),
            sample_size=12_000,
        )
    )
    assert card.progress.clock == pytest.approx(0.25)
    assert "100 more visitors are waiting" in card.decision.reason


LOOKS = {"looks": (0.25, 0.5, 0.75, 1.0), "sample_size": 60_000}


def test_an_undecided_arm_that_is_dropped_leaves_nothing_to_wait_for(two_phases, observed, sample, review):
    """Once the arms that are left have their verdicts, all is decided, and a later review records nothing."""
    first = {"control": sample(5_000, 250), "b": sample(5_000, 250), "c": sample(5_000, 250)}
    review(observed(first, **LOOKS))
    harmed = {"control": sample(10_000, 500), "b": sample(10_000, 200)}
    card = review(two_phases(first, harmed, dict.fromkeys(first, 1 / 3), **LOOKS))
    assert [(arm.arm, arm.verdict) for arm in card.arms] == [("control", None), ("b", "stop_harm")]
    assert card.progress.decided
    card = review(
        two_phases(
            first, {"control": sample(20_000, 1_000), "b": sample(20_000, 400)}, dict.fromkeys(first, 1 / 3), **LOOKS
        )
    )
    assert (card.decision.action, review.looks[-1].look) == ("stop_harm", 2)
    assert review.reason == "Everything is decided: what comes later is overrun and is not looked at."


def test_an_arm_that_came_after_the_others_were_decided_has_its_looks(two_phases, observed, sample, review):
    """Beside a harmed arm, or in its place, a new arm is collecting until a look is made at it, and can ship."""
    first = {"control": sample(9_000, 450), "b": sample(9_000, 270)}

    def later(n, arms):
        rates = {"control": 0.05, "b": 0.03, "c": 0.08}
        now = {arm: sample(n, round(rates[arm] * n)) for arm in ("control", *arms)}
        return two_phases(first, now, {"control": 0.5, "b": 0.5}, **LOOKS)

    for arms in (("c",), ("b", "c")):
        other = type(review)([])
        assert other(observed(first, **LOOKS)).decision.action == "stop_harm"
        card = other(later(500, arms))
        assert (card.decision.action, card.progress.decided, other.looks[-1].look) == ("collecting", False, 1)
        assert next(arm.verdict for arm in card.arms if arm.arm == "c") == "collecting"
        assert "no look has been made at “c” yet" in card.decision.reason
        card = other(later(14_000, arms))
        assert (card.decision.action, card.decision.arm, other.looks[-1].look) == ("ship", "c", 2)


def test_an_arm_that_is_dropped_keeps_its_part_of_the_error(two_phases, observed, sample, review):
    """The best of three that goes on alone is still held against the bar of three: else A/A tests ship too often."""
    first = {arm: sample(5_000, 250) for arm in ("control", "b", "c", "d")}
    given = LOOKS | {"sample_size": 80_000, "guardrails": ("margin_per_visitor",)}
    review(observed(first, **given))
    second = {arm: sample(35_000, 1_750) for arm in ("control", "b")}
    review(two_phases(first, second, dict.fromkeys(first, 0.25), **given))
    looks = [one for one in review.rows() if one.planned]
    budget = error_budget([1.0] * 3, 1.0, 1)
    assert [one.clock for one in looks] == [0.25, 1.0]
    assert looks[-1].alpha_spent == pytest.approx(budget.comparison, rel=0.01)
    assert review.rows("margin_per_visitor")[-1].alpha_spent == pytest.approx(budget.alarm)


def test_skew_in_an_earlier_uneven_split_is_for_people(two_phases, sample):
    """Nine to one with skewed values and then a few visitors one to one: the interval is no better than before."""
    uneven = {
        "control": sample(54_000, 2_700, third=5e9),
        "b": sample(6_000, 600, third=5e8),
    }
    even = {arm: sample(300, 15, third=5e7) for arm in ("control", "b")}
    card = scorecard(two_phases(uneven, even, {"control": 0.9, "b": 0.1}))
    assert card.metric("revenue_per_visitor").comparison("b").skew > SKEW_LIMIT
    assert card.decision.action == "review"
    assert "so skewed in arms of unequal size" in card.decision.reason


def test_visitors_of_a_dropped_arm_stay_in_the_clock(two_phases, sample, changed):
    """A third of phase 1 was in c: they count in the clock, the split and the shares, and c is named."""
    seen = two_phases(
        {"control": sample(1_000, 50), "b": sample(1_000, 50), "c": sample(1_000, 50)},
        {"control": sample(500, 25), "b": sample(500, 25), "c": sample(0, 0)},
        {"control": 1 / 3, "b": 1 / 3, "c": 1 / 3},
        looks=(0.5, 1.0),
        sample_size=8_000,
    )
    two = tuple(arm for arm in seen.definition.arms if arm.name != "c")
    seen = changed(seen, arms={arm: counts for arm, counts in seen.arms.items() if arm != "c"})
    seen = replace(seen, definition=replace(seen.definition, arms=two))
    card = scorecard(seen)
    assert card.progress.clock == pytest.approx(4_000 / 8_000)
    assert [arm.arm for arm in card.arms] == ["control", "b"]
    shares = {arm.arm: (arm.share, arm.expected_share) for arm in card.arms}
    assert shares["b"] == (pytest.approx(1_500 / 4_000), pytest.approx(0.75 / 3 + 0.25 / 2))
    assert card.healthy
    assert any(note.startswith("“c” was taken out after phase 1: its 1,000 visitors") for note in card.notes)
    counts = dict(seen.earlier[0].arms) | {"c": ArmCounts(700, 0, {"purchase": 35})}
    lost = replace(seen, earlier=(replace(seen.earlier[0], arms=counts),))
    assert not scorecard(lost).healthy
