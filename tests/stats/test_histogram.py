"""The additive histogram: bins, sums, quantiles, and the largest values' share."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from offerlift.errors import InputError
from offerlift.stats import Histogram, LargestValues
from offerlift.stats.histogram import bin_of, bin_width

whole = st.integers(-(10**18), 10**18) | st.integers(-2000, 2000)


@pytest.mark.parametrize(
    ("value", "edge"),
    [
        *((0, 0), (7, 7), (99, 99), (100, 100), (109, 100), (110, 110), (999, 990), (1000, 1000)),
        *((12_345, 12_000), (-12_345, -12_000), (-99, -99), (-101, -100)),
        *((10**17 - 1, 99 * 10**15), (10**17, 99 * 10**15), (10**30, 99 * 10**15), (-(10**30), -99 * 10**15)),
    ],
)
def test_a_bin_is_the_first_two_digits(value, edge):
    """A value is kept to two significant digits, towards zero; what is too large counts as the largest."""
    assert bin_of(value) == edge


@given(st.integers(-(10**17) + 1, 10**17 - 1))
def test_a_bin_holds_its_values(value):
    """Every value lies in the range of its bin, which is at most a tenth of the value wide."""
    edge = bin_of(value)
    assert 0 <= abs(value) - abs(edge) < bin_width(edge)
    assert bin_width(edge) == 1 or bin_width(edge) * 10 <= abs(value)
    assert value * edge >= 0


@given(st.lists(whole), st.lists(whole))
def test_histograms_add_up(first, second):
    """The histogram of all values is the sum of those of the parts, and counts each once."""
    both = Histogram.of(first) + Histogram.of(second)
    assert both == Histogram.of(first + second)
    assert both.n == len(first) + len(second)
    assert list(both.counts) == sorted(both.counts)


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1), st.fractions(0, 1))
def test_a_quantile_is_within_five_percent(values, share):
    """The quantile is the one of the sorted values, exact up to 99 and within 5 % above."""
    expected = sorted(values)[max(math.ceil(share * len(values)), 1) - 1]
    got = Histogram.of(values).quantile(share)
    assert abs(got - expected) <= (0 if abs(expected) < 100 else 0.05 * abs(expected))


def test_bins_and_quantiles_are_in_major_units():
    """Cents are counted, euros are shown; a bin is from its lower edge to below its upper one."""
    orders = Histogram.of([1234, 1299, 5, -1234], scale=100)
    assert orders.bins() == [(-13.0, -12.0, 1), (0.05, 0.06, 1), (12.0, 13.0, 2)]
    assert orders.quantile(0.5) == 0.05
    assert Histogram.of([]).quantile(0.5) is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Histogram({123: 1}), "two significant digits: 120"),
        (lambda: Histogram({1: -1}), "at least 0"),
        (lambda: Histogram({1: 0.5}), "whole numbers"),  # pyright: ignore[reportArgumentType] - refused
        (lambda: Histogram({}, 0), "scale"),
        (lambda: Histogram({}) + Histogram({}, 100), "different scales"),
        (lambda: Histogram({1: 1}).quantile(1.5), "from 0 to 1"),
        (lambda: LargestValues((1.0,), 1.0).share(0), "at least 1"),
    ],
)
def test_impossible_histograms_are_refused(make, message):
    """Bins that are none, counts that are none, different units and impossible shares are named."""
    with pytest.raises(InputError, match=message):
        make()


def test_share_of_the_largest():
    """What the largest make up of all; of nothing, or of a loss, there is no share."""
    values = LargestValues((60.0, 20.0, 5.0), 100.0)
    assert (values.share(), values.share(2), values.share(10)) == (0.6, 0.8, 0.85)
    assert LargestValues((), 0.0).share() is None
    assert LargestValues((5.0,), -10.0).share() is None
