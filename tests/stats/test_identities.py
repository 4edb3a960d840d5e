"""Identities that hold whatever the data are, and agreement of interval, lift and p-value."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from offerlift.stats import (
    Estimate,
    Moments,
    Shared,
    anytime_interval,
    compare_adjusted,
    compare_estimates,
    compare_means,
    compare_proportions,
    compare_ratios,
    dunnett_critical,
    e_value,
    fieller,
    miettinen_nurminen_difference,
    miettinen_nurminen_ratio,
    mixture_boundary,
    skew_kappa,
)
from scipy.special import stdtrit

SIZES = st.integers(2, 40) | st.integers(2, 10**7)
ALPHAS = st.sampled_from([0.001, 0.01, 0.05, 0.1, 0.2])


@st.composite
def estimates(draw, least_df=1):
    n = draw(SIZES)
    z = draw(st.floats(-4, 60))
    v = 10.0 ** draw(st.floats(-6, 6))
    return Estimate(z * math.sqrt(v), v, max(n - 1, least_df))


@st.composite
def counts(draw):
    n = draw(st.integers(1, 60) | st.integers(1, 10**7))
    x = draw(st.sampled_from([0, n]) | st.integers(0, min(n, 30)) | st.integers(0, n))
    return x, n


def in_lift(lift, value):
    """Whether a value is in the confidence set."""
    low = -math.inf if lift.low is None else lift.low
    high = math.inf if lift.high is None else lift.high
    return (value <= low or value >= high) if lift.kind == "complement" else low <= value <= high


def welch_t(t, c, r):
    v_t, v_c = t.variance, r * r * c.variance
    df = (v_t + v_c) ** 2 / (v_t**2 / t.df + v_c**2 / c.df)
    return abs(t.mean - r * c.mean) / math.sqrt(v_t + v_c), df


@settings(max_examples=500, deadline=None, derandomize=True)
@given(estimates(), estimates(), ALPHAS)
def test_welch_p_interval_and_lift_agree(t, c, alpha):
    """p < alpha exactly when 0 is outside the difference's interval, and exactly when it is outside the lift's set."""
    comparison = compare_estimates(t, c, alpha=alpha, method="welch")
    d, lift = comparison.difference, comparison.lift
    assume(abs(d.p_value / alpha - 1) > 1e-7)
    significant = d.p_value < alpha
    assert significant == (d.low > 0 or d.high < 0)
    if c.mean > 0:
        assert lift.kind in ("bounded", "complement", "unbounded")
        assert significant == lift.excludes_zero() == (not in_lift(lift, 0.0))
        assert in_lift(lift, lift.estimate)
    else:
        assert lift.kind == "undefined"
        assert "not above 0" in lift.reason


@settings(max_examples=300, deadline=None, derandomize=True)
@given(estimates(least_df=30), estimates(least_df=30), ALPHAS, st.floats(-1.5, 1.5))
def test_lift_set_is_the_inverted_test(t, c, alpha, angle):
    """Any ratio is in the set exactly when Welch's test of it, with its own df, does not reject."""
    assume(c.mean > 1e-6 * math.sqrt(c.variance))
    lift = compare_estimates(t, c, alpha=alpha, method="welch").lift
    scale = math.sqrt(t.variance / c.variance)
    for r in (
        math.tan(angle) * scale,
        t.mean / c.mean * (1 + angle / 20),
        *((1 + end) * (1 + side * 1e-6) for end in (lift.low, lift.high) if end is not None for side in (-1, 1)),
    ):
        statistic, df = welch_t(t, c, r)
        quantile = -stdtrit(df, alpha / 2)
        if abs(statistic / quantile - 1) > 1e-9:
            assert in_lift(lift, r - 1) == (statistic <= quantile), (r, statistic, quantile)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(estimates(), estimates(), ALPHAS)
def test_tiny_samples_never_shrink_the_set(t, c, alpha):
    """With one or two df several arcs may be ruled out; the set then only grows: what is not rejected is inside."""
    assume(c.mean > 0)
    lift = compare_estimates(t, c, alpha=alpha, method="welch").lift
    scale = math.sqrt(t.variance / c.variance)
    for angle in np.linspace(-1.57, 1.57, 41):
        r = math.tan(angle) * scale
        statistic, df = welch_t(t, c, r)
        if statistic < -stdtrit(df, alpha / 2) * (1 - 1e-9):
            assert in_lift(lift, r - 1)


