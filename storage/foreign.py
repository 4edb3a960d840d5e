"""Somebody else's tables and queries: found, their columns checked, their values turned into ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Double,
    FromClause,
    String,
    cast,
    column,
    func,
    null,
    text,
    type_coerce,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import quoted_name
from sqlalchemy.types import NullType

from ..errors import InputError
from ..experiments.problems import near
from ..experiments.warehouse import Relation
from .engines import database_of
from .engines.foreign import ColumnType, verbatim

__all__ = ["Found", "MissingTableError", "common_visitor", "find", "require_alike"]

_FACTOR = {"seconds": 1_000_000, "milliseconds": 1_000, "microseconds": 1}
_TYPES = {"text": String(), "integer": BigInteger(), "number": Double()}


class MissingTableError(InputError):
    """A table that is not there; whoever catches it may say which are."""


@dataclass(frozen=True, slots=True)
class Found:
    """A relation that is there.

    Attributes:
        label: how messages call it.
        rows: all of its columns.
        types: what they hold.
    """

    label: str
    rows: FromClause
    types: Mapping[str, ColumnType]

    def kind(self, name: str) -> ColumnType:
        """What a column holds.

        Raises:
            InputError: there is no such column.
        """
        if name not in self.types:
            hint = near(name, self.types) or ""
            raise InputError(
                f"{self.label} has no column {name!r}", hint=f"{hint} Its columns: {', '.join(self.types)}.".strip()
            )
        return self.types[name]

    def column(self, name: str) -> ColumnElement[Any]:
        """A column as it is; errors as `kind`."""
        self.kind(name)
        return self.rows.c[name]

    def as_text(self, connection: Connection, name: str) -> ColumnElement[str]:
        """A column as text that compares by its bytes; errors as `kind`."""
        return database_of(connection).as_text(self.column(name), self.kind(name).kind)

    def as_key(self, connection: Connection, name: str) -> ColumnElement[Any]:
        """A column of few values, to be grouped by or compared: of whole numbers or of text; errors as `kind`."""
        return database_of(connection).as_key(self.column(name), self.kind(name).kind)

    def number(self, name: str, what: str) -> ColumnElement[Any]:
        """A column of numbers.

        Raises:
            InputError: it holds something else, or there is none; `what` says what it should be.
        """
        found = self.kind(name)
        # SQLite has no type where there is no value.
        if found.kind not in ("integer", "number") and not found.name.startswith("NULL"):
            raise InputError(
                f"{what} must be a number; the column {name!r} of {self.label} is {found.name}",
                hint="Give another column, or write `sql` with a CAST instead of `table`.",
            )
        return self.column(name)

    def amount(self, name: str | None, factor: int) -> ColumnElement[Any]:
        """A column of money in whole minor units, of which a unit there is `factor`; NULL where there is none."""
        if name is None:
            return cast(null(), BigInteger)
        value = self.number(name, "an amount of money")
        if factor == 1 and self.kind(name).kind == "integer":
            return value
        # A product of two doubles is off by much less than the half of a minor unit.
        return func.round(cast(value, Double) * float(factor), type_=Double)

    def micros(self, connection: Connection, relation: Relation) -> ColumnElement[int]:
        """The relation's time as UTC microseconds since 1970.

        Raises:
            InputError: the column is neither a time nor a number whose unit is said, or there is none.
        """
        name, database = relation.at, database_of(connection)
        kind, called = self.kind(name)
        if kind in ("integer", "number"):
            if relation.epoch is None:
                raise InputError(
                    f"the time {name!r} of {self.label} is a number ({called})",
                    hint="Say what it counts since 1970: epoch: seconds, milliseconds or microseconds.",
                )
            factor = _FACTOR[relation.epoch]
            if kind == "integer":
                whole = cast(self.column(name), BigInteger)
                return whole if factor == 1 else whole * factor
            return cast(func.round(cast(self.column(name), Double) * float(factor)), BigInteger)
        if relation.epoch is not None:
            raise InputError(f"the time {name!r} of {self.label} is no number ({called})", hint="Leave `epoch` out.")
        if kind == "time" or (kind == "text" and database.times_are_text) or called.startswith("NULL"):
            return database.micros(self.column(name))
        raise InputError(
            f"the time {name!r} of {self.label} is {called}, which is no time",
            hint=f"Write `sql` with CAST({name} AS TIMESTAMP) instead of `table`.",
        )


def find(connection: Connection, relation: Relation) -> Found:
    """The relation with its columns; nothing is read of its rows.

    Raises:
        MissingTableError: there is no such table.
        InputError: the query cannot be read, or names what is not there.
    """
    database = database_of(connection)
    quote = connection.dialect.identifier_preparer.quote_identifier
    query = relation.sql or f"SELECT * FROM {'.'.join(map(quote, relation.table))}"
    if relation.sql is None and len(relation.table) > 1:
        # Spark takes no column by the name of a file.
        query += " AS relation"
    try:
        types = database.describe(connection, query)
    except DBAPIError as error:
        if database.is_missing_table(error):
            raise MissingTableError(f"{relation.label} does not exist: {_reason(error)}") from error
        if relation.sql is None or error.connection_invalidated:
            raise
        raise InputError(f"{relation.label} is refused by {database.label}: {_reason(error)}") from error
    named = (column(quoted_name(name, quote=True), _TYPES.get(one.kind, NullType())) for name, one in types.items())
    return Found(relation.label, text(verbatim(query)).columns(*named).subquery("relation"), types)


def _reason(error: DBAPIError) -> str:
    return " ".join(str(error.orig).split())[:300]


def require_alike(ids: Sequence[tuple[Found, str]]) -> None:
    """See that ids which have to meet can.

    Raises:
        InputError: a column of decimals or floating-point numbers beside one of another type: as text, 12 is not 12.0.
    """
    types = {one.kind(name): (one, name) for one, name in ids}
    if len(types) > 1 and any(kind.kind == "number" for kind in types):
        listed = ", ".join(f"{name!r} of {one.label} is {kind.name}" for kind, (one, name) in types.items())
        name = next(name for kind, (_, name) in types.items() if kind.kind == "number")
        raise InputError(
            f"ids of these types never meet: {listed}",
            hint=f"Write `sql` with CAST({name} AS BIGINT) instead of `table`.",
        )


def common_visitor(connection: Connection, found: Mapping[Relation, Found]) -> dict[Relation, ColumnElement[Any]]:
    """The visitor of each relation, all in one type: as they are where they agree on it, otherwise as text."""
    require_alike([(one, relation.visitor) for relation, one in found.items()])
    types = {one.kind(relation.visitor) for relation, one in found.items()}
    kinds = {one.kind for one in types}
    if kinds == {"integer"} or (len(types) == 1 and kinds == {"other"}):
        # Without a type of ours: unlike a store's, their numbers are not in the order in which visitors came.
        return {relation: type_coerce(one.column(relation.visitor), NullType()) for relation, one in found.items()}
    return {relation: one.as_text(connection, relation.visitor) for relation, one in found.items()}
