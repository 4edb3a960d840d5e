"""Identity links in the store, on each engine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from offerlift.experiments import Link, Outcome
from offerlift.storage import tables
from offerlift.storage.engine import reading
from sqlalchemy import select

AT = datetime(2026, 5, 4, tzinfo=UTC)


def test_a_link_is_stored_once(store):
    """The same link again, in the same write or later, changes nothing."""
    result = store.write_links([Link("a", "c1", AT), Link("b", "c1", AT), Link("a", "c1", AT + timedelta(hours=1))])
    assert (result.new, result.repeated) == (2, 1)
    assert store.write_links([Link("a", "c1", AT)]).repeated == 1
    with reading(store._engine) as connection:
        rows = connection.execute(select(tables.identity)).all()
    assert len(rows) == 2
    assert {row.at for row in rows} == {int(AT.timestamp()) * 1_000_000}


def test_another_customer_is_a_conflict_that_names_both(store):
    """The first customer stays, whether the second comes in the same write or later."""
    result = store.write_links([Link("a", "c1", AT), Link("a", "c2", AT)])
    assert "'c1'" in result.conflicts[0].message
    assert "'c2'" in result.conflicts[0].message
    assert result.conflicts[0].index == 1
    assert len(store.write_links([Link("a", "c3", AT)]).conflicts) == 1


def test_impossible_links_are_refused_one_by_one(store):
    """An empty id, a link to itself and a naive time are refused with their index; the others are stored."""
    naive = datetime(2026, 5, 4)  # noqa: DTZ001 - refused
    result = store.write_links([Link("", "c", AT), Link("a", "a", AT), Link("a", "c", naive), Link("a", "c", AT), None])
    assert [one.index for one in result.refused] == [0, 1, 2, 4]
    assert result.new == 1


def test_an_omitted_time_is_when_the_outcome_was_recorded(store):
    """With `recorded_at` and no `at`, that is the stored time, and it is no part of what has to agree."""
    first = Outcome("o1", "v1", "purchase", recorded_at=AT)
    again = Outcome("o1", "v1", "purchase", recorded_at=AT + timedelta(hours=1))
    assert store.write_outcomes([first]).new == 1
    assert store.write_outcomes([again]).repeated == 1
    with reading(store._engine) as connection:
        row = connection.execute(select(tables.outcome.c.at, tables.outcome.c.at_given)).one()
    assert tuple(row) == (int(AT.timestamp()) * 1_000_000, 0)
