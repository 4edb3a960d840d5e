"""The store's statements on Spark: the same numbers as on SQLite, from the same random shop as Parquet."""

# PySpark is half a gigabyte, and not where the types are checked.
# pyright: reportMissingImports=false

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from offerlift.experiments.metrics import BUILT_IN_METRICS, DAY, Column, CovariateUse, Metric
from offerlift.experiments.records import Covariate, Exposure, Outcome
from offerlift.stats.moments import Moments
from offerlift.storage import tables
from offerlift.storage.engine import reading
from offerlift.storage.observations import Observations
from offerlift.storage.reading import read_observations
from offerlift.storage.store import Store
from offerlift.storage.times import to_micros
from offerlift.storage.transpiling import analysis_statements, transpile
from sqlalchemy import BigInteger, Double, Integer, func, select, text

WINDOW = 20
METRICS = (
    Metric("conversion", "conversion", Column("purchase", "converted"), window_end=WINDOW),
    Metric("any", "count", Column(None, "count"), window_end=WINDOW),
    Metric("revenue", "revenue", Column("purchase", "value")),
    Metric("margin", "margin", Column("purchase", "margin"), window_end=WINDOW),
    Metric("ratio", "ratio", Column("purchase", "value"), Column("click", "count"), window_end=WINDOW),
    Metric("retention", "retention", Column("click", "converted"), window_start=5, window_end=WINDOW),
    Metric("never", "conversion", Column("never", "converted"), window_end=WINDOW),
)
ADJUSTED = (
    Metric("adjusted", "revenue", Column("purchase", "value"), covariate=CovariateUse("history", 15)),
    Metric(
        "conversion", "conversion", Column("purchase", "converted"), covariate=CovariateUse("age"), window_end=WINDOW
    ),
)


def fill(store: Store, published: Any, at: Any, seed: int) -> None:
    """A random shop: repeats, crossovers, late and early outcomes, amounts that are missing, many events."""
    generator = np.random.default_rng(seed)
    visitors = [f"visitor {i} ß'\"" for i in range(80)]
    store.publish(published)

    def some(count: int) -> list[str]:
        return [visitors[i] for i in generator.integers(0, len(visitors), count)]

    def times(count: int) -> list[Any]:
        return [at(int(t)) for t in generator.integers(0, 100, count)]

    arms = generator.choice(["a", "b", "c"], 120)
    store.write_exposures(
        Exposure("exit", v, str(arm), t) for v, arm, t in zip(some(120), arms, times(120), strict=True)
    )
    money = [None if one < 0 else Decimal(int(one)) / 100 for one in generator.integers(-2000, 20_000, (2 * 400))]
    store.write_outcomes(
        Outcome(i, v, str(event), t, value=value, cost=cost)
        for i, (v, event, t, value, cost) in enumerate(
            zip(
                some(400),
                generator.choice(["purchase", "click", "view"], 400),
                times(400),
                money[:400],
                money[400:],
                strict=True,
            )
        )
    )
    store.write_covariates(
        Covariate(v, str(name), float(value), t)
        for v, name, value, t in zip(
            some(150), generator.choice(["history", "age"], 150), generator.normal(5, 2, 150), times(150), strict=True
        )
    )


def copy_to_spark(store: Store, session: Any, folder: Path) -> None:
    """Every table of the store as a Parquet file, and a view of its name on it."""
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {BigInteger: pa.int64(), Integer: pa.int64(), Double: pa.float64()}
    with reading(store._engine) as connection:
        for one in tables.metadata.sorted_tables:
            rows = connection.execute(select(one)).mappings().all()
            schema = pa.schema([(column.name, kinds.get(type(column.type), pa.string())) for column in one.columns])
            parquet.write_table(pa.Table.from_pylist(list(map(dict, rows)), schema), folder / f"{one.name}.parquet")
            session.read.parquet(str(folder / f"{one.name}.parquet")).createOrReplaceTempView(one.name)


def assert_same(got: Observations, expected: Observations) -> None:
    """Counts are equal; sums are those of whole numbers, so equal too, and a covariate's to the last digits."""
    for field in ("arms", "unknown_arms", "exposures_by_day", "first_exposure", "last_exposure", "refused_rows"):
        assert getattr(got, field) == getattr(expected, field), field
    for metric, arms in expected.moments.items():
        for arm, moments in arms.items():
            same_moments(got.moments[metric][arm], moments)


def same_moments(got: Moments, expected: Moments) -> None:
    assert (got.n, got.columns) == (expected.n, expected.columns)
    for name in ("mean", "m2", "m3"):
        np.testing.assert_allclose(getattr(got, name), getattr(expected, name), rtol=1e-12, atol=1e-9)


@pytest.mark.full
@pytest.mark.parametrize("seed", [1, 2])
def test_spark_answers_what_sqlite_does(spark, session, memory, make_published, at, tmp_path, seed):
    """Arms, days, outcomes and moments of a random shop are the same, at two times of analysis."""
    published = make_published(metrics=METRICS)
    fill(memory, published, at, seed)
    copy_to_spark(memory, session, tmp_path)
    for as_of in (at(60), at(10 * DAY)):
        expected = memory.observations("exit", as_of=as_of)
        assert sum(arm.visitors for arm in expected.arms.values()) > 20
        assert sum(moments.n for moments in expected.moments["conversion"].values()) > 10
        with reading(spark) as connection:
            assert_same(read_observations(connection, published, to_micros(as_of)), expected)


@pytest.mark.full
def test_covariates_on_spark(spark, session, memory, make_published, at, tmp_path):
    """Values from before the exposure only, and whether they are missing, are the same."""
    published = make_published(metrics=ADJUSTED)
    fill(memory, published, at, 3)
    copy_to_spark(memory, session, tmp_path)
    expected = memory.observations("exit", as_of=at(10 * DAY))
    with reading(spark) as connection:
        assert_same(read_observations(connection, published, to_micros(at(10 * DAY))), expected)


@pytest.mark.full
def test_the_text_for_spark_gives_the_same_rows(spark, session, memory, make_published, at, tmp_path):
    """`offerlift sql --dialect spark`, pasted into Spark, answers what our own dialect does."""
    published = make_published(metrics=tuple(BUILT_IN_METRICS.values()))
    fill(memory, published, at, 4)
    copy_to_spark(memory, session, tmp_path)
    with reading(spark) as connection:
        statements = analysis_statements(connection, published, to_micros(at(10 * DAY)))
        assert statements
        for statement in statements:
            native = sorted(map(tuple, connection.execute(statement)))
            assert native
            assert sorted(map(tuple, session.sql(transpile(statement, "spark")).collect())) == native


def test_the_smallest_shop_on_spark(spark, session, memory, make_published, at, tmp_path):
    """The short form of the tests above: one visitor who bought, one who did not."""
    published = make_published()
    memory.publish(published)
    memory.write_exposures([Exposure("exit", "v", "a", at(1)), Exposure("exit", "w", "b", at(2))])
    memory.write_outcomes([Outcome(1, "v", "purchase", at(3), value=Decimal("12.34"))])
    copy_to_spark(memory, session, tmp_path)
    with reading(spark) as connection:
        got = read_observations(connection, published, to_micros(at(9)))
        assert connection.scalar(select(func.count()).select_from(text("exposure"))) == 2
    assert_same(got, memory.observations("exit", as_of=at(9)))
    assert got.moments["revenue_per_visitor"]["a"].sum_of("purchase:value") == 12.34
