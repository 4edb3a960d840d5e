"""What a write did: counts that add up, and every record that was not taken with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from ..errors import InputError

__all__ = ["Conflict", "Refusal", "Tally", "WriteResult"]


Record = TypeVar("Record")
Ready = TypeVar("Ready")


@dataclass(frozen=True, slots=True)
class Conflict:
    """A record whose id is stored with other content; the stored one stays.

    `index` is its position among the records written, `message` names both.
    """

    index: int
    message: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that cannot be stored; `index` is its position among the records written."""

    index: int
    message: str


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of the records of one write: new + changed + repeated + conflicts + refused is their number.

    Attributes:
        new: records that are the first of their key.
        repeated: records that changed nothing.
        changed: records that changed a stored row: an exposure earlier than its first one, or in another arm; a step
            of an offer earlier than the stored one.
        crossovers: visitors that became crossovers by this write.
        conflicts: records whose id is stored with other content; not stored.
        refused: records that cannot be stored.
        segments_dropped: values of segments that cannot be kept or that no version of the definition names; their
            exposures are stored without them.
    """

    new: int = 0
    repeated: int = 0
    changed: int = 0
    crossovers: int = 0
    conflicts: tuple[Conflict, ...] = ()
    refused: tuple[Refusal, ...] = ()
    segments_dropped: int = 0


@dataclass(slots=True)
class Tally:
    """A WriteResult in the making."""

    new: int = 0
    repeated: int = 0
    changed: int = 0
    crossovers: int = 0
    conflicts: list[Conflict] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    segments_dropped: int = 0

    def add(self, other: Tally) -> None:
        """Add what a transaction did."""
        self.new += other.new
        self.repeated += other.repeated
        self.changed += other.changed
        self.crossovers += other.crossovers
        self.conflicts += other.conflicts
        self.refused += other.refused
        self.segments_dropped += other.segments_dropped

    def prepared(self, records: Iterable[tuple[int, Record]], prepare: Callable[[int, Record], Ready]) -> list[Ready]:
        """The records that `prepare` takes, with their positions; those that it refuses are counted here."""
        ready = []
        for index, record in records:
            try:
                ready.append(prepare(index, record))
            except InputError as error:
                self.refused.append(Refusal(index, str(error)))
        return ready

    def result(self) -> WriteResult:
        """The frozen result, in the order of the records."""
        return WriteResult(
            self.new,
            self.repeated,
            self.changed,
            self.crossovers,
            tuple(sorted(self.conflicts, key=lambda one: one.index)),
            tuple(sorted(self.refused, key=lambda one: one.index)),
            self.segments_dropped,
        )
