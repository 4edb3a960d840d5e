"""Planned looks: boundaries by error spending, and what they cost. `crossing` has the recursion behind them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ..errors import InputError
from .crossing import NEVER, boundary_of, check_clock, distinct, is_same, looks_of, spent_at, tail
from .fieller import check_alpha
from .roots import bracketed_root, increasing_root
from .showing import Shown
from .spending import Family, Sides, Spending, check_sides, spent_alpha

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "Boundaries",
    "Boundary",
    "classical_boundaries",
    "crossing_probabilities",
    "drift_for_power",
    "inflation_factor",
    "next_boundary",
    "sequential_boundaries",
    "spent_by",
]

Array = NDArray[np.float64]
Spends = Spending | Family


@dataclass(frozen=True, slots=True)
class Boundary(Shown):
    """The boundary of one look.

    Attributes:
        clock: share of the plan reached, at most 1 and never before that of an earlier look.
        spent: error spent up to and with this look, of all sides together.
        z: the value that |z| (or z, one-sided) has to reach.

    Example:
        >>> next_boundary([], [], 0.5).clock
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
        >>> print(sequential_boundaries([0.5, 1.0]))
        sides  clocks     spent      z
            2     0.5  0.003051  2.963
            2       1      0.05  1.969
    """

    clocks: tuple[float, ...]
    spent: tuple[float, ...]
    z: tuple[float, ...]
    sides: Sides = 2

    def plot(self, ax: Axes | None = None) -> Axes:
        """The boundaries over the share of the plan reached."""
        from .plotting import draw_boundaries

        return draw_boundaries(self.clocks, self.z, self.sides, ax)


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
    new visitors can change. If it is the last it spends the rest, and the other's boundary is what it would have been
    with all of alpha.

    Assumes normal estimates: some hundred conversions in each arm.

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

    Lan and DeMets (1983, 1989). Assumes normal estimates, some hundred conversions an arm. Not where looks are called
    for because the effect looks good: then `anytime_interval`.

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
    times, bounds = looks_of(past_clocks, past_boundaries, sides)
    now = max([check_clock(clock), *times])
    heads = distinct(times)
    spent = spent_at(tuple(times[i] for i in heads), tuple(bounds[i] for i in heads), sides)
    if heads and is_same(now, times[heads[-1]]):
        head = heads[-1]
        bound = bounds[head]
        if last:
            # The same data once more: the rest is spent as if that look had been the last.
            before = heads[:-1]
            earlier = tuple(times[i] for i in before), tuple(bounds[i] for i in before)
            rest = max(alpha - spent_at(*earlier, sides), 0.0)
            bound, spent = min(bound, boundary_of(*earlier, times[head], rest / sides, sides)), max(alpha, spent)
        step = NEVER * math.sqrt(now - times[head])
        raised = (bound * math.sqrt(times[head]) + step) / math.sqrt(now)
        return Boundary(now, spent, max(bound, raised) if now > times[head] else bound)
    allowed = spent_alpha(1.0 if last else now, alpha, spending=spending, sides=sides)
    increment = max(allowed - spent, 0.0)
    z = boundary_of(tuple(times[i] for i in heads), tuple(bounds[i] for i in heads), now, increment / sides, sides)
    return Boundary(now, max(allowed, spent), z)


def classical_boundaries(
    shape: Literal["pocock", "obrien_fleming"], looks: int, *, alpha: float = 0.05, sides: Sides = 2
) -> Boundaries:
    """Boundaries of equally spaced looks whose number is fixed in advance.

    z_k = C for Pocock (1977), z_k = C √(K/k) for O'Brien and Fleming (1979), with C such that all looks together have
    error alpha. For looks at other times use `sequential_boundaries`.

    Assumes normal estimates and looks at equal steps of visitors. Not for a plan whose looks may shift.

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
        return math.log(alpha / spent_at(times, bounds(c), sides))

    single, bonferroni = (float(-ndtri(alpha / sides / m)) for m in (1, looks))
    c = single
    if looks > 1:
        c = bracketed_root(excess, single, bonferroni, excess(single), excess(bonferroni), tolerance=1e-12)
    z = bounds(c)
    return Boundaries(times, tuple(spent_at(times[:k], z[:k], sides) for k in range(1, looks + 1)), z, sides)


