"""How far skewed values spoil an interval for a difference of means."""

from __future__ import annotations

from .moments import Moments

__all__ = ["SKEW_LIMIT", "skew_kappa"]

SKEW_LIMIT = 0.06
"""|κ| above this moves half a percentage point or more from one tail of a 95 % interval to the other."""


def skew_kappa(treatment: Moments, control: Moments, column: str) -> float:
    """Skewness κ of the studentised difference: (M3_t/n_t³ - M3_c/n_c³) / SE³, with M3 = Σ(x - x̄)³.

    By Edgeworth expansion each tail of a nominal 95 % interval is off by 0.0845 κ, in opposite directions; equal arms
    cancel. Positive: the treatment's side has the longer tail. 0 where SE is 0 or an arm has fewer than two visitors.

    Johnson (1978), Kohavi's n > 355 skew² restated. Assumes nothing, but is biased towards 0 in heavy tails: with
    unequal arms count the orders as well (fewer than 250 in the smaller arm are too few). Not for conversions.

    Example:
        >>> from offerlift.stats import Moments
        >>> small = Moments.from_arrays({"revenue": [0.0] * 95 + [10.0, 15.0, 20.0, 40.0, 200.0]})
        >>> round(skew_kappa(small, Moments.merge([small] * 9), "revenue"), 2)
        0.76
    """
    if treatment.n < 2 or control.n < 2:
        return 0.0
    variance = treatment.variance_of(column) / treatment.n + control.variance_of(column) / control.n
    # A variance below 1e-216 has a power of 3/2 that is 0 in double precision.
    if variance**1.5 == 0:
        return 0.0
    third_t = float(treatment.m3[treatment.index(column)]) / treatment.n**3
    third_c = float(control.m3[control.index(column)]) / control.n**3
    return (third_t - third_c) / variance**1.5
