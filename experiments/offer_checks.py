"""Semantic checks on offers: what they lead to, what they may cost, when they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from .definition import Offer
from .metrics import DAY
from .problems import near
from .reading import Path
from .view import Check, Fault, View

__all__ = ["LEAVE_TRIGGERS", "OFFER_CHECKS"]

LEAVE_TRIGGERS = (
    "exit_intent",
    "cart_abandoned",
    "checkout_abandoned",
    "offer_declined",
    "subscription_cancelled",
)
"""Triggers at which a visitor declines or leaves; a down-sell needs one of them."""

_MAX_INCREASE = Decimal("0.25")
"""How much dearer an up-sell may be unless its guard says otherwise."""

_STEPS = ("on_decline", "on_accept")


def _references(view: View) -> Iterator[Fault]:
    """Names of offers must exist, and each of `offers` must be reached by some arm."""
    library = [written.offer.name for written in view.offers]
    for arm in view.arms:
        if arm.reference is not None and arm.written is None:
            known = ", ".join(library) or "there are none"
            message = f"must be the name of one of `offers`: {known}"
            yield (*arm.path, "offer"), message, near(arm.reference, library), None
    named = view.all_offers
    for written in named.values():
        for place, name in _followers(written.offer):
            if name not in named:
                message = f"must be the name of an offer: {', '.join(named)}"
                yield (*written.path, *place), message, near(name, named), None
    reached: set[str] = set()
    waiting = [arm.written.offer.name for arm in view.arms if arm.written is not None]
    while waiting:
        name = waiting.pop()
        if name in named and name not in reached:
            reached.add(name)
            waiting.extend(follower for _, follower in _followers(named[name].offer))
    for name in library:
        if name not in reached:
            yield ("offers", name), "no arm leads to this offer", "Name it in an arm, or take it out.", ""


def _offer_names(view: View) -> Iterator[Fault]:
    seen: dict[str, Path] = {}
    for written in [*view.offers, *(arm.written for arm in view.arms if arm.written is not None)]:
        first = seen.setdefault(written.offer.name, written.path)
        if first != written.path:
            yield written.path, f"another offer is already called {written.offer.name}", "Give it its own `name`.", ""


def _acyclic(view: View) -> Iterator[Fault]:
    """`on_decline` and `on_accept` must come to an end."""
    named = view.all_offers
    finished: set[str] = set()
    for start in named:
        trail: list[str] = []
        yield from _walk(view, start, trail, finished)


def _walk(view: View, name: str, trail: list[str], finished: set[str]) -> Iterator[Fault]:
    named = view.all_offers
    if name in finished or name not in named:
        return
    trail.append(name)
    for step in _STEPS:
        follower = getattr(named[name].offer, step)
        if follower in trail:
            circle = " -> ".join([*trail[trail.index(follower) :], follower])
            message = f"offers follow each other in a circle: {circle}"
            yield (*named[name].path, step), message, None, None
        elif follower is not None:
            yield from _walk(view, follower, trail, finished)
    trail.pop()
    finished.add(name)


def _downsell_triggers(view: View) -> Iterator[Fault]:
    for written in view.all_offers.values():
        offer = written.offer
        if offer.kind == "downsell" and offer.trigger not in LEAVE_TRIGGERS and "trigger" not in written.missing:
            message = f"a down-sell needs a trigger of declining or leaving: {', '.join(LEAVE_TRIGGERS)}"
            yield (*written.path, "trigger"), message, near(offer.trigger, LEAVE_TRIGGERS), offer.trigger


def _prices(view: View) -> Iterator[Fault]:
    """A down-sell is not dearer than what was declined, an up-sell only so much dearer."""
    named = view.all_offers
    for written in named.values():
        offer = written.offer
        own = relative_price(offer)
        if own is not None:
            if offer.kind == "downsell" and own > 1:
                message = "a down-sell must not cost more than what was looked at"
                yield _price_path(written.path), message, None, f"{own:.6g} times its price"
            elif offer.kind == "upsell" and own > 1 + _allowed_increase(offer):
                message = f"an up-sell may be at most {_allowed_increase(offer):.4%} dearer".replace(".0000", "")
                hint = "`guards: {max_price_increase: 40%}` allows more."
                yield _price_path(written.path), message, hint, f"{own:.6g} times the price"
        follower = named.get(offer.on_decline or "")
        theirs = None if follower is None else relative_price(follower.offer)
        if follower is None or follower.offer.kind != "downsell" or own is None or theirs is None:
            continue
        if theirs > own:
            message = f"the down-sell {follower.offer.name} costs more than this offer that was declined"
            yield (*written.path, "on_decline"), message, None, f"{theirs:.6g} against {own:.6g} times the price"


def relative_price(offer: Offer) -> Decimal | None:
    """Price relative to the product that was looked at, None where it is not known before run time."""
    discount, price = offer.discount, offer.price
    if price is not None and price.relative is None:
        return None
    if price is None and (discount is None or discount.type != "percentage" or offer.product is not None):
        return None
    base = Decimal(1) if price is None or price.relative is None else price.relative
    if discount is None or discount.type in ("gift", "instalments", "points", "voucher"):
        return base
    if discount.type != "percentage" or discount.value is None:
        return None
    return base * (1 - discount.value / 100)


def _price_path(path: Path) -> Path:
    return (*path, "price", "relative") if path != ("factors",) else path


def _allowed_increase(offer: Offer) -> Decimal:
    given = [guard.value for guard in offer.guards if guard.type == "max_price_increase"]
    return given[0] if given else _MAX_INCREASE


def _currencies(view: View) -> Iterator[Fault]:
    own = view.document.currency
    for written in view.all_offers.values():
        price = written.offer.price
        if price is not None and price.currency not in (None, own):
            message = f"must be the experiment's currency, {own}; currencies are not mixed in one experiment"
            yield (*written.path, "price", "currency"), message, None, price.currency


def _margin_metric(view: View) -> Iterator[Fault]:
    """Where an offer costs money, revenue alone would call a giveaway a success."""
    costly = [written for written in view.all_offers.values() if written.offer.costs_money]
    plan = view.document.plan
    judged = [view.metric(name) for name in (plan.primary, *plan.guardrails)]
    if costly and not any(metric is not None and metric.kind == "margin" for metric in judged):
        message = f"the offer {costly[0].offer.name} costs money, so a margin metric must be primary or a guardrail"
        hint = "Add `- margin_per_visitor: {margin: 2%}` to `metrics` and `margin_per_visitor` to `plan.guardrails`."
        yield ("plan",), message, hint, ""


def _enrolment(view: View) -> Iterator[Fault]:
    """Arms that differ in timing are exposed at different moments unless all are enrolled at one event before."""
    shown = [arm.written.offer for arm in view.arms if arm.written is not None]
    timings = {(offer.trigger, offer.delay, offer.days, offer.occasion) for offer in shown}
    if len(timings) > 1 and view.document.enrol_on is None:
        message = "is required: the arms differ in trigger or delay, so all must be enrolled at one event before"
        yield ("enrol_on",), message, "Such as `enrol_on: purchase`.", ""


def _windows(view: View) -> Iterator[Fault]:
    """A window counts from the enrolment, or from the trigger: it must leave the latest arm its time to respond."""
    shown = [arm.written.offer for arm in view.arms if arm.written is not None]
    enrolled = view.document.enrol_on is not None
    latest = max(shown, key=lambda offer: _waiting(offer, enrolled=enrolled) + (offer.timer or 0), default=None)
    if latest is None or _waiting(latest, enrolled=enrolled) == 0:
        return
    waiting = _waiting(latest, enrolled=enrolled)
    needed = waiting + (latest.timer or 0)
    for index, metric in enumerate(view.metrics):
        end = metric.window_end
        if end is not None and (end < needed or end <= waiting):
            timer = f" and the timer of {_duration(latest.timer)}" if latest.timer else " and leave time to respond"
            message = f"the window must cover the longest delay of {_duration(waiting)}{timer}"
            yield ("metrics", index), message, f"See the offer {latest.name}.", _duration(end)


def _waiting(offer: Offer, *, enrolled: bool) -> int:
    """Microseconds from the exposure to the offer; days since the purchase pass before it unless all are enrolled."""
    return offer.delay + (offer.days or 0) * DAY * enrolled


def _followers(offer: Offer) -> Iterator[tuple[Path, str]]:
    for index, name in enumerate(offer.alternatives):
        yield ("alternatives", index), name
    for step in _STEPS:
        follower = getattr(offer, step)
        if follower is not None:
            yield (step,), follower


def _duration(microseconds: int) -> str:
    for unit, size in (("d", DAY), ("h", DAY // 24), ("m", 60_000_000)):
        if microseconds >= size and microseconds % size == 0:
            return f"{microseconds // size}{unit}"
    return f"{microseconds // 1_000_000}s"


_OFFERS = ("arms.*.offer", "offers", "factors", "offer")

OFFER_CHECKS: tuple[tuple[Check, tuple[str, ...]], ...] = (
    (_references, ("arms.*.offer", "offers", "factors", "offer")),
    (_offer_names, _OFFERS),
    (_acyclic, _OFFERS),
    (_downsell_triggers, ("factors", "offer")),
    (_prices, ("factors", "offer")),
    (_currencies, ("currency", "factors", "offer")),
    (_margin_metric, (*_OFFERS, "metrics", "plan.primary", "plan.guardrails")),
    (_enrolment, (*_OFFERS, "enrol_on")),
    (_windows, (*_OFFERS, "enrol_on", "metrics")),
)
"""Each check and the places that it relies on."""
