"""What a definition may say but this version does not execute.

Everything that the definition language knows but that neither assigner, store nor scorecard executes yet is refused by
name, so that nothing written in a definition is ever silently ignored.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import Finding
from .definition import Definition
from .invariants import Refusal, broken
from .metrics import Metric

__all__ = ["finding_in", "refusals"]


def refusals(definition: Definition, *, file: str = "") -> list[Finding]:
    """Everything in a definition that this version would not execute, and invariants broken by hand-made definitions.

    `file` names the definition's file in the findings; its key by default.
    """
    return [
        finding_in(definition, path, seen, message, file)
        for part in (broken, _unexecuted_split, _unexecuted_metrics, _unknown_in_plan)
        for path, seen, message in part(definition)
    ]


def _unexecuted_split(definition: Definition) -> Iterator[Refusal]:
    if len(definition.holdouts) > 1:
        yield "holdouts", ", ".join(definition.holdouts), "only one holdout is recorded with an exposure: name one"
    for key in ("segments", "exploratory_segments") if definition.holdout else ():
        if names := getattr(definition, key):
            message = "a holdout's exposures have no segments: name them in the experiments that it covers"
            yield key, ", ".join(names), message


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


def _unknown_in_plan(definition: Definition) -> Iterator[Refusal]:
    """What a plan made in Python may name that is not there, and reading from YAML finds by itself."""
    plan, metrics = definition.plan, {metric.name: metric for metric in definition.metrics}
    if plan.cluster is not None and plan.cluster not in definition.segments:
        yield "plan.cluster", plan.cluster, f"must be one of the segments: {', '.join(definition.segments) or 'none'}"
    for term in plan.family:
        unknown = [name for name in term.split(":") if name not in definition.factors]
        if unknown:
            yield "plan.family", term, f"names {unknown[0]!r}, which is no factor"
    if plan.offer_cost is not None:
        metric = metrics.get(plan.offer_cost)
        if metric is None or metric.kind != "revenue":
            yield "plan.offer_cost", plan.offer_cost, "must be a metric of kind revenue: the money given away"


def finding_in(definition: Definition, path: str, seen: str, message: str, file: str = "") -> Finding:
    """A finding on a definition; `file` names it, its key by default."""
    return Finding(file or definition.experiment, None, None, path, seen, message)
