"""The always-valid interval over several looks, with a plan, and on the scale of the lift."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import math

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.stats import (
    Anytime,
    Difference,
    Estimate,
    anytime_interval,
    anytime_lift,
    mixture_boundary,
    running_anytime,
    tuning_with_plan,
    tuning_without_plan,
)
from scipy.special import ndtri


def difference(estimate, se):
    return Difference(estimate, se, math.inf, 0, 0, 0, "")


def test_tuning_with_a_plan():
    """At the planned end the boundary is 1.563 times the single look's; it is lowest in the middle of the test."""
    at_end = mixture_boundary(tuning_with_plan(1.0, 1.0))
    assert at_end / -ndtri(0.025) == pytest.approx(1.56330, abs=1e-5)
    shares = np.linspace(0.05, 1, 96)
    boundaries = [mixture_boundary(tuning_with_plan(1 / share, 1.0)) for share in shares]
    assert shares[np.argmin(boundaries)] == pytest.approx(0.5)
    # In visitors: tuned to 20,000 when 40,000 are planned.
    assert tuning_with_plan(1 / 7_000, 1 / 40_000) == pytest.approx(tuning_without_plan(7_000))
    for now, end in ((0.0, 1.0), (1.0, -1.0), (math.nan, 1.0), (1.0, math.inf)):
        with pytest.raises(InputError, match="at the end"):
            tuning_with_plan(now, end)


def test_planned_boundary_holds_over_a_hundred_looks():
    """Without an effect at most 5 % of experiments ever leave the interval over a hundred looks, and some do."""
    runs, looks = 20_000, 100
    clocks = np.arange(1, looks + 1) / looks
    s = np.random.default_rng(8).standard_normal((runs, looks)).cumsum(axis=1) / math.sqrt(looks)
    bounds = [mixture_boundary(tuning_with_plan(1 / t, 1.0)) for t in clocks]
    ever = (np.abs(s / np.sqrt(clocks)) >= bounds).any(axis=1).mean()
    assert 0.01 < ever < 0.03


def test_lift_and_difference_agree():
    """The lift's always-valid set leaves out 0 exactly where the difference's interval does, a covariance included."""
    rng = np.random.default_rng(5)
    crossed = 0
    for _ in range(400):
        c = Estimate(rng.uniform(0.3, 3), rng.uniform(0.01, 0.1), 500)
        t = Estimate(c.mean + rng.normal(0, 1), rng.uniform(0.01, 0.1), 500)
        covariance = rng.uniform(-0.5, 0.5) * math.sqrt(t.variance * c.variance)
        se = math.sqrt(t.variance + c.variance - 2 * covariance)
        interval = anytime_interval(difference(t.mean - c.mean, se), a=3.0)
        excluded = anytime_lift(t, c, a=3.0, covariance=covariance).excludes_zero()
        assert excluded == (interval.low > 0 or interval.high < 0) == (interval.p_value < 0.05)
        crossed += excluded
    assert 50 < crossed < 350
    assert anytime_lift(Estimate(1.0, 0.1, 9), Estimate(0.0, 0.1, 9), a=3.0).kind == "undefined"


def test_running_intersection_and_p_value_agree():
    """Over random paths the smallest p is below alpha exactly where the intersection leaves out 0; neither heals."""
    rng = np.random.default_rng(31)
    out = 0
    for _ in range(300):
        s = (rng.standard_normal(30) * 0.2 + 0.09).cumsum()
        looks = [
            anytime_interval(difference(x / v, 1 / math.sqrt(v)), a=tuning_without_plan(v, n0=2.0))
            for x, v in zip(s, 0.04 * np.arange(1, 31), strict=True)
        ]
        low, high, p, excluded = -math.inf, math.inf, 1.0, False
        for k in range(1, 31):
            running = running_anytime(looks[:k])
            assert running.p_value <= p
            assert running.status == "empty" or (running.low >= low and running.high <= high)
            excluded = running.status == "empty" or running.low > 0 or running.high < 0
            assert excluded == (running.p_value < 0.05)
            if running.status == "empty":
                break
            low, high, p = running.low, running.high, running.p_value
        out += excluded
    assert 30 < out < 280


def test_nothing_lies_in_all_intervals():
    """Intervals without a common value give no interval but a reason, and the smaller p-value; no looks, an error."""
    got = running_anytime([Anytime(1.0, 2.0, 0.01, 3.0), Anytime(-2.0, -1.0, 0.02, 3.0)])
    assert (got.status, got.low, got.high, got.p_value) == ("empty", None, None, 0.01)
    assert "not the same at all times" in got.reason
    with pytest.raises(InputError, match="no looks"):
        running_anytime([])
