"""Offers whose split was changed: phases are strata in every part, of a real store and against the rows by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from offerlift.experiments.definition import Offer, Plan
from offerlift.experiments.metrics import Column, Metric
from offerlift.experiments.terms import Discount, Price
from offerlift.reports import render_html
from offerlift.stats import (
    Histogram,
    Moments,
    compare_clusters,
    compare_clusters_over_strata,
    demand_curve,
    dose_response,
    threshold_bunching_over_strata,
)

from .conftest import DAY, METRICS, Bought, Visit

GIVEN = Metric("discount_given", "revenue", Column("discount", "value"), window_end=14 * DAY)
TEN = Offer("ten", "downsell", "cart", "exit", discount=Discount("percentage", Decimal(10)))
OFFERS = {"control": None, "ten": TEN}

PHASES = (
    {"control": (300, 0.1), "ten": (2700, 0.12)},
    {"control": (2700, 0.3), "ten": (300, 0.36)},
)
"""By arm: visitors, and the share of them who buy; quiet days first, and a fifth more orders by the offer in both."""


def bought(n, rate, value=40, cost=20, **more):
    """So many visitors of whom that share buys once."""
    return [(Bought(value, cost, **more),) if at < round(n * rate) else () for at in range(n)]


def visits(arm, orders, **segments):
    return [Visit(arm, one, tuple(segments.items())) for one in orders]


@pytest.fixture
def incremental(shop):
    """What is given away is known."""
    shop.publish(OFFERS, metrics=(*METRICS, GIVEN), plan=Plan("margin_per_visitor", offer_cost="discount_given"))
    return shop


def test_orders_that_the_split_moved_are_not_taken_for_the_offers(incremental):
    """A fifth more orders in either phase are a sixth of the orders; pooled, the offer seems to have cost half."""
    for phase in PHASES:
        if phase is PHASES[1]:
            incremental.begin_phase()
        incremental.write(visits("control", bought(*phase["control"])))
        incremental.write(visits("ten", bought(*phase["ten"], value=36, given=4)))
    orders = {arm: sum(n * rate for n, rate in (phase[arm] for phase in PHASES)) for arm in OFFERS}
    assert orders["ten"] < 0.6 * orders["control"]
    card = incremental.card()
    part = card.offers.incremental
    (row,) = part.arms
    assert (part.status, row.status) == ("ok", "ok")
    assert row.observed_lift.estimate == pytest.approx(0.2)
    assert row.share_incremental.estimate == pytest.approx(1 / 6)
    # Each order of the offer costs four; both phases stand for half of the visitors.
    assert row.cost.estimate == pytest.approx(4 * (0.12 + 0.36) / 2)
    assert row.cost_incremental.estimate == pytest.approx(row.cost.estimate / 6)
    assert row.break_even_lift.estimate == pytest.approx(20 / 16 - 1)
    variance = sum(0.25 * rate * (1 - rate) / (n - 1) for n, rate in (phase["ten"] for phase in PHASES))
    assert row.cost.high - row.cost.estimate == pytest.approx(1.96 * 4 * variance**0.5, rel=2e-3)
    assert "Who would have bought anyway?" in render_html([card])


def test_a_phase_dealt_out_at_random_changes_nearly_nothing(incremental, shop):
    """The same visitors in one phase and in two of the same split: shares and costs agree to a tenth of their error."""
    rng = np.random.default_rng(8)
    rows = {
        arm: [(Bought(30 + 20 * (x < rate / 2), 20, given=4),) if x < rate else () for x in rng.random(3_000)]
        for arm, rate in (("control", 0.2), ("ten", 0.26))
    }
    for arm, orders in rows.items():
        incremental.write(visits(arm, orders))
    (whole,) = incremental.card().offers.incremental.arms
    shop.key = "again"
    shop.publish(OFFERS, metrics=(*METRICS, GIVEN), plan=Plan("margin_per_visitor", offer_cost="discount_given"))
    shop.phase = 1
    for half in (0, 1):
        if half:
            shop.begin_phase()
        for arm, orders in rows.items():
            shop.write(visits(arm, orders[half::2]))
    (split,) = shop.card().offers.incremental.arms
    for name in ("share_incremental", "cost_incremental", "cost_non_incremental", "break_even_lift"):
        one, two = getattr(whole, name), getattr(split, name)
        assert two.estimate == pytest.approx(one.estimate, abs=0.05 * (one.high - one.low))
        assert two.high - two.low == pytest.approx(one.high - one.low, rel=0.03)


def test_an_arm_that_no_phase_has_with_the_control_is_insufficient(incremental):
    """Never together: there is nothing to compare, and that is said."""
    incremental.write(visits("control", bought(500, 0.2)))
    incremental.begin_phase()
    incremental.write(visits("ten", bought(500, 0.2, given=4)))
    (row,) = incremental.card().offers.incremental.arms
    assert (row.status, row.reason) == ("insufficient", "No phase has two visitors in both arms.")


def priced(amount):
    return Offer(f"at-{amount}", "downsell", "cart", "exit", price=Price(amount=Decimal(amount), currency="EUR"))


PRICES = {"a": 20.0, "b": 25.0, "c": 30.0}
SOLD = ({"a": (4000, 240), "b": (1000, 38), "c": (1000, 27)}, {"a": (600, 180), "b": (1200, 230), "c": (4200, 560)})
"""By price in either phase: visitors and buyers; demand rose fivefold while visitors were moved to the dearest."""


def test_prices_over_phases(shop):
    """Demand, profit, P(best) and elasticity from strata by hand; pooled, the dearest would seem to sell the most."""
    shop.publish({arm: priced(f"{price:.0f}") for arm, price in PRICES.items()})
    for at, phase in enumerate(SOLD):
        if at:
            shop.begin_phase()
        for arm, (n, sold) in phase.items():
            shop.write(visits(arm, bought(n, sold / n, PRICES[arm], 12)))
    pooled = {arm: sum(phase[arm][1] for phase in SOLD) / sum(phase[arm][0] for phase in SOLD) for arm in PRICES}
    assert pooled["c"] > pooled["a"]
    card = shop.card()
    part = card.offers.response

    def column(arm, value):
        return [Moments.from_arrays({"y": np.repeat([value, 0.0], [x, n - x])}) for n, x in (p[arm] for p in SOLD)]

    rates = {arm: np.mean([x / n for n, x in (phase[arm] for phase in SOLD)]) for arm in PRICES}
    assert [one.demand.estimate for one in part.points] == pytest.approx(list(rates.values()))
    assert [one.n for one in part.points] == [4600, 2200, 5200]
    profit = {arm: rates[arm] * (price - 12) for arm, price in PRICES.items()}
    assert [one.profit.estimate for one in part.points] == pytest.approx(list(profit.values()))
    assert part.best == max(profit, key=lambda arm: profit[arm])
    curve = demand_curve({arm: column(arm, 1.0) for arm in PRICES}, PRICES, "y").elasticity
    assert (part.elasticity.estimate, part.elasticity.low) == pytest.approx((curve.estimate, curve.low))
    assert part.elasticity.high < -1
    assert "within each of 2 phases" in part.trend
    shown = render_html([card])
    assert "Elasticity of demand" in shown
    assert "within each of 2 phases" in shown


def test_doses_of_a_phase_that_lacked_one_are_left_out(shop):
    """A depth that was added later is compared with the others of that time alone, as the trend says."""
    twenty = replace(TEN, name="twenty", discount=Discount("percentage", Decimal(20)))
    shop.publish({**OFFERS, "twenty": twenty})
    for arm, rate in (("control", 0.4), ("ten", 0.1)):
        shop.write(visits(arm, bought(900, rate)))
    shop.begin_phase()
    second = {"control": (1000, 0.1, 20.0), "ten": (1100, 0.15, 16.0), "twenty": (1200, 0.16, 12.0)}
    for arm, (n, rate, margin) in second.items():
        shop.write(visits(arm, bought(n, rate, 20 + margin, 20)))
    part = shop.card().offers.response
    arms = {
        arm: Moments.from_arrays({"y": np.repeat([margin, 0.0], [round(n * rate), n - round(n * rate)])})
        for arm, (n, rate, margin) in second.items()
    }
    found = dose_response(arms, {"control": 0.0, "ten": 10.0, "twenty": 20.0}, "y")
    assert [one.profit.low for one in part.points] == pytest.approx([one.low for one in found.doses])
    assert [one.probability_best for one in part.points] == pytest.approx([one.probability_best for one in found.doses])
    assert "Of phase 2 alone: the others lack an arm." in part.trend


def test_no_phase_with_every_dose(shop):
    """Two depths that were never tested at once have no curve."""
    twenty = replace(TEN, name="twenty", discount=Discount("percentage", Decimal(20)))
    shop.publish({**OFFERS, "twenty": twenty})
    shop.write(visits("control", bought(300, 0.2)) + visits("ten", bought(300, 0.2)))
    shop.begin_phase()
    shop.write(visits("control", bought(300, 0.2)) + visits("twenty", bought(300, 0.2)))
    part = shop.card().offers.response
    assert (part.status, part.points) == ("insufficient", ())
    assert part.reason == "No phase has two visitors at every tested dose."


def test_orders_at_a_threshold_over_phases(shop):
    """Shares are compared within each phase; the newest phase's orders are drawn, and that is said."""
    shop.publish({"control": None, "from-50": Offer("f", "threshold", "cart", "cart", free_shipping_from=Decimal(50))})
    # In the busy phase baskets are small in both arms, and the threshold fills up a fifth of those of either phase.
    orders = ({"control": (100, 100), "from-50": (320, 480)}, {"control": (720, 80), "from-50": (70, 30)})
    for at, phase in enumerate(orders):
        if at:
            shop.begin_phase()
        for arm, (low, high) in phase.items():
            shop.write(visits(arm, bought(low, 1, 45) + bought(high, 1, 52) + bought(1000, 0)))
    card = shop.card()
    part = card.offers.response
    control, treatment = part.bunching
    assert (control.orders, treatment.orders) == (800, 100)
    histograms = [
        [Histogram.of([4500] * low + [5200] * high, scale=100) for low, high in (phase[arm] for phase in orders)]
        for arm in ("from-50", "control")
    ]
    expected = threshold_bunching_over_strata(*histograms, threshold=50, width=10).above.difference
    assert (treatment.excess.estimate, treatment.excess.low) == pytest.approx((expected.estimate, expected.low))
    weights = np.array([1000, 900]) / 1900
    assert treatment.excess.estimate == pytest.approx(float(weights @ [0.6 - 0.5, 0.3 - 0.1]))
    assert "drawn of the newest phase" in render_html([card])


