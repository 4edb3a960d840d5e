"""A small shop in plain Python: what the statements must find in it, worked out one person at a time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction

from offerlift.experiments.metrics import Column, Metric
from offerlift.stats.moments import Moments

ARMS = "abc"


@dataclass(frozen=True)
class Order:
    """An outcome, or with `refund_of` a refund; amounts in cents, `reported` None in another currency without rate."""

    key: str
    visitor: str
    event: str
    at: int
    value: int | None
    cost: int | None
    foreign: bool = False
    reported: bool = True
    refund_of: str | None = None

    @property
    def amounts(self):
        """Value and cost in the reporting currency, in which a foreign amount is twice as much."""
        if self.foreign and not self.reported:
            return 0, 0
        factor = 2 if self.foreign else 1
        return factor * (self.value or 0), factor * (self.cost or 0)

    @property
    def unreported(self):
        return self.foreign and not self.reported and (self.value is not None or self.cost is not None)


@dataclass(frozen=True)
class Shop:
    """Everything that happened, in the order in which it was written; exposures are (visitor, phase, arm, at)."""

    exposures: list
    orders: list
    covariates: list = field(default_factory=list)
    links: list = field(default_factory=list)
    segments: dict = field(default_factory=dict)


@dataclass
class Person:
    phase: int
    arm: str
    at: int
    crossed: bool
    returned: bool
    segment: str
    ids: set


def people(shop: Shop, phases: int, as_of: int) -> list[Person]:
    """Every exposed person, with the exposure that counts."""
    group = {}

    def members(visitor):
        return group.get(visitor, {visitor})

    customer_of = {}
    for anonymous, customer, at in shop.links:
        if customer_of.setdefault(anonymous, (customer, at)) == (customer, at) and at <= as_of:
            union = members(anonymous) | members(customer)
            group |= dict.fromkeys(union, union)
    stored = {}
    for visitor, phase, arm, at in sorted(shop.exposures, key=lambda one: (one[3], one[2])):
        row = stored.setdefault((phase, visitor), [at, arm, None])
        if arm != row[1] and row[2] is None:
            row[2] = at
    found = {}
    for (phase, visitor), (at, arm, crossed) in stored.items():
        if at <= as_of and phase <= phases:
            found.setdefault(frozenset(members(visitor)), []).append((at, phase, arm, visitor, crossed))
    persons = []
    for ids, rows in found.items():
        at, phase, arm, visitor, _ = min(rows, key=lambda one: one[:4])
        here = [one for one in rows if one[1] == phase]
        crossed = any(one[2] != arm or (one[4] is not None and one[4] <= as_of) for one in here)
        segment = shop.segments.get((phase, visitor), "(missing)")
        persons.append(Person(phase, arm, at, crossed, len(here) < len(rows), segment, set(ids)))
    return persons


def holds(metric: Metric, person: Person, at: int) -> bool:
    start, end = metric.window_start, metric.window_end
    return at >= person.at + start and (end is None or at < person.at + end)


def is_mature(metric: Metric, person: Person, as_of: int) -> bool:
    return metric.window_end is None or person.at + metric.window_end + metric.refund_window <= as_of


def counted(shop: Shop, person: Person, metric: Metric, column: Column, as_of: int):
    """A person's orders, and refunds, that a column of the metric takes."""
    originals = {(one.event, one.key): one for one in shop.orders if one.refund_of is None and one.at <= as_of}
    orders, refunds = [], []
    for one in shop.orders:
        if one.at > as_of or column.event not in (None, one.event):
            continue
        original = one if one.refund_of is None else originals.get((one.event, one.refund_of))
        if original is None or original.visitor not in person.ids or not holds(metric, person, original.at):
            continue
        if one.refund_of is None:
            orders.append(one)
        elif metric.window_end is None or one.at < person.at + metric.window_end + metric.refund_window:
            refunds.append(one)
    return orders, refunds


def number(shop: Shop, person: Person, metric: Metric, column: Column, as_of: int) -> int:
    orders, refunds = counted(shop, person, metric, column, as_of)
    match column.measure:
        case "converted":
            total = int(bool(orders))
        case "absent":
            total = int(not orders)
        case "count":
            total = len(orders)
        case "value":
            total = sum(one.amounts[0] for one in orders) - sum(one.amounts[0] for one in refunds)
        case "margin":
            kept = sum(one.amounts[0] - one.amounts[1] for one in orders)
            total = kept - sum(one.amounts[0] - one.amounts[1] for one in refunds)
    return total if metric.cap is None or column is not metric.numerator else min(total, metric.cap)


