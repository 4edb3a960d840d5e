"""Health: can the numbers be trusted? Asked before any effect is read.

Only four findings block the verdict (status `fail`): a sample ratio that differs from the plan, crossovers that differ
by arm, missing outcome data, money that is left out for its currency. Everything else warns, because blocking on every
check would stop one healthy experiment in eight.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from ..experiments.definition import Arm, Definition
from ..stats import homogeneity_test, running_sample_ratio_test, sample_ratio_test
from ..storage.observations import Observations, Stratum
from .completeness import conflicts, currencies, outcomes, refunds, rows
from .counts import mature_counts
from .details import Details
from .diagnostics import covariates, outliers, srm_by_day, srm_by_segment
from .format import count, join, p_value, percent, quote
from .tree import HealthCheck

__all__ = [
    "CROSSOVER_ALARM",
    "SRM_ALARM",
    "SRM_SEQUENTIAL_ALARM",
    "SRM_WARNING",
    "health_checks",
    "planned_shares",
]

SRM_ALARM = 0.001
"""Pearson's test fails below this p-value where it is read once."""

SRM_WARNING = 0.01
"""Pearson's test warns below this p-value."""

SRM_SEQUENTIAL_ALARM = 0.01
"""The sequential test fails below this: at most 1 % false alarms over an experiment's life, at any number of looks."""

CROSSOVER_ALARM = 0.001
SMALLEST_EXPECTED_CROSSOVERS = 5
"""Below this many expected crossovers in an arm, the chi-square tail says nothing, and the check can only warn."""


def health_checks(observations: Observations, details: Details | None = None) -> tuple[HealthCheck, ...]:
    """All health checks, each with a status, a sentence and, where it is a test, its p-value.

    Args:
        observations: what was seen.
        details: reads single visitors where a check needs them; without it such a check is not run.
    """
    details = details or Details()
    return (
        _over_phases(_srm, observations),
        _over_phases(_srm_sequential, observations),
        _over_phases(_srm_mature, observations),
        _over_phases(srm_by_day, observations),
        # Segments are read by the arms of today.
        _over_phases(lambda one, phases: srm_by_segment(one, phases, details), observations, with_dropped=False),
        _over_phases(_crossovers, observations),
        _over_phases(outcomes, observations),
        currencies(observations),
        refunds(observations),
        outliers(observations, details),
        _over_phases(covariates, observations),
        _phases(observations),
        _unknown_arms(observations),
        rows(observations),
        conflicts(observations),
    )


Check = Callable[[Observations, int], HealthCheck]
"""A check of one phase, and of how many: p-values count the others (Bonferroni)."""

SEVERITY = ("not_run", "ok", "warn", "fail")


def _over_phases(check: Check, observations: Observations, *, with_dropped: bool = True) -> HealthCheck:
    """The check of the phase that does worst, since each has a split of its own."""
    phases = [
        (stratum.phase, _of_phase(observations, stratum, with_dropped=with_dropped)) for stratum in observations.strata
    ]
    phases = [(number, one) for number, one in phases if any(arm.visitors for arm in one.arms.values())]
    if len(phases) < 2:
        return check(phases[0][1] if phases else observations, 1)
    found = [(number, check(one, len(phases))) for number, one in phases]
    number, worst = max(found, key=lambda one: (SEVERITY.index(one[1].status), -(one[1].p_value or 0.0)))
    return replace(worst, reason=f"Phase {number}: {worst.reason}")


