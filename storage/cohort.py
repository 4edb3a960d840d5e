"""Who is analysed: one row a visitor, with the exposure that counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Subquery, and_, case, func, literal, null, or_, select

from ..experiments.metrics import DAY
from .sources import Sources

__all__ = [
    "MISSING",
    "OTHER",
    "Cohort",
    "Key",
    "Showings",
    "day_of",
    "ids_of",
    "keys_of",
    "packed",
    "subjects",
    "unpacked",
]

MISSING = "(missing)"
"""What visitors without a value of a segment are listed under."""

OTHER = "(other)"
"""What visitors with a value of a segment that is not listed by itself are listed under."""

Key = tuple[Any, ...]
"""Phase, arm_id and, where split by one, the segment's value."""


@dataclass(frozen=True, slots=True)
class Showings:
    """Which offers shown to a visitor are counted.

    Attributes:
        event: each outcome of that event is one; None: each different offer with a step `delivered`.
        experiments: of steps, the numbers of the experiments whose offers they are.
        within: microseconds after the exposure in which an offer was shown; None: at any time after.
        most: from which number on visitors are one group.
    """

    event: str | None
    experiments: tuple[int, ...]
    within: int | None
    most: int


@dataclass(frozen=True, slots=True)
class Cohort:
    """Whose rows are read, and what had happened by `as_of`.

    Attributes:
        experiment_id: of the experiment.
        phases: its phases.
        as_of: microseconds; later rows are left out.
        names: what events, covariates and segments are in the relations: numbers, or themselves.
        segment: name of the segment that every statement is split by, behind the arm; None: by none.
        listed: values of the segment that are listed by themselves; None: all.
        offset: microseconds that the clock by which days begin is ahead of UTC.
        without_crossovers: whether visitors who were seen in another arm by then are left out.
        beside: another experiment, whose visitors alone are read, split by its arms as by a segment.
        showings: offers by the number of which everything is split, as by a segment. That number comes after the
            assignment: what is read so describes and compares nothing.
    """

    experiment_id: int
    phases: tuple[int, ...]
    as_of: int
    names: Mapping[str, int | str]
    segment: str | None = None
    offset: int = 0
    without_crossovers: bool = False
    beside: Cohort | None = None
    showings: Showings | None = None
    listed: tuple[str, ...] | None = None

    @property
    def is_split(self) -> bool:
        """Whether every statement is split by something behind the arm."""
        return self.segment is not None or self.beside is not None or self.showings is not None

    def number(self, name: str) -> int | str:
        """What stands for a name; one that no row has where the name was never stored."""
        return self.names.get(name, -1)


def subjects(sources: Sources, cohort: Cohort, *, only_busy: bool = False) -> Subquery:
    """One row a visitor who was exposed by then: where and when that first happened.

    With `only_busy` those without any outcome may be left out.

    Columns: phase, arm_id, visitor_id, at, crossover_at, returned (1 where another phase exposed the visitor again);
    with a segment its value, or "(missing)", beside another experiment the arm_id there, and by showings their number,
    as `segment`.
    """
    exposure = sources.exposure
    if only_busy and sources.busy_exposure is not None:
        exposure = sources.busy_exposure
    rows = select(exposure).where(
        exposure.c.experiment_id == cohort.experiment_id,
        exposure.c.phase == max(cohort.phases) if len(cohort.phases) == 1 else exposure.c.phase.in_(cohort.phases),
        exposure.c.at <= cohort.as_of,
    )
    if len(cohort.phases) == 1 and sources.member is None:
        # Each visitor has one row.
        first = rows.add_columns(literal(0).label("returned")).subquery("subject")
    else:
        first = _first_exposures(rows.subquery("exposed"))
    if cohort.without_crossovers:
        crossed = first.c.crossover_at
        first = select(first).where(or_(crossed.is_(None), crossed > cohort.as_of)).subquery("steady")
    if cohort.beside is not None:
        there = subjects(sources, cohort.beside)
        other = select(there.c.visitor_id, there.c.arm_id).subquery("beside")
        in_both = first.join(other, other.c.visitor_id == first.c.visitor_id)
        return select(first, other.c.arm_id.label("segment")).select_from(in_both).subquery("in_both")
    if cohort.showings is not None:
        return _by_showings(sources, cohort, cohort.showings, first)
    if cohort.segment is None:
        return first
    segment = sources.segment
    mine = and_(
        segment.c.experiment_id == cohort.experiment_id,
        segment.c.phase == first.c.phase,
        segment.c.visitor_id == first.c.exposed_id,
        segment.c.name_id == cohort.number(cohort.segment),
    )
    value: ColumnElement = func.coalesce(segment.c.value, MISSING)
    if cohort.listed is not None:
        value = case((segment.c.value.is_(None), MISSING), (segment.c.value.in_(cohort.listed), value), else_=OTHER)
    named = value.label("segment")
    return select(first, named).select_from(first.outerjoin(segment, mine)).subquery("segmented")


def ids_of(sources: Sources, subject: FromClause) -> tuple[FromClause, ColumnElement]:
    """The subjects with each id of theirs, and that id."""
    member = sources.member
    if member is None:
        return subject, subject.c.visitor_id
    ids = subject.outerjoin(member, member.c.person_id == subject.c.visitor_id)
    return ids, func.coalesce(member.c.visitor_id, subject.c.visitor_id)


