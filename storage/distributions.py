"""How money is distributed over orders and visitors: histograms that add up, and the largest values of each arm."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Double,
    Select,
    Subquery,
    case,
    cast,
    func,
    literal,
    select,
    true,
)

from ..experiments.currencies import minor_digits
from ..experiments.definition import Definition
from ..experiments.metrics import Column, Metric
from ..stats.histogram import DIGITS, Histogram, LargestValues
from .cohort import Cohort, Key, keys_of
from .features import Feature, features_of
from .groups import keyed
from .happened import has_passed, is_order, outcome_rows, uses_within, when
from .origins import Origin
from .sources import Sources
from .statements import mature_statement, visitor_rows
from .sums import Layout
from .times import from_micros

__all__ = ["LARGEST", "Distribution", "Distributions", "Largest", "read_distributions", "read_largest"]

LARGEST = 10
"""How many of the largest visitors' values are read of each arm."""


Largest = dict[int, dict[str, dict[str, LargestValues]]]
"""Phase -> metric of money -> arm: of its mature visitors' sums the largest, beside all of them."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """The money of one arm's mature visitors, inside a metric's window.

    Attributes:
        orders: of each order the value, or the margin, as it was ordered: refunds and the cap leave it as it is, and
            orders in another currency without a reporting value are left out.
        visitors: of each visitor the sum, refunds taken off and capped, as in the moments; 0 without an order.
        largest: the largest ten of these sums that are above 0, beside all of them.
    """

    orders: Histogram
    visitors: Histogram
    largest: LargestValues


@dataclass(frozen=True, slots=True)
class Distributions:
    """The distributions of an experiment's money.

    Attributes:
        definition: the version that was analysed.
        phase: of that version.
        as_of: the moment of the analysis.
        by_phase: phase -> name of each metric of money (of a ratio, one with money above the line) -> arm name.
    """

    definition: Definition
    phase: int
    as_of: datetime
    by_phase: Mapping[int, Mapping[str, Mapping[str, Distribution]]]

    @property
    def metrics(self) -> Mapping[str, Mapping[str, Distribution]]:
        """Those of the analysed phase."""
        return self.by_phase[self.phase]


@dataclass(slots=True)
class Found:
    """What was read of one key."""

    orders: Counter[int] = field(default_factory=Counter)
    visitors: Counter[int] = field(default_factory=Counter)
    largest: list[float] = field(default_factory=list)
    total: Fraction = Fraction(0)


def read_distributions(connection: Connection, origin: Origin) -> Distributions:
    """Distributions of an experiment's money."""
    definition, sources, cohort = origin.definition, origin.sources, origin.cohort
    numbers = {arm: arm_id for arm_id, arm in origin.arms.items()}
    scale = 10 ** minor_digits(definition.currency)
    by_phase: dict[int, dict[str, dict[str, Distribution]]] = {phase: {} for phase in cohort.phases}
    read: dict[Feature, Mapping[Key, Found]] = {}
    for metric in definition.metrics:
        feature = features_of(metric)[0]
        if not feature.is_money:
            continue
        # Revenue per visitor and average order value have the same orders.
        if feature not in read:
            read[feature] = _read(connection, sources, cohort, metric, feature)
        for phase, metrics in by_phase.items():
            metrics[metric.name] = {
                arm.name: _distribution(read[feature].get((phase, numbers.get(arm.name)), Found()), scale)
                for arm in definition.arms
            }
    return Distributions(definition, origin.phase, from_micros(cohort.as_of), by_phase)


def read_largest(connection: Connection, origin: Origin) -> Largest:
    """The largest sum of a visitor in each arm, of every metric of money in one statement.

    What `read_distributions` has besides takes three statements a metric, and rows by the thousand.
    """
    definition, cohort = origin.definition, origin.cohort
    layout = Layout(definition.metrics)
    features = {metric.name: features_of(metric)[0] for metric in definition.metrics}
    money = list(dict.fromkeys(feature for feature in features.values() if feature.is_money))
    found: Largest = {phase: {} for phase in cohort.phases}
    if not money:
        return found
    scale = 10 ** minor_digits(definition.currency)
    for key, row in keyed(connection, cohort, _money_statement(origin.sources, cohort, layout, money)):
        phase, arm = int(key[0]), origin.arms[key[1]]
        for name, feature in features.items():
            if feature.is_money:
                place = money.index(feature)
                most, total = row[2 * place : 2 * place + 2]
                values = (float(most) / scale,) if most > 0 else ()
                found[phase].setdefault(name, {})[arm] = LargestValues(values, float(total) / scale)
    return found


