"""The life of a published experiment: phases, pause, resume, stop. Pure functions; the caller stores the result.

`start` is in `.publishing`, since publishing may start at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from ..errors import PublishError, known_or_nearest
from .definition import Definition
from .neighbours import check_holdouts, check_layer
from .publishing import (
    NEW_KEY,
    assignment_changes,
    assignment_hash,
    check_executed,
    check_key,
    continued,
    frozen,
    plan_hash,
    require_aware,
    start,
)
from .snapshot import Published

__all__ = ["open_phase", "pause", "resume", "start", "stop"]


def open_phase(
    definition: Definition,
    previous: Published,
    *,
    at: datetime,
    reshuffle: bool = False,
    others: Iterable[Published] = (),
) -> Published:
    """The first version of the next phase, in which other arms, weights, rules or less traffic hold.

    The salt stays, so that visitors stay in their arms as far as the weights let them; with `reshuffle` they are drawn
    anew. The plan stays as it was frozen at the start.

    Args:
        definition: the new design.
        previous: the latest version, running or paused; the phase keeps that state.
        at: now, aware.
        reshuffle: give the split a new salt: the file's, or one named after the phase.
        others: the latest versions of the other experiments.

    Raises:
        PublishError: it does not run, the plan or the start would change, the salt would change without `reshuffle`,
            there is nothing that needs a phase, or layer and holdout do not allow it.
    """
    require_aware(at)
    check_key(previous, definition)
    key = definition.experiment
    if previous.state == "draft":
        raise PublishError(
            f"{key!r} has not started, so it may change without a new phase", hint="Use `offerlift publish FILE`."
        )
    if previous.state == "stopped":
        raise PublishError(f"{key!r} is stopped; what it was is kept as it is", hint=NEW_KEY)
    check_executed(definition)
    definition = continued(definition, previous)
    unchangeable = frozen(previous.definition, definition)
    if unchangeable:
        raise PublishError(
            f"{key!r} has started: its plan holds in every phase",
            findings=unchangeable,
            hint=f"Undo these changes, or make it another experiment. {NEW_KEY}",
        )
    moved = definition.split_salt != previous.definition.split_salt
    if moved and not reshuffle:
        raise PublishError(
            f"{key!r} would be split by another salt ({definition.salt!r}), which draws every visitor anew",
            hint="Say so with `offerlift phase FILE --reshuffle`, or leave `salt` as it was.",
        )
    if reshuffle and not moved:
        definition = replace(definition, salt=f"{key}.{previous.phase + 1}")
    less_traffic = definition.traffic < previous.definition.traffic
    if not less_traffic and not assignment_changes(previous.definition, definition):
        raise PublishError(
            f"nothing in {key!r} needs a new phase: who sees what is the same",
            hint="`offerlift publish FILE` publishes other changes; `--reshuffle` draws the visitors anew.",
        )
    neighbours = list(others)
    check_layer(definition, neighbours)
    check_holdouts(definition, neighbours, running=previous.state == "running")
    return replace(
        previous,
        definition=definition,
        phase=previous.phase + 1,
        version=previous.version + 1,
        published_at=at,
        assignment_hash=assignment_hash(definition),
        plan_hash=plan_hash(definition),
    )


def pause(previous: Published, at: datetime) -> Published:
    """The version in which everyone gets the control and nobody new is exposed; `previous` where it is paused already.

    Raises:
        PublishError: it does not run.
    """
    require_aware(at)
    if previous.state == "paused":
        return previous
    _require_state(previous, "running")
    return _next(previous, at, state="paused")


def resume(previous: Published, at: datetime) -> Published:
    """The version in which a paused experiment runs on, in the same phase; `previous` where it runs already.

    Raises:
        PublishError: it is not paused.
    """
    require_aware(at)
    if previous.state == "running":
        return previous
    _require_state(previous, "paused")
    return _next(previous, at, state="running")


def stop(previous: Published, at: datetime, *, serve: str | None = None) -> Published:
    """The version in which the experiment is over; `previous` where nothing changes.

    Of an experiment that is stopped already, the served arm may still be set, changed or (with None) withdrawn.

    Args:
        previous: the latest version.
        at: now, aware.
        serve: the arm whose offer everyone eligible gets from now on; None: everyone gets the control.

    Raises:
        PublishError: an imported table, an arm that it does not have, or an arm to serve of a draft or a holdout.
    """
    require_aware(at)
    definition = previous.definition
    key = definition.experiment
    _refuse_table(previous)
    if serve is not None:
        names = [arm.name for arm in definition.arms]
        if serve not in names:
            hint = known_or_nearest(serve, names, whose="Its arms")
            raise PublishError(f"{key!r} has no arm {serve!r} to serve", hint=hint)
        if definition.holdout:
            raise PublishError(f"{key!r} is a holdout and serves nothing", hint=f"`offerlift stop {key}` ends it.")
        if previous.state == "draft":
            raise PublishError(
                f"{key!r} has not started, so no arm of it has won", hint=f"`offerlift start {key}` starts it."
            )
    if previous.state == "stopped" and previous.serve == serve:
        return previous
    return replace(_next(previous, at, state="stopped"), serve=serve)


def _require_state(previous: Published, wanted: str) -> None:
    _refuse_table(previous)
    key, state = previous.definition.experiment, previous.state
    if state == wanted:
        return
    hints = {
        "draft": f"`offerlift start {key}` starts it.",
        "running": f"`offerlift pause {key}` pauses it.",
        "paused": f"`offerlift resume {key}` lets it run on.",
        "stopped": NEW_KEY if not previous.is_shipped else f"`offerlift stop {key}` takes back what it serves.",
    }
    raise PublishError(f"{key!r} is {'a draft' if state == 'draft' else state}, not {wanted}", hint=hints[state])


def _refuse_table(previous: Published) -> None:
    key = previous.definition.experiment
    if previous.definition.source == "table":
        raise PublishError(
            f"{key!r} is an imported table and is only read", hint=f"`offerlift analyze {key}` reads it."
        )


def _next(previous: Published, at: datetime, *, state: str) -> Published:
    return replace(previous, state=state, version=previous.version + 1, published_at=at)
