"""The statements against plain Python, on random small shops with everything that can happen in them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from itertools import count

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from offerlift.experiments.metrics import DAY, Column, CovariateUse, Metric
from offerlift.experiments.records import Covariate, Exposure, Link, Outcome
from offerlift.storage import tables
from offerlift.storage.engine import writing
from offerlift.storage.engines.sqlite import SQLite
from offerlift.storage.lookups import find_ids, name_ids, visitor_ids
from offerlift.storage.store import Store
from sqlalchemy import delete, insert

from . import model
from .model import ARMS, Order, Shop

NUMBERS = count()
MINUTE = 60_000_000
VISITORS = [f"v{i}" for i in range(4)]
EVENTS = ["purchase", "click"]
# Most of one event, and most of it after the exposures, so that much of it meets in the windows.
events = st.sampled_from(["purchase", "purchase", "purchase", "click"])
early, times = st.integers(0, 15), st.integers(0, 30)
visitors = st.sampled_from(VISITORS)
cents = st.none() | st.integers(-2000, 2000)
given_back = st.none() | st.integers(0, 2000)
exposures = st.lists(st.tuples(visitors, st.integers(1, 3), st.sampled_from(ARMS), early), min_size=5, max_size=12)
links = st.lists(
    st.tuples(visitors, visitors, st.integers(0, 20)).filter(lambda one: one[0] != one[1]),
    max_size=5,
    unique_by=lambda one: one[0],
)
covariates = st.lists(
    st.tuples(visitors, st.sampled_from(["history", "age"]), times, st.floats(-100, 100)),
    min_size=3,
    max_size=10,
    unique_by=lambda one: one[:3],
)
segments = st.dictionaries(
    st.tuples(st.integers(1, 3), visitors), st.sampled_from(["DE", "FR", "(missing)"]), max_size=8
)


@st.composite
def orders(draw):
    drawn = []
    for i in range(draw(st.integers(4, 14))):
        back = draw(st.integers(0, 2)) == 0
        amounts = given_back if back else cents
        drawn.append(
            Order(
                f"o{i}",
                draw(visitors),
                draw(events),
                draw(times),
                draw(amounts),
                draw(amounts),
                *draw(st.sampled_from([(False, True), (False, True), (True, True), (True, False)])),
                # Of an outcome written before or after it, of another refund, or of one that nobody knows.
                refund_of=f"o{max(i + draw(st.integers(-5, 4)), 0)}" if back else None,
            )
        )
    return [one for one in drawn if one.refund_of != one.key]


@st.composite
def shops(draw, plain=False):
    everything = draw(exposures), draw(orders()), draw(covariates), draw(links), draw(segments)
    return Shop(*everything[:3]) if plain else Shop(*everything)


@st.composite
def metrics(draw):
    drawn = []
    for i in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["conversion", "count", "revenue", "revenue", "margin", "ratio", "retention"]))
        measure = {"conversion": "converted", "revenue": "value", "ratio": "value"}
        wanted = st.sampled_from(["purchase", "purchase", *EVENTS, "never", None])
        taken = draw(st.sampled_from(["converted", "absent"])) if kind == "retention" else measure.get(kind, kind)
        numerator = Column(draw(wanted), taken)
        denominator = Column(draw(wanted), draw(st.sampled_from(["count", "margin"]))) if kind == "ratio" else None
        start = draw(st.integers(0, 4)) if kind == "retention" else 0
        end = draw(st.none() | st.sampled_from([start + 1, start + 7, start + 14]))
        use = draw(
            st.none() | st.builds(CovariateUse, st.sampled_from(["history", "age", "none"]), st.none() | st.just(5))
        )
        money = kind in ("revenue", "margin", "ratio")
        cap = draw(st.none() | st.integers(1, 1500)) if money else None
        refund_window = draw(st.sampled_from([0, 3, 9])) if money and end is not None else 0
        drawn.append(
            Metric(
                f"m{i}",
                kind,
                numerator,
                denominator,
                start,
                end,
                use,
                cap=cap,
                refund_window=refund_window,
            )
        )
    return tuple(drawn)


@pytest.fixture(params=["sqlite", "sqlite scanned", "postgresql"])
def shared_store(request, monkeypatch):
    """A store that all examples of a property share, for speed; SQLite's also as if its outcomes were few."""
    url = request.getfixturevalue("postgresql_url") if request.param == "postgresql" else "sqlite://"
    if request.param == "sqlite scanned":
        monkeypatch.setattr(SQLite, "most_rows", lambda _self, _connection: 0)
    with Store.open(url) as opened:
        yield opened


def money(amount):
    return None if amount is None else Decimal(amount) / 100


def outcome(order, at):
    reported = [None if amount is None or not order.reported else 2 * amount for amount in (order.value, order.cost)]
    return Outcome(
        order.key,
        order.visitor,
        order.event,
        at(order.at),
        money(order.value),
        money(order.cost),
        currency="USD" if order.foreign else "EUR",
        refund_of=order.refund_of,
        reporting_value=money(reported[0]) if order.foreign else None,
        reporting_cost=money(reported[1]) if order.foreign else None,
    )


