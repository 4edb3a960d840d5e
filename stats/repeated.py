"""Intervals that are valid at every look together, and estimates after a stop at one of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import ndtr, ndtri

from ..errors import InputError
from .crossing import distinct, is_same, looks_of, tail
from .fieller import Estimate, check_alpha, lift_at
from .group_sequential import Spends, sequential_boundaries
from .results import Lift
from .roots import increasing_root
from .showing import Shown
from .spending import Sides, check_sides

__all__ = [
    "RepeatedInterval",
    "StagewiseEstimate",
    "nominal_level",
    "repeated_interval",
    "repeated_lift",
    "repeated_p_value",
    "stagewise_estimate",
]


@dataclass(frozen=True, slots=True)
class RepeatedInterval(Shown):
    """Interval of a difference that is valid at every look together, and whether it leaves out 0.

    Example:
        >>> found = repeated_interval(0.30, 0.1, boundary=2.5)
        >>> found.crossed
        True
    """

    low: float
    high: float
    boundary: float
    crossed: bool


@dataclass(frozen=True, slots=True)
class StagewiseEstimate(Shown):
    """Estimate after the last look, corrected for the chance to have stopped before.

    Attributes:
        estimate: median-unbiased, in the unit of the standard error given.
        low, high: two-sided confidence interval at the level asked for.
        p_value: two-sided against no effect (one-sided for one-sided boundaries).

    Example:
        >>> looks = sequential_boundaries([0.5, 1.0])
        >>> stopped = stagewise_estimate(2, looks.clocks, looks.z, z=2.2, se=0.1)
        >>> round(stopped.estimate, 3)
        0.219
    """

    estimate: float
    low: float
    high: float
    p_value: float


def nominal_level(boundary: float) -> float:
    """Two-sided level 2 Φ(-z) of a boundary: |z| reaches it exactly where a fixed-sample p-value is at most this.

    An estimator called at alpha = this level answers with the repeated interval of its own pivot (score, Welch,
    Fieller).

    Jennison and Turnbull (2000). Assumes a boundary on a normal z-value. Not the chance of a false
    crossing over all looks, which is larger: `spent_by`.

    Example:
        >>> level = nominal_level(sequential_boundaries([0.5, 1.0]).z[0])
        >>> round(level, 5)
        0.00305
    """
    return 2 * float(ndtr(-boundary))


def repeated_interval(estimate: float, se: float, boundary: float) -> RepeatedInterval:
    """Interval estimate ± boundary · se, valid at all looks together (Jennison and Turnbull 1989).

    Assumes a normal estimate. Not for the size of the effect after an early stop, which the estimate exaggerates:
    `stagewise_estimate`.

    Args:
        estimate: the difference at this look.
        se: its standard error, above 0.
        boundary: the look's z.

    Raises:
        InputError: a standard error or boundary that is not above 0.

    Example:
        >>> repeated_interval(0.3, 0.1, boundary=2.5)
        RepeatedInterval(low=0.04999999999999999, high=0.55, boundary=2.5, crossed=True)
    """
    if not se > 0 or not boundary > 0:
        raise InputError(f"standard error {se!r} and boundary {boundary!r}; both have to be above 0")
    half = boundary * se
    return RepeatedInterval(estimate - half, estimate + half, boundary, abs(estimate) >= half)


def repeated_lift(treatment: Estimate, control: Estimate, boundary: float, *, covariance: float = 0.0) -> Lift:
    """The repeated interval of the relative lift: Fieller's set at the boundary.

    It leaves out 0 where the difference's interval (with the same variances and covariance) does. Undefined where the
    control's mean is not above 0.

    Fieller (1954) at the boundary of Jennison and Turnbull (1989). Assumes and excludes what `repeated_interval` does.

    Raises:
        InputError: a boundary that is not above 0.

    Example:
        >>> control, treatment = Estimate(2.40, 0.0016, 49_999), Estimate(2.64, 0.0018, 49_999)
        >>> first = sequential_boundaries([0.5, 1.0]).z[0]
        >>> lift = repeated_lift(treatment, control, first)
        >>> round(lift.estimate, 3), round(lift.low, 3), round(lift.high, 3)
        (0.1, 0.027, 0.178)
    """
    return lift_at(boundary, treatment, control, covariance)


def repeated_p_value(
    clocks: Sequence[float],
    z: float,
    *,
    spending: Spends = "obrien_fleming",
    sides: Sides = 2,
    last: bool = False,
) -> float:
    """The smallest alpha whose boundary at the last of the clocks z reaches (Jennison and Turnbull 2000, section 9.3).

    Below alpha exactly where z crosses the boundary of `sequential_boundaries` with that alpha. The smallest of all
    looks so far is valid together. One-sided it is 1 where no alpha up to 1/2 reaches z.

    Assumes a normal estimate. Not for clocks other than those at which the looks took place.

    Args:
        clocks: of all looks up to this one.
        z: the z-value of this look.
        spending, sides, last: as `sequential_boundaries`.

    Raises:
        InputError: as `sequential_boundaries`, or z that is NaN.

    Example:
        >>> round(repeated_p_value([0.25, 0.5], z=3.2), 4)
        0.0328
    """
    if math.isnan(z):
        raise InputError("z is NaN")
    size = abs(z) if check_sides(sides) == 2 else z

    def beyond(logit: float) -> float:
        alpha = 1 / (1 + math.exp(-logit))
        return size - sequential_boundaries(clocks, alpha=alpha, spending=spending, sides=sides, last=last).z[-1]

    low, high = -690.0, 36.0 if sides == 2 else 0.0
    if beyond(low) >= 0:
        return 0.0
    if beyond(high) <= 0:
        return 1.0
    tail = min(max(sides * float(ndtr(-size)), 1e-299), 1 - 1e-15)
    guess = math.log(tail / (1 - tail))
    return 1 / (1 + math.exp(-increasing_root(beyond, guess, 0.5, lower=low, upper=high, tolerance=1e-9)))


def stagewise_estimate(
    look: int,
    clocks: Sequence[float],
    boundaries: Sequence[float],
    z: float,
    se: float,
    *,
    alpha: float = 0.05,
    sides: Sides = 2,
) -> StagewiseEstimate:
    """Median-unbiased estimate, interval and p-value after stopping at a look, by the stage-wise ordering.

    A crossing at an earlier look is more extreme than one at a later look, and within a look a larger z is (Fairbanks
    and Madsen 1982; Tsiatis, Rosner and Mehta 1984). The estimate is the effect under which a result at least as
    extreme has probability 1/2, the interval's ends those with alpha/2 and 1 - alpha/2. At the first look these are the
    ordinary ones; later, the estimate is drawn towards 0. It depends on the looks up to the stop only.

    Assumes a normal estimate. Not for a test that went on after crossing: what came later does not enter.

    Args:
        look: the look at which the experiment stopped, 1 for the first: by crossing, or because it was the last.
        clocks, boundaries: of the looks, at least up to that one; boundaries of looks before it are used.
        z: the z-value at that look.
        se: the standard error of the difference at that look; sets the unit.
        alpha: 1 minus the confidence level.
        sides: of the boundaries.

    Raises:
        InputError: no such look, se not above 0, z that is not finite, or as `spent_by`.

    Example:
        >>> looks = sequential_boundaries([0.25, 0.5, 0.75, 1.0])
        >>> found = stagewise_estimate(3, looks.clocks, looks.z, z=2.5, se=0.1)
        >>> round(found.estimate, 4), round(found.low, 4), round(found.high, 4), round(found.p_value, 4)
        (0.2484, 0.0512, 0.4449, 0.0137)
    """
    alpha, sides = check_alpha(alpha), check_sides(sides)
    if not 1 <= look <= min(len(clocks), len(boundaries)):
        raise InputError(f"look {look!r} of {min(len(clocks), len(boundaries))}; count from 1")
    if not se > 0 or not math.isfinite(z):
        raise InputError(f"z = {z!r} and standard error {se!r}; a finite z and an error above 0 are needed")
    times, bounds = looks_of(clocks[:look], boundaries[:look], sides)
    now = times[-1]
    # Looks at the same clock as this one show the same data: they are no chance to have stopped before.
    heads = [i for i in distinct(times) if i < look - 1 and not is_same(now, times[i])]
    past = tuple(times[i] for i in heads)
    past_bounds = tuple(bounds[i] for i in heads)
    # Below 0 it is the mirror image; one-sided boundaries have none.
    mirror = -1.0 if z < 0 and sides == 2 else 1.0

    def at_least(drift: float) -> float:
        stopped = sum(tail(past[:k], past_bounds[:k], past[k], past_bounds[k], drift, sides) for k in range(len(past)))
        return stopped + tail(past, past_bounds, now, mirror * z, drift, sides)

    root_now = math.sqrt(now)

    def drift_with(probability: float) -> float:
        guess = (mirror * z + float(ndtri(probability))) / root_now
        return increasing_root(
            lambda drift: at_least(drift) - probability, guess, 0.2 * root_now, tolerance=1e-10 / root_now
        )

    middle, one, other = (mirror * drift_with(p) * root_now * se for p in (0.5, alpha / 2, 1 - alpha / 2))
    extreme = at_least(0.0)
    p_value = extreme if sides == 1 else min(1.0, 2 * min(extreme, 1 - extreme))
    return StagewiseEstimate(middle, min(one, other), max(one, other), p_value)
