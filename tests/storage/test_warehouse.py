"""A shop analysed where it is: the same as when it is stored, and what is said where that cannot be."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offerlift.storage.store import Store
from offerlift.storage.warehouse import Warehouse
from sqlalchemy import create_engine

from . import raw_shop
from .model import Shop
from .raw_shop import tables_of
from .test_statements import EXAMPLES, assert_moments, covariates, exposures, metrics, orders, segments
from .test_statements import fill as fill_store

NUMBERS = count()
# Each is read four times, by databases that compile every statement anew.
FEWER = settings(EXAMPLES, max_examples=20)


@st.composite
def shops(draw, phases=3):
    """Without identity links; of which something happened."""
    log = [(visitor, min(phase, phases), arm, at) for visitor, phase, arm, at in draw(exposures.filter(bool))]
    return Shop(log, draw(orders().filter(bool)), draw(covariates), [], draw(segments))


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "duckdb", "parquet"])
def raw(request, tmp_path):
    """URL of a database with the shop's own tables, and what puts a shop into it; of each engine in turn."""
    if request.param == "parquet":
        yield f"duckdb:///{tmp_path}", lambda shop, at: raw_shop.write_parquet(tmp_path, shop, at)
        return
    if request.param in ("sqlite", "duckdb"):
        url = f"{request.param}:///{tmp_path / 'shop.db'}"
    else:
        url = request.getfixturevalue({"mariadb": "new_mariadb_url"}.get(request.param, f"{request.param}_url"))

    def fill(shop, at):
        engine = create_engine(url)
        raw_shop.fill(engine, shop, at)
        # DuckDB gives a file to one who writes, or to those who read.
        engine.dispose()

    yield url, fill


def assert_same(got, expected):
    """Two observations of the same: counts exactly, moments to 1e-12."""
    for name in ("as_of", "phase", "unknown_arms", "first_exposure", "last_exposure", "refused_rows"):
        assert getattr(got, name) == getattr(expected, name), name
    assert got.unreported_rows == expected.unreported_rows
    assert got.orphaned_refunds == expected.orphaned_refunds
    assert_same_strata(got.strata, expected.strata, got.definition.metrics)


def assert_same_strata(got, expected, metrics):
    for one, other in zip(got, expected, strict=True):
        assert (one.phase, one.arms, one.exposures_by_day) == (other.phase, other.arms, other.exposures_by_day)
        for metric in metrics:
            for arm, moments in other.moments[metric.name].items():
                assert_moments(one.moments[metric.name][arm], moments, metric)


def check(raw, make_published, at, shop, used, as_of, **mapping):
    url, fill = raw
    phase = max(one[1] for one in shop.exposures)
    key = f"x{next(NUMBERS)}"
    published = make_published(key, used)
    definition = replace(published.definition, segments=("country",))
    with Store.open("sqlite://") as store:
        store.publish(replace(published, definition=definition, phase=phase))
        fill_store(store, key, shop, at)
        stored = store.observations(key, as_of=at(as_of))
        split = store.breakdown(key, "country", as_of=at(as_of))
    fill(shop, at)
    with Warehouse.open(url) as warehouse:
        assert_same(warehouse.observations(definition, tables_of(**mapping), as_of=at(as_of)), stored)
        found = warehouse.breakdown(definition, tables_of(**mapping), "country", as_of=at(as_of))
    assert found.values.keys() == split.values.keys()
    for value, strata in split.values.items():
        assert_same_strata(found.values[value], strata, used)


@given(shops(), metrics(), st.integers(0, 45))
@FEWER
def test_a_shop_is_the_same_in_its_own_tables_as_in_a_store(raw, make_published, at, shop, used, as_of):
    """Repeats, crossovers, phases, segments, refunds, currencies and covariates: equal observations and breakdowns."""
    check(raw, make_published, at, shop, used, as_of)


@given(shops(phases=1), metrics(), st.integers(0, 45))
@FEWER
def test_a_log_without_phases_is_one_phase(raw, make_published, at, shop, used, as_of):
    """The statements of the plain case, which are others, agree as well."""
    check(raw, make_published, at, shop, used, as_of, phase=None)
