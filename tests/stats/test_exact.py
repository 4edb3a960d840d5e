"""The conditional mid-p of two conversion rates."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.stats
from offerlift.errors import InputError
from offerlift.stats import conditional_mid_p, miettinen_nurminen_difference


@pytest.mark.parametrize(
    "counts", [(3, 10, 0, 10), (0, 10, 3, 12), (5, 5, 0, 7), (0, 9, 0, 4), (7, 7, 4, 4), (120, 2000, 90, 2100)]
)
def test_mid_p_by_hand(counts):
    """Twice the smaller tail with half of the observed probability, from scipy's hypergeometric distribution."""
    x_t, n_t, x_c, n_c = counts
    dealt = scipy.stats.hypergeom(n_t + n_c, x_t + x_c, n_t)
    tails = dealt.sf(x_t) + dealt.pmf(x_t) / 2, dealt.cdf(x_t - 1) + dealt.pmf(x_t) / 2
    assert conditional_mid_p(*counts) == pytest.approx(min(2 * min(tails), 1), rel=1e-9)


def test_mid_p_is_uniform_in_the_mean():
    """Over all ways to deal 40 conversions out, E[p] is near 1/2 and P(p <= .05) near .05, unlike Fisher's."""
    dealt = scipy.stats.hypergeom(2000, 40, 1000)
    x = np.arange(41)
    p = np.array([conditional_mid_p(int(k), 1000, int(40 - k), 1000) for k in x])
    weight = dealt.pmf(x)
    assert weight @ p == pytest.approx(0.5, abs=0.01)
    assert weight[p <= 0.05].sum() == pytest.approx(0.05, abs=0.02)


def test_mid_p_of_the_far_tail():
    """5,000 v 6,000 of 100,000 is near the score test's 1.03e-22, and 0 v 600 of 1,000 is exact in the far tail."""
    score = miettinen_nurminen_difference(6000, 100_000, 5000, 100_000).p_value
    assert conditional_mid_p(6000, 100_000, 5000, 100_000) == pytest.approx(score, rel=0.1, abs=0)
    exact = Fraction(math.comb(1000, 600), math.comb(2000, 600))
    assert conditional_mid_p(0, 1000, 600, 1000) == pytest.approx(float(exact), rel=1e-9, abs=0)
    # 2 · (1/2) · C(2000, 840)/C(4000, 840), which is below 1e-301.
    log_exact = math.log(math.comb(2000, 840)) - math.log(math.comb(4000, 840))
    assert math.log(conditional_mid_p(0, 2000, 840, 2000)) == pytest.approx(log_exact, rel=1e-12)
    assert log_exact < -300 * math.log(10)


def test_refused_counts():
    """More conversions than visitors are refused."""
    with pytest.raises(InputError, match="0 <= x <= n"):
        conditional_mid_p(3, 1, 0, 5)
