"""Snapshots that follow their file or store: read in the background, swapped whole, kept where the new one is bad."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType

from ..errors import InputError
from .assigner import Assigner
from .compiled import Forced
from .guards import GuardState
from .processes import follow
from .sinks import open_sink
from .snapshot import Published, Snapshot

__all__ = ["LiveAssigner", "SnapshotSource"]

_log = logging.getLogger("offerlift.experiments")

FORK_SECONDS = 10.0
"""How long a fork waits for a store that is being read."""


class SnapshotSource(Mapping[str, Published]):
    """The newest good snapshot of a file or store; a mapping of experiment key to published version.

    A background thread looks every so often. A version that cannot be read or used leaves the former one in place; it
    is logged and stands in `problem` until a good one comes.

    Args:
        location: path of a snapshot file, or URL of a store (anything with "://").
        every: seconds between two looks, varied by a tenth so that the workers of a server do not look all at once.

    Raises:
        SnapshotError, StoreError: the first snapshot cannot be read. A server should not start without one.
        InputError: `every` is not positive.
    """

    def __init__(self, location: str | os.PathLike[str], *, every: float = 30.0):
        if not every > 0:
            raise InputError(f"`every` is a number of seconds above 0, seen {every!r}")
        self.location = os.fspath(location)
        self.problem = ""
        self.loaded = 0
        self._every = every
        self._listeners: list[Callable[[Snapshot], None]] = []
        self._signature: object = None
        self._reading = threading.Lock()
        self._stopping = threading.Event()
        signature = self._look()
        self._snapshot = self._read()
        self._signature = signature
        self.loaded = 1
        self.loaded_at = time.time()
        self._start()
        follow(self)

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot as of now; it never changes in place."""
        return self._snapshot

    def __getitem__(self, experiment: str) -> Published:
        return self._snapshot[experiment]

    def __iter__(self) -> Iterator[str]:
        return iter(self._snapshot)

    def __len__(self) -> int:
        return len(self._snapshot)

    def __repr__(self) -> str:
        return f"SnapshotSource({self.location!r}, {self._snapshot!r})"

    # A source is itself, whatever it holds at the moment.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def listen(self, listener: Callable[[Snapshot], None]) -> None:
        """Call `listener` with every new snapshot before it counts; one that it refuses by raising does not count."""
        self._listeners.append(listener)

    def refresh(self) -> bool:
        """Look now; whether there was a new snapshot. Never raises: what is wrong stands in `problem`."""
        with self._reading:
            try:
                signature = self._look()
                if signature is not None and signature == self._signature:
                    # What was good is back in its place, or never left it.
                    self._all_well()
                    return False
                snapshot = self._read()
                changed = dict(snapshot) != dict(self._snapshot)
                if changed:
                    for listener in self._listeners:
                        listener(snapshot)
                    self._snapshot = snapshot
                    self.loaded += 1
                    self.loaded_at = time.time()
                self._signature = signature
                self._all_well()
                return changed
            except Exception as error:
                # Anything: a thread that dies of it would leave the snapshot as it is, and say nothing.
                problem = f"the snapshot {self._name()} is kept as it was, the new one cannot be used: {error}"
                if problem != self.problem:
                    _log.error("%s", problem)
                self.problem = problem
                return False

    def close(self) -> None:
        """Stop looking; the last snapshot stays."""
        self._stopping.set()

    def __enter__(self) -> SnapshotSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _all_well(self) -> None:
        if self.problem:
            _log.info("the snapshot %s can be read again", self._name())
        self.problem = ""

    def _name(self) -> str:
        # A URL may hold a password.
        return self.location if "://" not in self.location else self.location.split("://")[0] + "://..."

    def _look(self) -> object:
        """What differs when the file was replaced or rewritten; None for a store, which has to be read."""
        if "://" in self.location:
            return None
        try:
            stat = Path(self.location).stat()
        except OSError:
            # Reading it says why.
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def _read(self) -> Snapshot:
        if "://" not in self.location:
            return Snapshot.load(self.location)
        # Opened for each look: a connection kept for half a minute of idleness would have to survive forks.
        with open_sink(self.location) as store:  # pyright: ignore[reportGeneralTypeIssues]
            return Snapshot.of([store.published(key) for key in store.experiments()])

    def _start(self) -> None:
        threading.Thread(target=self._run, name="offerlift-snapshot", daemon=True).start()

    def _run(self) -> None:
        while not self._stopping.wait(self._every * random.uniform(0.9, 1.1)):
            self.refresh()

    # Told by `processes`

    def before_fork(self) -> None:
        """Called before the process forks: the child must not find a store half read."""
        self._held = self._reading.acquire(timeout=FORK_SECONDS)

    def after_fork_in_parent(self) -> None:
        """Called in the parent after a fork."""
        if self._held:
            self._reading.release()

    def after_fork_in_child(self) -> None:
        """Called in the child after a fork: threads stay behind, so it gets its own."""
        self._reading = threading.Lock()
        if not self._stopping.is_set():
            self._stopping = threading.Event()
            self._start()

    def at_exit(self) -> None:
        """Called at the end of the process."""
        self.close()


class LiveAssigner(Assigner):
    """An assigner whose snapshot is refreshed in the background. Assigning costs what it costs with a fixed one.

    Every answer comes from one snapshot, the former or the new one. A new snapshot that cannot be compiled is bad like
    one that cannot be read: the former stays, and `source.problem` says why.

    Args:
        source: a SnapshotSource, or what it is made of: path of a snapshot file, or URL of a store.
        strict, forced, guard_state: as for Assigner.
        every: seconds between two looks, for a source that is made here.

    Raises:
        SnapshotError, StoreError: the first snapshot cannot be read.
    """

    def __init__(
        self,
        source: SnapshotSource | str | os.PathLike[str],
        strict: bool = False,
        *,
        forced: Mapping[str, Forced] | None = None,
        guard_state: GuardState | None = None,
        every: float = 30.0,
    ):
        self.source = source if isinstance(source, SnapshotSource) else SnapshotSource(source, every=every)
        # A snapshot that comes in between would be in use in the source and never here.
        with self.source._reading:
            super().__init__(self.source.snapshot, strict, forced=forced, guard_state=guard_state)
            self.source.listen(self.use)

    @property
    def problem(self) -> str:
        """Why the newest snapshot is not in use; "" where it is."""
        return self.source.problem

    def close(self) -> None:
        """Stop refreshing; the last snapshot stays in use."""
        self.source.close()
