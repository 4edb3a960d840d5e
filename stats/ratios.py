"""Ratio metrics: average order value, items per order, margin in per cent. Delta method per visitor, then Welch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import InputError
from .elementwise import chosen
from .fieller import Estimate, check_alpha, compare_estimates
from .moments import Moments
from .results import Comparison, Inputs

__all__ = ["compare_ratios", "linearised", "ratio_of"]


def ratio_of(moments: Moments, numerator: str, denominator: str) -> tuple[float, float] | None:
    """An arm's ratio Σy/Σx and its standard error; None where the denominator's sum is not above 0 or n < 2.

    R = ȳ/x̄ and var(R) = (s²_y - 2 R s_xy + R² s²_x) / (n x̄²) over *visitors*, the unit that was randomised, so that a
    visitor's orders may depend on each other (Deng, Knoblich and Lu 2018).

    Assumes that visitors are independent of each other and enough of them have a denominator for the ratio to be nearly
    linear (some hundred). Not for a mean of ratios, which weighs a visitor with one order like one with ten.

    Example:
        >>> from offerlift.stats import Moments
        >>> arm = Moments.from_arrays({"revenue": [0, 30, 50, 0], "orders": [0, 1, 2, 0]})
        >>> ratio, se = ratio_of(arm, "revenue", "orders")
        >>> round(ratio, 2), round(se, 2)
        (26.67, 1.81)
    """
    estimate = _ratio_estimate(moments, numerator, denominator)
    return None if isinstance(estimate, str) else (estimate.mean, math.sqrt(estimate.variance))


def compare_ratios(
    treatment: Moments, control: Moments, numerator: str, denominator: str, *, alpha: float = 0.05
) -> Comparison:
    """Difference and relative lift of a ratio of two sums; each arm's variance by the delta method, then Welch.

    A ratio over orders is conditional on buying: it is not a causal effect on a buyer.

    The delta method (Deng, Knoblich and Lu 2018), then Welch (1947) and Fieller (1954) as in `compare_means`. Assumes
    independent visitors and some hundred orders an arm. Not for deciding by average order value alone: an offer that
    wins small orders lowers it and earns more; read revenue per visitor first.

    Args:
        treatment, control: moments with both columns.
        numerator, denominator: column names.
        alpha: 1 minus the confidence level, two-sided.

    Returns:
        Status `undefined` where the denominator's sum is not above 0 in an arm; `insufficient` below two visitors in
        an arm, and where an arm's ratio shows no variance (one order is the usual case).

    Raises:
        InputError: no such column, or alpha outside (0, 1).

    Example:
        >>> from offerlift.stats import Moments
        >>> t = Moments.from_arrays({"revenue": [0, 30, 50, 0, 24], "orders": [0, 1, 2, 0, 1]})
        >>> c = Moments.from_arrays({"revenue": [0, 28, 40, 0, 21], "orders": [0, 1, 2, 0, 1]})
        >>> round(compare_ratios(t, c, "revenue", "orders").difference.estimate, 2)
        3.75
    """
    inputs = Inputs(treatment, control, (numerator, denominator), check_alpha(alpha))
    estimates = []
    for name, arm in (("treatment", treatment), ("control", control)):
        estimate = _ratio_estimate(arm, numerator, denominator)
        if isinstance(estimate, str):
            status = "undefined" if arm.n >= 2 else "insufficient"
            return Comparison.without(status, f"{estimate} in the {name}", inputs=inputs)
        if estimate.variance == 0:
            reason = f"{numerator!r} per {denominator!r} shows no variance in the {name}"
            return Comparison.without("insufficient", reason, inputs=inputs)
        estimates.append(estimate)
    return compare_estimates(*estimates, alpha=alpha, method="delta-welch", inputs=inputs)


def linearised(
    moments: Moments, numerator: str, denominator: str, ratio: float, *, column: str = "linearised"
) -> Moments:
    """The moments with one more column, y - R x of every visitor, at the control's ratio R (Budylin et al. 2018).

    Its mean in the treatment is x̄_t (R_t - R_c) and 0 in the control: a mean per visitor with the sign of the ratio's
    difference, for which everything that takes means will do (CUPED, strata, always-valid intervals). Both arms need
    the same R, that of the control. Read the ratio itself from `compare_ratios`: the unit here is the numerator's per
    visitor.

    Args:
        moments: of either arm, with both columns.
        numerator, denominator: column names.
        ratio: the control's Σy/Σx.
        column: the new column's name.

    Returns:
        Moments whose new column has a third moment of 0, as it cannot be known from those of y and x.

    Raises:
        InputError: no such column, a name that is taken, or a ratio that is not finite.
    """
    y, x = moments.index(numerator), moments.index(denominator)
    if not math.isfinite(ratio):
        raise InputError(f"the control's ratio is {ratio!r}; a finite number is needed")
    p = len(moments.columns)
    combine = np.zeros((p + 1, p))
    combine[:p] = np.eye(p)
    combine[p, y] += 1.0
    combine[p, x] -= ratio
    m2 = combine @ moments.m2 @ combine.T
    m2[p, p] = max(m2[p, p], 0.0)
    return Moments((*moments.columns, column), moments.n, combine @ moments.mean, m2, np.append(moments.m3, 0.0))


def _ratio_estimate(moments: Moments, numerator: str, denominator: str) -> Estimate | str:
    y, x = moments.index(numerator), moments.index(denominator)
    if moments.n < 2:
        return f"{moments.n} visitor{'s' if moments.n != 1 else ''}"
    below = float(moments.mean[x])
    if below <= 0:
        return f"the sum of {denominator!r} is not above 0"
    m2 = moments.m2
    return ratio_from(moments.n, float(moments.mean[y]), below, float(m2[y, y]), float(m2[x, y]), float(m2[x, x]))


def ratio_from(n: Any, mean_y: Any, mean_x: Any, yy: Any, xy: Any, xx: Any) -> Estimate:
    """The estimate of n, means and centred sums of products; of numbers or of arrays alike."""
    ratio = mean_y / mean_x
    terms = yy / (n - 1), -2 * ratio * (xy / (n - 1)), ratio * ratio * (xx / (n - 1))
    variance = terms[0] + terms[1] + terms[2]
    # The terms cancel exactly where every unit of the denominator brings the same; rounding leaves a little.
    negligible = variance <= 1e-13 * (abs(terms[0]) + abs(terms[1]) + abs(terms[2]))
    return Estimate(ratio, chosen(negligible, 0.0, variance) / mean_x / mean_x / n, n - 1)
