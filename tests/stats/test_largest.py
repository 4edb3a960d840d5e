"""The largest of independent normal means."""

import math

import numpy as np
import pytest
from offerlift.stats.largest import chances, expected_largest, probability_largest
from scipy.special import ndtr


def test_two_normals_in_closed_form():
    """Of two, P(first larger) = Φ(d/s), and the regret of the first is s φ(d/s) - d Φ(-d/s)."""
    d, s = 0.3, math.hypot(0.4, 0.7)
    first, second = chances([1.3, 1.0], [0.16, 0.49])
    density = math.exp(-((d / s) ** 2) / 2) / math.sqrt(2 * math.pi)
    assert first.probability_best == pytest.approx(ndtr(d / s), abs=1e-12)
    assert first.expected_regret == pytest.approx(s * density - d * ndtr(-d / s), rel=1e-10)
    assert second.expected_regret == pytest.approx(first.expected_regret + d, rel=1e-10)


def test_equal_arms_share_the_chance():
    """k equal arms have 1/k each, and the known expected maximum of k standard normals."""
    for k, top in ((2, 1 / math.sqrt(math.pi)), (3, 1.5 / math.sqrt(math.pi)), (5, 1.1629644736)):
        found = chances([2.0] * k, [1.0] * k)
        assert [one.probability_best for one in found] == pytest.approx([1 / k] * k)
        assert found[0].expected_regret == pytest.approx(top, rel=1e-9)


def test_five_unlike_arms_by_simulation():
    """Means and errors of different sizes: both as in a million draws."""
    means, sds = np.array([1.0, 1.2, 0.9, 1.1, -3.0]), np.array([0.2, 0.01, 0.5, 0.1, 2.0])
    drawn = np.random.default_rng(111).normal(means, sds, (1_000_000, 5))
    found = chances(means.tolist(), (sds**2).tolist())
    best = np.bincount(drawn.argmax(axis=1), minlength=5) / 1e6
    assert [one.probability_best for one in found] == pytest.approx(best.tolist(), abs=0.0018)
    for one, loss in zip(found, (drawn.max(axis=1)[:, None] - drawn).T, strict=True):
        assert one.expected_regret == pytest.approx(loss.mean(), abs=3.5 * loss.std() / 1000)


def test_certain_means_and_a_large_level():
    """Without variance the largest is best for certain; regrets keep their digits beside means of a million."""
    assert [one.expected_regret for one in chances([1.0, 3.0], [0.0, 0.0])] == [2.0, 0.0]
    assert probability_largest(np.array([[1.0, 1.0]]), np.zeros(2)).tolist() == [[0.5, 0.5]]
    assert expected_largest(np.array([[1.0, 3.0]]), np.zeros(2)).tolist() == [3.0]
    low, high = (chances([level, level + 1e-3], [1e-6, 1e-6]) for level in (0.0, 1024.0))
    assert high[1].expected_regret == pytest.approx(low[1].expected_regret, rel=1e-6)


def test_the_smallest_is_best_where_less_is_wanted():
    """Mirrored means with the other sign have the same chances."""
    up, down = chances([1.0, 1.3], [0.1, 0.2]), chances([-1.0, -1.3], [0.1, 0.2], sign=-1.0)
    assert up == down