def test_several_arcs():
    """Two visitors an arm, where zero and infinity are both possible and r = 1 is not: r = 1 is what is kept out."""
    t, c = Estimate(0.0, 1e-4, 1), Estimate(6.0, 1.0, 1)
    one = compare_estimates(t, c, method="welch")
    assert welch_t(t, c, 1e4)[0] < -stdtrit(1, 0.025)
    assert one.lift.kind == "unbounded" or one.lift.excludes_zero() == (one.difference.p_value < 0.05)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(estimates(), estimates(), ALPHAS)
def test_large_df_equals_fieller(t, c, alpha):
    """With a million df the set is Fieller's closed form with the normal quantile, in every kind."""
    assume(c.mean > 0.01 * math.sqrt(c.variance))
    t, c = Estimate(t.mean, t.variance, 1e15), Estimate(c.mean, c.variance, 1e15)
    lift = compare_estimates(t, c, alpha=alpha, method="welch").lift
    closed = fieller(t.mean, t.variance, c.mean, c.variance, -stdtrit(1e15, alpha / 2)).lift()
    nearly_infinite = any(
        end is not None and abs(end) > 1e6 * abs(1 + lift.estimate) for end in (closed.low, closed.high)
    )
    assume(not nearly_infinite)
    assume(closed.kind != "complement" or closed.high - closed.low > 1e-5 * (abs(closed.low) + abs(closed.high)))
    assert lift.kind == closed.kind
    ends = [end or 0.0 for end in (closed.low, closed.high)]
    assert [end or 0.0 for end in (lift.low, lift.high)] == pytest.approx(ends, rel=1e-6, abs=1e-9)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(estimates(), estimates(), st.floats(-3, 3), ALPHAS)
def test_scale_and_swap(t, c, power, alpha):
    """Another currency scales the difference and keeps the lift; swapped arms negate the one and invert the other."""
    k = 10.0**power
    plain = compare_estimates(t, c, alpha=alpha, method="welch")
    scaled = compare_estimates(
        *(Estimate(e.mean * k, e.variance * k * k, e.df) for e in (t, c)), alpha=alpha, method="welch"
    )
    a, b = plain.difference, scaled.difference
    assert [b.low, b.high, b.p_value] == pytest.approx(
        [a.low * k, a.high * k, a.p_value], rel=1e-6, abs=1e-9 * k * a.se
    )
    swapped = compare_estimates(c, t, alpha=alpha, method="welch")
    s = swapped.difference
    assert [s.low, s.high, s.p_value] == pytest.approx([-a.high, -a.low, a.p_value], rel=1e-9, abs=1e-9 * a.se)
    if plain.lift.kind == swapped.lift.kind == "bounded" and plain.lift.low > -1 + 1e-6:
        inverse = [1 / (1 + swapped.lift.high) - 1, 1 / (1 + swapped.lift.low) - 1]
        assert inverse == pytest.approx([plain.lift.low, plain.lift.high], rel=1e-6, abs=1e-9)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(estimates(least_df=5), estimates(least_df=5), st.floats(0, 2), st.floats(0, 2), st.floats(-1, 1), ALPHAS)
def test_shared_variance_agrees_as_well(t, c, tt, cc, correlation, alpha):
    """With a covariance of the arms (as CUPED has) p-value, interval and lift still agree."""
    tt, cc = tt * t.variance, cc * c.variance
    shared = Shared(tt, correlation * math.sqrt(tt * cc), cc, t.df + c.df)
    comparison = compare_estimates(t, c, shared=shared, alpha=alpha, method="cuped")
    d, lift = comparison.difference, comparison.lift
    assume(abs(d.p_value / alpha - 1) > 1e-7)
    assert d.se**2 == pytest.approx(t.variance + c.variance + max(tt + cc - 2 * shared.tc, 0), rel=1e-9)
    assert (d.p_value < alpha) == (d.low > 0 or d.high < 0)
    if c.mean > 0:
        assert (d.p_value < alpha) == (not in_lift(lift, 0.0))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(counts(), counts(), ALPHAS, st.booleans())
