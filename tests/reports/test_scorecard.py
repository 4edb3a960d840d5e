"""The scorecard's JSON: its stable paths, what is null, and what always holds whatever the data."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from offerlift.reports import scorecard

PATHS = {
    "": {"experiment", "health", "arms", "metrics", "decision"},
    "health": {"check", "status", "reason", "p_value"},
    "arms": {"arm", "visitors", "mature", "expected_share", "verdict"},
    "metrics": {"metric", "kind", "role", "arms", "comparisons"},
    "metrics.arms": {"arm", "n", "value", "probability_best"},
    "comparisons": {
        *("arm", "reference", "status", "reason", "withheld", "difference", "lift", "adjusted", "anytime"),
        *("sequential", "bayes"),
    },
    "difference": {"estimate", "low", "high", "p_value", "method"},
    "lift": {"kind", "estimate", "low", "high"},
    "anytime": {"low", "high", "p_value"},
    "bayes": {"probability_better", "expected_loss", "low", "high"},
    "decision": {"action", "arm", "reason"},
}
ACTIONS = {"do_not_read", "collecting", "ship", "stop_harm", "stop_no_effect", "review"}


def check_paths(card: dict) -> None:
    """All documented paths are there, whatever could be computed."""
    assert PATHS[""] <= card.keys()
    for name in ("health", "arms", "metrics"):
        for row in card[name]:
            assert PATHS[name] <= row.keys()
    assert PATHS["decision"] <= card["decision"].keys()
    for metric in card["metrics"]:
        for row in metric["arms"]:
            assert PATHS["metrics.arms"] <= row.keys()
        for comparison in metric["comparisons"]:
            assert PATHS["comparisons"] <= comparison.keys()
            for name in ("difference", "lift", "anytime", "bayes"):
                assert PATHS[name] <= comparison[name].keys(), name
            if comparison["adjusted"] is not None:
                assert PATHS["difference"] <= comparison["adjusted"]["difference"].keys()
                assert PATHS["lift"] <= comparison["adjusted"]["lift"].keys()


def test_the_documented_paths(observed, sample):
    """A full experiment and one without visitors have the same paths."""
    full = scorecard(observed({"control": sample(9_000, 500), "b": sample(9_050, 560)}, covariate=True)).to_dict()
    empty = scorecard(observed({"control": sample(0, 0), "b": sample(0, 0)}, covariate=True)).to_dict()
    for card in (full, empty):
        check_paths(card)
        json.dumps(card, allow_nan=False)
    assert [c["status"] for m in full["metrics"] for c in m["comparisons"][:1]][:4] == ["ok"] * 4
    assert {c["status"] for m in empty["metrics"] for c in m["comparisons"]} <= {"insufficient", "undefined"}
    assert all(c["reason"] for m in empty["metrics"] for c in m["comparisons"])


def test_what_cannot_be_computed_is_null(observed, sample):
    """Without data every number under a comparison is null, with a status, a reason and an undefined lift."""
    card = scorecard(observed({"control": sample(0, 0), "b": sample(0, 0)})).to_dict()
    for metric in card["metrics"]:
        (comparison,) = metric["comparisons"]
        assert set(comparison["difference"].values()) == {None}
        assert set(comparison["bayes"].values()) == {None}
        assert comparison["lift"]["kind"] == "undefined"
        assert [comparison["anytime"][name] for name in ("low", "high", "p_value")] == [None] * 3
        assert (comparison["withheld"], comparison["sequential"], comparison["adjusted"]) == (False, None, None)
        assert {arm["value"] for arm in metric["arms"]} == {None}
        assert {arm["probability_best"] for arm in metric["arms"]} == {None}


def test_a_posterior_that_does_not_exist_has_a_reason(observed, sample):
    """Revenue of a control without orders has a difference but no posterior, and the JSON says why."""
    card = scorecard(observed({"control": sample(500, 0), "b": sample(500, 30)})).to_dict()
    for metric in card["metrics"]:
        (comparison,) = metric["comparisons"]
        assert (comparison["bayes"]["probability_better"] is None) == bool(comparison["bayes_reason"])
    revenue = next(metric for metric in card["metrics"] if metric["kind"] == "revenue")["comparisons"][0]
    said = "revenue per visitor does not vary in one of the arms, which leaves it no posterior"
    assert (revenue["status"], revenue["bayes_reason"]) == ("ok", said)


def test_json_has_no_number_that_json_lacks(observed, sample):
    """Should an estimator ever return infinity or NaN, the JSON has null in its place."""
    card = scorecard(observed({"control": sample(500, 30), "b": sample(500, 30)}))
    check = replace(card.health[0], p_value=math.nan)
    broken = replace(card, health=(check, replace(check, p_value=-math.inf)))
    assert [row["p_value"] for row in broken.to_dict()["health"]] == [None, None]


def test_order_values_without_orders_are_undefined(observed, sample):
    """An arm without an order has no average order value: status undefined, with the reason, and null."""
    card = scorecard(observed({"control": sample(500, 0), "b": sample(500, 30)})).to_dict()
    ratio = next(metric for metric in card["metrics"] if metric["kind"] == "ratio")
    assert ratio["condition"] == "conditional on buying"
    assert (ratio["comparisons"][0]["status"], bool(ratio["comparisons"][0]["reason"])) == ("undefined", True)
    assert ratio["arms"][0]["value"] is None


def test_values_are_in_major_units_and_not_rounded(observed, sample):
    """Revenue of 1,000 orders at 59.99 over 30,000 visitors is 59.99/30 exactly."""
    card = scorecard(observed({"control": sample(30_000, 1_000, value=59.99), "b": sample(30_000, 1_000)})).to_dict()
    revenue = next(metric for metric in card["metrics"] if metric["metric"] == "revenue_per_visitor")
    assert math.isclose(revenue["arms"][0]["value"], 59.99 / 30, rel_tol=1e-15)
    assert revenue["unit"] == "EUR"
    assert (revenue["role"], card["metrics"][0]["metric"]) == ("primary", "revenue_per_visitor")


def test_estimators_by_kind(observed, sample):
    """Conversion is Miettinen-Nurminen, money is Welch, order value the delta method, adjustment CUPED."""
    card = scorecard(observed({"control": sample(9_000, 500), "b": sample(9_050, 560)}, covariate=True))
    methods = {metric.kind: metric.comparisons[0].difference.method for metric in card.metrics}
    assert methods == {
        "conversion": "miettinen-nurminen",
        "revenue": "welch",
        "margin": "welch",
        "ratio": "delta-welch",
    }
    adjusted = {metric.metric: metric.comparisons[0].adjusted for metric in card.metrics}
    assert {name for name, row in adjusted.items() if row is not None} == {"conversion", "revenue_per_visitor"}
    assert adjusted["conversion"].difference.method == "cuped"


def test_posteriors_count_the_desired_direction(observed, sample):
    """Fewer unsubscribes are better: the same data, read as more-is-better, would say the opposite."""
    card = scorecard(
        observed({"control": sample(5_000, 250, unsubscribed=300), "b": sample(5_000, 250, unsubscribed=200)})
    )
    row = card.metric("unsubscribe_rate")
    assert row.comparison("b").bayes.probability_better > 0.99
    assert row.arm("b").probability_best > 0.99
    assert row.comparison("b").difference.estimate < 0


def test_the_band_on_the_lift_scale_agrees_with_the_difference(observed, sample):
    """The always-valid lift leaves out zero exactly when the always-valid difference does, at any size of gain."""
    for orders in range(1_000, 1_400, 20):
        card = scorecard(observed({"control": sample(20_000, 1_000), "b": sample(20_000, orders)}))
        for metric in card.metrics:
            anytime = metric.comparison("b").anytime
            if anytime.low is not None and anytime.lift.kind == "bounded":
                assert (anytime.low > 0) == (anytime.lift.low > 0), (metric.metric, orders)


def test_retention_is_a_proportion(observed, sample, changed):
    """A retention metric is compared as the proportion that it is."""
    seen = observed({"control": sample(9_000, 500), "b": sample(9_050, 560)})
    metrics = tuple(replace(m, kind="retention") if m.name == "conversion" else m for m in seen.definition.metrics)
    row = scorecard(changed(seen, metrics=metrics)).metric("conversion")
    assert row.comparisons[0].difference.method == "miettinen-nurminen"
    assert row.unit == "share"


@st.composite
def arm(draw, sample):
    """An arm of any size, from nobody to a million, with any share of buyers."""
    n = draw(st.one_of(st.integers(0, 5), st.integers(0, 400), st.integers(5_000, 1_000_000)))
    orders = draw(st.integers(0, n))
    waiting = draw(st.integers(0, 50))
    return sample(
        n,
        orders,
        value=draw(st.integers(1, 50_000)) / 100,
        spread=draw(st.integers(0, 200_000)) / 100,
        margin=draw(st.integers(-100, 100)) / 100,
        unsubscribed=draw(st.integers(0, n)),
        past=draw(st.integers(-5, 5)) / 10,
        waiting=waiting,
        crossovers=draw(st.integers(0, n + waiting)),
    )


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_holds_for_any_data(observed, sample, data):
    """Shape, finiteness and agreement hold for any observations.

    The action is do_not_read exactly when a check fails; p < .05 exactly when the fixed interval leaves out zero; the
    always-valid interval and p-value agree; the control has no verdict and every treatment has one.
    """
    names = ["control", "b", "c"][: data.draw(st.integers(2, 3))]
    arms = {name: data.draw(arm(sample), label=name) for name in names}
    seen = observed(
        arms,
        source=data.draw(st.sampled_from(["assigner", "table"])),
        covariate=data.draw(st.booleans()),
        adjusted=data.draw(st.booleans()),
        guardrails=data.draw(st.sampled_from([(), ("margin_per_visitor",), ("unsubscribe_rate", "conversion")])),
        primary=data.draw(st.sampled_from(["revenue_per_visitor", "average_order_value"])),
        minimum_detectable_effect=data.draw(st.sampled_from([None, 0.05])),
    )
    card = json.loads(json.dumps(scorecard(seen).to_dict(), allow_nan=False))
    check_paths(card)
    failed = any(check["status"] == "fail" for check in card["health"])
    assert (card["decision"]["action"] == "do_not_read") == failed
    verdicts = {row["arm"]: row["verdict"] for row in card["arms"]}
    assert verdicts.pop("control") is None
    assert set(verdicts.values()) <= ACTIONS
    assert card["decision"]["action"] in ACTIONS
    assert (card["decision"]["arm"] is not None) == (card["decision"]["action"] in ("ship", "review", "stop_harm"))
    for metric in card["metrics"]:
        for comparison in metric["comparisons"]:
            for row in filter(None, [comparison, comparison["adjusted"]]):
                difference = row["difference"]
                if difference["estimate"] is not None:
                    left_out = difference["low"] > 0 or difference["high"] < 0
                    near = min(abs(difference["low"]), abs(difference["high"])) < 1e-9 * abs(difference["estimate"])
                    assert (difference["p_value"] < 0.05) == left_out or near
            anytime = comparison["anytime"]
            if anytime["low"] is not None:
                left_out = anytime["low"] > 0 or anytime["high"] < 0
                assert (anytime["p_value"] < 0.05) == left_out or anytime["p_value"] == pytest.approx(0.05, rel=1e-6)


def test_the_adjusted_band_has_the_adjusted_boundary(observed, sample):
    """On the lift scale too the always-valid adjusted interval is boundary/1.96 times as wide as the fixed one."""
    arms = {"control": sample(20_000, 1_000, past=0.7), "b": sample(20_000, 1_150, past=0.7)}
    comparison = scorecard(observed(arms, covariate=True, adjusted=True)).metric("revenue_per_visitor").comparison("b")
    band, fixed = comparison.anytime.lift, comparison.adjusted.lift
    wider = (band.high - band.low) / (fixed.high - fixed.low)
    assert wider == pytest.approx(comparison.anytime.boundary / 1.96, rel=0.01)


def test_a_difference_of_shares_stays_between_minus_one_and_one(observed, sample):
    """Three visitors an arm: the interval of a conversion is cut at ±100 pp, boundary and p are not; money is not."""
    card = scorecard(observed({"control": sample(3, 1), "b": sample(3, 2)}))
    anytime = card.metric("conversion").comparison("b").anytime
    assert (anytime.low, anytime.high) == (-1.0, 1.0)
    assert anytime.boundary > 10
    assert card.metric("revenue_per_visitor").comparison("b").anytime.low < -1
