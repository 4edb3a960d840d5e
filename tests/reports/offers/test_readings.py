"""Segments, clusters, incrementality, the funnel and the course after the sale, of a real store and by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
from offerlift.experiments.definition import Offer, Plan
from offerlift.experiments.metrics import Column, Metric
from offerlift.experiments.records import OfferStep
from offerlift.experiments.terms import Discount
from offerlift.reports import render_html, render_text, scorecard
from offerlift.reports.details import Details
from offerlift.reports.recording import make_look
from offerlift.stats import Moments, compare_clusters
from offerlift.storage.store import Store

from .conftest import DAY, METRICS, START, Bought, Visit

TEN = Offer("ten", "downsell", "cart", "exit", discount=Discount("percentage", Decimal(10)))
OFFERS = {"control": None, "ten": TEN}


def welch(treated, others):
    """Difference of means and half of the normal 95 % interval."""
    error = np.sqrt(np.var(treated, ddof=1) / len(treated) + np.var(others, ddof=1) / len(others))
    return np.mean(treated) - np.mean(others), 1.96 * error


def fill_early_and_late(shop, early, late, n=4_000):
    """Orders of 40 at a margin of 20 in the first days and in the third week: so many of each in either arm."""
    shop.publish(OFFERS, metrics=tuple(replace(metric, window_end=28 * DAY) for metric in METRICS))
    rows = {}
    for arm in OFFERS:
        found = np.zeros((n, 2))
        visits = []
        for at in range(n):
            orders = []
            # Some buy in both parts: the two are not independent.
            if at < early[arm]:
                orders.append(Bought(40, 20, 1.5))
                found[at, 0] = 20
            if at % 3 == 0 and at // 3 < late[arm]:
                orders.append(Bought(40, 20, 17))
                found[at, 1] = 20
            visits.append(Visit(arm, tuple(orders)))
        shop.write(visits)
        rows[arm] = found
    return rows


def test_orders_that_only_came_earlier_are_read_as_pulled_forward(shop):
    """Won in the first week and lost after: both differences and intervals as numpy has them, and they add up."""
    rows = fill_early_and_late(shop, {"control": 300, "ten": 450}, {"control": 400, "ten": 260})
    card = shop.card()
    part = card.offers.after_sale
    (row,) = part.arms
    assert (part.metric, part.split_day, row.shape) == ("margin_per_visitor", 7, "pulled_forward")
    for at, found in enumerate((row.early, row.late)):
        difference, half = welch(rows["ten"][:, at], rows["control"][:, at])
        assert found.estimate == pytest.approx(difference)
        assert found.high - found.estimate == pytest.approx(half, rel=1e-3)
    assert row.course[-1].day == 28
    assert row.course[-1].difference.estimate == pytest.approx(row.early.estimate + row.late.estimate)
    assert row.course[6].difference.estimate == pytest.approx(row.early.estimate)
    assert "pulled forward" in render_text(card)
    assert "Cumulative difference in margin per visitor" in render_html([card])


@pytest.mark.parametrize(
    ("early", "late", "shape"),
    [
        ({"control": 300, "ten": 450}, {"control": 300, "ten": 300}, "holding"),
        ({"control": 300, "ten": 450}, {"control": 200, "ten": 330}, "growing"),
        ({"control": 450, "ten": 300}, {"control": 200, "ten": 330}, "delayed"),
        ({"control": 300, "ten": 305}, {"control": 200, "ten": 330}, "unclear"),
    ],
)
def test_what_the_two_parts_say_together(shop, early, late, shape):
    """A gain that holds or grows, a loss that was a delay, and no reading where the first days show nothing."""
    fill_early_and_late(shop, early, late)
    assert shop.card().offers.after_sale.arms[0].shape == shape


def test_who_waits_for_refunds_is_said(shop):
    """How many have passed the window and the time for refunds after it; at no look a secret."""
    metrics = (replace(METRICS[0], refund_window=30 * DAY), *METRICS[1:])
    shop.publish(OFFERS, metrics=metrics, plan=Plan("margin_per_visitor", looks=(0.5, 1.0), sample_size=100_000))
    shop.write(Visit(arm, (Bought(40, 20),)) for arm in OFFERS for _ in range(200))
    card = shop.card(days=45)
    part = card.offers.after_sale
    assert part.status == "withheld"
    (sentence,) = part.maturity
    assert sentence.startswith("Margin per visitor: ")
    assert "wait and are not in the numbers" in sentence


SEGMENTS = ("country",)


def fill_segments(shop, sold, n=3_000, **plan):
    shop.publish(OFFERS, segments=SEGMENTS, plan=Plan("conversion", minimum_detectable_effect=0.1, **plan))
    for (arm, country), bought in sold.items():
        orders = (Bought(40, 20),)
        shop.write(Visit(arm, orders if at < bought else (), (("country", country),)) for at in range(n))


SOLD = {("control", "DE"): 200, ("ten", "DE"): 330, ("control", "FR"): 300, ("ten", "FR"): 300}
SOLD |= {("control", "AT"): 150, ("ten", "AT"): 190}


def test_segments_have_an_interaction_test_and_shrunk_effects(shop):
    """Cochran's Q by hand, every effect drawn towards the others, adjusted p-values above the raw ones."""
    fill_segments(shop, SOLD)
    card = shop.card()
    (part,) = card.offers.segments
    rate = {key: bought / 3_000 for key, bought in SOLD.items()}
    effect = {c: rate["ten", c] - rate["control", c] for c in ("DE", "FR", "AT")}
    variance = {c: sum(rate[a, c] * (1 - rate[a, c]) / 2_999 for a in OFFERS) for c in effect}
    weights = {c: 1 / variance[c] for c in effect}
    middle = sum(weights[c] * effect[c] for c in effect) / sum(weights.values())
    (test,) = part.tests
    assert (part.label, test.degrees_of_freedom) == ("pre_declared", 2)
    assert test.statistic == pytest.approx(sum(weights[c] * (effect[c] - middle) ** 2 for c in effect), rel=1e-6)
    assert test.p_value < 0.001
    rows = {row.value: row for row in part.rows}
    for country, row in rows.items():
        assert row.raw.estimate == pytest.approx(effect[country])
        assert abs(row.shrunk.estimate - middle) < abs(effect[country] - middle)
        assert row.adjusted_p_value >= row.p_value
    assert "pre-declared segment" in render_html([card])
    assert "to be expected" in render_text(card)


