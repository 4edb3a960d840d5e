"""Removing the rows of experiments that are over, so that their reports stay as they are.

What was read of an experiment is kept first; then its visitors' old outcomes go, as far as no other experiment needs
them, and its exposures last. Each is a transaction of its own, or many: a pruning that was interrupted loses nothing,
and is finished by the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select

from ...errors import InputError
from ...experiments.snapshot import Published
from ..archive import read_archive, write_archive
from ..engine import Raced, reading, writing
from ..engines import database_of
from ..exploring import segments_of_versions
from ..funnels import read_funnel
from ..horizon import raise_horizon
from ..lookups import find_ids
from ..observations import Breakdown
from ..reading import read_breakdown, read_observations
from ..showings import read_by_showings
from ..store import Store
from ..tables import experiment, exposure, offer_step, segment
from ..times import from_micros, now_micros, to_micros
from ..versions import all_versions, experiment_keys, latest_version
from .unneeded import Group, Unneeded

__all__ = ["PrunedExperiment", "Pruning", "plan_pruning", "prune_store"]

PIECE = 20_000
"""Visitors whose exposures are removed in one transaction."""


@dataclass(frozen=True, slots=True)
class PrunedExperiment:
    """What a pruning does with an experiment.

    Attributes:
        experiment: its key.
        exposures, segments, offer_steps: rows that go; 0 where it is kept.
        kept: why all of its rows stay; None where they go.
        endless: metrics without a window: later outcomes, which would still have counted, no longer do.
    """

    experiment: str
    exposures: int
    segments: int
    kept: str | None = None
    endless: tuple[str, ...] = ()
    offer_steps: int = 0


@dataclass(frozen=True, slots=True)
class Pruning:
    """What a pruning removes, or has removed: everything from before a time that no analysis reads any more.

    `outcomes` counts those of the experiments' visitors; `needed` counts those that stay because another experiment
    reads them.
    """

    store: str
    before: datetime
    done: bool
    experiments: tuple[PrunedExperiment, ...]
    outcomes: int
    needed: int

    @property
    def pruned(self) -> tuple[PrunedExperiment, ...]:
        """The experiments whose rows go."""
        return tuple(one for one in self.experiments if one.kept is None)


def plan_pruning(store: Store, before: datetime) -> Pruning:
    """What `prune_store` would remove; nothing is changed.

    Raises:
        InputError: a naive time, or one that is still to come.
    """
    limit, now = _limit(before), now_micros()
    with reading(store.engine) as connection:
        experiments = tuple(_experiments(connection, limit, now))
        unneeded = _unneeded(connection, experiments, limit)
        counts = [unneeded.count(connection, part) for part in unneeded.parts(connection)]
    gone, needed = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    return Pruning(store.url, from_micros(limit), False, experiments, gone, needed)


def prune_store(store: Store, before: datetime) -> Pruning:
    """Remove the rows from before a time of those experiments that are stopped and whose windows have closed.

    An experiment goes as a whole: one with exposures from later stays. Its `Observations` are kept, so that its report
    does not change. From then on the store refuses outcomes and new exposures from before that time.

    Raises:
        InputError: a naive time, or one that is still to come.
    """
    plan = plan_pruning(store, before)
    limit = to_micros(plan.before)
    if not plan.pruned:
        return replace(plan, done=True)
    for one in plan.pruned:
        writing(store.engine, lambda connection, key=one.experiment: _keep(connection, key, limit))
    writing(store.engine, lambda connection: raise_horizon(connection, limit))
    with reading(store.engine) as connection:
        unneeded = _unneeded(connection, plan.experiments, limit)
        parts = list(unneeded.parts(connection))
    outcomes = sum(
        writing(store.engine, lambda connection, part=part: unneeded.delete(connection, part)) for part in parts
    )
    with reading(store.engine) as connection:
        pieces = [piece for group in unneeded.pruned for piece in _pieces(connection, group)]
        steps = [piece for group in unneeded.pruned for piece in _step_pieces(connection, group.experiment_id, limit)]
    # Before the exposures: as long as there are any, an interrupted pruning is finished by the next.
    for piece in steps:
        writing(store.engine, lambda connection, piece=piece: _delete_steps(connection, *piece, limit))
    for piece in pieces:
        writing(store.engine, lambda connection, piece=piece: _delete(connection, *piece, limit))
    database_of(store.engine).settle(store.engine)
    return replace(plan, done=True, outcomes=outcomes)


def _limit(before: datetime) -> int:
    limit = to_micros(before)
    if limit > now_micros():
        raise InputError(
            f"what is from before {before.isoformat()} has not all happened yet",
            hint="Give a time in the past; what is older than a year, for example.",
        )
    return limit


def _experiments(connection: Connection, limit: int, now: int) -> Iterator[PrunedExperiment]:
    for key in experiment_keys(connection):
        published = latest_version(connection, key)
        number = find_ids(connection, experiment, [key])[key]
        rows, last = _counted(connection, number)
        if rows == 0:
            continue
        kept = _reason_to_keep(published, last, limit, now)
        if kept is not None:
            yield PrunedExperiment(key, 0, 0, kept)
            continue
        attributes = select(func.count()).select_from(segment).where(segment.c.experiment_id == number)
        endless = tuple(one.name for one in published.definition.metrics if one.window_end is None)
        steps = select(func.count()).select_from(offer_step).where(_old_steps(number, limit))
        counts = [connection.scalars(statement).one() for statement in (attributes, steps)]
        yield PrunedExperiment(key, rows, counts[0], None, endless, counts[1])


def _counted(connection: Connection, number: int) -> tuple[int, int]:
    """How many exposures an experiment has, and when the last was."""
    rows = select(func.count(), func.max(exposure.c.at)).where(exposure.c.experiment_id == number)
    count, last = connection.execute(rows).one()
    return count, last or 0


def _reason_to_keep(published: Published, last: int, limit: int, now: int) -> str | None:
    if published.state != "stopped":
        return f"it is {published.state}; only stopped experiments are pruned"
    if last >= limit:
        return (
            f"its last exposure is of {from_micros(last).isoformat()}, not older than {from_micros(limit).isoformat()}"
        )
    closed = last + max((end for end in _ends(published) if end is not None), default=0)
    if closed > now:
        return f"its last window closes at {from_micros(closed).isoformat()}"
    return None


def _ends(published: Published) -> list[int | None]:
    """For how long after an exposure each metric counts outcomes, and refunds of them; None: for ever."""
    metrics = published.definition.metrics
    return [None if one.window_end is None else one.window_end + one.refund_window for one in metrics]


def _groups(connection: Connection, pruned: Sequence[str]) -> tuple[list[Group], list[Group]]:
    """All groups of exposures, of those experiments and of the others."""
    keys = {number: key for key, number in connection.execute(select(experiment.c.key, experiment.c.id)).all()}
    found: tuple[list[Group], list[Group]] = [], []
    for number, phase in connection.execute(select(exposure.c.experiment_id, exposure.c.phase).distinct()).all():
        ends = _ends(latest_version(connection, keys[number]))
        window = None if None in ends else max(end for end in ends if end is not None)
        found[keys[number] not in pruned].append(Group(number, phase, window))
    return found


def _unneeded(connection: Connection, experiments: Sequence[PrunedExperiment], limit: int) -> Unneeded:
    pruned, kept = _groups(connection, [one.experiment for one in experiments if one.kept is None])
    return Unneeded.of(connection, pruned, kept, limit)


def _keep(connection: Connection, key: str, limit: int) -> None:
    """Keep what is read of an experiment, unless an earlier pruning has kept it."""
    if read_archive(connection, key, None) is not None:
        return
    now = now_micros()
    published = latest_version(connection, key)
    number = find_ids(connection, experiment, [key])[key]
    before = _counted(connection, number)
    reason = _reason_to_keep(published, before[1], limit, now)
    if reason is not None:
        raise InputError(f"{key!r} was changed while the store was pruned: {reason}", hint="Prune again.")
    observations = read_observations(connection, published, now)
    breakdowns = _breakdowns(connection, published, now)
    funnel = read_funnel(connection, published, now)
    showings = read_by_showings(connection, published, now)
    if _counted(connection, number) != before:
        raise Raced
    write_archive(connection, published, observations, now, breakdowns, funnel, showings)


def _breakdowns(connection: Connection, published: Published, now: int) -> dict[str, Breakdown]:
    """By every segment, as reports read it."""
    recorded = segments_of_versions(all_versions(connection, published.definition.experiment))
    whole = dict.fromkeys((*recorded.planned, *published.definition.segments))
    found = {name: read_breakdown(connection, published, now, name) for name in whole}
    for name in recorded.exploratory:
        if name not in whole:
            # One that is no category has nothing to keep, nor would a report have shown it.
            with suppress(InputError):
                found[name] = read_breakdown(connection, published, now, name, grouped=True)
    return found


def _pieces(connection: Connection, group: Group) -> Iterator[tuple[Group, int, int]]:
    """Ranges of visitors that have all exposures of a group."""
    own = and_(exposure.c.experiment_id == group.experiment_id, exposure.c.phase == group.phase)
    ends = select(func.min(exposure.c.visitor_id), func.max(exposure.c.visitor_id)).where(own)
    first, last = connection.execute(ends).one()
    if first is not None:
        yield from ((group, start, start + PIECE) for start in range(first, last + 1, PIECE))


def _delete(connection: Connection, group: Group, first: int, end: int, limit: int) -> None:
    """Remove exposures of a group from before the limit, and the attributes that were stored with them."""
    for table in (segment, exposure):
        columns = table.c
        own = and_(columns.experiment_id == group.experiment_id, columns.phase == group.phase)
        condition = and_(own, columns.visitor_id >= first, columns.visitor_id < end)
        # Attributes have no time: a late exposure, which stays, is of an experiment whose report is kept already.
        connection.execute(delete(table).where(condition, *([exposure.c.at < limit] if table is exposure else [])))


def _old_steps(experiment_id: int, limit: int) -> ColumnElement[bool]:
    return and_(offer_step.c.experiment_id == experiment_id, offer_step.c.at < limit)


def _step_pieces(connection: Connection, experiment_id: int, limit: int) -> Iterator[tuple[int, int, int]]:
    """Ranges of visitors that have all old steps of an experiment, of whoever was never exposed as well."""
    visitor_id = offer_step.c.visitor_id
    ends = select(func.min(visitor_id), func.max(visitor_id)).where(_old_steps(experiment_id, limit))
    first, last = connection.execute(ends).one()
    if first is not None:
        yield from ((experiment_id, start, start + PIECE) for start in range(first, last + 1, PIECE))


def _delete_steps(connection: Connection, experiment_id: int, first: int, end: int, limit: int) -> None:
    visitor_id = offer_step.c.visitor_id
    own = and_(_old_steps(experiment_id, limit), visitor_id >= first, visitor_id < end)
    connection.execute(delete(offer_step).where(own))
