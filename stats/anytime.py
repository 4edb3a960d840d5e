"""Always-valid intervals and p-values: one normal-mixture boundary, valid at every look.

Mixture SPRT (Robbins 1970; Johari et al. 2022), the normal mixture of Howard et al. (2021), asymptotic confidence
sequences (Waudby-Smith et al. 2024) and GAVI are this one boundary with different tunings `a`, the ratio of the mixing
variance to the variance of the estimate: reject when |z| > sqrt(2 (1 + a)/a · ln(sqrt(1 + a)/α)).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from scipy.special import lambertw, log_ndtr

from ..errors import InputError
from .elementwise import at_least_zero, exponential, log1p, square_root
from .fieller import Estimate, check_alpha, lift_at
from .results import Anytime, Difference, Lift
from .roots import increasing_root
from .showing import Shown

__all__ = [
    "BURN_IN_CONVERSIONS",
    "VISITORS_WITHOUT_PLAN",
    "RunningAnytime",
    "anytime_interval",
    "anytime_lift",
    "e_value",
    "log_e_value",
    "mixture_boundary",
    "mixture_lambda",
    "mixture_rho",
    "normal_mixture_bound",
    "normal_mixture_log_martingale",
    "running_anytime",
    "tuning_one_look",
    "tuning_with_plan",
    "tuning_without_plan",
]

VISITORS_WITHOUT_PLAN = 20_000
"""Visitors of a comparison at which the boundary is tightest when there is no plan.

