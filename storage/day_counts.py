"""Visitors by the day of their exposure and by arm, while they are being counted; day and arm are one number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from ..experiments.metrics import DAY
from .cohort import Cohort
from .features import Window

__all__ = ["Calendar", "DayCounts"]


@dataclass(frozen=True, slots=True)
class Calendar:
    """How a day and an arm are one number, small where the day is late.

    Attributes:
        end: microseconds; the last of the day of the analysis.
        lowest: number of the first arm.
        span: how many numbers the arms take.
    """

    end: int
    lowest: int
    span: int

    @classmethod
    def of(cls, cohort: Cohort, arms: Collection[int]) -> Calendar:
        """For days that begin by the cohort's offset, up to that of its analysis."""
        # Python's remainder of a negative number is positive: 1970 may be to come.
        today = cohort.as_of - (cohort.as_of + cohort.offset) % DAY
        return cls(today + DAY - 1, min(arms), max(arms) - min(arms) + 1)

    @property
    def highest(self) -> int:
        """Number of the last arm."""
        return self.lowest + self.span - 1

    def ago(self, at: int) -> int:
        """How many days before that of the analysis a time lies."""
        return (self.end - at) // DAY

    def code(self, at: int, arm: int) -> int:
        """The number of a time's day and an arm."""
        return self.ago(at) * self.span + arm

    def day_and_arm(self, code: int) -> tuple[int, int]:
        """When the day begins, and the arm, of such a number."""
        ago, beyond = divmod(code - self.lowest, self.span)
        return self.end + 1 - (ago + 1) * DAY, self.lowest + beyond


@dataclass(slots=True)
class DayCounts:
    """What was counted so far.

    Attributes:
        closed: of each window that ends the latest exposure whose window has passed.
        numbers: code -> visitors, crossovers, and for each of `closed` the visitors for whom it has passed.
        first, last: exposure; None before the first one.
        strange: visitors in arms that the calendar does not have; they are under no code, or under a wrong one.
    """

    closed: Sequence[int]
    numbers: dict[int, list[int]] = field(init=False)
    first: int | None = None
    last: int | None = None
    strange: int = 0

    def __post_init__(self) -> None:
        self.numbers = defaultdict(lambda: [0] * (2 + len(self.closed)))

    @classmethod
    def for_windows(cls, windows: Iterable[Window], as_of: int) -> DayCounts:
        """Nothing yet, of an analysis at that moment."""
        return cls([window.closed(as_of) for window in windows if window.end is not None])

    def saw(self, first: int, last: int, strange: int) -> None:
        """Take in the first and last exposure of some visitors, and how many were strange."""
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)
        self.strange += strange

    def add(self, code: int, numbers: Iterable[int]) -> None:
        """Count visitors of one day and arm."""
        mine = self.numbers[code]
        for place, number in enumerate(numbers):
            mine[place] += number