def fill(store, key, shop, at):
    """Everything of the shop in place of what an example before it left."""

    def clean(connection):
        for table in (tables.exposure, tables.outcome, tables.covariate, tables.segment, tables.identity):
            connection.execute(delete(table))
        # Numbers in the order of the names: they break ties.
        return visitor_ids(connection, VISITORS)

    numbers = writing(store._engine, clean)
    writes = [
        store.write_exposures(Exposure(key, visitor, arm, at(t), phase) for visitor, phase, arm, t in shop.exposures),
        store.write_outcomes(outcome(one, at) for one in shop.orders),
        store.write_covariates(Covariate(visitor, name, value, at(t)) for visitor, name, t, value in shop.covariates),
        store.write_links(Link(anonymous, customer, at(t)) for anonymous, customer, t in shop.links),
    ]
    assert not any(one.refused or one.conflicts for one in writes)

    def add_segments(connection):
        ids = {"phase": tables.segment.c.phase}
        ids["experiment_id"] = find_ids(connection, tables.experiment, [key])[key]
        ids["name_id"] = name_ids(connection, ["country"])["country"]
        for (phase, visitor), value in shop.segments.items():
            row = ids | {"phase": phase, "visitor_id": numbers[visitor], "value": value}
            connection.execute(insert(tables.segment).values(row))

    writing(store._engine, add_segments)


def assert_moments(got, expected, metric):
    """Whole numbers exactly, those with a covariate to 1e-12 of their size."""
    assert (got.columns, got.n) == (expected.columns, expected.n)
    whole = len(metric.columns)
    assert got.mean[:whole].tolist() == expected.mean[:whole].tolist()
    assert got.m2[:whole, :whole].tolist() == expected.m2[:whole, :whole].tolist()
    assert got.m3[:whole].tolist() == expected.m3[:whole].tolist()
    # Of what is summed: values of up to a hundred beside up to ten thousands of cents.
    size = np.array([2e3 if column.is_money else 20 for column in metric.columns] + [100.0] * 2)[: len(got.mean)]
    np.testing.assert_array_less(np.abs(got.mean - expected.mean), 1e-12 * size)
    np.testing.assert_array_less(np.abs(got.m2 - expected.m2), 1e-12 * np.outer(size, size) * max(got.n, 1))
    np.testing.assert_array_less(np.abs(got.m3 - expected.m3), 1e-12 * size**3 * max(got.n, 1))


def assert_stratum(stratum, shop, persons, used, as_of, at, offset=0):
    for arm in ARMS:
        own = [one for one in persons if (one.phase, one.arm) == (stratum.phase, arm)]
        counts = stratum.arms[arm]
        assert (counts.visitors, counts.crossovers) == (len(own), sum(one.crossed for one in own))
        assert counts.returned == sum(one.returned for one in own)
        expected = model.outcome_counts(shop, own, used, as_of)
        assert {event: n for event, n in counts.outcomes.items() if n} == expected
        days = Counter(at(one.at - (one.at + offset * MINUTE) % DAY) for one in own)
        assert {day: arms[arm] for day, arms in stratum.exposures_by_day if arms[arm]} == days
        for metric in used:
            assert_moments(stratum.moments[metric.name][arm], model.moments(shop, own, metric, as_of), metric)


def check(store, make_published, at, shop, used, phase, as_of):
    assume(all(metric.denominator != metric.numerator for metric in used))
    key = f"x{next(NUMBERS)}"
    published = make_published(key, used)
    definition = replace(published.definition, segments=("country",))
    store.publish(replace(published, definition=definition, phase=phase))
    fill(store, key, shop, at)
    compare(store, key, at, shop, used, phase, as_of)


def counted(persons):
    """Visitors by segment, phase and arm, as plain Python counts them."""
    found = {}
    for one in persons:
        arms = found.setdefault(one.segment, {}).setdefault(one.phase, {})
        arms[one.arm] = arms.get(one.arm, 0) + 1
    return found


def compare(store, key, at, shop, used, phase, as_of, offset=0):
    """The state of a stored shop, and the same by segment, with the model's."""
    seen = store.observations(key, as_of=at(as_of))
    persons = model.people(shop, phase, as_of)
    assert [one.phase for one in seen.strata] == list(range(1, phase + 1))
    for stratum in seen.strata:
        assert_stratum(stratum, shop, persons, used, as_of, at, offset)
    assert seen.unreported_rows == model.unreported(shop, persons, used, as_of)
    assert seen.orphaned_refunds == model.orphans(shop, persons, used, as_of)
    known = [one.at for one in persons]
    assert (seen.first_exposure, seen.last_exposure) == ((at(min(known)), at(max(known))) if known else (None, None))
    split = store.breakdown(key, "country", as_of=at(as_of))
    assert set(split.values) == {one.segment for one in persons}
    assert store.visitors_by(key, "country", as_of=at(as_of)) == counted(persons)
    for value, strata in split.values.items():
        own = [one for one in persons if one.segment == value]
        for stratum in strata:
            assert_stratum(stratum, shop, own, used, as_of, at, offset)


EXAMPLES = settings(
    derandomize=True,
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@given(shops(), metrics(), st.integers(1, 3), st.integers(4, 24) | st.just(45))
@EXAMPLES
def test_the_statements_find_what_plain_python_finds(shared_store, make_published, at, shop, used, phase, as_of):
    """Phases, segments, links, refunds, currencies, caps, windows and covariates: counts and moments agree."""
    check(shared_store, make_published, at, shop, used, phase, as_of)


@given(shops(plain=True), metrics(), st.integers(4, 24) | st.just(45))
@EXAMPLES
def test_one_phase_without_links_is_read_from_the_tables_themselves(
    shared_store, make_published, at, shop, used, as_of
):
    """The statements of the plain case, which are others, agree as well."""
    check(shared_store, make_published, at, shop, used, 1, as_of)
