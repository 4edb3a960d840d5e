"""The one convenient entry: a metric of some arms, compared with the control by the method that fits it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import InputError
from .adjustment import compare_adjusted
from .anytime import anytime_interval, tuning_without_plan
from .bayes import ArmsPosterior, Direction, beta_posteriors, normal_posteriors
from .by_arm import moments_by_arm
from .means import compare_means
from .moments import Moments
from .proportions import compare_proportions, counts_of
from .ratios import compare_ratios, ratio_of
from .results import Anytime, Comparison, Difference, Lift, Posterior
from .showing import Row, Shown, html_table, load, paragraphs, show, text_table
from .skewness import SKEW_LIMIT, skew_kappa

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ArmComparison", "ArmValue", "ArmsComparison", "MetricKind", "compare"]

MetricKind = Literal["conversion", "mean", "ratio"]


@dataclass(frozen=True, slots=True)
class ArmValue(Shown):
    """A metric in one arm.

    Attributes:
        arm: its name.
        n: visitors.
        value: the metric, None where it does not exist.
        se: standard error of the value.
        probability_best: that this arm is the best of all; None where no posterior could be computed.

    Example:
        >>> ArmValue("control", 5, 0.4, 0.24, None).value
        0.4
    """

    arm: str
    n: int
    value: float | None
    se: float | None
    probability_best: float | None


@dataclass(frozen=True)
class ArmComparison(Shown):
    """One arm against the control; `comparison` has the numbers at one look, `anytime` those that any look may read.

    Attributes:
        arm: the treatment's name.
        comparison: difference and lift, adjusted where covariates were given, or the reason why there is none.
        anytime: always-valid interval and p-value of the difference.
        bayes: posterior of the difference under a flat prior. It informs; it is no stopping rule.
        unadjusted: the comparison without the covariates, where there were any.
        skew: κ of the difference of means (`skew_kappa`); beyond 0.06 in size the interval leans to one side.

    Example:
        >>> arms = {"a": [0, 1, 0, 1, 1], "b": [1, 1, 0, 1, 1]}
        >>> compare(arms, control="a")["b"].status
        'ok'
    """

    arm: str
    comparison: Comparison
    anytime: Anytime | None = None
    bayes: Posterior | None = None
    unadjusted: Comparison | None = None
    skew: float | None = None

    @property
    def status(self) -> Literal["ok", "insufficient", "undefined"]:
        """`ok`, or why there are no numbers."""
        return self.comparison.status

    @property
    def reason(self) -> str:
        """One sentence where a number is missing."""
        return self.comparison.reason or self.comparison.lift.reason

    @property
    def difference(self) -> Difference | None:
        """Treatment minus control."""
        return self.comparison.difference

    @property
    def lift(self) -> Lift:
        """Relative lift."""
        return self.comparison.lift

    def to_dicts(self) -> list[Row]:
        """One row: difference, lift, always-valid interval, posterior."""
        d, lift, anytime, bayes = self.difference, self.lift, self.anytime, self.bayes
        return [
            {
                "arm": self.arm,
                "status": self.status,
                "reason": self.reason,
                "method": d.method if d else "",
                "difference": d.estimate if d else None,
                "low": d.low if d else None,
                "high": d.high if d else None,
                "p_value": d.p_value if d else None,
                "se": d.se if d else None,
                "df": d.df if d else None,
                "lift": lift.estimate,
                "lift_low": lift.low,
                "lift_high": lift.high,
                "lift_kind": lift.kind,
                "anytime_low": anytime.low if anytime else None,
                "anytime_high": anytime.high if anytime else None,
                "anytime_p_value": anytime.p_value if anytime else None,
                "probability_better": bayes.probability_better if bayes else None,
                "expected_loss": bayes.expected_loss if bayes else None,
                "unadjusted": self.unadjusted.difference.estimate
                if self.unadjusted and self.unadjusted.difference
                else None,
                "skew": self.skew,
            }
        ]


@dataclass(frozen=True, repr=False)
class ArmsComparison(Shown):
    """A metric in every arm, and every other arm against the control; `result["arm"]` is one of them.

    Attributes:
        metric: what was compared, in words.
        kind: `conversion`, `mean` or `ratio`.
        control: name of the control.
        arms: the metric's value by arm, the control first.
        against_control: by treatment.
        alpha: 1 minus the confidence level of all intervals.
        direction: whether more or less is better.
        covariates: what the comparison was adjusted for.
        moments: by arm, what all of it was computed from.

    Example:
        >>> result = compare({"a": [0, 1, 0, 1, 1], "b": [1, 1, 0, 1, 1]}, control="a")
        >>> [arm.value for arm in result.arms]
        [0.6, 0.8]
    """

    metric: str
    kind: MetricKind
    control: str
    arms: tuple[ArmValue, ...]
    against_control: Mapping[str, ArmComparison]
    alpha: float
    direction: Direction
    covariates: tuple[str, ...] = ()
    moments: Mapping[str, Moments] = field(default_factory=dict, repr=False, compare=False)

    def __getitem__(self, arm: str) -> ArmComparison:
        try:
            return self.against_control[arm]
        except KeyError:
            raise InputError(
                f"no arm {arm!r} was compared with {self.control!r}; compared were {list(self.against_control)}"
            ) from None

    @property
    def notes(self) -> list[str]:
        """What a reader should know beside the numbers: why one is missing, and intervals that lean to one side."""
        said = [f"{name}: {row.reason}" for name, row in self.against_control.items() if row.reason]
        return said + [
            f"{name}: the values are so skewed (κ = {row.skew:.2f}) that the interval misses more often on one side"
            for name, row in self.against_control.items()
            if row.skew is not None and abs(row.skew) > SKEW_LIMIT
        ]

    def to_dicts(self) -> list[Row]:
        """One row an arm, the control first: its value, then the columns of `ArmComparison`."""
        rows = []
        for arm in self.arms:
            own: Row = {"arm": arm.arm, "n": arm.n, "value": arm.value, "value_se": arm.se}
            against = self.against_control.get(arm.arm)
            rows.append(own | (against.to_dicts()[0] if against else {}) | {"probability_best": arm.probability_best})
        names = dict.fromkeys(name for row in rows for name in row)
        return [{name: row.get(name) for name in names} for row in rows]

    def __str__(self) -> str:
        return "\n".join([self._title(), text_table(self._readable()), *self.notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"{paragraphs([self._title()])}{html_table(self._readable())}{paragraphs(self.notes)}"

    def plot(self, ax: Axes | None = None) -> Axes:
        """Forest plot of the lifts with the interval of one look; of differences where an arm has no bounded lift."""
        from .plotting import Line, draw_lines

        load("matplotlib")
        more, lines = self.direction == "increase", []
        in_percent = all(row.lift.kind == "bounded" for row in self.against_control.values())
        for name, row in self.against_control.items():
            lift, d = row.lift, row.difference
            if in_percent:
                lines.append(Line(name, lift.kind, lift.estimate, lift.low, lift.high, None, more, True))
            elif d is not None:
                band = (row.anytime.low, row.anytime.high) if row.anytime else None
                lines.append(Line(name, "bounded", d.estimate, d.low, d.high, band, more))
        if not lines:
            raise InputError(f"there is no interval to draw: {'; '.join(self.notes)}")
        return draw_lines(lines, ax, title=f"{self.metric}: {'lift' if in_percent else 'difference'}")

    def _title(self) -> str:
        adjusted = f", adjusted for {', '.join(self.covariates)}" if self.covariates else ""
        return f"{self.metric} against {self.control}{adjusted} ({100 * (1 - self.alpha):g}% intervals)"

    def _readable(self) -> list[Row]:
        rows = []
        for arm in self.arms:
            row: Row = {"arm": arm.arm, "visitors": arm.n, "value": show("value", arm.value)}
            against = self.against_control.get(arm.arm)
            if against is not None and against.difference is not None:
                d, lift, anytime, bayes = against.difference, against.lift, against.anytime, against.bayes
                row["difference"] = f"{show('', d.estimate)} ({show('', d.low)} to {show('', d.high)})"
                row["lift"] = _lift_in_words(lift)
                row["p"] = show("p", d.p_value)
                if anytime is not None:
                    row["at any look"] = f"{show('', anytime.low)} to {show('', anytime.high)}"
                if bayes is not None:
                    row["P(better)"] = show("probability", bayes.probability_better)
            rows.append(row)
        return [{name: row.get(name, "") for row_ in rows for name in row_} for row in rows]


def compare(
    data: Any,
    metric: str | None = None,
    *,
    control: str,
    arm: str | None = None,
    per: str | None = None,
    covariate: str | Sequence[str] | None = None,
    kind: Literal["conversion", "mean"] | None = None,
    alpha: float = 0.05,
    direction: Direction = "increase",
) -> ArmsComparison:
    """A metric of every arm against the control: difference, lift, p-value, always-valid interval, posterior.

    No method of its own. A column of zeros and ones: `compare_proportions` (Miettinen and Nurminen 1985) and
    `beta_posteriors`; other columns: `compare_means` (Welch 1947, the lift by inverting the same test, Fieller 1954)
    and `normal_posteriors`; with `per`: `compare_ratios` (Deng, Knoblich and Lu 2018); with covariates:
    `compare_adjusted` (Lin 2013). The always-valid interval is that of `anytime_interval`, tuned without a plan.

    Assumes that visitors are independent of each other and one row is one visitor. Not for reading at planned looks
    (group sequential boundaries are three times as powerful there as the always-valid interval), not for rows of orders
    or sessions, and not corrected for the number of arms: see `adjusted_alpha`.

    Args:
        data: a data frame with one row a visitor (pandas, Polars, PyArrow, DuckDB, Ibis, PySpark) or a mapping of
            column to array, with `arm`; or, without `arm`, a mapping of arm to `Moments`, to an array of the metric's
            values, or to a mapping of column to array. A store's `observations(...).moments[metric]` is the first.
        metric: the column to compare; the first one of moments where None.
        control: name of the control.
        arm: the column with each visitor's arm.
        per: the denominator's column of a ratio of sums, such as revenue per order.
        covariate: columns fixed before the exposure, to adjust for.
        kind: how to treat the column; None looks whether it holds zeros and ones only.
        alpha: 1 minus the confidence level, two-sided.
        direction: whether more or less is better; it concerns the posterior alone.

    Raises:
        InputError: no such arm or column, values that cannot be used, or options that do not go together.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(1)
        >>> visitors = {
        ...     "arm": np.repeat(["control", "free shipping"], 5000),
        ...     "bought": rng.random(10_000) < np.repeat([0.10, 0.12], 5000),
        ... }
        >>> result = compare(visitors, "bought", arm="arm", control="control")
        >>> result["free shipping"].difference.p_value < 0.05
        True
    """
    covariates = (covariate,) if isinstance(covariate, str) else tuple(covariate or ())
    if per is not None and (covariates or kind):
        raise InputError("a ratio (per=...) takes neither a covariate nor a kind", hint="Leave one of them out.")
    arms, metric = _arms(data, metric, arm, tuple(filter(None, (per, *covariates))))
    control = str(control)
    if control not in arms:
        raise InputError(f"there is no arm {control!r} among {list(arms)}")
    if len(arms) < 2:
        raise InputError(f"there is only the arm {control!r}; a comparison needs two")
    arms = {control: arms[control], **{name: one for name, one in arms.items() if name != control}}
    found: MetricKind = "ratio" if per is not None else kind or _kind_of(arms, metric)
    values = {name: _value(one, metric, per) for name, one in arms.items()}
    comparisons = {
        name: _compare(one, arms[control], metric, per, covariates, found, alpha)
        for name, one in arms.items()
        if name != control
    }
    posterior = _posterior(arms, values, comparisons, metric, control, covariates, found, direction, 1 - alpha)
    best = posterior.probability_best if posterior and not (covariates and len(arms) > 2) else {}
    against = {}
    for name, (comparison, unadjusted) in comparisons.items():
        anytime, d = None, comparison.difference
        if d is not None and d.se > 0:
            a = tuning_without_plan(arms[name].n + arms[control].n, alpha)
            anytime = anytime_interval(d, a=a, alpha=alpha)
        skew = skew_kappa(arms[name], arms[control], metric) if found == "mean" else None
        bayes = posterior.against_control.get(name) if posterior else None
        against[name] = ArmComparison(name, comparison, anytime, bayes, unadjusted, skew)
    rows = tuple(ArmValue(name, one.n, *values[name], best.get(name)) for name, one in arms.items())
    label = metric if per is None else f"{metric} per {per}"
    return ArmsComparison(label, found, control, rows, against, alpha, direction, covariates, arms)


def _arms(data: Any, metric: str | None, arm: str | None, others: tuple[str, ...]) -> tuple[dict[str, Moments], str]:
    """Moments by arm with the columns needed, and the metric's column."""
    if arm is not None:
        if metric is None:
            raise InputError("which column? say metric=...")
        return moments_by_arm(data, arm, list(dict.fromkeys((metric, *others)))), metric
    if not isinstance(data, Mapping):
        raise InputError("a data frame needs the column of arms", hint="Say which one it is: arm=...")
    if not data:
        raise InputError("there are no arms")
    found: dict[str, Moments] = {}
    for name, one in data.items():
        if isinstance(one, Moments):
            found[str(name)] = one
        elif isinstance(one, Mapping):
            found[str(name)] = Moments.from_arrays(one)
        else:
            found[str(name)] = Moments.from_arrays({metric or "value": np.asarray(one)})
    return found, metric or next(iter(found.values())).columns[0]


