"""What is said of looks: when one is recorded, why none is, what is withheld until then, and of when a verdict is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from ..storage.looks import Look
from ..storage.observations import Observations
from .format import count, join, moment, quote, setting
from .sentences import still_waiting
from .tree import Progress

ANOTHER_REVIEW = "Another review at the same time has recorded this look."
READ_ONCE = "A table is read once: there are no looks to record."
ANY_DAY = "No looks are planned: the experiment may be read any day, and only a verdict is recorded."
NOT_LATER = "The moment of this review is not after that of the last look, whose verdicts hold."
NO_VISITOR_YET = "No visitor's window has passed yet, so there is nothing to look at."
ALL_DECIDED = "Everything is decided: what comes later is overrun and is not looked at."


def withheld(observations: Observations, progress: Progress) -> str:
    """Looks are planned, and none is recorded."""
    first, unit = progress.planned_looks[0], f"of the {count(progress.planned_sample)} planned visitors"
    reached = f"{share_reached(progress.clock)} {unit} are analysed"
    if progress.look_due:
        return f"Effects are withheld until a look is recorded, which is due: {reached}. The next review records it."
    start = f"Keep collecting: {reached}, and the first planned look is at {setting(first)}."
    return f"{start} Until then effects are withheld, and health is shown.{still_waiting(observations)}"


def recorded(look: Look, *, would: bool = False) -> str:
    """A look was recorded, or would be."""
    planned = "as planned" if look.planned else "which was not planned and spends all the same"
    return f"Look {look.look} {_is(would)} recorded, {planned}, at {share_reached(look.clock)} of the planned sample."


def verdict_recorded(arms: Sequence[str], *, would: bool = False) -> str:
    """Arms have a verdict that stays, without planned looks."""
    return f"The verdict of {join([quote(arm) for arm in arms])} {_is(would)} recorded, and stays."


def not_recorded(reason: str) -> str:
    """Nothing may be read, so that there is no look."""
    return f"No look is recorded. {reason}"


def nothing_due(progress: Progress) -> str:
    """No look is due."""
    where = "before the first planned look" if not progress.looks else "between two looks"
    following = "" if progress.next_look is None else f" The next is at {setting(progress.next_look)}."
    return f"No look is recorded: {share_reached(progress.clock)} of the planned sample is {where}.{following}"


def not_looked_at(arm: str) -> str:
    """The arm came in a phase after the last look."""
    return f"Keep collecting: no look has been made at {quote(arm)} yet."


def decided_on(reason: str, at: datetime) -> str:
    """A reason that was given when the verdict was recorded."""
    return f"{reason} (Decided on the data of {moment(at)}.)"


def at_the_look(reason: str, look: Look, progress: Progress, *, is_later: bool) -> str:
    """A reason that was given at a look, with when that was."""
    number = f"look {look.look}" if look.planned else f"look {look.look}, which was not planned"
    when = f"{number}, {moment(look.at)}, at {share_reached(look.clock)} of the planned sample"
    later = " What came later does not change it." if progress.decided and is_later else ""
    due = " The next look is due: a review records it." if progress.look_due else ""
    return f"{reason} (Of {when}.){later}{due}"


def _is(would: bool) -> str:
    return "would be" if would else "is"


def share_reached(clock: float) -> str:
    """A clock in whole percent, never up to the 100 that it has not reached."""
    return f"{math.floor(clock * 100 + 1e-6)}%"
