"""Records on their way to the store: checked at the call, plain values in the queue and the spool, objects at the end.

A row is its kind and its fields, which JSON can hold exactly: times are UTC microseconds, money is text. So a record
that cannot be stored is refused where the caller can still see it, and never later.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from ..errors import InputError
from .hashing import canonical_visitor
from .records import Exposure, Link, OfferStep, Outcome
from .steps import check_reason, check_step

__all__ = [
    "EXPOSURE",
    "LINK",
    "OFFER_STEP",
    "OUTCOME",
    "Row",
    "exposure_fields",
    "link_fields",
    "offer_step_fields",
    "outcome_fields",
    "read_fields",
]

EXPOSURE, OUTCOME, LINK, OFFER_STEP = "exposure", "outcome", "link", "offer_step"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_LARGEST = 2**53


class Row(NamedTuple):
    """One record waiting for delivery; `key` is its number in the spool, or in the queue of this process."""

    key: int
    kind: str
    fields: Sequence[Any]


def exposure_fields(
    experiment: str,
    phase: int,
    visitor: str | int,
    arm: str,
    at: int,
    assignment_hash: str,
    segments: Mapping[str, str] | None = None,
) -> tuple[Any, ...]:
    """Fields of an exposure; `at` in microseconds, `segments` as `segments_of` keeps them.

    Without segments these are the six fields of always, which a process of an older version delivers as well.

    Raises:
        InputError: an impossible visitor id, or an assignment without experiment or arm.
    """
    # What `assign` answers passes here; only what somebody made by hand is looked at closely.
    if not (type(experiment) is type(arm) is type(visitor) is str and type(phase) is int and experiment and arm):
        for what, text in (("experiment", experiment), ("arm", arm)):
            if not isinstance(text, str) or not text:
                raise InputError(f"an exposure needs the name of its {what}, seen {text!r}")
        if isinstance(phase, bool) or not isinstance(phase, int):
            raise InputError(f"a phase is a whole number, seen {phase!r}")
    if type(visitor) is not str or not visitor.isascii() or "\0" in visitor or not 0 < len(visitor) < 256:
        visitor = canonical_visitor(visitor)
    fields = experiment, phase, visitor, arm, at, assignment_hash
    return (*fields, segments) if segments else fields


def outcome_fields(
    outcome_id: str | int,
    visitor: str | int,
    name: str,
    at: datetime | None,
    value: Decimal | int | None,
    cost: Decimal | int | None,
    quantity: int | None,
    currency: str | None,
    refund_of: str | int | None,
    recorded_at: int,
    reporting_value: Decimal | int | None = None,
    reporting_cost: Decimal | int | None = None,
) -> tuple[Any, ...]:
    """Fields of an outcome; the last two only where there is a reporting amount.

    Raises:
        InputError: an impossible id, name or currency, money that is neither Decimal nor int, a naive time.
    """
    if not isinstance(name, str):
        raise InputError(f"the name of an outcome is text, seen {name!r}")
    if quantity is not None and not _is_whole(quantity):
        raise InputError(f"a quantity is a whole number below 2**53, seen {quantity!r}")
    if currency is not None and not (isinstance(currency, str) and _CURRENCY.fullmatch(currency)):
        raise InputError(f"a currency is an ISO 4217 code of three capitals such as EUR, seen {currency!r}")
    reported = _money("reporting_value", reporting_value), _money("reporting_cost", reporting_cost)
    if refund_of is not None and any(amount is not None and amount < 0 for amount in (value, cost)):
        raise InputError(
            f"a refund's amounts are positive, seen value {value}, cost {cost}",
            hint="Write what was given back and recovered; `refund_of` says that it is taken away.",
        )
    return (
        _as_id("an outcome id", outcome_id),
        canonical_visitor(visitor),
        _as_id("the name of an outcome", name),
        None if at is None else micros(at),
        _money("value", value),
        _money("cost", cost),
        quantity,
        currency,
        None if refund_of is None else _as_id("refund_of", refund_of),
        recorded_at,
        # An older version that reads the same spool knows no more fields than it wrote itself.
        *(() if reported == (None, None) else reported),
    )


def link_fields(anonymous: str | int, customer: str | int, at: int) -> tuple[Any, ...]:
    """Fields of an identity link.

    Raises:
        InputError: an impossible id, or both the same.
    """
    pair = canonical_visitor(anonymous), canonical_visitor(customer)
    if pair[0] == pair[1]:
        raise InputError(f"a visitor cannot be linked to itself, seen {anonymous!r} twice")
    return *pair, at


def offer_step_fields(
    experiment: str, visitor: str | int, step: str, offer: str, at: int, reason: str | None
) -> tuple[Any, ...]:
    """Fields of an offer's step; `at` in microseconds.

    Raises:
        InputError: an impossible visitor id, no experiment, or a step, offer or reason that cannot be.
    """
    if not isinstance(experiment, str) or not experiment:
        raise InputError(f"a step of an offer needs the name of its experiment, seen {experiment!r}")
    if not isinstance(offer, str):
        raise InputError(f"the name of an offer is text, seen {offer!r}")
    known = check_step(step)
    who = canonical_visitor(visitor)
    return experiment, who, known, _as_id("the name of an offer", offer), at, check_reason(known, reason)


def read_fields(kind: str, fields: Sequence[Any]) -> Exposure | Outcome | Link | OfferStep:
    """The record of a row.

    Raises:
        InputError: a kind that this version does not know, or damaged fields.
    """
    try:
        if kind == EXPOSURE:
            experiment, phase, visitor, arm, at, assignment_hash, *more = fields
            (segments,) = more or ({},)
            return Exposure(experiment, visitor, arm, _time(at), phase, assignment_hash, segments)
        if kind == LINK:
            anonymous, customer, at = fields
            return Link(anonymous, customer, _time(at))
        if kind == OFFER_STEP:
            experiment, visitor, step, offer, at, reason = fields
            return OfferStep(experiment, visitor, step, offer, _time(at), reason)
        if kind == OUTCOME:
            outcome_id, visitor, name, at, value, cost, quantity, currency, refund_of, recorded_at, *reported = fields
            reporting_value, reporting_cost = reported or (None, None)
            return Outcome(
                outcome_id,
                visitor,
                name,
                None if at is None else _time(at),
                None if value is None else Decimal(value),
                None if cost is None else Decimal(cost),
                quantity,
                currency,
                refund_of,
                _time(recorded_at),
                None if reporting_value is None else Decimal(reporting_value),
                None if reporting_cost is None else Decimal(reporting_cost),
            )
    except (ArithmeticError, TypeError, ValueError) as error:
        raise InputError(f"a damaged record of kind {kind!r}: {fields!r}") from error
    raise InputError(f"this version does not know records of kind {kind!r}")


def to_json(fields: Sequence[Any]) -> str:
    """The fields as the spool keeps them."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def from_json(text: str) -> Sequence[Any]:
    """The fields as the spool keeps them; () where they are damaged, which `read_fields` then refuses."""
    try:
        fields = json.loads(text)
    except (TypeError, ValueError):
        return ()
    return fields if isinstance(fields, list) else ()


