"""The truth of a simulated shop: closed forms against brute force, and identities."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.experiments import BUILT_IN_METRICS, Column, Metric
from offerlift.experiments.testing import Behaviour, Group, Habits, Population, SimulatedShop

from .simulated_shop import BEHAVIOURS, DAY, GROUPS, HABITS, SALE, SALE_BEHAVIOURS, SHOP

METRICS = (
    "conversion",
    "full_price_orders",
    "revenue_per_visitor",
    "margin_per_visitor",
    "discount_cost",
    "refunded_orders",
    "repeat_rate",
    "customer_value",
)


@pytest.fixture(scope="module")
def everybody():
    """The same 600,000 visitors under every arm."""
    return SHOP.potential(5, 600_000)


def close(values: np.ndarray, truth: float) -> bool:
    return abs(values.mean() - truth) <= 4 * values.std() / math.sqrt(values.size)


@pytest.mark.parametrize("arm", BEHAVIOURS)
@pytest.mark.parametrize("metric", [*METRICS, "unsubscribe_rate"])
def test_very_many_visitors(everybody, arm, metric):
    """Every expectation in closed form is the mean of a big simulation, within 4 standard errors."""
    assert close(everybody[arm][metric], SHOP.truth.value(metric, arm))


@pytest.mark.parametrize("arm", [arm for arm in BEHAVIOURS if arm != "control"])
@pytest.mark.parametrize("metric", METRICS)
def test_two_fates_of_the_same_visitors(everybody, arm, metric):
    """The mean difference between a visitor's fates in arm and control is the true effect (common random numbers)."""
    assert close(everybody[arm][metric] - everybody["control"][metric], SHOP.truth.difference(metric, arm))


@pytest.mark.parametrize("number", range(len(GROUPS)))
def test_a_group(number):
    """What is expected of one group is what its visitors do in an experiment."""
    arm = SHOP.arrays(11, 600_000)["choices"]
    own = arm["group"] == number
    for metric in METRICS:
        assert close(arm[metric][own], SHOP.truth.value(metric, "choices", GROUPS[number].name))


def test_orders_that_were_added_to(everybody):
    """Without an appeal of its own, a threshold moves the share of orders at it that the truth says, and none below."""
    shop = SimulatedShop({"without": Behaviour(), "with": Behaviour(free_shipping_from=59)}, Habits(purchase=0.3))
    baskets = {arm: columns["value"] for arm, columns in shop.potential(3, 400_000).items()}
    share = {arm: ((values >= 59) & (values < 70)).sum() / (values > 0).sum() for arm, values in baskets.items()}
    orders = (baskets["with"] > 0).sum()
    # An exponential with mean 0.04 · 59 is below 70 - 59 with probability 1 - exp(-4.66).
    expected = shop.truth.value("topped_up", "with") * (1 - math.exp(-11 / (0.04 * 59)))
    assert abs(share["with"] - share["without"] - expected) < 4 * math.sqrt(0.5 / orders)
    assert expected > 0.05


def test_the_cost_of_discounts():
    """List price less price, shipping and gifts: by hand for a tenth off and a gift of 2."""
    shop = SimulatedShop({"a": Behaviour(), "b": Behaviour(price=0.9, gift_cost=2.0)}, Habits(shipping=0, basket=60))
    buys = 0.05 * 0.9**-1.5
    assert shop.truth.value("conversion", "b") == pytest.approx(buys)
    assert shop.truth.value("discount_cost", "b") == pytest.approx(buys * 8)
    assert shop.truth.value("margin_per_visitor", "b") == pytest.approx(buys * (0.94 * (54 - 30) - 2))
    assert shop.truth.incremental_share("b") == pytest.approx(1 - 0.9**1.5)
    # 28.2 an order before, 20.56 now.
    assert shop.truth.break_even_lift("b") == pytest.approx(28.2 / 20.56 - 1)


def test_the_best_price():
    """The margin of a shop without shipping and refunds peaks at cost · e / (1 + e), and nowhere if demand is stiff."""
    habits = Habits(shipping=0, refund=0, elasticity=-2.5, cost_share=0.6)
    assert SimulatedShop({"a": Behaviour()}, habits).truth.best_price() == pytest.approx(1.0)
    prices = {f"{price:.2f}": Behaviour(price=price) for price in (0.9, 0.95, 1.0, 1.05, 1.1)}
    truth = SimulatedShop(prices, habits).truth
    assert truth.best("margin_per_visitor") == "1.00"
    assert truth.regret("margin_per_visitor", "1.00") == 0
    assert truth.regret("margin_per_visitor", "0.90") > 0
    slopes = math.log(truth.value("conversion", "1.10") / truth.value("conversion", "0.90")) / math.log(1.1 / 0.9)
    assert slopes == pytest.approx(-2.5)
    assert truth.elasticity() == -2.5
    assert SimulatedShop({"a": Behaviour()}, Habits(elasticity=-0.8)).truth.best_price() == math.inf


