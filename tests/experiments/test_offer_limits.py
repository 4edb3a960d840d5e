"""Offers that nobody can get, that never end, or that reach whom they should not: each a precise error."""

from __future__ import annotations

import pytest
from offerlift.experiments import parse_definition
from offerlift.experiments.contradictions import contradiction
from offerlift.experiments.eligibility import Eligibility
from offerlift.experiments.rules import Rule

from .faulty import one_finding, with_lines, with_offer

UPSELL = "kind: upsell, trigger: login"


@pytest.mark.parametrize(
    ("lines", "path", "message"),
    [
        (with_offer(f"{UPSELL}, days: 30"), "arms[1].offer.days", "is for the trigger days_since_purchase"),
        (with_offer(f"{UPSELL}, occasion: birthday"), "arms[1].offer.occasion", "is for the trigger occasion"),
        (
            with_offer("kind: bundle, trigger: login, product: mug, products: [mug, filter]"),
            "arms[1].offer.products",
            "either `product` or `products`",
        ),
        (with_offer("kind: bundle, trigger: login, products: [mug]"), "arms[1].offer.products", "at least 2"),
        (
            with_offer(
                f"{UPSELL}, alternatives: [o1, o2, o3, o4, o5]",
                offers="".join(f"\n  o{i}: {{kind: upsell, placement: cart, trigger: login}}" for i in range(1, 6)),
            ),
            "arms[1].offer.alternatives",
            "shows 6 offers at once; at most 5",
        ),
        (
            with_offer("kind: upsell, trigger: milestone"),
            "arms[1].offer.trigger",
            "at milestone needs a rule on the attribute satisfaction",
        ),
        (
            with_offer("kind: upsell, trigger: support_closed", eligibility="[{attribute: tier, eq: gold}]"),
            "arms[1].offer.trigger",
            "at support_closed needs a rule",
        ),
        (
            with_offer("kind: flash_sale, trigger: login, discount: {percentage: 30}"),
            "arms[1].offer.timer",
            "a flash sale ends",
        ),
        (
            {"eligibility": "[{attribute: cart_total, gte: 80}, {attribute: cart_total, lt: 80}]"},
            "eligibility",
            "nobody is eligible: cart_total ≥ 80 and cart_total < 80 cannot hold together",
        ),
        (
            with_offer(f"{UPSELL}, guards: {{requires: [{{attribute: satisfaction, gte: 8, lte: 5}}]}}"),
            "arms[1].offer.guards.requires",
            "withholds the offer from everybody: satisfaction ≤ 5 and satisfaction ≥ 8",
        ),
        (
            with_offer(
                f"{UPSELL}, guards: {{requires: [{{attribute: tier, eq: gold}}]}}",
                eligibility="[{attribute: tier, in: [silver, bronze]}]",
            ),
            "arms[1].offer.guards.requires",
            "tier in (silver, bronze) and tier = gold cannot hold together",
        ),
        (
            with_offer("kind: cross_sell, trigger: login, price: {relative: 150%}, guards: {max_price_increase: 40%}"),
            "arms[1].offer.guards.max_price_increase",
            "it costs 1.5 times the price",
        ),
        (
            with_offer("kind: loyalty, trigger: login, discount: {percentage: 100}, guards: {min_margin: 5%}"),
            "arms[1].offer.guards.min_margin",
            "what is given away has no margin",
        ),
        (
            with_offer("kind: loyalty, trigger: login, discount: {fixed_price: 0}, guards: {min_margin: 5%}"),
            "arms[1].offer.guards.min_margin",
            "what is given away has no margin",
        ),
        (
            with_offer(
                "kind: loyalty, trigger: login, price: 10, discount: {gift: mug, cost: 9.60}, guards: {min_margin: 5%}"
            ),
            "arms[1].offer.guards.min_margin",
            "of 10 the bonus alone takes 9.6",
        ),
        (
            with_offer(
                'kind: loyalty, trigger: login, available: {from: "2026-05-01T00:00:00Z"}',
                ends_at='"2026-04-01T00:00:00Z"',
            ),
            "arms[1].offer.available.from",
            "is not before the experiment's end, 2026-04-01",
        ),
        (
            with_offer(
                'kind: loyalty, trigger: login, available: {until: "2026-03-01T00:00:00Z"}',
                starts_at='"2026-04-01T00:00:00Z"',
            ),
            "arms[1].offer.available.until",
            "is not after the experiment's start, 2026-04-01",
        ),
        (
            with_offer(
                'kind: loyalty, trigger: login, available: {from: "2026-03-02T00:00:00Z", '
                'until: "2026-03-01T00:00:00Z"}'
            ),
            "arms[1].offer.available",
            "`until` must be after `from`",
        ),
        (with_offer("kind: loyalty, trigger: login, available: {}"), "arms[1].offer.available", "needs `from`"),
        (
            with_offer("kind: loyalty, trigger: login, discount: {percentage: 10, cost: 3}"),
            "arms[1].offer.discount",
            "`cost` is what a bonus costs the shop",
        ),
        (with_offer(f"{UPSELL}, cost_basis: list_price"), "arms[1].offer.cost_basis", "purchase"),
        (with_offer(f"{UPSELL}, decline_reasons: [dear]"), "arms[1].offer.decline_reasons", "at least 2"),
        (with_offer(f"{UPSELL}, guards: {{requires: []}}"), "arms[1].offer.guards.requires", "at least 1"),
    ],
)
def test_limits(lines: dict[str, str], path: str, message: str) -> None:
    """Each is refused at its place, once."""
    finding = one_finding(**lines)
    assert finding.path == path
    assert message in finding.message


