"""What a page shows around the numbers: how they came to be, what happened meanwhile, what was decided, and by whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..errors import InputError
from ..storage import Store
from ..storage.arrivals import Arrivals
from ..storage.observations import Observations
from .changes import change_log
from .format import count, join, percent, quote
from .monitoring import lift_course
from .sensitivity import read_sensitivity
from .tree import Background, ExposureDay, HealthCheck, MonitoredArm, Scorecard

__all__ = ["with_background"]

LATE_SHARE = 0.05
"""Share of late outcomes from which on it is warned: so many may be missing of the latest visitors."""


def with_background(store: Store, observations: Observations, card: Scorecard) -> Scorecard:
    """The scorecard with what its page shows besides; nothing of effects is read while they are withheld.

    Args:
        store: where the experiment is.
        observations: that the scorecard was made of.
        card: the scorecard.
    """
    key, at = card.experiment, card.as_of
    return replace(
        card,
        background=Background(
            versions=tuple(one for one in store.versions(key) if one.published_at <= at),
            changes=change_log(store, key, at),
            decisions=tuple(one for one in store.decisions(key) if one.at <= at),
            exposures=_exposures(observations),
            course=() if card.withheld else _course(store, observations),
            sensitivity=() if card.withheld else read_sensitivity(store, observations),
            late=_late(store, observations),
        ),
    )


def _exposures(observations: Observations) -> tuple[ExposureDay, ...]:
    own = {arm: float(share) for arm, share in observations.definition.expected_shares.items()}
    days = [
        ExposureDay(day, stratum.phase, dict(visitors), stratum.shares or own)
        for stratum in observations.strata
        for day, visitors in stratum.exposures_by_day
    ]
    return tuple(sorted(days, key=lambda one: (one.day, one.phase)))


def _course(store: Store, observations: Observations) -> tuple[MonitoredArm, ...]:
    definition = observations.definition
    # Days are not read by clusters, and a band of independent visitors would be too narrow for them.
    if definition.source == "table" or definition.plan.cluster is not None or observations.first_exposure is None:
        return ()
    try:
        return lift_course(store.cumulative(definition.experiment, as_of=observations.as_of))
    except InputError:
        # Its rows were pruned; what happened on which day is not kept.
        return ()


def _late(store: Store, observations: Observations) -> HealthCheck:
    """Whether outcomes arrive in time to be in the numbers of those whose window has passed."""
    if observations.definition.source == "table":
        return HealthCheck("late_data", "not_run", "A table does not say when its rows were written.")
    try:
        found = store.arrivals(observations.definition.experiment, as_of=observations.as_of)
    except InputError as error:
        return HealthCheck("late_data", "not_run", f"{error.message[:1].upper()}{error.message[1:]}.")
    return late_check(found)


def late_check(found: Mapping[str, Arrivals]) -> HealthCheck:
    """The finding of how late each arm's outcomes were written."""
    total = sum(one.outcomes - one.imported for one in found.values())
    imported = sum(one.imported for one in found.values())
    if not total:
        said = (
            f"All {count(imported)} outcomes were imported long after they happened" if imported else "No outcome yet"
        )
        return HealthCheck("late_data", "not_run", f"{said}, so nothing is known of how late they arrive.")
    late = sum(one.late for one in found.values())
    said = f"{count(late)} of {count(total)} outcomes ({percent(late / total)}) were written more than a day late"
    if late / total < LATE_SHARE:
        return HealthCheck("late_data", "ok", f"{said}.")
    shares = {arm: one.late / max(one.outcomes - one.imported, 1) for arm, one in sorted(found.items())}
    by_arm = join([f"{percent(share)} of {quote(arm)}" for arm, share in shares.items()])
    return HealthCheck(
        "late_data",
        "warn",
        f"{said} ({by_arm}): of the latest visitors as many are still missing, and later reviews will differ a little.",
    )
