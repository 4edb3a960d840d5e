"""What the primary metric says where it is read otherwise: large amounts cut off, crossovers left out."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import InputError
from ..experiments.currencies import minor_digits
from ..experiments.metrics import Metric
from ..storage import Store
from ..storage.observations import Observations
from . import format as fmt
from .estimates import metric_rows
from .history import round_cap
from .tree import SensitivityRow

__all__ = ["read_sensitivity"]

CAP_SHARE = 0.99
"""Share of the control's orders that the cap of the sensitivity row leaves as they are."""


def read_sensitivity(store: Store, observations: Observations) -> tuple[SensitivityRow, ...]:
    """The rows of every treatment arm; none of a table, and none where the rows were pruned."""
    plan = observations.definition.plan
    # Intervals of independent visitors would be too narrow for clusters.
    if observations.definition.source == "table" or plan.cluster is not None or not observations.first_exposure:
        return ()
    try:
        return tuple(_read(store, observations))
    except InputError:
        # Its rows were pruned, and only the observations are kept.
        return ()


def _read(store: Store, observations: Observations) -> Iterator[SensitivityRow]:
    definition, at = observations.definition, observations.as_of
    key, metric = definition.experiment, definition.metric(definition.plan.primary)
    crossed = sum(arm.crossovers for stratum in observations.strata for arm in stratum.arms.values())
    if crossed:
        steady = store.variant(key, as_of=at, without_crossovers=True)
        yield from _rows(steady, f"without the {fmt.count(crossed)} crossovers")
    if metric.cap is not None:
        yield from _rows(store.variant(key, as_of=at, caps={metric.name: None}), "without its cap")
    elif metric.numerator.is_money and metric.denominator is None:
        cap = _cap(store, observations, metric)
        if cap is not None:
            scale = 10 ** minor_digits(definition.currency)
            capped = store.variant(key, as_of=at, caps={metric.name: round(cap * scale)})
            yield from _rows(capped, f"each visitor counted up to {fmt.level(cap, definition.currency)}")


def _rows(observations: Observations, name: str) -> Iterator[SensitivityRow]:
    definition = observations.definition
    primary = next(one for one in metric_rows(observations) if one.metric == definition.plan.primary)
    for one in primary.comparisons:
        yield SensitivityRow(one.arm, name, one.difference, one.lift, one.reason if one.status != "ok" else "")


def _cap(store: Store, observations: Observations, metric: Metric) -> float | None:
    """A round amount that few of the control's orders exceed, in major units; None without orders."""
    definition = observations.definition
    found = store.distributions(definition.experiment, as_of=observations.as_of)
    seen = found.metrics.get(metric.name, {}).get(definition.control)
    cap = seen.orders.quantile(CAP_SHARE) if seen is not None else None
    return round_cap(cap) if cap is not None and cap > 0 else None
