"""Regression adjustment on numbers known before the exposure (CUPED), with a slope for each arm (Lin 2013)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .fieller import Estimate, Shared, check_alpha, compare_estimates, is_negligible
from .moments import Moments
from .results import Comparison, Inputs
from .showing import Shown

__all__ = ["AdjustedComparison", "Adjustment", "compare_adjusted"]

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
    arms = [arm.select([column, *covariates]) for arm in (treatment, control)]
    fits = []
    for name, arm in zip(("treatment", "control"), arms, strict=True):
        found = fit(np.array(float(arm.n)), arm.mean, arm.m2) if arm.n >= 2 else None
        if found is None or found.df < 1:
            seen = f"{arm.n} visitor{'s' if arm.n != 1 else ''}"
            many = f"{len(covariates)} covariate{'s' if len(covariates) != 1 else ''}"
            reason = f"{seen} in the {name} {'are' if arm.n != 1 else 'is'} too few for {many}"
            return _without(reason, inputs)
        fits.append(found)
    if fits[0].variance + fits[1].variance == 0:
        return _without(f"{column!r} does not vary beyond its covariates", inputs)

    t, c, shared = adjusted_estimates(*fits)
    t, c = (Estimate(float(one.mean), float(one.variance), float(one.df)) for one in (t, c))
    shared = Shared(*(float(value) for value in (shared.tt, shared.tc, shared.cc, shared.df)))
    comparison = compare_estimates(t, c, shared=shared, alpha=alpha, method="cuped", inputs=inputs)
    assert comparison.difference is not None, "an estimate with variance has a difference"
    plain = sum(float(arm.m2[0, 0]) / (arm.n - 1) / arm.n for arm in arms)
    adjustment = Adjustment(
        covariates,
        tuple(fits[0].theta.tolist()),
        tuple(fits[1].theta.tolist()),
        t.mean,
        c.mean,
        1 - comparison.difference.se**2 / plain,
    )
    return AdjustedComparison("ok", "", comparison.difference, comparison.lift, adjustment, inputs=inputs)


def _without(reason: str, inputs: Inputs) -> AdjustedComparison:
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
