"""What a plan and its metrics say of offers: clusters, money given away, one-off campaigns, terms, ready guardrails."""

from __future__ import annotations

from dataclasses import replace

import pytest
from offerlift.experiments import BUILT_IN_METRICS, parse_definition
from offerlift.experiments.codec import definition_from_dict, definition_to_dict
from offerlift.experiments.metrics import DAY, GUARDRAIL_METRICS, Column
from offerlift.experiments.publishing import assignment_hash, plan_hash, refusals

from .faulty import one_finding, with_lines

FACTORS = {
    "arms": "",
    "offer": "{kind: upsell, placement: cart, trigger: login}",
    "factors": "{timing: {now: {message: a}, later: {message: b}}, price: {low: {price: 10}, high: {price: 12}}}",
    "enrol_on": "login",
}
GIVEN = "{name: discount_given, kind: revenue, event: discount, window: 14d}"


def planned(rest: str, **lines: str) -> dict[str, str]:
    return {"plan": f"{{primary: conversion, {rest}}}", **lines}


@pytest.mark.parametrize(
    ("lines", "path", "message"),
    [
        (
            planned("family: [timing, colour]", **FACTORS),
            "plan.family[1]",
            "names 'colour', which is no factor; the factors are: timing, price",
        ),
        (planned("family: [timing:prize]", **FACTORS), "plan.family[0]", "names 'prize', which is no factor"),
        (planned("family: [timing]"), "plan.family[0]", "there are no `factors`"),
        (planned("family: [timing:timing]", **FACTORS), "plan.family[0]", "names a factor twice"),
        (planned("family: [timing x price]", **FACTORS), "plan.family[0]", "joined by colons without spaces"),
        (planned('family: ["timing: price"]', **FACTORS), "plan.family[0]", "joined by colons without spaces"),
        (planned("family: [timing:price, price:timing]", **FACTORS), "plan.family[1]", "the same term as timing:price"),
        (planned("family: [timing, timing]", **FACTORS), "plan.family[1]", "the same term as timing"),
        (planned("scale: log"), "plan.scale", "for a factorial only"),
        (planned("scale: multiplicative", **FACTORS), "plan.scale", "additive"),
        (planned("cluster: agent"), "plan.cluster", "must be one of `segments`: none is declared"),
        (planned("cluster: agnet", segments="[agent, country]"), "plan.cluster", "one of `segments`: agent, country"),
        (planned("offer_cost: discount_given"), "plan.offer_cost", "must be one of the metrics: conversion"),
        (planned("offer_cost: conversion"), "plan.offer_cost", "kind revenue"),
        (
            planned("offer_cost: average_order_value", metrics="[conversion, average_order_value]"),
            "plan.offer_cost",
            "average_order_value is a ratio",
        ),
        (
            planned(
                "offer_cost: mine",
                metrics="[conversion, {name: mine, kind: revenue, event: purchase}, margin_per_visitor]",
            ),
            "plan.offer_cost",
            "has the event 'purchase' of margin_per_visitor",
        ),
        (
            {"plan": "{primary: discount_given, offer_cost: discount_given}", "metrics": f"[{GIVEN}]"},
            "plan.offer_cost",
            "is judged already",
        ),
        (planned("audience: {one_off: 1}"), "plan.audience.one_off", "true or false"),
        ({"segments": f"[{', '.join(f's{i}' for i in range(11))}]"}, "segments", "at most 10"),
        ({"metrics": "[conversion, never_return: {window: 7d}]"}, "metrics[1].never_return", "has no `window`"),
        ({"metrics": "[conversion, never_return: {between: [9d, 9d]}]"}, "metrics[1].never_return", "must end after"),
        ({"metrics": "[conversion, refund_rate: {event: x}]"}, "metrics[1].refund_rate.event", "cannot name both"),
        (
            {"metrics": "[conversion, satisfaction: {window: 7d, refund_window: 7d}]"},
            "metrics[1].satisfaction.refund_window",
            "has no money to give back",
        ),
        ({"metrics": "[conversion, unsubscribe_rate: {cap: 5}]"}, "metrics[1].unsubscribe_rate.cap", "is 0 or 1"),
        (
            {"metrics": "[conversion, {name: revenue_per_visitor, kind: revenue, event: x}]"},
            "metrics[1].name",
            "built-in",
        ),
    ],
)
def test_plan_faults(lines: dict[str, str], path: str, message: str) -> None:
    """Each is refused at its place, with what is allowed."""
    finding = one_finding(**lines)
    assert finding.path == path
    assert message in finding.message