def _of_phase(observations: Observations, stratum: Stratum, *, with_dropped: bool) -> Observations:
    """One phase as if it were all, with the arms and the split that it had."""
    definition, shares = observations.definition, stratum.shares
    if shares:
        arms = tuple(replace(arm, ratio=Fraction(shares[arm.name])) for arm in definition.arms if arm.name in shares)
        if with_dropped:
            known = {arm.name for arm in definition.arms}
            gone = [arm for arm in stratum.arms if arm in shares and arm not in known]
            arms += tuple(Arm(arm, 0, ratio=Fraction(shares[arm])) for arm in gone)
        definition = replace(definition, arms=arms)
    return replace(
        observations,
        definition=definition,
        phase=stratum.phase,
        arms={arm.name: stratum.arms[arm.name] for arm in definition.arms if arm.name in stratum.arms},
        moments=stratum.moments,
        exposures_by_day=tuple(
            (day, {arm.name: seen.get(arm.name, 0) for arm in definition.arms})
            for day, seen in stratum.exposures_by_day
        ),
        earlier=(),
    )


def _srm(observations: Observations, phases: int) -> HealthCheck:
    visitors = {arm: counts.visitors for arm, counts in observations.arms.items()}
    if not any(visitors.values()):
        return HealthCheck("srm", "not_run", "Nobody was exposed yet.")
    definition = observations.definition
    p = min(phases * sample_ratio_test(visitors, planned_shares(definition)).p_value, 1.0)
    seen = _seen_and_planned(visitors, definition)
    if p >= SRM_WARNING:
        return HealthCheck("srm", "ok", f"{seen}; p = {_p(p)}: as planned.", p)
    if p >= SRM_ALARM:
        return HealthCheck(
            "srm",
            "warn",
            f"{seen}; p {_below(p)}. One healthy experiment in a hundred looks like this, so the effects below stay "
            f"readable and the verdict stands (it is blocked below p = .001); find the cause before relying on a "
            f"small effect.",
            p,
        )
    if definition.source == "table":
        return HealthCheck(
            "srm",
            "fail",
            f"{seen}; p {_below(p)}. The split is not the planned one: visitors were lost or added in one arm, and the "
            f"arms cannot be compared until the cause is found.",
            p,
        )
    if _srm_sequential(observations, phases).status == "fail":
        return HealthCheck(
            "srm", "fail", f"{seen}; p {_below(p)}, and the sequential check confirms it: the split is wrong.", p
        )
    return HealthCheck(
        "srm",
        "warn",
        f"{seen}; p {_below(p)}. This test is exact for one look only; the sequential check decides and has not "
        f"failed. Nothing ships until this is cleared up.",
        p,
    )


def _srm_sequential(observations: Observations, phases: int) -> HealthCheck:
    visitors = {arm: counts.visitors for arm, counts in observations.arms.items()}
    if not any(visitors.values()):
        return HealthCheck("srm_sequential", "not_run", "Nobody was exposed yet.")
    looks = [counts for _, counts in observations.exposures_by_day] or [visitors]
    p = min(phases * running_sample_ratio_test(looks, planned_shares(observations.definition)).p_value, 1.0)
    if p < SRM_SEQUENTIAL_ALARM:
        seen = _seen_and_planned(visitors, observations.definition)
        return HealthCheck(
            "srm_sequential",
            "fail",
            f"{seen}; smallest always-valid p of all days so far {_below(p)}. Assignment, exposure logging or a filter "
            f"treats the arms differently; no effect can be read until the cause is found.",
            p,
        )
    return HealthCheck(
        "srm_sequential",
        "ok",
        f"Smallest always-valid p of all days so far = {_p(p)}: no evidence against the planned split.",
        p,
    )


def _srm_mature(observations: Observations, phases: int) -> HealthCheck:
    mature = mature_counts(observations)
    visitors = {arm: counts.visitors for arm, counts in observations.arms.items()}
    if not any(mature.values()):
        return HealthCheck("srm_mature", "not_run", "No visitor's window has passed yet.")
    if mature == visitors:
        return HealthCheck("srm_mature", "not_run", "All visitors are analysed, so the first check has covered it.")
    p = min(phases * sample_ratio_test(mature, planned_shares(observations.definition)).p_value, 1.0)
    if p < SRM_ALARM:
        seen = _seen_and_planned(mature, observations.definition, noun="analysed visitors")
        return HealthCheck(
            "srm_mature",
            "warn",
            f"{seen}; p {_below(p)}. The exposed visitors may be split as planned while those analysed are not: look "
            f"for a filter or a delay that depends on the arm.",
            p,
        )
    return HealthCheck("srm_mature", "ok", f"Analysed visitors are split as planned; p = {_p(p)}.", p)


