"""An additive histogram of whole numbers: what quantiles and resampling need of a distribution, however many rows.

Every value is kept to two significant digits, towards zero: 12,345 is in the bin of 12,000 to 12,999, which is written
12,000. So bins are the same for every arm and day, up to 99 they hold one value each, above they are at most a tenth of
their value wide, and two histograms add up by adding their counts. (HdrHistogram keeps binary digits the same way;
decimal ones can be read, and SQL can compute them with nothing but comparisons and remainders.)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

from ..errors import InputError

__all__ = ["DIGITS", "LARGEST_SHARE_LIMIT", "Histogram", "LargestValues", "bin_of", "bin_width"]

DIGITS = 17
"""Values of so many digits are told apart; a larger one counts as the largest of them, 10¹⁷ - 10¹⁵ in size."""


LARGEST_SHARE_LIMIT = 0.05
"""One visitor with more than this share of an arm's total decides its mean: a bot, a reseller, or a typing error."""


def bin_width(edge: int) -> int:
    """How many whole numbers a bin holds; that of 0 to 99, in either direction, one."""
    return 10 ** max(min(len(str(abs(edge))), DIGITS) - 2, 0)


def bin_of(value: int) -> int:
    """The bin of a value: the number of its sign and first two digits that is nearest to zero."""
    size = min(abs(value), 10**DIGITS - 1)
    size -= size % bin_width(size)
    return size if value >= 0 else -size


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values lie in each bin.

    Attributes:
        counts: bin -> values in it, bins in order and none empty; of money, bins are in minor units.
        scale: what a value is divided by to be in major units (100 for cents); 1 for plain numbers.

    Example:
        >>> orders = Histogram.of([1999, 2495, 12_345], scale=100)
        >>> orders.n, orders.quantile(0.5)
        (3, 24.495)
    """

    counts: Mapping[int, int]
    scale: int = 1

    def __post_init__(self) -> None:
        for edge, number in self.counts.items():
            if bin_of(edge) != edge:
                raise InputError(f"a histogram has a bin {edge!r}; bins have two significant digits: {bin_of(edge)}")
            if isinstance(number, bool) or not isinstance(number, int) or number < 0:
                raise InputError(f"a histogram counts {number!r} in bin {edge}; whole numbers of at least 0 are needed")
        if self.scale < 1:
            raise InputError(f"a histogram has scale {self.scale!r}; at least 1 is needed")
        kept = {edge: self.counts[edge] for edge in sorted(self.counts) if self.counts[edge]}
        object.__setattr__(self, "counts", MappingProxyType(kept))

    @classmethod
    def of(cls, values: Iterable[int], *, scale: int = 1) -> Histogram:
        """The histogram of whole numbers, in minor units."""
        return cls(Counter(map(bin_of, values)), scale)

    @property
    def n(self) -> int:
        """How many values there are."""
        return sum(self.counts.values())

    def __add__(self, other: Histogram) -> Histogram:
        if self.scale != other.scale:
            raise InputError(f"histograms of different scales cannot be added: {self.scale} and {other.scale}")
        return Histogram(Counter(self.counts) + Counter(other.counts), self.scale)

    def bins(self) -> list[tuple[float, float, int]]:
        """For each bin that is not empty: from and below, in major units, and how many values; the least first.

        Of negative values it is above and up to.
        """
        found = []
        for edge, number in self.counts.items():
            width = bin_width(edge)
            low, high = (edge, edge + width) if edge >= 0 else (edge - width, edge)
            found.append((low / self.scale, high / self.scale, number))
        return found

    def quantile(self, share: float) -> float | None:
        """The value, in major units, that `share` of the values do not exceed; None of no values.

        It is the middle of the bin that holds the value at position ⌈share · n⌉ in order (Hyndman and Fan's type 1), so
        it is exact up to 99 minor units and within 5 % above.

        Raises:
            InputError: a share outside 0 to 1.
        """
        if not 0 <= share <= 1:
            raise InputError(f"a quantile is of a share from 0 to 1, seen {share!r}")
        position, passed = max(math.ceil(Fraction(share) * self.n), 1), 0
        for edge, number in self.counts.items():
            passed += number
            if passed >= position:
                middle = (bin_width(edge) - 1) / 2
                return (edge + middle if edge >= 0 else edge - middle) / self.scale
        return None


@dataclass(frozen=True, slots=True)
class LargestValues:
    """The largest values of an arm beside all of them: whether a few decide the mean.

    Attributes:
        values: the largest, in major units, the largest first.
        total: the sum of all values.

    Example:
        >>> LargestValues((900.0, 80.0), 2000.0).share()
        0.45
    """

    values: tuple[float, ...]
    total: float

    def share(self, number: int = 1) -> float | None:
        """What the `number` largest make up of the total; None where that is not above 0.

        Raises:
            InputError: a number below 1.
        """
        if number < 1:
            raise InputError(f"the share is that of at least 1 value, seen {number!r}")
        return sum(self.values[:number]) / self.total if self.total > 0 else None

    @property
    def is_concentrated(self) -> bool:
        """Whether the largest value alone is more than `LARGEST_SHARE_LIMIT` of the total: look at it, and at a cap."""
        share = self.share()
        return share is not None and share > LARGEST_SHARE_LIMIT
