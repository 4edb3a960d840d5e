"""Conversion rates: score intervals for the difference and the ratio, one p-value for both.

Miettinen and Nurminen (1985, Stat Med 4:213) with the factor N/(N - 1); without it the difference is Mee's (1984) /
Farrington and Manning's (1990) and the ratio Koopman's (1984). statsmodels up to 0.15 gets the difference wrong (issue
10269), hence the implementation here. Counts are x conversions of n visitors.
"""

from __future__ import annotations

import math

from scipy.special import ndtr, ndtri

from ..errors import InputError
from .fieller import check_alpha
from .moments import Moments
from .results import Comparison, Difference, RatioInterval
from .roots import increasing_root

__all__ = [
    "compare_proportions",
    "counts_of",
    "miettinen_nurminen_difference",
    "miettinen_nurminen_ratio",
    "newcombe_difference",
    "wilson_interval",
]


def compare_proportions(treatment: Moments, control: Moments, column: str, *, alpha: float = 0.05) -> Comparison:
    """Difference and relative lift of a conversion rate (Miettinen and Nurminen 1985).

    `difference.se` is the unpooled sqrt(s²_t/n_t + s²_c/n_c); where nothing varies, that of one success and one failure
    more in each arm (Agresti and Caffo 2000), so that it is never 0.

    Args:
        treatment, control: moments in which `column` is 1 for visitors who converted and 0 for the others.
        column: the column to compare.
        alpha: 1 minus the confidence level, two-sided.

    Returns:
        Status `insufficient` where an arm has no visitors.

    Raises:
        InputError: no such column, a column that is not 0/1, or alpha outside (0, 1).
    """
    x_t, n_t = counts_of(treatment, column)
    x_c, n_c = counts_of(control, column)
    check_alpha(alpha)
    if n_t == 0 or n_c == 0:
        return Comparison.without("insufficient", "an arm has no visitors")
    difference = miettinen_nurminen_difference(x_t, n_t, x_c, n_c, alpha=alpha)
    return Comparison("ok", "", difference, miettinen_nurminen_ratio(x_t, n_t, x_c, n_c, alpha=alpha).lift())


def counts_of(moments: Moments, column: str) -> tuple[int, int]:
    """Conversions and visitors of an arm.

    Raises:
        InputError: the column's moments cannot be those of zeros and ones.
    """
    n, at = moments.n, moments.index(column)
    total = n * float(moments.mean[at])
    x = round(total)
    spread = x * (n - x) / n if n else 0.0
    if abs(total - x) > 1e-6 or not 0 <= x <= n or abs(float(moments.m2[at, at]) - spread) > 1e-6 * max(spread, 1.0):
        raise InputError(
            f"column {column!r} is not 0/1: {n} visitors with mean {float(moments.mean[at])!r}; "
            "a conversion is 1 or 0 for each visitor"
        )
    return x, n


