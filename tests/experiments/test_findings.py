from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offerlift.errors import DefinitionError, Finding
from offerlift.experiments import load_definition, parse_definition, validate

MINIMAL = {
    "experiment": "e",
    "arms": "[{name: a}, {name: b}]",
    "metrics": "[conversion]",
    "plan": "{primary: conversion}",
}


def _findings(text: str) -> list[Finding]:
    with pytest.raises(DefinitionError) as caught:
        parse_definition(text, "e.yaml")
    return list(caught.value.findings)


def _tried(text: str) -> list[Finding]:
    """The findings of a text; none where it is a definition."""
    try:
        parse_definition(text, "e.yaml")
    except DefinitionError as error:
        return list(error.findings) or pytest.fail("an error without findings")
    return []


def _with(**lines: str) -> str:
    return "".join(f"{key}: {value}\n" for key, value in {**MINIMAL, **lines}.items() if value)


def _one(**lines: str) -> Finding:
    findings = _findings(_with(**lines))
    assert len(findings) == 1, [str(one) for one in findings]
    return findings[0]


def _offer(rest: str, **lines: str) -> dict[str, str]:
    """Lines of a definition whose second arm shows an offer; margin is the primary metric."""
    return {
        "arms": f"[{{name: a}}, {{name: b, offer: {{placement: cart, {rest}}}}}]",
        "metrics": "[margin_per_visitor]",
        "plan": "{primary: margin_per_visitor}",
        **lines,
    }


MANY_FAULTS = """\
experiment: exit:downsell
owner: 5
curency: EUR
traffic: 20
arms:
  - name: control
    weight: 5000
  - name: lighter
    weight: 4000
    offer: {kind: downsel, placement: exit_popup, trigger: exit_intent, discount: {percentage: 0.1, fixd: 3}}
  - name: free
    weight: 4000
    offer: {kind: downsell, placement: exit_popup, trigger: page_view, free_shipping: yes}
metrics:
  - conversion: {window: 7}
  - revenue
  - {name: contacts, kind: counts, event: contact}
  - {name: back, kind: retention}
plan:
  guardrails: conversion
  minimum_detectable_effect: 5
  alpha: 0.5
"""

MANY_FINDINGS = """\
e.yaml:1:13: experiment: must be a name of 1 to 100 letters, digits, '.', '_' and '-' that starts with a letter or \
digit (seen: exit:downsell) Free text belongs into `description`.
e.yaml:2:8: owner: must be text (seen: 5) Put it in quotes.
e.yaml:3:1: curency: unknown key (seen: curency) Did you mean currency?
e.yaml:4:10: traffic: must be above 0 and at most 1 (100%) (seen: 20) 20 is 2000 %; write 20% or 0.2.
e.yaml:6:3: arms: weights in buckets must sum to 10000; they sum to 13000 (seen: 5000, 4000, 4000) 3000 too many; or \
leave all weights out for equal parts.
e.yaml:10:19: arms[1].offer.kind: must be one of downsell, upsell, cross_sell, order_bump, bundle, threshold, \
flash_sale, loyalty, retention (seen: downsel) Did you mean downsell?
e.yaml:10:96: arms[1].offer.discount.percentage: a percentage is written 10 or 10%, not as a share (seen: 0.1) 0.1 \
would be 0.1 %.
e.yaml:10:101: arms[1].offer.discount.fixd: unknown key (seen: fixd) Known here: percentage, \
fixed_amount, fixed_price, buy_x_get_y, gift, instalments, points, trial, voucher, code, description.
e.yaml:13:61: arms[2].offer.trigger: a down-sell needs a trigger of declining or leaving: exit_intent, \
cart_abandoned, checkout_abandoned, offer_declined, subscription_cancelled (seen: page_view)
e.yaml:13:87: arms[2].offer.free_shipping: must be true or false (seen: yes) YAML 1.2 reads yes, no, on and off as text.
e.yaml:15:26: metrics[0].conversion.window: must be a duration: a whole number and its unit, such as 90s, 15m, 36h, \
14d or 6w (seen: 7)
e.yaml:16:5: metrics[1]: must be one of conversion, orders_per_visitor, revenue_per_visitor, margin_per_visitor, \
average_order_value (seen: revenue) Did you mean revenue_per_visitor?
e.yaml:17:28: metrics[2].kind: must be one of conversion, count, revenue, margin, ratio, retention (seen: counts) \
Did you mean count?
e.yaml:18:5: metrics[3]: a metric of kind retention needs `between` (seen: {name: back, kind: retention})
e.yaml:19:1: plan.primary: is required
e.yaml:20:15: plan.guardrails: must be a list, one entry a line after '- ' (seen: conversion)
e.yaml:21:30: plan.minimum_detectable_effect: must be a relative change between 0 and 1, such as 0.05 or 5% \
(seen: 5) 5 is 500 %; write 5% or 0.05.
e.yaml:22:10: plan.alpha: must be above 0 and at most 0.2 (seen: 0.5) 0.05 is usual."""


