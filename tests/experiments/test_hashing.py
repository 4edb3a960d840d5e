from __future__ import annotations

import hashlib
import json
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offerlift.errors import InputError
from offerlift.experiments import bucket, canonical_visitor

# salt, visitor, bucket: computed independently by the md5 of databases.
ANCHORS: list[tuple[str, str, int]] = [
    (salt, visitor, expected)
    for salt, visitor, expected in json.loads(
        (Path(__file__).parents[1] / "assignment_anchors.json").read_text(encoding="utf-8")
    )
]


@pytest.mark.parametrize(("salt", "visitor", "expected"), ANCHORS)
def test_anchor(salt: str, visitor: str, expected: int) -> None:
    """The bucket is the pinned one, whatever the script, length or case of the id."""
    assert bucket(salt, visitor) == expected


@settings(deadline=None, derandomize=True)
@given(st.text(st.characters(codec="utf-8", exclude_characters=":"), max_size=20), st.text(min_size=1, max_size=40))
def test_definition(salt: str, visitor: str) -> None:
    """The bucket is the definition word for word, for every salt and visitor."""
    try:
        canonical_visitor(visitor)
    except InputError:
        return
    digits = hashlib.md5(f"{salt}:{visitor}".encode()).hexdigest()[:15]
    assert bucket(salt, visitor) == int(digits, 16) % 10_000


def test_integers_are_decimal_text() -> None:
    """An integer id is the same visitor as its decimal text, beyond 64 bits and below zero too."""
    assert bucket("exp", 9007199254740993) == bucket("exp", "9007199254740993") == 5771
    assert canonical_visitor(-(10**30)) == "-1" + "0" * 30


def test_enumerations_are_their_value() -> None:
    """Text and integers that are also enumerations count as their value, not as the name of the member."""

    class Text(str, Enum):  # noqa: UP042 - the older way to write StrEnum prints as Text.A
        A = "x"

    assert canonical_visitor(Text.A) == "x"
    assert canonical_visitor(StrEnum("Id", {"A": "x"})("x")) == "x"
    assert canonical_visitor(IntEnum("Id", {"A": 7})(7)) == "7"


@pytest.mark.parametrize("visitor", [None, True, 1.0, b"x", (), ["x"]])
def test_impossible_types(visitor: Any) -> None:
    """What is neither text nor an integer is no visitor id, and the message shows it."""
    with pytest.raises(InputError, match="text or an integer") as caught:
        canonical_visitor(visitor)
    assert repr(visitor) in caught.value.message


@pytest.mark.parametrize(
    ("visitor", "problem"),
    [
        ("", "empty"),
        ("a\0b", "NUL"),
        ("\ud800", "surrogate"),
        ("a" * 256, "256"),
        ("ü" * 128, "256"),
        (10**255, "256"),
        pytest.param(10**5_000, "digits", id="unprintable"),
    ],
)
def test_impossible_ids(visitor: str | int, problem: str) -> None:
    """Ids that not every store can hold are refused, integers too long to print included."""
    with pytest.raises(InputError, match=problem):
        canonical_visitor(visitor)


def test_longest_id() -> None:
    """255 bytes are allowed, counted in UTF-8."""
    assert canonical_visitor("ü" * 127 + "a") == "ü" * 127 + "a"


def test_ids_are_not_normalized() -> None:
    """Case, spaces and Unicode forms are kept: they are different visitors."""
    assert len({canonical_visitor(one) for one in ("a", "A", " a", "m\u00fc", "mu\u0308")}) == 5


def test_salt_without_colon() -> None:
    """A salt with a colon is refused, because a:b with c would be a with b:c."""
    with pytest.raises(InputError, match="must not contain ':'"):
        bucket("a:b", "c")


def test_buckets_are_uniform_and_independent() -> None:
    """Ids counted up spread evenly over 100 cells, and two salts are independent (chi-square far from its tails)."""
    visitors = [f"visitor-{number}" for number in range(50_000)]
    first = [bucket("one/s", visitor) for visitor in visitors]
    second = [bucket("two/s", visitor) for visitor in visitors]
    for cells in (
        [value // 100 for value in first],
        [value % 100 for value in first],
        [value // 1_000 * 10 + other // 1_000 for value, other in zip(first, second, strict=True)],
    ):
        counts = [cells.count(cell) for cell in range(100)]
        statistic = sum((count - 500) ** 2 / 500 for count in counts)
        # 99 degrees of freedom: about the 1e-4 quantiles at both ends.
        assert 54 < statistic < 161
