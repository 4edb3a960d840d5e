"""The definition language of conditions, offers and arms: one pydantic model per mapping that can be written.

The docstring of a field is its description in the JSON Schema, so editors show it. What concerns one mapping alone is
checked here; what concerns several places is in `.checks`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StrictBool, StrictInt, Tag, model_validator

from .rules import Operator
from .scalars import (
    Currency,
    Delay,
    Duration,
    Effect,
    Key,
    Label,
    Moment,
    Money,
    Multiple,
    OpenShare,
    Percentage,
    PositiveMoney,
    Scalars,
    Text,
    Threshold,
    Value,
    Weight,
    problem,
)
from .terms import DiscountType, OfferKind, Placement

__all__ = [
    "DISCOUNT_TYPES",
    "OPERATORS",
    "TRIGGERS",
    "ArmSection",
    "Count",
    "EligibilityRule",
    "FilterRule",
    "FreeShippingFrom",
    "OfferPiece",
    "OfferSection",
    "PriceSection",
    "Section",
    "value_or",
]

TRIGGERS = (
    "exit_intent",
    "cart_abandoned",
    "checkout_abandoned",
    "offer_declined",
    "subscription_cancelled",
    "purchase",
    "milestone",
    "support_closed",
    "quota_reached",
    "days_since_purchase",
    "occasion",
    "product_view",
    "cart_view",
    "checkout_view",
    "add_to_cart",
    "login",
)
"""Triggers with a meaning to offerlift or common in shops; a shop may name others."""

OPERATORS: tuple[Operator, ...] = ("eq", "ne", "lt", "lte", "gt", "gte", "in", "not_in", "contains", "exists")
DISCOUNT_TYPES: tuple[DiscountType, ...] = (
    "percentage",
    "fixed_amount",
    "fixed_price",
    "buy_x_get_y",
    "gift",
    "instalments",
    "points",
    "trial",
    "voucher",
)

BONUSES: tuple[DiscountType, ...] = ("gift", "instalments", "points", "trial", "voucher")
"""Discounts that leave the price as it is and cost the shop something else."""

Count = Annotated[StrictInt, Field(ge=1, le=1_000_000_000)]


class Section(BaseModel):
    """A mapping of the language: every key is known, nothing is ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, populate_by_name=False)

    def given(self, *keys: str) -> list[str]:
        """Those of the fields that are written with a value."""
        return [key for key in keys if getattr(self, key) is not None]


class Condition(Section):
    """One or more comparisons that must all hold."""

    eq: Value | None = None
    """Equal to this text, number or boolean."""
    ne: Value | None = None
    """Known, and not equal."""
    lt: Threshold | None = None
    """Less than."""
    lte: Threshold | None = None
    """Less than or equal."""
    gt: Threshold | None = None
    """Greater than."""
    gte: Threshold | None = None
    """Greater than or equal."""
    in_: Annotated[Scalars | None, Field(alias="in")] = None
    """One of these."""
    not_in: Scalars | None = None
    """Known, and none of these."""
    contains: Value | None = None
    """A text with this part, or a list with this member."""
    exists: StrictBool | None = None
    """Whether it is known at all."""

    @property
    def comparisons(self) -> list[tuple[Operator, Any]]:
        """Each written operator with its value, in a fixed order."""
        written: dict[Operator, Any] = {op: getattr(self, "in_" if op == "in" else op) for op in OPERATORS}
        return [(op, value) for op, value in written.items() if value is not None]

    @model_validator(mode="after")
    def _some_comparison(self) -> Condition:
        if not self.comparisons:
            raise problem(f"needs at least one comparison: {', '.join(OPERATORS)}")
        return self


class EligibilityRule(Condition):
    """A rule on an attribute of the visitor; a missing attribute is not eligible."""

    attribute: Label
    """Name of the attribute that the backend hands to `assign`."""


class FilterRule(Condition):
    """A condition on a column of the outcomes."""

    column: Label
    """One of the declared `columns`."""


