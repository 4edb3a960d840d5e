"""By hand: refunds, other currencies, caps, identity links and phases."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import permutations

import pytest
from offerlift.errors import InputError
from offerlift.experiments.metrics import Column, Metric
from offerlift.experiments.records import Exposure, Link, Outcome

REVENUE = Metric("revenue", "revenue", Column("purchase", "value"), window_end=10, refund_window=5)
ORDERS = Metric("orders", "count", Column("purchase", "count"), window_end=10)


def amount(store, arm="a", metric="revenue", as_of=None):
    moments = store.observations("exit", as_of=as_of).moments[metric][arm]
    return moments.n, moments.sum_of(moments.columns[0])


@pytest.fixture
def shop(store, make_published, at):
    """A visitor v of arm a, exposed at 0."""
    store.publish(make_published(metrics=(REVENUE, ORDERS)))
    store.write_exposures([Exposure("exit", "v", "a", at(0))])
    return store


def test_a_refund_counts_until_its_window_has_passed(shop, at):
    """In the window and the refund window money is taken back, afterwards not; the order stays an order."""
    shop.write_outcomes([Outcome("o", "v", "purchase", at(9), value=10)])
    for i, back_at in enumerate([9, 14, 15]):
        refund = Outcome(f"r{i}", "v", "purchase", at(back_at), value=i + 1, refund_of="o")
        assert shop.write_outcomes([refund]).new == 1
    assert amount(shop, as_of=at(20)) == (1, 10 - 1 - 2)
    assert amount(shop, metric="orders", as_of=at(20)) == (1, 1)


def test_a_metric_with_a_refund_window_matures_later(shop, at):
    """Revenue waits for refunds, orders do not."""
    assert amount(shop, as_of=at(14))[0] == 0
    assert amount(shop, as_of=at(15))[0] == 1
    assert amount(shop, metric="orders", as_of=at(10))[0] == 1


def test_who_still_waits_adds_nothing(shop, at):
    """What a visitor bought is left out until the window has passed."""
    shop.write_exposures([Exposure("exit", "w", "a", at(5))])
    shop.write_outcomes(Outcome(visitor, visitor, "purchase", at(6), value=3) for visitor in "vw")
    assert amount(shop, as_of=at(19)) == (1, 3)
    assert amount(shop, as_of=at(20)) == (2, 6)


def test_a_refund_may_come_before_its_order(store, make_published, at):
    """Any order of arrival gives the same; until the original is there the refund is counted as without one."""
    store.publish(make_published(metrics=(REVENUE,)))
    store.write_outcomes([Outcome("r", "v", "purchase", at(3), value=4, refund_of="o")])
    store.write_exposures([Exposure("exit", "v", "a", at(0))])
    assert store.observations("exit").orphaned_refunds == 1
    assert amount(store) == (1, 0)
    store.write_outcomes([Outcome("o", "v", "purchase", at(2), value=10)])
    assert store.observations("exit").orphaned_refunds == 0
    assert amount(store) == (1, 6)


def test_a_refund_belongs_to_the_visitor_of_its_order(shop, at):
    """Whoever sends it back."""
    shop.write_outcomes(
        [Outcome("o", "v", "purchase", at(2), value=10), Outcome("r", "w", "purchase", at(3), value=4, refund_of="o")]
    )
    assert amount(shop) == (1, 6)


def test_money_in_another_currency(shop, at):
    """With a reporting value it counts as that, without one as an order without money, which is counted."""
    usd = {"currency": "USD", "value": Decimal("10.00")}
    shop.write_outcomes(
        [
            Outcome("o", "v", "purchase", at(2), **usd, reporting_value=Decimal("9.10")),
            Outcome("p", "v", "purchase", at(2), **usd),
            Outcome(
                "r", "v", "purchase", at(3), currency="USD", value=1, reporting_value=Decimal("0.90"), refund_of="o"
            ),
        ]
    )
    assert amount(shop) == (1, pytest.approx(8.20, abs=1e-12))
    assert amount(shop, metric="orders") == (1, 2)
    assert shop.observations("exit").unreported_rows == 1


def test_a_cap_limits_what_a_visitor_spends_in_all(store, make_published, at):
    """Two orders of 40 count 50; the cap does not touch those below it."""
    store.publish(make_published(metrics=(replace(REVENUE, cap=5_000),)))
    store.write_exposures(Exposure("exit", visitor, "a", at(0)) for visitor in "vw")
    store.write_outcomes(Outcome(i, "v", "purchase", at(1), value=40) for i in range(2))
    store.write_outcomes([Outcome("w", "w", "purchase", at(1), value=7)])
    assert amount(store) == (2, 57)


CHAIN = [("v", "w"), ("w", "x"), ("x", "y"), ("z", "y"), ("y", "v")]


@pytest.mark.parametrize("order", list(permutations(range(5)))[::17])
def test_linked_ids_are_one_person(store, make_published, at, order):
    """A chain, a fork and a circle of links make one person, whatever the order in which they are written."""
    store.publish(make_published(metrics=(REVENUE, ORDERS)))
    store.write_exposures(Exposure("exit", visitor, "a", at(t)) for t, visitor in enumerate("zyxwv"))
    store.write_exposures([Exposure("exit", "stranger", "a", at(0))])
    store.write_outcomes(Outcome(visitor, visitor, "purchase", at(5), value=1) for visitor in "vwxyz")
    for i in order:
        anonymous, customer = CHAIN[i]
        store.write_links([Link(anonymous, customer, at(6))])
    seen = store.observations("exit")
    assert seen.arms["a"].visitors == 2
    assert amount(store) == (2, 5)
    assert store.observations("exit", as_of=at(5)).arms["a"].visitors == 6


def test_a_chain_of_links_of_any_length(store, make_published, at):
    """A hundred ids, each linked to the next, are one person."""
    store.publish(make_published(metrics=(REVENUE,)))
    store.write_exposures([Exposure("exit", "v0", "a", at(0)), Exposure("exit", "v100", "b", at(1))])
    store.write_links(Link(f"v{i}", f"v{i + 1}", at(2)) for i in range(100))
    seen = store.observations("exit")
    assert [seen.arms[arm].visitors for arm in "ab"] == [1, 0]
    assert seen.arms["a"].crossovers == 1


def test_a_visitor_is_analysed_in_the_phase_that_came_first(store, make_published, at):
    """Seen again in phase 2, v stays in phase 1; what v bought counts there."""
    store.publish(replace(make_published(metrics=(REVENUE,)), phase=2))
    store.write_exposures([Exposure("exit", "v", "a", at(0)), Exposure("exit", "v", "b", at(3), phase=2)])
    store.write_exposures([Exposure("exit", "w", "b", at(4), phase=2)])
    store.write_outcomes(Outcome(visitor, visitor, "purchase", at(5), value=2) for visitor in "vw")
    seen = store.observations("exit")
    first, second = seen.strata
    assert (first.phase, first.arms["a"].visitors, first.arms["a"].returned, first.arms["a"].crossovers) == (1, 1, 1, 0)
    assert (second.phase, second.arms["b"].visitors, second.arms["b"].returned) == (2, 1, 0)
    assert [one.moments["revenue"][arm].mean.tolist() for one, arm in ((first, "a"), (second, "b"))] == [[2], [2]]
    assert seen.arms is second.arms


def test_visitors_of_an_arm_that_a_later_phase_dropped_stay_counted(store, make_published, at):
    """They are of their phase, in its arms and moments, and are not unknown; a dropped arm's late exposure is."""
    store.publish(make_published(arms=("a", "b", "c"), metrics=(REVENUE,)))
    store.publish(replace(make_published(arms=("a", "b"), metrics=(REVENUE,), version=2), phase=2))
    store.write_exposures(Exposure("exit", f"{arm}{i}", arm, at(0)) for arm in "abc" for i in range(3))
    store.write_exposures([Exposure("exit", "w", "b", at(4), phase=2), Exposure("exit", "x", "c", at(4), phase=2)])
    store.write_outcomes([Outcome("o", "c1", "purchase", at(1), value=Decimal(7))])
    seen = store.observations("exit", as_of=at(40))
    (first,) = seen.earlier
    assert {arm: one.visitors for arm, one in first.arms.items()} == {"a": 3, "b": 3, "c": 3}
    moments = first.moments["revenue"]["c"]
    assert (moments.n, moments.sum_of("purchase:value")) == (3, pytest.approx(7))
    assert {arm for _, arms in first.exposures_by_day for arm in arms} == {"a", "b", "c"}
    assert {arm: one.visitors for arm, one in seen.arms.items()} == {"a": 0, "b": 1}
    assert seen.unknown_arms == {"c": 1}


