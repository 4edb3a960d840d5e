"""Recording into a real store: outages, forks and many processes, counted in the store."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from offerlift.experiments import Assigner, Published, Recorder, Snapshot
from offerlift.experiments.definition import Arm, Definition, Plan
from offerlift.experiments.metrics import Column, Metric
from offerlift.storage import tables
from offerlift.storage.engine import reading
from offerlift.storage.store import Store
from sqlalchemy import func, select

from .servers import PrivateMariaDB, PrivatePostgreSQL, PrivateServer

AT = datetime(2026, 5, 4, tzinfo=UTC)
SHARED = pytest.mark.parametrize("store_url", ["sqlite", "postgresql", "mariadb"], indirect=True)
"""The engines that several processes can use at once; DuckDB lets one in."""

PUBLISHED = Published(
    Definition(
        "exit",
        "a",
        (Arm("a", 5_000), Arm("b", 5_000)),
        (Metric("revenue", "revenue", Column("purchase", "value")),),
        Plan("revenue"),
    ),
    "running",
    1,
    1,
    AT,
    AT,
    "hash1",
    "plan",
)


def counts(store: Store) -> tuple[int, int, int]:
    """Rows of exposures, outcomes and links."""
    with reading(store._engine) as connection:
        found = [
            connection.scalar(select(func.count()).select_from(table)) or 0
            for table in (tables.exposure, tables.outcome, tables.identity)
        ]
    return found[0], found[1], found[2]


@pytest.fixture
def shop(store: Store) -> Store:
    """A store with one running experiment."""
    store.publish(PUBLISHED)
    return store


@pytest.mark.parametrize("kept", ["memory", "spool"])
def test_from_assignment_to_observations(shop, store_url, tmp_path, kept):
    """What a backend records is what the store counts: each visitor once, the money to the cent, the audit clean."""
    assigner = Assigner(Snapshot.of([PUBLISHED]))
    with Recorder(store_url, tmp_path / "spool.db" if kept == "spool" else None) as recorder:
        for number in range(300):
            for _ in range(2):
                recorder.assign_and_expose(assigner, "exit", f"v{number}")
                recorder.outcome(f"o{number}", f"v{number}", "purchase", value=Decimal("10.10"), currency="EUR")
        recorder.link("v1", "customer-1")
        assert recorder.flush(120)
        stats = recorder.stats()
    assert (stats.delivered, stats.refused, stats.dropped, stats.problem) == (901, 0, 0, "")
    assert counts(shop) == (300, 300, 1)
    assert shop.audit("exit").mismatching == 0
    assert sum(arm.visitors for arm in shop.observations("exit").arms.values()) == 300


def test_what_the_store_refuses_is_set_aside_with_its_reason(shop, store_url, tmp_path):
    """Unknown experiment, a fraction of a cent, other content of an id: kept with reason; the good ones are stored."""
    other = Assigner(Snapshot.of([Published(**{**_fields(PUBLISHED), "definition": _renamed("unknown")})]))
    with Recorder(store_url, tmp_path / "spool.db") as recorder:
        recorder.outcome("o1", "v1", "purchase", value=1)
        recorder.outcome("o1", "v1", "purchase", value=2)
        recorder.outcome("o2", "v1", "purchase", value=Decimal("0.001"))
        recorder.assign_and_expose(other, "unknown", "v1")
        assert recorder.flush(120)
        reasons = sorted(one.reason for one in recorder.refused())
        assert recorder.stats().delivered == 1
    assert len(reasons) == 3
    assert "decimal places" in reasons[0]
    assert "is stored with" in reasons[1]
    assert "unknown experiment 'unknown'" in reasons[2]
    assert counts(shop) == (0, 1, 0)


def _fields(published: Published) -> dict[str, object]:
    return {name: getattr(published, name) for name in Published.__dataclass_fields__}


def _renamed(key: str) -> Definition:
    old = PUBLISHED.definition
    return Definition(key, old.control, old.arms, old.metrics, old.plan)


def test_a_store_that_appears_later_gets_everything(tmp_path, until):
    """A recorder may start before its store exists; once it is created, what waits arrives."""
    url = f"sqlite:///{tmp_path / 'later.db'}"
    recorder = Recorder(url, tmp_path / "spool.db", linger=0.0)
    for number in range(50):
        recorder.outcome(f"o{number}", "v1", "purchase")
    until(lambda: "no store at" in recorder.stats().problem)
    assert recorder.flush(0.0) is False
    assert recorder.stats().spooled == 50
    with Store.open(url) as store:
        assert recorder.flush(120)
        assert counts(store) == (0, 50, 0)
    recorder.close()


def _record_in_child(recorder: Recorder, name: str) -> None:
    for number in range(100):
        recorder.outcome(f"{name}-{number}", "v1", "purchase")


@SHARED
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("given", ["url", "store"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_forked_workers_record_into_one_store(shop, store_url, given, when):
    """Parent and three forked workers record 100 outcomes each: 400 in the store, and the parent's connection lives."""
    store = Store.open(store_url) if given == "store" else None
    # Each worker ends within this time, having delivered: on a busy machine the usual one is not enough.
    recorder = Recorder(store or store_url, linger=0.01, exit_timeout=120)
    if when == "after":
        recorder.link("a", "b")
        assert recorder.flush(120)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_record_in_child, args=(recorder, f"w{number}")) for number in range(3)]
    for worker in workers:
        worker.start()
    _record_in_child(recorder, "parent")
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert recorder.flush(120)
    assert counts(shop) == (0, 400, 1 if when == "after" else 0)
    recorder.close()
    if store is not None:
        store.close()


