"""From a validated document to the frozen definition: shorthands resolved, factors expanded, defaults filled in.

Never fails on a document that `.checks` accepts. The checks themselves use the parts, on documents that may still have
faults; so a part leaves out what it cannot resolve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from itertools import product
from math import prod

from ..errors import InputError
from .currencies import minor_digits
from .definition import BUCKETS, HOLDOUT_ARMS, Arm, Audience, Definition, Offer, Plan, Rule
from .documents import (
    BuiltInMetric,
    CovariateSection,
    CustomMetric,
    Document,
    LayerSection,
    MetricSettings,
    NeverReturnSettings,
)
from .metrics import BUILT_IN_METRICS, DAY, Column, CovariateUse, Metric
from .offer_sections import DISCOUNT_TYPES, FreeShippingFrom, OfferPiece, PriceSection
from .reading import Path
from .terms import Discount, DiscountType, Guard, Price

__all__ = ["MOST_ARMS", "WrittenArm", "WrittenOffer", "build", "metrics_of", "split", "written_arms", "written_offers"]

MOST_ARMS = 100
"""Most arms that factors may expand to."""


@dataclass(frozen=True, slots=True)
class WrittenOffer:
    """An offer and where it is written; `missing` are required keys that nobody gave."""

    path: Path
    offer: Offer
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WrittenArm:
    """An arm before the split; `reference` is the name of an offer where the arm gives only that."""

    path: Path
    name: str
    weight: int | Fraction | None = None
    written: WrittenOffer | None = None
    reference: str | None = None
    levels: dict[str, str] = field(default_factory=dict)


def build(document: Document) -> Definition:
    """The frozen definition of a document that has passed all checks."""
    arms = written_arms(document)
    weights = split([arm.weight for arm in arms])
    layer = document.layer
    return Definition(
        experiment=document.experiment,
        control=document.control or (HOLDOUT_ARMS[0] if document.holdout else arms[0].name),
        arms=tuple(
            Arm(arm.name, weight, arm.written and arm.written.offer, levels=arm.levels)
            for arm, weight in zip(arms, weights, strict=True)
        ),
        metrics=tuple(metrics_of(document)),
        plan=_plan(document),
        description=document.description or "",
        owner=document.owner or "",
        salt=document.salt or document.experiment,
        layer=(layer.name if isinstance(layer, LayerSection) else layer) or document.experiment,
        layer_range=(
            (layer.range[0], layer.range[1]) if isinstance(layer, LayerSection) and layer.range else (0, BUCKETS)
        ),
        traffic=Fraction(1) if document.traffic is None else document.traffic,
        eligibility=tuple(Rule(rule.attribute, *pair) for rule in document.eligibility for pair in rule.comparisons),
        enrol_on=document.enrol_on,
        holdouts=tuple(document.holdouts or ()),
        segments=tuple(document.segments or ()),
        exploratory_segments=tuple(document.exploratory_segments or ()),
        shown_event=document.shown_event,
        columns=tuple(document.columns or ()),
        offers=tuple(written.offer for written in written_offers(document)),
        factors={name: tuple(levels) for name, levels in (document.factors or {}).items()},
        starts_at=document.starts_at,
        ends_at=document.ends_at,
        utc_offset_minutes=document.utc_offset or 0,
        currency=document.currency,
        holdout=document.holdout,
    )


def split(weights: Sequence[int | Fraction | None]) -> list[int]:
    """Buckets of each arm, summing to 10,000: equal where no weight is given; shares by the largest remainder, ties to
    the arm listed first.

    Raises:
        InputError: some but not all weights are given, buckets are mixed with shares, or they do not add up.
    """
    given = [weight for weight in weights if weight is not None]
    if not given:
        return _largest_remainder([Fraction(1, len(weights))] * len(weights))
    if len(given) != len(weights):
        raise InputError(f"all arms need a weight or none of them; {len(given)} of {len(weights)} have one")
    total = sum(given)
    if all(isinstance(weight, int) for weight in given):
        if total != BUCKETS:
            raise InputError(
                f"weights in buckets must sum to {BUCKETS}; they sum to {total}",
                hint=f"{_gap(BUCKETS - total)}; or leave all weights out for equal parts.",
            )
        return [int(weight) for weight in given]
    if any(isinstance(weight, int) for weight in given):
        raise InputError("weights must be all buckets (5000) or all shares (0.5), not both")
    if total != 1:
        raise InputError(
            f"weights as shares must sum to 1; they sum to {float(total):.10g}",
            hint=f"{_gap(1 - total)}; or leave all weights out for equal parts.",
        )
    buckets = _largest_remainder([Fraction(weight) for weight in given])
    if 0 in buckets:
        raise InputError(f"the share of an arm must be at least one bucket of {BUCKETS}; one rounds to none")
    return buckets


def written_arms(document: Document) -> list[WrittenArm]:
    """The arms as listed, or every combination of the factors' levels, the last factor fastest."""
    if document.factors is not None and document.arms is None:
        return _factorial(document)
    library = document.offers or {}
    arms: list[WrittenArm] = []
    for index, arm in enumerate(document.arms or ()):
        path: Path = ("arms", index)
        if isinstance(arm.offer, str):
            piece = library.get(arm.offer)
            written = WrittenOffer(("offers", arm.offer), _offer(piece, arm.offer, document)) if piece else None
            arms.append(WrittenArm(path, arm.name, arm.weight, written, arm.offer))
        else:
            written = WrittenOffer((*path, "offer"), _offer(arm.offer, arm.name, document)) if arm.offer else None
            arms.append(WrittenArm(path, arm.name, arm.weight, written))
    return arms


