"""One arm's moments over several phases."""

import math

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.stats import (
    Estimate,
    Moments,
    compare_means,
    compare_means_over_strata,
    compare_ratios,
    compare_ratios_over_strata,
    dose_response,
    incrementality,
    mean_over_strata,
    moments_over_strata,
    ratio_over_strata,
    stratum_weights,
)

SIZES = {"t": (300, 2700), "c": (2700, 1100)}
COLUMNS = {"orders": "orders", "margin": "margin", "cost": "cost"}


def phase(rng, n, rate, cost=0.0):
    orders = rng.poisson(rate, n)
    size = orders * rng.gamma(4, 5, n)
    return Moments.from_arrays({"orders": orders, "margin": size * (1 - cost), "cost": size * cost})


def arms(seed=1, t_rate=(0.2, 0.4), c_rate=(0.2, 0.4)):
    """The split changes from 1:9 to 7:3 while orders double."""
    rng = np.random.default_rng(seed)
    t = [phase(rng, n, rate, 0.2) for n, rate in zip(SIZES["t"], t_rate, strict=True)]
    c = [phase(rng, n, rate) for n, rate in zip(SIZES["c"], c_rate, strict=True)]
    weights = stratum_weights([t, c])
    return t, c, weights


def test_means_and_ratios_are_those_over_strata():
    """Means, their variances, ratios and differences are what the functions over strata say."""
    t, c, weights = arms()
    whole_t, whole_c = moments_over_strata(t, weights), moments_over_strata(c, weights)
    expected = mean_over_strata(t, "margin", weights)
    ratio = ratio_over_strata(t, "margin", "orders", weights)
    assert isinstance(expected, Estimate)
    assert isinstance(ratio, Estimate)
    assert whole_t.mean_of("margin") == pytest.approx(expected.mean)
    assert whole_t.variance_of("margin") / whole_t.n == pytest.approx(expected.variance)
    for ours, theirs in (
        (compare_means(whole_t, whole_c, "margin"), compare_means_over_strata(t, c, "margin")),
        (compare_ratios(whole_t, whole_c, "margin", "orders"), compare_ratios_over_strata(t, c, "margin", "orders")),
    ):
        assert ours.difference.estimate == pytest.approx(theirs.difference.estimate)
        assert ours.difference.se == pytest.approx(theirs.difference.se)
        assert ours.lift.high == pytest.approx(theirs.lift.high, rel=2e-3)
    assert ratio.mean == pytest.approx(whole_t.mean_of("margin") / whole_t.mean_of("orders"))


def test_one_stratum_is_itself():
    """A stratum with all the weight comes back as it is, third moments included."""
    t, _, _ = arms()
    assert moments_over_strata(t, (0.0, 1.0)) is t[1]


def test_a_change_of_split_is_no_incremental_order():
    """With equal rates in both phases, pooled visitors show orders that are none; over phases there are none."""
    pooled, over = 0, 0
    for seed in range(200):
        t, c, weights = arms(seed)
        pooled += incrementality(Moments.merge(t), Moments.merge(c), **COLUMNS).share_incremental.low > 0
        found = incrementality(moments_over_strata(t, weights), moments_over_strata(c, weights), **COLUMNS)
        share = found.share_incremental
        over += not share.low <= 0 <= share.high
    assert pooled > 190
    assert over / 200 == pytest.approx(0.05, abs=3.5 * math.sqrt(0.05 * 0.95 / 200))


def test_doses_over_phases():
    """A dose-response over phases has the difference over strata as its contrast."""
    t, c, weights = arms()
    found = dose_response(
        {"t": moments_over_strata(t, weights), "c": moments_over_strata(c, weights)}, {"c": 0, "t": 0.1}, "margin"
    )
    assert found.linear.estimate == pytest.approx(compare_means_over_strata(t, c, "margin").difference.estimate)


def test_refused():
    """Strata that are no arm's are refused, with what was seen."""
    t, _, _ = arms()
    one = Moments.from_arrays({"orders": [1.0], "margin": [1.0], "cost": [0.0]})
    for strata, weights, seen in (
        (t, (1.0,), "2 strata and 1 weights"),
        (t, (0.0, 0.0), "any weight"),
        ([t[0], one], (0.5, 0.5), "1 visitors"),
        ([t[0], t[1].select(["orders"])], (0.5, 0.5), r"\['orders'\]"),
    ):
        with pytest.raises(InputError, match=seen):
            moments_over_strata(strata, weights)
