"""What an analysis reads: per-arm counts and moments of one experiment, wherever its rows are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ..experiments.definition import Definition, State
from ..stats.moments import Moments
from .rejections import Rejections

__all__ = ["ArmCounts", "Breakdown", "Observations", "Stratum"]


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """Visitors of an arm.

    `visitors` were first exposed in it; `crossovers` of them were later exposed in another arm; `outcomes` counts, by
    event name, the outcome rows of these visitors that fall into the window of a metric of that event, and under "*"
    the others that a metric of any event takes. `returned` of the visitors were exposed by another phase as well, in
    which they are not analysed.
    """

    visitors: int
    crossovers: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    returned: int = 0


@dataclass(frozen=True, slots=True)
class Stratum:
    """One phase of an experiment, of all its visitors or of those of one segment.

    Attributes:
        phase: its number.
        arms: counts by arm name: those of the definition, then those that this phase had and a later one dropped.
        moments: metric name -> arm name -> moments of the mature visitors, as in `Observations`.
        exposures_by_day: when the days of the definition's offset begin, in order, each with the visitors first exposed
            on it by arm.
        shares: planned share of the visitors by arm, in this phase; empty where they are the definition's.
    """

    phase: int
    arms: Mapping[str, ArmCounts]
    moments: Mapping[str, Mapping[str, Moments]]
    exposures_by_day: tuple[tuple[datetime, Mapping[str, int]], ...] = ()
    shares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Breakdown:
    """An experiment's visitors, split by an attribute that was stored with their exposure.

    Attributes:
        segment: name of the attribute.
        as_of: the moment of the analysis.
        values: value of the attribute -> its strata, one a phase; visitors without a value are "(missing)", those with
            one that is not listed by itself "(other)".
    """

    segment: str
    as_of: datetime
    values: Mapping[str, tuple[Stratum, ...]]


@dataclass(frozen=True, slots=True)
class Observations:
    """Everything that the statistics get to see of an experiment.

    Attributes:
        definition: the version that was analysed.
        state: its state in the store; "stopped" for a table.
        as_of: the moment of the analysis; visitors whose window ends later wait.
        arms: counts for every arm of the definition, in its order (zeros where nobody came).
        moments: metric name -> arm name -> moments of the *mature* visitors, with the columns
            `metric.moment_columns`, money in major units. `moments[m][a].n` is the number of mature visitors.
        unknown_arms: exposures in arms that the definition of their phase does not have, by arm name.
        first_exposure, last_exposure: None without visitors.
        refused_rows: rows of a table that were left out because they could not be read.
        phase: of the version that was analysed.
        exposures_by_day: when the days of the definition's offset begin, in order, each with the visitors first exposed
            on it by arm of the definition; empty where the days are not known, as in a table.
        earlier: strata of the phases before this one; `arms`, `moments` and `exposures_by_day` are of the phase that
            was analysed.
        unreported_rows: outcomes and refunds in another currency without a value in the reporting one: no money column
            has them, in any phase.
        orphaned_refunds: refunds whose original is not stored; not counted.
        rejections: records that contradicted a stored one or were refused; None where nobody counts them, as in a
            warehouse.
    """

    definition: Definition
    state: State
    as_of: datetime
    arms: Mapping[str, ArmCounts]
    moments: Mapping[str, Mapping[str, Moments]]
    unknown_arms: Mapping[str, int] = field(default_factory=dict)
    first_exposure: datetime | None = None
    last_exposure: datetime | None = None
    refused_rows: int = 0
    phase: int = 1
    exposures_by_day: tuple[tuple[datetime, Mapping[str, int]], ...] = ()
    earlier: tuple[Stratum, ...] = ()
    unreported_rows: int = 0
    orphaned_refunds: int = 0
    rejections: Rejections | None = None

    @property
    def strata(self) -> tuple[Stratum, ...]:
        """All phases in order, the analysed one last."""
        return *self.earlier, Stratum(self.phase, self.arms, self.moments, self.exposures_by_day)
