from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from offerlift.errors import PublishError
from offerlift.experiments import Arm, Assigner, Published, publish, start
from offerlift.experiments.lifecycle import open_phase, pause, resume, stop
from offerlift.experiments.publishing import publish_all

from .shop import BETTER, NOON, definition, holdout, published

LATER = NOON + timedelta(days=1)
RUNNING = publish(definition(salt="exp", layer="exp"), None, state="running", at=NOON)
OTHER_WEIGHTS = replace(RUNNING.definition, arms=(Arm("a", 1_000), Arm("b", 9_000, BETTER)))


def _arm(version: Published, visitor: int = 0) -> tuple[str, str]:
    answer = Assigner({"exp": version}).assign("exp", visitor)
    return str(answer.reason), answer.arm


def test_pause_and_resume() -> None:
    """A pause gives everyone the control, the same phase runs on afterwards, and each step is its own version."""
    paused = pause(RUNNING, LATER)
    assert (paused.state, paused.phase, paused.version, paused.published_at) == ("paused", 1, 2, LATER)
    assert {_arm(paused, v) for v in range(50)} == {("PAUSED", "a")}
    resumed = resume(paused, LATER)
    assert replace(resumed, version=1, published_at=NOON) == RUNNING
    assert (pause(paused, LATER), resume(resumed, LATER)) == (paused, resumed)


def test_stop() -> None:
    """Stopping gives everyone the control; stopping again changes nothing."""
    stopped = stop(RUNNING, LATER)
    assert (stopped.state, stopped.phase, stopped.version, stopped.serve) == ("stopped", 1, 2, None)
    assert {_arm(stopped, v) for v in range(50)} == {("STOPPED", "a")}
    assert stop(stopped, LATER) is stopped


def test_ship() -> None:
    """`serve` gives everyone eligible the arm's offer with reason SHIPPED, outside of traffic and times too."""
    limited = published(definition(traffic=Fraction(1, 100), ends_at=NOON))
    shipped = stop(limited, LATER, serve="b")
    answers = [Assigner({"exp": shipped}).assign("exp", v, at=LATER) for v in range(50)]
    assert {(str(one.reason), one.arm, one.offer, one.bucket) for one in answers} == {("SHIPPED", "b", BETTER, None)}


def test_ship_later_and_withdraw() -> None:
    """What a stopped experiment serves may be set, changed and withdrawn, each as a new version."""
    first = stop(stop(RUNNING, LATER), LATER, serve="b")
    second = stop(first, LATER, serve="a")
    withdrawn = stop(second, LATER)
    assert [one.serve for one in (first, second, withdrawn)] == ["b", "a", None]
    assert [one.version for one in (first, second, withdrawn)] == [3, 4, 5]
    assert stop(first, LATER, serve="b") is first


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        (lambda: pause(published(definition(), "draft"), LATER), "is a draft, not running", "offerlift start exp"),
        (lambda: pause(published(definition(), "stopped"), LATER), "is stopped, not running", "new key"),
        (
            lambda: pause(published(definition(), "stopped", serve="b"), LATER),
            "is stopped, not running",
            "`offerlift stop exp` takes back",
        ),
        (lambda: resume(published(definition(), "draft"), LATER), "is a draft, not paused", "offerlift start exp"),
        (lambda: resume(published(definition(), "stopped"), LATER), "is stopped, not paused", "new key"),
        (lambda: start(published(definition(), "paused"), LATER), "is paused", "offerlift resume exp"),
        (lambda: start(published(definition(), "stopped"), LATER), "is stopped", "new key"),
        (lambda: stop(RUNNING, LATER, serve="d"), "no arm 'd' to serve", "a, b, c"),
        (lambda: stop(published(definition(), "draft"), LATER, serve="b"), "has not started", "offerlift start exp"),
        (lambda: stop(published(holdout()), LATER, serve="offered"), "is a holdout", "offerlift stop spring"),
        (lambda: pause(published(definition(source="table")), LATER), "imported table", "offerlift analyze exp"),
        (lambda: stop(published(definition(source="table")), LATER), "imported table", "offerlift analyze exp"),
        (
            lambda: open_phase(definition(), published(definition(), "draft"), at=LATER),
            "has not started",
            "offerlift publish FILE",
        ),
        (lambda: open_phase(definition(), published(definition(), "stopped"), at=LATER), "is stopped", "new key"),
        (lambda: open_phase(RUNNING.definition, RUNNING, at=LATER), "needs a new phase", "offerlift publish FILE"),
    ],
)
def test_refused_steps(change: Any, message: str, hint: str) -> None:
    """A step that the state does not allow is refused with the command that helps."""
    with pytest.raises(PublishError, match=message) as caught:
        change()
    assert hint in (caught.value.hint or "")


