"""The small values of the section `warehouse`: names in a database, a SELECT, and what a column may hold."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from .scalars import problem

__all__ = ["Identifier", "Query", "TableName", "Values"]

_MOST_PARTS = 3
_LONGEST_QUERY = 100_000
_WRITES = re.compile(r"\b(INSERT|MERGE|UPDATE|DELETE|DROP|ALTER|CREATE|TRUNCATE|COPY|CALL|INTO)\b", re.IGNORECASE)
# Strings, quoted names and comments, where any word may stand.
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|--[^\n]*|/\*.*?\*/""", re.DOTALL)


def _identifier(value: Any) -> str:
    if not isinstance(value, str):
        raise problem("must be the name of a column", "Put it in quotes if it is meant as text.")
    if not 1 <= len(value) <= 255 or not value.isprintable() or value != value.strip():
        raise problem("must be 1 to 255 printable characters without spaces around it")
    return value


def _table(value: Any) -> tuple[str, ...]:
    parts = value.split(".") if isinstance(value, str) else value
    if not isinstance(parts, list) or not 1 <= len(parts) <= _MOST_PARTS:
        raise problem(
            "must be the name of a table, such as orders, shop.orders or catalog.shop.orders",
            "Where a part has dots itself, write a list: [parquet, /data/orders.parquet].",
        )
    return tuple(map(_part, parts))


def _part(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 1_000 or not value.isprintable():
        raise problem("each part of a table's name is 1 to 1000 printable characters")
    return value


def _query(value: Any) -> str:
    words = _QUOTED.sub(" ", value).strip() if isinstance(value, str) else ""
    if not re.match(r"(SELECT|WITH)\b", words, re.IGNORECASE):
        raise problem("must be a SELECT, or WITH ... SELECT")
    if ";" in words or "\0" in value or len(value) > _LONGEST_QUERY:
        raise problem(f"must be one statement of at most {_LONGEST_QUERY} characters, without a semicolon")
    if words.count("(") != words.count(")"):
        raise problem("must have as many closing parentheses as opening ones")
    if found := _WRITES.search(words):
        raise problem(f"must only read, seen {found[0].upper()}", "A column of such a name needs quotes.")
    return value.strip()


def _values(value: Any) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(one, str | int | Decimal) for one in listed):
        raise problem("must be what the column has: a text, a number, true or false, or a list of these")
    return tuple(str(one).lower() if isinstance(one, bool) else str(one) for one in listed)


_SCALAR = {"type": ["string", "number", "boolean"]}
_NAME = {"type": "string", "minLength": 1}

Identifier = Annotated[str, PlainValidator(_identifier), WithJsonSchema({**_NAME, "maxLength": 255})]
"""A column's name, as the database has it."""
TableName = Annotated[
    tuple[str, ...],
    PlainValidator(_table),
    WithJsonSchema({"anyOf": [_NAME, {"type": "array", "items": _NAME, "minItems": 1, "maxItems": _MOST_PARTS}]}),
]
"""A table's name in parts."""
Query = Annotated[str, PlainValidator(_query), WithJsonSchema({**_NAME, "examples": ["SELECT * FROM shop.orders"]})]
"""A statement that reads."""
Values = Annotated[
    tuple[str, ...],
    PlainValidator(_values),
    WithJsonSchema({"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR, "minItems": 1}]}),
]
"""What a column has for something, as text; several where they mean the same."""
