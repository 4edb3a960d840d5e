"""Guards: limits that withhold an offer after the split. Arm and exposure stay, so the analysis stays as randomised.

The assigner keeps no state: counters come from the caller, with each call, or from a `GuardState`. A guard whose number
is not known withholds, since a cap that is not looked at would be no cap.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from .definition import Offer
from .eligibility import Eligibility
from .quoting import unavailable
from .rules import Rule
from .terms import Guard

__all__ = ["COUNTED", "Counts", "GuardState", "Withheld", "withholding"]

COUNTED = ("frequency_cap", "usage_limit")
"""Guards that need a counter; `requires` needs the visitor's attributes, the others need prices."""


class Counts(NamedTuple):
    """Counters of one offer, where the caller keeps them.

    Attributes:
        shown: how often this visitor saw the offer within the frequency cap's time; None: not known.
        accepted: how often anybody accepted it; None: not known.
    """

    shown: int | None = None
    accepted: int | None = None


class GuardState(Protocol):
    """Where guards look up their counters: the shop's cache or database. Called only for offers with such a guard."""

    def shown(self, experiment: str, offer: str, visitor: str, since: datetime) -> int:
        """How often the visitor saw the offer since then."""
        ...

    def accepted(self, experiment: str, offer: str) -> int:
        """How often anybody accepted the offer."""
        ...


class Withheld(NamedTuple):
    """Which guard took the offer away and why; `fault` where its number could not be had."""

    guard: str
    detail: str
    fault: bool = False


def withholding(
    offer: Offer,
    experiment: str,
    visitor: str,
    *,
    at: datetime | None = None,
    counts: Counts | None = None,
    state: GuardState | None = None,
    prices: Mapping[str, Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Withheld | None:
    """The guard that withholds the offer from this visitor, None where all let it pass.

    Args:
        offer: what would be shown.
        experiment: its key, for `state`.
        visitor: canonical id, for `state`.
        at: the moment; the present by default.
        counts: counters from the caller; what they leave open is asked from `state`.
        state: counters elsewhere; may fail, which withholds.
        prices: keywords for `offer.quote`; without them the price rules wait for the quote.
        attributes: of the visitor, for `requires`; what is missing withholds.

    Raises:
        InputError: `prices` that are no amounts.
    """
    closed = unavailable(offer, at or datetime.now(UTC)) if offer.is_limited else ""
    if closed:
        return Withheld("available", closed)
    for guard in offer.guards:
        if guard.type == "requires":
            refusal = _rules(guard.rules).refusal(attributes)
            if refusal:
                return Withheld("requires", refusal)
        elif guard.type in COUNTED:
            withheld = _counted(guard, offer, experiment, visitor, at, counts or Counts(), state)
            if withheld is not None:
                return withheld
    if prices is not None:
        quote = offer.quote(**{"at": at, **prices})
        if quote.withheld is not None:
            return Withheld(quote.withheld, quote.detail)
    return None


@lru_cache(maxsize=1_000)
def _rules(rules: tuple[Rule, ...]) -> Eligibility:
    return Eligibility(rules)


def _counted(
    guard: Guard,
    offer: Offer,
    experiment: str,
    visitor: str,
    at: datetime | None,
    counts: Counts,
    state: GuardState | None,
) -> Withheld | None:
    known = counts.shown if guard.type == "frequency_cap" else counts.accepted
    if known is None and state is not None:
        # A cache that is down must not break the request.
        try:
            if guard.type == "frequency_cap":
                since = (at or datetime.now(UTC)) - timedelta(microseconds=guard.per or 0)
                known = state.shown(experiment, offer.name, visitor, since)
            else:
                known = state.accepted(experiment, offer.name)
        except Exception as error:
            problem = f"the guard state failed: {type(error).__name__}: {error}"
            return Withheld(guard.type, problem, fault=True)
    if known is None:
        name = "shown" if guard.type == "frequency_cap" else "accepted"
        problem = f"no count for {offer.name}: give `counts=Counts({name}=...)`, or the assigner a `guard_state`"
        return Withheld(guard.type, problem, fault=True)
    if known < guard.value:
        return None
    what = "shown to the visitor" if guard.type == "frequency_cap" else "accepted"
    return Withheld(guard.type, f"{what} {known} times, at most {guard.value}")
