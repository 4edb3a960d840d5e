"""The segments of an exposure in the store, on each engine: those of the earliest record, whatever the order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import count
from threading import Barrier, Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from offerlift.experiments import Assigner, Exposure, Published, Recorder, Snapshot
from offerlift.storage import tables
from offerlift.storage.engine import reading
from offerlift.storage.store import Store
from sqlalchemy import func, select

NAMES = count()
SEGMENTS = ("country", "device")
VALUES = st.dictionaries(st.sampled_from([*SEGMENTS, "unnamed"]), st.sampled_from(["DE", "é", None]), max_size=3)
# Few of everything, so that ties are common.
RECORDS = st.lists(
    st.tuples(
        st.sampled_from("vw"),
        st.sampled_from([1, 1, 1, 2]),
        st.integers(0, 2),
        st.sampled_from("ab"),
        st.sampled_from(["", "h"]),
        VALUES,
    ),
    min_size=1,
    max_size=8,
)


@pytest.fixture
def make_segmented(make_published: Callable[..., Published]) -> Callable[..., Published]:
    """A published version of an experiment that names the segments country and device."""

    def make(key: str = "exit", segments: tuple[str, ...] = SEGMENTS, **changes: object) -> Published:
        published = make_published(key)
        return replace(published, definition=replace(published.definition, segments=segments), **changes)

    return make


def stored(store: Store, experiment: str = "exit") -> dict[tuple[int, str], dict[str, str]]:
    """Segments by phase and visitor, of all visitors that are exposed or have a segment."""
    t = tables
    with reading(store._engine) as connection:
        number = connection.scalar(select(t.experiment.c.id).where(t.experiment.c.key == experiment))
        exposed = connection.execute(
            select(t.exposure.c.phase, t.visitor.c.key)
            .join(t.visitor, t.visitor.c.id == t.exposure.c.visitor_id)
            .where(t.exposure.c.experiment_id == number)
        )
        found: dict[tuple[int, str], dict[str, str]] = {(phase, key): {} for phase, key in exposed}
        rows = connection.execute(
            select(t.segment.c.phase, t.visitor.c.key, t.name.c.key, t.segment.c.value)
            .join(t.visitor, t.visitor.c.id == t.segment.c.visitor_id)
            .join(t.name, t.name.c.id == t.segment.c.name_id)
            .where(t.segment.c.experiment_id == number)
        )
        for phase, key, name, value in rows:
            found.setdefault((phase, key), {})[name] = value
    return found


def brute_force(records) -> dict[tuple[int, str], dict[str, str]]:
    """What must be stored, from all records at once: the segments of the first in the order that is documented."""
    of_visitor = {}
    for visitor, phase, at, arm, known, segments in records:
        kept = {name: segments[name] for name in SEGMENTS if segments.get(name) is not None}
        order = (at, arm, known == "", known, not kept, sorted(kept.items()))
        of_visitor.setdefault((phase, visitor), []).append((order, kept))
    return {key: min(found, key=lambda one: one[0])[1] for key, found in of_visitor.items()}


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest) -> Iterator[Store]:
    """One store for all examples of a test, of each engine in turn; SQLite's in memory."""
    with Store.open("sqlite://" if request.param == "sqlite" else request.getfixturevalue("postgresql_url")) as opened:
        yield opened


@given(data=st.data(), records=RECORDS)
@settings(
    derandomize=True,
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_order_and_batching_gives_the_segments_of_the_earliest(shared, make_segmented, at, data, records):
    """Repeats, late earlier records, crossovers, records without: the table is that of a brute force over all."""
    key = f"exit-{next(NAMES)}"
    shared.publish(make_segmented(key))
    order = data.draw(st.permutations([*records, *data.draw(st.lists(st.sampled_from(records), max_size=2))]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(order)), max_size=3)))
    written = 0
    for low, high in zip([0, *cuts], [*cuts, len(order)], strict=True):
        result = shared.write_exposures(
            Exposure(key, visitor, arm, at(time), phase, known, segments)
            for visitor, phase, time, arm, known, segments in order[low:high]
        )
        written += result.new + result.changed + result.repeated
        unnamed = sum(one[-1].get("unnamed") is not None for one in order[low:high])
        assert result.segments_dropped == unnamed
    assert written == len(order)
    assert stored(shared, key) == brute_force(records)


def test_a_late_earlier_record_replaces_the_segments(store, make_segmented, at):
    """All of them: what the earlier record does not have is gone, and a later one adds nothing."""
    store.publish(make_segmented())
    store.write_exposures([Exposure("exit", "v", "a", at(5), segments={"country": "DE", "device": "phone"})])
    assert store.write_exposures([Exposure("exit", "v", "a", at(3), segments={"country": "SE"})]).changed == 1
    assert stored(store) == {(1, "v"): {"country": "SE"}}
    assert store.write_exposures([Exposure("exit", "v", "a", at(4), segments={"device": "tv"})]).repeated == 1
    assert stored(store) == {(1, "v"): {"country": "SE"}}
    assert store.write_exposures([Exposure("exit", "v", "a", at(1))]).changed == 1
    assert stored(store) == {(1, "v"): {}}


def test_a_crossover_keeps_the_segments_of_the_first_arm(store, make_segmented, at):
    """The arm and the segments that stay are of the same record, ties by arm name."""
    store.publish(make_segmented())
    store.write_exposures([Exposure("exit", "v", "b", at(5), segments={"country": "DE"})])
    store.write_exposures([Exposure("exit", "v", "c", at(9), segments={"country": "SE"})])
    assert stored(store) == {(1, "v"): {"country": "DE"}}
    store.write_exposures([Exposure("exit", "v", "a", at(5), segments={"country": "NO"})])
    assert stored(store) == {(1, "v"): {"country": "NO"}}


