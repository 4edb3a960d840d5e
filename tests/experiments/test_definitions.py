from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from offerlift.errors import DefinitionError
from offerlift.experiments import (
    BUILT_IN_METRICS,
    Audience,
    Column,
    CovariateUse,
    Definition,
    Discount,
    Guard,
    Metric,
    Price,
    Rule,
    parse_definition,
)

DAY = 86_400_000_000

MINIMAL = """\
experiment: e
arms: [{name: a}, {name: b}]
metrics: [conversion]
plan: {primary: conversion}
"""


def _with(**lines: str) -> str:
    """The minimal definition with top-level lines replaced or added."""
    kept = {line.partition(": ")[0]: line.partition(": ")[2] for line in MINIMAL.splitlines()}
    return "".join(f"{key}: {value}\n" for key, value in {**kept, **lines}.items())


def _refused(text: str) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        parse_definition(text)
    return caught.value


def test_minimal_definition() -> None:
    """Four lines are enough: equal weights, the first arm is control, everything else is a default."""
    definition = parse_definition(MINIMAL)
    assert [(arm.name, arm.weight, arm.offer) for arm in definition.arms] == [("a", 5_000, None), ("b", 5_000, None)]
    assert (definition.control, definition.salt, definition.layer, definition.source) == ("a", "e", "e", "assigner")
    assert definition.metrics == (BUILT_IN_METRICS["conversion"],)
    assert (definition.plan.alpha, definition.plan.power, definition.traffic) == (0.05, 0.8, 1)
    assert (definition.eligibility, definition.factors, definition.currency) == ((), {}, "EUR")


def test_exit_downsell(exit_downsell: str) -> None:
    """The example reads as it looks: offers, metrics with windows, plan."""
    definition = parse_definition(exit_downsell)
    assert [arm.weight for arm in definition.arms] == [3_334, 3_333, 3_333]
    lighter, free = definition.arms[1].offer, definition.arms[2].offer
    assert lighter is not None
    assert free is not None
    assert lighter.discount == Discount("percentage", Decimal(10), code="LIGHTER10")
    assert (lighter.name, lighter.kind, lighter.placement) == ("lighter-10-off", "downsell", "exit_popup")
    assert lighter.timer == 15 * 60_000_000
    assert (free.free_shipping, free.costs_money) == (True, True)
    assert definition.eligibility == (
        Rule("country", "in", ("DE", "AT", "SE", "NO")),
        Rule("cart_total", "gte", 40),
    )
    revenue = definition.metric("revenue_per_visitor")
    assert (revenue.window_end, revenue.covariate) == (7 * DAY, CovariateUse("past_revenue"))
    assert definition.metric("margin_per_visitor").non_inferiority_margin == 0.02
    assert definition.metric("support_contacts") == Metric(
        "support_contacts", "count", Column("support_contact", "count"), window_end=7 * DAY, desired_change="decrease"
    )
    assert definition.plan.adjusted
    assert definition.plan.minimum_detectable_effect == 0.05
    assert definition.plan.longest_duration == 42 * DAY


def test_factors_expand(cart_factorial: str) -> None:
    """Factors become one arm for every combination; an arm of empty levels only shows no offer."""
    definition = parse_definition(cart_factorial)
    assert [arm.name for arm in definition.arms] == [
        "today.none",
        "today.five-percent",
        "from-499.none",
        "from-499.five-percent",
    ]
    assert [arm.weight for arm in definition.arms] == [2_500] * 4
    assert definition.factors == {"threshold": ("today", "from-499"), "discount": ("none", "five-percent")}
    assert definition.arms[2].levels == {"threshold": "from-499", "discount": "none"}
    control, discount, threshold, both = (arm.offer for arm in definition.arms)
    assert control is None
    assert discount is not None
    assert threshold is not None
    assert both is not None
    assert (discount.free_shipping_from, discount.discount) == (None, Discount("percentage", Decimal(5)))
    assert (threshold.free_shipping_from, threshold.discount) == (Decimal(499), None)
    assert (both.free_shipping_from, both.discount) == (Decimal(499), Discount("percentage", Decimal(5)))
    assert {offer.kind for offer in (discount, threshold, both)} == {"threshold"}
    assert (both.name, both.placement) == ("from-499.five-percent", "cart")
    assert definition.metric("margin_per_visitor").covariate == CovariateUse("past_margin", 26 * 7 * DAY)
    assert (definition.plan.alpha, definition.plan.power) == (0.1, 0.9)


