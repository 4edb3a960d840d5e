"""The recorder: exposures, steps of offers, outcomes and identity links, from any thread of a backend to the store.

A call checks its record, keeps it (in the spool, or in a bounded queue) and returns; a background thread delivers. No
call waits for the store or raises because of it. Delivery is at least once; the store keeps each record once.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..errors import InputError, RecorderError
from .assignment import NO_SEGMENTS, Assignment, Reason
from .delivery import Delivery
from .processes import follow
from .queues import FULL, MemoryQueue, Seen
from .recording import Recording
from .segments import segments_of
from .sinks import Sink
from .wire import EXPOSURE, OFFER_STEP, exposure_fields, micros

if TYPE_CHECKING:
    from .spool import Refused

__all__ = ["Recorder", "RecorderStats"]

_SPLIT = Reason.SPLIT
# Any, as the type of a slice of a NamedTuple is the union of all its fields.
_UP_TO_HASH: Any = slice(Assignment._fields.index("hash") + 1)
_seconds = time.time


class RecorderStats(NamedTuple):
    """Where the records are; counts of this process since the recorder was made, but for the first two.

    Attributes:
        queued: records that wait in memory, and would be lost with the process.
        spooled: records that wait in the spool, of all its processes.
        delivered: records that the store has acknowledged.
        retried: records of batches that had to be tried again.
        dropped: records that are lost: no room, refused without a spool, or left in memory at the end.
        refused: records that the store refused; with a spool they are set aside there with their reason.
        problem: what is wrong at present, "" where nothing is.
        segments_dropped: values of segments that cannot be kept; their exposures are recorded without them.
    """

    queued: int
    spooled: int
    delivered: int
    retried: int
    dropped: int
    refused: int
    problem: str
    segments_dropped: int = 0


class Recorder(Recording):
    """Records what happens; use it as a context manager, or `close` it; the end of the interpreter does so as well.

    Args:
        target: URL of a store, an open store, or an object with `write_exposures`, `write_outcomes`, `write_links`
            and `write_offer_steps`.
        spool: path of a SQLite file on a local disk. With it a call returns after its record is committed there: a
            killed process or a store that is down loses nothing. Several processes may share one.
        capacity: most records in memory; without a spool, what comes on top is dropped and counted.
        when_full: `drop`, or `block` until there is room, which is refused inside a running event loop.
        batch: most records of one write.
        linger: seconds that the thread waits for more records before it writes.
        fsync: have the spool wait for the disk, so that a record survives the machine too.
        exit_timeout: seconds that `close` and the end of the interpreter wait for the store.

    Raises:
        RecorderError: the spool cannot be used.
    """

    remember = 1_000_000
    """Most exposures that are remembered so as not to be recorded again."""

    longest_pause = 30.0
    """Most seconds between two attempts to reach a store that is down."""

    def __init__(
        self,
        target: str | os.PathLike[str] | Sink,
        spool: str | os.PathLike[str] | None = None,
        *,
        capacity: int = 100_000,
        when_full: Literal["drop", "block"] = "drop",
        batch: int = 1_000,
        linger: float = 0.1,
        fsync: bool = False,
        exit_timeout: float = 5.0,
    ):
        if when_full not in ("drop", "block"):
            raise InputError(f"when_full is 'drop' or 'block', seen {when_full!r}")
        if capacity < 1 or batch < 1:
            raise InputError(f"capacity and batch are at least 1, seen {capacity} and {batch}")
        self._spool = None
        if spool is not None:
            # Only a recorder with a spool pays for importing sqlite3.
            from .spool import Spool

            self._spool = Spool(spool, fsync=fsync)
        self._block = when_full == "block"
        self._exit_timeout = exit_timeout
        self._queue = MemoryQueue(capacity)
        self._seen = Seen(self.remember)
        self._seen_steps = Seen(self.remember)
        self._closed = False
        self._direct = self._spool is None and not self._block
        self._delivery = Delivery(
            target, self._queue, self._spool, batch=batch, linger=linger, longest_pause=self.longest_pause
        )
        # Its thread keeps it alive: one that nobody holds any more must still be told of forks and the end.
        self._delivery.owner = self
        follow(self)
        if self._spool is not None and self._spool.count()[0]:
            # What a killed process left.
            self._delivery.wake()

    def expose(self, assignment: Assignment, *, at: datetime | None = None) -> None:
        """Record that a visitor reached the point where the arms could first differ, control included.

        Writes the experiment's exposure where the reason is SPLIT, with it that the offer was withheld where it was,
        and the exposure of the holdout experiment where the assignment has one; nothing otherwise. What this process
        has recorded already is not recorded again.

        Args:
            assignment: what `assign` answered.
            at: when it happened, aware; the moment of this call by default.

        Raises:
            InputError: not an assignment, or a naive `at`.
        """
        if self._direct and at is None and type(assignment) is Assignment:
            # The way of nearly every call, written out: what `assign` answered is valid, and the queue has room.
            visitor, experiment, phase, arm, _, withheld, reason, _, holdout, segments, known = assignment[_UP_TO_HASH]
            if holdout is None and segments is NO_SEGMENTS and withheld is None:
                if reason is not _SPLIT:
                    return
                try:
                    group = self._seen.groups[experiment][phase][arm]
                except KeyError:
                    group = FULL
                recent, older, queue = group.recent, group.older, self._queue
                before = len(recent)
                if before < group.most and len(queue.waiting) < queue.most and not (older and visitor in older):
                    recent.add(visitor)
                    # A visitor who is there already is hashed once this way. Where another thread adds one meanwhile,
                    # the exposure is recorded once more, which the store takes as a repeat.
                    if len(recent) != before:
                        queue.waiting.extend((group.key, visitor, _seconds(), known))
                        if self._delivery.idle:
                            self._delivery.wake()
                    return
        try:
            if assignment.reason is _SPLIT:
                experiment, phase, arm, known = assignment.experiment, assignment.phase, assignment.arm, assignment.hash
                self._expose(experiment, phase, assignment.visitor, arm, known, at, assignment.segments)
                if assignment.withheld is not None:
                    self.offer_step(assignment, "withheld", at=at)
            holdout, phase, known = assignment.holdout, assignment.holdout_phase, assignment.holdout_hash
        except AttributeError as error:
            raise InputError(f"expose needs what assign() answered, seen {assignment!r}") from error
        if holdout is not None:
            self._expose(holdout[0], phase, assignment.visitor, holdout[1], known, at)

    def _expose(
        self,
        experiment: str,
        phase: int,
        visitor: str,
        arm: str,
        known: str,
        at: datetime | None,
        attributes: Mapping[str, Any] = NO_SEGMENTS,
    ) -> None:
        if at is None:
            if self._seen.has(experiment, phase, visitor, arm):
                return
            moment = time.time_ns() // 1_000
        else:
            moment = micros(at)
        kept, dropped = ({}, ()) if attributes is NO_SEGMENTS else segments_of(attributes)
        if self._record(EXPOSURE, exposure_fields(experiment, phase, visitor, arm, moment, known, kept)):
            if dropped:
                self._delivery.drop_segments(experiment, dropped)
            self._seen.add(experiment, phase, visitor, arm)

    def _record_step(self, fields: Sequence[Any], *, timed: bool) -> None:
        experiment, visitor, step, offer, *_ = fields
        if timed:
            self._record(OFFER_STEP, fields)
        # The step stands where an exposure has its arm, and there are no phases: the store has one row for all of them.
        elif not self._seen_steps.has(experiment, 0, visitor, key := f"{step}/{offer}") and self._record(
            OFFER_STEP, fields
        ):
            self._seen_steps.add(experiment, 0, visitor, key)

    def _record(self, kind: str, fields: Sequence[Any]) -> bool:
        delivery = self._delivery
        if self._closed:
            self._drop("the recorder is closed")
            return False
        if self._spool is not None:
            try:
                self._spool.add(kind, fields)
            except RecorderError as error:
                # In memory it can still reach the store, or the spool once it has room again.
                delivery.say(f"{error}; records are kept in memory", logging.ERROR)
            else:
                if delivery.idle:
                    delivery.wake()
                return True
        if self._block and _in_event_loop():
            raise RecorderError(
                "a recorder that blocks when it is full must not be used inside an event loop",
                hint="Use when_full='drop', or a spool, or call it through asyncio.to_thread.",
            )
        while not self._queue.add(kind, fields):
            delivery.wake()
            if not self._block or self._closed or delivery.owns_thread():
                self._drop(f"the queue is full ({self._queue.capacity} records)")
                return False
            self._queue.room.wait(0.1)
        if delivery.idle:
            delivery.wake()
        return True

    def _drop(self, why: str, count: int = 1) -> None:
        total = self._delivery.drop(count)
        self._delivery.say(f"{why}: records are lost, {total} so far", logging.ERROR)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the store has all that this process has recorded so far; whether it has.

        Args:
            timeout: seconds; None waits for as long as it takes.

        Raises:
            RecorderError: called inside a running event loop; use `aflush`.
        """
        if _in_event_loop():
            raise RecorderError("flush would block the event loop", hint="Use `await recorder.aflush()`.")
        return self._delivery.wait(timeout)

    async def aflush(self, timeout: float | None = None) -> bool:
        """`flush` for asyncio: the event loop goes on meanwhile."""
        import asyncio

        return await asyncio.to_thread(self._delivery.wait, timeout)

    def stats(self) -> RecorderStats:
        """Where the records are, and what is wrong."""
        counts = self._delivery.counts
        problem, spooled = self._delivery.problem, 0
        if self._spool is not None:
            try:
                spooled = self._spool.count()[0]
            except RecorderError as error:
                problem = str(error)
        return RecorderStats(
            len(self._queue),
            spooled,
            counts.delivered,
            counts.retried,
            counts.dropped,
            counts.refused,
            problem,
            counts.segments_dropped,
        )

    def refused(self) -> list[Refused]:
        """The records that the store refused and the spool keeps, with their reasons; [] without a spool."""
        return [] if self._spool is None else self._spool.refused()

    def retry_refused(self) -> int:
        """Deliver the records again that are set aside in the spool, after their cause is gone; how many.

        Raises:
            RecorderError: there is no spool, or it cannot be written.
        """
        if self._spool is None:
            raise RecorderError("without a spool, refused records are not kept")
        moved = self._spool.readmit()
        self._delivery.wake()
        return moved

    def close(self, timeout: float | None = None) -> None:
        """Deliver what can be delivered in time and end; what is left stays in the spool, or is dropped and counted.

        Args:
            timeout: seconds; `exit_timeout` by default.
        """
        if self._closed:
            return
        deadline = time.monotonic() + (self._exit_timeout if timeout is None else timeout)
        self._finish(deadline)
        self._closed, self._direct = True, False
        self._delivery.stop(deadline - time.monotonic())
        if self._spool is not None:
            self._spool.close()
        left = self._queue.clear()
        if left:
            self._drop("the recorder was closed before the store took them", left)

    def _finish(self, deadline: float) -> None:
        try:
            self._delivery.wait(max(0.0, deadline - time.monotonic()))
        except RecorderError as error:
            self._delivery.say(str(error))

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def aclose(self, timeout: float | None = None) -> None:
        """`close` for asyncio."""
        import asyncio

        await asyncio.to_thread(self.close, timeout)

    # Told by `processes`

    def before_fork(self) -> None:
        """Called before the process forks."""
        self._delivery.before_fork()

    def after_fork_in_parent(self) -> None:
        """Called in the parent after a fork."""
        self._delivery.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        """Called in the child after a fork."""
        self._seen.renew_lock()
        self._seen_steps.renew_lock()
        self._delivery.after_fork_in_child()

    def at_exit(self) -> None:
        """Called at the end of the process."""
        self.close()


def _in_event_loop() -> bool:
    # A process that has not loaded asyncio has no loop, and need not load it for this question.
    events = sys.modules.get("asyncio.events")
    # Nor has one where another thread, such as that which opens the store, is in the middle of importing it.
    running_loop = getattr(events, "_get_running_loop", None)
    return running_loop is not None and running_loop() is not None