def test_naive_times() -> None:
    """Naive times are refused."""
    naive = datetime(2026, 3, 1)  # noqa: DTZ001 - refused
    for step in (pause, resume, stop):
        with pytest.raises(PublishError, match="time zone"):
            step(RUNNING, naive)
    with pytest.raises(PublishError, match="time zone"):
        open_phase(OTHER_WEIGHTS, RUNNING, at=naive)


def test_phase() -> None:
    """Other weights open the next phase; it keeps the state, the start and the salt, and has its own hash."""
    for previous in (RUNNING, pause(RUNNING, NOON)):
        following = open_phase(OTHER_WEIGHTS, previous, at=LATER)
        assert (following.phase, following.state, following.version) == (2, previous.state, previous.version + 1)
        assert (following.started_at, following.published_at) == (NOON, LATER)
        assert following.assignment_hash != RUNNING.assignment_hash
        assert following.plan_hash == RUNNING.plan_hash
    following = open_phase(OTHER_WEIGHTS, RUNNING, at=LATER)
    for visitor in range(200):
        old, new = (Assigner({"exp": one}).assign("exp", visitor) for one in (RUNNING, following))
        assert old.bucket == new.bucket
        assert new.phase == 2


def test_publish_points_to_the_phase() -> None:
    """Publishing other weights over a running experiment is refused and names the command that opens a phase."""
    with pytest.raises(PublishError) as caught:
        publish(OTHER_WEIGHTS, RUNNING, at=LATER)
    assert "`offerlift phase FILE`" in (caught.value.hint or "")
    plan = replace(OTHER_WEIGHTS, plan=replace(OTHER_WEIGHTS.plan, alpha=0.1))
    with pytest.raises(PublishError) as caught:
        publish(plan, RUNNING, at=LATER)
    assert "phase FILE" not in (caught.value.hint or "")


def test_plan_holds_in_every_phase() -> None:
    """A phase may change neither the plan nor the start."""
    changed = replace(OTHER_WEIGHTS, plan=replace(OTHER_WEIGHTS.plan, alpha=0.1), starts_at=LATER)
    with pytest.raises(PublishError, match="in every phase") as caught:
        open_phase(changed, RUNNING, at=LATER)
    assert [one.path for one in caught.value.findings] == ["plan.alpha", "starts_at"]


def test_less_traffic_is_a_phase() -> None:
    """Letting in fewer visitors opens a phase, letting in more does not need one."""
    half = publish(replace(RUNNING.definition, traffic=Fraction(1, 2)), None, state="running", at=NOON)
    less = replace(RUNNING.definition, traffic=Fraction(1, 4))
    assert open_phase(less, half, at=LATER).phase == 2
    with pytest.raises(PublishError, match="needs a new phase"):
        open_phase(RUNNING.definition, half, at=LATER)


def test_reshuffle() -> None:
    """`reshuffle` draws all visitors anew under a salt named after the phase, also without any other change."""
    again = open_phase(RUNNING.definition, RUNNING, at=LATER, reshuffle=True)
    assert again.definition.salt == "exp.2"
    moved = sum(_arm(again, v) != _arm(RUNNING, v) for v in range(1_000))
    # Of two independent draws of 50/30/20, 62 % differ.
    assert 550 < moved < 690
    third = open_phase(RUNNING.definition, again, at=LATER, reshuffle=True)
    assert third.definition.salt == "exp.3"


def test_another_salt_needs_reshuffle() -> None:
    """A file with another salt is refused unless reshuffling is asked for, which then takes that salt."""
    other = replace(OTHER_WEIGHTS, salt="mine")
    with pytest.raises(PublishError, match="another salt") as caught:
        open_phase(other, RUNNING, at=LATER)
    assert "--reshuffle" in (caught.value.hint or "")
    assert open_phase(other, RUNNING, at=LATER, reshuffle=True).definition.salt == "mine"


