"""What visitors do with an offer: the behaviour of an arm in a simulated shop.

A behaviour can be written down, or be derived from an offer as a definition has it (`behaviour_of`). `.expected` has
what follows from it in closed form, `.purchases` what simulated visitors make of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce

from ...errors import InputError
from ..definition import Offer

__all__ = ["NOTHING", "Behaviour", "Choice", "behaviour_of", "combined"]


def _share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise InputError(f"{name} is a share from 0 to 1, seen {value!r}")


def _positive(name: str, value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise InputError(f"{name} must be above 0, seen {value!r}")


@dataclass(frozen=True, slots=True)
class Choice:
    """Something else that may be bought because it is offered: a lighter product, a dearer version, an accessory.

    Attributes:
        name: of the offer, as funnels and refusals name it.
        value: its mean price, as a share of the mean basket.
        cost_share: cost of the goods, as a share of that price.
        gain: probability that a visitor who would buy nothing takes it, times the visitor's taste.
        swap: share of the buyers who take it instead of their basket. Of a down-sell these are the full-price sales
            lost by offering too early; of a dearer version, the up-sell.
        add: share of the buyers who take it besides their basket, in the same order.
        after: days from the exposure until it can be taken.
        later: probability that those who took it instead of the basket, or who would have bought nothing, buy a basket
            later; None: as all who bought.
    """

    name: str
    value: float
    cost_share: float = 0.5
    gain: float = 0.0
    swap: float = 0.0
    add: float = 0.0
    after: float = 0.0
    later: float | None = None

    def __post_init__(self) -> None:
        _positive("value", self.value)
        for name in ("gain", "swap", "add"):
            _share(name, getattr(self, name))
        if self.later is not None:
            _share("later", self.later)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How an arm changes what visitors do. The default is to offer nothing.

    Attributes:
        price: what the basket costs relative to the list price; demand follows by the shop's elasticity.
        appeal: factor on the probability to buy besides price: message, urgency.
        free_shipping_from: subtotal from which the shop pays for shipping; 0 for every order, None for none.
        gift_cost: what a gift costs the shop, an order.
        choices: what else is offered; a buyer, or a visitor who would buy nothing, takes one at most.
        refund: factor on the probability that an order is refunded.
        repeat: factor on the probability that a buyer buys again; below 1, demand was only pulled forward.
        withheld: share of the arm's visitors from whom a guard withholds the offer.
        undelivered: share of the others who never see it: mail that bounces, an agent who forgets.
        events: probability of other events, such as `unsubscribe`, where it differs from the shop's.
    """

    price: float = 1.0
    appeal: float = 1.0
    free_shipping_from: float | None = None
    gift_cost: float = 0.0
    choices: tuple[Choice, ...] = ()
    refund: float = 1.0
    repeat: float = 1.0
    withheld: float = 0.0
    undelivered: float = 0.0
    events: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("price", "appeal"):
            _positive(name, getattr(self, name))
        for name in ("withheld", "undelivered"):
            _share(name, getattr(self, name))
        for name, probability in self.events.items():
            _share(f"events[{name!r}]", probability)
        for what in ("swap", "add"):
            _share(f"the sum of all `{what}`", sum(getattr(choice, what) for choice in self.choices))
        _share("the sum of all `swap` and `add`", sum(choice.swap + choice.add for choice in self.choices))

    @property
    def delivered(self) -> float:
        """Share of the arm's visitors who see the offer."""
        return (1 - self.withheld) * (1 - self.undelivered)


NOTHING = Behaviour()
"""What visitors do without an offer: those of a control, and those whom an offer did not reach."""


def combined(*behaviours: Behaviour) -> Behaviour:
    """Several at once, as the levels of a factorial.

    Prices and factors multiply, the lowest threshold for free shipping counts, gifts and choices add up, and the last
    one that names an event says how likely it is.
    """
    return reduce(_both, behaviours, NOTHING)


