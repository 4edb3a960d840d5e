"""Outcomes that only pruned experiments have read: found and removed part by part, so that nobody waits for long.

An outcome belongs to the experiments that have exposed its visitor, or anybody who is linked to them. It goes where a
pruned one has, unless it may be in a window of another one. Of those who are linked to a visitor of another experiment
all outcomes stay: in whose window they are depends on every exposure of the person. A refund stays as long as its
original.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    and_,
    case,
    delete,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    union_all,
)

from ..engines import matches
from ..tables import exposure, identity, outcome

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Group", "Part", "Unneeded"]

PART = 5_000
"""Visitors whose outcomes are removed in one transaction."""


@dataclass(frozen=True, slots=True)
class Group:
    """An experiment's number and one of its phases; outcomes count for `window` microseconds (None: for ever)."""

    experiment_id: int
    phase: int
    window: int | None


Part = tuple[int, int]
"""First visitor_id, and the one after the last."""


@dataclass(frozen=True, slots=True)
class Unneeded:
    """The outcomes from before `limit` of visitors of pruned groups, as far as no kept one may count them.

    `linked_pruned` and `linked_kept` are, in order, the visitor_ids of all who are linked to a visitor of such groups.
    """

    pruned: Sequence[Group]
    kept: Sequence[Group]
    limit: int
    linked_pruned: np.ndarray
    linked_kept: np.ndarray

    @classmethod
    def of(cls, connection: Connection, pruned: Sequence[Group], kept: Sequence[Group], limit: int) -> Unneeded:
        """Found by the groups and the links that are stored now."""
        return cls(pruned, kept, limit, *_linked(connection, [pruned, kept]))

    def parts(self, connection: Connection) -> Iterator[Part]:
        """Ranges of visitors that have all outcomes from before the limit."""
        if not self.pruned:
            return
        ends = select(func.min(outcome.c.visitor_id), func.max(outcome.c.visitor_id)).where(outcome.c.at < self.limit)
        first, last = connection.execute(ends).one()
        if first is not None:
            yield from ((start, start + PART) for start in range(first, last + 1, PART))

    def count(self, connection: Connection, part: Part) -> tuple[int, int]:
        """How many outcomes of a part go, and how many of pruned experiments stay because others read them."""
        old = self._old(connection, part)
        every = connection.scalars(select(func.count()).select_from(outcome).where(old)).one()
        orders = select(func.count()).select_from(outcome).where(self._orders(connection, part))
        gone = connection.scalars(orders).one() + len(self._refunds(connection, part))
        return gone, every - gone

    def delete(self, connection: Connection, part: Part) -> int:
        """Remove the outcomes of a part; how many there were."""
        # The refunds first: whether one stays depends on where its original is, not on whether it has gone already.
        refunds = self._refunds(connection, part)
        for event_id in sorted({event_id for event_id, _ in refunds}):
            own = [outcome_id for event, outcome_id in refunds if event == event_id]
            condition = and_(outcome.c.event_id == event_id, matches(connection, outcome.c.outcome_id, own))
            connection.execute(delete(outcome).where(condition))
        orders = self._orders(connection, part)
        count = connection.scalars(select(func.count()).select_from(outcome).where(orders)).one()
        connection.execute(delete(outcome).where(orders))
        return count + len(refunds)

    def _old(self, connection: Connection, part: Part) -> ColumnElement[bool]:
        """Outcomes from before the limit that a pruned experiment has read."""
        visitor = outcome.c.visitor_id
        pruned = or_(
            false(),
            *(_exposed_in(outcome, group, in_window=False) for group in self.pruned),
            *_among(connection, outcome, self.linked_pruned, part),
        )
        return and_(visitor >= part[0], visitor < part[1], outcome.c.at < self.limit, pruned)

    def _orders(self, connection: Connection, part: Part) -> ColumnElement[bool]:
        needed = self._is_kept(connection, outcome, part)
        return and_(self._old(connection, part), outcome.c.refund_of.is_(None), not_(needed))

    def _refunds(self, connection: Connection, part: Part) -> list[tuple[int, str]]:
        """Event and id of the refunds that go."""
        original = outcome.alias("original")
        found = and_(original.c.outcome_id == outcome.c.refund_of, original.c.event_id == outcome.c.event_id)
        # Most refunds are of the same visitor's orders, so that the same part has the visitor's links.
        needed = [case((self._is_kept(connection, one, part), 1), else_=0) for one in (outcome, original)]
        rows = connection.execute(
            select(outcome.c.event_id, outcome.c.outcome_id, outcome.c.visitor_id, original.c.visitor_id, original.c.at)
            .add_columns(*needed)
            .select_from(outcome.outerjoin(original, found))
            .where(self._old(connection, part), outcome.c.refund_of.is_not(None))
        ).all()
        gone: list[tuple[int, str]] = []
        for event_id, outcome_id, visitor_id, whose, at, own_needed, original_needed in map(tuple, rows):
            if whose is None:
                stays = own_needed
            elif whose == visitor_id:
                stays = original_needed or at >= self.limit
            else:
                stays = at >= self.limit or self._stays(connection, whose, at)
            if not stays:
                gone.append((event_id, outcome_id))
        return gone

    def _stays(self, connection: Connection, visitor_id: int, at: int) -> bool:
        """Whether an outcome of some visitor at some time is needed."""
        one = select(literal(visitor_id).label("visitor_id"), literal(at).label("at")).subquery("one")
        kept = self._is_kept(connection, one, (visitor_id, visitor_id + 1))
        return connection.scalars(select(case((kept, 1), else_=0)).select_from(one)).one() == 1

    def _is_kept(self, connection: Connection, row: FromClause, part: Part) -> ColumnElement[bool]:
        return or_(
            false(),
            *(_exposed_in(row, group, in_window=True) for group in self.kept),
            *_among(connection, row, self.linked_kept, part),
        )


