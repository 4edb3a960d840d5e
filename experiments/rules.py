"""A condition on an attribute of the visitor, as eligibility and offers write it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Operator", "Rule", "Scalar"]

Operator = Literal["eq", "ne", "lt", "lte", "gt", "gte", "in", "not_in", "contains", "exists"]
Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Rule:
    """One condition on an attribute; a missing attribute does not meet it."""

    attribute: str
    op: Operator
    value: Scalar | tuple[Scalar, ...] | None = None
