"""What a plan is about: the metric as the shop knows it before the experiment, and what one visitor tells about it.

An endpoint says, for a true lift and a split, how large the effect is beside the standard deviation of its test
statistic, per square root of a visitor. Everything in `.power` follows from these three numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from ..errors import InputError
from .moments import Moments
from .proportions import counts_of, restricted_variance, restricted_variance_of_ratio
from .ratios import ratio_of

__all__ = ["Endpoint", "Mean", "Rate", "Signal"]

RateTest = Literal["score", "farrington-manning", "unpooled", "baseline", "arcsine"]


@dataclass(frozen=True, slots=True)
class Signal:
    """A true effect as its test sees it; with N visitors in all arms the standard errors are the two over √N.

    Attributes:
        effect: distance from the null hypothesis, in the direction of the lift, at least 0.
        null_sd: √N times the standard error that the statistic is divided by.
        sd: √N times the standard error that the estimate really has.
    """

    effect: float
    null_sd: float
    sd: float


class Endpoint(Protocol):
    """A metric before the experiment."""

    @property
    def mean(self) -> float:
        """The control's mean, rate or ratio."""
        ...

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the largest value that the mean can have."""
        ...

    def signal(self, lift: float, null_lift: float, treatment: float, control: float) -> Signal:
        """The effect of a true lift, tested against `null_lift`, with these shares of all visitors in the two arms."""
        ...

    def degrees_of_freedom(self, null_lift: float, treatment: float, control: float) -> float:
        """Of the test with so many visitors in the two arms; infinity for a normal one."""
        ...

    def adjusted(self, r_squared: float) -> Mean:
        """The endpoint after regression on covariates that explain a share `r_squared` of its variance."""
        ...


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean per visitor (revenue, margin, count) or a ratio of two: judged by Welch's test.

    The statistic against lift ε is T = (m_t - (1 + ε) m_c) / sqrt(s²_t/n_t + (1 + ε)² s²_c/n_c) (Welch 1947; Tamhane
    and Logan 2004), as in `compare_means`. Assumes that the mean of an arm is nearly normal: with fewer than some 250
    orders an arm, an uneven split and heavy tails it is not, and neither is the power what is promised.

    Attributes:
        mean: the control's, above 0.
        variance: of one visitor in the control; of a ratio, that of its linearised value.
        treatment_variance: of one visitor in the treatment; None: the same.

    Raises:
        InputError: a mean that is not above 0 (a relative lift has no meaning), a variance that is not.

    >>> Mean(2.4, 110.0).adjusted(0.3)
    Mean(mean=2.4, variance=77.0, treatment_variance=None)
    """

    mean: float
    variance: float
    treatment_variance: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.mean < math.inf:
            raise InputError(f"the mean is {self.mean!r}; a lift relative to it needs a finite number above 0")
        for variance in (self.variance, self.treatment_variance):
            if variance is not None and not 0 < variance < math.inf:
                raise InputError(f"a variance is {variance!r}; a finite number above 0 is needed")

    @classmethod
    def of(cls, moments: Moments, column: str) -> Mean:
        """Of the visitors seen so far, such as those of a past experiment's control.

        >>> import numpy as np
        >>> Mean.of(Moments.from_arrays({"revenue": np.array([0.0, 30.0, 0.0, 10.0])}), "revenue").variance
        200.0
        """
        return cls(moments.mean_of(column), moments.variance_of(column))

    @classmethod
    def of_ratio(cls, moments: Moments, numerator: str, denominator: str) -> Mean:
        """Of a ratio of two sums: R = ȳ/x̄ and the variance of (y - R x)/x̄ over visitors (Deng, Knoblich and Lu 2018).

        Raises:
            InputError: an arm without a ratio: fewer than two visitors, or a denominator that is not above 0.

        >>> import numpy as np
        >>> baskets = {"value": np.array([30.0, 0.0, 50.0, 20.0]), "orders": np.array([1.0, 0.0, 2.0, 1.0])}
        >>> Mean.of_ratio(Moments.from_arrays(baskets), "value", "orders").mean
        25.0
        """
        found = ratio_of(moments, numerator, denominator)
        if found is None:
            raise InputError(f"{numerator!r} per {denominator!r} has no value in these {moments.n} visitors")
        ratio, se = found
        return cls(ratio, se * se * moments.n)

    @classmethod
    def of_orders(cls, conversion: float, order_mean: float, order_mean_square: float) -> Mean:
        """Of revenue per visitor where only orders are known, and which share of visitors places one.

        var = p E[y²] - (p E[y])² for visitors who order once with probability p. The second moment of the orders has to
        come from the orders themselves: that of a fitted curve is far too small in heavy tails.

        >>> Mean.of_orders(0.02, 80.0, 17_600.0)
        Mean(mean=1.6, variance=349.44, treatment_variance=None)
        """
        if not 0 < conversion <= 1 or order_mean_square < order_mean**2:
            raise InputError(
                f"{conversion!r} of the visitors order, with mean {order_mean!r} and mean square {order_mean_square!r};"
                " a share above 0 and a mean square of at least the squared mean are needed"
            )
        mean = conversion * order_mean
        return cls(mean, conversion * order_mean_square - mean**2)

    @property
    def limits(self) -> tuple[float, float]:
        """None: a margin may be negative."""
        return -math.inf, math.inf

    def signal(self, lift: float, null_lift: float, treatment: float, control: float) -> Signal:
        """See `Endpoint`."""
        spread = self.variance if self.treatment_variance is None else self.treatment_variance
        sd = math.sqrt(spread / treatment + (1 + null_lift) ** 2 * self.variance / control)
        return Signal(abs(lift - null_lift) * self.mean, sd, sd)

    def degrees_of_freedom(self, null_lift: float, treatment: float, control: float) -> float:
        """By Welch (1947) and Satterthwaite (1946)."""
        v_t = (self.variance if self.treatment_variance is None else self.treatment_variance) / treatment
        v_c = (1 + null_lift) ** 2 * self.variance / control
        return (v_t + v_c) ** 2 / (v_t**2 / (treatment - 1) + v_c**2 / (control - 1))

    def adjusted(self, r_squared: float) -> Mean:
        """The variances times 1 - R², as CUPED leaves them (Deng, Xu, Kohavi and Walker 2013; Lin 2013)."""
        rest = 1 - _check_share(r_squared)
        spread = self.treatment_variance
        return Mean(self.mean, self.variance * rest, None if spread is None else spread * rest)


