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
    (row,) = card.offers.waiting.arms
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
    assert row.gain_of_waiting == pytest.approx(deciding_then + meanwhile - now, rel=1e-6)
    assert row.value_of_week == pytest.approx(deciding_then - max(later * d - COST, 0), rel=1e-6)
    assert row.value_of_week - row.cost_of_week == pytest.approx(row.gain_of_waiting)
    assert row.cost_of_week > 0


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
    (row,) = scorecard(replace(seen, state="stopped")).offers.waiting.arms
    assert (row.value_of_week, row.gain_of_waiting) == (None, None)
    assert row.expected_gain is not None
    assert "ended" in row.reason


def test_without_a_horizon_it_is_not_asked_for(seen, changed):
    """The plan says until when money counts; without, there is no part."""
    plan = replace(seen.definition.plan, audience=Audience(per_week=PER_WEEK))
    assert scorecard(changed(seen, plan=plan)).offers.waiting is None
