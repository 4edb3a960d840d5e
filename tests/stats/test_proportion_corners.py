"""Shares at 0, at 1 and of a single visitor: never NaN, never a made-up 0 or 1, always a reason."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import math

import pytest
from offerlift.errors import InputError
from offerlift.stats import (
    Estimate,
    Moments,
    anytime_interval,
    compare_estimates,
    compare_proportions,
    compare_proportions_over_strata,
    counts_of,
    miettinen_nurminen_difference,
    miettinen_nurminen_ratio,
    newcombe_difference,
    tuning_one_look,
    wilson_interval,
)
from scipy.special import ndtri

from .samples import column, zeros_and_ones

CORNERS = [
    (0, 100, 0, 100),
    (100, 100, 100, 100),
    (0, 100, 100, 100),
    (100, 100, 0, 100),
    (0, 1, 0, 1),
    (1, 1, 1, 1),
    (1, 1, 0, 1),
    (0, 1, 1, 1),
    (0, 1, 0, 10**7),
    (1, 1, 5, 10**7),
    (0, 10**7, 0, 10**7),
    (1, 10**7, 2, 10**7),
    (1, 10**7, 0, 3),
    (10**7 - 1, 10**7, 10**7 - 3, 10**7),
    (10**7, 10**7, 10**7 - 1, 10**7),
    (9, 10, 3, 10),
    (5, 56, 0, 29),
]


@pytest.mark.parametrize("counts", CORNERS, ids=str)
@pytest.mark.parametrize("alpha", [1e-6, 0.05, 0.5])
def test_score_interval_in_every_corner(counts, alpha):
    """The interval holds the estimate, ends solve the score equation of a plain-bisection maximum likelihood."""
    n_t, n_c = counts[1], counts[3]
    d = miettinen_nurminen_difference(*counts, alpha=alpha)
    assert -1 <= d.low <= d.estimate <= d.high <= 1
    assert d.low < d.high
    assert 0 <= d.p_value <= 1
    critical = -float(ndtri(alpha / 2))
    for end in (d.low, d.high):
        if abs(end) < 1:
            z2 = (d.estimate - end) ** 2 / (_variance_by_bisection(counts, end) * (n_t + n_c) / (n_t + n_c - 1))
            assert math.sqrt(z2) == pytest.approx(critical, rel=1e-6)


def _variance_by_bisection(counts, delta):
    """Restricted variance from the score alone, by bisection on p_c, in terms that do not cancel."""
    x_t, n_t, x_c, n_c = counts
    low, high = max(0.0, -delta), min(1.0, 1 - delta)

    def score(p):
        parts = [(x_t, p + delta, 1), (n_t - x_t, 1 - p - delta, -1), (x_c, p, 1), (n_c - x_c, 1 - p, -1)]
        return sum(sign * x / max(q, 1e-300) for x, q, sign in parts if x)

    for _ in range(2000):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        low, high = (middle, high) if score(middle) > 0 else (low, middle)
    p_c = (low + high) / 2
    p_t = p_c + delta
    return max(p_t * (1 - p_t), 0) / n_t + p_c * (1 - p_c) / n_c


def test_no_conversions_at_all():
    """0/100 v 0/100: difference 0, p = 1, a finite symmetric interval, no lift and the reason for it."""
    comparison = compare_proportions(zeros_and_ones(0, 100), zeros_and_ones(0, 100), "y")
    d = comparison.difference
    z2 = 3.841458820694124
    assert (d.estimate, d.p_value) == (0, 1)
    assert d.high == pytest.approx(z2 / (100 * 199 / 200 + z2), rel=1e-12)
    assert d.low == -d.high
    assert comparison.lift.kind == "undefined"
    assert "no conversions" in comparison.lift.reason
    always = anytime_interval(d, a=tuning_one_look())
    assert always.low < 0 < always.high
    assert always.p_value == 1


def test_one_sided_zero_counts():
    """Without control conversions the lift has no upper end; without treatment conversions its low end is -1."""
    above = compare_proportions(zeros_and_ones(9, 100), zeros_and_ones(0, 100), "y").lift
    assert (above.kind, above.estimate, above.high) == ("unbounded", None, None)
    assert above.low > 0
    below = compare_proportions(zeros_and_ones(0, 100), zeros_and_ones(9, 100), "y").lift
    assert (below.kind, below.estimate, below.low) == ("bounded", -1, -1)
    assert below.high < 0


def test_tiny_p_values_are_not_zero():
    """5,000 v 6,000 of 100,000 has p = 1e-22, and p-values go on down to 1e-290."""
    d = miettinen_nurminen_difference(6000, 100_000, 5000, 100_000)
    assert d.p_value == pytest.approx(1.0386508313774e-22, rel=1e-9, abs=0)
    assert 1e-299 < miettinen_nurminen_difference(94_000, 10**6, 80_000, 10**6).p_value < 1e-200
    t, c = Estimate(36.5, 0.5, 1e6), Estimate(0.5, 0.5, 1e6)
    assert 1e-299 < compare_estimates(t, c, method="welch").difference.p_value < 1e-250


@pytest.mark.parametrize("z", [9.0, 20.0, 30.0, 37.1])
def test_tails_to_one_in_ten_to_the_three_hundred(z):
    """Welch's, the score test's, the strata's and the always-valid p keep nine digits and more down to 1e-300."""
    t, c = Estimate(10 + z, 0.5, math.inf), Estimate(10, 0.5, math.inf)
    d = compare_estimates(t, c, method="z").difference
    assert d.p_value == pytest.approx(math.erfc(z / math.sqrt(2)), rel=1e-11, abs=0)
    a = tuning_one_look()
    valid = math.exp(math.log(1 + a) / 2 - a * z * z / (2 * (1 + a)))
    assert anytime_interval(d, a=a).p_value == pytest.approx(valid, rel=1e-11, abs=0)
    n = 10**9
    x_c = n // 2
    x_t = x_c + round(z * math.sqrt(n / 2))
    pooled = (x_t + x_c) / (2 * n)
    statistic = (x_t - x_c) / n / math.sqrt(pooled * (1 - pooled) * 2 / n * (2 * n) / (2 * n - 1))
    score = miettinen_nurminen_difference(x_t, n, x_c, n)
    assert score.p_value == pytest.approx(math.erfc(statistic / math.sqrt(2)), rel=1e-9, abs=0)
    # Two equal strata have √2 times the z of one.
    x_t = x_c + round(z * math.sqrt(n / 4))
    statistic = (
        (x_t - x_c) / n / math.sqrt((x_t + x_c) / (2 * n) * (1 - (x_t + x_c) / (2 * n)) / n * (2 * n) / (2 * n - 1))
    )
    strata = [[zeros_and_ones(x, n)] * 2 for x in (x_t, x_c)]
    two = compare_proportions_over_strata(*strata, "y").difference
    assert two.p_value == pytest.approx(math.erfc(statistic / math.sqrt(2)), rel=1e-9, abs=0)


