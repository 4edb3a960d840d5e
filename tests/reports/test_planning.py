"""Forecasts: what a plan needs at the shop's traffic."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from types import SimpleNamespace

import pytest
from offerlift.errors import InputError
from offerlift.experiments.definition import Arm, Rule
from offerlift.experiments.metrics import CovariateUse
from offerlift.reports import forecast, given_history, read_history, render_forecast, table_history
from offerlift.reports.history import Capped, History, MetricHistory
from offerlift.stats import VISITORS_WITHOUT_PLAN, Design, Mean, Rate, achieved_power, detectable_lift
from offerlift.storage.observations import Stratum

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WEEK = 7 * 86_400_000_000
REVENUE = MetricHistory(Mean(3.0, 90.0), 5_000)


@pytest.fixture
def planned(observed, sample):
    """Makes a definition with plan settings and these arms."""

    def make(arms=("control", "b"), **plan):
        settings = {"minimum_detectable_effect": 0.1} | plan
        return observed({name: sample(10, 1) for name in arms}, **settings).definition

    return make


def known(**metrics):
    return History("last-year", {"revenue_per_visitor": REVENUE} | metrics, 10_000.0)


def test_the_weeks_are_the_fewest_whose_power_is_that_of_the_plan(planned):
    """At the answer the always-valid interval has 80 % power with one reading a week, a week earlier it has not."""
    found = forecast(planned(), known())
    enrolment = found.weeks - 1

    def power(weeks):
        design = Design(readings=weeks, tuned_at=VISITORS_WITHOUT_PLAN)
        return achieved_power(Mean(3.0, 90.0), 0.1, weeks * 10_000, design)

    assert power(enrolment - 1) < 0.8 <= power(enrolment)
    row = found.by_week[-1]
    assert (row.week, row.visitors) == (found.weeks, enrolment * 10_000)
    assert row.power == pytest.approx(power(enrolment))


def test_planned_looks_are_planned_with_their_boundaries(planned):
    """With looks the detectable lift of a week is that of Lan and DeMets's boundaries at its mature visitors."""
    found = forecast(planned(looks=(0.5, 0.75)), known())
    assert found.judged == "planned looks"
    # The end is a look, whether the plan says so or not.
    design = Design(looks=(0.5, 0.75, 1.0))
    for row in found.by_week:
        expected = detectable_lift(Mean(3.0, 90.0), (row.week - 1) * 10_000, design)
        assert row.detectable_lift == pytest.approx(expected)
    assert found.weeks < forecast(planned(), known()).weeks


def test_a_planned_sample_is_held_against_the_need(planned):
    """A sample that is too small is named with the power that it has; without looks the boundary is tuned to half."""
    found = forecast(planned(sample_size=60_000), known())
    design = Design(readings=6, tuned_at=30_000)
    power = achieved_power(Mean(3.0, 90.0), 0.1, 60_000, design)
    assert (found.at_sample_size.week, found.at_sample_size.visitors) == (7, 60_000)
    assert found.at_sample_size.power == pytest.approx(power)
    page = " ".join(render_forecast(found).split())
    assert f"60,000 visitors is analysed after 7 weeks and shows +10.0% with {power * 100:.0f}%." in page
    looks = forecast(planned(sample_size=60_000, looks=(0.5, 1.0)), known())
    assert looks.at_sample_size.power == pytest.approx(
        achieved_power(Mean(3.0, 90.0), 0.1, 60_000, Design(looks=(0.5, 1.0)))
    )


def test_the_window_is_waited_for(planned):
    """A window of four weeks in place of one adds three to the answer."""
    definition = planned()
    metrics = tuple(replace(metric, window_end=4 * WEEK) for metric in definition.metrics)
    longer = forecast(replace(definition, metrics=metrics), known())
    assert longer.weeks == forecast(definition, known()).weeks + 3
    assert longer.window_days == 28


def test_two_weeks_are_the_least(planned):
    """With traffic of a million a week it still takes two weeks of enrolment and the window."""
    assert forecast(planned(), known(), visitors_per_week=1e6).weeks == 3


def test_it_says_plainly_that_it_cannot_decide_in_time(planned):
    """Past the longest duration the page names the lift seen by then and the chance to see the one wanted."""
    found = forecast(planned(longest_duration=3 * WEEK), known())
    assert found.decides_in_time is False
    assert found.at_longest.visitors == 20_000
    page = " ".join(render_forecast(found).split())
    assert "It cannot be decided within the longest duration, 3 weeks." in page
    assert f"a lift of +{found.at_longest.detectable_lift * 100:.1f}% would be seen" in page
    within = forecast(planned(longest_duration=52 * WEEK), known())
    assert within.decides_in_time is True
    assert "That is within the longest duration, 52 weeks." in render_forecast(within)


