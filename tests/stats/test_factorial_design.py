"""What a set of cells can tell apart: fractions, missing cells, models with fewer terms."""

from itertools import product

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.stats import Moments, compare_factorial, factorial_aliases
from offerlift.stats.factorial_design import CellModel, Grid, _null_space

SIGN = (-1, 1)


def fraction(names, generators):
    """The cells of a two-level fraction: each generated factor is the product of others."""
    basic = [name for name in names if name not in generators]
    cells = []
    for signs in product(SIGN, repeat=len(basic)):
        level = dict(zip(basic, signs, strict=True))
        for name, parts in generators.items():
            level[name] = int(np.prod([level[part] for part in parts]))
        cells.append(tuple(level[name] for name in names))
    return dict.fromkeys(names, SIGN), cells


def moments(rng, mean, n=30):
    return Moments.from_arrays({"y": mean + rng.normal(0, 1, n)})


def test_complete_designs_confound_nothing():
    """With every cell each term stands alone."""
    factors = {"a": (1, 2), "b": (1, 2, 3), "c": (1, 2)}
    found = factorial_aliases(factors, list(product(*factors.values())))
    assert found.confounded == {}
    assert found.missing == ()


def test_half_fraction_of_four_factors():
    """D = ABC (I = ABCD): two-way interactions in pairs, main effects with three-way ones, ABCD with the mean."""
    found = factorial_aliases(*fraction("ABCD", {"D": "ABC"})).confounded
    assert found["A:B"] == ("C:D",)
    assert found["A:D"] == ("B:C",)
    assert found["B"] == ("A:C:D",)
    assert found["A:B:C:D"] == ("the mean",)
    assert len(found) == 16


def test_quarter_fraction_of_five_factors():
    """D = AB, E = AC (I = ABD = ACE = BCDE): A with BD, CE and ABCDE; BC with DE."""
    found = factorial_aliases(*fraction("ABCDE", {"D": "AB", "E": "AC"})).confounded
    assert set(found["A"]) == {"B:D", "C:E", "A:B:C:D:E"}
    assert set(found["B:D"]) == {"A", "C:E", "A:B:C:D:E"}
    assert set(found["B:C"]) == {"D:E", "A:B:E", "A:C:D"}


def test_a_factor_that_does_not_vary():
    """A factor of which one level alone has cells is confounded with the mean, its interactions with the others."""
    factors = {"a": (1, 2), "b": (1, 2)}
    found = factorial_aliases(factors, [(1, 1), (1, 2)]).confounded
    assert found == {"the mean": ("a",), "a": ("the mean",), "b": ("a:b",), "a:b": ("b",)}


def test_missing_cell_leaves_what_does_not_touch_it():
    """Of three levels the two with all their cells are compared; whatever takes the missing cell has no number."""
    rng = np.random.default_rng(1)
    factors = {"price": (10, 9, 8), "shipping": ("paid", "free")}
    cells = {cell: moments(rng, 0.0) for cell in product(*factors.values()) if cell != (8, "free")}
    found = compare_factorial(cells, factors, "y")
    assert [one.status for one in found["price"].contrasts] == ["ok", "aliased"]
    assert [one.status for one in found["price:shipping"].contrasts] == ["ok", "aliased"]
    assert found["shipping"].test.status == found["price"].test.status == "aliased"
    whole = compare_factorial(
        {cell: one for cell, one in cells.items() if cell[0] != 8}, {**factors, "price": (10, 9)}, "y"
    )
    assert found["price"].contrasts[0].estimate == pytest.approx(whole["price"].contrasts[0].estimate)
    assert found["price"].contrasts[0].se == pytest.approx(whole["price"].contrasts[0].se)


def test_estimable_is_what_does_not_depend_on_the_missing_cells():
    """A contrast is called estimable exactly where no cell means that fit the present cells change it."""
    rng = np.random.default_rng(2)
    factors = {"a": (1, 2, 3), "b": (1, 2), "c": (1, 2)}
    grid = Grid.of(factors)
    for _ in range(40):
        present = [cell for cell in grid.cells if rng.random() < 0.7] or list(grid.cells[:1])
        terms = ["a", "b", "c", *rng.permutation(["a:b", "a:c", "b:c"])[: rng.integers(0, 4)].tolist()]
        fitted = CellModel(grid, present, terms if rng.random() < 0.7 else None)
        x = fitted.matrix[fitted.at]
        free = np.eye(x.shape[1]) - np.linalg.pinv(x) @ x
        assert fitted.rank == np.linalg.matrix_rank(x)
        for term in fitted.terms:
            _, rows = grid.contrasts(term)
            for row in rows:
                moved = np.abs(row @ fitted.matrix @ free).max()
                assert (fitted.aliased_with(term, row) is None) == (moved < 1e-9)


def test_null_space_is_one():
    """Each dependence among columns is one, and there are as many as the rank lacks."""
    rng = np.random.default_rng(3)
    for _ in range(30):
        matrix = rng.integers(-1, 2, (rng.integers(1, 6), rng.integers(1, 9))).astype(float)
        null = _null_space(matrix)
        assert len(null) == matrix.shape[1] - np.linalg.matrix_rank(matrix)
        assert np.abs(matrix @ null.T).max(initial=0.0) < 1e-12


def test_fraction_with_a_model():
    """Main effects of a half fraction are contrasts of its cells, and say what they take as 0."""
    rng = np.random.default_rng(4)
    factors, design = fraction("ABC", {"C": "AB"})
    cells = {cell: moments(rng, 2.0 * cell[0] + 1.0 * cell[0] * cell[1]) for cell in design}
    found = compare_factorial(cells, factors, "y", model=["A", "B", "C"])
    means = {cell: one.mean_of("y") for cell, one in cells.items()}
    for at, (name, other) in enumerate((("A", "B:C"), ("B", "A:C"), ("C", "A:B"))):
        expected = sum(cell[at] * mean for cell, mean in means.items()) / 2
        assert found[name].contrasts[0].estimate == pytest.approx(expected, rel=1e-9)
        assert found[name].confounded_with == (other,)
        assert f"{name} is right only where {other}" in str(found)
    # The interaction of A and B, which the model takes as 0, is found as an effect of C.
    assert found["C"].test.p_value < 1e-6
    assert found.lack_of_fit.status == "saturated"
    everything = compare_factorial(cells, factors, "y")
    assert {effect.test.status for effect in everything.effects} == {"aliased"}
    assert everything["C"].contrasts[0].reason == "the cells that have visitors do not tell it from A:B"
    assert all(effect.test.p_adjusted is None for effect in everything.effects)


@pytest.mark.parametrize(
    ("factors", "words"),
    [
        ({}, "no factors"),
        ({"a": (1,)}, "two or more different"),
        ({"a": (1, 1)}, "two or more different"),
        ({"a": "xy"}, "two or more different"),
        ({"a:b": (1, 2)}, "without a colon"),
        ({3: (1, 2)}, "without a colon"),
        (dict.fromkeys("abcdefghijk", (1, 2)), "2,048 combinations"),
    ],
)
def test_impossible_factors(factors, words):
    """Factors that are none are refused."""
    with pytest.raises(InputError, match=words):
        factorial_aliases(factors, [])


def test_a_cell_given_twice():
    """The same combination twice is no second cell."""
    with pytest.raises(InputError, match="given twice"):
        factorial_aliases({"a": (1, 2)}, [(1,), (1,)])
