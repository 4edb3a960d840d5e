"""Guardrails: at most a margin worse, by the same statistic as the interval of the lift."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from offerlift.errors import InputError
from offerlift.stats import (
    Estimate,
    Shared,
    compare_estimates,
    miettinen_nurminen_difference,
    miettinen_nurminen_ratio,
    non_inferiority,
    non_inferiority_proportions,
)

MARGINS = st.floats(0, 0.5)
DIRECTIONS = st.sampled_from(["increase", "decrease"])


def by_interval(low, high, margin, direction):
    """The rule of the 95 % interval: beyond minus the margin, on the side of the desired change."""
    worst, best = (low, high) if direction == "increase" else (-high, -low)
    if worst > -margin:
        return "passed"
    return "failed" if best < -margin else "inconclusive"


@st.composite
def estimates(draw, centre=1.0):
    se = 10.0 ** draw(st.floats(-4, 0.3))
    return Estimate(centre + draw(st.floats(-0.6, 0.6)), se * se, draw(st.integers(1, 12) | st.integers(8, 10**6)))


@given(estimates(), estimates(), MARGINS, DIRECTIONS, st.sampled_from([0.025, 0.05, 0.001]), st.floats(-0.5, 0.5))
def test_agrees_with_the_interval_of_the_lift(t, c, margin, direction, alpha, correlation):
    """Passed and failed are exactly where the lift's interval lies beyond the margin; unbounded is inconclusive."""
    common = 0.3 * min(t.variance, c.variance)
    shared = Shared(common, correlation * common, common, 50.0)
    for one in (None, shared):
        lift = compare_estimates(t, c, shared=one, alpha=2 * alpha, method="welch").lift
        got = non_inferiority(t, c, margin, desired_change=direction, alpha=alpha, shared=one)
        if lift.kind != "bounded":
            assert got.result == "inconclusive"
            assert got.reason
            continue
        # Within rounding of the limit either answer is right.
        assume(min(abs(end + (margin if direction == "increase" else -margin)) for end in (lift.low, lift.high)) > 1e-9)
        assert got.result == by_interval(lift.low, lift.high, margin, direction)
        assert got.reason == ""
        assert got.p_value + got.p_failed == pytest.approx(1.0)
        if min(t.df, c.df) >= 4:
            assert (got.p_value < alpha) == (got.result == "passed")
            assert (got.p_failed < alpha) == (got.result == "failed")


@st.composite
def counts(draw):
    n = draw(st.integers(2, 60) | st.integers(2, 10**6))
    return draw(st.integers(0, n)), n


@given(counts(), counts(), st.floats(1e-3, 0.5), DIRECTIONS, st.booleans())
def test_conversion_agrees_with_the_score_intervals(t, c, margin, direction, correction):
    """On both scales the result is that of Miettinen and Nurminen's interval, or of Koopman's and Mee's."""
    ratio = miettinen_nurminen_ratio(*t, *c, correction=correction)
    got = non_inferiority_proportions(*t, *c, margin, desired_change=direction, correction=correction)
    difference = miettinen_nurminen_difference(*t, *c, correction=correction)
    both = non_inferiority_proportions(
        *t, *c, margin, scale="difference", desired_change=direction, correction=correction
    )
    limit = -margin if direction == "increase" else margin
    assume(min(abs(end - limit) for end in (difference.low, difference.high)) > 1e-9)
    assert both.result == by_interval(difference.low, difference.high, margin, direction)
    if ratio.kind != "bounded":
        assert got.result == "inconclusive"
        assert got.p_value is None
        return
    lift = ratio.lift()
    assume(min(abs(end - limit) for end in (lift.low, lift.high)) > 1e-9)
    assert got.result == by_interval(lift.low, lift.high, margin, direction)


def test_published_farrington_manning():
    """A margin of 0 is the ordinary test, one-sided; 56/70 against 48/80 has z = 2.635 by the pooled variance."""
    plain = non_inferiority_proportions(56, 70, 48, 80, 0.0, scale="difference", correction=False)
    pooled = 104 / 150
    z = (56 / 70 - 48 / 80) / math.sqrt(pooled * (1 - pooled) * (1 / 70 + 1 / 80))
    assert plain.statistic == pytest.approx(z, rel=1e-12)
    # The published Mee interval of the difference is (0.0533, 0.3377): a margin of minus its lower end is the limit.
    assert non_inferiority_proportions(48, 80, 56, 70, 0.3379, scale="difference", correction=False).result == "passed"
    assert (
        non_inferiority_proportions(48, 80, 56, 70, 0.3375, scale="difference", correction=False).result
        == "inconclusive"
    )