def test_more_than_five_years_is_never(planned):
    """What traffic cannot decide has no number of weeks, in the answer and in the JSON."""
    found = forecast(planned(longest_duration=8 * WEEK), known(), visitors_per_week=50)
    assert (found.weeks, found.needs[0].weeks, found.needs[0].visitors) == (None, None, None)
    assert found.decides_in_time is False
    assert "More than five years, or never" in render_forecast(found)
    assert found.to_dict()["weeks"] is None


def test_guardrails_take_alpha_and_have_needs_of_their_own(planned):
    """Each guardrail is planned for its margin at 1 - β/(G + 1), and the answer is for the slowest."""
    found = forecast(
        planned(guardrails=("unsubscribe_rate", "margin_per_visitor")),
        known(unsubscribe_rate=MetricHistory(Rate(0.01)), margin_per_visitor=MetricHistory(Mean(1.0, 40.0))),
    )
    assert found.level == pytest.approx(0.04)
    assert found.power == pytest.approx(1 - 0.2 / 3)
    primary, unsubscribed, margin = found.needs
    assert (unsubscribed.lift, margin.lift) == (0.25, -0.05)
    assert margin.weeks > primary.weeks
    assert found.weeks == margin.weeks
    page = render_forecast(found)
    assert "unsubscribe rate, not 25% more (guardrail)" in page
    assert "margin per visitor, not 5% less (guardrail)" in page


def test_a_guardrail_without_history_leaves_the_answer_open(planned):
    """What nobody knows is said, and the answer for all is not given."""
    found = forecast(planned(guardrails=("unsubscribe_rate",)), known())
    assert found.weeks is None
    assert found.needs[0].weeks is not None
    assert "The guardrail unsubscribe rate has no history here." in found.notes


def test_what_would_shorten_it(planned):
    """Every change that helps is there, with the weeks it saves, the most effective first."""
    definition = planned(("control", "b", "c"), guardrails=())
    uneven = tuple(
        Arm(arm.name, arm.weight, ratio=Fraction(weight))
        for arm, weight in zip(definition.arms, (8, 1, 1), strict=True)
    )
    metrics = tuple(
        replace(metric, covariate=CovariateUse("past")) if metric.name == "revenue_per_visitor" else metric
        for metric in definition.metrics
    )
    definition = replace(definition, arms=uneven, metrics=metrics, traffic=Fraction(1, 2))
    history = known(
        revenue_per_visitor=replace(REVENUE, r_squared=0.4, capped=Capped(250.0, Mean(2.9, 60.0))),
        conversion=MetricHistory(Rate(0.2)),
    )
    found = forecast(definition, history)
    changes = [one.change for one in found.shortcuts]
    for expected in (
        "planned looks at 25%, 50%, 75% and 100%",
        "the row adjusted for past (adjusted: true)",
        "equal shares of all arms",
        "a control of 41%, the best for 2 treatments",
        "one treatment instead of 2",
        "traffic: 100%",
        "a cap of €250.00 a visitor, at 99% of the orders",
        "a minimum detectable effect of 15.0%",
        "conversion as primary",
    ):
        assert expected in changes
    weeks = [one.weeks for one in found.shortcuts]
    assert weeks == sorted(weeks)
    assert all(one.saved == found.needs[0].weeks - one.weeks for one in found.shortcuts)
    full = forecast(replace(definition, traffic=Fraction(1)), history, visitors_per_week=20_000)
    assert found.shortcuts[changes.index("traffic: 100%")].weeks == full.needs[0].weeks


def test_nothing_that_the_plan_has_already_is_proposed(planned):
    """An adjusted plan with two looks and equal arms hears neither of CUPED, of looks, nor of shares."""
    found = forecast(
        planned(looks=(0.5, 1.0), adjusted=True),
        known(revenue_per_visitor=replace(REVENUE, r_squared=0.4)),
        visitors_per_week=2_000,
    )
    assert [one.change for one in found.shortcuts] == ["a minimum detectable effect of 15.0%"]


