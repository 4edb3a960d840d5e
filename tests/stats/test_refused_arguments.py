"""Impossible levels, shares and priors are refused; what is possible but extreme stays a number."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import math

import pytest
from offerlift.errors import InputError
from offerlift.stats import (
    Difference,
    anytime_interval,
    beta_posteriors,
    compare_adjusted,
    compare_means,
    compare_proportions,
    dunnett_critical,
    e_value,
    homogeneity_test,
    log_e_value,
    mixture_boundary,
    normal_posteriors,
    sample_ratio_test,
    sequential_sample_ratio_test,
    tuning_one_look,
    tuning_without_plan,
)

from .samples import zeros_and_ones


def test_huge_evidence_does_not_overflow():
    """z = 1e6 gives an infinite e-value, its logarithm, and a p-value of 0 without a warning."""
    assert e_value(1e6, 5.0) == math.inf
    assert log_e_value(1e6, 5.0) == pytest.approx(5 / 12 * 1e12)
    assert anytime_interval(Difference(1e6, 1.0, math.inf, 0, 0, 0, ""), a=5.0).p_value == 0
    assert tuning_without_plan(20_000) == tuning_one_look()


@pytest.mark.parametrize("se", [0.0, float("nan")])
def test_anytime_needs_a_standard_error(se):
    """No standard error, no interval."""
    with pytest.raises(InputError, match="standard error"):
        anytime_interval(Difference(1.0, se, math.inf, 0, 0, 0, ""), a=1.0)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, float("nan"), 5])
def test_impossible_levels(alpha):
    """A level outside (0, 1), such as 5 for 5 %, is refused everywhere."""
    t, c = zeros_and_ones(3, 10), zeros_and_ones(4, 10)
    for call in (
        lambda: compare_means(t, c, "y", alpha=alpha),
        lambda: compare_proportions(t, c, "y", alpha=alpha),
        lambda: compare_adjusted(t, c, "y", [], alpha=alpha),
        lambda: mixture_boundary(1.0, alpha),
        lambda: dunnett_critical([1.0], 1.0, alpha=alpha),
        lambda: beta_posteriors({"c": c, "t": t}, "y", "c", level=alpha),
    ):
        with pytest.raises(InputError, match="between 0 and 1"):
            call()


@pytest.mark.parametrize(
    ("counts", "shares", "words"),
    [
        ([1, 2], [0.5], "2 counts but 1 shares"),
        ({"a": 1, "b": 2}, {"a": 0.5, "c": 0.5}, "arms"),
        ({"a": 1}, [1.0], "name their arms"),
        ([1, -2], [0.5, 0.5], "whole numbers"),
        ([1, 2.5], [0.5, 0.5], "whole numbers"),
        ([1, float("nan")], [0.5, 0.5], "whole numbers"),
        ([1, 2], [0.0, 0.0], "sum above 0"),
        ([1, 2], [-1, 2], "at least 0"),
        ([1, 2], [float("nan"), 1], "at least 0"),
    ],
)
def test_impossible_sample_ratios(counts, shares, words):
    """Counts and shares that do not fit each other are refused, by both tests."""
    for test in (sample_ratio_test, sequential_sample_ratio_test):
        with pytest.raises(InputError, match=words):
            test(counts, shares)


def test_sample_ratio_corners():
    """Nobody yet and one arm give p = 1; visitors where none belong give p = 0 with the arm named; order is free."""
    for test in (sample_ratio_test, sequential_sample_ratio_test):
        assert test([0, 0], [1, 1]).p_value == 1
        assert test([5], [1]).p_value == 1
        stray = test({"a": 10, "b": 1}, {"a": 1.0, "b": 0.0})
        assert stray.p_value == 0
        assert "visitors in b" in stray.reason
        assert test({"a": 10, "b": 0}, {"a": 1.0, "b": 0.0}).p_value == 1
        assert test({"a": 30, "b": 10}, {"b": 1, "a": 3}).p_value == 1
        assert 0 <= test([10**9, 10**9 + 1], [1, 1]).p_value <= 1
    assert sample_ratio_test([10**9, 10**9 - 10**6], [1, 1]).p_value < 1e-100


def test_homogeneity_corners():
    """Nothing, everything or a single arm converting is no difference; more successes than visitors is refused."""
    assert homogeneity_test([0, 0], [5, 9]).p_value == 1
    assert homogeneity_test([5, 9], [5, 9]).p_value == 1
    assert homogeneity_test([2, 0], [5, 0]).p_value == 1
    with pytest.raises(InputError, match="exceed"):
        homogeneity_test([6, 1], [5, 9])


@pytest.mark.parametrize(
    "call",
    [
        lambda: dunnett_critical([], 1.0),
        lambda: dunnett_critical([1.0, -1.0], 1.0),
        lambda: dunnett_critical([0.0], 0.0),
        lambda: dunnett_critical([1.0], float("nan")),
        lambda: dunnett_critical([1.0], 1.0, df=0.0),
        lambda: dunnett_critical([1.0], 1.0, sides=3),
        lambda: mixture_boundary(0.0),
        lambda: mixture_boundary(float("inf")),
        lambda: log_e_value(float("nan"), 1.0),
        lambda: sequential_sample_ratio_test([1, 2], [1, 1], concentration=0),
        lambda: normal_posteriors({"c": (1.0, 1.0)}, "t"),
        lambda: normal_posteriors({"c": (1.0, -1.0)}, "c"),
        lambda: normal_posteriors({"c": (float("nan"), 1.0)}, "c"),
        lambda: normal_posteriors({"c": (1.0, 1.0), "t": (1.0, 1.0)}, "c", prior_lift=(0.0, 0.0)),
        lambda: normal_posteriors({"c": (0.0, 1.0), "t": (1.0, 1.0)}, "c", prior_lift=(0.0, 0.1)),
        lambda: beta_posteriors({"c": zeros_and_ones(1, 2)}, "y", "c", prior=(0, 1)),
        lambda: beta_posteriors({"c": zeros_and_ones(1, 2)}, "y", "c", direction="up"),
    ],
)
def test_refused(call):
    """Impossible arguments are refused with an InputError."""
    with pytest.raises(InputError):
        call()
