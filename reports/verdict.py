"""What the decision rule looks at, and what it says of one treatment arm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ..stats import Boundary, ErrorBudget, Finding
from ..storage.observations import Observations
from .tree import Action, MetricRow

__all__ = ["LookAt", "Reading", "Verdict"]


@dataclass(frozen=True)
class Verdict:
    """What to do about one treatment arm, and why.

    Attributes:
        finding: the branch of the rule; None before there is anything to find.
        cause: the why in a few words, for a list of arms.
        gain: the judged estimate of the primary metric, counted in the desired direction.
        sureness: the larger, the farther from no effect.
    """

    arm: str
    action: Action
    reason: str
    finding: Finding | None = None
    cause: str = ""
    gain: float | None = None
    sureness: float | None = None


@dataclass(frozen=True)
class LookAt:
    """A look that is being made.

    Attributes:
        number: 1 for the first.
        at: the moment of the analysis.
        clock: share of the planned sample that is reached.
        planned: whether the plan asks for it.
        last: whether it is the planned end, which spends the rest.
        primary: the boundary of each arm on the primary metric, two-sided.
        alarm: of each guardrail in each arm against the desired direction; None without guardrails.
        earlier: clocks and primary boundaries of the looks before.
    """

    number: int
    at: datetime
    clock: float
    planned: bool
    last: bool
    primary: Boundary
    alarm: Boundary | None
    earlier: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())


@dataclass(frozen=True)
class Reading:
    """Everything that the rule looks at.

    Attributes:
        budget: what the primary's p-value has to fall below, after guardrails and several arms, and each alarm.
        conversions: converted visitors (or orders) by arm; None where no metric counts them.
        ended: why no more data will come, or "" while it may.
        srm_suspected: the fixed sample ratio test fails, the sequential one does not.
        metrics: all of them, for the reasons: none but the primary and the guardrails enters the rule.
        look: the planned look, whose boundaries decide; None where the always-valid interval does.
    """

    observations: Observations
    primary: MetricRow
    guardrails: tuple[MetricRow, ...]
    metrics: tuple[MetricRow, ...]
    budget: ErrorBudget
    conversions: Mapping[str, int] | None
    ended: str
    srm_suspected: bool
    look: LookAt | None = None
