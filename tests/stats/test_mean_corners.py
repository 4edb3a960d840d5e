"""Means, ratios and adjusted means without information: always a status and a reason, never a made-up number."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import math

import numpy as np
import pytest
from offerlift.stats import (
    Estimate,
    Moments,
    Shared,
    compare_adjusted,
    compare_estimates,
    compare_means,
    compare_ratios,
    fieller,
    ratio_of,
    skew_kappa,
)
from offerlift.stats.fieller import welch

from .samples import column


@pytest.mark.parametrize(
    ("t", "c", "status", "words"),
    [
        (column(), column(1, 2), "insufficient", "0 visitors"),
        (column(1, 2), column(5), "insufficient", "1 visitor in an arm"),
        (column(0, 0, 0), column(0, 0), "insufficient", "does not vary within either arm"),
        (column(*[0.1] * 7), column(*[0.3] * 5), "insufficient", "does not vary within either arm"),
    ],
)
def test_means_without_information(t, c, status, words):
    """Too few visitors or no variance: no difference, no p of 0 or 1, and the reason."""
    comparison = compare_means(t, c, "y")
    assert (comparison.status, comparison.difference) == (status, None)
    assert words in comparison.reason
    assert comparison.lift.kind == "undefined"
    assert comparison.lift.reason == comparison.reason


def test_rounding_is_not_variance():
    """Equal values whose sum of squares is only rounding are insufficient, not a p-value of 1e-300."""
    arms = [Moments(("y",), 50, np.array([m]), np.array([[50 * (m * 2e-16) ** 2]]), np.zeros(1)) for m in (0.1, 0.3)]
    assert compare_means(*arms, "y").status == "insufficient"
    tight = [Moments(("y",), 50, np.array([m]), np.array([[50.0]]), np.zeros(1)) for m in (1e9, 1e9 + 1)]
    assert compare_means(*tight, "y").difference.se == pytest.approx(math.sqrt(2 / 49), rel=1e-12)


def test_one_arm_without_variance():
    """A control that never varies still gives Welch's test, on the treatment's df, and a bounded lift."""
    comparison = compare_means(column(1, 2, 3, 4), column(2, 2, 2), "y")
    assert comparison.difference.df == pytest.approx(3)
    assert comparison.lift.kind == "bounded"
    assert comparison.lift.low == pytest.approx(comparison.difference.low / 2, rel=1e-12)
    other = compare_means(column(2, 2, 2), column(1, 2, 3, 4), "y")
    assert other.lift.kind in ("bounded", "complement", "unbounded")


@pytest.mark.parametrize("mean", [0.0, -3.0])
def test_control_mean_not_above_zero(mean):
    """A loss-making or empty control has a difference and no relative lift, and says why."""
    comparison = compare_means(column(1, 2, 3), column(mean - 1, mean, mean + 1), "y")
    assert comparison.status == "ok"
    assert comparison.difference is not None
    assert comparison.lift.kind == "undefined"
    assert "not above 0" in comparison.lift.reason


def test_kinds_of_lift():
    """A control mean 10, 1.5 and 0.5 standard errors from 0: bounded, complement, nothing ruled out."""
    kinds = []
    for z, m in ((10.0, 12.0), (1.5, 9.0), (0.5, 0.4)):
        lift = compare_estimates(Estimate(m, 1.0, 1000), Estimate(z, 1.0, 1000), method="welch").lift
        kinds.append(lift.kind)
        closed = fieller(m, 1.0, z, 1.0, 1.96)
        assert closed.kind == lift.kind
        if lift.kind == "complement":
            assert lift.low < lift.high < lift.estimate
            assert "ruled out" in lift.reason
    assert kinds == ["bounded", "complement", "unbounded"]


def test_infinite_direction_has_the_controls_df():
    """Bounded or not is judged at r = ∞ with df = n_c - 1: with three control visitors 4 SE from 0 are not enough."""

    def kind(df_c):
        return compare_estimates(Estimate(4.0, 1.0, 1e6), Estimate(4.0, 1.0, df_c), method="welch").lift.kind

    assert kind(2) != "bounded"  # t_2 = 4.30
    assert kind(4) == "bounded"  # t_4 = 2.78


@pytest.mark.parametrize(
    ("t", "c", "status", "words"),
    [
        (
            {"y": [0, 0, 0], "x": [0, 0, 0]},
            {"y": [1, 2, 3], "x": [1, 1, 2]},
            "undefined",
            "not above 0 in the treatment",
        ),
        ({"y": [1, 2, 3], "x": [1, 1, 2]}, {"y": [0, 0, 0], "x": [0, 0, 0]}, "undefined", "not above 0 in the control"),
        ({"y": [5], "x": [1]}, {"y": [1, 2, 3], "x": [1, 1, 2]}, "insufficient", "1 visitor in the treatment"),
        ({"y": [5, 0, 0], "x": [1, 0, 0]}, {"y": [1, 2, 3], "x": [1, 1, 2]}, "insufficient", "no variance"),
    ],
)
def test_ratios_without_information(t, c, status, words):
    """No orders, one visitor or one order: the ratio is undefined or insufficient, with the arm named."""
    comparison = compare_ratios(Moments.from_arrays(t), Moments.from_arrays(c), "y", "x")
    assert (comparison.status, comparison.difference) == (status, None)
    assert words in comparison.reason


def test_ratio_of_nothing():
    """An arm without denominators has no ratio."""
    assert ratio_of(Moments.zero(["y", "x"]), "y", "x") is None
    assert ratio_of(Moments.from_arrays({"y": [0.0, 0.0], "x": [0.0, 0.0]}), "y", "x") is None


def test_adjustment_without_information():
    """Fewer visitors than slopes need, and a metric that is its covariate, are insufficient."""
    few = Moments.from_arrays({"y": [1.0, 2.0], "x": [3.0, 5.0]})
    many = Moments.from_arrays({"y": [1.0, 2.0, 5.0, 3.0], "x": [3.0, 5.0, 4.0, 4.0]})
    comparison = compare_adjusted(few, many, "y", ["x"])
    assert (comparison.status, comparison.adjustment) == ("insufficient", None)
    assert "2 visitors in the treatment" in comparison.reason
    copy = Moments.from_arrays({"y": [1.0, 2.0, 5.0, 3.0], "x": [2.0, 4.0, 10.0, 6.0]})
    assert compare_adjusted(copy, copy, "y", ["x"]).status == "insufficient"
    assert compare_adjusted(many, many, "y", []).difference.p_value == 1


def test_skewness_without_information():
    """κ is 0 where there is no standard error."""
    assert skew_kappa(column(1), column(1, 2), "y") == 0
    assert skew_kappa(column(1, 1), column(2, 2), "y") == 0


@pytest.mark.parametrize("scale", [1e-140, 1e-75, 1.0, 1e75, 1e80, 1e100, 1e150])
def test_money_of_any_size_has_the_same_freedom_and_lift(scale):
    """From 1e-140 to 1e150, whose squared variances vanish or overflow, df, p-value and lift are those at 1."""
    pairs = [(Estimate(52.0 * s, s * s, 99), Estimate(50.0 * s, 2 * s * s, 50)) for s in (1.0, scale)]
    plain, sized = (compare_estimates(t, c, method="welch") for t, c in pairs)
    assert sized.difference.df == pytest.approx(plain.difference.df)
    assert sized.difference.p_value == pytest.approx(plain.difference.p_value)
    assert sized.difference.high == pytest.approx(plain.difference.high * scale)
    assert (sized.lift.low, sized.lift.high) == pytest.approx((plain.lift.low, plain.lift.high))
    for covariance in (0.0, 0.4):
        one, other = (
            fieller(t.mean, t.variance, c.mean, c.variance, 1.96, covariance=covariance * t.variance) for t, c in pairs
        )
        assert (other.kind, other.low, other.high) == ("bounded", pytest.approx(one.low), pytest.approx(one.high))


def test_huge_variances_of_arrays_keep_their_freedom():
    """Day by day as one by one: variances near 1e300 give finite degrees of freedom, without a warning."""
    t, c = (
        Estimate(np.array([5.0, 5e150]), np.array([1.0, 1e300]), np.array([9.0, 9.0])),
        Estimate(np.array([5.0, 5e150]), np.array([1.0, 1e300]), np.array([9.0, 9.0])),
    )
    nothing = np.zeros(2)
    df = welch(t, c, Shared(nothing, nothing, nothing, nothing + np.inf), 0.05)[2]
    assert df.tolist() == [18.0, 18.0]
