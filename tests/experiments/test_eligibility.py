from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offerlift.experiments import Rule
from offerlift.experiments.eligibility import Eligibility

NAN = float("nan")


@pytest.mark.parametrize(
    ("op", "value", "holds", "fails"),
    [
        ("eq", "DE", ["DE"], ["de", "", None]),
        ("eq", 3, [3, 3.0, Decimal(3), Fraction(3)], [4, "3", True, None, NAN, Decimal("sNaN")]),
        ("eq", 39.9, [39.9, Decimal("39.90")], [39.91, Decimal("39.91")]),
        ("eq", True, [True], [False, 1, "true", None]),
        ("ne", "DE", ["AT", ""], ["DE", None, 5]),
        ("lt", 40, [39, 39.99, Decimal("39.99")], [40, 41, "39", None, True, NAN]),
        ("lte", 40, [40, Decimal("40.00")], [40.01]),
        ("gt", 0.1, [0.2, Decimal("0.11")], [0.1, Decimal("0.10")]),
        ("gte", 0.1, [0.1, Decimal("0.10"), Fraction(1, 2)], [0.09, Decimal("0.09"), "1", None]),
        ("gte", "2026-01-01", ["2026-01-01", "2026-02-01"], ["2025-12-31", 2026]),
        ("in", ("SE", "NO"), ["SE", "NO"], ["DE", False, None]),
        ("in", (1, True), [1, 1.0, True], [False, 2, "1"]),
        ("not_in", ("SE", "NO"), ["DE"], ["SE", None, 5]),
        ("not_in", (1, 2), [3], [1, 2.0, "3"]),
        ("contains", "vip", ["vip", "a vip b", ["vip"], {"vip"}, ("x", "vip")], ["v", [], ["VIP"], None, 5, b"vip"]),
        ("contains", 1, [[1], (1.0,)], [["1"], [True], "1"]),
        ("exists", True, [0, "", False], [None]),
        ("exists", False, [None], [0, "", False]),
    ],
)
def test_operator(op: Any, value: Any, holds: list[Any], fails: list[Any]) -> None:
    """Each operator holds for exactly these values; types are never converted, money may be Decimal."""
    eligibility = Eligibility([Rule("seen", op, value)])
    assert [seen for seen in holds if eligibility.refusal({"seen": seen})] == []
    assert [seen for seen in fails if not eligibility.refusal({"seen": seen})] == []


def test_missing_attribute() -> None:
    """An attribute that was not handed over is not eligible, and the reason says so."""
    eligibility = Eligibility([Rule("cart_total", "gte", 40)])
    assert eligibility.refusal({}) == "needs cart_total ≥ 40, but the attribute is missing"
    assert eligibility.refusal(None) == eligibility.refusal({})


def test_type_mismatch_is_said() -> None:
    """A text where a number is compared is told apart from a number that is too small."""
    eligibility = Eligibility([Rule("cart_total", "gte", 40)])
    assert eligibility.refusal({"cart_total": "120"}) == "needs cart_total ≥ 40, but the attribute is a str"
    assert eligibility.refusal({"cart_total": 12}) == "needs cart_total ≥ 40"


def test_all_rules_must_hold() -> None:
    """The first rule that fails is the reason; without rules everybody is eligible."""
    eligibility = Eligibility([Rule("a", "eq", 1), Rule("b", "eq", 2)])
    assert eligibility.refusal({"a": 1, "b": 2}) == ""
    assert eligibility.refusal({"a": 1, "b": 3}) == "needs b = 2"
    assert not Eligibility([])


def test_braces_in_values() -> None:
    """Braces in a rule's value are shown as they are."""
    assert Eligibility([Rule("a", "eq", "{x} {}")]).refusal({"a": "y"}) == "needs a = {x} {}"


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text(max_size=5)
    | st.decimals()
    | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)
scalars = st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3)
limits = st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3)
rules = st.one_of(
    st.builds(Rule, st.just("x"), st.sampled_from(["eq", "ne", "contains"]), scalars),
    st.builds(Rule, st.just("x"), st.sampled_from(["lt", "lte", "gt", "gte"]), limits),
    st.builds(
        Rule, st.just("x"), st.sampled_from(["in", "not_in"]), st.lists(scalars, min_size=1, max_size=3).map(tuple)
    ),
)


@settings(deadline=None, derandomize=True)
@given(rules, anything)
def test_never_raises(rule: Rule, seen: object) -> None:
    """Whatever a backend hands over, the answer is eligible or a reason, never an exception."""
    assert isinstance(Eligibility([rule]).refusal({"x": seen}), str)
