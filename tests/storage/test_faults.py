"""What can happen to a store while it is written, each with the counts before and after."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from offerlift.errors import StoreError
from offerlift.experiments import Exposure, Outcome, Recorder
from offerlift.experiments.sinks import is_down
from offerlift.storage import tables
from offerlift.storage.engine import reading
from offerlift.storage.maintenance.inventory import take_inventory
from offerlift.storage.store import Store
from sqlalchemy import Table, func, select

AT = datetime(2026, 5, 4, tzinfo=UTC)
OTHERS = [pytest.param(name, marks=pytest.mark.full) for name in ("postgresql", "mariadb", "duckdb")]
MAINLY_SQLITE = pytest.mark.parametrize("store_url", ["sqlite", *OTHERS], indirect=True)
"""Several processes are started, which takes seconds: the other engines are left to `.ci/full`."""
FILES = pytest.mark.parametrize("store_url", ["sqlite", "duckdb"], indirect=True)


def rows(store: Store, table: Table) -> int:
    with reading(store._engine) as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def visitors_of(store: Store, table: Table) -> Counter[str]:
    """Rows of each batch, which the visitors' names begin with."""
    joined = select(tables.visitor.c.key).join(table, table.c.visitor_id == tables.visitor.c.id)
    with reading(store._engine) as connection:
        return Counter(key.rsplit("-", 1)[0] for key in connection.scalars(joined))


BATCH = 1_200
"""Rows of a transaction that are enough for each engine's way of writing many at once."""

WRITER = f"""
import itertools, sys
from datetime import UTC, datetime
from offerlift.experiments import Exposure, Outcome
from offerlift.storage import Store
at = datetime(2026, 5, 4, tzinfo=UTC)
with Store.open(sys.argv[1]) as store:
    for number in itertools.count():
        name = f"{{sys.argv[2]}}-{{number}}"
        visitors = [f"{{name}}-{{i}}" for i in range({BATCH})]
        if number % 2:
            result = store.write_exposures(Exposure("exit", one, "a", at) for one in visitors)
        else:
            result = store.write_outcomes(Outcome(one, one, "purchase", at, 1) for one in visitors)
        assert result.new == {BATCH}, result
        print(name, flush=True)
"""


class Writer:
    """A process that writes batches and says which ones were acknowledged, until it is killed."""

    def __init__(self, url: str, name: str):
        self.acknowledged: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-c", WRITER, url, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.acknowledged.append(line.strip())

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> str:
        """As the kernel does when memory is short; what it had complained of by then."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._process.kill()
        self._process.wait()
        self._listener.join()
        with self._process.stdout, self._process.stderr as errors:
            return errors.read()


@MAINLY_SQLITE
def test_writers_that_are_killed(store_url, make_published, until):
    """Four writers of 1,200 rows a transaction are killed in turn: each acknowledged batch is whole, none is partial.

    Of DuckDB, which lets in one process at a time, the next begins when the one before it was killed.
    """
    with Store.open(store_url) as store:
        store.publish(make_published())
    in_turn, delays = store_url.startswith("duckdb"), [0.0, 0.05, 0.11, 0.17]
    writers = [Writer(store_url, f"w{number}") for number in range(1 if in_turn else 4)]
    for number, delay in enumerate(delays):
        if in_turn and number:
            writers.append(Writer(store_url, f"w{number}"))
        left = {one: len(one.acknowledged) + 2 for one in writers[number:]}
        until(lambda left=left: all(len(one.acknowledged) >= enough or not one.runs for one, enough in left.items()))
        # Somewhere in the middle of the next batch, each time elsewhere in it.
        time.sleep(delay)
        assert (writers[number].runs, writers[number].kill()) == (True, "")
    acknowledged = [name for one in writers for name in one.acknowledged]
    assert min(len(one.acknowledged) for one in writers) >= 2
    with Store.open(store_url) as store:
        found = visitors_of(store, tables.exposure) + visitors_of(store, tables.outcome)
        assert set(found.values()) == {BATCH}
        assert set(acknowledged) <= set(found)
        # What was being written when it was killed may have been stored, and not yet been acknowledged.
        assert len(acknowledged) <= len(found) <= len(acknowledged) + 4
        again = [Outcome(f"{acknowledged[0]}-{i}", f"{acknowledged[0]}-{i}", "purchase", AT, 1) for i in range(BATCH)]
        assert store.write_outcomes(again).repeated == BATCH


THREADS = """
import sys, threading
from datetime import UTC, datetime, timedelta
from offerlift.experiments import Exposure, Outcome
from offerlift.storage import Store
at, found, errors = datetime(2026, 5, 4, tzinfo=UTC), [], []
with Store.open(sys.argv[1]) as store:
    def work(thread):
        try:
            for batch in range(3):
                # Half of them are everybody's, and half this thread's own.
                own = [f"{sys.argv[2]}-{thread}-{batch}-{i}" for i in range(20)]
                ids = [f"all-{batch}-{i}" for i in range(20)] + own
                late = timedelta(seconds=int(sys.argv[2]) * 8 + thread)
                exposed = store.write_exposures(Exposure("exit", one, "a", at + late) for one in ids)
                bought = store.write_outcomes(Outcome(one, one, "purchase", at, 1) for one in ids)
                assert not (exposed.refused or bought.refused or bought.conflicts)
                assert exposed.new + exposed.changed + exposed.repeated == bought.new + bought.repeated == 40
                found.append((exposed.new, bought.new))
        except BaseException as error:
            errors.append(error)
    running = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
    for thread in running: thread.start()
    for thread in running: thread.join()
    assert not errors, errors
