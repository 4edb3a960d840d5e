"""The numbers day by day, as a tree and as a page."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from offerlift.reports import course, render_course
from offerlift.stats import Moments, sequential_sample_ratio_test
from offerlift.storage.series import Series

from .conftest import NOW, definition

LOCAL = timezone(timedelta(hours=2))


def moments(columns, values):
    return Moments.from_arrays(dict.fromkeys(columns, values))


@pytest.fixture
def series():
    """Two days on which nobody came, only others; then 4 against 1 visitors, then 40 against 40."""
    made = replace(definition(), utc_offset_minutes=120)

    def rows(metric, counts):
        return tuple(moments(metric.moment_columns, [float(i % 2) for i in range(n)]) for n in counts)

    courses = {
        metric.name: {"control": rows(metric, [0, 90, 100]), "b": rows(metric, [0, 10, 100])} for metric in made.metrics
    }
    days = tuple(datetime(2026, 2, day, tzinfo=LOCAL) for day in (1, 2, 3))
    return Series(made, 2, NOW, days, {1: {}, 2: courses})


def test_a_course_has_the_days_of_its_phase(series):
    """From the phase's first visitor on: visitors, values and standard errors of every metric and arm."""
    found = course(series)
    assert [(day.day, day.visitors) for day in found.days] == [
        ("2026-02-02", {"control": 90, "b": 10}),
        ("2026-02-03", {"control": 100, "b": 100}),
    ]
    first = next(row for row in found.days[0].metrics if row.metric == "revenue_per_visitor")
    assert (first.unit, first.arms[1].n, first.arms[1].value) == ("EUR", 10, 0.5)
    assert first.arms[1].standard_error == pytest.approx((0.25 * 10 / 9 / 10) ** 0.5)


def test_the_split_keeps_its_smallest_p_value(series):
    """A split that was wrong on one day stays so, however well later days fill it up."""
    first, second = course(series).days
    assert first.srm_p_value == sequential_sample_ratio_test([90, 10], [1, 1]).p_value < 1e-6
    assert second.srm_p_value == first.srm_p_value


def test_the_course_is_plain_json(series):
    """The JSON has every field, dates as text, and nothing that JSON does not know."""
    found = json.loads(json.dumps(course(series).to_dict(), allow_nan=False))
    assert (found["by"], found["view"], found["phase"], found["utc_offset_minutes"]) == ("day", "running", 2, 120)
    assert found["days"][0]["visitors"] == {"control": 90, "b": 10}
    assert set(found["days"][0]["metrics"][0]["arms"][0]) == {"arm", "n", "value", "standard_error"}


def test_the_page_fits(series):
    """Every day and metric is on the page, at most 100 columns wide; without visitors it says so."""
    page = render_course(course(series))
    assert all(len(line) <= 100 for line in page.splitlines())
    assert page.count("2026-02-03") == 1 + len(series.definition.metrics)
    assert "REVENUE PER VISITOR" in page
    empty = course(replace(series, days=(), by_phase={2: {name: {} for name in series.moments}}))
    assert "Nobody was exposed yet." in render_course(empty)
