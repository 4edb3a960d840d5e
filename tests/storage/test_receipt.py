"""When a row was first written here: kept beside the time at which it happened."""

from __future__ import annotations

from decimal import Decimal

import pytest
from offerlift.experiments.records import Exposure, Outcome
from offerlift.storage import store as store_module
from offerlift.storage import tables
from sqlalchemy import select


@pytest.fixture
def clock(monkeypatch):
    """The writer's clock, in microseconds, to be set."""
    now = [1_000_000]
    monkeypatch.setattr(store_module, "now_micros", lambda: now[0])
    return now


def rows(store, table, *columns):
    with store._engine.connect() as connection:
        return {tuple(row) for row in connection.execute(select(*(table.c[name] for name in columns)))}


def test_an_exposure_is_received_once(store, make_published, at, clock):
    """An earlier exposure or one in another arm changes the row, and not when the visitor was first written."""
    store.publish(make_published())
    store.write_exposures([Exposure("exit", "v", "a", at(50))])
    clock[0] += 7
    store.write_exposures([Exposure("exit", "v", "b", at(20)), Exposure("exit", "w", "a", at(20))])
    clock[0] += 7
    store.write_exposures([Exposure("exit", "w", "a", at(90)), Exposure("exit", "w", "c", at(99))])
    first = int(at(0).timestamp()) * 1_000_000
    columns = ("at", "crossover_at", "received_at")
    assert rows(store, tables.exposure, *columns) == {
        (first + 20, first + 50, 1_000_000),
        (first + 20, first + 99, 1_000_007),
    }


def test_an_outcome_is_received_once(store, at, clock):
    """Repeated later it keeps when it was first written, which is neither its time nor when it was recorded."""
    order = Outcome("o1", "v", "purchase", value=Decimal("5.00"), recorded_at=at(50))
    store.write_outcomes([order])
    clock[0] += 7
    assert store.write_outcomes([order, Outcome("o2", "v", "purchase")]).repeated == 1
    first = int(at(0).timestamp()) * 1_000_000
    assert rows(store, tables.outcome, "at", "received_at") == {(first + 50, 1_000_000), (1_000_007, 1_000_007)}


def test_an_imported_table_is_received_now(tmp_path, store, clock):
    """Its rows happen at the instant of the table, and are received when they are imported."""
    from offerlift.storage import import_table, read_table

    path = tmp_path / "t.csv"
    path.write_text("visitor,arm,spent\nv1,a,1.50\nv2,b,0\n")
    table = read_table(path, key="t", arm="arm", control="a", visitor="visitor", revenue="spent")
    import_table(store, table)
    for one in (tables.exposure, tables.outcome):
        ((happened, received),) = rows(store, one, "at", "received_at")
        assert received == 1_000_000 != happened
