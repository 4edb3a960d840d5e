"""What people decide, beside what the report recommends at that moment."""

from __future__ import annotations

import shlex
from datetime import datetime

from ..errors import InputError, known_or_nearest, nearest
from ..experiments.snapshot import Published
from ..storage import Store
from ..storage.decisions import Decided
from .details import Details
from .format import label, quote
from .recording import report_hash
from .scorecard import scorecard
from .tree import Scorecard

__all__ = ["DECISIONS", "following_command", "make_decision"]

DECISIONS = ("ship", "stop_harm", "stop_no_effect", "continue")
"""What can be decided; by `continue` the same plan goes on."""


def make_decision(
    store: Store, key: str, action: str, arm: str | None = None, *, author: str, reason: str = "", at: datetime
) -> Decided:
    """A decision beside the recommendation of its moment, ready for `Store.record_decision`. Nothing is written.

    It reads what `analyze` reads: no look is recorded by it, and before the first planned one the recommendation is to
    collect.

    Args:
        store: where the experiment is.
        key: of the experiment.
        action: one of `DECISIONS`.
        arm: that ships; None with any other action.
        author: who decides.
        reason: why; needed where it is not what the report recommends.
        at: now.

    Raises:
        InputError: no such experiment, action or arm; a draft; `continue` of one that is over; no author; or no reason
            for a decision against the recommendation.
    """
    published = store.published(key)
    _check(published, action, arm)
    if not author.strip():
        raise InputError("a decision without anybody who decides", hint="Say --by NAME, or set OFFERLIFT_USER.")
    observations = store.observations(key, as_of=at)
    looks = store.looks(key)
    card = scorecard(observations, looks, Details.of_store(store, observations))
    made = Decided(
        action=action,
        arm=arm,
        author=author.strip(),
        reason=reason.strip(),
        at=at,
        recommended_action=card.decision.action,
        recommended_arm=card.decision.arm,
        recommended_reason=card.decision.reason,
        report_hash=report_hash(card),
        look=looks[-1].look if looks else None,
    )
    if not made.reason and not made.follows:
        raise InputError(
            f"the report recommends {_recommended(card)}, and this decides otherwise: a reason is needed",
            hint="Say why with --reason TEXT; it is kept with the decision.",
        )
    return made


def following_command(made: Decided, published: Published) -> str:
    """The command that does what was decided; "" where nothing is to be done.

    Args:
        made: the decision.
        published: the latest version of its experiment.
    """
    key = shlex.quote(published.definition.experiment)
    if published.definition.source == "table":
        return ""
    if made.action == "continue":
        return f"offerlift resume {key}" if published.state == "paused" else ""
    # What a holdout found is no offer that could be served.
    serve = made.arm if made.action == "ship" and not published.definition.holdout else None
    if published.state == "stopped" and published.serve == serve:
        return ""
    return f"offerlift stop {key}" + (f" --serve {shlex.quote(serve)}" if serve is not None else "")


def _check(published: Published, action: str, arm: str | None) -> None:
    definition = published.definition
    key = definition.experiment
    if action not in DECISIONS:
        near = nearest(action.replace("-", "_"), DECISIONS)
        raise InputError(
            f"{action!r} is nothing that can be decided",
            hint=f"{f'Did you mean {near}? ' if near else ''}It is one of {', '.join(DECISIONS)}.",
        )
    if action == "ship" and arm is None:
        raise InputError("ship needs the ARM that ships", hint=f"Its arms: {', '.join(definition.treatments)}.")
    if action != "ship" and arm is not None:
        raise InputError(f"{action} is of the whole experiment, seen the arm {arm!r}", hint="Only ship takes an ARM.")
    if arm == definition.control:
        raise InputError(
            f"{arm!r} is the control of {key!r}, which everyone gets once it stops",
            hint="Decide stop_no_effect or stop_harm.",
        )
    if arm is not None and arm not in definition.treatments:
        raise InputError(
            f"{key!r} has no arm {arm!r}", hint=known_or_nearest(arm, definition.treatments, whose="Its arms")
        )
    if published.state == "draft":
        raise InputError(f"{key!r} has not started, so there is nothing to decide", hint=f"`offerlift start {key}`.")
    if action == "continue" and published.state == "stopped":
        raise InputError(f"{key!r} is over, so its plan cannot go on", hint="Decide what was found, or let it be.")


def _recommended(card: Scorecard) -> str:
    arm = f" {quote(card.decision.arm)}" if card.decision.arm else ""
    return f"{label(card.decision.action)}{arm}"
