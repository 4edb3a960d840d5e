"""Snapshots that follow their file or store."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from offerlift.errors import SnapshotError, StoreError
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
    definition = replace(running.definition, arms=running.definition.arms[:2])
    Snapshot.of([replace(running, definition=definition, version=9)]).write(path)
    assert live.source.refresh() is False
    assert "free-shipping" in live.problem
    assert live.source["exit-downsell"] == running
    assert live.assign("exit-downsell", "tester", ATTRIBUTES).arm == "free-shipping"
    live.close()


def test_a_server_does_not_start_without_a_first_snapshot(tmp_path):
    """The first file must be readable; the error is that of Snapshot.load, or of the store."""
    with pytest.raises(SnapshotError, match="no snapshot at"):
        LiveAssigner(tmp_path / "none.json")
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
