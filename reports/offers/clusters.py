"""Visitors who share an agent are alike: the primary metric's comparison with a variance that knows of it.

Where the plan names clusters, this comparison takes the place of the one of independent visitors, so that every
interval of the primary metric, and the decision, rest on it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from ...stats import Comparison, Moments, compare_clusters_over_strata
from ...storage.observations import Breakdown, Observations
from ..details import Details
from ..phases import strata_of, visitors_by_phase
from .tree import Cluster, ClusterRow, Estimate

__all__ = ["Clustered", "clustered", "clusters_of"]

Clusters = Moments | tuple[int, float]


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
    split = details.offers.breakdown(plan.cluster)
    if isinstance(split, str):
        return without(split.rstrip("."))
    metric = definition.metric(plan.primary)
    phases = [stratum.phase for stratum in observations.strata]
    arms = {arm.name: _by_phase(split, metric.name, arm.name, phases) for arm in definition.arms}
    visitors = visitors_by_phase(strata_of(observations, metric))
    per = None if metric.denominator is None else metric.denominator.name
    found = {}
    for arm in definition.treatments:
        result = compare_clusters_over_strata(
            arms[arm], arms[definition.control], metric.numerator.name, per=per, visitors=visitors
        )
        found[arm] = Clustered(result, result.design_effect, result.clusters, result.warning)
    return found


def _by_phase(split: Breakdown, metric: str, arm: str, phases: Sequence[int]) -> list[dict[Hashable, Clusters]]:
    """An arm's clusters in each phase; an agent who worked on has the same name in all of them."""
    found: list[dict[Hashable, Clusters]] = [{} for _ in phases]
    for value, strata in split.values.items():
        for stratum in strata:
            moments = stratum.moments.get(metric, {}).get(arm)
            if moments is not None and moments.n:
                found[phases.index(stratum.phase)][value] = moments
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
