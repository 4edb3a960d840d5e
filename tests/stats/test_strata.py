"""Phases and other strata: one is the plain analysis, several are combined by their shares of visitors."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from offerlift.errors import InputError
from offerlift.stats import (
    Moments,
    beta_posteriors,
    beta_posteriors_over_strata,
    compare_adjusted,
    compare_adjusted_over_strata,
    compare_means,
    compare_means_over_strata,
    compare_proportions,
    compare_proportions_over_strata,
    compare_ratios,
    compare_ratios_over_strata,
    mean_over_strata,
    ratio_over_strata,
    skew_kappa,
    skew_kappa_over_strata,
    stratum_weights,
)
from offerlift.stats.beta import Beta
from offerlift.stats.beta_sums import posteriors_of_sums
from offerlift.stats.proportions import restricted_variance, restricted_variance_of_ratio
from scipy.special import erfcinv

from .samples import zeros_and_ones

ALPHAS = st.sampled_from([0.001, 0.05, 0.2])


def shop(rng, n, level=1.0, lift=0.0):
    """n visitors of one arm: past spend, orders, money and conversion."""
    past = rng.gamma(2, 10, n)
    orders = rng.poisson(0.3, n)
    money = orders * rng.gamma(2, 20, n) * (1 + lift) * level + 0.1 * past
    return {"y": money, "orders": orders, "x": past, "bought": orders > 0}


def moments(data):
    return Moments.from_arrays(data)


def two_phases(seed=1, level=1.3):
    rng = np.random.default_rng(seed)
    sizes = {"t": (300, 900), "c": (2700, 1100)}
    return {arm: [shop(rng, n, level if h else 1.0) for h, n in enumerate(sizes[arm])] for arm in sizes}


def by_stratum(data):
    return [[moments(part) for part in data[arm]] for arm in ("t", "c")]


def test_one_stratum_is_exactly_the_plain_analysis():
    """With one stratum, or one that has visitors, every comparison and posterior is equal to the last bit."""
    data = two_phases()
    t, c = (moments(data[arm][0]) for arm in "tc")
    empty = Moments.zero(t.columns)
    for ts, cs in (([t], [c]), ([t, empty], [c, moments(data["c"][1])]), ([empty, t], [empty, c])):
        assert compare_means_over_strata(ts, cs, "y") == compare_means(t, c, "y")
        assert compare_ratios_over_strata(ts, cs, "y", "orders") == compare_ratios(t, c, "y", "orders")
        assert compare_proportions_over_strata(ts, cs, "bought") == compare_proportions(t, c, "bought")
        assert compare_adjusted_over_strata(ts, cs, "y", ["x"]) == compare_adjusted(t, c, "y", ["x"])
        posterior = beta_posteriors_over_strata({"t": ts, "c": cs}, "bought", "c")
        assert posterior == beta_posteriors({"t": t, "c": c}, "bought", "c")
        assert skew_kappa_over_strata(ts, cs, "y") == pytest.approx(skew_kappa(t, c, "y"), rel=1e-12)


def test_weights_are_shares_of_visitors():
    """3,000 and 2,000 visitors weigh .6 and .4; a stratum without an arm weighs nothing; sizes may be given."""
    t, c = by_stratum(two_phases())
    assert stratum_weights([t, c]) == (0.6, 0.4)
    assert stratum_weights([t, c], [1, 3]) == (0.25, 0.75)
    empty = Moments.zero(t[0].columns)
    assert stratum_weights([[*t, empty], [*c, c[0]]]) == (0.6, 0.4, 0.0)
    assert stratum_weights([[empty], [c[0]]]) == (0.0,)
    for arms, visitors in (([t, c[:1]], None), ([t, c], [1]), ([t, c], [1, -1]), ([[], []], None)):
        with pytest.raises(InputError, match="strata"):
            stratum_weights(arms, visitors)


def test_difference_and_its_variance_by_hand():
    """D = Σ w (m_t - m_c), SE² = Σ w² V, df by Satterthwaite over the four parts, and the lift of combined means."""
    t, c = by_stratum(two_phases())
    w = (0.6, 0.4)
    comparison = compare_means_over_strata(t, c, "y")
    d = comparison.difference
    parts = [(k**2 * m.variance_of("y") / m.n, m.n - 1) for arm in (t, c) for k, m in zip(w, arm, strict=True)]
    variance = sum(v for v, _ in parts)
    means = [sum(k * m.mean_of("y") for k, m in zip(w, arm, strict=True)) for arm in (t, c)]
    assert d.estimate == pytest.approx(means[0] - means[1], rel=1e-12)
    assert d.se == pytest.approx(math.sqrt(variance), rel=1e-12)
    assert d.df == pytest.approx(variance**2 / sum(v * v / df for v, df in parts), rel=1e-12)
    assert comparison.lift.estimate == pytest.approx(means[0] / means[1] - 1, rel=1e-12)
    assert (d.p_value < 0.05) == comparison.lift.excludes_zero()


def test_agrees_with_the_interacted_regression():
    """The difference is the treatment's coefficient of least squares with strata centred and interacted (Lin 2013)."""
    data = two_phases()
    t, c = by_stratum(data)
    y, x, arm, stratum = [], [], [], []
    for name in "tc":
        for h, part in enumerate(data[name]):
            y.append(part["y"])
            x.append(part["x"])
            arm.append(np.full(len(part["y"]), name == "t", float))
            stratum.append(np.full(len(part["y"]), h, float))
    y, x, arm, stratum = (np.concatenate(v) for v in (y, x, arm, stratum))
    centred = stratum - stratum.mean()
    plain = sm.OLS(y, np.column_stack([np.ones_like(y), arm, centred, arm * centred])).fit(cov_type="HC2")
    d = compare_means_over_strata(t, c, "y").difference
    assert [d.estimate, d.se] == pytest.approx([plain.params[1], plain.bse[1]], rel=1e-9)
    within = [x[stratum == h].mean() for h in (0, 1)]
    slopes = [np.where(stratum == h, x - within[h], 0.0) for h in (0, 1)]
    columns = [np.ones_like(y), arm, centred, arm * centred, *slopes, *(arm * one for one in slopes)]
    adjusted = sm.OLS(y, np.column_stack(columns)).fit(cov_type="HC2")
    ours = compare_adjusted_over_strata(t, c, "y", ["x"])
    assert ours.difference.estimate == pytest.approx(adjusted.params[1], rel=1e-9)
    inside = [compare_adjusted(a, b, "y", ["x"]).difference.se for a, b in zip(t, c, strict=True)]
    assert ours.difference.se == pytest.approx(math.hypot(0.6 * inside[0], 0.4 * inside[1]), rel=1e-12)


