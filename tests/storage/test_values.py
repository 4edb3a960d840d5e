"""Money in minor units, times in microseconds, cells of files."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offerlift.errors import InputError
from offerlift.experiments.scalars import Key, Label
from offerlift.storage.cells import parse_flag, parse_number, parse_whole
from offerlift.storage.money import LARGEST, check_currency, major_units, minor_units, parse_minor_units
from offerlift.storage.names import check_event, check_key
from offerlift.storage.times import as_of_time, from_micros, parse_time, to_micros
from pydantic import TypeAdapter


@given(st.integers(-LARGEST, LARGEST), st.sampled_from(["EUR", "JPY", "KWD", "CLF"]))
@settings(derandomize=True)
def test_money_there_and_back(amount, currency):
    """Minor units to major units and back are the same, for currencies of 0, 2, 3 and 4 places, up to 2**53."""
    major = major_units(amount, currency)
    assert minor_units(major, currency) == amount
    assert parse_minor_units(str(major), currency) == amount


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("29.90", "EUR", 2990),
        (" 29.9 ", "EUR", 2990),
        ("-0.01", "EUR", -1),
        ("+5", "EUR", 500),
        (".5", "EUR", 50),
        ("5.", "EUR", 500),
        ("1e3", "EUR", 100_000),
        ("29.990000000000002", "EUR", 2999),
        ("0.30000000000000004", "EUR", 30),
        ("1234", "JPY", 1234),
        ("1.234", "KWD", 1234),
        ("90071992547409.92", "EUR", 2**53),
    ],
)
def test_amounts_in_files(text, currency, minor):
    """Plain decimals, and printed doubles that are whole minor units within 1e-9, are read exactly."""
    assert parse_minor_units(text, currency) == minor


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "nan",
        "NaN",
        "inf",
        "-Infinity",
        "abc",
        "1,5",
        "1_000",
        "€5",
        "0x10",
        "1e999",
        "1e9999999",
        "29.901",
        "29.9900001",
        "90071992547409.93",
        "٣",
        "--1",
        "1e",
        "1 000",
    ],
)
def test_amounts_that_are_refused(text):
    """Whatever is no exact amount - NaN, text, parts of a cent, too much - is refused with what was seen."""
    with pytest.raises(InputError) as error:
        parse_minor_units(text, "EUR")
    assert text.strip() in str(error.value)


@pytest.mark.parametrize("amount", ["1e-999999999", "-1e-30", "0.004999", "12.3450000000000000000000000001"])
def test_parts_of_a_cent_are_refused_however_small(amount):
    """Nothing is rounded away, and nothing of a thousand digits is computed to find that out."""
    with pytest.raises(InputError, match="a part of a minor unit is refused"):
        minor_units(Decimal(amount), "EUR")
    assert minor_units(Decimal("0e-999999999"), "EUR") == minor_units(Decimal("0e99"), "EUR") == 0


def test_yen_have_no_cents():
    """A fraction of a yen is a part of a minor unit."""
    with pytest.raises(InputError, match="JPY has 0 decimal places"):
        minor_units(Decimal("1.5"), "JPY")


@given(
    st.datetimes(
        datetime(1970, 1, 2),  # noqa: DTZ001 - hypothesis adds the zone
        datetime(2099, 12, 30),  # noqa: DTZ001 - as above
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7, minutes=30))]),
    )
)
@settings(derandomize=True)
def test_times_there_and_back(at):
    """Microseconds are exact for every year from 1970 to 2099."""
    assert from_micros(to_micros(at)) == at


def test_epoch():
    """The offset is taken into account."""
    assert to_micros(datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))) == 0


@pytest.mark.parametrize(
    "text",
    ["0001-01-01T00:00:00+12:00", "9999-12-31T23:59:59-12:00", "1970-01-01T00:00:00+00:01", "2100-01-01T00:00:00Z"],
)
def test_times_that_no_shop_has_seen(text):
    """A time before 1970 or after 2099 is refused: with a window added, no datetime could hold it."""
    with pytest.raises(InputError, match="from 1970-01-01 to 2099-12-31"):
        parse_time(text)
    with pytest.raises(InputError, match="from 1970-01-01 to 2099-12-31"):
        to_micros(datetime.fromisoformat(text))


def test_zero_has_no_sign():
    """-0 is 0, in files and in records."""
    for text in ("-0", "-0.0", "-1e-99"):
        assert math.copysign(1, parse_number(text)) == 1


@pytest.mark.parametrize("code", ["XXX", "ZZZ", "XTS", "eur", "", None])
def test_what_is_no_currency(code):
    """Three capitals are not enough."""
    with pytest.raises(InputError, match="ISO 4217"):
        check_currency(code)
    assert {check_currency(one) for one in ("EUR", "JPY", "CLF", "UYW")} == {"EUR", "JPY", "CLF", "UYW"}


@pytest.mark.parametrize(
    "key", ["a", "A.b_c-9", "x" * 100, "", "x" * 101, "x\ny", "a:b", "<script>x", "-a", " a", "é", "a\n"]
)
def test_keys_are_those_of_definitions(key):
    """The rule is the definitions' own."""

    def accepted(check):
        try:
            return check(key) == key
        except (InputError, ValueError):
            return False

    assert accepted(check_key) == accepted(TypeAdapter(Key).validate_python)


