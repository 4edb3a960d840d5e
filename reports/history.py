"""What a shop knows before an experiment: its own visitors, as an earlier or running experiment counted them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..errors import InputError
from ..experiments.definition import BUCKETS, Definition
from ..experiments.metrics import Metric
from ..stats import Endpoint, Histogram, Mean, Moments, Rate, explained_variance
from ..storage.observations import Observations
from ..storage.store import Store
from .estimates import PROPORTIONS
from .format import label

__all__ = [
    "ENOUGH",
    "Capped",
    "History",
    "MetricHistory",
    "given_history",
    "read_history",
    "recent_traffic",
    "round_cap",
    "same_metric",
    "table_history",
]

ENOUGH = 1_000
"""Analysed visitors of the control from which on an experiment is history enough for its own plan."""

TRAFFIC_DAYS = 28
"""The latest days whose visitors are this week's traffic."""

FEW_DAYS = 14
"""Days of traffic below which it is said how few they are."""

CAP_SHARE = 0.99
"""Share of the orders that a proposed cap leaves as they are."""

_WEEK = 7


@dataclass(frozen=True, slots=True)
class Capped:
    """A metric of money with a visitor's sum cut at `cap` (major units): what it would measure instead."""

    cap: float
    endpoint: Mean


@dataclass(frozen=True, slots=True)
class MetricHistory:
    """A metric as it was without an offer.

    Attributes:
        endpoint: mean and variance of a visitor, or the rate.
        visitors: analysed ones behind it; None where it was given.
        r_squared: share of the variance that the metric's covariate explains; None where that is not known.
        capped: with a cap at 99 % of the orders, where there are orders and no cap yet.
    """

    endpoint: Mean | Rate
    visitors: int | None = None
    r_squared: float | None = None
    capped: Capped | None = None


@dataclass(frozen=True, slots=True)
class History:
    """What a plan is computed from.

    Attributes:
        source: key of the experiment or name of the file that it comes from; "" where it was given.
        metrics: metric name -> its history; only those that could be had.
        visitors_per_week: eligible visitors that enter the experiment in a week; None where nobody knows.
        since, until: first and last exposure behind it.
        notes: what a reader should know, in sentences.
    """

    source: str
    metrics: Mapping[str, MetricHistory]
    visitors_per_week: float | None = None
    since: datetime | None = None
    until: datetime | None = None
    notes: tuple[str, ...] = field(default=())


def read_history(store: Store, definition: Definition, *, source: str | None = None) -> History | None:
    """History from a store: of the experiment itself, else of the latest one that measures the same.

    Args:
        store: with the shop's experiments.
        definition: whose plan it is for.
        source: key of the experiment to take; None: the experiment itself where it has 1,000 analysed visitors in
            the control, else the one started last that has the primary metric with the same window.

    Returns:
        None where there is no such experiment.

    Raises:
        InputError: no experiment of that key, or one that does not measure the primary metric.
    """
    if source is not None:
        observations = store.observations(source)
        primary = definition.metric(definition.plan.primary)
        if same_metric(observations.definition, primary, any_window=True) is None:
            raise InputError(
                f"{source!r} does not measure {label(primary.name)}",
                hint="Name another experiment with --from, or give --baseline and --sd.",
            )
        return _history(store, definition, observations)
    for key in _candidates(store, definition):
        observations = store.observations(key)
        if _enough(observations, definition):
            return _history(store, definition, observations)
    return None


def table_history(observations: Observations, definition: Definition) -> History:
    """History from a file of one row a visitor; it has no times, so that it does not say how many come in a week.

    Raises:
        InputError: the file does not have the primary metric.
    """
    metrics = dict(_metrics(observations, definition))
    if definition.plan.primary not in metrics:
        raise InputError(
            f"the table does not measure {label(definition.plan.primary)}",
            hint="Name its column with --revenue or --conversion, or give --baseline and --sd.",
        )
    return History(observations.definition.experiment, metrics)


