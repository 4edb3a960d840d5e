"""One pivot: p-value, interval and lift of every comparison say the same, whatever the moments are."""

import math

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from offerlift.stats import (
    Estimate,
    Moments,
    Shared,
    compare_adjusted,
    compare_means,
    compare_proportions,
    compare_ratios,
)
from offerlift.stats.fieller import _WelchRatio, is_plain, plain_ends, welch

ALPHAS = st.sampled_from([1e-6, 0.001, 0.01, 0.05, 0.1, 0.2])
SIZES = st.integers(0, 4) | st.integers(2, 200) | st.integers(1_000, 10**7)


@st.composite
def pairs(draw, largest=60):
    """Treatment and control with columns y, x and a 0/1 column b; unequal sizes, effects from none to sixty se."""
    money, size_t = 10.0 ** draw(st.floats(-4, 6)), draw(SIZES)
    # A split from 1:1 to 1:99, or two sizes of their own.
    size_c = draw(SIZES | st.sampled_from([1, 9, 99]).map(lambda k: k * size_t))
    level, z = draw(st.floats(-3, 30)), draw(st.just(0.0) | st.floats(-largest, largest))
    arms = []
    for n, shift in ((size_t, z), (size_c, 0.0)):
        spread_y, spread_x = draw(st.just(0.0) | st.floats(0.1, 10)), draw(st.just(0.0) | st.floats(0.1, 10))
        correlation = draw(st.floats(-0.95, 0.95))
        mean_y = money * (level + shift * spread_y / math.sqrt(max(n, 1)))
        mean_x = draw(st.floats(-0.5, 0) | st.floats(1e-3, 5))
        x = draw(st.integers(0, n))
        mean_b, square_b = (x / n, x * (n - x) / n) if n else (0.0, 0.0)
        cross = correlation * spread_y * spread_x * money
        m2 = np.diag([(money * spread_y) ** 2, spread_x**2, 0.0]) * max(n - 1, 0)
        m2[0, 1] = m2[1, 0] = cross * max(n - 1, 0)
        m2[2, 2] = square_b
        arms.append(Moments(("y", "x", "b"), n, np.array([mean_y, mean_x, mean_b]), m2, np.zeros(3)))
    return tuple(arms)


COMPARISONS = {
    "means": lambda t, c, alpha: compare_means(t, c, "y", alpha=alpha),
    "proportions": lambda t, c, alpha: compare_proportions(t, c, "b", alpha=alpha),
    "ratios": lambda t, c, alpha: compare_ratios(t, c, "y", "x", alpha=alpha),
    "adjusted": lambda t, c, alpha: compare_adjusted(t, c, "y", ["x"], alpha=alpha),
}


@pytest.mark.parametrize("name", COMPARISONS)
@settings(max_examples=400)
@given(pair=pairs(), alpha=ALPHAS)
def test_p_is_below_alpha_exactly_where_the_intervals_exclude_no_change(name, pair, alpha):
    """p < alpha, 0 outside the difference's interval, and 0 outside the lift's set are one statement; or there is a
    status with a reason and no number at all."""
    result = COMPARISONS[name](*pair, alpha)
    d, lift = result.difference, result.lift
    if d is None:
        assert result.status in ("insufficient", "undefined")
        assert result.reason
        assert (lift.kind, lift.estimate, lift.low, lift.high) == ("undefined", None, None, None)
        return
    assert result.status == "ok"
    assert all(map(math.isfinite, (d.estimate, d.se, d.low, d.high, d.p_value)))
    assume(abs(d.p_value / alpha - 1) > 1e-6)
    significant = d.p_value < alpha
    assert significant == (d.low > 0 or d.high < 0)
    if lift.kind == "undefined":
        assert lift.reason
    else:
        assert significant == lift.excludes_zero()


@pytest.mark.parametrize("name", COMPARISONS)
@settings(max_examples=400)
@given(pair=pairs(largest=10))
def test_the_statements_change_together(name, pair):
    """At a level a thousandth below p nothing is excluded, a thousandth above it no change is, by both intervals."""
    d = COMPARISONS[name](*pair, 0.05).difference
    if d is None or not 1e-250 < d.p_value < 0.99:
        return
    for alpha, significant in ((d.p_value * 0.999, False), (d.p_value * 1.001, True)):
        result = COMPARISONS[name](*pair, alpha)
        assert significant == (result.difference.low > 0 or result.difference.high < 0)
        if result.lift.kind != "undefined":
            assert significant == result.lift.excludes_zero()


def test_tiny_p_values_are_not_zero():
    """5,000 against 6,000 conversions of 100,000 each: p is 1.03e-22, in the score test and in Welch's."""
    t, c = (Moments.from_sums(["b"], 100_000, [x], {("b", "b"): x}) for x in (6000, 5000))
    for compare in (compare_proportions, compare_means):
        assert compare(t, c, "b").difference.p_value == pytest.approx(1.03e-22, rel=0.02, abs=0)


@st.composite
def plain_pairs(draw):
    z_c, z_t = draw(st.floats(2.5, 200)), draw(st.floats(-20, 200))
    scale, v = 10.0 ** draw(st.floats(-3, 3)), 10.0 ** draw(st.floats(-3, 3))
    df_t, df_c = draw(st.floats(50, 1e7)), draw(st.floats(50, 1e7))
    tt, cc, r = draw(st.floats(0, 2)), draw(st.floats(0, 2)), draw(st.floats(-0.99, 0.99))
    t = Estimate(z_t * scale, scale * scale, df_t)
    c = Estimate(z_c * scale * v, (scale * v) ** 2, df_c)
    tt, cc = tt * t.variance, cc * c.variance
    return t, c, Shared(tt, r * math.sqrt(tt * cc), cc, df_t + df_c)


@settings(max_examples=500)
@given(plain_pairs(), ALPHAS)
@example((Estimate(5.0, 0.01, 50.0), Estimate(0.9, 0.01, 50.0), Shared()), 1e-6)
def test_the_short_way_to_a_lift_is_the_long_one(pair, alpha):
    """Where the set is plainly bounded, Fieller's closed form in turn with df(r) ends where the search on the circle
    does, to 1e-9 of the half-width."""
    t, c, shared = pair
    assume(is_plain(t, c, shared, alpha))
    quantile = welch(t, c, shared, alpha)[-1]
    ends = plain_ends(t, c, shared, alpha, quantile)
    if ends is None:
        # The search settles unless the control's mean is near the edge of what its precision allows.
        assert c.mean < 3 * quantile * math.sqrt(c.variance + shared.cc)
        return
    searched = _WelchRatio(t, c, shared, alpha).interval()
    assert searched.kind == "bounded"
    half = (searched.high - searched.low) / 2
    assert ends == (pytest.approx(searched.low, abs=1e-9 * half), pytest.approx(searched.high, abs=1e-9 * half))
