"""Factorial experiments from the moments of their cells."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false, reportCallIssue=false

import json
import math
from itertools import product

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from offerlift.errors import InputError
from offerlift.stats import Moments, adjust_p_values, compare_factorial, compare_means, compare_ratios, shrink
from offerlift.stats.contrasts import detectable_effect, satterthwaite_contrasts
from scipy.special import nctdtr, stdtrit

from .samples import zeros_and_ones

# Yields of peas, six blocks of four plots; N, P, K of each plot (Venables and Ripley 2002, the data set npk of R).
NPK_YIELD = [49.5, 62.8, 46.8, 57.0, 59.8, 58.5, 55.5, 56.0, 62.8, 55.8, 69.5, 55.0]
NPK_YIELD += [62.0, 48.8, 45.5, 44.2, 52.0, 51.5, 49.8, 48.8, 57.2, 59.0, 53.2, 56.0]
NPK = [
    tuple(map(int, plot))
    for plot in zip("010111000110110010101100", "110001011100010110010110", "100101100101011000111010", strict=True)
]
FACTORS = {"N": (0, 1), "P": (0, 1), "K": (0, 1)}

TWO = {"discount": ("none", "10 %"), "shipping": ("paid", "free")}
"""Two factors of two levels."""

SIX = {"price": (10, 9, 8), "shipping": ("paid", "free")}
"""Three levels and two."""


def npk_cells():
    return {
        cell: Moments.from_arrays({"yield": [y for y, plot in zip(NPK_YIELD, NPK, strict=True) if plot == cell]})
        for cell in set(NPK)
    }


def cells_of(factors, rng, *, n=(20, 60), scale=1.0, shift=10.0):
    """Raw values and moments of all cells, of unequal sizes and variances."""
    raw = {}
    for cell in product(*factors.values()):
        size = int(rng.integers(*n))
        raw[cell] = scale * (shift + rng.normal() + rng.gamma(2.0, 1.0 + rng.random(), size))
    return raw, {cell: Moments.from_arrays({"y": values}) for cell, values in raw.items()}


def numbers(contrast):
    return [contrast.estimate, contrast.se, contrast.df, contrast.low, contrast.high, contrast.p_value]


def test_npk_as_r():
    """F of R's aov(yield ~ N*P*K, npk): equal cells, so that Wald's test from eight cell moments is the same."""
    found = compare_factorial(npk_cells(), FACTORS, "yield")
    assert [effect.term for effect in found.effects] == ["N", "P", "K", "N:P", "N:K", "P:K", "N:P:K"]
    expected = [6.16076, 0.27346, 3.09863, 0.69268, 1.07848, 0.01568, 1.20433]
    assert [effect.test.f for effect in found.effects] == pytest.approx(expected, abs=2e-5)


def test_npk_with_its_blocks_as_r():
    """The F of R's `summary(aov(yield ~ block + N*P*K, npk))` (its help page), from cells of yields less their block's
    mean: 16 degrees of freedom lie within cells, of which the blocks take four that the cells' moments do not know of;
    N:P:K is confounded with blocks, and nothing is left of it."""
    yields, block = np.array(NPK_YIELD), np.repeat(np.arange(6), 4)
    centred = yields - np.array([yields[block == b].mean() for b in block])
    cells = {
        cell: Moments.from_arrays({"yield": [y for y, plot in zip(centred, NPK, strict=True) if plot == cell]})
        for cell in set(NPK)
    }
    found = compare_factorial(cells, FACTORS, "yield")
    expected = {"N": 12.259, "P": 0.544, "K": 6.166, "N:P": 1.378, "N:K": 2.146, "P:K": 0.031}
    assert {term: found[term].test.f * 12 / 16 for term in expected} == pytest.approx(expected, abs=5.1e-4)
    assert found["N:P:K"].contrasts[0].estimate == pytest.approx(0, abs=1e-12)


def test_one_factor_is_pairwise_welch():
    """Each level against the first is `compare_means` of the two, to the digit."""
    _, cells = cells_of({"price": (10, 9, 8)}, np.random.default_rng(1))
    found = compare_factorial(cells, {"price": (10, 9, 8)}, "y")
    for contrast, level in zip(found["price"].contrasts, (9, 8), strict=True):
        d = compare_means(cells[level,], cells[10,], "y").difference
        assert numbers(contrast) == pytest.approx([d.estimate, d.se, d.df, d.low, d.high, d.p_value], rel=1e-12)


def test_two_by_two_is_made_of_pairwise_welch_tests():
    """A main effect is the mean of two pairwise differences, the interaction is their difference."""
    _, cells = cells_of(TWO, np.random.default_rng(2))
    found = compare_factorial(cells, TWO, "y")
    paid, free = (
        compare_means(cells["10 %", shipping], cells["none", shipping], "y").difference for shipping in ("paid", "free")
    )
    main, both = found["discount"].contrasts[0], found["discount:shipping"].contrasts[0]
    assert main.estimate == pytest.approx((paid.estimate + free.estimate) / 2, rel=1e-12)
    assert both.estimate == pytest.approx(free.estimate - paid.estimate, rel=1e-12)
    assert both.se == pytest.approx(math.hypot(paid.se, free.se), rel=1e-12)
    assert both.se == pytest.approx(2 * main.se, rel=1e-12)


@pytest.mark.parametrize("factors", [TWO, SIX, {**SIX, "timing": ("early", "late")}])
def test_tests_as_statsmodels_wald_test(factors):
    """Every χ² is that of OLS on one dummy a cell with HC2, which has the cells' own variances."""
    raw, cells = cells_of(factors, np.random.default_rng(3))
    found = compare_factorial(cells, factors, "y")
    y = np.concatenate(list(raw.values()))
    dummies = np.repeat(np.eye(len(raw)), [len(values) for values in raw.values()], axis=0)
    fit = sm.OLS(y, dummies).fit(cov_type="HC2", use_t=False)
    grid = list(product(*factors.values()))
    for effect in found.effects:
        term = effect.term.split(":")
        rows = []
        for chosen in product(*(factors[name][1:] for name in term)):
            row = np.zeros(len(grid))
            for at, cell in enumerate(grid):
                levels = dict(zip(factors, cell, strict=True))
                sign = 1.0
                for name, level in zip(term, chosen, strict=True):
                    sign *= (levels[name] == level) - (levels[name] == factors[name][0])
                row[at] = sign / math.prod(len(factors[name]) for name in factors if name not in term)
            rows.append(row)
        wald = fit.wald_test(np.array(rows), use_f=False, scalar=True)
        assert effect.test.chi_squared == pytest.approx(wald.statistic, rel=1e-9)
        assert effect.test.df == len(rows) == len(effect.contrasts)
        t = fit.t_test(np.array(rows))
        assert [one.estimate for one in effect.contrasts] == pytest.approx(np.atleast_1d(t.effect), rel=1e-9)
        assert [one.se for one in effect.contrasts] == pytest.approx(np.ravel(t.sd), rel=1e-9)


