"""Publishing: from a valid definition to the next immutable version, or a refusal in so many words.

Pure functions: the caller stores the result.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from ..errors import Finding, PublishError
from .codec import encode
from .definition import Definition
from .invariants import Refusal
from .neighbours import check_holdouts, check_layer
from .snapshot import Published
from .unexecuted import finding_in, refusals

__all__ = [
    "NEW_KEY",
    "assignment_changes",
    "assignment_hash",
    "check_change",
    "check_executed",
    "check_key",
    "continued",
    "frozen",
    "plan_hash",
    "publish",
    "publish_all",
    "refusals",
    "require_aware",
    "start",
]

NEW_KEY = "Give the definition a new key (another `experiment:` name), then `offerlift publish FILE`."
"""What helps where an experiment is over."""

_VALIDATE = "`offerlift validate FILE` lists what is wrong with a file; what it accepts may still not be executed yet."


def publish(
    definition: Definition,
    previous: Published | None,
    *,
    state: Literal["draft", "running"] = "draft",
    at: datetime,
    others: Iterable[Published] = (),
) -> Published:
    """The version that follows `previous`, or `previous` itself where nothing changed.

    An experiment that has started keeps its state; `state="running"` starts a draft.

    Args:
        definition: what to publish.
        previous: the latest version, None for the first.
        state: draft, or running to start at once.
        at: now, aware.
        others: the latest versions of the other experiments, who may own buckets of its layer.

    Raises:
        PublishError: something in the definition is not executed yet, what is frozen would change, its layer's buckets
            belong to another experiment, or its holdout is not published.
    """
    require_aware(at)
    check_executed(definition)
    neighbours = list(others)
    if previous is not None:
        definition = continued(definition, previous)
        check_change(previous, definition)
    check_layer(definition, neighbours)
    if previous is None or previous.state == "draft":
        check_holdouts(definition, neighbours, running=False)
    unchanged = previous is not None and previous.definition == definition
    if previous is not None and unchanged and (state == "draft" or previous.state == "running"):
        return previous
    started = previous is not None and previous.state != "draft"
    published = Published(
        definition=definition,
        state=previous.state if previous is not None and started else "draft",
        phase=previous.phase if previous is not None else 0,
        version=previous.version + 1 if previous is not None else 1,
        published_at=at,
        started_at=previous.started_at if previous is not None else None,
        assignment_hash=assignment_hash(definition),
        plan_hash=plan_hash(definition),
    )
    if state == "draft" or published.state == "running":
        return published
    return replace(start(published, at, others=neighbours), version=published.version)


def publish_all(definitions: Iterable[Definition], stored: Mapping[str, Published], *, at: datetime) -> list[Published]:
    """The versions that follow, of several definitions at once, such as a folder: each sees the others as they will be.

    Args:
        definitions: what to publish, each key once.
        stored: the latest version of every experiment, by key.
        at: now, aware.

    Raises:
        PublishError: as `publish`; nothing is published then.
    """
    listed = list(definitions)
    becoming = {**stored, **{one.experiment: _becoming(one, stored.get(one.experiment), at) for one in listed}}
    return [
        publish(
            one,
            stored.get(one.experiment),
            at=at,
            others=[other for key, other in becoming.items() if key != one.experiment],
        )
        for one in listed
    ]


def start(previous: Published, at: datetime, *, others: Iterable[Published] = ()) -> Published:
    """The version that runs a draft, in phase 1; `previous` itself where it runs already.

    `others` are the latest versions of the other experiments.

    Raises:
        PublishError: paused, stopped, an imported table, past its end, not executable by this version, or its layer or
            holdout do not allow it.
    """
    require_aware(at)
    definition = previous.definition
    key = definition.experiment
    if previous.state == "running":
        return previous
    if definition.source == "table":
        raise PublishError(
            f"{key!r} is an imported table and is only read",
            hint=f"`offerlift analyze {key}` reads it.",
        )
    if previous.state == "paused":
        raise PublishError(f"{key!r} is paused", hint=f"`offerlift resume {key}` lets it run on.")
    if previous.state == "stopped":
        raise PublishError(
            f"{key!r} is stopped and cannot be started again",
            hint=NEW_KEY,
        )
    if definition.ends_at is not None and definition.ends_at <= at:
        raise PublishError(
            f"{key!r} ended at {definition.ends_at.isoformat()}, before its start at {at.isoformat()}",
            hint="Move `ends_at`, then `offerlift publish` the file again.",
        )
    findings = refusals(definition)
    if findings:
        raise PublishError(f"{key!r} cannot be started by this version", findings=findings, hint=_VALIDATE)
    neighbours = list(others)
    check_layer(definition, neighbours)
    check_holdouts(definition, neighbours, running=True)
    return replace(previous, state="running", phase=1, version=previous.version + 1, published_at=at, started_at=at)


def check_change(old: Published, new: Definition) -> None:
    """Refuse what must not change: after the start the plan, and everything that decides who sees what.

    Raises:
        PublishError: naming each changed place with the old and the new value.
    """
    before = old.definition
    check_key(old, new)
    if old.state == "draft" or before == new:
        return
    if old.state == "stopped":
        raise PublishError(
            f"{new.experiment!r} is stopped; what it was is kept as it is",
            hint=NEW_KEY,
        )
    findings = [*frozen(before, new), *assignment_changes(before, new)]
    if new.traffic < before.traffic:
        seen = f"{float(before.traffic):.4g} -> {float(new.traffic):.4g}"
        findings.append(finding_in(new, "traffic", seen, "within a phase traffic may only rise"))
    if findings:
        phase = "" if frozen(before, new) else "open a new phase with `offerlift phase FILE`, "
        raise PublishError(
            f"{new.experiment!r} has started and its design is frozen",
            findings=findings,
            hint=f"Undo these changes, {phase}or publish the new design under a new `experiment:` name.",
        )


def check_key(old: Published, new: Definition) -> None:
    """Refuse a definition that is another experiment's, or of the other source.

    Raises:
        PublishError: naming both.
    """
    before = old.definition
    if before.experiment != new.experiment:
        raise PublishError(f"{new.experiment!r} cannot follow {before.experiment!r}: the key is the experiment")
    if before.source != new.source:
        raise PublishError(
            f"{new.experiment!r} is already stored with assignment by {_source(before)}",
            hint="Use another `experiment:` name.",
        )


def check_executed(definition: Definition) -> None:
    """Refuse what this version would not execute.

    Raises:
        PublishError: with every refusal.
    """
    findings = refusals(definition)
    if findings:
        raise PublishError(
            f"{definition.experiment!r} cannot be published yet: {len(findings)} "
            f"{'part is' if len(findings) == 1 else 'parts are'} not executed by this version",
            findings=findings,
            hint="Take these out, or wait for the version that executes them.",
        )


def frozen(before: Definition, new: Definition) -> list[Finding]:
    """Changes that no phase allows: the plan and the start."""
    changes = _changes(_plan_part(before), _plan_part(new), "the plan is frozen at the start")
    if before.starts_at != new.starts_at:
        changes.append(("starts_at", f"{before.starts_at} -> {new.starts_at}", "the start is frozen once it runs"))
    return [finding_in(new, *change) for change in changes]


def assignment_changes(before: Definition, new: Definition) -> list[Finding]:
    """Changes of who sees what, which only a new phase allows."""
    message = "this would change who sees what, which opens a new phase"
    return [finding_in(new, *change) for change in _changes(_assignment_part(before), _assignment_part(new), message)]


def continued(definition: Definition, previous: Published) -> Definition:
    """The definition with the salt that a phase may have given the experiment, where the file leaves it open."""
    given = definition.salt not in ("", definition.experiment)
    if given or previous.state == "draft" or previous.definition.salt in ("", definition.experiment):
        return definition
    return replace(definition, salt=previous.definition.salt)


def _becoming(definition: Definition, previous: Published | None, at: datetime) -> Published:
    """What the others have to reckon with once this is published."""
    if previous is not None:
        return replace(previous, definition=definition)
    return Published(definition, "draft", 0, 1, at, None, "", "")


def assignment_hash(definition: Definition) -> str:
    """Sixteen hex digits over all that decides who sees what: arms in order with their offers, weights, salts, layer
    range, eligibility, holdouts and the event of enrolment. Traffic is not in it, as it may rise within a phase.
    """
    return _hash(_assignment_part(definition))


def plan_hash(definition: Definition) -> str:
    """Sixteen hex digits over metrics, plan, control, factors and currency: how the experiment is judged."""
    return _hash(_plan_part(definition))


def _assignment_part(definition: Definition) -> dict[str, Any]:
    return {
        "arms": {arm.name: {"weight": arm.weight, "offer": encode(arm.offer)} for arm in definition.arms},
        "order": [arm.name for arm in definition.arms],
        "offers": encode(definition.offers),
        "source": definition.source,
        "salt": definition.salt or definition.experiment,
        "layer": definition.layer or definition.experiment,
        "layer_range": encode(definition.layer_range),
        "eligibility": encode(definition.eligibility),
        "holdouts": encode(definition.holdouts),
        "enrol_on": definition.enrol_on,
        # Only where it is one, so that every other hash is what it was.
        **({"holdout": True} if definition.holdout else {}),
    }


def _plan_part(definition: Definition) -> dict[str, Any]:
    return {
        "control": definition.control,
        "metrics": {metric.name: encode(metric) for metric in definition.metrics},
        "plan": encode(definition.plan),
        "currency": definition.currency,
        "factors": encode(definition.factors),
        "ratios": {arm.name: str(arm.ratio) for arm in definition.arms if arm.ratio is not None},
    }


def _changes(old: Any, new: Any, message: str, where: str = "") -> list[Refusal]:
    """Places where two JSON values differ, as (path, "old -> new", message)."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            change
            for key in dict.fromkeys([*old, *new])
            for change in _changes(old.get(key), new.get(key), message, f"{where}.{key}" if where else key)
        ]
    return [] if old == new else [(where, f"{_short(old)} -> {_short(new)}", message)]


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _source(definition: Definition) -> str:
    return "an imported table" if definition.source == "table" else "offerlift"


def require_aware(at: datetime) -> None:
    """Refuse a naive time."""
    if at.tzinfo is None:
        raise PublishError(f"`at` needs a time zone, seen the naive {at}", hint="Use datetime.now(UTC).")
