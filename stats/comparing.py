"""The one convenient entry: a metric of some arms, compared with the control by the method that fits it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ..errors import InputError
from .adjustment import compare_adjusted
from .anytime import anytime_interval, tuning_without_plan
from .arms import ArmComparison, ArmsComparison, ArmValue, MetricKind
from .bayes import ArmsPosterior, Direction, beta_posteriors, normal_posteriors
from .by_arm import moments_by_arm
from .means import compare_means
from .moments import Moments
from .proportions import compare_proportions, counts_of
from .ratios import compare_ratios, ratio_of
from .results import Comparison
from .skewness import skew_kappa

__all__ = ["compare"]


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
            found[str(name)] = Moments.from_arrays({metric or "value": one})
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
