"""Input that was made to break a store: refused one by one or kept letter by letter, and nothing of it is executed."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from offerlift.experiments import Exposure, Outcome
from offerlift.experiments.records import Covariate, Link
from offerlift.storage import import_outcomes, read_outcomes, tables
from offerlift.storage.engine import reading
from offerlift.storage.maintenance.inventory import take_inventory
from offerlift.storage.store import Store
from sqlalchemy import select

AT = datetime(2026, 5, 4, tzinfo=UTC)
KEPT = [
    "'; DROP TABLE outcome; --",
    '"; DELETE FROM visitor; --',
    "`; TRUNCATE exposure; #",
    "1 OR 1=1",
    "\\'; SELECT pg_sleep(9); --",
    "%s %(visitor)s :visitor ? $1 {visitor}",
    "/* */ UNION SELECT key FROM visitor",
    "\\N\t\\.\r\n",
    "\u202e\ufeff\u2028\U0001f600",
    "é" * 127,
]
TOO_LONG = "x" * 10_000
NUL, SURROGATE = "a\0b", "a\ud800"
IDS = [TOO_LONG, NUL, SURROGATE, "", None, True, 1.0, b"v", ["v"]]
YEARS = [
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(1969, 12, 31, tzinfo=UTC),
    datetime(2100, 1, 1, tzinfo=UTC),
]
AMOUNTS = [2**63, -(2**63) - 1, 10**30, Decimal("1e999"), Decimal("NaN"), Decimal("Infinity"), float("inf"), "1", 1.5]


def numbers(store: Store) -> dict[str, int]:
    return {one.table: one.rows for one in take_inventory(store).tables}


def keys(store: Store, field) -> set[str]:
    with reading(store._engine) as connection:
        return set(connection.scalars(select(field)))


def test_sql_in_ids_and_names_is_text(store, make_published):
    """As visitor, order, event, covariate, customer and attribute it comes back letter by letter; no row is missing."""
    store.publish(make_published())
    count = len(KEPT)
    writes = [
        store.write_exposures(Exposure("exit", one, "a", AT, 1, "hash") for one in KEPT),
        store.write_outcomes(Outcome(one, one, one[:60], AT, 1) for one in KEPT),
        store.write_covariates(Covariate(one, one[:60], 1.0, AT) for one in KEPT),
        store.write_links(Link(one, f"c {number}", AT) for number, one in enumerate(KEPT)),
    ]
    assert [(one.new, one.refused, one.conflicts) for one in writes] == [(count, (), ())] * 4
    assert keys(store, tables.outcome.c.outcome_id) == set(KEPT)
    assert keys(store, tables.visitor.c.key) == {*KEPT, *(f"c {number}" for number in range(count))}
    assert store.observations("exit").arms["a"].visitors == count
    found = numbers(store)
    assert [found[name] for name in ("exposure", "outcome", "covariate", "identity")] == [count] * 4


def test_each_impossible_record_is_refused_alone(store, make_published):
    """10 kB, NUL, half a surrogate pair, years 1 and 9999, beyond 64 bits: each by its place, the others are stored."""
    store.publish(make_published())
    good = [Outcome("first", "v", "purchase", AT, 1), Outcome("last", "w", "purchase", AT, 1)]
    bad = [Outcome(one, "v", "purchase", AT, 1) for one in IDS if not isinstance(one, str) or one]
    bad += [Outcome("o", one, "purchase", AT, 1) for one in IDS]
    bad += [Outcome("o", "v", one, AT, 1) for one in (TOO_LONG, NUL, SURROGATE, "", None)]
    bad += [Outcome("o", "v", "purchase", one, 1) for one in YEARS]
    bad += [Outcome("o", "v", "purchase", AT, one) for one in AMOUNTS]
    bad += [Outcome("o", "v", "purchase", AT, 1, quantity=one) for one in (2**63, -(2**63) - 1)]
    bad += [Outcome("o", "v", "purchase", AT, 1, refund_of=one) for one in (TOO_LONG, NUL, SURROGATE)]
    written = store.write_outcomes([good[0], *bad, good[1]])
    assert [one.index for one in written.refused] == list(range(1, len(bad) + 1))
    assert written.new == 2
    exposures = [Exposure("exit", one, "a", AT) for one in IDS] + [Exposure("exit", "v", "a", one) for one in YEARS]
    exposures += [Exposure(one, "v", "a", AT) for one in (*KEPT, TOO_LONG, NUL, SURROGATE)]
    exposures += [Exposure("exit", "v", one, AT) for one in (*KEPT, TOO_LONG, NUL, SURROGATE)]
    written = store.write_exposures([*exposures, Exposure("exit", "v", "a", AT)])
    assert (len(written.refused), written.new) == (len(exposures), 1)
    covariates = [Covariate("v", one, 1.0, AT) for one in (TOO_LONG, NUL, SURROGATE)]
    covariates += [Covariate("v", "age", one, AT) for one in (float("nan"), float("inf"), "1")]
    written = store.write_covariates([*covariates, Covariate("v", "age", 1.0, AT)])
    assert (len(written.refused), written.new) == (len(covariates), 1)
    links = [Link(one, "c", AT) for one in IDS] + [Link("v", one, AT) for one in IDS]
    written = store.write_links([*links, Link("v", "c", AT)])
    assert (len(written.refused), written.new) == (len(links), 1)
    found = numbers(store)
    assert [found[name] for name in ("outcome", "exposure", "covariate", "identity")] == [2, 1, 1, 1]


BROKEN = [
    "{id}\0,v,2026-05-04T00:00:00Z,1.00",
    f"{{id}},{TOO_LONG},2026-05-04T00:00:00Z,1.00",
    f"{TOO_LONG},v,2026-05-04T00:00:00Z,1.00",
    "{id},v,0001-01-01T00:00:00Z,1.00",
    "{id},v,9999-12-31T23:59:59.999999Z,1.00",
    "{id},v,2026-05-04T00:00:00Z,9223372036854775808",
    "{id},v,2026-05-04T00:00:00Z,1e400",
    "{id},v,2026-05-04T00:00:00Z,nan",
    "{id},v,2026-05-04T00:00:00Z,1; DROP TABLE outcome",
    "{id},v,'; DROP TABLE outcome; --,1.00",
    "{id},,2026-05-04T00:00:00Z,1.00",
    "{id},v,2026-05-04T00:00:00Z,1.00,more",
    "{id},v",
    "{id},v,2026-02-30T00:00:00Z,1.00",
    "{id},v,2026-05-04T00:00:00,1.00",
    "{id},v,2026-05-04T00:00:00Z,0.001",
]


def test_a_file_of_which_a_twentieth_is_broken(store, tmp_path: Path):
    """Of 4,000 rows 200 are refused, each with its line and a reason; 3,800 are stored, with the SQL in their ids."""
    lines, wrong = ["id,visitor,at,value"], []
    for number in range(4_000):
        name = f"{number}"
        if number % 20 == 7:
            lines.append(BROKEN[number // 20 % len(BROKEN)].format(id=name))
            wrong.append(number + 2)
        else:
            lines.append(f"{name}'; DROP TABLE outcome; --,v{number},2026-05-04T00:00:00Z,{number}.25")
    path = tmp_path / "shop.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def load():
        rows = read_outcomes(path, outcome_id="id", event="purchase", at="at", value="value")
        return import_outcomes(store, rows)

    report = load()
    assert [one.line for one in report.rejects] == wrong
    assert all(one.reason for one in report.rejects)
    assert (report.read, report.new, report.refused) == (4_000, 3_800, 200)
    stored = keys(store, tables.outcome.c.outcome_id)
    assert len(stored) == 3_800
    assert all(key.endswith("'; DROP TABLE outcome; --") for key in stored)
    again = load()
    assert (again.new, again.repeated, again.refused) == (0, 3_800, 200)
    assert numbers(store)["outcome"] == 3_800
