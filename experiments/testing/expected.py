"""What is expected of a simulated shop's arms, in closed form.

A visitor of taste t (of `TASTES`, mean 1), of group g and with an agent of factor m (mean 1) buys the basket with
probability

    p = purchase · g.purchase · t · m · appeal · (paid / paid without an offer)^(elasticity · g.elasticity)

where `paid` is price · basket + shipping · P(subtotal below the threshold). The subtotal Y = price · V is lognormal.
Where it lies in [(1 - reach)·T, T), a share `top_up` of the visitors adds something, after which it is T·(1 + above·E)
with E a standard exponential. With the partial expectations of the lognormal distribution, Φ being the normal one,

    P(Y < k) = Φ((ln(k/μ) + σ²/2) / σ),    E[Y; Y < k] = μ·Φ((ln(k/μ) - σ²/2) / σ),

all means are finite sums over tastes and groups. p is linear in m, and so is all that is made of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from statistics import NormalDist
from typing import Any

from ...errors import InputError
from .behaviour import NOTHING, Behaviour
from .habits import TASTES, Group, Habits

__all__ = ["Expected", "check_probabilities", "demand", "expected", "lognormal_below", "mixed"]

_PHI = NormalDist().cdf


@dataclass(frozen=True, slots=True)
class Expected:
    """Expectations per visitor. Money is in major units.

    Attributes:
        conversion: share who buy within the response time; each of them has one order.
        gross: revenue before refunds.
        revenue: revenue net of refunds.
        margin: revenue net of refunds less goods that were kept, shipping that the shop paid, and gifts.
        refunded: share whose order is refunded.
        full_price: share who buy the basket at list price or above.
        topped_up: share who added something to pass the threshold of free shipping.
        discount: what the offer took off list prices, shipping that the shop paid and gifts, before refunds.
        later: share who buy again later.
        later_revenue, later_margin: of those later orders.
        taken: choice -> share who take it.
        events: event -> share to whom it happens.
    """

    conversion: float
    gross: float
    revenue: float
    margin: float
    refunded: float
    full_price: float
    topped_up: float
    discount: float
    later: float
    later_revenue: float
    later_margin: float
    taken: Mapping[str, float] = field(default_factory=dict)
    events: Mapping[str, float] = field(default_factory=dict)


def demand(habits: Habits, behaviour: Behaviour, group: Group) -> float:
    """The probability to buy the basket, of a visitor of taste 1 with a mean agent."""
    before, now = (_paid(habits, one, group) for one in (NOTHING, behaviour))
    follows = (now / before) ** (habits.elasticity * group.elasticity)
    return habits.purchase * group.purchase * behaviour.appeal * follows


def expected(habits: Habits, behaviour: Behaviour, group: Group) -> Expected:
    """What is expected of a group's visitors in an arm, those included whom the offer does not reach."""
    seen = _expected(habits, behaviour, group)
    missed = _expected(habits, NOTHING, group)
    return mixed([(behaviour.delivered, seen), (1 - behaviour.delivered, missed)])


def check_probabilities(habits: Habits, behaviour: Behaviour, group: Group, agent_spread: float, arm: str) -> None:
    """Refuse what would need a probability above 1.

    Raises:
        InputError: the keenest visitors would buy with more than certainty.
    """
    keenest = max(taste for _, taste in TASTES)
    likely = demand(habits, behaviour, group) * keenest * (1 + agent_spread)
    gains = sum(choice.gain for choice in behaviour.choices) * keenest
    if likely > 1 or gains > 1 or habits.refund * behaviour.refund > 1 or habits.repeat * behaviour.repeat > 1:
        raise InputError(
            f"the keenest visitors of arm {arm!r} in group {group.name!r} would buy with probability {likely:.3g}, and "
            f"take what is offered instead of nothing with {gains:.3g}; at most 1 is possible",
            hint="Lower purchase, appeal, gain, refund or repeat.",
        )


def mixed(parts: list[tuple[float, Expected]]) -> Expected:
    """Expectations of several kinds of visitors together, each with its share."""
    numbers: dict[str, Any] = {
        one.name: sum(share * getattr(part, one.name) for share, part in parts)
        for one in fields(Expected)
        if one.name not in ("taken", "events")
    }
    numbers.update({name: _mixed_by_name(parts, name) for name in ("taken", "events")})
    return Expected(**numbers)


