"""The scorecard: health first, then the decision, then the numbers; one object for JSON, terminal and page."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from ..errors import InputError
from ..storage.observations import Observations
from .decision import decide
from .estimates import metric_rows
from .health import health_checks, mature_counts
from .sentences import not_shown
from .tree import ArmRow, Scorecard
from .verdict import Verdict

__all__ = ["Scorecard", "scorecard"]


def scorecard(observations: Observations) -> Scorecard:
    """Everything that can be said about an experiment from its observations.

    The tree is always complete: an experiment without a single visitor has every arm, metric and comparison, with None
    where a number would be and the reason beside it.

    Raises:
        InputError: the experiment is in its second or a later phase.
    """
    definition = observations.definition
    if observations.phase > 1:
        # Weights and arms differ between phases: one mean over them would compare a mix with a mix.
        raise InputError(
            f"{definition.experiment!r} is in phase {observations.phase}: several phases are analysed as strata, which "
            "this version does not do yet, and pooling them would be wrong",
            hint="Its exposures are kept with their phase. Publish a new design under a new `experiment:` name.",
        )
    health = health_checks(observations)
    metrics = metric_rows(observations)
    decision, verdicts = decide(observations, health, metrics)
    return Scorecard(
        experiment=definition.experiment,
        state=observations.state,
        source=definition.source,
        as_of=observations.as_of,
        control=definition.control,
        primary=definition.plan.primary,
        currency=definition.currency,
        health=health,
        decision=decision,
        arms=tuple(_arm_row(observations, arm.name, verdicts.get(arm.name)) for arm in definition.arms),
        metrics=metrics,
        first_exposure=observations.first_exposure,
        last_exposure=observations.last_exposure,
        generated_by=f"offerlift {_version()}",
        notes=not_shown(definition),
        definition=definition,
    )


def _arm_row(observations: Observations, arm: str, verdict: Verdict | None) -> ArmRow:
    definition = observations.definition
    counts = observations.arms[arm]
    total = sum(other.visitors for other in observations.arms.values())
    mature = mature_counts(observations)[arm]
    return ArmRow(
        arm=arm,
        visitors=counts.visitors,
        mature=mature,
        expected_share=float(definition.expected_shares[arm]),
        verdict=verdict.action if verdict is not None else None,
        verdict_reason=verdict.reason if verdict is not None else "",
        share=counts.visitors / total if total else None,
        waiting=counts.visitors - mature,
        crossovers=counts.crossovers,
        levels=dict(definition.arm(arm).levels),
    )


def _version() -> str:
    try:
        return version("offerlift")
    except PackageNotFoundError:
        return "(not installed)"
