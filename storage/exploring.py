"""Splits that nobody planned: which attributes an experiment has for them, and their most frequent values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sqlalchemy import Connection, Select, func, select

from ..errors import InputError
from ..experiments.definition import Definition
from ..experiments.snapshot import Published
from .cohort import MISSING, Cohort, subjects
from .origins import Origin
from .sources import Sources

__all__ = ["MOST_LISTED", "RecordedSegments", "frequent_statement", "segments_of_versions", "with_frequent_values"]

MOST_LISTED = 9
"""Values of an exploratory segment that are listed by themselves; visitors with any other are one group."""

SMALLEST_SHARE = 0.1
"""Share of the visitors who have a value that the listed ones must hold, or the attribute is no category."""


@dataclass(frozen=True, slots=True)
class RecordedSegments:
    """The attributes that an experiment's exposures are recorded with.

    Attributes:
        planned: those that the definition named as `segments` when the experiment started.
        exploratory: all others that any version names, those that came to `segments` after the start included: by then
            somebody may have seen the data.
    """

    planned: tuple[str, ...] = ()
    exploratory: tuple[str, ...] = ()

    @classmethod
    def of(cls, definition: Definition) -> RecordedSegments:
        """Of a definition that is known in one version."""
        return cls(definition.segments, definition.exploratory_segments)


def segments_of_versions(versions: Iterable[Published]) -> RecordedSegments:
    """What was planned at the start, and what else was recorded; before the start, what is planned by now."""
    known = list(versions)
    started = next((one for one in known if one.state != "draft"), known[-1])
    planned = started.definition.segments
    named = dict.fromkeys(name for one in known for name in one.definition.recorded_segments)
    return RecordedSegments(planned, tuple(name for name in named if name not in planned))


def frequent_statement(sources: Sources, cohort: Cohort, most: int) -> Select:
    """The most frequent values of the cohort's segment, then by name: value, visitors, visitors and number of all
    values.
    """
    subject = subjects(sources, cohort)
    counts = (
        select(subject.c.segment.label("value"), func.count().label("visitors"))
        .where(subject.c.segment != MISSING)
        .group_by(subject.c.segment)
        .subquery("counts")
    )
    visitors = counts.c.visitors
    return (
        select(counts.c.value, visitors, func.sum(visitors).over(), func.count().over())
        .order_by(visitors.desc(), counts.c.value)
        .limit(most)
    )


def with_frequent_values(connection: Connection, origin: Origin, most: int = MOST_LISTED) -> Origin:
    """The same, with the most frequent values of its segment listed by themselves where there are more.

    Raises:
        InputError: they are too many for that: hardly any visitor has one of the most frequent.
    """
    rows = list(map(tuple, connection.execute(frequent_statement(origin.sources, origin.cohort, most))))
    if not rows or int(rows[0][3]) <= most:
        return origin
    listed, everybody, number = sum(int(row[1]) for row in rows), int(rows[0][2]), int(rows[0][3])
    if listed < SMALLEST_SHARE * everybody:
        raise InputError(
            f"{origin.cohort.segment!r} has {number:,} values, and the {most} most frequent have {listed:,} of the "
            f"{everybody:,} visitors with one: it is no category to split by",
            hint='Record bands of it as text, such as "50 to 100".',
        )
    return replace(origin, cohort=replace(origin.cohort, listed=tuple(row[0] for row in rows)))
