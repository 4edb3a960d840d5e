"""What a backend reports: who was exposed to which arm, and what they did afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

__all__ = ["Covariate", "Exposure", "Link", "OfferStep", "Outcome"]


@dataclass(frozen=True, slots=True)
class Exposure:
    """A visitor reached the point where the arms could first differ. `at` is aware.

    `segments` are the visitor's categories at that moment, such as country or device: name -> value, of the names that
    the definition lists. `offerlift.experiments.segments` says which values are kept, and as which text.
    """

    experiment: str
    visitor: str | int
    arm: str
    at: datetime
    phase: int = 1
    assignment_hash: str = ""
    segments: Mapping[str, str | int | Decimal | None] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Something that a visitor did: an order, an e-mail click, a cancellation.

    `outcome_id` is the caller's and unique inside `name`. Money is in major units of `currency` (None: the store's).
    `at` is aware; None takes `recorded_at`, or without that the time of writing, and is not content: the same outcome
    reported again without a time is the same outcome.

    In another currency than the store's, `reporting_value` and `reporting_cost` say what `value` and `cost` are in the
    store's. A refund names in `refund_of` the outcome of the same `name` that it takes back; its `value` and `cost` are
    what was given back and recovered, positive.
    """

    outcome_id: str | int
    visitor: str | int
    name: str
    at: datetime | None = None
    value: Decimal | int | None = None
    cost: Decimal | int | None = None
    quantity: int | None = None
    currency: str | None = None
    refund_of: str | int | None = None
    recorded_at: datetime | None = None
    reporting_value: Decimal | int | None = None
    reporting_cost: Decimal | int | None = None


@dataclass(frozen=True, slots=True)
class Covariate:
    """One number known about a visitor at a time."""

    visitor: str | int
    name: str
    value: float
    at: datetime


@dataclass(frozen=True, slots=True)
class OfferStep:
    """A visitor came so far with an offer: one of `offerlift.experiments.steps.STEPS`. `at` is aware.

    `offer` is its name in the definition; of several alternatives the one that was answered. `reason` is a category:
    the guard that withheld it, why it was refused or could not be delivered.
    """

    experiment: str
    visitor: str | int
    step: str
    offer: str
    at: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """An anonymous visitor turned out to be a known customer. `at` is aware."""

    anonymous: str | int
    customer: str | int
    at: datetime
