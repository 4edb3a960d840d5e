"""What is in a store."""

from __future__ import annotations

from datetime import timedelta

from offerlift.experiments.records import Exposure, Outcome
from offerlift.storage import store as store_module
from offerlift.storage import tables
from offerlift.storage.maintenance.inventory import take_inventory
from sqlalchemy import update

from .conftest import day


def test_rows_and_times_of_every_table(shop):
    """Each table of the store is listed with its rows, and the times at which the first and last of them happened."""
    found = {one.table: one for one in take_inventory(shop).tables}
    assert set(found) == set(tables.metadata.tables)
    exposures, outcomes, visitors = found["exposure"], found["outcome"], found["visitor"]
    assert (exposures.rows, exposures.oldest, exposures.newest) == (40, day(1), day(160))
    assert (outcomes.rows, outcomes.oldest, outcomes.newest) == (17, day(2), day(161))
    assert (visitors.rows, visitors.oldest, visitors.newest) == (31, None, None)
    assert (found["segment"].rows, found["segment"].oldest) == (0, None)


def test_visitors_of_every_experiment(shop, make_published):
    """Visitors by arm, crossovers and state; an experiment without exposures is there with zeros."""
    shop.publish(make_published("empty"))
    shop.write_exposures([Exposure("new", "v0", "b", day(161))])
    found = {one.experiment: one for one in take_inventory(shop).experiments}
    assert list(found) == ["empty", "new", "old"]
    assert found["old"].arms == {"a": 10, "b": 10, "c": 10}
    assert (found["old"].state, found["old"].visitors, found["old"].pruned) == ("stopped", 30, False)
    assert (found["new"].visitors, found["new"].crossovers, found["new"].newest) == (10, 1, day(160))
    assert (found["empty"].visitors, found["empty"].arms, found["empty"].oldest) == (0, {}, None)


def test_delivery_is_the_time_from_event_to_receipt(shop, monkeypatch):
    """Median, 95 % and worst by nearest rank; what came before it happened is counted, what has no receipt is not."""
    with shop.engine.begin() as connection:
        connection.execute(update(tables.outcome).values(received_at=None))
    now = int(day(200).timestamp()) * 1_000_000
    monkeypatch.setattr(store_module, "now_micros", lambda: now)
    delays = [-2, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 500]
    shop.write_outcomes(
        Outcome(f"late{i}", "v1", "click", day(200) - timedelta(seconds=delay)) for i, delay in enumerate(delays)
    )
    _, found, _ = take_inventory(shop).delivery
    assert (found.table, found.rows, found.early) == ("outcome", 20, 1)
    assert (found.median, found.p95, found.worst) == (8.0, 17.0, 500.0)


def test_a_store_without_rows(store):
    """Nothing is invented where nothing is: no delivery, no experiments, no pruning."""
    found = take_inventory(store)
    assert [(one.rows, one.median, one.worst) for one in found.delivery] == [(0, None, None)] * 3
    assert (found.experiments, found.pruned_before) == ((), None)


def test_sizes_grow_with_the_store(store, shop):
    """Servers tell the bytes of each table, files at least those of the whole."""
    engine = store.engine.dialect.name
    found = take_inventory(shop)
    sizes = {one.table: one.bytes for one in found.tables}
    if engine in ("postgresql", "mysql", "mariadb"):
        assert sizes["outcome"] > 0
        assert sizes["exposure"] > 0
        assert found.bytes == sum(size for size in sizes.values() if size is not None)
    else:
        assert found.bytes is not None
        assert found.bytes >= 0
    if engine == "sqlite":
        assert found.bytes > 40_000
