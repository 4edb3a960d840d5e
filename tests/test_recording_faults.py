"""What can go wrong between a backend and its store, each with the count before and after.

Child processes run small scripts of their own and write to a file sink that keeps every delivery, repeats included, so
that a count here is a count of what arrived.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from offerlift.experiments import Assigner, Assignment, Reason, Recorder, Snapshot
from offerlift.experiments.spool import Spool

PRELUDE = """
import itertools, json, os, sys, threading
from offerlift.experiments import Recorder, Assignment, Reason, spool as spools

spools.BUSY_SECONDS = 120.0  # a busy machine is no locked file

class FileSink:
    '''Appends one line a delivered record; a batch is one write, so processes do not mix.'''
    def __init__(self, path):
        self.path = path
    def put(self, ids):
        with open(self.path, "a") as file:
            file.write("".join(f"{one}\\n" for one in ids))
    def write_exposures(self, records):
        self.put([one.visitor for one in records])
    def write_outcomes(self, records):
        self.put([one.outcome_id for one in records])
    def write_links(self, records):
        self.put([one.anonymous for one in records])

def assigned(visitor):
    return Assignment(visitor, "exp", 1, "control", None, None, Reason.SPLIT, 1, None, {}, "h")

out, spool = sys.argv[1], sys.argv[2]
"""


class FileSink:
    """The same sink for this process."""

    def __init__(self, path: Path):
        self.path = path

    def write_exposures(self, records):
        self._put([one.visitor for one in records])

    def write_outcomes(self, records):
        self._put([one.outcome_id for one in records])

    def write_links(self, records):
        self._put([one.anonymous for one in records])

    def _put(self, ids):
        with self.path.open("a") as file:
            file.write("".join(f"{one}\n" for one in ids))


def child(script: str, *arguments: object, **options) -> subprocess.Popen[str]:
    code = PRELUDE + textwrap.dedent(script)
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True, **options
    )


def finished(process: subprocess.Popen[str], code: int = 0) -> str:
    output = process.communicate(timeout=600)[0]
    assert process.returncode == code
    return output


def arrived(path: Path) -> Counter[str]:
    return Counter(path.read_text().split()) if path.exists() else Counter()


@pytest.fixture
def drain(until) -> Callable[[Path, Path], None]:
    """Deliver what is left in a spool."""

    def deliver(spool: Path, out: Path) -> None:
        with Recorder(FileSink(out), spool, linger=0.0) as recorder:
            until(lambda: recorder.stats().spooled == 0)

    return deliver


def test_interpreter_exit_empties_the_queue(tmp_path):
    """A process that gives 5,000 exposures to two recorders and just ends has delivered each of them once."""
    out = tmp_path / "out"
    finished(
        child(
            """
            recorders = [Recorder(FileSink(out), linger=3600.0, exit_timeout=120) for _ in range(2)]
            for number in range(5_000):
                recorders[number % 2].expose(assigned(f"v{number}"))
            """,
            out,
            "-",
        )
    )
    assert arrived(out) == Counter(f"v{number}" for number in range(5_000))


def test_a_recorder_that_nobody_holds_is_emptied_too(tmp_path):
    """Made and used in a function that returns, a recorder still delivers what waits when the process ends."""
    out = tmp_path / "out"
    finished(
        child(
            """
            def use():
                recorder = Recorder(FileSink(out), linger=3600.0, exit_timeout=120)
                recorder.expose(assigned("first"))
                while not recorder.stats().delivered:
                    threading.Event().wait(0.01)
                # Then the thread waits for more, or lingers already; either way, from here on for an hour.
                threading.Event().wait(0.5)
                for number in range(10):
                    recorder.expose(assigned(f"v{number}"))
            use()
            import gc; gc.collect()
            """,
            out,
            "-",
        )
    )
    assert arrived(out) == Counter(["first", *(f"v{number}" for number in range(10))])


def test_threads_that_outlive_the_main_thread_are_waited_for(tmp_path):
    """What a non-daemon thread records after the main thread has ended is delivered too."""
    out = tmp_path / "out"
    finished(
        child(
            """
            recorder = Recorder(FileSink(out), exit_timeout=120)
            def late():
                threading.main_thread().join()
                recorder.expose(assigned("late"))
            threading.Thread(target=late).start()
            recorder.expose(assigned("early"))
            """,
            out,
            "-",
        )
    )
    assert arrived(out) == Counter(["early", "late"])


FORK = """
import multiprocessing
how, when, kept = sys.argv[3], sys.argv[4], sys.argv[5]
recorder = Recorder(FileSink(out), spool if kept == "spool" else None, linger=0.02, exit_timeout=120)
if when == "after":
    recorder.expose(assigned("parent-before"))
    if how != "at once":
        recorder.flush(120)

