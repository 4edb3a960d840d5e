"""Free-shipping thresholds: orders that gather just above one, and the histograms of order values that show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Literal

from ..errors import InputError
from .fieller import check_alpha
from .histogram import Histogram, bin_of, bin_width
from .proportions import miettinen_nurminen_difference
from .results import Difference
from .showing import Row, Shown

__all__ = [
    "Band",
    "Bunching",
    "OrderHistogram",
    "band_edges",
    "check_scales",
    "order_histogram",
    "orders_between",
    "threshold_bunching",
]


@dataclass(frozen=True, slots=True)
class Band(Shown):
    """Orders between two values.

    Attributes:
        name: `below` or `above` the threshold.
        start, end: values from `start` up to, not including, `end`.
        orders_treatment, orders_control: how many orders lie in it.
        share_treatment, share_control: of all the arm's orders.
        difference: of the two shares, treatment minus control.
        per_visitor: difference of the orders in it a visitor; None where visitors were not given.

    Example:
        >>> d = Difference(0.05, 0.01, 9.0, 0.03, 0.07, 0.001, "miettinen-nurminen")
        >>> Band("above", 50.0, 60.0, 120, 70, 0.2, 0.15, d, None).share_treatment
        0.2
    """

    name: Literal["below", "above"]
    start: float
    end: float
    orders_treatment: int
    orders_control: int
    share_treatment: float
    share_control: float
    difference: Difference
    per_visitor: Difference | None


@dataclass(frozen=True, slots=True)
class Bunching(Shown):
    """Whether orders moved from just below a threshold to just above it.

    Attributes:
        status: `ok`, or `insufficient` with a `reason`: an arm has no orders.
        threshold, width: of the two bands, one below and one above.
        orders_treatment, orders_control: all orders of either arm.
        below, above: the two bands; None where insufficient.

    Example:
        >>> treatment = Histogram.of([4500] * 40 + [5200] * 90 + [8000] * 70, scale=100)
        >>> control = Histogram.of([4500] * 80 + [5200] * 50 + [8000] * 70, scale=100)
        >>> found = threshold_bunching(treatment, control, threshold=50, width=10)
        >>> found.above.difference.estimate, found.below.difference.estimate
        (0.2, -0.2)
    """

    status: Literal["ok", "insufficient"]
    reason: str
    threshold: float
    width: float
    orders_treatment: int
    orders_control: int
    below: Band | None
    above: Band | None

    def to_dicts(self) -> list[Row]:
        """One row a band, the lower first."""
        return [row for band in (self.below, self.above) if band is not None for row in band.to_dicts()]


def threshold_bunching(
    treatment: Histogram,
    control: Histogram,
    *,
    threshold: float,
    width: float,
    visitors_treatment: int | None = None,
    visitors_control: int | None = None,
    alpha: float = 0.05,
) -> Bunching:
    """Share of orders in [threshold, threshold + width) and in [threshold - width, threshold), against control.

    The score interval of a difference of shares (Miettinen and Nurminen 1985), in either band. More orders above and
    fewer below are orders that were filled up to the threshold.

    Assumes one order a visitor: several orders of one visitor are not independent, and the intervals then too narrow.
    Shares of orders compare buyers with buyers, who are not the same people in both arms; `per_visitor`, with the
    visitors given, compares what was randomised. Not for judging the offer: filled-up orders can lose money, so read
    margin a visitor.

    Args:
        treatment, control: histograms of order values, in minor units.
        threshold, width: in major units. A histogram keeps two significant digits, so both bands must end where its
            bins do: at whole units for values from 10.00 to 99.99, at tens of them from 100.00 to 999.99.
        visitors_treatment, visitors_control: all visitors of either arm, with and without orders; for `per_visitor`.
        alpha: 1 minus the confidence level, two-sided.

    Raises:
        InputError: a band that does not end where bins do, histograms of different scales, a threshold that is not
            above 0, a width that is not above 0 or larger than it, or fewer visitors than orders.

    Example:
        >>> treatment = Histogram.of([4500] * 40 + [5200] * 90, scale=100)
        >>> control = Histogram.of([4500] * 80 + [5200] * 50, scale=100)
        >>> found = threshold_bunching(
        ...     treatment, control, threshold=50, width=10, visitors_treatment=5000, visitors_control=5000
        ... )
        >>> found.above.per_visitor.estimate
        0.008
    """
    alpha = check_alpha(alpha)
    check_scales({"treatment": treatment, "control": control})
    start, middle, end = band_edges(treatment, threshold, width)
    if (visitors_treatment is None) != (visitors_control is None):
        raise InputError("visitors are given of one arm only; of both or of neither is needed")
    visitors = None
    if visitors_treatment is not None and visitors_control is not None:
        visitors = visitors_treatment, visitors_control
    n_t, n_c = treatment.n, control.n
    if visitors is not None and (n_t > visitors[0] or n_c > visitors[1]):
        raise InputError(
            f"{n_t} and {n_c} orders of {visitors[0]} and {visitors[1]} visitors; at least as many visitors are needed",
            hint="Give all eligible visitors, with and without orders, and the first order of each.",
        )
    if n_t == 0 or n_c == 0:
        reason = f"no orders in the {'treatment' if n_t == 0 else 'control'}"
        return Bunching("insufficient", reason, float(threshold), float(width), n_t, n_c, None, None)
    below = _band("below", start, middle, treatment, control, visitors, alpha)
    above = _band("above", middle, end, treatment, control, visitors, alpha)
    return Bunching("ok", "", float(threshold), float(width), n_t, n_c, below, above)


def band_edges(histogram: Histogram, threshold: float, width: float) -> tuple[int, int, int]:
    """Where the lower band begins, the threshold, and where the upper one ends, in minor units.

    Raises:
        InputError: as in `threshold_bunching`.
    """
    if not threshold > 0 or not 0 < width <= threshold:
        raise InputError(
            f"the threshold is {threshold!r} and the width {width!r};"
            " a threshold above 0 and a width above 0, at most as large, are needed"
        )
    start, middle, end = (
        _edge(histogram, Fraction(str(threshold)) + sign * Fraction(str(width))) for sign in (-1, 0, 1)
    )
    return start, middle, end


def orders_between(one: Histogram, start: int, end: int) -> int:
    """Orders from `start` up to, not including, `end`, in minor units."""
    return sum(k for edge, k in one.counts.items() if start <= edge < end)


@dataclass(frozen=True, slots=True)
class OrderHistogram(Shown):
    """Order values of several arms in the same bins, ready to be drawn.

    Attributes:
        edges: ends of the bins in major units, one more than there are bins; they need not be equally wide.
        counts: by arm, the orders in each bin.
        shares: by arm, the same as shares of all the arm's orders; empty for an arm without orders.
        densities: by arm, shares for each unit of money: the heights to draw, as areas then compare.
        beyond: by arm, the orders at and above the last edge, which no bin shows.
        threshold: where to draw a line; None without one.

    Example:
        >>> arms = {"control": Histogram.of([4500, 5200], scale=100), "free": Histogram.of([5100, 5200], scale=100)}
        >>> found = order_histogram(arms, width=5, threshold=50)
        >>> found.edges, found.counts
        ((45.0, 50.0, 55.0, 60.0), {'control': (1, 1, 0), 'free': (0, 2, 0)})
    """

    edges: tuple[float, ...]
    counts: dict[str, tuple[int, ...]]
    shares: dict[str, tuple[float, ...]]
    densities: dict[str, tuple[float, ...]]
    beyond: dict[str, int]
    threshold: float | None

    def to_dicts(self) -> list[Row]:
        """One row a bin: where it starts and ends, and each arm's orders and share."""
        rows = []
        for at, (start, end) in enumerate(pairwise(self.edges)):
            row: Row = {"start": start, "end": end}
            for arm, counts in self.counts.items():
                row[f"{arm}_orders"] = counts[at]
                row[f"{arm}_share"] = self.shares[arm][at] if self.shares[arm] else None
            rows.append(row)
        return rows


