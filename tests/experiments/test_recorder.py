"""The recorder in one process: what is written, what is refused, what is counted."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from offerlift.errors import InputError, RecorderError, StoreError
from offerlift.experiments import Exposure, Link, Outcome, Reason, Recorder
from offerlift.experiments.queues import MemoryQueue, Seen
from offerlift.experiments.sinks import write_apart
from offerlift.experiments.spool import Spool
from offerlift.experiments.wire import EXPOSURE, OUTCOME, Row, read_fields

from .recording import Collecting, Stuck, assigned, stuck

EARLIER = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.fixture
def sink() -> Collecting:
    return Collecting()


@pytest.fixture(params=["memory", "spool"])
def recorder(request, sink, tmp_path):
    with Recorder(
        sink, tmp_path / "spool.db" if request.param == "spool" else None, linger=0.0, exit_timeout=120
    ) as recorder:
        yield recorder


def test_an_exposure_has_all_of_its_assignment(recorder, sink):
    """Experiment, visitor, arm, phase and hash are those of the assignment; the time is that of the call."""
    before = datetime.now(UTC)
    recorder.expose(assigned("v1", phase=3, arm="offer"))
    after = datetime.now(UTC)
    assert recorder.flush(120)
    (exposure,) = sink.exposures
    assert exposure == Exposure("exp", "v1", "offer", exposure.at, 3, "abc")
    assert before - timedelta(microseconds=1) <= exposure.at <= after


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.SPLIT])
def test_only_the_split_is_exposed(sink, reason):
    """No other reason writes an exposure of the experiment; the holdout's own is written whatever the reason."""
    with Recorder(sink, exit_timeout=120) as recorder:
        recorder.expose(assigned("v1", reason=reason))
        recorder.expose(assigned("v2", reason=reason, holdout=("spring", "held_out")))
    assert [(one.experiment, one.visitor, one.arm) for one in sink.exposures] == [("spring", "v2", "held_out")]


def test_a_split_inside_a_holdout_writes_both(recorder, sink):
    """A visitor who is offered is exposed to the experiment and to the holdout."""
    recorder.expose(assigned("v1", holdout=("spring", "offered")))
    assert recorder.flush(120)
    assert {(one.experiment, one.arm) for one in sink.exposures} == {("exp", "control"), ("spring", "offered")}


def test_a_repeated_exposure_is_not_written_again(recorder, sink):
    """The same visitor in the same phase and arm is written once; another phase or arm is written."""
    for _ in range(3):
        recorder.expose(assigned("v1"))
    recorder.expose(assigned("v1", phase=2))
    recorder.expose(assigned("v1", arm="other"))
    assert recorder.flush(120)
    assert len(sink.exposures) == 3


def test_an_exposure_with_a_time_is_always_written(recorder, sink):
    """An earlier time must reach the store, which keeps the earliest."""
    recorder.expose(assigned("v1"))
    recorder.expose(assigned("v1"), at=EARLIER)
    assert recorder.flush(120)
    assert EARLIER in [one.at for one in sink.exposures]


def test_outcomes_and_links_arrive_as_they_were(recorder, sink):
    """Decimal keeps its digits, integers stay ids and numbers, an omitted time stays omitted beside the call's time."""
    before = datetime.now(UTC)
    recorder.outcome("o1", 17, "purchase", value=Decimal("80.10"), cost=51, quantity=2, currency="EUR")
    recorder.outcome("o2", 'é\n"', "purchase", at=EARLIER, refund_of="o1")
    recorder.link("anonymous", 17, at=EARLIER)
    after = datetime.now(UTC)
    assert recorder.flush(120)
    first, second = sink.outcomes
    assert first.recorded_at is not None
    now = first.recorded_at
    assert before - timedelta(microseconds=1) <= now <= after
    assert first == Outcome("o1", "17", "purchase", None, Decimal("80.10"), Decimal(51), 2, "EUR", None, now)
    assert (second.visitor, second.at, second.value, second.refund_of) == ('é\n"', EARLIER, None, "o1")
    assert sink.links == [Link("anonymous", "17", EARLIER)]


