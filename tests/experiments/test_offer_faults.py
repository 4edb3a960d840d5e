"""What an offer must not be, and what offers and their timing ask of the experiment."""

from __future__ import annotations

import pytest
from offerlift.experiments import parse_definition

from .faulty import one_finding, with_lines, with_offer


@pytest.mark.parametrize(
    ("lines", "path", "message"),
    [
        (with_offer("kind: downsell, trigger: login"), "arms[1].offer.trigger", "a trigger of declining or leaving"),
        (
            with_offer("kind: downsell, trigger: exit_intend"),
            "arms[1].offer.trigger",
            "a trigger of declining or leaving",
        ),
        (
            with_offer("kind: downsell, trigger: exit_intent, price: {relative: 110%}"),
            "arms[1].offer.price.relative",
            "must not cost more",
        ),
        (
            with_offer("kind: upsell, trigger: login, price: {relative: 1.26}"),
            "arms[1].offer.price.relative",
            "at most 25% dearer",
        ),
        (
            with_offer("kind: upsell, trigger: login, price: {relative: 1.5}, guards: {max_price_increase: 40%}"),
            "arms[1].offer.price.relative",
            "at most 40% dearer",
        ),
        (
            with_offer("kind: upsell, trigger: login, price: 5, discount: {}"),
            "arms[1].offer.discount",
            "exactly one type",
        ),
        (
            with_offer("kind: upsell, trigger: login, discount: {percentage: 5, points: 5}"),
            "arms[1].offer.discount",
            "exactly one type",
        ),
        (with_offer("kind: upsell, trigger: login, price: {amount: 5, relative: 1}"), "arms[1].offer.price", "either"),
        (with_offer("kind: upsell, trigger: login, price: -5"), "arms[1].offer.price", "from 0 on"),
        (with_offer("kind: upsell, trigger: login, price: 5.00001"), "arms[1].offer.price", "four decimal places"),
        (with_offer('kind: upsell, trigger: login, price: "5"'), "arms[1].offer.price", "major units"),
        (
            with_offer("kind: upsell, trigger: login, price: {amount: 5, currency: USD}"),
            "arms[1].offer.price.currency",
            "must be the experiment's currency, EUR",
        ),
        (with_offer("kind: upsell, trigger: login, on_accept: x"), "arms[1].offer.on_accept", "name of an offer: b"),
        (
            with_offer("kind: upsell, trigger: login, alternatives: [x]"),
            "arms[1].offer.alternatives[0]",
            "name of an offer",
        ),
        (with_offer("kind: upsell, trigger: login, on_accept: b"), "arms[1].offer.on_accept", "in a circle: b -> b"),
        ({"arms": "[{name: a}, {name: b, offer: tenn}]"}, "arms[1].offer", "one of `offers`: there are none"),
        (
            {"offers": "{unused: {kind: bundle, placement: cart, trigger: login}}"},
            "offers.unused",
            "no arm leads to this offer",
        ),
        (with_offer("kind: upsell, trigger: login", enrol_on="a:b"), "enrol_on", "without ':'"),
        (with_offer("kind: upsell, trigger: login, delay: 5"), "arms[1].offer.delay", "must be a duration"),
    ],
)
def test_offer_faults(lines: dict[str, str], path: str, message: str) -> None:
    """What an offer must not be is refused at its place."""
    finding = one_finding(**lines)
    assert finding.path == path
    assert message in finding.message


def test_two_offers_of_one_name() -> None:
    """Two offers of one name are refused at the second; two arms may show the same of `offers`."""
    offer = "{kind: upsell, placement: cart, trigger: login, name: same}"
    finding = one_finding(arms=f"[{{name: a, offer: {offer}}}, {{name: b, offer: {offer}}}]")
    assert finding.path == "arms[1].offer"
    assert "already called same" in finding.message
    offers = "{one: {kind: upsell, placement: cart, trigger: login}}"
    assert parse_definition(with_lines(arms="[{name: a, offer: one}, {name: b, offer: one}]", offers=offers))