def test_everything_is_parsed(everything: str) -> None:
    """Every key of the language arrives in the frozen definition."""
    definition = parse_definition(everything)
    now, later, trial, points = (arm.offer for arm in definition.arms)
    assert now is not None
    assert later is not None
    assert trial is not None
    assert points is not None
    assert now.price == Price(relative=Decimal("1.3"))
    assert now.guards == (
        Guard("frequency_cap", Decimal(1), 7 * DAY),
        Guard("usage_limit", Decimal(500)),
        Guard("min_margin", Decimal("0.15")),
        Guard("max_price_increase", Decimal("0.4")),
    )
    assert (now.product, now.message, now.minimum_requirement) == ("mug: large", "Only today", Decimal(20))
    assert (now.alternatives, now.on_accept, now.on_decline) == (("small",), "bundle-deal", None)
    assert (later.delay, later.discount) == (2 * DAY, Discount("voucher", Decimal(10)))
    assert trial.discount == Discount("trial", Decimal(14), description="note")
    assert (points.discount, points.price) == (
        Discount("points", Decimal(200)),
        Price(amount=Decimal(5), currency="SEK"),
    )
    assert points.trigger == "own_event"
    bundle, small = definition.offers
    assert bundle.price == Price(Decimal("89.90"), None, "SEK", "excluded")
    assert bundle.discount == Discount("buy_x_get_y", buy=2, get=1)
    assert (bundle.on_decline, small.discount) == ("small", Discount("gift", description="a card"))
    assert small.price == Price(relative=Decimal("0.5"))
    assert definition.eligibility == (
        Rule("country", "in", ("SE", "NO", "yes", True, 1, 2.5)),
        Rule("cart_total", "lt", 99.9),
        Rule("cart_total", "gte", 40),
        Rule("tags", "contains", "vip"),
        Rule("blocked", "exists", False),
        Rule("plan", "ne", "free"),
        Rule("plan", "not_in", ("trial",)),
    )
    assert (definition.segments, definition.columns, definition.holdouts) == (
        ("country", "device"),
        ("category",),
        ("spring",),
    )
    assert (definition.layer, definition.layer_range, definition.salt) == ("checkout", (0, 5_000), "upsell-2026")
    assert (definition.traffic, definition.control, definition.utc_offset_minutes) == (Fraction(1, 5), "later", 60)
    assert definition.starts_at == datetime(2026, 3, 1, 8, tzinfo=UTC)
    assert definition.ends_at == datetime(2026, 5, 1, 9, tzinfo=UTC)
    assert (definition.enrol_on, definition.owner) == ("purchase", "Åsa & Jörg")
    assert definition.description == "Two lines\nof text."
    _, revenue, margin, retention, ratio = definition.metrics
    assert (revenue.numerator, revenue.cap) == (Column("order", "value"), 50_000)
    assert margin.filters == (("category", "eq", "mugs"),)
    assert retention == Metric(
        "came_back", "retention", Column(None, "converted"), window_start=7 * DAY, window_end=14 * DAY
    )
    assert (ratio.numerator, ratio.denominator) == (Column("item", "count"), Column("purchase", "count"))
    plan = definition.plan
    assert (plan.looks, plan.sample_size, plan.minimum_detectable_effect) == ((0.5, 0.75, 1.0), 40_000, 1.2)
    assert plan.audience == Audience(20_000, 26 * 7 * DAY, Decimal(1_500))


