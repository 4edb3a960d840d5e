"""Is the offer at most a margin worse? Guardrails, by the same statistics as the intervals of the lift.

A margin ε is the largest acceptable relative loss: a guardrail passes when m_t > (1 - ε) m_c is proven (where a
decrease is wanted: m_t < (1 + ε) m_c), one-sided at .025, which is where the 95 % interval of the lift ends. It fails
when a larger loss is proven, and is inconclusive otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from scipy.special import ndtr, stdtr

from ..errors import InputError
from .fieller import NOT_ABOVE_ZERO, Estimate, Shared, check_alpha, compare_estimates, welch_statistic
from .proportions import check_counts, restricted_variance, restricted_variance_of_ratio
from .showing import Shown

__all__ = ["NonInferiority", "intersection_union", "non_inferiority", "non_inferiority_proportions"]

Result = Literal["passed", "failed", "inconclusive"]
Direction = Literal["increase", "decrease"]


@dataclass(frozen=True, slots=True)
class NonInferiority(Shown):
    """A guardrail's result.

    Attributes:
        result: `passed` where p_value is below alpha, `failed` where p_failed is, `inconclusive` otherwise and wherever
            the lift has no bounded interval.
        p_value: one-sided, against a loss of the margin or more; None where there is no test.
        p_failed: one-sided, against a loss of the margin or less.
        statistic: above 0 on the side of passing.
        df: its degrees of freedom; infinity for a normal one.
        reason: one sentence where the numbers cannot decide; "" otherwise.

    Example:
        >>> NonInferiority("inconclusive", None, None, None, None, "welch", "too few orders").result
        'inconclusive'
    """

    result: Result
    p_value: float | None
    p_failed: float | None
    statistic: float | None
    df: float | None
    method: str
    reason: str = ""


def non_inferiority(
    treatment: Estimate,
    control: Estimate,
    margin: float,
    *,
    desired_change: Direction = "increase",
    alpha: float = 0.025,
    shared: Shared | None = None,
) -> NonInferiority:
    """Relative non-inferiority of a mean, a ratio or an adjusted mean.

    T = (m_t - r m_c)/sqrt(V_t + r² V_c) with r = 1 - ε and Welch's degrees of freedom at r: the test that the interval
    of the lift inverts, so that `passed` is a lower end above -ε at level 1 - 2 alpha (Tamhane and Logan 2004). Where a
    decrease is wanted r = 1 + ε and the signs are turned. A control whose mean is not proven to be above 0 has no
    bounded lift: inconclusive. With two or three visitors in an arm the interval can be wider than the test; it counts.

    Args:
        treatment, control: estimates, from `mean_estimate` for instance.
        margin: largest acceptable relative loss (0.02 is 2 %), 0 or more.
        desired_change: `decrease` where less is better.
        alpha: one-sided.
        shared: what both estimates have in common (adjusted means).

    Raises:
        InputError: a margin that is negative or, for an increase, 1 or more; another direction; no variance in either
            arm; alpha outside (0, 0.5).

    Example:
        >>> found = non_inferiority(Estimate(9.95, 0.01, 999), Estimate(10.0, 0.01, 999), margin=0.04)
        >>> found.result, round(found.p_value, 4)
        ('passed', 0.0058)
    """
    ratio, towards = _limit(margin, desired_change)
    alpha = _check_one_sided(alpha)
    shared = shared or Shared()
    if not treatment.variance + control.variance > 0:
        raise InputError(
            f"variances are {treatment.variance!r} and {control.variance!r}; one of them has to be above 0"
        )
    method = "welch-non-inferiority"
    if control.mean <= 0:
        return NonInferiority("inconclusive", None, None, None, None, method, NOT_ABOVE_ZERO)
    statistic, df = welch_statistic(treatment, control, ratio, shared)
    statistic *= towards
    p_value, p_failed = (float(stdtr(df, sign * statistic)) for sign in (-1.0, 1.0))
    lift = compare_estimates(treatment, control, shared=shared, alpha=2 * alpha, method=method).lift
    result: Result = "inconclusive"
    if lift.kind == "bounded" and lift.low is not None and lift.high is not None:
        worst, best = (lift.low, lift.high) if towards > 0 else (-lift.high, -lift.low)
        result = "passed" if worst > -margin else "failed" if best < -margin else "inconclusive"
    return NonInferiority(result, p_value, p_failed, statistic, df, method, lift.reason)


def non_inferiority_proportions(
    x_t: int,
    n_t: int,
    x_c: int,
    n_c: int,
    margin: float,
    *,
    scale: Literal["ratio", "difference"] = "ratio",
    desired_change: Direction = "increase",
    alpha: float = 0.025,
    correction: bool = True,
) -> NonInferiority:
    """Non-inferiority of a conversion rate by the score test, on the scale of the lift or of percentage points.

    Z = (p̂_t - r p̂_c)/sqrt(Ṽ(r)) with r = 1 - ε, or (p̂_t - p̂_c + ε)/sqrt(Ṽ(-ε)), Ṽ the variance at the maximum
    likelihood rates under that limit (Miettinen and Nurminen 1985; Farrington and Manning 1990 without the factor
    N/(N - 1)). It agrees with the intervals of `compare_proportions`.

    Args:
        x_t, n_t, x_c, n_c: conversions and visitors.
        margin: largest acceptable loss: relative (0.02 is 2 %) or, with `scale="difference"`, in the rate itself (0.001
            is a tenth of a percentage point).
        scale: `ratio` or `difference`.
        desired_change: `decrease` where fewer is better (returns, cancellations).
        alpha: one-sided.
        correction: the factor N/(N - 1).

    Raises:
        InputError: counts that are not whole, negative, x > n or n = 0; margins, directions and levels as
            `non_inferiority` (a margin of a difference is below 1); another scale.

    Example:
        >>> non_inferiority_proportions(480, 10_000, 500, 10_000, margin=0.02).result
        'inconclusive'
    """
    x_t, n_t, x_c, n_c = check_counts(x_t, n_t, x_c, n_c)
    alpha = _check_one_sided(alpha)
    ratio, towards = _limit(margin, desired_change)
    factor = (n_t + n_c) / (n_t + n_c - 1) if correction else 1.0
    name = "miettinen-nurminen" if correction else "farrington-manning"
    p_t, p_c = x_t / n_t, x_c / n_c
    if scale == "difference":
        if not margin < 1:
            raise InputError(f"the margin is {margin!r}; a difference of two rates has one below 1")
        method = f"{name}-difference"
        distance = p_t - p_c + towards * margin
        variance = restricted_variance(x_t, n_t, x_c, n_c, -towards * margin)
    elif scale == "ratio":
        method = f"{name}-ratio"
        if x_c == 0:
            reason = "no conversions in the control: the relative lift has no upper end"
            return NonInferiority("inconclusive", None, None, None, None, method, reason)
        distance = p_t - ratio * p_c
        variance = restricted_variance_of_ratio(x_t, n_t, x_c, n_c, ratio)
    else:
        raise InputError(f"scale is {scale!r}; it is ratio or difference")
    # Nothing varies under a limit that the data meet exactly (every visitor of both arms converted, or none).
    statistic = towards * distance / math.sqrt(variance * factor) if variance > 0 else 0.0
    p_value, p_failed = float(ndtr(-statistic)), float(ndtr(statistic))
    return NonInferiority(_result(p_value, p_failed, alpha), p_value, p_failed, statistic, math.inf, method)


def intersection_union(results: Iterable[Result]) -> Result:
    """What several guardrails say together when all must pass: failed if one failed, passed if all passed.

    Each is tested at its own level and no correction is made for their number: a harmful offer passes only if every
    guardrail errs, which is no likelier than that one does (Berger 1982). A correction such as Benjamini and Hochberg's
    would be for the opposite question, whether any differs.

    Example:
        >>> intersection_union(["passed", "inconclusive", "passed"])
        'inconclusive'
    """
    found = list(results)
    if "failed" in found:
        return "failed"
    return "passed" if all(result == "passed" for result in found) else "inconclusive"


def _limit(margin: float, desired_change: Direction) -> tuple[float, float]:
    """The ratio at which the loss is the margin, and the sign of a change for the better."""
    if desired_change not in ("increase", "decrease"):
        raise InputError(f"desired_change is {desired_change!r}; it is increase or decrease")
    if not 0 <= margin < math.inf or (desired_change == "increase" and margin >= 1):
        raise InputError(f"the margin is {margin!r}; a share of at least 0 (and below 1 for an increase) is needed")
    return (1 - margin, 1.0) if desired_change == "increase" else (1 + margin, -1.0)


def _check_one_sided(alpha: float) -> float:
    if not check_alpha(alpha) < 0.5:
        raise InputError(f"alpha is {alpha!r}; one-sided, it is below 0.5, such as 0.025")
    return float(alpha)


def _result(p_value: float, p_failed: float, alpha: float) -> Result:
    if p_value < alpha:
        return "passed"
    return "failed" if p_failed < alpha else "inconclusive"
