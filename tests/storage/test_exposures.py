"""Exposures: one row a visitor, whatever order and batches the records arrive in."""

from __future__ import annotations

from datetime import datetime
from itertools import count, permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from offerlift.experiments.records import Exposure
from offerlift.storage import tables
from offerlift.storage.exposures import First, Mark, merge
from sqlalchemy import select

RECORDS = st.lists(st.tuples(st.integers(0, 4), st.sampled_from("abc"), st.sampled_from(["", "h1", "h2"])), max_size=7)
NAMES = count()


def brute_force(records):
    """What the row must say, from all records at once."""
    marks = sorted(Mark(at, arm, not known, known) for at, arm, known in records)
    others = [(mark.at, mark.arm) for mark in marks if mark.arm != marks[0].arm]
    return First(marks[0], min(others, default=None))


def stored(store, experiment="exit"):
    """Rows as visitor -> (arm, at, hash, crossover arm, crossover at), in names."""
    e, other = tables.exposure, tables.arm.alias()
    statement = (
        select(tables.visitor.c.key, tables.arm.c.name, e.c.at, e.c.assignment_hash, other.c.name, e.c.crossover_at)
        .select_from(e)
        .join(tables.visitor, tables.visitor.c.id == e.c.visitor_id)
        .join(tables.experiment, tables.experiment.c.id == e.c.experiment_id)
        .join(tables.arm, tables.arm.c.id == e.c.arm_id)
        .outerjoin(other, other.c.id == e.c.crossover_arm_id)
        .where(tables.experiment.c.key == experiment)
    )
    with store._engine.connect() as connection:
        return {row[0]: tuple(row[1:]) for row in connection.execute(statement)}


