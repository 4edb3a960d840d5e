"""The formulas of docs/formulas.md, written down anew, give the numbers of the functions that they are of."""

from __future__ import annotations

import math

import numpy as np
import pytest
from offerlift.stats import (
    Moments,
    anytime_interval,
    compare_means,
    compare_proportions,
    compare_ratios,
    sample_ratio_test,
    sequential_boundaries,
    sequential_sample_ratio_test,
    skew_kappa,
    value_of_perfect_information,
)
from offerlift.stats.anytime import mixture_lambda
from scipy.special import gammaln, lambertw, ndtr, ndtri
from scipy.stats import chi2, norm, t

RNG = np.random.default_rng(3)
ORDERS = {arm: RNG.poisson(0.2, n).astype(float) for arm, n in (("t", 4_000), ("c", 3_000))}
VALUES = {arm: orders * RNG.lognormal(3, 0.5, len(orders)) for arm, orders in ORDERS.items()}
BOUGHT = {arm: (orders > 0).astype(float) for arm, orders in ORDERS.items()}


def moments(arm: str) -> Moments:
    return Moments.from_arrays({"value": VALUES[arm], "orders": ORDERS[arm], "bought": BOUGHT[arm]})


def mean_and_variance(arm: str) -> tuple[float, float, int]:
    x = VALUES[arm]
    return float(x.mean()), float(x.var(ddof=1) / len(x)), len(x)


def test_welch_and_fieller():
    """The interval of the difference, and the ratios whose test is exactly at its critical value at the ends."""
    (m_t, v_t, n_t), (m_c, v_c, n_c) = mean_and_variance("t"), mean_and_variance("c")
    result = compare_means(moments("t"), moments("c"), "value")
    df = (v_t + v_c) ** 2 / (v_t**2 / (n_t - 1) + v_c**2 / (n_c - 1))
    half = t.ppf(0.975, df) * math.sqrt(v_t + v_c)
    assert (result.difference.low, result.difference.high) == pytest.approx(
        (m_t - m_c - half, m_t - m_c + half), rel=1e-9
    )
    for lift in (result.lift.low, result.lift.high):
        r = 1 + lift
        own = (v_t + r * r * v_c) ** 2 / (v_t**2 / (n_t - 1) + (r * r * v_c) ** 2 / (n_c - 1))
        assert abs(m_t - r * m_c) / math.sqrt(v_t + r * r * v_c) == pytest.approx(t.ppf(0.975, own), rel=1e-6)


def test_the_score_test_of_conversion():
    """At the ends of the interval the score, with the likeliest rates there, is at its critical value."""
    result = compare_proportions(moments("t"), moments("c"), "bought")
    (x_t, n_t), (x_c, n_c) = ((BOUGHT[arm].sum(), len(BOUGHT[arm])) for arm in "tc")
    total = n_t + n_c
    for delta in (result.difference.low, result.difference.high):
        grid = np.linspace(max(0, -delta) + 1e-9, min(1, 1 - delta) - 1e-9, 2_000_001)
        likelihood = x_t * np.log(grid + delta) + (n_t - x_t) * np.log(1 - grid - delta)
        likelihood += x_c * np.log(grid) + (n_c - x_c) * np.log(1 - grid)
        p_c = grid[likelihood.argmax()]
        p_t = p_c + delta
        variance = (p_t * (1 - p_t) / n_t + p_c * (1 - p_c) / n_c) * total / (total - 1)
        z = abs(x_t / n_t - x_c / n_c - delta) / math.sqrt(variance)
        assert z == pytest.approx(norm.ppf(0.975), rel=1e-5)


def test_the_variance_of_a_ratio():
    """The delta method over visitors."""
    result = compare_ratios(moments("t"), moments("c"), "value", "orders")
    variance = 0.0
    for arm in "tc":
        y, x = VALUES[arm], ORDERS[arm]
        ratio = y.mean() / x.mean()
        cov = np.cov(y, x)
        variance += (cov[0, 0] - 2 * ratio * cov[0, 1] + ratio**2 * cov[1, 1]) / (len(x) * x.mean() ** 2)
    assert result.difference.se == pytest.approx(math.sqrt(variance), rel=1e-9)


def test_the_always_valid_interval():
    """λ by Lambert's W is 8.21, and the half-width is b(a) standard errors at a = λ n/20,000."""
    lam = -float(lambertw(-(0.05**2) / math.e, k=-1).real) - 1
    assert round(lam, 2) == 8.21
    assert mixture_lambda(0.05) == pytest.approx(lam)
    difference = compare_means(moments("t"), moments("c"), "value").difference
    a = lam * 7_000 / 20_000
    bound = math.sqrt(2 * (1 + a) / a * math.log(math.sqrt(1 + a) / 0.05))
    shown = anytime_interval(difference, a=a)
    assert (shown.high - shown.low) / 2 == pytest.approx(bound * difference.se, rel=1e-9)


def test_the_first_planned_boundary():
    """At the first look the boundary is where the error spent by then lies; alone at the end it is the plain one."""
    first = sequential_boundaries([0.5, 1.0]).z[0]
    spent = 2 - 2 * ndtr(ndtri(1 - 0.025 / 2) / math.sqrt(0.5))
    assert first == pytest.approx(-ndtri(spent), rel=1e-9)
    assert sequential_boundaries([1.0]).z[0] == pytest.approx(ndtri(0.975), rel=1e-6)


def test_the_split():
    """Pearson's statistic, and the Bayes factor whose inverse is the p-value at any time."""
    counts, shares = np.array([5_200, 4_800]), np.array([0.5, 0.5])
    expected = counts.sum() * shares
    p = chi2.sf(((counts - expected) ** 2 / expected).sum(), 1)
    assert sample_ratio_test(counts.tolist(), shares.tolist()).p_value == pytest.approx(p)
    prior = 100 * shares
    log_bf = gammaln(prior.sum()) - gammaln(prior.sum() + counts.sum())
    log_bf += (gammaln(prior + counts) - gammaln(prior) - counts * np.log(shares)).sum()
    found = sequential_sample_ratio_test(counts.tolist(), shares.tolist()).p_value
    assert found == pytest.approx(min(1, math.exp(-log_bf)))


def test_skew_and_information():
    """κ from third central sums, and the value of perfect information."""
    third = {arm: ((x - x.mean()) ** 3).sum() / len(x) ** 3 for arm, x in VALUES.items()}
    se = math.sqrt(mean_and_variance("t")[1] + mean_and_variance("c")[1])
    assert skew_kappa(moments("t"), moments("c"), "value") == pytest.approx((third["t"] - third["c"]) / se**3)
    u = 0.01 / 0.02
    worth = 1_000 * 0.02 * (norm.pdf(u) - u * norm.sf(u))
    assert value_of_perfect_information(0.01, 0.02, 1_000) == pytest.approx(worth)
