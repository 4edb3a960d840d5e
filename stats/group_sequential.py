"""Planned looks: boundaries by error spending, intervals valid at every look, estimates after an early stop.

Estimates at clocks t_1 < t_2 < ... have z-values with correlations sqrt(t_j/t_k), those of S(t)/√t for a Brownian
motion S with drift θ (Jennison and Turnbull 2000, chapter 3). The density of S among the paths that have not crossed is
carried from look to look (Armitage, McPherson and Rowe 1969). It is computed once, without drift: with drift θ it is
exp(θ s - θ² t/2) times that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from ..errors import InputError
from .fieller import Estimate, check_alpha, lift_at
from .results import Lift
from .roots import bracketed_root, increasing_root
from .rules import legendre
from .showing import Shown
from .spending import Family, Sides, Spending, check_sides, spent_alpha

__all__ = [
    "Boundaries",
    "Boundary",
    "RepeatedInterval",
    "StagewiseEstimate",
    "classical_boundaries",
    "crossing_probabilities",
    "drift_for_power",
    "inflation_factor",
    "next_boundary",
    "nominal_level",
    "repeated_interval",
    "repeated_lift",
    "repeated_p_value",
    "sequential_boundaries",
    "spent_by",
    "stagewise_estimate",
]

Array = NDArray[np.float64]
Spends = Spending | Family

SAME_CLOCK = 1e-3
"""A look whose clock is ahead of the last one by less than this share of itself is no new look."""
NEVER = 6.0
"""Standard deviations of the step between two such looks that nobody is expected to make (2 in 10⁹)."""

_FARTHEST = 12.0
"""Values of |z| beyond which no path is followed: its chance is 1e-33."""
_LEAST = 1e-300
_STEPS = 4.0


@dataclass(frozen=True, slots=True)
class Boundary(Shown):
    """The boundary of one look.

    Attributes:
        clock: share of the plan reached, at most 1 and never before that of an earlier look.
        spent: error spent up to and with this look, of all sides together.
        z: the value that |z| (or z, one-sided) has to reach.

    Example:
        >>> Boundary(0.5, 0.003, 2.963).clock
        0.5
    """

    clock: float
    spent: float
    z: float


@dataclass(frozen=True, slots=True)
class Boundaries(Shown):
    """The boundaries of several looks; `clocks`, `spent` and `z` are as in `Boundary`, one a look.

    `sides` is 2 for ±z and 1 for crossings above only.

    Example:
        >>> [round(z, 3) for z in sequential_boundaries([0.5, 1.0]).z]
        [2.963, 1.969]
    """

    clocks: tuple[float, ...]
    spent: tuple[float, ...]
    z: tuple[float, ...]
    sides: Sides = 2


@dataclass(frozen=True, slots=True)
class RepeatedInterval(Shown):
    """Interval of a difference that is valid at every look together, and whether it leaves out 0.

    Example:
        >>> RepeatedInterval(-0.1, 0.5, 2.963, False).crossed
        False
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
        >>> StagewiseEstimate(0.8, 0.1, 1.4, 0.03).estimate
        0.8
    """

    estimate: float
    low: float
    high: float
    p_value: float


def sequential_boundaries(
    clocks: Sequence[float],
    *,
    alpha: float = 0.05,
    spending: Spends = "obrien_fleming",
    sides: Sides = 2,
    last: bool = False,
) -> Boundaries:
    """Boundaries of looks at any clocks, so that the error of all of them together is that of the spending function.

    Lan and DeMets (1983): at look k the paths that cross for the first time use up what f(t_k) - f(t_{k-1}) allows;
    half of it on each side. A clock above 1 counts as 1, one that runs backwards as the largest before. A look less
    than 0.1 % ahead of the one before it spends nothing; its boundary is that of the other, raised by what the few
    new visitors can change, even if it is the last.

    Args:
        clocks: share of the planned visitors reached at each look, in the order of the looks. Not the observed
            information, which for revenue runs backwards.
        alpha: error of all looks and sides together; down to 1e-6 and below, as several arms need it.
        spending: a spending function, or the name of one without a parameter.
        sides: 2, or 1 for crossings above only (such as an alarm: harm, with its sign turned).
        last: whether the last clock is the end even if it is below 1, and spends the rest.

    Raises:
        InputError: clocks that are missing, NaN or not above 0, alpha outside (0, 1), or as `Spending`.

    Example:
        >>> [round(z, 3) for z in sequential_boundaries([0.25, 0.5, 0.75, 1.0]).z]
        [4.333, 2.963, 2.359, 2.014]
        >>> [round(z, 3) for z in sequential_boundaries([0.25, 0.5, 0.75, 1.0], spending="pocock").z]
        [2.368, 2.368, 2.358, 2.35]
    """
    boundaries = Boundaries((), (), (), check_sides(sides))
    for k, clock in enumerate(clocks, start=1):
        at = next_boundary(
            boundaries.clocks,
            boundaries.z,
            clock,
            alpha=alpha,
            spending=spending,
            sides=sides,
            last=last and k == len(clocks),
        )
        boundaries = Boundaries(
            (*boundaries.clocks, at.clock), (*boundaries.spent, at.spent), (*boundaries.z, at.z), sides
        )
    if not boundaries.clocks:
        raise InputError("no clocks; at least one look is needed")
    return boundaries


def next_boundary(
    past_clocks: Sequence[float],
    past_boundaries: Sequence[float],
    clock: float,
    *,
    alpha: float = 0.05,
    spending: Spends = "obrien_fleming",
    sides: Sides = 2,
    last: bool = False,
) -> Boundary:
    """Boundary of the next look, with those of the past looks as they were.

    What the past looks have spent is computed from their boundaries, whatever they were derived from. So the number and
    the times of the looks need not be planned, alpha may have changed between them (several arms), and the error of all
    looks stays that of the spending function as long as the times do not depend on the effects seen.

    Args:
        past_clocks, past_boundaries: of the looks so far, in order; both empty before the first.
        clock: share of the planned visitors reached now.
        alpha, spending, sides: as `sequential_boundaries`.
        last: whether this is the end even if the clock is below 1, and spends the rest.

    Returns:
        `z` is 37 where nothing may be spent.

    Raises:
        InputError: as `sequential_boundaries`, or past clocks and boundaries that do not belong together.

    Example:
        >>> first = next_boundary([], [], 0.3)
        >>> second = next_boundary([first.clock], [first.z], 0.7)
        >>> round(second.z, 3), round(second.spent, 4)
        (2.439, 0.0148)
    """
    alpha, sides = check_alpha(alpha), check_sides(sides)
    times, bounds = _looks(past_clocks, past_boundaries, sides)
    now = max([_check_clock(clock), *times])
    heads = _distinct(times)
    spent = _spent(tuple(times[i] for i in heads), tuple(bounds[i] for i in heads), sides)
    if heads and _is_same(now, times[heads[-1]]):
        head = heads[-1]
        step = NEVER * math.sqrt(now - times[head])
        raised = (bounds[head] * math.sqrt(times[head]) + step) / math.sqrt(now)
        return Boundary(now, spent, max(bounds[head], raised) if now > times[head] else bounds[head])
    allowed = spent_alpha(1.0 if last else now, alpha, spending=spending, sides=sides)
    increment = max(allowed - spent, 0.0)
    z = _boundary(tuple(times[i] for i in heads), tuple(bounds[i] for i in heads), now, increment / sides, sides)
    return Boundary(now, max(allowed, spent), z)


def classical_boundaries(
    shape: Literal["pocock", "obrien_fleming"], looks: int, *, alpha: float = 0.05, sides: Sides = 2
) -> Boundaries:
    """Boundaries of equally spaced looks whose number is fixed in advance.

    z_k = C for Pocock (1977), z_k = C √(K/k) for O'Brien and Fleming (1979), with C such that all looks together have
    error alpha. For looks at other times use `sequential_boundaries`.

    Raises:
        InputError: another shape, looks below 1, alpha outside (0, 1), or other sides.

    Example:
        >>> round(classical_boundaries("pocock", 5).z[0], 3)
        2.413
    """
    alpha, sides = check_alpha(alpha), check_sides(sides)
    if shape not in ("pocock", "obrien_fleming"):
        raise InputError(f"shape is {shape!r}; it is pocock or obrien_fleming")
    if looks < 1:
        raise InputError(f"{looks!r} looks; at least 1 is needed")
    times = tuple(k / looks for k in range(1, looks + 1))
    power = 0.0 if shape == "pocock" else -0.5

    def bounds(c: float) -> tuple[float, ...]:
        return tuple(c * t**power for t in times)

    def excess(c: float) -> float:
        return math.log(alpha / _spent(times, bounds(c), sides))

    single, bonferroni = (float(-ndtri(alpha / sides / m)) for m in (1, looks))
    c = single
    if looks > 1:
        c = bracketed_root(excess, single, bonferroni, excess(single), excess(bonferroni), tolerance=1e-12)
    z = bounds(c)
    return Boundaries(times, tuple(_spent(times[:k], z[:k], sides) for k in range(1, looks + 1)), z, sides)


def spent_by(clocks: Sequence[float], boundaries: Sequence[float], *, sides: Sides = 2) -> float:
    """Chance of ever crossing the boundaries without an effect, on all sides together.

    Raises:
        InputError: clocks and boundaries that do not belong together, clocks that are not above 0 or not increasing
            (a repeated one counts once), or other sides.

    Example:
        >>> round(spent_by([0.2, 0.4, 0.6, 0.8, 1.0], [1.96] * 5), 3)
        0.142
    """
    times, bounds = _looks(clocks, boundaries, check_sides(sides))
    heads = _distinct(times)
    return _spent(tuple(times[i] for i in heads), tuple(bounds[i] for i in heads), sides)


def crossing_probabilities(boundaries: Boundaries, drift: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Chance of crossing for the first time at each look, above and below, with an effect.

    Armitage, McPherson and Rowe (1969). Assumes increments of z that are independent and normal.

    Args:
        boundaries: of the looks; a repeated clock crosses nothing.
        drift: expected z at the planned end (clock 1): the true difference over its standard error there.

    Example:
        >>> above, below = crossing_probabilities(sequential_boundaries([0.5, 1.0]), 0.0)
        >>> round(sum(above) + sum(below), 4)
        0.05
    """
    heads = _distinct(boundaries.clocks)
    times = tuple(boundaries.clocks[i] for i in heads)
    bounds = tuple(boundaries.z[i] for i in heads)
    above, below = [0.0] * len(boundaries.clocks), [0.0] * len(boundaries.clocks)
    for k, i in enumerate(heads):
        above[i] = _tail(times[:k], bounds[:k], times[k], bounds[k], drift, boundaries.sides)
        if boundaries.sides == 2:
            below[i] = _tail(times[:k], bounds[:k], times[k], bounds[k], -drift, 2)
    return tuple(above), tuple(below)


