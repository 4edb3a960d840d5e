"""Raw sums of an arm's visitors, put together exactly from what the statements return.

A database's sums of doubles are taken as they are; everything afterwards is rational arithmetic.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import fsum

from ..errors import InputError
from ..experiments.metrics import Column, CovariateUse, Metric
from ..stats.moments import Moments
from .features import Feature, Pair, Window, features_of, pairs_of, window_of

__all__ = ["Layout", "Sums", "Use", "add_covariate", "add_outcomes", "best_shift", "moments_of", "summed"]

EXACT = 2**53
"""Up to here a double holds every whole number."""

CANCELLED = 100
"""A column whose squared mean is that many times its variance is read again about its mean."""


Use = tuple[str | None, Window]
"""An event (None: any) and a window in which some metric looks for it."""


class Layout:
    """What is summed for all metrics of an experiment together.

    Attributes:
        features: the per-visitor numbers, each once.
        windows: theirs, each once.
        uses: the events that metrics look for, and in which window.
        events: those of the uses, each once.
        money_uses: the uses whose values or costs are summed.
        outcome_features: positions of the features that are taken from outcomes.
        outcome_pairs: the pairs of features that some metric needs, at least one of them taken from outcomes.
        covariates: the windows that each covariate is used with.
    """

    def __init__(self, metrics: Sequence[Metric]):
        self.features = list(dict.fromkeys(feature for metric in metrics for feature in features_of(metric)))
        self.windows = list(dict.fromkeys(feature.window for feature in self.features))
        self.uses = list(
            dict.fromkeys((column.event, window_of(metric)) for metric in metrics for column in metric.columns)
        )
        self.events = list(dict.fromkeys(event for event, _ in self.uses))
        self.money_uses = [
            use
            for use in self.uses
            if any(
                column.is_money and use == (column.event, window_of(metric))
                for metric in metrics
                for column in metric.columns
            )
        ]
        self.outcome_features = [i for i, one in enumerate(self.features) if isinstance(one.source, Column)]
        pairs = sorted({pair for metric in metrics for pair in pairs_of(self.positions(metric))})
        self.outcome_pairs = [pair for pair in pairs if not set(pair).isdisjoint(self.outcome_features)]
        self.covariates: dict[CovariateUse, list[Window]] = {}
        for one in self.features:
            if isinstance(one.source, CovariateUse) and not one.missing:
                self.covariates.setdefault(one.source, []).append(one.window)

    def positions(self, metric: Metric) -> list[int]:
        """Positions of a metric's features."""
        return [self.features.index(feature) for feature in features_of(metric)]