def given_history(definition: Definition, baseline: float, sd: float | None = None) -> History:
    """History that somebody knows: mean and standard deviation of a visitor, or the conversion rate.

    Raises:
        InputError: a mean without a standard deviation, or values that cannot be.
    """
    primary = definition.metric(definition.plan.primary)
    if primary.kind in PROPORTIONS:
        return History("", {primary.name: MetricHistory(Rate(baseline))})
    if sd is None or not sd > 0:
        raise InputError(
            f"{label(primary.name)} has a baseline of {baseline!r} but standard deviation {sd!r}",
            hint="Give --sd: the standard deviation of one visitor's value, zeros included.",
        )
    return History("", {primary.name: MetricHistory(Mean(baseline, sd * sd))})


def _candidates(store: Store, definition: Definition) -> Iterator[str]:
    """The experiment itself, then those that measure the same, the one started last first."""
    keys = store.experiments()
    if definition.experiment in keys:
        yield definition.experiment
    primary = definition.metric(definition.plan.primary)
    others = [store.published(key) for key in keys if key != definition.experiment]
    started = [
        (one.started_at, one.definition.experiment)
        for one in others
        if one.started_at is not None and same_metric(one.definition, primary) is not None
    ]
    for _, key in sorted(started, reverse=True):
        yield key


def _enough(observations: Observations, definition: Definition) -> bool:
    found = same_metric(observations.definition, definition.metric(definition.plan.primary))
    return found is not None and _control(observations, found).n >= ENOUGH


def _history(store: Store, definition: Definition, observations: Observations) -> History:
    past = observations.definition
    metrics = dict(_metrics(observations, definition))
    primary = definition.metric(definition.plan.primary)
    if primary.name not in metrics:
        raise InputError(
            f"{past.experiment!r} has no usable {label(primary.name)} of the control",
            hint="Name another experiment with --from, or give --baseline and --sd.",
        )
    if metrics[primary.name].capped is None and primary.cap is None and primary.numerator.is_money:
        capped = _capped(store, past, primary, metrics[primary.name].endpoint)
        metrics[primary.name] = MetricHistory(
            metrics[primary.name].endpoint, metrics[primary.name].visitors, metrics[primary.name].r_squared, capped
        )
    notes = []
    found = same_metric(past, primary, any_window=True)
    if found is not None and _window(found) != _window(primary):
        notes.append(f"{past.experiment} measures {label(primary.name)} in another window.")
    if past.experiment != definition.experiment and past.eligibility != definition.eligibility:
        notes.append(
            f"{past.experiment} has other rules of eligibility: check the traffic, or give --visitors-per-week."
        )
    if past.source == "table":
        # All its visitors came at one instant, that of the import.
        return History(past.experiment, metrics)
    traffic, days = recent_traffic(observations, definition)
    if 0 < days < FEW_DAYS:
        notes.append(f"The traffic is that of only {days} days; --visitors-per-week gives a better one.")
    return History(
        past.experiment,
        metrics,
        traffic,
        observations.first_exposure,
        observations.last_exposure,
        tuple(notes),
    )


def _metrics(observations: Observations, definition: Definition) -> Iterator[tuple[str, MetricHistory]]:
    """Each metric of the plan that the past visitors of the control give a value to."""
    for metric in definition.metrics:
        found = same_metric(observations.definition, metric, any_window=True)
        if found is None:
            continue
        moments = _control(observations, found)
        try:
            endpoint = endpoint_of(found, moments)
        except InputError:
            # A mean that is not above 0, nobody converted: it has no relative lift to plan for.
            continue
        r_squared = None
        if found.covariate is not None and found.denominator is None:
            columns = (found.covariate.column, found.covariate.missing_column)
            r_squared = explained_variance(moments, found.numerator.name, columns)
        yield metric.name, MetricHistory(endpoint, moments.n, r_squared)


def endpoint_of(metric: Metric, moments: Moments) -> Mean | Rate:
    """A metric's endpoint from moments.

    Raises:
        InputError: no mean above 0, or no variance.
    """
    column = metric.numerator.name
    if metric.kind in PROPORTIONS:
        return Rate.of(moments, column)
    if metric.denominator is not None:
        return Mean.of_ratio(moments, column, metric.denominator.name)
    if moments.n < 2:
        raise InputError(f"{moments.n} visitors; a variance needs two")
    return Mean.of(moments, column)


