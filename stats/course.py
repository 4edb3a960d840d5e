"""After the sale: how the difference develops with the days since a visitor's exposure.

An offer can sell tomorrow's order today. Then the difference rises at first and falls back: the cumulative difference
by days since exposure, of the same visitors at every day, shows it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import InputError
from .elementwise import at_least_zero
from .fieller import Estimate, check_alpha, compare_estimates, fieller, is_negligible, two_sided_quantile
from .moments import Moments
from .results import Difference, RatioInterval
from .showing import Row, Shown

__all__ = ["Course", "DayOfCourse", "course_since_exposure"]

LABEL = "descriptive: read after the verdict, it makes none"
Reading = Literal["no early difference", "falls back", "holds", "grows", "insufficient"]


@dataclass(frozen=True, slots=True)
class DayOfCourse(Shown):
    """The difference up to one day after the exposure.

    Attributes:
        day: days since exposure.
        cumulative: difference of what visitors brought up to that day; None where nothing varies.
        since_before: difference of what they brought since the day before it in the list; None where nothing varies.

    Example:
        >>> d = Difference(0.5, 0.1, 98.0, 0.3, 0.7, 0.001, "welch")
        >>> DayOfCourse(7, d, d).day
        7
    """

    day: int
    cumulative: Difference | None
    since_before: Difference | None


@dataclass(frozen=True, slots=True)
class Course(Shown):
    """The cumulative difference by days since exposure, and whether it falls back.

    Attributes:
        status: `ok`, or `insufficient` with a `reason`.
        days: one a day named, the first one first.
        early, late: the days between which it is tested.
        early_difference: up to `early`.
        later_difference: between `early` and `late`.
        change_of_pace: later difference a day, less the early one a day: below 0 where an effect wears off.
        given_back: the share of the early difference that was lost again until `late`; undefined without an early one.
        reading: `falls back` (pull-forward: an early gain, and afterwards less than the control), `holds` (an early
            gain, and no clear difference afterwards), `grows` (a gain in both), `no early difference`. A loss is read
            the same way, mirrored.
        wears_off: whether the difference a day is clearly smaller later: novelty, or a sale that was one.
        label: that it is descriptive.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(1)
        >>> def arm(first, later):
        ...     week, month = rng.poisson(first, 4000), rng.poisson(later, 4000)
        ...     return Moments.from_arrays({"w": week, "m": week + month})
        >>> found = course_since_exposure(arm(0.5, 0.2), arm(0.4, 0.3), {7: "w", 28: "m"})
        >>> found.reading, round(found.later_difference.estimate, 2)
        ('falls back', -0.1)
    """

    status: Literal["ok", "insufficient"]
    reason: str
    days: tuple[DayOfCourse, ...]
    early: int
    late: int
    early_difference: Difference | None
    later_difference: Difference | None
    change_of_pace: Difference | None
    given_back: RatioInterval
    reading: Reading
    wears_off: bool | None
    label: str = LABEL

    def to_dicts(self) -> list[Row]:
        """One row a day."""
        rows = []
        for one in self.days:
            row: Row = {"day": one.day}
            for name, found in (("", one.cumulative), ("since_before_", one.since_before)):
                row |= {
                    f"{name}difference": found.estimate if found else None,
                    f"{name}low": found.low if found else None,
                    f"{name}high": found.high if found else None,
                    f"{name}p_value": found.p_value if found else None,
                }
            rows.append(row)
        return rows


def course_since_exposure(
    treatment: Moments,
    control: Moments,
    columns: Mapping[int, str],
    *,
    early: int | None = None,
    late: int | None = None,
    alpha: float = 0.05,
) -> Course:
    """The difference up to each day since exposure, and a test of what came between an early and a late day.

    Every difference is Welch's (1947), of the column itself or of one column less another with their covariance. What
    came between day a and b is the difference of the two cumulative differences, of the same visitors: its test asks
    whether the cumulative difference rises or falls back. The share given back is Fieller's set (1954).

    Assumes independent visitors who are all as old as the last day: younger ones would make every later day a different
    group. `early` and `late` are to be named before the data are seen; the day of the highest difference, picked
    afterwards, falls back by chance. Not a verdict, and not for days counted from an order or from the last of several
    exposures, which the offer itself moves.

    Args:
        treatment, control: moments of the visitors, one column a day.
        columns: day since exposure -> the column of what a visitor brought up to that day, at least two.
        early, late: days among them; the first and the last where None.
        alpha: 1 minus the confidence level of every interval, two-sided.

    Returns:
        Status `insufficient` below two visitors in an arm, and where the early or the later outcome does not vary.

    Raises:
        InputError: fewer than two days, a day below 1, days that are not among them, no such column, or alpha outside
            (0, 1).

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(2)
        >>> def arm(first, later):
        ...     week, month = rng.poisson(first, 4000), rng.poisson(later, 4000)
        ...     return Moments.from_arrays({"w": week, "m": week + month})
        >>> course_since_exposure(arm(0.5, 0.3), arm(0.4, 0.3), {7: "w", 28: "m"}).reading
        'holds'
    """
    alpha = check_alpha(alpha)
    days = _days(columns)
    early, late = days[0] if early is None else early, days[-1] if late is None else late
    if early not in columns or late not in columns or not early < late:
        raise InputError(f"early is {early!r} and late {late!r}; two of {days}, the earlier first, are needed")
    arms = treatment, control
    for arm in arms:
        for column in columns.values():
            arm.index(column)
    if min(arm.n for arm in arms) < 2:
        return _insufficient("fewer than two visitors in an arm; a variance needs two", (), early, late)
    found = []
    for before, day in zip([None, *days], days, strict=False):
        weights = {columns[day]: 1.0} | ({columns[before]: -1.0} if before is not None else {})
        found.append(DayOfCourse(day, _difference(arms, {columns[day]: 1.0}, alpha), _difference(arms, weights, alpha)))
    first, last = columns[early], columns[late]
    at_first = _difference(arms, {first: 1.0}, alpha)
    later = _difference(arms, {last: 1.0, first: -1.0}, alpha)
    if at_first is None or later is None:
        which = f"up to day {early}" if at_first is None else f"from day {early} to {late}"
        return _insufficient(f"the outcome does not vary {which}", tuple(found), early, late)
    pace = _difference(arms, {last: 1 / (late - early), first: -1 / (late - early) - 1 / early}, alpha)
    reading = _reading(at_first, later)
    sign = math.copysign(1.0, at_first.estimate)
    wears_off = None
    if reading != "no early difference" and pace is not None:
        wears_off = (pace.high if sign > 0 else -pace.low) < 0
    back = _given_back(arms, first, last, at_first, later, alpha) if reading != "no early difference" else None
    none = RatioInterval("undefined", None, None, None, "there is no clear early difference that could be given back")
    return Course("ok", "", tuple(found), early, late, at_first, later, pace, back or none, reading, wears_off)


def _days(columns: Mapping[int, str]) -> list[int]:
    days = sorted(columns)
    if len(days) < 2:
        raise InputError(f"{len(days)} days; a course needs two or more")
    if days[0] < 1:
        raise InputError(f"day {days[0]!r} since exposure; the first day is 1")
    return days


def _combined(arm: Moments, weights: Mapping[str, float]) -> Estimate:
    """The mean of a weighted sum of columns, of two visitors or more."""
    at = [arm.index(column) for column in weights]
    w = np.array(list(weights.values()))
    mean = float(w @ arm.mean[at])
    parts = arm.m2[np.ix_(at, at)] / (arm.n - 1)
    variance = at_least_zero(float(w @ parts @ w))
    # Columns that are equal for every visitor leave rounding alone.
    if variance <= 1e-13 * float(np.abs(w) @ np.abs(parts) @ np.abs(w)) or is_negligible(variance, mean):
        variance = 0.0
    return Estimate(mean, variance / arm.n, arm.n - 1)


def _difference(arms: tuple[Moments, Moments], weights: Mapping[str, float], alpha: float) -> Difference | None:
    t, c = (_combined(arm, weights) for arm in arms)
    if t.variance + c.variance == 0:
        return None
    return compare_estimates(t, c, alpha=alpha, method="welch").difference


def _reading(early: Difference, later: Difference) -> Reading:
    if early.low <= 0 <= early.high:
        return "no early difference"
    if later.low <= 0 <= later.high:
        return "holds"
    return "grows" if (early.estimate > 0) == (later.estimate > 0) else "falls back"


def _given_back(
    arms: tuple[Moments, Moments], first: str, last: str, early: Difference, later: Difference, alpha: float
) -> RatioInterval:
    """Minus the later difference over the early one, whose visitors are the same."""
    together = sum((arm.covariance_of(last, first) - arm.variance_of(first)) / arm.n for arm in arms)
    quantile = two_sided_quantile(early.df, alpha)
    return fieller(-later.estimate, later.se**2, early.estimate, early.se**2, quantile, covariance=-together)


def _insufficient(reason: str, days: tuple[DayOfCourse, ...], early: int, late: int) -> Course:
    none = RatioInterval("undefined", None, None, None, reason)
    return Course("insufficient", reason, days, early, late, None, None, None, none, "insufficient", None)