A constant on purpose: tuned to the visitors of each look it would be a fixed boundary, which promises nothing over
many looks.
"""

BURN_IN_CONVERSIONS = 100
"""Conversions of a comparison before the first look: with fewer the statistic is not yet normal enough."""


@dataclass(frozen=True, slots=True)
class RunningAnytime(Shown):
    """What all looks so far say together: the intersection of their intervals and the smallest p-value.

    Both stay valid at any time and never take back what they ruled out. `status` is `empty` where no value lies in all
    intervals (the effect has changed between the looks, or 1 in 20 came); the ends are then None, with the reason.

    Example:
        >>> running_anytime([Anytime(-0.1, 0.5, 0.3, 3.0), Anytime(0.1, 0.6, 0.04, 3.0)]).low
        0.1
    """

    status: Literal["ok", "empty"]
    low: float | None
    high: float | None
    p_value: float
    reason: str = ""


def mixture_lambda(alpha: float = 0.05) -> float:
    """The `a` at which the boundary is lowest: -W₋₁(-α²/e) - 1, 8.21 for α = .05.

    Robbins (1970), Howard et al. (2021). Assumes nothing but 0 < α < 1. Not the right `a` for a test that goes on: that
    grows with the visitors (`tuning_without_plan`).

    Example:
        >>> round(mixture_lambda(0.05), 2)
        8.21
    """
    return float(-lambertw(-(check_alpha(alpha) ** 2) / math.e, k=-1).real - 1)


def tuning_without_plan(n: float, alpha: float = 0.05, n0: float = VISITORS_WITHOUT_PLAN) -> float:
    """`a` for n visitors in the comparison when nobody planned how many there will be: λ n / n0.

    Assumes that the variance of the estimate falls like 1/n. Not for a table that is read once (`tuning_one_look`).

    Example:
        >>> round(tuning_without_plan(40_000), 2)
        16.42
    """
    return mixture_lambda(alpha) * n / n0


def tuning_with_plan(variance: float, end_variance: float, alpha: float = 0.05) -> float:
    """`a` where the planned end is known: λ · 2 V_end / V, tightest in the middle of the test.

    The variances are the estimate's now and at the planned end, where it is what the plan assumed; their ratio alone
    counts, so 1/visitors now and 1/visitors planned do as well. At the end the interval is 1.56 times as wide as that
    of a single look.

    Raises:
        InputError: a variance that is not above 0.

    Example:
        >>> round(tuning_with_plan(1 / 20_000, 1 / 40_000), 2)
        8.21
    """
    if not (0 < variance < math.inf and 0 < end_variance < math.inf):
        raise InputError(
            f"variances {variance!r} now and {end_variance!r} at the end; finite numbers above 0 are needed"
        )
    return mixture_lambda(alpha) * 2 * end_variance / variance


def tuning_one_look(alpha: float = 0.05) -> float:
    """`a` for data that are read once: λ. The result is valid for that one look only.

    Not for looking again: tuned anew at every look the boundary would be a fixed one.

    Example:
        >>> round(mixture_boundary(tuning_one_look()), 2)
        3.04
    """
    return mixture_lambda(alpha)


def mixture_boundary(a: float, alpha: float = 0.05) -> float:
    """The value that |z| has to exceed.

    The formula above (Robbins 1970; Howard et al. 2021; Johari et al. 2022). Assumes normal estimates: some hundred
    conversions in each arm. Not for planned looks, where group sequential boundaries are lower.

    Args:
        a: mixing variance over the variance of the estimate, above 0.
        alpha: chance of ever crossing without an effect.

    Example:
        >>> round(mixture_boundary(8.21, 0.05), 3)
        3.035
    """
    return boundary_at(_check_tuning(a), check_alpha(alpha))


def boundary_at(a: Any, alpha: float) -> Any:
    """The boundary of checked arguments, of a number or an array."""
    return square_root(2 * (1 + a) / a * (0.5 * log1p(a) - math.log(alpha)))


def log_e_value(z: float, a: float) -> float:
    """Logarithm of the mixture likelihood ratio against no effect: a z²/(2 (1 + a)) - ln(1 + a)/2.

    Example:
        >>> round(log_e_value(3.0, 8.21), 3)
        2.901
    """
    a = _check_tuning(a)
    if math.isnan(z):
        raise InputError("z is NaN")
    return log_ratio_at(z, a)


def log_ratio_at(z: Any, a: Any) -> Any:
    """The logarithm of checked arguments, of numbers or arrays."""
    return a / (1 + a) * z * z / 2 - 0.5 * log1p(a)


def e_value(z: float, a: float) -> float:
    """Mixture likelihood ratio against no effect; infinity beyond what a float holds.

    An e-value above 1/α rejects at α, whenever it is looked at (Ville 1939). Assumes a normal estimate. Not a Bayes
    factor of anybody's belief: the mixture is chosen for power.

    Example:
        >>> round(e_value(3.0, 8.21), 1)
        18.2
    """
    log_e = log_e_value(z, a)
    return math.exp(log_e) if log_e < 709 else math.inf


def anytime_interval(difference: Difference, *, a: float, alpha: float = 0.05) -> Anytime:
    """Always-valid interval D ± SE · boundary and p-value min(1, 1/e) of a difference at the current look.

    Both are of one statistic: the p-value is at most alpha exactly when the interval leaves out 0. Large-sample: wants
    about 100 conversions in each arm.

    Robbins (1970), Howard et al. (2021), Waudby-Smith et al. (2024). Not as the main result of a test with planned
    looks, where it needs half as many visitors again.

    Raises:
        InputError: a standard error that is not above 0, `a` not above 0, or alpha outside (0, 1).

    Example:
        >>> d = Difference(0.5, 0.1, math.inf, 0.304, 0.696, 5.7e-7, "z")
        >>> result = anytime_interval(d, a=8.21)
        >>> round(result.low, 3), round(result.high, 3), result.p_value < 0.05
        (0.196, 0.804, True)
    """
    if not difference.se > 0:
        raise InputError(f"the difference has standard error {difference.se!r}; one above 0 is needed")
    return Anytime(*anytime_at(difference.estimate, difference.se, _check_tuning(a), check_alpha(alpha)))


def anytime_at(estimate: Any, se: Any, a: Any, alpha: float) -> tuple[Any, Any, Any, Any]:
    """Low, high, p-value and boundary of checked arguments, of numbers or arrays."""
    boundary = boundary_at(a, alpha)
    margin = se * boundary
    p_value = exponential(-at_least_zero(log_ratio_at(estimate / se, a)))
    return estimate - margin, estimate + margin, p_value, boundary


def anytime_lift(
    treatment: Estimate, control: Estimate, *, a: float, alpha: float = 0.05, covariance: float = 0.0
) -> Lift:
    """Always-valid interval of the relative lift: Fieller's set at the boundary.

    D and SE of `anytime_interval` are replaced by m_t - r m_c and its standard error at each ratio r, so that it leaves
    out 0 exactly where the interval of the difference does. Undefined where the control's mean is not above 0.

    Fieller (1954). Assumes normal estimates: some hundred conversions in each arm.

    Raises:
        InputError: `a` not above 0, or alpha outside (0, 1).

    Example:
        >>> anytime_lift(Estimate(5.5, 0.01, 999), Estimate(5.0, 0.01, 999), a=8.21).excludes_zero()
        True
    """
    return lift_at(mixture_boundary(a, alpha), treatment, control, covariance)


def running_anytime(looks: Iterable[Anytime]) -> RunningAnytime:
    """The intersection of the intervals of all looks and their smallest p-value.

    The p-value is below alpha exactly where the intersection leaves out 0.

    Howard et al. (2021). Assumes one effect that does not change between the looks.

    Raises:
        InputError: no looks.

    Example:
        >>> running_anytime([Anytime(-0.1, 0.5, 0.3, 3.0), Anytime(0.1, 0.6, 0.04, 3.0)]).p_value
        0.04
    """
    results = list(looks)
    if not results:
        raise InputError("no looks; at least one is needed")
    low, high = max(look.low for look in results), min(look.high for look in results)
    p_value = min(look.p_value for look in results)
    if low > high:
        reason = "no effect lies in the intervals of all looks: it is not the same at all times"
        return RunningAnytime("empty", None, None, p_value, reason)
    return RunningAnytime("ok", low, high, p_value)


def mixture_rho(v_opt: float, alpha_opt: float = 0.05, *, two_sided: bool = True) -> float:
    """Tuning in intrinsic time: the ρ that makes the bound near its lowest at v_opt (a = v/ρ).

    The approximation v_opt / (2 ln(1/α) + ln(1 + 2 ln(1/α))) of Howard et al. (2021), as in confseq: v_opt/ρ is 7.936
    for α = .05 where the exact λ is 8.21. One-sided: at 2α.

    Not for `anytime_interval`, which takes `a` itself.

    Example:
        >>> round(mixture_rho(100.0), 2)
        12.6
    """
    if not 0 < v_opt < math.inf:
        raise InputError(f"v_opt is {v_opt!r}; a finite number above 0 is needed")
    spread = -2 * math.log(check_alpha(alpha_opt) if two_sided else check_alpha(2 * alpha_opt))
    return v_opt / (spread + math.log1p(spread))


def normal_mixture_log_martingale(
    s: float, v: float, v_opt: float, alpha_opt: float = 0.05, *, two_sided: bool = True
) -> float:
    """Logarithm of the mixture martingale at sum s and variance v; it exceeds ln(1/α) with probability at most α.

    Howard et al. (2021), equation 14 and its one-sided form. Assumes sub-Gaussian increments, or many of them.

    Example:
        >>> round(normal_mixture_log_martingale(30.0, 100.0, 100.0), 3)
        2.901
    """
    rho = mixture_rho(v_opt, alpha_opt, two_sided=two_sided)
    half_square = s * s / (2 * (v + rho))
    if two_sided:
        return 0.5 * math.log(rho / (v + rho)) + half_square
    return 0.5 * math.log(4 * rho / (v + rho)) + half_square + float(log_ndtr(s / math.sqrt(v + rho)))


def normal_mixture_bound(
    v: float, alpha: float, v_opt: float, alpha_opt: float = 0.05, *, two_sided: bool = True
) -> float:
    """Boundary on the sum s at variance v (Howard et al. 2021); two-sided it is sqrt(v) times `mixture_boundary`.

    Assumes and excludes what `mixture_boundary` does.

    Example:
        >>> round(normal_mixture_bound(100.0, 0.05, 100.0), 2)
        30.35
    """
    rho = mixture_rho(v_opt, alpha_opt, two_sided=two_sided)
    two = math.sqrt(v) * mixture_boundary(v / rho, alpha)
    if two_sided:
        return two
    target = -math.log(alpha)
    return increasing_root(
        lambda s: normal_mixture_log_martingale(s, v, v_opt, alpha_opt, two_sided=False) - target,
        0.9 * two,
        0.9 * two / v,
    )


def _check_tuning(a: float) -> float:
    if not 0 < a < math.inf:
        raise InputError(f"the tuning a is {a!r}; a finite number above 0 is needed")
    return float(a)
