"""Small published experiments that several tests assign with."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from offerlift.experiments import (
    BUILT_IN_METRICS,
    Arm,
    Definition,
    Guard,
    Offer,
    Plan,
    Published,
    State,
    assignment_hash,
    bucket,
    plan_hash,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
USUAL = Offer("usual", "threshold", "cart", "cart_view")
BETTER = Offer("better", "threshold", "cart", "cart_view", free_shipping=True)


def definition(key: str = "exp", **changes: Any) -> Definition:
    """Three arms of 50/30/20, the control with an offer, the last without."""
    arms = (Arm("a", 5_000, USUAL), Arm("b", 3_000, BETTER), Arm("c", 2_000))
    made = Definition(key, "a", arms, (BUILT_IN_METRICS["conversion"],), Plan("conversion"))
    return replace(made, **changes)


def holdout(key: str = "spring", held: int = 1_000, **changes: Any) -> Definition:
    """A holdout of `held` buckets."""
    arms = (Arm("held_out", held), Arm("offered", 10_000 - held))
    made = Definition(key, "held_out", arms, (BUILT_IN_METRICS["conversion"],), Plan("conversion"), holdout=True)
    return replace(made, **changes)


def published(one: Definition, state: State = "running", *, phase: int = 1, serve: str | None = None) -> Published:
    """A version of a definition in some state."""
    return Published(one, state, phase, 1, NOON, NOON, assignment_hash(one), plan_hash(one), serve)


def guarded(*guards: Guard, **changes: Any) -> Offer:
    """An up-sell with these guards."""
    return replace(Offer("dearer", "upsell", "cart", "cart_view", guards=guards), **changes)


def visitor_in(low: int, high: int, salt: str, skip: int = 0) -> str:
    """A visitor whose bucket under the salt lies in [low, high)."""
    return next(v for v in map(str, range(skip, skip + 200_000)) if low <= bucket(salt, v) < high)


EUR = Decimal("0.01")
