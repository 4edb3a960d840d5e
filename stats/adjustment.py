"""Regression adjustment on numbers known before the exposure (CUPED), with a slope for each arm (Lin 2013)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from ..errors import InputError
from .fieller import Estimate, Shared, check_alpha, compare_estimates, is_negligible
from .moments import Moments
from .results import Comparison, Inputs
from .showing import Shown

__all__ = [
    "AdjustedComparison",
    "AdjustedParts",
    "Adjustment",
    "CovariateBalance",
    "adjusted_parts",
    "adjusted_without",
    "compare_adjusted",
    "compare_parts",
    "covariate_balance",
    "explained_variance",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Adjustment(Shown):
    """What an adjustment did.

    Attributes:
        covariates: names of the columns.
        theta_treatment, theta_control: slope of each covariate in each arm; 0 for one that does not vary there.
        mean_treatment, mean_control: adjusted means, at the covariates' mean over both arms.
        r_squared: share of the variance of the difference that was removed; below 0 where the adjustment cost more
            than it brought.

    Example:
        >>> Adjustment(("past",), (0.9,), (1.0,), 21.0, 20.0, 0.8).theta_control
        (1.0,)
    """

    covariates: tuple[str, ...]
    theta_treatment: tuple[float, ...]
    theta_control: tuple[float, ...]
    mean_treatment: float
    mean_control: float
    r_squared: float


@dataclass(frozen=True)
class AdjustedComparison(Comparison):
    """A comparison of adjusted means; `adjustment` is None where the status is not `ok`.

    Example:
        >>> from offerlift.stats import Moments
        >>> few = Moments.from_arrays({"revenue": [1.0, 2.0], "past": [0.0, 1.0]})
        >>> compare_adjusted(few, few, "revenue", ["past"]).reason
        '2 visitors in the treatment are too few for 1 covariate'
    """

    adjustment: Adjustment | None = None


def compare_adjusted(
    treatment: Moments, control: Moments, column: str, covariates: Sequence[str], *, alpha: float = 0.05
) -> AdjustedComparison:
    """Difference and relative lift of means adjusted for covariates.

    Lin (2013): θ_a = S_xx,a⁺ S_xy,a in each arm and m_a = ȳ_a - θ_a'(x̄_a - x̄), with x̄ over both arms of the
    comparison, so that the difference is the treatment's coefficient of the least squares on T, x - x̄ and T (x - x̄).
    Its variance is Σ s²_res,a/n_a + (θ_t - θ_c)' S_xx (θ_t - θ_c)/N with s²_res on n - 1 - p degrees of freedom. The
    last term is for x̄ itself being estimated; least squares with HC2 errors leaves it out. The lift is Fieller's, with
    V_a = s²_res,a/n_a + θ_a' S_xx θ_a/N and the covariance θ_t' S_xx θ_c/N.

    A covariate that does not vary in an arm takes no part there. All of them constant gives Welch's test.

    Assumes covariates that the arm cannot have changed, and many more visitors than covariates. Not for anything
    measured after the exposure, and not for choosing, after the fact, the covariate that gives the smallest p-value.

    Args:
        treatment, control: moments with `column` and all `covariates`.
        column: the metric's column.
        covariates: columns that were fixed before the exposure; anything later biases the comparison.
        alpha: 1 minus the confidence level, two-sided.

    Returns:
        Status `insufficient` with fewer visitors in an arm than the slopes need, or where nothing is left to vary.

    Raises:
        InputError: no such column, or alpha outside (0, 1).

    Example:
        >>> import numpy as np
        >>> from offerlift.stats import Moments
        >>> rng = np.random.default_rng(1)
        >>> def arm(extra):
        ...     past = rng.gamma(2, 10, 1000)
        ...     return Moments.from_arrays({"revenue": past + rng.normal(extra, 5, 1000), "past": past})
        >>> result = compare_adjusted(arm(1.0), arm(0.0), "revenue", ["past"])
        >>> result.difference.p_value < 0.001, result.adjustment.r_squared > 0.8
        (True, True)
    """
    covariates = tuple(covariates)
    inputs = Inputs(treatment, control, (column, *covariates), check_alpha(alpha))
    parts = adjusted_parts(treatment, control, column, covariates)
    if isinstance(parts, str):
        return adjusted_without(parts, inputs)
    plain = sum(arm.variance_of(column) / arm.n for arm in (treatment, control))
    return compare_parts(parts, plain, inputs)


@dataclass(frozen=True, slots=True)
class AdjustedParts:
    """Adjusted means of two arms, what they share, and the slopes behind them, shape (p,) each."""

    treatment: Estimate
    control: Estimate
    shared: Shared
    theta_treatment: Array
    theta_control: Array


def adjusted_parts(treatment: Moments, control: Moments, column: str, covariates: Sequence[str]) -> AdjustedParts | str:
    """What `compare_adjusted` compares; or why an arm is too small for so many covariates."""
    fits = []
    for name, arm in (("treatment", treatment), ("control", control)):
        arm = arm.select([column, *covariates])
        found = fit(np.array(float(arm.n)), arm.mean, arm.m2) if arm.n >= 2 else None
        if found is None or found.df < 1:
            seen = f"{arm.n} visitor{'s' if arm.n != 1 else ''}"
            many = f"{len(covariates)} covariate{'s' if len(covariates) != 1 else ''}"
            return f"{seen} in the {name} {'are' if arm.n != 1 else 'is'} too few for {many}"
        fits.append(found)
    t, c, shared = adjusted_estimates(*fits)
    t, c = (Estimate(float(one.mean), float(one.variance), float(one.df)) for one in (t, c))
    shared = Shared(*(float(value) for value in (shared.tt, shared.tc, shared.cc, shared.df)))
    return AdjustedParts(t, c, shared, fits[0].theta, fits[1].theta)


def compare_parts(parts: AdjustedParts, plain_variance: float, inputs: Inputs) -> AdjustedComparison:
    """The comparison of adjusted means, beside the variance of the plain difference."""
    column, *covariates = inputs.columns
    if parts.treatment.variance + parts.control.variance == 0:
        return adjusted_without(f"{column!r} does not vary beyond its covariates", inputs)
    comparison = compare_estimates(
        parts.treatment, parts.control, shared=parts.shared, alpha=inputs.alpha, method="cuped", inputs=inputs
    )
    assert comparison.difference is not None, "an estimate with variance has a difference"
    adjustment = Adjustment(
        tuple(covariates),
        tuple(parts.theta_treatment.tolist()),
        tuple(parts.theta_control.tolist()),
        parts.treatment.mean,
        parts.control.mean,
        1 - comparison.difference.se**2 / plain_variance,
    )
    return AdjustedComparison("ok", "", comparison.difference, comparison.lift, adjustment, inputs=inputs)


@dataclass(frozen=True, slots=True)
class CovariateBalance:
    """A test of whether the arms differ in what was known before the exposure, which no offer can change.

    Attributes:
        p_value: of no difference in any covariate; 1 where none varies.
        statistic: Wald's chi-squared.
        df: degrees of freedom, the number of covariates that are not made up of the others.
    """

    p_value: float
    statistic: float
    df: int


def covariate_balance(treatment: Moments, control: Moments, covariates: Sequence[str]) -> CovariateBalance:
    """The comparison of the arms with y = x, for all covariates together: d' (S_t/n_t + S_c/n_c)⁺ d, chi-squared.

    A small p-value (below .001) says that a covariate was measured after the exposure, that visitors were lost in one
    arm, or that the assignment is not random: do not adjust by it. A large one does not prove that a covariate is from
    before; only its time does. Large-sample: wants some dozen visitors in each arm.

    Args:
        treatment, control: moments with all `covariates`.
        covariates: columns that should have been fixed before the exposure.

    Raises:
        InputError: no such column, or fewer than two visitors in an arm.
    """
    treatment, control = treatment.select(covariates), control.select(covariates)
    if min(treatment.n, control.n) < 2:
        raise InputError(f"{treatment.n} and {control.n} visitors; two in each arm are needed to compare covariates")
    spread = treatment.m2 / (treatment.n - 1) / treatment.n + control.m2 / (control.n - 1) / control.n
    scale = np.sqrt(np.diag(spread))
    means = np.maximum(np.abs(treatment.mean), np.abs(control.mean))
    varies = [k for k in range(len(scale)) if not is_negligible(float(scale[k]) ** 2, float(means[k]))]
    if not varies:
        return CovariateBalance(1.0, 0.0, 0)
    unit = scale[varies]
    values, vectors = np.linalg.eigh(spread[np.ix_(varies, varies)] / np.outer(unit, unit))
    kept = values > 1e-10
    apart = vectors[:, kept].T @ ((treatment.mean - control.mean)[varies] / unit)
    statistic = float((apart**2 / values[kept]).sum())
    df = int(kept.sum())
    return CovariateBalance(float(chdtrc(df, statistic)), statistic, df)


def explained_variance(arm: Moments, column: str, covariates: Sequence[str]) -> float | None:
    """R²: the share of a column's variance that least squares on the covariates explains, in one arm.

    1 - s²_res/s²_y with the residual variance on n - 1 - p degrees of freedom, at least 0: what CUPED will save of the
    visitors (Deng, Xu, Kohavi and Walker 2013). None with too few visitors, or where the column does not vary.

    Raises:
        InputError: no such column.

    >>> import numpy as np
    >>> past = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    >>> arm = Moments.from_arrays({"y": 2 * past + np.array([1.0, -1.0, 0.0, -1.0, 1.0]), "past": past})
    >>> round(explained_variance(arm, "y", ["past"]), 3)
    0.879
    """
    arm = arm.select([column, *covariates])
    if arm.n < 2 or not arm.variance_of(column) > 0:
        return None
    found = fit(np.array(float(arm.n)), arm.mean, arm.m2)
    return max(1 - float(found.variance) * arm.n / arm.variance_of(column), 0.0) if found.df >= 1 else None


def adjusted_without(reason: str, inputs: Inputs | None = None) -> AdjustedComparison:
    """An adjusted comparison that has no numbers, and why."""
    plain = Comparison.without("insufficient", reason)
    return AdjustedComparison(plain.status, reason, None, plain.lift, inputs=inputs)


@dataclass(frozen=True, slots=True)
class Fit:
    """One arm regressed on its covariates; every field may have leading axes, one element a comparison.

    Attributes:
        theta: slopes, shape (..., p).
        variance: of the mean, from the residuals.
        df: of that variance; below 1 there is none.
        n, mean, m2: what was fitted: (...), (..., 1 + p) and (..., 1 + p, 1 + p), the metric first.
    """

    theta: Array
    variance: Array
    df: Array
    n: Array
    mean: Array
    m2: Array


def fit(n: Array, mean: Array, m2: Array) -> Fit:
    """Slopes of an arm, and the residual variance of its mean."""
    count = n[..., None]
    size = np.diagonal(m2, axis1=-2, axis2=-1)[..., 1:]
    varies = ~is_negligible(size / (count - 1), mean[..., 1:])
    # Columns in units of their spread, so that the cut-off of the pseudo-inverse does not depend on units.
    unit = np.where(varies, np.sqrt(size), 1.0)
    both = varies[..., :, None] & varies[..., None, :]
    correlation = np.where(both, m2[..., 1:, 1:] / (unit[..., :, None] * unit[..., None, :]), 0.0)
    values, vectors = np.linalg.eigh(correlation)
    kept = values > 1e-10
    xy = np.where(varies, m2[..., 1:, 0] / unit, 0.0)
    along = (xy[..., None, :] @ vectors)[..., 0, :]
    slope = (vectors @ np.where(kept, along / np.where(kept, values, 1.0), 0.0)[..., None])[..., 0]
    total, df = m2[..., 0, 0], n - 1 - kept.sum(axis=-1)
    rest = total - (slope * xy).sum(axis=-1)
    # A perfect fit leaves only rounding.
    freedom = np.maximum(df, 1.0)
    perfect = (rest <= 1e-13 * total) | is_negligible(rest / freedom, mean[..., 0])
    variance = np.where(perfect, 0.0, rest) / freedom / n
    return Fit(np.where(varies, slope / unit, 0.0), variance, df, n, mean, m2)


def adjusted_estimates(treatment: Fit, control: Fit) -> tuple[Estimate, Estimate, Shared]:
    """Adjusted means of both arms, and what the covariates' common mean adds to their variances."""
    total = treatment.n + control.n
    x_t, x_c = treatment.mean[..., 1:], control.mean[..., 1:]
    # The update of Chan, Golub and LeVeque (1983), as in `Moments.__add__`.
    delta, share = x_c - x_t, (control.n / total)[..., None]
    between = delta[..., :, None] * delta[..., None, :] * (treatment.n[..., None, None] * share[..., None])
    s_xx = (treatment.m2[..., 1:, 1:] + control.m2[..., 1:, 1:] + between) / (total - 1)[..., None, None]
    centre = x_t * (1 - share) + x_c * share
    estimates = [
        Estimate(one.mean[..., 0] - (one.theta * (one.mean[..., 1:] - centre)).sum(axis=-1), one.variance, one.df)
        for one in (treatment, control)
    ]

    def common(first: Fit, second: Fit) -> Array:
        return (first.theta[..., None, :] @ s_xx @ second.theta[..., None])[..., 0, 0] / total

    shared = Shared(common(treatment, treatment), common(treatment, control), common(control, control), total - 2)
    return estimates[0], estimates[1], shared