def test_ratio_is_that_of_combined_means():
    """The ratio over strata is Σ w ȳ / Σ w x̄, its error the bootstrap's within strata."""
    data = two_phases(3)
    t, c = by_stratum(data)
    w = stratum_weights([t, c])
    estimate = ratio_over_strata(t, "y", "orders", w)
    means = [sum(k * m.mean_of(name) for k, m in zip(w, t, strict=True)) for name in ("y", "orders")]
    assert estimate.mean == pytest.approx(means[0] / means[1], rel=1e-12)
    rng = np.random.default_rng(4)
    again = []
    for _ in range(1500):
        above = below = 0.0
        for k, part in zip(w, data["t"], strict=True):
            rows = rng.integers(0, len(part["y"]), len(part["y"]))
            above, below = above + k * part["y"][rows].mean(), below + k * part["orders"][rows].mean()
        again.append(above / below)
    assert math.sqrt(estimate.variance) == pytest.approx(np.std(again), rel=0.07)
    comparison = compare_ratios_over_strata(t, c, "y", "orders")
    assert comparison.difference.estimate == pytest.approx(estimate.mean - ratio_over_strata(c, "y", "orders", w).mean)


@st.composite
def tables(draw):
    found = []
    for _ in range(draw(st.integers(2, 4))):
        arms = []
        for _ in "tc":
            n = draw(st.integers(2, 40) | st.integers(2, 100_000))
            arms.append((draw(st.sampled_from([0, n]) | st.integers(0, min(n, 20)) | st.integers(0, n)), n))
        found.append(arms)
    return found


