"""Differences as money: a week, a horizon, a campaign."""

# A None where a number belongs fails the test, as it should.
# pyright: reportCallIssue=false

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offerlift.errors import InputError
from offerlift.stats import (
    Audience,
    Difference,
    Lift,
    RatioInterval,
    campaign_total,
    customer_value,
    money_per_week,
    repeated_interval,
)

WEEK = money_per_week((0.10, 0.02, 0.18), 10_000)


def test_the_interval_that_is_given_decides():
    """A difference's own interval, or a wider repeated one, is what is multiplied: end by end."""
    fixed = Difference(0.10, 0.04, math.inf, 0.02, 0.18, 0.01, "welch")
    repeated = repeated_interval(fixed.estimate, fixed.se, 2.96)
    assert (WEEK.estimate, WEEK.low, WEEK.high) == pytest.approx((1000, 200, 1800))
    assert money_per_week(fixed, 10_000) == WEEK
    wide = money_per_week(fixed, 10_000, interval=repeated)
    assert wide.estimate == WEEK.estimate
    assert campaign_total(fixed, 10_000, interval=repeated).low == wide.low
    assert customer_value(fixed, 10_000, horizon_days=9, measured_days=9, interval=repeated).high == wide.high
    assert (wide.low, wide.high) == pytest.approx((10_000 * repeated.low, 10_000 * repeated.high))
    assert wide.low < 0 < WEEK.low


@pytest.mark.parametrize(
    ("ends", "low", "high"),
    [
        ((0.1, 0.05, 0.2), 0.05 * 900, 0.2 * 1200),
        ((-0.1, -0.2, -0.05), -0.2 * 1200, -0.05 * 900),
        ((0, -0.1, 0.1), -120, 120),
    ],
)
def test_an_uncertain_audience_widens_both_ends_and_moves_no_sign(ends, low, high):
    """The smallest and largest product of the two intervals: further out, and on the same side of 0."""
    found = money_per_week(ends, Audience(1000, 900, 1200))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.estimate == pytest.approx(ends[0] * 1000)


@settings(deadline=None, max_examples=80)
@given(
    st.tuples(*[st.integers(-10_000, 10_000)] * 3).map(lambda cents: sorted(x / 100 for x in cents)),
    st.tuples(*[st.integers(0, 1_000_000)] * 3).map(sorted),
    st.floats(0.01, 1000),
)
def test_money_scales_with_currency_and_visitors(ends, visitors, factor):
    """Another currency or as many times the visitors multiply all three; the sign is the difference's."""
    low, estimate, high = ends
    fewest, seen, most = visitors
    first = money_per_week((estimate, low, high), Audience(seen, fewest, most))
    for other in (
        money_per_week((estimate * factor, low * factor, high * factor), Audience(seen, fewest, most)),
        money_per_week((estimate, low, high), Audience(seen * factor, fewest * factor, most * factor)),
    ):
        assert (other.estimate, other.low, other.high) == pytest.approx(
            (first.estimate * factor, first.low * factor, first.high * factor), rel=1e-9, abs=1e-6
        )
    assert first.low <= first.estimate <= first.high
    if fewest > 0:
        assert np.sign(first.low) == np.sign(low * most)


def test_the_week_of_an_experiment_is_scaled_to_all_who_are_eligible():
    """20,000 visitors in two weeks at a tenth of the traffic are 100,000 a week, give or take the count's root."""
    found = Audience.weekly(20_000, days=14, traffic=0.1)
    assert found.visitors == pytest.approx(100_000)
    assert (found.low, found.high) == pytest.approx((100_000 - 5 * 1.96 * 141.4, 100_000 + 5 * 1.96 * 141.4), rel=1e-4)
    assert Audience.weekly(0, days=7).low == 0


def test_a_horizon_takes_the_cost_off_once():
    """So many weeks' money less the switching cost, at the estimate and at both ends alike."""
    found = WEEK.over(10, switching_cost=3000)
    assert (found.estimate, found.low, found.high) == pytest.approx((7000, -1000, 15_000))
    assert (found.period, found.weeks, found.visitors, found.switching_cost) == ("horizon", 10, 100_000, 3000)
    assert WEEK.per_year().estimate == pytest.approx(1000 * 365.25 / 7)
    assert WEEK.per_week() is WEEK