print(*map(sum, zip(*found)))
"""


@pytest.mark.full
def test_four_processes_of_eight_threads_write(store_url, make_published):
    """32 writers of 120 records each, half of them the same: 1,980 exposures, of the earliest time, and outcomes.

    Each was new to one of the writers. Of DuckDB the processes come one after the other.
    """
    with Store.open(store_url) as store:
        store.publish(make_published())
    counts, running = [], []
    for number in range(4):
        running.append(
            subprocess.Popen([sys.executable, "-c", THREADS, store_url, str(number)], stdout=subprocess.PIPE, text=True)
        )
        if store_url.startswith("duckdb") or number == 3:
            for one in running:
                output = one.communicate(timeout=600)[0]
                assert one.returncode == 0
                counts.append([int(word) for word in output.split()])
            running.clear()
    assert [sum(one) for one in zip(*counts, strict=True)] == [1_980, 1_980]
    with Store.open(store_url) as store:
        assert (rows(store, tables.exposure), rows(store, tables.outcome)) == (1_980, 1_980)
        assert store.observations("exit").first_exposure == AT
        with reading(store._engine) as connection:
            key = tables.visitor.c.key
            shared = select(tables.exposure.c.at).join(tables.visitor, key.like("all-%"))
            shared = shared.where(tables.exposure.c.visitor_id == tables.visitor.c.id)
            assert set(connection.scalars(shared)) == {int(AT.timestamp() * 1_000_000)}


def test_the_same_events_from_two_recorders(store_url, make_published, tmp_path):
    """Two recorders that are given the same 500 exposures, orders and links at once: 500 of each are in the store."""
    with Store.open(store_url) as store:
        store.publish(make_published())
        recorders = [Recorder(store, tmp_path / f"spool-{i}.db", linger=0.0, batch=50) for i in range(2)]

        def record(recorder: Recorder) -> None:
            for i in range(500):
                recorder.outcome(f"o{i}", f"v{i}", "purchase", value=1, at=AT)
                recorder.link(f"v{i}", f"c{i}")

        threads = [threading.Thread(target=record, args=(recorder,)) for recorder in recorders]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(recorder.flush(120) for recorder in recorders)
        for recorder in recorders:
            stats = recorder.stats()
            assert (stats.delivered, stats.refused, stats.dropped) == (1_000, 0, 0)
            recorder.close()
        assert (rows(store, tables.outcome), rows(store, tables.identity)) == (500, 500)


def test_a_clock_that_goes_back(store_url, make_published, monkeypatch):
    """Set back by an hour in between, nothing is lost or counted twice; facts from before they came are counted."""
    clock = {"now": AT + timedelta(hours=2)}
    monkeypatch.setattr("offerlift.storage.store.now_micros", lambda: int(clock["now"].timestamp() * 1_000_000))
    with Store.open(store_url) as store:
        store.publish(make_published())

        def write(number: int) -> tuple[int, int, int]:
            exposed = store.write_exposures([Exposure("exit", "v", "a", clock["now"])])
            timeless = store.write_outcomes([Outcome("o", "v", "purchase", None, 1)])
            own = store.write_outcomes([Outcome(f"o{number}", "v", "purchase", clock["now"], 1)])
            return exposed.new, timeless.new, own.new

        assert write(1) == (1, 1, 1)
        clock["now"] -= timedelta(hours=1)
        # The earlier exposure counts; an order without a time keeps the one that it was given first.
        assert write(2) == (0, 0, 1)
        # Received an hour before it happened.
        store.write_outcomes([Outcome("o3", "v", "purchase", AT + timedelta(hours=2), 1)])
        seen = store.observations("exit", as_of=AT + timedelta(hours=1))
        assert (seen.arms["a"].visitors, seen.first_exposure) == (1, AT + timedelta(hours=1))
        assert seen.moments["revenue_per_visitor"]["a"].sum_of("purchase:value") == 1.0
        seen = store.observations("exit", as_of=AT + timedelta(hours=2))
        assert seen.moments["revenue_per_visitor"]["a"].sum_of("purchase:value") == 4.0
        assert (rows(store, tables.exposure), rows(store, tables.outcome)) == (1, 4)
        early = {one.table: one.early for one in take_inventory(store).delivery}
        assert early["outcome"] == 1


FULL_DISK = f"""
import itertools, sys
from datetime import UTC, datetime
from pathlib import Path
from offerlift.errors import StoreError
from offerlift.experiments import Outcome
from offerlift.storage import Store
url, ballast = sys.argv[1], Path(sys.argv[2])
at = datetime(2026, 5, 4, tzinfo=UTC)
ballast.write_bytes(bytes(5_000_000))
def batch(number):
    ids = [f"{{number}}-{{i}}" for i in range({BATCH})]
    return [Outcome(one, one * 5, "purchase", at, 1) for one in ids]