def test_every_finding_at_once() -> None:
    """All faults of a document, of structure and of sense, are reported together in the order of the lines."""
    assert "\n".join(map(str, _findings(MANY_FAULTS))) == MANY_FINDINGS


@pytest.mark.parametrize(
    ("lines", "path", "message", "hint"),
    [
        ({"experiment": ""}, "experiment", "is required", None),
        ({"experiment": "1.5"}, "experiment", "must be a name", "Put it in quotes if it is meant as text."),
        ({"plan": "5"}, "plan", "must be a mapping of keys to values", None),
        ({"metrics": "[]"}, "metrics", "needs at least 1 entries, seen 0", None),
        ({"metrics": "[5]"}, "metrics[0]", "must be one of conversion", None),
        ({"metrics": "[conversion, {conversion: {window: 1d}}]"}, "metrics[1]", "already measured by metrics[0]", "un"),
        (
            {"metrics": "[conversion, {name: orders_per_visitor, kind: count, event: x}]"},
            "metrics[1].name",
            "built-in",
            "- o",
        ),
        ({"metrics": "[{conversion: , orders_per_visitor: }]"}, "metrics[0]", "one entry names one metric", "dash"),
        ({"metrics": "[{conversion: {cap: 5}}]"}, "metrics[0].conversion.cap", "has no `cap`", None),
        ({"metrics": "[{conversion: {windw: 5d}}]"}, "metrics[0].conversion.windw", "unknown key", "mean window"),
        ({"metrics": "[conversion, {name: x, kind: count}]"}, "metrics[1]", "needs `event`", None),
        ({"metrics": "[conversion, {name: x, kind: ratio, event: y}]"}, "metrics[1]", "needs `numerator`", None),
        (
            {"metrics": "[conversion, {name: x, kind: retention, between: [2d, 1d]}]"},
            "metrics[1]",
            "must end after it begins",
            None,
        ),
        (
            {"metrics": "[conversion, {name: x, kind: count, event: y, between: [1d, 2d]}]"},
            "metrics[1]",
            "has no `between`",
            None,
        ),
        ({"metrics": "[{conversion: {event: covariate}}]"}, "metrics[0]", "cannot be called covariate", None),
        (
            {"metrics": "[{conversion: {filter: [{column: channel, eq: web}]}}]", "columns": "[chanel]"},
            "metrics[0].conversion.filter[0].column",
            "must be one of `columns`: chanel",
            "Did you mean chanel?",
        ),
        ({"control": "c"}, "control", "must be one of the arms: a, b", None),
        ({"arms": "[{name: a}]"}, "arms", "needs at least two arms, seen 1", None),
        ({"arms": ""}, "arms", "is required", None),
        ({"arms": "[{name: a}, {name: a}]"}, "arms[1].name", "already the name of arm 1", "unique"),
        ({"arms": "[{name: a}, {name: b c}]"}, "arms[1].name", "must be a name of 1 to 100 letters", "description"),
        ({"arms": "[{name: a}, {name: no, weight: true}]"}, "arms[1].weight", "must be a share", None),
        ({"offer": "{kind: bundle}"}, "offer", "what the arms of `factors` have in common", "under the arm"),
        ({"plan": "{primary: conversions}"}, "plan.primary", "one of the metrics: conversion", "mean conversion"),
        ({"plan": "{primary: average_order_value}"}, "plan.primary", "one of the metrics", "list it under `metrics`"),
        (
            {"plan": "{primary: conversion, guardrails: [conversion]}", "metrics": "[{conversion: {margin: 1%}}]"},
            "plan.guardrails[0]",
            "cannot be a guardrail too",
            None,
        ),
        (
            {
                "plan": "{primary: conversion, guardrails: [orders_per_visitor]}",
                "metrics": "[conversion, orders_per_visitor]",
            },
            "plan.guardrails[0]",
            "needs the `margin`",
            "margin: 2%",
        ),
        ({"plan": "{primary: conversion, adjusted: true}"}, "plan.adjusted", "no `covariate`", "past_revenue"),
        ({"plan": "{primary: conversion, adjusted: yes}"}, "plan.adjusted", "must be true or false", "YAML 1.2"),
        ({"plan": "{primary: conversion, scale: log}"}, "plan.scale", "there are no `factors`", None),
        ({"plan": "{primary: conversion, family: [x]}"}, "plan.family[0]", "must be a factor", None),
        ({"plan": "{primary: conversion, looks: [50%, 50%]}"}, "plan", "`looks` must rise", "Such as"),
        ({"plan": "{primary: conversion, alpha: 0}"}, "plan.alpha", "above 0 and at most 0.2", "usual"),
        ({"plan": "{primary: conversion, alpha: 5}"}, "plan.alpha", "at most 0.2", "write 5% or 0.05"),
        ({"plan": "{primary: conversion, power: 0.4}"}, "plan.power", "from 0.5 on", "usual"),
        ({"plan": "{primary: conversion, sample_size: 1.5}"}, "plan.sample_size", "must be a whole number", None),
        ({"plan": "{primary: conversion, sample_size: 0}"}, "plan.sample_size", "must be 1 or more", None),
        (
            {"plan": "{primary: conversion, minimum_detectable_effect: 5}"},
            "plan.minimum_detectable_effect",
            "between 0 and 1",
            "5 is 500 %",
        ),
        (
            {"plan": "{primary: conversion, minimum_detectable_effect: -5%}"},
            "plan.minimum_detectable_effect",
            "share",
            None,
        ),
        ({"plan": "{primary: conversion, longest_duration: 0w}"}, "plan.longest_duration", "longer than 0", None),
        ({"plan": "{primary: conversion, longest_duration: 999w}"}, "plan.longest_duration", "ten years", None),
        ({"starts_at": "2026-03-01T09:00:00"}, "starts_at", "a time with its offset", "another machine"),
        ({"starts_at": "2026-03-01"}, "starts_at", "a time with its offset", "another machine"),
        ({"starts_at": "0001-01-01T00:00:00+14:00"}, "starts_at", "a time with its offset", None),
        ({"starts_at": "tomorrow"}, "starts_at", "a time with its offset", None),
        (
            {"starts_at": "2026-03-01T09:00:00Z", "ends_at": "2026-03-01T10:00:00+01:00"},
            "ends_at",
            "must be after starts_at",
            None,
        ),
        ({"utc_offset": "1"}, "utc_offset", "offset from UTC", None),
        ({"utc_offset": '"+15:00"'}, "utc_offset", "offset from UTC", None),
        ({"currency": "euro"}, "currency", "three capitals", None),
        ({"traffic": "0"}, "traffic", "above 0", None),
        ({"traffic": "0.00001"}, "traffic", "whole number of the 10000 buckets", None),
        ({"traffic": "1/3"}, "traffic", "whole number of the 10000 buckets", None),
        ({"segments": "[a, a]"}, "segments[1]", "already the name", "unique"),
        ({"segments": "[a:b]"}, "segments[0]", "without ':'", None),
        ({"salt": "a:b"}, "salt", "must be a name", "description"),
        ({"layer": "{name: l, range: [5000, 5000]}"}, "layer", "must end after it begins", None),
        ({"layer": "{name: l, range: [0, 10001]}"}, "layer.range[1]", "must be 10000 or less", None),
        ({"eligibility": "[{attribute: x}]"}, "eligibility[0]", "at least one comparison", None),
        ({"eligibility": "[{attribute: x, gte: true}]"}, "eligibility[0].gte", "a number or a text", None),
        ({"eligibility": "[{attribute: x, in: []}]"}, "eligibility[0].in", "at least one", None),
        ({"eligibility": "[{attribute: x, in: SE}]"}, "eligibility[0].in", "must be a list", None),
        ({"eligibility": "[{attribute: x, equals: SE}]"}, "eligibility[0].equals", "unknown key", "eq"),
        ({"eligibility": "[{atribute: x, eq: SE}]"}, "eligibility[0].attribute", "is required", None),
        ({"description": "[a]"}, "description", "must be text", "Put it in quotes."),
        ({"description": '"a\\u0007"'}, "description", "printable", None),
        ({"traffic": ".nan"}, "traffic", "must be a finite number", None),
        ({"traffic": "1" * 31}, "traffic", "at most 30 digits", None),
        ({"traffic": "!percent 5"}, "traffic", "unknown YAML tag !percent", "Leave tags out."),
        ({"? [a]": "5"}, "?", "a key must be a word", None),
    ],
)
def test_faults(lines: dict[str, str], path: str, message: str, hint: str | None) -> None:
    """Each fault is found at its place, with what is allowed."""
    findings = _findings(_with(**lines))
    found = [one for one in findings if one.path == path]
    assert found, [str(one) for one in findings]
    assert message in found[0].message
    assert hint is None or hint.lower() in (found[0].hint or "").lower()
    assert found[0].line is not None
    assert len(findings) == 1 or "atribute" in str(lines), [str(one) for one in findings]