def order_histogram(
    arms: Mapping[str, Histogram], *, width: float, threshold: float | None = None, upto: float | None = None
) -> OrderHistogram:
    """The arms' order values in common bins, at least `width` wide, one of which begins at the threshold.

    Bins are sums of those of `Histogram`, so that no order is divided among two; where those are wider than `width`,
    as from 100.00 on, so are these. Assumes order values of at least 0. Not a test: `threshold_bunching`.

    Args:
        arms: by arm, the histogram of order values in minor units.
        width: of a bin, in major units.
        threshold: in major units; bins then begin there.
        upto: values from here on are counted in `beyond`; None shows 99 of 100 orders, and two bins past the threshold.

    Raises:
        InputError: no orders, negative values, different scales, or a width, a threshold or an end that is not above 0
            or not where bins end, or an end at or below the threshold or all orders.

    Example:
        >>> found = order_histogram({"control": Histogram.of([1990, 2490, 2590, 9990], scale=100)}, width=10, upto=40)
        >>> found.to_dicts()[1], found.beyond
        ({'start': 20.0, 'end': 30.0, 'control_orders': 2, 'control_share': 0.5}, {'control': 1})
    """
    check_scales(arms)
    some = next(iter(arms.values()))
    every = Histogram({}, some.scale)
    for one in arms.values():
        every = every + one
    if every.n == 0:
        raise InputError("there are no orders to draw")
    least, largest = min(every.counts), max(every.counts)
    if least < 0:
        raise InputError(f"an order has the value {least / some.scale!r}; at least 0 is needed")
    for name, value in (("width", width), ("threshold", threshold), ("end", upto)):
        if value is not None and not value > 0:
            raise InputError(f"the {name} is {value!r}; a number above 0 is needed")
    step = max(int(Fraction(str(width)) * some.scale), 1)
    anchor = 0 if threshold is None else _edge(some, Fraction(str(threshold)))
    last = _last_edge(every, largest, anchor, step) if upto is None else _edge(some, Fraction(str(upto)))
    if last <= max(anchor, least):
        raise InputError(
            f"the end is {upto!r}, with a threshold of {threshold!r} and orders from {least / some.scale!r};"
            " it must lie above both"
        )
    edges = _edges(least, anchor, last, step)
    counts = {arm: _counted(one, edges) for arm, one in arms.items()}
    shares = {arm: tuple(k / arms[arm].n for k in found) if arms[arm].n else () for arm, found in counts.items()}
    widths = [(end - start) / some.scale for start, end in pairwise(edges)]
    densities = {arm: tuple(k / w for k, w in zip(found, widths, strict=False)) for arm, found in shares.items()}
    beyond = {arm: sum(k for edge, k in one.counts.items() if edge >= edges[-1]) for arm, one in arms.items()}
    return OrderHistogram(tuple(edge / some.scale for edge in edges), counts, shares, densities, beyond, threshold)


