"""Quantiles with intervals, from histograms."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import math

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.stats import Histogram, compare_quantiles, quantile_interval


def orders(rng, n, median=40.0):
    return Histogram.of(np.round(rng.lognormal(math.log(100 * median), 1, n)).astype(int).tolist(), scale=100)


def test_interval_is_between_two_ranks():
    """Of 1 to 99 the median is 50, its 95 % interval from the 40th to the 60th value or one further up."""
    found = quantile_interval(Histogram.of(range(1, 100)), 0.5)
    assert (found.estimate, found.low, found.high) == (50, 40, 61)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_quantile_intervals_cover(share):
    """Intervals of a quantile and of a difference of two hold the truth in about 95 % of samples."""
    rng = np.random.default_rng(1)
    runs, level, difference = 800, 0, 0
    truth = 4000 * math.exp({0.5: 0.0, 0.9: 1.2815515655446004}[share]) / 100
    # What is exact for the bins is the bin of the truth: its middle.
    binned = Histogram.of([round(truth * 100)], scale=100).quantile(0.5)
    for _ in range(runs):
        t, c = orders(rng, 150), orders(rng, 300)
        found = compare_quantiles(t, c, share)
        level += found.control.low <= binned <= found.control.high
        difference += found.low <= 0 <= found.high
    error = math.sqrt(0.95 * 0.05 / runs)
    assert 0.95 - 3.5 * error < level / runs < 0.99
    assert 0.95 - 3.5 * error < difference / runs < 0.99


def test_difference_by_square_and_add():
    """The difference's ends are those of the arms' intervals, squared and added; swapped arms negate them."""
    rng = np.random.default_rng(2)
    t, c = orders(rng, 400, 60.0), orders(rng, 300)
    found, swapped = compare_quantiles(t, c), compare_quantiles(c, t)
    q, r = found.treatment, found.control
    assert found.difference == q.estimate - r.estimate
    assert found.low == pytest.approx(found.difference - math.hypot(q.estimate - q.low, r.high - r.estimate))
    assert found.low > 0
    assert (swapped.difference, swapped.low, swapped.high) == (-found.difference, -found.high, -found.low)


def test_few_values_have_no_quantile_interval():
    """Below ten values in an arm there is a reason and no number; impossible shares and scales are refused."""
    few, many = Histogram.of([1, 2]), Histogram.of(range(100))
    found = compare_quantiles(few, many)
    assert found.status == "insufficient"
    assert found.difference is None
    assert "2 values in an arm" in found.reason
    with pytest.raises(InputError, match="strictly between 0 and 1"):
        quantile_interval(many, 1.0)
    with pytest.raises(InputError, match="different scales"):
        compare_quantiles(many, Histogram.of(range(100), scale=100))