@pytest.mark.parametrize(
    ("discount", "expected"),
    [
        ("{percentage: 12.5%}", Discount("percentage", Decimal("12.5"))),
        ("{fixed_amount: 5.50}", Discount("fixed_amount", Decimal("5.5"))),
        ("{fixed_price: 79}", Discount("fixed_price", Decimal(79))),
        ("{instalments: 3}", Discount("instalments", Decimal(3))),
        ("{gift: a mug, description: blue}", Discount("gift", description="a mug: blue")),
        ("{trial: 36h}", Discount("trial", Decimal("1.5"))),
        ("{voucher: 10, code: BACK10}", Discount("voucher", Decimal(10), code="BACK10")),
    ],
)
def test_discounts(discount: str, expected: Discount) -> None:
    """Each discount type has its own value."""
    offer = f"{{kind: loyalty, placement: cart, trigger: login, discount: {discount}}}"
    definition = parse_definition(
        _with(
            arms=f"[{{name: a}}, {{name: b, offer: {offer}}}]",
            metrics="[margin_per_visitor]",
            plan="{primary: margin_per_visitor}",
        )
    )
    offered = definition.arms[1].offer
    assert offered is not None
    assert offered.discount == expected


@pytest.mark.parametrize(
    ("weights", "buckets"),
    [
        ((9_000, 1_000), [9_000, 1_000]),
        ((0.9, 0.1), [9_000, 1_000]),
        (("90%", "10%"), [9_000, 1_000]),
        (("1/3", "1/3", "1/3"), [3_334, 3_333, 3_333]),
        ((0.33335, 0.33335, 0.3333), [3_334, 3_333, 3_333]),
        (("1/6", "1/6", "2/3"), [1_667, 1_667, 6_666]),
        ((None, None, None, None, None, None, None), [1_429, 1_429, 1_429, 1_429, 1_428, 1_428, 1_428]),
    ],
)
def test_weights(weights: tuple[Any, ...], buckets: list[int]) -> None:
    """Buckets as they are, shares by the largest remainder (ties to the first arms), none is equal: always 10,000."""
    arms = ", ".join(
        f"{{name: arm-{index}{'' if weight is None else f', weight: {weight}'}}}"
        for index, weight in enumerate(weights)
    )
    definition = parse_definition(_with(arms=f"[{arms}]"))
    assert [arm.weight for arm in definition.arms] == buckets
    assert sum(buckets) == 10_000


@pytest.mark.parametrize(
    ("weights", "message", "seen"),
    [
        ((5_000, 4_000), "weights in buckets must sum to 10000; they sum to 9000", "5000, 4000"),
        ((6_000, 6_000), "they sum to 12000", "6000, 6000"),
        ((1, 1), "they sum to 2", "1, 1"),
        ((0.5, 0.4), "weights as shares must sum to 1; they sum to 0.9", "0.5, 0.4"),
        (("33.3%", "66.6%"), "they sum to 0.999", "0.333, 0.666"),
        ((5_000, 0.5), "all buckets (5000) or all shares (0.5), not both", "5000, 0.5"),
        ((5_000, None), "all arms need a weight or none of them; 1 of 2 have one", "5000, none"),
        ((0.99999, 0.00001), "at least one bucket", "0.99999, 1e-05"),
    ],
)
def test_weights_that_do_not_add_up(weights: tuple[Any, ...], message: str, seen: str) -> None:
    """Anything but 10,000 buckets, shares of 1 or no weights is refused with the sum seen."""
    # Not as Python would write it, 1e-05, which is text in YAML.
    written = ["0.00001" if weight == 0.00001 else weight for weight in weights]
    arms = ", ".join(
        f"{{name: arm-{index}}}" if weight is None else f"{{name: arm-{index}, weight: {weight}}}"
        for index, weight in enumerate(written)
    )
    (finding,) = _refused(_with(arms=f"[{arms}]")).findings
    assert (finding.path, finding.line) == ("arms", 2)
    assert message in finding.message
    assert finding.seen == seen