def test_score_statistic_by_hand():
    """At the ends Z²(δ) and Z²(r) with the restricted variances are z², and one p-value tests both nulls."""
    counts = [((12, 300), (80, 2700)), ((60, 900), (50, 1100))]
    w = (0.6, 0.4)
    t, c = ([zeros_and_ones(*stratum[arm]) for stratum in counts] for arm in (0, 1))
    comparison = compare_proportions_over_strata(t, c, "y")
    p_t, p_c = (sum(k * s[arm][0] / s[arm][1] for k, s in zip(w, counts, strict=True)) for arm in (0, 1))

    def z2(variance, numerator, null):
        total = sum(
            k**2 * variance(*a, *b, null) * (a[1] + b[1]) / (a[1] + b[1] - 1)
            for k, (a, b) in zip(w, counts, strict=True)
        )
        return numerator**2 / total

    z = 1.959963984540054
    for end in (comparison.difference.low, comparison.difference.high):
        assert z2(restricted_variance, p_t - p_c - end, end) == pytest.approx(z * z, rel=1e-9)
    for end in (comparison.lift.low, comparison.lift.high):
        assert z2(restricted_variance_of_ratio, p_t - (1 + end) * p_c, 1 + end) == pytest.approx(z * z, rel=1e-9)
    at_null = z2(restricted_variance, p_t - p_c, 0.0)
    assert comparison.difference.p_value == pytest.approx(math.erfc(math.sqrt(at_null / 2)), rel=1e-12)
    assert at_null == pytest.approx(z2(restricted_variance_of_ratio, p_t - p_c, 1.0), rel=1e-12)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(tables(), ALPHAS)
def test_stratified_score_p_interval_and_ratio_agree(counts, alpha):
    """Over any strata p < alpha exactly where 0 is outside the difference's interval, and 1 outside the ratio's."""
    t, c = ([zeros_and_ones(*stratum[arm]) for stratum in counts] for arm in (0, 1))
    comparison = compare_proportions_over_strata(t, c, "y", alpha=alpha)
    d, lift = comparison.difference, comparison.lift
    assert -1 <= d.low <= d.estimate + 1e-12
    assert d.estimate - 1e-12 <= d.high <= 1
    assert d.se > 0
    assume(abs(d.p_value / alpha - 1) > 1e-6)
    significant = d.p_value < alpha
    assert significant == (d.low > 0 or d.high < 0)
    if lift.kind == "undefined":
        assert d.p_value == 1
    else:
        assert significant == lift.excludes_zero()
    for delta in np.linspace(-0.99, 0.99, 23):
        weights = stratum_weights([t, c])
        total = sum(
            w**2 * restricted_variance(*a, *b, delta) * (a[1] + b[1]) / (a[1] + b[1] - 1)
            for w, (a, b) in zip(weights, counts, strict=True)
        )
        z2 = (d.estimate - delta) ** 2 / total if total > 0 else math.inf
        quantile = math.sqrt(2) * float(erfcinv(alpha))
        if abs(math.sqrt(z2) / quantile - 1) > 1e-6 and abs(delta - d.estimate) > 1e-9:
            inside = d.low <= delta <= d.high
            same_side = not significant or delta * d.estimate > 0
            # The interval holds what is not rejected, and nothing that is but for holes of tiny counts.
            assert inside or math.sqrt(z2) > quantile or not same_side, delta
            if min(n for stratum in counts for _, n in stratum) > 40:
                assert inside == (math.sqrt(z2) < quantile), delta


