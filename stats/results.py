"""What the methods return: plain frozen records of Python floats, no arrays and never a NaN.

A number that does not exist is None, with the reason beside it. t is the treatment, c the control. Every record shows
itself (`Shown`): as text, as a table in a notebook, as rows of a pandas or Polars data frame, as a chart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from .showing import Shown

__all__ = [
    "Amount",
    "Anytime",
    "Comparison",
    "Difference",
    "Inputs",
    "IntervalKind",
    "Lift",
    "Posterior",
    "RatioInterval",
    "SampleRatio",
]

IntervalKind = Literal["bounded", "unbounded", "complement", "undefined"]


@dataclass(frozen=True, slots=True)
class Amount(Shown):
    """A number with its standard error and two-sided confidence interval, in a unit that its owner names.

    Example:
        >>> Amount.around(-2.0, 0.01, 1.96)
        Amount(estimate=-2.0, se=0.1, low=-2.196, high=-1.804)
    """

    estimate: float
    se: float
    low: float
    high: float

    @classmethod
    def around(cls, estimate: float, variance: float, quantile: float) -> Amount:
        """The estimate, give or take the quantile times the root of its variance."""
        se = math.sqrt(max(variance, 0.0))
        return cls(estimate, se, estimate - quantile * se, estimate + quantile * se)


@dataclass(frozen=True, slots=True)
class Difference(Shown):
    """Treatment minus control, in the metric's unit.

    Attributes:
        estimate: m_t - m_c.
        se: its standard error.
        df: degrees of freedom of the reference t distribution; infinity for a normal one.
        low, high: two-sided confidence interval at the level asked for.
        p_value: two-sided, from the same statistic as the interval: below alpha exactly when the interval leaves out 0.
        method: the name of the method.

    Example:
        >>> d = Difference(0.5, 0.1, 98.0, 0.302, 0.698, 2.6e-6, "welch")
        >>> d.to_dicts()[0]["p_value"]
        2.6e-06
    """

    estimate: float
    se: float
    df: float
    low: float
    high: float
    p_value: float
    method: str


@dataclass(frozen=True, slots=True)
class Lift(Shown):
    """Relative lift m_t / m_c - 1 (0.05 is 5 % more) with its confidence set.

    Attributes:
        kind: `bounded`: from low to high. `unbounded`: at least one end does not exist and is None (both None: no lift
            can be ruled out). `complement`: everything but the open gap from low to high, that is, values <= low or
            >= high. `undefined`: there is no relative lift; all None.
        estimate, low, high: None where they do not exist.
        reason: one sentence wherever something is None or the set is not an interval; "" otherwise.

    Example:
        >>> Lift("bounded", 0.05, 0.01, 0.09).excludes_zero()
        True
    """

    kind: IntervalKind
    estimate: float | None
    low: float | None
    high: float | None
    reason: str = ""

    def excludes_zero(self) -> bool:
        """Whether no change is outside the confidence set."""
        if self.kind == "undefined":
            return False
        above_low = self.low is None or self.low <= 0
        below_high = self.high is None or self.high >= 0
        if self.kind == "complement":
            return not (self.low is not None and self.low >= 0) and not (self.high is not None and self.high <= 0)
        return not (above_low and below_high)


@dataclass(frozen=True, slots=True)
class RatioInterval(Shown):
    """Confidence set of the ratio m_t / m_c itself; fields as in `Lift`, one higher.

    Example:
        >>> RatioInterval("unbounded", 1.5, 0.5, None, "no upper end").lift()
        Lift(kind='unbounded', estimate=0.5, low=-0.5, high=None, reason='no upper end')
    """

    kind: IntervalKind
    estimate: float | None
    low: float | None
    high: float | None
    reason: str = ""

    def lift(self) -> Lift:
        """The same set as a relative lift."""
        values = (None if value is None else value - 1.0 for value in (self.estimate, self.low, self.high))
        return Lift(self.kind, *values, reason=self.reason)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a comparison was computed from, so that it can be done again.

    Attributes:
        treatment, control: the arms' `Moments`, over strata those of each stratum; of `compare_estimates` and
            `non_inferiority` the `Estimate` of each; of `non_inferiority_proportions` conversions and visitors.
        columns: the columns that were read: the metric's, of a ratio the denominator's, then the covariates.
        alpha: 1 minus the confidence level, two-sided; of non-inferiority one-sided.
        margin: of non-inferiority, the largest acceptable loss.

    Example:
        >>> Inputs(None, None, ("revenue", "orders"), 0.05).columns
        ('revenue', 'orders')
    """

    treatment: Any
    control: Any
    columns: tuple[str, ...]
    alpha: float
    margin: float | None = None


@dataclass(frozen=True)
class Comparison(Shown):
    """A treatment compared with the control on one metric.

    `status` is `ok`; `insufficient` (too few visitors or nothing varies) or `undefined` (the metric does not exist in
    an arm), both with a `reason`, no difference and an undefined lift. `inputs` is what it was computed from.

    Example:
        >>> empty = Comparison.without("insufficient", "an arm has no visitors")
        >>> empty.difference is None, empty.lift.kind, empty.reason
        (True, 'undefined', 'an arm has no visitors')
    """

    status: Literal["ok", "insufficient", "undefined"]
    reason: str
    difference: Difference | None
    lift: Lift
    inputs: Inputs | None = field(default=None, repr=False, compare=False, kw_only=True)

    @classmethod
    def without(
        cls, status: Literal["insufficient", "undefined"], reason: str, *, inputs: Inputs | None = None
    ) -> Comparison:
        """A comparison that has no numbers, and why."""
        return cls(status, reason, None, Lift("undefined", None, None, None, reason), inputs=inputs)


@dataclass(frozen=True, slots=True)
class Anytime(Shown):
    """Always-valid interval and p-value of a difference, at the looks so far, and the boundary on |z| behind both.

    Example:
        >>> Anytime(-0.1, 0.4, 0.3, 3.03).boundary
        3.03
    """

    low: float
    high: float
    p_value: float
    boundary: float


@dataclass(frozen=True, slots=True)
class Posterior(Shown):
    """One treatment against the control, on the difference scale t - c.

    Attributes:
        probability_better: P(t > c), or P(t < c) where a decrease is wanted.
        expected_loss: what is lost a visitor, on average, by choosing the treatment if it is worse: E[max(c - t, 0)],
            mirrored where a decrease is wanted.
        low, high: equal-tailed credible interval of t - c.

    Example:
        >>> print(Posterior(0.93, 0.0005, -0.01, 0.05))
        Posterior
          probability_better  93%
          expected_loss       0.0005
          low                 -0.01
          high                0.05
    """

    probability_better: float
    expected_loss: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SampleRatio(Shown):
    """A test on counts of visitors.

    Attributes:
        p_value: never NaN; 1 without visitors.
        statistic: Pearson's chi-squared, or the log Bayes factor of the sequential test (infinite where a visitor came
            to an arm that should have none).
        df: degrees of freedom; 0 for the sequential test, which needs none.
        method: the name of the method.
        reason: one sentence where the p-value needs explaining; "" otherwise.

    Example:
        >>> SampleRatio(0.04, 4.2, 1, "pearson-chi-squared").method
        'pearson-chi-squared'
    """

    p_value: float
    statistic: float
    df: int
    method: str
    reason: str = ""