BAD = {
    "no visitor": lambda recorder: recorder.outcome("o1", "", "purchase"),
    "no id": lambda recorder: recorder.outcome(None, "v1", "purchase"),
    "a surrogate": lambda recorder: recorder.outcome("o1", "\ud800", "purchase"),
    "no name": lambda recorder: recorder.outcome("o1", "v1", None),
    "a number as name": lambda recorder: recorder.outcome("o1", "v1", 5),
    "float money": lambda recorder: recorder.outcome("o1", "v1", "purchase", value=80.1),
    "true money": lambda recorder: recorder.outcome("o1", "v1", "purchase", cost=True),
    "not a number": lambda recorder: recorder.outcome("o1", "v1", "purchase", value=Decimal("NaN")),
    "huge money": lambda recorder: recorder.outcome("o1", "v1", "purchase", value=Decimal("1e999999")),
    "half a piece": lambda recorder: recorder.outcome("o1", "v1", "purchase", quantity=0.5),
    "a small currency": lambda recorder: recorder.outcome("o1", "v1", "purchase", currency="eur"),
    "a naive time": lambda recorder: recorder.outcome("o1", "v1", "purchase", at=datetime(2026, 5, 4)),  # noqa: DTZ001 - refused
    "a date": lambda recorder: recorder.outcome("o1", "v1", "purchase", at="2026-05-04"),
    "a link to itself": lambda recorder: recorder.link("a", "a"),
    "a link to nobody": lambda recorder: recorder.link("a", None),
    "no assignment": lambda recorder: recorder.expose(None),
    "an assignment of nobody": lambda recorder: recorder.expose(assigned("")),
    "an assignment without arm": lambda recorder: recorder.expose(assigned(arm="")),
}


@pytest.mark.parametrize("call", BAD.values(), ids=BAD.keys())
def test_a_bad_record_raises_at_the_call(sink, tmp_path, call):
    """A record that no store could take raises InputError where the caller sees it, and nothing is queued."""
    with Recorder(sink, tmp_path / "spool.db") as recorder:
        with pytest.raises(InputError):
            call(recorder)
        assert recorder.stats()[:2] == (0, 0)
    assert sink.calls == 0


def test_a_poison_record_is_set_aside_and_the_others_arrive(sink, tmp_path):
    """A batch that the store refuses is halved until the one record stands alone; it stays in the spool with reason."""
    sink.poison = {"o37"}
    with Recorder(sink, tmp_path / "spool.db", linger=0.05) as recorder:
        for number in range(100):
            recorder.outcome(f"o{number}", "v1", "purchase")
        assert recorder.flush(120)
        assert sorted(one.outcome_id for one in sink.outcomes) == sorted(f"o{n}" for n in range(100) if n != 37)
        stats = recorder.stats()
        assert (stats.delivered, stats.refused, stats.dropped, stats.spooled) == (99, 1, 0, 0)
        (aside,) = recorder.refused()
        assert (aside.fields[0], aside.reason) == ("o37", "ValueError: poison in the batch")
        sink.poison = set()
        assert recorder.retry_refused() == 1
        assert recorder.flush(120)
        assert len(sink.outcomes) == 100
        assert recorder.refused() == []


def test_without_a_spool_a_refused_record_is_dropped_and_counted(sink, caplog):
    """There is no place to set it aside, so it counts as dropped and is logged with its reason."""
    sink.poison = {"o1"}
    with Recorder(sink, linger=0.05) as recorder:
        recorder.outcome("o1", "v1", "purchase")
        recorder.outcome("o2", "v1", "purchase")
        assert recorder.flush(120)
        stats = recorder.stats()
    assert (stats.delivered, stats.refused, stats.dropped) == (1, 1, 1)
    assert "poison in the batch" in caplog.text


def test_what_the_sink_reports_as_refused_is_set_aside(tmp_path):
    """Entries of `refused` and `conflicts` in the result of a write are matched to their records by index."""

    @dataclass
    class Entry:
        index: int
        message: str

    @dataclass
    class Result:
        refused: list[Entry]
        conflicts: list[Entry]

    class Reporting(Collecting):
        def write_outcomes(self, records):
            bad = {one.outcome_id: index for index, one in enumerate(records)}
            return Result(
                [Entry(bad["o1"], "unknown")] if "o1" in bad else [],
                [Entry(bad["o3"], "other content")] if "o3" in bad else [],
            )

    with Recorder(Reporting(), tmp_path / "spool.db", linger=0.05) as recorder:
        for number in range(5):
            recorder.outcome(f"o{number}", "v1", "purchase")
        assert recorder.flush(120)
        assert {one.fields[0]: one.reason for one in recorder.refused()} == {"o1": "unknown", "o3": "other content"}