def test_equal_strata_are_one():
    """Two strata with the same counts give a difference and lift of their sum's score test, but for (N - 1)."""
    t, c = zeros_and_ones(30, 1000), zeros_and_ones(20, 1000)
    two, one = compare_proportions_over_strata([t, t], [c, c], "y"), compare_proportions(t + t, c + c, "y")
    assert two.difference.p_value == pytest.approx(one.difference.p_value, rel=2e-3)
    width = one.lift.high - one.lift.low
    assert [two.lift.low, two.lift.high] == pytest.approx([one.lift.low, one.lift.high], abs=1e-3 * width)


def test_posterior_over_strata_agrees_with_draws():
    """P(best), loss and interval of two strata agree with two million draws of the strata's own Beta posteriors."""
    counts = {"c": ((80, 2700), (50, 1100)), "a": ((12, 300), (60, 900)), "b": ((3, 150), (25, 500))}
    arms = {name: [zeros_and_ones(*part) for part in parts] for name, parts in counts.items()}
    w = stratum_weights(list(arms.values()))
    rng = np.random.default_rng(5)
    n_draws = 2_000_000
    draws = np.stack(
        [
            sum(k * rng.beta(1 + x, 1 + n - x, n_draws) for k, (x, n) in zip(w, parts, strict=True))
            for parts in counts.values()
        ]
    )
    for direction, sign in (("increase", 1), ("decrease", -1)):
        posterior = beta_posteriors_over_strata(arms, "y", "c", direction=direction)
        best = np.bincount((sign * draws).argmax(axis=0), minlength=3) / n_draws
        assert list(posterior.probability_best.values()) == pytest.approx(best.tolist(), abs=1.3e-3)
        assert sum(posterior.probability_best.values()) == pytest.approx(1, abs=1e-12)
        for at, name in ((1, "a"), (2, "b")):
            against, gap = posterior.against_control[name], sign * (draws[at] - draws[0])
            assert against.probability_better == pytest.approx((gap > 0).mean(), abs=1.3e-3)
            loss = np.maximum(-gap, 0)
            assert against.expected_loss == pytest.approx(loss.mean(), abs=4 * loss.std() / math.sqrt(n_draws))
            ends = np.quantile(sign * gap, [0.025, 0.975])
            assert [against.low, against.high] == pytest.approx(ends.tolist(), abs=0.004 * (ends[1] - ends[0]))


def test_posterior_over_strata_of_one_is_the_exact_one():
    """The lattice of sums agrees with the exact quadrature of single Beta posteriors to 1e-4."""
    rates = {"c": Beta(81, 2621), "a": Beta(13, 289), "b": Beta(1, 150)}
    for direction in ("increase", "decrease"):
        exact = beta_posteriors(
            {"c": zeros_and_ones(80, 2700), "a": zeros_and_ones(12, 300), "b": zeros_and_ones(0, 149)},
            "y",
            "c",
            direction=direction,
        )
        ours = posteriors_of_sums({name: [(1.0, rate)] for name, rate in rates.items()}, "c", direction, 0.95)
        for name, share in exact.probability_best.items():
            assert ours.probability_best[name] == pytest.approx(share, abs=1e-4)
        for name, against in exact.against_control.items():
            seen = ours.against_control[name]
            assert seen.probability_better == pytest.approx(against.probability_better, abs=1e-4)
            assert seen.expected_loss == pytest.approx(against.expected_loss, rel=1e-3)
            width = against.high - against.low
            assert [seen.low, seen.high] == pytest.approx([against.low, against.high], abs=1e-4 * width)


def test_skewness_of_the_combined_difference():
    """κ is the third cumulant of Σ w (m_t - m_c) over SE³: that of the linear combination, by hand."""
    t, c = by_stratum(two_phases(6))
    w = (0.6, 0.4)
    third = sum(
        sign * k**3 * float(m.m3[0]) / m.n**3 for sign, arm in ((1, t), (-1, c)) for k, m in zip(w, arm, strict=True)
    )
    se = compare_means_over_strata(t, c, "y").difference.se
    assert skew_kappa_over_strata(t, c, "y") == pytest.approx(third / se**3, rel=1e-12)


