"""What the decision rule looks at, and what it says of one treatment arm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..storage.observations import Observations
from .tree import Action, MetricRow

__all__ = ["Reading", "Verdict"]


@dataclass(frozen=True)
class Verdict:
    """What to do about one treatment arm, and why; `cause` is the why in a few words, for a list of arms."""

    arm: str
    action: Action
    reason: str
    cause: str = ""


@dataclass(frozen=True)
class Reading:
    """Everything that the rule looks at.

    Attributes:
        alpha: what the primary's always-valid p-value has to fall below, after guardrails and several arms.
        harm_alpha: the same for each guardrail's harm alarm; None without guardrails.
        conversions: converted visitors (or orders) by arm; None where no metric counts them.
        ended: why no more data will come, or "" while it may.
        srm_suspected: the fixed sample ratio test fails, the sequential one does not.
    """

    observations: Observations
    primary: MetricRow
    guardrails: tuple[MetricRow, ...]
    alpha: float
    harm_alpha: float | None
    conversions: Mapping[str, int] | None
    ended: str
    srm_suspected: bool
