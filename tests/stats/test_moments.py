"""Moments: merging, raw sums, cancellation, refused input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offerlift.errors import InputError
from offerlift.stats import Moments

VALUES = st.lists(st.tuples(st.integers(-1000, 100_000), st.integers(0, 5)), min_size=0, max_size=30)


def of(rows):
    x, y = ([row[k] for row in rows] for k in (0, 1))
    return Moments.from_arrays({"x": x, "y": y})


def same(a, b, rel=1e-9):
    assert a.n == b.n
    scale = 1 + np.abs(np.diag(b.m2)).max()
    np.testing.assert_allclose(a.mean, b.mean, rtol=rel, atol=1e-12)
    np.testing.assert_allclose(a.m2, b.m2, rtol=rel, atol=rel * scale)
    np.testing.assert_allclose(a.m3, b.m3, rtol=1e-7, atol=rel * scale**1.5)


@settings(deadline=None, derandomize=True)
@given(VALUES, VALUES, VALUES)
def test_merge_in_any_order(a, b, c):
    """Shards added in any order and grouping give the moments of all rows together."""
    whole = of(a + b + c)
    same(of(a) + of(b) + of(c), whole)
    same(of(c) + (of(a) + of(b)), whole)
    same(Moments.merge([of(b), of(c), of(a)]), whole)


@settings(deadline=None, derandomize=True)
@given(st.lists(VALUES, min_size=2, max_size=12), st.randoms(use_true_random=False), st.sampled_from([1.0, 0.01, 1e6]))
def test_merge_agrees_within_twelve_digits(parts, random, unit):
    """However many shards, in any order and grouping: means, second and third moments differ by 1e-12 of their size."""

    def moments(rows):
        return Moments.from_arrays({name: [unit * row[k] for row in rows] for k, name in enumerate("xy")})

    def grouped(shards):
        if len(shards) == 1:
            return shards[0]
        cut = random.randint(1, len(shards) - 1)
        return grouped(shards[:cut]) + grouped(shards[cut:])

    shards = [moments(rows) for rows in parts]
    first = Moments.merge(shards)
    random.shuffle(shards)
    second = grouped(shards)
    values = [[abs(unit * row[k]) for rows in parts for row in rows] for k in (0, 1)]
    largest = np.array([max(column, default=0.0) for column in values])
    n = max(first.n, 1)
    assert (np.abs(first.mean - second.mean) <= 1e-12 * largest).all()
    assert (np.abs(first.m2 - second.m2) <= 1e-12 * n * np.outer(largest, largest)).all()
    assert (np.abs(first.m3 - second.m3) <= 1e-12 * n * largest**3).all()


@settings(deadline=None, derandomize=True)
@given(VALUES.filter(bool))
def test_raw_sums_equal_raw_values(rows):
    """Exact integer sums in cents, shifted or not, give the moments of the values in euros."""
    x, y = np.array(rows, dtype=object).T
    products = {("x", "x"): sum(x * x), ("x", "y"): sum(x * y), ("y", "y"): sum(y * y)}
    direct = Moments.from_sums(
        ["x", "y"], len(rows), [sum(x), sum(y)], products, [sum(x**3), sum(y**3)], scale=[100, 1]
    )
    expected = Moments.from_arrays({"x": x.astype(float) / 100, "y": y.astype(float)})
    same(direct, expected)
    u = x - 700
    products = {("x", "x"): sum(u * u), ("x", "y"): sum(u * y), ("y", "y"): sum(y * y)}
    shifted = Moments.from_sums(
        ["x", "y"], len(rows), [sum(u), sum(y)], products, [sum(u**3), sum(y**3)], scale=[100, 1], shift=[700, 0]
    )
    same(shifted, expected)


def test_no_catastrophic_cancellation():
    """Mean 1e9 with standard deviation 1: merged variance and third moment keep nine digits."""
    x = np.random.default_rng(1).normal(size=10_000)
    far = Moments.merge([Moments.from_arrays({"x": part + 1e9}) for part in np.split(x, 8 * [0] + [2500, 5000])])
    # The shifted numbers themselves are rounded to 1e-7: compare with what was stored, moved back exactly.
    near = Moments.from_arrays({"x": (x + 1e9) - 1e9})
    assert far.variance_of("x") == pytest.approx(near.variance_of("x"), rel=1e-9)
    assert far.m3[0] == pytest.approx(near.m3[0], abs=1e-5 * far.n)
    assert far.mean_of("x") - 1e9 == pytest.approx(near.mean_of("x"), abs=1e-6)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Moments.from_arrays({"x": [1.0, float("nan")]}), "position 1"),
        (lambda: Moments.from_arrays({"x": [1.0, float("inf")]}), "inf"),
        (lambda: Moments.from_arrays({"x": [1.0], "y": [1.0, 2.0]}), "one length"),
        (lambda: Moments(("x",), -1, np.zeros(1), np.zeros((1, 1)), np.zeros(1)), "at least 0"),
        (lambda: Moments(("x",), 2, np.zeros(1), -np.ones((1, 1)), np.zeros(1)), "negative"),
        (lambda: Moments(("x", "x"), 0, np.zeros(2), np.zeros((2, 2)), np.zeros(2)), "twice"),
        (lambda: Moments(("x",), 2, np.zeros(2), np.zeros((1, 1)), np.zeros(1)), "shape"),
        (lambda: Moments.zero(["x"]) + Moments.zero(["y"]), "different columns"),
        (lambda: Moments.zero(["x"]).mean_of("y"), "no column 'y'"),
    ],
)
def test_refused(build, words):
    """What cannot be used is refused with the value seen."""
    with pytest.raises(InputError, match=words):
        build()
