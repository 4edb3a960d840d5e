"""Region of practical equivalence: how probable it is that a relative lift is too small to matter."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr

from ..errors import InputError
from .beta import Beta

__all__ = ["rope_means", "rope_rates"]


def rope_rates(
    alpha_t: float, beta_t: float, alpha_c: float, beta_c: float, *, low: float = -0.01, high: float = 0.01
) -> float:
    """P(low < p_t/p_c - 1 < high) for independent p_t ~ Beta(alpha_t, beta_t) and p_c ~ Beta(alpha_c, beta_c).

    By the quadrature of `beta_posteriors`: ∫ f_c(p) [F_t((1 + high) p) - F_t((1 + low) p)] dp, over the narrower of
    both. A summary of one moment's data, not a stopping rule.

    Args:
        alpha_t, beta_t, alpha_c, beta_c: parameters of the posteriors, with a Beta(1, 1) prior 1 + x and 1 + n - x.
        low, high: the lifts that do not matter lie between them.

    Raises:
        InputError: parameters that are not above 0, or not -1 <= low < high.

    >>> round(rope_rates(501, 9501, 501, 9501), 4)
    0.129
    """
    _check(low, high)
    t, c = Beta(alpha_t, beta_t), Beta(alpha_c, beta_c)
    if t.sd <= c.sd:
        # P(p_t/(1 + high) < p_c < p_t/(1 + low)): over p_t, whose steps in p_c are wide.
        p, w = t.nodes(tuple(c.mean * (1 + end) + k * c.sd for end in (low, high) for k in (-9, 0, 9)), fine=True)
        upper = c.cdf(p / (1 + low)) if low > -1 else np.ones_like(p)
        return min(max(float(w @ (upper - c.cdf(p / (1 + high)))), 0.0), 1.0)
    breaks = [t.mean / (1 + end) + k * t.sd / (1 + end) for end in (low, high) if end > -1 for k in (-9, -3, 0, 3, 9)]
    p, w = c.nodes((*breaks, 1 / (1 + high)), fine=True)
    return min(max(float(w @ (t.cdf((1 + high) * p) - t.cdf((1 + low) * p))), 0.0), 1.0)


def rope_means(
    mean_t: float, variance_t: float, mean_c: float, variance_c: float, *, low: float = -0.01, high: float = 0.01
) -> float:
    """P(low < m_t/m_c - 1 < high) for independent m_t ~ N(mean_t, variance_t) and m_c ~ N(mean_c, variance_c).

    As P(m_t - (1 + high) m_c < 0) - P(m_t - (1 + low) m_c < 0), for a control's mean that is surely above 0.

    Args:
        mean_t, variance_t, mean_c, variance_c: posterior means and variances, with a flat prior those of the estimates.
        low, high: the lifts that do not matter lie between them.

    Raises:
        InputError: not -1 <= low < high, variances that are negative or both 0, or a control's mean within five
        standard
            deviations of 0, where the formula does not hold.

    >>> round(rope_means(10.0, 0.01, 10.0, 0.01), 4)
    0.5205
    """
    _check(low, high)
    if not (0 <= variance_t < math.inf and 0 <= variance_c < math.inf and variance_t + variance_c > 0):
        raise InputError(f"variances {variance_t!r} and {variance_c!r}; at least 0 and not both 0 are needed")
    if not mean_c > 5 * math.sqrt(variance_c):
        raise InputError(
            f"the control's mean {mean_c!r} with standard deviation {math.sqrt(variance_c)!r} may be 0 or less",
            hint="A relative lift needs a control's mean more than five standard deviations above 0.",
        )
    z = [((1 + end) * mean_c - mean_t) / math.sqrt(variance_t + (1 + end) ** 2 * variance_c) for end in (high, low)]
    # In the upper tail by its complement, where nothing cancels.
    if z[1] > 0:
        return float(ndtr(-z[1]) - ndtr(-z[0]))
    return float(ndtr(z[0]) - ndtr(z[1]))


def _check(low: float, high: float) -> None:
    if not -1 <= low < high < math.inf:
        raise InputError(f"the region is {low!r} to {high!r}; -1 <= low < high is needed, such as -0.01 and 0.01")