def test_no_common_stratum():
    """Arms that never ran together, or never have two visitors, have a status and a reason and no number."""
    t, c = by_stratum(two_phases())
    empty = Moments.zero(t[0].columns)
    ts, cs = [t[0], empty], [empty, c[1]]
    for comparison in (
        compare_means_over_strata(ts, cs, "y"),
        compare_ratios_over_strata(ts, cs, "y", "orders"),
        compare_proportions_over_strata(ts, cs, "bought"),
        compare_adjusted_over_strata(ts, cs, "y", ["x"]),
    ):
        assert comparison.status == "insufficient"
        assert comparison.reason == "no phase has two visitors in every arm"
    assert mean_over_strata(ts, "y", (0.0, 0.0)) == "no phase has two visitors in every arm"
    with pytest.raises(InputError, match="no phase"):
        beta_posteriors_over_strata({"t": ts, "c": cs}, "bought", "c")


def test_phases_before_the_first_order_have_no_adjusted_comparison():
    """A metric that is 0 for everybody in two phases is insufficient, with the reason of a single phase."""
    rng = np.random.default_rng(1)
    before = [Moments.from_arrays({"y": np.zeros(40), "x": rng.gamma(1, 20, 40)}) for _ in range(4)]
    single = compare_adjusted(before[0], before[1], "y", ["x"])
    found = compare_adjusted_over_strata(before[:2], before[2:], "y", ["x"])
    assert (found.status, found.reason) == ("insufficient", single.reason)


def test_a_stratum_too_small_for_slopes_keeps_its_weight():
    """Two visitors an arm are not adjusted but counted: the estimand is the plain comparison's."""
    data = two_phases()
    for arm in "tc":
        data[arm].append({name: np.asarray(column[:2]) for name, column in data[arm][0].items()})
    t, c = by_stratum(data)
    w = stratum_weights([t, c])
    assert w[2] > 0
    ours = compare_adjusted_over_strata(t, c, "y", ["x"])
    inside = [compare_adjusted(a, b, "y", ["x"]).difference.estimate for a, b in zip(t[:2], c[:2], strict=True)]
    tiny = t[2].mean_of("y") - c[2].mean_of("y")
    assert ours.difference.estimate == pytest.approx(w[0] * inside[0] + w[1] * inside[1] + w[2] * tiny, rel=1e-12)


def test_covers_a_change_of_split():
    """95 % intervals over two phases with different splits and levels cover no effect as often as they say."""
    rng = np.random.default_rng(9)
    missed = {"mean": 0, "rate": 0, "pooled": 0}
    runs = 1500
    for _ in range(runs):
        arms = []
        for sizes in ((60, 300), (540, 300)):
            rates = (0.1, 0.25)
            arms.append([zeros_and_ones(int(rng.binomial(n, p)), n) for n, p in zip(sizes, rates, strict=True)])
        t, c = arms
        missed["mean"] += compare_means_over_strata(t, c, "y").difference.p_value < 0.05
        missed["rate"] += compare_proportions_over_strata(t, c, "y").difference.p_value < 0.05
        missed["pooled"] += compare_proportions(Moments.merge(t), Moments.merge(c), "y").difference.p_value < 0.05
    error = math.sqrt(0.05 * 0.95 / runs)
    assert abs(missed["mean"] / runs - 0.05) < 3.5 * error
    assert abs(missed["rate"] / runs - 0.05) < 3.5 * error
    assert missed["pooled"] / runs > 0.4


@pytest.mark.parametrize("scale", [1e-100, 1.0, 1e100])
def test_money_of_any_size_has_the_same_freedom(scale):
    """Degrees of freedom over strata are those at 1 where squared variances vanish or overflow."""
    rng = np.random.default_rng(9)
    values = [rng.normal(5, 1, 20), rng.normal(6, 2, 40)]
    plain, sized = (
        mean_over_strata([Moments.from_arrays({"y": x * s}) for x in values], "y", (0.3, 0.7)) for s in (1.0, scale)
    )
    assert sized.df == pytest.approx(plain.df)
    assert 20 < plain.df < 60
