"""Reviews that are kept: computed in the background, one at a time an experiment, and shown with their age."""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import InputError, OfferliftError, StoreError
from ...storage import Store
from ...storage.versions import Revision
from ..review import ReviewRow, review_experiment
from ..section import section

__all__ = ["Cards", "Kept", "Wanted"]

THREADS = 2
"""Experiments that are computed at once."""

LISTED_FOR = 1.0
"""Seconds for which it is taken as known which versions and looks the store has."""

TRIED_FOR = 10.0
"""Seconds until an experiment that could not be computed is tried again."""

BUSY_SHARE = 0.1
"""Share of the time that recomputing takes at most, however often pages are read."""

MOST_DAYS = 500
"""Reviews as of earlier days that are kept; of those not read for the longest time the room is given to new ones."""

MOST_WAITING = 2_000
"""Reviews that may wait to be computed."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """An experiment, as of now or (`day`, YYYY-MM-DD) as of the end of an earlier day."""

    key: str
    day: str | None = None


@dataclass(slots=True)
class Kept:
    """A review that was computed.

    Attributes:
        row: of the experiment; nothing of it was recorded.
        revision: version and look that it was computed from.
        since: when it was computed, by the monotonic clock in seconds.
        seconds: how long that took.
    """

    row: ReviewRow
    revision: Revision
    since: float
    seconds: float
    _section: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def age(self) -> float:
        """Seconds since it was computed."""
        return time.monotonic() - self.since

    @property
    def is_drawn(self) -> bool:
        """Whether its figures are there."""
        return self._section is not None

    def section(self) -> dict[str, Any]:
        """What its page shows; the figures are drawn when they are first asked for."""
        if self._section is None:
            self._section = section(1, self.row.card, note=self.row.reviewed.reason)
        return self._section


@dataclass(slots=True)
class _Entry:
    """What is known of one that was wanted: the last review, and why there is no later one."""

    kept: Kept | None = None
    error: OfferliftError | None = None
    tried: float = 0.0


class Cards:
    """Reviews of a store's experiments, safe under threads; the store is opened read-only, and only while it is read.

    A review is shown at once, however old, while a later one is computed: after `fresh_seconds`, or when the experiment
    has another version or look. Where all experiments together take long they are kept longer, so that recomputing
    takes at most a tenth of the time. Threads begin with the first review that is wanted, and end with the process.
    """

    def __init__(self, url: str | Path, *, schema: str | None = None, fresh_seconds: float = 60.0):
        self._url, self._schema, self._fresh_seconds = url, schema, fresh_seconds
        self._lock = threading.Lock()
        self._listing = threading.Lock()
        self._revisions: dict[str, Revision] | None = None
        self._listed = 0.0
        self._entries: OrderedDict[Wanted, _Entry] = OrderedDict()
        self._waiting: dict[Wanted, Future[None]] = {}
        self._running: set[Wanted] = set()
        self._queue: queue.PriorityQueue[tuple[int, int, Wanted]] = queue.PriorityQueue()
        self._number = itertools.count()
        self._threads: list[threading.Thread] = []
        self.trouble = ""

    def revisions(self) -> Mapping[str, Revision]:
        """The experiments of the store, at most a second ago; those that were known while it cannot be read.

        `trouble` says then why it cannot.

        Raises:
            StoreError: it could never be read.
        """
        known = self._revisions
        if known is not None and time.monotonic() - self._listed < LISTED_FOR:
            return known
        # One asks the store; the others take what is known meanwhile.
        if not self._listing.acquire(blocking=known is None):
            return known or {}
        try:
            if self._revisions is None or time.monotonic() - self._listed >= LISTED_FOR:
                self._list()
            return self._revisions or {}
        finally:
            self._listing.release()

    def _list(self) -> None:
        try:
            with self._open() as store:
                found = store.revisions()
        except StoreError as error:
            if self._revisions is None:
                raise
            self.trouble = error.message
        else:
            self.trouble = ""
            self._revisions = found
            with self._lock:
                for gone in [one for one in self._entries if one.key not in found]:
                    del self._entries[gone]
        self._listed = time.monotonic()

    def known(self, wanted: Wanted) -> Kept | None:
        """The last review, however old; None where there is none yet."""
        with self._lock:
            entry = self._entries.get(wanted)
            return entry and entry.kept

    def failure(self, wanted: Wanted) -> OfferliftError | None:
        """Why there is no later review; None where that is not so."""
        with self._lock:
            entry = self._entries.get(wanted)
            return entry and entry.error

    def is_current(self, kept: Kept) -> bool:
        """Whether it was made from the latest version and look."""
        revisions = self._revisions or {}
        return revisions.get(kept.row.card.experiment) == kept.revision

    def refresh(self, wanted: Wanted, *, urgent: bool = False) -> Future[None] | None:
        """Have a review computed where there is none, or none that is fresh; None where nothing is to be done.

        Args:
            wanted: which; of an experiment that the store has.
            urgent: whether somebody waits for it: those come first.

        Returns:
            What is done once `known` or `failure` has the result.

        Raises:
            StoreError: too many are waiting.
        """
        with self._lock:
            entry = self._entries.setdefault(wanted, _Entry())
            self._entries.move_to_end(wanted)
            if not self._is_due(wanted, entry):
                return None
            future = self._waiting.get(wanted)
            if future is None:
                if len(self._waiting) >= MOST_WAITING:
                    raise StoreError("too many pages are being computed", hint="Try again in a minute.")
                future = self._waiting[wanted] = Future()
                # Others wait for it too: who goes away must not cancel it.
                future.set_running_or_notify_cancel()
                self._queue.put((0 if urgent else 1, next(self._number), wanted))
            elif urgent and wanted not in self._running:
                self._queue.put((0, next(self._number), wanted))
            self._start()
            return future

    def _is_due(self, wanted: Wanted, entry: _Entry) -> bool:
        if wanted in self._waiting:
            return True
        if entry.error is not None and time.monotonic() - entry.tried < TRIED_FOR:
            return False
        kept = entry.kept
        return kept is None or not self.is_current(kept) or kept.age > self._fresh_for()

    def _fresh_for(self) -> float:
        live = [entry.kept.seconds for one, entry in self._entries.items() if entry.kept and one.day is None]
        return max(self._fresh_seconds, sum(live) / BUSY_SHARE)

    def _start(self) -> None:
        # Those of a parent process did not come along through a fork.
        self._threads = [one for one in self._threads if one.is_alive()]
        while len(self._threads) < THREADS:
            one = threading.Thread(target=self._work, name="offerlift-dashboard", daemon=True)
            self._threads.append(one)
            one.start()

    def _work(self) -> None:
        while True:
            _, _, wanted = self._queue.get()
            with self._lock:
                future = self._waiting.get(wanted)
                if future is None or wanted in self._running:
                    continue
                self._running.add(wanted)
                before = self._entries.get(wanted)
            try:
                kept = self._compute(wanted, draw=bool(before and before.kept and before.kept.is_drawn))
            except Exception as error:
                self._failed(wanted, error)
            else:
                self._done(wanted, kept)
            future.set_result(None)

    def _compute(self, wanted: Wanted, *, draw: bool) -> Kept:
        begun = time.monotonic()
        revision = (self._revisions or {}).get(wanted.key, Revision(0, 0))
        with self._open() as store:
            row = review_experiment(store, wanted.key, wanted.day, dry_run=True, background=True)
        kept = Kept(row, revision, begun, time.monotonic() - begun)
        if draw:
            kept.section()
        return kept

    def _done(self, wanted: Wanted, kept: Kept) -> None:
        with self._lock:
            self._entries[wanted] = _Entry(kept)
            self._waiting.pop(wanted, None)
            self._running.discard(wanted)
            days = [one for one in self._entries if one.day is not None and one not in self._waiting]
            for oldest in days[: max(len(days) - MOST_DAYS, 0)]:
                del self._entries[oldest]

    def _failed(self, wanted: Wanted, error: Exception) -> None:
        if not isinstance(error, InputError | StoreError):
            log.error("computing %r failed", wanted.key, exc_info=error)
        said = error if isinstance(error, OfferliftError) else StoreError(f"it could not be computed: {error!r}")
        with self._lock:
            before = self._entries.get(wanted)
            self._entries[wanted] = _Entry(before and before.kept, said, time.monotonic())
            self._waiting.pop(wanted, None)
            self._running.discard(wanted)

    def _open(self) -> Store:
        return Store.open(self._url, schema=self._schema, read_only=True)