def test_score_p_interval_and_ratio_agree(t, c, alpha, correction):
    """p < alpha exactly when 0 is outside the difference's interval, and exactly when 1 is outside the ratio's."""
    d = miettinen_nurminen_difference(*t, *c, alpha=alpha, correction=correction)
    ratio = miettinen_nurminen_ratio(*t, *c, alpha=alpha, correction=correction)
    assert -1 <= d.low <= d.estimate <= d.high <= 1
    assert 0 <= d.p_value <= 1
    assert d.se > 0
    assume(abs(d.p_value / alpha - 1) > 1e-6)
    significant = d.p_value < alpha
    assert significant == (d.low > 0 or d.high < 0)
    if ratio.kind == "undefined":
        assert t[0] == c[0] == 0
        assert d.p_value == 1
    else:
        assert significant == ratio.lift().excludes_zero() == (ratio.low > 1 or (ratio.high or math.inf) < 1)
        assert (ratio.high is None) == (c[0] == 0)
        assert (ratio.low == 0) == (t[0] == 0)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(counts(), counts(), ALPHAS)
def test_score_symmetries(t, c, alpha):
    """Swapped arms negate the difference and invert the ratio; counting failures negates the difference."""
    d = miettinen_nurminen_difference(*t, *c, alpha=alpha)
    swapped = miettinen_nurminen_difference(*c, *t, alpha=alpha)
    near = {"rel": 1e-9, "abs": 1e-9 * (d.high - d.low)}
    assert [swapped.low, swapped.high, swapped.p_value] == pytest.approx([-d.high, -d.low, d.p_value], **near)
    failures = miettinen_nurminen_difference(t[1] - t[0], t[1], c[1] - c[0], c[1], alpha=alpha)
    assert [failures.low, failures.high] == pytest.approx([-d.high, -d.low], **near)
    if t[0] and c[0]:
        ratio, inverse = miettinen_nurminen_ratio(*t, *c, alpha=alpha), miettinen_nurminen_ratio(*c, *t, alpha=alpha)
        assert [1 / inverse.high, 1 / inverse.low] == pytest.approx([ratio.low, ratio.high], rel=1e-9)


def columns(seed, n, slope):
    rng = np.random.default_rng(seed)
    x = rng.gamma(2, 10, n)
    return Moments.from_arrays({"y": slope * x + rng.lognormal(0, 1, n), "x": x, "flat": np.full(n, 0.1)})


def test_adjustment_by_a_constant_is_welch():
    """A covariate that does not vary gives slope 0 and exactly Welch's numbers."""
    t, c = columns(1, 300, 0.2), columns(2, 200, 0.1)
    plain, adjusted = compare_means(t, c, "y"), compare_adjusted(t, c, "y", ["flat"])
    assert adjusted.adjustment.theta_treatment == (0.0,)
    assert adjusted.difference.p_value == pytest.approx(plain.difference.p_value, rel=1e-12)
    assert adjusted.difference.df == pytest.approx(plain.difference.df, rel=1e-12)
    assert (adjusted.lift.low, adjusted.lift.high) == pytest.approx((plain.lift.low, plain.lift.high), rel=1e-9)
    assert adjusted.adjustment.r_squared == pytest.approx(0, abs=1e-12)


def test_useless_columns_do_not_change_an_adjustment():
    """A constant beside the covariate, and the covariate twice in other units, leave the estimate as it is."""
    t, c = columns(1, 300, 0.2), columns(2, 200, 0.1)
    one = compare_adjusted(t, c, "y", ["x"])
    both = compare_adjusted(t, c, "y", ["x", "flat"])
    assert both.difference.estimate == pytest.approx(one.difference.estimate, rel=1e-12)
    assert both.difference.p_value == pytest.approx(one.difference.p_value, rel=1e-12)
    rng = np.random.default_rng(3)
    arms = []
    for arm_seed, n in ((1, 300), (2, 200)):
        x = np.random.default_rng(arm_seed).gamma(2, 10, n)
        arms.append({"y": x + rng.normal(size=n), "x": x, "cents": 100 * x})
    t, c = (Moments.from_arrays(arm) for arm in arms)
    single, doubled = compare_adjusted(t, c, "y", ["x"]), compare_adjusted(t, c, "y", ["x", "cents"])
    assert doubled.difference.estimate == pytest.approx(single.difference.estimate, rel=1e-9)
    assert doubled.difference.df == pytest.approx(single.difference.df, rel=1e-9)


def test_adjusted_and_plain_p_values_agree_with_their_sets():
    """The adjusted lift at no change is the adjusted test: shift the treatment until it is just not significant."""
    t, c = columns(1, 300, 0.2), columns(2, 200, 0.1)
    d = compare_adjusted(t, c, "y", ["x"]).difference
    for alpha in (d.p_value * 0.999, d.p_value * 1.001):
        again = compare_adjusted(t, c, "y", ["x"], alpha=alpha)
        assert again.lift.excludes_zero() == (d.p_value < alpha)


