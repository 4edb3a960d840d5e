"""Counts by day and arm without groups, for SQLite: it sorts what it groups, which takes twice as long as this."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, LargeBinary, Select, case, cast, func, literal, select

from ..experiments.metrics import DAY
from .cohort import Cohort, Key, subjects
from .features import Window
from .sources import Sources

__all__ = ["tallied"]

LAST = 0xD7FF
"""The last character before those that UTF-8 does not have."""


def tallied(
    connection: Connection, sources: Sources, cohort: Cohort, arms: Collection[int], windows: Sequence[Window]
) -> list[tuple[Key, int, tuple[int, ...]]] | None:
    """What `day_statement` says: of each key and day the numbers behind them; None: this is no way to count these.

    Each visitor becomes one character, which says how many days before the last one and in which arm the exposure was.
    """
    ends = [window for window in windows if window.end is not None]
    # Each window costs another character a visitor, and soon more than sorting.
    if not sources.sorts_groups or len(cohort.phases) > 1 or cohort.is_split or len(ends) > 1:
        return None
    # NUL, which would end a text, is to be nobody.
    if not arms or min(arms) < 1:
        return None
    lowest, span = min(arms), max(arms) - min(arms) + 1
    # Python's remainder of a negative number is positive: 1970 may be to come.
    today = cohort.as_of - (cohort.as_of + cohort.offset) % DAY
    statement = _statement(sources, cohort, today, span, ends)
    first, last, least, most, *texts = list[Any](connection.execute(statement).one())
    if first is None:
        return []
    # Such an arm would be another one, of another day.
    if least < lowest or most >= lowest + span:
        return None
    length = lowest + ((today + DAY - 1 - first) // DAY + 1) * span
    if length > LAST:
        return None
    counts = [_counts(text, length) for text in texts]
    return [
        (
            (max(cohort.phases), lowest + code % span),
            today - code // span * DAY,
            (first, last, *(int(one[lowest + code]) for one in counts)),
        )
        for code in np.flatnonzero(counts[0][lowest:]).tolist()
    ]


def _statement(sources: Sources, cohort: Cohort, today: int, span: int, ends: Sequence[Window]) -> Select[Any]:
    subject = subjects(sources, cohort)
    ago = literal(today + DAY - 1, literal_execute=True) - subject.c.at
    days = ago // literal(DAY, literal_execute=True)
    letter = func.char(days * literal(span, literal_execute=True) + subject.c.arm_id)
    return select(
        func.min(subject.c.at),
        func.max(subject.c.at),
        func.min(subject.c.arm_id),
        func.max(subject.c.arm_id),
        _joined(letter),
        _joined(case((subject.c.crossover_at <= cohort.as_of, letter))),
        *(_joined(case((subject.c.at <= window.closed(cohort.as_of), letter))) for window in ends),
    )


def _joined(letter: ColumnElement[str]) -> ColumnElement[bytes]:
    # A parameter would be copied for each visitor.
    return cast(func.group_concat(letter, literal("", literal_execute=True)), LargeBinary)


def _counts(text: bytes | None, length: int) -> np.ndarray:
    """How often each code below a length is in a text."""
    codes = np.frombuffer((text or b"").decode().encode("utf-32-le"), "<u4")
    return np.bincount(codes, minlength=length)
