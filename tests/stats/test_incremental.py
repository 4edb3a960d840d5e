"""Who would have bought anyway."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from offerlift.errors import InputError
from offerlift.stats import Moments, compare_means, incrementality

COLUMNS = {"orders": "orders", "margin": "margin", "cost": "cost"}


def arm(n, orders, margin, cost):
    bought = np.repeat([1.0, 0.0], [orders, n - orders])
    return Moments.from_arrays({"orders": bought, "margin": margin * bought, "cost": cost * bought})


def drawn(rng, n, rate, cost):
    """Visitors with an order or none; margins net of the offer's cost."""
    bought = rng.random(n) < rate
    size = np.where(bought, rng.lognormal(-0.32, 0.8, n), 0.0)
    return Moments.from_arrays({"orders": bought.astype(float), "margin": (12 - cost) * size, "cost": cost * size})


def test_the_split_of_a_known_offer():
    """100 orders in the control, 150 in the treatment: a third of the orders and of the cost is the offer's."""
    found = incrementality(arm(1000, 150, 8.0, 4.0), arm(1000, 100, 12.0, 0.0), **COLUMNS)
    assert found.share_incremental.estimate == pytest.approx(1 / 3)
    assert (found.cost.estimate, found.cost_incremental.estimate) == pytest.approx((0.6, 0.2))
    assert found.cost_non_incremental.estimate == pytest.approx(0.4)
    # 600 in all for 50 orders more.
    assert found.cost_per_incremental_order.estimate == pytest.approx(12.0)


def test_the_offer_pays_exactly_above_its_break_even_lift():
    """Margin a visitor is above the control's where the observed lift is above the break-even lift, and equal at it."""
    control = arm(10_000, 1000, 12.0, 0.0)
    for orders in (1400, 1500, 1600):
        treatment = arm(10_000, orders, 8.0, 4.0)
        found = incrementality(treatment, control, **COLUMNS)
        gain = treatment.mean_of("margin") - control.mean_of("margin")
        ahead = found.observed_lift.estimate - found.break_even_lift.estimate
        assert found.break_even_lift.estimate == pytest.approx(0.5)
        assert math.copysign(1, round(gain, 9)) == math.copysign(1, round(ahead, 9))
        assert (abs(gain) < 1e-9) == (abs(ahead) < 1e-9)


def test_the_share_agrees_with_the_test_of_orders():
    """The incremental share leaves out 0 exactly where the difference of orders does."""
    for orders in (100, 118, 140):
        t, c = arm(1000, orders, 8.0, 4.0), arm(1000, 100, 12.0, 0.0)
        found = incrementality(t, c, **COLUMNS)
        difference = compare_means(t, c, "orders").difference
        assert (found.share_incremental.low > 0) == (difference.low > 0)
        assert found.share_incremental.low < found.share_incremental.estimate < found.share_incremental.high < 1


@pytest.mark.parametrize(("orders", "kind"), [(150, "bounded"), (115, "unbounded"), (99, "undefined")])
def test_cost_per_incremental_order_says_what_is_known(orders, kind):
    """Clearly more orders: two ends. Perhaps more: no upper end, and never a negative one. Not more: no such cost."""
    found = incrementality(arm(1000, orders, 8.0, 4.0), arm(1000, 100, 12.0, 0.0), **COLUMNS).cost_per_incremental_order
    assert found.kind == kind
    if kind == "unbounded":
        assert found.high is None
        assert 0 < found.low < found.estimate
        assert "no upper limit" in found.reason
    if kind == "undefined":
        assert found.estimate is None
        assert "no more orders" in found.reason


def test_the_cost_per_order_is_bounded_exactly_where_orders_differ():
    """Fieller's set has an upper end where the interval of the difference of orders leaves out 0."""
    for orders in range(100, 170, 3):
        t, c = arm(1000, orders, 8.0, 4.0), arm(1000, 99, 12.0, 0.0)
        found = incrementality(t, c, **COLUMNS)
        assert (found.cost_per_incremental_order.kind == "bounded") == (
            compare_means(t, c, "orders").difference.low > 0
        )


def test_fewer_orders_cost_all_of_it_for_nothing():
    """Where the treatment has fewer orders, none of the cost is for incremental ones, with an interval and a reason."""
    found = incrementality(arm(1000, 90, 8.0, 4.0), arm(1000, 100, 12.0, 0.0), **COLUMNS)
    assert found.share_incremental.estimate < 0
    assert found.cost_incremental.estimate == 0
    assert found.cost_incremental.low == 0
    assert found.cost_incremental.high > 0
    assert found.cost_non_incremental.estimate == found.cost.estimate
    assert "would have come anyway" in found.reason


