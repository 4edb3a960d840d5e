"""Price, depth and threshold tests: the tested doses alone, ranked by what they earn, of a real store."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from offerlift.experiments.definition import Offer
from offerlift.experiments.terms import Discount, Price
from offerlift.reports import render_html, render_text

from .conftest import Bought, Visit


def offer(name, **terms):
    return Offer(name, "downsell", "cart", "exit_intent", **terms)


def priced(amount):
    return offer(f"at-{amount}", price=Price(amount=Decimal(amount), currency="EUR"), message=f"Now {amount}")


def buyers(arm, n, bought, value, cost):
    """An arm of n visitors, of whom so many buy at a price; half of them the next day."""
    return [Visit(arm, (Bought(value, cost, 0.5 + at % 2),) if at < bought else ()) for at in range(n)]


@pytest.fixture
def prices(shop):
    """Three prices; demand falls with elasticity -2 from 20 to 30, so that 25 earns the most at a cost of 12."""
    shop.publish({"a": priced("20"), "b": priced("25"), "c": priced("30")})
    for arm, price, sold in (("a", 20, 500), ("b", 25, 350), ("c", 30, 200)):
        shop.write(buyers(arm, 5_000, sold, price, 12))
    return shop


def test_each_tested_price_has_demand_profit_and_its_chance_to_be_the_best(prices):
    """Against 400,000 draws of the three profits, and the elasticity against weighted least squares by hand."""
    part = prices.card().offers.response
    assert (part.status, part.dose, part.unit, part.best) == ("ok", "price", "EUR", "b")
    assert [(one.arm, one.dose) for one in part.points] == [("a", 20.0), ("b", 25.0), ("c", 30.0)]
    rates, earned = np.array([0.1, 0.07, 0.04]), np.array([8.0, 13.0, 18.0])
    profit = rates * earned
    assert [one.profit.estimate for one in part.points] == pytest.approx(profit.tolist())
    variance = earned**2 * rates * (1 - rates) / 4_999
    draws = profit + np.random.default_rng(1).normal(size=(400_000, 3)) * np.sqrt(variance)
    best = np.bincount(draws.argmax(axis=1), minlength=3) / len(draws)
    assert [one.probability_best for one in part.points] == pytest.approx(best.tolist(), abs=0.004)
    regret = (draws.max(axis=1)[:, None] - draws).mean(axis=0)
    assert [one.regret for one in part.points] == pytest.approx(regret.tolist(), abs=0.002)
    x, y, w = np.log([20, 25, 30]), np.log(rates), 5_000 * rates / (1 - rates)
    slope = np.polyfit(x, y, 1, w=np.sqrt(w))[0]
    assert part.elasticity.estimate == pytest.approx(slope)
    error = 1 / math.sqrt(w @ (x - w @ x / w.sum()) ** 2)
    assert part.elasticity.high - part.elasticity.low == pytest.approx(2 * 1.959964 * error, rel=1e-5)


def test_a_best_price_at_the_edge_says_that_others_were_not_tested(shop):
    """Nothing is extrapolated: the highest tested earns the most, and higher ones are not spoken of."""
    shop.publish({"a": priced("20"), "b": priced("30")})
    for arm, price, sold in (("a", 20, 300), ("b", 30, 280)):
        shop.write(buyers(arm, 4_000, sold, price, 12))
    part = shop.card().offers.response
    assert part.best == "b"
    assert "The best is the highest tested; higher ones were not tested" in part.trend


def test_depths_of_a_discount_stand_beside_no_offer(shop):
    """Nothing, ten and twenty per cent: the dose of an arm without an offer is 0."""
    ten, twenty = (Discount("percentage", Decimal(depth)) for depth in (10, 20))
    shop.publish({"none": None, "ten": offer("ten", discount=ten), "twenty": offer("twenty", discount=twenty)})
    for arm, paid, sold in (("none", 100, 100), ("ten", 90, 140), ("twenty", 80, 150)):
        shop.write(buyers(arm, 2_000, sold, paid, 60))
    part = shop.card().offers.response
    assert [(one.arm, one.dose) for one in part.points] == [("none", 0.0), ("ten", 10.0), ("twenty", 20.0)]
    assert (part.dose, part.unit, part.best) == ("discount", "percent", "ten")
    assert part.elasticity.estimate is None


def test_offers_that_differ_in_more_than_the_dose_have_no_curve(shop):
    """Another placement as well: the price alone is not what was tested."""
    other = Offer("b", "downsell", "email", "exit_intent", price=Price(amount=Decimal(30), currency="EUR"))
    shop.publish({"a": priced("20"), "b": other})
    shop.write(buyers("a", 200, 20, 20, 12) + buyers("b", 200, 15, 30, 12))
    assert shop.card().offers.response is None


@pytest.fixture
def threshold(shop):
    """Free shipping from 50: orders of 45 in the control, a third of which are filled up to 52 in the treatment."""
    shop.publish({"control": None, "from-50": offer("from-50", free_shipping_from=Decimal(50))})
    for arm, filled in (("control", 0), ("from-50", 200)):
        shop.write(buyers(arm, 3_000 - 600 - filled, 0, 0, 0))
        shop.write(buyers(arm, 600 - filled, 600 - filled, 45, 30) + buyers(arm, filled, filled, 52, 35))
        shop.write(buyers(arm, filled, 0, 0, 0))
    return shop


def test_orders_that_gather_above_a_threshold_are_counted_and_drawn(threshold):
    """A third of the treatment's orders lie just above 50 and none of the control's; a histogram of each arm."""
    card = threshold.card()
    part = card.offers.response
    assert (part.dose, part.points, part.status) == ("threshold", (), "ok")
    control, treatment = part.bunching
    assert (control.threshold, treatment.threshold) == (None, 50.0)
    assert (control.orders, treatment.orders) == (600, 600)
    assert treatment.excess.estimate == pytest.approx(1 / 3)
    assert {(one.low, one.orders) for one in treatment.bins if one.orders} == {(45.0, 400), (50.0, 200)}
    assert {(one.low, one.orders) for one in control.bins if one.orders} == {(45.0, 600)}
    page = render_html([card])
    assert "Order values in each arm" in page
    assert "from-50: 600 orders, free shipping from €50.00" in page


def test_a_page_and_a_terminal_show_the_prices(prices):
    """Each tested price, its chance and its regret; after the verdict, before the Bayesian view."""
    card = prices.card()
    page, text = render_html([card]), render_text(card)
    assert page.index("Keep collecting") < page.index("P(best tested)") < page.index("The Bayesian view")
    for shown in (page, text):
        assert "€25.00" in shown
        assert "Elasticity of demand" in shown
