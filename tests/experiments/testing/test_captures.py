from __future__ import annotations

import inspect
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from offerlift.errors import InputError
from offerlift.experiments import (
    BUILT_IN_METRICS,
    Arm,
    Assigner,
    Counts,
    Definition,
    Guard,
    Offer,
    Plan,
    Published,
    Recorder,
    Rule,
    Snapshot,
)
from offerlift.experiments.testing import CapturingRecorder, capture_exposures, capture_outcomes, force_arm

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EXIT = Definition(
    "exit",
    "control",
    (Arm("control", 10_000), Arm("b", 0)),
    (BUILT_IN_METRICS["conversion"],),
    Plan("conversion"),
    eligibility=(Rule("country", "eq", "DE"),),
)
GERMAN = {"country": "DE"}


class Sink:
    """Takes what a recorder delivers."""

    def __init__(self) -> None:
        self.rows: list[Any] = []

    def write(self, rows: Any) -> None:
        self.rows += rows

    write_exposures = write_outcomes = write_links = write


@pytest.fixture
def assigner() -> Assigner:
    return Assigner(Snapshot.of([Published(EXIT, "running", 2, 1, NOON, NOON, "hash", "plan")]))


def test_exposures_are_captured_and_not_delivered(assigner: Assigner) -> None:
    """Inside, both ways of exposing fill the list and nothing is delivered; afterwards the recorder delivers again."""
    sink = Sink()
    with Recorder(sink, exit_timeout=120) as recorder:
        with capture_exposures() as exposures:
            recorder.expose(assigner.assign("exit", 1, GERMAN), at=NOON)
            recorder.assign_and_expose(assigner, "exit", "v2", GERMAN)
        assert [(each.visitor, each.arm, each.phase, each.assignment_hash) for each in exposures] == [
            ("1", "control", 2, "hash"),
            ("v2", "control", 2, "hash"),
        ]
        assert exposures[0].at == NOON
        recorder.assign_and_expose(assigner, "exit", "v3", GERMAN)
        assert recorder.flush(120)
    assert [row.visitor for row in sink.rows] == ["v3"]


def test_only_what_would_be_written_is_captured(assigner: Assigner) -> None:
    """A visitor who is not eligible is no exposure, nor a preview by the staff; what a test forced is one."""
    preview = Assigner(
        Snapshot.of([Published(EXIT, "running", 1, 1, NOON, NOON, "h", "p")]), forced={"exit": {"v1": "b"}}
    )
    recorder = CapturingRecorder()
    recorder.expose(assigner.assign("exit", "v1", {"country": "FR"}))
    recorder.expose(preview.assign("exit", "v1", GERMAN))
    assert recorder.exposures == []
    with force_arm("exit", "b"):
        recorder.assign_and_expose(assigner, "exit", "v1")
    assert [(each.visitor, each.arm) for each in recorder.exposures] == [("v1", "b")]


def test_a_real_recorder_never_writes_what_a_test_forced(assigner: Assigner) -> None:
    """Forgetting to capture does not put made-up exposures into a store."""
    sink = Sink()
    with Recorder(sink, exit_timeout=120) as recorder, force_arm("exit", "b"):
        assert recorder.assign_and_expose(assigner, "exit", "v1").arm == "b"
    assert sink.rows == []


def test_holdouts_are_exposed_too(assigner: Assigner) -> None:
    """What a recorder delivers for an assignment under a holdout is what is captured for it."""
    assignment = assigner.assign("exit", "v1", GERMAN)._replace(holdout=("spring", "offered"), holdout_phase=1)
    sink = Sink()
    with Recorder(sink, exit_timeout=120) as recorder:
        recorder.expose(assignment, at=NOON)
        assert recorder.flush(120)
        with capture_exposures() as exposures:
            recorder.expose(assignment, at=NOON)
    assert exposures == sink.rows
    assert [each.experiment for each in exposures] == ["exit", "spring"]


def test_outcomes_are_captured_and_checked() -> None:
    """Outcomes fill their own list, and what a recorder refuses is refused in the test already."""
    sink = Sink()
    double: Any = 80.1
    with Recorder(sink, exit_timeout=120) as recorder, capture_outcomes() as outcomes:
        recorder.outcome("order-1", 7, "purchase", value=Decimal("80.10"), currency="EUR")
        with pytest.raises(InputError, match="Decimal"):
            recorder.outcome("order-2", 7, "purchase", value=double)
    assert [(each.outcome_id, each.visitor, each.value) for each in outcomes] == [("order-1", "7", Decimal("80.10"))]
    assert sink.rows == []


def test_the_methods_come_back_after_an_error() -> None:
    """A failing test leaves no recorder captured."""
    expose, outcome = Recorder.expose, Recorder.outcome

    def failing() -> None:
        with capture_exposures(), capture_outcomes():
            assert Recorder.expose is not expose
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    assert (Recorder.expose, Recorder.outcome) == (expose, outcome)


@pytest.mark.parametrize("name", ["expose", "assign_and_expose", "outcome", "link", "flush", "aflush", "close"])
def test_the_capturing_recorder_is_called_like_the_real_one(name: str) -> None:
    """Its methods take the same arguments, in the same order, with the same defaults."""

    def shape(kind: type) -> list[tuple[str, Any, Any]]:
        parameters = inspect.signature(getattr(kind, name)).parameters.values()
        return [(each.name, each.kind, each.default) for each in parameters]

    assert shape(CapturingRecorder) == shape(Recorder)


def test_links_are_kept() -> None:
    """A link has canonical ids, and an impossible one is refused."""
    recorder = CapturingRecorder()
    recorder.link("a", 42, at=NOON)
    assert [(each.anonymous, each.customer, each.at) for each in recorder.links] == [("a", "42", NOON)]
    with pytest.raises(InputError):
        recorder.link("a", "a")


def test_a_changed_definition_is_what_is_exposed() -> None:
    """The phase and hash captured are those of the assigner's snapshot."""
    later = Published(replace(EXIT, eligibility=()), "running", 3, 9, NOON, NOON, "hash-9", "plan")
    recorder = CapturingRecorder()
    recorder.assign_and_expose(Assigner(Snapshot.of([later])), "exit", "v1")
    assert [(each.phase, each.assignment_hash) for each in recorder.exposures] == [(3, "hash-9")]


def test_a_withheld_offer_is_exposed_all_the_same() -> None:
    """Assigning and exposing in one call takes the guards' counters, and the capped visitor is exposed in the arm."""
    capped = Offer("free", "threshold", "cart", "cart_view", guards=(Guard("usage_limit", Decimal(5)),))
    definition = replace(EXIT, arms=(Arm("control", 0), Arm("free", 10_000, capped)), eligibility=())
    assigner = Assigner(Snapshot.of([Published(definition, "running", 1, 1, NOON, NOON, "hash-1", "plan")]))
    recorder = CapturingRecorder()
    for accepted, withheld in ((4, None), (5, "usage_limit")):
        answer = recorder.assign_and_expose(assigner, "exit", "v1", counts=Counts(accepted=accepted))
        assert (answer.arm, answer.withheld, answer.offer is None) == ("free", withheld, withheld is not None)
    assert [each.arm for each in recorder.exposures] == ["free", "free"]
