"""A shop analysed where it is: the same as when it is stored, and what is said where that cannot be."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from offerlift.errors import InputError
from offerlift.experiments.metrics import DAY, Column, CovariateUse, Metric
from offerlift.experiments.warehouse import ComputedCovariate
from offerlift.storage.engines.base import Database
from offerlift.storage.late_covariates import LEAST
from offerlift.storage.store import Store
from offerlift.storage.warehouse import Warehouse
from sqlalchemy import create_engine, delete
from sqlalchemy.exc import DBAPIError

from . import raw_shop
from .conftest import METRICS
from .model import ARMS, Order, Shop
from .raw_shop import tables_of
from .test_series import QUARTER, cases, slowed, slowed_metric
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


def check(raw, make_published, at, shop, used, as_of, offset=0, **mapping):
    url, fill = raw
    phase = max(one[1] for one in shop.exposures)
    key = f"x{next(NUMBERS)}"
    published = make_published(key, used)
    definition = replace(published.definition, segments=("country",), utc_offset_minutes=offset)
    with Store.open("sqlite://") as store:
        store.publish(replace(published, definition=definition, phase=phase))
        fill_store(store, key, shop, at)
        stored = store.observations(key, as_of=at(as_of))
        split = store.breakdown(key, "country", as_of=at(as_of))
        counts = store.visitors_by(key, "country", as_of=at(as_of))
    fill(shop, at)
    with Warehouse.open(url) as warehouse:
        assert_same(warehouse.observations(definition, tables_of(**mapping), as_of=at(as_of)), stored)
        found = warehouse.breakdown(definition, tables_of(**mapping), "country", as_of=at(as_of))
        assert warehouse.visitors_by(definition, tables_of(**mapping), "country", as_of=at(as_of)) == counts
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


@given(shops(), metrics(), st.integers(0, 45), st.sampled_from([0, -330, 345]))
@settings(EXAMPLES, max_examples=12)
def test_read_at_once_a_shop_is_the_same(raw, make_published, at, monkeypatch, shop, used, as_of, offset):
    """The one statement for visitors and outcomes, which Spark gets, says on every engine what the two of them say."""
    monkeypatch.setattr(Database, "deals_out", True)
    check(raw, make_published, at, slowed(shop), tuple(map(slowed_metric, used)), as_of * QUARTER, offset)


@given(cases(plain=True), st.sampled_from([0, -330, 60]))
@settings(EXAMPLES, max_examples=2)
def test_each_day_is_the_same_in_its_own_tables_as_in_a_store(raw, make_published, at, case, offset):
    """Moments at the end of each day, and the days themselves."""
    url, fill = raw
    shop, used, as_of = case
    # Of a log without rows there is nothing to say.
    assume(shop.orders and any(t <= as_of for *_, t in shop.exposures))
    key = f"x{next(NUMBERS)}"
    published = make_published(key, used)
    definition = replace(published.definition, utc_offset_minutes=offset)
    with Store.open("sqlite://") as store:
        store.publish(replace(published, definition=definition))
        one_phase = replace(shop, exposures=[(visitor, 1, arm, t) for visitor, _, arm, t in shop.exposures])
        fill_store(store, key, one_phase, at)
        stored = store.cumulative(key, as_of=at(as_of))
    fill(one_phase, at)
    with Warehouse.open(url) as warehouse:
        found = warehouse.cumulative(definition, tables_of(phase=None), as_of=at(as_of))
    assert (found.days, found.by_phase.keys()) == (stored.days, stored.by_phase.keys())
    for metric in used:
        for arm, course in stored.by_phase[1][metric.name].items():
            for got, expected in zip(found.by_phase[1][metric.name][arm], course, strict=True):
                assert_moments(got, expected, metric)


SHOP = Shop([("v1", 1, "a", 0), ("v2", 1, "b", 0)], [Order("o1", "v1", "purchase", 1, 1999, None)])


@pytest.fixture
def analyse(tmp_path, make_published, at):
    """Analyse the small shop as Parquet files, with other tables than the right ones."""
    raw_shop.write_parquet(tmp_path, SHOP, at)

    def run(*, metrics=METRICS, url=f"duckdb:///{tmp_path}", **changes):
        tables = tables_of()
        for part, values in changes.items():
            old = getattr(tables, part)
            new = (replace(old[0], **values),) if part == "facts" else replace(old, **values)
            tables = replace(tables, **{part: new})
        with Warehouse.open(url) as warehouse:
            return warehouse.observations(make_published(metrics=metrics).definition, tables, as_of=at(DAY))

    return run


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"assignments": {"table": ("nothing",)}}, "the table nothing does not exist", "exposure_log, facts, traits"),
        ({"facts": {"visitor": "userid"}}, "the table facts has no column 'userid'", "Did you mean user_id?"),
        ({"facts": {"value": "kind"}}, "must be a number; the column 'kind' of the table facts is VARCHAR", "CAST"),
        ({"facts": {"at": "kind"}}, "the time 'kind' of the table facts is VARCHAR", "CAST(kind AS TIMESTAMP)"),
        ({"assignments": {"at": "stage"}}, "the time 'stage' of the table exposure_log is a number", "epoch: seconds"),
        ({"assignments": {"at": "stage", "epoch": "seconds"}}, "another unit; seen 1970-01-01T00:00:01", "epoch"),
        ({"facts": {"epoch": "seconds"}}, "the time 'created' of the table facts is no number", "Leave `epoch` out"),
        ({"assignments": {"arms": {}}}, "has no arm of 'exit' in 'variant'; seen: '0', '1'", "arms are a, b, c"),
        ({"assignments": {"experiment_value": "autumn"}}, "no rows with 'test' = 'autumn'", "column: ..."),
        ({"facts": {"table": (), "sql": "SELECT * FROM facts WHERE kind = 'click'"}}, "nothing with a time", "sql"),
        ({"facts": {"table": (), "sql": "SELECT ship FROM facts"}}, "is refused by DuckDB: Binder Error", None),
    ],
)
def test_what_does_not_fit_is_said_with_what_does(analyse, changes, message, hint):
    """A table, column, type, unit, arm or row that is missing or wrong is named, with what there is instead."""
    with pytest.raises(InputError) as raised:
        analyse(**changes)
    assert message in raised.value.message
    assert hint is None or hint in (raised.value.hint or "")


def test_other_arms_are_counted_by_name(analyse):
    """What the log calls an arm of nobody's is listed with its visitors, and the others are analysed."""
    seen = analyse(assignments={"arms": {"0": "a"}})
    assert (seen.arms["a"].visitors, seen.unknown_arms) == (1, {"1": 1})