def covariate(shop: Shop, person: Person, use) -> float | None:
    known = [
        (at, value)
        for visitor, name, at, value in shop.covariates
        if visitor in person.ids
        and name == use.name
        and at <= person.at
        and (use.window is None or at >= person.at - use.window)
    ]
    return max(known)[1] if known else None


def exact_moments(metric: Metric, rows: list[list[Fraction]]) -> Moments:
    """Moments in rational arithmetic; money comes in cents."""
    columns = metric.moment_columns
    if not rows:
        return Moments.zero(columns)
    by_column = list(zip(*rows, strict=True))
    products = {
        (columns[i], columns[j]): sum(x * y for x, y in zip(by_column[i], by_column[j], strict=True))
        for i in range(len(columns))
        for j in range(i, len(columns))
    }
    scale = [100 if column.is_money else 1 for column in metric.columns] + [1] * (len(columns) - len(metric.columns))
    cubes = [sum(x**3 for x in one) for one in by_column]
    return Moments.from_sums(columns, len(rows), [sum(one) for one in by_column], products, cubes, scale=scale)


def moments(shop: Shop, persons: list[Person], metric: Metric, as_of: int) -> Moments:
    """Moments of the mature ones among these persons."""
    return moments_at(shop, [(one, as_of) for one in persons if is_mature(metric, one, as_of)], metric)


def moments_at(shop: Shop, persons: list[tuple[Person, int]], metric: Metric) -> Moments:
    """Moments of these persons, each with what is known of them at a time of their own."""
    rows = []
    for person, known_at in persons:
        row = [Fraction(number(shop, person, metric, column, known_at)) for column in metric.columns]
        if metric.covariate is not None:
            value = covariate(shop, person, metric.covariate)
            row += [Fraction(value or 0), Fraction(int(value is None))]
        rows.append(row)
    return exact_moments(metric, rows)


def effects(shop: Shop, person: Person, metric: Metric, column: Column, as_of: int) -> list[int]:
    """When each of a person's orders and refunds began to count: a refund not before its order is known."""
    orders, refunds = counted(shop, person, metric, column, as_of)
    made = {(one.event, one.key): one.at for one in shop.orders if one.refund_of is None}
    return [one.at for one in orders] + [max(one.at, made[one.event, one.refund_of]) for one in refunds]


def outcome_counts(shop: Shop, persons: list[Person], metrics, as_of: int) -> Counter:
    """Orders by event, each once; those that only a metric of any event takes under "*"."""
    counts = Counter()
    for person in persons:
        taken = {}
        for metric in metrics:
            for column in metric.columns:
                for one in counted(shop, person, metric, column, as_of)[0]:
                    taken.setdefault(one, set()).add(column.event)
        counts.update(one.event if one.event in events else "*" for one, events in taken.items())
    return counts


def unreported(shop: Shop, persons: list[Person], metrics, as_of: int) -> int:
    """Orders and refunds that some money column would have taken, but for their currency."""
    total = 0
    for person in persons:
        taken = set()
        for metric in metrics:
            for column in metric.columns:
                if column.is_money:
                    orders, refunds = counted(shop, person, metric, column, as_of)
                    taken |= {one for one in (*orders, *refunds) if one.unreported}
        total += len(taken)
    return total


def orphans(shop: Shop, persons: list[Person], metrics, as_of: int) -> int:
    """Refunds of events that metrics look for, after the exposure, whose original is not there."""
    originals = {(one.event, one.key) for one in shop.orders if one.refund_of is None and one.at <= as_of}
    events = {column.event for metric in metrics for column in metric.columns}
    return sum(
        one.refund_of is not None
        and (one.event, one.refund_of) not in originals
        and (None in events or one.event in events)
        and one.visitor in person.ids
        and person.at <= one.at <= as_of
        for one in shop.orders
        for person in persons
    )


def order_values(shop: Shop, persons: list[Person], metric: Metric, as_of: int) -> list[int]:
    """What each order added to the numerator, where it is known in the reporting currency."""
    orders = [one for person in persons for one in counted(shop, person, metric, metric.numerator, as_of)[0]]
    margin = metric.numerator.measure == "margin"
    return [one.amounts[0] - margin * one.amounts[1] for one in orders if not one.unreported]
