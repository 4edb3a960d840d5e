"""Sinks and assignments for the tests of the recorder."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from offerlift.experiments import Assignment, Exposure, Link, Outcome, Reason, Recorder
from offerlift.experiments.assignment import NO_SEGMENTS


def assigned(visitor: str = "v1", *, reason: Reason = Reason.SPLIT, holdout=None, phase=1, arm="control") -> Assignment:
    return Assignment(visitor, "exp", phase, arm, None, None, reason, 17, holdout, NO_SEGMENTS, "abc")


@dataclass
class Collecting:
    """A sink that keeps what it gets, refuses some outcomes, and can be down."""

    exposures: list[Exposure] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    poison: set[str] = field(default_factory=set)
    errors: list[Exception] = field(default_factory=list)
    calls: int = 0

    def write_exposures(self, records):
        self._call()
        self.exposures += records

    def write_outcomes(self, records) -> object:
        self._call()
        if any(one.outcome_id in self.poison for one in records):
            raise ValueError("poison in the batch")
        self.outcomes += records

    def write_links(self, records):
        self._call()
        self.links += records

    def _call(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)


class Stuck(Collecting):
    """A sink that does not answer until it is told to; `entered` once it has been asked."""

    def __init__(self):
        super().__init__()
        self.entered, self.go = threading.Event(), threading.Event()

    def write_exposures(self, records):
        self.entered.set()
        assert self.go.wait(300)
        super().write_exposures(records)


def stuck(recorder: Recorder, sink: Stuck) -> None:
    """Give one record to a stuck sink: from here on, the delivery thread takes nothing until it may go."""
    recorder.expose(assigned("first"))
    assert sink.entered.wait(120)
