"""The reasons, two at a time: of any two that hold, the first in the list is the answer."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from itertools import combinations
from typing import Any

import pytest
from offerlift.experiments import Assigner, Published, Reason, Rule
from offerlift.experiments.testing import CapturingRecorder

from .shop import NOON, definition, holdout, published, visitor_in

VISITOR = visitor_in(5_000, 5_001, "exp/t")

# What makes each reason hold for the visitor at noon, whatever else holds.
CAUSES: dict[Reason, dict[str, Any]] = {
    Reason.ERROR: {"source": "table"},
    Reason.DRAFT: {"starts_at": NOON + timedelta(days=1)},
    Reason.STOPPED: {"ends_at": NOON - timedelta(days=1)},
    Reason.PAUSED: {"state": "paused"},
    Reason.FORCED: {"forced": {VISITOR: "c"}},
    Reason.NOT_ELIGIBLE: {"eligibility": (Rule("country", "eq", "DE"),)},
    Reason.HOLDOUT: {"holdouts": ("spring",)},
    Reason.SHIPPED: {"state": "stopped", "serve": "b"},
    Reason.LAYER: {"layer_range": (0, 5_000)},
    Reason.NOT_IN_TRAFFIC: {"traffic": Fraction(1, 100)},
    Reason.SPLIT: {},
}
# A shipped experiment is neither paused nor bound to its times, so these never hold together with SHIPPED.
ENDED_BY_SHIPPING = {Reason.DRAFT, Reason.STOPPED, Reason.PAUSED}
PAIRS = [pair for pair in combinations(Reason, 2) if not (pair[1] is Reason.SHIPPED and pair[0] in ENDED_BY_SHIPPING)]


def _assigner(state: Any = "running", serve: str | None = None, forced: Any = None, **changes: Any) -> Assigner:
    experiments: dict[str, Published] = {
        "exp": published(definition(**changes), state, serve=serve),
        "spring": published(holdout(held=10_000)),
    }
    return Assigner(experiments, forced={"exp": forced} if forced else None)


def test_each_cause_alone() -> None:
    """Each cause gives its own reason."""
    for reason, cause in CAUSES.items():
        assert _assigner(**cause).assign("exp", VISITOR, at=NOON).reason is reason


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda reason: str(reason))
def test_the_first_reason_is_the_answer(first: Reason, second: Reason) -> None:
    """Where two reasons hold, the earlier is given: one visitor, many at once and explained."""
    assigner = _assigner(**{**CAUSES[second], **CAUSES[first]})
    answer = assigner.assign("exp", VISITOR, at=NOON)
    assert answer.reason is first
    if first is not Reason.ERROR:
        many = assigner.assign_many("exp", [VISITOR], at=NOON)
        assert (many.reason_names, many.arm_names) == ([first], [answer.arm])
        explained = assigner.explain("exp", VISITOR, at=NOON)
        assert explained.assignment == answer
        assert [step.decides for step in explained.steps] == [False] * (len(explained.steps) - 1) + [True]


@pytest.mark.parametrize(
    ("state", "times", "reason"),
    [
        ("draft", {"ends_at": NOON}, Reason.DRAFT),
        ("stopped", {"starts_at": NOON + timedelta(days=1)}, Reason.DRAFT),
        ("stopped", {"ends_at": NOON}, Reason.STOPPED),
        ("paused", {"ends_at": NOON}, Reason.STOPPED),
        ("paused", {"starts_at": NOON + timedelta(days=1)}, Reason.DRAFT),
        ("paused", {"ends_at": NOON + timedelta(days=1)}, Reason.PAUSED),
    ],
)
def test_state_and_times(state: Any, times: dict[str, Any], reason: Reason) -> None:
    """Of what the state says and what the times say, the earlier reason is given, by the step that it names."""
    explained = _assigner(state, **times).explain("exp", VISITOR, at=NOON)
    assert explained.assignment.reason is reason
    by_state = {"draft": Reason.DRAFT, "stopped": Reason.STOPPED, "paused": Reason.PAUSED}[state] is reason
    assert explained.steps[-1].name == ("state" if by_state else "times")


def test_only_the_split_is_exposed() -> None:
    """Of all reasons, SPLIT alone is an exposure in the experiment; forced assignments never are."""
    for reason, cause in CAUSES.items():
        recorder = CapturingRecorder()
        recorder.expose(_assigner(**cause).assign("exp", VISITOR, at=NOON))
        assert [one.experiment for one in recorder.exposures if one.experiment == "exp"] == (
            ["exp"] if reason is Reason.SPLIT else []
        )
        assert [one.arm for one in recorder.exposures if one.experiment == "spring"] == (
            ["held_out"] if reason is Reason.HOLDOUT else []
        )


def test_forced_ids_are_visitor_ids(caplog: pytest.LogCaptureFixture) -> None:
    """42 and "42" are the same forced visitor; a forced experiment that is not there is logged, not silently idle."""
    for visitor in (42, "42"):
        assert Assigner({"exp": published(definition())}, forced={"exp": {visitor: "c"}}).assign("exp", 42).arm == "c"
    Assigner({}, forced={"exq": {"qa": "c"}})
    assert "visitors are forced in 'exq', which is not in the snapshot" in caplog.text
