"""Factorial experiments: which factor does what, which of them work together, and which combination is best.

Timing x price x discount x shipping, every combination an arm: a cell. A main effect is a contrast of cell means, an
interaction a difference of differences; both come from the moments of the cells alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from ..errors import InputError
from .bayes import Direction, normal_posteriors, normal_update
from .contrasts import Contrast, Scale, Status, WaldTest, adjusted, arrays_of, contrast_of, log_estimate, wald_test_of
from .factorial_design import Cell, CellModel, Grid, Term, show_cell, term_name
from .factorial_results import CellWeights, FactorialCell, FactorialComparison, FactorialEffect, LackOfFit
from .fieller import Estimate, check_alpha
from .moments import Moments
from .shrinkage import shrink_together
from .strata import mean_over_strata, ratio_over_strata, stratum_weights

__all__ = ["compare_factorial"]

Array = NDArray[np.float64]
Strata = Sequence[Moments]

MOST_RANKED = 32
"""Most cells for which the chance to be the best is computed: its cost grows with their square."""

MOST_RELATIVE_ERROR = 0.2
"""Standard error of a cell's mean over the mean, above which its logarithm is too skewed for the intervals' level."""

HOLM = "Holm (1979) within the family: over its terms, and over its single contrasts"


def compare_factorial(
    cells: Mapping[Any, Moments | Strata],
    factors: Mapping[str, Sequence[Hashable]],
    column: str,
    *,
    per: str | None = None,
    levels: Mapping[str, Mapping[str, Hashable]] | None = None,
    scale: Scale = "additive",
    weights: CellWeights = "equal",
    model: Sequence[str] | None = None,
    family: Sequence[str] | None = None,
    visitors: Sequence[int] | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
    direction: Direction = "increase",
    smallest_effect: float | None = None,
) -> FactorialComparison:
    """Main effects, interactions and the best combination of a factorial experiment, from the moments of its cells.

    Every effect is a contrast L of the cell means m with Σ = diag(V): Lm with variance LΣL', Welch's (1947) t with
    Satterthwaite's (1946) df for one contrast, Wald's χ² = (Lm)'(LΣL')⁻¹(Lm) for several, read as F with the df of Fai
    and Cornelius (1996). A main effect is every level against the first, averaged over the other factors' levels with
    equal weights (Yates 1934), whatever their visitors, or with `weights="visitors"`. An interaction is a difference of
    such differences: its standard error is twice that of a main effect of two levels, so it needs four times the
    visitors; `detectable` says what it could have found, at α over the family's number of contrasts (Holm's first
    step).

    With a `model` that leaves terms out, cell means are fitted by weighted least squares, β = (X'Σ⁻¹X)⁻¹X'Σ⁻¹m, and
    judged by lack of fit, (m - Xβ)'Σ⁻¹(m - Xβ) ~ χ². Weights are taken as known: not for cells of a few dozen visitors.
    Where combinations have no visitors, terms that the rest cannot tell apart are `aliased` and have no number; a model
    without the terms that they are confounded with gives one.

    The best cell is chosen by empirical Bayes over the cells (`shrink`, from four on), below with the sceptical prior
    of `smallest_effect` on any difference of two cells. It is the best of those tested, and no verdict.

    Assumes independent visitors in enough numbers for each cell's mean to be normal, on the log scale some hundred
    orders a cell. Not for shares of a budget or other factors that cannot be combined freely, nor for a factor that the
    offer itself changes.

    Args:
        cells: moments by combination of levels, a tuple in the order of the factors; or by arm's name, with `levels`.
            Over phases or other strata a sequence of moments a cell, in one order for all.
        factors: levels of each factor, the reference first.
        column: the metric's column: money, a count, or 0/1.
        per: of a ratio of sums the denominator's column; each cell's ratio is linearised (Deng, Knoblich and Lu 2018).
        levels: of each arm its level by factor.
        scale: `additive`, or `log`: log m with variance V/m², for effects that multiply.
        weights: how an effect averages over the other factors: `equal`, or `visitors`, by the visitors of each
            combination.
        model: terms such as `["price", "timing", "price:timing"]`; all where None.
        family: terms whose p-values are adjusted together; main effects and two-way interactions where None.
        visitors: of strata, see `stratum_weights`.
        alpha: 1 minus the confidence level, two-sided.
        power: of the detectable effects.
        direction: whether the largest or the smallest mean is best.
        smallest_effect: smallest difference worth having, in the metric's unit; for the sceptical prior below four
            cells.

    Returns:
        Status `insufficient` where fewer than two cells have visitors or a cell without variance meets a reduced model;
        `undefined` where a cell with visitors has no mean on the scale, such as one without orders on the log scale:
        leaving it out would flatter the others.

    Raises:
        InputError: cells, levels or terms that do not fit the factors, no such column, or options out of range.

    Example:
        >>> from offerlift.stats import Moments
        >>> def cell(mean):
        ...     return Moments.from_arrays({"margin": [mean - 4, mean, mean + 4] * 50})
        >>> cells = {("no", "no"): cell(5), ("no", "yes"): cell(6), ("yes", "no"): cell(7), ("yes", "yes"): cell(9)}
        >>> result = compare_factorial(cells, {"discount": ("no", "yes"), "shipping": ("no", "yes")}, "margin")
        >>> for effect in result.effects:
        ...     one, = effect.contrasts
        ...     print(f"{one.name}: {one.estimate:g} ± {one.se:.2f}, detectable {one.detectable:.2f}")
        discount: yes v no: 2.5 ± 0.27, detectable 0.87
        shipping: yes v no: 1.5 ± 0.27, detectable 0.87
        discount: yes v no × shipping: yes v no: 1 ± 0.54, detectable 1.74
    """
    grid = Grid.of(factors)
    _check_options(scale, weights, power)
    alpha = check_alpha(alpha)
    known = _by_cell(grid, cells, levels)
    shown = _cells(grid, known, column, per, scale, visitors)
    usable = {cell: estimate for cell, (_, estimate) in shown.items() if estimate is not None}
    fitted = CellModel(grid, list(usable), model)
    terms = _family(fitted, family)
    reason, status = _problem(shown, usable, fitted)
    effects: tuple[FactorialEffect, ...] = ()
    fit = None
    if status == "ok":
        scaled = [usable[cell] if scale == "additive" else log_estimate(usable[cell]) for cell in fitted.present]
        sizes = None if weights == "equal" else np.array([float(shown[cell][0].visitors) for cell in grid.cells])
        effects = _effects(fitted, scaled, sizes, terms, scale, alpha, power)
        fit = _lack_of_fit(fitted, scaled)
    rows, best = _ranked([row for row, _ in shown.values()], usable, direction, smallest_effect)
    return FactorialComparison(
        status,
        reason,
        column,
        per,
        grid.factors,
        scale,
        weights,
        tuple(map(term_name, fitted.terms)),
        tuple(map(term_name, terms)),
        HOLM,
        alpha,
        power,
        effects,
        rows,
        best,
        fit,
        known,
        _too_uncertain(usable) if status == "ok" and scale == "log" else "",
    )


def _check_options(scale: str, weights: str, power: float) -> None:
    if scale not in get_args(Scale):
        raise InputError(f"scale is {scale!r}; it is additive or log")
    if weights not in get_args(CellWeights):
        raise InputError(f"weights are {weights!r}; they are equal or visitors")
    if not 0 < power < 1:
        raise InputError(f"power is {power!r}; a number strictly between 0 and 1 is needed, such as 0.8")


def _by_cell(
    grid: Grid, cells: Mapping[Any, Moments | Strata], levels: Mapping[str, Mapping[str, Hashable]] | None
) -> dict[Cell, Strata]:
    """Every given cell's moments by stratum, keyed by its levels."""
    if not cells:
        raise InputError("there are no cells; moments by combination of levels are needed")
    found: dict[Cell, Strata] = {}
    for name, given in cells.items():
        key = grid.check(name if levels is None else _levels_of(grid, name, levels))
        if key in found:
            raise InputError(
                f"the levels {show_cell(key)} are given twice, by {name!r} the second time",
                hint="Add the moments of its arms: a + b.",
            )
        found[key] = [given] if isinstance(given, Moments) else list(given)
    return found


def _levels_of(grid: Grid, arm: Any, levels: Mapping[str, Mapping[str, Hashable]]) -> Cell:
    if arm not in levels:
        raise InputError(f"arm {arm!r} has no levels; there are those of {list(levels)}")
    missing = [factor for factor in grid.factors if factor not in levels[arm]]
    if missing:
        raise InputError(f"arm {arm!r} has no level of {missing[0]!r}; it has {dict(levels[arm])}")
    return tuple(levels[arm][factor] for factor in grid.factors)


def _family(fitted: CellModel, family: Sequence[str] | None) -> tuple[Term, ...]:
    if family is None:
        return tuple(term for term in fitted.terms if len(term) <= 2)
    if isinstance(family, str):
        raise InputError(f"the family is {family!r}; a list of terms is needed, such as [{family!r}]")
    chosen = {fitted.grid.term(name) for name in family}
    for term in chosen:
        if term not in fitted.terms:
            raise InputError(
                f"the family tests {term_name(term)!r}, which the model takes as 0",
                hint="Name it in the model as well, or leave it out of the family.",
            )
    return tuple(term for term in fitted.terms if term in chosen)


def _cells(
    grid: Grid, known: Mapping[Cell, Strata], column: str, per: str | None, scale: Scale, visitors: Sequence[int] | None
) -> dict[Cell, tuple[FactorialCell, Estimate | None]]:
    """Every combination with its mean, and its estimate where it has one on the scale."""
    for strata in known.values():
        for part in strata:
            part.index(column)
            if per is not None:
                part.index(per)
    present = {cell: strata for cell, strata in known.items() if sum(part.n for part in strata) >= 2}
    weights = stratum_weights(list(present.values()), visitors) if present else ()
    found = {}
    for cell in grid.cells:
        n = sum(part.n for part in known.get(cell, ()))
        if cell not in present:
            reason = "one visitor; a variance needs two" if n else "no visitors"
            found[cell] = FactorialCell(cell, n, "empty", reason), None
            continue
        strata = present[cell]
        if per is None:
            estimate = mean_over_strata(strata, column, weights)
        else:
            estimate = ratio_over_strata(strata, column, per, weights)
        if isinstance(estimate, Estimate) and per is not None and estimate.variance == 0:
            estimate = f"{column!r} per {per!r} shows no variance"
        if isinstance(estimate, str):
            found[cell] = FactorialCell(cell, n, "undefined", estimate), None
            continue
        row = FactorialCell(cell, n, "ok", "", estimate.mean, math.sqrt(estimate.variance))
        if scale == "log" and estimate.mean <= 0:
            row = replace(row, status="undefined", reason=f"its mean is {estimate.mean:g}, which has no logarithm")
        found[cell] = row, estimate
    return found


def _problem(
    shown: Mapping[Cell, tuple[FactorialCell, Estimate | None]], usable: Mapping[Cell, Estimate], fitted: CellModel
) -> tuple[str, Status]:
    """Why there are no effects, if there are none."""
    for row, _ in shown.values():
        if row.status == "undefined":
            return f"cell {show_cell(row.levels)}: {row.reason}", "undefined"
    if len(usable) < 2:
        return (
            f"{len(usable)} of {len(shown)} cells have two visitors or more; two such cells are needed",
            "insufficient",
        )
    if not fitted.is_saturated:
        for cell, estimate in usable.items():
            if estimate.variance == 0:
                reason = "nothing varies, and a reduced model weighs a cell by its variance"
                return f"cell {show_cell(cell)}: {reason}", "insufficient"
    return "", "ok"


def _too_uncertain(usable: Mapping[Cell, Estimate]) -> str:
    for cell, estimate in usable.items():
        relative = math.sqrt(estimate.variance) / estimate.mean
        if relative > MOST_RELATIVE_ERROR:
            return (
                f"cell {show_cell(cell)} knows its mean to {relative:.0%} only: with so few orders intervals on the "
                "log scale are too narrow, and the additive scale is the safer one"
            )
    return ""


@dataclass(frozen=True, slots=True)
class _Plan:
    """A term's contrasts over the grid, and for each the terms that it cannot be told from, or None."""

    term: Term
    names: list[str]
    rows: Array
    aliased: list[tuple[str, ...] | None]


def _effects(
    fitted: CellModel,
    cells: Sequence[Estimate],
    sizes: Array | None,
    family: Sequence[Term],
    scale: Scale,
    alpha: float,
    power: float,
) -> tuple[FactorialEffect, ...]:
    """Every term of the model, with p-values adjusted within the family."""
    plans = []
    for term in fitted.terms:
        names, rows = fitted.grid.contrasts(term, sizes)
        plans.append(_Plan(term, names, rows, [fitted.aliased_with(term, row) for row in rows]))
    tested = sum(others is None for plan in plans if plan.term in family for others in plan.aliased)
    effects = []
    for plan in plans:
        level = alpha / max(tested, 1) if plan.term in family else alpha
        contrast = partial(contrast_of, cells=cells, scale=scale, alpha=alpha, power=power, detectable_alpha=level)
        effects.append(_effect(fitted, plan, plan.term in family, cells, contrast))
    return tuple(_with_holm(effects))


def _effect(
    fitted: CellModel, plan: _Plan, in_family: bool, cells: Sequence[Estimate], contrast: Callable[..., Contrast]
) -> FactorialEffect:
    variance = np.array([cell.variance for cell in cells])
    coefficients = [
        fitted.coefficients(row, variance) if others is None else None
        for row, others in zip(plan.rows, plan.aliased, strict=True)
    ]
    contrasts = tuple(
        Contrast.without(name, "aliased", _not_told_apart(others or ())) if taken is None else contrast(name, taken)
        for name, taken, others in zip(plan.names, coefficients, plan.aliased, strict=True)
    )
    confounded = tuple(dict.fromkeys(other for others in plan.aliased for other in others or ()))
    known = [taken for taken in coefficients if taken is not None]
    if len(known) < len(contrasts):
        test = WaldTest("aliased", _not_told_apart(confounded))
    elif len(contrasts) == 1:
        test = _test_of(contrasts[0])
    else:
        test = wald_test_of(np.array(known), cells)
    confounded = confounded or fitted.relies_on(plan.term)
    return FactorialEffect(term_name(plan.term), len(plan.term), in_family, test, contrasts, confounded)


def _not_told_apart(others: Sequence[str]) -> str:
    if not others:
        return "the cells that have visitors do not vary in it"
    return f"the cells that have visitors do not tell it from {', '.join(others)}"


def _test_of(contrast: Contrast) -> WaldTest:
    """The test of a term with a single contrast: the square of its t."""
    if contrast.estimate is None or not contrast.se:
        return WaldTest(contrast.status, contrast.reason)
    f = (contrast.estimate / contrast.se) ** 2
    return WaldTest("ok", "", f, 1, f, contrast.df, contrast.p_value)


def _with_holm(effects: Sequence[FactorialEffect]) -> list[FactorialEffect]:
    family = [one for one in effects if one.in_family]
    tests = iter(adjusted([one.test for one in family], "holm"))
    contrasts = iter(adjusted([contrast for one in family for contrast in one.contrasts], "holm"))
    return [
        replace(one, test=next(tests), contrasts=tuple(next(contrasts) for _ in one.contrasts))
        if one.in_family
        else one
        for one in effects
    ]


def _lack_of_fit(fitted: CellModel, cells: Sequence[Estimate]) -> LackOfFit:
    if fitted.is_saturated:
        return LackOfFit("saturated", "the model has as many parameters as there are cells with visitors")
    mean, variance, _ = arrays_of(cells)
    chi_squared = fitted.lack_of_fit(mean, variance)
    df = len(cells) - fitted.rank
    return LackOfFit("ok", "", chi_squared, df, float(chdtrc(df, chi_squared)))


def _ranked(
    rows: Sequence[FactorialCell],
    usable: Mapping[Cell, Estimate],
    direction: Direction,
    smallest_effect: float | None,
) -> tuple[tuple[FactorialCell, ...], FactorialCell | None]:
    """The cells with their shrunk means, and the best of them."""
    if not usable:
        return tuple(rows), None
    mean, variance, _ = arrays_of(list(usable.values()))
    shrunk = shrink_together(mean, variance, smallest_effect) if (variance > 0).all() else None
    found = dict(zip(usable, shrunk or [], strict=False))
    chance = {}
    if 1 < len(found) <= MOST_RANKED:
        # Given the common mean, whose error moves all cells alike and so none past another.
        posterior = {
            str(at): normal_update(one.raw, one.raw_se**2, one.prior_mean, one.prior_variance)
            for at, one in enumerate(found.values())
        }
        best = normal_posteriors(posterior, "0", direction=direction).probability_best
        chance = dict(zip(found, best.values(), strict=True))
    ranked = tuple(
        replace(row, shrunk=one.shrunk, shrunk_se=one.shrunk_se, probability_best=chance.get(row.levels))
        if (one := found.get(row.levels)) is not None
        else row
        for row in rows
    )
    sign = 1.0 if direction == "increase" else -1.0
    tested = [row for row in ranked if row.mean is not None]
    # Shrunk all the way, cells are equal: then the raw means decide.
    return ranked, max(tested, key=lambda row: (sign * (row.shrunk or 0.0), sign * (row.mean or 0.0)))
