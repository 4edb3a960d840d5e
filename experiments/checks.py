"""Semantic checks: what a document says in several places must fit together.

Each check names the places that it relies on; where one of these is broken already, the check is left out, so that a
fault is reported once. The checks on offers are in `.offer_checks` and `.offer_limits`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from math import prod

from pydantic import BaseModel

from ..errors import Finding, InputError
from .building import MOST_ARMS, metrics_of, split, written_arms, written_offers
from .currencies import minor_digits
from .definition import BUCKETS, HOLDOUT_ARMS
from .documents import BuiltInMetric, CustomMetric
from .metrics import BUILT_IN_METRICS, GUARDRAIL_METRICS
from .offer_checks import OFFER_CHECKS
from .offer_limits import OFFER_LIMITS
from .problems import Validated, near
from .reading import Path, Source
from .view import Check, Fault, View
from .warehouse_checks import WAREHOUSE_CHECKS

__all__ = ["check_document"]


def check_document(source: Source, validated: Validated) -> list[Finding]:
    """Everything that does not fit together in a validated document."""
    if validated.document is None:
        return []
    document = validated.document
    view = View(document, written_arms(document), written_offers(document), metrics_of(document))
    faults = (
        fault
        for check, places in (*_CHECKS, *OFFER_CHECKS, *OFFER_LIMITS, *WAREHOUSE_CHECKS)
        if validated.reliable(*places)
        for fault in check(view)
    )
    # Each once: factors make many offers of one line.
    return [
        source.finding(validated.original(path), message, hint=hint, seen=seen)
        for path, message, hint, seen in dict.fromkeys(faults)
    ]


def _minor_units(view: View) -> Iterator[Fault]:
    """No till charges a part of the smallest coin, and an amount that is rounded is another one than was tested."""
    currency = view.document.currency
    digits = minor_digits(currency)
    for path, amount in _amounts(view.document, ()):
        if amount != round(amount, digits):
            allowed = f"at most {digits} decimal place{'s' if digits != 1 else ''}" if digits else "a whole number"
            yield path, f"must be {allowed}, as {currency} has", None, None


_AMOUNTS = (
    "price",
    "amount",
    "fixed_amount",
    "fixed_price",
    "voucher",
    "from",
    "minimum_requirement",
    "cap",
    "switching_cost",
)


def _amounts(value: object, path: Path) -> Iterator[tuple[Path, Decimal]]:
    """Every amount of money in offers, guards and caps, with its place."""
    if isinstance(value, Decimal):
        if path and path[-1] in _AMOUNTS:
            yield path, value
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield from _amounts(getattr(value, name), (*path, field.alias or name))
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _amounts(one, (*path, key))
    elif isinstance(value, list | tuple):
        for index, one in enumerate(value):
            yield from _amounts(one, (*path, index))


def _arms_or_factors(view: View) -> Iterator[Fault]:
    document = view.document
    if document.arms is None and document.factors is None:
        yield ("arms",), "is required: list at least two arms, or write `factors`", None, ""
    elif document.arms is not None and document.factors is not None:
        yield ("factors",), "write either `arms` or `factors`, not both", None, None
    elif document.arms is not None and len(document.arms) < 2:
        yield ("arms",), f"needs at least two arms, seen {len(document.arms)}", None, None
    if document.arms is not None and document.offer is not None:
        hint = "Put it under the arm that shows it."
        yield ("offer",), "a top-level `offer` is what the arms of `factors` have in common", hint, None


def _factors(view: View) -> Iterator[Fault]:
    factors = view.document.factors
    if factors is None or view.document.arms is not None:
        return
    if not factors:
        yield ("factors",), "needs at least one factor with two levels", None, None
    for name, levels in factors.items():
        if len(levels) < 2:
            yield ("factors", name), f"a factor needs at least two levels, seen {len(levels)}", None, None
    count = prod(map(len, factors.values()))
    if count > MOST_ARMS:
        yield ("factors",), f"expands to {count} arms; at most {MOST_ARMS} are allowed", None, None
    keys = {
        name: {key for piece in levels.values() if piece is not None for key in piece.model_fields_set}
        for name, levels in factors.items()
    }
    names = list(factors)
    for index, name in enumerate(names):
        for other in names[:index]:
            for key in sorted(keys[name] & keys[other]):
                message = f"`{key}` is already set by the factor {other}; one factor sets one thing"
                yield ("factors", name), message, None, None


def _factor_offers(view: View) -> Iterator[Fault]:
    missing = {key for arm in view.arms if arm.written is not None for key in arm.written.missing}
    if missing:
        listed = ", ".join(f"`{key}`" for key in sorted(missing))
        where = ("offer",) if view.document.offer is not None else ("factors",)
        yield where, f"some arms would have an offer without {listed}", "Put it into the top-level `offer`.", None


def _arm_names(view: View) -> Iterator[Fault]:
    yield from _repeated(("arms",), [arm.name for arm in view.arms if arm.path[0] == "arms"], "name", "arm")


def _control(view: View) -> Iterator[Fault]:
    control, names = view.document.control, [arm.name for arm in view.arms]
    if control is not None and names and control not in names:
        yield ("control",), f"must be one of the arms: {', '.join(names)}", near(control, names), None


def _weights(view: View) -> Iterator[Fault]:
    arms = view.document.arms or ()
    if len(arms) < 2:
        return
    try:
        split([arm.weight for arm in arms])
    except InputError as error:
        seen = ", ".join("none" if arm.weight is None else _weight_text(arm.weight) for arm in arms)
        yield ("arms",), error.message, error.hint, seen


def _weight_text(weight: int | Fraction) -> str:
    return f"{float(weight):.10g}" if isinstance(weight, Fraction) else str(weight)


def _traffic(view: View) -> Iterator[Fault]:
    traffic = view.document.traffic
    if traffic is not None and (traffic * BUCKETS).denominator != 1:
        yield ("traffic",), f"must be a whole number of the {BUCKETS} buckets, such as 0.25 or 33.33%", None, None


def _holdout(view: View) -> Iterator[Fault]:
    """A holdout splits everybody in two and shows nothing itself."""
    document = view.document
    if not document.holdout:
        return
    names = [arm.name for arm in view.arms]
    if sorted(names) != sorted(HOLDOUT_ARMS):
        message = f"a holdout has the arms {' and '.join(HOLDOUT_ARMS)}"
        yield ("arms",), message, "Such as `- {name: held_out, weight: 5%}`.", ", ".join(names)
    elif document.control not in (None, HOLDOUT_ARMS[0]):
        yield ("control",), f"the control of a holdout is {HOLDOUT_ARMS[0]}", None, None
    for index, arm in enumerate(view.arms):
        if arm.written is not None:
            message = "a holdout shows no offer; offers belong to the experiments that it covers"
            yield ("arms", index, "offer"), message, None, ""
    for key in ("factors", "offer", "offers", "eligibility", "enrol_on", "traffic", "layer", "holdouts"):
        if getattr(document, key):
            yield (key,), f"a holdout has no `{key}`; the experiments that it covers have", None, None


def _times(view: View) -> Iterator[Fault]:
    start, end = view.document.starts_at, view.document.ends_at
    if start is not None and end is not None and end <= start:
        yield ("ends_at",), f"must be after starts_at, {start.isoformat()}", None, None


def _lists(view: View) -> Iterator[Fault]:
    for key in ("segments", "exploratory_segments", "columns", "holdouts"):
        yield from _repeated((key,), getattr(view.document, key) or [], None, "entry")
    for index, name in enumerate(view.document.exploratory_segments or []):
        if name in (view.document.segments or []):
            place, message = ("exploratory_segments", index), "is one of `segments`: it is planned or exploratory"
            yield place, message, "Leave it out of one of the two.", None


def _metric_names(view: View) -> Iterator[Fault]:
    names = [metric.name for metric in view.metrics]
    for index, (name, entry) in enumerate(zip(names, view.document.metrics, strict=True)):
        if name in names[:index]:
            first = names.index(name)
            yield ("metrics", index), f"{name} is already measured by metrics[{first}]", "Names are unique.", None
        elif isinstance(entry, CustomMetric) and name in BUILT_IN_METRICS.keys() - GUARDRAIL_METRICS:
            yield ("metrics", index, "name"), "is the name of a built-in metric", f"Write `- {name}: {{...}}`.", None


def _caps(view: View) -> Iterator[Fault]:
    for index, entry in enumerate(view.document.metrics):
        if isinstance(entry, BuiltInMetric) and (settings := entry.chosen[1]) is not None:
            metric, name = view.metrics[index], entry.chosen[0]
            if settings.cap is not None and metric.kind == "conversion":
                yield ("metrics", index, name, "cap"), "a conversion is 0 or 1 and has no `cap`", None, None
            if settings.refund_window is not None and not metric.numerator.is_money:
                message = f"{name} has no money to give back, so no `refund_window`: a refunded order stays an order"
                yield ("metrics", index, name, "refund_window"), message, None, None


def _two_events(view: View) -> Iterator[Fault]:
    """`event` would be the name of both sides of a ratio."""
    for index, entry in enumerate(view.document.metrics):
        if isinstance(entry, BuiltInMetric) and entry.chosen[1].event is not None:
            name = entry.chosen[0]
            above, *below = BUILT_IN_METRICS[name].columns
            if below and above.event != below[0].event:
                message = f"{name} counts {above.event} per {below[0].event}, so that one `event` cannot name both"
                hint = "Write a metric of your own: `kind: ratio` with `numerator` and `denominator`."
                yield ("metrics", index, name, "event"), message, hint, None


def _refund_windows(view: View) -> Iterator[Fault]:
    for index, metric in enumerate(view.metrics):
        if metric.refund_window and metric.window_end is None:
            message = f"{metric.name} has a `refund_window` but no `window`: without an end refunds always count"
            yield ("metrics", index), message, "Give `window`, or leave `refund_window` out.", None


def _metric_columns(view: View) -> Iterator[Fault]:
    columns = view.document.columns or []
    for index, entry in enumerate(view.document.metrics):
        if isinstance(entry, str):
            continue
        prefix = ("metrics", index) if isinstance(entry, CustomMetric) else ("metrics", index, entry.chosen[0])
        settings = entry.chosen[1] if isinstance(entry, BuiltInMetric) else entry
        for place, rule in enumerate(settings.filter or ()):
            if rule.column not in columns:
                hint = near(rule.column, columns) or "Declare it: `columns: [...]` lists what filters may name."
                allowed = ", ".join(columns) or "none is declared"
                yield (*prefix, "filter", place, "column"), f"must be one of `columns`: {allowed}", hint, None


def _reserved_events(view: View) -> Iterator[Fault]:
    for index, metric in enumerate(view.metrics):
        if any(column.event == "covariate" for column in metric.columns):
            yield ("metrics", index), "an event cannot be called covariate", None, None


def _plan_metrics(view: View) -> Iterator[Fault]:
    plan, names = view.document.plan, [metric.name for metric in view.metrics]
    message = f"must be one of the metrics: {', '.join(names)}"
    if plan.primary not in names:
        yield ("plan", "primary"), message, near(plan.primary, names) or _listed_hint(plan.primary), None
    for index, name in enumerate(plan.guardrails):
        if name not in names:
            yield ("plan", "guardrails", index), message, near(name, names) or _listed_hint(name), None
        elif name == plan.primary:
            yield ("plan", "guardrails", index), "the primary metric cannot be a guardrail too", None, None
    yield from _repeated(("plan", "guardrails"), plan.guardrails, None, "guardrail")


def _listed_hint(name: str) -> str | None:
    return f"{name} is built in; list it under `metrics`." if name in BUILT_IN_METRICS else None


def _guardrail_margins(view: View) -> Iterator[Fault]:
    for index, name in enumerate(view.document.plan.guardrails):
        metric = view.metric(name)
        if metric is not None and metric.non_inferiority_margin is None:
            hint = f"Say which relative loss is still acceptable: `- {name}: {{margin: 2%}}`."
            yield ("plan", "guardrails", index), "a guardrail needs the `margin` of its metric", hint, None


def _adjusted(view: View) -> Iterator[Fault]:
    plan = view.document.plan
    metric = view.metric(plan.primary)
    if plan.adjusted and metric is not None and metric.covariate is None:
        hint = f"Such as `- {metric.name}: {{covariate: past_revenue}}`."
        yield ("plan", "adjusted"), f"the primary {metric.name} has no `covariate` to be adjusted by", hint, None


def _planned_looks(view: View) -> Iterator[Fault]:
    """Looks are shares of a sample, which has to be known before the start."""
    plan = view.document.plan
    if not plan.looks or plan.sample_size is not None:
        return
    per_week = plan.audience.per_week if plan.audience is not None else None
    if per_week is None or plan.longest_duration is None:
        hint = "Give `sample_size`, or `audience: {per_week: ...}` and `longest_duration`."
        yield ("plan", "looks"), "are shares of a planned sample, which the plan does not have", hint, None
        return
    primary = view.metric(plan.primary)
    if primary is not None and (primary.window_end or 0) + primary.refund_window >= plan.longest_duration:
        message = f"ends before the window of {primary.name} has passed for anybody, so that no look has a visitor"
        yield ("plan", "longest_duration"), message, "Plan longer, or shorten the metric's `window`.", None


def _factorial_plan(view: View) -> Iterator[Fault]:
    plan, factors = view.document.plan, list(view.document.factors or {})
    if not factors and plan.scale != "additive":
        yield ("plan", "scale"), "is for a factorial only; there are no `factors`", None, None
    seen: dict[frozenset[str], str] = {}
    for index, term in enumerate(plan.family or ()):
        place, parts = ("plan", "family", index), term.split(":")
        unknown = [name for name in parts if name not in factors]
        if unknown:
            listed = ", ".join(factors) or "there are no `factors`"
            message = f"names {unknown[0]!r}, which is no factor; the factors are: {listed}"
            yield place, message, near(unknown[0], factors), None
        elif (same := seen.setdefault(frozenset(parts), term)) != term or term in (plan.family or ())[:index]:
            yield place, f"is the same term as {same}, which is tested already", None, None


def _cluster(view: View) -> Iterator[Fault]:
    cluster, segments = view.document.plan.cluster, view.document.segments or []
    if cluster is not None and cluster not in segments:
        message = f"must be one of `segments`: {', '.join(segments) or 'none is declared'}"
        hint = near(cluster, segments) or f"Declare it: `segments: [{cluster}]` records it with each exposure."
        yield ("plan", "cluster"), message, hint, None


def _shown_event(view: View) -> Iterator[Fault]:
    """What is seen is no result: an event that a metric counts would be described by itself."""
    event = view.document.shown_event
    metric = next((one for one in view.metrics if event in [column.event for column in one.columns]), None)
    if event is not None and metric is not None:
        message = f"is the event of {metric.name}: who did more of it would have seen more by definition"
        yield ("shown_event",), message, "Record an event of its own each time the offer is seen.", None


def _offer_cost(view: View) -> Iterator[Fault]:
    """What was given away is a sum of money of its own, and no part of what decides."""
    plan, path = view.document.plan, ("plan", "offer_cost")
    if plan.offer_cost is None:
        return
    metric, names = view.metric(plan.offer_cost), [one.name for one in view.metrics]
    hint = "Such as `- {name: discount_given, kind: revenue, event: discount, window: 14d}`, recorded as its value."
    if metric is None:
        yield path, f"must be one of the metrics: {', '.join(names)}", near(plan.offer_cost, names) or hint, None
    elif metric.kind != "revenue":
        message = f"must be a metric of kind revenue: the money given away; {metric.name} is a {metric.kind}"
        yield path, message, hint, None
    elif plan.offer_cost in (plan.primary, *plan.guardrails):
        yield path, f"{metric.name} is judged already: what is given away is not what is earned", hint, None
    else:
        earned = [one for one in view.metrics if one.kind == "margin" or one.name == "revenue_per_visitor"]
        same = next((one for one in earned if one.numerator.event == metric.numerator.event), None)
        if same is not None:
            message = f"has the event {metric.numerator.event!r} of {same.name}: all of its value would be given away"
            yield path, message, hint, None


def _repeated(path: tuple[str, ...], names: list[str], key: str | None, what: str) -> Iterator[Fault]:
    counts = Counter(names)
    for index, name in enumerate(names):
        if counts[name] > 1 and name in names[:index]:
            place = (*path, index) if key is None else (*path, index, key)
            yield place, f"is already the name of {what} {names.index(name) + 1}", "Names are unique.", None


_CHECKS: tuple[tuple[Check, tuple[str, ...]], ...] = (
    (_minor_units, ("currency", "arms", "offers", "factors", "offer", "metrics")),
    (_arms_or_factors, ("arms", "factors", "offer")),
    (_factors, ("factors",)),
    (_factor_offers, ("factors", "offer")),
    (_arm_names, ("arms.*.name",)),
    (_control, ("arms.*.name", "factors", "control")),
    (_weights, ("arms.*.weight",)),
    (_traffic, ("traffic",)),
    (_holdout, ("holdout", "arms", "control", "factors", "eligibility", "traffic", "layer")),
    (_times, ("starts_at", "ends_at")),
    (_lists, ("segments", "exploratory_segments", "columns", "holdouts")),
    (_metric_names, ("metrics.*.name",)),
    (_caps, ("metrics",)),
    (_two_events, ("metrics",)),
    (_refund_windows, ("metrics",)),
    (_metric_columns, ("metrics", "columns")),
    (_reserved_events, ("metrics",)),
    (_plan_metrics, ("metrics.*.name", "plan.primary", "plan.guardrails")),
    (_guardrail_margins, ("metrics", "plan.guardrails")),
    (_adjusted, ("metrics", "plan.primary", "plan.adjusted")),
    (_planned_looks, ("metrics", "plan.primary", "plan.looks", "plan.sample_size", "plan.audience")),
    (_factorial_plan, ("factors", "plan.family", "plan.scale")),
    (_cluster, ("segments", "plan.cluster")),
    (_shown_event, ("shown_event", "metrics")),
    (_offer_cost, ("metrics", "plan.offer_cost", "plan.primary", "plan.guardrails")),
)
"""Each check and the places that it relies on."""