def test_circle_over_several_offers() -> None:
    """A circle through offers that follow each other is found once and spelt out."""
    finding = one_finding(
        **with_offer(
            "kind: upsell, trigger: login, on_decline: one",
            offers="""
  one: {kind: downsell, placement: cart, trigger: offer_declined, on_decline: two}
  two: {kind: downsell, placement: cart, trigger: offer_declined, on_accept: one}""",
        )
    )
    assert finding.path == "offers.two.on_accept"
    assert "in a circle: one -> two -> one" in finding.message


def test_chain_without_circle() -> None:
    """Two ways to the same last offer are no circle."""
    text = with_lines(
        **with_offer(
            "kind: upsell, trigger: login, on_decline: one, on_accept: two",
            offers="""
  one: {kind: downsell, placement: cart, trigger: offer_declined, on_decline: two}
  two: {kind: downsell, placement: cart, trigger: offer_declined}""",
        )
    )
    assert [offer.name for offer in parse_definition(text).offers] == ["one", "two"]


@pytest.mark.parametrize(
    ("first", "second", "fits"),
    [
        ("{relative: 80%}", "{relative: 90%}", False),
        ("{relative: 80%}", "{relative: 80%}", True),
        ("{relative: 80%}", "{relative: 70%}", True),
        ("89", "{relative: 90%}", True),
    ],
)
def test_following_down_sell(first: str, second: str, fits: bool) -> None:
    """A down-sell after a declined offer does not cost more than it, where both are relative to one base."""
    lines = with_offer(
        f"kind: bundle, trigger: login, price: {first}, on_decline: less",
        offers=f"{{less: {{kind: downsell, placement: cart, trigger: offer_declined, price: {second}}}}}",
    )
    if fits:
        assert parse_definition(with_lines(**lines))
    else:
        finding = one_finding(**lines)
        assert finding.path == "arms[1].offer.on_decline"
        assert finding.seen == "0.9 against 0.8 times the price"


def test_discount_counts_in_relative_prices() -> None:
    """A percentage off is part of the relative price."""
    lines = with_offer("kind: downsell, trigger: exit_intent, price: {relative: 110%}, discount: {percentage: 10}")
    assert parse_definition(with_lines(**lines))


COSTLY = ["discount: {percentage: 5}", "free_shipping: true", "free_shipping: {from: 50}", "price: {relative: 0.9}"]


@pytest.mark.parametrize("cost", COSTLY)
def test_costs_need_a_margin_metric(cost: str) -> None:
    """Where an offer costs money, margin is the primary metric or a guardrail, else it is refused."""
    arms = f"[{{name: a}}, {{name: b, offer: {{kind: bundle, placement: cart, trigger: login, {cost}}}}}]"
    finding = one_finding(arms=arms, metrics="[conversion, margin_per_visitor]")
    assert finding.path == "plan"
    assert "the offer b costs money, so a margin metric must be primary or a guardrail" in finding.message
    assert parse_definition(with_lines(arms=arms, metrics="[margin_per_visitor]", plan="{primary: margin_per_visitor}"))
    assert parse_definition(
        with_lines(
            arms=arms,
            metrics="[conversion, {name: profit, kind: margin, event: order, margin: 2%}]",
            plan="{primary: conversion, guardrails: [profit]}",
        )
    )


def test_free_offers_need_no_margin_metric() -> None:
    """An offer that gives nothing away needs no margin metric."""
    arms = "[{name: a}, {name: b, offer: {kind: upsell, placement: cart, trigger: login, price: {relative: 1.2}}}]"
    assert parse_definition(with_lines(arms=arms))


def _timing(second: str, window: str, first: str = "trigger: purchase", enrol: str = "purchase") -> dict[str, str]:
    offer = "{{kind: upsell, placement: post_purchase, {}}}"
    return {
        "arms": f"[{{name: z}}, {{name: a, offer: {offer.format(first)}}}, {{name: b, offer: {offer.format(second)}}}]",
        "metrics": f"[conversion: {{window: {window}}}]",
        "enrol_on": enrol,
    }


@pytest.mark.parametrize("second", ["trigger: purchase, delay: 2d", "trigger: quota_reached"])
def test_timing_needs_enrolment(second: str) -> None:
    """Arms that differ in trigger or delay need `enrol_on`."""
    assert one_finding(**_timing(second, "30d", enrol="")).path == "enrol_on"
    assert parse_definition(with_lines(**_timing(second, "30d")))