def test_ties_go_by_segments_last(store, make_segmented, at):
    """Of two records that agree in all else, the one with segments counts, then the one whose segments sort first."""
    store.publish(make_segmented())
    for segments in ({}, {"country": "SE"}, {"device": "tv"}, {"country": "DE"}, {"country": "NO"}, {}):
        store.write_exposures([Exposure("exit", "v", "a", at(1), segments=segments)])
        store.write_exposures([Exposure("exit", "w", "a", at(1), segments=segments), Exposure("exit", "w", "a", at(1))])
    assert stored(store) == {(1, "v"): {"country": "DE"}, (1, "w"): {"country": "DE"}}
    store.write_exposures([Exposure("exit", "v", "a", at(1), assignment_hash="h")])
    assert stored(store)[1, "v"] == {}


def test_a_repeat_changes_nothing(store, make_segmented, at):
    """The same records again are repeats, and the rows are the same."""
    store.publish(make_segmented())
    records = [Exposure("exit", f"v{n}", "a", at(n), segments={"country": "DE", "device": str(n)}) for n in range(50)]
    assert store.write_exposures(records).new == 50
    before = stored(store)
    again = store.write_exposures(records)
    assert (again.new, again.changed, again.repeated, again.segments_dropped) == (0, 0, 50, 0)
    assert stored(store) == before
    assert before[1, "v7"] == {"country": "DE", "device": "7"}


def test_only_segments_of_the_definition_are_stored(store, make_segmented, at):
    """A name of no version is left out and counted; one of an earlier version is kept, as records may come late."""
    store.publish(make_segmented(segments=("country",)))
    store.publish(make_segmented(segments=("device",), version=2))
    result = store.write_exposures(
        [Exposure("exit", "v", "a", at(1), segments={"country": "DE", "device": "phone", "name": "Ann"})]
    )
    assert (result.new, result.segments_dropped, result.refused) == (1, 1, ())
    assert stored(store) == {(1, "v"): {"country": "DE", "device": "phone"}}


@pytest.mark.parametrize("value", ["x" * 256, "a\0b", "\ud800", 0.5, {"a": 1}, Decimal("NaN")])
def test_a_value_that_cannot_be_kept_does_not_lose_the_exposure(store, make_segmented, at, value):
    """The exposure is stored with its other segments, and the value is counted."""
    store.publish(make_segmented())
    result = store.write_exposures([Exposure("exit", "v", "a", at(1), segments={"country": value, "device": "tv"})])
    assert (result.new, result.segments_dropped, result.refused) == (1, 1, ())
    assert stored(store) == {(1, "v"): {"device": "tv"}}


def test_odd_values_come_back_as_they_were(store, make_segmented, at):
    """Case, accents, trailing spaces, quotes and 255 bytes are kept; numbers and truth values are text."""
    values = [
        "DE",
        "de",
        "de ",
        "é",
        "e\u0301",
        "日本",
        "'; DROP TABLE segment; --",
        "%s",
        "x" * 255,
        True,
        20,
        Decimal("2E1"),
    ]
    store.publish(make_segmented())
    store.write_exposures(
        Exposure("exit", f"v{number}", "a", at(1), segments={"country": value}) for number, value in enumerate(values)
    )
    found = [stored(store)[1, f"v{number}"]["country"] for number in range(len(values))]
    assert found == [*values[:-3], "true", "20", "20"]


def test_writers_at_the_same_moment_leave_the_earliest(store_url, make_segmented, at):
    """Four writers bring the same visitors in four orders: each visitor has the earliest record's segments only."""
    with Store.open(store_url) as store:
        store.publish(make_segmented())
        barrier, errors = Barrier(4), []

        def bring(mine: int) -> None:
            try:
                with Store.open(store_url) as own:
                    barrier.wait(60)
                    for turn in range(4):
                        time = (mine + turn) % 4
                        device = {"device": str(time)} if time % 2 else {}
                        own.write_exposures(
                            Exposure("exit", f"v{n}", "a", at(time), segments={"country": str(time), **device})
                            for n in range(40)
                        )
            except Exception as error:
                errors.append(error)

        threads = [Thread(target=bring, args=(mine,)) for mine in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert stored(store) == {(1, f"v{n}"): {"country": "0"} for n in range(40)}


@pytest.mark.parametrize("kept", ["memory", "spool"])
def test_from_assignment_to_the_table(store, store_url, make_segmented, tmp_path, kept):
    """What a backend knows of a visitor at the exposure is what the table holds; a missing attribute is no row."""
    published = make_segmented()
    store.publish(published)
    assigner = Assigner(Snapshot.of([published]))
    with Recorder(store_url, tmp_path / "spool.db" if kept == "spool" else None) as recorder:
        recorder.assign_and_expose(assigner, "exit", "v1", {"country": "DE", "device": None, "cart_total": 120})
        recorder.assign_and_expose(assigner, "exit", "v2", {"country": 0.5, "device": "phone"})
        recorder.assign_and_expose(assigner, "exit", "v3")
        assert recorder.flush(60)
        stats = recorder.stats()
    assert (stats.delivered, stats.segments_dropped, stats.refused, stats.dropped) == (3, 1, 0, 0)
    assert stored(store) == {(1, "v1"): {"country": "DE"}, (1, "v2"): {"device": "phone"}, (1, "v3"): {}}


def test_experiments_without_segments_write_none(store, make_published, at):
    """Where the definition names none, given ones are counted and the table stays empty."""
    store.publish(make_published())
    assert store.write_exposures([Exposure("exit", "v", "a", at(1), segments={"country": "DE"})]).segments_dropped == 1
    with reading(store._engine) as connection:
        assert connection.scalar(select(func.count()).select_from(tables.segment)) == 0