def miettinen_nurminen_difference(
    x_t: int, n_t: int, x_c: int, n_c: int, *, alpha: float = 0.05, correction: bool = True
) -> Difference:
    """Score interval and p-value of p_t - p_c.

    The interval holds every δ in [-1, 1] with Z²(δ) <= z², where Z² = (p̂_t - p̂_c - δ)² / (Ṽ(δ) N/(N - 1)) and Ṽ is the
    variance at the maximum likelihood rates under p_t - p_c = δ. Finite for any counts: at 0 of n in both arms the
    p-value is 1 and the ends are ±z²/(n (N - 1)/N + z²).

    Args:
        x_t, n_t, x_c, n_c: conversions and visitors.
        alpha: 1 minus the confidence level, two-sided.
        correction: the factor N/(N - 1); without it Mee (1984), Farrington and Manning (1990).

    Raises:
        InputError: counts that are not whole, negative, x > n or n = 0.
    """
    x_t, n_t, x_c, n_c = check_counts(x_t, n_t, x_c, n_c)
    z, factor = -float(ndtri(check_alpha(alpha) / 2)), score_factor(n_t + n_c, correction)
    p_t, p_c = x_t / n_t, x_c / n_c
    # n p (1 - p) / (n - 1) / n, which is 0 for a single visitor.
    se = math.sqrt(p_t * (1 - p_t) / max(n_t - 1, 1) + p_c * (1 - p_c) / max(n_c - 1, 1))
    if se == 0:
        q_t, q_c = (x_t + 1) / (n_t + 2), (x_c + 1) / (n_c + 2)
        se = math.sqrt(q_t * (1 - q_t) / (n_t + 2) + q_c * (1 - q_c) / (n_c + 2))
    high = _difference_high(x_t, n_t, x_c, n_c, z, factor)
    low = -_difference_high(x_c, n_c, x_t, n_t, z, factor)
    p_value = _p_value(x_t, n_t, x_c, n_c, factor)
    method = "miettinen-nurminen" if correction else "mee"
    return Difference(_difference(x_t, n_t, x_c, n_c), se, math.inf, low, high, p_value, method)


def miettinen_nurminen_ratio(
    x_t: int, n_t: int, x_c: int, n_c: int, *, alpha: float = 0.05, correction: bool = True
) -> RatioInterval:
    """Score interval of p_t / p_c; its test of 1 is the same as that of a difference of 0.

    Without conversions in the control the ratio has no estimate and no upper end (`unbounded`); without any in the
    treatment the low end is 0; without any in both the data say nothing of the ratio (`undefined`).

    Args:
        x_t, n_t, x_c, n_c: conversions and visitors.
        alpha: 1 minus the confidence level, two-sided.
        correction: the factor N/(N - 1); without it Koopman (1984).

    Raises:
        InputError: counts that are not whole, negative, x > n or n = 0.
    """
    x_t, n_t, x_c, n_c = check_counts(x_t, n_t, x_c, n_c)
    z, factor = -float(ndtri(check_alpha(alpha) / 2)), score_factor(n_t + n_c, correction)
    if x_t == 0 and x_c == 0:
        return RatioInterval("undefined", None, None, None, "no conversions in either arm: every ratio fits 0 / 0")
    low = 0.0 if x_t == 0 else 1 / _ratio_high(x_c, n_c, x_t, n_t, z, factor)
    if x_c == 0:
        reason = "no conversions in the control: the relative lift has no upper end"
        return RatioInterval("unbounded", None, low, None, reason)
    estimate = (x_t * n_c) / (x_c * n_t)
    return RatioInterval("bounded", estimate, low, _ratio_high(x_t, n_t, x_c, n_c, z, factor))


def wilson_interval(x: int, n: int, *, alpha: float = 0.05) -> tuple[float, float]:
    """Score interval of one rate (Wilson 1927)."""
    x, n = _check_count(x, n)
    z2 = float(ndtri(check_alpha(alpha) / 2)) ** 2
    centre, half = x + z2 / 2, math.sqrt(z2 * (x * (n - x) / n + z2 / 4))
    # The smaller root of the quadratic by Vieta: x = 0 gives exactly 0, and x = n exactly 1.
    low = x * x / n / (centre + half)
    high = 1 - (n - x) ** 2 / n / (n - x + z2 / 2 + half)
    return low, high


def newcombe_difference(x_t: int, n_t: int, x_c: int, n_c: int, *, alpha: float = 0.05) -> tuple[float, float]:
    """Interval of p_t - p_c from the two Wilson intervals (Newcombe 1998, Stat Med 17:873, method 10)."""
    x_t, n_t, x_c, n_c = check_counts(x_t, n_t, x_c, n_c)
    p_t, p_c = x_t / n_t, x_c / n_c
    low_t, high_t = wilson_interval(x_t, n_t, alpha=alpha)
    low_c, high_c = wilson_interval(x_c, n_c, alpha=alpha)
    d = _difference(x_t, n_t, x_c, n_c)
    return d - math.hypot(p_t - low_t, high_c - p_c), d + math.hypot(high_t - p_t, p_c - low_c)


