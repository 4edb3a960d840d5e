"""Many visitors at once: md5 in numpy, 8,192 ids at a time, for backfills and simulations.

The same answers as `Assigner.assign`, call by call. A block of ids becomes a matrix of padded messages; the 64 steps of
md5 (RFC 1321) then run on columns, one visitor a lane. numpy releases the interpreter's lock in each step, so threads
help.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .assignment import Reason
from .definition import BUCKETS, HOLDOUT_ARMS
from .hashing import LONGEST_VISITOR, encode_visitor

if TYPE_CHECKING:
    from .compiled import Compiled

__all__ = ["BLOCK", "Assignments", "assign_compiled", "buckets"]

BLOCK = 8_192
"""Ids hashed at once: the columns of a block stay in the processor's cache."""

_REASONS = tuple(Reason)
_CODE = {reason: code for code, reason in enumerate(_REASONS)}

_SHIFTS = tuple(
    tuple((np.uint32(left), np.uint32(32 - left)) for left in turn)
    for turn in ((7, 12, 17, 22), (5, 9, 14, 20), (4, 11, 16, 23), (6, 10, 15, 21))
)
_SINES = tuple(np.uint32(int(abs(math.sin(i + 1)) * 2**32) & 0xFFFFFFFF) for i in range(64))
_START = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)


@dataclass(frozen=True, slots=True)
class Assignments:
    """What many visitors get, in the order of their ids. Arrays of length n.

    Attributes:
        experiment: the key asked for.
        phase: of the published version.
        hash: its assignment hash.
        arms: names of the arms in listed order.
        arm: index into `arms`.
        reason: index into `reasons`.
        bucket: under the split's salt, -1 where it did not come to the split.
        held_out: whether the holdout held the visitor out.
        in_holdout: whether the visitor has a side in the running holdout.
        holdout: the holdout's name, None where no running one covers the experiment.
    """

    experiment: str
    phase: int
    hash: str
    arms: tuple[str, ...]
    arm: NDArray[np.int8]
    reason: NDArray[np.int8]
    bucket: NDArray[np.int16]
    held_out: NDArray[np.bool_]
    in_holdout: NDArray[np.bool_]
    holdout: str | None = None
    reasons: tuple[Reason, ...] = _REASONS

    def __len__(self) -> int:
        return len(self.arm)

    @property
    def arm_names(self) -> list[str]:
        """Name of each visitor's arm."""
        return [self.arms[index] for index in self.arm]

    @property
    def reason_names(self) -> list[Reason]:
        """Each visitor's reason."""
        return [self.reasons[code] for code in self.reason]

    def is_reason(self, reason: Reason) -> NDArray[np.bool_]:
        """Who got the arm for this reason; `Reason.SPLIT` takes part in the experiment."""
        return self.reason == _CODE[reason]


def buckets(salt: str, ids: Iterable[str | int], *, threads: int = 1) -> NDArray[np.int16]:
    """Bucket of each visitor under a salt, 0 to 9,999; the same as `offerlift.experiments.bucket`, one by one.

    Args:
        salt: without ":".
        ids: visitor ids.
        threads: how many blocks are hashed at once.

    Raises:
        InputError: ":" in the salt, or an impossible id.
    """
    if ":" in salt:
        raise InputError(f"a salt must not contain ':', seen {salt!r}")
    (found,) = _hash([f"{salt}:".encode()], ids, threads)
    return found


