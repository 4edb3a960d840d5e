"""Definitions in words that a marketer reads: offers, metrics, the plan; as sentences and as key and value."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ..experiments.definition import Arm, Definition, Offer, Rule
from ..experiments.metrics import Column, Metric
from ..experiments.terms import Discount, Price
from . import format as fmt

__all__ = [
    "Pair",
    "arm_in_words",
    "column_in_words",
    "metric_in_words",
    "offer_pairs",
    "plan_pairs",
    "rule_in_words",
    "setup_pairs",
]

Pair = tuple[str, str]

KINDS = {
    "downsell": "Down-sell",
    "upsell": "Up-sell",
    "cross_sell": "Cross-sell",
    "order_bump": "Order bump",
    "bundle": "Bundle",
    "threshold": "Threshold offer",
    "flash_sale": "Flash sale",
    "loyalty": "Loyalty offer",
    "retention": "Retention offer",
}
PLACEMENTS = {
    "product_page": "on the product page",
    "cart": "in the cart",
    "checkout": "at the checkout",
    "post_purchase": "on the thank-you page",
    "exit_popup": "in the exit pop-up",
    "in_app": "in the app",
    "live_chat": "in the live chat",
    "email": "by e-mail",
    "recommendation": "among the recommendations",
    "remarketing": "in remarketing",
}
OPERATORS = {
    "eq": "is",
    "ne": "is not",
    "lt": "is below",
    "lte": "is at most",
    "gt": "is above",
    "gte": "is at least",
    "in": "is one of",
    "not_in": "is none of",
    "contains": "contains",
    "exists": "is known",
}


def arm_in_words(arm: Arm, currency: str) -> str:
    """What an arm's visitors see, in one sentence."""
    offer = arm.offer
    if offer is None:
        return "No offer."
    what = [KINDS[offer.kind]]
    if offer.product:
        what.append(f"of {offer.product}")
    what.append(PLACEMENTS[offer.placement])
    if offer.delay:
        what.append(f"{fmt.duration(offer.delay)} after “{fmt.label(offer.trigger)}”")
    else:
        what.append(f"at “{fmt.label(offer.trigger)}”")
    terms = _terms(offer, currency)
    return " ".join(what) + (f": {fmt.join(terms)}." if terms else ".")


def offer_pairs(offer: Offer, currency: str) -> list[Pair]:
    """Everything that an offer sets, as key and value."""
    pairs: list[Pair] = [
        ("kind", fmt.label(offer.kind)),
        ("placement", fmt.label(offer.placement)),
        ("trigger", fmt.label(offer.trigger)),
        ("delay", fmt.duration(offer.delay) if offer.delay else "none"),
    ]
    if offer.product:
        pairs.append(("product", offer.product))
    if offer.price:
        pairs.append(("price", f"{_price(offer.price, currency)}, tax {offer.price.tax}"))
    if offer.discount:
        pairs.append(("discount", _discount(offer.discount, currency)))
        if offer.discount.code:
            pairs.append(("code", offer.discount.code))
    if offer.free_shipping or offer.free_shipping_from is not None:
        pairs.append(("shipping", _shipping(offer, currency)))
    if offer.minimum_requirement is not None:
        pairs.append(("minimum order", _money(offer.minimum_requirement, currency)))
    if offer.timer:
        pairs.append(("ends after", fmt.duration(offer.timer)))
    if offer.message:
        pairs.append(("message", offer.message))
    return pairs


def metric_in_words(metric: Metric) -> str:
    """What a metric counts, over which window, and which way is better."""
    if metric.denominator is None:
        counted = column_in_words(metric.numerator)
    else:
        counted = (
            f"{column_in_words(metric.numerator, total=True)} over {column_in_words(metric.denominator, total=True)}"
        )
    better = "more" if metric.desired_change == "increase" else "less"
    parts = [f"{counted}, {_window(metric)}; {better} is better"]
    if metric.covariate is not None:
        back = metric.covariate.window
        known = f" of the {fmt.duration(back)} before" if back is not None else ""
        parts.append(f"adjusted (CUPED) for {fmt.label(metric.covariate.name)}{known}")
    if metric.non_inferiority_margin is not None:
        parts.append(f"acceptable loss {fmt.setting(metric.non_inferiority_margin)}")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "."


def plan_pairs(definition: Definition) -> list[Pair]:
    """How the experiment is judged, as key and value."""
    plan = definition.plan
    judged = "the CUPED-adjusted row" if plan.adjusted else "the unadjusted row"
    pairs: list[Pair] = [("primary metric", f"{fmt.label(plan.primary)}, judged by {judged}")]
    if plan.guardrails:
        pairs.append(("guardrails", fmt.join([fmt.label(name) for name in plan.guardrails])))
    if plan.minimum_detectable_effect is not None:
        pairs.append(("smallest effect worth having", f"±{fmt.setting(plan.minimum_detectable_effect)}"))
    pairs.append(("error rate α", f"{plan.alpha:g}, two-sided"))
    pairs.append(("power", fmt.setting(plan.power)))
    if plan.longest_duration is not None:
        pairs.append(("longest duration", fmt.duration(plan.longest_duration)))
    if definition.planned_sample:
        pairs.append(("planned visitors", fmt.count(definition.planned_sample)))
    pairs.append(("looks", _looks(definition)))
    return pairs


