"""A shop's own tables, as somebody has them who never heard of offerlift: a log of exposures, facts, traits."""

from __future__ import annotations

from datetime import UTC
from decimal import Decimal

import duckdb
import pyarrow as pa
from offerlift.experiments.warehouse import AssignmentSource, CovariateSource, FactSource, WarehouseTables
from pyarrow import parquet
from sqlalchemy import Column, DateTime, Integer, MetaData, Numeric, String, Table, delete, insert
from sqlalchemy.dialects import mysql
from sqlalchemy.types import Double

from .model import ARMS

metadata = MetaData()
# Without a zone, in UTC.
MOMENT = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
AMOUNT = Numeric(12, 2)
LOG = Table(
    "exposure_log",
    metadata,
    Column("user_id", String(40)),
    Column("test", String(40)),
    Column("variant", Integer),
    Column("seenAt", MOMENT),
    Column("stage", Integer),
    Column("country", String(40)),
)
FACTS = Table(
    "facts",
    metadata,
    Column("order_no", String(40)),
    Column("user_id", String(40)),
    Column("kind", String(40)),
    Column("created", MOMENT),
    Column("total", AMOUNT),
    Column("cost", AMOUNT),
    Column("cur", String(3)),
    Column("total_eur", AMOUNT),
    Column("cost_eur", AMOUNT),
    Column("refunded_no", String(40)),
)
TRAITS = Table(
    "traits",
    metadata,
    Column("user_id", String(40)),
    Column("trait", String(40)),
    Column("known_at", MOMENT),
    Column("number", Double),
)


def tables_of(*, phase="stage") -> WarehouseTables:
    """What a definition would say about them."""
    of_facts = {"visitor": "user_id", "at": "created", "event_column": "kind", "money": "major"}
    return WarehouseTables(
        AssignmentSource(
            ("exposure_log",),
            None,
            visitor="user_id",
            at="seenAt",
            arm="variant",
            experiment="test",
            experiment_value="summer: 100%",
            phase=phase,
            arms={str(i): arm for i, arm in enumerate(ARMS)},
            segments={"country": "country"},
        ),
        (
            FactSource(
                ("facts",),
                None,
                value="total",
                cost="cost",
                reporting_value="total_eur",
                reporting_cost="cost_eur",
                currency="cur",
                id="order_no",
                refund_of="refunded_no",
                **of_facts,
            ),
        ),
        tuple(
            CovariateSource(
                (),
                f"SELECT user_id, known_at, number FROM traits WHERE trait = '{name}' -- only these: {name}",
                visitor="user_id",
                at="known_at",
                name=name,
                value="number",
            )
            for name in ("history", "age", "none")
        ),
    )


def rows_of(shop, at):
    """The shop's rows by table."""

    def time(t):
        return at(t).astimezone(UTC).replace(tzinfo=None)

    def money(amount):
        return None if amount is None else Decimal(amount) / 100

    log = [
        {
            "user_id": visitor,
            "test": test,
            "variant": ARMS.index(arm) if test.startswith("summer") else 7,
            "seenAt": time(t),
            "stage": phase,
            "country": shop.segments.get((phase, visitor)),
        }
        for visitor, phase, arm, t in shop.exposures
        # Those of another experiment are not to be seen.
        for test in ("summer: 100%", "winter")
    ]
    facts = [
        {
            "order_no": one.key,
            "user_id": one.visitor,
            "kind": one.event,
            "created": time(one.at),
            "total": money(one.value),
            "cost": money(one.cost),
            "cur": "USD" if one.foreign else "EUR",
            "total_eur": money(2 * one.value) if one.foreign and one.reported and one.value is not None else None,
            "cost_eur": money(2 * one.cost) if one.foreign and one.reported and one.cost is not None else None,
            "refunded_no": one.refund_of,
        }
        for one in shop.orders
    ]
    traits = [
        {"user_id": visitor, "trait": name, "known_at": time(t), "number": value}
        for visitor, name, t, value in shop.covariates
    ]
    return {LOG: log, FACTS: facts, TRAITS: traits}


def fill(engine, shop, at):
    """Put the shop into a database, in place of what was there."""
    with engine.begin() as connection:
        metadata.create_all(connection)
        for table, rows in rows_of(shop, at).items():
            connection.execute(delete(table))
            if rows:
                connection.execute(insert(table), rows)


_PARQUET = {"DATETIME": "TIMESTAMP", "INTEGER": "INTEGER", "DOUBLE": "DOUBLE", "NUMERIC(12, 2)": "DECIMAL(12, 2)"}


def write_parquet(folder, shop, at):
    """Put the shop into Parquet files, in place of what was there."""
    with duckdb.connect() as connection:
        for table, rows in rows_of(shop, at).items():
            types = ", ".join(f'"{one.name}" {_PARQUET.get(str(one.type), "VARCHAR")}' for one in table.columns)
            connection.execute(f"CREATE TABLE {table.name} ({types})")
            if rows:
                marks = ", ".join("?" for _ in table.columns)
                connection.executemany(
                    f"INSERT INTO {table.name} VALUES ({marks})", [list(row.values()) for row in rows]
                )
            connection.execute(f"COPY {table.name} TO '{folder / table.name}.parquet' (FORMAT parquet)")


def write_table(folder, table):
    """Put an imported table of one row a visitor into Parquet files, as a shop keeps what happened; its mapping."""
    moment, number = pa.timestamp("us", "UTC"), pa.float64()
    log = [(one.visitor, one.at, one.arm) for one in table.exposures()]
    facts = [(one.visitor, one.at, one.name, one.value) for one in table.outcomes()]
    traits = [(one.visitor, one.at, one.value) for one in table.covariates()]
    for name, rows, own in (
        ("log", log, {"arm": pa.string()}),
        ("facts", facts, {"event": pa.string(), "value": pa.decimal128(12, 2)}),
        ("traits", traits, {"value": number}),
    ):
        fields = {"visitor": pa.string(), "at": moment} | own
        columns = [pa.array(one, kind) for one, kind in zip(zip(*rows, strict=True), fields.values(), strict=False)]
        if rows:
            parquet.write_table(pa.table(columns, list(fields)), folder / f"{name}.parquet")
    covariate, ids = table.columns.covariate, {"visitor": "visitor", "at": "at"}
    return WarehouseTables(
        AssignmentSource(("log",), None, **ids),
        (FactSource(("facts",), None, event_column="event", value="value", money="major", **ids),),
        () if covariate is None else (CovariateSource(("traits",), None, name=covariate, value="value", **ids),),
    )
