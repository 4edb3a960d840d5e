"""What a definition may say but this version does not execute.

Everything that the definition language knows but that neither assigner, store nor scorecard executes yet is refused by
name, so that nothing written in a definition is ever silently ignored.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import Finding
from .definition import BUCKETS, HOLDOUT_ARMS, Definition
from .metrics import Metric

__all__ = ["Refusal", "finding_in", "refusals"]

Refusal = tuple[str, str, str]
"""Place, value seen, and why."""


def refusals(definition: Definition, *, file: str = "") -> list[Finding]:
    """Everything in a definition that this version would not execute, and invariants broken by hand-made definitions.

    `file` names the definition's file in the findings; its key by default.
    """
    return [
        finding_in(definition, path, seen, message, file)
        for part in (_broken, _unexecuted_split, _unexecuted_metrics, _unexecuted_plan)
        for path, seen, message in part(definition)
    ]


def _broken(definition: Definition) -> Iterator[Refusal]:
    """Invariants that reading from YAML guarantees and a definition made in Python may break."""
    arms = [arm.name for arm in definition.arms]
    metrics = [metric.name for metric in definition.metrics]
    total = sum(arm.weight for arm in definition.arms)
    if total != BUCKETS or any(arm.weight < 0 for arm in definition.arms):
        yield "arms", str(total), f"weights must be positive and sum to {BUCKETS}"
    if len(set(arms)) != len(arms) or definition.control not in arms:
        yield "control", definition.control, f"must be one of the arms, each named once: {', '.join(arms)}"
    if len(set(metrics)) != len(metrics) or definition.plan.primary not in metrics:
        yield (
            "plan.primary",
            definition.plan.primary,
            f"must be one of the metrics, each named once: {', '.join(metrics)}",
        )
    low, high = definition.layer_range
    if not 0 <= low < high <= BUCKETS or not 0 < definition.traffic <= 1:
        seen = f"{list(definition.layer_range)}, traffic {definition.traffic}"
        yield "layer.range", seen, f"must lie in [0, {BUCKETS}] with some traffic"
    names = {offer.name for offer in definition.offers} | {arm.offer.name for arm in definition.arms if arm.offer}
    for offer in (*definition.offers, *(arm.offer for arm in definition.arms if arm.offer)):
        for name in (*offer.alternatives, offer.on_decline, offer.on_accept):
            if name is not None and name not in names:
                yield f"offers.{offer.name}", name, "must be the name of an offer"
    shows = any(arm.offer is not None for arm in definition.arms)
    if definition.holdout and (set(arms) != set(HOLDOUT_ARMS) or definition.control != HOLDOUT_ARMS[0] or shows):
        yield "arms", ", ".join(arms), f"a holdout has the arms {' and '.join(HOLDOUT_ARMS)} (control first), no offers"
    for name in definition.plan.guardrails:
        if name not in metrics or definition.metric(name).non_inferiority_margin is None:
            yield "plan.guardrails", name, "must be one of the metrics, with its non-inferiority margin"


def _unexecuted_split(definition: Definition) -> Iterator[Refusal]:
    if len(definition.holdouts) > 1:
        yield "holdouts", ", ".join(definition.holdouts), "only one holdout is recorded with an exposure: name one"
    if definition.segments:
        yield "segments", ", ".join(definition.segments), "segments are not stored with the exposure yet"


def _unexecuted_metrics(definition: Definition) -> Iterator[Refusal]:
    for index, metric in enumerate(definition.metrics):
        for key, seen, message in _unexecuted_metric(metric):
            yield f"metrics[{index}].{key}", seen, message
    if definition.columns:
        yield "columns", ", ".join(definition.columns), "declared columns of outcomes are not stored yet"


def _unexecuted_metric(metric: Metric) -> Iterator[Refusal]:
    if metric.filters:
        columns = ", ".join(str(column) for column, _, _ in metric.filters)
        yield "filter", columns, f"filters are not executed yet: {metric.name} would count every outcome"
    if metric.covariate is not None and metric.denominator is not None:
        yield "covariate", metric.covariate.name, "a covariate of a ratio metric is not executed yet"


def _unexecuted_plan(definition: Definition) -> Iterator[Refusal]:
    plan = definition.plan
    if plan.looks:
        yield (
            "plan.looks",
            str(list(plan.looks)),
            "planned looks are not executed yet: the always-valid interval decides",
        )
    if plan.sample_size is not None:
        yield "plan.sample_size", str(plan.sample_size), "a planned sample size is not executed yet"
    if plan.scale != "additive":
        yield "plan.scale", plan.scale, "factorial effects on the log scale are not executed yet"
    if plan.family:
        yield (
            "plan.family",
            ", ".join(plan.family),
            "factorial contrasts are not tested yet: each arm meets the control",
        )


def finding_in(definition: Definition, path: str, seen: str, message: str, file: str = "") -> Finding:
    """A finding on a definition; `file` names it, its key by default."""
    return Finding(file or definition.experiment, None, None, path, seen, message)