def _kind_of(arms: Mapping[str, Moments], metric: str) -> MetricKind:
    try:
        for one in arms.values():
            counts_of(one, metric)
    except InputError:
        for one in arms.values():
            one.index(metric)
        return "mean"
    return "conversion"


def _compare(
    treatment: Moments,
    control: Moments,
    metric: str,
    per: str | None,
    covariates: tuple[str, ...],
    kind: MetricKind,
    alpha: float,
) -> tuple[Comparison, Comparison | None]:
    """The comparison that counts, and the plain one where covariates adjust it."""
    if per is not None:
        return compare_ratios(treatment, control, metric, per, alpha=alpha), None
    by = compare_proportions if kind == "conversion" else compare_means
    plain = by(treatment, control, metric, alpha=alpha)
    if not covariates:
        return plain, None
    return compare_adjusted(treatment, control, metric, covariates, alpha=alpha), plain


def _value(moments: Moments, metric: str, per: str | None) -> tuple[float | None, float | None]:
    if per is not None:
        return ratio_of(moments, metric, per) or (None, None)
    if moments.n == 0:
        return None, None
    se = math.sqrt(moments.variance_of(metric) / moments.n) if moments.n > 1 else None
    return moments.mean_of(metric), se


def _posterior(
    arms: Mapping[str, Moments],
    values: Mapping[str, tuple[float | None, float | None]],
    comparisons: Mapping[str, tuple[Comparison, Comparison | None]],
    metric: str,
    control: str,
    covariates: tuple[str, ...],
    kind: MetricKind,
    direction: Direction,
    level: float,
) -> ArmsPosterior | None:
    if covariates:
        # The differences themselves are what was adjusted; the control's own variance is in each of them.
        known = {name: one.difference for name, (one, _) in comparisons.items() if one.difference is not None}
        estimates = {control: (0.0, 0.0)} | {name: (d.estimate, d.se**2) for name, d in known.items()}
    elif kind == "conversion":
        some = {name: one for name, one in arms.items() if one.n}
        if control not in some or len(some) < 2:
            return None
        return beta_posteriors(some, metric, control, direction=direction, level=level)
    else:
        estimates = {name: (value, se**2) for name, (value, se) in values.items() if value is not None and se}
    if control not in estimates or len(estimates) < 2:
        return None
    return normal_posteriors(estimates, control, direction=direction, level=level)


def _lift_in_words(lift: Lift) -> str:
    if lift.kind == "undefined":
        return "undefined"
    estimate = "" if lift.estimate is None else f"{show('lift', lift.estimate)} "
    if lift.kind == "complement":
        return f"{estimate}(all but {show('lift', lift.low)} to {show('lift', lift.high)})"
    if lift.kind == "unbounded" and lift.low is None and lift.high is None:
        return f"{estimate}(unbounded)"
    low = "−∞" if lift.low is None else show("lift", lift.low)
    return f"{estimate}({low} to {'∞' if lift.high is None else show('lift', lift.high)})"
