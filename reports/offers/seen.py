"""What the parts are built from, and what several of them ask of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...experiments.definition import Definition
from ...storage.observations import Observations
from ..details import Details
from ..tree import ComparisonRow, MetricRow
from .tree import Estimate, IntervalKind

__all__ = ["Seen", "deciding", "money_metric"]


@dataclass(frozen=True, slots=True)
class Seen:
    """An experiment at one moment.

    Attributes:
        observations: counts and moments.
        metrics: the scorecard's rows, with the intervals of the last look.
        details: reads what the observations do not have, once.
        has_looks: whether the plan has looks, whose intervals then decide.
    """

    observations: Observations
    metrics: Sequence[MetricRow]
    details: Details
    has_looks: bool

    @property
    def definition(self) -> Definition:
        """The version that was analysed."""
        return self.observations.definition

    def metric(self, name: str) -> MetricRow:
        """The row of that metric."""
        return next(row for row in self.metrics if row.metric == name)

    @property
    def deciding(self) -> IntervalKind:
        """Which interval decides."""
        return "sequential" if self.has_looks else "always_valid"


def money_metric(seen: Seen) -> MetricRow | None:
    """The metric that money is counted by: a margin before revenue, the primary first, then the guardrails."""
    for kind in ("margin", "revenue"):
        for row in seen.metrics:
            if row.kind == kind:
                return row
    return None


def deciding(comparison: ComparisonRow, *, has_looks: bool) -> Estimate:
    """The difference with the interval that decides: of the last look, or the always-valid one without a plan."""
    if has_looks:
        row = comparison.sequential
        return Estimate() if row is None else Estimate(row.estimate, row.low, row.high)
    adjusted = comparison.adjusted
    judged = adjusted.difference if comparison.judged_by == "adjusted" and adjusted else comparison.difference
    return Estimate(judged.estimate, comparison.anytime.low, comparison.anytime.high)
