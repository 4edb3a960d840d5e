"""Money: whose difference, by which interval, for which audience, and what is never projected."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from offerlift.experiments.definition import Arm, Audience, Offer
from offerlift.reports import render_html, render_text, scorecard
from offerlift.reports.offers.showing import amount

DAY = 86_400_000_000
WEEK = 7 * DAY
AUDIENCE = Audience(per_week=20_000, horizon=26 * WEEK, switching_cost=Decimal(500))


@pytest.fixture
def priced(changed):
    """Gives an experiment an audience, or another plan."""

    def price(observations, audience=AUDIENCE, **plan):
        return changed(observations, plan=replace(observations.definition.plan, audience=audience, **plan))

    return price


@pytest.fixture
def seen(observed, control, winner, priced):
    return priced(observed({"control": control, "b": winner}))


def days(number, visitors):
    """So many days with as many visitors in each of two arms."""
    first = datetime(2026, 2, 2, tzinfo=UTC)
    return tuple((first + timedelta(days=at), {"control": visitors, "b": visitors}) for at in range(number))


def test_money_stands_on_the_interval_that_decides(seen, priced):
    """Without looks the always-valid interval of the margin, times the audience; never the fixed-sample one."""
    card = scorecard(seen)
    found, margin = card.offers.money, card.metric("margin_per_visitor").comparison("b")
    (row,) = found.arms
    assert (found.status, found.metric, found.measures, found.interval) == (
        "ok",
        "margin_per_visitor",
        "margin",
        "always_valid",
    )
    assert (row.per_visitor.low, row.per_visitor.high) == (margin.anytime.low, margin.anytime.high)
    assert margin.difference.low > row.per_visitor.low
    assert row.per_visitor.estimate == pytest.approx(0.4 * 60 * 300 / 20_000)
    assert row.per_week.low == pytest.approx(20_000 * margin.anytime.low)
    assert row.over_horizon.high == pytest.approx(26 * 20_000 * margin.anytime.high - 500)


def test_at_looks_money_stands_on_the_repeated_interval(planned, review, priced):
    """What was recorded at the last look, whose estimate is corrected for stopping; later data moves none of it."""
    card = review(priced(planned(10_000, 0.08)))
    row, margin = card.offers.money.arms[0], card.metric("margin_per_visitor").comparison("b")
    assert card.offers.money.interval == "sequential"
    assert (row.per_visitor.estimate, row.per_visitor.low, row.per_visitor.high) == (
        margin.sequential.estimate,
        margin.sequential.low,
        margin.sequential.high,
    )
    later = review(priced(planned(12_000, 0.05)))
    assert later.offers.money.arms[0].per_visitor == row.per_visitor


def test_before_the_first_look_there_is_no_money_in_any_output(planned, review, priced):
    """Neither what an arm earns nor what waiting is worth; both say that they are withheld."""
    card = review(priced(planned(4_800, 0.08)))
    parts = card.to_dict()["offers"]
    for part in (parts["money"], parts["waiting"]):
        assert (part["status"], part["reason"]) == ("withheld", "withheld until the first look")
        assert part["arms"] == []
    for text in (render_text(card), render_html([card]), json.dumps(card.to_dict())):
        assert "0.72" not in text
        assert "14,400" not in text


def test_the_audience_that_came_is_counted_before_the_planned_one(seen, changed):
    """Of whole days; scaled up where the traffic lets in a part only, and said so."""
    came = changed(seen, exposures_by_day=days(15, 500))
    money = scorecard(came).offers.money
    assert (money.audience_per_week, money.audience_source) == (7_000, "observed")
    half = scorecard(changed(came, traffic=Fraction(1, 2))).offers.money
    assert half.audience_per_week == 14_000
    assert half.audience == (
        "7,000 eligible visitors a week were exposed in the last 14 days, 50% of all; counted for 14,000"
    )
    assert scorecard(changed(seen, exposures_by_day=days(2, 500))).offers.money.audience_source == "plan"


def test_without_an_audience_there_is_money_for_a_visitor_alone(seen, priced):
    """A table has no days, and a plan may say nothing: no week is made up."""
    money = scorecard(priced(seen, Audience())).offers.money
    assert money.arms[0].per_visitor.estimate is not None
    assert money.arms[0].per_week.estimate is None
    assert money.arms[0].over_horizon.estimate is None
    assert money.audience_per_week is None


def test_a_one_off_campaign_is_never_projected(seen):
    """A flash sale's money is that of its own visitors: no week, no horizon, and the page says why."""
    sale = Offer("sale", kind="flash_sale", placement="product_page", trigger="page_viewed")
    arms = (seen.definition.arms[0], Arm("b", 5_000, sale, Fraction(1)))
    card = scorecard(replace(seen, definition=replace(seen.definition, arms=arms)))
    (row,) = card.offers.money.arms
    assert card.offers.money.one_off
    assert row.per_week.estimate is None
    assert row.over_horizon.estimate == pytest.approx(40_000 * row.per_visitor.estimate - 500)
    assert "not projected beyond its own visitors" in render_html([card])
    assert card.offers.waiting.status == "undefined"


def test_revenue_is_not_called_margin(seen, changed):
    """Without a metric of margin it is revenue, and what is not taken off is said."""
    metrics = tuple(metric for metric in seen.definition.metrics if metric.kind != "margin")
    money = scorecard(changed(seen, metrics=metrics)).offers.money
    assert (money.metric, money.measures) == ("revenue_per_visitor", "revenue")
    assert "not margin" in money.netted
    assert "is not taken off" in money.netted


def test_without_money_there_is_no_part(observed, changed, control, winner):
    """Conversion alone has no money, and no page invents a heading for it."""
    seen = observed({"control": control, "b": winner}, primary="conversion")
    card = scorecard(changed(seen, metrics=(seen.definition.metric("conversion"),)))
    assert card.offers.money is None
    assert 'class="offers money"' not in render_html([card])


def test_an_arm_without_visitors_has_a_reason_and_no_amount(observed, sample, control, priced):
    """Not 0 and not a loss: insufficient."""
    card = scorecard(priced(observed({"control": control, "b": sample(0, 0)})))
    money = card.offers.money
    assert (money.status, money.arms[0].status) == ("insufficient", "insufficient")
    assert money.arms[0].reason
    assert money.arms[0].per_week.estimate is None


@pytest.mark.parametrize(
    ("x", "half", "said"),
    [(12_345.67, 4_321.0, "+€12,300"), (-98_765.0, 43_210.0, "−€99,000"), (3.21, 1.0, "+€3.21"), (0.0, None, "€0.00")],
)
def test_amounts_have_two_digits_of_their_uncertainty(x, half, said):
    """No cents beside an uncertainty of thousands."""
    assert amount(x, "EUR", half) == said
