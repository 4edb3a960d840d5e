"""Records that are not taken are counted, on every engine, and those that are taken cost nothing for it."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal

import sqlalchemy
from offerlift.experiments.metrics import Column, CovariateUse, Metric
from offerlift.experiments.records import Covariate, Exposure, Link, OfferStep, Outcome
from offerlift.storage import Store, tables
from offerlift.storage.rejections import Rejections
from offerlift.storage.upgrading import upgrade
from sqlalchemy import event

from .old_stores import remove_all, write_version_1

DAY = 86_400_000_000
REVENUE = Metric("revenue", "revenue", Column("purchase", "value"), window_end=7 * DAY, covariate=CovariateUse("past"))


def counted(store: Store) -> list[tuple]:
    """The rows of the table, in order."""
    with store.engine.connect() as connection:
        rows = connection.execute(sqlalchemy.select(tables.rejection)).all()
    return sorted(map(tuple, rows))


def order(number: int, at, value: str = "1.00") -> Outcome:
    return Outcome(f"o{number}", f"v{number}", "purchase", at, Decimal(value))


def test_each_record_that_is_not_taken_is_counted_on_its_day(store, make_published, at):
    """Of every kind: by experiment, event or covariate and by day; what is taken or repeated is not."""
    store.publish(make_published(metrics=(REVENUE,)))
    day = int(at(0).timestamp()) * 1_000_000
    exposures = [Exposure("exit", "v1", "a", at(0)), Exposure("exit", "v2", "no arm", at(DAY)), "no record"]
    exposures += [Exposure("unknown", "v1", "a", at(0)), Exposure("exit", "", "a", at(DAY + 1))]
    assert len(store.write_exposures(exposures).refused) == 4
    assert len(store.write_outcomes([order(1, at(0)), order(1, at(0)), order(1, at(0), "2.00")]).conflicts) == 1
    assert len(store.write_outcomes([order(1, at(0), "3.00"), order(2, at(0), "0.001")]).refused) == 1
    step = OfferStep("exit", "v1", "no step", "offer", at(0))
    assert len(store.write_offer_steps([step]).refused) == 1
    values = [Covariate("v1", "past", value, at(0)) for value in (1.0, 1.0, 2.0, float("nan"))]
    assert len(store.write_covariates(values).conflicts) == 1
    assert len(store.write_links([Link("v1", who, at(0)) for who in ("c", "c", "d")]).conflicts) == 1
    (today,) = {row[2] for row in counted(store) if row[:2] == ("exposure", "")}
    assert today > day
    assert counted(store) == [
        ("covariate", "past", day, 1, 1),
        ("exposure", "", today, 0, 1),
        ("exposure", "exit", day + DAY, 0, 2),
        ("exposure", "unknown", day, 0, 1),
        ("link", "", day, 1, 0),
        ("offer_step", "exit", day, 0, 1),
        ("outcome", "purchase", day, 2, 1),
    ]


def test_an_experiment_sees_those_that_concern_it(memory, make_published, at):
    """From its first day to that of the report: its exposures, the events of its metrics, and every link."""
    clicks = Metric("clicks", "count", Column("click", "count"), window_end=DAY)
    anything = Metric("anything", "count", Column(None, "count"), window_end=DAY)
    for key, metric in (("exit", REVENUE), ("clicked", clicks), ("any", anything)):
        memory.publish(make_published(key, (metric,)))
    memory.write_outcomes([order(1, at(-DAY)), order(1, at(-DAY), "2.00")])
    memory.write_outcomes([order(2, at(3 * DAY)), order(2, at(3 * DAY), "2.00"), order(3, at(5 * DAY), "0.001")])
    memory.write_exposures([Exposure("clicked", "v", "no arm", at(2 * DAY))])

    def seen(key: str, days: int) -> Rejections | None:
        return memory.observations(key, as_of=at(days * DAY)).rejections

    assert seen("exit", 2) == Rejections()
    assert seen("exit", 3) == seen("any", 3) == Rejections(conflicts=1, last=at(3 * DAY))
    assert seen("exit", 9) == Rejections(conflicts=1, refused=1, last=at(5 * DAY))
    assert seen("clicked", 9) == Rejections(refused=1, last=at(2 * DAY))
    memory.write_links([Link("v1", who, at(6 * DAY)) for who in ("c", "d")])
    assert seen("clicked", 9) == Rejections(conflicts=1, refused=1, last=at(6 * DAY))
    # An exposure from before the start is the first day, as with history that is imported.
    memory.write_exposures([Exposure("exit", "v", "a", at(-DAY))])
    assert seen("exit", 3) == Rejections(conflicts=2, last=at(3 * DAY))


def test_what_is_taken_costs_nothing(memory, make_published, at):
    """No statement names the table unless something was refused, and then three do for a transaction."""
    memory.publish(make_published())
    said: list[str] = []
    event.listen(memory.engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    memory.write_exposures(Exposure("exit", f"v{i}", "a", at(i)) for i in range(50))
    memory.write_outcomes(order(i, at(i)) for i in range(50))
    assert [one for one in said if "rejection" in one] == []
    memory.write_outcomes(order(i, at(i), "2.00") for i in range(50))
    assert len([one for one in said if "rejection" in one]) == 2
    memory.write_outcomes(order(i, at(i), "2.00") for i in range(50))
    assert [row[3] for row in counted(memory)] == [100]


def test_a_rehearsal_counts_nothing(memory, make_published, at):
    """What is tried out and taken back leaves no count behind."""
    memory.publish(make_published())
    with memory.rehearsal():
        assert len(memory.write_exposures([Exposure("exit", "v", "no arm", at(0))]).refused) == 1
    assert counted(memory) == []


def test_chunks_count_their_own_records(memory, make_published, at, monkeypatch):
    """A record is found by its place among all that were written, whichever transaction it is in."""
    monkeypatch.setattr("offerlift.storage.store.CHUNK", 3)
    memory.publish(make_published())
    memory.write_exposures(
        Exposure("exit", f"v{i}", "no arm" if i in (1, 4, 7) else "a", at(i * DAY)) for i in range(8)
    )
    day = int(at(0).timestamp()) * 1_000_000
    assert [row[2] - day for row in counted(memory)] == [DAY, 4 * DAY, 7 * DAY]


def test_writers_at_once_lose_no_count(store_url, make_published, at):
    """Of several that count the same day at the same time every record is counted."""
    with Store.open(store_url) as store:
        store.publish(make_published())
        failures: list[BaseException] = []

        def write(number: int) -> None:
            try:
                for i in range(10):
                    store.write_exposures([Exposure("exit", f"v{number}-{i}", "no arm", at(0))])
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert failures == []
        assert [row[3:] for row in counted(store)] == [(0, 40)]


def test_an_upgraded_store_says_since_when(store_url, at):
    """What was not taken before the upgrade nobody counted: its day is told, and counting goes on from there."""
    remove_all(store_url)
    write_version_1(store_url)
    upgrade(store_url)
    with Store.open(store_url) as store:
        before = store.observations("exit").rejections
        assert before is not None
        assert before.since is not None
        assert (before.conflicts, before.refused, before.last) == (0, 0, None)
        assert before.since.time().isoformat() == "00:00:00"
        later = before.since + timedelta(days=1)
        store.write_exposures([Exposure("exit", "v", "no arm", before.since)])
        seen = store.observations("exit", as_of=later).rejections
        assert seen == Rejections(refused=1, last=before.since, since=before.since)