def test_arms_in_text_are_those_in_numbers(analyse):
    """A column of numbers is compared as such, one of text by its text: "01" is another arm there."""
    written = "SELECT * REPLACE (CASE user_id WHEN 'v1' THEN '0' ELSE '01' END AS variant) FROM exposure_log"
    seen = analyse(assignments={"table": (), "sql": written})
    assert (seen.arms["a"].visitors, seen.unknown_arms) == (1, {"01": 1})
    assert seen.moments["conversion"]["a"].sum_of("purchase:converted") == 1.0


def test_two_names_of_an_arm_are_one_arm(analyse):
    """Values that mean the same arm make no crossovers."""
    seen = analyse(assignments={"arms": {"0": "a", "1": "a"}})
    assert (seen.arms["a"].visitors, seen.arms["a"].crossovers) == (2, 0)


@pytest.mark.parametrize(
    "broken", ["CAST(NULL AS VARCHAR) AS user_id", "'' AS user_id", "CAST(NULL AS INT) AS variant"]
)
def test_rows_that_cannot_be_read_are_counted(analyse, broken):
    """Without visitor or arm an exposure is left out and counted, and the others stay."""
    query = f"SELECT * FROM exposure_log UNION ALL SELECT * REPLACE ({broken}) FROM exposure_log"
    seen = analyse(assignments={"table": (), "sql": query})
    assert (seen.refused_rows, seen.arms["a"].visitors, seen.arms["b"].visitors) == (2, 1, 1)


