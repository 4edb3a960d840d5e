"""Visitors in clusters: agents who made the offers by chat or telephone, households, sales regions.

Visitors of one agent are alike, so that they are fewer than they look. What counts is how much the clusters' sums
differ: the variance is cluster-robust, and its degrees of freedom are about as many as there are clusters, fewer where
a few clusters are much larger than the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .fieller import Estimate, Shared, check_alpha, compare_estimates
from .moments import Moments
from .results import Comparison, Inputs
from .strata import compare_means_over_strata, compare_ratios_over_strata, weights_of_sizes

__all__ = ["FEW_CLUSTERS", "ClusterComparison", "ClusterVariance", "compare_clusters", "compare_clusters_over_strata"]

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
    return _compared(
        (t,), (c,), inputs, per, variance, lambda: _independent((treatment,), (control,), column, per, None), alpha
    )


def compare_clusters_over_strata(
    treatment: Sequence[Mapping[Hashable, Cluster]],
    control: Sequence[Mapping[Hashable, Cluster]],
    column: str | None = None,
    *,
    per: str | None = None,
    visitors: Sequence[int] | None = None,
    variance: ClusterVariance = "cr2",
    alpha: float = 0.05,
) -> ClusterComparison:
    """The same over phases or other strata, in which a cluster may have visitors again: its agents worked on.

    The difference is that of `compare_means_over_strata`, Σ w_h (m_th - m_ch) (Cochran 1977, chapter 5); a ratio is
    that of `ratio_over_strata`. What a cluster adds to it is summed over the strata before it is squared, so that
    visitors of one agent in different phases are alike, too: CR2 (Bell and McCaffrey 2002) of the regression on a cell
    for each arm of each stratum, Σ_g (Σ_h w_h (u_tgh/(N_th √(1-h_tgh)) - u_cgh/(N_ch √(1-h_cgh))))², with their
    degrees of freedom. Of a ratio, u is of (y - R x)/x̄, and a cluster's share of a cell is that of its visitors.

    Measured over two phases with 12 and 40 agents (docs/measured-offers.md). Assumes what `compare_clusters` does, in
    each stratum, and weights that the offer does not change. Not for clusters that change their name from phase to
    phase, which would count as others.

    Args:
        treatment, control: stratum by stratum, in one order, as in `compare_clusters`.
        visitors: how many a stratum stands for, see `stratum_weights`.
        column, per, variance, alpha: as in `compare_clusters`.

    Returns:
        As `compare_clusters`, whose numbers one stratum has; also `insufficient` where no stratum has two visitors in
        both arms, or one cluster has all visitors of an arm in a stratum that counts.

    Raises:
        InputError: as in `compare_clusters` and `stratum_weights`.

    Example:
        >>> few, many = {"Ada": (10, 3.0), "Ben": (8, 1.0), "Cem": (9, 2.0)}, {"Ada": (90, 18.0), "Cem": (85, 21.0)}
        >>> then = {"Ada": (60, 21.0), "Ben": (50, 13.0), "Cem": (55, 20.0)}
        >>> found = compare_clusters_over_strata([few, then], [many, then], variance="cr1")
        >>> found.clusters, round(found.difference.estimate, 4), found.difference.df
        (3, -0.0002, 2.0)
    """
    alpha = check_alpha(alpha)
    if variance not in get_args(ClusterVariance):
        raise InputError(f"variance is {variance!r}; it is cr2 or cr1")
    names = list(dict.fromkeys(name for stratum in (*treatment, *control) for name in stratum))
    t, c = ([_Arm.of(stratum, names, column, None) for stratum in arm] for arm in (treatment, control))
    weights = weights_of_sizes([[one.total for one in arm] for arm in (t, c)], visitors)
    if len(weights) == 1:
        return compare_clusters(treatment[0], control[0], column, per=per, variance=variance, alpha=alpha)
    inputs = Inputs(treatment, control, tuple(name for name in (column, per) if name is not None), alpha)
    kept = [at for at, weight in enumerate(weights) if weight]
    if not kept:
        return _without("insufficient", "no phase has two visitors in every arm", inputs)
    cells = []
    for arm, strata in ((t, treatment), (c, control)):
        if per is None:
            cells.append(tuple(arm[at].weighted(weights[at]) for at in kept))
            continue
        found = _ratio_cells([(weights[at], strata[at], arm[at]) for at in kept], names, per)
        if found is None:
            which = "treatment" if strata is treatment else "control"
            return _without("undefined", f"the sum of {per!r} is not above 0 in the {which}", inputs)
        cells.append(found)
    return _compared(
        cells[0],
        cells[1],
        inputs,
        per,
        variance,
        lambda: _independent(treatment, control, column, per, visitors),
        alpha,
    )


def _without(
    status: Literal["insufficient", "undefined"], reason: str, inputs: Inputs, clusters: int = 0, shared: int = 0
) -> ClusterComparison:
    empty = Comparison.without(status, reason)
    return ClusterComparison(status, reason, None, empty.lift, clusters, shared, None, inputs=inputs)


def _compared(
    t: Cells,
    c: Cells,
    inputs: Inputs,
    per: str | None,
    variance: ClusterVariance,
    independent: Callable[[], float | None],
    alpha: float,
) -> ClusterComparison:
    """Two arms of one cell each, or of one a stratum, compared."""
    of_t, of_c = (np.sum([cell.n for cell in arm], axis=0) > 0 for arm in (t, c))
    clusters = int(np.count_nonzero(of_t | of_c))
    shared = int(np.count_nonzero(of_t & of_c))

    def without(status: Literal["insufficient", "undefined"], reason: str) -> ClusterComparison:
        return _without(status, reason, inputs, clusters, shared)

    for name, arm in (("treatment", t), ("control", c)):
        where = "" if len(arm) == 1 else " of a phase"
        for cell in arm:
            if (cell.n > 0).sum() < 2:
                few = int((cell.n > 0).sum())
                return without("insufficient", f"{few} cluster(s) in the {name}{where}; two are needed")
            if not cell.total > 0:
                return without("undefined", f"the sum of {per!r} is not above 0 in the {name}")
            if (cell.share >= 1).any():
                return without("insufficient", f"one cluster has all of the {name}{where}; two are needed")
    parts, df = (_cr2 if variance == "cr2" else _cr1)(t, c)
    tt, tc, cc = parts
    mean_t, mean_c = (math.fsum(cell.part * cell.mean for cell in arm) for arm in (t, c))
    if not tt - 2 * tc + cc > 1e-24 * (abs(mean_t) + abs(mean_c)) ** 2:
        return without("insufficient", "the clusters' sums do not vary")
    # Three equal clusters have two but for rounding.
    if df < 2 - 1e-9:
        return without("insufficient", f"{df:.2g} degrees of freedom: too few clusters, or one that is too large")
    both = Estimate(mean_t, 0.0, df), Estimate(mean_c, 0.0, df)
    found = compare_estimates(*both, shared=Shared(tt, tc, cc, df), alpha=alpha, method=f"{variance}-cluster")
    alone = independent()
    effect = (tt - 2 * tc + cc) / alone if alone else None
    few = f"the difference rests on few clusters: as much is known of its variance as from {round(df) + 1} equal ones"
    warning = few if df < FEW_CLUSTERS else ""
    return ClusterComparison("ok", "", found.difference, found.lift, clusters, shared, effect, warning, inputs=inputs)


@dataclass(frozen=True, slots=True)
class _Arm:
    """An arm's clusters, or those of one stratum of it: a cell.

    Visitors, what the mean is taken per (visitors, or the denominator's sums), and residual sums; `part` is what the
    cell's mean counts in the arm's.
    """

    n: Array
    weight: Array
    residual: Array
    mean: float
    part: float = 1.0

    @classmethod
    def of(
        cls, clusters: Mapping[Hashable, Cluster], names: list[Hashable], column: str | None, per: str | None
    ) -> _Arm:
        rows = [_sums(name, clusters[name], column, per) if name in clusters else (0.0, 0.0, 0.0) for name in names]
        n, weight, total = np.array(rows, dtype=np.float64).reshape(-1, 3).T
        mean = float(total.sum() / weight.sum()) if weight.sum() > 0 else 0.0
        return cls(n, weight, total - mean * weight, mean)

    def weighted(self, part: float) -> _Arm:
        return replace(self, part=part)

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


Cells = tuple[_Arm, ...]
"""An arm: one cell, or one a stratum."""


def _ratio_cells(
    strata: Sequence[tuple[float, Mapping[Hashable, Cluster], _Arm]], names: list[Hashable], per: str
) -> Cells | None:
    """The cells of an arm's ratio R of combined means, linearised; None where its denominator is not above 0."""
    below = [_Arm.of(clusters, names, per, None) for _, clusters, _ in strata]
    x = math.fsum(weight * one.mean for (weight, _, _), one in zip(strata, below, strict=True))
    if not x > 0:
        return None
    ratio = math.fsum(weight * above.mean for weight, _, above in strata) / x
    return tuple(
        # Means of (y - R x)/x̄ add up to 0; R is put in their place, as parts sum to 1.
        _Arm(above.n, above.weight, (above.residual - ratio * one.residual) / x, ratio, weight)
        for (weight, _, above), one in zip(strata, below, strict=True)
    )


def _cr2(t: Cells, c: Cells) -> tuple[tuple[float, float, float], float]:
    """Variances and covariance of the two means by CR2, and Bell and McCaffrey's degrees of freedom.

    For independent visitors of equal variance the estimate is a quadratic form with matrix Γ, Γ_gh the product of what
    clusters g and h take of the residuals; df = tr(Γ)²/tr(Γ²). Here Γ is diagonal less one outer product a cell.
    """
    scores = [
        _added([cell.part * cell.residual / cell.total / np.sqrt(1 - cell.share) for cell in arm]) for arm in (t, c)
    ]
    cells = (*t, *c)
    outer = [cell.part * cell.weight / cell.total**1.5 / np.sqrt(1 - cell.share) for cell in cells]
    diagonal = _added([cell.part**2 * cell.weight / cell.total**2 / (1 - cell.share) for cell in cells])
    trace = float(diagonal.sum() - sum(w @ w for w in outer))
    mixed = sum(diagonal @ w**2 for w in outer)
    squares = float(diagonal @ diagonal - 2 * mixed + sum((v @ w) ** 2 for v in outer for w in outer))
    return _products(scores), trace * trace / squares


def _cr1(t: Cells, c: Cells) -> tuple[tuple[float, float, float], float]:
    """The same by CR1, on as many degrees of freedom as clusters less one; N less the number of cells is left."""
    cells = (*t, *c)
    clusters = int(np.count_nonzero(np.sum([cell.n for cell in cells], axis=0)))
    visitors = float(sum(cell.n.sum() for cell in cells))
    factor = clusters / (clusters - 1) * (visitors - 1) / (visitors - len(cells))
    tt, tc, cc = _products([_added([cell.part * cell.residual / cell.total for cell in arm]) for arm in (t, c)])
    return (tt * factor, tc * factor, cc * factor), clusters - 1


def _added(parts: Sequence[Array]) -> Array:
    return np.sum(parts, axis=0)


def _products(scores: list[Array]) -> tuple[float, float, float]:
    t, c = scores
    return float(t @ t), float(t @ c), float(c @ c)


def _independent(
    treatment: Sequence[Mapping[Hashable, Cluster]],
    control: Sequence[Mapping[Hashable, Cluster]],
    column: str | None,
    per: str | None,
    visitors: Sequence[int] | None,
) -> float | None:
    """Variance of the difference if all visitors were independent; None where it is not known or 0."""
    if column is None:
        return None
    arms = []
    for strata in (treatment, control):
        parts = [[one for one in clusters.values() if isinstance(one, Moments)] for clusters in strata]
        some = next((one for stratum in parts for one in stratum), None)
        if some is None or any(len(one) < len(clusters) for one, clusters in zip(parts, strata, strict=True)):
            return None
        arms.append([Moments.merge([Moments.zero(some.columns), *stratum]) for stratum in parts])
    found = (
        compare_means_over_strata(arms[0], arms[1], column, visitors=visitors)
        if per is None
        else compare_ratios_over_strata(arms[0], arms[1], column, per, visitors=visitors)
    ).difference
    return None if found is None else found.se**2 or None
