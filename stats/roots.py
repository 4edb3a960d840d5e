"""One bracketing root finder.

scipy.optimize has brentq, but importing that package costs a third of a second (it pulls in sparse, linalg and HiGHS),
more than everything else here together, and every function solved here is increasing, with a good first guess.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["bracketed_root", "increasing_root"]

_EPSILON = 2.0**-52


def bracketed_root(
    function: Callable[[float], float], a: float, b: float, fa: float, fb: float, *, tolerance: float = 0.0
) -> float:
    """Root between a and b, where fa and fb have opposite signs (Chandrupatla 1997, Adv Eng Software 28:145).

    Inverse quadratic interpolation where it is safe, bisection elsewhere; stops at `tolerance` (absolute) or at a few
    units in the last place.
    """
    if fa == 0.0:
        return a
    if fb == 0.0:
        return b
    best = a
    # A first step by false position: the brackets here are short, so that the function is nearly straight in them.
    step = min(max(fa / (fa - fb), 0.05), 0.95)
    for _ in range(200):
        x = a + step * (b - a)
        fx = function(x)
        if (fx > 0) == (fa > 0):
            c, fc = a, fa
        else:
            c, fc, b, fb = b, fb, a, fa
        a, fa = x, fx
        best, f_best = (a, fa) if abs(fa) < abs(fb) else (b, fb)
        width = abs(b - a)
        shortest = (2 * _EPSILON * abs(best) + 0.5 * tolerance) / width if width else 1.0
        if shortest > 0.5 or f_best == 0.0:
            return best
        step = 0.5
        if fc not in (fa, fb):
            xi, phi = (a - b) / (c - b), (fa - fb) / (fc - fb)
            if phi * phi < xi and (1 - phi) ** 2 < 1 - xi:
                step = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
        step = min(max(step, shortest), 1 - shortest)
    return best


def increasing_root(
    function: Callable[[float], float],
    guess: float,
    slope: float,
    *,
    lower: float = float("-inf"),
    upper: float = float("inf"),
    tolerance: float = 0.0,
) -> float:
    """Root of an increasing function, searched outwards from a guess in doubling steps.

    `slope` is roughly the function's slope at the root; the first step overshoots a little, so as to bracket it. The
    caller knows that function(lower) <= 0 <= function(upper); neither is evaluated: an end that the search reaches
    without a change of sign is the root.
    """
    a = min(max(guess, lower), upper)
    fa = function(a)
    if fa == 0.0:
        return a
    towards = -1.0 if fa > 0 else 1.0
    end = lower if fa > 0 else upper
    step = 1.2 * abs(fa) / slope + tolerance
    while a != end:
        b = a + towards * step
        if (b - end) * towards >= 0:
            b = end
        if b == a:
            return a
        fb = function(b)
        if fb * towards >= 0:
            return bracketed_root(function, a, b, fa, fb, tolerance=tolerance)
        a, fa, step = b, fb, 2 * step
    return a