def test_without_a_margin_it_is_the_difference():
    """A margin of 0 has the statistic, the df and half the p-value of the difference, with what the arms share."""
    t, c, shared = Estimate(1.3, 0.01, 20), Estimate(1.0, 0.02, 30), Shared(0.01, 0.008, 0.012, 40.0)
    got, plain = non_inferiority(t, c, 0.0, shared=shared), compare_estimates(t, c, shared=shared, method="").difference
    assert got.statistic == pytest.approx(plain.estimate / plain.se, rel=1e-12)
    assert got.df == pytest.approx(plain.df, rel=1e-12)
    assert got.p_value == pytest.approx(plain.p_value / 2, rel=1e-12)


def test_direction_mirrors():
    """Where a decrease is wanted, a rise of more than the margin fails and a fall passes; otherwise the reverse."""
    up, down = Estimate(1.2, 1e-4, 1e4), Estimate(0.8, 1e-4, 1e4)
    control = Estimate(1.0, 1e-4, 1e4)
    results = [
        non_inferiority(arm, control, 0.05, desired_change=direction).result
        for arm in (up, down)
        for direction in ("increase", "decrease")
    ]
    assert results == ["passed", "failed", "failed", "passed"]
    assert non_inferiority_proportions(300, 1000, 200, 1000, 0.1, desired_change="decrease").result == "failed"
    assert non_inferiority_proportions(200, 1000, 300, 1000, 0.1, desired_change="decrease").result == "passed"


def test_one_sided_level():
    """Trap: one-sided .025 is where the 95 % interval ends; at one-sided .05 a statistic of 1.8 would pass."""
    t, c = Estimate(0.98 + 1.8 * 0.01, 0.01**2 - 0.98**2 * 1e-10, math.inf), Estimate(1.0, 1e-10, math.inf)
    got = non_inferiority(t, c, 0.02)
    assert got.statistic == pytest.approx(1.8, rel=1e-6)
    assert got.result == "inconclusive"
    assert got.p_value == pytest.approx(0.0359, abs=1e-4)
    assert non_inferiority(t, c, 0.02, alpha=0.05).result == "passed"


@pytest.mark.parametrize("scale", ["ratio", "difference"])
def test_false_passes_at_the_margin(scale):
    """An offer that is exactly the margin worse passes in 2.5 % of experiments (4,000 a arm, 10 %)."""
    rng, runs, n = np.random.default_rng(14), 8000, 4000
    rate = 0.1 * 0.9 if scale == "ratio" else 0.1 - 0.01
    x_t, x_c = rng.binomial(n, rate, runs).tolist(), rng.binomial(n, 0.1, runs).tolist()
    margin = 0.1 if scale == "ratio" else 0.01
    passed = sum(
        non_inferiority_proportions(a, n, b, n, margin, scale=scale).result == "passed"
        for a, b in zip(x_t, x_c, strict=True)
    )
    assert abs(passed / runs - 0.025) < 3.5 * math.sqrt(0.025 * 0.975 / runs)


def test_what_cannot_be_tested():
    """A control at or below 0 and one without conversions have no relative margin: inconclusive, with the reason."""
    below = non_inferiority(Estimate(1.0, 0.01, 99), Estimate(-1.0, 0.01, 99), 0.1)
    assert (below.result, below.p_value) == ("inconclusive", None)
    assert "not above 0" in below.reason
    nobody = non_inferiority_proportions(5, 100, 0, 100, 0.1)
    assert (nobody.result, nobody.p_value) == ("inconclusive", None)
    assert "no conversions in the control" in nobody.reason
    everyone = non_inferiority_proportions(10, 10, 10, 10, 0.0)
    assert (everyone.result, everyone.p_value) == ("inconclusive", 0.5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda t: non_inferiority(t, t, -0.1), "the margin is -0.1"),
        (lambda t: non_inferiority(t, t, 1.0), "below 1 for an increase"),
        (lambda t: non_inferiority(t, t, math.nan), "the margin is nan"),
        (lambda t: non_inferiority(t, t, 0.1, desired_change="up"), "increase or decrease"),
        (lambda t: non_inferiority(t, t, 0.1, alpha=0.5), "below 0.5"),
        (lambda t: non_inferiority(Estimate(1, 0, 9), Estimate(1, 0, 9), 0.1), "one of them has to be above 0"),
        (lambda t: non_inferiority_proportions(11, 10, 5, 10, 0.1), "0 <= x <= n"),
        (lambda t: non_inferiority_proportions(1, 10, 5, 10, 0.1, scale="odds"), "ratio or difference"),
        (
            lambda t: non_inferiority_proportions(1, 10, 5, 10, 1.0, scale="difference", desired_change="decrease"),
            "below 1",
        ),
    ],
)
def test_refused(call, words):
    """Impossible arguments are refused with the value seen and what is allowed."""
    with pytest.raises(InputError, match=words):
        call(Estimate(1.0, 0.01, 99))
