"""Decisions are numbered and kept as they were made, on every engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime

import pytest
from offerlift.errors import InputError
from offerlift.storage import Store
from offerlift.storage.decisions import Decided


@pytest.fixture
def made(at):
    """A decision to ship, against the recommendation."""
    return Decided(
        action="ship",
        arm="b",
        author="Zoë \u202eretsam\u202c",
        reason="Größe „zählt“; DROP TABLE decision",
        at=at(7),
        recommended_action="review",
        recommended_arm="c",
        recommended_reason="Look at “c” together.",
        report_hash="f" * 64,
        look=2,
    )


def test_decisions_come_back_as_they_were(store, make_published, made):
    """Every word of several decisions, in the order of their numbers; each experiment has its own."""
    for key in ("exit", "cart"):
        store.publish(make_published(key))
    assert store.decisions("exit") == ()
    plain = Decided("continue", None, "me", "", made.at, "collecting")
    assert store.record_decision("exit", made) == replace(made, number=1)
    assert store.record_decision("exit", plain) == replace(plain, number=2)
    assert store.record_decision("cart", plain).number == 1
    assert store.decisions("exit") == (replace(made, number=1), replace(plain, number=2))


def test_the_same_decision_at_the_same_moment_is_one(store, make_published, made, at):
    """A writer that lost its connection while committing finds its decision; another moment makes another one."""
    store.publish(make_published())
    assert [store.record_decision("exit", made).number for _ in range(2)] == [1, 1]
    assert store.record_decision("exit", replace(made, at=at(8))).number == 2
    assert store.record_decision("exit", made).number == 3


def test_decisions_at_once_get_different_numbers(store_url, make_published, made):
    """Eight people decide at the same moment, each through a store of their own: all eight are kept."""
    with Store.open(store_url) as store:
        store.publish(make_published())

        def decide(number: int) -> int:
            with Store.open(store_url) as own:
                return own.record_decision("exit", replace(made, author=f"person {number}")).number

        with ThreadPoolExecutor(8) as pool:
            numbers = list(pool.map(decide, range(8)))
        assert sorted(numbers) == list(range(1, 9))
        kept = {one.author: one.number for one in store.decisions("exit")}
    assert kept == {f"person {number}": found for number, found in enumerate(numbers)}


def test_what_cannot_be_recorded(store, make_published, made):
    """An unknown experiment, an arm that it never had, and a time without its zone are refused, and nothing is kept."""
    store.publish(make_published())
    with pytest.raises(InputError, match="no experiment 'exut'"):
        store.record_decision("exut", made)
    with pytest.raises(InputError, match=r"never had an arm 'bb'\nDid you mean 'b'\?"):
        store.record_decision("exit", replace(made, arm="bb"))
    with pytest.raises(InputError, match="time zone"):
        store.record_decision("exit", replace(made, at=datetime.fromisoformat("2026-01-01")))
    with pytest.raises(InputError, match=r"Did you mean 'exit'\?"):
        store.decisions("exut")
    assert store.decisions("exit") == ()


@pytest.mark.parametrize(
    ("action", "arm", "recommended", "recommended_arm", "follows"),
    [
        ("ship", "b", "ship", "b", True),
        ("ship", "b", "ship", "c", False),
        ("ship", "b", "collecting", None, False),
        ("stop_harm", None, "stop_harm", "b", True),
        ("stop_no_effect", None, "stop_harm", None, False),
        ("continue", None, "collecting", None, True),
        ("continue", None, "do_not_read", None, False),
        ("stop_no_effect", None, "review", "b", False),
    ],
)
def test_what_follows_the_recommendation(made, action, arm, recommended, recommended_arm, follows):
    """The same action, of `ship` with the same arm; to continue is what collecting asks for."""
    one = replace(made, action=action, arm=arm, recommended_action=recommended, recommended_arm=recommended_arm)
    assert one.follows is follows


def test_every_version_is_kept(store, make_published):
    """`versions` has all of them in their order, the last of which is `published`."""
    first = make_published()
    second = replace(first, version=first.version + 1, state="paused")
    for one in (first, second):
        store.publish(one)
    assert store.versions("exit") == (first, second)
    assert store.published("exit") == second
    with pytest.raises(InputError, match=r"Did you mean 'exit'\?"):
        store.versions("exitt")


def test_a_rehearsal_is_taken_back(store, make_published, at):
    """What is written within it says what would happen, to the last row, and nothing of it is stored."""
    from offerlift.experiments.records import Exposure

    store.publish(make_published())
    rows = [Exposure("exit", f"v{i % 15_000}", "ab"[i % 2], at(i)) for i in range(20_000)]
    with store.rehearsal():
        tried = store.write_exposures(rows)
    assert store.observations("exit").last_exposure is None
    done = store.write_exposures(rows)
    assert (tried.new, tried.repeated, tried.changed) == (done.new, done.repeated, done.changed)
    assert done.new == 15_000
    with store.rehearsal():
        store.publish(replace(make_published(), version=2, state="paused"))
    assert len(store.versions("exit")) == 1
