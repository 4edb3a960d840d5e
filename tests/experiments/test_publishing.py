from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from offerlift.errors import PublishError
from offerlift.experiments import (
    BUILT_IN_METRICS,
    Arm,
    Definition,
    Plan,
    Published,
    Rule,
    assignment_hash,
    parse_definition,
    plan_hash,
    publish,
    refusals,
    start,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PINNED = ("fe1e2ddaaad9e501", "b669ace1178a43ec")
LATER = NOW + timedelta(hours=1)


@pytest.fixture(scope="session")
def definition(exit_downsell: str) -> Definition:
    return parse_definition(exit_downsell)


@pytest.fixture(scope="session")
def running(definition: Definition) -> Published:
    return publish(definition, None, state="running", at=NOW)


def test_first_version(definition: Definition) -> None:
    """The first version is a draft in no phase yet, with both hashes."""
    published = publish(definition, None, at=NOW)
    assert (published.state, published.phase, published.version, published.started_at) == ("draft", 0, 1, None)
    assert (published.definition, published.published_at) == (definition, NOW)
    assert published.assignment_hash == assignment_hash(definition)
    assert published.plan_hash == plan_hash(definition)
    assert len(published.plan_hash) == 16


def test_start(definition: Definition) -> None:
    """Starting a draft makes the next version, running in phase 1 from then on; starting again changes nothing."""
    started = start(publish(definition, None, at=NOW), LATER)
    assert (started.state, started.phase, started.version) == ("running", 1, 2)
    assert (started.started_at, started.published_at) == (LATER, LATER)
    assert start(started, LATER + timedelta(days=1)) is started


def test_publish_and_start_at_once(definition: Definition, running: Published) -> None:
    """With `state="running"` one version is made, whether there was a draft or not."""
    assert (running.state, running.version, running.started_at) == ("running", 1, NOW)
    draft = publish(definition, None, at=NOW)
    started = publish(definition, draft, state="running", at=LATER)
    assert (started.state, started.version, started.phase, started.started_at) == ("running", 2, 1, LATER)


def test_nothing_changed(definition: Definition, running: Published) -> None:
    """Publishing the same definition again gives the same version."""
    draft = publish(definition, None, at=NOW)
    assert publish(definition, draft, at=LATER) is draft
    assert publish(definition, running, at=LATER) is running
    assert publish(definition, running, state="running", at=LATER) is running


def test_a_draft_may_change(definition: Definition) -> None:
    """Before the start anything may change; both hashes follow."""
    draft = publish(definition, None, at=NOW)
    changed = replace(definition, plan=replace(definition.plan, alpha=0.1), salt="other")
    published = publish(changed, draft, at=LATER)
    assert (published.version, published.state) == (2, "draft")
    assert published.plan_hash != draft.plan_hash
    assert published.assignment_hash != draft.assignment_hash


def test_allowed_changes_after_the_start(definition: Definition, running: Published) -> None:
    """Owner, description, end and more traffic may change in a running experiment, which goes on running."""
    changed = replace(definition, owner="someone", description="new words", ends_at=LATER)
    published = publish(changed, running, at=LATER)
    assert (published.version, published.state, published.phase, published.started_at) == (2, "running", 1, NOW)
    assert published.published_at == LATER
    assert (published.plan_hash, published.assignment_hash) == (running.plan_hash, running.assignment_hash)
    small = publish(replace(definition, traffic=Fraction(1, 5)), None, state="running", at=NOW)
    assert publish(definition, small, at=LATER).assignment_hash == small.assignment_hash


def _changed_offer(definition: Definition) -> tuple[Arm, ...]:
    offer = definition.arms[2].offer
    assert offer is not None
    return (*definition.arms[:2], replace(definition.arms[2], offer=replace(offer, message="Free shipping!")))


def _changes(definition: Definition) -> dict[str, dict[str, Any]]:
    arms, metrics = definition.arms, definition.metrics
    return {
        "plan.alpha": {"plan": replace(definition.plan, alpha=0.1)},
        "plan.primary": {"plan": replace(definition.plan, primary="conversion", adjusted=False)},
        "metrics.conversion.window_end": {"metrics": (replace(metrics[0], window_end=1), *metrics[1:])},
        "metrics.support_contacts": {"metrics": metrics[:-1]},
        "control": {"control": "free-shipping"},
        "currency": {"currency": "SEK"},
        "arms.free-shipping.offer.message": {"arms": _changed_offer(definition)},
        "arms.control.weight": {"arms": (replace(arms[0], weight=3_333), replace(arms[1], weight=3_334), arms[2])},
        "order": {"arms": (arms[1], arms[0], arms[2])},
        "eligibility": {"eligibility": definition.eligibility[:1]},
        "salt": {"salt": "other"},
        "enrol_on": {"enrol_on": "cart_view"},
        "traffic": {"traffic": Fraction(1, 2)},
        "starts_at": {"starts_at": LATER},
    }


def test_frozen_after_the_start(definition: Definition, running: Published) -> None:
    """Each frozen part is refused by name, with the old and the new value, and a hint at what to do."""
    for path, changes in _changes(definition).items():
        changed = replace(definition, **changes)
        with pytest.raises(PublishError) as caught:
            publish(changed, running, at=LATER)
        assert path in [finding.path for finding in caught.value.findings]
        assert all(" -> " in finding.seen for finding in caught.value.findings)
        assert "new `experiment:` name" in (caught.value.hint or "")


def test_frozen_words(definition: Definition, running: Published) -> None:
    """The refusal says what is frozen and why."""
    changed = replace(definition, plan=replace(definition.plan, alpha=0.1), salt="other")
    with pytest.raises(PublishError) as caught:
        publish(changed, running, at=LATER)
    assert [str(finding) for finding in caught.value.findings] == [
        "exit-downsell: plan.alpha: the plan is frozen at the start (seen: nothing -> 0.1)",
        "exit-downsell: salt: this would change who sees what, which opens a new phase "
        '(seen: "exit-downsell" -> "other")',
    ]


def test_every_part_is_in_the_right_hash(definition: Definition) -> None:
    """The plan's parts move the plan hash alone, the assignment's the other alone, the rest none."""
    plan_parts = {"plan.alpha", "plan.primary", "metrics.conversion.window_end", "metrics.support_contacts"}
    plan_parts |= {"control", "currency"}
    for path, changes in _changes(definition).items():
        changed = replace(definition, **changes)
        assert (plan_hash(changed) != plan_hash(definition)) is (path in plan_parts)
        neither = plan_parts | {"traffic", "starts_at"}
        assert (assignment_hash(changed) != assignment_hash(definition)) is (path not in neither)


def test_hashes_are_pinned(definition: Definition) -> None:
    """Hashes are the same on every machine and in every release that reads this definition alike."""
    assert (assignment_hash(definition), plan_hash(definition)) == PINNED


@pytest.mark.parametrize(("state", "words"), [("paused", "is paused"), ("stopped", "is stopped")])
def test_no_restart(running: Published, state: Any, words: str) -> None:
    """A paused or stopped experiment cannot be started again."""
    with pytest.raises(PublishError, match=words):
        start(replace(running, state=state), LATER)


def test_stopped_stays_as_it_is(definition: Definition, running: Published) -> None:
    """A stopped experiment takes no change, not even of its owner; a paused one stays paused."""
    owner = replace(definition, owner="someone")
    with pytest.raises(PublishError, match="is stopped"):
        publish(owner, replace(running, state="stopped"), at=LATER)
    assert publish(owner, replace(running, state="paused"), at=LATER).state == "paused"


def test_start_after_the_end(definition: Definition) -> None:
    """An experiment whose end has passed cannot be started."""
    with pytest.raises(PublishError, match="before its start"):
        publish(replace(definition, ends_at=NOW), None, state="running", at=NOW)


def test_key_and_source_are_fixed(definition: Definition, running: Published) -> None:
    """Another key or an imported table cannot follow a version."""
    with pytest.raises(PublishError, match="the key is the experiment"):
        publish(replace(definition, experiment="other", layer="other"), running, at=LATER)
    with pytest.raises(PublishError, match="already stored with assignment by offerlift"):
        publish(replace(definition, source="table"), running, at=LATER)


def test_tables_are_not_started(definition: Definition) -> None:
    """An imported table can be published, not started."""
    draft = publish(replace(definition, source="table"), None, at=NOW)
    with pytest.raises(PublishError, match="imported table"):
        start(draft, NOW)


def test_naive_times(definition: Definition) -> None:
    """Naive times are refused."""
    with pytest.raises(PublishError, match="time zone"):
        publish(definition, None, at=datetime(2026, 3, 1))  # noqa: DTZ001 - refused


REFUSED = {
    "metrics[2].filter": "filters are not executed yet",
    "columns": "declared columns of outcomes are not stored yet",
}


def test_refusals(everything: str) -> None:
    """Everything that is parsed and not executed yet is refused by name, and nothing else is."""
    found = {finding.path: finding.message for finding in refusals(parse_definition(everything))}
    assert set(found) == set(REFUSED)
    assert all(words in found[path] for path, words in REFUSED.items())


def test_publish_raises_the_refusals(everything: str) -> None:
    """Publishing raises all refusals at once."""
    definition = parse_definition(everything)
    with pytest.raises(PublishError) as caught:
        publish(definition, None, at=NOW)
    assert caught.value.findings == tuple(refusals(definition))
    assert f"{len(REFUSED)} parts are not executed" in caught.value.message


def test_a_factorial_is_published(cart_factorial: str) -> None:
    """With its scale and the family of its terms, which are part of the plan."""
    assert refusals(parse_definition(cart_factorial)) == []
    text = cart_factorial.replace("alpha: 0.1", "scale: log, family: [threshold, threshold:discount]")
    definition = parse_definition(text)
    assert refusals(definition) == []
    assert (definition.plan.scale, definition.plan.family) == ("log", ("threshold", "threshold:discount"))
    assert plan_hash(definition) != plan_hash(parse_definition(text.replace("threshold:discount", "discount")))


def test_ratio_covariate_is_refused(exit_downsell: str) -> None:
    """A covariate of a ratio is parsed and refused."""
    text = exit_downsell.replace("average_order_value: {", "average_order_value: {covariate: past_revenue, ")
    assert [finding.path for finding in refusals(parse_definition(text))] == ["metrics[3].covariate"]


def test_descriptive_parts_are_published(exit_downsell: str) -> None:
    """What backends or people read is no reason to refuse: audience, power, own salt and layer, times, offers."""
    text = exit_downsell.replace(
        "  longest_duration: 6w", "  power: 0.9\n  audience: {per_week: 10, horizon: 1w}\n  longest_duration: 6w"
    )
    text += "layer: exit-downsell\nsalt: exit-2\ntraffic: 50%\nstarts_at: 2026-03-01T09:00:00Z\n"
    assert refusals(parse_definition(text)) == []


def test_refusals_name_the_file(everything: str) -> None:
    """Refusals can carry the name of the file."""
    assert {one.file for one in refusals(parse_definition(everything), file="e.yaml")} == {"e.yaml"}


def test_broken_invariants() -> None:
    """A definition made in Python that breaks what reading guarantees is refused."""
    broken = Definition(
        "exp",
        "c",
        (Arm("a", 5_000), Arm("b", 4_000)),
        (BUILT_IN_METRICS["conversion"], BUILT_IN_METRICS["revenue_per_visitor"]),
        Plan("orders", guardrails=("revenue_per_visitor", "x")),
        eligibility=(Rule("x", "eq", 1),),
    )
    found = [(finding.path, finding.seen) for finding in refusals(broken)]
    assert found == [
        ("arms", "9000"),
        ("control", "c"),
        ("plan.primary", "orders"),
        ("plan.guardrails", "revenue_per_visitor"),
        ("plan.guardrails", "x"),
    ]
