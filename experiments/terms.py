"""The terms of an offer: what is shown where and when, at what price, under which limits.

`.definition` makes them an `Offer`, which also knows its quote.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from .rules import Rule

__all__ = ["Discount", "DiscountType", "Guard", "OfferKind", "Placement", "Price", "Terms"]

OfferKind = Literal[
    "downsell", "upsell", "cross_sell", "order_bump", "bundle", "threshold", "flash_sale", "loyalty", "retention"
]
Placement = Literal[
    "product_page",
    "cart",
    "checkout",
    "post_purchase",
    "exit_popup",
    "in_app",
    "live_chat",
    "email",
    "recommendation",
    "remarketing",
]
DiscountType = Literal[
    "percentage",
    "fixed_amount",
    "fixed_price",
    "buy_x_get_y",
    "gift",
    "instalments",
    "points",
    "trial",
    "voucher",
]


@dataclass(frozen=True, slots=True)
class Discount:
    """How a price is lowered. `value` is a percentage, an amount or a number, as `type` says; `buy`, `get` count.

    `cost` is what a bonus (gift, points, instalments, trial, voucher) costs the shop, in major units.
    """

    type: DiscountType
    value: Decimal | None = None
    buy: int | None = None
    get: int | None = None
    code: str | None = None
    description: str | None = None
    cost: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """What the offered product costs: an `amount`, or `relative` to the price of what was looked at (0.8 is 20 % less).

    `tax` says whether the amount includes tax. `per` is of a membership: microseconds after which it is paid again.
    """

    amount: Decimal | None = None
    relative: Decimal | None = None
    currency: str | None = None
    tax: Literal["included", "excluded"] = "included"
    per: int | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """A limit that withholds an offer after the split without changing arm or exposure.

    `rules` are those of `requires`, all of which the visitor's attributes must meet.
    """

    type: Literal["frequency_cap", "usage_limit", "min_margin", "max_price_increase", "requires"]
    value: Decimal = Decimal(0)
    per: int | None = None
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """What an arm shows, where, when and at what price. `delay` and `timer` are microseconds.

    `days` belongs to the trigger days_since_purchase, `occasion` to that name. Outside of `available_from` and
    `available_until` the offer is withheld. Of `cost_basis` salvage the margin counts what the goods are still worth.
    `currency` is the experiment's; the assigner fills it in, and it is not part of the definition.
    """

    name: str
    kind: OfferKind
    placement: Placement
    trigger: str
    delay: int = 0
    product: str | None = None
    price: Price | None = None
    discount: Discount | None = None
    free_shipping: bool = False
    free_shipping_from: Decimal | None = None
    minimum_requirement: Decimal | None = None
    timer: int | None = None
    message: str | None = None
    guards: tuple[Guard, ...] = ()
    alternatives: tuple[str, ...] = ()
    on_decline: str | None = None
    on_accept: str | None = None
    products: tuple[str, ...] = ()
    days: int | None = None
    occasion: str | None = None
    available_from: datetime | None = None
    available_until: datetime | None = None
    cost_basis: Literal["purchase", "salvage"] = "purchase"
    decline_reasons: tuple[str, ...] = ()
    currency: str = field(default="", compare=False)

    @property
    def is_limited(self) -> bool:
        """Whether something may withhold it before its price is known."""
        return bool(self.guards) or self.available_from is not None or self.available_until is not None

    @property
    def costs_money(self) -> bool:
        """Whether showing it gives something away: a discount, free shipping or a lower price."""
        return (
            self.discount is not None
            or self.free_shipping
            or self.free_shipping_from is not None
            or (self.price is not None and self.price.relative is not None and self.price.relative < 1)
        )
