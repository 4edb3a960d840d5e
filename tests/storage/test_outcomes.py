"""Outcomes and covariates: once for each id, the first content stays."""

from __future__ import annotations

from decimal import Decimal

import pytest
from offerlift.experiments.records import Covariate, Outcome
from offerlift.storage import tables
from sqlalchemy import select

ORDER = {
    "outcome_id": "o1",
    "visitor": "v",
    "name": "purchase",
    "value": Decimal("10.00"),
    "cost": Decimal("4.20"),
    "quantity": 2,
}


def rows(store):
    with store._engine.connect() as connection:
        return [row._asdict() for row in connection.execute(select(tables.outcome))]


def test_the_same_outcome_twice_is_one(store, at):
    """Same id and content: nothing happens, inside a batch and across batches."""
    first = store.write_outcomes([Outcome(**ORDER, at=at(1)), Outcome(**ORDER, at=at(1))])
    assert (first.new, first.repeated) == (1, 1)
    again = store.write_outcomes([Outcome(**ORDER, at=at(1))])
    assert (again.new, again.repeated, again.conflicts) == (0, 1, ())
    assert len(rows(store)) == 1


@pytest.mark.parametrize("other", [{"visitor": "w"}, {"value": Decimal(12)}, {"cost": None}, {"quantity": 3}])
def test_other_content_is_a_conflict_that_names_both(store, at, other):
    """Same id, other content: reported with both contents, and the first stays."""
    store.write_outcomes([Outcome(**ORDER, at=at(1))])
    before = rows(store)
    result = store.write_outcomes(
        [Outcome(**ORDER | {"outcome_id": "o2"}, at=at(1)), Outcome(**ORDER | other, at=at(1))]
    )
    assert (result.new, result.repeated, len(result.conflicts)) == (1, 0, 1)
    assert result.conflicts[0].index == 1
    message = result.conflicts[0].message
    assert "'o1' of 'purchase'" in message
    assert "visitor 'v', value 10.00 EUR, cost 4.20 EUR, quantity 2" in message
    assert message.count("visitor") == 2
    assert [row for row in rows(store) if row["outcome_id"] == "o1"] == before


def test_a_conflict_inside_one_batch(store, at):
    """The first of two different records of one id in a batch stays."""
    result = store.write_outcomes([Outcome(**ORDER, at=at(1)), Outcome(**ORDER | {"value": Decimal(1)}, at=at(1))])
    assert (result.new, len(result.conflicts)) == (1, 1)
    assert rows(store)[0]["value"] == 1000


@pytest.mark.parametrize(
    "other", [{"refund_of": "o8"}, {"refund_of": None}, {"currency": "GBP"}, {"reporting_value": 8}, {"cost": 5}]
)
def test_refunds_and_reporting_amounts_are_content(store, at, other):
    """What an outcome takes back and what it is worth in the store's currency belong to its content."""
    foreign = {"currency": "USD", "reporting_value": 9, "reporting_cost": 4, "refund_of": "o9"}
    store.write_outcomes([Outcome(**ORDER | foreign, at=at(1))])
    result = store.write_outcomes([Outcome(**ORDER | foreign | other, at=at(1)), Outcome(**ORDER | foreign, at=at(1))])
    assert (result.repeated, len(result.conflicts)) == (1, 1)
    assert "reporting value 900 minor units" in result.conflicts[0].message
    assert "refund of 'o9'" in result.conflicts[0].message


@pytest.mark.parametrize(
    ("first", "second", "same"), [(1, 2, False), (1, None, True), (None, 1, True), (None, None, True)]
)
def test_an_omitted_time_is_not_content(store, at, first, second, same):
    """Times are compared only where both records have one."""
    times = [None if one is None else at(one) for one in (first, second)]
    store.write_outcomes([Outcome(**ORDER, at=times[0])])
    result = store.write_outcomes([Outcome(**ORDER, at=times[1])])
    assert (result.repeated, len(result.conflicts)) == ((1, 0) if same else (0, 1))


def test_ids_are_unique_inside_an_event_only(store, at):
    """An order and its cancellation may share an id."""
    result = store.write_outcomes([Outcome(**ORDER, at=at(1)), Outcome(**ORDER | {"name": "cancel"}, at=at(1))])
    assert (result.new, result.conflicts) == (2, ())


