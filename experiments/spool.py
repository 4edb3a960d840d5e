"""The spool: records that wait for delivery in a local SQLite file, shared by the processes of a machine.

A record is safe once it is committed here: the process may then be killed at any time. Threads that record at the same
moment share one commit. Several processes may write; one at a time delivers, and it holds a lock that the operating
system releases when it dies. A record leaves the file only after the store has acknowledged it.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import RecorderError
from .wire import Row, from_json, to_json

try:
    import fcntl
except ImportError:  # Windows: two processes may then deliver the same record, which the store keeps once.
    fcntl = None

__all__ = ["Refused", "Spool"]

FORMAT = 1
_APPLICATION = 0x0FFE5B01
BUSY_SECONDS = 2.0
"""How long one record waits for another process's commit."""

_TABLES = """
CREATE TABLE IF NOT EXISTS record (seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS refused (
    seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL, reason TEXT NOT NULL, at REAL NOT NULL
);
"""


class Refused(NamedTuple):
    """A record that the store refused, with its reason; `at` is seconds since 1970."""

    seq: int
    kind: str
    fields: Sequence[Any]
    reason: str
    at: float


class _Ticket:
    __slots__ = ("body", "done", "error", "kind", "seq")

    def __init__(self, kind: str, body: str):
        self.kind, self.body = kind, body
        self.seq, self.done = 0, False
        self.error: sqlite3.Error | None = None


class Spool:
    """A spool file, created where there is none.

    Args:
        path: of the file, on a local disk: SQLite's locks do not hold on network file systems. Beside it are SQLite's
            `-wal` and `-shm`, and a `.lock`.
        fsync: wait for the disk at every commit. Without it a record survives the process, with it the machine too.

    Raises:
        RecorderError: the folder does not exist, the file cannot be written or is no spool.
    """

    def __init__(self, path: str | os.PathLike[str], *, fsync: bool = False):
        self.path = Path(path)
        self._fsync = fsync
        self._waiting: deque[_Ticket] = deque()
        self._last_seq = 0
        # One connection adds, the other takes and removes: adding never waits for reading.
        self._adding = _Side(self)
        self._taking = _Side(self)
        self._leading = threading.Lock()
        self._lock_file: int | None = None
        self._closed = False
        with self._adding.use("cannot be used"), self._taking.use("cannot be used"):
            pass

    # Adding

    def add(self, kind: str, fields: Sequence[Any]) -> None:
        """Commit one record; returns when it is safe.

        Raises:
            RecorderError: the file cannot take it (disk full, locked for long).
        """
        ticket = _Ticket(kind, to_json(fields))
        self._waiting.append(ticket)
        with self._adding.lock:
            # Whoever comes first commits for all who wait; the others find theirs done.
            if not ticket.done:
                tickets = []
                while self._waiting:
                    tickets.append(self._waiting.popleft())
                self._commit(tickets)
        if ticket.error is not None:
            raise RecorderError(f"the spool {self.path} cannot take records: {ticket.error}") from ticket.error

    def add_many(self, rows: Sequence[tuple[str, Sequence[Any]]]) -> None:
        """Commit several records at once; errors as `add`."""
        tickets = [_Ticket(kind, to_json(fields)) for kind, fields in rows]
        with self._adding.lock:
            self._commit(tickets)
        if tickets and (error := tickets[0].error) is not None:
            raise RecorderError(f"the spool {self.path} cannot take records: {error}") from error

    def _commit(self, tickets: list[_Ticket]) -> None:
        try:
            connection = self._adding.connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                for ticket in tickets:
                    added = connection.execute(
                        "INSERT INTO record (kind, body) VALUES (?, ?)", (ticket.kind, ticket.body)
                    )
                    ticket.seq = added.lastrowid or 0
                connection.execute("COMMIT")
            except BaseException:
                _roll_back(connection)
                raise
            self._last_seq = max(self._last_seq, tickets[-1].seq if tickets else 0)
        except sqlite3.Error as error:
            for ticket in tickets:
                ticket.error = error
            self._adding.close()
        finally:
            for ticket in tickets:
                ticket.done = True

    # Taking

    def take(self, after: int, limit: int) -> list[Row]:
        """The oldest records after a number, at most `limit`; they stay in the file."""
        with self._taking.use("cannot be read") as connection:
            rows = connection.execute(
                "SELECT seq, kind, body FROM record WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)
            ).fetchall()
        return [Row(seq, kind, from_json(body)) for seq, kind, body in rows]

    def settle(self, low: int, high: int, refused: Mapping[int, str]) -> None:
        """Remove the records of that range, all of which were taken; those refused are set aside with their reason."""
        now = time.time()
        aside = [(reason, now, key) for key, reason in refused.items()]
        with self._taking.use("cannot be written") as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany(
                    "INSERT OR IGNORE INTO refused (seq, kind, body, reason, at)"
                    " SELECT seq, kind, body, ?, ? FROM record WHERE seq = ?",
                    aside,
                )
                connection.execute("DELETE FROM record WHERE seq BETWEEN ? AND ?", (low, high))
                connection.execute("COMMIT")
            except BaseException:
                _roll_back(connection)
                raise

    def shrink(self) -> None:
        """Give the room of removed records back to the disk, once there is a lot."""
        with self._taking.use("cannot be written") as connection:
            if connection.execute("PRAGMA freelist_count").fetchone()[0] > 2_000:
                # It gives back one page a step, and `execute` makes one step where there are no columns.
                connection.executescript("PRAGMA incremental_vacuum")
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    # Looking

    @property
    def last_seq(self) -> int:
        """Number of the last record that this process committed."""
        return self._last_seq

    def holds(self, upto: int) -> bool:
        """Whether a record of at most that number waits."""
        with self._taking.use("cannot be read") as connection:
            return connection.execute("SELECT 1 FROM record WHERE seq <= ? LIMIT 1", (upto,)).fetchone() is not None

    def count(self) -> tuple[int, int]:
        """How many records wait, and how many are set aside."""
        with self._taking.use("cannot be read") as connection:
            return connection.execute("SELECT (SELECT count(*) FROM record), (SELECT count(*) FROM refused)").fetchone()

    def refused(self) -> list[Refused]:
        """The records that the store refused, oldest first."""
        with self._taking.use("cannot be read") as connection:
            rows = connection.execute("SELECT seq, kind, body, reason, at FROM refused ORDER BY seq").fetchall()
        return [Refused(seq, kind, from_json(body), reason, at) for seq, kind, body, reason, at in rows]

    def readmit(self) -> int:
        """Deliver the refused records again, after their cause is gone; how many."""
        with self._taking.use("cannot be written") as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                moved = connection.execute(
                    "INSERT INTO record (kind, body) SELECT kind, body FROM refused ORDER BY seq"
                ).rowcount
                self._last_seq = max(
                    self._last_seq, connection.execute("SELECT coalesce(max(seq), 0) FROM record").fetchone()[0]
                )
                connection.execute("DELETE FROM refused")
                connection.execute("COMMIT")
            except BaseException:
                _roll_back(connection)
                raise
        return moved

    # Who delivers

    def lead(self) -> bool:
        """Whether this process is the one that delivers; becomes it where nobody is. Never after `close`."""
        with self._leading:
            return not self._closed and (self._lock_file is not None or self._lock())

    def _lock(self) -> bool:
        if fcntl is None:
            return True
        try:
            file = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError:
            # Rather twice than never.
            return True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            return False
        self._lock_file = file
        return True

    def resign(self) -> None:
        """Let another process deliver."""
        with self._leading:
            if self._lock_file is not None:
                file, self._lock_file = self._lock_file, None
                os.close(file)

    # Life

    def close(self) -> None:
        """Close the file; what waits stays in it."""
        self._closed = True
        self.resign()
        for side in (self._taking, self._adding):
            with side.lock:
                side.close()

    def before_fork(self) -> None:
        """Close the connections: SQLite must not be open across a fork, as its locks belong to the process."""
        self._leading.acquire()
        for side in (self._adding, self._taking):
            side.lock.acquire()
            side.close()

    def after_fork_in_parent(self) -> None:
        """Go on; the connections open again when used."""
        for side in (self._taking, self._adding):
            side.lock.release()
        self._leading.release()

    def after_fork_in_child(self) -> None:
        """Start anew; what waits in the threads of the parent is theirs."""
        self._waiting.clear()
        self._last_seq = 0
        self._adding.lock, self._taking.lock = threading.Lock(), threading.Lock()
        self._leading = threading.Lock()
        # The parent's lock lives as long as any copy of its descriptor is open.
        self.resign()


