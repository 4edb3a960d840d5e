"""Several simulated experiments under a holdout: their truth, their road to the store, what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.experiments import BUILT_IN_METRICS, Arm, Definition, Discount, Guard, Metric, Offer, Plan
from offerlift.experiments.metrics import Column
from offerlift.experiments.testing import (
    Behaviour,
    Choice,
    Group,
    Habits,
    Population,
    SimulatedProgramme,
    SimulatedShop,
)
from offerlift.experiments.testing.behaviour import combined
from offerlift.storage import Store

DAY = 86_400_000_000

HABITS = Habits(purchase=0.15, repeat=0.3, events={"unsubscribe": 0.01})
PEOPLE = Population(groups=(Group("new", 0.7, purchase=0.8), Group("returning", 0.3, purchase=1.4)), days=10)
SALE = Behaviour(price=0.85, withheld=0.2, undelivered=0.1, repeat=0.7, refund=1.5, events={"unsubscribe": 0.03})
SHIPPING = Behaviour(free_shipping_from=59.0)
LIGHTER = Behaviour(choices=(Choice("lighter", 0.6, 0.45, gain=0.03, swap=0.08, later=0.3),), undelivered=0.2)


def shop(**arms):
    shares = arms.pop("shares", {})
    return SimulatedShop({"control": Behaviour(), **arms}, HABITS, PEOPLE, shares=shares)


SHOPS = {
    "sale": shop(off=SALE),
    "shipping": shop(free=SHIPPING, shares={"control": 0.25, "free": 0.75}),
    "exit": shop(lighter=LIGHTER),
}
PROGRAMME = SimulatedProgramme(SHOPS, held_out=0.3)
METRICS = (
    "conversion",
    "revenue_per_visitor",
    "margin_per_visitor",
    "repeat_rate",
    "customer_value",
    "unsubscribe_rate",
)


@pytest.fixture(scope="module")
def many():
    """A holdout of 800,000 visitors."""
    return PROGRAMME.arrays(3, 800_000)


@pytest.mark.parametrize("side", ["held_out", "offered"])
@pytest.mark.parametrize("metric", METRICS)
def test_very_many_visitors(many, side, metric):
    """Every expectation in closed form is the mean of a big simulation, within 4 standard errors."""
    values = many[side][metric]
    assert abs(values.mean() - PROGRAMME.truth.value(metric, side)) <= 4 * values.std() / math.sqrt(values.size)


def test_shares(many):
    """As many are held out as was said, and the offered are in the arms by the experiments' shares, independently."""
    held, offered = len(many["held_out"]["value"]), len(many["offered"]["value"])
    assert held / (held + offered) == pytest.approx(0.3, abs=0.003)
    shipping, sale = many["offered"]["shipping"], many["offered"]["sale"]
    assert shipping.mean() == pytest.approx(0.75, abs=0.003)
    assert abs(np.corrcoef(shipping, sale)[0, 1]) < 0.006
    assert sum(share for share, _ in PROGRAMME.ways) == pytest.approx(1)


def test_one_experiment_is_the_mix_of_its_arms():
    """Of one experiment the offered do what its arms do, by their shares; the held out are its control."""
    one = SimulatedProgramme({"sale": SHOPS["sale"]})
    arms = SHOPS["sale"].truth
    for metric in ("conversion", "margin_per_visitor", "customer_value", "discount_cost"):
        value = 0.5 * arms.value(metric, "off") + 0.5 * arms.value(metric, "control")
        assert one.truth.value(metric, "offered") == pytest.approx(value)
        assert one.truth.value(metric, "held_out") == arms.value(metric, "control")


def test_offers_that_reach_everybody_are_the_factorials_cell():
    """Two offers for all visitors are what a factorial's cell of both is."""
    both = SimulatedProgramme({
        key: SimulatedShop({"control": Behaviour(), "on": how}, HABITS, PEOPLE, shares={"control": 0.0, "on": 1.0})
        for key, how in (("price", Behaviour(price=0.9)), ("free", SHIPPING))
    })  # fmt: skip
    cell = SimulatedShop({"control": Behaviour(), "both": combined(Behaviour(price=0.9), SHIPPING)}, HABITS, PEOPLE)
    for metric in ("margin_per_visitor", "customer_value"):
        assert both.truth.difference(metric, "offered") == pytest.approx(cell.truth.difference(metric, "both"))


MARGIN = Metric(
    "margin_after_three_months", "margin", Column("purchase", "margin"), window_end=91 * DAY, refund_window=14 * DAY
)
SOON = replace(BUILT_IN_METRICS["margin_per_visitor"], window_end=7 * DAY, refund_window=14 * DAY)
ARMS = (Arm("held_out", 3_000), Arm("offered", 7_000))
HOLDOUT = Definition("nothing", "held_out", ARMS, (MARGIN, SOON), Plan(MARGIN.name), holdout=True)


def experiment(key, arm, offer, control=5_000):
    arms = Arm("control", control), Arm(arm, 10_000 - control, offer)
    return Definition(key, "control", arms, (SOON,), Plan(SOON.name), holdouts=("nothing",))


