"""The store's tables as others read them: text instead of numbers for ids, and what each column means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import BigInteger, Column, Double, FromClause, Integer, Select, Table, select

from .. import tables

__all__ = ["EXPORTED", "Field", "Kind", "relation"]

Kind = Literal["text", "whole", "number", "time", "money", "flag"]

_LOOKUPS = {
    "experiment_id": (tables.experiment, tables.experiment.c.key),
    "arm_id": (tables.arm, tables.arm.c.name),
    "crossover_arm_id": (tables.arm, tables.arm.c.name),
    "visitor_id": (tables.visitor, tables.visitor.c.key),
    "event_id": (tables.name, tables.name.c.key),
    "name_id": (tables.name, tables.name.c.key),
    "offer_id": (tables.name, tables.name.c.key),
    "reason_id": (tables.name, tables.name.c.key),
    "anonymous_id": (tables.visitor, tables.visitor.c.key),
    "customer_id": (tables.visitor, tables.visitor.c.key),
}
"""Columns that hold the number of a text, and where the text is."""

_MONEY = {"value": "currency", "cost": "currency", "reporting_value": None, "reporting_cost": None}
"""Amounts of an outcome, each with the column of its currency; None: they are in the store's."""

EXPORTED = tuple(
    table for table in tables.metadata.tables.values() if table not in {found for found, _ in _LOOKUPS.values()}
)
"""Every table but those that only say which number stands for which text."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a relation; of money, `currency` is the column that has its currency (None: the store's)."""

    name: str
    kind: Kind
    currency: str | None = None


def relation(table: Table) -> tuple[Select, tuple[Field, ...]]:
    """A statement that gives every row of a table with text for ids, and its columns."""
    source: FromClause = table
    columns = []
    for column in table.columns:
        if column.name not in _LOOKUPS:
            columns.append(column)
            continue
        lookup, text = _LOOKUPS[column.name]
        named = lookup.alias(f"of_{column.name}")
        # Facts have no foreign keys: a number without text must not lose the row.
        source = source.outerjoin(named, named.c.id == column)
        columns.append(named.c[text.name].label(column.name.removesuffix("_id")))
    return select(*columns).select_from(source), tuple(_field(table, column) for column in table.columns)


def _field(table: Table, column: Column) -> Field:
    name = column.name
    if name in _LOOKUPS:
        return Field(name.removesuffix("_id"), "text")
    if table is tables.outcome and name in _MONEY:
        return Field(name, "money", _MONEY[name])
    if name in ("at_given", "planned"):
        return Field(name, "flag")
    if isinstance(column.type, BigInteger) and (name in ("at", "as_of") or name.endswith("_at")):
        return Field(name, "time")
    if isinstance(column.type, Double):
        return Field(name, "number")
    return Field(name, "whole" if isinstance(column.type, Integer) else "text")