class BuyGet(Section):
    """Buy some, get some."""

    buy: Count
    """How many must be bought."""
    get: Count
    """How many come with them."""


class DiscountSection(Section):
    """How the price is lowered: exactly one type, and what people need to know about it."""

    percentage: Percentage | None = None
    """Percent off: 10 or 10%."""
    fixed_amount: PositiveMoney | None = None
    """An amount off."""
    fixed_price: Money | None = None
    """The price to pay instead."""
    buy_x_get_y: BuyGet | None = None
    """Buy some, get some."""
    gift: Text | None = None
    """What is given along."""
    instalments: Annotated[StrictInt, Field(ge=2, le=120)] | None = None
    """Number of payments."""
    points: Count | None = None
    """Loyalty points credited."""
    trial: Duration | None = None
    """How long it is free at first."""
    voucher: PositiveMoney | None = None
    """An amount off a later purchase."""
    cost: Money | None = None
    """What a gift or another bonus costs the shop: the margin of a quote is less by it."""
    code: Text | None = None
    """The code that the customer enters."""
    description: Text | None = None
    """A note for people."""

    @model_validator(mode="after")
    def _one_type(self) -> DiscountSection:
        _exactly_one(self, DISCOUNT_TYPES, "a discount has exactly one type")
        if self.cost is not None and not self.given(*BONUSES):
            message = f"`cost` is what a bonus costs the shop: {', '.join(BONUSES)}"
            raise problem(message, "What lowers the price is taken off it already.")
        return self


class PriceSection(Section):
    """What the offered product costs: an amount, or relative to what was looked at."""

    amount: Money | None = None
    """In major units, such as 89.00."""
    relative: Multiple | None = None
    """Times the price of the product that was looked at: 0.8 or 80% is a fifth less."""
    currency: Currency | None = None
    """Of the amount; the experiment's unless given."""
    tax: Literal["included", "excluded"] = "included"
    """Whether the amount includes tax."""
    per: Duration | None = None
    """Of a membership or subscription: how often it is paid, such as 30d."""

    @model_validator(mode="after")
    def _one_price(self) -> PriceSection:
        _exactly_one(self, ("amount", "relative"), "a price is either an amount or relative")
        return self


class FreeShippingFrom(Section):
    """Free shipping from a subtotal on."""

    from_: Annotated[Money, Field(alias="from")]
    """Subtotal in major units."""


class Availability(Section):
    """When the offer can be had: an early-bird price until a day, a pre-sale from one on."""

    from_: Annotated[Moment | None, Field(alias="from")] = None
    """Withheld before."""
    until: Moment | None = None
    """Withheld from then on, for everybody at once."""

    @model_validator(mode="after")
    def _some_time(self) -> Availability:
        if self.from_ is None and self.until is None:
            raise problem("needs `from`, `until` or both")
        if self.from_ is not None and self.until is not None and self.until <= self.from_:
            raise problem("`until` must be after `from`")
        return self


class FrequencyCap(Section):
    """How often a visitor sees the offer."""

    times: Count
    """At most so many times."""
    per: Duration
    """In so long."""


class GuardsSection(Section):
    """Limits that withhold the offer after the split; arm and exposure stay as they are."""

    frequency_cap: FrequencyCap | None = None
    """How often a visitor sees it."""
    usage_limit: Count | None = None
    """How often it may be accepted in all."""
    min_margin: OpenShare | None = None
    """Smallest share of the price that must remain as margin."""
    max_price_increase: Effect | None = None
    """How much dearer than what was looked at it may be; of an up-sell 25% unless given."""
    requires: Annotated[list[EligibilityRule], Field(min_length=1)] | None = None
    """Rules on the visitor's attributes that this one offer asks, such as a satisfaction or what is in the cart."""


def value_or(tag: str) -> Discriminator:
    """Tells a plain value from a mapping, which gets the tag."""
    return Discriminator(lambda value: tag if isinstance(value, dict | Section) else "<value>")


