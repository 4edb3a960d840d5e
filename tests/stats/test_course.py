"""The course of a difference by days since exposure."""

# The arms come from a generator of two, which pyright does not count.
# pyright: reportCallIssue=false

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offerlift.errors import InputError
from offerlift.stats import Moments, compare_means, course_since_exposure

DAYS = {7: "week", 14: "two", 28: "month"}


def visitors(rng, n, first, second, third):
    """Orders in days 1 to 7, 8 to 14 and 15 to 28 after the exposure; who is keen is keen throughout."""
    keen = rng.gamma(2.0, 0.5, n)
    week = rng.poisson(first * keen).astype(float)
    two = week + rng.poisson(second * keen)
    return {"week": week, "two": two, "month": two + rng.poisson(third * keen)}


def pair(treatment, control, n=4000, seed=121):
    rng = np.random.default_rng(seed)
    return tuple(visitors(rng, n, *rates) for rates in (treatment, control))


def read(treatment, control, **options):
    arms = (Moments.from_arrays(data) for data in pair(treatment, control))
    return course_since_exposure(*arms, DAYS, **options)


def test_every_difference_is_welchs():
    """Cumulative differences are those of the columns, and differences in between those of the days by themselves."""
    t, c = pair((0.5, 0.2, 0.3), (0.4, 0.2, 0.3))
    found = course_since_exposure(Moments.from_arrays(t), Moments.from_arrays(c), DAYS)
    whole = {"week": ("week", None), "two": ("two", "week"), "month": ("month", "two")}
    for one, (name, before) in zip(found.days, whole.values(), strict=True):
        for seen, less in ((one.cumulative, None), (one.since_before, before)):
            arms = [Moments.from_arrays({"x": data[name] - (data[less] if less else 0)}) for data in (t, c)]
            expected = compare_means(*arms, "x").difference
            for field in ("estimate", "se", "df", "low", "high", "p_value"):
                assert getattr(seen, field) == pytest.approx(getattr(expected, field), rel=1e-9)
    later = compare_means(*(Moments.from_arrays({"x": data["month"] - data["week"]}) for data in (t, c)), "x")
    assert found.later_difference.p_value == pytest.approx(later.difference.p_value)
    pace = compare_means(
        *(Moments.from_arrays({"x": (data["month"] - data["week"]) / 21 - data["week"] / 7}) for data in (t, c)), "x"
    )
    assert found.change_of_pace.estimate == pytest.approx(pace.difference.estimate)
    assert found.change_of_pace.se == pytest.approx(pace.difference.se)


@pytest.mark.parametrize(
    ("treatment", "control", "reading", "wears_off"),
    [
        ((0.6, 0.1, 0.2), (0.4, 0.2, 0.3), "falls back", True),
        ((0.6, 0.2, 0.3), (0.4, 0.2, 0.3), "holds", True),
        ((0.6, 0.4, 0.6), (0.4, 0.2, 0.3), "grows", None),
        ((0.4, 0.2, 0.3), (0.4, 0.2, 0.3), "no early difference", None),
        ((0.4, 0.2, 0.3), (0.6, 0.1, 0.2), "falls back", True),
        ((0.4, 0.2, 0.3), (0.6, 0.4, 0.6), "grows", None),
    ],
)
def test_readings(treatment, control, reading, wears_off):
    """Pull-forward, a gain that stays, one that grows, none; and a loss is read mirrored."""
    found = read(treatment, control)
    assert found.reading == reading
    assert found.label.startswith("descriptive")
    if wears_off is not None:
        assert found.wears_off is wears_off
    if reading == "no early difference":
        assert found.wears_off is None
        assert found.given_back.kind == "undefined"


def test_the_share_given_back():
    """Minus the later difference over the early one, with a set that leaves out 0 where the later difference does."""
    found = read((0.6, 0.1, 0.2), (0.4, 0.2, 0.3))
    back = found.given_back
    assert back.estimate == pytest.approx(-found.later_difference.estimate / found.early_difference.estimate)
    assert back.kind == "bounded"
    assert 0 < back.low < back.estimate < back.high
    assert found.later_difference.high < 0


def test_the_days_between_which_is_tested_are_named():
    """Other early and late days than the first and last move the test, and nothing else."""
    whole, part = (read((0.6, 0.1, 0.2), (0.4, 0.2, 0.3), **named) for named in ({}, {"early": 14, "late": 28}))
    assert whole.days == part.days
    assert (part.early, part.late) == (14, 28)
    assert part.later_difference == part.days[2].since_before
    assert part.early_difference == part.days[1].cumulative


