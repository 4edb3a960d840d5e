"""Several treatments against one control, by Dunnett's method; many metrics or segments, by adjusted p-values.

Guardrails that must all pass are no such family: each is tested at its own level (`intersection_union`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, gammaln, ndtr, ndtri, stdtr, stdtrit

from ..errors import InputError
from .fieller import check_alpha
from .roots import bracketed_root
from .rules import legendre

__all__ = ["PValueMethod", "adjust_p_values", "adjusted_alpha", "dunnett_critical", "dunnett_p_values", "e_bh"]

PValueMethod = Literal["bonferroni", "holm", "hochberg", "hommel", "bh", "by"]

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
    v = _check_arms(variances, control_variance, df, sides)
    low = _single_critical(alpha / sides, df)
    if len(v) == 1:
        return low
    # Bonferroni is never too small.
    high = _single_critical(alpha / sides / len(v), df)
    loading, rest = _loadings(v, control_variance)
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


def dunnett_p_values(
    statistics: Sequence[float],
    variances: Sequence[float],
    control_variance: float,
    *,
    df: float = math.inf,
    sides: Literal[1, 2] = 2,
    step_down: bool = True,
) -> tuple[float, ...]:
    """p-values of several treatments against one control, adjusted so that any false one has probability alpha.

    Single-step: P(max |T_i| >= |t|) over all treatments; below alpha exactly where |t| exceeds `dunnett_critical`.
    Step-down (Dunnett and Tamhane 1991): the largest is judged among all, the next among the rest, and so on, each at
    least the one before; it finds more and keeps the same promise.

    Args:
        statistics: t_i = (m_i - m_c)/sqrt(V_i + V_c) of each treatment.
        variances: variance of the mean of each treatment.
        control_variance: variance of the control's mean.
        df: degrees of freedom of a common standard deviation; infinity for normal statistics.
        sides: 2 for |T|, 1 for large T only.
        step_down: False for single-step, which has matching intervals (± the critical value).

    Raises:
        InputError: as `dunnett_critical`, another number of statistics than variances, or a statistic that is NaN.

    Example:
        >>> [round(p, 4) for p in dunnett_p_values([2.5, 1.1, 2.1], [1.0, 1.0, 1.0], 1.0)]
        [0.0336, 0.2713, 0.0657]
    """
    v = _check_arms(variances, control_variance, df, sides)
    t = np.array([float(value) for value in statistics], dtype=np.float64)
    if len(t) != len(v) or np.isnan(t).any():
        raise InputError(f"statistics are {t.tolist()} for {len(v)} variances; one number for each is needed")
    size = np.abs(t) if sides == 2 else t
    loading, rest = _loadings(v, control_variance)
    scale, weight = _chi_rule(df)
    adjusted = [0.0] * len(t)
    order = np.argsort(-size, kind="stable")
    largest = 0.0
    for step, i in enumerate(order.tolist()):
        rivals = order[step:] if step_down else order
        value = sum(
            w * _crossing(float(size[i]) * s, loading[rivals], rest[rivals], sides)
            for s, w in zip(scale, weight, strict=True)
        )
        largest = max(largest, min(value, 1.0)) if step_down else min(value, 1.0)
        adjusted[i] = largest
    return tuple(adjusted)


def adjust_p_values(p_values: Sequence[float], method: PValueMethod) -> tuple[float, ...]:
    """Adjusted p-values of a family, in the order given: reject where they are at most alpha.

    Any false rejection with probability alpha: `bonferroni` and `holm` (Holm 1979) always, `hochberg` (1988) and
    `hommel` (1988) for independent or positively dependent tests. False discoveries at most alpha of all, on average:
    `bh` (Benjamini and Hochberg 1995) for independent or positively dependent tests, `by` (Benjamini and Yekutieli
    2001) always.

    Args:
        p_values: of secondary metrics, segments or other families of findings. Not of guardrails, which must all pass.
        method: one of the above.

    Raises:
        InputError: p-values outside [0, 1], or another method.

    Example:
        >>> adjust_p_values([0.01, 0.04, 0.03], "holm")
        (0.03, 0.06, 0.06)
        >>> adjust_p_values([0.01, 0.04, 0.03], "bh")
        (0.03, 0.04, 0.04)
    """
    p = np.array([float(value) for value in p_values], dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise InputError(f"p-values are {p.tolist()}; numbers from 0 to 1 are needed")
    if method not in get_args(PValueMethod):
        raise InputError(f"method is {method!r}; it is one of {', '.join(get_args(PValueMethod))}")
    if len(p) == 0:
        return ()
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(_adjust_sorted(p[order], method), 1.0)
    return tuple(adjusted.tolist())


def _adjust_sorted(p: Array, method: PValueMethod) -> Array:
    k = len(p)
    rank = np.arange(1, k + 1)
    if method == "bonferroni":
        return k * p
    if method == "holm":
        return np.maximum.accumulate((k - rank + 1) * p)
    if method == "hommel":
        return _hommel(p)
    factor = k - rank + 1.0 if method == "hochberg" else k / rank
    if method == "by":
        factor = factor * (1 / rank).sum()
    return np.minimum.accumulate((factor * p)[::-1])[::-1]


def _hommel(p: Array) -> Array:
    """Closed test of Simes' (1986) over all subsets, in the order of Wright (1992)."""
    k = len(p)
    adjusted = np.full(k, (k * p / np.arange(1, k + 1)).min())
    for m in range(k - 1, 1, -1):
        last = (m * p[k - m + 1 :] / np.arange(2, m + 1)).min()
        first = np.minimum(m * p[: k - m + 1], last)
        adjusted = np.maximum(adjusted, np.concatenate([first, np.full(m - 1, first[-1])]))
    return np.maximum(adjusted, p)


