"""Times as the store keeps them: UTC microseconds since 1970, an integer on every engine."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone

from ..errors import InputError

__all__ = ["as_of_time", "from_micros", "now_micros", "parse_time", "to_micros"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# With a window added or taken away, every time in between is still one that a datetime can hold.
_LAST = datetime(2100, 1, 1, tzinfo=UTC)


def to_micros(at: datetime) -> int:
    """Microseconds since 1970 of an aware time.

    Raises:
        InputError: not a datetime, one without an offset, or one outside 1970 to 2099 UTC.
    """
    if not isinstance(at, datetime):
        raise InputError(f"a time must be a datetime with a time zone, seen {at!r}")
    if at.utcoffset() is None:
        raise InputError(
            f"a time needs a time zone, seen {at.isoformat()}",
            hint="Use datetime.now(timezone.utc), or add the offset that the clock had.",
        )
    return (_plausible(at) - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The UTC time of that many microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=micros)


def now_micros() -> int:
    """Microseconds since 1970 by this machine's clock."""
    return to_micros(datetime.now(UTC))


def parse_time(text: str) -> datetime:
    """The time written in ISO 8601, with an offset or Z.

    Raises:
        InputError: another notation, no offset, or a time outside 1970 to 2099 UTC.
    """
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InputError(f"a time must look like 2026-05-04T13:45:00Z, seen {text!r}") from None
    if at.utcoffset() is None:
        raise InputError(f"a time needs its offset (Z or +02:00), seen {text!r}")
    return _plausible(at)


def as_of_time(text: str, utc_offset_minutes: int) -> datetime:
    """The moment of an analysis: a time with its offset, or a date, which means the end of that day by the offset.

    Of today it is now: what has not happened yet has not passed either.

    Raises:
        InputError: neither, or one that lies in the future or before 1970.
    """
    now, local = datetime.now(UTC), timezone(timedelta(minutes=utc_offset_minutes))
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        at = parse_time(text)
        is_later = at > now
    else:
        today = now.astimezone(local).date()
        if day == today:
            return now
        is_later = day > today
        at = datetime.combine(day, time.max, local)
    if is_later:
        raise InputError(f"{text!r} lies in the future; an analysis is as of now or of an earlier time")
    return _plausible(at)


def _plausible(at: datetime) -> datetime:
    # Aware times are compared as instants, whatever their offsets, and without overflow at year 1 or 9999.
    if not _EPOCH <= at < _LAST:
        raise InputError(f"a time must lie from 1970-01-01 to 2099-12-31 UTC, seen {at.isoformat()}")
    return at
