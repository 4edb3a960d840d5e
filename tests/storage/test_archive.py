"""What is kept of an experiment whose rows are pruned."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from offerlift.errors import InputError, StoreError
from offerlift.experiments.metrics import Column, CovariateUse, Metric
from offerlift.experiments.records import Covariate, Exposure, Outcome
from offerlift.reports import scorecard
from offerlift.stats.moments import Moments
from offerlift.storage import tables
from offerlift.storage.archive import _built, _fields, read_archive, write_archive
from offerlift.storage.engine import reading, writing
from sqlalchemy import delete

METRICS = (
    Metric("conversion", "conversion", Column("purchase", "converted")),
    Metric("revenue_per_visitor", "revenue", Column("purchase", "value"), covariate=CovariateUse("history", None)),
)


@pytest.fixture
def decided(store, make_published, at):
    """A store with an experiment of 300 visitors, and its published version."""
    published = make_published(metrics=METRICS)
    store.publish(published)
    store.write_exposures(Exposure("exit", i, "abc"[i % 3], at(i)) for i in range(300))
    store.write_exposures([Exposure("exit", 7, "a", at(900))])
    store.write_covariates(Covariate(i, "history", i / 7, at(-1)) for i in range(0, 300, 2))
    store.write_outcomes(
        Outcome(i, i, "purchase", at(i + 1), value=Decimal(i % 11 * 137 + 5) / 100) for i in range(0, 300, 5)
    )
    return published


def prune(store, published, observations):
    """Keep the observations and remove the rows, as one transaction."""

    def work(connection):
        write_archive(connection, published, observations, 1)
        for table in (tables.exposure, tables.outcome, tables.covariate):
            connection.execute(delete(table))

    writing(store._engine, work)


def same(one, other):
    """Whether two values are equal, moments to the last bit."""
    if isinstance(one, Moments):
        return (one.columns, one.n) == (other.columns, other.n) and all(
            np.array_equal(getattr(one, name), getattr(other, name)) for name in ("mean", "m2", "m3")
        )
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return one == other


def test_a_pruned_experiment_has_the_same_scorecard(store, decided):
    """Every field of the observations, and the scorecard made of them, is as it was while the rows were there."""
    before = store.observations("exit")
    prune(store, decided, before)
    after = store.observations("exit")
    assert [name for name in before.__slots__ if not same(getattr(before, name), getattr(after, name))] == []
    assert scorecard(after).to_dict() == scorecard(before).to_dict()
    assert after.arms["a"].visitors == 100
    assert after.moments["revenue_per_visitor"]["b"].mean_of("purchase:value") > 0


def test_an_earlier_state_is_not_kept(store, decided):
    """As of a time before the kept one nothing can be said; after it, what is kept is said."""
    before = store.observations("exit")
    prune(store, decided, before)
    with pytest.raises(InputError, match="rows of 'exit' were pruned"):
        store.observations("exit", as_of=before.as_of - timedelta(microseconds=1))
    later = store.observations("exit", as_of=datetime(2099, 1, 1, tzinfo=UTC))
    assert later.as_of == before.as_of


def test_what_is_kept_is_not_written_over(store, decided):
    """A second pruning, which would find no rows, is refused; the first answer stays."""
    before = store.observations("exit")
    prune(store, decided, before)
    empty = replace(before, arms={}, moments={})
    with pytest.raises(InputError, match="pruned already"):
        prune(store, decided, empty)
    assert store.observations("exit").arms == before.arms


def test_only_pruned_experiments_are_read_from_the_archive(store, decided, make_published):
    """Another experiment of the same store is read from its rows."""
    store.publish(make_published("other"))
    prune(store, decided, store.observations("exit"))
    with reading(store._engine) as connection:
        assert read_archive(connection, "other", None) is None
    assert store.observations("other").arms["a"].visitors == 0


def test_the_version_that_was_analysed_is_kept(store, decided, make_published):
    """A version that is published after the pruning does not change what was analysed."""
    prune(store, decided, store.observations("exit"))
    store.publish(make_published(version=2))
    assert store.observations("exit").definition.metrics == METRICS


def test_what_another_release_kept_is_not_guessed_at(store, decided):
    """A field that the present observations do not have is an error that names it."""
    prune(store, decided, store.observations("exit"))
    with store._engine.begin() as connection:
        document = json.loads(connection.scalar(tables.archive.select().with_only_columns(tables.archive.c.document)))
        connection.execute(tables.archive.update().values(document=json.dumps(document | {"tomorrow": 1})))
    with pytest.raises(StoreError, match="tomorrow"):
        store.observations("exit")


@dataclass(frozen=True)
class Part:
    number: int | None
    at: datetime


@dataclass(frozen=True)
class Whole:
    parts: tuple[Part, ...]
    pair: tuple[str, float]
    by_day: Mapping[datetime, Mapping[str, Part]]
    by_key: Mapping[tuple[str, int], list[float]]
    last: Part | None = None
    none: Part | None = None
    nothing: Mapping[int, int] = field(default_factory=dict)


def test_whatever_observations_come_to_hold_is_kept():
    """Nested values, mappings by times and by pairs, and what may be missing come back as they were, through JSON."""
    day, later = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 1, 1, 2, 3, 4, tzinfo=UTC)
    whole = Whole(
        (Part(1, day), Part(None, later)),
        ("x", 0.1 + 0.2),
        {day: {"a": Part(2, later)}, later: {}},
        {("a", 1): [1.5, 5e-324], ("b", 2): []},
        Part(3, day),
    )
    assert _built(Whole, json.loads(json.dumps(_fields(whole))), {}) == whole
    with pytest.raises(TypeError, match="cannot hold"):
        _fields(Part({1, 2}, day))
