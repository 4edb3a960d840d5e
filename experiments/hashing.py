"""The one hash behind every assignment, such that any warehouse can recompute it.

``bucket(salt, visitor) = int(md5(f"{salt}:{visitor}" in UTF-8).hexdigest()[:15], 16) % 10_000``: 60 bits are positive
in every engine's BIGINT, and PostgreSQL, DuckDB, BigQuery, Snowflake, Spark, ClickHouse and MySQL all have md5.
"""

from __future__ import annotations

from struct import Struct

from ..errors import InputError
from .definition import BUCKETS

try:
    # Python's own md5 hashes so short a text in less than half of OpenSSL's time, and a FIPS build does not forbid it.
    from _md5 import md5
except ImportError:  # pragma: no cover - an interpreter that was built without it
    from functools import partial
    from hashlib import md5 as _any_md5

    md5 = partial(_any_md5, usedforsecurity=False)

__all__ = [
    "BUCKETS",
    "LONGEST_VISITOR",
    "bucket",
    "bucket_of_bytes",
    "canonical_visitor",
    "encode_visitor",
    "first_64_bits",
    "md5",
]

first_64_bits = Struct(">Q").unpack_from
"""Of a digest, as a tuple of one integer."""

LONGEST_VISITOR = 255
"""Most UTF-8 bytes that a visitor id may have."""


def bucket(salt: str, visitor: str | int) -> int:
    """Bucket of a visitor under a salt, 0 to 9,999.

    Raises:
        InputError: an impossible visitor id, or ":" in the salt ("a:b" with visitor "c" would equal "a" with "b:c").
    """
    if ":" in salt:
        raise InputError(f"a salt must not contain ':', seen {salt!r}")
    return bucket_of_bytes(f"{salt}:".encode(), encode_visitor(visitor)[1])


def bucket_of_bytes(prefix: bytes, visitor: bytes) -> int:
    """Bucket for an already encoded ``salt:`` prefix and visitor id."""
    # 15 hex digits are the upper 60 of the first 64 bits.
    return (first_64_bits(md5(prefix + visitor).digest())[0] >> 4) % BUCKETS


def canonical_visitor(visitor: str | int) -> str:
    """The visitor id as it is hashed and stored: text as given, an integer written in decimal.

    Raises:
        InputError: for None, bool, float, bytes and everything else that is no id; for "", NUL, surrogates and ids of
            more than 255 UTF-8 bytes.
    """
    # As in encode_visitor, whose bytes nobody needs here.
    if type(visitor) is str and visitor.isascii() and 0 < len(visitor) <= LONGEST_VISITOR and "\0" not in visitor:
        return visitor
    return _encode_carefully(visitor)[0]


def encode_visitor(visitor: str | int) -> tuple[str, bytes]:
    """The canonical visitor id and its UTF-8 bytes; errors as `canonical_visitor`."""
    # Nearly every id is plain ASCII text.
    if type(visitor) is str and visitor.isascii() and 0 < len(visitor) <= LONGEST_VISITOR and "\0" not in visitor:
        return visitor, visitor.encode()
    return _encode_carefully(visitor)


def _encode_carefully(visitor: str | int) -> tuple[str, bytes]:
    if isinstance(visitor, str):
        # Of a class that is both text and Enum, the text.
        text = visitor if type(visitor) is str else str.__str__(visitor)
    elif isinstance(visitor, int) and not isinstance(visitor, bool):
        text = _decimal_digits(visitor)
    else:
        raise InputError(
            f"a visitor id is text or an integer, seen {visitor!r} of type {type(visitor).__name__}",
            hint="Convert the id in one place, so that it is the same on the web, in the app and in the warehouse.",
        )
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"a visitor id must be valid Unicode, seen {text!r} with a lone surrogate") from error
    if not encoded:
        raise InputError("a visitor id must not be empty")
    if len(encoded) > LONGEST_VISITOR:
        raise InputError(
            f"a visitor id has at most {LONGEST_VISITOR} bytes in UTF-8, seen {len(encoded)}: {text[:40]!r}..."
        )
    if 0 in encoded:
        raise InputError(f"a visitor id must not contain the NUL character, seen {text!r}")
    return text, encoded


def _decimal_digits(number: int) -> str:
    # Python refuses to print integers of thousands of digits; such an id is too long anyway.
    if number.bit_length() > 4 * LONGEST_VISITOR:
        raise InputError(f"a visitor id has at most {LONGEST_VISITOR} digits, seen an integer with more")
    return format(int(number), "d")
