"""The simulated shop: its road through the assigner, what it records, what comes late, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.experiments import Arm, Discount, Price, Rule
from offerlift.experiments.testing import (
    Behaviour,
    CapturingRecorder,
    Choice,
    Group,
    Habits,
    Population,
    SimulatedShop,
)
from offerlift.experiments.testing.behaviour import behaviour_of, combined
from offerlift.experiments.testing.simulation import REFUSALS
from offerlift.storage import Store

from .simulated_shop import GROUPS, HABITS, OFF, SALE, SALE_BEHAVIOURS, SHOP, definition, offer

PEOPLE = Population(groups=GROUPS, days=14, per_day=400, late=0.3, late_days=5.0)
SALE_SHOP = SimulatedShop(SALE_BEHAVIOURS, HABITS, PEOPLE)


@pytest.fixture(scope="module")
def simulation():
    """A sale of two weeks."""
    return SALE_SHOP.run(SALE, seed=3)


def test_the_same_seed_gives_the_same_visitors():
    """Arrays and records of one seed are the same, those of another are not."""
    first, again, other = (SHOP.arrays(seed, 2_000) for seed in (1, 1, 2))
    for arm, columns in first.items():
        assert all(np.array_equal(values, again[arm][name], equal_nan=True) for name, values in columns.items())
    assert not np.array_equal(first["control"]["past_revenue"], other["control"]["past_revenue"])
    runs = [list(SALE_SHOP.run(SALE, seed=seed, visitors=300).outcomes()) for seed in (4, 4, 5)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_the_store_has_what_the_arrays_say(simulation):
    """Through exposures and outcomes, moments of the store are those of the arrays, refunds included."""
    with Store.open("sqlite://") as store:
        store.publish(simulation.published)
        store.write_exposures(simulation.exposures())
        store.write_outcomes(simulation.outcomes())
        observed = store.observations("sale", as_of=PEOPLE.first_day + timedelta(days=200))
    for arm in ("control", "off"):
        columns = simulation.columns(arm)
        moments = observed.moments["margin_per_visitor"][arm]
        assert moments.n == len(columns["value"])
        assert moments.mean_of("purchase:margin") == pytest.approx(columns["margin_per_visitor"].mean(), abs=1e-9)
        revenue = observed.moments["revenue_per_visitor"][arm]
        assert revenue.mean_of("purchase:value") == pytest.approx(columns["revenue_per_visitor"].mean(), abs=1e-9)


def test_arms_are_the_assigners(simulation):
    """Every visitor has the arm that the assigner gives, with the group as a segment."""
    exposures = list(simulation.exposures())
    assert len(exposures) == len(simulation.ids)
    assert Counter(one.arm for one in exposures) == Counter(one.arm for one in simulation.assignments)
    groups = [GROUPS[int(number)].name for number in simulation.visitors.group]
    assert [one.segments["customer"] for one in exposures] == groups


def test_arrivals_grow():
    """Of a shop that grows by half a week, the second week has one and a half times the visitors of the first."""
    people = Population(days=14, per_day=2_000, growth=0.5)
    at = SimulatedShop({"a": Behaviour()}, population=people)._visitors(2, None).at
    second = (at >= at[0] + 7 * 86_400_000_000).mean()
    assert second == pytest.approx(1.5 / 2.5, abs=0.01)
    assert len(at) == pytest.approx(sum(people.expected_arrivals()), rel=0.02)


def test_withheld_and_undelivered_offers(simulation):
    """A guard of the assigner withholds from the share that the behaviour says; those visitors do as without an offer,
    and stay in the arm."""
    of_arm = simulation.positions("off")
    withheld = np.array([simulation.assignments[at].withheld == "frequency_cap" for at in of_arm])
    assert withheld.mean() == pytest.approx(OFF.withheld, abs=0.02)
    assert simulation.delivered[of_arm].mean() == pytest.approx(OFF.delivered, abs=0.02)
    assert not simulation.delivered[of_arm][withheld].any()
    without = SimulatedShop({"control": Behaviour(), "off": Behaviour(events={"unsubscribe": 0.005})}, HABITS, PEOPLE)
    nothing = without.run(SALE, seed=3).columns("off")
    missed = ~simulation.delivered[of_arm]
    assert 50 < missed.sum() < len(missed)
    for name, values in simulation.columns("off").items():
        assert np.array_equal(values[missed], nothing[name][missed])
        assert name == "value" or not np.array_equal(values, nothing[name])


def test_late_outcomes(simulation):
    """Three in ten outcomes reach the store late, by less than five days; all do in the end."""
    everything = list(simulation.outcomes())
    cut = PEOPLE.first_day + timedelta(days=12)
    known = list(simulation.outcomes(arrived_by=cut))
    happened = [one for one in everything if one.at <= cut]
    assert all(one.at <= cut for one in known)
    missing = {one.outcome_id for one in happened} - {one.outcome_id for one in known}
    assert missing
    assert all(one.at > cut - timedelta(days=5) for one in happened if one.outcome_id in missing)
    recent = [one for one in happened if one.at > cut - timedelta(days=1)]
    assert 0.1 < sum(one.outcome_id in missing for one in recent) / len(recent) < 0.4
    assert len(list(simulation.outcomes(arrived_by=cut + timedelta(days=200)))) == len(everything)


def test_the_recorder_gets_the_same(simulation):
    """Reported through a recorder, exposures and outcomes are those of the iterators."""
    recorder = CapturingRecorder()
    simulation.record(recorder)
    assert recorder.exposures == list(simulation.exposures())
    plain = [replace(one, recorded_at=None) for one in recorder.outcomes]
    assert [(one.outcome_id, one.value, one.cost, one.refund_of, one.at) for one in plain] == [
        (one.outcome_id, one.value, one.cost, one.refund_of, one.at) for one in simulation.outcomes()
    ]


def test_the_ineligible_are_not_analysed():
    """Visitors of whom nothing is known are not eligible: no exposure, but their orders are in the store."""
    rules = (Rule("customer", "in", ("new", "returning")),)
    people = replace(PEOPLE, ineligible=0.5)
    run = SimulatedShop(SALE_BEHAVIOURS, HABITS, people).run(replace(SALE, eligibility=rules), seed=1, visitors=4_000)
    exposed = {one.visitor for one in run.exposures()}
    assert len(exposed) == pytest.approx(2_000, abs=150)
    assert {one.visitor for one in run.outcomes()} - exposed


def test_the_covariate_predicts_orders(simulation):
    """Past revenue is known of four in five, and higher for those who buy."""
    past = simulation.visitors.past_revenue
    assert np.isnan(past).mean() == pytest.approx(0.2, abs=0.02)
    assert len(list(simulation.covariates())) == (~np.isnan(past)).sum()
    arm = SHOP.arrays(1, 50_000)["control"]
    known = ~np.isnan(arm["past_revenue"])
    correlation = np.corrcoef(np.log(arm["past_revenue"][known]), arm["conversion"][known])[0, 1]
    assert correlation > 0.08


def test_agents():
    """Customers of one agent are alike: between agents, rates spread by more than chance alone would."""
    shop = replace(SHOP, population=replace(SHOP.population, agents=50, agent_spread=0.9))
    arm = shop.arrays(1, 100_000)["control"]
    rates = np.array([arm["conversion"][arm["agent"] == agent].mean() for agent in range(50)])
    chance = 0.1 * 0.9 / (20_000 / 50)
    assert rates.var() > 4 * chance


def test_randomised_agents():
    """With the agent as the unit, all customers of one are in one arm, and arms have their shares of the agents."""
    shop = SimulatedShop(SALE_BEHAVIOURS, HABITS, replace(PEOPLE, agents=10), shares={"control": 0.3, "off": 0.7})
    arms = shop.arrays(1, 5_000, unit="agent")
    agents = {arm: set(columns["agent"]) for arm, columns in arms.items()}
    assert not agents["control"] & agents["off"]
    assert (len(agents["control"]), len(agents["off"])) == (3, 7)
    with pytest.raises(InputError, match="0 agents cannot be randomised to 2 arms"):
        SALE_SHOP.arrays(1, 100, unit="agent")


def test_a_definitions_offers():
    """Discounts, prices, free shipping, gifts and messages of offers are what arms do; another product is a choice."""
    arms = (
        Arm("control", 2_500),
        Arm("off", 2_500, offer(message="Now")),
        Arm("free", 2_500, offer(discount=Discount("gift"), free_shipping_from=Decimal(59))),
        Arm(
            "lighter",
            2_500,
            offer(kind="downsell", product="lighter", discount=None, price=Price(relative=Decimal("0.6"))),
        ),
    )
    shop = SimulatedShop.of(definition(*arms), messages={"Now": 1.2}, behaviours={"control": Behaviour(appeal=0.9)})
    assert shop.behaviours["control"] == Behaviour(appeal=0.9)
    assert shop.behaviours["off"] == Behaviour(price=0.9, appeal=1.2)
    assert shop.behaviours["free"] == Behaviour(free_shipping_from=59.0, gift_cost=5.0)
    (choice,) = shop.behaviours["lighter"].choices
    assert (choice.value, shop.behaviours["lighter"].price) == (0.6, 1.0)
    assert shop.shares["free"] == 0.25


@pytest.mark.parametrize(
    ("discount", "price"),
    [
        (Discount("percentage", Decimal(20)), 0.8),
        (Discount("fixed_amount", Decimal(6)), 0.9),
        (Discount("fixed_price", Decimal(45)), 0.75),
        (Discount("fixed_price", Decimal(90)), 1.0),
        (Discount("buy_x_get_y", buy=3, get=1), 0.75),
        (Discount("trial", Decimal(86_400)), 1.0),
    ],
)
def test_what_a_discount_leaves_to_pay(discount, price):
    """Amounts are relative to the mean basket."""
    assert behaviour_of(offer(discount=discount), basket=60.0).price == pytest.approx(price)


def test_levels_combine():
    """Prices and appeals multiply, the lower threshold counts, choices add up."""
    both = combined(
        Behaviour(price=0.9, appeal=1.1, free_shipping_from=59, withheld=0.5),
        Behaviour(price=0.5, free_shipping_from=39, choices=(Choice("a", 1.0),), withheld=0.5),
    )
    assert both.price == pytest.approx(0.45)
    assert (both.appeal, both.free_shipping_from, len(both.choices), both.withheld) == (1.1, 39, 1, 0.75)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Behaviour(price=0), "price must be above 0, seen 0"),
        (lambda: Behaviour(withheld=1.5), "withheld is a share from 0 to 1, seen 1.5"),
        (lambda: Choice("a", 1.0, swap=-0.1), "swap is a share"),
        (lambda: Behaviour(choices=(Choice("a", 1, swap=0.6), Choice("b", 1, add=0.6))), "sum of all `swap` and `add`"),
        (lambda: Population(groups=(Group("a", 0.5),)), "must sum to 1, seen 0.5"),
        (lambda: Habits(repeat_days=(3, 90)), "later orders come after the first ones"),
        (lambda: Habits(spread=0), "spread must be above 0"),
        (lambda: SimulatedShop({"a": Behaviour(appeal=20)}), "arm 'a' in group 'all' would buy with probability 2"),
        (lambda: SimulatedShop({"a": Behaviour()}, shares={"b": 1.0}), "must be of the arms a"),
        (lambda: SALE_SHOP.run(definition(Arm("control", 5_000), Arm("on", 5_000)), seed=1), "arms control, on"),
        (
            lambda: SALE_SHOP.run(definition(Arm("control", 5_000), Arm("off", 5_000, offer())), seed=1),
            "no frequency_cap",
        ),
        (lambda: behaviour_of(offer(discount=Discount("fixed_amount", Decimal(60))), basket=60), "nothing to pay"),
        (lambda: SimulatedShop.of(SALE, behaviours={"on": OFF}), "no such arm in 'sale': on"),
    ],
)
def test_what_cannot_be(make, said):
    """Impossible shops are refused with the value seen."""
    with pytest.raises(InputError, match=said):
        make()


def test_testing_alone_loads_no_numpy():
    """Importing the package for force_arm costs the standard library alone; the simulated shop brings numpy."""
    script = (
        "import sys; import offerlift.experiments.testing as t; assert 'numpy' not in sys.modules; "
        "t.SimulatedShop; assert 'numpy' in sys.modules; assert 'offerlift.stats' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_steps_of_the_offer(simulation):
    """Every visitor of the arm reaches the offer and takes one more step or two; through a recorder it is the same."""
    steps = list(simulation.offer_steps())
    taken = Counter(one.step for one in steps)
    assert taken["reached"] == len(simulation.positions("off"))
    assert taken["withheld"] + taken["undelivered"] + taken["delivered"] == taken["reached"]
    assert taken["accepted"] + taken["declined"] == taken["delivered"]
    assert taken["delivered"] == simulation.delivered[simulation.positions("off")].sum()
    assert {one.offer for one in steps} == {"off"}
    assert {one.reason for one in steps if one.step == "withheld"} == {"frequency_cap"}
    refused = Counter(one.reason for one in steps if one.step == "declined")
    assert set(refused) == {*REFUSALS, None}
    assert min(refused.values()) > taken["declined"] / 6
    recorder = CapturingRecorder()
    simulation.record(recorder)
    assert Counter((one.step, one.offer, one.reason) for one in recorder.offer_steps) == Counter(
        (one.step, one.offer, one.reason) for one in steps
    )


def test_the_chosen_alternative():
    """Of several alternatives, the step names the one that was taken, as often as the truth says."""
    behaviour = Behaviour(choices=(Choice("off", 0.6, gain=0.1, swap=0.2), Choice("gift", 0.9, swap=0.3)))
    shop = SimulatedShop({"control": Behaviour(), "off": behaviour}, Habits(purchase=0.2))
    run = shop.run(SALE, seed=2, visitors=6_000)
    accepted = Counter(one.offer for one in run.offer_steps() if one.step == "accepted")
    for name, expected in shop.truth.expected("off").taken.items():
        assert accepted[name] / len(run.positions("off")) == pytest.approx(expected, abs=0.02)


def test_full_price_orders(simulation):
    """Baskets at list price are recorded as such; at a discount they are not, but for those whom it did not reach."""
    visitors = {one.visitor for one in simulation.outcomes() if one.name == "full_price_purchase"}
    for arm in ("control", "off"):
        at = simulation.positions(arm)
        recorded = np.array([simulation.ids[one] in visitors for one in at])
        assert np.array_equal(recorded, simulation.columns(arm)["full_price_orders"] == 1)
    assert recorded.any()
    assert not recorded[simulation.delivered[at]].any()
