"""The background thread that brings records to the store: in batches, again and again while the store is down."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import RecorderError
from .queues import MemoryQueue
from .sinks import Sink, is_down, is_refusal, open_sink, write, write_apart
from .wire import Row

if TYPE_CHECKING:
    # Loads sqlite3, which a recorder without a spool need not have.
    from .spool import Spool

__all__ = ["Counts", "Delivery"]

_log = logging.getLogger("offerlift.experiments")

UNKNOWN_ATTEMPTS = 5
"""How often a batch is tried whose error says neither that the sink is down nor that a record is wrong."""

FORK_SECONDS = 10.0
"""How long a fork waits for a batch that is being written to a store in a file."""

LOOK_SECONDS = 2.0
"""How often an idle process looks for records that another one left in the spool."""


@dataclass(slots=True)
class Counts:
    """What happened since the recorder was made, in this process."""

    delivered: int = 0
    retried: int = 0
    refused: int = 0
    dropped: int = 0
    segments_dropped: int = 0


class Delivery:
    """Takes records from queue and spool to the sink, in a thread that starts with the first record.

    Args:
        target: URL of a store, or a sink.
        queue: records of this process that are in memory only.
        spool: records that are on disk, if there is one.
        batch: most records of one write.
        linger: seconds to wait for more records after the first one.
        longest_pause: most seconds between two attempts.
    """

    def __init__(
        self,
        target: str | os.PathLike[str] | Sink,
        queue: MemoryQueue,
        spool: Spool | None,
        *,
        batch: int,
        linger: float,
        longest_pause: float,
    ):
        self._target = target
        self._queue = queue
        self._spool = spool
        self._batch = batch
        self._linger = linger
        self._longest_pause = longest_pause
        self.counts = Counts()
        self.problem = ""
        self.idle = True
        self.owner: object = None
        self._sink: Sink | None = None if isinstance(target, str | os.PathLike) else target
        self._inherited: list[Sink] = []
        self._logged: dict[str, float] = {}
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._writing = threading.Lock()
        self._dropping = threading.Lock()
        self._held_for_fork = False
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._closing = False
        self._attempts = 0
        self._worked = False
        # Delivered, but still in the spool because it cannot be written (disk full): not to be delivered again.
        self._unsettled: list[tuple[int, int, dict[int, str]]] = []

    # From other threads

    def wake(self) -> None:
        """There is something to deliver."""
        self.idle = False
        if self._thread is None:
            self.start()
        self._wake.set()

    def start(self) -> None:
        """Start the thread, once in each process."""
        with self._starting:
            if self._thread is None and not self._closing:
                # A daemon, or a store that is down would keep a process from ending; `at_exit` gives it some time.
                self._thread = threading.Thread(target=self._run, name="offerlift-recorder", daemon=True)
                self._thread.start()

    def hurry(self) -> None:
        """Do not linger, and try again now."""
        self._hurry.set()
        self.wake()

    def wait(self, timeout: float | None) -> bool:
        """Wait until the store has all that was recorded before; whether it has. None waits for as long as it takes.

        Raises:
            RecorderError: called by the delivery thread itself.
        """
        if self.owns_thread():
            raise RecorderError("flush was called by the sink of the same recorder, and would wait for itself")
        deadline = None if timeout is None else time.monotonic() + timeout
        spool = self._spool
        # In this order: what is brought from the queue into the spool in between counts there.
        mark = self._queue.mark()
        last = 0 if spool is None else spool.last_seq
        pause = 0.005
        while True:
            if mark is not None and mark.is_set():
                mark = None
                # What could not be spooled before may have gone through the spool after all.
                last = 0 if spool is None else spool.last_seq
            if mark is None and (spool is None or not last or not spool.holds(last)):
                return True
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            self.hurry()
            pause = min(0.25, 2 * pause)
            wait = pause if left is None else min(pause, left)
            if mark is not None:
                mark.wait(wait)
            else:
                time.sleep(wait)

    def stop(self, timeout: float) -> bool:
        """End the thread after the batch that it is writing; whether it has ended in time."""
        self._closing = True
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            self._hurry.set()
            self._wake.set()
            thread.join(max(0.0, timeout))
            if thread.is_alive():
                return False
        if self._spool is not None:
            self._spool.resign()
        self._close_sink()
        return True

    def owns_thread(self) -> bool:
        """Whether the caller is the delivery thread itself."""
        return threading.current_thread() is self._thread

    def drop(self, count: int) -> int:
        """Count lost records; how many that are so far."""
        with self._dropping:
            self.counts.dropped += count
            return self.counts.dropped

    def drop_segments(self, experiment: str, reasons: Sequence[str]) -> None:
        """Count and log values of segments that cannot be kept; the exposure itself is recorded."""
        with self._dropping:
            self.counts.segments_dropped += len(reasons)
        for reason in reasons:
            self._log(f"{reason}; the exposure of {experiment!r} is recorded without it", logging.ERROR)

    def say(self, problem: str, level: int = logging.WARNING) -> None:
        """Note a problem for `stats`, and log it, the same at most once a minute."""
        self.problem = problem
        self._log(problem, level)

    def _log(self, problem: str, level: int) -> None:
        kind, now = problem[:40], time.monotonic()
        if now - self._logged.get(kind, -60.0) >= 60.0:
            if len(self._logged) > 100:
                self._logged.clear()
            self._logged[kind] = now
            _log.log(level, "%s", problem)

    # The thread

    def _run(self) -> None:
        while not self._closing:
            try:
                busy = self._step()
            except RecorderError as error:
                self._pause(error)
                continue
            except Exception as error:
                # A bug here must not end the delivery of everything else.
                _log.exception("the recorder's delivery failed")
                self._pause(error)
                continue
            if not busy:
                self._rest()

    def _rest(self) -> None:
        if self._spool is not None and self._worked:
            self._worked = False
            self._quietly(self._spool.shrink)
        self.idle = True
        if not len(self._queue) and not self._closing:
            self._wake.wait(None if self._spool is None else LOOK_SECONDS)
        self._wake.clear()
        self.idle = False
        if not self._closing and self._hurry.wait(self._linger):
            self._hurry.clear()

    def _step(self) -> bool:
        """Deliver one batch; whether there was anything."""
        rows = self._queue.take(self._batch)
        if rows and not (self._spool is not None and self._rescue(rows)):
            self._deliver(rows, self._settle_memory)
        return self._step_spool() or bool(rows)

    def _rescue(self, rows: Sequence[Row]) -> bool:
        """Bring records into the spool that it could not take when they were made."""
        assert self._spool is not None
        try:
            self._spool.add_many([(row.kind, row.fields) for row in rows])
        except RecorderError:
            return False
        self._queue.settle()
        return True

    def _step_spool(self) -> bool:
        if self._spool is None or not self._spool.lead():
            return False
        self._quietly(self._settle_rest)
        rows = self._spool.take(self._unsettled[-1][1] if self._unsettled else 0, self._batch)
        if rows:
            self._deliver(rows, self._settle_spool)
        return bool(rows)

    def _settle_memory(self, rows: Sequence[Row], refused: dict[int, str]) -> None:
        # Before the marks that a flush waits for: whoever it returns to finds them counted.
        self.drop(len(refused))
        self._queue.settle()

    def _settle_spool(self, rows: Sequence[Row], refused: dict[int, str]) -> None:
        self._unsettled.append((rows[0].key, rows[-1].key, refused))
        self._quietly(self._settle_rest)

    def _settle_rest(self) -> None:
        assert self._spool is not None
        while self._unsettled:
            self._spool.settle(*self._unsettled[0])
            self._unsettled.pop(0)
            self._worked = True

    def _deliver(self, rows: Sequence[Row], settle: Callable[[Sequence[Row], dict[int, str]], None]) -> None:
        try:
            with self._writing:
                refused = self._write(rows)
        except Exception as error:
            self.counts.retried += len(rows)
            if self._spool is not None:
                # This process may be the only one that cannot reach the store.
                self._spool.resign()
            self._pause(error)
            return
        self._attempts = 0
        self.problem = ""
        self.counts.delivered += len(rows) - len(refused)
        self.counts.refused += len(refused)
        for reason in refused.values():
            where = "set aside in the spool" if settle == self._settle_spool else "dropped, as there is no spool"
            self.say(f"the store refused a record, which is {where}: {reason}", logging.ERROR)
        settle(rows, refused)

    def _write(self, rows: Sequence[Row]) -> dict[int, str]:
        if self._sink is None:
            assert isinstance(self._target, str | os.PathLike)
            self._sink = open_sink(self._target)
        try:
            return write(self._sink, rows)
        except Exception as error:
            if is_refusal(error) or (not is_down(error) and self._attempts >= UNKNOWN_ATTEMPTS):
                return write_apart(self._sink, rows)
            raise

    def _pause(self, error: Exception) -> None:
        self._attempts += 1
        waiting = len(self._queue)
        self.say(
            f"cannot deliver: {' '.join(str(error).split()) or type(error).__name__}"
            + (f"; {waiting} records wait in memory" if waiting else "")
        )
        longest = min(self._longest_pause, 0.1 * 2 ** min(self._attempts, 20))
        # Random, or all workers of a server would come back to its database at the same moment.
        if self._hurry.wait(longest * random.uniform(0.5, 1.0)):
            self._hurry.clear()

    def _quietly(self, work: Callable[[], None]) -> None:
        try:
            work()
        except RecorderError as error:
            self.say(str(error))

    def _close_sink(self) -> None:
        if self._sink is None or self._sink is self._target:
            return
        sink, self._sink = self._sink, None
        try:
            sink.close()  # pyright: ignore[reportAttributeAccessIssue]
        except Exception as error:
            self.say(f"cannot close the store: {error}")

    # Forks

    def before_fork(self) -> None:
        """Let go of a store in a file: it must not be open across a fork, as its locks belong to the process."""
        self._starting.acquire()
        if self._sink is None or self._is_file():
            # Nor may the child find a module half imported, whose lock nobody would release.
            self._held_for_fork = self._writing.acquire(timeout=FORK_SECONDS)
            getattr(self._sink, "before_fork", int)()
            self._close_sink()
        if self._spool is not None:
            self._spool.before_fork()

    def _is_file(self) -> bool:
        return str(getattr(self._sink, "url", "")).startswith(("sqlite", "duckdb"))

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._spool is not None:
            self._spool.after_fork_in_parent()
        if self._held_for_fork:
            self._held_for_fork = False
            self._writing.release()
        self._starting.release()

    def after_fork_in_child(self) -> None:
        """Start anew: thread, connections and what waits in memory are the parent's."""
        if self._spool is not None:
            self._spool.after_fork_in_child()
        self._queue.clear()
        if self._sink is not None and self._sink is self._target:
            getattr(self._sink, "after_fork_in_child", int)()
        elif self._sink is not None:
            # Kept and never closed: closing would end the parent's connection too.
            self._inherited.append(self._sink)
            self._sink = None
        self.counts = Counts()
        self.problem = ""
        self.idle = True
        self._start_afresh()
