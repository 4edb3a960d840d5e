"""The winsorised companion of revenue: what is left of a difference when no visitor counts for more than a cap.

The cap is one amount of money for all arms, and it comes from the plan or from orders before the experiment. A cap per
arm, or one chosen from the experiment's own data, moves the difference; one at a percentile of *visitors* takes a fifth
to a third of the effect away (at 2 % conversion, 99.9 % of visitors are 95 % of the orders).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError
from .histogram import Histogram
from .moments import Moments

__all__ = ["cap_from_orders", "capped_moments"]

LEAST_SHARE = 0.99


def cap_from_orders(orders: Histogram | ArrayLike, *, share: float = 0.999) -> float:
    """The order value that `share` of earlier orders do not exceed, to be written into the plan.

    Args:
        orders: values of single orders from before the experiment, of no arm: a histogram or raw values.
        share: of the orders, from .99 to 1.

    Returns:
        In major units where a histogram knows them; of a histogram the middle of the bin.

    Raises:
        InputError: no orders, fewer than 1/(1 - share) of them, values of 0 (then these are visitors, not orders), or a
            share outside .99 to 1.

    >>> cap_from_orders(range(1, 2001), share=0.999)
    1998.0
    """
    if not LEAST_SHARE <= share < 1:
        raise InputError(
            f"a cap at a share of {share!r}; from {LEAST_SHARE} to below 1 of the *orders* is needed",
            hint="A lower one takes away much of the effect itself.",
        )
    values = None
    if isinstance(orders, Histogram):
        n, zeros = orders.n, orders.counts.get(0, 0)
    else:
        values = np.sort(np.asarray(orders, dtype=np.float64))
        if values.ndim != 1 or not np.isfinite(values).all():
            raise InputError(f"orders of shape {values.shape}; one-dimensional finite numbers are needed")
        n, zeros = len(values), int((values == 0).sum())
    if 2 * zeros > n > 0:
        raise InputError(
            f"{zeros} of {n} values are 0, as of visitors without an order; single orders are needed",
            hint="The percentile of visitors is a far lower one of orders.",
        )
    if n * (1 - share) < 1 - 1e-9:
        raise InputError(f"{n} orders do not tell the highest {1 - share:.1%} apart; more of them are needed")
    if isinstance(orders, Histogram):
        cap = orders.quantile(share)
        assert cap is not None, "there are orders"
        return cap
    assert values is not None, "what is no histogram was read as values"
    return float(values[max(math.ceil(round(share * n, 9)), 1) - 1])


def capped_moments(arms: Mapping[str, ArrayLike], cap: float, *, column: str = "capped") -> dict[str, Moments]:
    """Moments of every visitor's value, none above the cap, to be compared with `compare_means` beside the raw ones.

    The estimand is another one, the difference of capped means: show it as a companion, and let it decide only where
    the plan says so. (A metric's `cap` does the same inside the store.) Negative values stay as they are.

    Args:
        arms: by arm, every visitor's value, raw.
        cap: one amount for all arms, above 0.
        column: name of the column.

    Raises:
        InputError: a cap for each arm, one that is not a finite number above 0, or values that are not finite.
    """
    if isinstance(cap, Mapping) or np.ndim(cap) != 0:
        raise InputError(
            f"a cap for each arm: {cap!r}; all arms need the same one",
            hint="Name one amount in the plan, such as `cap_from_orders` gives of earlier orders.",
        )
    if isinstance(cap, bool | str) or not 0 < cap < math.inf:
        raise InputError(f"the cap is {cap!r}; a finite amount above 0 is needed")
    return {
        name: Moments.from_arrays({column: np.minimum(np.asarray(values, dtype=np.float64), cap)})
        for name, values in arms.items()
    }
