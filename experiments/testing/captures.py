"""Seeing what would be recorded, and delivering nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ..assigner import Assigner, Assignment, Reason
from ..hashing import canonical_visitor
from ..records import Exposure, Link, Outcome
from ..wire import link_fields, outcome_fields
from .arms import FORCED_HERE

__all__ = ["CapturingRecorder", "capture_exposures", "capture_outcomes"]


class CapturingRecorder:
    """A recorder that keeps everything in two lists, for code that is handed its recorder.

    Attributes:
        exposures: what `expose` would have written, in the order of the calls. Repeats are listed; the store keeps one.
        outcomes, links: likewise.
    """

    def __init__(self) -> None:
        self.exposures: list[Exposure] = []
        self.outcomes: list[Outcome] = []
        self.links: list[Link] = []

    def expose(self, assignment: Assignment, *, at: datetime | None = None) -> None:
        """Keep the exposure, and the holdout's, if the assignment belongs into the analysis or was forced by a test."""
        self.exposures += _exposures(assignment, at or datetime.now(UTC))

    def assign_and_expose(
        self,
        assigner: Assigner,
        experiment: str,
        visitor: str | int,
        attributes: Mapping[str, Any] | None = None,
        *,
        at: datetime | None = None,
    ) -> Assignment:
        """The assignment, its exposure kept."""
        assignment = assigner.assign(experiment, visitor, attributes, at=at)
        self.expose(assignment, at=at)
        return assignment

    def outcome(
        self,
        outcome_id: str | int,
        visitor: str | int,
        name: str,
        *,
        value: Decimal | int | None = None,
        cost: Decimal | int | None = None,
        quantity: int | None = None,
        currency: str | None = None,
        refund_of: str | int | None = None,
        at: datetime | None = None,
        reporting_value: Decimal | int | None = None,
        reporting_cost: Decimal | int | None = None,
    ) -> None:
        """Keep the outcome; what a recorder refuses is refused."""
        reported = reporting_value, reporting_cost
        outcome_fields(outcome_id, visitor, name, at, value, cost, quantity, currency, refund_of, 0, *reported)
        visitor = canonical_visitor(visitor)
        self.outcomes.append(
            Outcome(outcome_id, visitor, name, at, value, cost, quantity, currency, refund_of, None, *reported)
        )

    def link(self, anonymous: str | int, customer: str | int, *, at: datetime | None = None) -> None:
        """Keep the link; what a recorder refuses is refused."""
        link_fields(anonymous, customer, 0)
        self.links.append(Link(canonical_visitor(anonymous), canonical_visitor(customer), at or datetime.now(UTC)))

    def flush(self, timeout: float | None = None) -> bool:
        """Nothing waits."""
        return True

    async def aflush(self, timeout: float | None = None) -> bool:
        """Nothing waits."""
        return True

    def close(self, timeout: float | None = None) -> None:
        """Nothing to close."""


@contextmanager
def capture_exposures() -> Iterator[list[Exposure]]:
    """A list that fills with the exposures of every `Recorder` of the process, which delivers none of them meanwhile.

    Repeats are listed; the store keeps one. What the recorder would not write (NOT_ELIGIBLE, PAUSED, ...) is not
    listed; what `force_arm` chose is.
    """
    capturing = CapturingRecorder()
    with _instead(expose=capturing.expose):
        yield capturing.exposures


@contextmanager
def capture_outcomes() -> Iterator[list[Outcome]]:
    """A list that fills with the outcomes of every `Recorder` of the process, which delivers none of them meanwhile."""
    capturing = CapturingRecorder()
    with _instead(outcome=capturing.outcome):
        yield capturing.outcomes


@contextmanager
def _instead(**methods: Callable[..., Any]) -> Iterator[None]:
    from ..recorder import Recorder

    originals = {name: getattr(Recorder, name) for name in methods}
    for name, method in methods.items():
        setattr(Recorder, name, _unbound(method))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(Recorder, name, original)


def _unbound(method: Callable[..., Any]) -> Callable[..., Any]:
    return lambda recorder, *args, **kwargs: method(*args, **kwargs)


def _exposures(assignment: Assignment, at: datetime) -> list[Exposure]:
    due = []
    if assignment.reason is Reason.SPLIT or (assignment.reason is Reason.FORCED and assignment.detail == FORCED_HERE):
        experiment, arm, phase, version = assignment.experiment, assignment.arm, assignment.phase, assignment.hash
        due.append(Exposure(experiment, assignment.visitor, arm, at, phase, version))
    if assignment.holdout is not None:
        experiment, arm = assignment.holdout
        phase, version = assignment.holdout_phase, assignment.holdout_hash
        due.append(Exposure(experiment, assignment.visitor, arm, at, phase, version))
    return due