@pytest.mark.parametrize("present", [12, 11, 9])
def test_reduced_model_as_statsmodels_wls(present):
    """Estimates, standard errors and lack of fit of main effects are those of WLS on cell means, with cells missing."""
    factors = {**SIX, "timing": ("early", "late")}
    _, cells = cells_of(factors, np.random.default_rng(4))
    cells = dict(list(cells.items())[:present])
    found = compare_factorial(cells, factors, "y", model=list(factors))
    mean = np.array([one.mean_of("y") for one in cells.values()])
    variance = np.array([one.variance_of("y") / one.n for one in cells.values()])
    x = [[1, p == 9, p == 8, s == "free", t == "late"] for p, s, t in cells]
    fit = sm.WLS(mean, np.array(x, dtype=float), weights=1 / variance).fit(cov_type="fixed scale")
    contrasts = [one for effect in found.effects for one in effect.contrasts]
    assert [one.estimate for one in contrasts] == pytest.approx(fit.params[1:], rel=1e-9)
    assert [one.se for one in contrasts] == pytest.approx(fit.bse[1:], rel=1e-9)
    assert found.lack_of_fit.chi_squared == pytest.approx(fit.ssr, rel=1e-9)
    assert found.lack_of_fit.df == present - 5
    joint = fit.wald_test(np.eye(5)[1:3], use_f=False, scalar=True)
    assert found["price"].test.chi_squared == pytest.approx(joint.statistic, rel=1e-9)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.floats(-6, 6))