@pytest.mark.parametrize(
    ("lines", "path", "message"),
    [
        (_offer("kind: downsell, trigger: login"), "arms[1].offer.trigger", "a trigger of declining or leaving"),
        (_offer("kind: downsell, trigger: exit_intend"), "arms[1].offer.trigger", "a trigger of declining or leaving"),
        (
            _offer("kind: downsell, trigger: exit_intent, price: {relative: 110%}"),
            "arms[1].offer.price.relative",
            "must not cost more",
        ),
        (
            _offer("kind: upsell, trigger: login, price: {relative: 1.26}"),
            "arms[1].offer.price.relative",
            "at most 25% dearer",
        ),
        (
            _offer("kind: upsell, trigger: login, price: {relative: 1.5}, guards: {max_price_increase: 40%}"),
            "arms[1].offer.price.relative",
            "at most 40% dearer",
        ),
        (_offer("kind: upsell, trigger: login, price: 5, discount: {}"), "arms[1].offer.discount", "exactly one type"),
        (
            _offer("kind: upsell, trigger: login, discount: {percentage: 5, points: 5}"),
            "arms[1].offer.discount",
            "exactly one type",
        ),
        (_offer("kind: upsell, trigger: login, price: {amount: 5, relative: 1}"), "arms[1].offer.price", "either"),
        (_offer("kind: upsell, trigger: login, price: -5"), "arms[1].offer.price", "from 0 on"),
        (_offer("kind: upsell, trigger: login, price: 5.00001"), "arms[1].offer.price", "four decimal places"),
        (_offer('kind: upsell, trigger: login, price: "5"'), "arms[1].offer.price", "major units"),
        (
            _offer("kind: upsell, trigger: login, price: {amount: 5, currency: USD}"),
            "arms[1].offer.price.currency",
            "must be the experiment's currency, EUR",
        ),
        (_offer("kind: upsell, trigger: login, on_accept: x"), "arms[1].offer.on_accept", "name of an offer: b"),
        (
            _offer("kind: upsell, trigger: login, alternatives: [x]"),
            "arms[1].offer.alternatives[0]",
            "name of an offer",
        ),
        (_offer("kind: upsell, trigger: login, on_accept: b"), "arms[1].offer.on_accept", "in a circle: b -> b"),
        ({"arms": "[{name: a}, {name: b, offer: tenn}]"}, "arms[1].offer", "one of `offers`: there are none"),
        (
            {"offers": "{unused: {kind: bundle, placement: cart, trigger: login}}"},
            "offers.unused",
            "no arm leads to this offer",
        ),
        (_offer("kind: upsell, trigger: login", enrol_on="a:b"), "enrol_on", "without ':'"),
        (_offer("kind: upsell, trigger: login, delay: 5"), "arms[1].offer.delay", "must be a duration"),
    ],
)
def test_offer_faults(lines: dict[str, str], path: str, message: str) -> None:
    """What an offer must not be is refused at its place."""
    finding = _one(**lines)
    assert finding.path == path
    assert message in finding.message


