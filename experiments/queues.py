"""What a process keeps in memory: records that wait for delivery, and the exposures that it has recorded already."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

from .wire import EXPOSURE, Row

__all__ = ["FULL", "Group", "MemoryQueue", "Seen"]

_new_tuple = tuple.__new__

_ITEMS = 4
"""Of the deque, a record."""


class MemoryQueue:
    """A bounded first-in-first-out queue; `capacity` may be exceeded by one record a thread.

    Adding needs no lock: it extends the deque `waiting` by four items at once, which are put in order by the thread
    that delivers: (experiment, phase, arm), visitor, seconds, hash of an exposure; kind, fields, None, None of any
    record; an event to be set and three times None. Not by one tuple: memory that grows by so many small objects costs
    a request more than all else here.
    """

    def __init__(self, capacity: int):
        self.capacity = capacity
        self.most = _ITEMS * capacity
        self.room = threading.Event()
        self.waiting: deque[Any] = deque()
        self._marks: set[threading.Event] = set()
        self._taken: list[Row] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return max(0, len(self.waiting) // _ITEMS - len(self._marks) + len(self._taken))

    def add(self, kind: str, fields: Sequence[Any]) -> bool:
        """Add a record; False where there is no room."""
        if len(self.waiting) >= self.most:
            self.room.clear()
            return False
        self.waiting.extend((kind, fields, None, None))
        return True

    def mark(self) -> threading.Event | None:
        """An event that is set once all that waits now is settled; None where nothing waits."""
        # Not by `len`, which is one too low while another thread makes its mark.
        if not self.waiting and not self._taken:
            return None
        mark = threading.Event()
        self._marks.add(mark)
        self.waiting.extend((mark, None, None, None))
        return mark

    def take(self, limit: int) -> list[Row]:
        """The oldest records, at most `limit`; the same ones again until they are settled. For one thread only."""
        if not self._taken:
            self._pass_marks()
            while self.waiting and len(self._taken) < limit and not isinstance(self.waiting[0], threading.Event):
                kind, fields = self._first()
                # Not by Row's own constructor, which is written in Python and costs three times as much.
                self._taken.append(_new_tuple(Row, (next(self._numbers), kind, fields)))
                # Only now, or a flush in between would find nothing waiting.
                for _ in range(4):
                    self.waiting.popleft()
        return self._taken

    def _first(self) -> tuple[str, Sequence[Any]]:
        first, second, third, fourth = (self.waiting[i] for i in range(4))
        if type(first) is not tuple:
            return first, second
        experiment, phase, arm = first
        return EXPOSURE, (experiment, phase, second, arm, int(third * 1e6), fourth)

    def settle(self) -> None:
        """Forget the records that were taken."""
        self._taken = []
        self.room.set()
        self._pass_marks()

    def _pass_marks(self) -> None:
        while self.waiting and isinstance(mark := self.waiting[0], threading.Event):
            for _ in range(_ITEMS):
                self.waiting.popleft()
            self._marks.discard(mark)
            mark.set()

    def clear(self) -> int:
        """Forget everything; how many records that were."""
        waiting = list(self.waiting)[::_ITEMS]
        lost = len(self._taken) + sum(not isinstance(one, threading.Event) for one in waiting)
        self.waiting.clear()
        self._marks.clear()
        self._taken = []
        return lost


class Group:
    """The visitors of one arm in one phase whose exposures were recorded.

    Attributes:
        key: experiment, phase and arm.
        recent: visitors since the last time that half of all were forgotten.
        older: those of the time before.
        most: how many may be in `recent` before `Seen` looks how much room there is in all.
    """

    __slots__ = ("key", "most", "older", "recent")

    def __init__(self, key: tuple[str, int, str], most: int):
        self.key = key
        self.most = most
        self.recent: set[str] = set()
        self.older: set[str] = set()


FULL = Group(("", 0, ""), 0)
"""Stands for a group that is not there yet: takes nobody."""


class Seen:
    """The exposures of this process that were recorded, at most `limit`: the least recently recorded half goes first.

    A visitor who looks at a page ten times is one row of the store anyway; this only saves the way there. `groups` are
    found by experiment, phase and arm, one after the other, as a text keeps its hash and a tuple does not.
    """

    def __init__(self, limit: int):
        self.half = limit // 2
        self.groups: dict[str, dict[int, dict[str, Group]]] = {}
        self.renew_lock()

    def renew_lock(self) -> None:
        """After a fork, in the child: another thread of the parent may have held the lock."""
        # Reentrant, as a signal handler may record too.
        self._lock = threading.RLock()

    def has(self, experiment: str, phase: int, visitor: str, arm: str) -> bool:
        """Whether this exposure was recorded, as far as is remembered."""
        try:
            group = self.groups[experiment][phase][arm]
        except KeyError:
            return False
        return visitor in group.recent or visitor in group.older

    def add(self, experiment: str, phase: int, visitor: str, arm: str) -> None:
        """Remember one."""
        with self._lock:
            arms = self.groups.setdefault(experiment, {}).setdefault(phase, {})
            group = arms.get(arm)
            if group is None:
                group = arms[arm] = Group((experiment, phase, arm), 0)
            if len(group.recent) >= group.most:
                self._share_room(group)
            if len(group.recent) < group.most:
                group.recent.add(visitor)

    def _share_room(self, asking: Group) -> None:
        """Divide what is left among the groups; where that is nothing, forget the older half."""
        groups = self._all()
        share = (self.half - sum(len(group.recent) for group in groups)) // len(groups)
        if share < 1:
            groups = [group for group in groups if group.recent or group is asking]
            kept: dict[str, dict[int, dict[str, Group]]] = {}
            for group in groups:
                group.older, group.recent = group.recent, set()
                experiment, phase, arm = group.key
                kept.setdefault(experiment, {}).setdefault(phase, {})[arm] = group
            self.groups = kept
            share = self.half // len(groups)
        for group in groups:
            group.most = len(group.recent) + share

    def _all(self) -> list[Group]:
        return [group for phases in self.groups.values() for arms in phases.values() for group in arms.values()]

    def __len__(self) -> int:
        return sum(len(group.recent) + len(group.older) for group in self._all())