def _both(first: Behaviour, second: Behaviour) -> Behaviour:
    thresholds = [one.free_shipping_from for one in (first, second) if one.free_shipping_from is not None]
    return Behaviour(
        price=first.price * second.price,
        appeal=first.appeal * second.appeal,
        free_shipping_from=min(thresholds, default=None),
        gift_cost=first.gift_cost + second.gift_cost,
        choices=first.choices + second.choices,
        refund=first.refund * second.refund,
        repeat=first.repeat * second.repeat,
        withheld=1 - (1 - first.withheld) * (1 - second.withheld),
        undelivered=1 - (1 - first.undelivered) * (1 - second.undelivered),
        events={**first.events, **second.events},
    )


_DAY = 86_400_000_000

_TAKEN = {
    "downsell": Choice("", 1.0, gain=0.02, swap=0.05),
    "upsell": Choice("", 1.0, swap=0.12),
    "cross_sell": Choice("", 0.3, add=0.10),
    "order_bump": Choice("", 0.2, add=0.15),
    "bundle": Choice("", 0.5, add=0.08),
}
"""How often another product is taken that an offer names in `product` or prices by itself, by the offer's kind."""


def behaviour_of(
    offer: Offer | None,
    *,
    basket: float,
    messages: Mapping[str, float] | None = None,
    gift_cost: float = 5.0,
) -> Behaviour:
    """What an offer of a definition does in a simulated shop.

    A percentage, a fixed amount, a fixed price or a relative price lowers (or raises) what the basket costs; free
    shipping and gifts are what they are; a message has the appeal that `messages` names. An offer of another product (a
    down-sell, up-sell, cross-sell, order bump or bundle with a `product` or a price) is a `Choice`, taken by so many as
    is usual for its kind. Trials, vouchers, points and instalments leave price and demand alone: their effect is the
    shop's, to be written down as a `Behaviour`.

    Args:
        offer: of an arm; None is nothing.
        basket: the shop's mean basket, that amounts are relative to.
        messages: the words of a message -> its factor on the probability to buy; 1 where it is not named.
        gift_cost: what a gift costs the shop, where its `cost` does not say so.

    Raises:
        InputError: a discount that leaves nothing to pay.
    """
    if offer is None:
        return NOTHING
    price = _price(offer, basket)
    if price <= 0:
        raise InputError(f"offer {offer.name!r} leaves nothing to pay of a basket of {basket:g}")
    free = 0.0 if offer.free_shipping else offer.free_shipping_from
    gift = offer.discount is not None and (offer.discount.type == "gift" or offer.discount.cost is not None)
    bonus = offer.discount.cost if offer.discount is not None and offer.discount.cost is not None else gift_cost
    shown = Behaviour(
        appeal=(messages or {}).get(offer.message or "", 1.0),
        free_shipping_from=None if free is None else float(free),
        gift_cost=float(bonus) if gift else 0.0,
    )
    taken = _TAKEN.get(offer.kind)
    if taken is None or not (offer.product or offer.products or offer.price):
        return replace(shown, price=price)
    days = offer.delay / _DAY
    return replace(shown, choices=(replace(taken, name=offer.name, value=price * taken.value, after=days),))


def _price(offer: Offer, basket: float) -> float:
    listed = 1.0
    if offer.price is not None:
        listed = float(offer.price.relative or 1) if offer.price.amount is None else float(offer.price.amount) / basket
    discount = offer.discount
    if discount is None:
        return listed
    value = float(discount.value or 0)
    if discount.type == "percentage":
        return listed * (1 - value / 100)
    if discount.type == "fixed_amount":
        return listed - value / basket
    if discount.type == "fixed_price":
        return min(value / basket, listed)
    if discount.type == "buy_x_get_y":
        buy, get = discount.buy or 0, discount.get or 0
        return listed * buy / (buy + get)
    return listed