def test_an_adjusted_plan_counts_with_the_covariate(planned):
    """R² = .5 is as if the variance were half of what it is; without it known, the plan says so."""
    adjusted = forecast(planned(adjusted=True), known(revenue_per_visitor=replace(REVENUE, r_squared=0.5)))
    halved = forecast(planned(), known(revenue_per_visitor=MetricHistory(Mean(3.0, 45.0))))
    assert adjusted.weeks == halved.weeks
    unknown = forecast(planned(adjusted=True), known())
    assert unknown.weeks == forecast(planned(), known()).weeks
    assert any("--r-squared" in note for note in unknown.notes)
    assert forecast(planned(adjusted=True), known(), r_squared=0.5).weeks == adjusted.weeks


def test_less_is_better(planned):
    """A metric that is to fall is planned for a fall."""
    definition = planned(primary="unsubscribe_rate")
    found = forecast(definition, History("", {"unsubscribe_rate": MetricHistory(Rate(0.05))}, 20_000.0))
    assert found.needs[0].lift == -0.1
    assert found.by_week[-1].detectable_lift == pytest.approx(-0.1, abs=0.005)
    assert "a lift of −10.0%" in render_forecast(found)


def test_without_an_effect_the_lifts_are_shown_and_no_answer(planned):
    """A plan without a minimum detectable effect gets the weeks and their lifts, and is told what is missing."""
    found = forecast(planned(minimum_detectable_effect=None), known())
    assert (found.weeks, found.decides_in_time, found.shortcuts) == (None, None, ())
    assert [row.week for row in found.by_week][-1] == 52
    assert all(row.detectable_lift is not None and row.power is None for row in found.by_week)
    page = render_forecast(found)
    assert "ANSWER" not in page
    assert "minimum_detectable_effect" in page
    assert forecast(planned(minimum_detectable_effect=None), known(), minimum_detectable_effect=0.1).weeks


def test_without_traffic_visitors_are_known_but_no_weeks(planned):
    """A history of numbers alone says how many visitors, and asks for the traffic."""
    found = forecast(planned(), given_history(planned(), 3.0, math.sqrt(90.0)))
    assert found.needs[0].visitors > 0
    assert (found.weeks, found.by_week, found.shortcuts) == (None, (), ())
    assert "The traffic is not known: give --visitors-per-week." in found.notes


def test_a_table_is_history(observed, sample, planned):
    """The control's mean, variance and covariate come from a file of one row a visitor."""
    arms = {"a": sample(2_000, 100, past=0.6), "control": sample(4_000, 200, past=0.6)}
    table = observed(arms, source="table", covariate=True)
    history = table_history(replace(table, definition=replace(table.definition, control="control")), planned())
    known = history.metrics["revenue_per_visitor"]
    assert known.visitors == 4_000
    assert known.endpoint.mean == pytest.approx(3.0)
    assert known.r_squared == pytest.approx(0.36, abs=1e-3)
    assert history.visitors_per_week is None
    with pytest.raises(InputError, match="does not measure average order value"):
        table_history(table, planned(primary="average_order_value"))


@pytest.mark.parametrize("visitors", [0, -5, math.inf, math.nan])
def test_impossible_traffic_is_refused(planned, visitors):
    """Traffic that cannot be is an error with its value."""
    with pytest.raises(InputError, match="visitors a week"):
        forecast(planned(), known(), visitors_per_week=visitors)


def test_an_effect_that_a_rate_cannot_have_is_refused(planned):
    """Twice a rate of 60 % is no rate."""
    definition = planned(primary="conversion", minimum_detectable_effect=0.9)
    with pytest.raises(InputError, match="it ends at 1"):
        forecast(definition, History("", {"conversion": MetricHistory(Rate(0.6))}, 100.0))


def test_the_page_fits_a_terminal_and_the_json_has_no_nan(planned):
    """At most 100 columns, and every number of the JSON finite."""
    import json

    found = forecast(
        planned(("control", "b", "c"), guardrails=("unsubscribe_rate",), longest_duration=9 * WEEK),
        known(unsubscribe_rate=MetricHistory(Rate(0.01)), conversion=MetricHistory(Rate(0.04))),
    )
    assert max(map(len, render_forecast(found).splitlines())) <= 100
    again = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert again["needs"][0]["metric"] == "revenue_per_visitor"
    assert set(again["by_week"][0]) == {"week", "visitors", "detectable_lift", "power"}
    assert again["shares"] == {"control": pytest.approx(1 / 3), "b": pytest.approx(1 / 3), "c": pytest.approx(1 / 3)}