def test_two_offers_of_one_name() -> None:
    """Two offers of one name are refused at the second; two arms may show the same of `offers`."""
    offer = "{kind: upsell, placement: cart, trigger: login, name: same}"
    finding = _one(arms=f"[{{name: a, offer: {offer}}}, {{name: b, offer: {offer}}}]")
    assert finding.path == "arms[1].offer"
    assert "already called same" in finding.message
    offers = "{one: {kind: upsell, placement: cart, trigger: login}}"
    assert parse_definition(_with(arms="[{name: a, offer: one}, {name: b, offer: one}]", offers=offers))


def test_circle_over_several_offers() -> None:
    """A circle through offers that follow each other is found once and spelt out."""
    finding = _one(
        **_offer(
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
    text = _with(
        **_offer(
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
    lines = _offer(
        f"kind: bundle, trigger: login, price: {first}, on_decline: less",
        offers=f"{{less: {{kind: downsell, placement: cart, trigger: offer_declined, price: {second}}}}}",
    )
    if fits:
        assert parse_definition(_with(**lines))
    else:
        finding = _one(**lines)
        assert finding.path == "arms[1].offer.on_decline"
        assert finding.seen == "0.9 against 0.8 times the price"


def test_discount_counts_in_relative_prices() -> None:
    """A percentage off is part of the relative price."""
    lines = _offer("kind: downsell, trigger: exit_intent, price: {relative: 110%}, discount: {percentage: 10}")
    assert parse_definition(_with(**lines))


COSTLY = ["discount: {percentage: 5}", "free_shipping: true", "free_shipping: {from: 50}", "price: {relative: 0.9}"]


@pytest.mark.parametrize("cost", COSTLY)
def test_costs_need_a_margin_metric(cost: str) -> None:
    """Where an offer costs money, margin is the primary metric or a guardrail, else it is refused."""
    arms = f"[{{name: a}}, {{name: b, offer: {{kind: bundle, placement: cart, trigger: login, {cost}}}}}]"
    finding = _one(arms=arms, metrics="[conversion, margin_per_visitor]")
    assert finding.path == "plan"
    assert "the offer b costs money, so a margin metric must be primary or a guardrail" in finding.message
    assert parse_definition(_with(arms=arms, metrics="[margin_per_visitor]", plan="{primary: margin_per_visitor}"))
    assert parse_definition(
        _with(
            arms=arms,
            metrics="[conversion, {name: profit, kind: margin, event: order, margin: 2%}]",
            plan="{primary: conversion, guardrails: [profit]}",
        )
    )


def test_free_offers_need_no_margin_metric() -> None:
    """An offer that gives nothing away needs no margin metric."""
    arms = "[{name: a}, {name: b, offer: {kind: upsell, placement: cart, trigger: login, price: {relative: 1.2}}}]"
    assert parse_definition(_with(arms=arms))


def _timing(second: str, window: str, first: str = "trigger: purchase", enrol: str = "purchase") -> dict[str, str]:
    offer = "{{kind: upsell, placement: post_purchase, {}}}"
    return {
        "arms": f"[{{name: z}}, {{name: a, offer: {offer.format(first)}}}, {{name: b, offer: {offer.format(second)}}}]",
        "metrics": f"[conversion: {{window: {window}}}]",
        "enrol_on": enrol,
    }


@pytest.mark.parametrize("second", ["trigger: purchase, delay: 2d", "trigger: milestone"])
def test_timing_needs_enrolment(second: str) -> None:
    """Arms that differ in trigger or delay need `enrol_on`."""
    assert _one(**_timing(second, "30d", enrol="")).path == "enrol_on"
    assert parse_definition(_with(**_timing(second, "30d")))


def test_timing_as_a_factor_needs_enrolment() -> None:
    """A factor of delays or triggers needs `enrol_on` as well."""
    lines = {
        "arms": "",
        "offer": "{kind: upsell, placement: post_purchase, trigger: purchase}",
        "factors": "{timing: {now: {delay: 0}, later: {delay: 2d}}}",
    }
    assert _one(**lines).path == "enrol_on"
    definition = parse_definition(_with(**lines, enrol_on="purchase"))
    assert [arm.offer and arm.offer.delay for arm in definition.arms] == [0, 172_800_000_000]


@pytest.mark.parametrize(
    ("second", "window", "fits"),
    [
        ("trigger: purchase, delay: 2d", "2d", False),
        ("trigger: purchase, delay: 2d", "49h", True),
        ("trigger: purchase, delay: 2d, timer: 36h", "3d", False),
        ("trigger: purchase, delay: 2d, timer: 36h", "84h", True),
        ("trigger: milestone", "1h", True),
    ],
)
def test_windows_cover_the_longest_delay(second: str, window: str, fits: bool) -> None:
    """A window from the enrolment on covers the longest delay and the time to respond, else it is refused."""
    lines = _timing(second, window)
    if fits:
        assert parse_definition(_with(**lines))
    else:
        finding = _one(**lines)
        assert (finding.path, finding.seen) == ("metrics[0]", window)
        assert "must cover the longest delay of 2d" in finding.message


@pytest.mark.parametrize(
    ("factors", "path", "message"),
    [
        ("{}", "factors", "at least one factor"),
        ("{f: {one: }}", "factors.f", "at least two levels"),
        (
            "{f: {a: {product: x}, b: {product: y}}, g: {c: {product: z}, d: }}",
            "factors.g",
            "already set by",
        ),
        ("{f: {a: , b: {knd: bundle}}}", "factors.f.b.knd", "unknown key"),
        ("{f: {a: , b c: }}", "factors.f.b c", "must be a name"),
    ],
)
def test_factor_faults(factors: str, path: str, message: str) -> None:
    """Factors must have levels that can be told apart."""
    offer = "{kind: bundle, placement: cart, trigger: login}"
    finding = _one(arms="", offer=offer, factors=factors)
    assert finding.path == path
    assert message in finding.message


def test_factors_without_an_offer() -> None:
    """What the arms' offers need and no level gives is named."""
    finding = _one(arms="", factors="{f: {a: , b: {product: x, kind: bundle}}}")
    assert finding.path == "factors"
    assert "without `placement`, `trigger`" in finding.message


def test_factors_that_explode() -> None:
    """More than a hundred arms are refused before they are made."""
    levels = "{" + ", ".join(f"l{level}: " for level in range(10)) + "}"
    factors = "{" + ", ".join(f"f{factor}: {levels}" for factor in range(8)) + "}"
    assert "expands to 100000000 arms" in _one(arms="", factors=factors).message


def test_arms_and_factors() -> None:
    """Arms and factors exclude each other."""
    assert "not both" in _one(factors="{f: {a: , b: }}").message


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "the file is empty"),
        ("# only a comment\n", 1, "the file is empty"),
        ("- a\n", 1, "a definition is a mapping"),
        ("experiment\n", 1, "a definition is a mapping"),
        ("experiment: [a\nb: c\n", 2, "not valid YAML"),
        ("a: b: c\n", 1, "mapping values are not allowed"),
        ("a:\n\t- b\n", 2, "cannot start any token"),
        ("a: 1\n---\nb: 2\n", 2, "another document"),
        ("a: *b\n", 1, "undefined alias"),
        ("x: 1\ny: a\x00b\n", 2, "not allowed in YAML"),
        ('a: "\\q"\n', 1, "unknown escape"),
    ],
)
def test_unreadable_texts(text: str, line: int, message: str) -> None:
    """What is not a YAML mapping is one finding with its line."""
    findings = _findings(text)
    assert len(findings) == 1
    assert findings[0].line == line
    assert message in findings[0].message


def test_duplicate_keys() -> None:
    """A key given twice is a finding at the second, naming the line of the first; the rest is still checked."""
    findings = _findings(_with(control="c") + "experiment: f\n")
    assert [(one.path, one.line) for one in findings] == [("control", 5), ("experiment", 6)]
    assert "already given in line 1" in findings[1].message


def test_hostile_nesting() -> None:
    """Deep nesting, aliases of aliases and an alias of itself end in findings, quickly."""
    laughs = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    for text in ("a: " + "[" * 50 + "]" * 50, "a: " + "[" * 2_000, "a: &x [*x]\n", laughs):
        assert any("deep" in one.message or "not valid YAML" in one.message for one in _findings(text))


def test_files(tmp_path: Path) -> None:
    """A missing file, a folder, bytes that are not UTF-8 and a huge file are findings; a BOM does no harm."""
    good = tmp_path / "good.yaml"
    good.write_bytes(b"\xef\xbb\xbf" + _with().encode())
    assert load_definition(good).experiment == "e"
    assert validate(good) == []
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"experiment: e\nowner: J\xf6rg\n")
    (finding,) = validate(latin)
    assert (finding.line, finding.message) == (2, "is not UTF-8 (byte 0xf6 at position 22)")
    assert validate(tmp_path / "none.yaml")[0].message == "there is no such file"
    assert validate("a\0b")[0].message.startswith("cannot be read")
    huge = tmp_path / "huge.yaml"
    huge.write_bytes(b"#" * 1_000_001)
    assert "larger than" in validate(huge)[0].message
    with pytest.raises(DefinitionError) as caught:
        load_definition(tmp_path)
    assert caught.value.findings[0].message == "is a folder, not a file"


