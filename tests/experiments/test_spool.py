"""The spool by itself: numbers, settling, leading, room on the disk, forks."""

from __future__ import annotations

import sqlite3

import pytest
from offerlift.errors import RecorderError
from offerlift.experiments import Recorder
from offerlift.experiments.spool import Spool, _Ticket

from .recording import Collecting


@pytest.fixture
def path(tmp_path):
    return tmp_path / "spool.db"


def filled(path, count: int) -> Spool:
    spool = Spool(path)
    spool.add_many([("link", ("a", f"c{number}", number)) for number in range(count)])
    return spool


def test_taking_and_settling_a_range(path):
    """Taken are the oldest after a number; settled is exactly the range, and the records beside it stay."""
    spool = filled(path, 10)
    first = spool.take(0, 3)
    assert [row.key for row in first] == [1, 2, 3]
    assert [row.key for row in spool.take(3, 4)] == [4, 5, 6, 7]
    assert spool.count() == (10, 0)
    spool.settle(1, 3, {2: "because"})
    assert [row.fields[1] for row in spool.take(0, 100)] == [f"c{number}" for number in range(3, 10)]
    assert [(one.seq, one.fields[1], one.reason) for one in spool.refused()] == [(2, "c1", "because")]
    assert (spool.last_seq, spool.holds(10), spool.holds(4), spool.holds(3)) == (10, True, True, False)
    spool.close()


def test_numbers_are_never_used_again(path):
    """Two records refused one after the other, each alone in the spool, are both kept."""
    spool = Spool(path)
    for number in range(2):
        spool.add("link", ("a", f"c{number}", 0))
        (row,) = spool.take(0, 10)
        spool.settle(row.key, row.key, {row.key: "because"})
    assert [one.fields[1] for one in spool.refused()] == ["c0", "c1"]
    spool.close()


def test_readmitted_records_are_waited_for(path):
    """They get new numbers, which count as recorded by this process, and are refused no longer."""
    spool = filled(path, 2)
    spool.settle(1, 2, {1: "because", 2: "because"})
    assert spool.readmit() == 2
    assert (spool.count(), spool.last_seq, spool.holds(spool.last_seq)) == ((2, 0), 4, True)
    spool.close()


def test_errors_are_told_for_one_and_for_many(path):
    """A record that could not be committed is never taken for safe."""
    spool = Spool(path)
    with spool._adding.use("") as connection:
        connection.execute("PRAGMA query_only = 1")
    with pytest.raises(RecorderError, match="cannot take records"):
        spool.add("link", ("a", "b", 0))
    with spool._adding.use("") as connection:
        connection.execute("PRAGMA query_only = 1")
    with pytest.raises(RecorderError, match="cannot take records"):
        spool.add_many([("link", ("a", "b", 0))])
    # Each time the file was opened anew.
    spool.add("link", ("a", "b", 0))
    assert spool.count() == (1, 0)
    spool.close()


def test_one_leads_until_it_resigns_or_closes(path):
    """Of three spools on a file one leads; the next can after it resigned or closed, and a closed one never again."""
    first, second, third = Spool(path), Spool(path), Spool(path)
    assert [one.lead() for one in (first, second, first)] == [True, False, True]
    first.resign()
    assert [one.lead() for one in (second, first)] == [True, False]
    second.close()
    assert [one.lead() for one in (second, third)] == [False, True]
    first.close()
    third.close()


def test_without_a_lock_file_records_are_delivered(path):
    """Where the lock cannot be made, as on some mounts, everybody delivers: rather twice than never."""
    path.with_name("spool.db.lock").mkdir()
    sink = Collecting()
    with Recorder(sink, path, linger=0.0, exit_timeout=120) as recorder:
        recorder.link("a", "b")
    assert len(sink.links) == 1


def test_room_is_given_back(path):
    """After a long backlog is delivered, the file is less than a tenth of what it was."""
    spool = Spool(path)
    spool.add_many([("link", ("x" * 4_000, number)) for number in range(4_000)])
    spool.close()
    full = path.stat().st_size
    spool = Spool(path)
    spool.settle(1, 4_000, {})
    spool.shrink()
    spool.close()
    assert path.stat().st_size < full // 10


def test_a_recorder_has_its_spool_shrunk(path, monkeypatch, until):
    """It does so whenever it has delivered everything."""
    shrunk = []
    monkeypatch.setattr(Spool, "shrink", lambda spool: shrunk.append(spool.count()[0]))
    with Recorder(Collecting(), path, linger=0.0) as recorder:
        recorder.link("a", "b")
        until(lambda: shrunk == [0])


def test_a_later_format_is_refused_and_left(path):
    """The error names both formats; the records stay for the version that wrote them."""
    filled(path, 3).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(RecorderError, match="has format 7; this offerlift reads 1"):
        Spool(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM record").fetchone() == (3,)
    connection.close()


def test_a_child_leaves_the_parents_records_to_it(path):
    """What waits in the parent's threads is not committed once more, nor flushed for, and the child does not lead."""
    spool = filled(path, 2)
    assert spool.lead()
    spool._waiting.append(_Ticket("link", '["a","parent",0]'))
    spool.before_fork()
    assert (spool._adding._connection, spool._taking._connection) == (None, None)
    spool.after_fork_in_child()
    assert (spool.last_seq, spool._lock_file) == (0, None)
    spool.add("link", ("a", "child", 0))
    assert [row.fields[1] for row in spool.take(0, 10)] == ["c0", "c1", "child"]
    spool.close()
