"""What simulated visitors do under an arm: `Visitors` carry all chance, an arm's behaviour decides what comes of it.

So the same visitors can be sent through every arm (common random numbers), and what they do under one is independent of
who assigned them to it. One entry of an array is one visitor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from .behaviour import Behaviour
from .expected import demand
from .habits import TASTES, Habits, Population

__all__ = ["Purchases", "Visitors", "arrivals", "moment", "purchases"]

Array = NDArray[np.float64]

_DAY = 86_400_000_000

_EVENT = "event:"


@dataclass(frozen=True, eq=False)
class Visitors:
    """Visitors and their luck; every array has the shape (n,).

    Attributes:
        at: arrival, microseconds since 1970 in UTC.
        taste: of `TASTES`.
        group: index into the population's groups.
        agent: number of the agent, from 0; -1 without agents.
        agent_factor: on the probability to buy; 1 without agents.
        past_revenue: what was spent before, NaN where it is not known.
        eligible: whether anything is known of the visitor.
        luck: name of a decision -> a uniform number, which is above a probability where it does not happen.
        value, other_value, later_value: standard normal, of the logarithms of order values.
        above: standard exponential, of additions.
    """

    at: NDArray[np.int64]
    taste: Array
    group: NDArray[np.int64]
    agent: NDArray[np.int64]
    agent_factor: Array
    past_revenue: Array
    eligible: NDArray[np.bool_]
    luck: Mapping[str, Array]
    value: Array
    other_value: Array
    later_value: Array
    above: Array

    def __len__(self) -> int:
        return len(self.at)

    def take(self, positions: NDArray[np.int64]) -> Visitors:
        """Some of the visitors."""
        taken = {one.name: getattr(self, one.name)[positions] for one in fields(self) if one.name != "luck"}
        return Visitors(luck={name: luck[positions] for name, luck in self.luck.items()}, **taken)

    def arrived(self, at: int) -> datetime:
        """When one of them came, aware."""
        return moment(int(self.at[at]))


def moment(micros: int) -> datetime:
    """Microseconds since 1970 as an aware time, exactly."""
    return datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)


_DECISIONS = (
    "buy",
    "choose",
    "top_up",
    "withhold",
    "deliver",
    "refund",
    "repeat",
    "when",
    "refund_when",
    "repeat_when",
    "late",
    "reason",
)


def arrivals(
    rng: np.random.Generator, population: Population, count: int | None = None, events: tuple[str, ...] = ()
) -> Visitors:
    """Visitors in the order in which they come: so many, or by default a Poisson number a day."""
    means = np.array(population.expected_arrivals())
    a_day = rng.poisson(means) if count is None else rng.multinomial(count, means / means.sum())
    n = int(a_day.sum())
    start = round(population.first_day.timestamp() * 1_000_000)
    within = rng.integers(0, _DAY, n)
    at = np.sort(start + np.repeat(np.arange(population.days), a_day) * _DAY + within)
    shares, tastes = (np.array(column) for column in zip(*TASTES, strict=True))
    taste = tastes[rng.choice(len(tastes), n, p=shares)]
    group_shares = np.array([group.share for group in population.groups])
    agent, factor = np.full(n, -1), np.ones(n)
    if population.agents:
        factors = 1 + population.agent_spread * rng.uniform(-1, 1, population.agents)
        agent = rng.integers(0, population.agents, n)
        factor = factors[agent]
    past = np.exp(3.0 + 0.8 * np.log(taste) + 0.5 * rng.standard_normal(n), dtype=np.float64).round(2)
    past[rng.random(n) >= population.known] = np.nan
    names = (*_DECISIONS, *(f"{_EVENT}{name}" for name in events))
    return Visitors(
        at=at,
        taste=taste,
        group=rng.choice(len(group_shares), n, p=group_shares / group_shares.sum()),
        agent=agent,
        agent_factor=factor,
        past_revenue=past,
        eligible=rng.random(n) >= population.ineligible,
        luck=dict(zip(names, rng.random((len(names), n)), strict=True)),
        value=rng.standard_normal(n),
        other_value=rng.standard_normal(n),
        later_value=rng.standard_normal(n),
        above=rng.standard_exponential(n),
    )


@dataclass(frozen=True, eq=False)
class Purchases:
    """What visitors did; every array has the shape (n,), money in cents.

    Attributes:
        ordered: whether there is an order in the response time.
        choice: index of what was chosen of the behaviour's choices, -1 for none.
        full_price: whether the basket is bought at list price or above.
        topped_up: whether something was added to pass the threshold of free shipping.
        value: of the order; 0 without one.
        goods: what its goods cost.
        cost: what the order costs in all: goods, shipping that the shop pays, gift.
        given: what the offer gives away on it: list price less price, shipping that the shop pays, gift.
        after: days from the exposure to the order.
        refunded: whether it is refunded.
        again: whether there is a later order.
        later_value, later_cost: of it.
        events: event -> whether it happened.
    """

    ordered: NDArray[np.bool_]
    choice: NDArray[np.int64]
    full_price: NDArray[np.bool_]
    topped_up: NDArray[np.bool_]
    value: NDArray[np.int64]
    goods: NDArray[np.int64]
    cost: NDArray[np.int64]
    given: NDArray[np.int64]
    after: Array
    refunded: NDArray[np.bool_]
    again: NDArray[np.bool_]
    later_value: NDArray[np.int64]
    later_cost: NDArray[np.int64]
    events: Mapping[str, NDArray[np.bool_]]

    def columns(self) -> dict[str, Array]:
        """Per visitor, once everything has happened: what the metrics of `Truth.value` are means of.

        And `value`, of the order before refunds. Money is in major units.
        """
        kept = ~self.refunded
        revenue = np.where(kept, self.value, 0) / 100
        margin = (np.where(kept, self.value - self.goods, 0) - (self.cost - self.goods)) / 100
        found = {
            "value": self.value / 100,
            "conversion": self.ordered,
            "orders_per_visitor": self.ordered,
            "revenue_per_visitor": revenue,
            "margin_per_visitor": margin,
            "full_price_orders": self.full_price,
            "refunded_orders": self.refunded,
            "repeat_rate": self.again,
            "discount_cost": self.given / 100,
            "orders_in_all": self.ordered.astype(np.int64) + self.again,
            "customer_value": margin + (self.later_value - self.later_cost) / 100,
            **{f"{name}_rate": happened for name, happened in self.events.items()},
        }
        return {name: np.asarray(values, dtype=np.float64) for name, values in found.items()}


def purchases(habits: Habits, population: Population, behaviour: Behaviour, visitors: Visitors) -> Purchases:
    """What visitors do who all see the offer (or, with `NOTHING`, none)."""
    luck, groups = visitors.luck, population.groups
    rate = np.array([demand(habits, behaviour, group) for group in groups])[visitors.group]
    buys = luck["buy"] < rate * visitors.taste * visitors.agent_factor
    choice, besides = _chosen(behaviour, buys, visitors)
    ordered = buys | (choice >= 0)
    whole = buys & ((choice < 0) | besides)

    basket = habits.basket * np.array([group.basket for group in groups])[visitors.group]
    subtotal, topped_up = _subtotals(habits, behaviour, visitors, basket, whole)
    other = _of_choice(behaviour, choice, "value", 0.0)
    other[choice >= 0] *= _lognormal(basket, habits.spread, visitors.other_value, choice >= 0)
    goods = subtotal / behaviour.price * habits.cost_share + other * _of_choice(behaviour, choice, "cost_share", 0.0)
    # What is bought besides does not count for the threshold: it is offered when the basket is full.
    free = ordered & _ships_free(behaviour, np.where(whole, subtotal, other))
    subsidy = np.where(free, habits.shipping, 0.0) + np.where(ordered, behaviour.gift_cost, 0.0)

    usual = habits.repeat * behaviour.repeat
    again = ordered & (luck["repeat"] < np.where(whole, usual, _of_choice(behaviour, choice, "later", usual)))
    later = np.zeros(len(visitors))
    later[again] = _lognormal(basket, habits.spread, visitors.later_value, again)
    begins = np.where(besides, 0.0, _of_choice(behaviour, choice, "after", 0.0))
    return Purchases(
        ordered=ordered,
        choice=choice,
        full_price=whole & (behaviour.price >= 1),
        topped_up=topped_up,
        value=_cents(subtotal + other),
        goods=_cents(goods),
        cost=_cents(goods) + _cents(subsidy),
        given=_cents(subtotal / behaviour.price - subtotal + subsidy),
        after=begins + luck["when"] * (habits.response_days - begins),
        refunded=ordered & (luck["refund"] < habits.refund * behaviour.refund),
        again=again,
        later_value=_cents(later),
        later_cost=_cents(later * habits.cost_share),
        events=_events({**habits.events, **behaviour.events}, luck),
    )


def _chosen(
    behaviour: Behaviour, buys: NDArray[np.bool_], visitors: Visitors
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The choice of each visitor, -1 for none, and whether it comes besides the basket."""
    choices, draw = behaviour.choices, visitors.luck["choose"]
    count = len(choices)
    if not count:
        return np.full(len(visitors), -1), np.zeros(len(visitors), dtype=bool)
    of_buyers = np.cumsum([*(choice.swap for choice in choices), *(choice.add for choice in choices)])
    of_others = np.cumsum([choice.gain for choice in choices])
    buyer = np.searchsorted(of_buyers, draw, side="right")
    other = np.searchsorted(of_others, draw / visitors.taste, side="right")
    choice = np.where(buys, np.where(buyer < 2 * count, buyer % count, -1), np.where(other < count, other, -1))
    return choice, buys & (buyer >= count) & (buyer < 2 * count)