def test_folders(tmp_path: Path) -> None:
    """A folder is read file by file in order; a key used in two files is a finding, and so is an empty folder."""
    assert "no definitions here" in validate(tmp_path)[0].message
    (tmp_path / "b.yml").write_text(_with())
    (tmp_path / "a.yaml").write_text(_with())
    (tmp_path / "c.yaml").write_text(_with(control="x", experiment="c"))
    (tmp_path / "notes.txt").write_text("no definition")
    findings = validate(tmp_path)
    assert [(Path(one.file).name, one.path) for one in findings] == [("b.yml", "experiment"), ("c.yaml", "control")]
    assert findings[0].message == "this key is already used in a.yaml"


def test_message_of_the_error() -> None:
    """The error itself names the file, counts the findings and lists them."""
    with pytest.raises(DefinitionError) as caught:
        parse_definition(_with(control="x", currency="euro"), "e.yaml")
    assert caught.value.message == "e.yaml is not a valid definition: 2 findings"
    assert "e.yaml:5:10: control: must be one of the arms: a, b (seen: x)" in str(caught.value)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.data())
def test_mutations_never_raise(data: st.DataObject, everything: str) -> None:
    """Whatever is cut out of, or put into, a definition: it is read, or the error has findings with their file."""
    text = everything
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.sampled_from([0, 1, 3, 20])))
        pieces = ["", ":", "- ", "{", "]", "null", "true", "5", "1e9", '"', "\n", "&a ", "*a", "x", "%", "\ud800", "!!"]
        piece: Any = data.draw(st.sampled_from(pieces) | st.text(max_size=4))
        text = text[:start] + piece + text[end:]
    findings = _tried(text)
    assert all(one.file == "e.yaml" and str(one) for one in findings)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda x: (
            st.lists(x, max_size=2)
            | st.dictionaries(
                st.sampled_from(["name", "kind", "offer", "percentage", "conversion", "weight", "window"]),
                x,
                max_size=3,
            )
        ),
        max_leaves=8,
    ),
    st.sampled_from(["arms", "metrics", "plan", "factors", "offers", "offer", "eligibility", "layer"]),
)
def test_any_structure_never_raises(value: object, key: str) -> None:
    """Whatever structure stands under a key, the answer is a definition or findings."""
    assert all(map(str, _tried(_with(**{key: json.dumps(value)}))))


