"""Worth waiting: expected gain, loss and the value of a week, against integration by hand; it never ships."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from offerlift.experiments.definition import Audience
from offerlift.reports import render_html, render_text, scorecard

WEEK = 7 * 86_400_000_000
PER_WEEK, WEEKS, COST = 20_000, 26, 500.0


@pytest.fixture
def seen(observed, sample, control, changed):
    """A small, unsure gain."""
    found = observed({"control": control, "b": sample(20_000, 1_030)})
    audience = Audience(per_week=PER_WEEK, horizon=WEEKS * WEEK, switching_cost=Decimal(int(COST)))
    return changed(found, plan=replace(found.definition.plan, audience=audience))


def test_the_numbers_are_those_of_an_integration_by_hand(seen):
    """E over a grid of true differences, and over a grid of what a week more may say."""
    card = scorecard(seen)
    part = card.offers.waiting
    (row,) = part.arms
    margin = card.metric("margin_per_visitor")
    d = margin.comparison("b").difference.estimate
    control, treatment = margin.arm("control").variance, margin.arm("b").variance
    future = PER_WEEK * WEEKS
    assert row.expected_gain == pytest.approx(future * d - COST)
    z = np.linspace(-9, 9, 200_001)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    true = d + math.sqrt(control + treatment) * z
    assert row.expected_loss == pytest.approx(future * float(np.sum(np.maximum(-true, 0) * density)), rel=1e-6)
    # Half of the week's visitors come to each arm.
    after = (control + treatment) * 20_000 / (20_000 + PER_WEEK / 2)
    later = future - PER_WEEK
    then = d + math.sqrt(control + treatment - after) * z
    deciding_then = float(np.sum(np.maximum(later * then - COST, 0) * density))
    now, meanwhile = max(future * d - COST, 0), PER_WEEK / 2 * d
    assert part.gain_of_waiting == pytest.approx(deciding_then + meanwhile - now, rel=1e-6)
    assert part.value_of_week == pytest.approx(deciding_then - max(later * d - COST, 0), rel=1e-6)
    assert part.value_of_week - part.cost_of_week == pytest.approx(part.gain_of_waiting)
    assert part.cost_of_week > 0
    assert part.now == "b"


def several(observed, sample, control, changed, **orders):
    """Arms of 20,000 visitors with so many orders."""
    found = observed({"control": control, **{arm: sample(20_000, n) for arm, n in orders.items()}})
    audience = Audience(per_week=PER_WEEK, horizon=WEEKS * WEEK, switching_cost=Decimal(int(COST)))
    return changed(found, plan=replace(found.definition.plan, audience=audience))


def test_several_arms_are_chosen_among_together(observed, sample, control, changed):
    """Against 400,000 draws of what the week may say of all four: each treatment beside the control alone says less."""
    card = scorecard(several(observed, sample, control, changed, b=1_030, c=1_025, d=900))
    part, margin = card.offers.waiting, card.metric("margin_per_visitor")
    arms = ("control", "b", "c", "d")
    mean, variance = (np.array([getattr(margin.arm(arm), name) for arm in arms]) for name in ("value", "variance"))
    cost, future, more = np.array([0, COST, COST, COST]), PER_WEEK * WEEKS, PER_WEEK / 4
    later = future - PER_WEEK
    rng = np.random.default_rng(4)
    true = mean + rng.normal(size=(400_000, 4)) * np.sqrt(variance)
    for row, at in zip(part.arms, (1, 2, 3), strict=True):
        lost = true.max(axis=1) - true[:, at]
        assert row.expected_loss == pytest.approx(future * lost.mean(), abs=4 * future * lost.std() / 400_000**0.5)
        assert row.expected_gain == pytest.approx(future * (mean[at] - mean[0]) - COST)
    assert ([row.rank for row in part.arms], part.now) == ([1, 2, 3], "b")
    then = later * (mean + rng.normal(size=(400_000, 4)) * np.sqrt(variance * more / (20_000 + more))) - cost
    gained = then.max(axis=1) - then[:, 1]
    assert part.value_of_week == pytest.approx(gained.mean(), abs=4 * gained.std() / 400_000**0.5)
    assert part.cost_of_week == pytest.approx(float((more * (mean[1] - mean)).sum()))
    assert part.gain_of_waiting == pytest.approx(part.value_of_week - part.cost_of_week)
    alone = scorecard(several(observed, sample, control, changed, b=1_030)).offers.waiting
    assert part.value_of_week > 1.1 * alone.value_of_week


@pytest.mark.parametrize(
    ("orders", "now", "said"),
    [
        ({"b": 1_030, "c": 1_025}, "b", "Chosen now, “b” is expected to earn the most."),
        ({"b": 700, "c": 690}, "control", "costs more than it tells. That supports stopping without effect."),
        ({"b": 985, "c": 985}, "control", "another week pays. None of this ships an arm."),
    ],
)
def test_it_says_what_is_chosen_and_what_a_week_is_worth(observed, sample, control, changed, orders, now, said):
    """In words, on the page and the terminal; the control's being best and a week too dear supports a stop."""
    card = scorecard(several(observed, sample, control, changed, **orders))
    assert card.offers.waiting.now == now
    for shown in (render_html([card]), render_text(card)):
        assert said in " ".join(shown.split())
    assert card.decision.action != "ship"


def test_it_ranks_and_never_ships(seen):
    """An expected gain of thousands is no verdict: the experiment goes on."""
    card = scorecard(seen)
    assert card.offers.waiting.arms[0].expected_gain > 1_000
    assert card.decision.action == "collecting"
    assert "never ships" in render_text(card)
    page = render_html([card])
    assert page.index("Keep collecting") < page.index("Worth waiting?")


def test_the_largest_expected_gain_ranks_first(observed, sample, control, changed):
    """Over all arms that can be compared; an arm without visitors has no rank."""
    found = observed({"control": control, "b": sample(20_000, 990), "c": sample(20_000, 1_100), "d": sample(0, 0)})
    audience = Audience(per_week=PER_WEEK, horizon=WEEKS * WEEK)
    card = scorecard(changed(found, plan=replace(found.definition.plan, audience=audience)))
    assert {row.arm: row.rank for row in card.offers.waiting.arms} == {"b": 2, "c": 1, "d": None}
    assert card.offers.waiting.arms[2].status == "insufficient"


def test_after_the_end_no_week_is_priced(seen):
    """A stopped experiment has its gain and loss, and no week to wait for."""
    part = scorecard(replace(seen, state="stopped")).offers.waiting
    assert (part.now, part.value_of_week, part.gain_of_waiting) == (None, None, None)
    assert part.arms[0].expected_gain is not None
    assert "ended" in part.words


def test_without_a_horizon_it_is_not_asked_for(seen, changed):
    """The plan says until when money counts; without, there is no part."""
    plan = replace(seen.definition.plan, audience=Audience(per_week=PER_WEEK))
    assert scorecard(changed(seen, plan=plan)).offers.waiting is None