class _Side:
    """One connection to the file and the lock of its use."""

    def __init__(self, spool: Spool):
        self.lock = threading.Lock()
        self._spool = spool
        self._connection: sqlite3.Connection | None = None

    def connection(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = _open(self._spool.path, self._spool._fsync)
        return self._connection

    @contextmanager
    def use(self, what: str) -> Iterator[sqlite3.Connection]:
        with self.lock:
            try:
                yield self.connection()
            except sqlite3.Error as error:
                self.close()
                raise RecorderError(
                    f"the spool {self._spool.path} {what}: {error}",
                    hint="Give a file on a local disk that this process may write, with some space left.",
                ) from error

    def close(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


def _open(path: Path, fsync: bool) -> sqlite3.Connection:
    if not path.parent.is_dir():
        raise RecorderError(f"the folder of the spool does not exist: {path.parent}", hint="Create it.")
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        application, version = (
            connection.execute(f"PRAGMA {pragma}").fetchone()[0] for pragma in ("application_id", "user_version")
        )
        if (application, version) != (_APPLICATION, FORMAT):
            _create(connection, path)
        connection.execute(f"PRAGMA synchronous = {'FULL' if fsync else 'NORMAL'}")
        # Or a long backlog leaves a log of its size behind.
        connection.execute("PRAGMA journal_size_limit = 16777216")
    except BaseException:
        connection.close()
        raise
    return connection


def _create(connection: sqlite3.Connection, path: Path) -> None:
    # In one transaction, or it sees the number of an empty file and the tables of a spool just made by another process.
    connection.execute("BEGIN")
    _check_ours(connection, path)
    connection.execute("COMMIT")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    _use_wal(connection)
    connection.execute("BEGIN IMMEDIATE")
    # Another process may have created it meanwhile.
    _check_ours(connection, path)
    for statement in _TABLES.strip().split(";\n"):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.execute("COMMIT")


def _check_ours(connection: sqlite3.Connection, path: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application == _APPLICATION and version != FORMAT:
        raise RecorderError(
            f"the spool {path} has format {version}; this offerlift reads {FORMAT}",
            hint="Deliver it with the version that wrote it, or give another file.",
        )
    if application != _APPLICATION and connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        raise RecorderError(f"{path} is a database of somebody else, not a spool", hint="Give another file.")


def _use_wal(connection: sqlite3.Connection) -> None:
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            # The busy timeout does not hold here when two processes create the file at the same moment.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _roll_back(connection: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):
        connection.execute("ROLLBACK")
