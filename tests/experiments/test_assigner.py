from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from offerlift.errors import InputError
from offerlift.experiments import (
    BUILT_IN_METRICS,
    Arm,
    Assigner,
    Definition,
    Offer,
    Plan,
    Published,
    Rule,
    Snapshot,
    State,
    bucket,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
USUAL = Offer("usual", "threshold", "cart", "cart_view")
BETTER = Offer("better", "threshold", "cart", "cart_view", free_shipping=True)


def _published(state: State = "running", **changes: Any) -> Published:
    definition = Definition(
        "exp",
        "a",
        (Arm("a", 5_000, USUAL), Arm("b", 3_000, BETTER), Arm("c", 2_000)),
        (BUILT_IN_METRICS["conversion"],),
        Plan("conversion"),
    )
    return Published(replace(definition, **changes), state, 1, 1, NOON, NOON, "hash-1", "plan-1")


def _assigner(state: State = "running", **changes: Any) -> Assigner:
    return Assigner(Snapshot.of([_published(state, **changes)]))


def _visitor_in(low: int, high: int, salt: str = "exp/t") -> str:
    return next(v for v in map(str, range(100_000)) if low <= bucket(salt, v) < high)


def test_split_follows_the_cumulative_weights() -> None:
    """The arm is the one whose buckets [from, to), in listed order, hold the visitor's bucket under `<salt>/s`."""
    assigner = _assigner()
    edges = {"a": (0, 5_000), "b": (5_000, 8_000), "c": (8_000, 10_000)}
    for visitor in range(3_000):
        assignment = assigner.assign("exp", visitor)
        low, high = edges[assignment.arm]
        assert assignment.bucket == bucket("exp/s", visitor)
        assert assignment.bucket in range(low, high)
        assert assignment.reason == "SPLIT"


def test_edges_of_the_split() -> None:
    """The first and the last bucket of an arm belong to it."""
    assigner = _assigner()
    for edge, arm in [(0, "a"), (4_999, "a"), (5_000, "b"), (7_999, "b"), (8_000, "c"), (9_999, "c")]:
        visitor = _visitor_in(edge, edge + 1, "exp/s")
        assert assigner.assign("exp", visitor).arm == arm


def test_assignment_carries_all_that_exposing_writes() -> None:
    """Canonical id, phase, offer, hash and segments are on the assignment."""
    assigner = _assigner(segments=("country", "device"))
    assignment = assigner.assign("exp", int(_visitor_in(5_000, 8_000, "exp/s")), {"country": "DE", "other": 1})
    assert isinstance(assignment.visitor, str)
    assert (assignment.experiment, assignment.phase, assignment.hash) == ("exp", 1, "hash-1")
    assert (assignment.arm, assignment.offer, assignment.withheld, assignment.holdout) == ("b", BETTER, None, None)
    assert assignment.segments == {"country": "DE", "device": None}
    assert assignment.detail == ""


def test_assignment_is_deterministic() -> None:
    """Two assigners from the same snapshot agree, and the answer does not depend on who came before."""
    visitors = [f"v{number}" for number in range(500)]
    forward = {visitor: _assigner().assign("exp", visitor) for visitor in visitors}
    assigner = _assigner()
    backward = {visitor: assigner.assign("exp", visitor) for visitor in reversed(visitors)}
    assert forward == backward


def test_weights_meet_the_arms() -> None:
    """Of many visitors the arms get their shares (chi-square, 2 degrees of freedom, far below its 1e-4 quantile)."""
    assigner = _assigner()
    arms = [assigner.assign("exp", f"customer-{number}").arm for number in range(40_000)]
    expected = {"a": 20_000, "b": 12_000, "c": 8_000}
    assert sum((arms.count(arm) - count) ** 2 / count for arm, count in expected.items()) < 18.4


@pytest.mark.parametrize(
    ("state", "reason"), [("draft", "DRAFT"), ("stopped", "STOPPED"), ("paused", "PAUSED"), ("running", "SPLIT")]
)
def test_states(state: State, reason: str) -> None:
    """Only a running experiment splits; otherwise everyone gets the control's offer, whatever else holds."""
    assignment = _assigner(state, eligibility=(Rule("x", "exists", False),)).assign("exp", "v")
    assert assignment.reason == reason
    if reason != "SPLIT":
        assert (assignment.arm, assignment.offer, assignment.bucket) == ("a", USUAL, None)


def test_start_and_end() -> None:
    """Before the start it is like a draft, from the end on like stopped, in between it runs."""
    assigner = _assigner(starts_at=NOON, ends_at=NOON + timedelta(days=1))
    answers = [
        assigner.assign("exp", "v", at=NOON + offset).reason
        for offset in (timedelta(microseconds=-1), timedelta(0), timedelta(hours=23), timedelta(days=1))
    ]
    assert answers == ["DRAFT", "SPLIT", "SPLIT", "STOPPED"]
    assert "2026-03-01T12:00:00" in assigner.assign("exp", "v", at=NOON - timedelta(days=1)).detail


def test_present_time_is_the_default() -> None:
    """Without `at`, start and end are compared with the clock."""
    now = datetime.now(UTC)
    assert _assigner(starts_at=now - timedelta(days=1)).assign("exp", "v").reason == "SPLIT"
    assert _assigner(starts_at=now + timedelta(days=1)).assign("exp", "v").reason == "DRAFT"
    assert _assigner(ends_at=now - timedelta(days=1)).assign("exp", "v").reason == "STOPPED"


def test_naive_time() -> None:
    """A naive `at` is refused, even where no start or end looks at it."""
    with pytest.raises(InputError, match="time zone"):
        _assigner().assign("exp", "v", at=datetime(2026, 3, 1))  # noqa: DTZ001 - refused


def test_not_eligible() -> None:
    """Eligibility comes before traffic and split, and the detail names the rule."""
    assigner = _assigner(eligibility=(Rule("country", "in", ("SE", "NO")),), traffic=Fraction(1, 10_000))
    assignment = assigner.assign("exp", "v", {"country": "DE"})
    assert (assignment.reason, assignment.arm, assignment.bucket) == ("NOT_ELIGIBLE", "a", None)
    assert assignment.detail == "needs country in (SE, NO)"


@pytest.mark.parametrize("attributes", [None, {}, [], "text", 5])
def test_strange_attributes(attributes: Any) -> None:
    """Attributes that are no mapping mean that nothing is known, never an exception."""
    assigner = _assigner(eligibility=(Rule("country", "exists", True),), segments=("country",))
    assert assigner.assign("exp", "v", attributes).reason == "NOT_ELIGIBLE"


def test_traffic_is_a_slice_of_its_own_salt() -> None:
    """A traffic share lets in the first buckets under `<layer>/t`; the others get the control, unanalysed."""
    assigner = _assigner(traffic=Fraction(1, 4))
    for visitor in range(2_000):
        let_in = bucket("exp/t", visitor) < 2_500
        assert (assigner.assign("exp", visitor).reason == "SPLIT") is let_in
    assert assigner.assign("exp", _visitor_in(2_499, 2_500)).reason == "SPLIT"
    outside = assigner.assign("exp", _visitor_in(2_500, 2_501))
    assert (outside.reason, outside.arm, outside.offer) == ("NOT_IN_TRAFFIC", "a", USUAL)


def test_more_traffic_moves_nobody() -> None:
    """Whoever is in at 20 % is in at 60 % with the same arm."""
    small, large = _assigner(traffic=Fraction(1, 5)), _assigner(traffic=Fraction(3, 5))
    before = {v: small.assign("exp", v) for v in range(2_000)}
    assert {v: one.arm for v, one in before.items() if one.reason == "SPLIT"} == {
        v: large.assign("exp", v).arm for v, one in before.items() if one.reason == "SPLIT"
    }


def test_layer_range() -> None:
    """An experiment owns a range of its layer: outside is LAYER, and traffic grows from the range's start."""
    assigner = _assigner(layer="checkout", layer_range=(2_000, 6_000), traffic=Fraction(1, 2))
    for visitor in range(2_000):
        slot = bucket("checkout/t", visitor)
        expected = "LAYER" if not 2_000 <= slot < 6_000 else "SPLIT" if slot < 4_000 else "NOT_IN_TRAFFIC"
        assert assigner.assign("exp", visitor).reason == expected


def test_salt_of_the_definition() -> None:
    """A `salt` replaces the key in the split alone."""
    assigner = _assigner(salt="other")
    assert all(assigner.assign("exp", v).bucket == bucket("other/s", v) for v in range(50))


def test_forced() -> None:
    """A forced visitor gets the arm with reason FORCED, before eligibility, but not in a paused experiment."""
    forced = {"exp": {"42": "c"}}
    never = (Rule("x", "exists", True),)
    running = Assigner({"exp": _published(eligibility=never)}, forced=forced)
    assert running.assign("exp", 42)[3:7] == ("c", None, None, "FORCED")
    assert running.assign("exp", 43).reason == "NOT_ELIGIBLE"
    assert Assigner({"exp": _published("paused")}, forced=forced).assign("exp", "42").reason == "PAUSED"
    with pytest.raises(InputError, match="no arm 'x'"):
        Assigner({"exp": _published()}, forced={"exp": {"42": "x"}})


def test_unknown_experiment(caplog: pytest.LogCaptureFixture) -> None:
    """An unknown experiment answers with a control without offer, reason ERROR, and is logged once."""
    assigner = _assigner()
    with caplog.at_level(logging.ERROR):
        answers = [assigner.assign("exq", visitor) for visitor in range(3)]
    assert {(one.arm, one.offer, one.reason, one.hash) for one in answers} == {("control", None, "ERROR", "")}
    assert len(caplog.records) == 1
    assert "no experiment 'exq' in the snapshot; known: exp" in caplog.text


def test_strict() -> None:
    """With `strict` an unknown experiment raises."""
    with pytest.raises(InputError, match="no experiment 'exq'"):
        Assigner(Snapshot.of([_published()]), strict=True).assign("exq", "v")


def test_imported_table(caplog: pytest.LogCaptureFixture) -> None:
    """An imported table assigns nobody: its control with reason ERROR, whatever its state."""
    for state in ("running", "stopped"):
        assignment = _assigner(state, source="table").assign("exp", "v")
        assert (assignment.arm, assignment.reason) == ("a", "ERROR")
        assert "imported table" in assignment.detail
    assert "imported table" in caplog.text


def test_impossible_id_raises() -> None:
    """An impossible id raises, whatever the experiment's state."""
    for key in ("exp", "unknown"):
        with pytest.raises(InputError):
            _assigner("draft").assign(key, "")
