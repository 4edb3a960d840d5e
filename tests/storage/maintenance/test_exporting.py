"""All of a store as files."""

from __future__ import annotations

import csv
import sys
from datetime import timedelta
from decimal import Decimal

import duckdb
import pyarrow.parquet as pq
import pytest
from offerlift.errors import InputError, StoreError
from offerlift.experiments.records import OfferStep, Outcome
from offerlift.storage import tables
from offerlift.storage.maintenance import exporting
from offerlift.storage.maintenance.exporting import export_store, exported_tables
from sqlalchemy import insert, select, update

from .conftest import day


def asked(sql):
    with duckdb.connect() as connection:
        return connection.execute(sql).fetchall()


def test_a_warehouse_reads_parquet(shop, link, tmp_path):
    """DuckDB computes orders and revenue by arm from the files alone: ids are text, money is decimal, times are UTC."""
    link(shop, "v1", "customer")
    files = export_store(shop, tmp_path / "out")
    assert {one.table: one.rows for one in files if one.rows > 2} == {
        "exposure": 40,
        "outcome": 17,
        "definition": 3,
    } | {"covariate": 30}
    found = asked(
        f"""SELECT e.arm, COUNT(*), SUM(o.value), epoch_us(MIN(e.at)),
            MIN(o.currency), typeof(MIN(o.value)), typeof(MIN(o.at))
        FROM '{tmp_path}/out/exposure.parquet' e JOIN '{tmp_path}/out/outcome.parquet' o USING (visitor)
        WHERE e.experiment = 'old' AND o.event = 'purchase' AND o.at < e.at + INTERVAL 7 DAY
        GROUP BY e.arm ORDER BY e.arm"""
    )
    values = {arm: [Decimal(i * 137 + 5) / 100 for i in range(0, 30, 2) if "abc"[i % 3] == arm] for arm in "abc"}
    assert [row[:3] for row in found] == [(arm, len(of_arm), sum(of_arm)) for arm, of_arm in values.items()]
    assert found[0][3] == day(1).timestamp() * 1_000_000
    assert found[0][4:] == ("EUR", "DECIMAL(20,4)", "TIMESTAMP WITH TIME ZONE")
    assert asked(f"SELECT anonymous, customer FROM '{tmp_path}/out/identity.parquet'") == [("v1", "customer")]
    assert ("currency", "EUR") in asked(f"FROM '{tmp_path}/out/store.parquet'")


