"""What the parts read beyond the observations: each when it is first asked for, once, and kept."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ...errors import InputError

if TYPE_CHECKING:
    from ...experiments.metrics import Metric
    from ...experiments.warehouse import WarehouseTables
    from ...storage import Store, Warehouse
    from ...storage.exploring import RecordedSegments
    from ...storage.funnels import Funnel
    from ...storage.observations import Breakdown, Observations
    from ...storage.series import SinceExposure
    from ...storage.showings import ByShowings

__all__ = ["NOT_READ", "OfferDetails", "OfferReaders"]

NOT_READ = "Single visitors are not read here: only a store has them."

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class OfferReaders:
    """Where each reading is from; None where there is none.

    Attributes:
        breakdown: counts and moments by a segment's values.
        since_exposure: moments of a metric by days since the exposure, for at most so many days.
        measured: the same visitors by other metrics.
        funnel: how far visitors came with the offers.
        covered: keys of the experiments that a holdout covers.
        by_showings: the primary metric by offers shown.
        recorded_segments: the attributes that there are, planned or not.
        explored: the breakdown by a segment that was not planned, its rare values together.
    """

    breakdown: Callable[[str], Breakdown] | None = None
    since_exposure: Callable[[Metric, int], SinceExposure] | None = None
    measured: Callable[[Sequence[Metric]], Observations] | None = None
    funnel: Callable[[], Funnel] | None = None
    covered: Callable[[], Sequence[str]] | None = None
    by_showings: Callable[[], ByShowings] | None = None
    recorded_segments: Callable[[], RecordedSegments] | None = None
    explored: Callable[[str], Breakdown] | None = None

    @classmethod
    def of_store(cls, store: Store, observations: Observations) -> OfferReaders:
        """Of the same experiment at the same moment."""
        key, at = observations.definition.experiment, observations.as_of
        return cls(
            lambda segment: store.breakdown(key, segment, as_of=at),
            lambda metric, days: store.since_exposure(key, days=days, as_of=at, metrics=[metric]),
            lambda metrics: store.measured(key, metrics, as_of=at),
            lambda: store.funnel(key, as_of=at),
            lambda: [one for one in store.experiments() if key in store.published(one).definition.holdouts],
            lambda: store.by_showings(key, as_of=at),
            lambda: store.recorded_segments(key),
            lambda segment: store.breakdown(key, segment, as_of=at, grouped=True),
        )

    @classmethod
    def of_warehouse(cls, warehouse: Warehouse, tables: WarehouseTables, observations: Observations) -> OfferReaders:
        """Breakdowns alone: neither days since the exposure nor steps of offers are read of a warehouse."""
        definition, at = observations.definition, observations.as_of
        return cls(
            lambda segment: warehouse.breakdown(definition, tables, segment, as_of=at),
            by_showings=lambda: warehouse.by_showings(definition, tables, as_of=at),
            explored=lambda segment: warehouse.breakdown(definition, tables, segment, as_of=at, grouped=True),
        )


class OfferDetails:
    """The readings; what cannot be had is a sentence on why."""

    def __init__(self, readers: OfferReaders | None = None) -> None:
        self._readers = readers or OfferReaders()
        self._kept: dict[Hashable, Any] = {}

    def breakdown(self, segment: str) -> Breakdown | str:
        """Counts and moments by a segment's values."""
        read = self._readers.breakdown
        return self._once(("breakdown", segment), None if read is None else lambda: read(segment))

    def counts(self, segment: str) -> Mapping[str, Mapping[int, Mapping[str, int]]] | str | None:
        """The visitors of a breakdown by value, phase and arm; None where it was not read."""
        found = self._kept.get(("breakdown", segment))
        if found is None or isinstance(found, str):
            return found
        return {
            value: {one.phase: {arm: seen.visitors for arm, seen in one.arms.items()} for one in strata}
            for value, strata in found.values.items()
        }

    def since_exposure(self, metric: Metric, days: int) -> SinceExposure | str:
        """Moments of a metric by days since the exposure."""
        read = self._readers.since_exposure
        return self._once(("since_exposure", metric, days), None if read is None else lambda: read(metric, days))

    def measured(self, metrics: Sequence[Metric]) -> Observations | str:
        """The same visitors by other metrics."""
        read = self._readers.measured
        return self._once(("measured", tuple(metrics)), None if read is None else lambda: read(metrics))

    def funnel(self) -> Funnel | str:
        """How far visitors came with the offers."""
        return self._once("funnel", self._readers.funnel)

    def covered(self) -> Sequence[str] | str:
        """Keys of the experiments that a holdout covers."""
        return self._once("covered", self._readers.covered)

    def by_showings(self) -> ByShowings | str:
        """The primary metric by offers shown."""
        return self._once("by_showings", self._readers.by_showings)

    def recorded_segments(self) -> RecordedSegments | str:
        """The attributes that there are, planned or not."""
        return self._once("recorded_segments", self._readers.recorded_segments)

    def explored(self, segment: str) -> Breakdown | str:
        """Counts and moments by a segment that was not planned, its rare values together."""
        if ("breakdown", segment) in self._kept:
            return self._kept["breakdown", segment]
        read = self._readers.explored
        return self._once(("explored", segment), None if read is None else lambda: read(segment))

    def _once(self, key: Hashable, read: Callable[[], Read] | None) -> Read | str:
        if key not in self._kept:
            try:
                self._kept[key] = NOT_READ if read is None else read()
            except InputError as error:
                self._kept[key] = error.message
        return self._kept[key]
