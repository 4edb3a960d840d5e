"""The delivery thread: batches, retries, pauses, who delivers, and what a sink may do."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from offerlift.errors import RecorderError, StoreError
from offerlift.experiments import Link, Recorder
from offerlift.experiments.spool import Spool
from offerlift.experiments.wire import LINK, link_fields

from .recording import Collecting, Stuck, assigned, stuck


@pytest.fixture
def sink() -> Collecting:
    return Collecting()


@pytest.fixture(params=["memory", "spool"])
def kept(request, tmp_path) -> Path | None:
    """The spool of a recorder, or none."""
    return tmp_path / "spool.db" if request.param == "spool" else None


@pytest.fixture
def no_looks(monkeypatch) -> None:
    """No idle thread looks by itself for what is in its spool."""
    monkeypatch.setattr("offerlift.experiments.delivery.LOOK_SECONDS", 3_600.0)


class Sizes(Stuck):
    """A stuck sink that keeps the sizes of its batches."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def write_exposures(self, records):
        self.sizes.append(len(records))
        super().write_exposures(records)


def test_a_batch_has_at_most_so_many_records(kept):
    """With batch=10, 25 records that wait go in three writes, oldest first."""
    sink = Sizes()
    recorder = Recorder(sink, kept, batch=10, linger=0.0)
    stuck(recorder, sink)
    for number in range(25):
        recorder.expose(assigned(f"v{number}"))
    sink.go.set()
    recorder.close(120)
    assert sink.sizes == [1, 10, 10, 5]
    assert [one.visitor for one in sink.exposures] == ["first", *(f"v{number}" for number in range(25))]


def test_what_waits_is_counted_after_many_flushes():
    """The number of queued records is that of records: flushes before leave nothing in it."""
    sink = Stuck()
    sink.go.set()
    recorder = Recorder(sink, linger=0.0)
    for number in range(20):
        recorder.expose(assigned(f"early{number}"))
        assert recorder.flush(120)
    sink.go.clear()
    sink.entered.clear()
    stuck(recorder, sink)
    for number in range(5):
        recorder.expose(assigned(f"v{number}"))
    assert recorder.stats().queued == 6
    sink.go.set()
    recorder.close(120)


def test_flush_does_not_linger(sink, kept):
    """A recorder that lingers for an hour delivers at once when it is flushed."""
    with Recorder(sink, kept, linger=3_600.0, exit_timeout=120) as recorder:
        for number in range(3):
            recorder.link("a", f"c{number}")
            assert recorder.flush(120)
    assert [one.customer for one in sink.links] == ["c0", "c1", "c2"]


def test_flush_cuts_a_pause_short(sink, kept, monkeypatch):
    """After some attempts the pause is minutes long; a flush tries again at once."""
    monkeypatch.setattr(Recorder, "longest_pause", 3_600.0)
    sink.errors = [StoreError("down")] * 12
    with Recorder(sink, kept, linger=0.0, exit_timeout=120) as recorder:
        recorder.link("a", "b")
        assert recorder.flush(120)
    assert len(sink.links) == 1


def test_pauses_grow_up_to_a_limit(sink, monkeypatch):
    """The tenth pause is longer than the first, and none is longer than `longest_pause`."""
    recorder, pauses = Recorder(sink), []
    monkeypatch.setattr(recorder._delivery._hurry, "wait", pauses.append)
    for _ in range(60):
        recorder._delivery._pause(StoreError("down"))
    assert pauses[0] <= 0.2 < 10.0 < pauses[10] <= max(pauses) <= Recorder.longest_pause
    recorder.close()


@pytest.mark.parametrize("error", [StoreError("down"), ConnectionError("down"), OSError("down")])
def test_a_sink_that_is_down_is_tried_for_ever(sink, tmp_path, error):
    """However often the store or the network fails, nothing is taken for refused."""
    sink.errors = [error] * 8
    with Recorder(sink, tmp_path / "spool.db", linger=0.0, exit_timeout=120) as recorder:
        recorder.link("a", "b")
        assert recorder.flush(120)
        stats = recorder.stats()
    assert (stats.delivered, stats.refused, stats.retried) == (1, 0, 8)