def test_the_reshuffled_salt_stays() -> None:
    """A file that does not name a salt goes on with the one that a reshuffle gave."""
    again = open_phase(RUNNING.definition, RUNNING, at=LATER, reshuffle=True)
    assert publish(RUNNING.definition, again, at=LATER) is again
    assert publish(replace(RUNNING.definition, owner="me"), again, at=LATER).definition.salt == "exp.2"
    assert open_phase(OTHER_WEIGHTS, again, at=LATER).definition.salt == "exp.2"


def test_overlap_in_a_layer() -> None:
    """Buckets of a layer are owned once; the refusal names the owner, the free ranges and the command that helps."""
    first = published(definition("first", layer="shop", layer_range=(0, 4_000)), "draft")
    third = published(definition("third", layer="shop", layer_range=(6_000, 7_000)), "paused")
    second = definition("second", layer="shop", layer_range=(3_000, 6_500))
    with pytest.raises(PublishError, match="overlaps with another experiment in the layer 'shop'") as caught:
        publish(second, None, at=NOON, others=[first, third])
    assert [(one.message, one.hint) for one in caught.value.findings] == [
        ("buckets [3000, 4000] belong to first (draft)", "`offerlift stop first` gives them back."),
        ("buckets [6000, 6500] belong to third (paused)", "`offerlift stop third` gives them back."),
    ]
    assert "[4000, 6000], [7000, 10000]" in (caught.value.hint or "")
    free = replace(second, layer_range=(4_000, 6_000))
    assert publish(free, None, at=NOON, others=[first, third]).state == "draft"
    with pytest.raises(PublishError, match="overlaps"):
        start(published(second, "draft"), NOON, others=[first])
    with pytest.raises(PublishError, match="overlaps"):
        open_phase(second, published(free), at=NOON, others=[first])


def test_who_does_not_own_buckets() -> None:
    """A stopped experiment, a holdout, a table, another layer and the experiment itself are no neighbours."""
    mine = definition("mine", layer="shop")
    others = [
        published(definition("old", layer="shop"), "stopped"),
        published(definition("shipped", layer="shop"), "stopped", serve="b"),
        published(definition("mine", layer="shop"), "draft"),
        published(definition("elsewhere")),
        published(definition("table", layer="shop", source="table")),
        published(holdout("shop")),
    ]
    assert publish(mine, None, at=NOON, others=others).state == "draft"
    with pytest.raises(PublishError, match="overlaps"):
        publish(mine, None, at=NOON, others=[published(definition("shop"))])


def test_a_folder_may_swap_ranges() -> None:
    """Definitions that are published together see each other as they will be."""
    one, two = (definition(key, layer="shop", layer_range=r) for key, r in [("one", (0, 50)), ("two", (50, 100))])
    stored = {version.definition.experiment: version for version in publish_all([one, two], {}, at=NOON)}
    swapped = [replace(one, layer_range=(50, 100)), replace(two, layer_range=(0, 50))]
    assert [version.version for version in publish_all(swapped, stored, at=LATER)] == [2, 2]
    with pytest.raises(PublishError, match="overlaps"):
        publish_all([replace(one, layer_range=(0, 60))], stored, at=LATER)
    covered = definition("covered", holdouts=("spring",))
    assert len(publish_all([covered, holdout()], {}, at=NOON)) == 2


@pytest.mark.parametrize(
    ("others", "message", "hint"),
    [
        ([], "is not published", "offerlift publish FILE"),
        ([published(definition("spring"))], "is no holdout", "holdout: true"),
        ([published(holdout(), "stopped")], "is stopped", "Take it out"),
    ],
)
def test_impossible_holdouts(others: list[Published], message: str, hint: str) -> None:
    """A holdout must be published, be one, and not be over."""
    with pytest.raises(PublishError, match="holdout that does not hold") as caught:
        publish(definition(holdouts=("spring",)), None, at=NOON, others=others)
    (finding,) = caught.value.findings
    assert finding.message.startswith(message)
    assert hint in (finding.hint or "")


def test_holdout_runs_before_what_it_covers() -> None:
    """An experiment starts only under a running holdout; the refusal says how to get there."""
    covered = publish(definition(holdouts=("spring",)), None, at=NOON, others=[published(holdout(), "draft")])
    for state, command in (("draft", "start"), ("paused", "resume")):
        with pytest.raises(PublishError) as caught:
            start(covered, NOON, others=[published(holdout(), state)])
        assert caught.value.findings[0].hint == f"`offerlift {command} spring` first."
    started = start(covered, NOON, others=[published(holdout())])
    assert started.state == "running"
    assert publish(replace(covered.definition, owner="me"), started, at=LATER).version == 3
