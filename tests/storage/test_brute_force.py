"""Every reading of one random small shop against plain Python, on the engines that the other tests leave out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offerlift.storage.store import Store

from .test_series import cases, compare_ages, compare_days, compare_money, offsets, published_in
from .test_statements import EXAMPLES, compare, fill

SHOPS = (st.booleans().flatmap(lambda plain: cases(plain=plain)), st.integers(1, 3), offsets, st.integers(1, 12))


@pytest.fixture(params=["mariadb", "duckdb"])
def engine_store(request):
    """A store that all examples of a property share, for speed."""
    url = "duckdb://" if request.param == "duckdb" else request.getfixturevalue("mariadb_url")
    with Store.open(url) as opened:
        yield opened


def check(store, make_published, at, case, phase, offset, most):
    shop, used, as_of = case
    key = published_in(store, make_published, used, phase, offset)
    fill(store, key, shop, at)
    compare(store, key, at, shop, used, phase, as_of, offset)
    compare_days(store, key, at, shop, used, phase, as_of, offset)
    compare_ages(store, key, at, shop, used, phase, as_of, most)
    compare_money(store, key, at, shop, used, phase, as_of)


@given(*SHOPS)
@settings(EXAMPLES, max_examples=4)
def test_each_reading_is_what_plain_python_finds(engine_store, make_published, at, case, phase, offset, most):
    """Moments by phase, arm, segment, day and days since the exposure, exposures by day, distributions: as counted."""
    check(engine_store, make_published, at, case, phase, offset, most)


@pytest.mark.full
@given(*SHOPS)
@settings(EXAMPLES, max_examples=40)
def test_each_reading_of_many_shops_is_what_plain_python_finds(
    engine_store, make_published, at, case, phase, offset, most
):
    """The same of 50 shops on each engine."""
    check(engine_store, make_published, at, case, phase, offset, most)