def test_one_off_campaigns_are_never_annualised():
    """A campaign has a total: asking for a week, a year or a horizon of it is an error, by every way there."""
    sale = campaign_total((0.10, 0.02, 0.18), 40_000, cost=500)
    assert (sale.estimate, sale.low, sale.high) == pytest.approx((3500, 300, 6700))
    for ask in (sale.per_week, sale.per_year, lambda: sale.over(2)):
        with pytest.raises(InputError, match="one-off campaign"):
            ask()
    with pytest.raises(InputError, match="came once"):
        money_per_week((0.10, 0.02, 0.18), Audience(40_000, once=True))
    with pytest.raises(InputError, match="came once"):
        customer_value((0.1, 0, 0.2), Audience(40_000, once=True), horizon_days=30, measured_days=30)
    assert campaign_total((0.1, 0.0, 0.2), Audience(40_000)).period == "campaign"


def test_a_horizon_is_no_week():
    """What covers ten weeks has no weekly number, and is not stretched to other weeks."""
    found = WEEK.over(10, switching_cost=3000)
    for ask in (found.per_week, found.per_year, lambda: found.over(2)):
        with pytest.raises(InputError, match="10 weeks"):
            ask()


def test_customer_value_is_of_the_horizon_that_was_measured():
    """Ninety days of value need a metric of ninety days: thirty are not stretched."""
    found = customer_value((0.5, 0.2, 0.8), 1000, horizon_days=90, measured_days=90, net_of=("refunds",))
    assert (found.estimate, found.measured_days, found.net_of) == (500, 90, ("refunds",))
    with pytest.raises(InputError, match="90 days from a difference that was measured over 30 days"):
        customer_value((0.5, 0.2, 0.8), 1000, horizon_days=90, measured_days=30)


def test_an_open_end_stays_open():
    """Where the interval has no upper end the money has none either; the rest is multiplied."""
    found = money_per_week(RatioInterval("unbounded", 0.1, 0.02, None, "why"), 1000)
    assert (found.estimate, found.low, found.high) == (100, 20, None)
    later = found.over(2, switching_cost=10)
    assert (later.low, later.high) == (30, None)


@pytest.mark.parametrize(
    ("refused", "seen"),
    [
        (lambda: money_per_week(Lift("bounded", 0.1, 0.0, 0.2), 1000), "not an amount of money"),
        (lambda: money_per_week(RatioInterval("complement", 3.0, 0.1, 0.2), 1000), "'complement'"),
        (lambda: money_per_week((0.3, 0.0, 0.2), 1000), "0.3 from 0.0 to 0.2"),
        (lambda: money_per_week((math.nan, 0.0, 0.2), 1000), "nan"),
        (lambda: money_per_week((0.1, 0.0, 0.2), -1), "-1.0"),
        (lambda: money_per_week((0.1, 0.0, 0.2), math.inf), "inf"),
        (lambda: money_per_week((0.1, 0.0, 0.2), 1, measured_days=0), "0 days"),
        (lambda: money_per_week((0.1, 0.0, 0.2), 1, net_of="refunds"), "net_of is 'refunds'"),
        (lambda: Audience(10, 12, 15), "10 with the ends 12 and 15"),
        (lambda: Audience(10, 5), "5 and None"),
        (lambda: Audience.weekly(10, days=0), "0 days"),
        (lambda: Audience.weekly(10, days=7, traffic=1.2), "1.2"),
        (lambda: Audience.weekly(-1, days=7), "-1 visitors"),
        (lambda: WEEK.over(0), "0 weeks"),
        (lambda: WEEK.over(1, switching_cost=-1), "-1"),
        (lambda: campaign_total((0.1, 0.0, 0.2), 1, cost=-2), "-2"),
    ],
)
def test_refused(refused, seen):
    """What is no money is refused, with the value seen."""
    with pytest.raises(InputError) as error:
        refused()
    assert seen in str(error.value)


@pytest.mark.parametrize(("z", "spread"), [(0.0, 0.1), (2.0, 0.1), (10.0, 0.1)])
def test_coverage_with_an_uncertain_audience(z, spread):
    """At least 95 % of 20,000 intervals hold the true money, whichever of the two is the less certain."""
    rng, runs, covered = np.random.default_rng(91), 20_000, 0
    for d, off in zip(rng.normal(z, 1, runs).tolist(), rng.normal(0, spread, runs).tolist(), strict=True):
        n, margin = 1000 * (1 + off), 1000 * 1.96 * spread
        found = money_per_week((d, d - 1.96, d + 1.96), Audience(n, max(n - margin, 0), n + margin))
        covered += found.low <= 1000 * z <= found.high
    assert covered / runs > 0.95 - 3.5 * math.sqrt(0.95 * 0.05 / runs)