def test_attempts_are_counted_anew_after_a_success(sink, tmp_path):
    """Errors of unknown kind that pass by themselves, again and again, never make a record a refused one."""
    with Recorder(sink, tmp_path / "spool.db", linger=0.0, exit_timeout=120) as recorder:
        for number in range(4):
            sink.errors = [RuntimeError("passing")] * 4
            recorder.link("a", f"c{number}")
            assert recorder.flush(120)
        assert recorder.stats().refused == 0
    assert [one.customer for one in sink.links] == ["c0", "c1", "c2", "c3"]


class Disk(Collecting):
    """A sink whose driver refuses some records, with its own class of error or as the cause of another."""

    wrapped = False

    def write_links(self, records):
        if any(one.customer == "bad" for one in records):
            kind = type("IntegrityError", (Exception,), {})
            if self.wrapped:
                raise StoreError("the statement failed") from kind("check constraint")
            raise kind("check constraint")
        super().write_links(records)


@pytest.mark.parametrize("wrapped", [False, True])
def test_what_a_driver_calls_an_integrity_error_is_a_refusal(tmp_path, wrapped):
    """Raised by itself or as the cause of a StoreError, it sets one record aside at the first attempt."""
    sink = Disk()
    sink.wrapped = wrapped
    with Recorder(sink, tmp_path / "spool.db", linger=0.0, exit_timeout=120) as recorder:
        for customer in ("good", "bad", "better"):
            recorder.link("a", customer)
        assert recorder.flush(120)
        stats = recorder.stats()
        assert [one.fields[1] for one in recorder.refused()] == ["bad"]
    assert (stats.retried, stats.delivered, stats.refused) == (0, 2, 1)


def test_refused_entries_belong_to_their_kind(tmp_path):
    """In a batch of several kinds, an index of the sink's answer counts the records of that kind alone."""

    class Entry:
        index, message = 0, "unknown"

    class Result:
        refused = (Entry,)

    class Refusing(Stuck):
        def write_outcomes(self, records):
            return Result

    sink = Refusing()
    recorder = Recorder(sink, tmp_path / "spool.db", linger=0.0)
    stuck(recorder, sink)
    recorder.link("a", "b")
    recorder.expose(assigned("v1"))
    recorder.outcome("o1", "v1", "purchase")
    sink.go.set()
    assert recorder.flush(120)
    assert [one.fields[0] for one in recorder.refused()] == ["o1"]
    recorder.close()


def test_a_sink_that_records_does_not_wait_for_itself():
    """Where a sink records into its own full recorder, even a blocking one drops, as nobody else would make room."""

    class Echo(Collecting):
        def write_outcomes(self, records):
            super().write_outcomes(records)
            for number in range(3):
                recorder.link("a", f"c{number}")

    sink = Echo()
    recorder = Recorder(sink, capacity=1, when_full="block", linger=0.0)
    recorder.outcome("o1", "v1", "purchase")
    assert recorder.flush(120)
    recorder.close(120)
    assert [one.customer for one in sink.links] == ["c0"]
    assert recorder.stats().dropped == 2


def test_a_sink_that_flushes_its_recorder_is_told(sink):
    """It raises at once, instead of waiting for itself for ever."""
    errors = []

    class Flushing(Collecting):
        def write_links(self, records):
            with pytest.raises(RecorderError, match="wait for itself"):
                recorder.flush()
            errors.append(None)

    recorder = Recorder(Flushing(), linger=0.0)
    recorder.link("a", "b")
    assert recorder.flush(120)
    recorder.close()
    assert errors == [None]


