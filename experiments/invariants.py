"""What holds in every definition, wherever it comes from: the assigner relies on it in every request."""

from __future__ import annotations

from collections.abc import Iterator

from .definition import BUCKETS, HOLDOUT_ARMS, Definition

__all__ = ["Refusal", "broken"]

Refusal = tuple[str, str, str]
"""Place, value seen, and why."""


def broken(definition: Definition) -> Iterator[Refusal]:
    """What a definition made in Python, or a snapshot changed by hand, may break, and reading from YAML guarantees."""
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