@pytest.fixture(params=[PrivatePostgreSQL, PrivateMariaDB])
def server(request) -> Iterator[PrivateServer]:
    with request.param() as own:
        own.start()
        yield own


@pytest.mark.parametrize("kept", ["memory", "spool"])
def test_a_server_that_stops_and_starts_loses_nothing(server, tmp_path, until, kept):
    """600 outcomes before, during and after the server is down: 600 rows, none dropped, and no call waits for it."""
    with Store.open(server.url) as store:
        store.publish(PUBLISHED)
    Recorder.longest_pause, before = 0.5, Recorder.longest_pause
    try:
        recorder = Recorder(server.url, tmp_path / "spool.db" if kept == "spool" else None, linger=0.01)
    finally:
        Recorder.longest_pause = before

    def record(part: str) -> None:
        for number in range(200):
            recorder.outcome(f"{part}-{number}", "v1", "purchase")

    record("before")
    assert recorder.flush(120)
    server.kill()
    # Returns before the server is started, so it does not wait for it.
    record("during")
    until(lambda: recorder.stats().retried > 0 and recorder.stats().problem.startswith("cannot deliver"))
    assert recorder.flush(0.0) is False
    stats = recorder.stats()
    assert stats.queued + stats.spooled == 200
    server.start()
    record("after")
    assert recorder.flush(120)
    stats = recorder.stats()
    assert (stats.delivered, stats.dropped, stats.queued, stats.spooled, stats.problem) == (600, 0, 0, 0, "")
    recorder.close()
    with Store.open(server.url) as store:
        assert counts(store) == (0, 600, 0)


WORKER = """
import sys, threading
from offerlift.experiments import Recorder, spool as spools
spools.BUSY_SECONDS = 120.0  # a busy machine is no locked file
url, spool, name, threads, each = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
recorder = Recorder(url, spool, batch=5_000, exit_timeout=120)
def work(thread):
    for number in range(each):
        recorder.outcome(f"{name}-{thread}-{number}", f"v{number}", "purchase", value=1)
running = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
for thread in running: thread.start()
for thread in running: thread.join()
assert recorder.flush(300), recorder.stats()
recorder.close()
stats = recorder.stats()
assert stats.dropped == stats.refused == 0, stats
"""


def _four_processes(store: Store, url: str, spool: Path, each: int) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", WORKER, url, str(spool), str(number), "8", str(each)])
        for number in range(4)
    ]
    for process in processes:
        assert process.wait(900) == 0
    assert counts(store) == (0, 4 * 8 * each, 0)


@SHARED
def test_four_processes_of_eight_threads(shop, store_url, tmp_path):
    """3,200 outcomes from 8 threads x 4 processes on one spool are in the store once each."""
    _four_processes(shop, store_url, tmp_path / "spool.db", 100)


@SHARED
@pytest.mark.slow
def test_a_hundred_thousand_from_four_processes_of_eight_threads(shop, store_url, tmp_path):
    """100,000 outcomes from 8 threads x 4 processes on one spool are in the store once each."""
    _four_processes(shop, store_url, tmp_path / "spool.db", 3_125)


def test_recording_while_the_store_is_read(shop, store_url, until):
    """Observations can be read while a recorder writes; the count never falls."""
    seen, stop = [], threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.append(counts(shop)[1])

    with Recorder(store_url, linger=0.0, batch=20) as recorder:
        reader = threading.Thread(target=read)
        reader.start()
        try:
            until(lambda: seen)
            for number in range(500):
                recorder.outcome(f"o{number}", "v1", "purchase")
            assert recorder.flush(120)
            until(lambda: seen[-1] == 500)
        finally:
            stop.set()
            reader.join()
    assert seen == sorted(seen)
    assert counts(shop)[1] == 500


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs a list of the open files of the process")
def test_a_store_that_the_recorder_opened_is_closed_with_it(tmp_path):
    """After `close` the file of a SQLite store is not open any more."""
    path = tmp_path / "shop.db"
    Store.open(f"sqlite:///{path}").close()

    def is_open() -> bool:
        links = [one for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
        return any(os.path.realpath(one) == str(path) for one in links)

    with Recorder(f"sqlite:///{path}", linger=0.0) as recorder:
        recorder.link("a", "b")
        assert recorder.flush(120)
        assert is_open()
    assert not is_open()
