"""Regression adjustment on numbers known before the exposure (CUPED), with a slope for each arm (Lin 2013)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .fieller import Estimate, Shared, compare_estimates, is_negligible
from .means import compare_means
from .moments import Moments
from .results import Comparison, Difference

__all__ = [
    "AdjustedComparison",
    "AdjustedParts",
    "Adjustment",
    "adjusted_parts",
    "adjusted_without",
    "compare_adjusted",
    "compare_parts",
    "explained_variance",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What an adjustment did.

    Attributes:
        covariates: names of the columns.
        theta_treatment, theta_control: slope of each covariate in each arm; 0 for one that does not vary there.
        mean_treatment, mean_control: adjusted means, at the covariates' mean over both arms.
        r_squared: share of the variance of the difference that was removed; below 0 where the adjustment cost more
            than it brought.
    """

    covariates: tuple[str, ...]
    theta_treatment: tuple[float, ...]
    theta_control: tuple[float, ...]
    mean_treatment: float
    mean_control: float
    r_squared: float


@dataclass(frozen=True)
class AdjustedComparison(Comparison):
    """A comparison of adjusted means; `adjustment` is None where the status is not `ok`."""

    adjustment: Adjustment | None = None


def compare_adjusted(
    treatment: Moments, control: Moments, column: str, covariates: Sequence[str], *, alpha: float = 0.05
) -> AdjustedComparison:
    """Difference and relative lift of means adjusted for covariates.

    Lin (2013): θ_a = S_xx,a⁺ S_xy,a in each arm and m_a = ȳ_a - θ_a'(x̄_a - x̄), with x̄ over both arms of the comparison,
    so that the difference is the treatment's coefficient of the least squares on T, x - x̄ and T (x - x̄). Its variance
    is Σ s²_res,a/n_a + (θ_t - θ_c)' S_xx (θ_t - θ_c)/N with s²_res on n - 1 - p degrees of freedom. The last term is
    for x̄ itself being estimated; least squares with HC2 errors leaves it out. The lift is Fieller's, with
    V_a = s²_res,a/n_a + θ_a' S_xx θ_a/N and the covariance θ_t' S_xx θ_c/N.

    A covariate that does not vary in an arm takes no part there. All of them constant gives Welch's test.

    Args:
        treatment, control: moments with `column` and all `covariates`.
        column: the metric's column.
        covariates: columns that were fixed before the exposure; anything later biases the comparison.
        alpha: 1 minus the confidence level, two-sided.

    Returns:
        Status `insufficient` with fewer visitors in an arm than the slopes need, or where nothing is left to vary.

    Raises:
        InputError: no such column, or alpha outside (0, 1).
    """
    parts = adjusted_parts(treatment, control, column, covariates)
    if isinstance(parts, str):
        return adjusted_without(parts)
    plain = compare_means(treatment, control, column).difference
    return compare_parts(parts, plain, column, covariates, alpha)


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
    treatment = treatment.select([column, *covariates])
    control = control.select([column, *covariates])

    fits = []
    for name, arm in (("treatment", treatment), ("control", control)):
        fit = _fit(arm)
        if fit is None:
            seen = f"{arm.n} visitor{'s' if arm.n != 1 else ''}"
            many = f"{len(covariates)} covariate{'s' if len(covariates) != 1 else ''}"
            return f"{seen} in the {name} {'are' if arm.n != 1 else 'is'} too few for {many}"
        fits.append(fit)
    (theta_t, residual_t), (theta_c, residual_c) = fits

    both = treatment + control
    centre = both.mean[1:]
    s_xx = both.m2[1:, 1:] / (both.n - 1)
    mean_t = residual_t.mean - float(theta_t @ (treatment.mean[1:] - centre))
    mean_c = residual_c.mean - float(theta_c @ (control.mean[1:] - centre))
    tt, tc, cc = (float(a @ s_xx @ b) / both.n for a, b in ((theta_t, theta_t), (theta_t, theta_c), (theta_c, theta_c)))
    return AdjustedParts(
        Estimate(mean_t, residual_t.variance, residual_t.df),
        Estimate(mean_c, residual_c.variance, residual_c.df),
        Shared(tt, tc, cc, both.n - 2),
        theta_t,
        theta_c,
    )


def compare_parts(
    parts: AdjustedParts, plain: Difference | None, column: str, covariates: Sequence[str], alpha: float
) -> AdjustedComparison:
    """The comparison of adjusted means, beside the plain difference."""
    if parts.treatment.variance + parts.control.variance == 0:
        return adjusted_without(f"{column!r} does not vary beyond its covariates")
    comparison = compare_estimates(parts.treatment, parts.control, shared=parts.shared, alpha=alpha, method="cuped")
    adjusted = comparison.difference
    assert plain is not None, "what varies beyond its covariates varies"
    assert adjusted is not None, "an estimate with variance has a difference"
    adjustment = Adjustment(
        tuple(covariates),
        tuple(parts.theta_treatment.tolist()),
        tuple(parts.theta_control.tolist()),
        parts.treatment.mean,
        parts.control.mean,
        1 - (adjusted.se / plain.se) ** 2,
    )
    return AdjustedComparison("ok", "", comparison.difference, comparison.lift, adjustment)


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
    fit = _fit(arm)
    total = arm.variance_of(column)
    if fit is None or not total > 0:
        return None
    return max(1 - fit[1].variance * arm.n / total, 0.0)


def adjusted_without(reason: str) -> AdjustedComparison:
    """An adjusted comparison that has no numbers, and why."""
    plain = Comparison.without("insufficient", reason)
    return AdjustedComparison(plain.status, reason, None, plain.lift)


def _fit(arm: Moments) -> tuple[Array, Estimate] | None:
    """Slopes of one arm (columns: y, then the covariates), and its mean with the residual variance of that mean."""
    p = len(arm.columns) - 1
    theta = np.zeros(p)
    if arm.n < 2:
        return None
    spread = np.sqrt(np.diag(arm.m2))
    varies = [i for i in range(1, p + 1) if not is_negligible(float(arm.m2[i, i]) / (arm.n - 1), float(arm.mean[i]))]
    rank = 0
    explained = 0.0
    if varies:
        # Columns in units of their spread, so that the cut-off of the pseudo-inverse does not depend on units.
        unit = spread[varies]
        correlation = arm.m2[np.ix_(varies, varies)] / np.outer(unit, unit)
        values, vectors = np.linalg.eigh(correlation)
        kept = values > 1e-10
        rank = int(kept.sum())
        xy = arm.m2[varies, 0] / unit
        slope = vectors[:, kept] @ ((vectors[:, kept].T @ xy) / values[kept])
        theta[[i - 1 for i in varies]] = slope / unit
        explained = float(slope @ xy)
    df = arm.n - 1 - rank
    if df < 1:
        return None
    total = float(arm.m2[0, 0])
    rest = total - explained
    # A perfect fit leaves only rounding.
    if rest <= 1e-13 * total or is_negligible(rest / df, float(arm.mean[0])):
        rest = 0.0
    return theta, Estimate(float(arm.mean[0]), rest / df / arm.n, df)