def test_ratio_with_denominator_one_is_a_mean():
    """A ratio to a column of ones is the mean per visitor, with the same numbers."""
    rng = np.random.default_rng(5)
    t, c = (Moments.from_arrays({"y": rng.gamma(1, 5, n), "one": np.ones(n)}) for n in (80, 50))
    mean, ratio = compare_means(t, c, "y"), compare_ratios(t, c, "y", "one")
    assert ratio.difference.p_value == pytest.approx(mean.difference.p_value, rel=1e-12)
    assert (ratio.lift.low, ratio.lift.high) == pytest.approx((mean.lift.low, mean.lift.high), rel=1e-9)


def test_every_order_twice_does_not_narrow_a_ratio():
    """Each visitor's orders counted twice leave the average order value and its interval as they are."""
    rng = np.random.default_rng(6)
    arms = []
    for n in (400, 300):
        orders = rng.poisson(1, n)
        arms.append((rng.gamma(2, 20, n) * orders, orders))
    once = compare_ratios(*(Moments.from_arrays({"y": y, "x": x}) for y, x in arms), "y", "x").difference
    twice = compare_ratios(*(Moments.from_arrays({"y": 2 * y, "x": 2 * x}) for y, x in arms), "y", "x").difference
    assert [twice.low, twice.high] == pytest.approx([once.low, once.high], rel=1e-9)


def test_proportions_near_welch_with_many_conversions():
    """With thousands of conversions the score interval and Welch's on zeros and ones differ by a thousandth of it."""
    t, c = (Moments.from_sums(["y"], 100_000, [x], {("y", "y"): x}) for x in (5200, 5000))
    score, welch = compare_proportions(t, c, "y"), compare_means(t, c, "y")
    width = welch.difference.high - welch.difference.low
    assert abs(score.difference.low - welch.difference.low) < 1e-3 * width
    assert abs(score.lift.high - welch.lift.high) < 5e-3 * (welch.lift.high - welch.lift.low)


@settings(deadline=None, derandomize=True)
@given(st.floats(1e-3, 1e3), ALPHAS, st.floats(-8, 8))
def test_anytime_p_and_interval_agree(a, alpha, z):
    """The always-valid p is below alpha exactly when the interval leaves out 0, where |z| passes the boundary."""
    d = compare_estimates(Estimate(10 + z, 0.5, math.inf), Estimate(10, 0.5, math.inf), method="z").difference
    result = anytime_interval(d, a=a, alpha=alpha)
    assume(abs(result.p_value / alpha - 1) > 1e-9)
    assert (result.p_value < alpha) == (result.low > 0 or result.high < 0) == (abs(z) > result.boundary)


@settings(deadline=None, derandomize=True)
@given(st.floats(1e-3, 1e3), ALPHAS)
def test_boundary_is_where_the_e_value_is_one_over_alpha(a, alpha):
    """mSPRT and asymptotic confidence sequence are one: e(boundary) = 1/alpha."""
    assert e_value(mixture_boundary(a, alpha), a) == pytest.approx(1 / alpha, rel=1e-9)


@pytest.mark.parametrize("df", [1.0, 3.5, 30.0, math.inf])
@pytest.mark.parametrize("sides", [1, 2])
def test_dunnett_of_one_treatment_is_the_plain_quantile(df, sides):
    """A single treatment needs Student's quantile, or the normal one."""
    assert dunnett_critical([2.0], 3.0, df=df, sides=sides) == pytest.approx(stdtrit(min(df, 1e15), 1 - 0.05 / sides))


def test_skewness_cancels_between_equal_arms():
    """Equal arms have κ = 0, swapped arms negate it, and nine to one raises the flag of the small arm."""
    rng = np.random.default_rng(7)
    small = Moments.from_arrays({"y": rng.lognormal(0, 1.5, 1000) * (rng.random(1000) < 0.05)})
    big = Moments.merge([small] * 9)
    assert skew_kappa(small, small, "y") == 0
    kappa = skew_kappa(small, big, "y")
    assert kappa > 0.06
    assert skew_kappa(big, small, "y") == -kappa
    se = math.sqrt(small.variance_of("y") / small.n + big.variance_of("y") / big.n)
    assert kappa == pytest.approx((small.m3[0] / 1000**3 - big.m3[0] / 9000**3) / se**3)
