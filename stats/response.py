"""How a metric answers to a dose: the depth of a discount, the level of a free-shipping threshold, a waiting time.

Contrasts say whether it rises and whether it bends; the doses that were tested are ranked by what they did themselves.
Nothing is said of doses that were not tested.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from ..errors import InputError
from .bayes import Direction
from .fieller import Estimate, check_alpha, two_sided_quantile
from .largest import chances
from .means import mean_estimate
from .moments import Moments
from .results import Amount, Difference
from .showing import Row, Shown

__all__ = ["Dose", "DoseResponse", "dose_response"]

Array = NDArray[np.float64]
Monotone = Literal["increasing", "decreasing"]


@dataclass(frozen=True, slots=True)
class Dose(Shown):
    """What one dose did.

    Attributes:
        arm, dose, n: the arm, its dose and its visitors.
        estimate, se, low, high: the metric a visitor with its interval; None where it cannot be estimated.
        isotonic: the monotone curve at this dose, for display; None where it cannot be estimated.
        probability_best, expected_regret: that it is the best of the tested doses, and what choosing it is expected to
            lose to the best, a visitor.

    Example:
        >>> Dose("ten per cent", 0.1, 900, 1.5, 0.1, 1.3, 1.7, 1.5, 0.9, 0.01).dose
        0.1
    """

    arm: str
    dose: float
    n: int
    estimate: float | None
    se: float | None
    low: float | None
    high: float | None
    isotonic: float | None
    probability_best: float | None
    expected_regret: float | None


@dataclass(frozen=True, slots=True)
class DoseResponse(Shown):
    """A metric over the tested doses.

    Attributes:
        status: `ok`, or `insufficient` with a `reason`: an arm's mean has no known precision.
        metric: what was measured.
        doses: what each did, the least first.
        linear: slope of the straight line through the means, as the change from the least dose to the largest.
        quadratic: how far the middle of the doses lies off that line, below it where positive: the coefficient of the
            squared dose, doses from 0 to 1; None below three doses.
        best: the arm with the least expected regret; None where insufficient.

    Example:
        >>> import numpy as np
        >>> def arm(sold):
        ...     return Moments.from_arrays({"margin": np.repeat([8.0, 0.0], [sold, 1000 - sold])})
        >>> arms = {"none": arm(100), "ten": arm(140), "twenty": arm(110)}
        >>> found = dose_response(arms, {"none": 0.0, "ten": 0.1, "twenty": 0.2}, "margin")
        >>> round(found.linear.estimate, 3), round(found.quadratic.estimate, 3), found.best
        (0.08, -1.12, 'ten')
    """

    status: Literal["ok", "insufficient"]
    reason: str
    metric: str
    doses: tuple[Dose, ...]
    linear: Difference | None
    quadratic: Difference | None
    best: str | None

    def __getitem__(self, arm: str) -> Dose:
        for one in self.doses:
            if one.arm == arm:
                return one
        raise InputError(f"no dose was tested in {arm!r}; it was in {[one.arm for one in self.doses]}")

    def to_dicts(self) -> list[Row]:
        """One row a dose."""
        return [row for one in self.doses for row in one.to_dicts()]


def dose_response(
    arms: Mapping[str, Moments],
    doses: Mapping[str, float],
    metric: str,
    *,
    monotone: Monotone | None = None,
    direction: Direction = "increase",
    alpha: float = 0.05,
) -> DoseResponse:
    """Linear and quadratic contrasts of the means, the monotone curve, and the best of the tested doses.

    The contrasts are the slope of the straight line and the quadratic coefficient that equally weighted least squares
    gives, whatever the distances between doses, with the doses moved to 0 to 1; their variance is Σ w² s²/n and their
    degrees of freedom Satterthwaite's (1946). The monotone curve is that of pool-adjacent-violators with weights n/s²
    (Barlow et al. 1972). P(best) and regret take the means as independent normals, flat prior (Raiffa and Schlaifer
    1961).

    Assumes independent visitors, and enough of them for normal means. The monotone curve is for display: it has no
    interval, and is wrong where more can be too much. Not for doses that were not tested, nor for the depth that each
    visitor chose: a dose must have been assigned.

    Args:
        arms: moments by arm.
        doses: each arm's dose, each another; control mostly has 0. Arms that it leaves out are not read.
        metric: the column of the outcome, such as margin a visitor.
        monotone: whether the curve rises or falls; None takes the sign of the linear contrast.
        direction: whether more or less of the metric is better.
        alpha: 1 minus the confidence level, two-sided.

    Returns:
        Status `insufficient` where an arm has fewer than two visitors or does not vary.

    Raises:
        InputError: fewer than two doses, one twice or not finite, no such arm or column, or an impossible option.

    Example:
        >>> import numpy as np
        >>> def arm(sold):
        ...     return Moments.from_arrays({"bought": np.repeat([1.0, 0.0], [sold, 1000 - sold])})
        >>> found = dose_response({"a": arm(50), "b": arm(45), "c": arm(80)}, {"a": 0, "b": 5, "c": 10}, "bought")
        >>> [round(one.isotonic, 4) for one in found.doses]
        [0.0474, 0.0474, 0.08]
    """
    alpha = check_alpha(alpha)
    if monotone not in (None, "increasing", "decreasing"):
        raise InputError(f"monotone is {monotone!r}; 'increasing', 'decreasing' or None is needed")
    if direction not in ("increase", "decrease"):
        raise InputError(f"direction is {direction!r}; 'increase' or 'decrease' is needed")
    names = _ordered(arms, doses)
    cells = {arm: mean_estimate(arms[arm], metric) for arm in names}
    known = [cell for cell in cells.values() if isinstance(cell, Estimate) and cell.variance > 0]
    if len(known) < len(names):
        reason = next(why for arm, cell in cells.items() if (why := _why_unknown(arm, metric, cell)))
        rows = tuple(_bare(arm, float(doses[arm]), arms[arm].n, cells[arm], alpha) for arm in names)
        return DoseResponse("insufficient", reason, metric, rows, None, None, None)
    scaled = np.array([float(doses[arm]) for arm in names])
    scaled = (scaled - scaled[0]) / (scaled[-1] - scaled[0])
    linear = _contrast(_weights(scaled, 1), known, alpha, "linear-contrast")
    quadratic = _contrast(_weights(scaled, 2), known, alpha, "quadratic-contrast") if len(names) > 2 else None
    rising = monotone == "increasing" if monotone else linear.estimate >= 0
    curve = _isotonic(known, rising)
    ranked = chances(
        [cell.mean for cell in known],
        [cell.variance for cell in known],
        sign=1.0 if direction == "increase" else -1.0,
    )
    rows = []
    for arm, cell, fitted, chance in zip(names, known, curve, ranked, strict=True):
        around = Amount.around(cell.mean, cell.variance, two_sided_quantile(cell.df, alpha))
        rows.append(
            Dose(
                arm,
                float(doses[arm]),
                arms[arm].n,
                around.estimate,
                around.se,
                around.low,
                around.high,
                fitted,
                chance.probability_best,
                chance.expected_regret,
            )
        )
    best = min(rows, key=lambda row: row.expected_regret).arm
    return DoseResponse("ok", "", metric, tuple(rows), linear, quadratic, best)


def _ordered(arms: Mapping[str, Moments], doses: Mapping[str, float]) -> list[str]:
    """The arms with a dose, the least first."""
    if len(doses) < 2:
        raise InputError(f"{len(doses)} doses; a response needs two or more")
    for arm, dose in doses.items():
        if arm not in arms:
            raise InputError(f"a dose is given for {arm!r}, which is no arm; there are {list(arms)}")
        if not math.isfinite(dose):
            raise InputError(f"arm {arm!r} has the dose {dose!r}; a finite number is needed")
    ordered = sorted(doses, key=lambda arm: doses[arm])
    for first, second in pairwise(ordered):
        if doses[first] == doses[second]:
            raise InputError(
                f"arms {first!r} and {second!r} have the same dose {doses[first]!r}",
                hint="Add up their moments first, or compare them with each other: they differ in something else.",
            )
    return ordered


def _why_unknown(arm: str, metric: str, cell: Estimate | str) -> str:
    if isinstance(cell, str):
        return f"{arm!r}: {cell}"
    return "" if cell.variance > 0 else f"{metric!r} does not vary in {arm!r}: nothing is known of its precision"


def _bare(arm: str, dose: float, n: int, cell: Estimate | str, alpha: float) -> Dose:
    """What is known of an arm where the whole cannot be answered."""
    if isinstance(cell, str):
        return Dose(arm, dose, n, None, None, None, None, None, None, None)
    if cell.variance == 0:
        return Dose(arm, dose, n, cell.mean, None, None, None, None, None, None)
    around = Amount.around(cell.mean, cell.variance, two_sided_quantile(cell.df, alpha))
    return Dose(arm, dose, n, around.estimate, around.se, around.low, around.high, None, None, None)


def _weights(scaled: Array, degree: int) -> Array:
    """What each mean counts in the highest coefficient of the least-squares polynomial of a degree."""
    powers = np.stack([scaled**k for k in range(degree + 1)], axis=1)
    return np.linalg.pinv(powers)[degree]


def _contrast(weights: Array, cells: Sequence[Estimate], alpha: float, method: str) -> Difference:
    estimate = float(weights @ np.array([cell.mean for cell in cells]))
    parts = weights**2 * np.array([cell.variance for cell in cells])
    variance = float(parts.sum())
    share = parts / variance
    df = float(1 / (share**2 / np.array([cell.df for cell in cells])).sum())
    around = Amount.around(estimate, variance, two_sided_quantile(df, alpha))
    p_value = min(2 * float(stdtr(df, -abs(estimate) / around.se)), 1.0)
    return Difference(estimate, around.se, df, around.low, around.high, p_value, method)


def _isotonic(cells: Sequence[Estimate], rising: bool) -> list[float]:
    # scipy.optimize takes longer to load than all else here.
    from scipy.optimize import isotonic_regression

    means = [cell.mean for cell in cells]
    largest = max(cell.variance for cell in cells)
    return isotonic_regression(means, weights=[largest / cell.variance for cell in cells], increasing=rising).x.tolist()
