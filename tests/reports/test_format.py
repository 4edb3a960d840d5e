"""Numbers for people: rounding, signs, currencies, words."""

from __future__ import annotations

import pytest
from offerlift.reports import format as fmt


@pytest.mark.parametrize(
    ("x", "unit", "half", "said"),
    [
        (0.7698, "EUR", 0.29, "+€0.77"),
        (-0.7698, "USD", 0.29, "−$0.77"),
        (0.00412, "EUR", 0.003, "+€0.004"),
        (12_345.678, "GBP", 900.0, "+£12,345.68"),
        (1_234.5, "JPY", 300.0, "+¥1,234"),
        (1.25, "CHF", None, "+CHF 1.25"),
        (0.006805, "share", 0.0018, "+0.68 pp"),
        (-0.006805, "share", 0.00018, "−0.680 pp"),
        (0.0, "EUR", 0.1, "€0.00"),
        (-0.0001, "EUR", 0.4, "€0.00"),
        (0.0349, "per visitor", 0.01, "+0.035"),
        (None, "EUR", 0.1, "–"),
    ],
)
def test_differences(x, unit, half, said):
    """A difference has its sign, its unit, and the decimals that its uncertainty leaves; nothing is never −0.00."""
    assert fmt.change(x, unit, half) == said


@pytest.mark.parametrize(
    ("low", "high", "unit", "said"),
    [
        (0.24, 1.3, "EUR", "+€0.24 to +€1.30"),
        (-0.004, 0.012, "share", "−0.40 to +1.20 pp"),
        (-0.05, 0.117, "lift", "−5.0% to +11.7%"),
        (-0.2, 0.4, "lift", "−20% to +40%"),
        (None, 0.4, "lift", "up to +40.0%"),
        (0.1, None, "lift", "from +10.0% up"),
        (None, None, "lift", "no bounds"),
    ],
)
def test_intervals(low, high, unit, said):
    """Both ends have the same decimals; an end that does not exist is said, never made up."""
    assert fmt.interval(low, high, unit) == said


@pytest.mark.parametrize(
    ("p", "said"),
    [
        (0.0086, ".0086"),
        (0.05, ".050"),
        (0.00001, "< .0001"),
        (0.973, ".973"),
        (1.0, "1"),
        (None, "–"),
        (0.0004, ".00040"),
    ],
)
def test_p_values(p, said):
    """p-values have two significant digits and no leading zero."""
    assert fmt.p_value(p) == said


def test_lifts_in_words():
    """Each kind of lift reads differently, so that an unbounded one is never taken for an interval."""
    assert fmt.lift_in_words("bounded", 0.12, 0.02, 0.22) == "+12%, +2% to +22%"
    assert fmt.lift_in_words("unbounded", 0.5, None, None) == "+50.0%, unbounded"
    assert fmt.lift_in_words("unbounded", 0.5, 0.1, None) == "+50.0%, unbounded: from +10.0% up"
    assert fmt.lift_in_words("complement", 0.5, -3.0, -0.5) == "+50.0%, all but −300% to −50%"
    assert fmt.lift_in_words("undefined", None, None, None) == "undefined"


def test_durations_and_lists():
    """Durations and lists read as in a sentence."""
    assert fmt.duration(14 * 86_400_000_000) == "14 days"
    assert fmt.duration(129_600_000_000) == "1 day 12 hours"
    assert fmt.duration(0) == "0 seconds"
    assert fmt.join(["a"]) == "a"
    assert fmt.join(["a", "b", "c"]) == "a, b and c"
    assert fmt.join([]) == ""


def test_losses_never_round_to_nothing():
    """A loss above zero that would show as 0.00 is said to be below the smallest that shows."""
    assert fmt.loss(0.0000012, "EUR", 0.5) == "< €0.01"
    assert fmt.loss(0.0000012, "share", 0.01) == "< 0.1 pp"
    assert fmt.loss(0.25, "EUR", 0.5) == "€0.25"
    assert fmt.loss(0.0, "EUR", 0.5) == "€0.00"


def test_an_end_that_rounds_to_zero_keeps_its_side():
    """An interval that includes zero by a hair does not look as if it touched it."""
    assert fmt.interval(-0.0008, 0.31, "EUR").startswith("−€0.00")
    assert fmt.interval(-0.0008, 0.31, "EUR") != fmt.interval(0.0008, 0.31, "EUR")
    assert fmt.interval(0.0, 0.31, "EUR").startswith("€0.00 ")


def test_a_lift_without_an_estimate_says_what_is_known():
    """Without conversions in the control there is no estimate, and only one end."""
    assert fmt.lift_in_words("unbounded", None, -0.78, None) == "unbounded: from −78.0% up"
