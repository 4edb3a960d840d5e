"""The same numbers by other code: statsmodels and scipy on raw data."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import warnings

import numpy as np
import pytest
from scipy import stats

with warnings.catch_warnings():
    # statsmodels warns of its own dependencies while it is imported.
    warnings.simplefilter("ignore")
    import statsmodels.api as sm
    from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint, proportions_chisquare

from offerlift.stats import (
    Moments,
    compare_adjusted,
    compare_means,
    compare_ratios,
    dunnett_critical,
    homogeneity_test,
    miettinen_nurminen_difference,
    miettinen_nurminen_ratio,
    newcombe_difference,
    sample_ratio_test,
    wilson_interval,
)

# R's mtcars: miles per gallon, weight, horsepower, manual gearbox.
MPG = [
    21, 21, 22.8, 21.4, 18.7, 18.1, 14.3, 24.4, 22.8, 19.2, 17.8, 16.4, 17.3, 15.2, 10.4, 10.4, 14.7, 32.4, 30.4, 33.9,
    21.5, 15.5, 15.2, 13.3, 19.2, 27.3, 26, 30.4, 15.8, 19.7, 15, 21.4,
]  # fmt: skip
WEIGHT = [
    2.62, 2.875, 2.32, 3.215, 3.44, 3.46, 3.57, 3.19, 3.15, 3.44, 3.44, 4.07, 3.73, 3.78, 5.25, 5.424, 5.345, 2.2,
    1.615, 1.835, 2.465, 3.52, 3.435, 3.84, 3.845, 1.935, 2.14, 1.513, 3.17, 2.77, 3.57, 2.78,
]  # fmt: skip
POWER = [
    110, 110, 93, 110, 175, 105, 245, 62, 95, 123, 123, 180, 180, 180, 205, 215, 230, 66, 52, 65, 97, 150, 150, 245,
    175, 66, 91, 113, 264, 175, 335, 109,
]  # fmt: skip
MANUAL = [1, 1, 1] + [0] * 14 + [1, 1, 1] + [0] * 5 + [1] * 7


def random_arms(seed, n_t=400, n_c=250, slope=0.6):
    rng = np.random.default_rng(seed)
    t = np.concatenate([np.ones(n_t), np.zeros(n_c)])
    x = rng.gamma(2, 10, (2, n_t + n_c))
    y = 3 + t + slope * x[0] * (1 + t) - 0.1 * x[1] + rng.lognormal(0, 1, n_t + n_c) * (1 + x[0] / 20)
    return y, t, x


def split(y, t, x):
    names = [f"x{k}" for k in range(len(x))]
    return names, *(
        Moments.from_arrays({"y": y[t == arm], **dict(zip(names, x[:, t == arm], strict=True))}) for arm in (1, 0)
    )


def interacted(y, t, x, cov_type):
    centred = x - x.mean(axis=1, keepdims=True)
    design = np.column_stack([np.ones_like(t), t, *centred, *(t * centred)])
    fit = sm.OLS(y, design).fit(cov_type=cov_type)
    return fit.params[1], fit.bse[1]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("p", [1, 2])
def test_adjustment_is_the_interacted_regression(seed, p):
    """Lin's estimate is least squares on T, x and T·x to 1e-10; its error HC2's to 6 %, and larger by the last term."""
    y, t, x = random_arms(seed)
    names, treatment, control = split(y, t, x[:p])
    result = compare_adjusted(treatment, control, "y", names)
    estimate, se = interacted(y, t, x[:p], "HC2")
    assert result.difference.estimate == pytest.approx(estimate, rel=1e-10)
    slope = np.array(result.adjustment.theta_treatment) - np.array(result.adjustment.theta_control)
    last = slope @ np.atleast_2d(np.cov(x[:p])) @ slope / len(y)
    assert np.sqrt(result.difference.se**2 - last) == pytest.approx(se, rel=0.06)
    assert result.difference.se**2 > se**2


def test_adjustment_of_mtcars():
    """mtcars, gearbox adjusted for horsepower and weight: statsmodels' coefficient; for horsepower HC2's error to 3 %.

    Weight differs so much between the gearboxes, which nobody randomised, that the regression's error also pays for
    the distance to the common mean; in an experiment that part vanishes.
    """
    y, t, x = np.array(MPG), np.array(MANUAL, dtype=float), np.array([POWER, WEIGHT], dtype=float)
    for rows in (x[:1], x[1:], x):
        names, treatment, control = split(y, t, rows)
        assert compare_adjusted(treatment, control, "y", names).difference.estimate == pytest.approx(
            interacted(y, t, rows, "HC2")[0], rel=1e-10
        )
    names, treatment, control = split(y, t, x[:1])
    result = compare_adjusted(treatment, control, "y", names)
    slope = result.adjustment.theta_treatment[0] - result.adjustment.theta_control[0]
    without_last = np.sqrt(result.difference.se**2 - slope**2 * np.var(x[0], ddof=1) / 32)
    assert without_last == pytest.approx(interacted(y, t, x[:1], "HC2")[1], rel=0.03)


def test_adjusted_error_with_equal_spread_is_the_regressions():
    """With arms balanced on x the error is that of two regressions, one an arm, and the last term."""
    rng = np.random.default_rng(9)
    half = rng.normal(size=500)
    x, t = np.concatenate([half, half]), np.repeat([1.0, 0.0], 500)
    y = 2 * x * (1 + 0 * t) + rng.normal(size=1000)
    names, treatment, control = split(y, t, x[None, :])
    result = compare_adjusted(treatment, control, "y", names)
    parts = []
    for arm in (1, 0):
        fit = sm.OLS(y[t == arm], sm.add_constant(x[t == arm])).fit()
        parts.append(fit.mse_resid / 500)
    slope = result.adjustment.theta_treatment[0] - result.adjustment.theta_control[0]
    assert result.difference.se**2 == pytest.approx(sum(parts) + slope**2 * np.var(x, ddof=1) / 1000, rel=1e-10)


def test_adjustment_ignores_how_the_covariate_is_written():
    """Euros or cents, shifted by a million: the adjusted comparison stays the same."""
    y, t, x = random_arms(3)
    names, *arms = split(y, t, x[:1])
    _, *moved = split(y, t, 100 * x[:1] + 1e6)
    a, b = (compare_adjusted(*pair, "y", names) for pair in (arms, moved))
    assert b.difference.estimate == pytest.approx(a.difference.estimate, rel=1e-8)
    assert b.lift.high == pytest.approx(a.lift.high, rel=1e-8)


@pytest.mark.parametrize(("seed", "n_t", "n_c"), [(0, 30, 50), (1, 5, 200), (2, 2, 3)])
def test_welch(seed, n_t, n_c):
    """Welch's p, df and interval are scipy's on the raw values."""
    rng = np.random.default_rng(seed)
    y_t, y_c = rng.gamma(1, 5, n_t), rng.gamma(2, 3, n_c)
    d = compare_means(Moments.from_arrays({"y": y_t}), Moments.from_arrays({"y": y_c}), "y").difference
    other = stats.ttest_ind(y_t, y_c, equal_var=False)
    ci = other.confidence_interval()
    assert [d.p_value, d.df, d.low, d.high] == pytest.approx([other.pvalue, other.df, ci.low, ci.high], rel=1e-9)


def test_ratio_is_the_linearised_mean():
    """The delta method's difference is Welch's test of the linearised values y - R x, over the mean denominator."""
    rng = np.random.default_rng(4)
    arms = []
    linear = []
    for n in (300, 200):
        x = rng.poisson(1.5, n).astype(float)
        y = x * rng.gamma(2, 20, n)
        arms.append(Moments.from_arrays({"y": y, "x": x}))
        linear.append((y - y.sum() / x.sum() * x) / x.mean() + y.sum() / x.sum())
    d = compare_ratios(*arms, "y", "x").difference
    other = stats.ttest_ind(*linear, equal_var=False)
    assert [d.p_value, d.df] == pytest.approx([other.pvalue, other.df], rel=1e-9)


COUNTS = [(56, 70, 48, 80), (7, 34, 1, 34), (500, 10_000, 430, 9_000), (3, 100, 9, 400), (30, 31, 25, 40)]


@pytest.mark.parametrize("counts", COUNTS, ids=str)
def test_proportions(counts):
    """Newcombe, Wilson, Koopman and the corrected ratio are statsmodels'; its difference is wrong and not compared."""
    x_t, n_t, x_c, n_c = counts
    order = (x_t, n_t, x_c, n_c)
    assert newcombe_difference(*counts) == pytest.approx(confint_proportions_2indep(*order, method="newcomb"), rel=1e-9)
    assert wilson_interval(x_t, n_t) == pytest.approx(proportion_confint(x_t, n_t, method="wilson"), rel=1e-9)
    for correction in (True, False):
        ours = miettinen_nurminen_ratio(*counts, correction=correction)
        other = confint_proportions_2indep(*order, compare="ratio", method="score", correction=correction)
        assert [ours.low, ours.high] == pytest.approx(other, rel=1e-6)
    pooled = stats.chi2_contingency([[x_t, n_t - x_t], [x_c, n_c - x_c]], correction=False)
    assert miettinen_nurminen_difference(*counts, correction=False).p_value == pytest.approx(pooled.pvalue, rel=1e-9)