@pytest.mark.parametrize(
    "lines",
    [
        with_offer("kind: upsell, trigger: milestone", eligibility="[{attribute: satisfaction, gte: 8}]"),
        with_offer("kind: upsell, trigger: milestone, guards: {requires: [{attribute: satisfaction, gte: 8}]}"),
        with_offer("kind: downsell, trigger: offer_declined, guards: {min_margin: 5%}, discount: {percentage: 99}"),
        with_offer("kind: flash_sale, trigger: login, discount: {percentage: 30}, timer: 2h"),
        with_offer("kind: flash_sale, trigger: login, discount: {percentage: 30}", ends_at='"2027-01-01T00:00:00Z"'),
        with_offer('kind: flash_sale, trigger: login, available: {until: "2027-01-01T00:00:00Z"}'),
        with_offer("kind: retention, trigger: days_since_purchase, days: 90"),
        with_offer("kind: retention, trigger: occasion, occasion: birthday"),
        with_offer(f"{UPSELL}, guards: {{requires: [{{attribute: a, gt: 1}}, {{attribute: b, lt: 1}}]}}"),
        with_offer("kind: cross_sell, trigger: login, price: {relative: 140%}, guards: {max_price_increase: 40%}"),
        with_offer(
            "kind: loyalty, trigger: login, price: 10, discount: {gift: mug, cost: 9.50}, guards: {min_margin: 5%}"
        ),
    ],
)
def test_what_is_possible_is_let_be(lines: dict[str, str]) -> None:
    """The nearest definition without the fault is one."""
    assert parse_definition(with_lines(**lines))


def test_a_fault_of_a_factorial_is_said_once() -> None:
    """However many arms the line makes."""
    lines = {
        "arms": "",
        "offer": "{kind: upsell, placement: in_app, trigger: milestone}",
        "factors": "{price: {same: {price: 10}, dear: {price: 12}}, message: {cool: {message: a}, warm: {message: b}}}",
    }
    finding = one_finding(**lines)
    assert finding.path.startswith("factors")
    assert "needs a rule" in finding.message


def test_days_are_timing() -> None:
    """Arms of 30 and 90 days since the purchase need `enrol_on`, from which windows then cover the 90 days."""
    offer = "{{kind: retention, placement: email, trigger: days_since_purchase, days: {}}}"
    arms = f"[{{name: a}}, {{name: b, offer: {offer.format(30)}}}, {{name: c, offer: {offer.format(90)}}}]"
    lines = {"arms": arms, "metrics": "[conversion: {window: 60d}]"}
    assert one_finding(**lines).path == "enrol_on"
    short = one_finding(**lines, enrol_on="purchase")
    assert (short.path, short.seen) == ("metrics[0]", "60d")
    assert "the longest delay of 90d" in short.message
    lines["metrics"] = "[conversion: {window: 120d}]"
    assert parse_definition(with_lines(**lines, enrol_on="purchase"))
    # Where all wait equally long, visitors come in when they have waited.
    alone = {"arms": f"[{{name: a}}, {{name: b, offer: {offer.format(90)}}}]", "metrics": "[conversion: {window: 7d}]"}
    assert parse_definition(with_lines(**alone))


RULES = [
    Rule("x", op, value)
    for op, values in {
        "eq": (1, "a", True),
        "ne": (1, "a"),
        "lt": (1, 3),
        "lte": (1, 2),
        "gt": (1, 2.5),
        "gte": (2, 3),
        "in": ((1, 2), ("a", "b")),
        "not_in": ((1, 2, 3), ("a",)),
        "exists": (True, False),
    }.items()
    for value in values
]
VALUES = (0, 0.5, 1, 1.5, 2, 2.2, 2.7, 3, 4, "a", "b", "c", "", True, False, None)


@pytest.mark.parametrize("first", RULES, ids=str)
def test_contradictions_are_those_that_no_value_meets(first: Rule) -> None:
    """Of every pair and triple of rules, what is called impossible is met by none of many values.

    The other way round, what some value meets is never called impossible, and what none of them meets nearly always is.
    """
    for second in RULES:
        for third in RULES[::3]:
            rules = [first, second, third]
            met = [value for value in VALUES if not Eligibility(rules).refusal({"x": value})]
            assert not (contradiction(rules) and met), (rules, met)
    for second in RULES:
        rules = [first, second]
        met = [value for value in VALUES if not Eligibility(rules).refusal({"x": value})]
        numbers = {"lt", "lte", "gt", "gte", "eq", "in", "exists"}
        if not met and {first.op, second.op} <= numbers:
            assert contradiction(rules), rules
