"""The moments of each arm phase by phase, and what a metric is over them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..experiments.metrics import Metric
from ..stats import Moments, mean_over_strata, moments_over_strata, ratio_of, ratio_over_strata, stratum_weights
from ..storage.observations import Observations

__all__ = [
    "Pair",
    "Strata",
    "Value",
    "finite",
    "metric_value",
    "moments_over_phases",
    "primary_variances",
    "strata_of",
    "value_over_phases",
    "visitors_by_phase",
]

Value = tuple[float | None, float | None]
"""A metric's value in an arm and the variance of that estimate."""

Strata = tuple[Moments, ...]
"""An arm's moments phase by phase."""


@dataclass(frozen=True)
class Pair:
    """A treatment and the control by phase, with the visitors of all arms that a phase stands for."""

    treatment: Strata
    control: Strata
    visitors: tuple[int, ...]

    @property
    def n(self) -> int:
        """Mature visitors of both."""
        return sum(moments.n for moments in (*self.treatment, *self.control))

    @property
    def weights(self) -> tuple[float, ...]:
        """Of the phases in which both arms have visitors."""
        return stratum_weights([self.treatment, self.control], self.visitors)

    def values(self, metric: Metric) -> tuple[Value, Value]:
        """The metric in the treatment and in the control, over the same phases."""
        if len(self.visitors) == 1:
            return metric_value(metric, self.treatment[0]), metric_value(metric, self.control[0])
        weights = self.weights
        return weighted(metric, self.treatment, weights), weighted(metric, self.control, weights)


def strata_of(observations: Observations, metric: Metric) -> dict[str, Strata]:
    """The moments of each arm of the definition, phase by phase."""
    zero = Moments.zero(metric.moment_columns)
    phases = [stratum.moments.get(metric.name, {}) for stratum in observations.strata]
    return {
        arm.name: tuple(moments.get(arm.name) or zero for moments in phases) for arm in observations.definition.arms
    }


def primary_variances(observations: Observations) -> dict[str, float | None]:
    """Variance of the primary metric's value in each arm."""
    definition = observations.definition
    metric = definition.metric(definition.plan.primary)
    arms = strata_of(observations, metric)
    visitors = visitors_by_phase(arms)
    return {name: value_over_phases(metric, strata, visitors)[1] for name, strata in arms.items()}


def moments_over_phases(arms: Mapping[str, Strata], visitors: Sequence[int]) -> dict[str, Moments] | None:
    """Moments that stand for these arms over the phases in which all of them have visitors; None where none has.

    For what takes an arm's moments and knows nothing of phases, and reads no more than means and their covariances.
    """
    if len(visitors) == 1:
        return {name: strata[0] for name, strata in arms.items()}
    weights = stratum_weights(list(arms.values()), visitors)
    return {name: moments_over_strata(strata, weights) for name, strata in arms.items()} if any(weights) else None


def visitors_by_phase(arms: Mapping[str, Strata]) -> tuple[int, ...]:
    """Mature visitors of all arms in each phase."""
    return tuple(sum(moments.n for moments in phase) for phase in zip(*arms.values(), strict=True))


def metric_value(metric: Metric, moments: Moments) -> Value:
    """A metric's value in an arm, and the variance of that estimate."""
    if moments.n == 0:
        return None, None
    if metric.denominator is not None:
        found = ratio_of(moments, metric.numerator.name, metric.denominator.name)
        return (None, None) if found is None else (finite(found[0]), finite(found[1] ** 2))
    column = metric.numerator.name
    return moments.mean_of(column), finite(moments.variance_of(column) / moments.n)


def value_over_phases(metric: Metric, strata: Strata, visitors: Sequence[int]) -> Value:
    """The same over the strata that have the arm, weighted by their shares of all visitors."""
    if len(strata) == 1:
        return metric_value(metric, strata[0])
    return weighted(metric, strata, stratum_weights([strata], visitors))


def weighted(metric: Metric, strata: Strata, weights: Sequence[float]) -> Value:
    """The metric with given weights of the strata."""
    column, denominator = metric.numerator.name, metric.denominator
    found = (
        mean_over_strata(strata, column, weights)
        if denominator is None
        else ratio_over_strata(strata, column, denominator.name, weights)
    )
    return (None, None) if isinstance(found, str) else (finite(found.mean), finite(found.variance))


def finite(x: float | None) -> float | None:
    """The number; None where it is not finite."""
    return float(x) if x is not None and math.isfinite(x) else None
