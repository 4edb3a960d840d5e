"""What single visitors did: the joint values of all metrics' columns, equal visitors together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    case,
    cast,
    func,
    literal,
    select,
    true,
)

from ..errors import InputError
from ..experiments.currencies import minor_digits
from ..experiments.definition import Definition
from ..experiments.metrics import Column, CovariateUse
from .cohort import Cohort, keys_of, subjects
from .features import Feature
from .happened import has_passed, join_covariate
from .origins import Origin
from .sources import Sources
from .statements import visitor_rows
from .sums import Layout

__all__ = ["MOST_VISITORS", "VisitorValues", "read_visitors", "visitor_values"]

MOST_VISITORS = 500_000
"""Visitors that are read into memory at most; of more, a part that their numbers choose."""

SCATTER, PRIME = 7_919, 1_000_003
"""Visitors are numbered as they come: multiplied and reduced, their numbers have no rhythm that an arm could share."""


@dataclass(frozen=True, slots=True)
class VisitorValues:
    """The values of an arm's visitors whose windows have all passed, money in major units.

    Attributes:
        columns: what each column holds; a covariate that is missing is 0, and marked in a column of its own.
        positions: metric name -> columns of its `moment_columns`, in their order.
        values: (rows, columns): each combination of values once.
        visitors: (rows,): how many visitors have it.
        analysed: all such visitors of the arm, of whom those may be a part.
    """

    columns: tuple[Column | CovariateUse, ...]
    positions: Mapping[str, tuple[int, ...]]
    values: NDArray[np.float64]
    visitors: NDArray[np.int64]
    analysed: int


def read_visitors(connection: Connection, origin: Origin, arm: str, at_most: int = MOST_VISITORS) -> VisitorValues:
    """The values of an arm's visitors in all phases, at most about `at_most` of them.

    Raises:
        InputError: no such arm.
    """
    numbers = [arm_id for arm_id, name in origin.arms.items() if name == arm]
    if not numbers:
        raise InputError(f"{origin.definition.experiment!r} has no visitors in an arm {arm!r}")
    definition, cohort, layout = origin.definition, origin.cohort, Layout(origin.definition.metrics)
    subject = subjects(origin.sources, cohort)
    chosen = and_(subject.c.arm_id == numbers[0], *_all_passed(subject, layout, cohort))
    analysed = int(connection.scalar(select(func.count()).select_from(subject).where(chosen)) or 0)
    step = -(-analysed // at_most)
    if step > 1:
        number = cast(subject.c.visitor_id, BigInteger) * literal(SCATTER, BigInteger)
        chosen = and_(chosen, number % literal(PRIME) % literal(step) == 0)
    rows = connection.execute(_statement(origin.sources, cohort, layout, subject, chosen)).all()
    return visitor_values(
        definition, layout.features, [tuple(row[:-1]) for row in rows], [row[-1] for row in rows], analysed
    )


def visitor_values(
    definition: Definition,
    features: Sequence[Feature],
    rows: Sequence[Sequence[Any]],
    visitors: Sequence[int],
    analysed: int,
) -> VisitorValues:
    """Rows of raw values (minor units), in an order that depends on nothing but the values."""
    layout = Layout(definition.metrics)
    scale = 10 ** minor_digits(definition.currency)
    values = np.array(rows, dtype=np.float64).reshape(len(rows), len(features))
    values /= np.array([scale if feature.is_money else 1 for feature in features])
    order = np.lexsort(values.T[::-1]) if len(rows) else np.zeros(0, dtype=np.int64)
    return VisitorValues(
        tuple(feature.source for feature in features),
        {metric.name: tuple(layout.positions(metric)) for metric in definition.metrics},
        values[order],
        np.array(visitors, dtype=np.int64)[order],
        analysed,
    )


def _all_passed(subject: FromClause, layout: Layout, cohort: Cohort) -> list[ColumnElement[bool]]:
    passed = [has_passed(subject.c.at, window, cohort) for window in layout.windows]
    return [one for one in passed if one is not None]


def _statement(
    sources: Sources, cohort: Cohort, layout: Layout, subject: FromClause, chosen: ColumnElement[bool]
) -> Select:
    """Each combination of the layout's features, and how many visitors have it."""
    happened = visitor_rows(sources, cohort, layout)
    mine = and_(*(happened.c[key] == subject.c[key] for key in (*keys_of(cohort), "visitor_id")))
    source: FromClause = subject.outerjoin(happened, mine)
    known: dict[CovariateUse, ColumnElement[float]] = {}
    latest: list[ColumnElement[bool]] = [true()]
    for i, use in enumerate(layout.covariates):
        source, known[use], is_latest = join_covariate(sources, cohort, source, subject, use, i, keep_missing=True)
        latest.append(is_latest)
    values = [_value(feature, i, happened, known).label(f"v{i}") for i, feature in enumerate(layout.features)]
    rows = select(*values).select_from(source).where(chosen, *latest).subquery("valued")
    columns = [rows.c[f"v{i}"] for i in range(len(values))]
    return select(*columns, func.count()).group_by(*columns)


def _value(
    feature: Feature, i: int, happened: FromClause, known: Mapping[CovariateUse, ColumnElement[float]]
) -> ColumnElement[Any]:
    if isinstance(feature.source, Column):
        x = func.coalesce(happened.c[f"x{i}"], 0.0)
        return 1.0 - x if feature.source.measure == "absent" else x
    value = known[feature.source]
    return case((value.is_(None), 1.0), else_=0.0) if feature.missing else func.coalesce(value, 0.0)
