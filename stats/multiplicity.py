"""Several treatments against one control: Dunnett's critical value by deterministic integration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, gammaln, ndtr, ndtri, stdtr, stdtrit

from ..errors import InputError
from .fieller import check_alpha
from .roots import bracketed_root
from .rules import legendre

__all__ = ["adjusted_alpha", "dunnett_critical"]

Array = NDArray[np.float64]


def dunnett_critical(
    variances: Sequence[float],
    control_variance: float,
    *,
    alpha: float = 0.05,
    df: float = math.inf,
    sides: Literal[1, 2] = 2,
) -> float:
    """Critical value c with P(max T_i > c) = alpha over all treatments, where none differs from the control.

    T_i = (m_i - m_c)/sqrt(V_i + V_c) share the control: their correlations are λ_i λ_j with λ_i² = V_c/(V_i + V_c)
    (Dunnett 1955, 1964), so that they are independent given it and one integral remains (two with finite df, over the
    common estimate of the standard deviation). The table printed in 1955 for two sides is an approximation; this is
    exact.

    Assumes normal statistics that share one control. Not for metrics, whose correlations are unknown, nor for
    guardrails that must all pass, which need no correction.

    Args:
        variances: variance of the mean of each treatment.
        control_variance: variance of the control's mean.
        alpha: chance of any crossing.
        df: degrees of freedom of a common standard deviation; infinity for normal statistics.
        sides: 2 for |T|, 1 for upper crossings only.

    Raises:
        InputError: no treatments, variances that are negative or both 0 in a comparison, df not above 0, alpha outside
            (0, 1), or other sides.

    Example:
        >>> round(dunnett_critical([1.0, 1.0, 1.0], 1.0), 3)
        2.349
    """
    alpha = check_alpha(alpha)
    v = np.array([float(value) for value in variances], dtype=np.float64)
    if len(v) == 0 or not np.isfinite([*v, control_variance]).all() or (v < 0).any() or control_variance < 0:
        raise InputError(
            f"variances are {v.tolist()} and {control_variance!r}; finite numbers of at least 0 are needed"
        )
    if (v + control_variance == 0).any():
        raise InputError("a treatment and the control both have variance 0")
    if sides not in (1, 2) or not df > 0:
        raise InputError(f"sides = {sides!r} and df = {df!r}; 1 or 2 sides and df above 0 are needed")
    low = _single_critical(alpha / sides, df)
    if len(v) == 1:
        return low
    # Bonferroni is never too small.
    high = _single_critical(alpha / sides / len(v), df)
    loading = np.sqrt(control_variance / (v + control_variance))
    # A treatment far more precise than the control depends on it alone; a trace of its own keeps the integrand smooth.
    rest = np.sqrt(np.maximum(v / (v + control_variance), 1e-20))
    scale, weight = _chi_rule(df)

    def excess(c: float) -> float:
        crossing = sum(w * _crossing(c * s, loading, rest, sides) for s, w in zip(scale, weight, strict=True))
        return math.log(alpha / crossing)

    return bracketed_root(excess, low, high, excess(low), excess(high), tolerance=1e-13)


def adjusted_alpha(
    variances: Sequence[float],
    control_variance: float,
    *,
    alpha: float = 0.05,
    df: float = math.inf,
    sides: Literal[1, 2] = 2,
) -> float:
    """Level for each single comparison that keeps the chance of any false crossing at alpha: 2 Φ(-c), or its t.

    Dunnett (1955). Assumes and excludes what `dunnett_critical` does.

    Example:
        >>> round(adjusted_alpha([1.0, 1.0, 1.0], 1.0), 4)
        0.0188
    """
    critical = dunnett_critical(variances, control_variance, alpha=alpha, df=df, sides=sides)
    tail = ndtr(-critical) if math.isinf(df) else stdtr(df, -critical)
    return min(sides * float(tail), alpha)


def _single_critical(tail: float, df: float) -> float:
    return float(-ndtri(tail)) if math.isinf(df) else float(-stdtrit(df, tail))


def _crossing(c: float, loading: Array, rest: Array, sides: int) -> float:
    """P(any T_i beyond c) for normal T_i: ∫ φ(x) [1 - Π P(T_i inside | control = x)] dx, from tails so that it is exact
    also where it is small."""
    x, w = _control_rule(c, loading, rest)
    upper = ndtr((loading[:, None] * x - c) / rest[:, None])
    outside = upper + ndtr((-loading[:, None] * x - c) / rest[:, None]) if sides == 2 else upper
    with np.errstate(divide="ignore"):
        inside = np.log1p(-np.minimum(outside, 1.0)).sum(axis=0)
    return float(w @ -np.expm1(inside))


def _control_rule(c: float, loading: Array, rest: Array) -> tuple[Array, Array]:
    """Composite Gauss-Legendre nodes and normal weights; split around the steps at ±c/λ where they are steep."""
    ends = {-10.0, -5.0, 0.0, 5.0, 10.0}
    for slope, width in zip(loading.tolist(), (rest / np.maximum(loading, 1e-300)).tolist(), strict=True):
        if width < 0.5:
            for middle in (-c / slope, c / slope):
                ends.update(middle + k * width for k in (-8, -3, 0, 3, 8))
    edges = np.array(sorted(end for end in ends if -10 <= end <= 10))
    half, centre = np.diff(edges)[:, None] / 2, (edges[1:] + edges[:-1])[:, None] / 2
    nodes, weights = legendre(48)
    x = (centre + half * nodes).ravel()
    w = (half * weights).ravel() * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    return x, w


def _chi_rule(df: float) -> tuple[list[float], list[float]]:
    """Nodes and weights over s = sqrt(χ²_df/df), the estimate of the standard deviation; one node for infinite df."""
    if math.isinf(df):
        return [1.0], [1.0]
    low = math.sqrt(max(float(chdtri(df, 1 - 1e-15)), 0.0) / df)
    high = math.sqrt(float(chdtri(df, 1e-17)) / df)
    half, centre = (high - low) / 2, (high + low) / 2
    nodes, weights = legendre(48)
    s = centre + half * nodes
    log_density = (
        math.log(2) + df / 2 * math.log(df / 2) - float(gammaln(df / 2)) + (df - 1) * np.log(s) - df * s**2 / 2
    )
    weight = half * weights * np.exp(log_density)
    return s.tolist(), weight.tolist()
