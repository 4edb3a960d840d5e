from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from offerlift.errors import InputError
from offerlift.experiments import Arm, Assigner, Counts, Reason, Rule, bucket
from offerlift.experiments.explaining import Step

from .shop import NOON, definition, guarded, holdout, published
from .test_guards import CAP

DECIDES = {
    Reason.DRAFT: ("state", "times"),
    Reason.STOPPED: ("state", "times"),
    Reason.PAUSED: ("state",),
    Reason.FORCED: ("forced",),
    Reason.NOT_ELIGIBLE: ("eligibility",),
    Reason.HOLDOUT: ("holdout",),
    Reason.SHIPPED: ("shipped",),
    Reason.LAYER: ("layer",),
    Reason.NOT_IN_TRAFFIC: ("traffic",),
    Reason.SPLIT: ("split",),
}


def _assigner(state: Any = "running", serve: str | None = None, **changes: Any) -> Assigner:
    made = definition(
        holdouts=("spring",),
        layer="shop",
        layer_range=(2_000, 8_000),
        traffic=Fraction(1, 2),
        eligibility=(Rule("country", "eq", "DE"), Rule("cart", "gte", 40)),
        ends_at=NOON,
        **changes,
    )
    experiments = {"exp": published(made, state, serve=serve), "spring": published(holdout(held=2_000))}
    return Assigner(experiments, forced={"exp": {"7": "b"}})


@pytest.mark.parametrize(
    ("state", "serve"), [("running", None), ("draft", None), ("paused", None), ("stopped", None), ("stopped", "b")]
)
def test_the_last_step_is_the_reason(state: Any, serve: str | None) -> None:
    """One step decides, the last; it is the one that the reason names; each bucket is that of its salt."""
    assigner = _assigner(state, serve)
    seen = set()
    for visitor in range(150):
        attributes = {"country": "DE", "cart": 10 + visitor}
        for at in (NOON - timedelta(days=1), NOON):
            explained = assigner.explain("exp", visitor, attributes, at=at)
            reason = explained.assignment.reason
            seen.add(reason)
            assert explained.assignment == assigner.assign("exp", visitor, attributes, at=at)
            assert [step.decides for step in explained.steps] == [False] * (len(explained.steps) - 1) + [True]
            assert explained.steps[-1].name in DECIDES[reason]
            for step in explained.steps:
                assert (step.salt is None) == (step.bucket is None)
                assert step.salt is None or step.bucket == bucket(step.salt, visitor)
            if reason == "SPLIT":
                assert explained.steps[-1].text.startswith(f"{explained.assignment.arm} has [")
    if state == "running":
        assert seen == set(Reason) - {Reason.ERROR, Reason.DRAFT, Reason.PAUSED, Reason.SHIPPED}


def test_words() -> None:
    """Each step reads as a sentence with its salt and bucket."""
    explained = _assigner().explain("exp", "v4", {"country": "DE", "cart": 41}, at=NOON - timedelta(1))
    side = bucket("spring/h", "v4")
    assert explained.steps[:4] == (
        Step("state", "running, version 1, phase 1"),
        Step("times", "within its start and end"),
        Step("forced", "not forced"),
        Step("eligibility", "country = DE holds"),
    )
    assert str(explained).splitlines()[0].startswith("v4 in exp: ")
    assert f"[spring/h: bucket {side}]" in str(explained)


def test_guards_are_explained() -> None:
    """After the split it says what the guards did."""
    assigner = Assigner({"exp": published(definition(arms=(Arm("a", 10_000, guarded(CAP)), Arm("b", 0))))})
    passed = assigner.explain("exp", "v", counts=Counts(shown=0))
    assert passed.steps[-1] == Step("guards", "frequency_cap let the offer pass")
    withheld = assigner.explain("exp", "v", counts=Counts(shown=5))
    assert withheld.steps[-1].text == "frequency_cap withholds the offer: shown to the visitor 5 times, at most 2"
    assert "a, no offer, withheld by frequency_cap (SPLIT)" in str(withheld)


def test_nothing_to_explain() -> None:
    """An unknown experiment is an error."""
    with pytest.raises(InputError, match="no experiment 'x'"):
        _assigner().explain("x", "v")