def test_segments_are_withheld_before_the_first_look(shop):
    """Which will be split by is said; no number of theirs is in any output."""
    fill_segments(shop, SOLD, looks=(0.5, 1.0), sample_size=10**6)
    card = shop.card()
    (part,) = card.offers.segments
    assert (part.segment, part.status, part.rows, part.tests) == ("country", "withheld", (), ())
    text = json.dumps(card.to_dict())
    assert "0.0433" not in text


def test_what_a_scorecard_reads_is_read_once(shop, monkeypatch):
    """Breakdowns, the course, the histograms: one call each for health, numbers and page together."""
    fill_segments(shop, SOLD)
    calls = []
    for name in ("breakdown", "visitors_by", "since_exposure", "measured", "distributions", "funnel", "observations"):
        real = getattr(Store, name)
        monkeypatch.setattr(
            Store, name, lambda self, *a, _real=real, _name=name, **k: (calls.append(_name), _real(self, *a, **k))[1]
        )
    shop.card()
    assert sorted(calls) == sorted(set(calls))
    assert "visitors_by" not in calls


def fill_agents(shop, agents=12, n=120, **plan):
    """Agents differ in how much they sell, in either arm."""
    shop.publish(OFFERS, segments=("agent",), plan=Plan("margin_per_visitor", cluster="agent", **plan), metrics=METRICS)
    rng = np.random.default_rng(5)
    values = {arm: {} for arm in OFFERS}
    for agent in range(agents):
        for arm in OFFERS:
            bought = rng.random(n) < 0.1 + 0.4 * agent / agents + (0.02 if arm == "ten" else 0)
            values[arm][f"a{agent}"] = np.where(bought, 20.0, 0.0)
            shop.write(
                Visit(arm, (Bought(40, 20),) if one else (), (("agent", f"a{agent}"),)) for one in bought.tolist()
            )
    return values