def _looks(definition: Definition) -> str:
    """When it is read."""
    looks = definition.plan.looks
    if definition.source == "table":
        return "one: a table is read once"
    if not looks or not definition.planned_sample:
        return "none planned: may be read any day"
    return f"at {fmt.join([fmt.setting(round(look, 4)) for look in looks])} of the planned visitors"


def setup_pairs(definition: Definition) -> list[Pair]:
    """Who takes part and where they are split, as key and value."""
    source = "an imported table, one row a visitor" if definition.source == "table" else "offerlift's assigner"
    pairs: list[Pair] = [("key", definition.experiment), ("assigned by", source)]
    if definition.owner:
        pairs.append(("owner", definition.owner))
    if definition.enrol_on:
        pairs.append(("enrolled at", fmt.label(definition.enrol_on)))
    if definition.eligibility:
        pairs.append(("eligible", fmt.join([rule_in_words(rule) for rule in definition.eligibility])))
    elif definition.source != "table":
        pairs.append(("eligible", "everyone"))
    if definition.source != "table":
        pairs.append(("traffic", fmt.setting(float(definition.traffic))))
    if definition.factors:
        factors = [f"{name} ({', '.join(levels)})" for name, levels in definition.factors.items()]
        pairs.append(("factors", fmt.join(factors)))
    pairs.append(("currency", definition.currency))
    return pairs


def rule_in_words(rule: Rule) -> str:
    """An eligibility rule: "country is one of DE, AT"."""
    value = ", ".join(map(str, rule.value)) if isinstance(rule.value, tuple) else rule.value
    said = "" if rule.op == "exists" or value is None else f" {value}"
    return f"{fmt.label(rule.attribute)} {OPERATORS[rule.op]}{said}"


def _terms(offer: Offer, currency: str) -> list[str]:
    terms = []
    if offer.price:
        terms.append(_price(offer.price, currency))
    if offer.discount:
        terms.append(_discount(offer.discount, currency))
    if offer.free_shipping or offer.free_shipping_from is not None:
        terms.append(_shipping(offer, currency))
    if offer.minimum_requirement is not None:
        terms.append(f"for orders from {_money(offer.minimum_requirement, currency)}")
    if offer.timer:
        terms.append(f"valid for {fmt.duration(offer.timer)}")
    return terms


def _discount(discount: Discount, currency: str) -> str:
    value = discount.value
    words: dict[str, Any] = {
        "percentage": lambda: f"{_number(value)}% off",
        "fixed_amount": lambda: f"{_money(value, currency)} off",
        "fixed_price": lambda: f"for {_money(value, currency)}",
        "buy_x_get_y": lambda: f"buy {discount.buy or 1}, get {discount.get or 1}",
        "gift": lambda: "with a gift",
        "instalments": lambda: f"in {_number(value)} instalments" if value is not None else "in instalments",
        "points": lambda: f"{_number(value)} points" if value is not None else "with points",
        "trial": lambda: f"trial ({_number(value)})" if value is not None else "with a trial",
        "voucher": lambda: f"voucher of {_money(value, currency)}" if value is not None else "with a voucher",
    }
    said = words[discount.type]() if value is not None or discount.type not in NEEDS_VALUE else fmt.label(discount.type)
    return f"{said} ({discount.description})" if discount.description else said


NEEDS_VALUE = ("percentage", "fixed_amount", "fixed_price")


def _price(price: Price, currency: str) -> str:
    if price.amount is not None:
        return f"at {_money(price.amount, price.currency or currency)}"
    if price.relative is not None:
        return f"at {fmt.setting(float(price.relative))} of the price"
    return "at the usual price"


def _shipping(offer: Offer, currency: str) -> str:
    if offer.free_shipping_from is not None:
        return f"free shipping from {_money(offer.free_shipping_from, currency)}"
    return "free shipping"


def _window(metric: Metric) -> str:
    if metric.window_end is None:
        return "at any time after the exposure"
    if metric.window_start:
        return f"from {fmt.duration(metric.window_start)} to {fmt.duration(metric.window_end)} after the exposure"
    return f"within {fmt.duration(metric.window_end)} of the exposure"


def column_in_words(column: Column, *, total: bool = False) -> str:
    """What a column counts, per visitor or in total."""
    event = f"“{fmt.label(column.event)}”" if column.event else "any outcome"
    words = {
        "converted": f"visitors with {event}" if total else f"share of visitors with {event}",
        "absent": f"visitors without {event}" if total else f"share of visitors without {event}",
        "count": f"number of {event}",
        "value": f"value of {event}",
        "margin": f"value minus cost of {event}",
    }
    alone = total or column.measure in ("converted", "absent")
    return words[column.measure] if alone else f"{words[column.measure]} per visitor"


def _money(amount: Decimal | None, currency: str) -> str:
    return fmt.level(float(amount), currency) if amount is not None else fmt.ABSENT


def _number(value: Decimal | None) -> str:
    return f"{value.normalize():f}" if value is not None else fmt.ABSENT
