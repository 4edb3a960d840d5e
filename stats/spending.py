"""How the error is spent over the looks: four families of spending functions (Lan and DeMets 1983).

A function of the clock t in [0, 1] that starts at 0 and ends at alpha. Two-sided tests spend alpha/2 on each side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from scipy.special import ndtr, ndtri

from ..errors import InputError
from .fieller import check_alpha

__all__ = ["Family", "Sides", "Spending", "check_sides", "spent_alpha"]

Family = Literal["obrien_fleming", "pocock", "kim_demets", "hwang_shih_decani"]
Sides = Literal[1, 2]


@dataclass(frozen=True, slots=True)
class Spending:
    """A spending function; a is the error of one side.

    Attributes:
        family: `obrien_fleming`, 2 - 2 Φ(z_{1 - a/2}/√t): next to nothing early (Lan and DeMets 1983);
            `pocock`, a ln(1 + (e - 1) t): about the same at each look (Lan and DeMets 1983);
            `kim_demets`, a t^γ with γ > 0 (Kim and DeMets 1987);
            `hwang_shih_decani`, a (1 - e^(-γ t))/(1 - e^(-γ)), a t at γ = 0 (Hwang, Shih and DeCani 1990).
        gamma: the parameter of the last two; None for the others.

    Raises:
        InputError: another family, or a gamma that is missing, not wanted, not finite or, for `kim_demets`, not above
            0.

    Example:
        >>> Spending("kim_demets", 3.0).gamma
        3.0
    """

    family: Family = "obrien_fleming"
    gamma: float | None = None

    def __post_init__(self):
        families = get_args(Family)
        if self.family not in families:
            raise InputError(f"spending function {self.family!r}; it is one of {', '.join(families)}")
        if self.family in ("obrien_fleming", "pocock"):
            if self.gamma is not None:
                raise InputError(f"gamma is {self.gamma!r}; {self.family} has no parameter: leave it out")
            return
        if self.gamma is None or not math.isfinite(self.gamma):
            raise InputError(f"gamma is {self.gamma!r}; {self.family} needs a finite number")
        if self.family == "kim_demets" and not self.gamma > 0:
            raise InputError(f"gamma is {self.gamma!r}; kim_demets needs a number above 0, such as 2")

    @classmethod
    def of(cls, spending: Spending | Family) -> Spending:
        """The function itself, or the one of that name for families without a parameter."""
        return spending if isinstance(spending, Spending) else cls(spending)


def spent_alpha(
    clock: float, alpha: float = 0.05, *, spending: Spending | Family = "obrien_fleming", sides: Sides = 2
) -> float:
    """Error that may have been spent by the time the clock shows `clock`, of all `sides` together.

    Args:
        clock: share of the plan reached; at 1 and beyond it is alpha.
        alpha: the error of all looks, of all sides together.
        spending: a spending function, or the name of one without a parameter.
        sides: 2 for two one-sided tests at alpha/2 each, 1 for one at alpha.

    Raises:
        InputError: a clock that is NaN or below 0, alpha outside (0, 1), other sides, or as `Spending`.

    Example:
        >>> [round(spent_alpha(t), 4) for t in (0.25, 0.5, 0.75, 1.0)]
        [0.0, 0.0031, 0.0193, 0.05]
    """
    alpha, sides, function = check_alpha(alpha), check_sides(sides), Spending.of(spending)
    if not clock >= 0:
        raise InputError(f"the clock shows {clock!r}; a share of the plan, 0 or more, is needed")
    if clock >= 1:
        return alpha
    if clock == 0:
        return 0.0
    a, gamma = alpha / sides, function.gamma or 0.0
    if function.family == "obrien_fleming":
        one_side = 2 * float(ndtr(ndtri(a / 2) / math.sqrt(clock)))
    elif function.family == "pocock":
        one_side = a * math.log1p((math.e - 1) * clock)
    elif function.family == "kim_demets":
        one_side = a * clock**gamma
    elif gamma == 0:
        one_side = a * clock
    elif gamma > 0:
        one_side = a * math.expm1(-gamma * clock) / math.expm1(-gamma)
    else:
        # e^|γ| does not overflow when written from the end.
        one_side = a * math.exp(gamma * (1 - clock)) * math.expm1(gamma * clock) / math.expm1(gamma)
    return sides * one_side


def check_sides(sides: int) -> Sides:
    """The number of sides.

    Raises:
        InputError: neither 1 nor 2.
    """
    if sides not in (1, 2):
        raise InputError(f"sides = {sides!r}; 1 (upper crossings) or 2 (either direction) is needed")
    return sides