def test_clusters_carry_the_primary_metrics_intervals(shop):
    """The difference, its interval and the always-valid one stand on the cluster-robust variance, not on that of
    independent visitors."""
    values = fill_agents(shop)
    card = shop.card()
    arms = {arm: {key: Moments.from_arrays({"x": one}) for key, one in of.items()} for arm, of in values.items()}
    expected = compare_clusters(arms["ten"], arms["control"], "x")
    row = card.metric("margin_per_visitor").comparison("ten")
    assert (row.difference.estimate, row.difference.low) == pytest.approx(
        (expected.difference.estimate, expected.difference.low)
    )
    half = row.anytime.boundary * expected.difference.se
    assert row.anytime.high - row.difference.estimate == pytest.approx(half)
    (found,) = card.offers.clusters.arms
    assert (found.clusters, found.inflation) == (12, pytest.approx(expected.design_effect))
    assert found.inflation != pytest.approx(1, abs=0.01)
    independent = welch(*(np.concatenate(list(values[arm].values())) for arm in ("ten", "control")))[1]
    assert row.difference.high - row.difference.estimate != pytest.approx(independent, rel=0.01)
    assert card.metric("conversion").comparison("ten").difference.method != "cr2-cluster"


def test_a_look_is_made_with_the_clusters_variance(shop):
    """What a review records is the repeated interval of the clustered difference."""
    values = fill_agents(shop, looks=(0.5, 1.0), sample_size=5_000)
    observations = shop.store.observations("offer", as_of=START + timedelta(days=60))
    details = Details.of_store(shop.store, observations)
    rows, _ = make_look(observations, [], details=details)
    primary = next(one for one in rows if one.metric == "margin_per_visitor")
    row = scorecard(observations, rows, details).metric("margin_per_visitor").comparison("ten")
    assert row.difference.method == "cr2-cluster"
    arms = {arm: {key: Moments.from_arrays({"x": one}) for key, one in of.items()} for arm, of in values.items()}
    assert primary.se == pytest.approx(compare_clusters(arms["ten"], arms["control"], "x").difference.se)


def test_clusters_that_cannot_be_read_leave_no_verdict(shop):
    """Without the store the comparison is insufficient, with the reason: never one of independent visitors."""
    fill_agents(shop)
    card = scorecard(shop.store.observations("offer"), ())
    row = card.metric("margin_per_visitor").comparison("ten")
    assert (row.status, row.difference.estimate) == ("insufficient", None)
    assert "only a store has them" in row.reason
    assert card.decision.action == "collecting"


GIVEN = Metric("discount_given", "revenue", Column("discount", "value"), window_end=14 * DAY)


def test_what_was_given_away_is_split_by_whether_it_brought_an_order(shop):
    """A third of the orders are more than the control's, so a third of the discount brought them."""
    shop.publish(OFFERS, metrics=(*METRICS, GIVEN), plan=Plan("margin_per_visitor", offer_cost="discount_given"))
    shop.write(Visit("control", (Bought(40, 20),) if at < 200 else ()) for at in range(3_000))
    shop.write(Visit("ten", (Bought(36, 20, given=4),) if at < 300 else ()) for at in range(3_000))
    card = shop.card()
    (row,) = card.offers.incremental.arms
    assert row.share_incremental.estimate == pytest.approx(1 / 3)
    assert row.cost.estimate == pytest.approx(0.4)
    assert row.cost_incremental.estimate == pytest.approx(0.4 / 3)
    assert row.cost_non_incremental.estimate == pytest.approx(0.8 / 3)
    # Each order cost four: what went to the others is four times the control's orders, and as sure as these.
    rate = 200 / 3_000
    half = row.cost_non_incremental.high - row.cost_non_incremental.estimate
    assert half == pytest.approx(1.96 * 4 * np.sqrt(rate * (1 - rate) / 3_000), rel=2e-3)
    assert row.cost_per_incremental_order.estimate == pytest.approx(12)
    assert row.break_even_lift.estimate == pytest.approx(20 / 16 - 1)
    assert row.observed_lift.estimate == pytest.approx(0.5)
    assert "Who would have bought anyway?" in render_html([card])
    assert "breaks even at" in render_text(card)


def test_the_split_is_never_derived_from_the_cost_of_goods(shop):
    """Without a metric of what is given away there is no part, whatever the outcomes cost."""
    shop.publish(OFFERS)
    shop.write(Visit(arm, (Bought(40, 20),)) for arm in OFFERS for _ in range(100))
    assert shop.card().offers.incremental is None


