"""Snapshots that follow their file or store."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import sqlalchemy
from offerlift.errors import InputError, SnapshotError, StoreError
from offerlift.experiments import (
    Assigner,
    LiveAssigner,
    Published,
    Snapshot,
    SnapshotSource,
    assignment_hash,
    parse_definition,
    plan_hash,
)

NOW = datetime(2026, 5, 4, tzinfo=UTC)


@pytest.fixture
def running(exit_downsell) -> Published:
    definition = parse_definition(exit_downsell)
    return Published(definition, "running", 1, 2, NOW, NOW, assignment_hash(definition), plan_hash(definition))


def paused(published: Published) -> Published:
    return replace(published, state="paused", version=published.version + 1)


ATTRIBUTES = {"country": "DE", "cart_total": 120}


def test_a_new_file_is_in_use_after_a_look(tmp_path, running):
    """Replacing the file changes the answers after a refresh; looking again at the same file changes nothing."""
    path = tmp_path / "offers.json"
    Snapshot.of([running]).write(path)
    live = LiveAssigner(path, every=3600)
    assert live.assign("exit-downsell", "v1", ATTRIBUTES).reason == "SPLIT"
    Snapshot.of([paused(running)]).write(path)
    assert live.source.refresh() is True
    assert live.assign("exit-downsell", "v1", ATTRIBUTES).reason == "PAUSED"
    assert live.source["exit-downsell"].state == "paused"
    assert (live.source.refresh(), live.source.loaded, live.problem) == (False, 2, "")
    live.close()


def test_the_background_thread_looks_by_itself(tmp_path, running, until):
    """Without any call, a new file is in use within a few intervals."""
    path = tmp_path / "offers.json"
    Snapshot.of([running]).write(path)
    with SnapshotSource(path, every=0.02) as source:
        Snapshot.of([paused(running)]).write(path)
        until(lambda: source["exit-downsell"].state == "paused")


@pytest.mark.parametrize("content", ["{", '{"format": 99}', "", None], ids=["truncated", "format", "empty", "missing"])
def test_a_bad_file_keeps_the_old_snapshot_and_says_so(tmp_path, running, caplog, content):
    """A truncated, foreign or missing file leaves the answers as they were, is logged once, and stands in `problem`."""
    path = tmp_path / "offers.json"
    Snapshot.of([running]).write(path)
    live = LiveAssigner(path, every=3600)
    before = live.assign("exit-downsell", "v1", ATTRIBUTES)
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    assert live.source.refresh() is False
    assert live.source.refresh() is False
    assert live.assign("exit-downsell", "v1", ATTRIBUTES) == before
    assert "is kept as it was" in live.problem
    assert sum("is kept as it was" in record.message for record in caplog.records) == 1
    Snapshot.of([paused(running)]).write(path)
    assert live.source.refresh() is True
    assert live.problem == ""
    live.close()


def test_a_snapshot_that_does_not_compile_is_bad_as_well(tmp_path, running):
    """A version without the arm that staff are forced into is refused as a whole: source and assigner keep the old."""
    path = tmp_path / "offers.json"
    Snapshot.of([running]).write(path)
    live = LiveAssigner(path, forced={"exit-downsell": {"tester": "free-shipping"}}, every=3600)
    halves = tuple(replace(arm, weight=5_000) for arm in running.definition.arms[:2])
    definition = replace(running.definition, arms=halves)
    Snapshot.of([replace(running, definition=definition, version=9)]).write(path)
    assert live.source.refresh() is False
    assert "free-shipping" in live.problem
    assert live.source["exit-downsell"] == running
    assert live.assign("exit-downsell", "tester", ATTRIBUTES).arm == "free-shipping"
    live.close()


def test_a_snapshot_that_comes_while_an_assigner_is_made_is_not_missed(tmp_path, running):
    """A look at that moment ends up in the assigner too, not in its source alone."""
    path = tmp_path / "offers.json"
    Snapshot.of([running]).write(path)
    looks = []

    class Changing(SnapshotSource):
        def listen(self, listener):
            Snapshot.of([paused(running)]).write(path)
            looks.append(threading.Thread(target=self.refresh))
            looks[0].start()
            # It waits for the assigner; without that it is through before the assigner listens.
            looks[0].join(0.2)
            super().listen(listener)

    with Changing(path, every=3600) as source:
        live = LiveAssigner(source)
        looks[0].join()
        assert source["exit-downsell"].state == "paused"
        assert live.assign("exit-downsell", "v1", ATTRIBUTES).reason == "PAUSED"


def test_weights_that_a_hand_damaged_never_reach_a_request(tmp_path, running):
    """Weights that do not sum to 10,000 would fail in one request of so many: the snapshot is refused instead."""
    path = tmp_path / "offers.json"
    Snapshot.of([running]).write(path)
    live = LiveAssigner(path, every=3600)
    damaged = replace(running.definition, arms=(replace(running.definition.arms[0], weight=100),))
    Snapshot.of([replace(running, definition=damaged, version=9)]).write(path)
    assert live.source.refresh() is False
    assert "weights must be positive and sum to 10000, seen 100" in live.problem
    assert live.assign("exit-downsell", "v1", ATTRIBUTES).reason == "SPLIT"
    live.close()
    with pytest.raises(InputError, match="is damaged"):
        Assigner(Snapshot.load(path))


def test_a_server_does_not_start_without_a_first_snapshot(tmp_path):
    """The first file must be readable; the error is that of Snapshot.load, or of the store."""
    with pytest.raises(SnapshotError, match="no snapshot at"):
        LiveAssigner(tmp_path / "none.json")
    with pytest.raises(SnapshotError, match="is a store, and a snapshot is a file") as caught:
        Snapshot.load("postgresql://someone:secret@host/shop")
    assert "secret" not in str(caught.value)
    with pytest.raises(StoreError, match="no store at"):
        LiveAssigner(f"sqlite:///{tmp_path}/none.db")


def test_a_store_is_followed_too(tmp_path, running):
    """What is published in the store is in use after a look."""
    storage = pytest.importorskip("offerlift.storage.store")
    url = f"sqlite:///{tmp_path}/shop.db"
    with storage.Store.open(url) as store:
        store.publish(running)
    live = LiveAssigner(url, every=3600)
    assert live.assign("exit-downsell", "v1", ATTRIBUTES).reason == "SPLIT"
    with storage.Store.open(url) as store:
        store.publish(paused(running))
    assert live.source.refresh() is True
    assert live.assign("exit-downsell", "v1", ATTRIBUTES).reason == "PAUSED"
    live.close()


def test_no_answer_mixes_two_snapshots(tmp_path, running, until):
    """While two threads swap snapshots of two salts, each answer is whole: bucket and arm of one of them."""
    path = tmp_path / "offers.json"
    other = replace(running, definition=replace(running.definition, salt="other"), version=2, assignment_hash="other")
    versions = [Snapshot.of([running]), Snapshot.of([other])]
    expected = [Assigner(snapshot).assign("exit-downsell", "v1", ATTRIBUTES) for snapshot in versions]
    assert expected[0].bucket != expected[1].bucket
    versions[0].write(path)
    live = LiveAssigner(path, every=3600)
    stop = threading.Event()

    def swap() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            versions[turn % 2].write(path)
            live.source.refresh()

    def enough() -> bool:
        assert all(live.assign("exit-downsell", "v1", ATTRIBUTES) in expected for _ in range(1_000))
        return live.source.loaded >= 20

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        until(enough)
    finally:
        stop.set()
        swapper.join()
        live.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_a_forked_worker_refreshes_by_itself(tmp_path, running):
    """After a fork the child has its own thread: a new file is in use there too."""
    path = tmp_path / "offers.json"
    Snapshot.of([running]).write(path)
    live = LiveAssigner(path, every=0.02)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.read(reader, 1)
            deadline = time.monotonic() + 120
            while live.source["exit-downsell"].state != "paused" and time.monotonic() < deadline:
                time.sleep(0.01)
            os._exit(0 if live.assign("exit-downsell", "v1", ATTRIBUTES).reason == "PAUSED" else 1)
        finally:
            os._exit(2)
    Snapshot.of([paused(running)]).write(path)
    os.write(writer, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(reader)
    os.close(writer)
    live.close()


class Rewriting(SnapshotSource):
    """A source whose file is replaced while it is being read, once."""

    def _read(self) -> Snapshot:
        snapshot = super()._read()
        if self.later:
            self.later.pop().write(self.location)
        return snapshot

    def __init__(self, location, later):
        self.later = later
        super().__init__(location, every=3600)


def test_a_file_replaced_while_it_is_read_is_seen_at_the_next_look(tmp_path, running):
    """At the start and later: the next look reads the newer file, however it was timed."""
    path = tmp_path / "offers.json"
    versions = [replace(running, version=number) for number in range(2, 6)]
    Snapshot.of([versions[0]]).write(path)
    source = Rewriting(path, [Snapshot.of([versions[1]])])
    with source:
        assert source["exit-downsell"].version == 2
        source.later.append(Snapshot.of([versions[2]]))
        assert source.refresh() is True
        assert source["exit-downsell"].version == 3
        assert source.refresh() is True
        assert (source["exit-downsell"].version, source.problem) == (4, "")


def test_a_file_of_the_same_size_is_a_new_one(tmp_path, running):
    """Another version whose text is as long is in use after a look; the same content again is no new one."""
    path = tmp_path / "offers.json"
    Snapshot.of([running]).write(path)
    size = path.stat().st_size
    with SnapshotSource(path, every=3600) as source:
        Snapshot.of([replace(running, version=3)]).write(path)
        assert path.stat().st_size == size
        assert (source.refresh(), source["exit-downsell"].version) == (True, 3)
        Snapshot.of([replace(running, version=3)]).write(path)
        assert (source.refresh(), source.loaded) == (False, 2)


def test_the_good_file_back_in_its_place_ends_the_problem(tmp_path, running):
    """A file that was away for a while and is the same again leaves no problem behind."""
    path, away = tmp_path / "offers.json", tmp_path / "away.json"
    Snapshot.of([running]).write(path)
    with SnapshotSource(path, every=3600) as source:
        path.rename(away)
        assert source.refresh() is False
        assert source.problem != ""
        away.rename(path)
        assert (source.refresh(), source.problem) == (False, "")


def test_a_listener_that_fails_keeps_the_old_snapshot(tmp_path, running, until):
    """Whatever it raises, the background thread lives, says so, and takes the next good one."""
    path = tmp_path / "offers.json"
    Snapshot.of([running]).write(path)
    with SnapshotSource(path, every=0.02) as source:

        def listener(snapshot: Snapshot) -> None:
            if snapshot["exit-downsell"].version == 3:
                raise KeyError("a bug")

        source.listen(listener)
        Snapshot.of([replace(running, version=3)]).write(path)
        until(lambda: "a bug" in source.problem)
        assert source["exit-downsell"].version == 2
        Snapshot.of([replace(running, version=4)]).write(path)
        until(lambda: source["exit-downsell"].version == 4)
        assert source.problem == ""


def test_close_ends_the_thread(tmp_path, running):
    """Afterwards no thread looks any more, and a child does not start one either."""
    path = tmp_path / "offers.json"
    Snapshot.of([running]).write(path)
    before = set(threading.enumerate())
    source = SnapshotSource(path, every=3600)
    (thread,) = set(threading.enumerate()) - before
    source.close()
    thread.join(120)
    assert not thread.is_alive()
    source.before_fork()
    source.after_fork_in_child()
    assert set(threading.enumerate()) <= before


def test_a_fork_waits_for_a_look(tmp_path, running, monkeypatch):
    """What is being read is read to its end before the process forks; the parent looks again afterwards."""
    monkeypatch.setattr("offerlift.experiments.refresh.FORK_SECONDS", 300.0)
    path, order = tmp_path / "offers.json", []
    Snapshot.of([running]).write(path)
    reading, go = threading.Event(), threading.Event()

    def listener(snapshot: Snapshot) -> None:
        reading.set()
        assert go.wait(300)
        order.append("read")

    def fork() -> None:
        source.before_fork()
        order.append("forked")

    with SnapshotSource(path, every=3600) as source:
        source.listen(listener)
        Snapshot.of([paused(running)]).write(path)
        threads = [threading.Thread(target=source.refresh), threading.Thread(target=fork)]
        threads[0].start()
        assert reading.wait(120)
        threads[1].start()
        # Time to go wrong in; one that waits cannot come too early.
        threads[1].join(0.1)
        go.set()
        for thread in threads:
            thread.join(120)
        assert order == ["read", "forked"]
        source.after_fork_in_parent()
        assert not source._reading.locked()


def test_a_problem_has_no_password(postgresql_url, running):
    """The URL of a store is not repeated where it cannot be read any more."""
    storage = pytest.importorskip("offerlift.storage.store")
    url = sqlalchemy.make_url(postgresql_url).set(password="geheim").render_as_string(hide_password=False)
    with storage.Store.open(url) as store:
        store.publish(running)
    with SnapshotSource(url, every=3600) as source:
        source.location = sqlalchemy.make_url(url).set(database="none").render_as_string(hide_password=False)
        assert source.refresh() is False
        assert source.problem.startswith("the snapshot postgresql+psycopg://... is kept as it was")
        assert "geheim" not in source.problem