def test_scaling_and_swapping(seed, power):
    """Money in another unit scales effects and leaves p-values; the levels the other way round negate the effect."""
    rng = np.random.default_rng(seed)
    unit = 10.0**power
    raw, cells = cells_of(TWO, rng, n=(2, 30))
    found = compare_factorial(cells, TWO, "y")
    scaled = compare_factorial(
        {cell: Moments.from_arrays({"y": unit * values}) for cell, values in raw.items()}, TWO, "y"
    )
    swapped = compare_factorial(cells, {**TWO, "discount": TWO["discount"][::-1]}, "y")
    for one, other, back in zip(found.effects, scaled.effects, swapped.effects, strict=True):
        sign = -1 if "discount" in one.term else 1
        a, b, c = (effect.contrasts[0] for effect in (one, other, back))
        assert b.estimate == pytest.approx(unit * a.estimate, rel=1e-6, abs=unit * 1e-9)
        assert b.se == pytest.approx(unit * a.se, rel=1e-9)
        assert b.p_value == pytest.approx(a.p_value, rel=1e-6)
        assert [c.estimate, c.low, c.high] == pytest.approx(
            [sign * a.estimate, *sorted((sign * a.low, sign * a.high))], rel=1e-9
        )
        assert (a.p_value < 0.05) == (a.low > 0 or a.high < 0)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.permutations([10, 9, 8]))
def test_reference_and_order_do_not_matter_to_a_terms_test(seed, levels):
    """χ², denominator and p-value of each term are the same whichever level is the reference and factor comes first."""
    _, cells = cells_of(SIX, np.random.default_rng(seed), n=(3, 12))
    found = compare_factorial(cells, SIX, "y")
    turned = {(shipping, price): moments for (price, shipping), moments in cells.items()}
    other = compare_factorial(turned, {"shipping": SIX["shipping"], "price": levels}, "y")
    for effect in found.effects:
        name = {"price:shipping": "shipping:price"}.get(effect.term, effect.term)
        same = other[name].test
        ours = effect.test
        assert [ours.chi_squared, ours.df_error, ours.p_value] == pytest.approx(
            [same.chi_squared, same.df_error, same.p_value], rel=1e-6
        )


def test_log_scale_is_relative():
    """On the log scale a main effect is a geometric mean of ratios, free of the unit; effects that multiply vanish."""
    rng = np.random.default_rng(5)
    noise = rng.gamma(2, 1, 400)
    cells = {
        (d, s): Moments.from_arrays({"y": noise * (1.1 if d == "10 %" else 1) * (1.2 if s == "free" else 1)})
        for d, s in product(*TWO.values())
    }
    found = compare_factorial(cells, TWO, "y", scale="log")
    assert found["discount"].contrasts[0].lift.estimate == pytest.approx(0.1, rel=1e-9)
    assert found["shipping"].contrasts[0].lift.estimate == pytest.approx(0.2, rel=1e-9)
    assert found["discount:shipping"].contrasts[0].estimate == pytest.approx(0.0, abs=1e-12)
    additive = compare_factorial(cells, TWO, "y")["discount:shipping"].contrasts[0]
    assert additive.estimate == pytest.approx(0.1 * 0.2 * noise.mean(), rel=1e-9)
    one = found["discount"].contrasts[0]
    assert one.se == pytest.approx(noise.std(ddof=1) / math.sqrt(400) / noise.mean(), rel=1e-9)
    assert one.lift.low == pytest.approx(math.expm1(one.low))
    assert one.lift.high == pytest.approx(math.expm1(one.high))