def _check_count(x: int, n: int) -> tuple[int, int]:
    whole = all(math.isfinite(value) and float(value).is_integer() for value in (x, n))
    if not whole or not 0 <= x <= n or n < 1:
        raise InputError(f"{x!r} conversions of {n!r} visitors; whole numbers with 0 <= x <= n and n >= 1 are needed")
    return int(x), int(n)


def check_counts(x_t: int, n_t: int, x_c: int, n_c: int) -> tuple[int, int, int, int]:
    return (*_check_count(x_t, n_t), *_check_count(x_c, n_c))


def _difference(x_t: int, n_t: int, x_c: int, n_c: int) -> float:
    """p̂_t - p̂_c, rounded once (the rates themselves may agree to many digits)."""
    return (x_t * n_c - x_c * n_t) / (n_t * n_c)


def score_factor(total: int, correction: bool) -> float:
    """N/(N - 1), or 1 without the correction."""
    return total / (total - 1) if correction else 1.0


def _p_value(x_t: int, n_t: int, x_c: int, n_c: int, factor: float) -> float:
    """Two-sided p of no difference: the pooled z, from the far tail of the normal so that it does not round to 0."""
    pooled = (x_t + x_c) / (n_t + n_c)
    variance = pooled * (1 - pooled) * (1 / n_t + 1 / n_c) * factor
    if variance == 0:
        return 1.0
    return 2 * float(ndtr(-abs(_difference(x_t, n_t, x_c, n_c)) / math.sqrt(variance)))


def _difference_high(x_t: int, n_t: int, x_c: int, n_c: int, z: float, factor: float) -> float:
    """Upper end: the root of δ - D - z sqrt(Ṽ(δ) factor) between D and 1, nearly a straight line of slope 1."""
    d = _difference(x_t, n_t, x_c, n_c)
    if d == 1.0:
        return 1.0

    def above(delta: float) -> float:
        return delta - d - z * math.sqrt(restricted_variance(x_t, n_t, x_c, n_c, delta) * factor)

    # With no variance at D itself (every rate 0 or 1) D is a second root: start beyond it.
    inner = d
    if x_t in (0, n_t) and x_c in (0, n_c):
        inner += min(z * z * factor / (4 * max(n_t, n_c)), 0.5)
    q_t, q_c = (x_t + 0.5) / (n_t + 1), (x_c + 0.5) / (n_c + 1)
    half = z * math.sqrt((q_t * (1 - q_t) / n_t + q_c * (1 - q_c) / n_c) * factor)
    return increasing_root(above, d + half, 1.0, lower=inner, upper=1.0, tolerance=1e-14 * half)


def restricted_variance(x_t: float, n_t: float, x_c: float, n_c: float, delta: float) -> float:
    """p̃_t(1 - p̃_t)/n_t + p̃_c(1 - p̃_c)/n_c at the maximum likelihood rates with p̃_t - p̃_c = delta.

    Expected counts and shares of the visitors do as well as whole numbers: it is what a plan expects of a visitor.
    """
    # The arm with the larger rate comes first and rates are below one half together: nothing cancels for rare events.
    if delta < 0:
        x_t, n_t, x_c, n_c, delta = x_c, n_c, x_t, n_t, -delta
    if 2 * (x_t + x_c) > n_t + n_c:
        x_t, n_t, x_c, n_c = n_c - x_c, n_c, n_t - x_t, n_t
    low = _restricted_rate(x_t, n_t, x_c, n_c, delta)
    high = min(low + delta, 1.0)
    return high * (1 - high) / n_t + low * (1 - low) / n_c


