"""The change log of an experiment: every version, look and decision in a sentence, the newest last."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from offerlift.errors import InputError
from offerlift.experiments.definition import Arm, Definition, Offer, Plan
from offerlift.experiments.lifecycle import open_phase, pause, resume, stop
from offerlift.experiments.metrics import Column, Metric
from offerlift.experiments.publishing import publish, start
from offerlift.reports.changes import change_log
from offerlift.reports.deciding import following_command, make_decision
from offerlift.storage import Look, Store
from offerlift.storage.decisions import Decided

START = datetime(2026, 3, 2, tzinfo=UTC)
DEFINITION = Definition(
    "exit",
    "control",
    (Arm("control", 5_000), Arm("b", 5_000)),
    (Metric("conversion", "conversion", Column("purchase", "converted"), window_end=86_400_000_000),),
    Plan("conversion", looks=(0.5, 1.0), sample_size=2_000),
    traffic=Fraction(1, 2),
)


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def look(number: int, at: datetime, *, planned: bool = True, verdict: str = "collecting") -> Look:
    return Look(number, "b", "conversion", at, 0.25 * number, planned, verdict, "h" * 64)


@pytest.fixture
def store(tmp_path):
    """A store with the draft of the experiment."""
    with Store.open(f"sqlite:///{tmp_path / 'shop.db'}") as store:
        store.publish(publish(DEFINITION, None, at=START))
        yield store


def test_the_whole_life(store):
    """Each step has its kind, time, phase and a sentence that says what changed; looks and decisions stand between."""
    draft = store.published("exit")
    running = start(draft, day(1))
    wider = publish(replace(DEFINITION, traffic=Fraction(1)), running, at=day(2))
    owned = publish(replace(wider.definition, owner="checkout"), wider, at=day(3))
    paused = pause(owned, day(4))
    resumed = resume(paused, day(5))
    arms = (Arm("control", 1_000), Arm("b", 9_000))
    second = open_phase(replace(resumed.definition, arms=arms), resumed, at=day(6), reshuffle=True)
    shipped = stop(second, day(9), serve="b")
    for version in (running, wider, owned, paused, resumed, second, shipped, stop(shipped, day(10))):
        store.publish(version)
    store.record_look("exit", [look(1, day(7), planned=False)])
    store.record_look("exit", [look(2, day(8), verdict="ship")])
    store.record_decision("exit", Decided("ship", "b", "Ada", "worth it", day(8), "ship", "b"))
    found = change_log(store, "exit")
    assert [(one.at, one.kind, one.phase, one.by) for one in found] == [
        (day(0), "published", 0, ""),
        (day(1), "started", 1, ""),
        (day(2), "traffic", 1, ""),
        (day(3), "changed", 1, ""),
        (day(4), "paused", 1, ""),
        (day(5), "resumed", 1, ""),
        (day(6), "phase", 2, ""),
        (day(7), "reveal", 2, ""),
        (day(8), "look", 2, ""),
        (day(8), "decision", 2, "Ada"),
        (day(9), "shipped", 2, ""),
        (day(10), "stopped", 2, ""),
    ]
    said = [one.text for one in found]
    assert said[0] == "Published as a draft, with “control” 50% and “b” 50%."
    assert said[2] == "Published anew. It changed traffic from 50% to 100%."
    assert said[3] == "Published anew. It changed owner."
    assert "Phase 2 was opened. It changed the split from “control” 50% and “b” 50% to “control” 10%" in said[6]
    assert "the salt, which drew all visitors anew" in said[6]
    assert said[7] == "Look 1, not planned, at 25% of the planned sample: Keep collecting."
    assert said[8] == "Look 2, as planned, at 50% of the planned sample: “b” ship."
    assert said[9] == "Ship “b”, as was recommended. Reason: worth it"
    assert [one.kind for one in change_log(store, "exit", as_of=day(2))] == ["published", "started", "traffic"]


def test_a_verdict_without_planned_looks(store):
    """Where no looks are planned there is none to speak of: what is recorded is the verdict."""
    free = replace(DEFINITION, experiment="free", plan=Plan("conversion"))
    store.publish(publish(free, None, state="running", at=START))
    store.record_look("free", [look(1, day(3), planned=False, verdict="stop_harm")])
    kinds = [(one.kind, one.text) for one in change_log(store, "free")]
    assert kinds[0][0] == "started"
    assert kinds[1] == ("verdict", "Recorded: “b” stop, harm.")


def test_an_offer_that_changed_is_named(store):
    """Arms whose offer differs are named; the rest of their definition has sentences of its own."""
    offer = Offer("free", "threshold", "cart", "cart_view")
    arms = (Arm("control", 5_000), Arm("b", 5_000, offer))
    store.publish(publish(replace(DEFINITION, arms=arms), store.published("exit"), at=day(1)))
    assert change_log(store, "exit")[-1].text == "Published anew. It changed the offer of “b”."


def test_an_unknown_experiment_is_an_error(store):
    """With the nearest key."""
    with pytest.raises(InputError, match=r"Did you mean 'exit'\?"):
        change_log(store, "exut")


def decide(store, action, arm=None, **given):
    return make_decision(store, "exit", action, arm, **{"author": "Ada", "at": day(20)} | given)


def test_a_decision_needs_a_reason_where_nobody_recommends_it(store):
    """To go on needs none while the report says to collect; anything else does, and both are kept beside each other."""
    store.publish(start(store.published("exit"), day(1)))
    goes_on = decide(store, "continue")
    assert (goes_on.recommended_action, goes_on.reason, goes_on.look, len(goes_on.report_hash)) == (
        "collecting",
        "",
        None,
        64,
    )
    with pytest.raises(InputError, match="recommends collecting, and this decides otherwise"):
        decide(store, "ship", "b")
    made = decide(store, "ship", "b", reason="  the season ends ")
    assert (made.reason, made.follows) == ("the season ends", False)
    # The same moment and the same data give the same hash, another moment another one.
    assert (
        decide(store, "continue").report_hash
        == goes_on.report_hash
        != decide(store, "continue", at=day(21)).report_hash
    )


@pytest.mark.parametrize(
    ("action", "arm", "message"),
    [
        ("shp", None, r"Did you mean ship\?"),
        ("ship", None, "needs the ARM"),
        ("ship", "bb", r"has no arm 'bb'\nDid you mean 'b'\?"),
        ("ship", "control", "is the control"),
        ("stop_harm", "b", "Only ship takes an ARM"),
    ],
)
def test_what_cannot_be_decided(store, action, arm, message):
    """Unknown words and arms are refused with what is meant."""
    store.publish(start(store.published("exit"), day(1)))
    with pytest.raises(InputError, match=message):
        decide(store, action, arm, reason="because")


def test_when_nothing_can_be_decided(store):
    """A draft has nothing to decide, what is over does not continue, and somebody has to decide."""
    with pytest.raises(InputError, match="has not started"):
        decide(store, "continue")
    running = start(store.published("exit"), day(1))
    store.publish(running)
    with pytest.raises(InputError, match="anybody who decides"):
        decide(store, "continue", author=" ")
    store.publish(stop(running, day(2)))
    with pytest.raises(InputError, match="is over"):
        decide(store, "continue", reason="why not")
    assert decide(store, "ship", "b", reason="late").action == "ship"


def test_the_command_that_follows(store):
    """Ship serves the arm, a stop stops, to go on resumes what is paused; nothing is left to do where it is done."""
    running = start(store.published("exit"), day(1))
    ship = Decided("ship", "b", "Ada", "", day(2), "ship", "b")
    over = replace(ship, action="stop_harm", arm=None)
    goes_on = replace(over, action="continue")
    assert following_command(ship, running) == "offerlift stop exit --serve b"
    assert following_command(over, running) == "offerlift stop exit"
    assert following_command(goes_on, running) == ""
    assert following_command(goes_on, pause(running, day(2))) == "offerlift resume exit"
    shipped = stop(running, day(2), serve="b")
    assert following_command(ship, shipped) == ""
    assert following_command(over, shipped) == "offerlift stop exit"
    quoted = replace(running, definition=replace(running.definition, experiment="a b;c"))
    assert following_command(over, quoted) == "offerlift stop 'a b;c'"