@pytest.mark.parametrize("unit", [("money", "minor", 20), ("money", "major", 1999)])
def test_money_is_rounded_to_minor_units(analyse, unit):
    """19.99 are 1999 cents where they are euros, and 20 where they are cents."""
    seen = analyse(facts={"value": "total", unit[0]: unit[1]})
    assert seen.moments["revenue_per_visitor"]["a"].sum_of("purchase:value") == unit[2] / 100


@pytest.mark.parametrize(("epoch", "expression"), [("seconds", "epoch(seenAt)"), ("milliseconds", "epoch_ms(seenAt)")])
def test_times_may_be_numbers(analyse, at, epoch, expression):
    """Seconds as doubles and milliseconds as integers since 1970 are the same times."""
    query = f'SELECT * REPLACE ({expression} AS "seenAt") FROM exposure_log'
    assert analyse(assignments={"table": (), "sql": query, "epoch": epoch}).first_exposure == at(0)


def test_ids_may_be_numbers_here_and_text_there(analyse):
    """A visitor who is 1 in the log and '1' in the facts is one visitor."""
    log = "SELECT * REPLACE (CAST(substr(user_id, 2) AS BIGINT) AS user_id) FROM exposure_log"
    facts = "SELECT * REPLACE (substr(user_id, 2) AS user_id) FROM facts"
    seen = analyse(assignments={"table": (), "sql": log}, facts={"table": (), "sql": facts})
    assert seen.moments["conversion"]["a"].sum_of("purchase:converted") == 1


def test_ids_of_types_that_never_meet_are_refused(analyse):
    """12 and 12.0 are not the same text: an id that a file made a double is an error, not a shop without orders."""
    log = "SELECT * REPLACE (CAST(substr(user_id, 2) AS BIGINT) AS user_id) FROM exposure_log"
    facts = "SELECT * REPLACE (CAST(substr(user_id, 2) AS DOUBLE) AS user_id) FROM facts"
    with pytest.raises(InputError, match=r"never meet: 'user_id' .* BIGINT, 'user_id' .* DOUBLE"):
        analyse(assignments={"table": (), "sql": log}, facts={"table": (), "sql": facts})


ORDERS = "SELECT *, 'o' || user_id AS own, CAST(NULL AS VARCHAR) AS original FROM facts WHERE kind = 'purchase'"


def with_refund(original: str, amount: str = "1") -> str:
    return (
        f"{ORDERS} UNION ALL SELECT * REPLACE ('r' AS own, {original} AS original, {amount} AS total) FROM ({ORDERS})"
    )


def test_an_empty_original_is_an_order(analyse):
    """What a file writes for NULL makes no refund of an order."""
    query = f"SELECT * REPLACE ('' AS original) FROM ({ORDERS})"
    refunds = {"value": "total", "id": "own", "refund_of": "original"}
    plain = analyse(facts={"value": "total"}).moments["revenue_per_visitor"]["a"].sum_of("purchase:value")
    seen = analyse(facts={"table": (), "sql": query, **refunds})
    assert seen.moments["revenue_per_visitor"]["a"].sum_of("purchase:value") == plain > 0
    assert seen.orphaned_refunds == 0


def test_two_orders_of_one_id_are_refused(analyse):
    """A refund would be taken off once for each row of its order; without repeats it is taken off once."""
    refunds = {"value": "total", "id": "own", "refund_of": "original"}
    plain = analyse(facts={"value": "total"}).moments["revenue_per_visitor"]["a"].sum_of("purchase:value")
    once = analyse(facts={"table": (), "sql": with_refund("own"), **refunds})
    assert once.moments["revenue_per_visitor"]["a"].sum_of("purchase:value") == pytest.approx(plain - 1)
    twice = f"{with_refund('own')} UNION ALL {ORDERS}"
    with pytest.raises(InputError, match="stands in several rows"):
        analyse(facts={"table": (), "sql": twice, **refunds})