def _mixed_by_name(parts: list[tuple[float, Expected]], name: str) -> dict[str, float]:
    names = dict.fromkeys(key for _, part in parts for key in getattr(part, name))
    return {key: sum(share * getattr(part, name).get(key, 0.0) for share, part in parts) for key in names}


def _expected(habits: Habits, behaviour: Behaviour, group: Group) -> Expected:
    basket, paid_for = habits.basket * group.basket, behaviour.choices
    rate = demand(habits, behaviour, group)
    buys = sum(share * rate * taste for share, taste in TASTES)
    otherwise = sum(share * (1 - rate * taste) * taste for share, taste in TASTES)
    gains = [otherwise * choice.gain for choice in paid_for]
    instead = [buys * choice.swap for choice in paid_for]
    besides = [buys * choice.add for choice in paid_for]
    plain = buys - sum(instead)

    subtotal = _subtotal(habits, behaviour, basket)
    kept = 1 - habits.refund * behaviour.refund
    gross, goods = plain * subtotal.mean, plain * subtotal.mean / behaviour.price * habits.cost_share
    shipped = plain * subtotal.free
    for choice, gained, swapped, added in zip(paid_for, gains, instead, besides, strict=True):
        value = choice.value * basket
        gross += (gained + swapped + added) * value
        goods += (gained + swapped + added) * value * choice.cost_share
        shipped += (gained + swapped) * _free(habits, behaviour, value)
    conversion = buys + sum(gains)
    subsidy = shipped * habits.shipping + conversion * behaviour.gift_cost
    again = habits.repeat * behaviour.repeat
    later = (plain * again) + sum(
        (gained + swapped) * (again if choice.later is None else choice.later)
        for choice, gained, swapped in zip(paid_for, gains, instead, strict=True)
    )
    return Expected(
        conversion=conversion,
        gross=gross,
        revenue=kept * gross,
        margin=kept * (gross - goods) - subsidy,
        refunded=conversion * (1 - kept),
        full_price=plain if behaviour.price >= 1 else 0.0,
        topped_up=plain * subtotal.topped_up,
        discount=plain * subtotal.mean * (1 / behaviour.price - 1) + subsidy,
        later=later,
        later_revenue=later * basket,
        later_margin=later * basket * (1 - habits.cost_share),
        taken={choice.name: sum(taking) for choice, *taking in zip(paid_for, gains, instead, besides, strict=True)},
        events={**habits.events, **behaviour.events},
    )


@dataclass(frozen=True, slots=True)
class _Subtotal:
    """Of a basket: its mean after additions, the share of orders that ship free, and the share that was added to."""

    mean: float
    free: float
    topped_up: float


def _subtotal(habits: Habits, behaviour: Behaviour, basket: float) -> _Subtotal:
    mean, threshold = behaviour.price * basket, behaviour.free_shipping_from
    if threshold is None:
        return _Subtotal(mean, 0.0, 0.0)
    if threshold <= 0:
        return _Subtotal(mean, 1.0, 0.0)
    below, below_mean = lognormal_below(threshold, mean, habits.spread)
    far, far_mean = lognormal_below(threshold * (1 - habits.reach), mean, habits.spread)
    topped_up = habits.top_up * (below - far)
    added = topped_up * threshold * (1 + habits.above) - habits.top_up * (below_mean - far_mean)
    return _Subtotal(mean + added, 1 - below + topped_up, topped_up)


def _paid(habits: Habits, behaviour: Behaviour, group: Group) -> float:
    """Mean of what an order costs the customer, shipping included, without additions."""
    subtotal = behaviour.price * habits.basket * group.basket
    return subtotal + habits.shipping * (1 - _free(habits, behaviour, subtotal))


def _free(habits: Habits, behaviour: Behaviour, mean: float) -> float:
    """Share of lognormal order values that ship free."""
    threshold = behaviour.free_shipping_from
    if threshold is None:
        return 0.0
    return 1 - lognormal_below(threshold, mean, habits.spread)[0]


def lognormal_below(limit: float, mean: float, spread: float) -> tuple[float, float]:
    """P(Y < limit) and E[Y; Y < limit] of a lognormal Y with that mean and standard deviation of its logarithm."""
    if limit <= 0:
        return 0.0, 0.0
    z = math.log(limit / mean) / spread
    return _PHI(z + spread / 2), mean * _PHI(z - spread / 2)