def drift_for_power(boundaries: Boundaries, power: float) -> float:
    """The drift at which the boundaries are crossed above with probability `power`.

    Assumes what `crossing_probabilities` does. Not for the always-valid interval, which has no planned looks.

    Raises:
        InputError: power outside (0, 1).

    Example:
        >>> round(drift_for_power(sequential_boundaries([0.5, 1.0]), 0.8), 2)
        2.81
    """
    power = check_alpha(power)

    def shortfall(drift: float) -> float:
        return sum(crossing_probabilities(boundaries, drift)[0]) - power

    guess = boundaries.z[-1] / math.sqrt(boundaries.clocks[-1]) + float(ndtri(power))
    return increasing_root(shortfall, guess, 0.3, tolerance=1e-10)


def inflation_factor(boundaries: Boundaries, power: float) -> float:
    """How many times the visitors of a test with one look are planned for the same power (at most, if nothing stops).

    (drift / (z_{1 - a} + z_power))² with a the error of one side (Jennison and Turnbull 2000, section 2.3).

    Raises:
        InputError: power outside (0, 1).

    Example:
        >>> round(inflation_factor(sequential_boundaries([0.2, 0.4, 0.6, 0.8, 1.0]), power=0.8), 4)
        1.0247
    """
    one_side = spent_by(boundaries.clocks, boundaries.z, sides=boundaries.sides) / boundaries.sides
    return (drift_for_power(boundaries, power) / float(ndtri(power) - ndtri(one_side))) ** 2