@given(RECORDS.filter(bool))
@settings(derandomize=True, max_examples=200)
def test_merge_is_order_independent(records):
    """Any order of the same records leaves the earliest, and the earliest in another arm than that."""
    expected = brute_force(records)
    for order in permutations(records) if len(records) <= 4 else [records, records[::-1], sorted(records)]:
        state = None
        for at, arm, known in order:
            state = merge(state, Mark(at, arm, not known, known))
        assert state == expected


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@given(data=st.data(), records=st.lists(st.tuples(st.sampled_from("vw"), RECORDS.filter(bool)), min_size=1, max_size=2))
@settings(
    derandomize=True,
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_batches_and_order_do_not_matter(request, engine, make_published, at, data, records):
    """Any permutation and batching of the same records gives the same table, on each engine."""
    store = request.getfixturevalue("memory") if engine == "sqlite" else request.getfixturevalue("postgresql_store")
    key = f"exit-{next(NAMES)}"
    store.publish(make_published(key))
    by_visitor = {}
    for visitor, marks in records:
        by_visitor.setdefault(visitor, []).extend(marks)
    every = [(visitor, mark) for visitor, marks in by_visitor.items() for mark in marks]
    order = data.draw(st.permutations(every))
    cut = data.draw(st.integers(0, len(order)))
    totals = [0, 0, 0, 0]
    for batch in (order[:cut], order[cut:]):
        result = store.write_exposures(
            Exposure(key, visitor, arm, at(time), assignment_hash=known) for visitor, (time, arm, known) in batch
        )
        totals = [
            a + b for a, b in zip(totals, (result.new, result.changed, result.repeated, result.crossovers), strict=True)
        ]
    expected = {visitor: brute_force(marks) for visitor, marks in by_visitor.items()}
    assert stored(store, key) == {
        visitor: (
            first.mark.arm,
            micros(at(first.mark.at)),
            first.mark.assignment_hash,
            first.crossover and first.crossover[1],
            first.crossover and micros(at(first.crossover[0])),
        )
        for visitor, first in expected.items()
    }
    assert totals[0] == len(expected)
    assert sum(totals[:3]) == len(every)
    assert totals[3] == sum(first.crossover is not None for first in expected.values())


@pytest.fixture
def postgresql_store(postgresql_url):
    from offerlift.storage.store import Store

    with Store.open(postgresql_url) as opened:
        yield opened


def micros(time: datetime) -> int:
    from offerlift.storage.times import to_micros

    return to_micros(time)


def test_counts_are_exact(store, make_published, at):
    """New, repeated, changed and crossover records are each counted once, across batches and inside one."""
    store.publish(make_published())
    first = store.write_exposures([Exposure("exit", "v", "b", at(5)), Exposure("exit", "v", "b", at(7))])
    assert (first.new, first.repeated, first.changed, first.crossovers) == (1, 1, 0, 0)
    second = store.write_exposures([Exposure("exit", "v", "b", at(3)), Exposure("exit", "v", "a", at(9))])
    assert (second.new, second.repeated, second.changed, second.crossovers) == (0, 0, 2, 1)
    third = store.write_exposures([Exposure("exit", "v", "a", at(1)), Exposure("exit", "w", "a", at(1))])
    assert (third.new, third.repeated, third.changed, third.crossovers) == (1, 0, 1, 0)
    assert stored(store)["v"] == ("a", micros(at(1)), "", "b", micros(at(3)))


def test_tie_goes_by_arm_name_not_by_number(store, make_published, at):
    """Of two exposures at one instant the arm that sorts first counts, though it was listed later."""
    store.publish(make_published(arms=("z", "a")))
    store.write_exposures([Exposure("exit", "v", "z", at(1))])
    store.write_exposures([Exposure("exit", "v", "a", at(1))])
    assert stored(store)["v"][0] == "a"


def test_arm_names_sort_by_bytes(store, make_published, at):
    """Capitals sort before small letters, as bytes do and as German or English dictionaries do not."""
    store.publish(make_published(arms=("a", "B")))
    store.write_exposures([Exposure("exit", "v", "a", at(1)), Exposure("exit", "v", "B", at(1))])
    assert stored(store)["v"][0] == "B"


def test_phases_and_experiments_are_apart(store, make_published, at):
    """The same visitor has one row for each experiment and phase."""
    store.publish(make_published())
    store.publish(make_published("other"))
    result = store.write_exposures(
        [
            Exposure("exit", "v", "a", at(1)),
            Exposure("exit", "v", "b", at(1), phase=2),
            Exposure("other", "v", "c", at(1)),
        ]
    )
    assert (result.new, result.crossovers) == (3, 0)


def test_ids_that_differ_only_in_case_or_accent_are_different(store, make_published, at):
    """Ids compare by bytes: no case folding, no normalization, no trailing spaces dropped."""
    store.publish(make_published())
    ids = ["Ann", "ann", "ann ", "é", "e\u0301", "ß", "ss"]
    assert store.write_exposures(Exposure("exit", one, "a", at(1)) for one in ids).new == len(ids)
    assert set(stored(store)) == set(ids)


def test_hostile_ids_are_only_text(store, make_published, at):
    """An id that holds SQL is stored as it is, and nothing else happens."""
    store.publish(make_published())
    ids = ["'; DROP TABLE exposure; --", '" OR 1=1', "%s", ":x", "\\", "a\nb", "\N{PILE OF POO}", "x" * 255]
    assert store.write_exposures(Exposure("exit", one, "a", at(1)) for one in ids).new == len(ids)
    assert set(stored(store)) == set(ids)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"visitor": "a\0b"}, "NUL"),
        ({"visitor": "x" * 256}, "255 bytes"),
        ({"visitor": "é" * 128}, "255 bytes"),
        ({"visitor": "\ud800"}, "surrogate"),
        ({"visitor": ""}, "empty"),
        ({"visitor": True}, "True"),
        ({"visitor": 1.0}, "1.0"),
        ({"visitor": None}, "None"),
        ({"at": datetime(2026, 3, 1)}, "time zone"),  # noqa: DTZ001 - refused
        ({"at": "2026-03-01"}, "datetime"),
        ({"arm": "d"}, "unknown arm 'd' of 'exit'; its arms are 'a', 'b', 'c'"),
        ({"arm": "\0"}, "unknown arm"),
        ({"experiment": "exist"}, "unknown experiment 'exist'"),
        ({"experiment": "\0"}, "unknown experiment"),
        ({"experiment": "\ud800"}, "unknown experiment"),
        ({"experiment": None}, "name of its experiment"),
        ({"phase": 1.5}, "phase"),
        ({"phase": 2**31}, "phase"),
        ({"assignment_hash": "\0"}, "hash"),
    ],
)
def test_bad_records_are_refused_one_by_one(store, make_published, at, record, reason):
    """A record that cannot be stored is refused with its position and reason; the others are in."""
    store.publish(make_published())
    good = {"experiment": "exit", "visitor": "v", "arm": "a", "at": at(1)}
    result = store.write_exposures([Exposure(**good), Exposure(**good | record), Exposure(**good | {"visitor": "w"})])
    assert (result.new, result.repeated, len(result.refused)) == (2, 0, 1)
    assert result.refused[0].index == 1
    assert reason in result.refused[0].message
    assert set(stored(store)) == {"v", "w"}


def test_something_else_than_an_exposure_is_refused(memory):
    """A row that is no Exposure is refused, not a crash."""
    assert "Exposure is needed" in memory.write_exposures([("exit", "v", "a")]).refused[0].message


def test_more_records_than_a_transaction_takes(store, make_published, at):
    """Counts and positions stay right across the transactions of one write."""
    store.publish(make_published())
    records = [Exposure("exit", i % 7000, "a", at(i)) for i in range(12_000)]
    records[11_000] = Exposure("exit", "", "a", at(1))
    result = store.write_exposures(records)
    assert (result.new, result.repeated) == (7000, 4999)
    assert [one.index for one in result.refused] == [11_000]


def test_integer_ids_are_their_decimals(store, make_published, at):
    """Visitor 7 and visitor "7" are the same."""
    store.publish(make_published())
    assert store.write_exposures([Exposure("exit", 7, "a", at(1)), Exposure("exit", "7", "a", at(1))]).new == 1