@pytest.mark.parametrize("error", [StoreError("down"), ConnectionError("down"), RuntimeError("anything")])
def test_a_sink_that_is_down_is_tried_again(recorder, sink, error):
    """Its error loses nothing and duplicates nothing: the batch arrives, and the stats count the retry."""
    sink.errors = [error, error]
    recorder.outcome("o1", "v1", "purchase")
    assert recorder.flush(120)
    assert [one.outcome_id for one in sink.outcomes] == ["o1"]
    stats = recorder.stats()
    assert (stats.retried, stats.delivered, stats.dropped, stats.problem) == (2, 1, 0, "")


def test_an_error_of_unknown_kind_does_not_stop_the_queue_for_ever(tmp_path):
    """After some attempts the batch is split like a refused one, and what fails alone is set aside."""

    class Buggy(Collecting):
        def write_outcomes(self, records):
            if any(one.outcome_id == "o1" for one in records):
                raise KeyError("bug")
            self.outcomes += records

    sink = Buggy()
    with Recorder(sink, tmp_path / "spool.db", linger=0.05) as recorder:
        for number in range(3):
            recorder.outcome(f"o{number}", "v1", "purchase")
        assert recorder.flush(120)
        assert [one.fields[0] for one in recorder.refused()] == ["o1"]
    assert [one.outcome_id for one in sink.outcomes] == ["o0", "o2"]


def test_an_outage_while_a_batch_is_split_is_an_outage():
    """Halving stops at once when the sink goes down: nothing is taken for refused."""

    class Dying(Collecting):
        def write_outcomes(self, records):
            self.calls += 1
            raise ValueError("poison") if self.calls == 1 else StoreError("down")

    fields = ("o", "v", "purchase", None, None, None, None, None, None, 0)
    with pytest.raises(StoreError):
        write_apart(Dying(), [Row(key, OUTCOME, fields) for key in range(4)])


def test_a_full_queue_drops_and_counts():
    """Without a spool the queue holds its capacity and the batch in work; what comes on top is counted and logged."""
    sink = Stuck()
    recorder = Recorder(sink, capacity=50, batch=10, linger=0.0)
    stuck(recorder, sink)
    for number in range(200):
        recorder.expose(assigned(f"v{number}"))
    stats = recorder.stats()
    assert (stats.queued, stats.dropped) == (51, 150)
    assert "the queue is full (50 records): records are lost, 150 so far" in stats.problem
    sink.go.set()
    recorder.close(120)
    assert [one.visitor for one in sink.exposures] == ["first", *(f"v{number}" for number in range(50))]
    assert recorder.stats().dropped == 150


def test_a_dropped_exposure_is_recorded_the_next_time():
    """What was dropped is not remembered as recorded."""
    sink = Stuck()
    recorder = Recorder(sink, capacity=1, batch=1, linger=0.0)
    stuck(recorder, sink)
    for number in range(10):
        recorder.expose(assigned(f"v{number}"))
    sink.go.set()
    assert recorder.flush(120)
    assert [one.visitor for one in sink.exposures] == ["first", "v0"]
    recorder.expose(assigned("v9"))
    recorder.close(120)
    assert [one.visitor for one in sink.exposures] == ["first", "v0", "v9"]


def test_blocking_waits_for_room(until):
    """With when_full="block" nothing is dropped: the caller waits until the sink has taken a batch."""
    sink = Stuck()
    recorder = Recorder(sink, capacity=10, batch=5, linger=0.0, when_full="block")
    stuck(recorder, sink)
    returned = []

    def record() -> None:
        for number in range(100):
            recorder.expose(assigned(f"v{number}"))
            returned.append(number)

    caller = threading.Thread(target=record)
    caller.start()
    until(lambda: len(returned) == 10)
    # There is room for ten; the eleventh call is out and cannot come back.
    assert caller.is_alive()
    sink.go.set()
    caller.join()
    recorder.close(120)
    assert [one.visitor for one in sink.exposures] == ["first", *(f"v{number}" for number in range(100))]
    assert recorder.stats().dropped == 0


def test_blocking_is_refused_inside_an_event_loop(sink):
    """Inside a running loop a blocking recorder and `flush` raise; a dropping one, aflush and aclose work."""

    async def refuse():
        with Recorder(sink, when_full="block") as blocking:
            with pytest.raises(RecorderError, match="inside an event loop"):
                blocking.expose(assigned())
            with pytest.raises(RecorderError, match="aflush"):
                blocking.flush()

    async def accept():
        recorder = Recorder(sink)
        recorder.expose(assigned("v2"))
        assert await recorder.aflush(120)
        recorder.expose(assigned("v3"))
        await recorder.aclose(120)

    asyncio.run(refuse())
    asyncio.run(accept())
    assert [one.visitor for one in sink.exposures] == ["v2", "v3"]