def test_a_given_sink_stays_open(kept):
    """`close` closes only what the recorder has opened itself."""

    class Closing(Collecting):
        closed = False

        def close(self):
            self.closed = True

    sink = Closing()
    with Recorder(sink, kept, exit_timeout=120) as recorder:
        recorder.link("a", "b")
    assert len(sink.links) == 1
    assert not sink.closed


def test_a_process_that_cannot_deliver_lets_another_do_it(tmp_path, until):
    """Of two recorders on one spool the first cannot reach the store: the second delivers the records of both."""
    broken, sink = Collecting(errors=[StoreError("down")] * 1_000_000), Collecting()
    first = Recorder(broken, tmp_path / "spool.db", linger=0.0)
    first.link("a", "b")
    until(lambda: first.stats().retried)
    second = Recorder(sink, tmp_path / "spool.db", linger=0.0)
    second.link("a", "c")
    until(lambda: len(sink.links) == 2)
    assert second.flush(120)
    first.close(0.0)
    second.close(120)
    assert [one.customer for one in sink.links] == ["b", "c"]


def test_an_idle_process_finds_what_another_left(tmp_path, sink, until):
    """Records that a process put into the spool before it was killed are delivered by one that runs already."""
    with Recorder(sink, tmp_path / "spool.db", linger=0.0) as recorder:
        recorder.link("a", "b")
        assert recorder.flush(120)
        until(lambda: recorder._delivery.idle)
        killed = Spool(tmp_path / "spool.db")
        killed.add(LINK, link_fields("a", "c", 0))
        until(lambda: len(sink.links) == 2)
        killed.close()


@pytest.mark.usefixtures("no_looks")
def test_every_record_wakes_an_idle_thread(sink, kept, until):
    """Without a flush and without looking by itself, the thread delivers whatever is recorded after it went idle."""
    recorder = Recorder(sink, kept, linger=0.0)
    for number in range(5):
        until(lambda: recorder._delivery.idle)
        recorder.expose(assigned(f"v{number}"))
        until(lambda number=number: len(sink.exposures) == number + 1)
        until(lambda: recorder._delivery.idle)
        recorder.link("a", f"c{number}")
        until(lambda number=number: len(sink.links) == number + 1)
    recorder.close(120)


@pytest.mark.usefixtures("no_looks")
def test_readmitted_records_wake_an_idle_thread(sink, tmp_path, until):
    """What `retry_refused` puts back is delivered without anything else happening."""
    sink.poison = {"o1"}
    with Recorder(sink, tmp_path / "spool.db", linger=0.0) as recorder:
        recorder.outcome("o1", "v1", "purchase")
        assert recorder.flush(120)
        sink.poison = set()
        until(lambda: recorder._delivery.idle)
        assert recorder.retry_refused() == 1
        until(lambda: len(sink.outcomes) == 1)


def test_what_was_delivered_but_cannot_be_removed_is_not_delivered_again(sink, tmp_path, monkeypatch, until):
    """While the spool cannot be written, each record reaches the sink once; later it leaves the spool."""
    broken = threading.Event()
    broken.set()
    settle = Spool.settle

    def failing(spool: Spool, low: int, high: int, refused: dict[int, str]) -> None:
        if broken.is_set():
            raise RecorderError("the disk is full")
        settle(spool, low, high, refused)

    monkeypatch.setattr(Spool, "settle", failing)
    sink.poison = {"o1"}
    with Recorder(sink, tmp_path / "spool.db", linger=0.0, exit_timeout=120) as recorder:
        recorder.outcome("o1", "v1", "purchase")
        until(lambda: recorder.stats().refused == 1)
        for number in range(5):
            recorder.link("a", f"c{number}")
            until(lambda number=number: len(sink.links) == number + 1)
        assert recorder.stats().spooled == 6
        assert recorder.flush(0.0) is False
        broken.clear()
        assert recorder.flush(120)
        assert recorder.stats().spooled == 0
        assert [one.fields[0] for one in recorder.refused()] == ["o1"]
    assert [one.customer for one in sink.links] == [f"c{number}" for number in range(5)]