def _money_statement(sources: Sources, cohort: Cohort, layout: Layout, money: Sequence[Feature]) -> Select:
    """Of mature visitors with outcomes: the keys; of each of these features the largest value and the sum."""
    visitors = visitor_rows(sources, cohort, layout)
    keys = [visitors.c[key] for key in keys_of(cohort)]
    zero = literal(0.0, Double)
    values = [
        when(_is_mature(visitors.c.at, one, cohort), visitors.c[f"x{layout.features.index(one)}"], zero)
        for one in money
    ]
    return select(*keys, *(sums for x in values for sums in (func.max(x), func.sum(x)))).group_by(*keys)


def _distribution(found: Found, scale: int) -> Distribution:
    largest = tuple(value / scale for value in sorted(found.largest, reverse=True))
    return Distribution(
        Histogram(found.orders, scale),
        Histogram(found.visitors, scale),
        LargestValues(largest, float(found.total / scale)),
    )


def _read(
    connection: Connection, sources: Sources, cohort: Cohort, metric: Metric, feature: Feature
) -> Mapping[Key, Found]:
    layout = Layout([metric])
    # Both statements about visitors are made of these: to write them costs more than to run them on a small store.
    visitors = _mature_visitors(sources, cohort, layout, feature)
    read: dict[Key, Found] = defaultdict(Found)
    for key, (mature,) in keyed(connection, cohort, mature_statement(sources, cohort, feature.window)):
        read[key].visitors[0] += int(mature)
    for key, (edge, number) in keyed(connection, cohort, _order_statement(sources, cohort, layout, feature)):
        read[key].orders[int(edge)] += int(number)
    for key, (edge, number, total) in keyed(connection, cohort, _visitor_statement(visitors, cohort)):
        found = read[key]
        # They were among those without an order so far.
        found.visitors[0] -= int(number)
        found.visitors[int(edge)] += int(number)
        found.total += Fraction(float(total))
    for key, (value,) in keyed(connection, cohort, _largest_statement(visitors, cohort)):
        read[key].largest.append(float(value))
    return read


def _order_statement(sources: Sources, cohort: Cohort, layout: Layout, feature: Feature) -> Select:
    """The keys, bin, and orders in it."""
    assert isinstance(feature.source, Column)
    rows = outcome_rows(sources, cohort, layout)
    value = rows.c.value if feature.source.measure == "value" else rows.c.value - rows.c.cost
    ordered = (
        select(*(rows.c[key] for key in keys_of(cohort)), _bin(value).label("edge"))
        .where(
            uses_within(layout, rows, cohort)[feature.source.event, feature.window],
            is_order(rows),
            rows.c.unreported == 0,
            _is_mature(rows.c.exposed_at, feature, cohort),
        )
        .subquery("ordered")
    )
    by = [*(ordered.c[key] for key in keys_of(cohort)), ordered.c.edge]
    return select(*by, func.count()).group_by(*by)


def _visitor_statement(mature: Subquery, cohort: Cohort) -> Select:
    """Of visitors with outcomes: the keys, bin, how many are in it, and the sum of their values."""
    keys = [mature.c[key] for key in keys_of(cohort)]
    binned = select(*keys, _bin(mature.c.x).label("edge"), mature.c.x).subquery("binned")
    by = [*(binned.c[key] for key in keys_of(cohort)), binned.c.edge]
    return select(*by, func.count(), func.sum(binned.c.x)).group_by(*by)


def _largest_statement(mature: Subquery, cohort: Cohort) -> Select:
    """The keys and one of the largest values above 0."""
    keys = [mature.c[key] for key in keys_of(cohort)]
    place = func.row_number().over(partition_by=keys, order_by=mature.c.x.desc()).label("place")
    ranked = select(*keys, mature.c.x, place).subquery("ranked")
    return select(*(ranked.c[key] for key in keys_of(cohort)), ranked.c.x).where(
        ranked.c.place <= LARGEST, ranked.c.x > 0
    )


def _mature_visitors(sources: Sources, cohort: Cohort, layout: Layout, feature: Feature) -> Subquery:
    visitors = visitor_rows(sources, cohort, layout)
    x = visitors.c[f"x{layout.features.index(feature)}"].label("x")
    keys = [visitors.c[key] for key in keys_of(cohort)]
    return select(*keys, x).where(_is_mature(visitors.c.at, feature, cohort)).subquery("mature")


def _is_mature(exposed: ColumnElement[int], feature: Feature, cohort: Cohort) -> ColumnElement[bool]:
    passed = has_passed(exposed, feature.window, cohort)
    return true() if passed is None else passed


def _bin(value: ColumnElement[float]) -> ColumnElement[int]:
    """The bin of an amount, as `offerlift.stats.histogram.bin_of`."""
    negative = value < 0
    size = case((negative, -value), else_=value)
    whole = cast(case((size >= float(10**DIGITS), float(10**DIGITS - 10 ** (DIGITS - 2))), else_=size), BigInteger)
    steps = ((whole < 10**digits, 10 ** (digits - 2)) for digits in range(2, DIGITS))
    edge = whole - whole % case(*steps, else_=10 ** (DIGITS - 2))
    return case((negative, -edge), else_=edge)
