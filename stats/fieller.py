"""Difference and ratio of two independent estimates, by one Welch test: the kernel of means, ratios and CUPED.

The difference is judged at r = 1 and the ratio at every r by the same statistic,
T(r) = (m_t - r m_c) / sqrt(W(r)) with df(r) by Welch (1947) and Satterthwaite (1946), so interval, lift and p-value
cannot contradict each other. Fieller (1954); df re-evaluated at every r as in Tamhane and Logan (2004).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri, stdtr, stdtrit

from ..errors import InputError
from .elementwise import at_least_zero, binary_exponent, chosen, everywhere, shifted, smaller, square_root
from .results import Comparison, Difference, Inputs, Lift, RatioInterval
from .roots import bracketed_root

__all__ = [
    "NOT_ABOVE_ZERO",
    "Estimate",
    "Shared",
    "check_alpha",
    "compare_estimates",
    "fieller",
    "is_negligible",
    "lift_at",
    "two_sided_quantile",
    "welch_statistic",
]

NOT_ABOVE_ZERO = "the control's mean is not above 0, so a relative lift has no meaning"


@dataclass(frozen=True, slots=True)
class Estimate:
    """An arm's mean (or ratio), the variance of that mean, and the degrees of freedom of the variance.

    Inside this package also arrays of them, one element a comparison.

    Example:
        >>> compare_estimates(Estimate(5.2, 0.01, 99), Estimate(5.0, 0.01, 99), method="welch").difference.df
        198.0
    """

    mean: Any
    variance: Any
    df: Any


@dataclass(frozen=True, slots=True)
class Shared:
    """What both arms' estimates have in common: extra variance of each, their covariance, degrees of freedom.

    At a ratio r it adds tt - 2 r tc + r² cc to the variance of m_t - r m_c. All 0 for independent arms.

    Example:
        >>> shared = Shared(tt=0.001, tc=0.001, cc=0.001, df=198)
        >>> pair = Estimate(5.2, 0.01, 99), Estimate(5.0, 0.01, 99)
        >>> round(compare_estimates(*pair, shared=shared, method="cuped").difference.se, 4)
        0.1414
    """

    tt: Any = 0.0
    tc: Any = 0.0
    cc: Any = 0.0
    df: Any = math.inf


_NOTHING_SHARED = Shared()


def check_alpha(alpha: float) -> float:
    """The level as a float.

    Raises:
        InputError: not strictly between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise InputError(f"alpha is {alpha!r}; a number strictly between 0 and 1 is needed, such as 0.05")
    return float(alpha)


def is_negligible(variance: Any, mean: Any) -> Any:
    """Whether a variance is no more than what rounding leaves of a column of equal values; of arrays too."""
    return square_root(at_least_zero(variance)) <= 8 * 2.0**-52 * abs(mean)


def compare_estimates(
    treatment: Estimate,
    control: Estimate,
    *,
    shared: Shared | None = None,
    alpha: float = 0.05,
    method: str,
    inputs: Inputs | None = None,
) -> Comparison:
    """Difference and relative lift of two estimates, each variance at least 0 and not both 0.

    D = m_t - m_c with Welch's df (1947); the lift is {r : |T(r)| <= t(df(r))} - 1 (Fieller 1954; Tamhane and Logan
    2004), so that it leaves out 0 exactly where p < alpha. Assumes normal estimates that are independent but for
    `shared`. Not for conversions of a few visitors: `compare_proportions`.

    Example:
        >>> result = compare_estimates(Estimate(5.2, 0.01, 99), Estimate(5.0, 0.01, 99), method="welch")
        >>> round(result.difference.p_value, 3), round(result.lift.low, 4), round(result.lift.high, 4)
        (0.159, -0.0154, 0.0986)
    """
    alpha = check_alpha(alpha)
    shared = shared or _NOTHING_SHARED
    inputs = inputs or Inputs(treatment, control, (), alpha)
    estimate, se, df, low, high, p_value, quantile = welch(treatment, control, shared, alpha)
    difference = Difference(estimate, se, df, low, high, p_value, method)
    if control.mean <= 0:
        return Comparison("ok", "", difference, Lift("undefined", None, None, None, NOT_ABOVE_ZERO), inputs=inputs)
    lift = lift_of(treatment, control, shared, alpha, quantile)
    return Comparison("ok", "", difference, lift, inputs=inputs)


