"""Sample ratios within days and segments, and of triggered visitors."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import numpy as np
import pytest
from offerlift.stats import homogeneity_test, sample_ratio_by_group, sample_ratio_test


def test_p_values_are_holms():
    """The smallest p-value is times the number of groups, the next times one fewer and never below it, and so on."""
    groups = {"a": {"c": 100, "t": 160}, "b": {"c": 500, "t": 510}, "d": {"c": 300, "t": 370}, "e": {"c": 0, "t": 0}}
    plain = {name: sample_ratio_test(counts, {"c": 1, "t": 1}).p_value for name, counts in groups.items()}
    found = sample_ratio_by_group(groups, {"c": 1, "t": 1})
    assert list(found) == list(groups)
    assert found["a"].p_value == pytest.approx(4 * plain["a"])
    assert found["d"].p_value == pytest.approx(max(4 * plain["a"], 3 * plain["d"]))
    assert found["b"].p_value == found["e"].p_value == 1
    assert found["a"].statistic == sample_ratio_test(groups["a"], {"c": 1, "t": 1}).statistic


def test_healthy_groups_rarely_warn():
    """Thirty healthy days raise any warning at .05 in about 5 % of experiments, where single tests do in 79 %."""
    rng = np.random.default_rng(1)
    runs, warned, single = 1000, 0, 0
    for _ in range(runs):
        days = {day: {"c": int(x), "t": 400 - int(x)} for day, x in enumerate(rng.binomial(400, 0.5, 30))}
        found = sample_ratio_by_group(days, {"c": 1, "t": 1})
        warned += min(test.p_value for test in found.values()) < 0.05
        single += min(sample_ratio_test(counts, {"c": 1, "t": 1}).p_value for counts in days.values()) < 0.05
    assert 0.025 < warned / runs < 0.075
    assert single / runs > 0.7


def test_one_bad_segment_is_found():
    """A segment that loses 15 % of one arm is named, also where the overall split looks healthy."""
    groups = {"desktop": {"c": 20_000, "t": 20_300}, "app": {"c": 2000, "t": 1700}}
    overall = {arm: sum(group[arm] for group in groups.values()) for arm in "ct"}
    assert sample_ratio_test(overall, {"c": 1, "t": 1}).p_value > 0.1
    found = sample_ratio_by_group(groups, {"c": 1, "t": 1})
    assert found["app"].p_value < 0.001 < found["desktop"].p_value


def test_of_no_groups_there_is_no_test():
    """Without groups there is nothing to warn of."""
    assert sample_ratio_by_group({}, {"c": 1, "t": 1}) == {}
    assert homogeneity_test([0, 0], [5, 5]).p_value == 1