def test_money_is_stored_in_minor_units(store, at):
    """10.00 EUR is the integer 1000; negative values are legal."""
    store.write_outcomes([Outcome(**ORDER, at=at(1)), Outcome("o2", "v", "purchase", at(1), value=Decimal("-3.5"))])
    assert sorted((row["value"], row["cost"]) for row in rows(store) if row["cost"] or True) == [
        (-350, None),
        (1000, 420),
    ]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"currency": "usd"}, "three capitals"),
        ({"currency": "ABC"}, "no currency has"),
        ({"reporting_value": 7}, "Leave reporting_value"),
        ({"currency": "USD", "value": 1, "cost": 1, "reporting_value": 1}, "cost but no reporting_cost"),
        ({"currency": "USD", "value": None, "reporting_value": 1}, "reporting_value but no value"),
        ({"currency": "USD", "value": 1, "reporting_value": Decimal("0.001")}, "decimal places"),
        ({"refund_of": "o0", "value": -1}, "amounts are positive"),
        ({"refund_of": "o0", "cost": Decimal("-0.01")}, "amounts are positive"),
        ({"refund_of": "o1", "outcome_id": "o1"}, "refund of itself"),
        ({"refund_of": ""}, "refund_of must not be empty"),
        ({"value": 10.5}, "Decimal or int"),
        ({"value": True}, "Decimal or int"),
        ({"value": Decimal("NaN")}, "finite"),
        ({"value": Decimal("-Infinity")}, "finite"),
        ({"value": Decimal("0.001")}, "decimal places"),
        ({"value": Decimal("1e999999")}, "2**53"),
        ({"value": 2**62}, "2**53"),
        ({"value": 10**5000}, "2**53"),
        ({"cost": Decimal(2**53) / 100 + Decimal("0.01")}, "2**53"),
        ({"quantity": 1.5}, "quantity"),
        ({"quantity": 2**63}, "quantity"),
        ({"outcome_id": ""}, "an outcome id must not be empty"),
        ({"outcome_id": "a\0"}, "an outcome id must not contain the NUL"),
        ({"outcome_id": "x" * 256}, "255"),
        ({"name": 7}, "name of an event"),
        ({"name": "\ud800"}, "surrogate"),
        ({"visitor": None}, "visitor id"),
    ],
)
def test_bad_outcomes_are_refused_one_by_one(memory, at, record, reason):
    """An outcome that cannot be stored is refused with its reason; the others are in."""
    result = memory.write_outcomes(
        [Outcome(**ORDER | record, at=at(1)), Outcome(**ORDER | {"outcome_id": "x"}, at=at(1))]
    )
    assert (result.new, len(result.refused)) == (1, 1)
    assert result.refused[0].index == 0
    assert reason in result.refused[0].message


def test_hostile_outcome_ids(store, at):
    """Ids and names that hold SQL are stored as they are."""
    hostile = "x'); DROP TABLE outcome; --%s:y"
    assert store.write_outcomes([Outcome(hostile, hostile, hostile, at(1))]).new == 1
    assert rows(store)[0]["outcome_id"] == hostile


def test_a_covariate_is_stored_once(store, at):
    """The same value again is a repeat; another value at that time is a conflict and the first stays."""
    first = store.write_covariates([Covariate("v", "history", 1.5, at(1)), Covariate("v", "history", 2.5, at(2))])
    assert first.new == 2
    again = store.write_covariates([Covariate("v", "history", 1.5, at(1)), Covariate("v", "history", 9.0, at(2))])
    assert (again.new, again.repeated, len(again.conflicts)) == (0, 1, 1)
    assert "2.5" in again.conflicts[0].message
    assert "9.0" in again.conflicts[0].message


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e61, "12", None, True, 10**400])
def test_bad_covariates_are_refused(memory, at, value):
    """A covariate is a finite number."""
    result = memory.write_covariates([Covariate("v", "history", value, at(1))])
    assert "finite number" in result.refused[0].message


def test_a_covariate_may_be_decimal(memory, at):
    """Numbers of other types than float are taken where they are numbers."""
    assert memory.write_covariates([Covariate("v", "history", Decimal("1.5"), at(1))]).new == 1
