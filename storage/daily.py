"""The grouped statements behind a course over time: what each day adds to the sums, in one pass.

When a visitor's running total goes from y to x, the day adds x - y to the sum, x² - y² to the sum of squares, x³ - y³
to that of cubes, and likewise to products. So the days up to any day add up to the sums at its end, and every outcome
is read once, however many days there are.

Only visitors with outcomes have running totals; the others are counted on the day of their exposure, and covariates,
which are known by then, enter on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from sqlalchemy import ColumnElement, Double, FromClause, Select, Subquery, case, func, literal, select

from ..experiments.metrics import DAY, Column, CovariateUse
from .cohort import Cohort, day_of, keys_of, subjects
from .features import Feature
from .happened import (
    Within,
    all_of,
    among_counted,
    any_of,
    capped,
    counted_flags,
    flag,
    is_order,
    join_covariate,
    outcome_rows,
    unreported_flag,
    uses_within,
    when,
)
from .sources import Sources
from .sums import Layout, Use

__all__ = ["Calendar", "Clock", "Observed", "change_statement", "covariate_entry_statement", "entry_statement"]

Cell = tuple[ColumnElement[int], ...]
"""Columns that tell days apart, in microseconds."""

Amount = tuple[Use, str]
"""What is summed of the rows of a use: "count" (of orders), "value" or "margin"."""


class Clock(Protocol):
    """By which days a course is read: columns that every statement adds to its keys.

    `width` is how many of them a change has; a visitor's entry has one.
    """

    width: ClassVar[int]

    def entry(self, exposed: ColumnElement[int]) -> Cell:
        """The cell that a visitor enters."""
        ...

    def change(self, exposed: ColumnElement[int], at: ColumnElement[int]) -> Cell:
        """The cell of what a visitor does at a time, not before the exposure."""
        ...


@dataclass(frozen=True, slots=True)
class Calendar:
    """Days of the calendar, each by its first microsecond, where clocks are `offset` microseconds ahead of UTC."""

    width: ClassVar[int] = 1
    offset: int

    def entry(self, exposed: ColumnElement[int]) -> Cell:
        """The day of the exposure."""
        return (day_of(exposed, self.offset),)

    def change(self, exposed: ColumnElement[int], at: ColumnElement[int]) -> Cell:
        """The day of the change."""
        return (day_of(at, self.offset),)


@dataclass(frozen=True, slots=True)
class Observed:
    """Whole days since the exposure, `days` at most, of visitors observed until `as_of`."""

    width: ClassVar[int] = 2
    as_of: int
    days: int

    def entry(self, exposed: ColumnElement[int]) -> Cell:
        """How long the visitor was observed."""
        return (self._whole(self.as_of - exposed),)

    def change(self, exposed: ColumnElement[int], at: ColumnElement[int]) -> Cell:
        """How long the visitor was observed, and how long after the exposure the change came."""
        return self._whole(self.as_of - exposed), self._whole(at - exposed)

    def _whole(self, span: ColumnElement[int]) -> ColumnElement[int]:
        most = self.days * DAY
        return case((span >= most, most), else_=span - span % literal(DAY, literal_execute=True))


def entry_statement(sources: Sources, cohort: Cohort, clock: Clock) -> Select:
    """The keys, the cell, and how many visitors entered it."""
    subject = subjects(sources, cohort)
    keys = keys_of(cohort)
    cell = _labelled(clock.entry(subject.c.at))
    entered = select(*(subject.c[key] for key in keys), *cell).subquery("entered")
    by = [entered.c[key] for key in keys] + [entered.c[one.name] for one in cell]
    return select(*by, func.count()).group_by(*by)


def covariate_entry_statement(
    sources: Sources, cohort: Cohort, use: CovariateUse, clock: Clock, shift: float
) -> Select:
    """Of visitors who have a covariate: the keys, the cell, how many, Σc, Σc² and Σc³, a shift subtracted from c."""
    subject = subjects(sources, cohort)
    keys = keys_of(cohort)
    source, value, is_latest = join_covariate(sources, cohort, subject, subject, use, keep_missing=False)
    cell = _labelled(clock.entry(subject.c.at))
    moved = value - literal(shift, Double) if shift else value
    entered = (
        select(*(subject.c[key] for key in keys), *cell, moved.label("x"))
        .select_from(source)
        .where(is_latest)
        .subquery("entered")
    )
    x = entered.c.x
    by = [entered.c[key] for key in keys] + [entered.c[one.name] for one in cell]
    return select(*by, func.count(), func.sum(x), func.sum(x * x), func.sum(x * x * x)).group_by(*by)


def change_statement(sources: Sources, cohort: Cohort, layout: Layout, clock: Clock, shifts: Sequence[float]) -> Select:
    """What outcomes and refunds changed: the keys, the cell, and the columns of `moment_statement`.

    A visitor enters the sums with the first outcome: each window counts those who do.
    """
    running = _running(sources, cohort, layout, clock)
    keys = [running.c[key] for key in keys_of(cohort)]
    cell = [column for column in running.c if column.name.startswith("cell")]
    counts = [running.c[f"n{i}"] for i in range(len(layout.events))] + [running.c.unreported]
    source: FromClause = running
    known: dict[CovariateUse, ColumnElement[float]] = {}
    latest: list[ColumnElement[bool]] = []
    for i, use in enumerate(layout.covariates):
        source, known[use], is_latest = join_covariate(sources, cohort, source, running, use, i, keep_missing=True)
        latest.append(is_latest)
    is_first = running.c.place == 1
    values = [
        _before_and_after(feature, layout, running, known, shift)
        for feature, shift in zip(layout.features, shifts, strict=True)
    ]
    between = (
        select(
            *keys,
            *cell,
            *counts,
            flag(is_first).label("entered"),
            *(case((is_first, literal(0.0, Double)), else_=y).label(f"y{i}") for i, (y, _) in enumerate(values)),
            *(x.label(f"x{i}") for i, (_, x) in enumerate(values)),
        )
        .select_from(source)
        .where(*latest)
        .subquery("between")
    )
    y, x = ([between.c[f"{name}{i}"] for i in range(len(layout.features))] for name in "yx")
    by = [between.c[column.name] for column in (*keys, *cell)]
    return select(
        *by,
        *(func.sum(between.c[column.name]) for column in counts),
        *(func.sum(between.c.entered) for _ in layout.windows),
        *(func.sum(x[i] - y[i]) for i in range(len(layout.features))),
        *(func.sum(x[i] * x[i] * x[i] - y[i] * y[i] * y[i]) for i in layout.outcome_features),
        *(func.sum(x[i] * x[j] - y[i] * y[j]) for i, j in layout.outcome_pairs),
    ).group_by(*by)


def _running(sources: Sources, cohort: Cohort, layout: Layout, clock: Clock) -> Subquery:
    """One row an outcome or refund that counts, with its visitor's totals up to it.

    Columns: the keys, visitor_id, at (of the exposure), the cell, flags n0, n1, ... by event, unreported, place (1 for
    a visitor's first row), and of each amount what the row adds (d0, d1, ...) and the total with it (r0, r1, ...).
    """
    rows = outcome_rows(sources, cohort, layout)
    found = uses_within(layout, rows, cohort)
    within = among_counted(found)
    effect: ColumnElement[int] = rows.c.at
    if "refunded_at" in rows.c:
        # A refund that was written down before its order counts when both are known.
        effect = case((rows.c.refunded_at > rows.c.at, rows.c.refunded_at), else_=rows.c.at)
    amounts = _amounts(layout)
    happened = (
        select(
            *(rows.c[key] for key in keys_of(cohort)),
            rows.c.visitor_id,
            rows.c.exposed_at.label("at"),
            effect.label("effect"),
            *_labelled(clock.change(rows.c.exposed_at, effect)),
            *(flag(one).label(f"n{i}") for i, one in enumerate(counted_flags(layout, rows, within))),
            flag(unreported_flag(layout, rows, within)).label("unreported"),
            *(_added(amount, rows, within).label(f"d{i}") for i, amount in enumerate(amounts)),
        )
        .where(any_of(*found.values()))
        .subquery("counted")
    )
    # Rows of one instant may come in any order, if it is the same for all of these: what they add is of one day.
    window: dict[str, Any] = {"partition_by": happened.c.visitor_id, "order_by": happened.c.effect, "rows": (None, 0)}
    return select(
        *(column for column in happened.c if column.name != "effect"),
        func.count().over(**window).label("place"),
        *(func.sum(happened.c[f"d{i}"]).over(**window).label(f"r{i}") for i in range(len(amounts))),
    ).subquery("running")


def _amounts(layout: Layout) -> list[Amount]:
    """What has to be summed for the features, each once: whether somebody converted is whether the count is above 0."""
    return list(dict.fromkeys(_amount(layout.features[i]) for i in layout.outcome_features))


def _amount(feature: Feature) -> Amount:
    assert isinstance(feature.source, Column)
    measure = feature.source.measure
    return (feature.source.event, feature.window), "count" if measure in ("converted", "absent") else measure


def _added(amount: Amount, rows: FromClause, within: Within) -> ColumnElement[float]:
    use, what = amount
    taken, zero = within[use], literal(0.0, Double)
    if what == "count":
        return when(all_of(taken, is_order(rows)), literal(1.0, Double), zero)
    return when(taken, rows.c.value if what == "value" else rows.c.value - rows.c.cost, zero)


def _before_and_after(
    feature: Feature,
    layout: Layout,
    running: FromClause,
    known: Mapping[CovariateUse, ColumnElement[float]],
    shift: float,
) -> tuple[ColumnElement[float], ColumnElement[float]]:
    """A visitor's value before and after a row."""
    zero, one = literal(0.0, Double), literal(1.0, Double)
    if isinstance(feature.source, CovariateUse):
        value = known[feature.source]
        x = case((value.is_(None), one), else_=zero) if feature.missing else func.coalesce(value, zero)
        both = x, x
    else:
        number = _amounts(layout).index(_amount(feature))
        total, added = running.c[f"r{number}"], running.c[f"d{number}"]
        both = _value(feature, total - added), _value(feature, total)
    return (both[0] - literal(shift, Double), both[1] - literal(shift, Double)) if shift else both


def _value(feature: Feature, total: ColumnElement[float]) -> ColumnElement[float]:
    assert isinstance(feature.source, Column)
    if feature.source.measure in ("converted", "absent"):
        return case((total > 0, literal(1.0, Double)), else_=literal(0.0, Double))
    return total if feature.cap is None else capped(total, feature.cap)


def _labelled(cell: Cell) -> list[Any]:
    return [one.label(f"cell{i}") for i, one in enumerate(cell)]
