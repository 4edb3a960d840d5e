"""Semantic checks on what an offer asks for: whether anybody can get it, what its trigger needs, when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal

from .building import WrittenOffer
from .contradictions import contradiction
from .definition import Offer
from .offer_checks import relative_price
from .reading import Path
from .rules import Rule
from .view import Check, Fault, View

__all__ = ["MOST_AT_ONCE", "OFFER_LIMITS", "SATISFACTION"]

MOST_AT_ONCE = 5
"""Offers that are shown together, at most: who has to choose between many chooses none."""

SATISFACTION = "satisfaction"
"""The attribute by which a shop says how content a customer is; which scale it has is the shop's own."""

AFTER_HELP = ("support_closed", "milestone")
"""Triggers at which an up-sell may meet somebody who is unhappy."""


def _each(check: Callable[[View, WrittenOffer], Iterator[Fault]]) -> Check:
    """The check of every offer."""

    def check_all(view: View) -> Iterator[Fault]:
        for written in view.all_offers.values():
            yield from check(view, written)

    return check_all


def _trigger_details(view: View, written: WrittenOffer) -> Iterator[Fault]:
    """`days` and `occasion` say more about one trigger each."""
    offer = written.offer
    for key, value, trigger in (
        ("days", offer.days, "days_since_purchase"),
        ("occasion", offer.occasion, "occasion"),
    ):
        if value is not None and offer.trigger != trigger and "trigger" not in written.missing:
            yield (*written.path, key), f"is for the trigger {trigger}; this one is {offer.trigger}", None, str(value)


def _products(view: View, written: WrittenOffer) -> Iterator[Fault]:
    if written.offer.product is not None and written.offer.products:
        yield (*written.path, "products"), "write either `product` or `products`, not both", None, None


def _at_once(view: View, written: WrittenOffer) -> Iterator[Fault]:
    count = 1 + len(written.offer.alternatives)
    if count > MOST_AT_ONCE:
        message = f"shows {count} offers at once; at most {MOST_AT_ONCE} are allowed"
        yield (*written.path, "alternatives"), message, "Keep the most relevant ones; `requires` can choose.", None


def _unhappy_customers(view: View, written: WrittenOffer) -> Iterator[Fault]:
    """An up-sell after support or a milestone must not reach somebody who is unhappy."""
    offer = written.offer
    if offer.kind != "upsell" or offer.trigger not in AFTER_HELP:
        return
    if not any(rule.attribute == SATISFACTION for rule in (*_eligibility(view), *_required(offer))):
        message = f"an up-sell at {offer.trigger} needs a rule on the attribute {SATISFACTION}"
        hint = (
            f"Such as `eligibility: [{{attribute: {SATISFACTION}, gte: 8}}]`, or for this offer alone "
            f"`guards: {{requires: [{{attribute: {SATISFACTION}, gte: 8}}]}}`."
        )
        yield (*written.path, "trigger"), message, hint, offer.trigger


def _flash_sale_ends(view: View) -> Iterator[Fault]:
    sales = [written for written in view.all_offers.values() if written.offer.kind == "flash_sale"]
    if not sales or view.document.ends_at is not None:
        return
    if all(one.offer.timer is None and one.offer.available_until is None for one in sales):
        message = "a flash sale ends: none of them has a `timer` or `available: {until: ...}`"
        yield (*sales[0].path, "timer"), message, "Or let the experiment end: `ends_at`.", ""


def _impossible_eligibility(view: View) -> Iterator[Fault]:
    rules = contradiction(_eligibility(view))
    if rules:
        yield ("eligibility",), f"nobody is eligible: {rules} cannot hold together", None, None


def _impossible_requirements(view: View, written: WrittenOffer) -> Iterator[Fault]:
    required = _required(written.offer)
    rules = contradiction(required) or (required and contradiction((*_eligibility(view), *required)))
    if rules and not contradiction(_eligibility(view)):
        message = f"withholds the offer from everybody: {rules} cannot hold together"
        yield _guard(written, "requires"), message, None, None


def _impossible_prices(view: View, written: WrittenOffer) -> Iterator[Fault]:
    """Guards that the offer's own price breaks, whatever the product costs."""
    offer = written.offer
    limits = {guard.type: guard.value for guard in offer.guards}
    relative = relative_price(offer)
    increase = limits.get("max_price_increase")
    # Of an up-sell the price itself is at fault, see .offer_checks.
    if increase is not None and offer.kind != "upsell" and relative is not None and relative > 1 + increase:
        message = f"withholds the offer from everybody: it costs {relative:.6g} times the price of what was looked at"
        yield _guard(written, "max_price_increase"), message, None, None
    share = limits.get("min_margin")
    if share is None:
        return
    if relative == 0 or _own_price(offer) == 0:
        message = "withholds the offer from everybody: what is given away has no margin"
        yield _guard(written, "min_margin"), message, None, None
        return
    price, bonus = _own_price(offer), offer.discount.cost if offer.discount is not None else None
    if price is not None and bonus is not None and price - bonus < share * price:
        message = f"withholds the offer from everybody: of {price:f} the bonus alone takes {bonus:f}"
        yield _guard(written, "min_margin"), message, None, None


def _own_price(offer: Offer) -> Decimal | None:
    """What is paid for it at most, in major units; None where that depends on the product or the cart."""
    discount, price = offer.discount, offer.price
    if discount is not None and discount.type == "fixed_price":
        return discount.value
    if price is None or price.amount is None:
        return None
    if discount is not None and discount.type == "percentage" and discount.value is not None:
        return price.amount * (1 - discount.value / 100)
    if discount is not None and discount.type == "fixed_amount" and discount.value is not None:
        return max(price.amount - discount.value, Decimal(0))
    return price.amount


def _availability(view: View, written: WrittenOffer) -> Iterator[Fault]:
    """An offer must be there at some time at which visitors come in."""
    offer, document = written.offer, view.document
    place = (*written.path, "available")
    if _not_before(offer.available_from, document.ends_at):
        yield (*place, "from"), f"is not before the experiment's end, {_text(document.ends_at)}", None, None
    if _not_before(document.starts_at, offer.available_until):
        yield (*place, "until"), f"is not after the experiment's start, {_text(document.starts_at)}", None, None


def _not_before(first: datetime | None, second: datetime | None) -> bool:
    return first is not None and second is not None and first >= second


def _text(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat()


def _eligibility(view: View) -> list[Rule]:
    return [Rule(rule.attribute, *pair) for rule in view.document.eligibility for pair in rule.comparisons]


def _required(offer: Offer) -> tuple[Rule, ...]:
    return tuple(rule for guard in offer.guards for rule in guard.rules)


def _guard(written: WrittenOffer, name: str) -> Path:
    return (*written.path, "guards", name) if written.path != ("factors",) else written.path


_OFFERS = ("arms.*.offer", "offers", "factors", "offer")

OFFER_LIMITS: tuple[tuple[Check, tuple[str, ...]], ...] = (
    (_each(_trigger_details), _OFFERS),
    (_each(_products), _OFFERS),
    (_each(_at_once), _OFFERS),
    (_each(_unhappy_customers), (*_OFFERS, "eligibility")),
    (_flash_sale_ends, (*_OFFERS, "ends_at")),
    (_impossible_eligibility, ("eligibility",)),
    (_each(_impossible_requirements), (*_OFFERS, "eligibility")),
    (_each(_impossible_prices), _OFFERS),
    (_each(_availability), (*_OFFERS, "starts_at", "ends_at")),
)
"""Each check and the places that it relies on."""