class Shop:
    """A store of observations made by hand: what `read_history` asks of one."""

    def __init__(self, *observed, pruned=False):
        self.known = {one.definition.experiment: one for one in observed}
        self.started = {key: n for n, key in enumerate(self.known)}
        self.pruned = pruned

    def experiments(self):
        return sorted(self.known)

    def published(self, key):
        return SimpleNamespace(
            definition=self.known[key].definition, started_at=NOW + timedelta(days=self.started[key])
        )

    def observations(self, key):
        return self.known[key]

    def distributions(self, key):
        if self.pruned:
            raise InputError("pruned")
        return SimpleNamespace(metrics={})


@pytest.fixture
def past(observed, sample, changed):
    """Makes a past experiment of that key, with so many visitors in each arm, over so many days."""

    def make(key, visitors, *, days=20, **fields):
        arms = {name: sample(visitors, visitors // 20) for name in ("control", "b")}
        by_day = tuple((NOW - timedelta(days=days - day), {"control": 50, "b": 50}) for day in range(days))
        return changed(observed(arms), experiment=key, exposures_by_day=by_day, **fields)

    return make


def test_the_latest_experiment_that_has_enough_visitors_is_the_history(planned, past):
    """Its own few visitors are none; of the others the one started last counts that has a thousand in the control."""
    own, early, late, few = past("exit-offer", 999), past("a", 5_000), past("b", 4_000), past("c", 999)
    assert read_history(Shop(own, early, late, few), planned()).source == "b"
    assert read_history(Shop(own, late, early, few), planned()).source == "a"
    assert read_history(Shop(past("exit-offer", 1_000), early), planned()).source == "exit-offer"
    assert read_history(Shop(own, few), planned()) is None
    assert read_history(Shop(own, few), planned(), source="c").metrics["revenue_per_visitor"].visitors == 999


def test_another_window_is_another_metric(planned, past):
    """An experiment with a window of its own is no history, unless it is named; then it is said."""
    other = past("a", 5_000)
    metrics = tuple(replace(metric, window_end=2 * WEEK) for metric in other.definition.metrics)
    other = replace(other, definition=replace(other.definition, metrics=metrics))
    assert read_history(Shop(other), planned()) is None
    notes = read_history(Shop(other), planned(), source="a").notes
    assert "a measures revenue per visitor in another window." in notes


def test_the_phases_of_a_history_are_put_together(planned, past):
    """The control's visitors of an earlier phase count as well."""
    now, before = past("a", 600), past("a", 700)
    both = replace(now, earlier=(Stratum(1, before.arms, before.moments),), phase=2)
    assert read_history(Shop(both), planned()).metrics["revenue_per_visitor"].visitors == 1_300


def test_what_is_doubtful_about_the_traffic_is_said(planned, past):
    """Other rules of eligibility and only a few days are named; the days before are all counted."""
    rule = (Rule("country", "eq", "DE"),)
    history = read_history(Shop(past("a", 5_000, days=5, eligibility=rule)), planned())
    assert history.visitors_per_week == pytest.approx(700)
    assert [note.split(":")[0] for note in history.notes] == [
        "a has other rules of eligibility",
        "The traffic is that of only 5 days; --visitors-per-week gives a better one.",
    ]
    assert read_history(Shop(past("exit-offer", 5_000)), planned()).notes == ()


def test_a_pruned_history_proposes_no_cap(planned, past):
    """Where the single orders were pruned the moments still make a plan."""
    history = read_history(Shop(past("a", 5_000), pruned=True), planned())
    assert history.metrics["revenue_per_visitor"].capped is None
    assert forecast(planned(), history).needs[0].visitors > 0


def test_a_history_without_a_usable_mean_is_refused(planned, past, observed, sample):
    """A control that never bought has no mean to lift; the named experiment is refused, with what to give."""
    nobody = observed({"control": sample(2_000, 0), "b": sample(2_000, 0)})
    with pytest.raises(InputError, match="has no usable revenue per visitor"):
        read_history(Shop(nobody), planned())
    fewer = tuple(metric for metric in nobody.definition.metrics if metric.kind != "margin")
    measured = replace(nobody, definition=replace(nobody.definition, metrics=fewer))
    with pytest.raises(InputError, match="does not measure margin per visitor"):
        read_history(Shop(measured), planned(primary="margin_per_visitor"), source="exit-offer")