def _crossovers(observations: Observations, phases: int) -> HealthCheck:
    if observations.definition.source == "table":
        return HealthCheck("crossovers", "not_run", "A table has one row a visitor; crossovers cannot be seen in it.")
    arms = {arm: counts for arm, counts in observations.arms.items() if counts.visitors}
    if len(arms) < 2:
        return HealthCheck("crossovers", "not_run", "Fewer than two arms have visitors.")
    crossed = [counts.crossovers for counts in arms.values()]
    total, visitors = sum(crossed), sum(counts.visitors for counts in arms.values())
    if total == 0:
        return HealthCheck("crossovers", "ok", "No visitor was seen in a second arm.")
    if total == visitors:
        return HealthCheck("crossovers", "ok", f"All {count(total)} visitors were seen in a second arm, in every arm.")
    p = min(phases * homogeneity_test(crossed, [counts.visitors for counts in arms.values()]).p_value, 1.0)
    shares = join([f"{percent(c.crossovers / c.visitors)} of {quote(arm)}" for arm, c in arms.items()])
    seen = f"{count(total)} visitors were later seen in another arm ({shares})"
    if p >= CROSSOVER_ALARM:
        return HealthCheck(
            "crossovers", "ok", f"{seen}; the shares do not differ, p = {_p(p)}. They count in their first arm.", p
        )
    if min(counts.visitors for counts in arms.values()) * total / visitors < SMALLEST_EXPECTED_CROSSOVERS:
        return HealthCheck("crossovers", "warn", f"{seen}; p {_below(p)}, but these are too few to judge by.", p)
    return HealthCheck(
        "crossovers",
        "fail",
        f"{seen}; the shares differ, p {_below(p)}. An arm itself drives visitors to another one, so the arms are no "
        f"longer comparable.",
        p,
    )


def _phases(observations: Observations) -> HealthCheck:
    returned = sum(arm.returned for stratum in observations.strata for arm in stratum.arms.values())
    if len(observations.strata) == 1:
        return HealthCheck("phases", "not_run", "There is one phase.")
    if returned == 0:
        return HealthCheck("phases", "ok", "Nobody was exposed in two phases.")
    return HealthCheck(
        "phases",
        "ok",
        f"{count(returned)} {'visitor was' if returned == 1 else 'visitors were'} seen again in a later phase, and "
        f"counted in their first one only.",
    )


def _unknown_arms(observations: Observations) -> HealthCheck:
    unknown = observations.unknown_arms
    if not unknown:
        return HealthCheck("unknown_arms", "ok", "Every exposure names an arm of the definition.")
    listed = join([f"{quote(arm)} ({count(n)})" for arm, n in unknown.items()])
    return HealthCheck(
        "unknown_arms",
        "warn",
        f"Exposures name arms that the definition of their phase does not have, and are left out: {listed}.",
    )


def planned_shares(definition: Definition) -> dict[str, float]:
    """The share of visitors that each arm was meant to have."""
    return {arm: float(share) for arm, share in definition.expected_shares.items()}


def _seen_and_planned(visitors: dict[str, int], definition: Definition, noun: str = "visitors") -> str:
    total = sum(visitors.values())
    planned = [float(total * share) for share in definition.expected_shares.values()]
    seen = join([count(n) for n in visitors.values()])
    if max(planned) - min(planned) < 1e-9 * total:
        return f"{seen} {noun} where {_expected(planned[0])} each were planned"
    return f"{seen} {noun} where {join([_expected(n) for n in planned])} were planned"


def _expected(n: float) -> str:
    return count(round(n) if math.isclose(n, round(n), abs_tol=0.01) else round(n, 1))


def _p(p: float) -> str:
    return p_value(p)


def _below(p: float) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"