def test_visitors_as_weights():
    """Weighted by visitors a main effect is the mean of the pairwise ones by each combination's visitors."""
    rng = np.random.default_rng(6)
    sizes = {("none", "paid"): 100, ("10 %", "paid"): 140, ("none", "free"): 30, ("10 %", "free"): 30}
    cells = {cell: Moments.from_arrays({"y": rng.gamma(2, 1, n)}) for cell, n in sizes.items()}
    found = compare_factorial(cells, TWO, "y", weights="visitors")
    paid, free = (
        compare_means(cells["10 %", shipping], cells["none", shipping], "y").difference for shipping in ("paid", "free")
    )
    main = found["discount"].contrasts[0]
    assert main.estimate == pytest.approx(0.8 * paid.estimate + 0.2 * free.estimate, rel=1e-12)
    assert main.se == pytest.approx(math.hypot(0.8 * paid.se, 0.2 * free.se), rel=1e-12)
    assert found.weights == "visitors"
    assert compare_factorial(cells, TWO, "y").weights == "equal"
    equal = compare_factorial(cells, TWO, "y")["discount:shipping"].contrasts[0]
    assert numbers(found["discount:shipping"].contrasts[0]) == pytest.approx(numbers(equal), rel=1e-12)


def test_ratio_is_linearised_in_each_cell():
    """With `per`, one factor is `compare_ratios`."""
    rng = np.random.default_rng(7)
    arms = {}
    for level in ("old", "new"):
        orders = rng.poisson(0.5, 300)
        arms[level,] = Moments.from_arrays({"revenue": orders * rng.gamma(5, 4, 300), "orders": orders})
    contrast = compare_factorial(arms, {"page": ("old", "new")}, "revenue", per="orders")["page"].contrasts[0]
    d = compare_ratios(arms["new",], arms["old",], "revenue", "orders").difference
    assert numbers(contrast) == pytest.approx([d.estimate, d.se, d.df, d.low, d.high, d.p_value], rel=1e-12)


def test_phases_do_not_mix():
    """A change of split between phases is no effect: pooled cells show one, cells by phase do not."""
    quiet, busy = [0.0] * 90 + [10.0] * 10, [0.0] * 50 + [10.0] * 50
    first = {"a": quiet * 9, "b": quiet}
    second = {"a": busy * 5, "b": busy * 5}
    parts = {arm: [Moments.from_arrays({"y": phase[arm]}) for phase in (first, second)] for arm in "ab"}
    factors = {"page": ("a", "b")}
    by_phase = compare_factorial(parts, factors, "y", levels={"a": {"page": "a"}, "b": {"page": "b"}})
    assert by_phase["page"].contrasts[0].estimate == pytest.approx(0.0, abs=1e-12)
    pooled = compare_factorial({arm: Moments.merge(both) for arm, both in parts.items()}, factors, "y")
    assert pooled["page"].contrasts[0].p_value < 1e-6


def test_holm_within_the_family():
    """Adjusted p-values are Holm's over the family's tests; what is outside has none and takes nothing."""
    _, cells = cells_of({**TWO, "timing": ("early", "late")}, np.random.default_rng(8))
    factors = {**TWO, "timing": ("early", "late")}
    found = compare_factorial(cells, factors, "y", family=["shipping:discount", "timing"])
    assert found.family == ("timing", "discount:shipping")
    first, second = (found[term].test for term in found.family)
    small, large = sorted([first.p_value, second.p_value])
    assert sorted([first.p_adjusted, second.p_adjusted]) == pytest.approx([2 * small, max(large, 2 * small)])
    assert all(effect.test.p_adjusted is None for effect in found.effects if not effect.in_family)
    inside, outside = found["timing"].contrasts[0], found["discount"].contrasts[0]
    assert inside.detectable == pytest.approx(detectable_effect(inside.se, inside.df, 0.025, 0.8))
    assert outside.detectable == pytest.approx(detectable_effect(outside.se, outside.df, 0.05, 0.8))


