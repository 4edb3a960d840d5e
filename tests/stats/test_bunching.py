"""Orders that gather above a free-shipping threshold, and the histograms that show them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offerlift.errors import InputError
from offerlift.stats import (
    Histogram,
    Moments,
    compare_proportions_over_strata,
    miettinen_nurminen_difference,
    order_histogram,
    threshold_bunching,
    threshold_bunching_over_strata,
)

VALUES = st.lists(st.integers(0, 30_000), min_size=1, max_size=60)


def euros(*values):
    return Histogram.of([round(value * 100) for value in values], scale=100)


def test_shares_on_either_side_of_the_threshold():
    """Orders of exactly the threshold are above it, those a cent less below; the band's end is not in it."""
    treatment = euros(39.99, 40.0, 40.0, 49.99, 50.0, 50.0, 50.0, 59.99, 60.0)
    control = euros(45.0, 45.0, 70.0, 55.0)
    found = threshold_bunching(treatment, control, threshold=50, width=10)
    assert (found.below.orders_treatment, found.above.orders_treatment) == (3, 4)
    assert (found.below.share_control, found.above.share_control) == (0.5, 0.25)
    assert (found.below.start, found.below.end, found.above.end) == (40.0, 50.0, 60.0)
    assert found.above.difference == miettinen_nurminen_difference(4, 9, 1, 4)


def test_per_visitor_compares_what_was_randomised():
    """With the visitors, the orders of a band are counted of all of them."""
    found = threshold_bunching(
        euros(55.0, 55.0), euros(45.0), threshold=50, width=10, visitors_treatment=200, visitors_control=100
    )
    assert found.above.per_visitor == miettinen_nurminen_difference(2, 200, 0, 100)
    assert threshold_bunching(euros(55.0), euros(45.0), threshold=50, width=10).above.per_visitor is None


@settings(deadline=None, max_examples=50)
@given(VALUES, VALUES)
def test_swapped_arms_swap_signs(one, other):
    """Treatment and control swapped: every difference changes its sign, and its interval is mirrored."""
    t, c = Histogram.of(one, scale=100), Histogram.of(other, scale=100)
    there, back = (threshold_bunching(*pair, threshold=50, width=10) for pair in ((t, c), (c, t)))
    for a, b in ((there.below, back.below), (there.above, back.above)):
        assert (a.difference.estimate, a.difference.low, a.difference.high) == pytest.approx(
            (-b.difference.estimate, -b.difference.high, -b.difference.low), abs=1e-9
        )


def test_no_orders_have_no_shares():
    """An arm without orders has no shares to compare: a status and the arm."""
    found = threshold_bunching(euros(), euros(45.0), threshold=50, width=10)
    assert (found.status, found.reason, found.above) == ("insufficient", "no orders in the treatment", None)
    assert found.to_dicts() == []


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        ({"threshold": 49.9, "width": 10}, r"39\.9; the nearest begin at 39\.0 and 40\.0"),
        ({"threshold": 105, "width": 5}, r"105\.0; the nearest begin at 100\.0 and 110\.0"),
        ({"threshold": 0, "width": 10}, "threshold is 0"),
        ({"threshold": 50, "width": 0}, "width 0"),
        ({"threshold": 50, "width": 51}, "width 51"),
        ({"threshold": math.nan, "width": 1}, "nan"),
        ({"threshold": 50, "width": 10, "visitors_control": 10}, "one arm only"),
        (
            {"threshold": 50, "width": 10, "visitors_control": 10, "visitors_treatment": 0},
            "1 and 1 orders of 0 and 10 visitors",
        ),
    ],
)
def test_refused(options, seen):
    """Bands that the bins cannot tell apart, and impossible numbers, are refused with what is nearest."""
    with pytest.raises(InputError, match=seen):
        threshold_bunching(euros(55.0), euros(45.0), **options)


def test_other_scales_are_refused():
    """Cents beside plain numbers cannot be compared."""
    with pytest.raises(InputError, match="different scales"):
        threshold_bunching(euros(55.0), Histogram.of([55]), threshold=50, width=10)
    with pytest.raises(InputError, match="different scales"):
        order_histogram({"a": euros(55.0), "b": Histogram.of([55])}, width=10)


@settings(deadline=None, max_examples=80)
@given(VALUES, VALUES, st.sampled_from([1, 2.5, 5, 10, 30]), st.sampled_from([None, 20, 50, 100]))
def test_no_order_is_lost_and_the_threshold_is_an_edge(one, other, width, threshold):
    """Counts in all bins and beyond add up to the orders; edges rise by at least the width, and hold the threshold."""
    arms = {"a": Histogram.of(one, scale=100), "b": Histogram.of(other, scale=100)}
    found = order_histogram(arms, width=width, threshold=threshold)
    for name, histogram in arms.items():
        assert sum(found.counts[name]) + found.beyond[name] == histogram.n
        widths = np.diff(found.edges)
        assert sum(d * w for d, w in zip(found.densities[name], widths, strict=True)) == pytest.approx(
            1 - found.beyond[name] / histogram.n
        )
    steps = np.diff(found.edges)
    above = [step for edge, step in zip(found.edges, steps, strict=False) if edge >= (threshold or 0)]
    assert min(above) >= width - 1e-9
    if threshold is not None and min(one + other) < threshold * 100:
        assert threshold in found.edges


