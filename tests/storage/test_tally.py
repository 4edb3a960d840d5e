"""SQLite's exposures by day and arm, counted without groups: what the grouped statement says."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from offerlift.errors import StoreError
from offerlift.experiments.metrics import DAY, Column, Metric
from offerlift.experiments.records import Exposure
from offerlift.storage import blocks, tally
from offerlift.storage.cohort import subjects, unpacked
from offerlift.storage.day_counts import Calendar, DayCounts
from offerlift.storage.engine import reading
from offerlift.storage.features import Window
from offerlift.storage.origins import store_origin
from offerlift.storage.statements import day_statement
from offerlift.storage.tables import exposure
from offerlift.storage.times import to_micros
from sqlalchemy import update

METRICS = (Metric("conversion", "conversion", Column("purchase", "converted")),)
EVER, WEEK = Window(0, None, 0), Window(0, 7 * DAY, 0)


@pytest.fixture
def published(memory, make_published, at):
    """With exposures of two weeks, some of them repeated in another arm."""
    found = make_published(metrics=METRICS)
    memory.publish(found)
    arms = "abc"
    start = at(0)
    memory.write_exposures(
        Exposure("exit", f"v{i % 150}", arms[i % 3 if i < 150 else (i + 1) % 3], start + timedelta(hours=1.7 * i))
        for i in range(200)
    )
    return found


@pytest.mark.parametrize("windows", [(EVER,), (EVER, WEEK), (WEEK,)])
@pytest.mark.parametrize("minutes", [0, 330, -480])
@pytest.mark.parametrize("hours", [30, 24 * 13, 24 * 700])
def test_a_tally_is_what_the_groups_are(memory, published, at, windows, minutes, hours):
    """Visitors, crossovers and passed windows by day and arm; first and last exposure are those of all."""
    as_of = to_micros(at(0) + timedelta(hours=hours))
    with reading(memory._engine) as connection:
        origin = store_origin(connection, published, as_of)
        cohort = replace(origin.cohort, offset=minutes * 60_000_000)
        rows = [unpacked(row, cohort) for row in connection.execute(day_statement(origin.sources, cohort, windows))]
        found = tally.tallied(connection, origin.sources, cohort, origin.arms, windows)
    assert found is not None
    assert {(key, day): rest[2:] for key, day, rest in found} == {(key, day): (*rest[2:],) for key, day, rest in rows}
    assert len(rows) > 2
    ends = {(first, last) for _, _, (first, last, *_) in found}
    assert ends == {(min(rest[0] for *_, rest in rows), max(rest[1] for *_, rest in rows))}


def test_blocks_of_neighbours_are_what_the_groups_are(memory, make_published, at, monkeypatch):
    """Whatever the order in which visitors came, with more arms than a sum holds, windows that close inside a block."""
    for name, value in (("BLOCK", 16), ("FEWEST", 8), ("SAMPLE", 8), ("DENSE", 0.1)):
        monkeypatch.setattr(blocks, name, value)
    tried = {"counted": 0, "given up": 0}
    for seed in range(60):
        random = np.random.default_rng(seed)
        names = [f"arm{i:02}" for i in range(int(random.integers(2, 12)))]
        key = f"blocks-{seed}"
        published = make_published(key, arms=tuple(names), metrics=METRICS)
        memory.publish(published)
        hours = np.sort(random.uniform(0, 24 * 12, 500))
        # A few come out of order, or nobody is in order at all.
        moved = random.random(500) < random.choice([0.0, 0.002, 0.02, 1.0], p=(0.3, 0.4, 0.2, 0.1))
        hours[moved] = random.permutation(hours[moved])
        arms, others = random.choice(names, 500), random.choice(names, 500)
        seen = [
            Exposure(key, f"{seed}-{i:03}", arm, at(0) + timedelta(hours=hour))
            for i, (arm, hour) in enumerate(zip(arms, hours, strict=True))
            if random.random() < 0.9
        ]
        again = [
            Exposure(key, one.visitor, other, one.at + timedelta(hours=float(random.exponential(30))))
            for one, other in zip(seen, others, strict=False)
            if random.random() < 0.2
        ]
        for batch in (seen, again):
            memory.write_exposures(batch)
        as_of = to_micros(at(0) + timedelta(hours=float(random.uniform(24, 24 * 20))))
        with reading(memory._engine) as connection:
            origin = store_origin(connection, published, as_of)
            cohort = replace(origin.cohort, offset=int(random.integers(-720, 720)) * 60_000_000)
            windows = (EVER, WEEK, Window(0, DAY, 3_600_000_000))[: int(random.integers(1, 4))]
            calendar, counts = Calendar.of(cohort, origin.arms), DayCounts.for_windows(windows, as_of)
            mixed = blocks.count_blocks(connection, subjects(origin.sources, cohort), calendar, as_of, counts)
            tried["given up" if mixed is None else "counted"] += 1
            found = tally.tallied(connection, origin.sources, cohort, origin.arms, windows)
            rows = [unpacked(row, cohort) for row in connection.execute(day_statement(origin.sources, cohort, windows))]
        if found is None:
            assert mixed is None
            assert len(windows) == 3
            continue
        expected = {(key, day): (*map(int, rest[2:]),) for key, day, rest in rows}
        assert {(key, day): rest[2:] for key, day, rest in found} == expected
        ends = {(first, last) for _, _, (first, last, *_) in found}
        assert ends == {(min(rest[0] for *_, rest in rows), max(rest[1] for *_, rest in rows))}
    assert min(tried.values()) > 5


@pytest.mark.parametrize("strange", [5, 4_000])
def test_an_arm_that_is_none_of_a_block_is_found(memory, published, at, monkeypatch, strange):
    """As below, where neighbours are counted together."""
    for name, value in (("BLOCK", 4), ("FEWEST", 2), ("SAMPLE", 4)):
        monkeypatch.setattr(blocks, name, value)
    as_of = to_micros(at(0) + timedelta(days=700))
    with memory._engine.begin() as connection:
        connection.execute(update(exposure).where(exposure.c.visitor_id == 7).values(arm_id=strange))
        origin = store_origin(connection, published, as_of)
        counts = DayCounts.for_windows((EVER,), as_of)
        subject, calendar = subjects(origin.sources, origin.cohort), Calendar.of(origin.cohort, origin.arms)
        assert blocks.count_blocks(connection, subject, calendar, as_of, counts) is not None
    with pytest.raises(StoreError, match=rf"never had: \[{strange}\]"):
        memory.observations("exit", as_of=at(0) + timedelta(days=700))


@pytest.mark.parametrize("strange", [5, 4_000])
def test_an_arm_that_is_none_is_not_counted_under_another(memory, published, at, strange):
    """An exposure in an arm that the experiment never had ends the analysis, as it does where groups are read."""
    with memory._engine.begin() as connection:
        connection.execute(update(exposure).where(exposure.c.visitor_id == 7).values(arm_id=strange))
    with pytest.raises(StoreError, match=rf"never had: \[{strange}\]"):
        memory.observations("exit", as_of=at(0) + timedelta(days=700))


def test_more_days_than_characters_are_grouped(memory, published, at, monkeypatch):
    """A time of analysis centuries later leaves the counting to the grouped statement, with the same result."""
    expected = memory.observations("exit", as_of=at(0) + timedelta(days=700))
    far = at(0).replace(year=2098)
    with reading(memory._engine) as connection:
        origin = store_origin(connection, published, to_micros(far))
        assert tally.tallied(connection, origin.sources, origin.cohort, origin.arms, (EVER,)) is None
    assert memory.observations("exit", as_of=far).exposures_by_day == expected.exposures_by_day