def work():
    for number in range(100):
        recorder.expose(assigned(f"child-{number}"))

if how == "multiprocessing":
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    recorder.expose(assigned("parent-during"))
    process.join()
    assert process.exitcode == 0
else:
    pid = os.fork()
    if pid == 0:
        work()
        if kept == "spool":
            os._exit(0)
        sys.exit(0)
    recorder.expose(assigned("parent-during"))
    assert os.waitpid(pid, 0)[1] == 0
recorder.expose(assigned("parent-after"))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("kept", ["memory", "spool"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("how", ["fork", "multiprocessing", "at once"])
def test_fork_record_exit_in_the_child(tmp_path, drain, how, when, kept):
    """100 exposures in a forked child and up to three in its parent: each arrives, whoever used the recorder first."""
    out, spool = tmp_path / "out", tmp_path / "spool.db"
    finished(child(FORK, out, spool, how, when, kept))
    if kept == "spool":
        drain(spool, out)
    parents = ["parent-during", "parent-after"] + (["parent-before"] if when == "after" else [])
    expected = {f"child-{number}" for number in range(100)} | set(parents)
    found = arrived(out)
    assert set(found) == expected
    # A child never delivers what waits in its parent's memory. Killed between delivery and acknowledgement, the records
    # of its spool come again, to a store that keeps them once.
    assert max(found.values()) <= (2 if kept == "spool" and how != "multiprocessing" else 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_begins_with_nothing_of_its_parent(tmp_path):
    """Counts and problem are its own, its flush waits for no record of the parent, new recorders work in it."""
    out, spool = tmp_path / "out", tmp_path / "spool.db"
    finished(
        child(
            """
            class Stuck(FileSink):
                entered = threading.Event()
                def put(self, ids):
                    self.entered.set()
                    threading.Event().wait()
            failing = Recorder(FileSink(out + "/is/no/folder"), linger=0.0)
            failing.expose(assigned("failing"))
            while not failing.stats().retried:
                failing.flush(0.01)
            waiting = Recorder(Stuck(out), spool, linger=0.0, exit_timeout=0.0)
            waiting.expose(assigned("waiting"))
            assert Stuck.entered.wait(120)
            assert waiting.flush(0.0) is False
            pid = os.fork()
            if pid == 0:
                assert not any(failing.stats()), failing.stats()
                assert waiting.flush(0.0)
                with Recorder(FileSink(out), exit_timeout=120) as own:
                    own.expose(assigned("own"))
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
            assert failing.stats().problem != ""
            with Recorder(FileSink(out), exit_timeout=120) as own:
                own.expose(assigned("theirs"))
            os._exit(0)
            """,
            out,
            spool,
        )
    )
    assert arrived(out) == Counter(["own", "theirs"])


def test_sigkill_in_the_middle_of_a_batch_loses_nothing(tmp_path, drain):
    """Records whose call returned before SIGKILL are all delivered after a restart, and at most the last one more."""
    out, spool = tmp_path / "out", tmp_path / "spool.db"
    process = child(
        """
        class Stuck(FileSink):
            '''Has a third batch delivered, but never acknowledges it.'''
            calls = 0
            def put(self, ids):
                super().put(ids)
                self.calls += 1
                if self.calls == 3:
                    threading.Event().wait()
        recorder = Recorder(Stuck(out), spool, batch=50, linger=0.0)
        for number in itertools.count():
            recorder.outcome(f"o{number}", "v1", "purchase")
            if number in (0, 1):
                assert recorder.flush(120)
            if number % 100 == 0:
                print(number, flush=True)
        """,
        out,
        spool,
    )
    assert process.stdout is not None
    returned = -1
    deadline = time.monotonic() + 120
    for line in process.stdout:
        returned = int(line)
        # Two batches have been delivered, the third is at the sink, and most are still waiting.
        if (returned >= 1_000 and len(arrived(out)) >= 3) or time.monotonic() > deadline:
            break
    process.kill()
    returned = max([returned, *map(int, process.communicate()[0].split())])
    assert process.returncode == -signal.SIGKILL
    before = arrived(out)
    assert 3 <= len(before) <= 52
    assert returned >= 1_000
    drain(spool, out)
    after = arrived(out)
    assert {f"o{number}" for number in range(returned + 1)} <= set(after)
    assert len(after) <= returned + 1 + 100
    # At least once: only the batch that was being acknowledged comes twice.
    assert after == Counter({**dict.fromkeys(after, 1), **{one: 2 for one in before if one not in ("o0", "o1")}})


def test_two_processes_on_one_spool(tmp_path):
    """Two processes record 2,000 outcomes each into one spool at the same time: each arrives once."""
    out, spool = tmp_path / "out", tmp_path / "spool.db"
    script = """
    recorder = Recorder(FileSink(out), spool, batch=100, linger=0.0, exit_timeout=120)
    for number in range(2_000):
        recorder.outcome(f"{sys.argv[3]}-{number}", "v1", "purchase")
    assert recorder.flush(120)
    recorder.close()
    stats = recorder.stats()
    assert stats.dropped == 0, stats
    """
    processes = [child(script, out, spool, name) for name in ("a", "b")]
    for process in processes:
        finished(process)
    found = arrived(out)
    assert set(found) == {f"{name}-{number}" for name in "ab" for number in range(2_000)}
    assert sum(found.values()) == 4_000


def test_a_full_disk_for_the_spool_loses_nothing_while_the_store_is_up(tmp_path):
    """When the spool cannot grow any more, calls do not raise: the rest goes through memory, and each arrives once."""
    out, spool = tmp_path / "out", tmp_path / "spool.db"
    output = finished(
        child(
            """
            import resource
            class Stuck(FileSink):
                entered, go = threading.Event(), threading.Event()
                def put(self, ids):
                    self.entered.set()
                    assert self.go.wait(300)
                    super().put(ids)
            recorder = Recorder(Stuck(out), spool, linger=0.0, exit_timeout=120)
            recorder.outcome("first", "v1", "purchase")
            # From here on, the delivery thread takes nothing until it may go.
            assert Stuck.entered.wait(120)
            # As on a full disk, SQLite cannot make its files longer than this.
            resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
            for number in range(3_000):
                recorder.outcome(f"o{number}", "v1", "purchase")
            during = recorder.stats()
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            Stuck.go.set()
            assert recorder.flush(120)
            recorder.close()
            print(json.dumps([during._asdict(), recorder.stats()._asdict()]))
            """,
            out,
            spool,
        )
    )
    during, after = json.loads(output)
    assert during["queued"] > 500
    assert during["spooled"] > 100
    assert during["queued"] + during["spooled"] == 3_001
    assert "cannot take records" in during["problem"]
    assert (after["queued"], after["spooled"], after["dropped"]) == (0, 0, 0)
    assert arrived(out) == Counter(["first", *(f"o{number}" for number in range(3_000))])


class Stuck:
    """A sink that does not answer before it is told to, or has been patient for very long."""

    def __init__(self):
        self.entered, self.go = threading.Event(), threading.Event()
        self.calls, self.answered = 0, False

    def write_exposures(self, records):
        self.calls += 1
        self.entered.set()
        self.go.wait(300)
        self.answered = True

    write_outcomes = write_links = write_exposures


@pytest.mark.parametrize("kept", ["memory", "spool"])
def test_a_stuck_sink_does_not_hold_the_calls_up(tmp_path, kept):
    """2,000 assignments and exposures return while the sink has not yet answered the first batch."""
    assigner, sink = Assigner(Snapshot.of([])), Stuck()
    recorder = Recorder(sink, tmp_path / "spool.db" if kept == "spool" else None, linger=0.0)
    recorder.expose(assigned("first"))
    assert sink.entered.wait(120)
    for number in range(2_000):
        assigner.assign("none", f"v{number}")
        recorder.expose(assigned(f"v{number}"))
    # Had only some of the calls waited for the sink, it would have lost its patience.
    assert (sink.calls, sink.answered) == (1, False)
    stats = recorder.stats()
    assert (stats.queued + stats.spooled, stats.dropped) == (2_001, 0)
    sink.go.set()
    assert recorder.flush(120)
    recorder.close()


def assigned(visitor: str) -> Assignment:
    return Assignment(visitor, "exp", 1, "control", None, None, Reason.SPLIT, 1, None, {}, "h")


def test_a_signal_handler_is_never_installed(tmp_path):
    """Recording and closing leave the process's handlers as they were: a server has its own."""
    names = [signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = [signal.getsignal(name) for name in names]
    with Recorder(FileSink(tmp_path / "out"), tmp_path / "spool.db") as recorder:
        recorder.expose(assigned("v1"))
    assert [signal.getsignal(name) for name in names] == before


def test_a_spool_can_be_made_by_many_at_once(tmp_path, monkeypatch):
    """Twenty threads that open the same new file at the same moment all get a spool that works."""
    monkeypatch.setattr("offerlift.experiments.spool.BUSY_SECONDS", 120.0)
    barrier, errors = threading.Barrier(20), []

    def make() -> None:
        barrier.wait()
        try:
            spool = Spool(tmp_path / "spool.db")
            spool.add("link", ("a", "b", 0))
            spool.close()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    spool = Spool(tmp_path / "spool.db")
    assert spool.count() == (20, 0)
    spool.close()
