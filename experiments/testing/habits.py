"""The people of a simulated shop: who comes, and how they buy where nothing is offered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ...errors import InputError

__all__ = ["FULL_PRICE", "GIVEN", "REFUND", "TASTES", "Group", "Habits", "Population"]

TASTES = ((0.4, 0.5), (0.4, 1.0), (0.2, 2.0))
"""Share of the visitors, and how likely they are to buy relative to the mean; the mean is 1 exactly.

Few tastes rather than a continuous one: probabilities stay below 1, and what is expected is a finite sum.
"""


FULL_PRICE = "full_price_purchase"
"""The event of an order of the basket at list price, beside the purchase."""

REFUND = "refund"
"""The event of a refund, beside the purchase that takes its money back."""

GIVEN = "offer_given"
"""The event whose value is what the offer gave away on an order: discount, shipping that the shop paid, gift."""


@dataclass(frozen=True, slots=True)
class Group:
    """Visitors who differ from others: new and returning customers, say.

    `share` is of all visitors; `purchase`, `basket` and `elasticity` are factors on the shop's.
    """

    name: str
    share: float
    purchase: float = 1.0
    basket: float = 1.0
    elasticity: float = 1.0


@dataclass(frozen=True, slots=True)
class Habits:
    """How visitors buy.

    Attributes:
        purchase: probability to buy at list price where nothing is offered.
        elasticity: relative change of that probability with a relative change of what is to be paid, shipping included.
        basket: mean list price of an order, in major units.
        spread: standard deviation of its logarithm; order values are lognormal.
        cost_share: cost of the goods, as a share of the list price.
        shipping: what shipping costs: the customer, who pays it on top, or the shop where it is free.
        top_up: share of those just below the threshold of free shipping who add something to pass it.
        reach: how far below the threshold "just below" is, as a share of it.
        above: by how much they pass it on average, as a share of it.
        refund: probability that an order is refunded wholly; the goods are recovered, shipping and gift are not.
        repeat: probability that a buyer buys again, at list price.
        events: probability of other events of a visitor, such as `unsubscribe`.
        response_days: orders come within so many days after the exposure.
        refund_days: refunds come within so many days after the order.
        repeat_days: when later orders come, from and to, in days after the exposure.
    """

    purchase: float = 0.05
    elasticity: float = -1.5
    basket: float = 60.0
    spread: float = 0.5
    cost_share: float = 0.5
    shipping: float = 4.9
    top_up: float = 0.4
    reach: float = 0.25
    above: float = 0.04
    refund: float = 0.06
    repeat: float = 0.2
    events: Mapping[str, float] = field(default_factory=dict)
    response_days: float = 7.0
    refund_days: float = 14.0
    repeat_days: tuple[float, float] = (30.0, 90.0)

    def __post_init__(self) -> None:
        for name in ("purchase", "cost_share", "top_up", "reach", "refund", "repeat"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is a share from 0 to 1, seen {getattr(self, name)!r}")
        for name in ("purchase", "basket", "spread", "response_days", "refund_days"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be above 0, seen {getattr(self, name)!r}")
        first, last = self.repeat_days
        if not self.response_days <= first < last:
            raise InputError(
                f"later orders come after the first ones: `repeat_days` are {self.repeat_days!r}, "
                f"`response_days` {self.response_days!r}"
            )


@dataclass(frozen=True, slots=True)
class Population:
    """Who comes, and when.

    Attributes:
        first_day: the first arrivals, aware.
        days: for how many days visitors arrive.
        per_day: expected arrivals of the first day.
        growth: by how much arrivals grow a week (0.1 is 10 %).
        groups: kinds of visitors, whose shares sum to 1.
        group_attribute: the attribute that tells a visitor's group, for eligibility and segments.
        agents: how many agents make the offers; visitors come to one at random. 0: none.
        agent_spread: an agent's customers are by up to this much more, or less, likely to buy.
        agent_attribute: the attribute that names a visitor's agent.
        attributes: what else is known of every visitor, as eligibility rules ask for it.
        ineligible: share of the visitors of whom something else is known.
        ineligible_attributes: what that is; by default nothing.
        known: share of the visitors whose past revenue is known.
        late: share of the outcomes that reach the store late.
        late_days: by up to how many days.
    """

    first_day: datetime = datetime(2026, 1, 5, tzinfo=UTC)
    days: int = 28
    per_day: float = 1_000.0
    growth: float = 0.0
    groups: tuple[Group, ...] = (Group("all", 1.0),)
    group_attribute: str = "customer"
    agents: int = 0
    agent_spread: float = 0.0
    agent_attribute: str = "agent"
    attributes: Mapping[str, Any] = field(default_factory=dict)
    ineligible: float = 0.0
    ineligible_attributes: Mapping[str, Any] = field(default_factory=dict)
    known: float = 0.8
    late: float = 0.0
    late_days: float = 3.0

    def __post_init__(self) -> None:
        total = sum(group.share for group in self.groups)
        if abs(total - 1) > 1e-9:
            raise InputError(f"the shares of the groups must sum to 1, seen {total:g}")
        for name in ("agent_spread", "ineligible", "known", "late"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is a share from 0 to 1, seen {getattr(self, name)!r}")
        if self.first_day.tzinfo is None:
            raise InputError(f"first_day needs a time zone, seen the naive {self.first_day}")

    def expected_arrivals(self) -> list[float]:
        """Expected visitors of each day."""
        return [self.per_day * (1 + self.growth) ** (day / 7) for day in range(self.days)]
