"""Somebody else's tables analysed where they are: the logs of benchmarks/shop.py as Parquet, by DuckDB and by Spark."""

# PySpark is half a gigabyte, and not where the types are checked.
# pyright: reportMissingImports=false

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from offerlift.experiments import Arm, Definition, Plan
from offerlift.experiments.warehouse import AssignmentSource, FactSource, WarehouseTables
from offerlift.storage.observations import Observations
from offerlift.storage.warehouse import Warehouse
from shop import AS_OF, METRICS, OFFER, PURCHASE

__all__ = ["duckdb_in_place", "spark_calls"]

DEFINITION = Definition(OFFER, "a", (Arm("a", 3_400), Arm("b", 3_300), Arm("c", 3_300)), METRICS, Plan("conversion"))


def duckdb_in_place(folder: Path) -> Callable[[], Observations]:
    """The moments from the log and the outcomes, with nothing copied."""
    warehouse = Warehouse.open(f"duckdb:///{folder}")
    return lambda: warehouse.observations(DEFINITION, _tables("log", "outcome"), as_of=AS_OF)


def spark_calls(folder: Path) -> dict[str, Callable[[], object]]:
    """The floor, one pass over the outcomes, and what an analysis reads, in a Spark of this machine.

    Raises:
        ImportError: PySpark or Java is not installed.
    """
    from pyspark.sql import SparkSession

    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        raise ImportError("no Java")
    master = os.environ.get("OFFERLIFT_TEST_SPARK", "local[2]")
    started = SparkSession.builder.master(master).config("spark.sql.shuffle.partitions", 2)
    session = started.config("spark.sql.warehouse.dir", str(folder)).config("spark.ui.enabled", "false").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    warehouse = Warehouse.open(f"spark://{master}")
    # Files, as views belong to the session that made them.
    files = [f"parquet.`{folder / name}.parquet`" for name in ("log", "outcome")]
    tables = _tables(*(f"SELECT * FROM {file}" for file in files))
    floor = f"SELECT event_id, count(*), sum(value), sum(cost), min(at), max(at) FROM {files[1]} GROUP BY event_id"
    return {
        "floor": lambda: session.sql(floor).collect(),
        "moments": lambda: warehouse.observations(DEFINITION, tables, as_of=AS_OF),
        "days": lambda: warehouse.cumulative(DEFINITION, tables, as_of=AS_OF),
    }


def _tables(log: str, outcome: str) -> WarehouseTables:
    """By name, or by a SELECT."""
    first, second = (((), one) if " " in one else ((one,), None) for one in (log, outcome))
    arms = {"1": "a", "2": "b", "3": "c"}
    bought = f"SELECT * FROM {second[0][0]}" if second[1] is None else second[1]
    return WarehouseTables(
        AssignmentSource(*first, "visitor_id", "at", "microseconds", arm="arm_id", arms=arms),
        (
            FactSource(
                (),
                f"{bought} WHERE event_id = {PURCHASE}",
                "visitor_id",
                "at",
                "microseconds",
                event="purchase",
                value="value",
                cost="cost",
                money="minor",
            ),
        ),
        (),
    )