def test_delta_errors_by_simulation():
    """The standard errors of both parts of the cost are the spread of their estimates over 4,000 experiments."""
    rng = np.random.default_rng(81)
    estimates, errors = [], []
    for _ in range(4_000):
        found = incrementality(drawn(rng, 1500, 0.3, 4.0), drawn(rng, 1500, 0.2, 0.0), **COLUMNS)
        parts = found.cost_incremental, found.cost_non_incremental
        estimates.append([one.estimate for one in parts])
        errors.append([one.se for one in parts])
    spread = np.std(estimates, axis=0)
    assert np.mean(errors, axis=0) == pytest.approx(spread, rel=3.5 / math.sqrt(2 * 4_000) + 0.01)


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 80), st.integers(0, 80), st.floats(0.5, 20), st.floats(0, 20), st.floats(0.01, 1000))
def test_parts_add_up_and_money_scales(in_treatment, in_control, margin, cost, rate):
    """The two parts add up to the cost; another currency multiplies costs and leaves shares and lifts."""
    t, c = arm(100, in_treatment, margin, cost), arm(100, in_control, margin, 0.0)
    found = incrementality(t, c, **COLUMNS)
    assume(found.status == "ok")
    assert found.cost_incremental.estimate + found.cost_non_incremental.estimate == pytest.approx(found.cost.estimate)
    assert found.cost_incremental.low >= 0
    assert found.cost_non_incremental.low >= 0
    other = incrementality(
        arm(100, in_treatment, margin * rate, cost * rate), arm(100, in_control, margin * rate, 0.0), **COLUMNS
    )
    assert other.share_incremental == found.share_incremental
    assert other.break_even_lift.estimate == (
        None if found.break_even_lift.estimate is None else pytest.approx(found.break_even_lift.estimate, abs=1e-9)
    )
    one, two = found.cost_per_incremental_order, other.cost_per_incremental_order
    # Costs of every buyer alike make the set's form a matter of rounding where it is about to open.
    if one.kind == two.kind == "bounded":
        assert (two.low, two.high) == pytest.approx((one.low * rate, one.high * rate), rel=1e-6, abs=1e-9)


def test_no_margin_has_no_break_even():
    """Orders that lose money break even at no lift, and without a control's margin there is nothing to reach."""
    losing = incrementality(arm(1000, 150, -1.0, 13.0), arm(1000, 100, 12.0, 0.0), **COLUMNS)
    assert losing.break_even_lift.kind == "undefined"
    assert "no lift of orders" in losing.break_even_lift.reason
    empty = incrementality(arm(1000, 150, 8.0, 4.0), arm(1000, 0, 12.0, 0.0), **COLUMNS)
    assert empty.break_even_lift.kind == "undefined"
    assert "control has no orders" in empty.break_even_lift.reason
    assert empty.share_incremental.estimate == 1
    worthless = incrementality(arm(1000, 150, 8.0, 4.0), arm(1000, 100, 0.0, 0.0), **COLUMNS)
    assert "nothing to break even with" in worthless.break_even_lift.reason


@pytest.mark.parametrize(
    ("treatment", "control", "said"),
    [
        (arm(1, 1, 8.0, 4.0), arm(1000, 100, 12.0, 0.0), "1 visitor"),
        (arm(1000, 0, 8.0, 4.0), arm(1000, 100, 12.0, 0.0), "no orders"),
        (arm(10, 10, 8.0, 4.0), arm(10, 10, 12.0, 0.0), "does not vary"),
    ],
)
def test_insufficient(treatment, control, said):
    """Without orders or visitors there is a status and a reason, and not one number."""
    found = incrementality(treatment, control, **COLUMNS)
    assert found.status == "insufficient"
    assert said in found.reason
    assert found.cost is None
    assert found.share_incremental.kind == found.break_even_lift.kind == "undefined"


def test_refused():
    """A column that is not there, and an impossible level."""
    pair = arm(100, 10, 1.0, 1.0), arm(100, 10, 1.0, 1.0)
    with pytest.raises(InputError, match="'gift'"):
        incrementality(*pair, orders="orders", margin="margin", cost="gift")
    with pytest.raises(InputError, match="'profit'"):
        incrementality(*pair, orders="orders", margin="profit", cost="cost")
    with pytest.raises(InputError, match="alpha is 5"):
        incrementality(*pair, **COLUMNS, alpha=5)


def test_coverage():
    """Over 2,000 experiments every interval holds its truth in 95 %, the cost per order its open ones included."""
    rng, runs = np.random.default_rng(82), 2_000
    truth = {"share": 1 / 3, "incremental": 4 * 0.05, "others": 4 * 0.10, "each": 4 * 0.15 / 0.05, "even": 0.5}
    covered = dict.fromkeys(truth, 0)
    some = 0
    for _ in range(runs):
        found = incrementality(drawn(rng, 2000, 0.15, 4.0), drawn(rng, 2000, 0.10, 0.0), **COLUMNS)
        intervals = {
            "share": found.share_incremental,
            "incremental": found.cost_incremental,
            "others": found.cost_non_incremental,
            "each": found.cost_per_incremental_order,
            "even": found.break_even_lift,
        }
        some += found.cost_per_incremental_order.kind == "unbounded"
        for name, one in intervals.items():
            assert getattr(one, "kind", "bounded") in ("bounded", "unbounded")
            covered[name] += (one.low is None or one.low <= truth[name]) and (
                one.high is None or truth[name] <= one.high
            )
    assert some > 0
    for name, hits in covered.items():
        assert hits / runs == pytest.approx(0.95, abs=3.5 * math.sqrt(0.95 * 0.05 / runs)), name
