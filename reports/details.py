"""What a report reads of single visitors, beyond the moments: only where a check asks for it, and once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from ..errors import InputError
from ..stats import Histogram, LargestValues, PermutationTest, permutation_test
from ..storage.distributions import LARGEST
from .offers.readings import OfferDetails, OfferReaders

if TYPE_CHECKING:
    from ..experiments.warehouse import WarehouseTables
    from ..storage import Store, Table, Warehouse
    from ..storage.observations import Observations

__all__ = ["ArmValues", "Counts", "Details", "Largest", "Values"]

Read = TypeVar("Read")


class ArmValues(Protocol):
    """The money of one arm's mature visitors: every visitor's sum, and the largest of them."""

    @property
    def visitors(self) -> Histogram | Sequence[float]:
        """Every visitor's sum, 0 without any."""
        ...

    @property
    def largest(self) -> LargestValues:
        """The largest sums beside all of them."""
        ...


Values = Mapping[int, Mapping[str, Mapping[str, ArmValues]]]
"""Phase -> metric of money -> arm."""

Largest = Mapping[int, Mapping[str, Mapping[str, LargestValues]]]
"""Phase -> metric of money -> arm: the largest sums of its mature visitors beside all of them."""

Counts = Mapping[str, Mapping[int, Mapping[str, int]]]
"""Value of a segment -> phase -> arm -> visitors."""


class Details:
    """Readings of single visitors, each made when it is first asked for and then kept.

    What cannot be read is a sentence instead: a warehouse has no histograms, pruned rows neither.
    """

    def __init__(
        self,
        values: Callable[[], Values] | None = None,
        counts: Callable[[str], Counts] | None = None,
        offers: OfferReaders | None = None,
        largest: Callable[[], Largest] | None = None,
    ) -> None:
        self.offers = OfferDetails(offers)
        self._read_values, self._read_counts, self._read_largest = values, counts, largest
        self._values: Values | str | None = None
        self._largest: Largest | str | None = None
        self._counts: dict[str, Counts | str] = {}
        self._tests: dict[tuple[str, str], PermutationTest | str] = {}

    @classmethod
    def of_store(cls, store: Store, observations: Observations) -> Details:
        """Of the same experiment at the same moment, from the store that the observations are of."""
        key, at = observations.definition.experiment, observations.as_of
        return cls(
            lambda: store.distributions(key, as_of=at).by_phase,
            lambda segment: store.visitors_by(key, segment, as_of=at),
            OfferReaders.of_store(store, observations),
            lambda: store.largest(key, as_of=at),
        )

    @classmethod
    def of_warehouse(cls, warehouse: Warehouse, tables: WarehouseTables, observations: Observations) -> Details:
        """What is split by segments; a warehouse gives no values of single visitors."""
        definition, at = observations.definition, observations.as_of
        return cls(
            None,
            lambda segment: warehouse.visitors_by(definition, tables, segment, as_of=at),
            OfferReaders.of_warehouse(warehouse, tables, observations),
        )

    @classmethod
    def of_table(cls, table: Table) -> Details:
        """The values of a file of one row a visitor, as they are."""
        return cls(lambda: {1: table.values(LARGEST)})

    def values(self) -> Values | str:
        """The money of every visitor; or why there is none."""
        if self._values is None:
            self._values = _read(self._read_values, "The values of single visitors are not read here.")
        return self._values

    def largest(self) -> Largest | str:
        """The largest sums of single visitors, which are read faster than every visitor's; or why there are none."""
        if self._largest is None:
            if self._values is None and self._read_largest is not None:
                self._largest = _read(self._read_largest, "")
            else:
                self._largest = _largest_of(self.values())
        return self._largest

    def counts(self, segment: str) -> Counts | str:
        """The visitors by a segment's values; or why there are none."""
        if segment not in self._counts:
            # Where the moments were split already, they have the visitors too.
            split, read = self.offers.counts(segment), self._read_counts
            if split is not None:
                self._counts[segment] = split
                return split
            self._counts[segment] = _read(
                None if read is None else lambda: read(segment), "The visitors of segments are not read here."
            )
        return self._counts[segment]

    def randomisation(self, metric: str, arm: str, control: str, phases: Sequence[int]) -> PermutationTest | str:
        """The randomisation test of a metric of money; or why there is none."""
        if (metric, arm) not in self._tests:
            self._tests[metric, arm] = self._randomise(metric, arm, control, phases)
        return self._tests[metric, arm]

    def _randomise(self, metric: str, arm: str, control: str, phases: Sequence[int]) -> PermutationTest | str:
        if len(phases) > 1:
            return "The randomisation test is of one phase, and there are several."
        values = self.values()
        if isinstance(values, str):
            return values
        found = values.get(phases[0], {}).get(metric, {})
        if arm not in found or control not in found:
            return "The randomisation test is of money, and this metric is not."
        test = permutation_test(found[arm].visitors, found[control].visitors)
        return test if test.p_value is not None else test.reason


def _largest_of(values: Values | str) -> Largest | str:
    if isinstance(values, str):
        return values
    return {
        phase: {metric: {arm: one.largest for arm, one in arms.items()} for metric, arms in metrics.items()}
        for phase, metrics in values.items()
    }


def _read(read: Callable[[], Read] | None, without: str) -> Read | str:
    if read is None:
        return without
    try:
        return read()
    except InputError as error:
        return error.message
