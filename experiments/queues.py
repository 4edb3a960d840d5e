"""What a process keeps in memory: records that wait for delivery, and the exposures that it has recorded already."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Hashable, Sequence
from typing import Any

from .wire import Row

__all__ = ["MemoryQueue", "Seen"]


_new_tuple = tuple.__new__


class MemoryQueue:
    """A bounded first-in-first-out queue; `capacity` may be exceeded by one record a thread.

    Adding is one append to the deque `waiting`, which needs no lock: of (kind, *fields), or of the recorder's own
    (kind, (experiment, phase, visitor, arm), nanoseconds, hash), which is put in order by the thread that delivers.
    """

    def __init__(self, capacity: int):
        self.capacity = capacity
        self.room = threading.Event()
        self.waiting: deque[tuple[Any, ...] | threading.Event] = deque()
        self._marks: set[threading.Event] = set()
        self._taken: list[Row] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return max(0, len(self.waiting) - len(self._marks) + len(self._taken))

    def add(self, kind: str, fields: Sequence[Any]) -> bool:
        """Add a record; False where there is no room."""
        if len(self.waiting) >= self.capacity:
            self.room.clear()
            return False
        self.waiting.append((kind, *fields))
        return True

    def mark(self) -> threading.Event | None:
        """An event that is set once all that waits now is settled; None where nothing waits."""
        # Not by `len`, which is one too low while another thread makes its mark.
        if not self.waiting and not self._taken:
            return None
        mark = threading.Event()
        self._marks.add(mark)
        self.waiting.append(mark)
        return mark

    def take(self, limit: int) -> list[Row]:
        """The oldest records, at most `limit`; the same ones again until they are settled. For one thread only."""
        if not self._taken:
            self._pass_marks()
            waiting = self.waiting
            while waiting and len(self._taken) < limit:
                first = waiting[0]
                if isinstance(first, threading.Event):
                    break
                # Not by Row's own constructor, which is written in Python and costs three times as much.
                self._taken.append(_new_tuple(Row, (next(self._numbers), first[0], _fields(first))))
                # Only now, or a flush in between would find nothing waiting.
                waiting.popleft()
        return self._taken

    def settle(self) -> None:
        """Forget the records that were taken."""
        self._taken = []
        self.room.set()
        self._pass_marks()

    def _pass_marks(self) -> None:
        while self.waiting and isinstance(mark := self.waiting[0], threading.Event):
            self.waiting.popleft()
            self._marks.discard(mark)
            mark.set()

    def clear(self) -> int:
        """Forget everything; how many records that were."""
        lost = len(self._taken) + sum(not isinstance(one, threading.Event) for one in self.waiting)
        self.waiting.clear()
        self._marks.clear()
        self._taken = []
        return lost


def _fields(waiting: tuple[Any, ...]) -> Sequence[Any]:
    if type(waiting[1]) is tuple:
        _, key, nanoseconds, known = waiting
        return (*key, nanoseconds // 1_000, known)
    return waiting[1:]


class Seen:
    """The exposures of this process that were recorded, at most `limit`: the least recently recorded half goes first.

    A visitor who looks at a page ten times is one row of the store anyway; this only saves the way there.
    """

    def __init__(self, limit: int):
        self.half = limit // 2
        self.recent: set[Hashable] = set()
        self.older: set[Hashable] = set()

    def add(self, key: Hashable) -> None:
        """Remember one."""
        if len(self.recent) >= self.half:
            self.older, self.recent = self.recent, set()
        if self.half:
            self.recent.add(key)

    def __len__(self) -> int:
        return len(self.recent) + len(self.older)
