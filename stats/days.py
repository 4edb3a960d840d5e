"""Many comparisons at once: a metric's cumulative moments day by day, every arm against the control.

The formulas are those of single comparisons, on arrays; where one has no closed form (Miettinen-Nurminen, Beta
posteriors, lifts that are not plainly bounded) it is called element by element.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from ..errors import InputError
from .adjustment import adjusted_estimates, fit
from .anytime import anytime_at, tuning_without_plan
from .bayes import Direction, normal_expected_loss
from .beta import Beta, above_and_excess
from .fieller import Estimate, Shared, check_alpha, is_plain, lift_of, plain_ends, welch
from .means import mean_from
from .moments import Moments
from .proportions import counts_from, miettinen_nurminen_difference, miettinen_nurminen_ratio
from .ratios import ratio_from
from .results import Lift
from .showing import Row, Shown, html_table, paragraphs, text_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DaysComparison", "compare_days"]

Array = NDArray[np.float64]

NUMBERS = (
    "difference",
    "se",
    "df",
    "low",
    "high",
    "p_value",
    "lift",
    "lift_low",
    "lift_high",
    "anytime_low",
    "anytime_high",
    "anytime_p_value",
    "probability_better",
    "expected_loss",
)


@dataclass(frozen=True, slots=True, eq=False)
class DaysComparison(Shown):
    """Every treatment against the control at the end of each day.

    Arrays have shape (treatments, days) and NaN where there is no number; the rows of `to_dicts` have None there. The
    intervals of `low` and `high` are for one look, at a day that was planned; `anytime_low` and `anytime_high` for all.

    Attributes:
        metric: what was compared.
        control: name of the control.
        arms: names of the treatments, the first axis.
        n, n_control: visitors of each treatment, and of the control (days).
        difference, se, df, low, high, p_value: as in `Difference`.
        lift, lift_low, lift_high: as in `Lift`; `lift_kind` says what the ends mean.
        anytime_low, anytime_high, anytime_p_value: as in `Anytime`, tuned without a plan.
        probability_better, expected_loss: as in `Posterior`, under a flat prior.
        lift_kind: shape (treatments, days), of `Lift.kind`.
        alpha: 1 minus the confidence level.

    Example:
        >>> day = Moments.from_arrays({"revenue": [0.0, 0.0, 5.0, 9.0]})
        >>> course = compare_days({"a": [day, day + day], "b": [day, day + day]}, control="a")
        >>> course.n.tolist(), course.difference.tolist()
        ([[4.0, 8.0]], [[0.0, 0.0]])
    """

    metric: str
    control: str
    arms: tuple[str, ...]
    n: Array
    n_control: Array
    difference: Array
    se: Array
    df: Array
    low: Array
    high: Array
    p_value: Array
    lift: Array
    lift_low: Array
    lift_high: Array
    anytime_low: Array
    anytime_high: Array
    anytime_p_value: Array
    probability_better: Array
    expected_loss: Array
    lift_kind: NDArray[np.str_]
    alpha: float

    def to_dicts(self) -> list[Row]:
        """One row a treatment and day (counted from 1)."""
        rows = []
        for i, arm in enumerate(self.arms):
            for day in range(self.n.shape[1]):
                row: Row = {"arm": arm, "day": day + 1, "n": int(self.n[i, day]), "n_control": int(self.n_control[day])}
                for name in NUMBERS:
                    value = float(getattr(self, name)[i, day])
                    row[name] = None if math.isnan(value) else value
                rows.append(row | {"lift_kind": str(self.lift_kind[i, day])})
        return rows

    def __str__(self) -> str:
        return "\n".join([self._title(), text_table(self._last())])

    def _repr_html_(self) -> str:
        return paragraphs([self._title()]) + html_table(self._last())

    def _title(self) -> str:
        return f"{self.metric} against {self.control}, the last day of {self.n.shape[1]}"

    def _last(self) -> list[Row]:
        return [row for row in self.to_dicts() if row["day"] == self.n.shape[1]]

    def __repr__(self) -> str:
        return f"DaysComparison({self.metric!r}, {', '.join(self.arms)} against {self.control}, {self.n.shape[1]} days)"

    def plot(self, ax: Axes | None = None) -> Axes:
        """The difference of every arm over the days, with its always-valid interval."""
        from .plotting import draw_courses

        bands = [
            (arm, self.difference[i], self.anytime_low[i], self.anytime_high[i]) for i, arm in enumerate(self.arms)
        ]
        return draw_courses(bands, ax, title=f"{self.metric}: difference from {self.control}, always-valid interval")


def compare_days(
    days: Mapping[str, Sequence[Moments]],
    metric: str | None = None,
    *,
    control: str,
    per: str | None = None,
    covariate: str | Sequence[str] | None = None,
    kind: Literal["conversion", "mean"] = "mean",
    alpha: float = 0.05,
    direction: Direction = "increase",
) -> DaysComparison:
    """`compare` at the end of every day, from cumulative moments, all days at once.

    Same methods and same numbers. For the course of an experiment that is looked at every day; the always-valid
    interval is the one to read. Days are cumulative: for a day's own visitors alone the intervals are valid too, but
    they say nothing of the experiment as a whole.

    Args:
        days: by arm, cumulative moments of each day, all arms with the same days; a store's
            `cumulative(...).moments[metric]`.
        metric: the column to compare; the first one where None.
        control: name of the control.
        per: denominator of a ratio.
        covariate: columns fixed before the exposure, to adjust for.
        kind: "conversion" for a column of zeros and ones. It is not guessed: a method must not change between days.
        alpha: 1 minus the confidence level, two-sided.
        direction: whether more or less is better; it concerns the posterior alone.

    Raises:
        InputError: arms with different days or columns, no such arm or column, or options that do not go together.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(1)
        >>> def cumulative(mean):
        ...     total = Moments.zero(["revenue"])
        ...     for _ in range(3):
        ...         total = total + Moments.from_arrays({"revenue": rng.gamma(1, mean, 500)})
        ...         yield total
        >>> arms = {"control": list(cumulative(5.0)), "treatment": list(cumulative(6.0))}
        >>> course = compare_days(arms, control="control")
        >>> course.n.tolist(), bool(course.anytime_p_value[0, -1] < 0.05)
        ([[500.0, 1000.0, 1500.0]], True)
    """
    alpha = check_alpha(alpha)
    covariates = (covariate,) if isinstance(covariate, str) else tuple(covariate or ())
    if per is not None and (covariates or kind != "mean"):
        raise InputError("a ratio (per=...) takes neither a covariate nor a kind", hint="Leave one of them out.")
    if control not in days or len(days) < 2:
        raise InputError(f"the control {control!r} and another arm are needed; there are {list(days)}")
    arms = [name for name in days if name != control]
    if len({len(days[name]) for name in days}) > 1 or not days[control]:
        raise InputError(f"arms have different numbers of days: { {name: len(days[name]) for name in days} }")
    metric = metric or days[control][0].columns[0]
    columns = [metric, *([per] if per else []), *covariates]
    c = _stack(days[control], columns)
    t = _Stack.join([_stack(days[name], columns) for name in arms])
    shape = (len(arms), len(c.n))
    c_each = _Stack.join([c] * len(arms))
    sign = 1.0 if direction == "increase" else -1.0
    if kind == "conversion" and not covariates:
        found = _conversions(metric, t, c_each, alpha, sign)
    else:
        found = _means(t, c_each, "ratio" if per else "adjusted" if covariates else "mean", alpha, sign)
    shaped = {name: array.reshape(shape) for name, array in found.items()}
    return DaysComparison(metric, control, tuple(arms), t.n.reshape(shape), c.n, **shaped, alpha=alpha)


@dataclass(frozen=True, slots=True)
class _Stack:
    """Moments beneath each other: n (k), mean (k, p) and m2 (k, p, p)."""

    n: Array
    mean: Array
    m2: Array

    @classmethod
    def join(cls, parts: Sequence[_Stack]) -> _Stack:
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("n", "mean", "m2")))

    def at(self, where: NDArray[Any]) -> _Stack:
        return _Stack(self.n[where], self.mean[where], self.m2[where])


def _stack(days: Sequence[Moments], columns: Sequence[str]) -> _Stack:
    """Some columns of an arm's days."""
    known = days[0].columns
    if any(day.columns != known for day in days):
        raise InputError(f"the moments of some days have other columns than {list(known)}")
    at = [days[0].index(column) for column in columns]
    mean, m2 = np.stack([day.mean for day in days]), np.stack([day.m2 for day in days])
    return _Stack(np.array([day.n for day in days], dtype=np.float64), mean[:, at], m2[:, at][:, :, at])