@pytest.mark.parametrize("phases", [1, 2])
def test_crossovers_can_be_left_out(store, make_published, at, phases):
    """Who was seen in another arm by then is in no count and no moment; who was seen there later still is."""
    for phase in range(1, phases + 1):
        store.publish(replace(make_published(metrics=(REVENUE,), version=phase), phase=phase))
    store.write_exposures(Exposure("exit", visitor, "a", at(0)) for visitor in ("u", "v", "w"))
    store.write_exposures([Exposure("exit", "v", "b", at(1)), Exposure("exit", "w", "b", at(50))])
    store.write_exposures([Exposure("exit", "x", "b", at(0))])
    store.write_outcomes(Outcome(visitor, visitor, "purchase", at(1), value=3) for visitor in "uvwx")
    seen = store.observations("exit", as_of=at(40))
    steady = store.variant("exit", as_of=at(40), without_crossovers=True)
    of = [{arm: one.strata[0].arms[arm] for arm in "ab"} for one in (seen, steady)]
    assert [(arms["a"].visitors, arms["a"].crossovers, arms["b"].visitors) for arms in of] == [(3, 1, 1), (2, 0, 1)]
    moments = steady.strata[0].moments["revenue"]["a"]
    assert (moments.n, moments.sum_of("purchase:value")) == (2, pytest.approx(6))
    assert store.variant("exit", as_of=at(40)).strata[0].arms == seen.strata[0].arms


def test_another_cap_can_be_tried(store, make_published, at):
    """A visitor's sum counts up to the cap that is given, in minor units; without one the metric's own holds."""
    store.publish(make_published(metrics=(REVENUE,)))
    store.write_exposures([Exposure("exit", "v", "a", at(0))])
    store.write_outcomes([Outcome("o", "v", "purchase", at(1), value=30)])
    sums = [
        store.variant("exit", caps=caps).moments["revenue"]["a"].sum_of("purchase:value")
        for caps in (None, {"revenue": 1_250}, {"revenue": None})
    ]
    assert sums == [pytest.approx(30), pytest.approx(12.5), pytest.approx(30)]


def test_only_segments_of_the_definition_can_be_asked_for(memory, make_published):
    """An attribute that was never stored is no segment."""
    memory.publish(make_published())
    with pytest.raises(InputError, match="no segment 'country'"):
        memory.breakdown("exit", "country")