def _restricted_rate(x_t: float, n_t: float, x_c: float, n_c: float, delta: float) -> float:
    """Maximum likelihood p_c in [0, 1 - delta] given p_t = p_c + delta, delta >= 0.

    A root of L3 p³ + L2 p² + L1 p + L0 (Miettinen and Nurminen 1985, appendix). Their trigonometric solution loses half
    of the digits for rare events, so that it only starts a bracketed Newton iteration; the likelihood is concave, so
    that the cubic changes sign once inside.
    """
    top = 1.0 - delta
    if top <= 0:
        return 0.0
    total, x = n_t + n_c, x_t + x_c
    l3, l2 = total, (n_t + 2 * n_c) * delta - total - x
    l1, l0 = (n_c * delta - total - 2 * x_c) * delta + x, x_c * delta * top
    if delta == 0:
        return x / total
    if x_c == 0 and l1 <= 0:
        return 0.0
    if x_t == n_t and n_t + x_c / top - (n_c - x_c) / delta >= 0:
        return top
    p = _trigonometric_root(l3, l2, l1, l0)
    low, high = 0.0, top
    for _ in range(60):
        if not low < p < high:
            p = (low + high) / 2
        value = ((l3 * p + l2) * p + l1) * p + l0
        if value > 0:
            low = p
        else:
            high = p
        slope = (3 * l3 * p + 2 * l2) * p + l1
        step = value / slope if slope < 0 else 0.0
        if value == 0 or (slope < 0 and abs(step) <= 4e-16 * p) or high - low <= 4e-16 * high:
            break
        p = p - step if slope < 0 else (low + high) / 2
    return p


def _trigonometric_root(l3: float, l2: float, l1: float, l0: float) -> float:
    shift = l2 / (3 * l3)
    c = shift**3 - l1 * l2 / (6 * l3 * l3) + l0 / (2 * l3)
    b = math.copysign(math.sqrt(max(shift * shift - l1 / (3 * l3), 0.0)), c)
    if b == 0:
        return -shift
    angle = (math.pi + math.acos(min(max(c / b**3, -1.0), 1.0))) / 3
    return 2 * b * math.cos(angle) - shift


def _ratio_high(x_t: int, n_t: int, x_c: int, n_c: int, z: float, factor: float) -> float:
    """Upper end of p_t / p_c for x_c > 0: the root of r p̂_c - p̂_t - z sqrt(Ṽ(r) factor) in ln r."""
    if x_t == n_t and x_c == n_c:
        # The general search would find the second root at 1, where nothing varies.
        return 1 + z * z * factor / n_c
    p_t, p_c = x_t / n_t, x_c / n_c

    def above(log_r: float) -> float:
        r = math.exp(log_r)
        return r - (p_t + z * math.sqrt(restricted_variance_of_ratio(x_t, n_t, x_c, n_c, r) * factor)) / p_c

    start = math.log((x_t + 0.5) / n_t / p_c)
    half = z * math.sqrt((1 / (x_t + 0.5) - 1 / (n_t + 1) + 1 / x_c - 1 / (n_c + 1)) * factor)
    lower = math.log(p_t / p_c) if x_t else -math.inf
    return math.exp(increasing_root(above, start + half, math.exp(start + half), lower=lower, tolerance=1e-15))


def restricted_variance_of_ratio(x_t: float, n_t: float, x_c: float, n_c: float, r: float) -> float:
    """p̃_t(1 - p̃_t)/n_t + r² p̃_c(1 - p̃_c)/n_c at the maximum likelihood rates with p̃_t = r p̃_c."""
    u, v = n_t + x_c, x_t + n_c
    root = math.sqrt((r * u - v) ** 2 + 4 * r * (n_t - x_t) * (n_c - x_c))
    p_c = min(2 * (x_t + x_c) / (r * u + v + root), 1.0)
    p_t = min(r * p_c, 1.0)
    return p_t * (1 - p_t) / n_t + r * r * p_c * (1 - p_c) / n_c