def check_scales(arms: Mapping[str, Histogram]) -> None:
    """Refuse histograms whose minor units differ."""
    if not arms:
        raise InputError("there are no histograms")
    scales = {arm: one.scale for arm, one in arms.items()}
    if len(set(scales.values())) > 1:
        raise InputError(f"histograms of different scales cannot be compared: {scales}")


def _edge(histogram: Histogram, value: Fraction) -> int:
    """A value in minor units, where a bin begins.

    Raises:
        InputError: no bin begins there.
    """
    minor = value * histogram.scale
    if minor.denominator == 1 and bin_of(int(minor)) == minor:
        return int(minor)
    start = bin_of(int(minor))
    nearest = start / histogram.scale, (start + bin_width(start)) / histogram.scale
    raise InputError(
        f"no bin of the histogram begins at {float(value)!r}; the nearest begin at {nearest[0]!r} and {nearest[1]!r}",
        hint="Take one of these, or count the orders on either side where they are stored and compare the shares.",
    )


def _band(
    name: Literal["below", "above"],
    start: int,
    end: int,
    treatment: Histogram,
    control: Histogram,
    visitors: tuple[int, int] | None,
    alpha: float,
) -> Band:
    x_t, x_c = (orders_between(one, start, end) for one in (treatment, control))
    difference = miettinen_nurminen_difference(x_t, treatment.n, x_c, control.n, alpha=alpha)
    each = None
    if visitors is not None:
        each = miettinen_nurminen_difference(x_t, visitors[0], x_c, visitors[1], alpha=alpha)
    return Band(
        name,
        start / treatment.scale,
        end / treatment.scale,
        x_t,
        x_c,
        x_t / treatment.n,
        x_c / control.n,
        difference,
        each,
    )


def _last_edge(every: Histogram, largest: int, anchor: int, step: int) -> int:
    """Beyond 99 of 100 orders, or all of them where the tail is short, and two bins past the threshold."""
    position, passed, last = 0.99 * every.n, 0, largest
    for edge, number in every.counts.items():
        passed += number
        if passed >= position:
            last = edge
            break
    return max(last + bin_width(last), anchor + 2 * step if anchor else 0)


def _edges(least: int, anchor: int, last: int, step: int) -> Sequence[int]:
    """Edges from the anchor up and down, each at least `step` from the one before, at which bins begin."""
    up = [anchor]
    while up[-1] < last:
        up.append(_rounded_up(up[-1] + step))
    down = [anchor]
    while down[-1] > least:
        down.append(max(bin_of(max(down[-1] - step, 0)), 0))
    edges = [*reversed(down[1:]), *up]
    while len(edges) > 2 and edges[1] <= least:
        edges.pop(0)
    return edges


def _rounded_up(value: int) -> int:
    start = bin_of(value)
    return start if start == value else start + bin_width(start)


def _counted(one: Histogram, edges: Sequence[int]) -> tuple[int, ...]:
    found = [0] * (len(edges) - 1)
    at = 0
    for edge, number in one.counts.items():
        while at < len(found) and edge >= edges[at + 1]:
            at += 1
        if at < len(found) and edge >= edges[0]:
            found[at] += number
    return tuple(found)