HOLDOUT = {"holdout": "true", "arms": "[{name: held_out, weight: 5%}, {name: offered, weight: 95%}]"}


def test_a_holdout_is_a_definition() -> None:
    """A holdout has its two arms in either order, and who is held out is the control."""
    assert parse_definition(_with(**HOLDOUT)).control == "held_out"
    reversed_arms = "[{name: offered, weight: 95%}, {name: held_out, weight: 5%}]"
    definition = parse_definition(_with(**{**HOLDOUT, "arms": reversed_arms}))
    assert (definition.holdout, definition.control) == (True, "held_out")


@pytest.mark.parametrize(
    ("lines", "path", "words"),
    [
        ({"arms": "[{name: a}, {name: offered}]"}, "arms", "a holdout has the arms held_out and offered"),
        ({"control": "offered"}, "control", "the control of a holdout is held_out"),
        ({"traffic": "10%"}, "traffic", "a holdout has no `traffic`"),
        ({"layer": "shop"}, "layer", "a holdout has no `layer`"),
        ({"holdouts": "[other]"}, "holdouts", "a holdout has no `holdouts`"),
        ({"eligibility": "[{attribute: x, exists: true}]"}, "eligibility", "a holdout has no `eligibility`"),
        (
            {"arms": "[{name: held_out}, {name: offered, offer: {kind: bundle, placement: cart, trigger: cart_view}}]"},
            "arms[1].offer",
            "a holdout shows no offer",
        ),
    ],
)
def test_holdout_findings(lines: dict[str, str], path: str, words: str) -> None:
    """A holdout that is more than a split in two is refused."""
    finding = _one(**{**HOLDOUT, **lines})
    assert finding.path == path
    assert words in finding.message