def test_clusters_over_phases_carry_the_primarys_intervals(shop):
    """Agents who worked on: the difference over phases with what each of them adds in both, by hand of the rows."""
    shop.publish(OFFERS, segments=("agent",), plan=Plan("margin_per_visitor", cluster="agent"), metrics=METRICS)
    rng = np.random.default_rng(6)
    skill = rng.uniform(0.1, 0.5, 14)
    arms = {arm: [{}, {}] for arm in OFFERS}
    for at, (base, sizes) in enumerate(((0.0, {"control": 20, "ten": 90}), (0.3, {"control": 90, "ten": 20}))):
        if at:
            shop.begin_phase()
        for agent, own in enumerate(skill):
            for arm, n in sizes.items():
                buys = rng.random(n) < own + base
                arms[arm][at][f"a{agent}"] = Moments.from_arrays({"x": np.where(buys, 20.0, 0.0)})
                shop.write(visits(arm, [(Bought(40, 20),) if one else () for one in buys.tolist()], agent=f"a{agent}"))
    expected = compare_clusters_over_strata(arms["ten"], arms["control"], "x")
    card = shop.card()
    row = card.metric("margin_per_visitor").comparison("ten")
    assert row.difference.method == "cr2-cluster"
    assert (row.difference.estimate, row.difference.low) == pytest.approx(
        (expected.difference.estimate, expected.difference.low)
    )
    half = row.anytime.boundary * expected.difference.se
    assert row.anytime.high - row.difference.estimate == pytest.approx(half)
    (found,) = card.offers.clusters.arms
    assert (found.clusters, found.inflation) == (14, pytest.approx(expected.design_effect))
    pooled = [{key: one + arms[arm][1][key] for key, one in arms[arm][0].items()} for arm in ("ten", "control")]
    assert compare_clusters(pooled[0], pooled[1], "x").difference.high < 0
    assert row.difference.low < 0 < row.difference.high
