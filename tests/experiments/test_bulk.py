from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offerlift.errors import InputError
from offerlift.experiments import Arm, Assigner, Reason, Rule, bucket
from offerlift.experiments.bulk import BLOCK, buckets

from .shop import NOON, definition, holdout, published

IDS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40),
    st.text("abc", min_size=1, max_size=255),
    st.integers(-(10**30), 10**30),
)


@settings(deadline=None, derandomize=True)
@given(st.lists(IDS, max_size=30), st.text("abc/-.é", min_size=0, max_size=70))
def test_buckets_are_the_scalar_ones(ids: list[str | int], salt: str) -> None:
    """Whatever the ids and the salt, of one chunk of md5 or several, mixed or not: the same as one by one."""
    assert buckets(salt, ids).tolist() == [bucket(salt, one) for one in ids]


@pytest.mark.parametrize("length", [1, 48, 49, 50, 51, 56, 57, 112, 113, 114, 120, 121, 255])
def test_padding_at_each_edge(length: int) -> None:
    """Ids that just fill a chunk of md5, with and without shorter ones beside them."""
    ids = ["x" * length, "y" * length]
    for listed in (ids, [*ids, "z"]):
        assert buckets("exp/s", listed).tolist() == [bucket("exp/s", one) for one in listed]


@pytest.mark.parametrize("count", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 1])
@pytest.mark.parametrize("threads", [1, 2])
def test_blocks(count: int, threads: int) -> None:
    """Ids beyond a block are hashed as well, in their order, by any number of threads."""
    ids = [f"visitor-{number}" for number in range(count)]
    assert buckets("exp/s", ids, threads=threads).tolist() == [bucket("exp/s", one) for one in ids]


def test_kinds_of_ids() -> None:
    """Lists, tuples, iterators and arrays of text and integers are the same visitors."""
    expected = [bucket("e", number) for number in range(100)]
    numbers, texts = range(100), [str(number) for number in range(100)]
    for ids in (numbers, tuple(numbers), iter(texts), np.arange(100), np.array(texts), np.array(texts, dtype=object)):
        assert buckets("e", ids).tolist() == expected


@pytest.mark.parametrize("impossible", ["", "a\0b", "\ud800", "x" * 256, None, True, 1.0, b"x"])
def test_impossible_ids(impossible: Any) -> None:
    """One impossible id among many is refused as in the scalar path."""
    with pytest.raises(InputError) as alone:
        bucket("e", impossible)
    with pytest.raises(InputError) as among:
        buckets("e", ["a", impossible, "b"])
    assert str(among.value) == str(alone.value)


def test_impossible_arguments() -> None:
    """A single text is not a list of ids; a salt has no colon; attributes fit the ids; times are aware."""
    with pytest.raises(InputError, match="many visitor ids"):
        buckets("e", "abc")
    with pytest.raises(InputError, match="':'"):
        buckets("a:b", ["c"])
    assigner = Assigner({"exp": published(definition())})
    with pytest.raises(InputError, match="2 visitors, 1 seen"):
        assigner.assign_many("exp", ["a", "b"], [{}])
    with pytest.raises(InputError, match="time zone"):
        assigner.assign_many("exp", ["a"], at=datetime(2026, 3, 1))  # noqa: DTZ001 - refused
    with pytest.raises(InputError, match="no experiment 'exq'"):
        assigner.assign_many("exq", ["a"])


STATES = st.sampled_from([("running", None), ("paused", None), ("stopped", None), ("stopped", "b"), ("draft", None)])
EDGES = st.tuples(st.integers(0, 9_999), st.integers(0, 10_000)).filter(lambda pair: pair[0] < pair[1])


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    STATES,
    EDGES,
    st.fractions(Fraction(1, 50), 1),
    st.sampled_from([None, ("running", NOON + timedelta(days=9)), ("running", NOON), ("paused", None)]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, {"country": "DE"}, {"country": "FR"}, "each"]),
    st.integers(0, 10_000),
)
def test_assign_many_is_assign(
    state: Any,
    layer_range: tuple[int, int],
    traffic: Fraction,
    covered: Any,
    ruled: bool,
    ended: bool,
    attributes: Any,
    weight: int,
) -> None:
    """Whatever the experiment, arm, reason, bucket and holdout are those of `assign`, one by one."""
    one = definition(
        arms=(Arm("a", weight), Arm("b", 10_000 - weight), Arm("c", 0)),
        layer_range=layer_range,
        traffic=traffic,
        holdouts=("spring",) if covered else (),
        eligibility=(Rule("country", "eq", "DE"),) if ruled else (),
        ends_at=NOON if ended else None,
    )
    experiments = {"exp": published(one, state[0], serve=state[1])}
    if covered:
        experiments["spring"] = published(holdout(held=3_000, ends_at=covered[1]), covered[0])
    assigner = Assigner(experiments, forced={"exp": {"3": "b", "u5": "c"}})
    ids: list[str | int] = [number if number % 2 else f"u{number}" for number in range(60)]
    ids += ["A", "a", "\u00e9", "e\u0301", "日本", "😀", "a:b", " ", "x" * 64, "ü" * 127, "x" * 255, -7, 10**30]
    many_attributes = (
        [{"country": "DE"} if n % 3 else {} for n in range(len(ids))] if attributes == "each" else attributes
    )
    for at in (NOON - timedelta(seconds=1), NOON):
        many = assigner.assign_many("exp", ids, many_attributes, at=at)
        each = [
            assigner.assign("exp", visitor, many_attributes[n] if attributes == "each" else attributes, at=at)
            for n, visitor in enumerate(ids)
        ]
        assert many.arm_names == [answer.arm for answer in each]
        assert many.reason_names == [answer.reason for answer in each]
        assert [None if b < 0 else b for b in many.bucket.tolist()] == [answer.bucket for answer in each]
        assert many.held_out.tolist() == [answer.holdout == ("spring", "held_out") for answer in each]
        assert many.in_holdout.tolist() == [answer.holdout is not None for answer in each]
        assert (many.phase, many.hash, len(many)) == (each[0].phase, each[0].hash, len(ids))


def test_who_takes_part() -> None:
    """The mask of a reason picks its visitors."""
    assigner = Assigner({"exp": published(definition(traffic=Fraction(1, 4)))})
    ids = [str(number) for number in range(400)]
    mask = assigner.assign_many("exp", ids, at=datetime.now(UTC)).is_reason(Reason.SPLIT)
    assert mask.tolist() == [bucket("exp/t", one) < 2_500 for one in ids]
