"""The scorecard: health first, then the decision, then the numbers; one object for JSON, terminal and page.

A scorecard only reads. Looks are recorded by `record_look`, with the scorecard of that moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from ..storage.looks import Look
from ..storage.observations import Observations
from . import look_sentences as say
from .counts import mature_counts, visitor_counts
from .decision import blocked, decide, overall
from .details import Details
from .diagnostics import with_randomisation
from .estimates import metric_rows
from .health import health_checks
from .looks import has_planned_looks, progress_of, recorded_rows, recorded_verdicts
from .offers.building import offers_of
from .offers.clusters import Clustered, clustered
from .sentences import dropped_in_words
from .tree import ArmRow, Decision, HealthCheck, MetricRow, Progress, Scorecard
from .verdict import Verdict
from .withholding import withhold, withhold_counts

__all__ = ["Scorecard", "checked", "scorecard"]


def scorecard(
    observations: Observations,
    looks: Sequence[Look] | None = (),
    details: Details | None = None,
    *,
    health: Sequence[HealthCheck] | None = None,
) -> Scorecard:
    """Everything that can be said about an experiment from its observations and the looks that are recorded of it.

    The tree is always complete: an experiment without a single visitor has every arm, metric and comparison, with None
    where a number would be and the reason beside it. Several phases are strata: each is compared within itself.

    Where looks are planned, effects are withheld until the first is recorded; afterwards the verdicts are those of the
    last one.

    Args:
        observations: what was seen.
        looks: `Store.looks(experiment)`; those after the moment of the observations are left out. None where none can
            be recorded, as in a warehouse: then the always-valid interval decides, plan or no plan.
        details: reads single visitors where a check needs them, such as `Details.of_store(store, observations)`.
        health: what `checked` found of the same; None: it is asked here.
    """
    definition = observations.definition
    past = [one for one in looks or () if one.at <= observations.as_of]
    details = details or Details()
    if health is None:
        health = checked(observations, looks, details)
    clusters = clustered(observations, details)
    metrics = metric_rows(observations, clusters=clusters)
    if looks is None or not has_planned_looks(definition):
        metrics = with_randomisation(metrics, observations, details)
        at = {one.arm: one.at for one in past}
        before = {
            arm: replace(verdict, reason=say.decided_on(verdict.reason, at[arm]))
            for arm, verdict in recorded_verdicts(definition, past).items()
        }
        decision, verdicts = decide(observations, health, metrics, before=before)
        return _card(observations, health, metrics, decision, verdicts, None, details, clusters)
    progress = progress_of(observations, past)
    decision, verdicts = _between_looks(observations, health, past, progress)
    if past:
        metrics = recorded_rows(metrics, past, recorded_verdicts(definition, past))
    else:
        health, metrics = withhold_counts(health), withhold(metrics)
    return _card(observations, health, metrics, decision, verdicts, progress, details, clusters, withheld=not past)


def checked(observations: Observations, looks: Sequence[Look] | None, details: Details) -> tuple[HealthCheck, ...]:
    """The health checks of a scorecard, for those who make several of the same observations.

    Args:
        observations: what was seen.
        looks: as for `scorecard`.
        details: as for `scorecard`, which gets the same.
    """
    past = [one for one in looks or () if one.at <= observations.as_of]
    if past or looks is None or not has_planned_looks(observations.definition):
        # What is split by segments has their visitors too, which health asks for: one reading for both.
        for segment in observations.definition.segments:
            details.offers.breakdown(segment)
    return health_checks(observations, details)


def _between_looks(
    observations: Observations, health: Sequence[HealthCheck], past: Sequence[Look], progress: Progress
) -> tuple[Decision, Mapping[str, Verdict]]:
    """The decision and the verdicts of the last look; only health is of now."""
    treatments = observations.definition.treatments
    stop = blocked(observations, health)
    if stop is None and not past:
        stop = "collecting", say.withheld(observations, progress)
    if stop is not None:
        action, reason = stop
        return Decision(action, None, reason), {arm: Verdict(arm, action, reason) for arm in treatments}
    seen = recorded_verdicts(observations.definition, past)
    verdicts = {arm: seen.get(arm) or Verdict(arm, "collecting", say.not_looked_at(arm)) for arm in treatments}
    decision = overall(verdicts)
    reason = say.at_the_look(decision.reason, past[-1], progress, is_later=observations.as_of > past[-1].at)
    return Decision(decision.action, decision.arm, reason), verdicts


def _card(
    observations: Observations,
    health: Sequence[HealthCheck],
    metrics: Sequence[MetricRow],
    decision: Decision,
    verdicts: Mapping[str, Verdict],
    progress: Progress | None,
    details: Details,
    clusters: Mapping[str, Clustered] | None,
    *,
    withheld: bool = False,
) -> Scorecard:
    """The tree of these parts."""
    definition = observations.definition
    return Scorecard(
        experiment=definition.experiment,
        state=observations.state,
        source=definition.source,
        as_of=observations.as_of,
        control=definition.control,
        primary=definition.plan.primary,
        currency=definition.currency,
        health=tuple(health),
        decision=decision,
        arms=tuple(_arm_row(observations, arm.name, verdicts.get(arm.name)) for arm in definition.arms),
        metrics=tuple(metrics),
        first_exposure=observations.first_exposure,
        last_exposure=observations.last_exposure,
        generated_by=f"offerlift {_version()}",
        notes=dropped_in_words(observations),
        progress=progress,
        definition=definition,
        offers=offers_of(observations, metrics, details, clusters, has_looks=progress is not None, withheld=withheld),
    )


def _arm_row(observations: Observations, arm: str, verdict: Verdict | None) -> ArmRow:
    definition = observations.definition
    visitors, mature = visitor_counts(observations), mature_counts(observations)[arm]
    total = sum(visitors.values())
    return ArmRow(
        arm=arm,
        visitors=visitors[arm],
        mature=mature,
        expected_share=_expected_share(observations, arm),
        verdict=verdict.action if verdict is not None else None,
        verdict_reason=verdict.reason if verdict is not None else "",
        share=visitors[arm] / total if total else None,
        waiting=visitors[arm] - mature,
        crossovers=sum(stratum.arms[arm].crossovers for stratum in observations.strata if arm in stratum.arms),
        levels=dict(definition.arm(arm).levels),
    )


def _expected_share(observations: Observations, arm: str) -> float:
    """The planned share, over several phases that of the visitors who came in each."""
    planned = {name: float(share) for name, share in observations.definition.expected_shares.items()}
    phases = [
        (sum(counts.visitors for counts in stratum.arms.values()), (stratum.shares or planned).get(arm, 0.0))
        for stratum in observations.strata
    ]
    total = sum(visitors for visitors, _ in phases)
    if len(phases) == 1 or not total:
        return planned[arm]
    return sum(visitors * share for visitors, share in phases) / total


@cache
def _version() -> str:
    try:
        return version("offerlift")
    except PackageNotFoundError:
        return "(not installed)"
