"""Moments of a table without any database: exact integer sums, as the store's statements give them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from operator import mul
from typing import Protocol

from ..experiments.currencies import minor_digits
from ..experiments.definition import Definition
from ..experiments.metrics import Metric
from ..stats.moments import Moments
from .features import Feature, features_of, pairs_of, refuse_unexecuted
from .observations import ArmCounts, Observations
from .sums import Layout
from .visitors import VisitorValues, visitor_values

__all__ = ["table_observations", "table_visitors"]


class Row(Protocol):
    """What is read of a table's row."""

    @property
    def arm(self) -> str: ...
    @property
    def converted(self) -> bool | None: ...
    @property
    def revenue(self) -> int | None: ...
    @property
    def covariate(self) -> float | None: ...


def table_observations(definition: Definition, rows: Sequence[Row], *, refused: int) -> Observations:
    """Observations of a table: everybody is mature, nobody crosses over."""
    refuse_unexecuted(definition)
    arms: dict[str, list[Row]] = {arm.name: [] for arm in definition.arms}
    for row in rows:
        arms[row.arm].append(row)
    events = sorted({column.event for metric in definition.metrics for column in metric.columns if column.event})
    return Observations(
        definition=definition,
        state="stopped",
        as_of=datetime.now(UTC),
        arms={
            arm: ArmCounts(len(own), 0, {event: _count(event, own) for event in events}) for arm, own in arms.items()
        },
        moments={
            metric.name: {arm: _moments(metric, own, definition.currency) for arm, own in arms.items()}
            for metric in definition.metrics
        },
        first_exposure=definition.starts_at if rows else None,
        last_exposure=definition.starts_at if rows else None,
        refused_rows=refused,
    )


def table_visitors(definition: Definition, rows: Sequence[Row], arm: str) -> VisitorValues:
    """The joint values of an arm's rows, equal ones together."""
    features = Layout(definition.metrics).features
    own = [row for row in rows if row.arm == arm]
    values = [_capped(feature, _values(feature, own)) for feature in features]
    found = Counter(zip(*values, strict=True))
    return visitor_values(definition, features, list(found), list(found.values()), len(own))


def _count(event: str, rows: Sequence[Row]) -> int:
    return sum(bool(row.converted) if event == "conversion" else bool(row.revenue) for row in rows)


def _moments(metric: Metric, rows: Sequence[Row], currency: str) -> Moments:
    columns, features = metric.moment_columns, features_of(metric)
    if not rows:
        return Moments.zero(columns)
    values = [_capped(feature, _values(feature, rows)) for feature in features]
    # A number such as a year has squares that would cancel; whole numbers are summed exactly anyway.
    shifts = [0.0 if feature.is_whole else math.fsum(x) / len(x) for feature, x in zip(features, values, strict=True)]
    values = [[one - shift for one in x] if shift else x for x, shift in zip(values, shifts, strict=True)]
    whole = [feature.is_whole for feature in features]
    products = {
        (columns[i], columns[j]): _total(map(mul, values[i], values[j]), whole[i] and whole[j])
        for i, j in pairs_of(range(len(columns)))
    }
    return Moments.from_sums(
        columns,
        len(rows),
        [_total(x, exact) for x, exact in zip(values, whole, strict=True)],
        products,
        [_total((one * one * one for one in x), exact) for x, exact in zip(values, whole, strict=True)],
        scale=[10 ** minor_digits(currency) if feature.is_money else 1 for feature in features],
        shift=shifts,
    )


def _capped(feature: Feature, values: list) -> list:
    return values if feature.cap is None else [min(value, feature.cap) for value in values]


def _total(values, whole: bool) -> int | float:
    return sum(values) if whole else math.fsum(values)


def _values(feature: Feature, rows: Sequence[Row]) -> list:
    if feature.missing:
        return [int(row.covariate is None) for row in rows]
    if not feature.is_whole:
        return [row.covariate or 0.0 for row in rows]
    if feature.is_money:
        return [row.revenue or 0 for row in rows]
    return [int(bool(row.converted)) for row in rows]
