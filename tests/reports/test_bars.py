"""Interval bars: where their parts lie, and what their shapes say."""

from __future__ import annotations

import re

import pytest
from offerlift.reports.bars import Scale, axis, bar, lift_scale, tone
from offerlift.reports.tree import LiftRow


def row(low, estimate, high, kind="bounded"):
    return LiftRow(kind, estimate, low, high)


def test_parts_lie_where_their_values_do():
    """On a scale from -50 % to +50 % with 4 % of room at either end, +25 % is at 73 %."""
    drawn = bar(row(-0.25, 0.0, 0.25), Scale(-0.5, 0.5))
    line = re.search(r'<line x1="([\d.]+)%" x2="([\d.]+)%"', drawn)
    assert [float(x) for x in line.groups()] == [27, 73]
    assert re.search(r'<line class="zero" x1="50\.00%" x2="50\.00%"', drawn)


@pytest.mark.parametrize(("low", "high", "said"), [(0.1, 0.3, "above"), (-0.3, -0.1, "below"), (-0.1, 0.1, "open")])
def test_the_shape_says_on_which_side_of_no_effect_it_lies(low, high, said):
    """A triangle up, a triangle down, a circle: not the colour alone."""
    found = tone(low, high)
    assert found == said
    drawn = {one: bar(row(low, 0.2, high), Scale(-0.5, 0.5), tone=one) for one in ("above", "below", "open")}
    marks = {re.search(r'class="mark" d="([^"]+)"', one).group(1) for one in drawn.values()}
    assert len(marks) == 3


def test_what_leaves_the_scale_is_an_arrow():
    """An end beyond the scale or without a number; an estimate beyond it has no mark."""
    scale = Scale(-0.5, 0.5)
    assert bar(row(-0.2, 0.0, 0.2), scale).count("<path") == 1
    assert bar(row(-0.2, 0.0, 0.9), scale).count("<path") == 2
    assert bar(row(None, 0.0, 0.9, "unbounded"), scale).count("<path") == 3
    assert "mark" not in bar(row(0.2, 0.8, 0.9), scale)
    assert "<g" not in bar(LiftRow(), scale)


def test_one_wide_interval_does_not_flatten_the_others():
    """The scale goes three times the median reach, and 0 and margins are always on it."""
    lifts = [row(-0.1, 0.0, 0.1), row(-0.1, 0.0, 0.2), row(-0.9, 0.5, 9.0)]
    scale = lift_scale(lifts, [-0.4])
    assert scale.high == pytest.approx(0.6)
    assert scale.low == pytest.approx(-0.6)
    assert lift_scale([row(0.2, 0.3, 0.4)]).low == 0
    assert lift_scale([LiftRow()]) == Scale(-0.1, 0.1)


@pytest.mark.parametrize("reach", [0.004, 0.03, 0.3, 2.0, 9.0, 40.0])
def test_ticks_are_few_and_have_no_effect_among_them(reach):
    """At most five round values, 0 one of them, on scales of any size."""
    ticks = Scale(-reach / 2, reach).ticks()
    assert 1 <= len(ticks) <= 5
    assert 0 in ticks


def test_names_in_figures_are_text():
    """Titles, descriptions and the name of the line are escaped."""
    drawn = bar(row(0.1, 0.2, 0.3), Scale(0, 1), said=("<b>", "a & b"))
    assert "<title>&lt;b&gt;</title><desc>a &amp; b</desc>" in drawn
    assert "&lt;script&gt;" in axis(Scale(-1, 1), str, "<script>")


def test_ticks_that_would_touch_are_left_out():
    """Where there is least room 0 stays, then what is farthest from it; in their order, and none touches another."""
    wide, narrow = (axis(Scale(-0.8, 6.4), lambda x: f"{x:+.0%}", most=4, narrowest=size) for size in (600, 112))
    assert re.findall(r">([^<>]+)</text>", wide) == ["+0%", "+200%", "+400%", "+600%"]
    assert re.findall(r">([^<>]+)</text>", narrow) == ["+0%", "+600%"]
