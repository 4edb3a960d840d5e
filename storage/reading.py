"""Observations of an experiment, read by a handful of grouped statements."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from sqlalchemy import Connection, func, select

from ..experiments.definition import Definition
from ..experiments.metrics import Metric
from ..experiments.snapshot import Published
from ..stats.moments import Moments
from .features import Feature, Pair, features_of, pairs_of, refuse_unexecuted
from .lookups import arm_ids, find_ids
from .money import exponent
from .observations import ArmCounts, Observations
from .statements import Cohort, Window, arm_statement, moment_statement, outcome_statement
from .tables import experiment, import_file, name
from .times import from_micros

__all__ = ["read_observations"]

EXACT = 2**53
"""Up to here a double holds every whole number."""

CANCELLED = 100
"""A column whose squared mean is that many times its variance is read again about its mean."""


@dataclass(frozen=True, slots=True)
class Sums:
    """One arm's raw sums of shifted features."""

    n: int
    first: Sequence[float]
    third: Sequence[float]
    products: Mapping[Pair, float]


def read_observations(connection: Connection, published: Published, as_of: int) -> Observations:
    """Counts and moments of a published version, as of a time in microseconds."""
    definition = published.definition
    refuse_unexecuted(definition)
    cohort = _cohort(connection, published, as_of)
    names = {number: arm for arm, number in arm_ids(connection, cohort.experiment_id).items()}
    visitors, crossed = Counter[str](), Counter[str]()
    days: dict[int, Counter[str]] = defaultdict(Counter)
    times: list[int] = []
    for arm_id, day, count, crossovers, first, last in connection.execute(arm_statement(cohort)):
        visitors[names[arm_id]] += int(count)
        crossed[names[arm_id]] += int(crossovers)
        days[int(day)][names[arm_id]] += int(count)
        times += [first, last]
    outcomes = _outcome_counts(connection, cohort, definition, names)
    moments: dict[str, dict[str, Moments]] = {}
    for window, metrics in _windows(definition).items():
        moments |= _window_moments(connection, cohort, window, metrics, definition, names)
    known = [arm.name for arm in definition.arms]
    refused = select(func.sum(import_file.c.refused)).where(import_file.c.experiment_id == cohort.experiment_id)
    return Observations(
        definition=definition,
        state=published.state,
        phase=published.phase,
        as_of=from_micros(as_of),
        arms={arm: ArmCounts(visitors[arm], crossed[arm], outcomes[arm]) for arm in known},
        moments={metric.name: moments[metric.name] for metric in definition.metrics},
        unknown_arms={arm: count for arm, count in sorted(visitors.items()) if arm not in known},
        exposures_by_day=tuple((from_micros(day), {arm: days[day][arm] for arm in known}) for day in sorted(days)),
        first_exposure=from_micros(min(times)) if times else None,
        last_exposure=from_micros(max(times)) if times else None,
        refused_rows=int(connection.scalar(refused) or 0),
    )


def _cohort(connection: Connection, published: Published, as_of: int) -> Cohort:
    definition = published.definition
    used = {column.event for metric in definition.metrics for column in metric.columns if column.event is not None}
    used |= {metric.covariate.name for metric in definition.metrics if metric.covariate is not None}
    number = find_ids(connection, experiment, [definition.experiment])[definition.experiment]
    return Cohort(number, published.phase, as_of, find_ids(connection, name, used))


def _windows(definition: Definition) -> dict[Window, list[Metric]]:
    windows: dict[Window, list[Metric]] = defaultdict(list)
    for metric in definition.metrics:
        windows[Window(metric.window_start, metric.window_end)].append(metric)
    return windows


def _outcome_counts(
    connection: Connection, cohort: Cohort, definition: Definition, names: Mapping[int, str]
) -> dict[str, dict[str, int]]:
    uses = {
        (column.event, Window(metric.window_start, metric.window_end))
        for metric in definition.metrics
        for column in metric.columns
    }
    events = sorted({event for event, _ in uses if event is not None})
    counts = {arm.name: dict.fromkeys(events, 0) for arm in definition.arms}
    rows = connection.execute(outcome_statement(cohort, sorted(uses, key=repr))).all()
    keys = dict(connection.execute(select(name.c.id, name.c.key).where(name.c.id.in_({row[1] for row in rows}))).all())
    for arm_id, event_id, count in rows:
        if names[arm_id] in counts:
            counts[names[arm_id]][keys[event_id]] = int(count)
    return counts


def _window_moments(
    connection: Connection,
    cohort: Cohort,
    window: Window,
    metrics: Sequence[Metric],
    definition: Definition,
    names: Mapping[int, str],
) -> dict[str, dict[str, Moments]]:
    """Metric name -> arm -> moments, for the metrics of one window."""
    features = list(dict.fromkeys(feature for metric in metrics for feature in features_of(metric)))
    p = len(features)
    at = {feature: i for i, feature in enumerate(features)}
    pairs = sorted({pair for metric in metrics for pair in pairs_of([at[one] for one in features_of(metric)])})

    def read(shifts: Sequence[float]) -> dict[str, Sums]:
        statement = moment_statement(cohort, window, features, pairs, shifts)
        parts: dict[str, list[Sequence[float]]] = defaultdict(list)
        for arm_id, *values in connection.execute(statement):
            parts[names[arm_id]].append(values)
        found = {}
        for arm, rows in parts.items():
            # Exact but for one rounding, whatever the order.
            n, *values = (math.fsum(column) for column in zip(*rows, strict=True))
            products = dict(zip(pairs, values[2 * p :], strict=True))
            found[arm] = Sums(int(n), values[:p], values[p : 2 * p], products)
        return found

    shifts = [0.0] * p
    sums = read(shifts)
    shifts = [_shift(feature, i, list(sums.values())) for i, feature in enumerate(features)]
    if any(shifts):
        sums = read(shifts)
    scale = 10 ** exponent(definition.currency)
    return {
        metric.name: {
            arm.name: _moments(metric, [at[one] for one in features_of(metric)], sums.get(arm.name), shifts, scale)
            for arm in definition.arms
        }
        for metric in metrics
    }


def _shift(feature: Feature, i: int, arms: Sequence[Sums]) -> float:
    """What to subtract from a feature so that its squares do not cancel; 0 where nothing is lost without.

    Sums of whole numbers below 2⁵³ are exact. Otherwise Σx² - n·x̄² loses as many digits as the squared mean exceeds
    the variance.
    """
    lossy = False
    for arm in arms:
        square = Fraction(arm.products[i, i])
        if arm.n < 2 or (feature.is_whole and square <= EXACT):
            continue
        about_mean = Fraction(arm.first[i]) ** 2 / arm.n
        lossy |= about_mean > CANCELLED * (square - about_mean)
    if not lossy:
        return 0.0
    mean = sum(Fraction(arm.first[i]) for arm in arms) / sum(arm.n for arm in arms)
    return float(round(mean)) if feature.is_whole else float(mean)


def _moments(metric: Metric, at: Sequence[int], sums: Sums | None, shifts: Sequence[float], scale: int) -> Moments:
    columns = metric.moment_columns
    if sums is None:
        return Moments.zero(columns)
    return Moments.from_sums(
        columns,
        sums.n,
        [sums.first[i] for i in at],
        {
            (columns[k], columns[m]): sums.products[min(at[k], at[m]), max(at[k], at[m])]
            for k in range(len(at))
            for m in range(k, len(at))
        },
        [sums.third[i] for i in at],
        scale=[scale if one.is_money else 1 for one in features_of(metric)],
        shift=[shifts[i] for i in at],
    )