def _of_choice(behaviour: Behaviour, choice: NDArray[np.int64], name: str, otherwise: float) -> Array:
    """An attribute of what each visitor chose; `otherwise` for nothing, and where a choice leaves it open."""
    values = [getattr(one, name) for one in behaviour.choices]
    # One more entry at the end, which is where -1 points to.
    return np.array([*(otherwise if value is None else value for value in values), otherwise])[choice]


def _subtotals(
    habits: Habits, behaviour: Behaviour, visitors: Visitors, basket: Array, whole: NDArray[np.bool_]
) -> tuple[Array, NDArray[np.bool_]]:
    """What the basket costs those who buy it, and whether something was added to it for the sake of free shipping."""
    subtotal, topped_up = np.zeros(len(visitors)), np.zeros(len(visitors), dtype=bool)
    plain = _lognormal(behaviour.price * basket, habits.spread, visitors.value, whole)
    threshold = behaviour.free_shipping_from
    if threshold:
        near = (plain >= threshold * (1 - habits.reach)) & (plain < threshold)
        near &= visitors.luck["top_up"][whole] < habits.top_up
        topped_up[whole] = near
        plain = np.where(near, threshold * (1 + habits.above * visitors.above[whole]), plain)
    subtotal[whole] = plain
    return subtotal, topped_up


def _ships_free(behaviour: Behaviour, subtotal: Array) -> NDArray[np.bool_]:
    threshold = behaviour.free_shipping_from
    return np.zeros(len(subtotal), dtype=bool) if threshold is None else subtotal >= threshold


def _lognormal(mean: Array, spread: float, normal: Array, where: NDArray[np.bool_]) -> Array:
    """Values of those visitors alone: most buy nothing."""
    return mean[where] * np.exp(spread * normal[where] - spread * spread / 2)


def _cents(amount: Array) -> NDArray[np.int64]:
    return np.rint(100 * amount).astype(np.int64)


def _events(probability: Mapping[str, float], luck: Mapping[str, Array]) -> dict[str, NDArray[np.bool_]]:
    return {
        name.removeprefix(_EVENT): draw < probability.get(name.removeprefix(_EVENT), 0.0)
        for name, draw in luck.items()
        if name.startswith(_EVENT)
    }