def written_offers(document: Document) -> list[WrittenOffer]:
    """The offers of the top-level `offers`."""
    library = document.offers or {}
    return [WrittenOffer(("offers", name), _offer(piece, name, document)) for name, piece in library.items()]


def metrics_of(document: Document) -> list[Metric]:
    """The metrics in listed order."""
    digits = minor_digits(document.currency)
    return [_metric(entry, digits) for entry in document.metrics]


def _factorial(document: Document) -> list[WrittenArm]:
    factors = document.factors or {}
    if not 0 < prod(map(len, factors.values())) <= MOST_ARMS or not factors:
        return []
    arms: list[WrittenArm] = []
    for levels in product(*(levels.items() for levels in factors.values())):
        name = ".".join(level for level, _ in levels)
        chosen = dict(zip(factors, (level for level, _ in levels), strict=True))
        pieces = [piece for _, piece in levels if piece is not None]
        written = None
        # An arm of nothing but empty levels shows no offer.
        if pieces:
            written = _combined(document, name, [piece for piece in (document.offer, *pieces) if piece is not None])
        arms.append(WrittenArm(("factors",), name, None, written, levels=chosen))
    return arms


def _combined(document: Document, name: str, pieces: list[OfferPiece]) -> WrittenOffer:
    values = {key: getattr(piece, key) for piece in pieces for key in piece.model_fields_set}
    missing = tuple(key for key in ("kind", "placement", "trigger") if values.get(key) is None)
    # What is missing is reported; the stand-ins are never published.
    stand_ins = {"kind": "threshold", "placement": "cart", "trigger": "cart_view"}
    piece = OfferPiece.model_construct(**{**values, **{key: stand_ins[key] for key in missing}})
    return WrittenOffer(("factors",), replace(_offer(piece, name, document), name=name), missing)


def _offer(piece: OfferPiece, name: str, document: Document) -> Offer:
    assert piece.kind is not None
    assert piece.placement is not None
    assert piece.trigger is not None
    shipping = piece.free_shipping
    return Offer(
        name=piece.name or name,
        kind=piece.kind,
        placement=piece.placement,
        trigger=piece.trigger,
        delay=piece.delay or 0,
        product=piece.product,
        price=_price(piece.price, document.currency),
        discount=_discount(piece),
        free_shipping=shipping is True,
        free_shipping_from=shipping.from_ if isinstance(shipping, FreeShippingFrom) else None,
        minimum_requirement=piece.minimum_requirement,
        timer=piece.timer,
        message=piece.message,
        guards=_guards(piece),
        alternatives=tuple(piece.alternatives or ()),
        on_decline=piece.on_decline,
        on_accept=piece.on_accept,
        products=tuple(piece.products or ()),
        days=piece.days,
        occasion=piece.occasion,
        available_from=piece.available and piece.available.from_,
        available_until=piece.available and piece.available.until,
        cost_basis=piece.cost_basis or "purchase",
        decline_reasons=tuple(piece.decline_reasons or ()),
    )


def _price(price: Decimal | PriceSection | None, currency: str) -> Price | None:
    if price is None:
        return None
    if isinstance(price, Decimal):
        return Price(amount=price, currency=currency)
    if price.amount is None:
        return Price(relative=price.relative, tax=price.tax, per=price.per)
    return Price(price.amount, None, price.currency or currency, price.tax, price.per)


def _discount(piece: OfferPiece) -> Discount | None:
    section = piece.discount
    if section is None:
        return None
    kind: DiscountType = next(one for one in DISCOUNT_TYPES if getattr(section, one) is not None)
    value = getattr(section, kind)
    description = section.description
    bundle = section.buy_x_get_y
    if kind == "gift":
        value, description = None, section.gift if description is None else f"{section.gift}: {description}"
    elif kind == "trial":
        value = Decimal(section.trial or 0) / DAY
    return Discount(
        type=kind,
        value=None if value is None or bundle is not None else Decimal(value),
        buy=bundle and bundle.buy,
        get=bundle and bundle.get,
        code=section.code,
        description=description,
        cost=section.cost,
    )