def nominal_level(boundary: float) -> float:
    """Two-sided level 2 Φ(-z) of a boundary: |z| reaches it exactly where a fixed-sample p-value is at most this.

    An estimator called at alpha = this level answers with the repeated interval of its own pivot (score, Welch,
    Fieller).

    Example:
        >>> round(nominal_level(1.959964), 4)
        0.05
    """
    return 2 * float(ndtr(-boundary))


def repeated_interval(estimate: float, se: float, boundary: float) -> RepeatedInterval:
    """Interval estimate ± boundary · se, valid at all looks together (Jennison and Turnbull 1989).

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

    Jennison and Turnbull (1989), with Fieller's (1954) set. Assumes normal estimates.

    Raises:
        InputError: a boundary that is not above 0.

    Example:
        >>> repeated_lift(Estimate(5.4, 0.01, 999), Estimate(5.0, 0.01, 999), 2.963).excludes_zero()
        False
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
    times, bounds = _looks(clocks[:look], boundaries[:look], sides)
    now = times[-1]
    # Looks at the same clock as this one show the same data: they are no chance to have stopped before.
    heads = [i for i in _distinct(times) if i < look - 1 and not _is_same(now, times[i])]
    past = tuple(times[i] for i in heads)
    past_bounds = tuple(bounds[i] for i in heads)
    # Below 0 it is the mirror image; one-sided boundaries have none.
    mirror = -1.0 if z < 0 and sides == 2 else 1.0

    def at_least(drift: float) -> float:
        stopped = sum(_tail(past[:k], past_bounds[:k], past[k], past_bounds[k], drift, sides) for k in range(len(past)))
        return stopped + _tail(past, past_bounds, now, mirror * z, drift, sides)

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


def _check_clock(clock: float) -> float:
    if not clock > 0:
        raise InputError(f"the clock shows {clock!r}; a share of the planned visitors above 0 is needed")
    return min(float(clock), 1.0)


def _looks(clocks: Sequence[float], boundaries: Sequence[float], sides: Sides) -> tuple[list[float], list[float]]:
    if len(clocks) != len(boundaries):
        raise InputError(f"{len(clocks)} clocks but {len(boundaries)} boundaries; each look has one of both")
    times: list[float] = []
    for clock in clocks:
        times.append(max(_check_clock(clock), times[-1] if times else 0.0))
    least = 0.0 if sides == 2 else -math.inf
    if not all(bound > least for bound in boundaries):
        raise InputError(f"boundaries are {list(boundaries)}; numbers above {least!r} are needed")
    return times, [float(bound) for bound in boundaries]


def _is_same(now: float, before: float) -> bool:
    return now - before < SAME_CLOCK * now


def _distinct(times: Sequence[float]) -> list[int]:
    """Positions of the looks that count: each far enough ahead of the one that counted before."""
    heads: list[int] = []
    for i, now in enumerate(times):
        if not heads or not _is_same(now, times[heads[-1]]):
            heads.append(i)
    return heads


def _boundary(times: tuple[float, ...], bounds: tuple[float, ...], now: float, one_side: float, sides: Sides) -> float:
    """The z that paths cross above for the first time at `now` with probability `one_side`."""
    # Never too small, as if nobody had stopped before.
    high = float(-ndtri(max(one_side, _LEAST)))
    if not times or one_side < 1e-14:
        return high

    def excess(z: float) -> float:
        return math.log(one_side / max(_tail(times, bounds, now, z, 0.0, sides), _LEAST))

    step = math.sqrt((now - times[-1]) / now)
    return increasing_root(excess, high - 0.1 * step, max(high, 1.0), upper=high, tolerance=1e-12)


def _spent(times: tuple[float, ...], bounds: tuple[float, ...], sides: Sides) -> float:
    return sides * sum(_tail(times[:k], bounds[:k], times[k], bounds[k], 0.0, sides) for k in range(len(times)))


def _tail(
    times: tuple[float, ...], bounds: tuple[float, ...], now: float, z: float, drift: float, sides: Sides
) -> float:
    """P(no crossing at `times`, Z(now) >= z) with a drift."""
    if not times:
        return float(ndtr(drift * math.sqrt(now) - z))
    s, mass = _continuing(times, bounds, now, sides)
    before = times[-1]
    if drift:
        mass = mass * np.exp(drift * s - drift * drift * before / 2)
    step = now - before
    return float(mass @ ndtr((s + drift * step - z * math.sqrt(now)) / math.sqrt(step)))


@lru_cache(maxsize=1024)
def _continuing(times: tuple[float, ...], bounds: tuple[float, ...], until: float, sides: Sides) -> tuple[Array, Array]:
    """Values of S at the last of the times among paths that have not crossed, and their probabilities without drift.

    Gauss-Legendre panels over the continuation region, no wider than four standard deviations of the step before and of
    the step to `until`, so that the density and the next step's kernel are both resolved.
    """
    now, before = times[-1], times[-2] if len(times) > 1 else 0.0
    root = math.sqrt(now)
    top = min(bounds[-1], _FARTHEST) * root
    bottom = -top if sides == 2 else -_FARTHEST * root
    finest = math.sqrt(min(now - before, until - now))
    panels = max(math.ceil((top - bottom) / (_STEPS * finest)), 1)
    half = (top - bottom) / panels / 2
    centres = bottom + half * (2 * np.arange(panels) + 1)
    nodes, masses = legendre(16)
    s = (centres[:, None] + half * nodes).ravel()
    weights = np.tile(half * masses, panels)
    step = now - before
    if before:
        earlier, mass = _continuing(times[:-1], bounds[:-1], now, sides)
        density = np.exp(-((s[:, None] - earlier) ** 2) / (2 * step)) @ mass
    else:
        density = np.exp(-(s**2) / (2 * step))
    mass = weights * density / math.sqrt(2 * math.pi * step)
    s.flags.writeable = mass.flags.writeable = False
    return s, mass
