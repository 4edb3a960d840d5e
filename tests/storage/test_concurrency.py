"""Two and more writers at once."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from offerlift.experiments.records import Covariate, Exposure, Outcome
from offerlift.storage.store import Store

WRITERS = 4


def in_parallel(url, work):
    """The result of `work(store, number)` of each writer, each with a store of its own."""

    def one(number):
        with Store.open(url) as store:
            return work(store, number)

    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(one, range(WRITERS)))


def test_writers_at_once_leave_what_one_would_have_left(store_url, make_published, at):
    """Overlapping exposures written by several in different orders give one table, each visitor new once."""
    with Store.open(store_url) as store:
        store.publish(make_published())
        # Known visitors: new ones are written one writer after the other anyway.
        store.write_covariates(Covariate(i, "history", 1.0, at(0)) for i in range(60))
    records = [Exposure("exit", i % 60, "abc"[i % 7 % 3], at(i * 37 % 100)) for i in range(600)]

    def write(store, number):
        mine = records[:]
        random.Random(number).shuffle(mine)
        return [store.write_exposures(mine[i : i + 20]) for i in range(0, 600, 20)]

    results = [result for written in in_parallel(store_url, write) for result in written]
    assert sum(result.new for result in results) == 60
    assert sum(result.new + result.changed + result.repeated for result in results) == 600 * WRITERS
    expected = {}
    with Store.open("sqlite://") as single:
        single.publish(make_published())
        alone = single.write_exposures(records)
        expected = single.observations("exit")
    assert sum(result.crossovers for result in results) == alone.crossovers
    with Store.open(store_url) as store:
        assert store.observations("exit").arms == expected.arms


def test_one_of_many_writers_of_an_outcome_wins(store_url, at):
    """Of several different contents of one id exactly one is new, the others are conflicts; nothing is stored twice."""

    with Store.open(store_url) as store:
        # Known visitors and names, for the reason above.
        store.write_outcomes(Outcome(f"earlier {i}", i, "purchase", at(1)) for i in range(200))
        store.write_covariates([Covariate(0, "history", 1.0, at(0))])

    def write(store, number):
        outcomes = [Outcome(i, i, "purchase", at(1), value=Decimal(number)) for i in range(200)]
        covariates = [Covariate(i, "history", float(number), at(1)) for i in range(200)]
        return store.write_outcomes(outcomes), store.write_covariates(covariates)

    for results in zip(*in_parallel(store_url, write), strict=True):
        assert sum(result.new for result in results) == 200
        assert sum(len(result.conflicts) for result in results) == 200 * (WRITERS - 1)


def test_a_store_is_created_once(store_url):
    """Several that open a store at the same moment where there is none all get it."""
    assert in_parallel(store_url, lambda store, number: store.currency) == ["EUR"] * WRITERS


def test_readers_do_not_wait_for_a_writer(tmp_path, make_published):
    """A reader of a SQLite file answers while a transaction is being written."""
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    with Store.open(url) as store, Store.open(url) as reader:
        store.publish(make_published())
        with store._engine.begin():
            assert reader.observations("exit").arms["a"].visitors == 0
