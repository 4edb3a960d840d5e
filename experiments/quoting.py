"""Quotes: an offer's price, discount, shipping and margin for one visitor, in `Decimal`, rounded as the currency is.

The price rules that a definition could not settle (they depend on the product's price) are applied here: what breaks
one comes back with `withheld`, and must not be shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from typing import Literal

from ..errors import InputError
from .terms import Discount, Terms

__all__ = ["MAX_INCREASE", "Quote", "quote", "unavailable"]

MAX_INCREASE = Decimal("0.25")
"""How much dearer than the product looked at an up-sell may be unless its guard says otherwise."""

LARGEST = 10**12
"""Amounts are below it, so that each multiple that a quote makes of them is exact in 28 digits."""

MOST_PIECES = 1_000_000

Amount = Decimal | int


@dataclass(frozen=True, slots=True)
class Quote:
    """What an offer costs one visitor. All amounts are in major units of `currency`, for the whole quantity.

    Attributes:
        currency: ISO 4217 code.
        list_price: before the discount.
        discount: taken off; `list_price` - `discount` is `price`.
        price: to pay for the goods.
        shipping: to pay for shipping.
        tax: with a tax rate, the tax inside price and shipping, or on top of them; else 0.
        tax_basis: whether price and shipping include the tax, as the definition says.
        total: to pay in all, tax included.
        margin: net price - cost - shipping waived - what a bonus costs; None without a cost.
        missing: what the subtotal lacks for the discount or free shipping to hold; 0 where nothing does.
        instalments: the payments that sum to the total, one where there is nothing to divide.
        expires_at: when the offer ends; None without a timer.
        withheld: name of the guard or rule because of which it must not be shown, else None.
        detail: a sentence on that, else "".
    """

    currency: str
    list_price: Decimal
    discount: Decimal
    price: Decimal
    shipping: Decimal
    tax: Decimal
    tax_basis: Literal["included", "excluded"]
    total: Decimal
    margin: Decimal | None
    missing: Decimal
    instalments: tuple[Decimal, ...]
    expires_at: datetime | None
    withheld: str | None = None
    detail: str = ""


def quote(
    offer: Terms,
    *,
    base_price: Amount,
    shipping: Amount = 0,
    cost: Amount | None = None,
    salvage_value: Amount | None = None,
    subtotal: Amount | None = None,
    quantity: int | None = None,
    tax_rate: Amount = 0,
    declined: Quote | None = None,
    shown_at: datetime | None = None,
    at: datetime | None = None,
    currency: str | None = None,
) -> Quote:
    """The price of an offer for one visitor.

    Args:
        offer: what is offered.
        base_price: of one piece of the product that was looked at (or of the offered one, where the offer has no price
            of its own); with or without tax, as the offer's price says.
        shipping: what shipping would cost the customer, on the same basis.
        cost: of one piece of the offered product, net; the margin needs it.
        salvage_value: what one piece is still worth, net: the cost where the offer's `cost_basis` is salvage.
        subtotal: of the cart, for thresholds; the price of the offer by default.
        quantity: pieces; 1 by default, for buy-x-get-y one bundle.
        tax_rate: 0.19 is 19 %.
        declined: the quote of the offer that was declined, which a down-sell must not exceed.
        shown_at: when the visitor first saw it: the timer runs from there. `at` by default.
        at: the moment; the present by default.
        currency: ISO 4217 code; the experiment's by default.

    Raises:
        InputError: an amount that is no `Decimal` or `int` from 0 to below 10**12, no such quantity, a tax rate above
            1, a naive time, no currency.
    """
    base, ship, rate = _amount("base_price", base_price), _amount("shipping", shipping), _amount("tax_rate", tax_rate)
    if rate > 1:
        raise InputError(f"`tax_rate` is a share, seen {tax_rate!r}", hint=f"{rate} % is {rate / 100}.")
    money = currency or offer.currency or (offer.price and offer.price.currency) or ""
    if not money:
        raise InputError("a quote needs the currency", hint='Assigned offers know it; otherwise give currency="EUR".')
    step = _step(money)
    pieces = _pieces(offer.discount, quantity)
    unit = _unit_price(offer, base)
    subtotal_seen = unit * pieces if subtotal is None else _amount("subtotal", subtotal)
    shortfall = max((offer.minimum_requirement or Decimal(0)) - subtotal_seen, Decimal(0))

    list_price = _round(unit * pieces, step)
    exact = unit * pieces - (_discount(offer.discount, unit, pieces) if not shortfall else 0)
    price = _round(exact, step)
    free = not shortfall and (offer.free_shipping or _reached(offer.free_shipping_from, subtotal_seen))
    to_pay = Decimal(0) if free else _round(ship, step)
    basis = "included" if offer.price is None else offer.price.tax
    inside = 1 + rate if basis == "included" else Decimal(1)
    net = price / inside
    tax = _round((price + to_pay) / inside * rate, step)
    total = price + to_pay + (tax if basis == "excluded" else 0)
    waived = ship / inside if free else Decimal(0)
    each = _cost(offer, cost, salvage_value)
    bonus = offer.discount.cost if offer.discount is not None and not shortfall else None
    margin = None if each is None else _round(net - each * pieces - waived - (bonus or 0), step)
    moment = _moment("at", at) or datetime.now(UTC)
    expires_at = None
    if offer.timer is not None:
        expires_at = (_moment("shown_at", shown_at) or moment) + timedelta(microseconds=offer.timer)
    if offer.available_until is not None:
        expires_at = offer.available_until if expires_at is None else min(expires_at, offer.available_until)
    withheld, detail = _withheld(offer, base * pieces, exact, net, margin, declined, expires_at, moment)
    return Quote(
        currency=money,
        list_price=list_price,
        discount=list_price - price,
        price=price,
        shipping=to_pay,
        tax=tax,
        tax_basis=basis,
        total=total,
        margin=margin,
        missing=_round(max(shortfall, _lacking(offer, subtotal_seen)), step),
        instalments=_instalments(offer.discount, total, step),
        expires_at=expires_at,
        withheld=withheld,
        detail=detail,
    )


def _withheld(
    offer: Terms,
    base: Decimal,
    exact: Decimal,
    net: Decimal,
    margin: Decimal | None,
    declined: Quote | None,
    expires_at: datetime | None,
    moment: datetime,
) -> tuple[str | None, str]:
    """The first rule that the quote breaks. Prices are compared before rounding: a cent more is no dearer offer."""
    closed = unavailable(offer, moment)
    if closed:
        return "available", closed
    limits = {guard.type: guard.value for guard in offer.guards}
    increase = limits.get("max_price_increase", MAX_INCREASE if offer.kind == "upsell" else None)
    if increase is not None and exact > base * (1 + increase):
        return "max_price_increase", f"{exact:f} is more than {increase:%} above {base:f}"
    if offer.kind == "downsell":
        dearest = base if declined is None else declined.price
        if exact > dearest:
            return "downsell_price", f"{exact:f} is more than {dearest:f}, which was declined"
    share = limits.get("min_margin")
    if share is not None:
        if margin is None:
            missing = "salvage_value" if offer.cost_basis == "salvage" else "cost"
            return "min_margin", f"no {missing} was given, so the margin is not known"
        if margin < share * net or net <= 0:
            return "min_margin", f"a margin of {margin:f} is less than {share:%} of {net:.2f}"
    if expires_at is not None and moment >= expires_at:
        return "timer", f"it ended at {expires_at.isoformat()}"
    return None, ""


def unavailable(offer: Terms, moment: datetime) -> str:
    """Why the offer cannot be had at that moment by its `available`; "" where it can."""
    if offer.available_from is not None and moment < offer.available_from:
        return f"it begins at {offer.available_from.isoformat()}"
    if offer.available_until is not None and moment >= offer.available_until:
        return f"it ended at {offer.available_until.isoformat()}"
    return ""


def _cost(offer: Terms, cost: Amount | None, salvage_value: Amount | None) -> Decimal | None:
    """The cost of one piece on the offer's basis, None where it was not given; both are looked at."""
    bases = {
        name: None if given is None else _amount(name, given)
        for name, given in (("cost", cost), ("salvage_value", salvage_value))
    }
    return bases["salvage_value" if offer.cost_basis == "salvage" else "cost"]


