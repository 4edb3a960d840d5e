"""How many visitors there are: all of them, and those whose window has passed."""

from __future__ import annotations

from ..storage.observations import Observations

__all__ = ["dropped_arms", "mature_counts", "visitor_counts"]


def mature_counts(observations: Observations) -> dict[str, int]:
    """Mature visitors of the primary metric in all phases, by arm; those of arms that were dropped come last."""
    primary = observations.definition.plan.primary
    found = [stratum.moments.get(primary, {}) for stratum in observations.strata]
    return {arm: sum(moments[arm].n for moments in found if arm in moments) for arm in _all_arms(observations)}


def visitor_counts(observations: Observations) -> dict[str, int]:
    """Visitors in all phases, by arm; those of arms that were dropped come last."""
    phases = [stratum.arms for stratum in observations.strata]
    return {arm: sum(arms[arm].visitors for arms in phases if arm in arms) for arm in _all_arms(observations)}


def dropped_arms(observations: Observations) -> list[str]:
    """Arms that an earlier phase had and a later one dropped; their visitors stay counted."""
    return _all_arms(observations)[len(observations.arms) :]


def _all_arms(observations: Observations) -> list[str]:
    """The arms that are analysed, then those that were dropped."""
    return list(dict.fromkeys([*observations.arms, *(arm for one in observations.earlier for arm in one.arms)]))
