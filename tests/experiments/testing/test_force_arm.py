from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest
from offerlift.errors import InputError
from offerlift.experiments import (
    BUILT_IN_METRICS,
    Arm,
    Assigner,
    Definition,
    LiveAssigner,
    Offer,
    Plan,
    Published,
    Snapshot,
    State,
)
from offerlift.experiments.testing import force_arm

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
OFFER = Offer("lighter", "downsell", "exit_popup", "exit_intent")
EXIT = Definition(
    "exit",
    "control",
    (Arm("control", 10_000), Arm("lighter", 0, OFFER)),
    (BUILT_IN_METRICS["conversion"],),
    Plan("conversion"),
)


def _assigner(state: State = "running", strict: bool = False) -> Assigner:
    other = replace(EXIT, experiment="other")
    return Assigner(
        Snapshot.of(Published(each, state, 1, 1, NOON, NOON, "hash", "plan") for each in (EXIT, other)), strict
    )


def _arm() -> str:
    return _assigner().assign("exit", "v1").arm


def test_every_visitor_gets_the_arm_inside_only() -> None:
    """Inside, the arm with its offer and reason FORCED; other experiments and everything after it are untouched."""
    assigner, original = _assigner(), Assigner.assign
    with force_arm("exit", "lighter"):
        forced = assigner.assign("exit", 17)
        assert (forced.arm, forced.visitor, forced.reason, forced.bucket) == ("lighter", "17", "FORCED", None)
        assert forced.offer is not None
        assert forced.offer.name == "lighter"
        assert assigner.assign("other", 17).reason == "SPLIT"
    assert assigner.assign("exit", 17).arm == "control"
    assert Assigner.assign is original


@pytest.mark.parametrize("state", ["draft", "paused", "stopped"])
def test_the_state_does_not_matter(state: State) -> None:
    """A test does not depend on what was published last."""
    with force_arm("exit", "lighter"):
        assert _assigner(state).assign("exit", "v1").arm == "lighter"


def test_the_innermost_counts() -> None:
    """Nested for one experiment, the inner arm holds until it is left, also through an error."""

    @force_arm("exit", "control")
    def failing() -> None:
        assert _arm() == "control"
        raise RuntimeError

    with force_arm("exit", "lighter"):
        with pytest.raises(RuntimeError):
            failing()
        assert _arm() == "lighter"


def test_an_offer_of_the_tests() -> None:
    """A given offer replaces the arm's, None as a guard would; an experiment outside the snapshot is fine with it."""
    own = replace(OFFER, name="own")
    with force_arm("exit", "lighter", offer=None):
        assert _assigner().assign("exit", "v1")[3:5] == ("lighter", None)
    with force_arm("unpublished", "b", offer=own):
        assert _assigner().assign("unpublished", "v1")[3:5] == ("b", own)
        assert Assigner({}, strict=True).assign("unpublished", "v1").arm == "b"


def test_a_misspelt_name_fails_the_test() -> None:
    """Unknown experiment or arm: an error that lists what there is, also from an assigner that never raises."""
    with (
        force_arm("exit", "ligther"),
        pytest.raises(InputError, match="no arm 'ligther' to force\\nDid you mean 'lighter'"),
    ):
        _arm()
    with force_arm("exti", "lighter"), pytest.raises(InputError, match="cannot force an arm: no experiment 'exti'"):
        _assigner().assign("exti", "v1")


def test_impossible_visitors_stay_impossible() -> None:
    """Forcing hides no bug in the caller's visitor id."""
    with force_arm("exit", "lighter"), pytest.raises(InputError, match="visitor id"):
        _assigner().assign("exit", "")


def test_an_assigner_that_follows_its_snapshot(tmp_path: Path) -> None:
    """It is forced as well, also when a new snapshot comes meanwhile, and assigns as usual afterwards."""
    path = tmp_path / "offers.json"
    Snapshot.of([Published(EXIT, "running", 1, 1, NOON, NOON, "hash", "plan")]).write(path)
    live = LiveAssigner(path, every=3600)
    try:
        with force_arm("exit", "lighter"):
            assert live.assign("exit", "v1").arm == "lighter"
            Snapshot.of([Published(EXIT, "paused", 1, 2, NOON, NOON, "hash-2", "plan")]).write(path)
            assert live.source.refresh()
            assert live.assign("exit", "v1").arm == "lighter"
        with force_arm("another", "b", offer=None):
            assert live.assign("exit", "v1").reason == "PAUSED"
        assert live.assign("exit", "v1")[3] == "control"
    finally:
        live.close()


def test_other_threads_are_forced_too() -> None:
    """A server under test answers in its own thread."""
    seen = []
    with force_arm("exit", "lighter"):
        thread = Thread(target=lambda: seen.append(_arm()))
        thread.start()
        thread.join()
    assert seen == ["lighter"]


@force_arm("exit", "lighter")
def test_it_decorates_a_test(tmp_path: object) -> None:
    """A decorated test keeps its fixtures, and every call of it is forced."""
    assert tmp_path
    assert _arm() == "lighter"


def test_it_decorates_coroutines_and_generators() -> None:
    """A coroutine is forced while it runs, a generator while it is open, and neither before nor after."""

    @force_arm("exit", "lighter")
    async def coroutine() -> str:
        await asyncio.sleep(0)
        return _arm()

    @force_arm("exit", "lighter")
    def fixture() -> Iterator[str]:
        yield _arm()

    assert asyncio.run(coroutine()) == "lighter"
    generator = fixture()
    assert _arm() == "control"
    assert next(generator) == "lighter"
    assert _arm() == "lighter"
    assert next(generator, None) is None
    assert _arm() == "control"


def test_a_decorator_can_recurse() -> None:
    """Leaving the inner call leaves the outer one forced."""

    @force_arm("exit", "lighter")
    def twice(again: bool) -> list[str]:
        return [*(twice(False) if again else []), _arm()]

    assert twice(True) == ["lighter", "lighter"]
    assert _arm() == "control"


def test_it_refuses_what_it_would_not_force() -> None:
    """A class, or an asynchronous generator, would run outside; that is said at once."""

    async def generator():
        yield 1

    for refused in (generator, Arm):
        with pytest.raises(TypeError, match="decorates functions"):
            force_arm("exit", "lighter")(refused)