def test_an_unexpected_error_does_not_end_the_delivery(sink, kept, monkeypatch):
    """After an error in the recorder itself, the records wait, and arrive when it is over."""
    recorder = Recorder(sink, kept, linger=0.0, exit_timeout=120)
    step, left = recorder._delivery._step, [KeyError("bug"), RecorderError("the spool is locked")]

    def failing() -> bool:
        if left:
            raise left.pop()
        return step()

    monkeypatch.setattr(recorder._delivery, "_step", failing)
    recorder.link("a", "b")
    recorder.close()
    assert len(sink.links) == 1
    assert left == []


def test_the_thread_is_started_once(sink):
    """Two that start it at the same moment get one thread: two would take the same records."""
    recorder = Recorder(sink)
    recorder._delivery.start()
    first = recorder._delivery._thread
    recorder._delivery.start()
    assert recorder._delivery._thread is first
    recorder.close()


def test_close_waits_for_the_batch_in_work(kept):
    """After `close` the batch is acknowledged and no thread of the recorder is left."""
    sink = Stuck()
    recorder = Recorder(sink, kept, linger=0.0)
    stuck(recorder, sink)
    thread = recorder._delivery._thread
    assert thread is not None
    threading.Timer(0.1, sink.go.set).start()
    recorder.close(120)
    assert not thread.is_alive()
    assert len(sink.exposures) == 1
    assert recorder.stats()[2:5] == (1, 0, 0)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs a list of the open files of the process")
def test_close_leaves_no_file_open(sink, tmp_path):
    """Neither the spool, nor its log, nor its lock is open afterwards."""
    with Recorder(sink, tmp_path / "spool.db", exit_timeout=120) as recorder:
        recorder.link("a", "b")
        assert recorder.flush(120)
        assert _open_below(tmp_path)
    assert _open_below(tmp_path) == []


def _open_below(folder: Path) -> list[str]:
    found = []
    for one in Path("/proc/self/fd").iterdir():
        # That of the listing itself is gone.
        with suppress(FileNotFoundError):
            found.append(str(one.readlink()))
    return [target for target in found if target.startswith(str(folder))]


def test_a_problem_is_logged_once_a_minute(sink, caplog, monkeypatch):
    """The same one again only stands in `stats`; another one is logged as well, and the first after a minute."""
    recorder, now = Recorder(sink), [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    for problem in ("the store is down", "the store is down", "the disk is full", "the store is down"):
        recorder._delivery.say(problem)
        assert recorder.stats().problem == problem
    now[0] += 60.0
    recorder._delivery.say("the store is down")
    monkeypatch.undo()
    recorder.close()
    assert [one.message for one in caplog.records] == ["the store is down", "the disk is full", "the store is down"]


def test_stats_say_when_the_spool_cannot_be_read(sink, tmp_path, monkeypatch):
    """The counts are given all the same."""

    def failing(spool: Spool) -> tuple[int, int]:
        raise RecorderError("the spool cannot be read")

    with Recorder(sink, tmp_path / "spool.db", exit_timeout=120) as recorder:
        recorder.link("a", "b")
        assert recorder.flush(120)
        monkeypatch.setattr(Spool, "count", failing)
        stats = recorder.stats()
        assert (stats.delivered, stats.problem) == (1, "the spool cannot be read")
    assert sink.links == [Link("a", "b", sink.links[0].at)]


@pytest.mark.parametrize("remember", [4, 1_000])
def test_repeats_are_known_while_they_are_remembered(sink, kept, monkeypatch, remember):
    """The last exposures of half the limit are not recorded again; with room for all, none is."""
    monkeypatch.setattr(Recorder, "remember", remember)
    with Recorder(sink, kept, linger=0.0, exit_timeout=120) as recorder:
        for visitor in ("a", "b", "c", "b", "c", "a", "b", "c"):
            recorder.expose(assigned(visitor))
    assert [one.visitor for one in sink.exposures] == ["a", "b", "c"]
