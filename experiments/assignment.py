"""The answer to "what does this visitor get": an arm, an offer or none, and why."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from .definition import Offer

__all__ = ["NO_SEGMENTS", "Assignment", "Reason"]

NO_SEGMENTS: Mapping[str, Any] = MappingProxyType({})
"""Segments of an assignment whose definition records none; shared, so never to be changed."""


class Reason(StrEnum):
    """Why a visitor got the arm, in order of precedence."""

    ERROR = "ERROR"
    DRAFT = "DRAFT"
    STOPPED = "STOPPED"
    PAUSED = "PAUSED"
    FORCED = "FORCED"
    NOT_ELIGIBLE = "NOT_ELIGIBLE"
    HOLDOUT = "HOLDOUT"
    SHIPPED = "SHIPPED"
    LAYER = "LAYER"
    NOT_IN_TRAFFIC = "NOT_IN_TRAFFIC"
    SPLIT = "SPLIT"


class Assignment(NamedTuple):
    """What a visitor gets, and everything that recording the exposure writes.

    Attributes:
        visitor: the canonical id.
        experiment: the key asked for.
        phase: of the published version; 0 for a draft or an unknown experiment.
        arm: name of the arm; the control's for every reason but FORCED, SHIPPED and SPLIT.
        offer: what to show, None for nothing.
        withheld: name of the guard or price rule that took the offer away, None where none did. Arm and exposure are
            the same as without it.
        reason: why this arm. Only SPLIT belongs into the experiment's analysis.
        bucket: 0 to 9,999 under the split's salt; None where it did not come to the split.
        holdout: name and arm of the running holdout that covers the experiment, for every eligible visitor; else None.
            An exposure in the holdout is due whatever the reason.
        segments: the attributes that the definition records.
        hash: the version's assignment hash.
        detail: a sentence on reason or guard where there is more to say, else "".
        holdout_phase: phase of the holdout; 0 without.
        holdout_hash: assignment hash of the holdout; "" without.
        withheld_offer: name of the offer that was withheld; None where none was.
    """

    visitor: str
    experiment: str
    phase: int
    arm: str
    offer: Offer | None
    withheld: str | None
    reason: Reason
    bucket: int | None
    holdout: tuple[str, str] | None
    segments: Mapping[str, Any]
    hash: str
    detail: str = ""
    holdout_phase: int = 0
    holdout_hash: str = ""
    withheld_offer: str | None = None
