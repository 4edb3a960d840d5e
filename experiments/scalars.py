"""The small values of the definition language: durations, shares, effects, money, times, names.

Each type is an annotated pydantic type with its own JSON Schema and with errors in the language's own words.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any
from unicodedata import category

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

__all__ = [
    "Alpha",
    "Currency",
    "Delay",
    "Duration",
    "Effect",
    "Key",
    "Label",
    "Moment",
    "Money",
    "Multiple",
    "OpenShare",
    "Percentage",
    "PositiveMoney",
    "Power",
    "Scalars",
    "Share",
    "Term",
    "Text",
    "Threshold",
    "UtcOffset",
    "Value",
    "Weight",
    "problem",
]

UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_SECOND = 1_000_000
_LONGEST = 10 * 366 * 86_400 * _SECOND


def problem(message: str, hint: str | None = None) -> PydanticCustomError:
    """An error in our own words; pydantic's templates leave the text alone."""
    return PydanticCustomError("offerlift", "{message}", {"message": message, "hint": hint})


def _duration(value: Any) -> int:
    match = re.fullmatch(r"([0-9]{1,9}) ?([smhdw])", value) if isinstance(value, str) else None
    if match is None:
        raise problem("must be a duration: a whole number and its unit, such as 90s, 15m, 36h, 14d or 6w")
    microseconds = int(match[1]) * UNITS[match[2]] * _SECOND
    if microseconds > _LONGEST:
        raise problem("must be at most ten years")
    return microseconds


def _positive_duration(value: Any) -> int:
    microseconds = _duration(value)
    if microseconds == 0:
        raise problem("must be longer than 0")
    return microseconds


