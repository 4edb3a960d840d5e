"""The definition of an experiment that is known only by a table of one row a visitor."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from math import floor

from ..errors import InputError
from ..experiments.definition import BUCKETS, Arm, Definition, Plan
from ..experiments.metrics import Column, CovariateUse, Metric
from .names import check_arm, check_key, check_name

__all__ = ["CONVERSION", "INSTANT", "MOST_ARMS", "REVENUE", "TableColumns", "slug", "table_definition", "table_weights"]

CONVERSION = "conversion"
REVENUE = "revenue"
"""Names of the events that a table's rows become."""

INSTANT = 1
"""Width of a table's windows in microseconds: exposure and outcome are at one instant, the covariate one before."""

MOST_ARMS = 50
"""More distinct values than that are no arms but a column named by mistake."""


@dataclass(frozen=True, slots=True)
class TableColumns:
    """Which columns of a table hold what; None where there is none."""

    arm: str
    visitor: str | None = None
    revenue: str | None = None
    conversion: str | None = None
    covariate: str | None = None


def table_definition(
    key: str,
    columns: TableColumns,
    arms: Collection[str],
    control: str,
    weights: Mapping[str, Fraction] | None,
    *,
    currency: str,
    primary: str | None,
    at: datetime,
) -> Definition:
    """The definition of a table; the control is listed first, then the other arms by name.

    Raises:
        InputError: fewer than two arms or far too many, the control is not among them, an unknown primary.
    """
    if control not in arms:
        raise InputError(
            f"the control {control!r} is not among the arms of column {columns.arm!r}",
            hint=f"Arms seen: {_some(arms)}.",
        )
    if not 2 <= len(arms) <= MOST_ARMS:
        raise InputError(
            f"column {columns.arm!r} has {len(arms)} distinct values; an experiment has 2 to {MOST_ARMS} arms",
            hint=f"Seen: {_some(arms)}.",
        )
    metrics = _metrics(columns)
    names = [metric.name for metric in metrics]
    default = "revenue_per_visitor" if columns.revenue is not None else "conversion"
    if primary is not None and primary not in names:
        raise InputError(f"the primary metric {primary!r} is not one of {', '.join(names)}")
    listed = [control, *sorted(set(arms) - {control})]
    ratios = {arm: Fraction(1) if weights is None else weights[arm] for arm in listed}
    buckets = _largest_remainder(ratios)
    return Definition(
        experiment=check_key(key),
        control=control,
        arms=tuple(Arm(check_arm(arm), buckets[arm], ratio=ratios[arm]) for arm in listed),
        metrics=metrics,
        plan=Plan(primary or default),
        source="table",
        salt=key,
        layer=key,
        starts_at=at,
        currency=currency,
    )


def table_weights(weights: Mapping[str, object], control: str) -> dict[str, Fraction]:
    """The intended ratio of each arm, exactly.

    Raises:
        InputError: a weight that is no positive number, no weight for the control.
    """
    exact: dict[str, Fraction] = {}
    for arm, weight in weights.items():
        try:
            ratio = weight if isinstance(weight, Fraction) else Fraction(Decimal(str(weight)))
        except (InvalidOperation, ValueError, OverflowError):
            raise InputError(f"the weight of arm {arm!r} is a positive number, seen {weight!r}") from None
        if ratio <= 0:
            raise InputError(f"the weight of arm {arm!r} is a positive number, seen {weight!r}")
        exact[arm] = ratio
    if len(exact) < 2:
        raise InputError(f"the weights name only {_some(exact)}; every arm needs one, and there are at least two arms")
    if control not in exact:
        raise InputError(f"the weights name {_some(exact)} but not the control {control!r}")
    return exact


def slug(text: str) -> str:
    """A key made of a file's name: lower case, hyphens between words."""
    stem = re.sub(r"\.(csv|tsv|txt|gz)\b", "", text.lower())
    return re.sub(r"[^a-z0-9]+", "-", stem)[:100].strip("-") or "table"


def _metrics(columns: TableColumns) -> tuple[Metric, ...]:
    if columns.revenue is None and columns.conversion is None:
        raise InputError("no column of revenue nor of conversion is named", hint="Name one of them, or both.")
    use = None
    if columns.covariate is not None:
        use = CovariateUse(check_name("a covariate", columns.covariate), INSTANT)
    metrics = []
    if columns.conversion is not None:
        converted = Column(CONVERSION, "converted")
        metrics.append(Metric("conversion", "conversion", converted, window_end=INSTANT, covariate=use))
    if columns.revenue is not None:
        value = Column(REVENUE, "value")
        metrics.append(Metric("revenue_per_visitor", "revenue", value, window_end=INSTANT, covariate=use))
        if columns.conversion is not None:
            orders = Column(CONVERSION, "count")
            metrics.append(Metric("average_order_value", "ratio", value, denominator=orders, window_end=INSTANT))
    return tuple(metrics)


def _largest_remainder(ratios: Mapping[str, Fraction]) -> dict[str, int]:
    total = sum(ratios.values())
    exact = {arm: ratio / total * BUCKETS for arm, ratio in ratios.items()}
    buckets = {arm: floor(share) for arm, share in exact.items()}
    rest = BUCKETS - sum(buckets.values())
    for arm in sorted(exact, key=lambda arm: buckets[arm] - exact[arm])[:rest]:
        buckets[arm] += 1
    return buckets


def _some(names: Collection[str]) -> str:
    listed = sorted(names)
    return ", ".join(map(repr, listed[:10])) + (f" and {len(listed) - 10} more" if len(listed) > 10 else "")
