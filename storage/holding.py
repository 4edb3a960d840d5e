"""Whom a holdout held out and when, from its published versions: for the audit of the experiments that it covers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from ..experiments.definition import HOLDOUT_ARMS
from ..experiments.snapshot import Published
from .times import to_micros

__all__ = ["Holding", "holdings"]

_FOR_EVER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Holding:
    """A time in which visitors with a bucket in [low, high) under the salt got no offer: [since, until), in UTC
    microseconds."""

    holdout: str
    salt: str
    low: int
    high: int
    since: int
    until: int

    def holds(self, bucket: int, at: int) -> bool:
        """Whether a visitor of that bucket was held out at that time."""
        return self.low <= bucket < self.high and self.since <= at < self.until


def holdings(versions: Sequence[Published]) -> list[Holding]:
    """The times in which a holdout ran, by time; `versions` are all of its versions in order."""
    found: list[Holding] = []
    for version, following in pairwise([*versions, None]):
        one = None if version is None else _holding(version, following)
        if one is None:
            continue
        before = found[-1] if found else None
        # Versions that differ only in what does not matter here are one time.
        if (
            before is not None
            and replace(before, since=one.since, until=one.until) == one
            and before.until == one.since
        ):
            found[-1] = replace(before, until=one.until)
        else:
            found.append(one)
    return found


def _holding(version: Published, following: Published | None) -> Holding | None:
    definition = version.definition
    names = [arm.name for arm in definition.arms]
    if version.state != "running" or HOLDOUT_ARMS[0] not in names:
        return None
    starts = [version.published_at, *([definition.starts_at] if definition.starts_at else [])]
    ends = [*([following.published_at] if following else []), *([definition.ends_at] if definition.ends_at else [])]
    since, until = max(map(to_micros, starts)), min(map(to_micros, ends), default=_FOR_EVER)
    if until <= since:
        return None
    limits = [0, *accumulate(arm.weight for arm in definition.arms)]
    low, high = limits[names.index(HOLDOUT_ARMS[0]) :][:2]
    return Holding(definition.experiment, definition.split_salt, low, high, since, until)
