"""Contrasts of independent means: one at a time by Welch's t, several at once by Wald's test.

A contrast L = Σ a_i m_i of independent estimates has variance Σ a_i² V_i and degrees of freedom by Satterthwaite
(1946); with coefficients 1 and -1 it is Welch's test. The kernels take arrays with any leading axes, a problem each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc, stdtr, stdtrit

from .fieller import Estimate, is_negligible
from .multiplicity import PValueMethod, adjust_p_values
from .results import Lift
from .showing import Shown

__all__ = [
    "Contrast",
    "Scale",
    "Status",
    "WaldTest",
    "adjusted",
    "arrays_of",
    "contrast_of",
    "detectable_effect",
    "log_estimate",
    "satterthwaite_contrasts",
    "wald_statistics",
    "wald_test_of",
]

Array = NDArray[np.float64]
Scale = Literal["additive", "log"]
Status = Literal["ok", "insufficient", "undefined", "aliased"]


@dataclass(frozen=True, slots=True)
class Contrast(Shown):
    """One contrast of cell means: an effect, or a difference of differences.

    Attributes:
        name: which levels against which, such as `price: 9 v 10`.
        status: `ok`; `insufficient` (nothing varies), `undefined` (the model takes it as 0), or `aliased` (the cells
            that exist do not tell it from others). All but `ok` have a `reason` and no numbers.
        estimate: in the metric's unit; on the log scale a difference of logarithms.
        se, df: its standard error and Satterthwaite's degrees of freedom.
        low, high: two-sided interval at the level asked for, not adjusted for the family.
        p_value: from the same t statistic as the interval.
        p_adjusted: within the family tested; None outside it.
        detectable: the true value that is found with the power asked for, on the scale of `estimate`.
        lift: on the log scale the same as a relative change (of an interaction, the ratio of two ratios less 1).

    Example:
        >>> Contrast.without("price: 9 v 10", "aliased", "confounded with timing:discount").estimate is None
        True
    """

    name: str
    status: Status
    reason: str = ""
    estimate: float | None = None
    se: float | None = None
    df: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    detectable: float | None = None
    lift: Lift | None = None

    @classmethod
    def without(cls, name: str, status: Status, reason: str) -> Contrast:
        """A contrast that has no numbers, and why."""
        return cls(name, status, reason)


@dataclass(frozen=True, slots=True)
class WaldTest(Shown):
    """A test that several contrasts are all 0.

    Attributes:
        status, reason: as in `Contrast`.
        chi_squared, df: Wald's statistic and how many contrasts it takes together.
        f, df_error: chi_squared / df, and the degrees of freedom of its denominator.
        p_value: of the F distribution.
        p_adjusted: within the family tested; None outside it.

    Example:
        >>> WaldTest("ok", chi_squared=6.2, df=2, f=3.1, df_error=1000.0, p_value=0.0455).f
        3.1
    """

    status: Status
    reason: str = ""
    chi_squared: float | None = None
    df: int | None = None
    f: float | None = None
    df_error: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None


Tested = TypeVar("Tested", Contrast, WaldTest)


def satterthwaite_contrasts(coefficients: Array, mean: Array, variance: Array, df: Array) -> tuple[Array, Array, Array]:
    """Estimate, variance and degrees of freedom of each contrast.

    Args:
        coefficients: shape (q, k).
        mean, variance, df: shape (..., k): of k independent estimates.

    Returns:
        Three arrays of shape (..., q).
    """
    squares = coefficients**2
    scaled, unit = _scaled(variance)
    total = scaled @ squares.T
    spread = (scaled**2 / df) @ (squares**2).T
    return mean @ coefficients.T, total * unit, _freedom(total, spread)


def wald_statistics(coefficients: Array, mean: Array, variance: Array, df: Array) -> tuple[Array, Array, Array]:
    """Wald's chi-squared that all contrasts are 0, the F test's denominator df, and its p-value.

    χ² = (Lm)'(LΣL')⁻¹(Lm) with Σ = diag(V), F = χ²/q. The denominator's df are Fai and Cornelius's (1996): χ² is a sum
    of q squared t statistics of uncorrelated contrasts with ν_j df each, whose mean Σ ν_j/(ν_j - 2) is that of F. The
    contrasts are made orthonormal first, so that it does not matter which level is the reference.

    Args:
        coefficients: shape (q, k), of rank q.
        mean, variance, df: shape (..., k).

    Returns:
        Three arrays of shape (...); χ² is NaN where the contrasts' covariance is singular.
    """
    q = len(coefficients)
    basis = np.linalg.qr(coefficients.T)[0]
    scaled, unit = _scaled(variance)
    size, rotation = np.linalg.eigh(np.einsum("kq,...k,kr->...qr", basis, scaled, basis))
    singular = size[..., :1] <= 1e-12 * size[..., -1:]
    size = np.where(singular, 1.0, size)
    directions = np.einsum("kq,...qr->...rk", basis, rotation)
    t_squared = np.einsum("...rk,...k->...r", directions, mean) ** 2 / size / unit
    nu = _freedom(size, np.einsum("...rk,...k->...r", directions**4, scaled**2 / df))
    # The mean of F with ν_j each; equal ν_j give 2q ν/(ν-2)/(2q/(ν-2)) = ν again.
    moment = np.where(nu > 2, 1 / np.where(nu > 2, 1 - 2 / nu, 1.0), 1.0).sum(axis=-1)
    heavy = np.any(nu <= 2, axis=-1)
    excess = np.maximum(moment - q, np.finfo(float).eps * q)
    denominator = np.where(heavy, 2.0, 2 * moment / excess)
    chi_squared = np.where(singular[..., 0], np.nan, t_squared.sum(axis=-1))
    return chi_squared, denominator, fdtrc(q, denominator, chi_squared / q)


def contrast_of(
    name: str,
    coefficients: Array,
    cells: Sequence[Estimate],
    *,
    scale: Scale = "additive",
    alpha: float,
    power: float,
    detectable_alpha: float | None = None,
) -> Contrast:
    """One contrast of independent cells, with its interval and what it could have found.

    Args:
        coefficients: shape (k,).
        cells: k estimates, on the scale of the analysis.
        detectable_alpha: level of the test whose detectable effect is wanted; alpha where None.
    """
    mean, variance, df = arrays_of(cells)
    found = satterthwaite_contrasts(coefficients[None, :], mean, variance, df)
    estimate, total, freedom = (float(one[0]) for one in found)
    # What cancels leaves rounding; a variance no larger than that is none.
    if total <= 0 or is_negligible(total, float(np.abs(coefficients * mean).max())):
        return Contrast.without(name, "insufficient", "nothing varies within the cells that it compares")
    se = math.sqrt(total)
    margin = -float(stdtrit(freedom, alpha / 2)) * se
    p_value = min(2 * float(stdtr(freedom, -abs(estimate) / se)), 1.0)
    low, high = estimate - margin, estimate + margin
    lift = Lift("bounded", _change(estimate), _change(low), _change(high)) if scale == "log" else None
    detectable = detectable_effect(se, freedom, detectable_alpha or alpha, power)
    return Contrast(name, "ok", "", estimate, se, freedom, low, high, p_value, None, detectable, lift)


def wald_test_of(coefficients: Array, cells: Sequence[Estimate]) -> WaldTest:
    """The test that all contrasts, one a row of shape (q, k), are 0."""
    chi_squared, denominator, p_value = wald_statistics(coefficients, *arrays_of(cells))
    if not math.isfinite(chi_squared):
        return WaldTest("insufficient", "some of its contrasts do not vary within the cells that they compare")
    q = len(coefficients)
    return WaldTest("ok", "", float(chi_squared), q, float(chi_squared) / q, float(denominator), float(p_value))


def detectable_effect(se: float, df: float, alpha: float, power: float) -> float:
    """(t_{1-α/2} + t_power) · se: the true value that a two-sided test finds with that power (Bloom 1995)."""
    return float(stdtrit(df, power) - stdtrit(df, alpha / 2)) * se


def adjusted(family: Sequence[Tested], method: PValueMethod) -> list[Tested]:
    """The same results with p-values adjusted among those that have one."""
    known = [one.p_value for one in family if one.p_value is not None]
    values = iter(adjust_p_values(known, method))
    return [one if one.p_value is None else replace(one, p_adjusted=next(values)) for one in family]


def arrays_of(cells: Sequence[Estimate]) -> tuple[Array, Array, Array]:
    """Means, their variances and degrees of freedom, shape (k,) each."""
    mean, variance, df = np.array([(cell.mean, cell.variance, cell.df) for cell in cells], dtype=np.float64).T
    return mean, variance, df


def log_estimate(estimate: Estimate) -> Estimate:
    """The logarithm of a mean above 0, with variance V/m² (delta method)."""
    return Estimate(math.log(estimate.mean), estimate.variance / estimate.mean / estimate.mean, estimate.df)


def _scaled(variance: Array) -> tuple[Array, Array]:
    """Variances in units of the largest, shape (..., k), whose squares stay numbers, and the unit."""
    unit = np.maximum(variance.max(axis=-1, keepdims=True), np.finfo(float).tiny)
    return variance / unit, unit


def _freedom(total: Array, spread: Array) -> Array:
    """Satterthwaite's (Σ V)² / Σ V²/df; infinity where nothing varies."""
    return np.where(spread > 0, total**2 / np.where(spread > 0, spread, 1.0), np.inf)


def _change(logarithm: float) -> float:
    """e^x - 1, held at the largest float instead of overflowing."""
    return math.expm1(min(logarithm, 709.0))