with Store.open(url) as store:
    for acknowledged in itertools.count():
        try:
            assert store.write_outcomes(batch(acknowledged)).new == {BATCH}
        except StoreError as error:
            assert "Free some space" in error.hint, error
            break
    # It can be read while nothing can be written, and is written to when there is room again.
    assert store.experiments() == []
    ballast.unlink()
    again = store.write_outcomes(batch(acknowledged))
    assert again.new + again.repeated == {BATCH}
print(acknowledged)
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Callable[..., str]:
    """Run a script with a folder of a few megabytes, in a namespace of mounts of its own; what it printed."""

    def run(script: str, size: str, *arguments: str) -> str:
        unshare = ["unshare", "--map-root-user", "--mount"]
        mount = f'mount -t tmpfs -o size={size} tmpfs "$0" && exec "$@"'
        folder = tmp_path / "small"
        folder.mkdir()
        try:
            tried = subprocess.run([*unshare, "sh", "-c", mount, str(folder), "true"], capture_output=True, check=False)
        except FileNotFoundError:
            pytest.skip("no unshare to mount a small disk with")
        if tried.returncode:
            pytest.skip(f"no small disk can be mounted here: {tried.stderr.decode().strip()}")
        command = [*unshare, "sh", "-c", mount, str(folder), sys.executable, "-c", script, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, done.stderr
        # Everything of it was on the small disk.
        assert list(folder.iterdir()) == []
        return done.stdout

    return run


COUNT = f"""
from collections import Counter
with Store.open(url) as store, store.engine.connect() as connection:
    ids = connection.exec_driver_sql("SELECT outcome_id FROM outcome").scalars()
    batches = Counter(one.partition("-")[0] for one in ids)
assert batches == Counter({{str(number): {BATCH} for number in range(acknowledged + 1)}}), (batches, acknowledged)
"""


@pytest.mark.parametrize("engine", ["sqlite", pytest.param("duckdb", marks=pytest.mark.full)])
def test_a_full_disk(small_disk, tmp_path, engine):
    """Batches of 1,200 until the disk is full: those acknowledged are all there, the one refused is once there is room.

    The error says to free some space; the store can be read meanwhile.
    """
    folder = tmp_path / "small"
    written = small_disk(FULL_DISK + COUNT, "12m", f"{engine}:///{folder}/shop.db", str(folder / "ballast"))
    assert int(written) > 2


def test_a_sqlite_file_that_another_program_locks(tmp_path, make_published, monkeypatch):
    """Writing waits and then says that another writes; readers go on; when the lock is gone the same write succeeds."""
    monkeypatch.setattr("offerlift.storage.engines.sqlite.BUSY_SECONDS", 1)
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    with Store.open(url) as store, closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as other:
        store.publish(make_published())
        assert store.write_outcomes([Outcome("o1", "v", "purchase", AT)]).new == 1
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="database is locked") as error:
            store.write_outcomes([Outcome("o2", "v", "purchase", AT)])
        assert error.value.hint == "Another process has been writing for long; try again."
        assert is_down(error.value)
        assert rows(store, tables.outcome) == 1
        other.execute("COMMIT")
        assert store.write_outcomes([Outcome("o2", "v", "purchase", AT)]).new == 1
        assert rows(store, tables.outcome) == 2