def welch(treatment: Estimate, control: Estimate, shared: Shared, alpha: float) -> tuple[Any, ...]:
    """Difference, standard error, df, low, high, p-value and the interval's quantile; of floats or of arrays alike."""
    common = at_least_zero(shared.tt - 2 * shared.tc + shared.cc)
    estimate = treatment.mean - control.mean
    se = square_root(treatment.variance + control.variance + common)
    df = _satterthwaite(treatment, control, shared, treatment.variance, control.variance, common)
    quantile = two_sided_quantile(df, alpha)
    margin = quantile * se
    tail = stdtr(df, -abs(estimate) / se)
    p_value = smaller(2 * (tail if isinstance(tail, np.ndarray) else float(tail)), 1.0)
    return estimate, se, df, estimate - margin, estimate + margin, p_value, quantile


def lift_of(treatment: Estimate, control: Estimate, shared: Shared, alpha: float, quantile: float) -> Lift:
    """The lift of two estimates with a control's mean above 0; `quantile` is that of the difference."""
    ends = None
    if is_plain(treatment, control, shared, alpha):
        ends = plain_ends(treatment, control, shared, alpha, quantile)
    if ends is None:
        return _WelchRatio(treatment, control, shared, alpha).interval().lift()
    return Lift("bounded", treatment.mean / control.mean - 1, ends[0] - 1, ends[1] - 1)


def is_plain(treatment: Estimate, control: Estimate, shared: Shared, alpha: float) -> Any:
    """Whether a ratio's set is one bounded interval whatever the quantile, far from where it would not be.

    From 50 degrees of freedom on the quantile hardly depends on r; the control's mean is above 0 by more than the
    largest of them. Of floats or of arrays alike.
    """
    least = smaller(smaller(treatment.df, control.df), shared.df)
    w_t, w_c = treatment.variance + shared.tt, control.variance + shared.cc
    largest = 1.001 * two_sided_quantile(least, alpha)
    sizes = (w_t > 1e-280) & (w_c > 1e-280) & (w_t < 1e280) & (w_c < 1e280)
    t, c = abs(treatment.mean), control.mean
    scale_t, scale_c = square_root(at_least_zero(w_t)), square_root(at_least_zero(w_c))
    return (least >= 50) & sizes & (c > largest * scale_c) & (t < 1e100 * scale_t) & (c < 1e100 * scale_c)


def plain_ends(
    treatment: Estimate, control: Estimate, shared: Shared, alpha: float, quantile: Any
) -> tuple[Any, Any] | None:
    """Ends of the ratio's set where `is_plain`, of floats or of arrays alike; None where the search does not settle.

    Fieller's closed form at the quantile of df(r), df and r in turn until neither moves: each turn gains two digits or
    more. `quantile`, that of the difference, is where it starts.
    """
    # In units of their standard errors, so that squares of tiny or huge money neither vanish nor overflow.
    scale_t, scale_c = square_root(treatment.variance + shared.tt), square_root(control.variance + shared.cc)
    t, c = treatment.mean / scale_t, control.mean / scale_c
    v_t, v_c = treatment.variance / scale_t / scale_t, control.variance / scale_c / scale_c
    tt, tc, cc = shared.tt / scale_t / scale_t, shared.tc / scale_t / scale_c, shared.cc / scale_c / scale_c
    square, cross, spread = t * t + c * c - 2 * t * c * tc, t * c, 1 - tc * tc
    ends = []
    for side in (-1.0, 1.0):
        q, before = quantile, math.inf
        for _ in range(12):
            q2 = q * q
            r = (cross - q2 * tc + side * q * square_root(at_least_zero(square - q2 * spread))) / (c * c - q2)
            if everywhere(abs(r - before) <= 1e-15 * abs(r)):
                break
            before, v_r = r, r * r * v_c
            v_shared = at_least_zero(tt - 2 * r * tc + r * r * cc)
            q = two_sided_quantile(_satterthwaite(treatment, control, shared, v_t, v_r, v_shared), alpha)
        else:
            return None
        ends.append(r * (scale_t / scale_c))
    return ends[0], ends[1]


