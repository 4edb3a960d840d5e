"""Where another package is wrong on the same numbers: its formula, its answer, ours, and who is right."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import math

import pytest
import scipy.stats
from offerlift.stats import (
    compare_means,
    compare_proportions,
    sample_ratio_test,
)

from .peers import PEERS, arms
from .samples import zeros_and_ones


def test_p_value_that_a_complement_rounds_to_zero():
    """gbstats takes 2 (1 - F(|t|)): 5,000 v 6,000 of 100,000 is p = 0.0, where the truth is 1.03e-22."""
    t, c = (zeros_and_ones(x, 100_000) for x in (6000, 5000))
    welch = compare_means(t, c, "y").difference
    assert 2 * (1 - scipy.stats.t.cdf(welch.estimate / welch.se, welch.df)) == 0.0
    # The pooled z, but for N/(N - 1).
    z = 0.01 / math.sqrt(0.055 * 0.945 * 2 / 100_000)
    assert compare_proportions(t, c, "y").difference.p_value == pytest.approx(
        math.erfc(z / math.sqrt(2)), rel=1e-3, abs=0
    )
    assert 1.02e-22 < compare_proportions(t, c, "y").difference.p_value < 1.05e-22
    assert 0.9e-22 < welch.p_value < 1.05e-22


def test_sample_ratio_with_an_arm_of_weight_zero():
    """gbstats counts an arm of weight 0 into the degrees of freedom and overlooks its visitors.

    A split of 5,000 to 5,300 is p = .0031; with a third arm that should get nobody, and gets nobody, the same data are
    p = .013 there. With 50 visitors in that arm, which is a fault of the assignment whatever their number, its p rises.
    """

    def gbstats(users, weights):
        total, share = sum(users), sum(weights)
        kept = [(n, w / share * total) for n, w in zip(users, weights, strict=True) if w > 0]
        return scipy.stats.chi2.sf(sum((n - e) ** 2 / e for n, e in kept), len(users) - 1)

    two, three = sample_ratio_test([5000, 5300], [1, 1]), sample_ratio_test([5000, 5300, 0], [1, 1, 0])
    assert three.p_value == two.p_value == pytest.approx(scipy.stats.chisquare([5000, 5300]).pvalue, rel=1e-12)
    assert two.p_value == pytest.approx(0.0031, abs=1e-4)
    assert gbstats([5000, 5300], [1, 1]) == pytest.approx(two.p_value, rel=1e-9)
    assert gbstats([5000, 5300, 0], [1, 1, 0]) == pytest.approx(0.0127, abs=1e-3)
    assert sample_ratio_test([5000, 5300, 50], [1, 1, 0]).p_value == 0
    assert gbstats([5000, 5000, 50], [1, 1, 0]) > 0.5


def test_verdict_that_depends_on_the_scale():
    """gbstats: the same revenue is significant as a difference (p = .020) and not as a lift (p = .062); ours agree.

    The delta method gives the lift a symmetric interval of its own. The test of m_t - r m_c = 0 at r = 1 is the test of
    the difference, so that a lift of 0 is excluded exactly where a difference of 0 is.
    """
    absolute, relative = PEERS["gb-welch-abs-mean"], PEERS["gb-welch-rel-mean"]
    assert absolute["inputs"]["treatment"] == relative["inputs"]["treatment"]
    assert absolute["expected"]["p_value"] < 0.05 < relative["expected"]["p_value"]
    assert relative["expected"]["ci_lower"] < 0
    comparison = compare_means(*arms(absolute), "y")
    assert comparison.difference.p_value == pytest.approx(absolute["expected"]["p_value"], rel=1e-9)
    assert comparison.difference.low > 0
    assert comparison.lift.low > 0
