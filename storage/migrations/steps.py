"""What a revision is made of: changes that append, and that leave alone what is there already.

MariaDB and MySQL commit each such statement by itself. An upgrade that was killed half-way has then done some of its
steps, and is finished by doing it again.
"""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import Column, ColumnElement, ForeignKeyConstraint, Inspector, inspect
from sqlalchemy.schema import SchemaItem

from ..tables import PARTIAL_INDEXES

__all__ = ["add_column", "create_index", "create_table", "references"]


def add_column(table: str, column: Column[Any]) -> None:
    """Append a column, which is NULL in the rows that are there."""
    there = _inspector()
    if there is None or column.name not in {one["name"] for one in there.get_columns(table, schema=_schema())}:
        op.add_column(table, column, schema=_schema())


def create_table(table: str, *items: SchemaItem, comment: str | None = None, **options: Any) -> None:
    """Create a table; the options are those of an engine, as of `Table`."""
    there = _inspector()
    if there is None or not there.has_table(table, schema=_schema()):
        op.create_table(table, *items, schema=_schema(), comment=comment, **options)


def create_index(name: str, table: str, columns: list[str], *, where: ColumnElement[bool] | None = None) -> None:
    """Create an index; engines that can index some of the rows only index those that `where` leaves."""
    there = _inspector()
    if there is None or name not in {one["name"] for one in there.get_indexes(table, schema=_schema())}:
        partial = op.get_context().dialect.name in PARTIAL_INDEXES
        options: dict[str, Any] = {f"{engine}_where": where for engine in PARTIAL_INDEXES} if partial else {}
        op.create_index(name, table, columns, schema=_schema(), **options)


def references(column: str, target: str) -> ForeignKeyConstraint:
    """A foreign key to a column such as `experiment.id`, in the schema of the store."""
    schema = _schema()
    return ForeignKeyConstraint([column], [target if schema is None else f"{schema}.{target}"])


def _schema() -> str | None:
    return op.get_context().opts["schema"]


def _inspector() -> Inspector | None:
    """What is there already; None where a transaction takes back what was done half-way."""
    context = op.get_context()
    return None if context.impl.transactional_ddl else inspect(context.opts["store"])
