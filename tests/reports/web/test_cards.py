"""Reviews that are kept: one computation at a time, old ones shown meanwhile, and what fails does not stay."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from offerlift.errors import StoreError
from offerlift.experiments.lifecycle import pause
from offerlift.reports.review import review_experiment
from offerlift.reports.web import cards
from offerlift.reports.web.cards import Cards, Wanted
from offerlift.storage import Store

from ...shelf import CASES, Case, fill

SMALL = Case({"control": 60, "b": 60}, {"control": 6, "b": 8})
ONE = Wanted("one")


@pytest.fixture
def path(tmp_path):
    """A store with two small experiments."""
    with Store.open(tmp_path / "two.db") as store:
        fill(store, "one", SMALL)
        fill(store, "two", SMALL)
    return tmp_path / "two.db"


@pytest.fixture
def counted(monkeypatch):
    """How often each experiment was computed, and how many at once at most; each takes a moment."""
    seen, running, lock = [], [], threading.Lock()
    real = review_experiment

    def compute(store, key, as_of=None, **given):
        with lock:
            running.append(key)
            seen.append((key, as_of, running.count(key)))
        time.sleep(0.05)
        try:
            return real(store, key, as_of, **given)
        finally:
            with lock:
                running.remove(key)

    monkeypatch.setattr(cards, "review_experiment", compute)
    return seen


@pytest.fixture
def restless(monkeypatch):
    """Reviews are old at once, however long it took to compute them."""
    monkeypatch.setattr(cards, "BUSY_SHARE", float("inf"))


def computed(kept: Cards, wanted: Wanted = ONE) -> cards.Kept | None:
    """The review after whatever is under way."""
    kept.revisions()
    future = kept.refresh(wanted, urgent=True)
    if future is not None:
        future.result(timeout=60)
    return kept.known(wanted)


def test_many_readers_wait_for_one_computation(path, counted):
    """Twenty threads at once, two experiments: two computations."""
    kept = Cards(path)
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda n: computed(kept, Wanted(("one", "two")[n % 2])), range(20)))
    assert len({id(one) for one in found}) == 2
    assert sorted(key for key, _, _ in counted) == ["one", "two"]


def test_an_experiment_is_never_computed_twice_at_once(path, counted, restless):
    """Even where each reader finds it too old."""
    kept = Cards(path, fresh_seconds=0)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: computed(kept), range(40)))
    assert len(counted) > 1
    assert {at_once for _, _, at_once in counted} == {1}


def test_an_old_review_is_shown_while_a_later_one_is_computed(path, counted, restless):
    """At once, with its age; afterwards the later one is there."""
    kept = Cards(path, fresh_seconds=0)
    first = computed(kept)
    future = kept.refresh(ONE)
    assert future is not None
    assert kept.known(ONE) is first
    assert first.age > 0
    future.result(timeout=60)
    assert kept.known(ONE) is not first


def test_a_fresh_review_is_not_computed_again(path, counted):
    """Until its time is over, however often it is read."""
    kept = Cards(path, fresh_seconds=3600)
    assert computed(kept) is computed(kept)
    assert len(counted) == 1


def test_recomputing_takes_a_tenth_of_the_time_at_most(path, counted):
    """What takes long to compute is kept for ten times as long, whatever is asked for."""
    kept = Cards(path, fresh_seconds=0)
    first = computed(kept)
    assert kept.refresh(ONE) is None
    first.seconds = 0.0
    assert kept.refresh(ONE) is not None


def test_what_fails_is_tried_again_and_hides_nothing(path, restless, monkeypatch):
    """The last review stays, beside why there is no later one; another experiment is not touched by it."""
    kept = Cards(path, fresh_seconds=0)
    first = computed(kept)
    real = review_experiment

    def fail(store, key, *given, **named):
        if key == "one":
            raise StoreError("the disk is full of sand")
        return real(store, key, *given, **named)

    monkeypatch.setattr(cards, "review_experiment", fail)
    assert computed(kept) is first
    assert kept.failure(ONE).message == "the disk is full of sand"
    assert kept.refresh(ONE) is None, "it is not tried again at once"
    assert computed(kept, Wanted("two")) is not None
    monkeypatch.setattr(cards, "review_experiment", real)
    monkeypatch.setattr(cards, "TRIED_FOR", 0.0)
    assert computed(kept) is not first
    assert kept.failure(ONE) is None


def test_a_mistake_of_ours_is_told_and_logged(path, monkeypatch, caplog):
    """The threads go on, and the page has a sentence in place of the experiment."""

    def fail(*given, **named):
        raise ZeroDivisionError("a mistake")

    monkeypatch.setattr(cards, "review_experiment", fail)
    kept = Cards(path)
    assert computed(kept) is None
    assert "ZeroDivisionError" in kept.failure(ONE).message
    assert "computing 'one' failed" in caplog.text


def test_a_store_that_goes_away_leaves_what_is_known(path, monkeypatch):
    """Its experiments stay, and it is said why they grow old; when it is back nothing is said."""
    monkeypatch.setattr(cards, "LISTED_FOR", 0.0)
    kept = Cards(path)
    first = computed(kept)
    away = path.rename(path.with_suffix(".away"))
    assert list(kept.revisions()) == ["one", "two"]
    assert kept.known(ONE) is first
    assert kept.trouble
    away.rename(path)
    kept.revisions()
    assert kept.trouble == ""


def test_a_new_version_makes_a_review_outdated(path, counted, monkeypatch):
    """Whatever its age; a deleted experiment is forgotten."""
    monkeypatch.setattr(cards, "LISTED_FOR", 0.0)
    kept = Cards(path, fresh_seconds=3600)
    first = computed(kept)
    with Store.open(path) as store:
        fill(store, "three", CASES["a-draft"])
        version = store.published("one")
        store.publish(pause(version, version.published_at))
    kept.revisions()
    assert not kept.is_current(first)
    assert computed(kept).row.state == "paused"
    assert list(kept.revisions()) == ["one", "three", "two"]


def test_days_are_kept_up_to_a_number(path, monkeypatch, counted):
    """Of days long not read the room is given to others; those of now stay."""
    monkeypatch.setattr(cards, "MOST_DAYS", 3)
    kept = Cards(path)
    live = computed(kept)
    days = [Wanted("one", f"2026-03-{day:02d}") for day in range(10, 16)]
    for day in days:
        computed(kept, day)
    assert [kept.known(day) is not None for day in days] == [False] * 3 + [True] * 3
    assert kept.known(ONE) is live


def test_too_many_waiting_are_refused(path, monkeypatch, counted):
    """With what to do."""
    monkeypatch.setattr(cards, "MOST_WAITING", 0)
    kept = Cards(path)
    kept.revisions()
    with pytest.raises(StoreError, match="too many pages"):
        kept.refresh(ONE)


def test_who_waits_comes_before_who_does_not(path, monkeypatch, counted):
    """A page that somebody is waiting for overtakes what is computed ahead."""
    monkeypatch.setattr(cards, "THREADS", 1)
    kept = Cards(path)
    kept.revisions()
    days = [Wanted("one", f"2026-03-{day:02d}") for day in range(10, 20)]
    for day in days:
        kept.refresh(day)
    kept.refresh(Wanted("two"), urgent=True).result(timeout=60)
    assert [key for key, _, _ in counted].index("two") <= 1
    for day in days:
        computed(kept, day)


def test_figures_are_drawn_once_and_with_the_next_review(path, counted, restless):
    """The first reader of a page waits for them; afterwards they come with the review."""
    kept = Cards(path, fresh_seconds=0)
    first = computed(kept)
    assert not first.is_drawn
    assert first.section() is first.section()
    assert computed(kept).is_drawn