def test_timing_as_a_factor_needs_enrolment() -> None:
    """A factor of delays or triggers needs `enrol_on` as well."""
    lines = {
        "arms": "",
        "offer": "{kind: upsell, placement: post_purchase, trigger: purchase}",
        "factors": "{timing: {now: {delay: 0}, later: {delay: 2d}}}",
    }
    assert one_finding(**lines).path == "enrol_on"
    definition = parse_definition(with_lines(**lines, enrol_on="purchase"))
    assert [arm.offer and arm.offer.delay for arm in definition.arms] == [0, 172_800_000_000]


@pytest.mark.parametrize(
    ("second", "window", "fits"),
    [
        ("trigger: purchase, delay: 2d", "2d", False),
        ("trigger: purchase, delay: 2d", "49h", True),
        ("trigger: purchase, delay: 2d, timer: 36h", "3d", False),
        ("trigger: purchase, delay: 2d, timer: 36h", "84h", True),
        ("trigger: quota_reached", "1h", True),
    ],
)
def test_windows_cover_the_longest_delay(second: str, window: str, fits: bool) -> None:
    """A window from the enrolment on covers the longest delay and the time to respond, else it is refused."""
    lines = _timing(second, window)
    if fits:
        assert parse_definition(with_lines(**lines))
    else:
        finding = one_finding(**lines)
        assert (finding.path, finding.seen) == ("metrics[0]", window)
        assert "must cover the longest delay of 2d" in finding.message


@pytest.mark.parametrize(
    ("currency", "offer", "place", "allowed"),
    [
        ("EUR", "kind: upsell, trigger: login, price: 5.005", "price", "at most 2 decimal places, as EUR has"),
        ("EUR", "kind: upsell, trigger: login, price: {amount: 5.005}", "price.amount", "at most 2 decimal places"),
        ("JPY", "kind: upsell, trigger: login, discount: {voucher: 89.905}", "discount.voucher", "a whole number"),
        ("BIF", "kind: upsell, trigger: login, discount: {voucher: 89.905}", "discount.voucher", "a whole number"),
        ("EUR", "kind: upsell, trigger: login, free_shipping: {from: 0.001}", "free_shipping.from", "at most 2"),
    ],
)
def test_an_amount_has_no_parts_of_a_minor_unit(currency: str, offer: str, place: str, allowed: str) -> None:
    """An amount with more digits than its currency has is a finding at its place, with what is allowed."""
    finding = one_finding(**with_offer(offer, currency=currency))
    assert finding.path == f"arms[1].offer.{place}"
    assert allowed in finding.message
    assert finding.seen in {"5.005", "89.905", "0.001"}


def test_a_switching_cost_has_no_parts_of_a_minor_unit() -> None:
    """What changing over costs is money like any other."""
    plan = "{primary: conversion, audience: {per_week: 1000, horizon: 26w, switching_cost: 99.999}}"
    finding = one_finding(plan=plan)
    assert (finding.path, finding.seen) == ("plan.audience.switching_cost", "99.999")
    assert "at most 2 decimal places, as EUR has" in finding.message


def test_zeros_are_no_parts_of_a_minor_unit() -> None:
    """89.900 EUR, 89.0 JPY and 0.005 KWD are whole numbers of minor units."""
    for currency, price in (("EUR", "89.900"), ("JPY", "89.0"), ("KWD", "0.005")):
        lines = with_offer(f"kind: upsell, trigger: login, price: {price}", currency=currency)
        assert parse_definition(with_lines(**lines))


@pytest.mark.parametrize(("window", "fits"), [("30d", False), ("41d", True)])
def test_one_delayed_offer_against_none_needs_a_window_that_covers_it(window: str, fits: bool) -> None:
    """Without `enrol_on` windows begin at the trigger, so that 30 days end before an offer 40 days later is seen."""
    offer = "{kind: upsell, placement: post_purchase, trigger: purchase, delay: 40d}"
    lines = {"arms": f"[{{name: z}}, {{name: a, offer: {offer}}}]", "metrics": f"[conversion: {{window: {window}}}]"}
    if fits:
        assert parse_definition(with_lines(**lines))
    else:
        assert (one_finding(**lines).path, one_finding(**lines).seen) == ("metrics[0]", window)