@settings(deadline=None, max_examples=25)
@given(st.floats(0.001, 1000), st.integers(0, 1000))
def test_swapped_arms_and_money(factor, seed):
    """Swapped arms change every sign and no reading; another currency scales every difference."""
    t, c = pair((0.5, 0.15, 0.3), (0.4, 0.2, 0.3), n=500, seed=seed)
    first = course_since_exposure(Moments.from_arrays(t), Moments.from_arrays(c), DAYS)
    swapped = course_since_exposure(Moments.from_arrays(c), Moments.from_arrays(t), DAYS)
    scaled = course_since_exposure(
        *(Moments.from_arrays({k: x * factor for k, x in data.items()}) for data in (t, c)), DAYS
    )
    assert first.reading == swapped.reading == scaled.reading
    assert first.wears_off is swapped.wears_off
    assert scaled.wears_off is first.wears_off
    for one, two, three in zip(first.days, swapped.days, scaled.days, strict=True):
        assert two.since_before.estimate == pytest.approx(-one.since_before.estimate)
        assert (two.cumulative.low, two.cumulative.high) == pytest.approx((-one.cumulative.high, -one.cumulative.low))
        assert three.since_before.se == pytest.approx(factor * one.since_before.se, rel=1e-6)


def test_nothing_later_is_insufficient():
    """Where nobody brought anything after the early day there is no later difference to test: a status and a reason."""
    t = Moments.from_arrays({"week": [0.0, 1.0, 2.0], "month": [0.0, 1.0, 2.0]})
    found = course_since_exposure(t, t, {7: "week", 28: "month"})
    assert (found.status, found.reading) == ("insufficient", "insufficient")
    assert found.reason == "the outcome does not vary from day 7 to 28"
    assert found.days[0].cumulative is not None
    assert found.days[1].since_before is None
    one = Moments.from_arrays({"week": [1.0], "month": [2.0]})
    assert "fewer than two visitors" in course_since_exposure(one, t, {7: "week", 28: "month"}).reason


@pytest.mark.parametrize(
    ("columns", "options", "seen"),
    [
        ({7: "week"}, {}, "1 days"),
        ({0: "week", 7: "two"}, {}, "day 0"),
        (DAYS, {"early": 8}, "early is 8"),
        (DAYS, {"late": 30}, "late 30"),
        (DAYS, {"early": 14, "late": 7}, "early is 14"),
        ({7: "week", 28: "year"}, {}, "'year'"),
        (DAYS, {"alpha": 1}, "alpha is 1"),
    ],
)
def test_refused(columns, options, seen):
    """Days that are no course are refused, with the value seen."""
    arms = [Moments.from_arrays(data) for data in pair((0.5, 0.2, 0.3), (0.4, 0.2, 0.3), n=100)]
    with pytest.raises(InputError, match=seen):
        course_since_exposure(*arms, columns, **options)


def test_a_gain_that_stays_falls_back_in_one_of_forty():
    """Where nothing is given back, "falls back" is read in 2.5 % of 2,000 experiments; the share covers 95 %."""
    rng, runs, fell, covered = np.random.default_rng(122), 2_000, 0, 0
    for _ in range(runs):
        t, c = (Moments.from_arrays(visitors(rng, 400, first, 0.2, 0.3)) for first in (0.9, 0.4))
        found = course_since_exposure(t, c, DAYS)
        assert found.reading != "no early difference"
        fell += found.reading == "falls back"
        covered += found.given_back.low <= 0 <= found.given_back.high
    assert fell / runs == pytest.approx(0.025, abs=3.5 * math.sqrt(0.025 * 0.975 / runs))
    assert covered / runs == pytest.approx(0.95, abs=3.5 * math.sqrt(0.95 * 0.05 / runs))


def test_the_share_given_back_is_covered():
    """Where half of the early gain is lost again, the set holds a half in 95 % of 2,000 experiments.

    Visitors who are keen in the first week are keen later: the covariance of the two differences counts.
    """
    rng, runs, covered = np.random.default_rng(123), 2_000, 0
    for _ in range(runs):
        t, c = (Moments.from_arrays(visitors(rng, 400, *rates)) for rates in ((0.9, 0.05, 0.2), (0.4, 0.2, 0.3)))
        back = course_since_exposure(t, c, DAYS).given_back
        assert back.kind == "bounded"
        covered += back.low <= 0.5 <= back.high
    assert covered / runs == pytest.approx(0.95, abs=3.5 * math.sqrt(0.95 * 0.05 / runs))