def test_holm_over_single_contrasts():
    """With three levels the single contrasts are a list of their own, adjusted by Holm over all of the family's."""
    _, cells = cells_of(SIX, np.random.default_rng(12), shift=3.0)
    found = compare_factorial(cells, SIX, "y")
    contrasts = [one for effect in found.effects for one in effect.contrasts]
    assert [one.p_adjusted for one in contrasts] == pytest.approx(
        adjust_p_values([one.p_value for one in contrasts], "holm")
    )
    tests = [effect.test for effect in found.effects]
    assert [one.p_adjusted for one in tests] == pytest.approx(adjust_p_values([one.p_value for one in tests], "holm"))
    assert len({one.p_adjusted for one in contrasts}) > 2


@pytest.mark.parametrize(("df", "power"), [(30.0, 0.8), (1e5, 0.8), (1e5, 0.9)])
def test_detectable_effect_is_found_with_its_power(df, power):
    """The noncentral t at the detectable effect has the power asked for."""
    effect = detectable_effect(2.0, df, 0.05, power)
    reached = 1 - nctdtr(df, effect / 2.0, -stdtrit(df, 0.025))
    assert reached == pytest.approx(power, abs=0.003)


def test_best_cell_is_shrunk_over_all_cells():
    """Raw and shrunk stand side by side, the shrunk ones being those of `shrink`; chances to be best sum to 1."""
    cells = npk_cells()
    found = compare_factorial(cells, FACTORS, "yield")
    assert found.best.levels == (1, 0, 0)
    rows = [(one.mean_of("yield"), one.variance_of("yield") / one.n) for one in cells.values()]
    alone = dict(zip(cells, shrink(*zip(*rows, strict=True)), strict=True))[1, 0, 0]
    assert [found.best.mean, found.best.shrunk] == pytest.approx([alone.raw, alone.shrunk])
    assert found.best.shrunk_se == pytest.approx(alone.shrunk_se)
    assert found.best.mean > found.best.shrunk
    assert sum(cell.probability_best for cell in found.cells) == pytest.approx(1.0)
    least = compare_factorial(cells, FACTORS, "yield", direction="decrease")
    assert least.best.levels == (0, 1, 1)
    assert least.best.shrunk > least.best.mean
    assert least.best.probability_best == max(cell.probability_best for cell in least.cells)


def test_two_cells_are_shrunk_only_by_what_matters():
    """Below four cells nothing is shrunk unless somebody says which difference is worth having."""
    cells = {("a",): Moments.from_arrays({"y": [0, 2] * 50}), ("b",): Moments.from_arrays({"y": [1, 3] * 50})}
    alone = compare_factorial(cells, {"page": ("a", "b")}, "y").best
    assert (alone.levels, alone.shrunk, alone.probability_best) == (("b",), None, None)
    told = compare_factorial(cells, {"page": ("a", "b")}, "y", smallest_effect=0.2).best
    assert told.levels == ("b",)
    assert 1.5 < told.shrunk < 2.0


def test_cells_without_differences_go_to_the_raw_best():
    """Where all cells differ by no more than chance, every shrunk mean is the same, and so is the chance of each."""
    rng = np.random.default_rng(9)
    values = rng.normal(0, 1, 50)
    cells = {cell: Moments.from_arrays({"y": values + 1e-3 * at}) for at, cell in enumerate(product(*TWO.values()))}
    found = compare_factorial(cells, TWO, "y")
    assert found.best.levels == ("10 %", "free")
    assert [cell.probability_best for cell in found.cells] == pytest.approx([0.25] * 4)


@pytest.mark.parametrize(
    ("replaced", "options", "status", "words"),
    [
        (zeros_and_ones(0, 50), {"scale": "log"}, "undefined", "no logarithm"),
        (zeros_and_ones(0, 50), {"model": ["discount", "shipping"]}, "insufficient", "weighs a cell by its variance"),
        (Moments.from_arrays({"y": [-1.0, 0.0]}), {"scale": "log"}, "undefined", "no logarithm"),
    ],
)
def test_cells_that_cannot_be_used(replaced, options, status, words):
    """A cell with visitors but no mean on the scale, or no variance to weigh it by, ends the analysis with a reason."""
    cells = {cell: zeros_and_ones(5, 50) for cell in product(*TWO.values())}
    cells["none", "free"] = replaced
    found = compare_factorial(cells, TWO, "y", **options)
    assert (found.status, found.effects, found.lack_of_fit) == (status, (), None)
    assert "none / free" in found.reason
    assert words in found.reason
    assert "none / free" in str(found)