def assign_compiled(
    compiled: Compiled,
    ids: Iterable[str | int],
    attributes: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None,
    at: datetime | None,
    threads: int,
) -> Assignments:
    """The answers of a prepared experiment; see `Assigner.assign_many`."""
    listed = ids if isinstance(ids, Sequence | np.ndarray) else list(ids)
    holdout = compiled.holdout
    if holdout is not None and not holdout.is_open(at):
        holdout = None
    layered = not compiled.all_traffic and compiled.shipped is None
    prefixes = [compiled.split_prefix]
    prefixes += [compiled.traffic_prefix] if layered else []
    prefixes += [holdout.split_prefix] if holdout is not None else []
    found = _hash(prefixes, listed, threads)
    split = found[0]

    n = len(split)
    control = compiled.arms.index(compiled.control_arm)
    arm = _arm_of_bucket(compiled)[split]
    reason = np.full(n, _CODE[Reason.SPLIT], np.int8)
    if layered:
        slot = found[1]
        reason[slot >= compiled.traffic_high] = _CODE[Reason.NOT_IN_TRAFFIC]
        reason[(slot < compiled.layer_low) | (slot >= compiled.layer_high)] = _CODE[Reason.LAYER]
    if compiled.shipped is not None:
        reason[:] = _CODE[Reason.SHIPPED]
    held_out, in_holdout = np.zeros(n, bool), np.zeros(n, bool)
    if holdout is not None:
        held_out = _arm_of_bucket(holdout)[found[-1]] == [one.name for one in holdout.arms].index(HOLDOUT_ARMS[0])
        in_holdout[:] = True
        reason[held_out] = _CODE[Reason.HOLDOUT]
    # From here on in rising precedence: each overwrites what came later in the scalar path.
    refused = _not_eligible(compiled, attributes, n)
    reason[refused] = _CODE[Reason.NOT_ELIGIBLE]
    outside = refused
    if compiled.forced:
        outside = outside.copy()
        for index in _positions(listed, compiled.forced):
            reason[index], outside[index] = _CODE[Reason.FORCED], True
    closed = compiled.closing(at)
    if closed is not None:
        reason[:], outside = _CODE[closed[0]], np.ones(n, bool)
    held_out, in_holdout = held_out & ~outside, in_holdout & ~outside

    splitting = reason == _CODE[Reason.SPLIT]
    arm[~splitting] = control
    if compiled.shipped is not None:
        arm[reason == _CODE[Reason.SHIPPED]] = compiled.arms.index(compiled.shipped)
    if compiled.forced and closed is None:
        for index, name in _positions(listed, compiled.forced).items():
            arm[index] = compiled.arms.index(compiled.forced[name])
    return Assignments(
        experiment=compiled.experiment,
        phase=compiled.phase,
        hash=compiled.hash,
        arms=tuple(one.name for one in compiled.arms),
        arm=arm,
        reason=reason,
        bucket=np.where(splitting, split, np.int16(-1)),
        held_out=held_out,
        in_holdout=in_holdout,
        holdout=None if holdout is None else holdout.experiment,
    )


def _arm_of_bucket(compiled: Compiled) -> NDArray[np.int8]:
    return np.repeat(np.arange(len(compiled.arms), dtype=np.int8), [arm.weight for arm in compiled.arms])


def _not_eligible(
    compiled: Compiled, attributes: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None, n: int
) -> NDArray[np.bool_]:
    if attributes is not None and not isinstance(attributes, Mapping) and len(attributes) != n:
        raise InputError(f"`attributes` must be one mapping for all or one each: {n} visitors, {len(attributes)} seen")
    if compiled.refusal is None:
        return np.zeros(n, bool)
    if attributes is None or isinstance(attributes, Mapping):
        return np.full(n, bool(compiled.refusal(attributes)))
    return np.fromiter((bool(compiled.refusal(one)) for one in attributes), bool, n)


def _positions(ids: Any, wanted: Mapping[str, Any]) -> dict[int, str]:
    """Where the wanted visitors stand among the ids."""
    names = ((index, encode_visitor(_plain(one))[0]) for index, one in enumerate(ids))
    return {index: name for index, name in names if name in wanted}


def _hash(prefixes: Sequence[bytes], ids: Any, threads: int) -> list[NDArray[np.int16]]:
    """Buckets under each ``salt:`` prefix."""
    listed = ids if isinstance(ids, Sequence | np.ndarray) else list(ids)
    if isinstance(listed, str | bytes):
        raise InputError(f"`ids` must be many visitor ids, seen the {type(listed).__name__} {listed[:40]!r}")
    found = [np.empty(len(listed), np.int16) for _ in prefixes]

    def one(start: int) -> None:
        flat, lengths = _encoded(listed[start : start + BLOCK])
        for prefix, into in zip(prefixes, found, strict=True):
            into[start : start + BLOCK] = _buckets(prefix, flat, lengths)

    starts = range(0, len(listed), BLOCK)
    if threads == 1:
        for start in starts:
            one(start)
    else:
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(one, starts):
                pass
    return found


