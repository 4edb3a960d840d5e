"""Which one thing the arms differ in: the price, the depth of a discount, or a free-shipping threshold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ...experiments.definition import Definition, Offer

__all__ = ["Doses", "doses_of"]

Kind = Literal["price", "discount", "threshold"]


@dataclass(frozen=True, slots=True)
class Doses:
    """What the arms differ in.

    Attributes:
        kind: of the dose.
        unit: a currency code, or `percent`.
        by_arm: the arms that have one, and it; arms without one are left out.
    """

    kind: Kind
    unit: str
    by_arm: Mapping[str, float]


def doses_of(definition: Definition) -> Doses | None:
    """The doses of an experiment whose offers are the same but for one thing; None of any other.

    Message, code and description may name the dose, and are not compared. An arm without an offer has a discount of 0,
    and neither a price nor a threshold.
    """
    offers = {arm.name: arm.offer for arm in definition.arms}
    some = {name: offer for name, offer in offers.items() if offer is not None}
    if not some or len(definition.factors) > 1:
        return None
    kinds: tuple[tuple[Kind, str, Callable[[Offer], float | None], Callable[[Offer], Offer]], ...] = (
        ("price", definition.currency, _price, lambda offer: replace(offer, price=None)),
        ("discount", "percent", _depth, lambda offer: replace(offer, discount=None)),
        (
            "threshold",
            definition.currency,
            _threshold,
            lambda offer: replace(offer, free_shipping=False, free_shipping_from=None),
        ),
    )
    for kind, unit, dose, without in kinds:
        found = {name: dose(offer) for name, offer in some.items()}
        if len({_plain(without(offer)) for offer in some.values()}) > 1:
            continue
        known = {name: value for name, value in found.items() if value is not None}
        if kind == "discount":
            known |= {name: 0.0 for name, offer in offers.items() if offer is None}
        of_offers = {known[name] for name in some if name in known}
        least = 1 if kind == "threshold" and 0.0 not in of_offers else 2
        if len(of_offers) >= least and len(known) == len(set(known.values())) and len(of_offers) == len(some):
            return Doses(kind, unit, dict(sorted(known.items(), key=lambda one: one[1])))
    return None


def _plain(offer: Offer) -> Offer:
    """An offer without what may name the dose."""
    return replace(offer, name="", message=None, on_decline=None, on_accept=None, alternatives=(), currency="")


def _price(offer: Offer) -> float | None:
    price = offer.price
    return None if price is None or price.amount is None else float(price.amount)


def _depth(offer: Offer) -> float | None:
    discount = offer.discount
    if discount is None:
        return 0.0
    return float(discount.value) if discount.type == "percentage" and discount.value is not None else None


def _threshold(offer: Offer) -> float | None:
    if offer.free_shipping_from is not None:
        return float(offer.free_shipping_from)
    return 0.0 if offer.free_shipping else None