def test_yaml_1_2() -> None:
    """Country codes, yes and no stay text, 010 is ten and 0o10 eight, unquoted times keep their offset."""
    definition = parse_definition(
        _with(
            eligibility="[{attribute: c, in: [SE, NO, yes, off, Y]}, {attribute: n, in: [010, 0o10, 0x1F, 1e2, .5]}]",
            ends_at="2026-05-01T09:00:00+02:00",
        )
    )
    assert definition.eligibility[0].value == ("SE", "NO", "yes", "off", "Y")
    assert definition.eligibility[1].value == (10, 8, 31, 100.0, 0.5)
    assert definition.ends_at == datetime(2026, 5, 1, 7, tzinfo=UTC)
    assert parse_definition(_with(description="!!str 5")).description == "5"
    assert parse_definition("%YAML 1.1\n---\n" + _with(eligibility="[{attribute: c, in: [NO]}]")).eligibility[
        0
    ].value == ("NO",)


def test_numbers_are_exact() -> None:
    """Money has the digits that were typed, shares are exact fractions."""
    definition = parse_definition(
        _with(
            traffic="33.33%",
            arms="[{name: a}, {name: b, offer: {kind: upsell, placement: cart, trigger: login, price: 0.1}}]",
        )
    )
    assert definition.traffic == Fraction(3_333, 10_000)
    offer = definition.arms[1].offer
    assert offer is not None
    assert offer.price == Price(amount=Decimal("0.1"), currency="EUR")


def test_minor_units_of_caps() -> None:
    """A cap is stored in the minor units of its currency, a cap on a count as it is."""
    metrics = "[revenue_per_visitor: {cap: 500}, orders_per_visitor: {cap: 3}]"
    for currency, cap in [("EUR", 50_000), ("JPY", 500), ("KWD", 500_000)]:
        definition = parse_definition(_with(metrics=metrics, plan="{primary: revenue_per_visitor}", currency=currency))
        assert [metric.cap for metric in definition.metrics] == [cap, 3]


def test_text_for_people() -> None:
    """Descriptions take every script, emoji and space; names of arms do not."""
    text = "10\u202f% für Sie — 折扣 👩\u200d💻\u00a0!"
    assert parse_definition(_with(description=f'"{text}"')).description == text


def test_same_text_same_definition(everything: str) -> None:
    """Reading is a pure function of the text, whatever the file is called."""
    first: Definition = parse_definition(everything)
    assert first == parse_definition(everything, "other.yaml")


@pytest.mark.parametrize(
    ("plan", "looks", "sample"),
    [
        ("looks: 4; sample_size: 8000", (0.25, 0.5, 0.75, 1.0), 8_000),
        ("looks: 1; sample_size: 8000", (1.0,), 8_000),
        ("looks: [1/3, 2/3]; sample_size: 8000", (1 / 3, 2 / 3, 1.0), 8_000),
        ("sample_size: 8000", (), 8_000),
        ("longest_duration: 6w; audience: {per_week: 1000}", (), None),
        # Of six weeks' visitors those of the last have not had their week for buying; a quarter is let in.
        ("looks: 2; longest_duration: 6w; audience: {per_week: 1000}", (0.5, 1.0), 1_250),
    ],
)
def test_planned_looks(exit_downsell: str, plan: str, looks: tuple[float, ...], sample: int | None) -> None:
    """Looks are a number or shares, end at the planned sample, and the sample is given or counted from the traffic."""
    lines = "".join(f"  {line}\n" for line in plan.split("; "))
    text = exit_downsell.replace("  longest_duration: 6w\n", lines) + "traffic: 25%\n"
    definition = parse_definition(text)
    assert definition.metric("revenue_per_visitor").window_end == 7 * DAY
    assert definition.plan.looks == looks
    assert definition.planned_sample == sample


def test_the_planned_sample_leaves_time_for_refunds() -> None:
    """Of six weeks of visitors the last three are not analysed: a week to buy, two for refunds; three are refused."""
    text = _with(
        metrics="[revenue_per_visitor: {window: 7d, refund_window: 14d}]",
        plan="{primary: revenue_per_visitor, looks: 2, longest_duration: 6w, audience: {per_week: 1000}}",
    )
    assert parse_definition(text).planned_sample == 3_000
    with pytest.raises(DefinitionError, match="before the window of revenue_per_visitor has passed for anybody"):
        parse_definition(text.replace("longest_duration: 6w", "longest_duration: 3w"))
