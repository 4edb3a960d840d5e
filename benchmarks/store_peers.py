"""The peers of benchmarks/store.py: the same four means by arm, from the logs that an analyst would have as Parquet.

A visitor's first exposure counts, and every purchase after it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from shop import PURCHASE

__all__ = ["METRICS", "PEERS", "Totals"]

METRICS = ("conversion", "orders_per_visitor", "revenue_per_visitor", "margin_per_visitor")

Totals = dict[str, tuple[float | None, ...]]
"""Arm -> visitors (None: the peer does not say) and the mean of each metric."""

ARMS = {1: "a", 2: "b", 3: "c"}

BY_VISITOR = """
SELECT first.arm_id AS variant, first.visitor_id,
    CASE WHEN count(o."at") > 0 THEN 1 ELSE 0 END AS conversion,
    count(o."at") AS orders_per_visitor,
    coalesce(sum(o.value), 0) / 100.0 AS revenue_per_visitor,
    coalesce(sum(o.value - o.cost), 0) / 100.0 AS margin_per_visitor
FROM (SELECT visitor_id, arg_min(arm_id, "at") AS arm_id, min("at") AS "at" FROM exposure GROUP BY visitor_id) AS first
LEFT JOIN outcome AS o ON o.visitor_id = first.visitor_id AND o."at" >= first."at" AND o.event_id = {purchase}
GROUP BY first.visitor_id, first.arm_id
"""


def tea_tasting(folder: Path) -> Callable[[], Totals]:
    """tea-tasting over DuckDB by Ibis, all of its aggregates in one query."""
    import ibis
    import tea_tasting as tt

    connection = ibis.duckdb.connect()
    exposure = connection.read_parquet(folder / "log.parquet", table_name="exposure")
    outcome = connection.read_parquet(folder / "outcome.parquet", table_name="outcome")
    experiment = tt.Experiment({name: tt.Mean(name) for name in METRICS})

    def call() -> Totals:
        first = exposure.group_by("visitor_id").agg(
            variant=exposure.arm_id.argmin(exposure["at"]), exposed=exposure["at"].min()
        )
        bought = outcome.filter(outcome.event_id == PURCHASE)
        rows = first.left_join(bought, [first.visitor_id == bought.visitor_id, bought["at"] >= first.exposed])
        by_visitor = rows.group_by(["visitor_id", "variant"]).agg(
            conversion=(rows.value.count() > 0).cast("int64"),
            orders_per_visitor=rows.value.count(),
            revenue_per_visitor=rows.value.sum().coalesce(0) / 100.0,
            margin_per_visitor=(rows.value - rows.cost).sum().coalesce(0) / 100.0,
        )
        # Both comparisons with arm a: what tea-tasting calls all variants.
        results = experiment.analyze(by_visitor, control=1, all_variants=True)
        found: Totals = {}
        for (_, treatment), result in results.items():
            found["a"] = (None, *(result[name].control for name in METRICS))
            found[ARMS[treatment]] = (None, *(result[name].treatment for name in METRICS))
        return found

    return call


def pandas(folder: Path) -> Callable[[], Totals]:
    """What an analyst writes: read, take the first exposures, join, group."""
    import pandas as pd

    def call() -> Totals:
        exposure = pd.read_parquet(folder / "log.parquet")
        outcome = pd.read_parquet(folder / "outcome.parquet", columns=["visitor_id", "event_id", "at", "value", "cost"])
        first = exposure.sort_values("at").drop_duplicates("visitor_id")
        rows = first.merge(outcome[outcome.event_id == PURCHASE], on="visitor_id", suffixes=("_exposed", ""))
        rows = rows[rows["at"] >= rows["at_exposed"]]
        rows = rows.assign(margin=rows.value - rows.cost)
        by_visitor = rows.groupby("visitor_id").agg(
            orders_per_visitor=("value", "size"),
            revenue_per_visitor=("value", "sum"),
            margin_per_visitor=("margin", "sum"),
        )
        every = first.set_index("visitor_id")[["arm_id"]].join(by_visitor).fillna(0)
        every["conversion"] = (every.orders_per_visitor > 0).astype(float)
        every[["revenue_per_visitor", "margin_per_visitor"]] /= 100.0
        moments = every.groupby("arm_id")[list(METRICS)].agg(["size", "mean", "var"])
        return {
            name: (int(moments.loc[arm, ("conversion", "size")]), *(moments.loc[arm, (one, "mean")] for one in METRICS))
            for arm, name in ARMS.items()
        }

    return call


def duckdb_sql(folder: Path) -> Callable[[], Totals]:
    """What a data engineer writes by hand, over the same Parquet."""
    import duckdb

    connection = duckdb.connect()
    for name, file in (("exposure", "log"), ("outcome", "outcome")):
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM '{folder / file}.parquet'")
    sums = ", ".join(f"sum({one}), sum({one} * {one})" for one in METRICS)
    statement = f"SELECT variant, count(*), {sums} FROM ({BY_VISITOR.format(purchase=PURCHASE)}) GROUP BY variant"

    def call() -> Totals:
        rows = connection.execute(statement).fetchall()
        return {ARMS[arm]: (n, *(float(total) / n for total in rest[::2])) for arm, n, *rest in rows}

    return call


PEERS: dict[str, Callable[[Path], Callable[[], Totals]]] = {
    "tea_tasting": tea_tasting,
    "pandas": pandas,
    "duckdb_sql": duckdb_sql,
}