def test_not_a_number_is_refused(analyse):
    """A sum that is NaN is an error that says where to look, not a report."""
    query = "SELECT * REPLACE (CAST('nan' AS DOUBLE) AS total) FROM facts"
    with pytest.raises(InputError, match="NaN or infinite"):
        analyse(facts={"table": (), "sql": query})


@pytest.mark.parametrize("raw", ["sqlite", "postgresql", "mariadb", "duckdb"], indirect=True)
def test_nothing_can_be_written(raw, at):
    """The connections of a warehouse refuse to write, whatever they are asked."""
    url, fill = raw
    fill(SHOP, at)
    with Warehouse.open(url) as warehouse, warehouse._engine.connect() as connection, pytest.raises(DBAPIError):
        connection.execute(delete(raw_shop.FACTS))


def test_a_covariate_of_facts_is_what_was_bought_before(make_published, at, tmp_path):
    """Sums of the window before the exposure, in euros; 0, and not missing, for those who bought nothing."""
    orders = [Order(f"o{i}", "v1", "purchase", t, 1000 * (i + 1), 100) for i, t in enumerate([2, 3, 9, 10])]
    raw_shop.write_parquet(tmp_path, Shop([("v1", 1, "a", 10), ("v2", 1, "a", 10), ("v2", 2, "a", 10)], orders), at)
    used = Metric("m", "revenue", Column("purchase", "value"), covariate=CovariateUse("before"))
    for measure, expected in (("value", 50.0), ("margin", 48.0), ("count", 2.0), ("converted", 1.0)):
        with Warehouse.open(f"duckdb:///{tmp_path}") as warehouse:
            tables = replace(tables_of(phase=None), covariates=(ComputedCovariate("before", "purchase", measure, 7),))
            seen = warehouse.observations(make_published(metrics=(used,)).definition, tables, as_of=at(DAY))
        moments = seen.moments["m"]["a"]
        assert (moments.n, moments.sum_of("covariate:before"), moments.sum_of("covariate:before:missing")) == (
            2,
            expected,
            0,
        )


@pytest.mark.parametrize("raw", ["sqlite", "parquet"], indirect=True)
def test_of_two_exposures_at_one_instant_the_first_arm_by_name_counts(raw, make_published, at):
    """Ties go by name, whatever the order of rows; the other arm is a crossover at that instant."""
    log = [(visitor, 1, arm, 5) for visitor, arms in (("v1", "ba"), ("v2", "cb"), ("v3", "cab")) for arm in arms]
    check(raw, make_published, at, Shop([*log, ("v3", 1, "c", 4)], SHOP.orders), METRICS, 9, phase=None)
    url, _ = raw
    with Warehouse.open(url) as warehouse:
        seen = warehouse.observations(make_published().definition, tables_of(phase=None), as_of=at(9))
    assert {arm: (one.visitors, one.crossovers) for arm, one in seen.arms.items()} == {
        "a": (1, 1),
        "b": (1, 1),
        "c": (1, 1),
    }


def test_a_covariate_known_too_late_is_refused(raw, make_published, at):
    """Where every value of it is from after its visitor's exposure, the message names the covariate."""
    url, fill = raw
    late = [(f"v{i}", "history", 11, float(i)) for i in range(LEAST)]
    sale = Order("o", "v0", "purchase", 12, 100, 50)
    fill(Shop([(f"v{i}", 1, ARMS[i % 2], 10) for i in range(LEAST)], [sale], late), at)
    use = Metric("conversion", "conversion", Column("purchase", "converted"), covariate=CovariateUse("history"))
    definition = make_published(metrics=(use,)).definition
    message = f"'history' is known only after the exposure: {LEAST} visitors"
    with Warehouse.open(url) as warehouse, pytest.raises(InputError, match=message):
        warehouse.observations(definition, tables_of(), as_of=at(20))
