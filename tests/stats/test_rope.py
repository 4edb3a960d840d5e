"""Probability that a lift is too small to matter."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import math

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.stats import probability_b_beats_a, rope_means, rope_rates


@pytest.mark.parametrize(
    "rates",
    [(501, 9501, 481, 9521), (3, 99, 41, 1961), (41, 1961, 3, 99), (1, 5, 1, 5), (900, 100, 4, 2), (99, 3, 980, 12)],
)
@pytest.mark.parametrize(("low", "high"), [(-0.01, 0.01), (-0.1, 0.2), (-1.0, 0.05)])
def test_rates_by_draws(rates, low, high):
    """The quadrature agrees with two million draws, whichever arm is the narrower."""
    rng = np.random.default_rng(1)
    t, c = (rng.beta(*rates[k : k + 2], 2_000_000) for k in (0, 2))
    share = ((t > (1 + low) * c) & (t < (1 + high) * c)).mean()
    error = math.sqrt(max(share * (1 - share), 1e-9) / 2e6)
    assert rope_rates(*rates, low=low, high=high) == pytest.approx(share, abs=5 * error + 1e-6)


def test_the_whole_line_is_certain():
    """Below no change and above it together are everything, and below it is the chance of being worse."""
    rates = (501, 9501, 481, 9521)
    below = rope_rates(*rates, low=-1, high=0)
    assert below == pytest.approx(1 - probability_b_beats_a(481, 9521, 501, 9501), abs=1e-10)
    assert below + rope_rates(*rates, low=0, high=1e9) == pytest.approx(1, abs=1e-10)


def test_means_by_draws():
    """The normal formula agrees with draws, and keeps its digits far from the region."""
    rng = np.random.default_rng(2)
    t, c = rng.normal(10.2, 0.2, 2_000_000), rng.normal(10, 0.3, 2_000_000)
    share = (np.abs(t / c - 1) < 0.02).mean()
    assert rope_means(10.2, 0.04, 10, 0.09, low=-0.02, high=0.02) == pytest.approx(share, abs=2e-3)
    assert 0 < rope_means(20, 0.04, 10, 0.09, low=-0.02, high=0.02) < 1e-100
    assert 0 < rope_means(5, 0.04, 10, 0.04, low=-0.02, high=0.02) < 1e-50


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: rope_rates(1, 1, 1, 1, low=0.1, high=-0.1), "low < high"),
        (lambda: rope_rates(0, 1, 1, 1), "does not exist"),
        (lambda: rope_means(1, 0, 1, 0), "not both 0"),
        (lambda: rope_means(1, 1, 1, 1), "may be 0 or less"),
    ],
)
def test_refused_regions(make, message):
    """An impossible region, posterior or control is refused."""
    with pytest.raises(InputError, match=message):
        make()