def _guards(piece: OfferPiece) -> tuple[Guard, ...]:
    section = piece.guards
    if section is None:
        return ()
    guards: list[Guard] = []
    if section.requires is not None:
        rules = tuple(Rule(rule.attribute, *pair) for rule in section.requires for pair in rule.comparisons)
        guards.append(Guard("requires", rules=rules))
    if section.frequency_cap is not None:
        guards.append(Guard("frequency_cap", Decimal(section.frequency_cap.times), section.frequency_cap.per))
    if section.usage_limit is not None:
        guards.append(Guard("usage_limit", Decimal(section.usage_limit)))
    if section.min_margin is not None:
        guards.append(Guard("min_margin", Decimal(str(section.min_margin))))
    if section.max_price_increase is not None:
        guards.append(Guard("max_price_increase", Decimal(str(section.max_price_increase))))
    return tuple(guards)


def _metric(entry: str | BuiltInMetric | CustomMetric, digits: int) -> Metric:
    if isinstance(entry, str):
        return BUILT_IN_METRICS[entry]
    if isinstance(entry, BuiltInMetric):
        name, settings = entry.chosen
        base = BUILT_IN_METRICS[name]
        if settings.event is not None:
            base = replace(
                base,
                numerator=replace(base.numerator, event=settings.event),
                denominator=base.denominator and replace(base.denominator, event=settings.event),
            )
        if isinstance(settings, NeverReturnSettings) and settings.between is not None:
            start, end = settings.between
            base = replace(base, window_start=start, window_end=end)
        return _with_settings(base, settings, digits)
    return _with_settings(_custom(entry), entry, digits)


def _custom(entry: CustomMetric) -> Metric:
    if entry.kind == "ratio":
        assert entry.numerator is not None
        assert entry.denominator is not None
        above = Column(entry.numerator.event, entry.numerator.measure)
        below = Column(entry.denominator.event, entry.denominator.measure)
        return Metric(entry.name, "ratio", above, denominator=below)
    if entry.kind == "retention":
        assert entry.between is not None
        start, end = entry.between
        return Metric(entry.name, "retention", Column(entry.event, "converted"), window_start=start, window_end=end)
    measures = {"conversion": "converted", "count": "count", "revenue": "value", "margin": "margin"}
    return Metric(entry.name, entry.kind, Column(entry.event, measures[entry.kind]))  # pyright: ignore[reportArgumentType]


def _with_settings(metric: Metric, settings: MetricSettings, digits: int) -> Metric:
    covariate = settings.covariate
    if isinstance(covariate, CovariateSection):
        use = CovariateUse(covariate.name, covariate.window)
    else:
        use = None if covariate is None else CovariateUse(covariate)
    scale = 10**digits if metric.numerator.is_money else 1
    return replace(
        metric,
        window_end=metric.window_end if settings.window is None else settings.window,
        refund_window=settings.refund_window or 0,
        covariate=use,
        desired_change=settings.desired_change or metric.desired_change,
        non_inferiority_margin=settings.margin,
        cap=None if settings.cap is None else int(settings.cap * scale),
        filters=tuple((rule.column, op, value) for rule in settings.filter or () for op, value in rule.comparisons),
    )


def _plan(document: Document) -> Plan:
    plan, money = document.plan, document.plan.audience
    return Plan(
        primary=plan.primary,
        guardrails=tuple(plan.guardrails),
        adjusted=plan.adjusted,
        minimum_detectable_effect=plan.minimum_detectable_effect,
        alpha=plan.alpha,
        power=plan.power,
        looks=looks_of(plan.looks),
        sample_size=plan.sample_size,
        longest_duration=plan.longest_duration,
        scale=plan.scale,
        family=tuple(plan.family or ()),
        audience=(
            Audience(money.per_week, money.horizon, money.switching_cost or Decimal(0), money.one_off)
            if money
            else Audience()
        ),
        cluster=plan.cluster,
        offer_cost=plan.offer_cost,
    )


def looks_of(planned: int | Sequence[Fraction] | None) -> tuple[float, ...]:
    """Rising shares of the sample, the last one its end: a number of looks is spread evenly."""
    if isinstance(planned, int):
        return tuple(look / planned for look in range(1, planned + 1))
    shares = tuple(map(float, planned or ()))
    return (*shares, 1.0) if shares and shares[-1] < 1 else shares


def _largest_remainder(shares: Sequence[Fraction]) -> list[int]:
    exact = [share * BUCKETS for share in shares]
    buckets = [int(one) for one in exact]
    by_remainder = sorted(range(len(shares)), key=lambda index: (buckets[index] - exact[index], index))
    for index in by_remainder[: BUCKETS - sum(buckets)]:
        buckets[index] += 1
    return buckets


def _gap(missing: int | Fraction) -> str:
    return f"{float(abs(missing)):.10g} {'missing' if missing > 0 else 'too many'}"