def _unit_price(offer: Terms, base: Decimal) -> Decimal:
    price = offer.price
    if price is None:
        return base
    if price.amount is not None:
        return price.amount
    return base * (price.relative if price.relative is not None else 1)


def _pieces(discount: Discount | None, quantity: int | None) -> int:
    if quantity is None:
        # Without buy-x-get-y, both are None.
        return (discount and (discount.buy or 0) + (discount.get or 0)) or 1
    if isinstance(quantity, bool) or not isinstance(quantity, int) or not 1 <= quantity <= MOST_PIECES:
        raise InputError(f"`quantity` must be a whole number from 1 to {MOST_PIECES:,}, seen {quantity!r}")
    return quantity


def _discount(discount: Discount | None, unit: Decimal, pieces: int) -> Decimal:
    """What is taken off now. Gift, instalments, points, trial and voucher leave the price as it is."""
    if discount is None:
        return Decimal(0)
    whole, value = unit * pieces, discount.value or Decimal(0)
    if discount.type == "percentage":
        return whole * value / 100
    if discount.type == "fixed_amount":
        return min(value, whole)
    if discount.type == "fixed_price":
        return max(whole - value * pieces, Decimal(0))
    if discount.type == "buy_x_get_y":
        buy, get = discount.buy or 0, discount.get or 0
        return unit * (pieces // (buy + get) * get)
    return Decimal(0)


def _reached(threshold: Decimal | None, subtotal: Decimal) -> bool:
    return threshold is not None and subtotal >= threshold


def _lacking(offer: Terms, subtotal: Decimal) -> Decimal:
    if offer.free_shipping_from is None:
        return Decimal(0)
    return max(offer.free_shipping_from - subtotal, Decimal(0))


def _instalments(discount: Discount | None, total: Decimal, step: Decimal) -> tuple[Decimal, ...]:
    if discount is None or discount.type != "instalments" or not discount.value:
        return (total,)
    count = int(discount.value)
    each = (total / count).quantize(step, "ROUND_DOWN")
    # The first payment takes the cents that do not divide.
    return (total - each * (count - 1), *[each] * (count - 1))


def _amount(name: str, value: Amount) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise InputError(f"`{name}` must be a Decimal or an int, seen {value!r} of type {type(value).__name__}")
    number = Decimal(value)
    # `adjusted` before it is compared: 1e999999 has a million digits.
    if not number.is_finite() or number.adjusted() > 12 or not 0 <= number < LARGEST:
        raise InputError(f"`{name}` must be an amount from 0 to below {LARGEST:,}, seen {number:.6g}")
    return number


def _moment(name: str, value: datetime | None) -> datetime | None:
    if value is not None and value.tzinfo is None:
        raise InputError(f"`{name}` needs a time zone, seen the naive {value}", hint="Use datetime.now(UTC).")
    return value


def _round(value: Decimal, step: Decimal) -> Decimal:
    return value.quantize(step, ROUND_HALF_UP)


@cache
def _step(currency: str) -> Decimal:
    """The smallest unit of a currency, such as 0.01; two digits for a currency that Babel does not know."""
    from babel.numbers import get_currency_precision

    return Decimal(1).scaleb(-get_currency_precision(currency))