def fieller(
    mean_t: float, variance_t: float, mean_c: float, variance_c: float, quantile: float, *, covariance: float = 0.0
) -> RatioInterval:
    """Confidence set of mean_t / mean_c at a given quantile, in closed form (Fieller 1954).

    The set {r : (m_t - r m_c)² <= q² (V_t - 2 r C + r² V_c)}. Bounded when the control's mean is further than q
    standard errors from 0 (g = q² V_c / m_c² < 1); otherwise the complement of an interval, or every ratio.

    Assumes normal means at a known quantile. Not for small samples, whose quantile depends on the ratio:
    `compare_estimates`.

    Args:
        mean_t, variance_t: treatment's mean and the variance of that mean.
        mean_c, variance_c: the same of the control.
        quantile: two-sided quantile of the reference distribution, such as 1.96.
        covariance: of the two means.

    Example:
        >>> ratio = fieller(5.2, 0.01, 5.0, 0.01, 1.96)
        >>> ratio.kind, round(ratio.low, 4), round(ratio.high, 4)
        ('bounded', 0.985, 1.0982)
    """
    if mean_c == 0:
        return RatioInterval("undefined", None, None, None, "the control's mean is 0")
    q2, estimate = quantile * quantile, mean_t / mean_c
    # Both means by a power of two to about 1, which changes no digit: fourth powers of huge money would overflow.
    of_t, of_c = (
        binary_exponent(max(abs(mean), math.sqrt(v))) for mean, v in ((mean_t, variance_t), (mean_c, variance_c))
    )
    mean_t, variance_t = shifted(mean_t, -of_t), shifted(variance_t, -2 * of_t)
    mean_c, variance_c = shifted(mean_c, -of_c), shifted(variance_c, -2 * of_c)
    covariance = shifted(covariance, -of_t - of_c)
    a = mean_c * mean_c - q2 * variance_c
    b = mean_t * mean_c - q2 * covariance
    # b² - a c, written without the difference of fourth powers of the means.
    root = mean_t**2 * variance_c + mean_c**2 * variance_t - 2 * mean_t * mean_c * covariance
    root = q2 * (root - q2 * (variance_t * variance_c - covariance**2))
    if root <= 0 and a <= 0:
        return RatioInterval("unbounded", estimate, None, None, _UNBOUNDED)
    root = math.sqrt(max(root, 0.0))
    if a == 0:
        # One end has gone to infinity: b >= r b2 is what remains of the quadratic.
        end = shifted((mean_t**2 - q2 * variance_t) / (2 * b), of_t - of_c)
        low, high = (end, None) if b > 0 else (None, end)
        return RatioInterval("unbounded", estimate, low, high, _UNBOUNDED)
    low, high = sorted(shifted(end, of_t - of_c) for end in ((b - root) / a, (b + root) / a))
    if a > 0:
        return RatioInterval("bounded", estimate, low, high)
    return RatioInterval("complement", estimate, low, high, _COMPLEMENT)


def lift_at(boundary: float, treatment: Estimate, control: Estimate, covariance: float = 0.0) -> Lift:
    """Fieller's set of the relative lift at a boundary on |z|: it leaves out 0 where the difference's interval does.

    Undefined where the control's mean is not above 0.

    Raises:
        InputError: a boundary that is not above 0.
    """
    if not boundary > 0:
        raise InputError(f"the boundary is {boundary!r}; a number above 0 is needed")
    if control.mean <= 0:
        return Lift("undefined", None, None, None, NOT_ABOVE_ZERO)
    return fieller(
        treatment.mean, treatment.variance, control.mean, control.variance, boundary, covariance=covariance
    ).lift()


def welch_statistic(
    treatment: Estimate, control: Estimate, ratio: float, shared: Shared | None = None
) -> tuple[float, float]:
    """T(r) = (m_t - r m_c)/sqrt(W(r)) and its degrees of freedom: the test that the lift's interval inverts.

    W(r) must be above 0.
    """
    shared = shared or Shared()
    v_t, v_c = treatment.variance, ratio * ratio * control.variance
    common = max(shared.tt - 2 * ratio * shared.tc + ratio * ratio * shared.cc, 0.0)
    statistic = (treatment.mean - ratio * control.mean) / math.sqrt(v_t + v_c + common)
    return statistic, _satterthwaite(treatment, control, shared, v_t, v_c, common)


_UNBOUNDED = "the control's mean is too close to 0 for its precision: no relative lift can be ruled out"
_COMPLEMENT = "the control's mean is too close to 0 for its precision: only lifts between the two values are ruled out"


def two_sided_quantile(df: Any, alpha: float) -> Any:
    """Two-sided quantile of Student's t; of arrays too."""
    if isinstance(df, np.ndarray):
        return -stdtrit(np.minimum(df, 1e300), alpha / 2)
    return float(-ndtri(alpha / 2)) if math.isinf(df) else float(-stdtrit(df, alpha / 2))


