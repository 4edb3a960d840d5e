"""Records as plain values and back: nothing lost, bad ones refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from offerlift.errors import InputError
from offerlift.experiments import Exposure, Link, Outcome
from offerlift.experiments.wire import (
    EXPOSURE,
    LINK,
    OUTCOME,
    exposure_fields,
    from_json,
    link_fields,
    micros,
    outcome_fields,
    read_fields,
    to_json,
)

# Two hours ahead of UTC, with microseconds that a float of seconds would not keep.
AT = datetime(2099, 5, 4, 14, 0, 59, 123457, tzinfo=timezone(timedelta(hours=2)))
THEN = datetime(2099, 5, 4, 12, 0, 59, 123457, tzinfo=UTC)


def back(kind: str, fields: tuple[Any, ...]) -> Any:
    return read_fields(kind, from_json(to_json(fields)))


def test_an_outcome_comes_back_whole():
    """Each field is its own, through JSON: money exact and with its zeros, times to the microsecond in UTC."""
    fields = outcome_fields(
        7, 8, "purchase", AT, Decimal("9007199254740991.10"), 0, 3, "SEK", 12, micros(AT + timedelta(seconds=1))
    )
    assert back(OUTCOME, fields) == Outcome(
        "7",
        "8",
        "purchase",
        THEN,
        Decimal("9007199254740991.10"),
        Decimal(0),
        3,
        "SEK",
        "12",
        THEN + timedelta(seconds=1),
    )
    assert str(back(OUTCOME, fields).value) == "9007199254740991.10"
    nothing = outcome_fields("o", "v", "purchase", None, 0, None, None, None, None, 5)
    outcome = back(OUTCOME, nothing)
    assert (outcome.at, outcome.value, outcome.cost, outcome.quantity) == (None, Decimal(0), None, None)


def test_exposures_and_links_come_back_whole():
    """Phase, hash and the two sides of a link are as they were."""
    fields = exposure_fields("exp", 4, "é", "offer", micros(AT), "hash")
    assert back(EXPOSURE, fields) == Exposure("exp", "é", "offer", THEN, 4, "hash")
    assert back(LINK, link_fields("anonymous", 5, micros(AT))) == Link("anonymous", "5", THEN)


@pytest.mark.parametrize("field", ["value", "cost"])
@pytest.mark.parametrize("amount", [2**53, -(2**53), Decimal(2**53), Decimal("1e300"), Decimal("Infinity")])
def test_money_beyond_exact_is_refused(field, amount):
    """From 2**53 on money could not be counted in cents exactly; the error says which amount."""
    money = {"value": None, "cost": None, field: amount}
    with pytest.raises(InputError, match=rf"the {field} of an outcome must be .*below 2\*\*53"):
        outcome_fields("o", "v", "purchase", None, money["value"], money["cost"], None, None, None, 0)


@pytest.mark.parametrize("quantity", [2**53, -(2**53), True, 1.0])
def test_a_quantity_is_a_whole_number(quantity):
    """Below 2**53, and neither a truth value nor a float."""
    with pytest.raises(InputError, match="a quantity is a whole number"):
        outcome_fields("o", "v", "purchase", None, None, None, quantity, None, None, 0)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (OUTCOME, ["o", "v", "purchase", None, "abc", None, None, None, None, 0]),
        (OUTCOME, ["o", "v", "purchase", None, None, None, None, None, None, 10**30]),
        (OUTCOME, ["o"]),
        (EXPOSURE, ["exp", 1, "v", "a", "noon", "h"]),
        (LINK, ["a", "b", 0, 0]),
    ],
    ids=["money", "time", "short", "text", "long"],
)
def test_damaged_fields_are_refused(kind, fields):
    """Whatever is wrong with what a file holds, it is one kind of error, with the fields in it."""
    with pytest.raises(InputError, match="a damaged record"):
        read_fields(kind, fields)
