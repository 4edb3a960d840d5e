"""Quantiles of order values or of visitors' money, with intervals, from the additive histogram."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from scipy.special import ndtri

from ..errors import InputError
from .fieller import check_alpha
from .histogram import Histogram

__all__ = ["QuantileComparison", "QuantileEstimate", "compare_quantiles", "quantile_interval"]


@dataclass(frozen=True, slots=True)
class QuantileEstimate:
    """A quantile in major units with its interval; all None of fewer than ten values."""

    estimate: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class QuantileComparison:
    """A quantile in two arms and their difference.

    Attributes:
        status: `ok`, or `insufficient` with a `reason` and no difference.
        reason: one sentence where there is no difference; "" otherwise.
        treatment, control: the arms' own quantiles.
        difference, low, high: treatment minus control with its interval.
    """

    status: Literal["ok", "insufficient"]
    reason: str
    treatment: QuantileEstimate
    control: QuantileEstimate
    difference: float | None
    low: float | None
    high: float | None


LEAST_VALUES = 10


def quantile_interval(values: Histogram, share: float, *, alpha: float = 0.05) -> QuantileEstimate:
    """A quantile with the interval between two order statistics.

    The ranks are where the score test of a share no longer rejects (Woodruff 1952; the share's interval is
    share ± z sqrt(share (1 - share)/n)), so that no density has to be estimated. Every value within a bin is its
    middle: within 5 % above 99 minor units.

    Args:
        values: of independent units. Orders of one visitor are not quite independent; with few repeated orders that
            does not matter.
        share: of the values that lie below, strictly between 0 and 1.
        alpha: 1 minus the confidence level, two-sided.

    Raises:
        InputError: a share or alpha outside (0, 1).
    """
    if not 0 < share < 1:
        raise InputError(f"the quantile is of a share of {share!r}; a number strictly between 0 and 1 is needed")
    z, n = -float(ndtri(check_alpha(alpha) / 2)), values.n
    if n < LEAST_VALUES:
        return QuantileEstimate(None, None, None)
    half = z * math.sqrt(share * (1 - share) / n)
    # One rank outwards at the upper end: the interval is closed at both order statistics.
    return QuantileEstimate(
        values.quantile(share), values.quantile(max(share - half, 0.0)), values.quantile(min(share + half + 1 / n, 1.0))
    )


def compare_quantiles(
    treatment: Histogram, control: Histogram, share: float = 0.5, *, alpha: float = 0.05
) -> QuantileComparison:
    """Difference of a quantile, such as the median order value, with an interval.

    Square and add (Newcombe 1998; Zou and Donner 2008): D - sqrt((q_t - l_t)² + (u_c - q_c)²) to
    D + sqrt((u_t - q_t)² + (q_c - l_c)²), from the arms' own intervals. Of orders it compares buyers with other buyers:
    it is not an effect on a buyer. The median of *visitors* is 0 wherever fewer than half of them buy.

    Args:
        treatment, control: histograms of one scale, of orders (`Distribution.orders`) or of visitors.
        share: of the values that lie below, strictly between 0 and 1; .5 is the median.
        alpha: 1 minus the confidence level, two-sided.

    Returns:
        `insufficient` below ten values in an arm.

    Raises:
        InputError: histograms of different scales, or a share or alpha outside (0, 1).
    """
    if treatment.scale != control.scale:
        raise InputError(f"histograms of different scales: {treatment.scale} and {control.scale}")
    t, c = (quantile_interval(arm, share, alpha=alpha) for arm in (treatment, control))
    if t.estimate is None or t.low is None or t.high is None or c.estimate is None or c.low is None or c.high is None:
        few = min(treatment.n, control.n)
        reason = f"{few} values in an arm; a quantile with an interval needs {LEAST_VALUES}"
        return QuantileComparison("insufficient", reason, t, c, None, None, None)
    difference = t.estimate - c.estimate
    low = difference - math.hypot(t.estimate - t.low, c.high - c.estimate)
    high = difference + math.hypot(t.high - t.estimate, c.estimate - c.low)
    return QuantileComparison("ok", "", t, c, difference, low, high)
