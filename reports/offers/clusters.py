"""Visitors who share an agent are alike: the primary metric's comparison with a variance that knows of it.

Where the plan names clusters, this comparison takes the place of the one of independent visitors, so that every
interval of the primary metric, and the decision, rest on it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from ...stats import Comparison, Moments, compare_clusters
from ...storage.observations import Observations
from ..details import Details
from .tree import Cluster, ClusterRow, Estimate

__all__ = ["Clustered", "clustered", "clusters_of"]


@dataclass(frozen=True, slots=True)
class Clustered:
    """A comparison by clusters.

    Attributes:
        comparison: takes the place of that of independent visitors; without numbers where clusters cannot be read.
        inflation: its variance over that of independent visitors; None where it has none.
        clusters: how many there are.
        warning: where they are few.
    """

    comparison: Comparison
    inflation: float | None = None
    clusters: int | None = None
    warning: str = ""


def clustered(observations: Observations, details: Details) -> Mapping[str, Clustered] | None:
    """Each treatment's comparison on the primary metric by clusters; None where the plan names none."""
    definition = observations.definition
    plan = definition.plan
    if plan.cluster is None:
        return None

    def without(reason: str) -> Mapping[str, Clustered]:
        empty = Clustered(Comparison.without("insufficient", reason))
        return dict.fromkeys(definition.treatments, empty)

    if plan.adjusted:
        return without("the plan judges by the adjusted row, which knows no clusters")
    if len(observations.strata) > 1:
        return without("there are several phases, over which clusters are not compared")
    split = details.offers.breakdown(plan.cluster)
    if isinstance(split, str):
        return without(split.rstrip("."))
    metric = definition.metric(plan.primary)
    arms: dict[str, dict[Hashable, Moments | tuple[int, float]]] = {
        arm.name: {
            value: moments
            for value, strata in split.values.items()
            if (moments := strata[0].moments[metric.name][arm.name]).n
        }
        for arm in definition.arms
    }
    per = None if metric.denominator is None else metric.denominator.name
    found = {}
    for arm in definition.treatments:
        result = compare_clusters(arms[arm], arms[definition.control], metric.numerator.name, per=per)
        found[arm] = Clustered(result, result.design_effect, result.clusters, result.warning)
    return found


def clusters_of(observations: Observations, found: Mapping[str, Clustered] | None) -> Cluster | None:
    """What the scorecard says of it."""
    name = observations.definition.plan.cluster
    if found is None or name is None:
        return None
    rows = tuple(_row(arm, one) for arm, one in found.items())
    known = any(row.status == "ok" for row in rows)
    return Cluster(name, "ok" if known else "insufficient", "" if known else rows[0].reason, rows)


def _row(arm: str, one: Clustered) -> ClusterRow:
    difference = one.comparison.difference
    if difference is None:
        status = "undefined" if one.comparison.status == "undefined" else "insufficient"
        return ClusterRow(arm, status, one.comparison.reason, one.clusters)
    return ClusterRow(
        arm,
        "ok",
        one.warning,
        one.clusters,
        Estimate(difference.estimate, difference.low, difference.high),
        difference.p_value,
        one.inflation,
    )