def spent_by(clocks: Sequence[float], boundaries: Sequence[float], *, sides: Sides = 2) -> float:
    """Chance of ever crossing the boundaries without an effect, on all sides together.

    Armitage, McPherson and Rowe (1969). Assumes normal estimates. Not for looks that were chosen by the effects seen.

    Raises:
        InputError: clocks and boundaries that do not belong together, clocks that are not above 0 or not increasing
            (a repeated one counts once), or other sides.

    Example:
        >>> round(spent_by([0.2, 0.4, 0.6, 0.8, 1.0], [1.96] * 5), 3)
        0.142
    """
    times, bounds = looks_of(clocks, boundaries, check_sides(sides))
    heads = distinct(times)
    return spent_at(tuple(times[i] for i in heads), tuple(bounds[i] for i in heads), sides)


def crossing_probabilities(boundaries: Boundaries, drift: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Chance of crossing for the first time at each look, above and below, with an effect.

    Armitage, McPherson and Rowe (1969): the densities of the paths that have not crossed, at drift θ those without
    drift times exp(θ s - θ² t/2). Assumes normal estimates, and that nothing but a crossing stops the test. Not for the
    drift that was observed: power at the estimate says no more than the p-value.

    Args:
        boundaries: of the looks; a repeated clock crosses nothing.
        drift: expected z at the planned end (clock 1): the true difference over its standard error there.

    Example:
        >>> looks = sequential_boundaries([0.5, 1.0])
        >>> above, below = crossing_probabilities(looks, drift=2.8)
        >>> [round(chance, 3) for chance in above]
        [0.163, 0.635]
    """
    heads = distinct(boundaries.clocks)
    times = tuple(boundaries.clocks[i] for i in heads)
    bounds = tuple(boundaries.z[i] for i in heads)
    above, below = [0.0] * len(boundaries.clocks), [0.0] * len(boundaries.clocks)
    for k, i in enumerate(heads):
        above[i] = tail(times[:k], bounds[:k], times[k], bounds[k], drift, boundaries.sides)
        if boundaries.sides == 2:
            below[i] = tail(times[:k], bounds[:k], times[k], bounds[k], -drift, 2)
    return tuple(above), tuple(below)


def drift_for_power(boundaries: Boundaries, power: float) -> float:
    """The drift at which the boundaries are crossed above with probability `power`.

    Solves Σ P(first crossing above at look k; θ) = power for θ (Jennison and Turnbull 2000, section 2.3). Assumes what
    `crossing_probabilities` does. Not for visitors: `required_visitors` takes the metric as well.

    Raises:
        InputError: power outside (0, 1).

    Example:
        >>> one, four = sequential_boundaries([1.0]), sequential_boundaries([0.25, 0.5, 0.75, 1.0])
        >>> round(drift_for_power(one, 0.8), 3), round(drift_for_power(four, 0.8), 3)
        (2.802, 2.829)
    """
    power = check_alpha(power)

    def shortfall(drift: float) -> float:
        return sum(crossing_probabilities(boundaries, drift)[0]) - power

    guess = boundaries.z[-1] / math.sqrt(boundaries.clocks[-1]) + float(ndtri(power))
    return increasing_root(shortfall, guess, 0.3, tolerance=1e-10)


def inflation_factor(boundaries: Boundaries, power: float) -> float:
    """How many times the visitors of a test with one look are planned for the same power (at most, if nothing stops).

    (drift / (z_{1 - a} + z_power))² with a the error of one side (Jennison and Turnbull 2000, section 2.3).

    Assumes normal estimates. Not for what a test with looks needs on average, which is less: it stops early.

    Raises:
        InputError: power outside (0, 1).

    Example:
        >>> round(inflation_factor(sequential_boundaries([0.2, 0.4, 0.6, 0.8, 1.0]), power=0.8), 4)
        1.0247
    """
    one_side = spent_by(boundaries.clocks, boundaries.z, sides=boundaries.sides) / boundaries.sides
    return (drift_for_power(boundaries, power) / float(ndtri(power) - ndtri(one_side))) ** 2
