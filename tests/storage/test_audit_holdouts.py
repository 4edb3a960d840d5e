"""The audit of holdouts and of the experiments that they cover, on each engine."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from offerlift.cli.app import run
from offerlift.experiments import Assigner, Assignment, Exposure, Published, Recorder, Snapshot, bucket
from offerlift.experiments.definition import Arm, Definition, Plan
from offerlift.experiments.metrics import Column, Metric
from offerlift.storage.holding import holdings
from offerlift.storage.store import Store
from offerlift.storage.times import to_micros

AT = datetime(2026, 5, 4, tzinfo=UTC)
DAY = timedelta(days=1)
METRICS = (Metric("conversion", "conversion", Column("purchase", "converted")),)
COVERED = Definition(
    "exit",
    "a",
    (Arm("a", 5_000), Arm("b", 5_000)),
    METRICS,
    Plan("conversion"),
    holdouts=("spring",),
)
SPRING = Definition(
    "spring",
    "held_out",
    (Arm("held_out", 2_000), Arm("offered", 8_000)),
    METRICS,
    Plan("conversion"),
    holdout=True,
)


def version(definition: Definition, number: int = 1, **changes: Any) -> Published:
    made = Published(definition, "running", 1, number, AT, AT, f"hash-{definition.experiment}", "plan")
    return replace(made, **changes)


def assigned(holdout: Published, count: int = 400) -> list[Assignment]:
    assigner = Assigner(Snapshot.of([version(COVERED), holdout]))
    return [assigner.assign("exit", f"v{number}", at=AT + DAY) for number in range(count)]


def exposed(visitor: str, at: datetime = AT + DAY) -> Exposure:
    """In the experiment, in the arm that its split gives, whatever the holdout says."""
    return Exposure("exit", visitor, "a" if bucket("exit/s", visitor) < 5_000 else "b", at, 1, "hash-exit")


HELD = next(f"v{n}" for n in range(1_000) if bucket("spring/h", f"v{n}") < 2_000)
OFFERED = next(f"v{n}" for n in range(1_000) if bucket("spring/h", f"v{n}") >= 2_000)


@pytest.fixture
def covered(store: Store) -> Store:
    """A store with a running holdout and an experiment that it covers."""
    store.publish(version(SPRING))
    store.publish(version(COVERED))
    return store


def test_what_a_recorder_writes_under_a_holdout_is_right(covered, store_url):
    """Both sides of the holdout and the experiment inside it have no mismatch, and all are checked."""
    answers = assigned(version(SPRING))
    with Recorder(store_url) as recorder:
        for one in answers:
            recorder.expose(one, at=AT + DAY)
        assert recorder.flush(60)
    held = sum(one.reason == "HOLDOUT" for one in answers)
    assert 40 < held < 120
    experiment, holdout = covered.audit("exit"), covered.audit("spring")
    assert (experiment.checked, experiment.mismatches) == (len(answers) - held, ())
    assert (holdout.checked, holdout.mismatches) == (len(answers), ())


def test_a_visitor_held_out_yet_exposed_is_a_mismatch(covered):
    """The cause is the holdout, with bucket and range; nobody offered is listed, and no arm is expected."""
    covered.write_exposures([exposed(HELD), exposed(OFFERED)])
    audit = covered.audit("exit")
    assert (audit.checked, audit.causes) == (2, {"holdout": 1})
    (found,) = audit.mismatches
    assert (found.visitor, found.expected) == (HELD, None)
    assert f"bucket {bucket('spring/h', HELD)} of the holdout 'spring' is held out (0 to 1999)" in found.detail


def test_the_holdout_comes_before_every_other_cause(store):
    """Who is held out, outside the layer, in a wrong arm and a crossover counts once, as held out."""
    layered = replace(COVERED, layer="cart", layer_range=(0, 1))
    store.publish(version(SPRING))
    store.publish(version(layered))
    right = exposed(HELD)
    wrong = replace(right, arm="b" if right.arm == "a" else "a")
    store.write_exposures([wrong, replace(right, at=AT + 2 * DAY), exposed(OFFERED)])
    assert store.audit("exit").causes == {"holdout": 1, "layer": 1}


def test_a_holdout_holds_only_while_it_runs(store):
    """Exposures before it started, while it was paused, and after it stopped or ended are right; in between not."""
    ending = replace(SPRING, ends_at=AT + 8 * DAY)
    for number, (days, state) in enumerate(
        [(0, "draft"), (1, "running"), (3, "paused"), (5, "running"), (6, "running")], start=1
    ):
        store.publish(version(SPRING if days < 6 else ending, number, state=state, published_at=AT + days * DAY))
    store.publish(version(COVERED))
    for days, mismatches in [(0.5, 0), (1, 1), (2.9, 1), (3, 0), (4, 0), (5, 1), (6.5, 1), (7.9, 1), (8, 0), (9, 0)]:
        key = f"v{days}-"
        held = next(f"{key}{n}" for n in range(1_000) if bucket("spring/h", f"{key}{n}") < 2_000)
        before = store.audit("exit").causes.get("holdout", 0)
        store.write_exposures([exposed(held, AT + days * DAY)])
        assert store.audit("exit").causes.get("holdout", 0) - before == mismatches, days


def test_each_phase_of_a_holdout_has_its_own_buckets(store):
    """A holdout that was widened or drawn anew holds out whom its version of that time says."""
    wider = replace(SPRING, arms=(Arm("offered", 5_000), Arm("held_out", 5_000)), salt="spring-2")
    store.publish(version(SPRING))
    store.publish(version(wider, 2, phase=2, published_at=AT + 2 * DAY, assignment_hash="hash-2"))
    store.publish(version(COVERED))
    ids = [f"v{number}" for number in range(200)]
    store.write_exposures(
        [exposed(one, AT + DAY) for one in ids[:100]] + [exposed(one, AT + 3 * DAY) for one in ids[100:]]
    )
    expected = {one for one in ids[:100] if bucket("spring/h", one) < 2_000}
    expected |= {one for one in ids[100:] if bucket("spring-2/h", one) >= 5_000}
    found = store.audit("exit", limit=1_000)
    assert {one.visitor for one in found.mismatches if one.cause == "holdout"} == expected
    assert found.mismatching == len(expected) > 40


def test_a_record_without_a_hash_is_held_against_the_holdout_too(covered):
    """Imported exposures carry no hash; those of visitors held out are mismatches as well."""
    covered.write_exposures([replace(exposed(one), assignment_hash="") for one in (HELD, OFFERED)])
    assert covered.audit("exit").causes == {"holdout": 1}


def test_a_holdout_that_is_not_in_the_store_holds_nobody(store):
    """As the assigner ignores it, nothing is compared with it."""
    store.publish(version(COVERED))
    store.write_exposures([exposed(HELD)])
    assert store.audit("exit").mismatching == 0


def test_a_wrong_arm_of_the_holdout_is_a_mismatch(covered):
    """Held out stored as offered, offered as held out, and both sides at once, are named; the right ones are not."""
    both = next(f"v{n}" for n in range(100, 1_000) if bucket("spring/h", f"v{n}") >= 2_000)
    covered.write_exposures(
        [
            Exposure("spring", HELD, "offered", AT, 1, "hash-spring"),
            Exposure("spring", OFFERED, "held_out", AT, 1, "hash-spring"),
            Exposure("spring", both, "offered", AT, 1, "hash-spring"),
            Exposure("spring", both, "held_out", AT + DAY, 1, "hash-spring"),
            Exposure("spring", "foreign", "offered", AT, 1, "hash-exit"),
            *(
                Exposure("spring", one.visitor, one.holdout[1], AT, 1, "hash-spring")
                for one in assigned(version(SPRING), 90)
                if one.holdout is not None and one.visitor not in (HELD, OFFERED)
            ),
        ]
    )
    audit = covered.audit("spring")
    assert audit.checked == 92
    assert {one.visitor: (one.cause, one.expected) for one in audit.mismatches} == {
        HELD: ("arm", "held_out"),
        OFFERED: ("arm", "offered"),
        both: ("crossover", "offered"),
        "foreign": ("unknown_version", None),
    }


def test_the_command_names_the_holdout(store_url, covered, capsys):
    """One line a mismatch with the holdout in words, and exit code 1; the holdout itself is audited by its key."""
    covered.write_exposures([exposed(HELD)])
    assert run(["--db", store_url, "audit", "exit"]) == 1
    assert f"{HELD}\tphase 1\t{exposed(HELD).arm}\tholdout: bucket" in capsys.readouterr().out
    assert run(["--db", store_url, "audit", "spring"]) == 0
    assert "spring: 0 assignments computed again, 0 mismatches" in capsys.readouterr().out


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["draft", "running", "paused", "stopped"]), st.booleans()),
        min_size=1,
        max_size=6,
    ),
    st.integers(-1, 20),
    st.sampled_from([None, 2, 5]),
    st.sampled_from([None, 4, 9]),
)
def test_holding_is_what_the_assigner_does(steps, day, starts, ends):
    """At any time, a visitor is held out by the versions' times exactly where the assigner of that time holds out."""
    at, versions = AT, []
    for number, (days, state, wide) in enumerate(steps, start=1):
        at += days * DAY
        arms = (Arm("held_out", 6_000), Arm("offered", 4_000)) if wide else SPRING.arms
        limits = {
            "starts_at": None if starts is None else AT + starts * DAY,
            "ends_at": None if ends is None else AT + ends * DAY,
        }
        versions.append(version(replace(SPRING, arms=arms, **limits), number, state=state, published_at=at))
    moment = AT + day * DAY
    current = [one for one in versions if one.published_at <= moment][-1:]
    visitors = [f"v{number}" for number in range(20)]
    expected = set()
    if current:
        assigner = Assigner(Snapshot.of([version(COVERED), *current]))
        expected = {one for one in visitors if assigner.assign("exit", one, at=moment).reason == "HOLDOUT"}
    times = holdings(versions)
    found = {one for one in visitors if any(time.holds(bucket(time.salt, one), to_micros(moment)) for time in times)}
    assert found == expected
    assert all(one.since < one.until for one in times)
    assert all(before.until <= after.since for before, after in pairwise(times))
