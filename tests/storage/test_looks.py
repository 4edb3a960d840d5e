"""Looks are recorded once, on every engine, by one of many, and never changed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from offerlift.errors import InputError
from offerlift.storage import Look, Store


@pytest.fixture
def rows(at):
    """The rows of look `number`, seen so many days after the start, by a reviewer."""

    def make(number: int = 1, day: int = 1, reviewer: str = "r" * 64) -> list[Look]:
        shared = {"at": at(day * 86_400_000_000), "clock": 0.25 * number, "planned": True, "report_hash": reviewer}
        return [
            Look(
                number,
                arm,
                metric,
                verdict="collecting" if metric == "conversion" else "",
                estimate=1 / 3,
                se=0.1,
                z=None if arm == "c" else 10 / 3,
                boundary=4.048_639,
                alpha_spent=1e-15,
                document={"reason": "„Größe“ ✓", "lift": {"low": -0.1, "high": None}, "shares": [0.5, 1]},
                **shared,
            )
            for arm in ("b", "c")
            for metric in ("conversion", "revenue_per_visitor")
        ]

    return make


def test_looks_come_back_as_they_were(store, make_published, rows):
    """Every number to the last bit, the texts, and the looks in their order."""
    store.publish(make_published())
    assert store.looks("exit") == ()
    assert store.record_look("exit", rows(1))
    assert store.record_look("exit", rows(2, day=2))
    assert list(store.looks("exit")) == [*rows(1), *rows(2, day=2)]


def test_a_look_is_recorded_once(store, make_published, rows):
    """The same again changes nothing and is no other's; other content under its number, a gap or an earlier time is."""
    store.publish(make_published())
    assert store.record_look("exit", rows(1, day=3))
    assert store.record_look("exit", rows(1, day=3)[::-1])
    other = [replace(one, z=9.0) for one in rows(1, day=3)]
    assert not store.record_look("exit", other)
    assert not store.record_look("exit", rows(3, day=9))
    assert not store.record_look("exit", rows(2, day=2))
    assert not store.record_look("exit", rows(2, day=3))
    assert list(store.looks("exit")) == rows(1, day=3)


def test_looks_belong_to_their_experiment(store, make_published, rows):
    """Another experiment with arms of the same names has looks of its own."""
    for key in ("exit", "cart"):
        store.publish(make_published(key))
    store.record_look("exit", rows(1))
    assert store.looks("cart") == ()
    assert store.record_look("cart", rows(1, day=5))
    assert len(store.looks("exit")) == 4


def test_of_reviews_at_once_one_records(store_url, make_published, rows):
    """Four reviewers record the next look at the same moment, three times: one of them does, with all its rows."""
    with Store.open(store_url) as store:
        store.publish(make_published())

    def review(reviewer: int, number: int) -> bool:
        with Store.open(store_url) as store:
            return store.record_look("exit", rows(number, day=number, reviewer=str(reviewer) * 64))

    with ThreadPoolExecutor(4) as pool:
        for number in (1, 2, 3):
            done = list(pool.map(review, range(4), [number] * 4))
            with Store.open(store_url) as store:
                found = [one for one in store.looks("exit") if one.look == number]
            assert done.count(True) == 1
            assert found == rows(number, day=number, reviewer=str(done.index(True)) * 64)


def test_rows_that_are_no_look_are_refused(memory, make_published, rows):
    """No rows, rows of two looks, an unknown arm and an unknown experiment; nothing is recorded."""
    memory.publish(make_published())
    for bad, words in (
        ([], "without rows"),
        ([*rows(1), *rows(2)], "several looks"),
        ([replace(one, arm="z") for one in rows(1)], "no arm 'z'"),
    ):
        with pytest.raises(InputError, match=words):
            memory.record_look("exit", bad)
    for work in (lambda: memory.record_look("other", rows(1)), lambda: memory.looks("other")):
        with pytest.raises(InputError, match="no experiment 'other'"):
            work()
    assert memory.looks("exit") == ()
