"""Metrics: which per-visitor numbers an experiment is judged by, and the columns that the store has to sum for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

__all__ = [
    "BUILT_IN_METRICS",
    "GUARDRAIL_METRICS",
    "Column",
    "CovariateUse",
    "Measure",
    "Metric",
    "MetricKind",
]

MetricKind = Literal["conversion", "count", "revenue", "margin", "ratio", "retention"]
Measure = Literal["converted", "count", "value", "margin", "absent"]

DAY = 86_400_000_000
"""A day in microseconds, the unit of every duration in a frozen definition."""


@dataclass(frozen=True, slots=True)
class Column:
    """One per-visitor number: what is taken from the outcomes called `event` inside the metric's window.

    `converted` is 1 for a visitor with at least one such outcome and `absent` for one without, `count` how many,
    `value` the sum of their values, `margin` the sum of value - cost. An `event` of None means any outcome.
    """

    event: str | None
    measure: Measure

    @property
    def name(self) -> str:
        """Name of the column in `Moments`."""
        return f"{self.event or '*'}:{self.measure}"

    @property
    def is_money(self) -> bool:
        """Whether the store holds it in minor units of the currency."""
        return self.measure in ("value", "margin")


@dataclass(frozen=True, slots=True)
class CovariateUse:
    """A number known before the exposure that adjusts a metric (CUPED).

    `name` is the covariate's name in the store. Only values with exposure time - `window` <= time <= exposure time
    count, the latest of them; a `window` of None looks back without limit.
    """

    name: str
    window: int | None = None

    @property
    def column(self) -> str:
        """Name of the value's column in `Moments` (0 where it is missing)."""
        return f"covariate:{self.name}"

    @property
    def missing_column(self) -> str:
        """Name of the column that is 1 for visitors without the value."""
        return f"covariate:{self.name}:missing"


@dataclass(frozen=True, slots=True)
class Metric:
    """A frozen metric of an experiment.

    Attributes:
        name: unique inside the experiment.
        kind: conversion, count, revenue, margin, ratio or retention.
        numerator: the column measured (of a ratio: above the line).
        denominator: of a ratio, the column below the line; None otherwise.
        window_start: microseconds after the exposure at which the window opens (0 but for retention).
        window_end: microseconds after the exposure at which it closes, exclusive; None: never (all visitors are
            mature at once, and later outcomes still count).
        covariate: what adjusts the metric, if anything.
        desired_change: whether more or less is better.
        non_inferiority_margin: of a guardrail, the relative loss that is still acceptable (0.02 is 2 %).
        cap: largest value of one visitor that counts, in minor units; None: no cap. Of a ratio, of its numerator.
        refund_window: microseconds after `window_end` in which a refund of what was ordered in the window still counts;
            the metric is mature only then.
        filters: conditions on declared columns, as (column, operator, value); executed later.
    """

    name: str
    kind: MetricKind
    numerator: Column
    denominator: Column | None = None
    window_start: int = 0
    window_end: int | None = None
    covariate: CovariateUse | None = None
    desired_change: Literal["increase", "decrease"] = "increase"
    non_inferiority_margin: float | None = None
    cap: int | None = None
    filters: tuple[tuple[str, str, object], ...] = ()
    refund_window: int = 0

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that the metric is computed from."""
        return (self.numerator,) if self.denominator is None else (self.numerator, self.denominator)

    @property
    def moment_columns(self) -> tuple[str, ...]:
        """Names of all columns in the metric's `Moments`, the covariate's two last."""
        names = tuple(column.name for column in self.columns)
        return names if self.covariate is None else (*names, self.covariate.column, self.covariate.missing_column)


_PURCHASE = "purchase"

_GUARDRAILS = (
    Metric(
        "never_return",
        "retention",
        Column(None, "absent"),
        window_start=7 * DAY,
        window_end=28 * DAY,
        desired_change="decrease",
    ),
    Metric("unsubscribe_rate", "conversion", Column("unsubscribe", "converted"), desired_change="decrease"),
    Metric(
        "refund_rate",
        "ratio",
        Column("refund", "count"),
        denominator=Column(_PURCHASE, "count"),
        desired_change="decrease",
    ),
    Metric("full_price_share", "ratio", Column("full_price_purchase", "count"), denominator=Column(_PURCHASE, "count")),
    Metric("satisfaction", "ratio", Column("promoter", "count"), denominator=Column("survey", "count")),
)

GUARDRAIL_METRICS = frozenset(metric.name for metric in _GUARDRAILS)
"""Built-in metrics that an offer should not harm. A shop's own metric may have one of these names and comes first."""

BUILT_IN_METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric("conversion", "conversion", Column(_PURCHASE, "converted")),
            Metric("orders_per_visitor", "count", Column(_PURCHASE, "count")),
            Metric("revenue_per_visitor", "revenue", Column(_PURCHASE, "value")),
            Metric("margin_per_visitor", "margin", Column(_PURCHASE, "margin")),
            Metric("average_order_value", "ratio", Column(_PURCHASE, "value"), denominator=Column(_PURCHASE, "count")),
            *_GUARDRAILS,
        )
    }
)
"""Metrics that a definition can name without spelling them out."""