NOBODY = """
import os, sys
from offerlift.errors import StoreError
from offerlift.experiments import Outcome
from offerlift.storage import Store
# Imports everything, which perhaps root alone may read.
Store.open(f"{sys.argv[1].partition('://')[0]}://").close()
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    with Store.open(sys.argv[1]) as store:
        print(store.experiments())
        store.write_outcomes([Outcome("o2", "v", "purchase")])
except StoreError as error:
    print(error.exit_code, error.hint)
"""


@pytest.mark.parametrize("store_url", ["sqlite", OTHERS[-1]], indirect=True)
@pytest.mark.parametrize("what", ["the file", pytest.param("the folder too", marks=pytest.mark.full)])
def test_a_file_that_may_not_be_written(store_url, make_published, what):
    """A user who may only read gets an error that says so, and the file stays as it was, byte by byte."""
    with TemporaryDirectory(prefix="offerlift-", dir="/tmp") as name:
        folder = Path(name)
        path = folder / "shop.db"
        url = f"{store_url.partition(':')[0]}:///{path}"
        with Store.open(url) as store:
            store.publish(make_published())
            assert store.write_outcomes([Outcome("o1", "v", "purchase", AT)]).new == 1
        path.chmod(0o444)
        folder.chmod(0o777 if what == "the file" else 0o555)
        before = path.read_bytes()
        done = subprocess.run(
            [sys.executable, "-c", NOBODY, url], capture_output=True, text=True, timeout=120, check=False
        )
        folder.chmod(0o755)
        assert done.stderr == ""
        *_, said = done.stdout.splitlines()
        assert said in (
            "3 The file or its folder cannot be written; check the permissions.",
            "3 Check that the folder exists and that you may write to it.",
        )
        assert path.read_bytes() == before


@FILES
@pytest.mark.parametrize("damage", ["the first page", "the middle", "the end is missing", "noise"])
def test_a_damaged_file(store_url, make_published, damage):
    """Opening or writing says that it is damaged, or that it is something else, and changes no byte of it."""
    path = Path(store_url.partition(":///")[2])
    with Store.open(store_url) as store:
        store.publish(make_published())
        store.write_outcomes(Outcome(f"o{i}", f"v{i}", "purchase", AT) for i in range(3_000))
    content = bytearray(path.read_bytes())
    if damage == "the first page":
        content[100:4_096] = b"\xff" * 3_996
    elif damage == "the middle":
        content[4_096 : 2 * 4_096] = b"\xff" * 4_096
    elif damage == "the end is missing":
        del content[len(content) // 2 :]
    else:
        content[:] = random.Random(1).randbytes(len(content))
    path.write_bytes(content)
    with pytest.raises(StoreError) as error, Store.open(store_url) as store:
        store.write_outcomes([Outcome("o1", "v1", "purchase", AT)])
    assert error.value.hint in (
        "The file is damaged; restore it from a backup.",
        "It is no SQLite file; give another path.",
        "It is no DuckDB file; give another path.",
    )
    assert path.read_bytes() == content