def test_a_plan_of_offers_is_executed() -> None:
    """Nothing of it is refused when it is published, and all of it comes back from the snapshot."""
    text = with_lines(
        **FACTORS
        | {
            "segments": "[agent, country]",
            "metrics": f"[conversion, {GIVEN}]",
            "plan": "{primary: conversion, scale: log, family: [timing, timing:price], cluster: agent, "
            "offer_cost: discount_given, audience: {per_week: 100, horizon: 4w, switching_cost: 10, one_off: true}}",
        }
    )
    definition = parse_definition(text)
    assert refusals(definition) == []
    plan = definition.plan
    assert (plan.scale, plan.family, plan.cluster) == ("log", ("timing", "timing:price"), "agent")
    assert (plan.offer_cost, plan.audience.one_off) == ("discount_given", True)
    assert definition_from_dict(definition_to_dict(definition)) == definition
    for written, other in (
        ("cluster: agent", "cluster: country"),
        ("offer_cost: discount_given, ", ""),
        ("one_off: true", "one_off: false"),
    ):
        assert plan_hash(parse_definition(text.replace(written, other))) != plan_hash(definition)


def test_a_definition_that_says_nothing_new_keeps_its_hashes(cart_factorial: str) -> None:
    """What was published before these keys were known is frozen under the hash that it had."""
    definition = parse_definition(cart_factorial)
    assert (plan_hash(definition), assignment_hash(definition)) == ("e4d008cb4e9fb25f", "3299ca180321082b")


def test_ready_made_guardrails() -> None:
    """By name alone: event, formula, window and direction; and settings change only what they name."""
    names = sorted(GUARDRAIL_METRICS)
    definition = parse_definition(with_lines(metrics=f"[conversion, {', '.join(names)}]"))
    assert [metric.name for metric in definition.metrics[1:]] == names
    assert {metric.name: metric.desired_change for metric in definition.metrics[1:]} == {
        "full_price_share": "increase",
        "never_return": "decrease",
        "refund_rate": "decrease",
        "satisfaction": "increase",
        "unsubscribe_rate": "decrease",
    }
    never = definition.metric("never_return")
    assert (never.kind, never.numerator, never.window_start, never.window_end) == (
        "retention",
        Column(None, "absent"),
        7 * DAY,
        28 * DAY,
    )
    lines = with_lines(
        metrics="[conversion, {never_return: {between: [14d, 90d], event: visit, margin: 5%}}, "
        "{unsubscribe_rate: {window: 30d}}, {refund_rate: {window: 30d, margin: 10%}}]",
        plan="{primary: conversion, guardrails: [never_return, refund_rate]}",
    )
    definition = parse_definition(lines)
    never, refunds = definition.metric("never_return"), definition.metric("refund_rate")
    assert (never.numerator.event, never.window_start, never.window_end) == ("visit", 14 * DAY, 90 * DAY)
    assert (never.desired_change, never.non_inferiority_margin) == ("decrease", 0.05)
    assert (definition.metric("unsubscribe_rate").window_end, refunds.window_end) == (30 * DAY, 30 * DAY)
    assert (refunds.numerator, refunds.denominator) == (Column("refund", "count"), Column("purchase", "count"))
    assert refusals(definition) == []


def test_a_shop_may_have_its_own_of_that_name() -> None:
    """A metric that was called so before the name was built in stays the shop's own."""
    own = "{name: unsubscribe_rate, kind: conversion, event: opt_out, desired_change: decrease}"
    metric = parse_definition(with_lines(metrics=f"[conversion, {own}]")).metric("unsubscribe_rate")
    assert metric.numerator.event == "opt_out" != BUILT_IN_METRICS["unsubscribe_rate"].numerator.event


def test_a_plan_made_in_python_is_looked_at_when_it_is_published() -> None:
    """What reading from YAML finds is found in a definition that nobody read."""
    definition = parse_definition(with_lines())
    for changes, path in (
        ({"cluster": "agent"}, "plan.cluster"),
        ({"family": ("timing",)}, "plan.family"),
        ({"offer_cost": "conversion"}, "plan.offer_cost"),
        ({"offer_cost": "nothing"}, "plan.offer_cost"),
    ):
        changed = replace(definition, plan=replace(definition.plan, **changes))
        assert [finding.path for finding in refusals(changed)] == [path]
