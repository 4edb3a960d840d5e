"""A plan tried out on past visitors: the verdicts are the report's, and the error rates those that were planned."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.experiments.definition import WEEK
from offerlift.experiments.metrics import Column, CovariateUse
from offerlift.reports import given_visitors, past_visitors, render_simulation, simulate
from offerlift.reports.planning import design_of
from offerlift.reports.recording import make_look
from offerlift.reports.trial import Trial, changed_visitors, readings_of
from offerlift.stats import Finding, Mean, achieved_power
from offerlift.stats.simulation import Population, all_pairs
from offerlift.storage import VisitorValues
from offerlift.storage.observations import ArmCounts

PAST = CovariateUse("past")
COLUMNS = (
    Column("purchase", "converted"),
    Column("purchase", "value"),
    Column("purchase", "margin"),
    Column("purchase", "count"),
    Column("unsubscribe", "converted"),
    PAST,
    PAST,
)
POSITIONS = {
    "conversion": (0,),
    "revenue_per_visitor": (1,),
    "margin_per_visitor": (2,),
    "average_order_value": (1, 3),
    "unsubscribe_rate": (4,),
}


def visitors(size=20_000, *, rate=0.06, sigma=1.0, unsubscribed=0.05, covariate=False, seed=11) -> VisitorValues:
    """Visitors who order once or twice at lognormal values; with a covariate, more where they ordered before."""
    rng = np.random.default_rng(seed)
    past = rng.lognormal(0, 1, size)
    orders = (rng.random(size) < rate) * rng.integers(1, 3, size)
    value = np.round(orders * 40 * rng.lognormal(0, sigma, size) * (np.sqrt(past) if covariate else 1), 2)
    margin = np.round(value * rng.uniform(0.2, 0.6, size), 2)
    rows = np.column_stack(
        [orders > 0, value, margin, orders, rng.random(size) < unsubscribed, past * covariate, np.zeros(size)]
    )
    values, counts = np.unique(rows.astype(float), axis=0, return_counts=True)
    more = {name: (*at, 5, 6) for name, at in POSITIONS.items() if name in ("conversion", "revenue_per_visitor")}
    return VisitorValues(COLUMNS, POSITIONS | (more if covariate else {}), values, counts, size)


@pytest.fixture
def planned(observed, sample):
    """Makes a definition with plan settings and these arms."""

    def make(arms=("control", "b"), **plan):
        settings = {"minimum_detectable_effect": 0.1, "looks": (0.25, 0.5, 0.75, 1.0), "sample_size": 16_000} | plan
        return observed({name: sample(10, 1) for name in arms}, **settings).definition

    return make


def tried(definition, values=None, **given):
    return simulate(definition, past_visitors(definition, values or visitors(), definition), **given)


@pytest.mark.parametrize(
    ("plan", "values", "lift"),
    [
        ({}, {}, 0.35),
        ({"sample_size": 1_500}, {}, 0.35),
        ({"guardrails": ("margin_per_visitor", "unsubscribe_rate")}, {"unsubscribed": 0.2}, 0.35),
        ({"primary": "conversion", "guardrails": ("margin_per_visitor",)}, {"rate": 0.1}, -0.25),
        ({"primary": "average_order_value"}, {"sigma": 0.4}, 0.1),
        ({"adjusted": True, "covariate": True}, {"covariate": True, "sigma": 0.3}, 0.2),
        ({"weights": (9, 1), "minimum_detectable_effect": 0.9}, {"sigma": 1.6}, 0.9),
        ({"looks": (), "guardrails": ("unsubscribe_rate",)}, {"unsubscribed": 0.2}, 0.5),
        (
            {"looks": (), "primary": "conversion", "guardrails": ("margin_per_visitor",)},
            {"rate": 0.15, "sigma": 0.3},
            -0.35,
        ),
        (
            {
                "looks": (),
                "primary": "average_order_value",
                "guardrails": ("unsubscribe_rate",),
                "minimum_detectable_effect": 0.17,
                "sample_size": 24_000,
            },
            {"sigma": 0.4, "unsubscribed": 0.2},
            0.01,
        ),
        ({"primary": "unsubscribe_rate", "minimum_detectable_effect": 0.3}, {}, 0.3),
    ],
)
def test_the_verdict_of_every_experiment_is_that_of_its_reviews(planned, observed, sample, changed, plan, values, lift):
    """The same visitors, reviewed look by look with reports, get the same finding at the same look."""
    definition = planned(**plan)
    past = past_visitors(definition, visitors(**values), definition)
    readings = readings_of(definition, 4_000.0)
    trial = Trial(definition, past, readings)
    trial.pairs, trial.cubes = all_pairs(range(len(COLUMNS))), [0, 1, 2, 3, 4]
    base = Population.of(past.values.values, past.values.visitors)
    treated = changed_visitors(definition, past, base, {definition.plan.primary: lift})
    drawn = trial.draw(np.random.default_rng(4), [base, treated], 12)
    verdicts = trial.follow(drawn)
    seen = observed({"control": sample(10, 1), "b": sample(10, 1)}, **plan)
    for run in range(12):
        looks, when = [], 0
        for k in range(len(readings.visitors)):
            now = replace(
                seen,
                definition=definition,
                as_of=seen.as_of + timedelta(days=k),
                arms={
                    arm: ArmCounts(int(drawn.n[run, k, at]), outcomes={"purchase": 100, "unsubscribe": 100})
                    for at, arm in enumerate(("control", "b"))
                },
                moments={
                    metric.name: {
                        arm: drawn.moments(
                            (run, k, at), dict(zip(metric.moment_columns, past.columns[metric.name], strict=True))
                        )
                        for at, arm in enumerate(("control", "b"))
                    }
                    for metric in definition.metrics
                },
            )
            rows, _ = make_look(now, looks)
            looks += rows
            found = [one.document["finding"] for one in rows if "finding" in one.document]
            when = when or (k + 1 if found and Finding[found[0]].is_final else 0)
        final = [one.document["finding"] for one in looks if "finding" in one.document][-1]
        assert (Finding(int(verdicts.findings[run, 0])).name, verdicts.look[run, 0]) == (final, when)


def test_the_visitors_without_effect_are_called_as_rarely_as_planned(planned):
    """Without any effect ships and stops for harm stay within 3.5 standard errors of alpha; with three arms as well."""
    for definition in (planned(), planned(arms=("control", "b", "c"), sample_size=24_000)):
        nothing = tried(definition, runs=4_000, seed=5).scenarios[0]
        assert nothing.called.share <= 0.05 + 3.5 * math.sqrt(0.05 * 0.95 / 4_000)
        assert nothing.called.share >= 0.03
        assert nothing.outcomes["ship_right"].share == 0
        assert sum(share.share for share in nothing.outcomes.values()) == pytest.approx(1)


def test_the_lift_is_found_as_often_as_planned(planned):
    """Where the sample is planned for 80 % power by the formula, 80 % ship, within 3.5 standard errors and .015."""
    definition = planned(sample_size=60_000, minimum_detectable_effect=0.105)
    values = visitors(sigma=0.5)
    mean = float(values.visitors @ values.values[:, 1]) / 20_000
    square = float(values.visitors @ values.values[:, 1] ** 2) / 20_000
    power = achieved_power(Mean(mean, square - mean**2), 0.105, 60_000, design_of(definition))
    assert 0.6 < power < 0.9
    found = tried(definition, values, runs=1_500).scenarios[1]
    assert found.effect == 0.105
    assert found.outcomes["ship_right"].share == pytest.approx(power, abs=3.5 * math.sqrt(0.16 / 1_500) + 0.015)
    # Half of them are over by the look at which the shares add up to half.
    over = np.cumsum(found.ending.looks)
    assert over[-1] == pytest.approx(1)
    assert found.ending.median_visitors == 15_000 * (1 + int((over < 0.5).sum()))


def test_heavy_tails_in_an_uneven_split_are_shown(planned):
    """At 10/90 with few, very uneven orders more than alpha is called or put before people, and the page says so."""
    definition = planned(weights=(9, 1), sample_size=30_000)
    found = tried(definition, visitors(rate=0.03, sigma=2.0), runs=1_000)
    nothing = found.scenarios[0]
    assert nothing.outcomes["review"].share > 0
    assert nothing.called_or_review.share > 0.05 + 3.5 * nothing.called_or_review.error
    assert "That is more than planned" in render_simulation(found)
    even = tried(planned(sample_size=30_000), visitors(rate=0.03, sigma=2.0), runs=1_000)
    assert even.scenarios[0].called_or_review.share < 0.06
    assert "That is more than planned" not in render_simulation(even)


def test_a_harm_is_a_third_scenario(planned):
    """A guardrail that the offer harms keeps it from being shipped."""
    definition = planned(guardrails=("unsubscribe_rate",), sample_size=40_000)
    found = tried(definition, lift=0.4, harm={"unsubscribe_rate": 0.6}, runs=300)
    effect, harmed = found.scenarios[1:]
    assert effect.outcomes["ship_right"].share > 0.5
    assert harmed.outcomes["ship_right"].share < 0.05
    assert harmed.outcomes["stop_harm"].share > 0.8
    assert harmed.harm == {"unsubscribe_rate": 0.6}
    assert "unsubscribe rate +60%" in render_simulation(found)


def test_a_decrease_that_is_wanted_is_injected_as_one(planned):
    """Of a metric that is to fall, the effect is a fall and ships."""
    found = tried(planned(primary="unsubscribe_rate"), lift=0.4, runs=200)
    assert found.lift == -0.4
    assert found.scenarios[1].outcomes["ship_right"].share > 0.9


def test_the_same_seed_gives_the_same_and_another_does_not(planned):
    """Nothing but the seed enters, whatever is watched meanwhile."""
    done = []
    first, again, other = (
        tried(planned(), runs=400, seed=seed, progress=watch).to_dict()
        for seed, watch in ((3, None), (3, done.append), (4, None))
    )
    assert sum(done) == 800
    assert json.dumps(first) == json.dumps(again)
    assert first["scenarios"] != other["scenarios"]


def test_the_weeks_are_those_of_the_traffic(planned):
    """A look comes when its visitors have come and their window has passed; the longest duration ends it earlier."""
    found = tried(planned(), visitors_per_week=4_000.0, runs=100)
    assert found.weeks == pytest.approx((2, 3, 4, 5))
    assert found.scenarios[0].ending.most_weeks == pytest.approx(5)
    short = tried(planned(longest_duration=int(3.5 * WEEK)), visitors_per_week=4_000.0, runs=100)
    assert short.visitors == (4_000, 8_000, 10_000)
    assert short.readings[-1] == pytest.approx(10_000 / 16_000)
    unknown = tried(planned(), runs=100)
    assert unknown.weeks is None
    assert unknown.scenarios[0].ending.most_weeks is None
    assert unknown.scenarios[0].ending.most_visitors == 16_000
    assert "within" in render_simulation(found)
    assert "within" not in render_simulation(unknown)


def test_a_plan_without_looks_is_read_by_the_week(planned):
    """The always-valid interval, once a week until the plan ends; without an end, a year."""
    definition = planned(looks=(), sample_size=None, longest_duration=6 * WEEK)
    found = tried(definition, visitors_per_week=2_000.0, runs=100)
    assert (found.judged, found.readings) == ("always-valid, read weekly", (2, 3, 4, 5, 6))
    assert found.scenarios[0].outcomes["collecting"].share == 0
    endless = tried(replace(definition, plan=replace(definition.plan, longest_duration=None)), visitors_per_week=90.0)
    assert endless.readings[-1] == 52
    assert endless.scenarios[0].outcomes["collecting"].share > 0.9
    assert endless.scenarios[0].ending.median_weeks is None
    assert "> 52 weeks" in render_simulation(endless)
    with pytest.raises(InputError, match="traffic is not known"):
        tried(definition)


def test_arms_that_nobody_has_come_to_yet_are_too_early(planned):
    """A few visitors a week: empty arms, no orders, covariates of one visitor; nothing is decided."""
    for plan in ({}, {"adjusted": True, "covariate": True}, {"primary": "average_order_value"}):
        definition = planned(looks=(), sample_size=None, guardrails=("unsubscribe_rate", "margin_per_visitor"), **plan)
        found = tried(definition, visitors(covariate="covariate" in plan), visitors_per_week=2.0, runs=100)
        assert found.visitors[:3] == (2, 4, 6)
        assert [one.outcomes["collecting"].share for one in found.scenarios] == [1, 1]


def test_a_rate_alone_can_be_tried_out(planned):
    """A conversion has no tails, so that its rate is history enough; money has, and is refused."""
    definition = planned(primary="conversion")
    found = simulate(definition, given_visitors(definition, 0.1), runs=200, lift=0.3)
    assert found.scenarios[1].outcomes["ship_right"].share > 0.8
    assert "HISTORY  as given: a rate of 10%" in render_simulation(found)
    with pytest.raises(InputError, match="how its values are distributed"):
        given_visitors(planned(), 0.1)
    with pytest.raises(InputError, match="between 0 and 1"):
        given_visitors(definition, 1.0)


def test_what_cannot_be_tried_out_is_refused_in_words(planned):
    """Small histories, missing metrics and covariates, plans without an effect or that are read once."""
    definition = planned()
    for values, message in (
        (visitors(900), "900 visitors of the control"),
        (visitors(), "by the adjusted row"),
    ):
        adjusted = replace(definition, plan=replace(definition.plan, adjusted=True))
        with pytest.raises(InputError, match=message) as refused:
            past_visitors(definition, values, adjusted)
        assert "--from" in refused.value.hint
    other = replace(definition, experiment="old", metrics=definition.metrics[:1])
    with pytest.raises(InputError, match="does not measure revenue per visitor"):
        past_visitors(other, visitors(), definition)
    for plan, given, message in (
        ({"minimum_detectable_effect": None}, {}, "no minimum_detectable_effect"),
        ({"source": "table"}, {}, "read once"),
        ({}, {"runs": 0}, "0 runs"),
        ({}, {"visitors_per_week": 0.0}, "above 0"),
        ({}, {"harm": {"returns": -0.1}}, "no history of 'returns'"),
        ({"longest_duration": WEEK // 2}, {"visitors_per_week": 9e3}, "nobody is analysed"),
    ):
        with pytest.raises(InputError, match=message):
            tried(planned(**plan), **given)


def test_a_guardrail_without_history_is_named(planned):
    """It passes here, and its part of alpha stays set aside."""
    definition = planned(guardrails=("unsubscribe_rate",))
    old = replace(definition, metrics=tuple(one for one in definition.metrics if one.name != "unsubscribe_rate"))
    found = simulate(definition, past_visitors(old, visitors(), definition), runs=100)
    assert any("unsubscribe rate has no history" in note for note in found.notes)