def _nothing(count: int) -> dict[str, Any]:
    return {name: np.full(count, np.nan) for name in NUMBERS} | {"lift_kind": np.full(count, "undefined", dtype="<U10")}


def _means(
    treatment: _Stack, control: _Stack, kind: Literal["mean", "ratio", "adjusted"], alpha: float, sign: float
) -> dict[str, Any]:
    """Means, ratios and adjusted means: what can be estimated is, and the rest stays NaN."""
    found = _nothing(len(treatment.n))
    possible = (treatment.n >= 2) & (control.n >= 2)
    if kind == "ratio":
        possible &= (treatment.mean[:, 1] > 0) & (control.mean[:, 1] > 0)
    at = np.flatnonzero(possible)
    t, c, shared, usable = _estimates(treatment.at(at), control.at(at), kind)
    at, t, c, shared = at[usable], _at(t, usable), _at(c, usable), _shared_at(shared, usable)
    estimate, se, df, low, high, p_value, quantile = welch(t, c, shared, alpha)
    a = tuning_without_plan(1.0, alpha) * (treatment.n + control.n)[at]
    anytime_low, anytime_high, anytime_p, _ = anytime_at(estimate, se, a, alpha)
    loss = [normal_expected_loss(-sign * d, sd) for d, sd in zip(estimate.tolist(), se.tolist(), strict=True)]
    numbers = {
        "difference": estimate,
        "se": se,
        "df": df,
        "low": low,
        "high": high,
        "p_value": p_value,
        "anytime_low": anytime_low,
        "anytime_high": anytime_high,
        "anytime_p_value": anytime_p,
        "probability_better": ndtr(sign * estimate / se),
        "expected_loss": loss,
    }
    for name, values in numbers.items():
        found[name][at] = values
    if kind != "adjusted":
        # An arm in which nothing varies yet is not known for certain: it has no posterior.
        flat = at[(t.variance == 0) | (c.variance == 0)]
        found["probability_better"][flat] = found["expected_loss"][flat] = np.nan
    plain = is_plain(t, c, shared, alpha)
    ends = plain_ends(_at(t, plain), _at(c, plain), _shared_at(shared, plain), alpha, quantile[plain])
    if ends is None:
        plain = np.zeros_like(plain)
    else:
        where = at[plain]
        found["lift"][where] = t.mean[plain] / c.mean[plain] - 1
        found["lift_low"][where], found["lift_high"][where] = ends[0] - 1, ends[1] - 1
        found["lift_kind"][where] = "bounded"
    for k in np.flatnonzero(~plain & (c.mean > 0)).tolist():
        both = Shared(*(float(part[k]) for part in (shared.tt, shared.tc, shared.cc, shared.df)))
        lift = lift_of(_element(t, k), _element(c, k), both, alpha, float(quantile[k]))
        _put(found, int(at[k]), lift)
    return found


