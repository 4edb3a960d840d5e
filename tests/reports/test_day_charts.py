"""The charts along the days that are written as PNG files: what is in them is what the scorecard has."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from matplotlib.patches import StepPatch
from offerlift.reports import review_store
from offerlift.reports.day_charts import course_plot, exposure_plot
from offerlift.reports.pictures import charts, write_charts

from ..shelf import END, SCRIPT

DAY = timedelta(days=1)


@pytest.fixture
def cards(shelf):
    return {row.card.experiment: row.card for row in review_store(shelf, END, background=True).rows}


def test_the_course_has_the_lifts_and_the_band_of_each_day(cards):
    """A line through the days' lifts inside the always-valid band, numbers in words, the looks marked and explained."""
    card = cards["cart-free-shipping"]
    figure = course_plot(card)
    (axes,) = figure.axes
    days = [one for one in card.background.course[0].days if one.band.kind == "bounded"]
    line = max((np.array(one.get_xydata()) for one in axes.lines), key=len)
    assert line.tolist() == [[(one.day - days[0].day) / DAY, one.lift.estimate] for one in days]
    band = np.array(axes.collections[0].get_paths()[0].vertices)
    for one in days:
        ends = band[band[:, 0] == (one.day - days[0].day) / DAY, 1]
        assert (ends.min(), ends.max()) == (one.band.low, one.band.high)
    assert axes.get_title(loc="left") == "revenue per visitor: free-shipping against “control”"
    looks = [one for one in card.background.changes if one.kind == "look"]
    legend = [text.get_text() for text in figure.texts]
    assert all(any(one.text[:60] in line for line in legend) for one in looks)
    assert len(looks) > 1


def test_visitors_are_drawn_against_the_planned_split(cards):
    """A bar a day and arm; the line is the arm's planned share of all who came that day, by the split of its phase."""
    card = cards["two-phases"]
    days = card.background.exposures
    figure = exposure_plot(card)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["control", "small", "large"]
    for axes in figure.axes:
        arm = axes.get_title(loc="left")
        bars = [bar.get_height() for bar in axes.containers[0]]
        assert bars == [one.visitors.get(arm, 0) for one in days]
        (line,) = [one for one in axes.patches if isinstance(one, StepPatch)]
        planned = [sum(one.visitors.values()) * one.shares.get(arm, 0.0) for one in days]
        assert line.get_data()[0] == pytest.approx(planned)
    assert len({tuple(one.shares.items()) for one in days}) == 2


def test_every_chart_of_the_shelf_is_written(cards, tmp_path):
    """Twelve arms, markup, long and right-to-left names and few orders give files; what is not read gives none."""
    written = {
        key: [path.name for path in write_charts(card, tmp_path)] for key, card in cards.items() if any(charts(card))
    }
    assert "names-lift-by-day.png" in written["names"]
    assert "twelve-arms-visitors-by-day.png" in written["twelve-arms"]
    assert not {"app-banner", "no-outcomes", "not-looked-at-yet", "a-draft"} & set(written)
    assert len(course_plot(cards["twelve-arms"]).axes) == 4
    assert any(SCRIPT[:20] in axes.get_title(loc="left") for axes in course_plot(cards["names"]).axes)


def test_what_is_withheld_has_no_course(cards):
    """Before the first look, and without what is read for a page alone, there is no lift by day."""
    assert course_plot(cards["not-looked-at-yet"]) is None
    alone = replace(cards["cart-free-shipping"], background=None)
    assert course_plot(alone) is exposure_plot(alone) is None
    assert [name for name, _ in charts(alone)] == ["lifts", "money"]
