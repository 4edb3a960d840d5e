"""The health of experiments by itself: what a monitor reads, without any effect."""

from __future__ import annotations

from ..storage import Store
from .details import Details
from .health import health_checks
from .tree import HealthCheck
from .withholding import withhold_counts

__all__ = ["health_of", "running_experiments"]


def running_experiments(store: Store) -> list[str]:
    """Keys of the experiments that run or are paused."""
    return [key for key in store.experiments() if store.published(key).state in ("running", "paused")]


def health_of(store: Store, key: str) -> tuple[HealthCheck, ...]:
    """Every health check of an experiment as of now, without the numbers of outcomes by arm, which are an effect.

    Raises:
        InputError: no experiment of that key.
    """
    observations = store.observations(key)
    return withhold_counts(health_checks(observations, Details.of_store(store, observations)))