def _encoded(ids: Any) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """All ids as bytes one after the other, and the length of each."""
    if isinstance(ids, np.ndarray):
        ids = list(map(str, ids.tolist())) if ids.dtype.kind in "iu" else ids.tolist()
    try:
        joined = "".join(ids)
        lengths = np.fromiter(map(len, ids), np.intp, len(ids))
    except TypeError:
        joined, lengths = "", np.zeros(1, np.intp)
    plain = joined.isascii() and "\0" not in joined
    if plain and len(ids) and 0 < lengths.min() <= lengths.max() <= LONGEST_VISITOR:
        return np.frombuffer(joined.encode(), np.uint8), lengths
    # Integers, other scripts, and what is refused with its own words.
    encoded = [encode_visitor(_plain(one))[1] for one in ids]
    return np.frombuffer(b"".join(encoded), np.uint8), np.fromiter(map(len, encoded), np.intp, len(encoded))


def _plain(visitor: Any) -> Any:
    return visitor.item() if isinstance(visitor, np.generic) else visitor


def _buckets(prefix: bytes, flat: NDArray[np.uint8], lengths: NDArray[np.intp]) -> NDArray[np.int16]:
    """Buckets of a block under one prefix."""
    words, chunks = _messages(prefix, flat, lengths)
    state = [np.full(len(lengths), word, np.uint32) for word in _START]
    for chunk in range(words.shape[1] // 16):
        block = words[:, 16 * chunk : 16 * chunk + 16]
        if chunk == 0:
            state = _compress(state, block.T.copy())
            continue
        # Longer messages have further chunks; the others are ready.
        longer = np.flatnonzero(chunks > chunk)
        for whole, part in zip(state, _compress([one[longer] for one in state], block[longer].T.copy()), strict=True):
            whole[longer] = part
    high, low = (one.byteswap().astype(np.uint64) for one in state[:2])
    return ((((high << np.uint64(32)) | low) >> np.uint64(4)) % np.uint64(BUCKETS)).astype(np.int16)


def _messages(
    prefix: bytes, flat: NDArray[np.uint8], lengths: NDArray[np.intp]
) -> tuple[NDArray[np.uint32], NDArray[np.intp]]:
    """Each id after the prefix, padded as md5 pads: rows of 16 words a chunk, and how many chunks each has."""
    n, start, longest = len(lengths), len(prefix), int(lengths.max(initial=0))
    totals = lengths + start
    chunks = (totals + 8) // 64 + 1
    message = np.zeros((n, 64 * int(chunks.max(initial=1))), np.uint8)
    message[:, :start] = np.frombuffer(prefix, np.uint8)
    body = message[:, start : start + longest]
    if len(flat) == n * longest:
        body[:] = flat.reshape(n, longest)
    else:
        body[np.arange(longest) < lengths[:, None]] = flat
    rows = np.arange(n)
    message[rows, totals] = 0x80
    words = message.view("<u4")
    words[rows, 16 * chunks - 2] = totals * 8
    return words, chunks


def _compress(state: Sequence[NDArray[np.uint32]], words: NDArray[np.uint32]) -> list[NDArray[np.uint32]]:
    """One chunk of md5 on every column of `words` (16 x n), in place where it can be: this is nearly all the time."""
    a, b, c, d = (one.copy() for one in state)
    t = np.empty_like(a)
    used = [bool(word.any()) for word in words]
    for i in range(64):
        turn = i // 16
        if turn == 0:
            np.bitwise_xor(c, d, out=t)
            t &= b
            t ^= d
            at = i
        elif turn == 1:
            np.bitwise_xor(b, c, out=t)
            t &= d
            t ^= c
            at = (5 * i + 1) % 16
        elif turn == 2:
            np.bitwise_xor(b, c, out=t)
            t ^= d
            at = (3 * i + 5) % 16
        else:
            np.invert(d, out=t)
            t |= b
            t ^= c
            at = 7 * i % 16
        a += t
        a += _SINES[i]
        if used[at]:
            a += words[at]
        left, right = _SHIFTS[turn][i % 4]
        np.left_shift(a, left, out=t)
        a >>= right
        a |= t
        a += b
        a, b, c, d = d, a, b, c
    return [one + two for one, two in zip((a, b, c, d), state, strict=True)]
