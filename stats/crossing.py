"""The recursion behind planned looks: the chance to cross boundaries for the first time, look by look.

Estimates at clocks t_1 < t_2 < ... have z-values with correlations sqrt(t_j/t_k), those of S(t)/√t for a Brownian
motion S with drift θ (Jennison and Turnbull 2000, chapter 3). The density of S among the paths that have not crossed is
carried from look to look (Armitage, McPherson and Rowe 1969). It is computed once, without drift: with drift θ it is
exp(θ s - θ² t/2) times that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from ..errors import InputError
from .roots import increasing_root
from .rules import legendre
from .spending import Sides

__all__ = ["NEVER", "boundary_of", "check_clock", "distinct", "is_same", "looks_of", "spent_at", "tail"]

Array = NDArray[np.float64]

SAME_CLOCK = 1e-3
"""A look whose clock is ahead of the last one by less than this share of itself is no new look."""
NEVER = 6.0
"""Standard deviations of the step between two such looks that nobody is expected to make (2 in 10⁹)."""

_FARTHEST = 12.0
"""Values of |z| beyond which no path is followed: its chance is 1e-33."""
_LEAST = 1e-300
_STEPS = 4.0


def check_clock(clock: float) -> float:
    """The clock, at most 1.

    Raises:
        InputError: not above 0.
    """
    if not clock > 0:
        raise InputError(f"the clock shows {clock!r}; a share of the planned visitors above 0 is needed")
    return min(float(clock), 1.0)


def looks_of(clocks: Sequence[float], boundaries: Sequence[float], sides: Sides) -> tuple[list[float], list[float]]:
    """Clocks that never run backwards, and boundaries as floats.

    Raises:
        InputError: lists of different lengths, or boundaries out of range.
    """
    if len(clocks) != len(boundaries):
        raise InputError(f"{len(clocks)} clocks but {len(boundaries)} boundaries; each look has one of both")
    times: list[float] = []
    for clock in clocks:
        times.append(max(check_clock(clock), times[-1] if times else 0.0))
    least = 0.0 if sides == 2 else -math.inf
    if not all(bound > least for bound in boundaries):
        raise InputError(f"boundaries are {list(boundaries)}; numbers above {least!r} are needed")
    return times, [float(bound) for bound in boundaries]


def is_same(now: float, before: float) -> bool:
    """Whether a look is too little ahead of another one to be a new look."""
    return now - before < SAME_CLOCK * now


def distinct(times: Sequence[float]) -> list[int]:
    """Positions of the looks that count: each far enough ahead of the one that counted before."""
    heads: list[int] = []
    for i, now in enumerate(times):
        if not heads or not is_same(now, times[heads[-1]]):
            heads.append(i)
    return heads


def boundary_of(
    times: tuple[float, ...], bounds: tuple[float, ...], now: float, one_side: float, sides: Sides
) -> float:
    """The z that paths cross above for the first time at `now` with probability `one_side`."""
    # Never too small, as if nobody had stopped before.
    high = float(-ndtri(max(one_side, _LEAST)))
    if not times or one_side < 1e-14:
        return high

    def excess(z: float) -> float:
        return math.log(one_side / max(tail(times, bounds, now, z, 0.0, sides), _LEAST))

    step = math.sqrt((now - times[-1]) / now)
    return increasing_root(excess, high - 0.1 * step, max(high, 1.0), upper=high, tolerance=1e-12)


def spent_at(times: tuple[float, ...], bounds: tuple[float, ...], sides: Sides) -> float:
    """The error that looks at these times have spent, of all sides."""
    return sides * sum(tail(times[:k], bounds[:k], times[k], bounds[k], 0.0, sides) for k in range(len(times)))


def tail(
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
