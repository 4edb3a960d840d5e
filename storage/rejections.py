"""Records that were not taken: how many said something else than a stored one, or could not be stored.

A row counts those of a day, so that a report can ask for the days of its experiment. Records are counted as often as
they are written. What is taken costs nothing: only a write that refused something adds to the counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, func, or_, select, update

from ..errors import InputError
from ..experiments.definition import Definition
from ..experiments.metrics import DAY
from .engine import Raced
from .engines import insert_missing
from .names import check_name
from .tables import rejection
from .times import from_micros, to_micros

__all__ = ["Kind", "Rejections", "count_rejections", "read_rejections"]

Kind = Literal["exposure", "outcome", "offer_step", "covariate", "link"]

_NAMED_BY = {"exposure": "experiment", "outcome": "name", "offer_step": "experiment", "covariate": "name"}
"""The attribute of a record by which an experiment finds it; links concern all of them."""

_COLUMNS = ("kind", "name", "at", "conflicts", "refused")

BEGUN = ""
"""Kind of the row that an upgrade leaves: its time is the day from which on there are counts."""


@dataclass(frozen=True, slots=True)
class Rejections:
    """Records that concern an experiment and were not taken, from its first day on.

    Attributes:
        conflicts: records whose id was stored with other content, which stays.
        refused: records that could not be stored.
        last: beginning of the latest UTC day that has one; None without any.
        since: beginning of the UTC day from which on they are counted; None: always, as the store never did not.
    """

    conflicts: int = 0
    refused: int = 0
    last: datetime | None = None
    since: datetime | None = None


def count_rejections(
    connection: Connection, kind: Kind, conflicts: Iterable[object], refused: Iterable[object], now: int
) -> None:
    """Add records to the counts of their days.

    Args:
        connection: of the transaction that did not take them.
        kind: what they are.
        conflicts: those that contradict a stored one.
        refused: those that could not be stored, or are no records at all.
        now: microseconds; the time of those without one that could be read.

    Raises:
        Raced: another writer began the same day meanwhile; the transaction has to be repeated.
    """
    counts: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    for column, records in enumerate((conflicts, refused)):
        for record in records:
            at = _time(record, now)
            counts[_name(kind, record), at - at % DAY][column] += 1
    if not counts:
        return
    days = [day for _, day in counts]
    there = {
        (name, day)
        for name, day in connection.execute(
            select(rejection.c.name, rejection.c.at).where(
                rejection.c.kind == kind, rejection.c.at.between(min(days), max(days))
            )
        )
    }
    # In order, so that of two writers one waits for the other; last in their transactions, so that neither waits long.
    for (name, day), (contrary, impossible) in sorted(counts.items()):
        if (name, day) in there:
            row = (rejection.c.kind == kind) & (rejection.c.name == name) & (rejection.c.at == day)
            more = {"conflicts": rejection.c.conflicts + contrary, "refused": rejection.c.refused + impossible}
            connection.execute(update(rejection).where(row).values(more))
        elif insert_missing(connection, rejection, _COLUMNS, [(kind, name, day, contrary, impossible)]) != 1:
            raise Raced


def _name(kind: Kind, record: object) -> str:
    """What a record is found by; "" where it has nothing that could be stored."""
    try:
        return check_name("a record", getattr(record, _NAMED_BY[kind])) if kind in _NAMED_BY else ""
    except (AttributeError, InputError):
        return ""


def _time(record: object, now: int) -> int:
    """When a record happened or was made, if it says so."""
    at: Any = getattr(record, "at", None) or getattr(record, "recorded_at", None)
    try:
        return now if at is None else to_micros(at)
    except InputError:
        return now


def read_rejections(connection: Connection, definition: Definition, begin: int | None, as_of: int) -> Rejections:
    """The records that concern an experiment and were not taken.

    Those are its exposures and steps of offers, outcomes and covariates that its metrics name, and identity links.

    Args:
        connection: to the store.
        definition: of the experiment.
        begin: microseconds, on the first of its days; None for all days.
        as_of: microseconds, on the last of them.
    """
    first = 0 if begin is None else begin - begin % DAY
    rows = connection.execute(
        select(
            rejection.c.kind,
            rejection.c.name,
            func.sum(rejection.c.conflicts),
            func.sum(rejection.c.refused),
            func.min(rejection.c.at),
            func.max(rejection.c.at),
        )
        .where(or_(rejection.c.kind == BEGUN, rejection.c.at.between(first, as_of)))
        .group_by(rejection.c.kind, rejection.c.name)
    ).all()
    own = [row for row in rows if _concerns(definition, row[0], row[1])]
    since = next((row[4] for row in rows if row[0] == BEGUN), None)
    return Rejections(
        sum(int(row[2]) for row in own),
        sum(int(row[3]) for row in own),
        from_micros(max(row[5] for row in own)) if own else None,
        None if since is None else from_micros(since),
    )


def _concerns(definition: Definition, kind: str, name: str) -> bool:
    if kind in ("exposure", "offer_step"):
        return name == definition.experiment
    if kind == "outcome":
        events = {column.event for metric in definition.metrics for column in metric.columns}
        return None in events or name in events
    if kind == "covariate":
        return any(metric.covariate is not None and metric.covariate.name == name for metric in definition.metrics)
    return kind == "link"
