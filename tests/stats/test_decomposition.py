"""Revenue taken apart into its factors, and ratios made into means."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import math

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.stats import (
    Moments,
    compare_adjusted,
    compare_means,
    compare_proportions,
    compare_ratios,
    decompose_revenue,
    linearised,
)


def shop(seed, n, rate=0.3, size=1.0):
    rng = np.random.default_rng(seed)
    orders = rng.poisson(rate, n)
    past = rng.gamma(2, 10, n)
    money = orders * (size * rng.gamma(2, 20, n) + past)
    return Moments.from_arrays({"bought": orders > 0, "orders": orders, "money": money, "past": past})


def test_logarithms_add_up():
    """ln of the lift of revenue is the sum of the lns of its three factors, to the last digits."""
    t, c = shop(1, 2000, 0.33, 1.1), shop(2, 1500)
    found = decompose_revenue(t, c, converted="bought", orders="orders", revenue="money")
    assert sum(factor.log_ratio for factor in found.factors) == pytest.approx(found.total.log_ratio, rel=1e-12)
    assert math.prod(factor.treatment for factor in found.factors) == pytest.approx(found.total.treatment, rel=1e-12)
    for factor in (*found.factors, found.total):
        assert math.log1p(factor.lift.estimate) == pytest.approx(factor.log_ratio, rel=1e-9)
    assert [factor.causal for factor in (*found.factors, found.total)] == [True, False, False, True]


def test_every_factor_has_the_interval_of_its_own_method():
    """The rate has the score interval, ratios the delta method per visitor, the total the inverted Welch test."""
    t, c = shop(3, 800), shop(4, 800)
    found = decompose_revenue(t, c, converted="bought", orders="orders", revenue="money", alpha=0.1)
    assert found.factors[0].lift == compare_proportions(t, c, "bought", alpha=0.1).lift
    assert found.factors[1].lift == compare_ratios(t, c, "orders", "bought", alpha=0.1).lift
    assert found.factors[2].lift == compare_ratios(t, c, "money", "orders", alpha=0.1).lift
    assert found.total.lift == compare_means(t, c, "money", alpha=0.1).lift


def test_no_orders_have_no_logarithm():
    """An arm without an order has a rate of 0 and no order value; nothing is infinite, and reasons are given."""
    t = Moments.from_arrays({"bought": [0, 0, 0], "orders": [0, 0, 0], "money": [0, 0, 0]})
    c = Moments.from_arrays({"bought": [0, 1, 1], "orders": [0, 1, 2], "money": [0, 5, 9]})
    found = decompose_revenue(t, c, converted="bought", orders="orders", revenue="money")
    assert found.factors[0].treatment == 0
    assert [factor.log_ratio for factor in (*found.factors, found.total)] == [None] * 4
    assert found.factors[2].treatment is None
    assert found.factors[2].lift.kind == "undefined"
    assert "orders" in found.factors[2].lift.reason


def test_linearised_ratio():
    """y - R x has the moments of its values: mean 0 in the control and x̄_t (R_t - R_c) in the treatment."""
    rng = np.random.default_rng(5)
    values = {"y": rng.gamma(2, 10, 500), "x": rng.poisson(2, 500).astype(float)}
    ratio = values["y"].sum() / values["x"].sum()
    ours = linearised(Moments.from_arrays(values), "y", "x", ratio)
    direct = Moments.from_arrays(values | {"linearised": values["y"] - ratio * values["x"]})
    assert ours.columns == direct.columns
    assert ours.mean_of("linearised") == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(ours.m2, direct.m2, rtol=1e-10)
    t, c = shop(6, 3000, size=1.2), shop(7, 3000)
    r = c.mean_of("money") / c.mean_of("orders")
    lin = compare_means(*(linearised(arm, "money", "orders", r) for arm in (t, c)), "linearised").difference
    plain = compare_ratios(t, c, "money", "orders").difference
    assert lin.estimate == pytest.approx(t.mean_of("orders") * plain.estimate, rel=1e-10)
    # The same question asked in another unit: z-values differ only by what the treatment's own ratio adds.
    assert lin.estimate / lin.se == pytest.approx(plain.estimate / plain.se, rel=0.05)


def test_linearised_ratio_is_adjusted():
    """CUPED on a linearised ratio keeps the estimate near and removes variance that past spend explains."""
    t, c = shop(8, 4000, size=1.2), shop(9, 4000)
    r = c.mean_of("money") / c.mean_of("orders")
    t, c = (linearised(arm, "money", "orders", r) for arm in (t, c))
    plain, adjusted = compare_means(t, c, "linearised").difference, compare_adjusted(t, c, "linearised", ["past"])
    assert adjusted.adjustment.r_squared > 0.02
    assert adjusted.difference.estimate == pytest.approx(plain.estimate, abs=plain.se)


def test_refused_linearisation():
    """A ratio that does not exist, or a name that is taken, is refused."""
    arm = shop(1, 50)
    with pytest.raises(InputError, match="finite number"):
        linearised(arm, "money", "orders", math.nan)
    with pytest.raises(InputError, match="twice"):
        linearised(arm, "money", "orders", 1.0, column="past")