def test_bins_count_the_values_themselves():
    """Every bin holds the orders with a value from its start up to its end, as counted one by one."""
    rng = np.random.default_rng(71)
    values = (rng.lognormal(4, 0.6, 3000) * 100).astype(int)
    found = order_histogram({"a": Histogram.of(values.tolist(), scale=100)}, width=5, threshold=50, upto=300)
    for at, (start, end) in enumerate(zip(found.edges, found.edges[1:], strict=False)):
        assert found.counts["a"][at] == ((values >= start * 100) & (values < end * 100)).sum()
    assert found.beyond["a"] == (values >= found.edges[-1] * 100).sum()
    assert 50.0 in found.edges
    assert len(found.to_dicts()) == len(found.edges) - 1


def test_an_arm_without_orders_is_drawn_empty():
    """Beside an arm with orders, one without has counts of 0 and no shares."""
    found = order_histogram({"a": euros(12.0, 30.0), "b": euros()}, width=10)
    assert set(found.counts["b"]) == {0}
    assert found.shares["b"] == ()
    assert found.to_dicts()[0]["b_share"] is None


@pytest.mark.parametrize(
    ("values", "options", "seen"),
    [
        ((), {"width": 5}, "no orders"),
        ((-3.0, 5.0), {"width": 5}, "-3.0"),
        ((5.0,), {"width": 0}, "width is 0"),
        ((5.0,), {"width": 5, "threshold": -1}, "threshold is -1"),
        ((55.0,), {"width": 5, "threshold": 49.95}, "49.95"),
        ((5.0,), {"width": 5, "threshold": 50, "upto": 50}, "end is 50"),
    ],
)
def test_refused_histograms(values, options, seen):
    """Nothing to draw, or bins that do not exist, are refused with the value seen."""
    with pytest.raises(InputError, match=seen):
        order_histogram({"a": euros(*values)}, **options)


def test_coverage_with_one_order_a_visitor():
    """The interval of the bunched share holds the truth in 95 % of 2,000 experiments of 300 orders an arm."""
    rng, runs, covered = np.random.default_rng(72), 2_000, 0
    probabilities = {"t": (0.15, 0.35, 0.5), "c": (0.3, 0.2, 0.5)}
    for _ in range(runs):
        t, c = (
            Histogram(dict(zip((4500, 5500, 9000), rng.multinomial(300, p).tolist(), strict=True)), 100)
            for p in probabilities.values()
        )
        d = threshold_bunching(t, c, threshold=50, width=10).above.difference
        covered += d.low <= 0.15 <= d.high
    assert covered / runs == pytest.approx(0.95, abs=3.5 * math.sqrt(0.95 * 0.05 / runs))


def test_over_strata_by_hand():
    """Shares Σ w p with the phases' shares of all orders as weights; the interval of the stratified score test."""
    t = [Histogram.of([4500] * 320 + [5200] * 480, scale=100), Histogram.of([4500] * 70 + [5200] * 30, scale=100)]
    c = [Histogram.of([4500] * 100 + [5200] * 100, scale=100), Histogram.of([4500] * 720 + [5200] * 80, scale=100)]
    found = threshold_bunching_over_strata(t, c, threshold=50, width=10)
    columns = [
        [Moments.from_arrays({"above": np.repeat([1.0, 0.0], [x, n - x])}) for x, n in arm]
        for arm in (((480, 800), (30, 100)), ((100, 200), (80, 800)))
    ]
    expected = compare_proportions_over_strata(columns[0], columns[1], "above").difference
    assert found.above.difference == expected
    assert found.below.difference.estimate == pytest.approx(-expected.estimate)
    assert found.above.share_treatment == pytest.approx((1000 * 0.6 + 900 * 0.3) / 1900)
    assert (found.orders_treatment, found.above.orders_control) == (900, 180)


def test_one_stratum_is_the_plain_band():
    """One stratum has the plain function's numbers; an empty one beside it changes nothing but the count."""
    t, c = euros(45.0, 52.0, 53.0, 80.0), euros(45.0, 46.0, 52.0, 80.0)
    plain = threshold_bunching(t, c, threshold=50, width=10)
    assert threshold_bunching_over_strata([t], [c], threshold=50, width=10) == plain
    beside = threshold_bunching_over_strata([euros(), t], [c, c], threshold=50, width=10)
    assert beside.above.difference == plain.above.difference
    assert beside.above.share_control == plain.above.share_control


def test_a_split_that_moves_with_baskets_fills_up_none():
    """Larger baskets while the treatment was smaller: all together they seem to gather, within the phases none does."""
    busy, quiet = euros(*[52.0] * 60 + [45.0] * 40), euros(*[52.0] * 10 + [45.0] * 90)
    many = [busy + busy + busy + busy, quiet]
    few = [busy, quiet + quiet + quiet + quiet]
    together = [many[0] + many[1], few[0] + few[1]]
    assert threshold_bunching(*together, threshold=50, width=10).above.difference.low > 0.2
    found = threshold_bunching_over_strata(many, few, threshold=50, width=10).above.difference
    assert found.estimate == pytest.approx(0)
    nothing = threshold_bunching_over_strata([busy, euros()], [euros(), quiet], threshold=50, width=10)
    assert (nothing.status, nothing.reason) == ("insufficient", "no stratum has two orders in both arms")
    with pytest.raises(InputError, match="strata"):
        threshold_bunching_over_strata([busy], [busy, quiet], threshold=50, width=10)
