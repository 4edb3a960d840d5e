"""What would decide a planned experiment earlier."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..experiments.definition import Definition
from ..stats import Design, Mean, Rate, control_share_for
from .format import count, join, label, level, percent, setting
from .history import History, MetricHistory
from .questions import Question, as_judged, window_days

__all__ = ["Shortcut", "shortcuts"]

PLANNED_LOOKS = (0.25, 0.5, 0.75, 1.0)
"""Looks that are proposed where the plan has none."""

USEFUL_R_SQUARED = 0.02
"""Share of the variance below which a covariate is not worth proposing."""

LARGER_EFFECT = 1.5
"""How many times the minimum detectable effect is proposed."""


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A change of the plan that decides the primary earlier.

    Attributes:
        change: in words.
        weeks: that the primary needs then.
        saved: weeks less than now; None where now it takes more than five years.
        caveat: what is given up; "" where nothing.
    """

    change: str
    weeks: int
    saved: int | None
    caveat: str = ""


def shortcuts(definition: Definition, history: History, known: MetricHistory, question: Question) -> Iterator[Shortcut]:
    """What would decide the primary earlier, the most effective first."""
    now = question.weeks()
    if question.per_week is None:
        return
    found = []
    for change, other, caveat in _changes(definition, history, known, question):
        weeks = other.weeks()
        if weeks is not None and (now is None or weeks < now):
            found.append(Shortcut(change, weeks, None if now is None else now - weeks, caveat))
    yield from sorted(found, key=lambda one: one.weeks)


def _changes(
    definition: Definition, history: History, known: MetricHistory, question: Question
) -> Iterator[tuple[str, Question, str]]:
    plan, design = definition.plan, question.design

    def with_endpoint(endpoint: Mean | Rate) -> Question:
        return replace(question, endpoint=endpoint)

    looks = join([setting(look) for look in PLANNED_LOOKS])
    if not design.looks:
        planned = replace(design, looks=PLANNED_LOOKS, readings=None, tuned_at=None)
        endpoint = Rate(question.endpoint.rate) if isinstance(question.endpoint, Rate) else question.endpoint
        other = replace(question, endpoint=endpoint, design=planned, weekly=False)
        yield f"planned looks at {looks}", other, f"sample_size {count(other.visitors() or 0)}"
    elif len(design.looks) > 2:
        yield "two planned looks, at 50% and 100%", replace(question, design=replace(design, looks=(0.5, 1.0))), ""
    if known.r_squared is not None and known.r_squared >= USEFUL_R_SQUARED and not plan.adjusted:
        covariate = definition.metric(plan.primary).covariate
        name = f" for {label(covariate.name)}" if covariate is not None else ""
        yield (
            f"the row adjusted{name} (adjusted: true)",
            with_endpoint(known.endpoint.adjusted(known.r_squared)),
            "",
        )
    yield from _other_splits(design, question)
    low, _ = definition.layer_range
    open_share = (definition.traffic_end - low) / max(definition.layer_range[1] - low, 1)
    if open_share < 1 and question.per_week is not None:
        yield "traffic: 100%", replace(question, per_week=question.per_week / open_share), ""
    if known.capped is not None and not plan.adjusted:
        yield (
            f"a cap of {level(known.capped.cap, definition.currency)} a visitor, at 99% of the orders",
            with_endpoint(known.capped.endpoint),
            "measures the capped value",
        )
    larger = LARGER_EFFECT * question.lift
    if not (isinstance(question.endpoint, Rate) and not 0 < question.endpoint.rate * (1 + larger) < 1):
        yield (
            f"a minimum detectable effect of {percent(abs(larger), 0.01)}",
            replace(question, lift=larger),
            "smaller lifts are missed",
        )
    for name, other in history.metrics.items():
        metric = definition.metric(name)
        if name == plan.primary or definition.role(name) == "guardrail" or not _fits(other.endpoint, question.lift):
            continue
        if metric.desired_change == definition.metric(plan.primary).desired_change and metric.denominator is None:
            yield (
                f"{label(name)} as primary",
                replace(
                    with_endpoint(as_judged(other.endpoint, bool(design.looks))),
                    window_days=window_days(definition, metric),
                ),
                "answers another question",
            )


def _other_splits(design: Design, question: Question) -> Iterator[tuple[str, Question, str]]:
    treatments = len(design.shares) - 1
    even = (1 / (treatments + 1),) * (treatments + 1)
    if max(design.shares) - min(design.shares) > 0.01:
        yield "equal shares of all arms", replace(question, design=replace(design, shares=even)), ""
    if treatments > 1:
        control = control_share_for(treatments)
        best = (control, *[(1 - control) / treatments] * treatments)
        if abs(design.shares[0] - control) > 0.02:
            yield (
                f"a control of {percent(control, 0.1)}, the best for {treatments} treatments",
                replace(question, design=replace(design, shares=best)),
                "",
            )
        yield (
            "one treatment instead of " + str(treatments),
            replace(question, design=replace(design, shares=(0.5, 0.5))),
            "the others are not tried",
        )


def _fits(endpoint: Mean | Rate, lift: float) -> bool:
    return not isinstance(endpoint, Rate) or 0 < endpoint.rate * (1 + lift) < 1
