"""What is said differently to each kind of database about tables that somebody else made: types, times, text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Connection, Engine, String, cast, func, inspect, text
from sqlalchemy.sql.elements import TextClause

__all__ = ["ColumnType", "ForeignTables", "Kind"]

Kind = Literal["integer", "number", "text", "time", "other"]


class ColumnType(NamedTuple):
    """What a column holds, and what the database calls that."""

    kind: Kind
    name: str


class ForeignTables(ABC):
    """Reading tables that are not a store's.

    Attributes:
        times_are_text: whether a column of text may hold times.
        types_are_of_values: whether a column may hold text beside numbers.
    """

    times_are_text: ClassVar[bool] = False
    types_are_of_values: ClassVar[bool] = False

    def only_read(self, engine: Engine) -> None:  # noqa: B027 - nothing is the right answer where nothing can be written
        """See that nothing can be written; called once, before the first connection."""

    def describe(self, connection: Connection, query: str) -> dict[str, ColumnType]:
        """The columns of a SELECT, none of whose rows are read.

        Raises:
            DBAPIError: `is_missing_table`, or what else is wrong with it.
        """
        cursor: Any = connection.execute(empty(query)).cursor
        return {column[0]: self.column_type(column) for column in cursor.description}

    def column_type(self, described: tuple[Any, ...]) -> ColumnType:
        """What the driver's description of a column means; without one, its name in SQL."""
        name = str(described[1])
        return ColumnType(_kind(name), name)

    def table_names(self, connection: Connection) -> list[str]:
        """Tables and views that can be read without naming their schema."""
        found = inspect(connection)
        return sorted([*found.get_table_names(), *found.get_view_names()])

    @abstractmethod
    def micros(self, at: ColumnElement[Any]) -> ColumnElement[int]:
        """UTC microseconds since 1970 of a column of times; those without a zone are UTC."""

    def as_text(self, field: ColumnElement[Any], kind: Kind) -> ColumnElement[str]:
        """A column as text that compares by its bytes."""
        return field if kind == "text" else cast(field, String)

    def as_key(self, field: ColumnElement[Any], kind: Kind) -> ColumnElement[Any]:
        """A column of few values, to be grouped by or compared: whole numbers as they are, as text would cost more."""
        return field if kind == "integer" and not self.types_are_of_values else self.as_text(field, kind)

    def least(self, *columns: ColumnElement[int]) -> ColumnElement[int]:
        """The smallest of several columns, none of which is NULL."""
        return func.least(*columns, type_=BigInteger)


def empty(query: str) -> TextClause:
    """A SELECT of the same columns and no rows."""
    return text(f"SELECT * FROM ({verbatim(query)}) AS described WHERE 1 = 0")


def verbatim(query: str) -> str:
    """The query for `text`, which takes a colon for the start of a parameter, to be put in parentheses."""
    # A line break ends a comment.
    return "\n" + query.replace(":", "\\:") + "\n"


_INTEGERS = ("TINYINT", "SMALLINT", "INT", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINT", "UBIGINT", "UHUGEINT")


def _kind(name: str) -> Kind:
    """By the names that DuckDB and Spark have."""
    upper = name.upper()
    if upper in _INTEGERS or upper == "INTEGER" or upper == "UINTEGER":
        return "integer"
    if upper.startswith("DECIMAL") or upper in ("DOUBLE", "FLOAT"):
        return "number"
    if upper.startswith(("TIMESTAMP", "DATE")):
        return "time"
    # A list's name begins like its member's.
    plain = "[" not in upper and "<" not in upper
    return "text" if plain and upper.startswith(("VARCHAR", "STRING", "CHAR", "ENUM")) else "other"