def test_the_elasticity_of_several_groups():
    """Sales weigh the groups' elasticities: the slope of all sales at the list price."""
    groups = (Group("a", 0.5, purchase=0.5, elasticity=2.0), Group("b", 0.5, purchase=1.5, elasticity=1.0))
    arms = {name: Behaviour(price=price) for name, price in (("low", 0.999), ("high", 1.001))}
    truth = SimulatedShop(arms, Habits(shipping=0), Population(groups=groups)).truth
    slope = math.log(truth.value("conversion", "high") / truth.value("conversion", "low")) / math.log(1.001 / 0.999)
    assert truth.elasticity() == pytest.approx(slope, abs=1e-5)


def test_contrasts():
    """Factors that act by multiplication interact on the additive scale, and not on the logarithmic one."""
    arms = {"00": Behaviour(), "10": Behaviour(appeal=1.2), "01": Behaviour(appeal=1.5), "11": Behaviour(appeal=1.8)}
    truth = SimulatedShop(arms).truth
    interaction = {"11": 1.0, "10": -1.0, "01": -1.0, "00": 1.0}
    assert truth.contrast("conversion", interaction) == pytest.approx(0.05 * (1.8 - 1.2 - 1.5 + 1))
    assert truth.contrast("conversion", interaction, log=True) == pytest.approx(0)


def test_agents():
    """Agents change no expectation: of as many agents as visitors, the mean is the truth."""
    shop = replace(SHOP, population=replace(SHOP.population, agents=400_000, agent_spread=0.5))
    for arm, columns in shop.arrays(2, 400_000).items():
        assert all(close(columns[metric], SHOP.truth.value(metric, arm)) for metric in METRICS)


def test_unknown_names():
    """A metric, arm or group that is not there is refused with those that are."""
    with pytest.raises(
        InputError, match=r"no metric 'clicks' has a truth; those that have: conversion, .*unsubscribe_rate"
    ):
        SHOP.truth.value("clicks", "control")
    with pytest.raises(InputError, match=r"arms are control, off, .*, groups new, returning"):
        SHOP.truth.value("conversion", "nobody")
    with pytest.raises(InputError, match="no arm 'control' with group 'old'"):
        SHOP.truth.value("conversion", "control", "old")


BASE = BUILT_IN_METRICS["margin_per_visitor"]


@pytest.mark.parametrize(
    ("metric", "named"),
    [
        (replace(BASE, window_end=7 * DAY, refund_window=14 * DAY), "margin_per_visitor"),
        (replace(BASE, window_end=91 * DAY), "customer_value"),
        (replace(BASE), "customer_value"),
        (replace(BASE, window_end=7 * DAY), None),
        (replace(BASE, window_end=60 * DAY), None),
        (replace(BASE, window_end=7 * DAY, refund_window=14 * DAY, cap=100), None),
        (replace(BUILT_IN_METRICS["conversion"], window_end=7 * DAY), "conversion"),
        (replace(BUILT_IN_METRICS["conversion"], window_end=6 * DAY), None),
        (replace(BUILT_IN_METRICS["orders_per_visitor"], window_end=20 * DAY), "orders_per_visitor"),
        (replace(BUILT_IN_METRICS["average_order_value"], window_end=21 * DAY), "average_order_value"),
        (replace(BUILT_IN_METRICS["revenue_per_visitor"], window_end=21 * DAY), "revenue_per_visitor"),
        (Metric("u", "conversion", Column("unsubscribe", "converted"), window_end=7 * DAY), "unsubscribe_rate"),
        (Metric("f", "conversion", Column("full_price_purchase", "converted")), "full_price_orders"),
        (Metric("g", "revenue", Column("offer_given", "value")), "discount_cost"),
        (Metric("n", "count", Column("unsubscribe", "count")), None),
        (Metric("r", "retention", Column("purchase", "converted"), None, 29 * DAY, 91 * DAY), "repeat_rate"),
        (Metric("r", "retention", Column("purchase", "converted"), None, 29 * DAY, 80 * DAY), None),
    ],
)
def test_the_truth_of_a_definitions_metric(metric, named):
    """A metric has the truth that its window covers, and none where the window cuts through what happens."""
    for arm in ("control", "choices"):
        expected = None if named is None else SHOP.truth.value(named, arm)
        assert SHOP.truth.of_metric(metric, arm) == expected


def test_the_truth_of_a_definition():
    """Differences and lifts of the metrics that have a truth, as reports show them."""
    known = replace(BASE, window_end=7 * DAY, refund_window=14 * DAY)
    shop = SimulatedShop(SALE_BEHAVIOURS, HABITS)
    table = shop.truth.table(replace(SALE, metrics=(known, replace(BASE, name="cut", window_end=7 * DAY))))
    arm = shop.truth.difference("margin_per_visitor", "off"), shop.truth.lift("margin_per_visitor", "off")
    assert table == {"margin_per_visitor": {"off": arm}}