def e_bh(e_values: Sequence[float], alpha: float = 0.05) -> tuple[bool, ...]:
    """Which hypotheses are rejected when at most alpha of the rejected are false, on average, at any time.

    The largest k with k e_(k) >= K/alpha, e_(k) the k-th largest of K e-values (Wang and Ramdas 2022): whatever their
    dependence, and whenever the data are read.

    Raises:
        InputError: e-values that are negative or NaN, or alpha outside (0, 1).

    Example:
        >>> e_bh([100, 45, 30, 2, 0.5], alpha=0.1)
        (True, True, True, False, False)
    """
    alpha = check_alpha(alpha)
    e = np.array([float(value) for value in e_values], dtype=np.float64)
    if not (e >= 0).all():
        raise InputError(f"e-values are {e.tolist()}; numbers of at least 0 are needed")
    order = np.argsort(-e, kind="stable")
    enough = np.flatnonzero(np.arange(1, len(e) + 1) * e[order] * alpha >= len(e))
    rejected = np.zeros(len(e), dtype=bool)
    if len(enough):
        rejected[order[: enough[-1] + 1]] = True
    return tuple(rejected.tolist())


def _check_arms(variances: Sequence[float], control_variance: float, df: float, sides: int) -> Array:
    v = np.array([float(value) for value in variances], dtype=np.float64)
    if len(v) == 0 or not np.isfinite([*v, control_variance]).all() or (v < 0).any() or control_variance < 0:
        raise InputError(
            f"variances are {v.tolist()} and {control_variance!r}; finite numbers of at least 0 are needed"
        )
    if (v + control_variance == 0).any():
        raise InputError("a treatment and the control both have variance 0")
    if sides not in (1, 2) or not df > 0:
        raise InputError(f"sides = {sides!r} and df = {df!r}; 1 or 2 sides and df above 0 are needed")
    return v


def _loadings(v: Array, control_variance: float) -> tuple[Array, Array]:
    """How much of each statistic is the control's, and how much its own: λ and sqrt(1 - λ²)."""
    loading = np.sqrt(control_variance / (v + control_variance))
    # A treatment far more precise than the control depends on it alone; a trace of its own keeps the integrand smooth.
    return loading, np.sqrt(np.maximum(v / (v + control_variance), 1e-20))


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