def step(visitor, name, reason=None):
    return OfferStep("offer", f"v{visitor}", name, "ten", START.replace(month=4), reason)


@pytest.fixture
def stepped(shop):
    """Of two hundred visitors with the offer 10 are withheld, 20 not delivered, and of 100 delivered 30 accept."""
    shop.publish(OFFERS, plan=Plan("conversion", looks=(0.5, 1.0), sample_size=10_000))
    bought = (Bought(40, 20),)
    shop.write(Visit(arm, bought if at % 4 == 0 else ()) for arm in ("ten", "control") for at in range(200))
    steps = [step(n, "withheld", "min_margin") for n in range(10)]
    steps += [step(n, "undelivered", "bounced") for n in range(10, 30)]
    steps += [step(n, "delivered") for n in range(30, 130)] + [step(n, "accepted") for n in range(30, 60)]
    steps += [step(n, "declined", "too_expensive") for n in range(60, 80)]
    written = shop.store.write_offer_steps(steps)
    assert not written.refused
    return shop


def test_the_funnel_is_shown_and_answers_are_withheld_until_the_first_look(stepped):
    """Reach, guards and delivery at any time; who accepted or declined tells of the effect, and waits."""
    card = stepped.card()
    row = next(one for one in card.offers.funnel.arms if one.arm == "ten")
    assert (row.visitors, row.delivered, row.undelivered) == (200, 100, 20)
    assert (dict(row.withheld), dict(row.undelivered_reasons)) == ({"min_margin": 10}, {"bounced": 20})
    assert (row.accepted, row.declined, row.declined_reasons, row.accept_rate) == (None, None, None, None)
    for shown in (render_text(card), render_html([card]), json.dumps(card.to_dict())):
        assert "too_expensive" not in shown.replace(" ", "_")
    page = render_html([card])
    assert "How far the offers came" in page
    assert "not comparable" in page


def test_accept_rates_are_labelled_not_comparable(stepped):
    """After a look the answers are there with their reasons, the rate beside its label."""
    observations = stepped.store.observations("offer", as_of=START.replace(month=6))
    details = Details.of_store(stepped.store, observations)
    rows, _ = make_look(observations, [], reveal=True, details=details)
    card = scorecard(observations, rows, details)
    row = next(one for one in card.offers.funnel.arms if one.arm == "ten")
    assert (row.accepted, row.accept_rate, row.declined_reasons) == (30, 0.3, {"too_expensive": 20})
    page, text = render_html([card]), render_text(card)
    assert "Accept rates are not comparable between arms" in page
    assert "Accept rates are not comparable between arms" in text


def test_a_holdout_says_what_it_compares(shop):
    """All offers together, by name of the experiments that it covers."""
    shop.key = "nothing"
    shop.publish({"held_out": None, "offered": None}, holdout=True)
    shop.write(Visit(arm, (Bought(40, 20),)) for arm in ("held_out", "offered") for _ in range(150))
    shop.key = "covered"
    shop.publish(OFFERS, holdouts=("nothing",))
    shop.key = "nothing"
    card = shop.card()
    assert "what all offers of “covered” bring together" in card.offers.after_sale.holdout
    assert "what all offers of “covered” bring together" in render_html([card])


def test_a_promotion_that_sells_more_and_earns_less_never_ships(shop):
    """Conversion far up, margin far down, margin being a guardrail or the primary: the reason has both."""
    margin = replace(METRICS[0], non_inferiority_margin=0.05)
    for key, plan in (
        ("guarded", Plan("conversion", guardrails=("margin_per_visitor",))),
        ("primary", Plan("margin_per_visitor")),
    ):
        shop.key = key
        shop.publish(OFFERS, metrics=(margin, *METRICS[1:]), plan=plan)
        shop.write(Visit("control", (Bought(40, 20),) if at < 300 else ()) for at in range(3_000))
        shop.write(Visit("ten", (Bought(24, 20),) if at < 500 else ()) for at in range(3_000))
        decision = shop.card().decision
        assert (key, decision.action, decision.arm) == (key, "stop_harm", "ten")
        assert "It sells more and earns less: conversion +67%, but margin per visitor −66.7%" in decision.reason