@pytest.mark.parametrize(
    "counts",
    [(3, 1, 0, 5), (-1, 10, 0, 5), (0, 0, 0, 5), (1.5, 10, 0, 5), (float("nan"), 10, 0, 5), (1, float("inf"), 0, 5)],
)
def test_impossible_counts(counts):
    """x > n, negative, fractional, NaN, infinite or no visitors: refused by every function of counts."""
    functions = [miettinen_nurminen_difference, miettinen_nurminen_ratio, newcombe_difference]
    for function in functions:
        with pytest.raises(InputError, match="0 <= x <= n"):
            function(*counts)
        with pytest.raises(InputError, match="0 <= x <= n"):
            function(*counts[2:], *counts[:2])
    with pytest.raises(InputError, match="0 <= x <= n"):
        wilson_interval(*counts[:2])


@pytest.mark.parametrize("values", [(0.0, 0.5, 1.0), (0.0, 2.0), (1.0, 1.0, -1.0), (3.0, 0.0, 0.0)])
def test_column_that_is_not_zeros_and_ones(values):
    """Revenue passed as a conversion is refused."""
    good = zeros_and_ones(3, 10)
    for t, c in ((column(*values), good), (good, column(*values))):
        with pytest.raises(InputError, match="not 0/1"):
            compare_proportions(t, c, "y")


def test_counts_survive_merging():
    """Counts come back from merged float moments of ten million visitors."""
    parts = [zeros_and_ones(7 * k + 3, 250_001) for k in range(40)]
    assert counts_of(Moments.merge(parts), "y") == (sum(7 * k + 3 for k in range(40)), 40 * 250_001)