def test_counts_tests():
    """Sample ratio and homogeneity are scipy's chi-squared tests."""
    counts, shares = [410, 380, 810], [0.25, 0.25, 0.5]
    test, other = sample_ratio_test(counts, shares), stats.chisquare(counts, [1600 * share for share in shares])
    assert [test.statistic, test.p_value] == pytest.approx([other.statistic, other.pvalue], rel=1e-12)
    test, other = homogeneity_test([12, 30, 9], [100, 150, 90]), proportions_chisquare([12, 30, 9], [100, 150, 90])
    assert [test.statistic, test.p_value] == pytest.approx(other[:2], rel=1e-9)


@pytest.mark.parametrize(("v", "v_c"), [([1.0, 2.0, 0.5], 1.0), ([1.0, 1.0], 0.05), ([0.01, 4.0], 2.0)])
def test_dunnett_is_the_multivariate_normal(v, v_c):
    """The chance of staying inside the critical value is scipy's multivariate normal probability, 1 - alpha."""
    load = np.sqrt(v_c / (np.array(v) + v_c))
    correlation = np.outer(load, load)
    np.fill_diagonal(correlation, 1.0)
    normal = stats.multivariate_normal(cov=correlation, seed=1, abseps=1e-7, releps=1e-7, maxpts=2_000_000)
    c = dunnett_critical(v, v_c, sides=1)
    assert normal.cdf(np.full(len(v), c)) == pytest.approx(0.95, abs=2e-5)
    c = dunnett_critical(v, v_c, sides=2)
    inside = normal.cdf(np.full(len(v), c), lower_limit=np.full(len(v), -c))
    assert inside == pytest.approx(0.95, abs=2e-5)


def test_dunnett_with_finite_df_is_the_multivariate_t():
    """With 12 df it is scipy's multivariate t."""
    correlation = np.full((3, 3), 0.5) + 0.5 * np.eye(3)
    t = stats.multivariate_t(shape=correlation, df=12, seed=1)
    c = dunnett_critical([1.0] * 3, 1.0, df=12)
    assert t.cdf(np.full(3, c), lower_limit=np.full(3, -c), random_state=1) == pytest.approx(0.95, abs=2e-4)