def test_csv_says_the_same(shop, tmp_path):
    """Amounts have the places of their currency, times end in Z, and an empty cell is a NULL."""
    export_store(shop, tmp_path, format="csv", names=["outcome", "exposure"])
    assert sorted(path.name for path in tmp_path.glob("*.csv")) == ["exposure.csv", "outcome.csv"]
    with (tmp_path / "outcome.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["outcome_id"]: row for row in csv.DictReader(file)}
    assert len(rows) == 17
    received = rows["o2"].pop("received_at")
    assert received.endswith("Z")
    assert rows["o2"] == {
        "visitor": "v2",
        "event": "purchase",
        "at": "2026-01-03T00:00:00.000000Z",
        "outcome_id": "o2",
        "at_given": "true",
        "value": "2.79",
        "cost": "",
        "quantity": "",
        "currency": "EUR",
        "reporting_value": "",
        "refund_of": "",
        "reporting_cost": "",
    }


def test_each_amount_has_the_places_of_its_currency(shop, tmp_path):
    """500 minor units are 500 yen and 0.500 dinar; a reporting amount is in the store's currency; 2**53 fits."""
    with shop.engine.begin() as connection:
        row = connection.execute(select(tables.outcome).limit(1)).one()._asdict()
        for number, (currency, amount) in enumerate((("JPY", 500), ("KWD", 500), ("CLF", 2**53))):
            other = {"outcome_id": f"x{number}", "currency": currency, "value": amount, "reporting_value": 123}
            connection.execute(insert(tables.outcome), row | other)
    export_store(shop, tmp_path, names=["outcome"])
    export_store(shop, tmp_path, names=["outcome"], format="csv")
    as_text = f"read_csv('{tmp_path}/outcome.csv', all_varchar=true)"
    for source, kind in ((f"'{tmp_path}/outcome.parquet'", "DECIMAL(20,4)"), (as_text, "VARCHAR")):
        columns = "value, reporting_value, typeof(value)"
        found = asked(f"SELECT {columns} FROM {source} WHERE outcome_id LIKE 'x%' ORDER BY outcome_id")
        assert [Decimal(value) for value, _, _ in found] == [Decimal(500), Decimal("0.5"), Decimal("900719925474.0992")]
        assert {(Decimal(reported), seen) for _, reported, seen in found} == {(Decimal("1.23"), kind)}


def test_every_table_is_exported(shop, tmp_path):
    """Each table but the four of numbers and texts has its file, also where it is empty; no number of an id is left."""
    files = export_store(shop, tmp_path)
    lookups = {"experiment", "arm", "visitor", "name"}
    assert {one.table for one in files} == set(tables.metadata.tables) - lookups == set(exported_tables())
    for one in files:
        names = pq.read_schema(one.path).names
        assert one.path.stat().st_size > 0
        assert [name for name in names if name.endswith("_id")] in ([], ["outcome_id"])


def test_a_fact_whose_id_is_lost_is_exported(shop, tmp_path):
    """A number that stands for no text gives an empty id and loses no row."""
    with shop.engine.begin() as connection:
        lost = connection.scalar(select(tables.visitor.c.id).where(tables.visitor.c.key == "v7"))
        own = tables.covariate.c.visitor_id == lost
        connection.execute(update(tables.covariate).where(own).values(visitor_id=10**9))
    export_store(shop, tmp_path, names=["covariate"])
    assert asked(f"SELECT COUNT(*), COUNT(visitor) FROM '{tmp_path}/covariate.parquet'") == [(30, 29)]


def test_a_file_that_is_there_is_not_replaced(memory, tmp_path):
    """Nothing is written over without being told to, and nothing of the refused export is left."""
    (tmp_path / "outcome.csv").write_text("mine")
    with pytest.raises(InputError, match=r"outcome\.csv already"):
        export_store(memory, tmp_path, format="csv")
    assert [path.name for path in tmp_path.iterdir()] == ["outcome.csv"]
    export_store(memory, tmp_path, format="csv", force=True)
    assert (tmp_path / "outcome.csv").read_text() != "mine"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_export_that_fails_leaves_nothing(memory, tmp_path, monkeypatch):
    """Where the third table cannot be read, the first two are not there either, and what was there is untouched."""
    (tmp_path / "store.csv").write_text("mine")
    monkeypatch.setattr(exporting, "relation", lambda table: (select(tables.look.c.nowhere), ()))
    with pytest.raises(AttributeError):
        export_store(memory, tmp_path, format="csv", force=True)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"store.csv": "mine"}


def test_what_cannot_be_exported_is_named(memory, tmp_path, monkeypatch):
    """An unknown table and a missing pyarrow say what there is and what to install."""
    with pytest.raises(InputError, match="no table 'outcomes'") as caught:
        export_store(memory, tmp_path, names=["outcomes"])
    assert caught.value.hint == "Did you mean 'outcome'?"
    with pytest.raises(InputError, match="no table 'x'") as caught:
        export_store(memory, tmp_path, names=["x"])
    assert "exposure" in caught.value.hint
    assert "outcome" in caught.value.hint
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(StoreError, match="pyarrow") as caught:
        export_store(memory, tmp_path)
    assert "offerlift[parquet]" in caught.value.hint


def test_memory_does_not_grow_with_the_rows(store, tmp_path, monkeypatch):
    """Rows are read and written in batches: no batch is larger than it may be, on any engine."""
    monkeypatch.setattr(exporting, "BATCH", 100)
    sizes = []
    columns = exporting._columns
    monkeypatch.setattr(exporting, "_columns", lambda rows, fields: sizes.append(len(rows)) or columns(rows, fields))
    store.write_outcomes(Outcome(i, i % 7, "click", day(0) + timedelta(seconds=i)) for i in range(450))
    (file,) = export_store(store, tmp_path, names=["outcome"])
    assert file.rows == 450
    assert sorted(sizes) == [50, 100, 100, 100, 100]
    assert pq.ParquetFile(file.path).num_row_groups == 5


def test_steps_of_offers_are_exported_as_text(store, offering, tmp_path):
    """Experiment, visitor, offer and reason are text, the time is a time; what has no reason is empty."""
    store.publish(offering())
    steps = [("declined", "rebate", "too_expensive"), ("accepted", "gift", None)]
    store.write_offer_steps(OfferStep("exit", "v1", step, offer, day(1), why) for step, offer, why in steps)
    export_store(store, tmp_path / "out", format="csv", names=["offer_step"])
    header, *rows = (tmp_path / "out" / "offer_step.csv").read_text().splitlines()
    assert header == "experiment,visitor,step,offer,at,reason,received_at"
    assert sorted(row.rsplit(",", 1)[0] for row in rows) == [
        "exit,v1,accepted,gift,2026-01-02T00:00:00.000000Z,",
        "exit,v1,declined,rebate,2026-01-02T00:00:00.000000Z,too_expensive",
    ]
