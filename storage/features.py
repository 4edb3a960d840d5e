"""Per-visitor numbers behind the moment columns of a metric, in one order for the database and for files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import InputError
from ..experiments.definition import Definition
from ..experiments.metrics import Column, CovariateUse, Metric

__all__ = ["Feature", "Pair", "Window", "features_of", "pairs_of", "refuse_unexecuted", "window_of"]

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Window:
    """Microseconds after the exposure: from `start` until before `end`; None: for ever.

    What was ordered in it may be given back for `refund` longer.
    """

    start: int
    end: int | None
    refund: int = 0

    def closed(self, as_of: int) -> int:
        """The latest exposure whose window has passed by `as_of`, the time for refunds included."""
        return as_of if self.end is None else as_of - self.end - self.refund


@dataclass(frozen=True, slots=True)
class Feature:
    """A per-visitor number: an outcome column, a covariate (0 where missing) or whether that is missing.

    Of visitors whose window has not passed yet it is not taken. More than `cap` counts as `cap`.
    """

    source: Column | CovariateUse
    window: Window
    missing: bool = False
    cap: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it takes whole values only: counts, flags and minor units."""
        return isinstance(self.source, Column) or self.missing

    @property
    def is_money(self) -> bool:
        """Whether it is in minor units."""
        return isinstance(self.source, Column) and self.source.is_money


def window_of(metric: Metric) -> Window:
    """The window of a metric's outcomes."""
    return Window(metric.window_start, metric.window_end, metric.refund_window)


def features_of(metric: Metric) -> list[Feature]:
    """The features in the order of `metric.moment_columns`."""
    window = window_of(metric)
    # Of a ratio the cap is one of what is above the line.
    features = [Feature(metric.numerator, window, cap=metric.cap)]
    if metric.denominator is not None:
        features.append(Feature(metric.denominator, window))
    if metric.covariate is not None:
        features += [Feature(metric.covariate, window), Feature(metric.covariate, window, missing=True)]
    return features


def pairs_of(positions: Sequence[int]) -> list[Pair]:
    """Every pair of the positions, itself included, the smaller first."""
    return [(min(i, j), max(i, j)) for k, i in enumerate(positions) for j in positions[k:]]


def refuse_unexecuted(definition: Definition) -> None:
    """Refuse what is not computed yet.

    Raises:
        InputError: a metric has filters.
    """
    for metric in definition.metrics:
        if metric.filters:
            raise InputError(
                f"metric {metric.name!r} of {definition.experiment!r} has filters, which are not executed yet"
            )
