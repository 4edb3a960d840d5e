"""Hillstrom and Cookie Cats: three ways to the same numbers, which are the published ones."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from offerlift.reports.scorecard import scorecard
from offerlift.storage import Store, Warehouse, import_table, read_table

from .raw_shop import write_table

HILLSTROM = {
    # arm: visitors, visits, conversions, spend mean and variance, history mean and variance
    "No E-Mail": (21306, 2262, 122, 0.6527893551112361, 134.28637185302165, 240.8826532432179, 63877.185015119096),
    "Mens E-Mail": (21307, 3894, 267, 1.422616511005773, 315.21179886555484, 242.83593091472284, 67785.08266400122),
    "Womens E-Mail": (21387, 3238, 189, 1.0772015710478329, 228.4966748346595, 242.53663346892975, 65194.87951320535),
}
COOKIE_CATS = {
    # arm: players, retained after 1 day, after 7 days, game rounds mean and variance
    "gate_30": (44700, 20034, 8502, 52.45626398210291, 65903.32189749404),
    "gate_40": (45489, 20119, 8279, 51.29877552814966, 10669.736421513297),
}


def data(name: str) -> Path:
    folder = os.environ.get("OFFERLIFT_DATA")
    path = (Path(folder) if folder else Path(__file__).parents[3] / "shared" / "data") / name
    if not path.exists():
        pytest.skip(f"no {name}: set OFFERLIFT_DATA to the folder that has it")
    return path


@pytest.fixture(scope="module")
def hillstrom():
    """The e-mail experiment as a table, its purchases as the conversion."""
    return read_table(
        data("hillstrom.csv.gz"),
        arm="segment",
        control="No E-Mail",
        revenue="spend",
        conversion="conversion",
        covariate="history",
    )


def assert_published(seen):
    for arm, (n, _, orders, spend, spend_variance, history, history_variance) in HILLSTROM.items():
        moments = seen.moments["revenue_per_visitor"][arm]
        assert seen.arms[arm].visitors == moments.n == n
        assert seen.moments["conversion"][arm].sum_of("conversion:converted") == pytest.approx(orders, rel=1e-12)
        assert moments.mean_of("revenue:value") == pytest.approx(spend, rel=1e-9)
        assert moments.variance_of("revenue:value") == pytest.approx(spend_variance, rel=1e-9)
        assert moments.mean_of("covariate:history") == pytest.approx(history, rel=1e-9)
        assert moments.variance_of("covariate:history") == pytest.approx(history_variance, rel=1e-9)
        assert moments.mean_of("covariate:history:missing") == 0


def test_hillstrom_from_the_file(hillstrom):
    """Counts, means and variances of the file alone are the published ones; every row is read."""
    assert (hillstrom.read, hillstrom.rejects) == (64000, ())
    assert_published(hillstrom.observations())


def test_hillstrom_through_the_store(store_url, hillstrom):
    """Through SQLite and PostgreSQL they are the published ones too, and the file's to 1e-12."""
    with Store.open(store_url) as store:
        report = import_table(store, hillstrom)
        assert (report.new, report.refused) == (64000, 0)
        seen = store.observations("hillstrom")
    assert_published(seen)
    direct = hillstrom.observations()
    assert seen.arms == direct.arms
    for metric, arms in direct.moments.items():
        for arm, moments in arms.items():
            twin = seen.moments[metric][arm]
            for name in ("mean", "m2", "m3"):
                np.testing.assert_allclose(getattr(twin, name), getattr(moments, name), rtol=1e-12, err_msg=metric)


TABLES = {
    "hillstrom": {
        "arm": "segment",
        "control": "No E-Mail",
        "revenue": "spend",
        "conversion": "conversion",
        "covariate": "history",
    },
    "cookie_cats": {
        "arm": "version",
        "control": "gate_30",
        "visitor": "userid",
        "revenue": "sum_gamerounds",
        "conversion": "retention_7",
    },
}


def assert_same_scorecard(warehouse, tables, table):
    """Every figure of the scorecard to 1e-12, every word of it as it is."""
    definition = replace(table.definition, ends_at=table.definition.starts_at + timedelta(seconds=1))
    seen = warehouse.observations(definition, tables, as_of=definition.ends_at)
    expected = table.observations()
    assert (seen.arms, seen.state, seen.refused_rows) == (expected.arms, expected.state, 0)
    names = ("health", "decision", "arms", "metrics", "first_exposure", "last_exposure")
    cards = [asdict(scorecard(one)) for one in (seen, expected)]
    for name in names:
        assert_close(cards[0][name], cards[1][name], name)


def assert_close(got, expected, path, rel=1e-12):
    if isinstance(expected, dict):
        assert got.keys() == expected.keys(), path
        for key, value in expected.items():
            # Alone the balance of covariates rests on a difference hundreds of times smaller than its means.
            balance = key == "p_value" and expected.get("check") == "covariates"
            assert_close(got[key], value, f"{path}.{key}", rel=1e-11 if balance else 1e-12)
    elif isinstance(expected, list | tuple):
        assert len(got) == len(expected), path
        for number, value in enumerate(expected):
            assert_close(got[number], value, f"{path}[{number}]")
    elif isinstance(expected, float):
        assert got == pytest.approx(expected, rel=rel, nan_ok=True), path
    else:
        assert got == expected, path


@pytest.mark.parametrize("name", TABLES)
def test_parquet_files_give_the_scorecard_of_the_table(name, tmp_path):
    """What happened as a shop keeps it, analysed in place by DuckDB: the scorecard of the published table."""
    table = read_table(data(f"{name}.csv.gz"), **TABLES[name])
    tables = write_table(tmp_path, table)
    with Warehouse.open(f"duckdb:///{tmp_path}") as warehouse:
        assert_same_scorecard(warehouse, tables, table)


def test_hillstrom_visits():
    """Another column as the conversion: visits instead of purchases."""
    table = read_table(data("hillstrom.csv.gz"), arm="segment", control="No E-Mail", conversion="visit")
    seen = table.observations()
    for arm, (n, visits, *_) in HILLSTROM.items():
        moments = seen.moments["conversion"][arm]
        assert (moments.n, moments.sum_of("conversion:converted")) == (n, pytest.approx(visits, rel=1e-12))


@pytest.mark.parametrize(("column", "at"), [("retention_1", 1), ("retention_7", 2)])
def test_cookie_cats_retention(column, at):
    """TRUE and FALSE are conversions; players are known by their own ids."""
    path = data("cookie_cats.csv.gz")
    table = read_table(path, arm="version", control="gate_30", visitor="userid", conversion=column)
    seen = table.observations()
    for arm, expected in COOKIE_CATS.items():
        moments = seen.moments["conversion"][arm]
        assert (moments.n, moments.sum_of("conversion:converted")) == (
            expected[0],
            pytest.approx(expected[at], rel=1e-12),
        )


def test_cookie_cats_game_rounds():
    """A column with one enormous value keeps its variance."""
    path = data("cookie_cats.csv.gz")
    table = read_table(path, arm="version", control="gate_30", visitor="userid", revenue="sum_gamerounds")
    for arm, (n, _, _, mean, variance) in COOKIE_CATS.items():
        moments = table.observations().moments["revenue_per_visitor"][arm]
        assert moments.n == n
        assert moments.mean_of("revenue:value") == pytest.approx(mean, rel=1e-9)
        assert moments.variance_of("revenue:value") == pytest.approx(variance, rel=1e-9)