def micros(at: datetime) -> int:
    """Microseconds since 1970 of an aware time.

    Raises:
        InputError: not a datetime, or a naive one.
    """
    if not isinstance(at, datetime):
        raise InputError(f"a time must be a datetime with a time zone, seen {at!r}")
    if at.utcoffset() is None:
        raise InputError(f"a time needs a time zone, seen the naive {at}", hint="Use datetime.now(UTC).")
    return (at - _EPOCH) // _MICROSECOND


def _time(at: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at)


def _is_whole(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and abs(number) < _LARGEST


def _as_id(what: str, value: str | int) -> str:
    try:
        return canonical_visitor(value)
    except InputError as error:
        raise InputError(error.message.replace("a visitor id", what)) from error


def _money(what: str, amount: Decimal | int | None) -> str | None:
    if amount is None:
        return None
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal):
        raise InputError(
            f"the {what} of an outcome must be Decimal or int, seen {amount!r} of type {type(amount).__name__}",
            hint='Write Decimal("29.90"): a float does not hold cents exactly.',
        )
    # `adjusted` before anything of that size is written out: 1e999999 has a million digits.
    if isinstance(amount, Decimal) and (not amount.is_finite() or (amount and amount.adjusted() > 16)):
        raise InputError(f"the {what} of an outcome must be finite and below 2**53, seen {amount}")
    if abs(amount) >= _LARGEST:
        raise InputError(f"the {what} of an outcome must be below 2**53 in size")
    return str(amount)