def test_aflush_leaves_the_loop_free():
    """While aflush waits for a stuck sink, the loop goes on."""
    sink = Stuck()
    recorder = Recorder(sink, linger=0.0)

    async def run() -> int:
        recorder.expose(assigned())
        flushing = asyncio.create_task(recorder.aflush(120))
        turns = 0
        while turns < 20:
            await asyncio.sleep(0.005)
            turns += 1
        assert not flushing.done()
        sink.go.set()
        assert await flushing
        return turns

    assert asyncio.run(run()) == 20
    recorder.close()


def test_flush_says_when_the_time_is_over():
    """A flush that did not succeed in time returns False, and what is left at close is dropped, counted and logged."""
    sink = Stuck()
    recorder = Recorder(sink, linger=0.0)
    stuck(recorder, sink)
    assert recorder.flush(0.05) is False
    recorder.close(0.0)
    assert recorder.stats().dropped == 1
    sink.go.set()


def test_a_record_is_counted_on_its_way(monkeypatch):
    """Between the queue and the batch a record counts as queued, or a flush at that moment would not wait for it."""
    queue, seen = MemoryQueue(10), []

    def looking() -> Iterator[int]:
        for number in range(10):
            seen.append((len(queue) > 0, queue.mark() is not None))
            yield number

    monkeypatch.setattr(queue, "_numbers", looking())
    queue.add(OUTCOME, ("o", "v", "purchase"))
    assert len(queue.take(10)) == 1
    assert seen == [(True, True)]


def test_flush_waits_for_what_goes_from_memory_to_the_spool_meanwhile(tmp_path, monkeypatch, until):
    """A record that leaves the queue for the spool while a flush begins is waited for there."""
    sink = Stuck()
    recorder = Recorder(sink, tmp_path / "spool.db", linger=0.0)
    recorder._queue.add(EXPOSURE, ("exp", 1, "v1", "control", 0, "h"))

    def last_seq(spool: Spool) -> int:
        before = spool._last_seq
        recorder._delivery.wake()
        until(lambda: not len(recorder._queue))
        return before

    monkeypatch.setattr(Spool, "last_seq", property(last_seq))
    assert recorder.flush(0.05) is False
    sink.go.set()
    assert recorder.flush(120)
    recorder.close()


def test_a_closed_recorder_breaks_nothing(sink):
    """Recording after close does not raise; it is counted as dropped. Closing twice is fine."""
    recorder = Recorder(sink)
    recorder.close()
    recorder.close()
    recorder.expose(assigned())
    assert recorder.stats().dropped == 1


def test_eight_threads_lose_nothing(recorder, sink):
    """4,000 outcomes from eight threads arrive once each."""

    def work(thread: int) -> None:
        for number in range(500):
            recorder.outcome(f"{thread}-{number}", f"v{number}", "purchase")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorder.flush(120)
    assert len(sink.outcomes) == 4_000
    assert len({one.outcome_id for one in sink.outcomes}) == 4_000
    assert recorder.stats().delivered == 4_000


def test_the_memory_of_exposures_is_bounded():
    """It never holds more than its limit, and always the most recent half."""
    seen = Seen(1_000)
    for number in range(10_000):
        seen.add("exp", 1, f"v{number}", "a")
        assert len(seen) <= 1_000
    assert all(seen.has("exp", 1, f"v{number}", "a") for number in range(9_501, 10_000))
    assert Recorder.remember == 1_000_000


