"""What is wrong with a definition, found at its place with what is allowed."""

from __future__ import annotations

import pytest
from offerlift.errors import DefinitionError
from offerlift.experiments import parse_definition

from .faulty import findings_in, one_finding, with_lines

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
fixed_amount, fixed_price, buy_x_get_y, gift, instalments, points, trial, voucher, cost, code, description.
e.yaml:13:61: arms[2].offer.trigger: a down-sell needs a trigger of declining or leaving: exit_intent, \
cart_abandoned, checkout_abandoned, offer_declined, subscription_cancelled (seen: page_view)
e.yaml:13:87: arms[2].offer.free_shipping: must be true or false (seen: yes) YAML 1.2 reads yes, no, on and off as text.
e.yaml:15:26: metrics[0].conversion.window: must be a duration: a whole number and its unit, such as 90s, 15m, 36h, \
14d or 6w (seen: 7)
e.yaml:16:5: metrics[1]: must be one of conversion, orders_per_visitor, revenue_per_visitor, margin_per_visitor, \
average_order_value, never_return, unsubscribe_rate, refund_rate, full_price_share, satisfaction \
(seen: revenue) Did you mean revenue_per_visitor?
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
    assert "\n".join(map(str, findings_in(MANY_FAULTS))) == MANY_FINDINGS


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
        ({"plan": "{primary: conversion, family: [x]}"}, "plan.family[0]", "names 'x', which is no factor", None),
        ({"plan": "{primary: conversion, looks: [50%, 50%]}"}, "plan", "`looks` must rise", "Such as"),
        ({"plan": "{primary: conversion, looks: 0, sample_size: 9}"}, "plan.looks", "must be 1 or more", None),
        ({"plan": "{primary: conversion, looks: 101, sample_size: 9}"}, "plan.looks", "100", None),
        ({"plan": "{primary: conversion, looks: [0%], sample_size: 9}"}, "plan.looks[0]", "above 0", None),
        ({"plan": "{primary: conversion, looks: 4}"}, "plan.looks", "does not have", "Give `sample_size`"),
        (
            {"plan": "{primary: conversion, looks: 4, longest_duration: 6w}"},
            "plan.looks",
            "does not have",
            "per_week",
        ),
        (
            {
                "metrics": "[{conversion: {window: 6w}}]",
                "plan": "{primary: conversion, looks: 4, longest_duration: 6w, audience: {per_week: 9}}",
            },
            "plan.longest_duration",
            "ends before the window of conversion",
            "Plan longer",
        ),
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
        ({"shown_event": "purchase"}, "shown_event", "is the event of", "event of its own"),
        ({"exploratory_segments": "[a, a]"}, "exploratory_segments[1]", "already the name", "unique"),
        (
            {"segments": "[a]", "exploratory_segments": "[b, a]"},
            "exploratory_segments[1]",
            "planned or exploratory",
            "one of the two",
        ),
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
    findings = findings_in(with_lines(**lines))
    found = [one for one in findings if one.path == path]
    assert found, [str(one) for one in findings]
    assert message in found[0].message
    assert hint is None or hint.lower() in (found[0].hint or "").lower()
    assert found[0].line is not None
    assert len(findings) == 1 or "atribute" in str(lines), [str(one) for one in findings]


def test_message_of_the_error() -> None:
    """The error itself names the file, counts the findings and lists them."""
    with pytest.raises(DefinitionError) as caught:
        parse_definition(with_lines(control="x", currency="euro"), "e.yaml")
    assert caught.value.message == "e.yaml is not a valid definition: 2 findings"
    assert "e.yaml:5:10: control: must be one of the arms: a, b (seen: x)" in str(caught.value)


HOLDOUT = {"holdout": "true", "arms": "[{name: held_out, weight: 5%}, {name: offered, weight: 95%}]"}


def test_a_holdout_is_a_definition() -> None:
    """A holdout has its two arms in either order, and who is held out is the control."""
    assert parse_definition(with_lines(**HOLDOUT)).control == "held_out"
    reversed_arms = "[{name: offered, weight: 95%}, {name: held_out, weight: 5%}]"
    definition = parse_definition(with_lines(**{**HOLDOUT, "arms": reversed_arms}))
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
    finding = one_finding(**{**HOLDOUT, **lines})
    assert finding.path == path
    assert words in finding.message