GUARD = Guard("frequency_cap", Decimal(1), DAY)
OFF = Offer("off", "flash_sale", "cart", "cart_view", discount=Discount("percentage", Decimal(15)), guards=(GUARD,))
EXPERIMENTS = (
    experiment("sale", "off", OFF),
    experiment(
        "shipping", "free", Offer("free", "threshold", "cart", "cart_view", free_shipping_from=Decimal(59)), 2_500
    ),
    experiment("exit", "lighter", Offer("lighter", "downsell", "exit_popup", "exit_intent", product="lighter")),
)


@pytest.fixture(scope="module")
def simulation():
    """Some thousand visitors of all three."""
    return PROGRAMME.run(EXPERIMENTS, HOLDOUT, seed=5, visitors=4_000)


def test_the_store_has_what_was_simulated(simulation):
    """The holdout's margin until three months, of each side: that of the visitors, repeat orders and refunds in it."""
    with Store.open("sqlite://") as store:
        for one in simulation.published:
            store.publish(one)
        written = store.write_exposures(simulation.exposures()), store.write_outcomes(simulation.outcomes())
        assert not any(one.refused or one.conflicts for one in written)
        at = PEOPLE.first_day + timedelta(days=200)
        observed = store.observations("nothing", as_of=at)
        sale = store.observations("sale", as_of=at)
    for side, share in (("held_out", 0.3), ("offered", 0.7)):
        columns = simulation.columns(side)
        assert len(columns["value"]) == pytest.approx(4_000 * share, abs=120)
        for metric, column in ((MARGIN, "customer_value"), (SOON, "margin_per_visitor")):
            moments = observed.moments[metric.name][side]
            assert moments.n == len(columns[column])
            assert moments.mean_of("purchase:margin") == pytest.approx(columns[column].mean(), abs=1e-9)
            assert moments.variance_of("purchase:margin") == pytest.approx(columns[column].var(ddof=1))
    # Whoever is held out is in no experiment.
    assert sum(arm.visitors for arm in sale.arms.values()) == len(simulation.columns("offered")["value"])


def test_nothing_reaches_the_held_out(simulation):
    """Held-out visitors behave as without any offer; of the others each offer reaches its share, independently."""
    nothing = Behaviour()
    reached = {key: one.delivered for key, one in simulation.simulations.items()}
    held = np.array([one.holdout[1] == "held_out" for one in simulation.simulations["sale"].assignments])
    assert not any(one[held].any() for one in reached.values())
    for positions, how, _ in simulation.everything.parts:
        assert how == nothing or not held[positions].any()
    sale = simulation.simulations["sale"]
    in_sale = np.array([one.arm == "off" for one in sale.assignments]) & ~held
    assert reached["sale"][in_sale].mean() == pytest.approx(0.8 * 0.9, abs=0.05)
    lighter = np.array([one.arm == "lighter" for one in simulation.simulations["exit"].assignments]) & ~held
    both = in_sale & lighter
    assert reached["sale"][both].mean() == pytest.approx(0.72, abs=0.07)
    assert abs(np.corrcoef(reached["sale"][both], reached["exit"][both])[0, 1]) < 0.15


def test_the_same_seed_gives_the_same_records():
    """Arrays and records of one seed are the same, those of another are not."""
    first, again, other = (PROGRAMME.arrays(seed, 500)["offered"]["value"] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first[:100], other[:100])
    runs = [list(PROGRAMME.run(EXPERIMENTS, HOLDOUT, seed=seed, visitors=200).outcomes()) for seed in (4, 4, 5)]
    assert runs[0] == runs[1] != runs[2]


def test_what_cannot_be_simulated_is_refused():
    """Shops that differ, shares that are none, probabilities above 1, and definitions that do not fit."""
    other = SimulatedShop({"control": Behaviour()}, Habits(purchase=0.2), PEOPLE)
    keen = SimulatedShop({"control": Behaviour(), "on": Behaviour(appeal=2.4)}, Habits(purchase=0.2))
    for shops, held_out, words in (
        ({}, 0.1, "no experiment"),
        ({"sale": SHOPS["sale"], "other": other}, 0.1, "'other' has other habits"),
        (SHOPS, 1.0, "between 0 and 1, seen 1.0"),
        ({"one": keen, "two": keen}, 0.1, "at most 1 is possible"),
    ):
        with pytest.raises(InputError, match=words):
            SimulatedProgramme(shops, held_out)
    uncovered = replace(EXPERIMENTS[0], holdouts=())
    for definitions, holdout, words in (
        (EXPERIMENTS[:2], HOLDOUT, "there are shops of sale, shipping, exit"),
        (EXPERIMENTS, replace(HOLDOUT, holdout=False), "'nothing' is no holdout"),
        ((uncovered, *EXPERIMENTS[1:]), HOLDOUT, "'sale' is not covered"),
    ):
        with pytest.raises(InputError, match=words):
            PROGRAMME.run(definitions, holdout, seed=1, visitors=10)
