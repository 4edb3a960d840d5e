"""Eligibility: rules on the visitor's attributes, compared strictly, evaluated before the split.

A rule never raises. An attribute that is missing (or None), or of another type than the rule's value, is not eligible
and the reason says so: "3" is not 3, and a text is neither more nor less than a number.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from numbers import Real
from operator import ge, gt, le, lt
from typing import Any

from .rules import Rule, Scalar

__all__ = ["Eligibility", "describe"]

_ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {"lt": lt, "lte": le, "gt": gt, "gte": ge}
_WORDS = {
    "eq": "=",
    "ne": "≠",
    "lt": "<",
    "lte": "≤",
    "gt": ">",
    "gte": "≥",
    "in": "in",
    "not_in": "not in",
    "contains": "contains",
}


def describe(rule: Rule) -> str:
    """A rule as people read it, such as `cart_total ≥ 40`."""
    if rule.op == "exists":
        return f"{rule.attribute} is {'known' if rule.value is not False else 'unknown'}"
    listed = f"({', '.join(map(str, rule.value))})" if isinstance(rule.value, tuple) else str(rule.value)
    return f"{rule.attribute} {_WORDS[rule.op]} {listed}"


class Eligibility:
    """The rules of an experiment, prepared once; all must hold.

    Attributes:
        attribute: of the only rule, where that is a list of texts, such as "country is DE or AT"; else "".
        listed: these texts: a visitor whose attribute is one of them is eligible without a further look.
    """

    def __init__(self, rules: Sequence[Rule]):
        only = rules[0] if len(rules) == 1 and rules[0].op in ("eq", "in") else None
        self.attribute = "" if only is None else only.attribute
        self.listed = frozenset() if only is None else _texts(only)
        self._checks = tuple((rule.attribute, _compile(rule), describe(rule)) for rule in rules)

    def __bool__(self) -> bool:
        return bool(self._checks)

    def refusal(self, attributes: Mapping[str, Any] | None) -> str:
        """Why a visitor is not eligible, or "" for one who is."""
        # The exact type first: asking an abstract class costs more than the rule.
        known = attributes if type(attributes) is dict or isinstance(attributes, Mapping) else {}
        for attribute, check, description in self._checks:
            if failure := check(known.get(attribute)):
                return failure.format(description)
        return ""


_FAILS = "needs {}"


def _texts(rule: Rule) -> frozenset[str]:
    values = rule.value if isinstance(rule.value, tuple) else (rule.value,)
    return frozenset(value for value in values if type(value) is str)


def _compile(rule: Rule) -> Callable[[Any], str]:
    """A function from the attribute's value to "" (holds) or why not, `{}` standing for the rule."""
    if rule.op == "exists":
        wanted = rule.value is not False
        return lambda seen: "" if (seen is not None) is wanted else _FAILS
    if rule.op == "contains":
        return _compile_contains(rule)
    if rule.op in _ORDERINGS:
        return _compile_ordering(rule)
    return _compile_membership(rule)


def _compile_membership(rule: Rule) -> Callable[[Any], str]:
    values = rule.value if isinstance(rule.value, tuple) else (rule.value,)
    families = {_family(value) for value in values}
    allowed = {(_family(value), exact) for value in values for exact in _both(value)}
    wanted = rule.op in ("eq", "in")
    texts = _texts(rule)

    def check(seen: Any) -> str:
        # A text that is listed, in nearly every rule of nearly every shop.
        if wanted and type(seen) is str and seen in texts:
            return ""
        family = _family(seen)
        if family not in families:
            return _mismatch(seen)
        return "" if ((family, seen) in allowed) is wanted else _FAILS

    return check


def _compile_ordering(rule: Rule) -> Callable[[Any], str]:
    compare = _ORDERINGS[rule.op]
    limit: Any = rule.value
    family = _family(limit)
    decimal = _decimal(limit) if family == "number" else limit

    def check(seen: Any) -> str:
        if _family(seen) != family or family == "boolean":
            return _mismatch(seen)
        return "" if compare(seen, decimal if isinstance(seen, Decimal) else limit) else _FAILS

    return check


def _compile_contains(rule: Rule) -> Callable[[Any], str]:
    member: Any = rule.value

    def check(seen: Any) -> str:
        if isinstance(seen, str):
            found = isinstance(member, str) and member in seen
        elif isinstance(seen, Collection) and not isinstance(seen, Mapping | bytes):
            family, values = _family(member), _both(member)
            found = any(_family(item) == family and item in values for item in seen)
        else:
            return _mismatch(seen)
        return "" if found else _FAILS

    return check


# isinstance against an abstract class costs more than the hash of the visitor.
_USUAL_FAMILIES = {str: "text", bool: "boolean", int: "number"}


def _family(value: Any) -> str:
    """What a value can be compared with; "" for what compares with nothing."""
    usual = _USUAL_FAMILIES.get(type(value))
    if usual is not None:
        return usual
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, Decimal):
        return "" if value.is_nan() else "number"
    # NaN equals not even itself.
    return "number" if isinstance(value, Real) and value == value else ""


def _mismatch(seen: Any) -> str:
    if seen is None:
        return "needs {}, but the attribute is missing"
    return f"needs {{}}, but the attribute is a {type(seen).__name__}"


def _both(value: Scalar | None) -> tuple[Any, ...]:
    # 39.9 in a rule means what was typed, so that a Decimal("39.90") of the shop equals it.
    return (value, _decimal(value)) if isinstance(value, float) else (value,)


def _decimal(value: Any) -> Decimal:
    return Decimal(str(value))
