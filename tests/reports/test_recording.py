"""`record_look` on a store: what is written, what is shown of it, and by whom it was."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.experiments.definition import Arm, Definition, Plan
from offerlift.experiments.metrics import Column, Metric
from offerlift.experiments.publishing import publish, start
from offerlift.experiments.records import Exposure, Outcome
from offerlift.reports import course, record_look, scorecard
from offerlift.reports.details import Details
from offerlift.reports.recording import report_hash
from offerlift.storage import Store

START = datetime(2026, 3, 1, tzinfo=UTC)
WEEK = timedelta(weeks=1)
DAY = 86_400_000_000
VISITORS = 6_000


def shop(url, *, rate=0.2, looks=(0.25, 0.5, 0.75, 1.0), guardrails=("margin_per_visitor",)):
    """A store with an experiment of four weeks: 1,500 visitors a week in two arms, who buy at once or not."""
    definition = Definition(
        "exit-offer",
        "control",
        (Arm("control", 5_000), Arm("b", 5_000)),
        (
            Metric("conversion", "conversion", Column("purchase", "converted"), window_end=DAY),
            Metric(
                "margin_per_visitor",
                "margin",
                Column("purchase", "margin"),
                window_end=DAY,
                non_inferiority_margin=0.2,
            ),
        ),
        Plan("conversion", guardrails, looks=looks, sample_size=VISITORS),
    )
    store = Store.open(url)
    draft = publish(definition, None, at=START)
    store.publish(draft)
    store.publish(start(draft, START))
    rng = np.random.default_rng(7)
    buys = rng.random(VISITORS) < np.where(np.arange(VISITORS) % 2, rate, 0.2)
    times = [START + timedelta(minutes=6.72 * visitor) for visitor in range(VISITORS)]
    arms = ["b" if visitor % 2 else "control" for visitor in range(VISITORS)]
    store.write_exposures(Exposure("exit-offer", i, arms[i], times[i], 1, "x") for i in range(VISITORS))
    store.write_outcomes(
        Outcome(f"order-{i}", i, "purchase", times[i] + timedelta(hours=1), value=Decimal(50), cost=Decimal(30))
        for i in np.flatnonzero(buys).tolist()
    )
    return store


@pytest.fixture
def store_path(tmp_path):
    return f"sqlite:///{tmp_path / 'shop.db'}"


def week(number: float) -> datetime:
    """So many weeks after the start, with the day for the window."""
    return START + number * WEEK + timedelta(days=1, hours=1)


def test_weekly_reviews_of_a_shop(store_path):
    """Nothing in the first days, then a look a week, written with its clock, boundary, estimate and report."""
    with shop(store_path) as store:
        early = record_look(store, "exit-offer", START + timedelta(days=3))
        assert (early.look, early.scorecard.withheld) == (None, True)
        assert "before the first planned look" in early.reason
        found = [record_look(store, "exit-offer", week(number)) for number in (1, 2, 3, 4, 5)]
        looks = store.looks("exit-offer")
    assert [one.look for one in found] == [1, 2, 3, 4, None]
    assert found[0].reason == "Look 1 is recorded, as planned, at 25% of the planned sample."
    assert found[4].reason == "Everything is decided: what comes later is overrun and is not looked at."
    assert found[3].scorecard.decision.action == "stop_no_effect"
    primary = [one for one in looks if one.metric == "conversion"]
    assert [one.clock for one in primary] == pytest.approx([0.25, 0.5, 0.75, 1.0], abs=0.003)
    assert [one.verdict for one in primary] == ["collecting"] * 3 + ["stop_no_effect"]
    assert all(one.z == pytest.approx(one.estimate / one.se) for one in looks)
    assert {one.metric for one in looks} == {"conversion", "margin_per_visitor"}
    assert {one.at for one in looks} == {week(number) for number in (1, 2, 3, 4)}


def test_what_was_shown_can_be_shown_again(store_path):
    """A scorecard as of a look is the one that the review showed, and has the hash that is recorded."""
    with shop(store_path, rate=0.24) as store:
        shown = [record_look(store, "exit-offer", week(number)) for number in (1, 2, 3)]
        looks = store.looks("exit-offer")
        for number, one in enumerate(shown, start=1):
            seen = store.observations("exit-offer", as_of=week(number))
            again = scorecard(seen, looks, Details.of_store(store, seen))
            assert again.to_dict() == one.scorecard.to_dict()
            if one.look is not None:
                hashes = {row.report_hash for row in looks if row.look == one.look}
                assert hashes == {report_hash(again)}
        assert len({row.report_hash for row in looks}) == len({row.look for row in looks})


def test_analysis_neither_spends_nor_shows(store_path):
    """Scorecards and courses record nothing and withhold; after the first look they have values."""
    with shop(store_path) as store:
        observations, series = store.observations("exit-offer"), store.cumulative("exit-offer")
        analyses = [
            (scorecard(observations, store.looks("exit-offer")), course(series, store.looks("exit-offer")))
            for _ in range(3)
        ]
        assert store.looks("exit-offer") == ()
        card, days = analyses[-1]
        assert (card.withheld, days.withheld) == (True, True)
        values = {value.value for day in days.days for metric in day.metrics for value in metric.arms}
        assert values == {None}
        assert days.days[-1].visitors == {"control": 3_000, "b": 3_000}
        record_look(store, "exit-offer", week(1))
        looks = store.looks("exit-offer")
        assert not scorecard(observations, looks).withheld
        assert course(series, looks).days[-1].metrics[0].arms[0].value > 0
        before = scorecard(store.observations("exit-offer", as_of=START + timedelta(days=3)), looks)
        assert before.withheld


def test_a_reveal_is_recorded_as_unplanned(store_path):
    """Early in the first week nothing is due; with `reveal` it is look 1, and the plan goes on after it."""
    with shop(store_path) as store:
        revealed = record_look(store, "exit-offer", START + timedelta(days=4), reveal=True)
        assert revealed.reason.startswith("Look 1 is recorded, which was not planned and spends all the same")
        planned = record_look(store, "exit-offer", week(1))
        looks = [one for one in store.looks("exit-offer") if one.metric == "conversion"]
    assert [one.planned for one in looks] == [False, True]
    assert (planned.look, looks[1].look) == (2, 2)
    assert looks[0].boundary > looks[1].boundary


def test_a_review_of_an_earlier_day_records_nothing(store_path):
    """After a look in week two, a review as of week one is told so and shows what was known then: nothing."""
    with shop(store_path) as store:
        record_look(store, "exit-offer", week(2))
        back = record_look(store, "exit-offer", week(1), reveal=True)
        assert (back.look, back.scorecard.withheld) == (None, True)
        assert back.reason.startswith("The moment of this review is not after that of the last look")
        assert len({one.look for one in store.looks("exit-offer")}) == 1


def test_reviews_at_once(store_path):
    """Four reviews of one moment: one records the look, all show the same."""
    shop(store_path).close()

    def review(_):
        with Store.open(store_path) as store:
            return record_look(store, "exit-offer", week(2))

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(review, range(4)))
    with Store.open(store_path) as store:
        looks = store.looks("exit-offer")
    assert len(looks) == 2
    assert len({str(one.scorecard.to_dict()) for one in found}) == 1
    # The same rows written again are the same look: whoever wrote them second has recorded it too.
    assert all(one.look in (1, None) for one in found)
    assert any(one.look == 1 for one in found)


def test_phases_and_their_splits_are_read_from_the_store(store_path):
    """A new phase with another split: the clock counts both, the first is held against its own split."""
    from offerlift.experiments.lifecycle import open_phase

    with shop(store_path) as store:
        before = store.published("exit-offer")
        arms = (Arm("control", 2_500), Arm("b", 7_500))
        store.publish(open_phase(replace(before.definition, arms=arms), before, at=week(5)))
        late = [
            Exposure("exit-offer", f"new-{i}", "control" if i % 4 == 0 else "b", week(5), 2, "y") for i in range(400)
        ]
        store.write_exposures(late)
        store.write_outcomes(
            Outcome(f"late-{i}", f"new-{i}", "purchase", week(5), value=Decimal(50), cost=Decimal(30))
            for i in range(0, 400, 5)
        )
        reviewed = record_look(store, "exit-offer", week(6))
        observations = store.observations("exit-offer", as_of=week(6))
    assert observations.earlier[0].shares == {"control": 0.5, "b": 0.5}
    card = reviewed.scorecard
    assert card.healthy
    assert card.progress.clock == 1.0
    assert {arm.arm: arm.mature for arm in card.arms} == {"control": 3_100, "b": 3_300}


def test_an_experiment_that_is_not_there(store_path):
    """Its name is an error that says which there are."""
    with shop(store_path) as store, pytest.raises(InputError, match="no experiment 'other'"):
        record_look(store, "other")
