"""Caps: one for all arms, from orders before the experiment."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.stats import Histogram, cap_from_orders, capped_moments, compare_means


def test_cap_is_a_percentile_of_orders():
    """99.9 % of 10,000 orders do not exceed the cap, from raw values or from their histogram."""
    values = np.random.default_rng(1).lognormal(3, 1, 10_000)
    cap = cap_from_orders(values)
    assert (values > cap).sum() == 10
    binned = cap_from_orders(Histogram.of(np.round(values * 100).astype(int).tolist(), scale=100))
    assert binned == pytest.approx(cap, rel=0.05)


def test_capped_values():
    """No value is above the cap, others stay, negative ones too; the companion's difference is that of capped means."""
    arms = {"c": [0.0, 10.0, 900.0], "t": [0.0, -5.0, 40.0]}
    moments = capped_moments(arms, 50.0)
    assert moments["c"].sum_of("capped") == pytest.approx(60)
    assert moments["t"].sum_of("capped") == pytest.approx(35)
    difference = compare_means(moments["t"], moments["c"], "capped").difference
    assert difference.estimate == pytest.approx(-25 / 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cap_from_orders(range(1, 2000), share=0.95), "from 0.99"),
        (lambda: cap_from_orders(range(1, 500)), "499 orders do not tell"),
        (lambda: cap_from_orders(Histogram.of(range(1, 500))), "499 orders do not tell"),
        (lambda: cap_from_orders([]), "0 orders"),
        (lambda: capped_moments({"c": [1.0]}, float("nan")), "finite amount"),
        (lambda: capped_moments({"c": [1.0]}, 0.0), "finite amount"),
        (lambda: capped_moments({"c": [1.0]}, [1.0, 2.0]), "a cap for each arm"),
    ],
)
def test_refused_caps(make, message):
    """Caps that take an effect away, or that nobody could have known before, are refused with the value seen."""
    with pytest.raises(InputError, match=message):
        make()
