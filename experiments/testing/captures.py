"""Seeing what would be recorded, and delivering nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from ..assignment import Assignment, Reason
from ..recording import Recording
from ..records import Exposure, Link, OfferStep, Outcome
from ..segments import segments_of
from ..wire import read_fields
from .arms import FORCED_HERE

__all__ = ["CapturingRecorder", "capture_exposures", "capture_outcomes", "exposures_of"]


class CapturingRecorder(Recording):
    """A recorder that keeps everything in lists, for code that is handed its recorder; it refuses what others refuse.

    Attributes:
        exposures: what `expose` would have written, in the order of the calls. Repeats are listed; the store keeps one.
        offer_steps, outcomes, links: likewise.
    """

    def __init__(self) -> None:
        self.exposures: list[Exposure] = []
        self.offer_steps: list[OfferStep] = []
        self.outcomes: list[Outcome] = []
        self.links: list[Link] = []

    def expose(self, assignment: Assignment, *, at: datetime | None = None) -> None:
        """Keep the exposure, and the holdout's, if the assignment belongs into the analysis or was forced by a test."""
        moment = at or datetime.now(UTC)
        self.exposures += exposures_of(assignment, moment)
        if assignment.withheld is not None:
            self.offer_step(assignment, "withheld", at=moment)

    def _is_analysed(self, assignment: Assignment) -> bool:
        return _is_analysed(assignment)

    def _record(self, kind: str, fields: Sequence[Any]) -> bool:
        record = read_fields(kind, fields)
        if isinstance(record, Outcome):
            self.outcomes.append(record)
        elif isinstance(record, OfferStep):
            self.offer_steps.append(record)
        elif isinstance(record, Link):
            self.links.append(record)
        return True

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


def _is_analysed(assignment: Assignment) -> bool:
    return assignment.reason is Reason.SPLIT or (
        assignment.reason is Reason.FORCED and assignment.detail == FORCED_HERE
    )


def exposures_of(assignment: Assignment, at: datetime) -> list[Exposure]:
    """What the recorder would write of an assignment, and what a test forced."""
    due = []
    if _is_analysed(assignment):
        experiment, arm, phase, version = assignment.experiment, assignment.arm, assignment.phase, assignment.hash
        segments = segments_of(assignment.segments).kept
        due.append(Exposure(experiment, assignment.visitor, arm, at, phase, version, segments))
    if assignment.holdout is not None:
        experiment, arm = assignment.holdout
        phase, version = assignment.holdout_phase, assignment.holdout_hash
        due.append(Exposure(experiment, assignment.visitor, arm, at, phase, version))
    return due
