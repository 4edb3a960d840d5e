"""The change log of an experiment: what was published, started, changed, looked at and decided, and when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import datetime
from itertools import groupby

from ..experiments.definition import Definition
from ..experiments.snapshot import Published
from ..storage import Store
from ..storage.decisions import Decided
from ..storage.looks import Look
from .format import join, label, quote, setting
from .look_sentences import share_reached
from .looks import has_planned_looks
from .tree import Change, ChangeKind

__all__ = ["change_log", "changes_in_words", "decided_in_words"]

FINAL = {"ship": "ship", "stop_harm": "stop, harm", "stop_no_effect": "stop, no effect", "review": "needs people"}
"""Verdicts that a look ends with, in words; any other leaves its arm open."""

TOLD_APART = ("arms", "traffic", "salt", "experiment")
"""Parts of a definition whose changes have sentences of their own."""


def change_log(store: Store, key: str, as_of: datetime | None = None) -> tuple[Change, ...]:
    """Everything that happened to an experiment, the newest last.

    Args:
        store: where it is.
        key: of the experiment.
        as_of: what came later is left out; None: nothing is.

    Raises:
        InputError: no experiment of that key.
    """
    versions = store.versions(key)
    found = [
        *_of_versions(versions),
        *_of_looks(store.looks(key), versions),
        *_of_decisions(store.decisions(key), versions),
    ]
    # Of one moment in the order above: what happened stands before what was seen, that before what was decided.
    found.sort(key=lambda one: one.at)
    return tuple(one for one in found if as_of is None or one.at <= as_of)


def _of_versions(versions: Sequence[Published]) -> Iterator[Change]:
    before: Published | None = None
    for one in versions:
        kind, text = _step(before, one)
        yield Change(one.published_at, kind, text, "", one.phase, one.version)
        before = one


def _step(before: Published | None, new: Published) -> tuple[ChangeKind, str]:
    """What a version is, and a sentence on what it changed."""
    if new.definition.source == "table":
        return "imported", f"A table was imported, with {_split(new.definition)}."
    if before is None:
        if new.state == "draft":
            return "published", f"Published as a draft, with {_split(new.definition)}."
        return "started", f"Started, with {_split(new.definition)}."
    if new.state == "stopped":
        if new.serve is not None:
            return "shipped", f"Everyone eligible gets {quote(new.serve)}."
        return "stopped", "Stopped: everyone gets the control."
    changed = list(changes_in_words(before.definition, new.definition))
    said = f" It changed {join(changed)}." if changed else ""
    if before.state != new.state:
        words: dict[str, tuple[ChangeKind, str]] = {
            "paused": ("paused", "Paused: everyone gets the control, nobody new is let in."),
            "running": ("resumed", "Resumed, in the same phase."),
        }
        kind, text = words[new.state] if before.state != "draft" else ("started", "Started: the plan is frozen.")
        return kind, text + said
    if before.phase != new.phase:
        return "phase", f"Phase {new.phase} was opened.{said}"
    if before.definition.traffic != new.definition.traffic:
        return "traffic", f"Published anew.{said}"
    return "changed", f"Published anew.{said}"


def changes_in_words(before: Definition, new: Definition) -> Iterator[str]:
    """What differs between two versions, in words that stand in a list."""
    if before.traffic != new.traffic:
        yield f"traffic from {setting(float(before.traffic))} to {setting(float(new.traffic))}"
    old, now = before.expected_shares, new.expected_shares
    if old != now:
        yield f"the split from {_split(before)} to {_split(new)}"
    if before.split_salt != new.split_salt:
        yield "the salt, which drew all visitors anew"
    offers = [arm.name for arm in new.arms if arm.name in old and before.arm(arm.name).offer != arm.offer]
    if offers:
        yield f"the offer of {join([quote(name) for name in offers])}"
    names = [one.name for one in fields(Definition) if one.name not in TOLD_APART]
    yield from (label(name) for name in names if getattr(before, name) != getattr(new, name))


def _split(definition: Definition) -> str:
    """The arms with their shares."""
    return join(
        [f"{quote(arm)} {setting(round(float(share), 4))}" for arm, share in definition.expected_shares.items()]
    )


def _of_looks(looks: Sequence[Look], versions: Sequence[Published]) -> Iterator[Change]:
    definition = versions[-1].definition
    for number, group in groupby(looks, key=lambda one: one.look):
        rows = list(group)
        first = rows[0]
        verdicts = [f"{quote(one.arm)} {FINAL[one.verdict]}" for one in rows if one.verdict in FINAL]
        if not has_planned_looks(definition):
            yield Change(first.at, "verdict", f"Recorded: {join(verdicts)}.", "", _phase(versions, first.at), number)
            continue
        found = f"{join(verdicts)}." if verdicts else "Keep collecting."
        planned = "as planned" if first.planned else "not planned"
        text = f"Look {number}, {planned}, at {share_reached(first.clock)} of the planned sample: {found}"
        yield Change(first.at, "look" if first.planned else "reveal", text, "", _phase(versions, first.at), number)


def _of_decisions(decisions: Sequence[Decided], versions: Sequence[Published]) -> Iterator[Change]:
    for one in decisions:
        yield Change(one.at, "decision", decided_in_words(one), one.author, _phase(versions, one.at), one.number)


def decided_in_words(decided: Decided) -> str:
    """What was decided against what was recommended, and why, as a sentence or two."""
    what = {
        "ship": f"Ship {quote(decided.arm or '')}",
        "stop_harm": "Stop, harm",
        "stop_no_effect": "Stop, no effect",
        "continue": "The same plan goes on",
    }.get(decided.action, decided.action)
    arm = f" {quote(decided.recommended_arm)}" if decided.recommended_arm else ""
    recommended = f"{label(decided.recommended_action)}{arm}"
    against = "as was recommended" if decided.follows else f"where the report recommended: {recommended}"
    return f"{what}, {against}.{f' Reason: {decided.reason}' if decided.reason else ''}"


def _phase(versions: Sequence[Published], at: datetime) -> int:
    """The phase that held at a moment."""
    held = [one.phase for one in versions if one.published_at <= at]
    return held[-1] if held else versions[0].phase
