"""One arm's moments over several phases, for what takes an arm's moments and knows nothing of phases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from .moments import Moments

__all__ = ["moments_over_strata"]


def moments_over_strata(strata: Sequence[Moments], weights: Sequence[float]) -> Moments:
    """Moments that stand for an arm's strata: means Σ w_h m_h, and their covariances Σ w_h² Cov_h/n_h.

    Adding the strata up would compare a mix of days with another mix where the split changed. Here each arm's means
    are those of `mean_over_strata`, with the same variance, and ratios of them those of `ratio_over_strata`; so
    differences, contrasts, Fieller's sets and chances of any function that reads means and covariances are those over
    strata.

    Cochran (1977, chapter 5). Assumes independent visitors; degrees of freedom are n - 1 of all visitors, a little more
    than Satterthwaite's, which matters below some hundred. Not for a column of zeros and ones where counts are wanted
    (`compare_proportions`, `demand_curve`), as its combined mean is no count, and not for `skew_kappa`: third moments
    are 0.

    Args:
        strata: the arm's moments stratum by stratum.
        weights: of `stratum_weights`, the same for all arms.

    Returns:
        The moments of all visitors in strata with weight; of one stratum with all of it, those moments themselves.

    Raises:
        InputError: other numbers of strata and weights, strata of other columns, no stratum with weight, or one of
            fewer than two visitors.

    Example:
        >>> from offerlift.stats import Moments
        >>> quiet, busy = Moments.from_arrays({"orders": [0, 1] * 50}), Moments.from_arrays({"orders": [1, 1, 2] * 50})
        >>> round(moments_over_strata([quiet, busy], (0.25, 0.75)).mean_of("orders"), 3)
        1.125
    """
    if len(strata) != len(weights):
        raise InputError(f"{len(strata)} strata and {len(weights)} weights; one weight for each is needed")
    kept = [(weight, one) for weight, one in zip(weights, strata, strict=True) if weight]
    if not kept:
        raise InputError("no stratum has any weight", hint="Every arm needs two visitors in one of them.")
    columns = kept[0][1].columns
    for _, one in kept:
        if one.columns != columns or one.n < 2:
            raise InputError(
                f"a stratum has {one.n} visitors and the columns {list(one.columns)}, the first {list(columns)};"
                " two visitors or more and the same columns are needed"
            )
    if len(kept) == 1 and kept[0][0] == 1:
        return kept[0][1]
    n = sum(one.n for _, one in kept)
    of_means = sum(weight**2 / one.n / (one.n - 1) * one.m2 for weight, one in kept)
    mean = sum(weight * one.mean for weight, one in kept)
    return Moments(columns, n, np.asarray(mean), np.asarray(of_means) * n * (n - 1), np.zeros(len(columns)))