def _satterthwaite(treatment: Estimate, control: Estimate, shared: Shared, v_t: Any, v_c: Any, v_shared: Any) -> Any:
    # By a power of two to about 1, which changes no digit: squares near 1e-160 vanish and those near 1e160 overflow.
    size = -binary_exponent(v_t + v_c + v_shared)
    t, c, common = shifted(v_t, size), shifted(v_c, size), shifted(v_shared, size)
    total, spread = t + c + common, t * t / treatment.df + c * c / control.df + common * common / shared.df
    known = spread > 0
    if everywhere(known):
        return total * total / spread
    # Nothing varies, or all that does is known exactly; the smaller df is the safe side.
    return chosen(known, total * total / chosen(known, spread, 1.0), smaller(treatment.df, control.df))


class _WelchRatio:
    """Inversion of the Welch test of m_t - r m_c = 0 for r.

    A ratio is a direction: r = scale · tan(angle), with both means in units of their standard errors so that the circle
    is resolved evenly. On the circle the set is one arc around the estimate (all of it when nothing can be ruled out),
    and "bounded" means only that the arc leaves out the direction of r = infinity, judged there with the control's df.
    """

    def __init__(self, treatment: Estimate, control: Estimate, shared: Shared, alpha: float):
        size_t = math.sqrt(treatment.variance + shared.tt) or abs(treatment.mean) or 1.0
        size_c = math.sqrt(control.variance + shared.cc) or abs(control.mean) or 1.0
        self.scale = size_t / size_c
        self.estimate = treatment.mean / control.mean
        self.mean_t, self.mean_c = treatment.mean / size_t, control.mean / size_c
        self.v_t, self.v_c = treatment.variance / size_t / size_t, control.variance / size_c / size_c
        self.tt, self.cc = shared.tt / size_t / size_t, shared.cc / size_c / size_c
        self.tc = shared.tc / size_t / size_c
        self.df_t, self.df_c, self.df_shared = treatment.df, control.df, shared.df
        self.alpha = alpha
        # df(r) lies between the smallest of the parts' and their sum.
        parts = [
            df for df, v in ((self.df_t, self.v_t), (self.df_c, self.v_c), (self.df_shared, self.tt + self.cc)) if v > 0
        ]
        self.df_low, self.df_high = min(parts), sum(parts)

    def interval(self) -> RatioInterval:
        """The set as a ratio interval."""
        gap = self._gap()
        if gap is None:
            return RatioInterval("unbounded", self.estimate, None, None, _UNBOUNDED)
        start, end = gap
        before, after = self.scale * math.tan(start), self.scale * math.tan(end)
        # Whether the last direction of infinity (an odd multiple of pi/2) up to the gap's end lies inside the gap.
        if math.pi / 2 + math.pi * math.floor((end - math.pi / 2) / math.pi) > start:
            return RatioInterval("bounded", self.estimate, after, before)
        return RatioInterval("complement", self.estimate, before, after, _COMPLEMENT)

    def _gap(self) -> tuple[float, float] | None:
        """The arc of directions that are ruled out, as two angles; None where there is none.

        With a handful of visitors the quantile changes so fast along the circle that several arcs can be ruled out. All
        but one are then given up (the set becomes larger, never smaller): the one kept holds r = 1 if it is ruled out,
        so that the set and the p-value still agree, and is the widest otherwise.
        """
        outer = self._closed_form_gap(two_sided_quantile(self.df_high, self.alpha))
        if outer is None:
            return None
        inner = self._closed_form_gap(two_sided_quantile(self.df_low, self.alpha))
        if inner is not None:
            shift = math.pi * round((sum(outer) - sum(inner)) / (2 * math.pi))
            inner = (inner[0] + shift, inner[1] + shift)
        points, ruled_out = self._scan(outer, inner)
        gaps = []
        start = None
        for i in range(1, len(points)):
            if ruled_out[i] and not ruled_out[i - 1]:
                start = self._edge(points[i - 1], points[i])
            elif ruled_out[i - 1] and not ruled_out[i] and start is not None:
                gaps.append((start, self._edge(points[i - 1], points[i])))
        if not gaps:
            return None
        no_change = math.atan2(1.0, self.scale)
        return max(gaps, key=lambda gap: (_between(no_change, *gap), gap[1] - gap[0]))

    def _closed_form_gap(self, quantile: float) -> tuple[float, float] | None:
        """The arc ruled out at one fixed quantile: where a quadratic form in (cos, sin) is positive."""
        q2 = quantile * quantile
        w_t, w_c = self.v_t + self.tt, self.v_c + self.cc
        a, c = self.mean_t**2 - q2 * w_t, self.mean_c**2 - q2 * w_c
        b = self.mean_t * self.mean_c - q2 * self.tc
        inside = self.mean_t**2 * w_c + self.mean_c**2 * w_t - 2 * self.mean_t * self.mean_c * self.tc
        inside = q2 * (inside - q2 * (w_t * w_c - self.tc**2))
        if inside <= 0 and a + c <= 0:
            return None
        centre = math.atan2(-2 * b, a - c) / 2
        half = (math.pi - math.atan2(math.sqrt(max(inside, 0.0)), (a + c) / 2)) / 2
        return centre - half, centre + half

    def _scan(self, outer: tuple[float, float], inner: tuple[float, float] | None) -> tuple[list[float], list[bool]]:
        """Directions from one end of the outer arc to the other, and whether each is ruled out.

        At the ends of the outer arc (smallest quantile) nothing is ruled out, inside the inner one (largest) all is.
        """
        few = self.df_low >= 50
        if inner is None:
            zones = [np.linspace(*outer, 64 if few else 512)]
        else:
            count = 4 if few else 64
            zones = [np.linspace(outer[0], inner[0], count), np.linspace(inner[1], outer[1], count)]
        directions = np.concatenate(zones)
        no_change = math.atan2(1.0, self.scale)
        special = [no_change + math.pi * k for k in (-2, -1, 0, 1, 2)] + [math.pi * (k + 0.5) for k in (-2, -1, 0, 1)]
        directions = np.sort(np.concatenate([directions, [x for x in special if outer[0] < x < outer[1]]]))
        ruled_out = self._excess(directions) > 0
        if inner is not None:
            ruled_out[(directions >= inner[0]) & (directions <= inner[1])] = True
        # Last, as with many visitors rounding can put the inner arc's ends outside the outer's.
        ruled_out[0] = ruled_out[-1] = False
        return directions.tolist(), ruled_out.tolist()

    def _excess(self, angle: np.ndarray) -> np.ndarray:
        """|m_t cos - m_c sin| - q(df) sqrt(W): above 0 where a direction is ruled out."""
        cos, sin = np.cos(angle), np.sin(angle)
        v_t, v_c = self.v_t * cos**2, self.v_c * sin**2
        v_shared = np.maximum(self.tt * cos**2 - 2 * self.tc * cos * sin + self.cc * sin**2, 0.0)
        total = v_t + v_c + v_shared
        spread = v_t**2 / self.df_t + v_c**2 / self.df_c + v_shared**2 / self.df_shared
        df = np.where(spread > 0, total**2 / np.where(spread > 0, spread, 1.0), self.df_low)
        quantile = -stdtrit(np.clip(df, self.df_low, self.df_high), self.alpha / 2)
        return np.abs(self.mean_t * cos - self.mean_c * sin) - quantile * np.sqrt(total)

    def _edge(self, a: float, b: float) -> float:
        """Where the set ends, between two neighbouring directions of which one is ruled out."""
        excess: Callable[[float], float] = self._excess_at
        fa, fb = excess(a), excess(b)
        if (fa > 0) == (fb > 0):
            # Only rounding separates the closed form from the test here.
            return a if abs(fa) < abs(fb) else b
        return bracketed_root(excess, a, b, fa, fb, tolerance=1e-17)

    def _excess_at(self, angle: float) -> float:
        cos, sin = math.cos(angle), math.sin(angle)
        v_t, v_c = self.v_t * cos**2, self.v_c * sin**2
        v_shared = max(self.tt * cos**2 - 2 * self.tc * cos * sin + self.cc * sin**2, 0.0)
        total = v_t + v_c + v_shared
        spread = v_t**2 / self.df_t + v_c**2 / self.df_c + v_shared**2 / self.df_shared
        df = min(max(total**2 / spread, self.df_low), self.df_high) if spread > 0 else self.df_low
        return abs(self.mean_t * cos - self.mean_c * sin) - two_sided_quantile(df, self.alpha) * math.sqrt(total)


def _between(angle: float, start: float, end: float) -> bool:
    """Whether a direction (angles modulo pi) lies strictly between two angles."""
    return 0 < (angle - start) % math.pi < end - start