@pytest.mark.parametrize(
    "name", ["a", "Kauf é", "x" * 100, "", "x" * 101, "pur:chase", " a", "a\x1b", "*", "a b", "a\n"]
)
def test_events_are_those_of_definitions(name):
    """The rule is the definitions' own."""

    def accepted(check):
        try:
            return check(name) == name
        except (InputError, ValueError):
            return False

    assert accepted(check_event) == accepted(TypeAdapter(Label).validate_python)


@pytest.mark.parametrize("text", ["2026-05-04T13:45:00", "2026-05-04", "yesterday", "", "1777902300"])
def test_times_without_offset_are_refused(text):
    """A time in a file needs a date, a time and an offset."""
    with pytest.raises(InputError):
        parse_time(text)


def test_times_in_files():
    """Z and offsets are the same instant."""
    assert parse_time("2026-05-04T13:45:00Z") == parse_time(" 2026-05-04 15:45:00+02:00 ")


@pytest.mark.parametrize("text", ["1", "true", "TRUE", "Yes", " 1.0 "])
def test_yes(text):
    """What says that a visitor converted."""
    assert parse_flag(text) is True


@pytest.mark.parametrize("text", ["0", "false", "False", "no", "0.0"])
def test_no(text):
    """What says that a visitor did not convert."""
    assert parse_flag(text) is False


@pytest.mark.parametrize("text", ["", "2", "y", "nan", "NULL", "-1"])
def test_neither_yes_nor_no(text):
    """Anything else is refused rather than taken for no."""
    with pytest.raises(InputError):
        parse_flag(text)


def test_numbers():
    """Covariates are plain finite numbers, and nothing where the cell is empty; quantities are whole."""
    assert (parse_number("-1.5e3"), parse_number(" "), parse_number("1e-99"), parse_whole("3.0")) == (
        -1500.0,
        None,
        0.0,
        3,
    )
    assert parse_whole("") is None
    for text in ("nan", "inf", "1e61", "1e999", "x", "1_0"):
        with pytest.raises(InputError):
            parse_number(text)
    with pytest.raises(InputError, match="whole number"):
        parse_whole("1.5")


def test_a_date_is_the_end_of_its_day():
    """As of a date: the last microsecond of that day by the experiment's offset; a time is taken as it is."""
    assert as_of_time("2026-05-04", 0) == datetime(2026, 5, 4, 23, 59, 59, 999999, UTC)
    assert as_of_time(" 2026-05-04 ", 120) == datetime(2026, 5, 4, 21, 59, 59, 999999, UTC)
    assert as_of_time("2026-05-04T12:00:00-01:00", 120) == datetime(2026, 5, 4, 13, tzinfo=UTC)


@pytest.mark.parametrize("offset", [-720, 0, 840])
def test_today_is_now(offset):
    """The day that is not over yet ends now: what may still come has not passed."""
    before = datetime.now(UTC)
    today = before.astimezone(timezone(timedelta(minutes=offset))).date()
    found = as_of_time(today.isoformat(), offset)
    # Midnight may strike in between; then the day is over.
    assert before <= found <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2099-12-31", "future"),
        ("9999-12-31", "future"),
        ("2099-12-31T00:00:00Z", "future"),
        ("0001-01-01", "from 1970"),
        ("2026-05-04T12:00:00", "offset"),
        ("yesterday", "must look like"),
        ("", "must look like"),
    ],
)
def test_impossible_moments_of_an_analysis(text, message):
    """The future, times without an offset, and what is no time are refused with what was seen."""
    with pytest.raises(InputError, match=message):
        as_of_time(text, 0)
