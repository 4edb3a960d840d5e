"""A first look at somebody else's exposures: which arms and phases there are, and what cannot be read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, String, Subquery, and_, case, func, select

from ..errors import InputError
from ..experiments.building import MOST_ARMS
from ..experiments.definition import Definition
from ..experiments.warehouse import AssignmentSource
from .times import from_micros, to_micros

__all__ = ["Survey", "check_facts", "survey_of"]

# A time before is one in another unit: of today, seconds as microseconds are of January 1970.
_FIRST = to_micros(datetime(1971, 1, 1, tzinfo=UTC))
_LAST = to_micros(datetime(2099, 12, 31, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Survey:
    """What the log of an experiment has.

    Attributes:
        arms: name of each arm, in order -> what the log calls it, in text or whole numbers; those of the definition
            and others.
        phases: from 1 to the last.
        rows: how many there are.
        refused: rows that are left out: without visitor, arm, time or phase.
    """

    arms: Mapping[str, Sequence[str | int]]
    phases: tuple[int, ...]
    rows: int
    refused: int

    def readable(self, rows: Subquery) -> list[ColumnElement[bool]]:
        """The condition that a row can be read, where some cannot."""
        return [] if self.refused == 0 else [_readable(rows)]


def survey_of(
    connection: Connection, definition: Definition, log: AssignmentSource, rows: Subquery, label: str
) -> Survey:
    """What is in `rows`, which have visitor_id, arm, at and phase.

    Raises:
        InputError: no rows, none that can be read, none of an arm of the definition, too many arms, or times in another
            unit.
    """
    readable = func.sum(case((_readable(rows), 1), else_=0))
    grouped = select(rows.c.phase, rows.c.arm, func.count(), readable, func.min(rows.c.at), func.max(rows.c.at))
    groups = connection.execute(grouped.group_by(rows.c.phase, rows.c.arm)).all()
    if not groups:
        raise _no_rows(log, label)
    known = [(int(phase), arm, int(good)) for phase, arm, _, good, *_ in groups if good]
    number = sum(int(number) for _, _, number, *_ in groups)
    refused = number - sum(good for *_, good in known)
    if not known:
        raise InputError(f"{label} has {refused} rows of {definition.experiment!r}, none with visitor, arm and time")
    _check_times(label, [time for *_, first, last in groups for time in (first, last) if time is not None])
    arms: dict[str, list[str | int]] = defaultdict(list)
    for value in sorted({arm for _, arm, _ in known}):
        arms[log.arms.get(str(value), str(value))].append(value)
    names = {arm.name for arm in definition.arms}
    if names.isdisjoint(arms):
        seen = ", ".join(repr(str(value)) for values in list(arms.values())[:10] for value in values)
        raise InputError(
            f"{label} has no arm of {definition.experiment!r} in {log.arm!r}; seen: {seen}",
            hint=f"Its arms are {', '.join(sorted(names))}; say in `arms` which is which, as in {{control: 0}}.",
        )
    if len(arms) > MOST_ARMS:
        raise InputError(f"the column {log.arm!r} of {label} has {len(arms)} values, at most {MOST_ARMS} can be arms")
    last = max(phase for phase, *_ in known)
    return Survey({name: arms[name] for name in sorted(arms)}, tuple(range(1, last + 1)), number, refused)


def check_facts(connection: Connection, sources: Sequence[tuple[str, ColumnElement[int]]]) -> None:
    """See that there are facts, and that their times are in the unit that was said.

    Raises:
        InputError: all sources are empty, or one has impossible times.
    """
    found = False
    for label, at in sources:
        first, last = connection.execute(select(func.min(at), func.max(at))).one()
        _check_times(label, [time for time in (first, last) if time is not None])
        found |= first is not None
    if not found:
        names = " and ".join(label for label, _ in sources)
        raise InputError(f"nothing with a time is in {names}", hint="Check the tables, and what `sql` leaves out.")


def _readable(rows: Subquery) -> ColumnElement[bool]:
    # Nobody is called "": it stands for a guest, or for nothing at all.
    visitor, written = rows.c.visitor_id, isinstance(rows.c.visitor_id.type, String)
    return and_(
        visitor != "" if written else visitor.is_not(None),
        rows.c.arm.is_not(None),
        rows.c.at.is_not(None),
        rows.c.phase >= 1,
    )


def _check_times(label: str, times: Sequence[Any]) -> None:
    for time in map(int, times):
        if not _FIRST <= time <= _LAST:
            shown = from_micros(time).isoformat() if 0 <= time <= _LAST else f"{time / 86_400e6 / 365.25 + 1970:.0f}"
            raise InputError(
                f"{label} has times from 1971 to 2099 only if they are read in another unit; seen {shown}",
                hint="Check `epoch`: seconds, milliseconds or microseconds since 1970.",
            )


def _no_rows(log: AssignmentSource, label: str) -> InputError:
    if log.experiment is None:
        return InputError(f"{label} has no rows", hint="Nobody was exposed yet, or it is another table.")
    return InputError(
        f"{label} has no rows with {log.experiment!r} = {log.experiment_value!r}",
        hint="Write what the column has: experiment: {column: ..., value: ...}.",
    )