def test_ratio_without_denominator_is_undefined():
    """A cell without orders has no order value; leaving it out would flatter the others."""
    full = Moments.from_arrays({"revenue": [0.0, 5.0, 9.0], "orders": [0, 1, 2]})
    none = Moments.from_arrays({"revenue": [0.0, 0.0, 0.0], "orders": [0, 0, 0]})
    found = compare_factorial({("a",): full, ("b",): none}, {"page": ("a", "b")}, "revenue", per="orders")
    assert found.status == "undefined"
    assert "not above 0" in found.reason


def test_nothing_varies():
    """Constant cells give a status, no p-value of 0 or 1."""
    cells = {cell: Moments.from_arrays({"y": [3.0] * 10}) for cell in product(*TWO.values())}
    found = compare_factorial(cells, TWO, "y")
    for effect in found.effects:
        assert effect.test.status == effect.contrasts[0].status == "insufficient"
        assert effect.contrasts[0].p_value is None
        assert effect.contrasts[0].reason
    one = {**cells, ("none", "paid"): Moments.from_arrays({"y": [3.0, 4.0] * 5})}
    assert compare_factorial(one, TWO, "y")["discount"].contrasts[0].status == "ok"
    three = compare_factorial(
        {**{(k,): cells["none", "paid"] for k in (1, 2)}, (3,): one["none", "paid"]}, {"a": (1, 2, 3)}, "y"
    )
    assert [three["a"].test.status, *(c.status for c in three["a"].contrasts)] == ["insufficient", "insufficient", "ok"]


@pytest.mark.parametrize("n", [0, 1])
def test_cells_of_no_or_one_visitor_are_empty(n):
    """They are missing, said so, and what they make inestimable has no number."""
    cells = {cell: zeros_and_ones(5, 50) for cell in product(*TWO.values())}
    cells["10 %", "free"] = zeros_and_ones(0, n)
    found = compare_factorial(cells, TWO, "y")
    assert found.status == "ok"
    assert [effect.test.status for effect in found.effects] == ["aliased"] * 3
    assert [cell.status for cell in found.cells] == ["ok", "ok", "ok", "empty"]
    assert found["discount"].confounded_with == ("the mean", "shipping", "discount:shipping")
    nothing = compare_factorial({cell: zeros_and_ones(0, n) for cell in cells}, TWO, "y")
    assert nothing.status == "insufficient"
    assert nothing.best is None


def test_results_have_no_nan():
    """Every result is JSON without NaN, whatever is missing."""
    cells = {cell: zeros_and_ones(5, 50) for cell in product(*TWO.values())}
    for broken in ({}, {("none", "free"): zeros_and_ones(0, 0)}, {("none", "free"): zeros_and_ones(0, 50)}):
        for scale in ("additive", "log"):
            found = compare_factorial({**cells, **broken}, TWO, "y", scale=scale)
            json.dumps(found.to_dicts(), allow_nan=False)
            json.dumps([row for cell in found.cells for row in cell.to_dicts()], allow_nan=False)


CELL = zeros_and_ones(5, 50)