def _by_showings(sources: Sources, cohort: Cohort, showings: Showings, first: Subquery) -> Subquery:
    """The subjects with the number of times that offers were shown to each, under any id."""
    each = _steps_shown if showings.event is None else _events_shown
    shown = each(sources, cohort, showings, first)
    count = select(shown.c.visitor_id, func.count().label("number")).group_by(shown.c.visitor_id).subquery("shown")
    most = literal(showings.most, literal_execute=True)
    number = case((count.c.number > most, most), else_=func.coalesce(count.c.number, 0)).label("segment")
    joined = first.outerjoin(count, count.c.visitor_id == first.c.visitor_id)
    return select(first, number).select_from(joined).subquery("by_showings")


def _steps_shown(sources: Sources, cohort: Cohort, showings: Showings, first: Subquery) -> Subquery:
    step = sources.offer_step
    assert step is not None, "asked for where steps of offers are kept"
    ids, visitor_id = ids_of(sources, first)
    seen = and_(
        step.c.experiment_id.in_(showings.experiments),
        step.c.visitor_id == visitor_id,
        step.c.step == "delivered",
        *_in_time(step.c.at, cohort, showings, first),
    )
    # Of several ids that saw the same offer it is one: the person's.
    offers = select(first.c.visitor_id, step.c.experiment_id, step.c.offer_id)
    return offers.select_from(ids.join(step, seen)).distinct().subquery("each_offer")


def _events_shown(sources: Sources, cohort: Cohort, showings: Showings, first: Subquery) -> Subquery:
    outcome = sources.outcome
    ids, visitor_id = ids_of(sources, first)
    assert showings.event is not None
    seen = and_(
        outcome.c.visitor_id == visitor_id,
        outcome.c.event_id == cohort.number(showings.event),
        *_in_time(outcome.c.at, cohort, showings, first),
    )
    return select(first.c.visitor_id).select_from(ids.join(outcome, seen)).subquery("each_time")


def _in_time(at: ColumnElement[int], cohort: Cohort, showings: Showings, first: Subquery) -> list[ColumnElement[bool]]:
    """After the exposure, and as long as the metric looks."""
    within = [] if showings.within is None else [at < first.c.at + showings.within]
    return [at >= first.c.at, at <= cohort.as_of, *within]


def _first_exposures(exposed: Subquery) -> Subquery:
    """A person's first exposure over all phases and ids; ties go by phase, arm and id."""
    order = (exposed.c.at, exposed.c.phase, exposed.c.arm_id, exposed.c.exposed_id)
    window = {"partition_by": exposed.c.visitor_id, "order_by": order}
    ranked = select(
        exposed,
        func.row_number().over(**window).label("place"),
        func.first_value(exposed.c.phase).over(**window).label("first_phase"),
        func.first_value(exposed.c.arm_id).over(**window).label("first_arm_id"),
    ).subquery("ranked")
    one = ranked.c
    crossed = case(
        (one.phase != one.first_phase, null()), (one.arm_id != one.first_arm_id, one.at), else_=one.crossover_at
    )
    return (
        select(
            one.first_phase.label("phase"),
            one.first_arm_id.label("arm_id"),
            one.visitor_id,
            func.min(case((one.place == 1, one.exposed_id))).label("exposed_id"),
            func.min(one.at).label("at"),
            func.min(crossed).label("crossover_at"),
            func.max(case((one.phase != one.first_phase, 1), else_=0)).label("returned"),
        )
        .group_by(one.visitor_id, one.first_phase, one.first_arm_id)
        .subquery("subject")
    )


def keys_of(cohort: Cohort) -> tuple[str, ...]:
    """What every statement is grouped by; its first columns. A single phase is not said: groups cost by their width."""
    phase = ("phase",) if len(cohort.phases) > 1 else ()
    segment = ("segment",) if cohort.is_split else ()
    return (*phase, "arm_id", *segment)


def day_of(at: ColumnElement[int], offset: int, length: int = DAY) -> ColumnElement[int]:
    """The first microsecond of the day that a time lies on, by a clock ahead of UTC by so many microseconds.

    With another length of that part of the day: days are cut into whole ones.
    """
    # A day is added because SQL's remainder of a negative number is negative: 1970 may have begun later there.
    ahead = at + literal(offset + DAY, literal_execute=True) if offset else at
    return at - ahead % literal(length, literal_execute=True)


def packed(day: ColumnElement[int], subject: FromClause, cohort: Cohort) -> list[ColumnElement]:
    """Columns that tell the keys and a day apart; day and arm are one number, as two take twice as long to sort."""
    return [day + subject.c.arm_id, *(subject.c[key] for key in keys_of(cohort) if key != "arm_id")]


def unpacked(row: Sequence[Any], cohort: Cohort, length: int = DAY) -> tuple[Key, int, Sequence[Any]]:
    """The key, the day and the rest of a row that begins with what `packed` gave of days, or parts that long."""
    number, (phase, segment) = int(row[0]), (len(cohort.phases) > 1, cohort.is_split)
    arm_id = (number + cohort.offset) % length
    key = (row[1] if phase else cohort.phases[0], arm_id, *row[1 + phase : 1 + phase + segment])
    began = number - arm_id
    return key, began - (began + cohort.offset) % DAY, row[1 + phase + segment :]
