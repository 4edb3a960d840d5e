"""How far a visitor comes with an offer: the steps of a funnel, and the reasons that belong to some of them."""

from __future__ import annotations

from typing import Literal, get_args

from ..errors import InputError

__all__ = ["REASONED", "STEPS", "Step", "check_reason", "check_step"]

Step = Literal["reached", "withheld", "undelivered", "delivered", "accepted", "declined"]

STEPS: tuple[Step, ...] = get_args(Step)
"""In the order of a funnel:

`reached` the visitor came to where the offer is made, `withheld` a guard or price rule kept it back, `undelivered` it
could not be made (an e-mail bounced, the agent did not mention it), `delivered` the visitor saw it, then `accepted` or
`declined`.
"""

REASONED: tuple[Step, ...] = ("withheld", "undelivered", "declined")
"""The steps that may have a reason; `withheld` must, and its reason is the guard."""

LONGEST_REASON = 100


def check_step(step: str) -> Step:
    """The step, if it is one.

    Raises:
        InputError: it is none.
    """
    for known in STEPS:
        if step == known:
            return known
    raise InputError(f"a step of an offer is one of {', '.join(STEPS)}, seen {step!r}")


def check_reason(step: Step, reason: str | None) -> str | None:
    """The reason of a step: a category, such as a guard's name or what a visitor ticked, not what somebody wrote.

    Raises:
        InputError: it is no short printable text; the step has no reasons; a withheld offer without its guard.
    """
    if reason is None:
        if step == "withheld":
            raise InputError("a withheld offer needs its guard as the reason", hint="Give reason=, such as min_margin.")
        return None
    if step not in REASONED:
        raise InputError(f"the step {step!r} has no reason, seen {reason!r}", hint=f"Those that do: {_listed()}.")
    if not isinstance(reason, str) or not 0 < len(reason) <= LONGEST_REASON or reason != reason.strip():
        raise InputError(_rule(reason), hint="Give a category, such as too_expensive.")
    if not reason.isprintable() or len(reason.encode(errors="replace")) > 255:
        raise InputError(_rule(reason), hint="Give a category, such as too_expensive.")
    return reason


def _rule(reason: object) -> str:
    return f"a reason is 1 to {LONGEST_REASON} printable characters without spaces around it, seen {str(reason)[:60]!r}"


def _listed() -> str:
    return ", ".join(REASONED)