def test_all_experiments_share_the_bound():
    """Experiments, phases and arms share one limit, and the rare ones do not crowd out the rest."""
    seen = Seen(1_000)
    for number in range(10_000):
        seen.add(f"exp{number % 7}" if number % 100 == 0 else "exp", number // 5_000, f"v{number}", "ab"[number % 2])
        assert len(seen) <= 1_000
    assert seen.has("exp", 1, "v9999", "b")
    assert len(seen) >= 450
    remembered = sum(seen.has("exp", 1, f"v{number}", "ab"[number % 2]) for number in range(9_500, 10_000))
    assert remembered >= 450


def test_more_arms_than_it_may_remember_are_bounded_too():
    """Neither visitors nor groups grow with the number of experiments."""
    seen = Seen(20)
    for number in range(500):
        seen.add(f"exp{number}", 1, "v", "a")
        assert len(seen) <= 20
        assert len(seen.groups) <= 22


def test_a_recorder_that_remembers_little_still_loses_nothing(sink):
    """Each exposure arrives at least once while half of what is remembered is forgotten again and again."""
    recorder = Recorder(sink, linger=0.0)
    recorder._seen = Seen(50)
    for number in range(1_000):
        recorder.expose(assigned(f"v{number}", arm="ab"[number % 2], phase=number % 3))
        recorder.expose(assigned(f"v{number}", arm="ab"[number % 2], phase=number % 3))
    recorder.close(30)
    assert {one.visitor for one in sink.exposures} == {f"v{number}" for number in range(1_000)}
    assert len(sink.exposures) < 1_100


def test_the_queue_puts_every_kind_of_record_in_order():
    """Records come out as they went in, and a mark is set once all before it is settled."""
    queue = MemoryQueue(4)
    assert queue.add(OUTCOME, ("o1",))
    queue.waiting.extend((("exp", 1, "a"), "v1", 1.5, "abc"))
    mark = queue.mark()
    assert queue.add(OUTCOME, ("o2",))
    assert not queue.add(OUTCOME, ("o3",))
    assert len(queue) == 3
    assert [(row.kind, tuple(row.fields)) for row in queue.take(10)] == [
        (OUTCOME, ("o1",)),
        (EXPOSURE, ("exp", 1, "v1", "a", 1_500_000, "abc")),
    ]
    assert not mark.is_set()
    queue.settle()
    assert mark.is_set()
    assert [row.fields for row in queue.take(10)] == [("o2",)]
    assert queue.clear() == 1
    assert len(queue) == 0


def test_a_spool_is_delivered_after_a_restart(tmp_path, sink, until):
    """What a first recorder could not deliver, a second one on the same file delivers without being asked."""
    down = Stuck()
    first = Recorder(down, tmp_path / "spool.db", linger=0.0)
    for number in range(30):
        first.expose(assigned(f"v{number}"))
    first.close(0.0)
    assert first.stats().dropped == 0
    with Recorder(sink, tmp_path / "spool.db", linger=0.0) as second:
        until(lambda: second.stats().spooled == 0)
    assert sorted(one.visitor for one in sink.exposures) == sorted(f"v{number}" for number in range(30))
    down.go.set()


def test_a_file_of_somebody_else_is_no_spool(tmp_path):
    """A text file, a foreign database, a folder and a missing folder are refused and left as they are."""
    text = tmp_path / "text"
    text.write_text("not a database, but long enough to be taken for one" * 50)
    with pytest.raises(RecorderError, match="not a database"):
        Spool(text)
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER)")
    connection.close()
    before = foreign.read_bytes()
    with pytest.raises(RecorderError, match="somebody else"):
        Spool(foreign)
    assert foreign.read_bytes() == before
    with pytest.raises(RecorderError, match="folder of the spool"):
        Spool(tmp_path / "none" / "spool.db")
    with pytest.raises(RecorderError):
        Spool(tmp_path)


def test_the_setting_of_fsync_reaches_sqlite(tmp_path):
    """fsync=True makes every commit wait for the disk (synchronous = FULL), otherwise only checkpoints (NORMAL)."""
    for fsync, level in ((True, 2), (False, 1)):
        spool = Spool(tmp_path / f"{fsync}.db", fsync=fsync)
        with spool._adding.use("") as connection:
            assert connection.execute("PRAGMA synchronous").fetchone()[0] == level
            assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        spool.close()


def test_damaged_rows_do_not_stop_the_spool(tmp_path, sink, until):
    """A row that cannot be read, or is of a later version's kind, is set aside with its reason; the others arrive."""
    path = tmp_path / "spool.db"
    Spool(path).close()
    with sqlite3.connect(path) as connection:
        connection.executemany(
            "INSERT INTO record (kind, body) VALUES (?, ?)",
            [("outcome", "{"), ("hologram", "[]"), ("exposure", "[1]"), ("link", '["a", "b", 0]')],
        )
    connection.close()
    with Recorder(sink, path, linger=0.0) as recorder:
        until(lambda: recorder.stats().spooled == 0)
        assert len(recorder.refused()) == 3
    assert sink.links == [Link("a", "b", datetime(1970, 1, 1, tzinfo=UTC))]


def test_a_kind_of_another_version_is_refused_by_name():
    """The error names the kind."""
    with pytest.raises(InputError, match="hologram"):
        read_fields("hologram", ())


def test_assign_and_expose_does_both(recorder, sink):
    """The answer is that of the assigner, and its exposure is written."""

    class Fixed:
        def assign(self, experiment, visitor, attributes=None, **options):
            return assigned(visitor)

    assert recorder.assign_and_expose(Fixed(), "exp", "v9") == assigned("v9")
    assert recorder.flush(120)
    assert [one.visitor for one in sink.exposures] == ["v9"]
