"""The grouped statements behind an analysis, for all metrics and windows of an experiment together.

Portable SQL only: joins, GROUP BY, CASE, SUM, MIN, MAX and COUNT. Every sum is taken of doubles: they hold whole minor
units exactly up to 2⁵³ and lose digits gracefully above, where a sum of 64-bit integers would overflow.

A visitor without outcomes has zeros, which no sum needs. So the joins are inner ones and read only those who did
something, and the visitors of an arm are counted by themselves: with 8 % buyers that is a quarter of the work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import (
    ColumnElement,
    Double,
    FromClause,
    Integer,
    Select,
    Subquery,
    case,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.sql.elements import True_

from ..experiments.metrics import Column, CovariateUse
from .cohort import Cohort, day_of, ids_of, keys_of, packed, subjects
from .features import Feature, Window
from .happened import (
    all_of,
    among_counted,
    any_of,
    capped,
    count_if,
    counted_flags,
    flag,
    has_passed,
    is_event,
    is_order,
    join_covariate,
    outcome_rows,
    unreported_flag,
    uses_within,
    when,
)
from .sources import Sources
from .sums import Layout

__all__ = [
    "HOUR",
    "covariate_statement",
    "day_statement",
    "joint_statement",
    "mature_statement",
    "moment_statement",
    "orphan_statement",
    "visitor_rows",
]

PART = 2**15
"""How many visitors, at most, a sum is over where they are numbered."""

HOUR = 3_600_000_000
"""Otherwise a sum is over those of an hour, in microseconds."""


def mature_statement(sources: Sources, cohort: Cohort, window: Window) -> Select:
    """The keys, and the visitors for whom the window has passed."""
    subject = subjects(sources, cohort)
    keys = [subject.c[key] for key in keys_of(cohort)]
    return select(*keys, count_if(subject.c.at <= window.closed(cohort.as_of))).group_by(*keys)


def day_statement(sources: Sources, cohort: Cohort, windows: Sequence[Window]) -> Select:
    """The visitors by day of their exposure and keys.

    Columns: what `unpacked` makes day and keys of, first and last exposure, visitors, crossovers, those returned if
    there are several phases, then for each window that ends the visitors for whom it has passed.
    """
    subject = subjects(sources, cohort)
    by = packed(day_of(subject.c.at, cohort.offset), subject, cohort)
    return select(
        *by,
        *_counts(subject, cohort),
        *(count_if(subject.c.at <= window.closed(cohort.as_of)) for window in windows if window.end is not None),
    ).group_by(*by)


def _counts(subject: FromClause, cohort: Cohort) -> list[ColumnElement[int]]:
    """First and last exposure, visitors, crossovers and, if there are several phases, those returned."""
    return [
        func.min(subject.c.at),
        func.max(subject.c.at),
        func.count(),
        count_if(subject.c.crossover_at <= cohort.as_of),
        *([func.sum(subject.c.returned)] if len(cohort.phases) > 1 else []),
    ]


def orphan_statement(sources: Sources, cohort: Cohort, events: Sequence[str | None]) -> Select | None:
    """How many refunds of these events have no original, by visitors exposed before; None: there are no refunds."""
    if sources.orphan is None:
        return None
    subject, orphan = subjects(sources, cohort), sources.orphan
    ids, visitor_id = ids_of(sources, subject)
    return (
        select(func.count())
        .select_from(ids.join(orphan, orphan.c.visitor_id == visitor_id))
        .where(
            orphan.c.at >= subject.c.at,
            orphan.c.at <= cohort.as_of,
            or_(*(is_event(event, orphan, cohort) for event in events)),
        )
    )


def moment_statement(sources: Sources, cohort: Cohort, layout: Layout, shifts: Sequence[float]) -> Select:
    """The sums over visitors with at least one outcome in any window, by keys and part of the visitors.

    Columns: the keys; how many outcomes of each of the layout's events; how many of them have no value in the reporting
    currency; for each of the layout's windows the visitors for whom it has passed; over these Σx of each feature, Σx³
    of each one taken from outcomes, and Σxy of each pair.

    The parts are there to be added by the reader: a database adds doubles one after the other, and its rounding errors
    grow with their number. `shifts` is what is subtracted from each feature first.
    """
    visitors = visitor_rows(sources, cohort, layout)
    moved = _moved_rows(sources, cohort, layout, shifts, visitors, [_part(visitors).label("part")])
    keys = [moved.c[key] for key in keys_of(cohort)]
    return select(*keys, *_sums(moved, layout)).group_by(moved.c.part, *keys)


def joint_statement(sources: Sources, cohort: Cohort, layout: Layout) -> Select:
    """What `day_statement` and `moment_statement` say, nothing being subtracted, by hour of the exposure and keys.

    Those who did nothing are not left out here, so the log of exposures is grouped by visitor once. Where that costs
    more than all the rest it is faster.

    Columns: what `unpacked` makes hour and keys of; first and last exposure, visitors, crossovers, those returned if
    there are several phases; then the sums as `moment_statement` has them, but over all visitors.
    """
    visitors = visitor_rows(sources, cohort, layout, of_everyone=True)
    kept = [visitors.c.at, visitors.c.crossover_at, visitors.c.returned]
    moved = _moved_rows(sources, cohort, layout, [0.0] * len(layout.features), visitors, kept)
    by = packed(day_of(moved.c.at, cohort.offset, HOUR), moved, cohort)
    return select(*by, *_counts(moved, cohort), *_sums(moved, layout)).group_by(*by)


def _moved_rows(
    sources: Sources,
    cohort: Cohort,
    layout: Layout,
    shifts: Sequence[float],
    visitors: Subquery,
    kept: Sequence[ColumnElement],
) -> Subquery:
    """One row a visitor of what is summed: keys, the `kept`, counts of outcomes, windows w0, ..., features x0, ..."""
    closed = {window: has_passed(visitors.c.at, window, cohort) for window in layout.windows}
    source: FromClause = visitors
    known: dict[CovariateUse, ColumnElement[float]] = {}
    latest: list[ColumnElement[bool]] = []
    for i, use in enumerate(layout.covariates):
        source, known[use], is_latest = join_covariate(sources, cohort, source, visitors, use, i, keep_missing=True)
        latest.append(is_latest)
    return (
        select(
            *(visitors.c[key] for key in keys_of(cohort)),
            *kept,
            *(visitors.c[name] for name in _count_names(layout)),
            *(flag(closed[window]).label(f"w{i}") for i, window in enumerate(layout.windows)),
            *(
                _moved(_feature_value(feature, i, visitors, known), closed[feature.window], shifts[i]).label(f"x{i}")
                for i, feature in enumerate(layout.features)
            ),
        )
        .select_from(source)
        .where(*latest)
        .subquery("moved")
    )


def _count_names(layout: Layout) -> list[str]:
    return [f"n{i}" for i in range(len(layout.events))] + ["unreported"]


def _sums(moved: FromClause, layout: Layout) -> list[ColumnElement]:
    x = [moved.c[f"x{i}"] for i in range(len(layout.features))]
    return [
        *(func.sum(moved.c[name]) for name in _count_names(layout)),
        *(func.sum(moved.c[f"w{i}"]) for i in range(len(layout.windows))),
        *(func.sum(one) for one in x),
        *(func.sum(x[i] * x[i] * x[i]) for i in layout.outcome_features),
        *(func.sum(x[i] * x[j]) for i, j in layout.outcome_pairs),
    ]


def covariate_statement(
    sources: Sources, cohort: Cohort, use: CovariateUse, windows: Sequence[Window], shifts: Sequence[float]
) -> Select:
    """The sums over visitors who have a covariate, by keys and part of the visitors.

    Columns: the keys; for each window the visitors for whom it has passed, Σc, Σc² and Σc³ over them, a shift
    for each window subtracted from c first.
    """
    subject = subjects(sources, cohort)
    source, value, is_latest = join_covariate(sources, cohort, subject, subject, use, keep_missing=False)
    closed = [has_passed(subject.c.at, window, cohort) for window in windows]
    moved = (
        select(
            *(subject.c[key] for key in keys_of(cohort)),
            _part(subject).label("part"),
            *(flag(one).label(f"w{i}") for i, one in enumerate(closed)),
            *(_moved(value, one, shifts[i]).label(f"x{i}") for i, one in enumerate(closed)),
        )
        .select_from(source)
        .where(is_latest)
        .subquery("moved")
    )
    sums: list[ColumnElement] = []
    for i in range(len(windows)):
        x = moved.c[f"x{i}"]
        sums += [func.sum(moved.c[f"w{i}"]), func.sum(x), func.sum(x * x), func.sum(x * x * x)]
    keys = [moved.c[key] for key in keys_of(cohort)]
    return select(*keys, *sums).group_by(moved.c.part, *keys)


def visitor_rows(sources: Sources, cohort: Cohort, layout: Layout, *, of_everyone: bool = False) -> Subquery:
    """One row a visitor with outcomes: the keys, at, outcomes by event n0, n1, ..., outcome features x0, x1, ...

    With `of_everyone` one row each visitor, which has crossover_at and returned besides.
    """
    rows = outcome_rows(sources, cohort, layout, of_everyone=of_everyone)
    found = uses_within(layout, rows, cohort)
    if of_everyone:
        within = {use: all_of(rows.c.at.is_not(None), one) for use, one in found.items()}
        others = [func.min(rows.c.crossover_at).label("crossover_at"), func.max(rows.c.returned).label("returned")]
        counted = true()
    else:
        within, others, counted = among_counted(found), [], any_of(*found.values())
    # A visitor has one exposure: groups by less are found faster.
    return (
        select(
            *(func.min(rows.c[key]).label(key) for key in keys_of(cohort)),
            rows.c.visitor_id,
            func.min(rows.c.exposed_at).label("at"),
            *others,
            *(count_if(one).label(f"n{i}") for i, one in enumerate(counted_flags(layout, rows, within))),
            count_if(unreported_flag(layout, rows, within)).label("unreported"),
            *(
                _outcome_value(feature, within[feature.source.event, feature.window], rows).label(f"x{i}")
                for i, feature in enumerate(layout.features)
                if isinstance(feature.source, Column)
            ),
        )
        .where(counted)
        .group_by(rows.c.visitor_id)
        .subquery("visitors")
    )


def _outcome_value(feature: Feature, within: ColumnElement[bool], rows: FromClause) -> ColumnElement[float]:
    zero, one = literal(0.0, Double), literal(1.0, Double)
    assert isinstance(feature.source, Column)
    ordered = all_of(within, is_order(rows))
    match feature.source.measure:
        # Who stayed away has no row: what is summed is who came, and `sums.moments_of` takes the others.
        case "converted" | "absent":
            # Who has a row here has one that counts.
            total = one if isinstance(ordered, True_) else func.max(when(ordered, one, zero))
        case "count":
            total = func.sum(when(ordered, one, zero))
        case "value":
            total = func.sum(when(within, rows.c.value, zero))
        case "margin":
            # Not of the differences: the values are summed anyway, once for both.
            total = func.sum(when(within, rows.c.value, zero)) - func.sum(when(within, rows.c.cost, zero))
    return total if feature.cap is None else capped(total, feature.cap)


def _feature_value(
    feature: Feature, i: int, visitors: FromClause, known: Mapping[CovariateUse, ColumnElement[float]]
) -> ColumnElement[float]:
    if isinstance(feature.source, Column):
        return visitors.c[f"x{i}"]
    value = known[feature.source]
    if feature.missing:
        return case((value.is_(None), literal(1.0, Double)), else_=literal(0.0, Double))
    return func.coalesce(value, literal(0.0, Double))


def _moved(value: ColumnElement[float], closed: ColumnElement[bool] | None, shift: float) -> ColumnElement[float]:
    moved = value - literal(shift, Double) if shift else value
    return moved if closed is None else case((closed, moved), else_=literal(0.0, Double))


def _part(relation: FromClause) -> ColumnElement[int]:
    # Neighbours stay together: an engine that sorts its groups has nearly sorted rows, which takes half the time.
    if isinstance(relation.c.visitor_id.type, Integer):
        number, size = relation.c.visitor_id, PART
    else:
        number, size = relation.c.at, HOUR
    return number - number % literal(size, literal_execute=True)
