"""Definitions as JSON values and back, exactly, with the standard library alone.

The shape follows the dataclasses: an object has the field names as keys, fields at their default are left out.
`Decimal` and `Fraction` are written as text, times as ISO 8601 in UTC, tuples as lists.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ..errors import InputError
from .definition import Definition

__all__ = ["decode", "definition_from_dict", "definition_to_dict", "encode"]


def definition_to_dict(definition: Definition) -> dict[str, Any]:
    """The definition as values that `json` can write; `definition_from_dict` gives back an equal definition."""
    return encode(definition)


def definition_from_dict(values: object) -> Definition:
    """The definition written by `definition_to_dict`.

    Raises:
        InputError: a key is missing or unknown, or a value has the wrong type; the message names the place.
    """
    return decode(Definition, values, "definition")


def encode(value: Any) -> Any:
    """A frozen value (dataclass, tuple, Decimal, Fraction, datetime, mapping, scalar) as JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: encode(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if _is_required(field) or getattr(value, field.name) != _default(field)
        }
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, Decimal):
        # 89 and 89.00 are the same definition, so they have the same text and the same hash.
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value


def decode(kind: Any, value: Any, where: str) -> Any:
    """The value of the annotated type `kind` from its JSON form; `where` names the place in errors.

    Raises:
        InputError: the value does not fit.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _decode_union(arguments, value, where)
    if origin is Literal:
        return _checked(value in arguments, value, where, f"one of {', '.join(map(str, arguments))}")
    if origin is tuple:
        return _decode_tuple(arguments, value, where)
    if origin is Mapping:
        _checked(isinstance(value, dict), value, where, "an object")
        return {key: decode(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, value, where)
    return _decode_scalar(kind, value, where)


def _decode_dataclass(kind: Any, value: Any, where: str) -> Any:
    _checked(isinstance(value, dict), value, where, "an object")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name in value:
        if name not in fields:
            raise InputError(f"{where}: unknown key {name!r}")
    for name, field in fields.items():
        if _is_required(field) and name not in value:
            raise InputError(f"{where}: {name!r} is missing")
    hints = _hints(kind)
    return kind(**{name: decode(hints[name], item, f"{where}.{name}") for name, item in value.items()})


def _decode_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    _checked(isinstance(value, list), value, where, "a list")
    if arguments[-1] is Ellipsis:
        return tuple(decode(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    _checked(len(value) == len(arguments), value, where, f"a list of {len(arguments)}")
    pairs = enumerate(zip(arguments, value, strict=True))
    return tuple(decode(kind, item, f"{where}[{index}]") for index, (kind, item) in pairs)


def _decode_union(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and NoneType in arguments:
        return None
    for kind in arguments:
        # Scalars first: in `str | int | float | bool` the JSON type itself says which one is meant.
        if kind in (str, int, float, bool) and type(value) is kind:
            return value
    remaining = [kind for kind in arguments if kind is not NoneType and kind not in (str, bool)]
    for kind in remaining[:-1]:
        try:
            return decode(kind, value, where)
        except InputError:
            continue
    if not remaining:
        raise InputError(f"{where}: no value of an allowed type, seen {value!r}")
    return decode(remaining[-1], value, where)


def _decode_scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is object:
        return tuple(value) if isinstance(value, list) else value
    if kind is bool or kind is str:
        return _checked(type(value) is kind, value, where, "true or false" if kind is bool else "text")
    if kind is int:
        return _checked(type(value) is int, value, where, "an integer")
    if kind is float:
        _checked(type(value) in (int, float) and math.isfinite(value), value, where, "a number")
        return float(value)
    _checked(isinstance(value, str), value, where, "text")
    try:
        if kind is datetime:
            moment = datetime.fromisoformat(value)
            _checked(moment.tzinfo is not None, value, where, "a time with its offset")
            return moment.astimezone(UTC)
        number = kind(value)
    except (ArithmeticError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where}: must be a {kind.__name__} written as text, seen {value!r}") from error
    _checked(not isinstance(number, Decimal) or number.is_finite(), value, where, "a finite number")
    return number


def _checked(holds: bool, value: Any, where: str, allowed: str) -> Any:
    if not holds:
        raise InputError(f"{where}: must be {allowed}, seen {str(value)[:60]!r}")
    return value


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
