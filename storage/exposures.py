"""Writing exposures: one row a visitor, whatever the order in which the records arrive.

Of all records of a visitor in an experiment and phase the row keeps two: the earliest, and the earliest in another arm
than that one. Two are enough: a new record that is earlier than the first is either of the same arm, or makes the old
first the earliest of another arm. So any order and any batching of the same records gives the same row.

The segments stored are those of the earliest record, and of no other: they were true when the visitor came in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from ..errors import InputError
from ..experiments.hashing import canonical_visitor
from ..experiments.records import Exposure
from ..experiments.segments import segments_of
from .engine import Raced
from .engines import insert_missing, locked, matches, update_rows
from .horizon import is_pruned, prune_horizon, too_old
from .lookups import arm_ids, find_ids, visitors_and_new
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


class PreparedExposure(NamedTuple):
    """A checked exposure record; `place` is its position among the records written."""

    place: int
    experiment: str
    phase: int
    visitor: str
    mark: Mark


def merge(stored: First | None, record: Mark) -> First:
    """What is kept of a visitor after one more record; `stored` itself where that changes nothing."""
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
    key, arm, phase, known = record.experiment, record.arm, record.phase, record.assignment_hash
    if not isinstance(key, str) or not key:
        raise InputError(f"an exposure needs the name of its experiment, seen {key!r}")
    if not isinstance(arm, str) or not arm:
        raise InputError(f"an exposure needs the name of its arm, seen {arm!r}")
    if isinstance(phase, bool) or not isinstance(phase, int) or not 0 <= phase < 2**31:
        raise InputError(f"a phase is a whole number, seen {phase!r}")
    if not isinstance(known, str) or len(known) > LONGEST_HASH or not known.isascii() or "\0" in known:
        raise InputError(f"an assignment hash has at most {LONGEST_HASH} ASCII characters, seen {known!r}")
    mark, visitor = Mark(to_micros(record.at), arm, not known, known), canonical_visitor(record.visitor)
    if record.segments:
        kept, dropped = segments_of(record.segments)
        mark = mark.with_segments(tuple(kept.items()))
        tally.segments_dropped += len(dropped)
    return PreparedExposure(index, key, phase, visitor, mark)


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
    groups = {(key, phase): _of_known_arms(group, arms.get(key), tally) for (key, phase), group in groups.items()}
    _drop_unnamed_segments(connection, groups, experiments, tally)
    visitors, new = visitors_and_new(connection, {one.visitor for group in groups.values() for one in group})
    for (key, phase), group in sorted(groups.items()):
        if group:
            old = {visitors[one.visitor] for one in group if one.visitor not in new}
            _store_group(connection, (experiments[key], phase), arms[key], visitors, old, group, now, horizon, tally)
    return tally


def _storable(keys: Iterable[str]) -> list[str]:
    # A NUL or surrogate cannot even be asked for; such a key is unknown like any other.
    return [key for key in keys if "\0" not in key and key.encode(errors="replace").decode() == key]


def _of_known_arms(
    records: list[PreparedExposure], arms: dict[str, int] | None, tally: Tally
) -> list[PreparedExposure]:
    """The records in an arm of their experiment, which has none if it is unknown; the others are refused."""
    known = arms or {}
    taken = [one for one in records if one.mark.arm in known]
    if len(taken) < len(records):
        listed = ", ".join(map(repr, sorted(known)))
        for one in records:
            if arms is None:
                message = f"unknown experiment {one.experiment!r}; publish its definition first"
            elif one.mark.arm not in known:
                message = f"unknown arm {one.mark.arm!r} of {one.experiment!r}; its arms are {listed}"
            else:
                continue
            tally.refused.append(Refusal(one.place, message))
    return taken


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
                group[position] = one._replace(mark=one.mark.with_segments(kept))


def _store_group(
    connection: Connection,
    key: tuple[int, int],
    arms: dict[str, int],
    visitors: dict[str, int],
    old: Collection[int],
    records: Sequence[PreparedExposure],
    now: int,
    horizon: int | None,
    tally: Tally,
) -> None:
    # Records without segments give way to a stored one of the same moment, so what that one has need not be known.
    with_segments = any(one.mark.segments for one in records)
    stored = _read(connection, key, arms, old, with_segments=with_segments) if old else {}
    state = dict(stored)
    for index, _, _, visitor, mark in records:
        number = visitors[visitor]
        before = state.get(number)
        if before is None and horizon is None:
            state[number] = First(mark)
            continue
        after = merge(before, mark)
        if after is before:
            tally.repeated += 1
            continue
        if is_pruned(mark.at, horizon):
            tally.refused.append(Refusal(index, too_old("an exposure", mark.at, horizon)))
            continue
        state[number] = after
        if before is not None:
            tally.changed += 1
            tally.crossovers += after.crossover is not None and before.crossover is None
    added = sorted(state.keys() - stored.keys())
    tally.new += len(added)
    rows = [_row(key, number, state[number], arms, now) for number in added]
    if insert_missing(connection, exposure, (*_FIELDS, "received_at"), rows) != len(rows):
        raise Raced
    changed = [number for number in sorted(stored) if state[number] is not stored[number]]
    update_rows(connection, exposure, _FIELDS, [_row(key, number, state[number], arms) for number in changed])
    replaced = [number for number in changed if state[number].mark != stored[number].mark]
    segments = {number: state[number].mark.segments for number in (*added, *replaced)} if with_segments else {}
    write_segments(connection, key, segments, replaced)


_CONTENT = ("arm_id", "at", "assignment_hash", "crossover_arm_id", "crossover_at")
_FIELDS = ("experiment_id", "phase", "visitor_id", *_CONTENT)


def _read(
    connection: Connection, key: tuple[int, int], arms: dict[str, int], numbers: Collection[int], *, with_segments: bool
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


def _row(
    key: tuple[int, int], visitor_id: int, first: First, arms: dict[str, int], *more: int
) -> tuple[int | str | None, ...]:
    """The values of _FIELDS, and more."""
    (at, arm, _, known, _, _), crossover = first
    experiment_id, phase = key
    if crossover is None:
        return experiment_id, phase, visitor_id, arms[arm], at, known, None, None, *more
    return experiment_id, phase, visitor_id, arms[arm], at, known, arms[crossover[1]], crossover[0], *more
