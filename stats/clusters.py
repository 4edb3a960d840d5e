"""Visitors in clusters: agents who made the offers by chat or telephone, households, sales regions.

Visitors of one agent are alike, so that they are fewer than they look. What counts is how much the clusters' sums
differ: the variance is cluster-robust, and its degrees of freedom are about as many as there are clusters, fewer where
a few clusters are much larger than the rest.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .fieller import Estimate, Shared, check_alpha, compare_estimates
from .means import mean_estimate
from .moments import Moments
from .ratios import compare_ratios
from .results import Comparison, Inputs

__all__ = ["FEW_CLUSTERS", "ClusterComparison", "ClusterVariance", "compare_clusters"]

Array = NDArray[np.float64]
Cluster = Moments | tuple[int, float]
ClusterVariance = Literal["cr2", "cr1"]

FEW_CLUSTERS = 8.0
"""Degrees of freedom below which a comparison says that it rests on few clusters."""


@dataclass(frozen=True)
class ClusterComparison(Comparison):
    """A treatment compared with the control where visitors come in clusters; see `Comparison` for the other fields.

    Attributes:
        clusters: how many have visitors, of either arm.
        shared: how many of them have visitors of both arms.
        design_effect: variance of the difference over what it would be if visitors were independent; None where their
            own variance is not known (clusters given as pairs).
        warning: where the degrees of freedom are below `FEW_CLUSTERS`; "" otherwise.

    Example:
        >>> treatment = {"Ada": (100, 30.0), "Ben": (80, 20.0), "Cem": (90, 31.0), "Dag": (95, 30.0)}
        >>> control = {"Ada": (90, 22.0), "Ben": (85, 18.0), "Cem": (95, 25.0), "Dag": (90, 27.0)}
        >>> result = compare_clusters(treatment, control)
        >>> result.clusters, result.shared, result.warning
        (4, 4, 'the difference rests on few clusters: as much is known of its variance as from 4 equal ones')
    """

    clusters: int
    shared: int
    design_effect: float | None
    warning: str = ""


def compare_clusters(
    treatment: Mapping[Hashable, Cluster],
    control: Mapping[Hashable, Cluster],
    column: str | None = None,
    *,
    per: str | None = None,
    variance: ClusterVariance = "cr2",
    alpha: float = 0.05,
) -> ClusterComparison:
    """Difference and relative lift of a mean per visitor (or a ratio) whose visitors come in clusters.

    m_t - m_c with the bias-reduced cluster-robust variance CR2 (Bell and McCaffrey 2002; Pustejovsky and Tipton 2018):
    Σ_g (u_tg/(N_t √(1-h_tg)) - u_cg/(N_c √(1-h_cg)))², u_g = Σ_g (y - m) over a cluster's visitors of an arm and h_g
    their share of the arm's N; t with Bell and McCaffrey's Satterthwaite degrees of freedom, for independent visitors.
    The lift inverts the same test (Fieller 1954) with those degrees of freedom. A cluster may have visitors of both
    arms, where visitors were randomised, or of one, where clusters were: the covariance within clusters is in it.

    Measured at 10, 20 and 40 clusters (docs/measured.md): CR2 with these degrees of freedom covers .94 to .96 with
    clusters of one size, and .93 to .96 where sizes differ with a coefficient of variation of 1.3; CR1 with t on G - 1,
    which is what most programs print, covers down to .81 there.

    Assumes that clusters are independent of each other; within one, visitors may depend on each other in any way. Not
    for a handful of clusters of which one has most of the visitors, nor for clusters that the offer itself makes.

    Args:
        treatment, control: each cluster's moments of the arm's visitors; or, without `column`, pairs of the number of
            visitors and the sum of their values. Clusters of both arms have the same name in both.
        column: the metric's column.
        per: of a ratio of sums the denominator's column.
        variance: `cr2`; or `cr1`, Σ_g (u_tg/N_t - u_cg/N_c)² · G/(G-1) · (N-1)/(N-2) with t on G - 1 (Liang and Zeger
            1986), to reproduce other programs.
        alpha: 1 minus the confidence level, two-sided.

    Returns:
        Status `insufficient` where an arm has fewer than two clusters, where the clusters' sums do not vary, or where
        fewer than two degrees of freedom are left; `undefined` where a ratio's denominator is not above 0.

    Raises:
        InputError: moments without the column, pairs with one, negative numbers of visitors, or another variance.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(1)
        >>> def agents(effect):
        ...     skill = np.random.default_rng(7).normal(0, 0.5, 20)
        ...     return {k: Moments.from_arrays({"margin": skill[k] + effect + rng.normal(0, 1, 50)}) for k in range(20)}
        >>> result = compare_clusters(agents(0.3), agents(0.0), "margin")
        >>> round(result.difference.df, 1), round(result.difference.p_value, 4), result.shared
        (19.0, 0.0003, 20)
    """
    alpha = check_alpha(alpha)
    if variance not in get_args(ClusterVariance):
        raise InputError(f"variance is {variance!r}; it is cr2 or cr1")
    names = list(dict.fromkeys([*treatment, *control]))
    t, c = (_Arm.of(arm, names, column, per) for arm in (treatment, control))
    inputs = Inputs(treatment, control, tuple(name for name in (column, per) if name is not None), alpha)
    clusters = int(((t.n > 0) | (c.n > 0)).sum())
    shared = int(((t.n > 0) & (c.n > 0)).sum())

    def without(status: Literal["insufficient", "undefined"], reason: str) -> ClusterComparison:
        empty = Comparison.without(status, reason)
        return ClusterComparison(status, reason, None, empty.lift, clusters, shared, None, inputs=inputs)

    for name, arm in (("treatment", t), ("control", c)):
        if (arm.n > 0).sum() < 2:
            return without("insufficient", f"{int((arm.n > 0).sum())} cluster(s) in the {name}; two are needed")
        if not arm.total > 0:
            return without("undefined", f"the sum of {per!r} is not above 0 in the {name}")
        if (arm.share >= 1).any():
            return without("insufficient", f"one cluster has all of the {name}; two are needed")
    parts, df = (_cr2 if variance == "cr2" else _cr1)(t, c)
    tt, tc, cc = parts
    if not tt - 2 * tc + cc > 1e-24 * (abs(t.mean) + abs(c.mean)) ** 2:
        return without("insufficient", "the clusters' sums do not vary")
    # Three equal clusters have two but for rounding.
    if df < 2 - 1e-9:
        return without("insufficient", f"{df:.2g} degrees of freedom: too few clusters, or one that is too large")
    both = Estimate(t.mean, 0.0, df), Estimate(c.mean, 0.0, df)
    found = compare_estimates(*both, shared=Shared(tt, tc, cc, df), alpha=alpha, method=f"{variance}-cluster")
    independent = _independent(treatment, control, column, per)
    effect = (tt - 2 * tc + cc) / independent if independent else None
    few = f"the difference rests on few clusters: as much is known of its variance as from {round(df) + 1} equal ones"
    warning = few if df < FEW_CLUSTERS else ""
    return ClusterComparison("ok", "", found.difference, found.lift, clusters, shared, effect, warning, inputs=inputs)


@dataclass(frozen=True, slots=True)
class _Arm:
    """An arm's clusters: visitors, what the mean is taken per (visitors, or the denominator's sums), residual sums."""

    n: Array
    weight: Array
    residual: Array
    mean: float

    @classmethod
    def of(
        cls, clusters: Mapping[Hashable, Cluster], names: list[Hashable], column: str | None, per: str | None
    ) -> _Arm:
        rows = [_sums(name, clusters[name], column, per) if name in clusters else (0.0, 0.0, 0.0) for name in names]
        n, weight, total = np.array(rows, dtype=np.float64).reshape(-1, 3).T
        mean = float(total.sum() / weight.sum()) if weight.sum() > 0 else 0.0
        return cls(n, weight, total - mean * weight, mean)

    @property
    def total(self) -> float:
        return float(self.weight.sum())

    @property
    def share(self) -> Array:
        return self.weight / self.total


def _sums(name: Hashable, cluster: Cluster, column: str | None, per: str | None) -> tuple[float, float, float]:
    """A cluster's visitors, the sum that the mean is per, and the metric's sum."""
    if isinstance(cluster, Moments):
        if column is None:
            raise InputError("clusters are given as moments; the column of the metric is needed")
        weight = float(cluster.n) if per is None else cluster.sum_of(per)
        return float(cluster.n), weight, cluster.sum_of(column)
    if column is not None or per is not None:
        raise InputError(f"cluster {name!r} is {cluster!r}; a column of it can be named where moments are given")
    n, total = cluster
    if not (n >= 0 and n == int(n) and math.isfinite(total)):
        raise InputError(f"cluster {name!r} is {cluster!r}; a number of visitors and the sum of their values is needed")
    return float(n), float(n), float(total)


def _cr2(t: _Arm, c: _Arm) -> tuple[tuple[float, float, float], float]:
    """Variances and covariance of the two means by CR2, and Bell and McCaffrey's degrees of freedom.

    For independent visitors of equal variance the estimate is a quadratic form with matrix Γ, Γ_gh the product of what
    clusters g and h take of the residuals; df = tr(Γ)²/tr(Γ²). Here Γ is diagonal less one outer product an arm.
    """
    scores = [arm.residual / arm.total / np.sqrt(1 - arm.share) for arm in (t, c)]
    taken = [arm.weight / arm.total**2 / (1 - arm.share) for arm in (t, c)]
    outer = [arm.weight / arm.total**1.5 / np.sqrt(1 - arm.share) for arm in (t, c)]
    diagonal = taken[0] + taken[1]
    trace = float(diagonal.sum() - sum(w @ w for w in outer))
    mixed = sum(diagonal @ w**2 for w in outer)
    squares = float(diagonal @ diagonal - 2 * mixed + sum((v @ w) ** 2 for v in outer for w in outer))
    return _products(scores), trace * trace / squares


def _cr1(t: _Arm, c: _Arm) -> tuple[tuple[float, float, float], float]:
    """The same by CR1, on as many degrees of freedom as clusters less one."""
    clusters = int(((t.n > 0) | (c.n > 0)).sum())
    visitors = float(t.n.sum() + c.n.sum())
    factor = clusters / (clusters - 1) * (visitors - 1) / (visitors - 2)
    tt, tc, cc = _products([arm.residual / arm.total for arm in (t, c)])
    return (tt * factor, tc * factor, cc * factor), clusters - 1


def _products(scores: list[Array]) -> tuple[float, float, float]:
    t, c = scores
    return float(t @ t), float(t @ c), float(c @ c)


def _independent(
    treatment: Mapping[Hashable, Cluster], control: Mapping[Hashable, Cluster], column: str | None, per: str | None
) -> float | None:
    """Variance of the difference if all visitors were independent; None where it is not known or 0."""
    arms = []
    for clusters in (treatment, control):
        parts = [one for one in clusters.values() if isinstance(one, Moments)]
        if column is None or len(parts) < len(clusters):
            return None
        arms.append(Moments.merge(parts))
    if per is not None:
        difference = compare_ratios(arms[0], arms[1], column or "", per).difference
        return None if difference is None else difference.se**2
    estimates = [mean_estimate(arm, column or "") for arm in arms]
    return sum(one.variance for one in estimates if isinstance(one, Estimate)) or None