@dataclass(slots=True)
class Sums:
    """Of one arm: visitors by window, Σx and Σx³ by feature, Σxy by pair, outcome rows by event; zeros by default.

    `unreported` outcome rows are in another currency and have no value in the reporting one.
    """

    visitors: dict[Window, int] = field(default_factory=lambda: defaultdict(int))
    first: dict[int, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    third: dict[int, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    products: dict[Pair, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    outcomes: dict[str | None, int] = field(default_factory=lambda: defaultdict(int))
    unreported: int = 0

    def add(self, other: Sums, sign: int = 1) -> None:
        """Add another's sums, or take them away."""
        for name in ("visitors", "first", "third", "products", "outcomes"):
            mine = getattr(self, name)
            for key, value in getattr(other, name).items():
                mine[key] += sign * value
        self.unreported += sign * other.unreported


def summed(rows: Sequence[Sequence[float]]) -> list[Fraction]:
    """The sums of each column over an arm's parts, exact but for one rounding, whatever the order.

    Raises:
        InputError: one of them is NaN or infinite.
    """
    try:
        return [Fraction(fsum(column)) for column in zip(*rows, strict=True)]
    except (ValueError, OverflowError) as error:
        # A store refuses such values; somebody else's tables may have them.
        raise InputError(
            "a sum is NaN or infinite: so is some value, cost or covariate that was read",
            hint="Leave such rows out: in a definition's `warehouse`, write `sql` instead of `table`.",
        ) from error


def add_outcomes(
    sums: Sums, layout: Layout, values: Sequence[Fraction], shifts: Sequence[float]
) -> dict[Window, Fraction]:
    """Add one row of `moment_statement`, its keys left out: the shift is taken back exactly.

    Returns:
        How many visitors the row is of for whom each window has passed; they are not added.
    """
    rest = iter(values)
    for event in layout.events:
        sums.outcomes[event] += int(next(rest))
    sums.unreported += int(next(rest))
    counts = {window: next(rest) for window in layout.windows}
    n = [counts[feature.window] for feature in layout.features]
    s = [Fraction(shift) for shift in shifts]
    moved = [next(rest) for _ in layout.features]
    cubes = {i: next(rest) for i in layout.outcome_features}
    squares = dict(zip(layout.outcome_pairs, rest, strict=True))
    for i, j in layout.outcome_pairs:
        sums.products[i, j] += squares[i, j] + s[i] * moved[j] + s[j] * moved[i] + n[i] * s[i] * s[j]
    for i in layout.outcome_features:
        sums.first[i] += moved[i] + n[i] * s[i]
        sums.third[i] += _third(n[i], moved[i], squares[i, i], cubes[i], s[i])
    return counts


def add_covariate(
    sums: Sums, layout: Layout, use: CovariateUse, values: Sequence[Fraction] | None, shifts: Sequence[float]
) -> None:
    """Add one row of `covariate_statement`, its keys left out; None: nobody of that arm has the covariate.

    Those without it have 0 and are marked as missing.
    """
    windows = layout.covariates[use]
    rest = iter(values or [Fraction(0)] * (4 * len(windows)))
    for window, s in zip(windows, map(Fraction, shifts), strict=True):
        n, first, second, third = (next(rest) for _ in range(4))
        i, j = (layout.features.index(Feature(use, window, missing)) for missing in (False, True))
        sums.first[i] += first + n * s
        sums.products[i, i] += second + 2 * s * first + n * s * s
        sums.third[i] += _third(n, first, second, third, s)
        missing = sums.visitors[window] - n
        sums.first[j] += missing
        sums.products[j, j] += missing
        sums.third[j] += missing


def _third(n: Fraction, first: Fraction, second: Fraction, third: Fraction, s: Fraction) -> Fraction:
    """Σ(y + s)³ from the sums of y."""
    return third + 3 * s * second + 3 * s * s * first + n * s**3


def best_shift(feature: Feature, i: int, arms: Iterable[Sums]) -> float:
    """What to subtract from a feature so that its squares do not cancel; 0 where nothing is lost without.

    Sums of whole numbers below 2⁵³ are exact. Otherwise Σx² - n·x̄² loses as many digits as the squared mean exceeds
    the variance.
    """
    lossy = False
    total, number = Fraction(0), 0
    for arm in arms:
        n, first, square = arm.visitors[feature.window], arm.first[i], arm.products[i, i]
        total, number = total + first, number + n
        if n < 2 or (feature.is_whole and square <= EXACT):
            continue
        about_mean = first**2 / n
        lossy |= about_mean > CANCELLED * (square - about_mean)
    if not lossy:
        return 0.0
    return float(round(total / number)) if feature.is_whole else float(total / number)


def _with_absent(sums: Sums, layout: Layout, at: Sequence[int]) -> Sums:
    """The sums with 1 - x for each column of those who stayed away.

    The statements read only visitors with outcomes, and sum for these whether they came back.
    """
    absent = [i for i in at if _is_absent(layout.features[i])]
    if not absent:
        return sums
    turned = Sums(sums.visitors, outcomes=sums.outcomes)
    turned.add(Sums(first=sums.first, third=sums.third, products=sums.products))
    for i in absent:
        n, first, square = sums.visitors[layout.features[i].window], sums.first[i], sums.products[i, i]
        turned.first[i] = n - first
        turned.third[i] = n - 3 * first + 3 * square - sums.third[i]
        for j in at:
            pair = min(i, j), max(i, j)
            turned.products[pair] = n - 2 * first + square if i == j else sums.first[j] - sums.products[pair]
    return turned


def _is_absent(feature: Feature) -> bool:
    return isinstance(feature.source, Column) and feature.source.measure == "absent"


def moments_of(metric: Metric, sums: Sums, layout: Layout, scale: int) -> Moments:
    """Moments of a metric in one arm; `scale` is the minor units of one major unit."""
    columns, at = metric.moment_columns, layout.positions(metric)
    sums = _with_absent(sums, layout, at)
    return Moments.from_sums(
        columns,
        sums.visitors[layout.features[at[0]].window],
        [sums.first[i] for i in at],
        {
            (columns[k], columns[m]): sums.products[min(at[k], at[m]), max(at[k], at[m])]
            for k in range(len(at))
            for m in range(k, len(at))
        },
        [sums.third[i] for i in at],
        scale=[scale if layout.features[i].is_money else 1 for i in at],
    )
