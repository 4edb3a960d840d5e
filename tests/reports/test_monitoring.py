"""The course of a lift: the last day has the scorecard's numbers, and other readings are those of the store."""

from __future__ import annotations

import pytest
from offerlift.experiments.records import Exposure
from offerlift.reports import scorecard
from offerlift.reports.background import late_check
from offerlift.reports.monitoring import lift_course
from offerlift.reports.sensitivity import read_sensitivity
from offerlift.storage.arrivals import Arrivals

from ..shelf import END, START


@pytest.mark.parametrize("key", ["few-orders", "two-phases", "cart-free-shipping"])
def test_the_last_day_is_the_scorecard(shelf, key):
    """Once all windows have passed, band and lift of the last day are those of the scorecard, over phases too."""
    observations = shelf.observations(key, as_of=END)
    card = scorecard(observations, None)
    for arm in lift_course(shelf.cumulative(key, as_of=END)):
        row = card.metric(card.primary).comparison(arm.arm)
        last = arm.days[-1]
        for mine, other in ((last.lift, row.lift), (last.band, row.anytime.lift)):
            assert mine.kind == other.kind
            ends = [(getattr(mine, name), getattr(other, name)) for name in ("estimate", "low", "high")]
            assert all((a is None) == (b is None) for a, b in ends)
            assert [a for a, _ in ends if a is not None] == pytest.approx([b for _, b in ends if b is not None])


def test_bands_narrow_as_visitors_come(shelf):
    """The band of the last day is narrower than that of a third of the way."""
    (arm,) = lift_course(shelf.cumulative("cart-free-shipping", as_of=END))
    bounded = [one.band.high - one.band.low for one in arm.days if one.band.kind == "bounded"]
    assert bounded[-1] < bounded[len(bounded) // 3]


def test_crossovers_are_left_out_in_a_reading_of_its_own(shelf):
    """Three of the visitors who bought were seen in the other arm: the row without them has another difference."""
    key = "exit-ten-off"
    before = {one.name for one in read_sensitivity(shelf, shelf.observations(key, as_of=END))}
    assert len(before) == 1
    assert next(iter(before)).startswith("each visitor counted up to €")
    shelf.write_exposures(
        Exposure(key, f"{key}-1-{i}", "control", START.replace(day=30), 1) for i in range(0, 2_000, 40)
    )
    observations = shelf.observations(key, as_of=END)
    rows = [one for one in read_sensitivity(shelf, observations) if one.name.startswith("without")]
    assert [one.name for one in rows] == ["without the 50 crossovers"]
    steady = scorecard(shelf.variant(key, as_of=END, without_crossovers=True), None)
    expected = steady.metric(steady.primary).comparison("ten-off").difference
    assert rows[0].difference == expected
    all_visitors = scorecard(observations, None)
    assert expected.estimate != all_visitors.metric(all_visitors.primary).comparison("ten-off").difference.estimate


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ({}, "not_run"),
        ({"a": Arrivals(100, 0, 100)}, "not_run"),
        ({"a": Arrivals(100, 4, 0), "b": Arrivals(100, 5, 0)}, "ok"),
        ({"a": Arrivals(100, 30, 0), "b": Arrivals(100, 0, 0)}, "warn"),
    ],
)
def test_late_data_is_told_from_imports_and_from_nothing(found, status):
    """Nothing known is not run, a twentieth late warns with the shares of the arms, an import says nothing."""
    check = late_check(found)
    assert check.status == status
    if status == "warn":
        assert "30" in check.reason
        assert "“a”" in check.reason