@dataclass(frozen=True, slots=True)
class Rate:
    """A conversion rate: visitors who converted, of all.

    Attributes:
        rate: the control's.
        test: how it will be judged. `score`, the default, is what `compare_proportions` does (Miettinen and Nurminen
            1985): the variance under the null hypothesis is that of the rates that fit it best, which without a margin
            is the pooled one (Fleiss, Levin and Paik 2003, without continuity correction; R's power.prop.test). With a
            margin the hypothesis is about the ratio of the rates; `farrington-manning` (1990) is the same for their
            difference. `unpooled` is the Wald test, `baseline` divides by the variance without an effect (as many
            calculators on the web do), `arcsine` compares 2 arcsin √p (Cohen 1988).

    A normal approximation: not for plans in which an arm expects fewer than some ten conversions.

    Raises:
        InputError: a rate outside (0, 1), or another test.

    >>> Rate(0.03).signal(0.1, 0.0, 0.5, 0.5).effect
    0.003
    """

    rate: float
    test: RateTest = "score"

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise InputError(f"the rate is {self.rate!r}; a share strictly between 0 and 1 is needed, such as 0.03")
        if self.test not in get_args(RateTest):
            raise InputError(f"test {self.test!r}; it is one of {', '.join(get_args(RateTest))}")

    @classmethod
    def of(cls, moments: Moments, column: str) -> Rate:
        """Of the visitors seen so far."""
        x, n = counts_of(moments, column)
        return cls(x / n if n else 0.0)

    @property
    def mean(self) -> float:
        """The control's rate."""
        return self.rate

    @property
    def limits(self) -> tuple[float, float]:
        """0 and 1."""
        return 0.0, 1.0

    def signal(self, lift: float, null_lift: float, treatment: float, control: float) -> Signal:
        """See `Endpoint`.

        Raises:
            InputError: a lift or margin that leaves (0, 1).
        """
        p_c, p_t, r = self.rate, self.rate * (1 + lift), 1 + null_lift
        for p in (p_t, p_c * r):
            if not 0 < p < 1:
                raise InputError(f"a lift of {p / p_c - 1:.6g} takes a rate of {p_c:.6g} to {p:.6g}; it ends at 1")
        v_t, v_c = p_t * (1 - p_t) / treatment, p_c * (1 - p_c) / control
        effect = abs(lift - null_lift) * p_c
        if self.test == "arcsine":
            sd = math.sqrt(1 / treatment + 1 / control)
            return Signal(abs(2 * math.asin(math.sqrt(p_t)) - 2 * math.asin(math.sqrt(p_c * r))), sd, sd)
        if self.test == "farrington-manning":
            null = restricted_variance(treatment * p_t, treatment, control * p_c, control, null_lift * p_c)
            return Signal(effect, math.sqrt(null), math.sqrt(v_t + v_c))
        real = v_t + r * r * v_c
        null = real
        if self.test == "score":
            null = restricted_variance_of_ratio(treatment * p_t, treatment, control * p_c, control, r)
        elif self.test == "baseline":
            q = p_c * r
            null = q * (1 - q) / treatment + r * r * v_c
        return Signal(effect, math.sqrt(null), math.sqrt(real))

    def degrees_of_freedom(self, null_lift: float, treatment: float, control: float) -> float:
        """Infinity: the score test is a normal one."""
        return math.inf

    def adjusted(self, r_squared: float) -> Mean:
        """The mean of zeros and ones after the regression, which Welch's test judges."""
        return Mean(self.rate, self.rate * (1 - self.rate)).adjusted(r_squared)


def _check_share(r_squared: float) -> float:
    if not 0 <= r_squared < 1:
        raise InputError(f"R² is {r_squared!r}; a share of the variance from 0 to below 1 is needed")
    return float(r_squared)
