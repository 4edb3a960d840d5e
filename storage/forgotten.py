"""Ids that stand in the place of visitors who were forgotten: random, and known by their form."""

from __future__ import annotations

import re
import secrets

from sqlalchemy import ColumnElement, and_, func

__all__ = ["forgotten_in_sql", "is_forgotten", "new_forgotten_id"]

_PREFIX = "forgotten-"
_BYTES = 16
_LENGTH = len(_PREFIX) + 2 * _BYTES
_FORM = re.compile(rf"{_PREFIX}[0-9a-f]{{{2 * _BYTES}}}")


def new_forgotten_id() -> str:
    """An id that leads back to nobody: 128 random bits, made of nothing that was known of the visitor."""
    return f"{_PREFIX}{secrets.token_hex(_BYTES)}"


def is_forgotten(key: str) -> bool:
    """Whether an id has the form of those."""
    return _FORM.fullmatch(key) is not None


def forgotten_in_sql(key: ColumnElement[str]) -> ColumnElement[bool]:
    """The condition that an id has the form of those; a range, which an index of the ids answers."""
    # "." is the character after "-".
    return and_(key >= _PREFIX, key < _PREFIX[:-1] + ".", func.length(key) == _LENGTH)
