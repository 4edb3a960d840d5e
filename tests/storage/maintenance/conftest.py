"""A shop with experiments that are over and one that runs, which share visitors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from offerlift.experiments.metrics import Column, CovariateUse, Metric
from offerlift.experiments.records import Covariate, Exposure, Link, Outcome
from offerlift.storage import tables
from sqlalchemy import select

WEEK = 7 * 86_400 * 1_000_000
METRICS = (
    Metric("conversion", "conversion", Column("purchase", "converted"), window_end=WEEK),
    Metric(
        "revenue_per_visitor",
        "revenue",
        Column("purchase", "value"),
        window_end=WEEK,
        covariate=CovariateUse("history", None),
    ),
)


def day(number):
    """Midnight so many days after the beginning of 2026."""
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)


def as_before(store, seen, before):
    """Whether two results are equal: to the last bit on SQLite; the others may add up in another order each time."""
    return seen == before if store.url.startswith("sqlite") else alike(seen, before)


def alike(one, other):
    """Whether two results are equal, fractions but for rounding."""
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(alike(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-12)
    return one == other


@pytest.fixture
def shop(store, make_published):
    """A store with 'old', which ended in January, and 'new', which runs. Visitors 0 to 9 are in both: 0 to 4 came to
    'new' in January, with their orders in its window, 5 to 9 in June."""

    def publish(key, state):
        published = replace(make_published(key, METRICS), started_at=day(0), published_at=day(0), assignment_hash="")
        store.publish(published)
        if state != "running":
            store.publish(replace(published, state=state, version=2))

    publish("old", "stopped")
    publish("new", "running")
    store.write_exposures(Exposure("old", f"v{i}", "abc"[i % 3], day(1)) for i in range(30))
    store.write_exposures(Exposure("new", f"v{i}", "ab"[i % 2], day(1 if i < 5 else 160)) for i in range(10))
    store.write_covariates(Covariate(f"v{i}", "history", i / 7, day(0)) for i in range(30))
    store.write_outcomes(
        Outcome(f"o{i}", f"v{i}", "purchase", day(2), value=Decimal(i * 137 + 5) / 100) for i in range(0, 30, 2)
    )
    store.write_outcomes(
        [
            # In the window of 'new', and of nobody's experiment.
            Outcome("n1", "v1", "purchase", day(161), value=Decimal("9.90")),
            Outcome("p1", "passer-by", "purchase", day(2), value=Decimal("1.00")),
        ]
    )
    return store


@pytest.fixture
def link():
    """Link two visitors."""
    return lambda store, anonymous, customer: store.write_links([Link(anonymous, customer, day(1))])


@pytest.fixture
def column(store):
    """All values of a column of a table, sorted."""

    def values(table, name):
        with store.engine.connect() as connection:
            return sorted(connection.scalars(select(tables.metadata.tables[table].c[name])))

    return values