def _exposed_in(row: FromClause, group: Group, *, in_window: bool) -> ColumnElement[bool]:
    """Whether the visitor of an outcome was exposed in a group; or, more strictly, whether it may count there."""
    one = exposure.alias()
    own = [one.c.experiment_id == group.experiment_id, one.c.phase == group.phase, one.c.visitor_id == row.c.visitor_id]
    if in_window:
        own.append(row.c.at >= one.c.at)
    if in_window and group.window is not None:
        own.append(row.c.at < one.c.at + group.window)
    return exists().where(*own)


def _among(connection: Connection, row: FromClause, linked: np.ndarray, part: Part) -> list[ColumnElement[bool]]:
    """Whether the visitor of an outcome is one of those of a part; no condition where there are none."""
    low, high = linked.searchsorted(part)
    # Never the only condition, as somebody of a group is at the other end of the links: to negate it by itself would
    # make `= ANY` a `!= ANY`.
    return [matches(connection, row.c.visitor_id, linked[low:high].tolist())] if low < high else []


def _linked(connection: Connection, sets: Sequence[Sequence[Group]]) -> list[np.ndarray]:
    """For each set of groups the visitors that links connect with one of its visitors, however many steps away."""
    import numpy as np

    rows = connection.execute(
        select(identity.c.anonymous_id, identity.c.customer_id).execution_options(yield_per=20_000)
    )
    # Sixteen bytes a link, however many there are.
    links = np.fromiter(map(tuple, rows), dtype="i8,i8").view(np.int64).reshape(-1, 2)
    if not len(links):
        return [np.zeros(0, dtype=np.int64) for _ in sets]
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    visitors, ends = np.unique(links, return_inverse=True)
    ends = ends.reshape(links.shape)
    edges = coo_array((np.ones(len(links), dtype=bool), (ends[:, 0], ends[:, 1])), shape=(len(visitors),) * 2)
    _, person = connected_components(edges, directed=False)
    found = []
    for groups in sets:
        exposed = np.array(_exposed(connection, groups), dtype=np.int64)
        persons = np.unique(person[np.isin(visitors, exposed)])
        found.append(visitors[np.isin(person, persons)])
    return found


def _exposed(connection: Connection, groups: Sequence[Group]) -> list[int]:
    """Visitors of the groups who are linked to anybody."""
    ends = union_all(select(identity.c.anonymous_id), select(identity.c.customer_id)).subquery("ends")
    visitors: list[int] = []
    for group in groups:
        own = and_(exposure.c.experiment_id == group.experiment_id, exposure.c.phase == group.phase)
        linked = exists().where(ends.c[0] == exposure.c.visitor_id)
        visitors += connection.scalars(select(exposure.c.visitor_id).where(own, linked))
    return visitors