@pytest.mark.parametrize(
    ("cells", "options", "words"),
    [
        ({}, {}, "no cells"),
        ({("none",): CELL}, {}, "1 levels"),
        ({("none", "by mule"): CELL}, {}, "by mule"),
        ({("none", "paid"): CELL}, {"weights": "both"}, "weights are 'both'"),
        ({("none", "paid"): CELL}, {"scale": "square"}, "scale is 'square'"),
        ({("none", "paid"): CELL}, {"alpha": 5}, "alpha is 5"),
        ({("none", "paid"): CELL}, {"power": 80}, "power is 80"),
        ({("none", "paid"): CELL}, {"family": ["price"]}, "no term 'price'"),
        ({("none", "paid"): CELL}, {"family": "discount"}, "a list of terms"),
        ({("none", "paid"): CELL}, {"model": "discount"}, "a list of terms"),
        ({("none", "paid"): CELL}, {"model": ["discount:shipping"]}, "without 'discount'"),
        ({("none", "paid"): CELL}, {"model": ["discount"], "family": ["shipping"]}, "takes as 0"),
        ({"a": CELL}, {"levels": {}}, "arm 'a' has no levels"),
        ({"a": CELL}, {"levels": {"a": {"discount": "none"}}}, "no level of 'shipping'"),
        ({("none", "paid"): Moments.from_arrays({"x": [1, 2]})}, {}, "no column 'y'"),
    ],
)
def test_impossible_arguments(cells, options, words):
    """What does not fit is refused, with what was seen."""
    with pytest.raises(InputError, match=words):
        compare_factorial(cells, TWO, "y", **options)


def test_arms_with_the_same_levels_are_refused():
    """Two arms of one combination are named, with what to do."""
    levels = {arm: {"discount": "none", "shipping": "paid"} for arm in "ab"}
    with pytest.raises(InputError, match="given twice, by 'b'"):
        compare_factorial({"a": CELL, "b": CELL}, TWO, "y", levels=levels)


@pytest.mark.parametrize(
    ("sizes", "sd", "expected"),
    [
        ((5, 5, 5, 5), (1, 1, 1, 1), 0.95),
        ((20, 40, 80, 320), (4, 1, 3, 1), 0.95),
        # Four visitors in the cell with nearly all of the variance: Satterthwaite's df are too many, as Welch's are.
        ((4, 8, 16, 64), (4, 1, 3, 1), 0.934),
    ],
)
def test_coverage_of_contrasts(sizes, sd, expected):
    """20,000 runs of normal cells: intervals of main effect and interaction cover .95, from 20 visitors a cell on."""
    rng = np.random.default_rng(10)
    runs, n, sd = 20_000, np.array(sizes), np.array(sd, dtype=float)
    mean = rng.normal(0, sd / np.sqrt(n), (runs, 4))
    variance = sd**2 / n * rng.chisquare(n - 1, (runs, 4)) / (n - 1)
    rows = np.array([[-0.5, -0.5, 0.5, 0.5], [1, -1, -1, 1]])
    estimate, total, df = satterthwaite_contrasts(rows, mean, variance, n - 1.0)
    covered = (np.abs(estimate) <= -stdtrit(df, 0.025) * np.sqrt(total)).mean(axis=0)
    assert covered == pytest.approx([expected] * 2, abs=3.5 * math.sqrt(0.05 * 0.95 / runs))


def test_family_error():
    """Without any effect one of six terms, adjusted by Holm, is found in at most 5 % of 2,000 experiments."""
    rng = np.random.default_rng(11)
    factors = {"a": (0, 1), "b": (0, 1), "c": (0, 1)}
    runs, hits = 2_000, 0
    for _ in range(runs):
        cells = {
            cell: Moments.from_sums(["y"], 400, [x], {("y", "y"): x})
            for cell, x in zip(product(*factors.values()), rng.binomial(400, 0.2, 8).tolist(), strict=True)
        }
        found = compare_factorial(cells, factors, "y")
        hits += any(effect.test.p_adjusted <= 0.05 for effect in found.effects if effect.in_family)
    assert hits / runs <= 0.05 + 3.5 * math.sqrt(0.05 * 0.95 / runs)
    assert hits / runs >= 0.02


@pytest.mark.parametrize(("orders", "warned"), [(20, True), (26, False), (100, False)])
def test_few_orders_on_the_log_scale_are_said(orders, warned):
    """Below about 25 conversions a cell (relative error above .2) there is a warning; none on the additive scale."""
    cells = {cell: zeros_and_ones(100, 1000) for cell in product(*TWO.values())} | {
        ("none", "free"): zeros_and_ones(orders, 1000)
    }
    assert bool(compare_factorial(cells, TWO, "y", scale="log").warning) == warned
    assert compare_factorial(cells, TWO, "y").warning == ""
