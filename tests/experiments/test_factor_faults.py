"""Factors that cannot become arms."""

from __future__ import annotations

import pytest

from .faulty import one_finding


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
    finding = one_finding(arms="", offer=offer, factors=factors)
    assert finding.path == path
    assert message in finding.message


def test_factors_without_an_offer() -> None:
    """What the arms' offers need and no level gives is named."""
    finding = one_finding(arms="", factors="{f: {a: , b: {product: x, kind: bundle}}}")
    assert finding.path == "factors"
    assert "without `placement`, `trigger`" in finding.message


def test_factors_that_explode() -> None:
    """More than a hundred arms are refused before they are made."""
    levels = "{" + ", ".join(f"l{level}: " for level in range(10)) + "}"
    factors = "{" + ", ".join(f"f{factor}: {levels}" for factor in range(8)) + "}"
    assert "expands to 100000000 arms" in one_finding(arms="", factors=factors).message


def test_arms_and_factors() -> None:
    """Arms and factors exclude each other."""
    assert "not both" in one_finding(factors="{f: {a: , b: }}").message
