"""Somebody's Parquet files on Spark: the same observations as from a store."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from offerlift.experiments.metrics import Column, CovariateUse, Metric
from offerlift.experiments.warehouse import ComputedCovariate
from offerlift.storage import planning, read_table
from offerlift.storage.engines.spark_dialect import SparkDialect
from offerlift.storage.store import Store
from offerlift.storage.warehouse import Warehouse
from sqlalchemy import literal_column, select

from ..model import ARMS, Order, Shop
from ..raw_shop import metadata, tables_of, write_parquet, write_table
from ..test_real_data import TABLES, assert_same_scorecard, data
from ..test_series import QUARTER, slowed, slowed_metric
from ..test_statements import VISITORS, assert_moments, fill
from ..test_warehouse import assert_same, assert_same_strata
from .conftest import MASTER

METRICS = (
    Metric("conversion", "conversion", Column("purchase", "converted"), window_end=12),
    Metric("margin", "margin", Column("purchase", "margin"), covariate=CovariateUse("history", 20), refund_window=0),
    Metric("any", "count", Column(None, "count"), window_end=9),
    Metric("value", "ratio", Column("purchase", "value"), Column("click", "count"), cap=900),
)


def shop(seed: int) -> Shop:
    """Sixty of each: crossovers, phases, refunds, other currencies, amounts and segments that are missing."""
    drawn = random.Random(seed)
    log = [(drawn.choice(VISITORS), drawn.randint(1, 2), drawn.choice(ARMS), drawn.randint(0, 30)) for _ in range(60)]
    orders = [
        Order(
            f"o{i}",
            drawn.choice(VISITORS),
            drawn.choice(["purchase", "click"]),
            drawn.randint(0, 30),
            drawn.choice([None, 1, 250, 1999]),
            drawn.choice([None, 0, 120]),
            *drawn.choice([(False, True), (True, True), (True, False)]),
            refund_of=None if i < 45 else f"o{drawn.randint(0, 50)}",
        )
        for i in range(60)
    ]
    traits = {(drawn.choice(VISITORS), "history", drawn.randint(0, 30)): drawn.uniform(-50, 50) for _ in range(30)}
    return Shop(log, orders, [(*key, value) for key, value in traits.items()], [], {(1, "v0"): "DE", (2, "v1"): "FR"})


@pytest.mark.parametrize("seed", [7, pytest.param(8, marks=pytest.mark.full), pytest.param(9, marks=pytest.mark.full)])
def test_parquet_on_spark_gives_what_a_store_gives(session, make_published, at, tmp_path, monkeypatch, seed):
    """Observations, a breakdown and the days of files and temporary views are those of SQLite, in one part or three."""
    if seed > 7:
        monkeypatch.setattr(planning, "DEALT", 20)
    happened = slowed(shop(seed))
    write_parquet(tmp_path, happened, at)
    for table in metadata.tables:
        session.read.parquet(str(tmp_path / f"{table}.parquet")).createOrReplaceTempView(table)
    tables = tables_of()
    # By its path, the others as views.
    log = replace(tables.assignments, table=("parquet", str(tmp_path / "exposure_log.parquet")))
    tables = replace(tables, assignments=log)
    metrics, as_of = tuple(map(slowed_metric, METRICS)), at(40 * QUARTER)
    published = make_published(metrics=metrics)
    definition = replace(published.definition, segments=("country",), utc_offset_minutes=60)
    with Store.open("sqlite://") as store:
        store.publish(replace(published, definition=definition, phase=2))
        fill(store, "exit", happened, at)
        stored, split = store.observations("exit", as_of=as_of), store.breakdown("exit", "country", as_of=as_of)
        days, counts = store.cumulative("exit", as_of=as_of), store.visitors_by("exit", "country", as_of=as_of)
    with Warehouse.open(f"spark://{MASTER}") as warehouse:
        assert_same(warehouse.observations(definition, tables, as_of=as_of), stored)
        found = warehouse.breakdown(definition, tables, "country", as_of=as_of)
        assert warehouse.visitors_by(definition, tables, "country", as_of=as_of) == counts
        seen = warehouse.cumulative(definition, tables, as_of=as_of)
    for value, strata in split.values.items():
        assert_same_strata(found.values[value], strata, metrics)
    assert (seen.days, len(seen.days) > 5, list(seen.by_phase)) == (days.days, True, [1, 2])
    for phase, courses in days.by_phase.items():
        for metric in metrics:
            for arm, course in courses[metric.name].items():
                for got, expected in zip(seen.by_phase[phase][metric.name][arm], course, strict=True):
                    assert_moments(got, expected, metric)


@pytest.mark.parametrize(("number", "hint"), [(500_000, "(visitor_id)"), (1_000_001, "(3, visitor_id)")])
def test_a_long_log_is_dealt_out_in_parts_that_fit_into_memory(number, hint):
    """Spark would make as many as there are cores; other engines are told nothing."""
    rows = select(literal_column("1").label("visitor_id")).subquery("log")
    dealt = select(planning.dealt_out(rows, "visitor_id", number))
    assert f"/*+ REPARTITION{hint} */" in str(dealt.compile(dialect=SparkDialect()))
    assert "REPARTITION" not in str(dealt)


@pytest.mark.full
@pytest.mark.parametrize("name", TABLES)
def test_real_data_on_spark(session, tmp_path, name):
    """What happened as a shop keeps it, analysed in place by Spark: the scorecard of the published table."""
    table = read_table(data(f"{name}.csv.gz"), **TABLES[name])
    tables = write_table(tmp_path, table)
    for path in tmp_path.glob("*.parquet"):
        session.read.parquet(str(path)).createOrReplaceTempView(path.stem)
    with Warehouse.open(f"spark://{MASTER}") as warehouse:
        assert_same_scorecard(warehouse, tables, table)


def test_a_covariate_of_facts_is_computed_on_spark(session, make_published, at, tmp_path):
    """Clicks before the exposure, counted there, are those of the files by hand."""
    happened = Shop(
        [("v1", 1, "a", 10), ("v2", 1, "a", 10), ("v3", 1, "b", 10)],
        [Order(f"o{i}", "v1", "click", t, None, None) for i, t in enumerate([4, 5, 9, 10])],
    )
    write_parquet(tmp_path, happened, at)
    for table in metadata.tables:
        session.read.parquet(str(tmp_path / f"{table}.parquet")).createOrReplaceTempView(table)
    metric = Metric("any", "count", Column("click", "count"), covariate=CovariateUse("before"))
    tables = replace(tables_of(), covariates=(ComputedCovariate("before", "click", "count", 5),))
    with Warehouse.open(f"spark://{MASTER}") as warehouse:
        seen = warehouse.observations(make_published(metrics=(metric,)).definition, tables, as_of=at(40))
    # Those at 5 and 9: one at 4 is too early, that at the exposure is an outcome.
    assert seen.moments["any"]["a"].mean_of("covariate:before") == 1.0
    assert seen.moments["any"]["a"].mean_of("covariate:before:missing") == 0.0
    assert seen.moments["any"]["a"].sum_of("click:count") == 1.0
