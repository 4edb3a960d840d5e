"""The audit, on each engine: stored assignments computed again inside the database."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from offerlift.cli.app import run
from offerlift.errors import InputError
from offerlift.experiments import Assigner, Exposure, Published, Snapshot, bucket
from offerlift.experiments.definition import Arm, Definition, Plan
from offerlift.experiments.metrics import Column, Metric
from offerlift.storage.engine import reading
from offerlift.storage.engines import bucket_in_sql
from sqlalchemy import bindparam, select

AT = datetime(2026, 5, 4, tzinfo=UTC)
ODD = ["A", "a", "\u00e9", "e\u0301", "\u65e5\u672c", "\U0001f600", "a:b", "'; --", "%s %%", "x" * 255, "17", " "]


@pytest.fixture
def published() -> Published:
    definition = Definition(
        "exit",
        "a",
        (Arm("a", 5_000), Arm("b", 2_500), Arm("c", 2_500)),
        (Metric("conversion", "conversion", Column("purchase", "converted")),),
        Plan("conversion"),
        layer="cart",
        layer_range=(1_000, 9_000),
        traffic=Fraction(1, 2),
    )
    return Published(definition, "running", 1, 1, AT, AT, "hash1", "plan")


def exposures(published: Published, count: int = 1_000) -> list[Exposure]:
    assigner = Assigner(Snapshot.of([published]))
    assigned = [assigner.assign("exit", visitor) for visitor in [*(f"v{number}" for number in range(count)), *ODD]]
    split = [one for one in assigned if one.reason == "SPLIT"]
    return [Exposure(one.experiment, one.visitor, one.arm, AT, one.phase, one.hash) for one in split]


@pytest.mark.parametrize("salt", ["exit/s", "cart/t", "holdout/h", "é%"])
def test_each_database_computes_the_same_buckets(store, salt):
    """Ids of all scripts, with quotes, percent signs and 255 bytes, have the bucket that Python gives them."""
    with reading(store._engine) as connection:
        key = bindparam("key")
        found = {one: connection.scalar(select(bucket_in_sql(connection, salt, key)), {"key": one}) for one in ODD}
    assert found == {one: bucket(salt, one) for one in ODD}


def test_the_published_anchors_hold_in_each_database(store):
    """All anchors that pin the hash for every warehouse (scripts, forms, lengths, spaces), computed by the database."""
    anchors = json.loads((Path(__file__).parents[1] / "assignment_anchors.json").read_text(encoding="utf-8"))
    assert len(anchors) == 26
    with reading(store._engine) as connection:
        for salt, visitor, expected in anchors:
            statement = select(bucket_in_sql(connection, salt, bindparam("key")))
            assert connection.scalar(statement, {"key": visitor}) == expected


def test_what_the_assigner_gave_is_right(store, published):
    """Exposures of the assigner, in a layer's range and with half the traffic, have no mismatch."""
    store.publish(published)
    records = exposures(published)
    assert len(records) > 300
    store.write_exposures(records)
    audit = store.audit("exit")
    assert (audit.checked, audit.mismatching, audit.mismatches) == (len(records), 0, ())


def test_each_cause_is_named(store, published):
    """Outside the layer or the traffic, another arm, another version's arm, a foreign hash, a crossover: one each."""
    definition = published.definition
    store.publish(published)
    swapped = replace(definition, arms=(Arm("a", 2_500), Arm("b", 5_000), Arm("c", 2_500)))
    store.publish(replace(published, definition=swapped, version=2, assignment_hash="hash2", phase=2))
    assigner = Assigner(Snapshot.of([published]))
    answers = [assigner.assign("exit", f"v{number}") for number in range(500)]
    split = [one for one in answers if one.reason == "SPLIT"]
    layer = next(one.visitor for one in answers if one.reason == "LAYER")
    traffic = next(one.visitor for one in answers if one.reason == "NOT_IN_TRAFFIC")
    # Between 2,500 and 5,000 the second version gives b where the first gives a.
    stale = next(one.visitor for one in split if one.bucket is not None and 2_500 <= one.bucket < 5_000)
    wrong = next(one.visitor for one in split if one.bucket is not None and one.bucket < 2_500)
    both = next(one.visitor for one in split if one.arm == "c")
    good = next(one.visitor for one in split if one.arm == "b")
    store.write_exposures(
        [
            Exposure("exit", layer, "a", AT, 1, "hash1"),
            Exposure("exit", traffic, "a", AT, 1, "hash1"),
            Exposure("exit", stale, "b", AT, 1, "hash1"),
            Exposure("exit", wrong, "c", AT, 1, "hash1"),
            Exposure("exit", both, "c", AT, 1, "hash1"),
            Exposure("exit", both, "a", AT + timedelta(days=1), 1, "hash1"),
            Exposure("exit", good, "b", AT, 1, "hash1"),
            Exposure("exit", "foreign", "a", AT, 1, "hash9"),
        ]
    )
    audit = store.audit("exit")
    assert audit.checked == 7
    assert {one.visitor: one.cause for one in audit.mismatches} == {
        layer: "layer",
        traffic: "traffic",
        stale: "other_version",
        wrong: "arm",
        both: "crossover",
        "foreign": "unknown_version",
    }
    assert audit.causes == dict.fromkeys(sorted(audit.causes), 1)
    assert {one.visitor: one.expected for one in audit.mismatches}[stale] == "a"
    limited = store.audit("exit", limit=2)
    assert (len(limited.mismatches), limited.causes) == (2, audit.causes)


def test_traffic_that_rose_is_no_mismatch(store, published):
    """Exposures before and after a ramp have one hash; the widest traffic published under it counts."""
    store.publish(published)
    wider = replace(published, version=2, definition=replace(published.definition, traffic=Fraction(1)))
    store.write_exposures(exposures(published))
    store.publish(wider)
    store.write_exposures(exposures(wider))
    audit = store.audit("exit")
    assert audit.checked == len(exposures(wider)) > len(exposures(published))
    assert audit.mismatching == 0


def test_a_record_without_a_hash_is_held_against_its_phase(store, published):
    """Imported exposures carry no hash; they are computed by the versions of their phase."""
    store.publish(published)
    store.write_exposures([replace(one, assignment_hash="") for one in exposures(published)])
    assert store.audit("exit").mismatching == 0
    store.write_exposures([Exposure("exit", "v-late", "a", AT, 7)])
    assert store.audit("exit").causes == {"unknown_version": 1}


def test_an_imported_table_has_nothing_to_audit(store, published):
    """Its visitors were assigned elsewhere, which the error says; an unknown key is an error with the nearest one."""
    store.publish(replace(published, definition=replace(published.definition, source="table")))
    with pytest.raises(InputError, match="assigned elsewhere"):
        store.audit("exit")
    with pytest.raises(InputError, match="no experiment 'exot'"):
        store.audit("exot")


def test_the_command_lists_mismatches_and_exits_with_1(store_url, store, published, capsys):
    """Exit code 0 and a count where all match; 1 and one line a mismatch where not; --json is one object."""
    store.publish(published)
    store.write_exposures(exposures(published, 100))
    assert run(["--db", store_url, "audit", "exit"]) == 0
    assert "0 mismatches" in capsys.readouterr().out
    store.write_exposures([Exposure("exit", "foreign", "a", AT, 1, "hash9")])
    assert run(["--db", store_url, "audit", "exit"]) == 1
    assert "foreign\tphase 1\ta\tunknown_version: no published version" in capsys.readouterr().out
    assert run(["--db", store_url, "audit", "exit", "--json"]) == 1
    assert '"unknown_version": 1' in capsys.readouterr().out
