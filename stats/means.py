"""Means per visitor: revenue, margin, orders. Welch's test and its inversion for the relative lift."""

from __future__ import annotations

from typing import Any

from .elementwise import chosen
from .fieller import Estimate, check_alpha, compare_estimates, is_negligible
from .moments import Moments
from .results import Comparison, Inputs

__all__ = ["compare_means", "mean_estimate"]


def mean_estimate(moments: Moments, column: str) -> Estimate | str:
    """An arm's mean, the variance of that mean and its degrees of freedom; or why there is none.

    Example:
        >>> from offerlift.stats import Moments
        >>> mean_estimate(Moments.from_arrays({"orders": [0, 1, 1, 2]}), "orders")
        Estimate(mean=1.0, variance=0.16666666666666666, df=3)
    """
    if moments.n < 2:
        return f"{moments.n} visitor{'s' if moments.n != 1 else ''} in an arm; a variance needs two"
    at = moments.index(column)
    return mean_from(moments.n, float(moments.mean[at]), float(moments.m2[at, at]))


def mean_from(n: Any, mean: Any, square: Any) -> Estimate:
    """The same of n, mean and centred sum of squares; of two visitors or more, of numbers or of arrays alike."""
    variance = square / (n - 1)
    return Estimate(mean, chosen(is_negligible(variance, mean), 0.0, variance) / n, n - 1)


def compare_means(treatment: Moments, control: Moments, column: str, *, alpha: float = 0.05) -> Comparison:
    """Difference and relative lift of a mean per visitor.

    D = m_t - m_c, SE² = s²_t/n_t + s²_c/n_c, df by Welch (1947); the lift inverts the same test for m_t - r m_c
    (Fieller 1954; Tamhane and Logan 2004). A control mean that is not above 0 has no lift.

    Assumes independent visitors, and enough of them for the means to be normal: with equal arms from about 500 visitors
    on, with unequal ones and heavy tails only from thousands of orders (`skew_kappa` says so). Not for a column of
    zeros and ones with fewer than 100 conversions (`compare_proportions`), nor for ratios of sums (`compare_ratios`).

    Args:
        treatment, control: moments with `column`, in the column's unit (money in major units).
        column: the column to compare.
        alpha: 1 minus the confidence level, two-sided.

    Returns:
        Status `insufficient` below two visitors in an arm, and where the column does not vary in either arm.

    Raises:
        InputError: no such column, or alpha outside (0, 1).

    Example:
        >>> from offerlift.stats import Moments
        >>> treatment = Moments.from_arrays({"revenue": [0.0] * 85 + [15.0, 20.0, 30.0] * 5})
        >>> control = Moments.from_arrays({"revenue": [0.0] * 88 + [15.0, 20.0, 30.0] * 4})
        >>> result = compare_means(treatment, control, "revenue")
        >>> round(result.difference.estimate, 2), round(result.difference.p_value, 3), result.lift.kind
        (0.65, 0.555, 'bounded')
    """
    inputs = Inputs(treatment, control, (column,), check_alpha(alpha))
    t, c = mean_estimate(treatment, column), mean_estimate(control, column)
    if isinstance(t, str) or isinstance(c, str):
        return Comparison.without("insufficient", t if isinstance(t, str) else str(c), inputs=inputs)
    if t.variance + c.variance == 0:
        return Comparison.without("insufficient", f"{column!r} does not vary within either arm", inputs=inputs)
    return compare_estimates(t, c, alpha=alpha, method="welch", inputs=inputs)