PriceChoice = Annotated[Annotated[Money, Tag("<value>")] | Annotated[PriceSection, Tag("<price>")], value_or("<price>")]
FreeShippingChoice = Annotated[
    Annotated[StrictBool, Tag("<value>")] | Annotated[FreeShippingFrom, Tag("<from>")], value_or("<from>")
]


class OfferPiece(Section):
    """Parts of an offer."""

    name: Key | None = None
    """What other offers call it; the arm's name unless given."""
    kind: OfferKind | None = None
    """What sort of offer it is."""
    placement: Placement | None = None
    """Where it is shown."""
    trigger: Annotated[Key, Field(examples=list(TRIGGERS))] | None = None
    """The event that brings it up, one of the usual ones or the shop's own."""
    delay: Delay | None = None
    """How long after the trigger it is shown."""
    days: Annotated[StrictInt, Field(ge=1, le=3_660)] | None = None
    """With the trigger days_since_purchase: how many."""
    occasion: Label | None = None
    """With the trigger occasion: which one, such as birthday."""
    product: Text | None = None
    """The product that is offered."""
    products: Annotated[list[Text], Field(min_length=2, max_length=20)] | None = None
    """Instead of `product`: what is in the bundle, or offered together."""
    price: PriceChoice | None = None
    """An amount, or {relative: 80%} of what was looked at."""
    discount: DiscountSection | None = None
    """How the price is lowered."""
    free_shipping: FreeShippingChoice | None = None
    """true, or {from: 50} for free shipping from a subtotal on."""
    minimum_requirement: Money | None = None
    """Smallest subtotal with which the offer holds."""
    timer: Duration | None = None
    """How long the offer stands for a visitor from the first sight on; it really ends then."""
    available: Availability | None = None
    """From and until when the offer can be had, the same for everybody."""
    cost_basis: Literal["purchase", "salvage"] | None = None
    """What the margin counts as cost: what was paid for the goods, or, of overstock, what they are still worth."""
    message: Text | None = None
    """The words under test."""
    guards: GuardsSection | None = None
    """Limits that withhold the offer after the split."""
    alternatives: list[Key] | None = None
    """Names of `offers` shown at once with this one."""
    decline_reasons: Annotated[list[Label], Field(min_length=2, max_length=20)] | None = None
    """What a visitor who declines may choose from, so that reasons are categories."""
    on_decline: Key | None = None
    """Name of the offer that follows when this one is declined."""
    on_accept: Key | None = None
    """Name of the offer that follows when this one is accepted."""


class OfferSection(OfferPiece):
    """What is shown, where, when and at what price."""

    kind: OfferKind  # pyright: ignore[reportGeneralTypeIssues, reportIncompatibleVariableOverride]
    """What sort of offer it is."""
    placement: Placement  # pyright: ignore[reportGeneralTypeIssues, reportIncompatibleVariableOverride]
    """Where it is shown."""
    trigger: Annotated[Key, Field(examples=list(TRIGGERS))]  # pyright: ignore[reportGeneralTypeIssues, reportIncompatibleVariableOverride]
    """The event that brings it up, one of the usual ones or the shop's own."""


OfferChoice = Annotated[Annotated[Key, Tag("<value>")] | Annotated[OfferSection, Tag("<offer>")], value_or("<offer>")]


class ArmSection(Section):
    """One arm of the split."""

    name: Key
    """Its name in reports and in the store."""
    weight: Weight | None = None
    """Buckets of 10000, or a share; leave it out in all arms for equal parts."""
    offer: OfferChoice | None = None
    """What the arm shows, or the name of one of the `offers`; nothing when left out."""


def _exactly_one(section: Section, keys: tuple[str, ...], rule: str) -> None:
    given = section.given(*keys)
    if len(given) != 1:
        raise problem(f"{rule}: {', '.join(keys)}; seen {' and '.join(given) or 'none'}")
