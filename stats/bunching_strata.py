"""Orders that gather above a threshold, over phases of an experiment or other strata."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from .bunching import Band, Bunching, band_edges, check_scales, orders_between, threshold_bunching
from .histogram import Histogram
from .moments import Moments
from .strata import compare_proportions_over_strata, weights_of_sizes

__all__ = ["threshold_bunching_over_strata"]


def threshold_bunching_over_strata(
    treatment: Sequence[Histogram],
    control: Sequence[Histogram],
    *,
    threshold: float,
    width: float,
    alpha: float = 0.05,
) -> Bunching:
    """The same over phases or other strata: shares Σ w_h p_h, each stratum weighted by its share of both arms' orders.

    The stratified score interval of `compare_proportions_over_strata` (Miettinen and Nurminen 1985), in either band.
    Where the split moved while baskets changed, orders of all phases together would seem to gather. One stratum has the
    numbers of `threshold_bunching`.

    Assumes and excludes what `threshold_bunching` does, within each stratum.

    Args:
        treatment, control: histograms of order values by stratum, in one order for both, in minor units.
        threshold, width, alpha: as in `threshold_bunching`.

    Returns:
        Status `insufficient` where no stratum has two orders in both arms.

    Raises:
        InputError: as in `threshold_bunching`, or arms with different numbers of strata.

    Example:
        >>> quiet, busy = Histogram.of([4500] * 80 + [5200] * 20, scale=100), Histogram.of([5200] * 100, scale=100)
        >>> found = threshold_bunching_over_strata([quiet, busy], [quiet, busy + busy], threshold=50, width=10)
        >>> found.above.difference.estimate, round(found.above.share_control, 2)
        (0.0, 0.68)
    """
    check_scales({f"stratum {at}": one for at, one in enumerate((*treatment, *control), start=1)})
    weights = weights_of_sizes([[one.n for one in arm] for arm in (treatment, control)])
    if len(weights) == 1:
        return threshold_bunching(treatment[0], control[0], threshold=threshold, width=width, alpha=alpha)
    edges = band_edges(treatment[0], threshold, width)
    n_t, n_c = (sum(one.n for one in arm) for arm in (treatment, control))
    if not any(weights):
        reason = "no stratum has two orders in both arms"
        return Bunching("insufficient", reason, float(threshold), float(width), n_t, n_c, None, None)
    below, above = (
        _stratified_band(name, start, end, treatment, control, weights, alpha)
        for name, (start, end) in zip(("below", "above"), pairwise(edges), strict=True)
    )
    return Bunching("ok", "", float(threshold), float(width), n_t, n_c, below, above)


def _stratified_band(
    name: Literal["below", "above"],
    start: int,
    end: int,
    treatment: Sequence[Histogram],
    control: Sequence[Histogram],
    weights: Sequence[float],
    alpha: float,
) -> Band:
    x_t, x_c = ([orders_between(one, start, end) for one in arm] for arm in (treatment, control))
    arms = [
        [Moments.from_sums(["in it"], one.n, [x], {("in it", "in it"): x}) for one, x in zip(arm, orders, strict=True)]
        for arm, orders in ((treatment, x_t), (control, x_c))
    ]
    difference = compare_proportions_over_strata(arms[0], arms[1], "in it", alpha=alpha).difference
    assert difference is not None
    share_t, share_c = (
        sum(weight * x / one.n for weight, x, one in zip(weights, orders, arm, strict=True) if weight)
        for orders, arm in ((x_t, treatment), (x_c, control))
    )
    scale = treatment[0].scale
    return Band(name, start / scale, end / scale, sum(x_t), sum(x_c), share_t, share_c, difference, None)
