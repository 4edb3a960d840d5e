"""Writing exposures: one row a visitor, whatever the order in which the records arrive.

Of all records of a visitor in an experiment and phase the row keeps two: the earliest, and the earliest in another arm
than that one. Two are enough: a new record that is earlier than the first is either of the same arm, or makes the old
first the earliest of another arm. So any order and any batching of the same records gives the same row.

The segments stored are those of the earliest record, and of no other: they were true when the visitor came in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from sqlalchemy import Connection, select

from ..errors import InputError
from ..experiments.hashing import canonical_visitor
from ..experiments.records import Exposure
from ..experiments.segments import segments_of
from .engine import Raced
from .engines import insert_missing, locked, matches, update_rows
from .horizon import is_pruned, prune_horizon, too_old
from .lookups import arm_ids, find_ids, visitor_ids
from .results import Refusal, Tally
from .segments import Categories, named_segments, read_segments, write_segments
from .tables import experiment, exposure
from .times import to_micros

__all__ = ["First", "Mark", "PreparedExposure", "merge", "prepare_exposures", "store_exposures"]

LONGEST_HASH = 64


class Mark(NamedTuple):
    """One exposure: the earlier is the smaller, ties go by arm name, then a known hash before none, then segments
    before none."""

    at: int
    arm: str
    hash_unknown: bool
    assignment_hash: str
    segments_unknown: bool = True
    segments: Categories = ()

    def with_segments(self, segments: Categories) -> Mark:
        """The same exposure with these segments."""
        return self._replace(segments_unknown=not segments, segments=segments)


class First(NamedTuple):
    """What is kept of a visitor: the earliest record, and time and arm of the earliest one in another arm."""

    mark: Mark
    crossover: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class PreparedExposure:
    """A checked exposure record; `index` is its position among the records written."""

    index: int
    experiment: str
    phase: int
    visitor: str
    mark: Mark


def merge(stored: First | None, record: Mark) -> First:
    """What is kept of a visitor after one more record."""
    if stored is None:
        return First(record)
    first, crossover = stored
    if record < first:
        return First(record, crossover if record.arm == first.arm else (first.at, first.arm))
    if record.arm == first.arm:
        return stored
    candidate = (record.at, record.arm)
    return stored if crossover is not None and crossover <= candidate else First(first, candidate)


def prepare_exposures(records: Iterable[tuple[int, Exposure]], tally: Tally) -> list[PreparedExposure]:
    """The records that can be stored; the others are refused in the tally."""
    prepared = []
    for index, record in records:
        try:
            prepared.append(_prepare(index, record, tally))
        except InputError as error:
            tally.refused.append(Refusal(index, str(error)))
    return prepared


def _prepare(index: int, record: Exposure, tally: Tally) -> PreparedExposure:
    if not isinstance(record, Exposure):
        raise InputError(f"an Exposure is needed, seen {record!r}")
    for what, text in (("experiment", record.experiment), ("arm", record.arm)):
        if not isinstance(text, str) or not text:
            raise InputError(f"an exposure needs the name of its {what}, seen {text!r}")
    if isinstance(record.phase, bool) or not isinstance(record.phase, int) or not 0 <= record.phase < 2**31:
        raise InputError(f"a phase is a whole number, seen {record.phase!r}")
    known = record.assignment_hash
    if not isinstance(known, str) or len(known) > LONGEST_HASH or not known.isascii() or "\0" in known:
        raise InputError(f"an assignment hash has at most {LONGEST_HASH} ASCII characters, seen {known!r}")
    mark, visitor = Mark(to_micros(record.at), record.arm, not known, known), canonical_visitor(record.visitor)
    if record.segments:
        kept, dropped = segments_of(record.segments)
        mark = mark.with_segments(tuple(kept.items()))
        tally.segments_dropped += len(dropped)
    return PreparedExposure(index, record.experiment, record.phase, visitor, mark)


def store_exposures(connection: Connection, records: Sequence[PreparedExposure], now: int) -> Tally:
    """Store one transaction's exposures, received at `now` in microseconds.

    Raises:
        Raced: another writer stored one of the visitors meanwhile; the transaction has to be repeated.
    """
    tally = Tally()
    horizon = prune_horizon(connection)
    groups: dict[tuple[str, int], list[PreparedExposure]] = defaultdict(list)
    for record in records:
        groups[record.experiment, record.phase].append(record)
    experiments = find_ids(connection, experiment, _storable({key for key, _ in groups}))
    arms = {key: arm_ids(connection, number) for key, number in experiments.items()}
    for (key, _), group in list(groups.items()):
        groups[key, _] = [one for one in group if _is_known(one, arms, tally)]
    _drop_unnamed_segments(connection, groups, experiments, tally)
    visitors = visitor_ids(connection, {one.visitor for group in groups.values() for one in group})
    for (key, phase), group in sorted(groups.items()):
        if group:
            _store_group(connection, (experiments[key], phase), arms[key], visitors, group, now, horizon, tally)
    return tally


def _storable(keys: Iterable[str]) -> list[str]:
    # A NUL or surrogate cannot even be asked for; such a key is unknown like any other.
    return [key for key in keys if "\0" not in key and key.encode(errors="replace").decode() == key]


def _is_known(record: PreparedExposure, arms: dict[str, dict[str, int]], tally: Tally) -> bool:
    if record.experiment not in arms:
        message = f"unknown experiment {record.experiment!r}; publish its definition first"
    elif record.mark.arm not in arms[record.experiment]:
        known = ", ".join(map(repr, sorted(arms[record.experiment])))
        message = f"unknown arm {record.mark.arm!r} of {record.experiment!r}; its arms are {known}"
    else:
        return True
    tally.refused.append(Refusal(record.index, message))
    return False


def _drop_unnamed_segments(
    connection: Connection,
    groups: dict[tuple[str, int], list[PreparedExposure]],
    experiments: dict[str, int],
    tally: Tally,
) -> None:
    """Leave those segments out that no version of the experiment names."""
    given = {key for (key, _), group in groups.items() if any(one.mark.segments for one in group)}
    if not given:
        return
    named = named_segments(connection, [experiments[key] for key in given])
    for (key, _), group in groups.items():
        for position, one in enumerate(group if key in given else ()):
            kept = tuple(pair for pair in one.mark.segments if pair[0] in named[experiments[key]])
            if kept != one.mark.segments:
                tally.segments_dropped += len(one.mark.segments) - len(kept)
                group[position] = replace(one, mark=one.mark.with_segments(kept))


def _store_group(
    connection: Connection,
    key: tuple[int, int],
    arms: dict[str, int],
    visitors: dict[str, int],
    records: Sequence[PreparedExposure],
    now: int,
    horizon: int | None,
    tally: Tally,
) -> None:
    # Records without segments give way to a stored one of the same moment, so what that one has need not be known.
    with_segments = any(one.mark.segments for one in records)
    stored = _read(connection, key, arms, {visitors[one.visitor] for one in records}, with_segments=with_segments)
    state = dict(stored)
    for one in records:
        visitor_id = visitors[one.visitor]
        before = state.get(visitor_id)
        after = merge(before, one.mark)
        if after != before and is_pruned(one.mark.at, horizon):
            tally.refused.append(Refusal(one.index, too_old("an exposure", one.mark.at, horizon)))
            continue
        state[visitor_id] = after
        if before is None:
            tally.new += 1
        elif after == before:
            tally.repeated += 1
        else:
            tally.changed += 1
            tally.crossovers += after.crossover is not None and before.crossover is None
    rows = {number: _row(key, number, first, arms) for number, first in state.items() if stored.get(number) != first}
    added = [rows[number] | {"received_at": now} for number in sorted(rows) if number not in stored]
    if insert_missing(connection, exposure, added) != len(added):
        raise Raced
    update_rows(connection, exposure, [rows[number] for number in sorted(rows) if number in stored])
    first_ones = [number for number in rows if number not in stored or stored[number].mark != state[number].mark]
    replaced = {number: state[number].mark.segments for number in sorted(first_ones)}
    write_segments(connection, key, replaced, [number for number in replaced if number in stored])


_CONTENT = ("arm_id", "at", "assignment_hash", "crossover_arm_id", "crossover_at")


def _read(
    connection: Connection, key: tuple[int, int], arms: dict[str, int], numbers: Iterable[int], *, with_segments: bool
) -> dict[int, First]:
    experiment_id, phase = key
    names = {number: name for name, number in arms.items()}
    statement = (
        select(exposure.c.visitor_id, *(exposure.c[field] for field in _CONTENT))
        .where(exposure.c.experiment_id == experiment_id, exposure.c.phase == phase)
        .where(matches(connection, exposure.c.visitor_id, list(numbers)))
        # Locked in one order by all writers.
        .order_by(exposure.c.visitor_id)
    )
    rows = connection.execute(locked(connection, statement)).all()
    segments = read_segments(connection, key, [row[0] for row in rows]) if rows and with_segments else {}
    return {
        visitor_id: First(
            Mark(at, names[arm_id], not known, known, visitor_id not in segments, segments.get(visitor_id, ())),
            None if other_id is None else (other_at, names[other_id]),
        )
        for visitor_id, arm_id, at, known, other_id, other_at in map(tuple, rows)
    }


def _row(key: tuple[int, int], visitor_id: int, first: First, arms: dict[str, int]) -> dict[str, int | str | None]:
    at, other = first.crossover or (None, None)
    return {
        "experiment_id": key[0],
        "phase": key[1],
        "visitor_id": visitor_id,
        "arm_id": arms[first.mark.arm],
        "at": first.mark.at,
        "assignment_hash": first.mark.assignment_hash,
        "crossover_arm_id": None if other is None else arms[other],
        "crossover_at": at,
    }
