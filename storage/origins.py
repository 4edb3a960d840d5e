"""Where an experiment's rows come from: the relations, whose rows are read, and how its arms are called there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from ..experiments.definition import Definition
from ..experiments.snapshot import Published
from .cohort import Cohort
from .features import refuse_unexecuted
from .lookups import arm_ids, find_ids
from .sources import Sources, store_sources
from .tables import experiment, import_file, name

__all__ = ["Origin", "offset_of", "store_origin", "used_names"]

MINUTE = 60_000_000
"""In microseconds."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What every analysis of an experiment begins with.

    Attributes:
        definition: what is analysed.
        sources: the relations.
        cohort: whose rows are read.
        arms: arm_id in the relations -> its name.
        refused_rows: those that were left out because they could not be read.
    """

    definition: Definition
    sources: Sources
    cohort: Cohort
    arms: Mapping[int, str]
    refused_rows: int = 0

    @property
    def phase(self) -> int:
        """The one that is analysed, the last."""
        return self.cohort.phases[-1]


def store_origin(connection: Connection, published: Published, as_of: int, segment: str | None = None) -> Origin:
    """A published version in its store: all phases up to its own.

    Raises:
        InputError: a metric says something that is not computed yet.
    """
    definition = published.definition
    refuse_unexecuted(definition)
    used = used_names(definition) | ({segment} if segment is not None else set())
    number = find_ids(connection, experiment, [definition.experiment])[definition.experiment]
    # A draft is in no phase yet; nobody was exposed in the first one.
    phases = tuple(range(1, max(published.phase, 1) + 1))
    refused = select(func.sum(import_file.c.refused)).where(import_file.c.experiment_id == number)
    return Origin(
        definition,
        store_sources(connection, definition.currency, as_of),
        Cohort(number, phases, as_of, find_ids(connection, name, used), segment, offset_of(definition)),
        {arm_id: arm for arm, arm_id in arm_ids(connection, number).items()},
        int(connection.scalar(refused) or 0),
    )


def used_names(definition: Definition) -> set[str]:
    """Events and covariates that some metric needs, and the event of offers that were seen."""
    events = {column.event for metric in definition.metrics for column in metric.columns if column.event is not None}
    if definition.shown_event is not None:
        events.add(definition.shown_event)
    return events | {metric.covariate.name for metric in definition.metrics if metric.covariate is not None}


def offset_of(definition: Definition) -> int:
    """Microseconds that the clock by which days begin is ahead of UTC."""
    return definition.utc_offset_minutes * MINUTE