def _delay(value: Any) -> int:
    return 0 if value == 0 and not isinstance(value, bool) else _duration(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _fraction(value: Any, example: str) -> tuple[Fraction, bool]:
    """A number, a percentage or a fraction of two integers, and whether it was a plain number."""
    if _is_number(value):
        return Fraction(value), True
    if isinstance(value, str):
        if match := re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?%", value):
            return Fraction(match[1]) / 100, False
        if (match := re.fullmatch(r"([0-9]{1,9}) ?/ ?([0-9]{1,9})", value)) and int(match[2]):
            return Fraction(int(match[1]), int(match[2])), False
    raise problem(f"must be a share, such as {example}")


def _share(value: Any) -> Fraction:
    share, _ = _fraction(value, "0.2 or 20%")
    if not 0 < share <= 1:
        raise problem("must be above 0 and at most 1 (100%)", _percent_hint(value, share))
    return share


def _open_share(value: Any) -> float:
    share, _ = _fraction(value, "0.05 or 5%")
    if not 0 < share < 1:
        raise problem("must be between 0 and 1 (100%)", _percent_hint(value, share))
    return float(share)


def _alpha(value: Any) -> float:
    alpha, _ = _fraction(value, "0.05 or 5%")
    if not 0 < alpha <= Fraction(1, 5):
        raise problem("must be above 0 and at most 0.2", _percent_hint(value, alpha) or "0.05 is usual.")
    return float(alpha)


def _power(value: Any) -> float:
    power, _ = _fraction(value, "0.8 or 80%")
    if not Fraction(1, 2) <= power < 1:
        raise problem("must be from 0.5 on and below 1", _percent_hint(value, power) or "0.8 is usual.")
    return float(power)


def _effect(value: Any) -> float:
    effect, plain = _fraction(value, "0.05 or 5%")
    if effect <= 0 or (plain and effect >= 1):
        raise problem("must be a relative change between 0 and 1, such as 0.05 or 5%", _percent_hint(value, effect))
    if effect > 10:
        raise problem("must be at most 1000%")
    return float(effect)


def _percent_hint(value: Any, share: Fraction) -> str | None:
    if not _is_number(value) or not 1 <= share <= 100:
        return None
    return f"{value} is {float(share * 100):g} %; write {value}% or {float(share / 100):g}."


def _multiple(value: Any) -> Decimal:
    share, _ = _fraction(value, "0.8 or 80%")
    if not 0 < share <= 10:
        raise problem(
            "must be above 0 and at most 10 times the price of what was looked at", _percent_hint(value, share)
        )
    return _decimal(share)


def _percentage(value: Any) -> Decimal:
    share, plain = _fraction(value, "10 or 10%")
    percent = share if plain else share * 100
    if not 0 < percent <= 100:
        raise problem("must be above 0 and at most 100 percent")
    if plain and percent < 1:
        raise problem("a percentage is written 10 or 10%, not as a share", f"{value} would be {value} %.")
    return _decimal(percent)


def _decimal(number: Fraction) -> Decimal:
    decimal = Decimal(number.numerator) / Decimal(number.denominator)
    if Fraction(decimal) != number:
        raise problem("must be a decimal number")
    return decimal


def _money(value: Any) -> Decimal:
    if not _is_number(value):
        raise problem("must be an amount of money in major units, such as 89 or 89.90")
    amount = Decimal(value)
    exponent = amount.as_tuple().exponent
    if amount < 0 or amount >= 10**12 or not isinstance(exponent, int) or exponent < -4:
        raise problem("must be an amount of money from 0 on, with at most four decimal places")
    return amount


def _positive_money(value: Any) -> Decimal:
    amount = _money(value)
    if amount == 0:
        raise problem("must be an amount of money above 0")
    return amount


def _weight(value: Any) -> int | Fraction:
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= 10_000:
            raise problem("must be from 1 to 10000 buckets", "Leave an arm out that nobody should see.")
        return value
    share, _ = _fraction(value, "5000 (of 10000), 0.5 or 50%")
    if not 0 < share < 1:
        raise problem("must be buckets of 10000, or a share above 0 and below 1")
    return share


def _moment(value: Any) -> datetime:
    allowed = "must be a time with its offset, such as 2026-03-01T09:00:00+01:00"
    if not isinstance(value, str):
        raise problem(allowed)
    try:
        moment = datetime.fromisoformat(value)
        in_utc = moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise problem(allowed) from error
    if moment.tzinfo is None:
        raise problem(allowed, "Without an offset it would mean another moment on another machine.")
    return in_utc


def _utc_offset(value: Any) -> int:
    match = re.fullmatch(r"([+-])([01][0-9]):([0-5][0-9])", value) if isinstance(value, str) else None
    minutes = (int(match[2]) * 60 + int(match[3])) * (-1 if match[1] == "-" else 1) if match else None
    if minutes is None or abs(minutes) > 14 * 60:
        raise problem('must be an offset from UTC between -14:00 and +14:00, such as "+01:00"')
    return minutes


def _key(value: Any) -> str:
    if not isinstance(value, str):
        raise problem("must be a name", "Put it in quotes if it is meant as text." if value is not None else None)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", value):
        raise problem(
            "must be a name of 1 to 100 letters, digits, '.', '_' and '-' that starts with a letter or digit",
            "Free text belongs into `description`.",
        )
    return value


def _term(value: Any) -> str:
    if not isinstance(value, str):
        raise problem("must be a factor, or factors joined by colons, such as timing:price")
    parts = value.split(":")
    if any(not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", part) for part in parts):
        raise problem("must be a factor, or factors joined by colons without spaces, such as timing:price")
    if len(set(parts)) != len(parts):
        raise problem("names a factor twice")
    return value


def _label(value: Any) -> str:
    if not isinstance(value, str):
        raise problem("must be a name", "Put it in quotes if it is meant as text." if value is not None else None)
    if not 1 <= len(value) <= 100 or value != value.strip() or not value.isprintable() or ":" in value or value == "*":
        raise problem("must be 1 to 100 printable characters without ':' and without spaces around it")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise problem("must be text", "Put it in quotes." if value is not None else None)
    text = value.strip()
    # Control characters, halves of pairs, private and unassigned ones; unlike isprintable, spaces of all widths pass.
    if not 1 <= len(text) <= 4_000 or any(
        category(one) in ("Cc", "Cs", "Co", "Cn") for one in text if one not in "\n\t"
    ):
        raise problem("must be 1 to 4000 printable characters")
    return text


def _currency(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch("[A-Z]{3}", value):
        raise problem("must be a currency code of three capitals (ISO 4217), such as EUR")
    return value


def _value(value: Any) -> str | int | float | bool:
    if isinstance(value, Decimal):
        return float(value)
    if not isinstance(value, str | int):
        raise problem("must be a text, a number, true or false")
    return value


def _threshold(value: Any) -> str | int | float:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise problem("must be a number or a text to compare with")
    return float(value) if isinstance(value, Decimal) else value


def _scalars(value: Any) -> tuple[str | int | float | bool, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(item, str | int | Decimal) for item in value):
        raise problem("must be a list of at least one text, number, true or false, such as [DE, AT]")
    return tuple(map(_value, value))


def _json(check: Callable[[Any], Any], *alternatives: dict[str, Any]) -> tuple[PlainValidator, WithJsonSchema]:
    return PlainValidator(check), WithJsonSchema(
        alternatives[0] if len(alternatives) == 1 else {"anyOf": [*alternatives]}
    )


_TIME = {"type": "string", "pattern": r"^[0-9]{1,9} ?[smhdw]$", "examples": ["90s", "15m", "36h", "14d", "6w"]}
_PERCENT = {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})? ?%$", "examples": ["5%"]}
_RATIO = {"type": "string", "pattern": r"^[0-9]{1,9} ?/ ?[0-9]{1,9}$", "examples": ["1/3"]}
_SHARE = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1, "examples": [0.05]}

Duration = Annotated[int, *_json(_positive_duration, _TIME)]
"""A whole number and its unit, longer than 0, in microseconds."""
Delay = Annotated[int, *_json(_delay, _TIME, {"const": 0})]
"""A duration that may be 0."""
Share = Annotated[Fraction, *_json(_share, {"type": "number", "exclusiveMinimum": 0, "maximum": 1}, _PERCENT, _RATIO)]
"""Above 0, at most 1."""
OpenShare = Annotated[float, *_json(_open_share, _SHARE, _PERCENT, _RATIO)]
"""Above 0, below 1."""
Alpha = Annotated[float, *_json(_alpha, {"type": "number", "exclusiveMinimum": 0, "maximum": 0.2}, _PERCENT, _RATIO)]
"""A two-sided error rate."""
Power = Annotated[float, *_json(_power, {"type": "number", "minimum": 0.5, "exclusiveMaximum": 1}, _PERCENT, _RATIO)]
"""A chance to detect."""
Effect = Annotated[float, *_json(_effect, _SHARE, _PERCENT, _RATIO)]
"""A relative change; above 100 % only as a percentage."""
Multiple = Annotated[
    Decimal, *_json(_multiple, {"type": "number", "exclusiveMinimum": 0, "maximum": 10}, _PERCENT, _RATIO)
]
"""A price as a multiple of another."""
Percentage = Annotated[Decimal, *_json(_percentage, {"type": "number", "minimum": 1, "maximum": 100}, _PERCENT)]
"""From 1 to 100, with or without the sign."""
Money = Annotated[Decimal, *_json(_money, {"type": "number", "minimum": 0, "examples": [89.90]})]
"""An amount in major units, from 0 on."""
PositiveMoney = Annotated[Decimal, *_json(_positive_money, {"type": "number", "exclusiveMinimum": 0, "examples": [5]})]
"""An amount in major units, above 0."""
Weight = Annotated[
    int | Fraction,
    *_json(_weight, {"type": "integer", "minimum": 1, "maximum": 10_000}, _SHARE, _PERCENT, _RATIO),
]
"""Buckets of the 10,000, or a share."""
Moment = Annotated[datetime, *_json(_moment, {"type": "string", "examples": ["2026-03-01T09:00:00+01:00"]})]
"""An aware time, in UTC."""
UtcOffset = Annotated[
    int, *_json(_utc_offset, {"type": "string", "pattern": "^[+-][01][0-9]:[0-5][0-9]$", "examples": ["+01:00"]})
]
"""Minutes east of UTC."""
Key = Annotated[str, *_json(_key, {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"})]
"""A name of something in the definition."""
Term = Annotated[str, *_json(_term, {"type": "string", "pattern": "^[^:]+(:[^:]+)*$", "examples": ["timing:price"]})]
"""A factor of a factorial experiment, or the interaction of several, joined by colons."""
Label = Annotated[str, *_json(_label, {"type": "string", "pattern": "^[^:]{1,100}$"})]
"""A name that the shop gave: an event, an attribute, a product."""
Text = Annotated[str, *_json(_text, {"type": "string", "minLength": 1, "maxLength": 4_000})]
"""Text for people."""
Currency = Annotated[str, *_json(_currency, {"type": "string", "pattern": "^[A-Z]{3}$", "examples": ["EUR"]})]
"""An ISO 4217 code."""
_ANY_SCALAR = {"type": ["string", "number", "boolean"]}
Value = Annotated[str | int | float | bool, *_json(_value, _ANY_SCALAR)]
"""What an attribute is compared with."""
Threshold = Annotated[str | int | float, *_json(_threshold, {"type": ["string", "number"]})]
"""What an attribute is ordered against."""
Scalars = Annotated[
    tuple[str | int | float | bool, ...], *_json(_scalars, {"type": "array", "minItems": 1, "items": _ANY_SCALAR})
]
"""What an attribute may be one of."""