def _estimates(
    treatment: _Stack, control: _Stack, kind: Literal["mean", "ratio", "adjusted"]
) -> tuple[Estimate, Estimate, Shared, NDArray[np.bool_]]:
    """Estimates of both arms, what they share, and where they vary."""
    if kind == "adjusted":
        fits = [fit(arm.n, arm.mean, arm.m2) for arm in (treatment, control)]
        t, c, shared = adjusted_estimates(fits[0], fits[1])
        return t, c, shared, (t.df >= 1) & (c.df >= 1) & (t.variance + c.variance > 0)
    nothing = np.zeros(len(treatment.n))
    shared = Shared(nothing, nothing, nothing, nothing + np.inf)
    if kind == "ratio":
        t, c = (
            ratio_from(arm.n, arm.mean[:, 0], arm.mean[:, 1], arm.m2[:, 0, 0], arm.m2[:, 0, 1], arm.m2[:, 1, 1])
            for arm in (treatment, control)
        )
        return t, c, shared, (t.variance > 0) & (c.variance > 0)
    t, c = (mean_from(arm.n, arm.mean[:, 0], arm.m2[:, 0, 0]) for arm in (treatment, control))
    return t, c, shared, t.variance + c.variance > 0


def _conversions(column: str, treatment: _Stack, control: _Stack, alpha: float, sign: float) -> dict[str, Any]:
    """Conversions, by the functions of single comparisons."""
    found = _nothing(len(treatment.n))
    posterior = _remembered()
    arms = [
        zip(arm.n.astype(int).tolist(), arm.mean[:, 0].tolist(), arm.m2[:, 0, 0].tolist(), strict=True)
        for arm in (treatment, control)
    ]
    tuning = tuning_without_plan(1.0, alpha)
    for k, (of_t, of_c) in enumerate(zip(*arms, strict=True)):
        (x_t, n), (x_c, m) = counts_from(column, *of_t), counts_from(column, *of_c)
        if n == 0 or m == 0:
            continue
        d = miettinen_nurminen_difference(x_t, n, x_c, m, alpha=alpha)
        low, high, p_value, _ = anytime_at(d.estimate, d.se, tuning * (n + m), alpha)
        better, worse = posterior(x_t, n), posterior(x_c, m)
        if sign < 0:
            better, worse = worse, better
        numbers = {
            "difference": d.estimate,
            "se": d.se,
            "df": d.df,
            "low": d.low,
            "high": d.high,
            "p_value": d.p_value,
            "anytime_low": low,
            "anytime_high": high,
            "anytime_p_value": p_value,
        }
        numbers["probability_better"], numbers["expected_loss"] = above_and_excess(better, worse)
        for name, value in numbers.items():
            found[name][k] = value
        _put(found, k, miettinen_nurminen_ratio(x_t, n, x_c, m, alpha=alpha).lift())
    return found


def _remembered() -> Callable[[int, int], Beta]:
    """Posteriors under a flat prior; the control's of a day is the same for all treatments."""
    known: dict[tuple[int, int], Beta] = {}

    def posterior(x: int, n: int) -> Beta:
        if (x, n) not in known:
            known[x, n] = Beta(1.0 + x, 1.0 + n - x)
        return known[x, n]

    return posterior


def _put(found: dict[str, Any], at: int, lift: Lift) -> None:
    found["lift_kind"][at] = lift.kind
    for name, value in (("lift", lift.estimate), ("lift_low", lift.low), ("lift_high", lift.high)):
        found[name][at] = np.nan if value is None else value


def _at(estimate: Estimate, where: NDArray[np.bool_]) -> Estimate:
    return Estimate(estimate.mean[where], estimate.variance[where], estimate.df[where])


def _shared_at(shared: Shared, where: NDArray[np.bool_]) -> Shared:
    return Shared(shared.tt[where], shared.tc[where], shared.cc[where], shared.df[where])


def _element(estimate: Estimate, k: int) -> Estimate:
    return Estimate(float(estimate.mean[k]), float(estimate.variance[k]), float(estimate.df[k]))
