"""Counts by day and arm without groups, for SQLite: it sorts what it groups, which takes up to three times as long.

Most visitors are counted by blocks. Each other one becomes one character of a text, which says how many days before the
last one and in which arm the exposure was.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, FromClause, LargeBinary, Select, cast, func, literal, select

from ..experiments.metrics import DAY
from .blocks import count_blocks, in_blocks
from .cohort import Cohort, Key, subjects
from .day_counts import Calendar, DayCounts
from .features import Window
from .sources import Sources

__all__ = ["tallied"]

LAST = 0xD7FF
"""The last character before those that UTF-8 does not have."""


def tallied(
    connection: Connection, sources: Sources, cohort: Cohort, arms: Collection[int], windows: Sequence[Window]
) -> list[tuple[Key, int, tuple[int, ...]]] | None:
    """What `day_statement` says: of each key and day the numbers behind them; None: this is no way to count these."""
    if not sources.sorts_groups or len(cohort.phases) > 1 or cohort.is_split:
        return None
    # NUL, which would end a text, is to be nobody.
    if not arms or min(arms) < 1:
        return None
    subject = subjects(sources, cohort)
    calendar, counts = Calendar.of(cohort, arms), DayCounts.for_windows(windows, cohort.as_of)
    # Persons have no key by which their exposures lie.
    mixed = count_blocks(connection, subject, calendar, cohort.as_of, counts) if sources.member is None else None
    # Each window costs another character a visitor, and soon more than sorting.
    if mixed is None and len(counts.closed) > 1:
        return None
    if mixed != []:
        rest = subject if mixed is None else in_blocks(subject, mixed)
        if not _count(connection, rest, calendar, cohort.as_of, counts):
            return None
    # Such an arm would be another one, of another day.
    if counts.strange:
        return None
    found = []
    for code, numbers in sorted(counts.numbers.items()):
        day, arm = calendar.day_and_arm(code)
        found.append(((max(cohort.phases), arm), day, (counts.first, counts.last, *numbers)))
    return found


def _count(connection: Connection, subject: FromClause, calendar: Calendar, as_of: int, counts: DayCounts) -> bool:
    """Count by characters; False: there are more days than characters."""
    statement = _statement(subject, calendar, as_of, counts.closed)
    first, last, strange, *texts = list[Any](connection.execute(statement).one())
    if first is None:
        return True
    length = calendar.code(first, calendar.highest) + 1
    if length > LAST:
        return False
    counts.saw(first, last, strange)
    if strange:
        return True
    columns = [_frequencies(text, length) for text in texts]
    for code in np.flatnonzero(columns[0]).tolist():
        counts.add(code, (int(column[code]) for column in columns))
    return True


def _statement(subject: FromClause, calendar: Calendar, as_of: int, closed: Sequence[int]) -> Select[Any]:
    """First and last exposure, strange arms, and the texts: of all, of those who crossed over, of each window."""
    day, span, end = (literal(one, literal_execute=True) for one in (DAY, calendar.span, calendar.end))
    lowest, highest = (literal(one, literal_execute=True) for one in (calendar.lowest, calendar.highest))
    letter = func.char((end - subject.c.at) // day * span + subject.c.arm_id)
    # A parameter would be copied for each visitor.
    joined = func.group_concat(letter, literal("", literal_execute=True))
    chosen: list[ColumnElement[Any]] = [joined, joined.filter(subject.c.crossover_at <= as_of)]
    chosen += [joined.filter(subject.c.at <= one) for one in closed]
    return select(
        func.min(subject.c.at),
        func.max(subject.c.at),
        func.count().filter(~subject.c.arm_id.between(lowest, highest)),
        *(cast(one, LargeBinary) for one in chosen),
    )


def _frequencies(text: bytes | None, length: int) -> np.ndarray:
    """How often each code below a length is in a text."""
    codes = np.frombuffer((text or b"").decode().encode("utf-32-le"), "<u4")
    return np.bincount(codes, minlength=length)