def same_metric(past: Definition, metric: Metric, *, any_window: bool = False) -> Metric | None:
    """The past definition's metric that measures the same columns (of a table, which has no events: the same kind)."""

    def same(other: Metric) -> bool:
        if not any_window and _window(other) != _window(metric):
            return False
        if past.source == "table":
            return other.kind == metric.kind and metric.denominator is None
        columns = (other.kind, other.numerator, other.denominator, other.cap)
        return columns == (metric.kind, metric.numerator, metric.denominator, metric.cap)

    matching = [other for other in past.metrics if same(other)]
    return next((other for other in matching if _window(other) == _window(metric)), matching[0] if matching else None)


def _window(metric: Metric) -> tuple[int, int | None]:
    return metric.window_start, metric.window_end


def _control(observations: Observations, metric: Metric) -> Moments:
    """Moments of the control's visitors of all phases; none where the control was another arm then."""
    control = observations.definition.control
    found = [stratum.moments.get(metric.name, {}).get(control) for stratum in observations.strata]
    return Moments.merge([Moments.zero(metric.moment_columns), *(one for one in found if one is not None)])


def recent_traffic(observations: Observations, definition: Definition) -> tuple[float | None, int]:
    """Visitors a week over the latest four weeks, as many as the experiment's own range and traffic let in; the days.

    Those of the analysed phase: what the earlier ones let in may have been less.
    """
    days = [(day, sum(arms.values())) for day, arms in observations.exposures_by_day]
    if not days:
        return None, 0
    last = days[-1][0]
    if last - days[0][0] >= timedelta(days=_WEEK):
        # The last day is not over, or the experiment ended on it.
        days = days[:-1]
        last = days[-1][0]
    first = max(days[0][0], last - timedelta(days=TRAFFIC_DAYS - 1))
    visitors = sum(number for day, number in days if day >= first)
    length = (last - first).days + 1
    return visitors / length * _WEEK / _let_in(observations.definition) * _let_in(definition), length


def _let_in(definition: Definition) -> float:
    low, _ = definition.layer_range
    return (definition.traffic_end - low) / BUCKETS


def _capped(store: Store, past: Definition, metric: Metric, endpoint: Endpoint) -> Capped | None:
    """What a cap at 99 % of the orders would leave, from the histogram of the control's visitors."""
    found = same_metric(past, metric, any_window=True)
    if past.source == "table" or found is None or not isinstance(endpoint, Mean) or found.denominator is not None:
        return None
    try:
        seen = store.distributions(past.experiment).metrics.get(found.name, {}).get(past.control)
    except InputError:
        # Its rows were pruned; the moments were kept, the single orders were not.
        return None
    cap = seen.orders.quantile(CAP_SHARE) if seen is not None else None
    if seen is None or cap is None or not cap > 0:
        return None
    cap = round_cap(cap)
    (mean, variance), (cut_mean, cut_variance) = (_moments_of(seen.visitors, limit) for limit in (math.inf, cap))
    if not variance > 0 or not cut_mean > 0:
        return None
    # Ratios of two histograms: what bins round off cancels.
    return Capped(cap, Mean(endpoint.mean * cut_mean / mean, endpoint.variance * cut_variance / variance))


def round_cap(cap: float) -> float:
    """A bound that people would choose: two digits, rounded up."""
    unit = 10.0 ** (math.floor(math.log10(cap)) - 1)
    return math.ceil(cap / unit) * unit


def _moments_of(histogram: Histogram, cap: float) -> tuple[float, float]:
    bins: Sequence[tuple[float, int]] = [
        (min((low + high - (1 / histogram.scale)) / 2, cap), n) for low, high, n in histogram.bins()
    ]
    total = sum(n for _, n in bins)
    mean = sum(value * n for value, n in bins) / total
    return mean, sum((value - mean) ** 2 * n for value, n in bins) / total
