"""What visitors did by the number of offers that they were shown: described, and no effect of anything.

How often an offer is seen comes after the assignment: who comes more often sees more offers and buys more too, offer or
not. So these numbers are there to be looked at, and nothing is compared with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection

from ..experiments.snapshot import Published
from ..stats.moments import Moments
from .cohort import Showings
from .lookups import find_ids
from .origins import Origin, store_origin
from .reading import strata_by
from .tables import experiment
from .times import from_micros
from .versions import experiment_keys, latest_version

__all__ = ["MOST_SHOWN", "ByShowings", "count_showings", "read_by_showings"]

MOST_SHOWN = 4
"""From so many offers on, visitors are one group: beyond, there are few of them."""


@dataclass(frozen=True, slots=True)
class ByShowings:
    """A metric by the number of times that a visitor was shown an offer, within the metric's window.

    Where the definition has a `shown_event`, each outcome of it is one. Otherwise it is each different offer with a
    step `delivered`: a store keeps the first time of each, so that one seen again counts once; of a holdout, the offers
    are those of the experiments that it covers. Linked ids are one person, who counts in the arm and phase of the first
    exposure.

    Attributes:
        experiment: its key.
        as_of: what had happened by then.
        metric: name of the metric.
        event: whose outcomes are counted; None: different offers are.
        most: the highest number, which stands for "or more".
        moments: number -> arm -> moments of the mature visitors, one a phase, with the columns
            `metric.moment_columns`, money in major units; numbers that nobody has are left out.
    """

    experiment: str
    as_of: datetime
    metric: str
    event: str | None = None
    most: int = MOST_SHOWN
    moments: Mapping[int, Mapping[str, tuple[Moments, ...]]] = field(default_factory=dict)

    @property
    def is_recorded(self) -> bool:
        """Whether anybody is known to have seen an offer: that is recorded by those who want to."""
        return any(number and any(one.n for one in of) for number, arms in self.moments.items() for of in arms.values())


def read_by_showings(connection: Connection, published: Published, as_of: int) -> ByShowings:
    """The primary metric of a published version by offers shown, as of a time in microseconds."""
    definition = published.definition
    keys = _covered(connection, definition.experiment) if definition.holdout else [definition.experiment]
    numbers = tuple(sorted(find_ids(connection, experiment, keys).values()))
    return count_showings(connection, store_origin(connection, published, as_of), numbers)


def count_showings(connection: Connection, origin: Origin, experiments: tuple[int, ...] = ()) -> ByShowings:
    """The primary metric by offers shown; where the definition has no `shown_event`, by those of these experiments."""
    definition = origin.definition
    metric = replace(definition.metric(definition.plan.primary), covariate=None)
    showings = Showings(definition.shown_event, experiments, metric.window_end, MOST_SHOWN)
    cohort, only = replace(origin.cohort, showings=showings), replace(definition, metrics=(metric,))
    found = strata_by(connection, replace(origin, definition=only, cohort=cohort))
    arms = [arm.name for arm in definition.arms]
    return ByShowings(
        definition.experiment,
        from_micros(origin.cohort.as_of),
        metric.name,
        definition.shown_event,
        moments={
            int(number): {arm: tuple(stratum.moments[metric.name][arm] for stratum in strata) for arm in arms}
            for number, strata in found.items()
        },
    )


def _covered(connection: Connection, holdout: str) -> list[str]:
    """Keys of the experiments that a holdout covers."""
    latest = (latest_version(connection, key).definition for key in experiment_keys(connection))
    return [one.experiment for one in latest if holdout in one.holdouts]
