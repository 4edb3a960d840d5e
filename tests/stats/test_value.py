"""The value of a decision and of waiting, against simulation and limits."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offerlift.errors import InputError
from offerlift.stats import (
    expected_net_gain,
    gain_of_waiting,
    normal_expected_loss,
    value_of_more_visitors,
    value_of_perfect_information,
    value_of_waiting,
)


def test_perfect_information_is_the_expected_loss_of_the_better_choice():
    """Without a cost EVPI is what the choice made now is expected to lose: that of the treatment where E[Δ] > 0."""
    for difference, se in ((0.02, 0.01), (-0.02, 0.01), (0.0, 0.3)):
        loss = normal_expected_loss(-abs(difference), se)
        assert value_of_perfect_information(difference, se) == pytest.approx(loss, rel=1e-9)


@pytest.mark.parametrize("cost", [0.0, 900.0])
def test_perfect_information_by_simulation(cost):
    """E[max(0, NΔ - cost)] - max(0, N E[Δ] - cost) over a million draws."""
    rng, n = np.random.default_rng(31), 100_000
    drawn = np.maximum(n * rng.normal(0.005, 0.02, size=1_000_000) - cost, 0)
    expected = drawn.mean() - max(n * 0.005 - cost, 0)
    found = value_of_perfect_information(0.005, 0.02, n, switching_cost=cost)
    assert found == pytest.approx(expected, abs=3.5 * drawn.std() / 1000)


def test_more_visitors_are_worth_less_than_perfect_information_and_nothing_without_news():
    """EVSI is 0 where the variance stays, rises with what is learnt, and is EVPI where nothing is left to learn."""
    values = [value_of_more_visitors(0.01, 0.0004, after, 1000) for after in (0.0004, 0.0003, 0.0001, 0.0)]
    assert values[0] == 0
    assert values == sorted(values)
    assert values[-1] == pytest.approx(value_of_perfect_information(0.01, 0.02, 1000))


def test_more_visitors_by_simulation():
    """Drawing the later estimate first and deciding by it earns what EVSI says above deciding now."""
    rng = np.random.default_rng(32)
    later = rng.normal(0.01, math.sqrt(0.0004 - 0.0001), size=1_000_000)
    gain = np.maximum(later, 0)
    found = value_of_more_visitors(0.01, 0.0004, 0.0001)
    assert found == pytest.approx(gain.mean() - 0.01, abs=3.5 * gain.std() / 1000)


@pytest.mark.parametrize(("difference", "cost"), [(0.01, 0.0), (-0.01, 0.0), (0.02, 1_500.0)])
def test_waiting_by_simulation(difference, cost):
    """Running on for a week and deciding then, against deciding now: the difference of the two expected gains."""
    rng, n, t, c = np.random.default_rng(33), 100_000, 6_000, 4_000
    later = rng.normal(difference, math.sqrt(0.0004 - 0.0002), size=1_000_000)
    waited = t * difference + np.maximum(later * (n - t - c) - cost, 0)
    now = max(difference * n - cost, 0)
    found = gain_of_waiting(difference, 0.0004, 0.0002, n, in_treatment=t, in_control=c, switching_cost=cost)
    assert found == pytest.approx(waited.mean() - now, abs=3.5 * waited.std() / 1000)


def test_a_null_test_stops_paying():
    """Near no effect with little left to learn, a further week costs more than it can bring."""
    early = gain_of_waiting(0.01, 0.0025, 0.0012, 200_000, in_treatment=5_000, in_control=5_000)
    late = gain_of_waiting(0.01, 0.00002, 0.000018, 200_000, in_treatment=5_000, in_control=5_000)
    assert early > 0 > late


def test_certainty_and_no_visitors_are_worth_nothing_to_learn():
    """Without uncertainty or without future visitors there is nothing to learn; far in the tail it is never less."""
    assert value_of_perfect_information(0.1, 0.0, 1000) == 0
    assert value_of_perfect_information(0.1, 0.2, 0) == 0
    assert value_of_perfect_information(50.0, 1.0, 1000) == 0
    assert expected_net_gain(0.1, 0, switching_cost=5.0) == -5.0


# At 1,950 the offer pays for 200,000 visitors, and no more for the 190,000 that are left after waiting.
@pytest.mark.parametrize("cost", [0.0, 500.0, 1_950.0, 3_000.0])
@pytest.mark.parametrize("difference", [-0.01, 0.0, 0.01])
def test_waiting_with_one_treatment_is_the_gain_of_waiting(difference, cost):
    """For two arms the net value is that of the normal formula, whatever is chosen now and afterwards."""
    means = {"control": (5.0, 0.0002), "offer": (5.0 + difference, 0.0003)}
    found = value_of_waiting(
        means,
        {"control": 15_000, "offer": 10_000},
        {"control": 6_000, "offer": 4_000},
        200_000,
        switching_cost={"offer": cost},
    )
    after = 0.0002 * 15_000 / 21_000 + 0.0003 * 10_000 / 14_000
    expected = gain_of_waiting(
        difference, 0.0005, after, 200_000, in_treatment=4_000, in_control=6_000, switching_cost=cost
    )
    assert found.net == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert found.worth - found.price == found.net
    assert found.now == ("offer" if difference * 200_000 > cost else "control")


def test_waiting_is_worth_n_times_evsi_less_the_traffic_of_the_worse_arm():
    """Without a switching cost: visitors left times EVSI, less what the worse arm's visitors are expected to lose.

    Of each that is the expected loss of the worse arm less that of the better one.
    """
    means, n = {"control": (5.0, 0.0002), "offer": (5.01, 0.0002)}, {"control": 10_000, "offer": 10_000}
    found = value_of_waiting(means, n, {"control": 4_000, "offer": 4_000}, 200_000)
    evsi = value_of_more_visitors(0.01, 0.0004, 0.0004 * 10 / 14, 192_000)
    se = math.sqrt(0.0004)
    lost = normal_expected_loss(0.01, se) - normal_expected_loss(-0.01, se)
    assert found.worth == pytest.approx(evsi, rel=1e-9)
    assert found.price == pytest.approx(4_000 * lost, rel=1e-9)


def test_waiting_with_several_arms_by_simulation():
    """Four arms: choosing after the week, as the later means say, against choosing now, over a million draws."""
    rng, total = np.random.default_rng(34), 300_000
    means = {"control": (5.0, 0.0004), "a": (5.02, 0.0003), "b": (5.01, 0.0006), "c": (4.97, 0.0005)}
    n, more = dict.fromkeys(means, 10_000), {"control": 3_000, "a": 2_000, "b": 2_000, "c": 1_000}
    cost = {"a": 1_000.0, "b": 500.0}
    moved = [math.sqrt(v * more[k] / (n[k] + more[k])) for k, (_, v) in means.items()]
    later = rng.normal([m for m, _ in means.values()], moved, (1_000_000, 4))
    costs = np.array([cost.get(k, 0.0) for k in means])
    left = total - sum(more.values())
    waited = (later * left - costs).max(axis=1) + sum(more[k] * m for k, (m, _) in means.items())
    now = max(m * total - cost.get(k, 0.0) for k, (m, _) in means.items())
    found = value_of_waiting(means, n, more, total, switching_cost=cost)
    assert found.now == "a"
    assert found.net == pytest.approx(waited.mean() - now, abs=3.5 * waited.std() / 1000)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.floats(-5, 5), st.floats(0, 1)), min_size=2, max_size=5),
    st.floats(0.01, 1000),
    st.randoms(use_true_random=False),
)
def test_worth_of_waiting_is_never_negative_and_scales(arms, money, random):
    """News is worth at least nothing; another currency multiplies it, and the order of arms does not matter."""
    means = {f"a{i}": arm for i, arm in enumerate(arms)}
    n, more = dict.fromkeys(means, 100), dict.fromkeys(means, 30)
    first = value_of_waiting(means, n, more, 10_000)
    order = list(means)
    random.shuffle(order)
    other = value_of_waiting({k: (means[k][0] * money, means[k][1] * money**2) for k in order}, n, more, 10_000)
    assert first.worth >= 0
    assert first.price >= -1e-9
    assert other.worth == pytest.approx(first.worth * money, rel=1e-6, abs=1e-6 * money)
    assert other.price == pytest.approx(first.price * money, rel=1e-6, abs=1e-6 * money)


TWO = {"a": (1.0, 0.1), "b": (1.1, 0.1)}
N = {"a": 10, "b": 10}


@pytest.mark.parametrize(
    ("refused", "seen"),
    [
        (lambda: expected_net_gain(0.1, -1), "-1 visitors"),
        (lambda: expected_net_gain(0.1, 1, switching_cost=math.nan), "nan"),
        (lambda: value_of_perfect_information(0.1, -0.1), "-0.1"),
        (lambda: value_of_more_visitors(0.1, 0.1, 0.2), "0.2 later"),
        (lambda: gain_of_waiting(0.1, 0.2, 0.1, 10, in_treatment=6, in_control=5), "of 10 until"),
        (lambda: value_of_waiting({"a": (1.0, 0.1)}, {"a": 1}, {"a": 1}, 10), "1 arms"),
        (lambda: value_of_waiting(TWO, {"a": 10}, N, 100), "['a']"),
        (lambda: value_of_waiting(TWO, N, {"a": 1, "c": 1}, 100), "['a', 'c']"),
        (lambda: value_of_waiting(TWO, N, N, 100, switching_cost={"d": 1.0}), "['d']"),
        (lambda: value_of_waiting(TWO, N, N, 19), "of 19 until"),
        (lambda: value_of_waiting(TWO, {"a": 0, "b": 1}, N, 100), "0 visitors"),
        (lambda: value_of_waiting(TWO, N, {"a": -1, "b": 1}, 100), "-1 meanwhile"),
        (lambda: value_of_waiting({"a": (1.0, -0.1), "b": (1.0, 0.1)}, N, N, 100), "-0.1"),
        (lambda: value_of_waiting({"a": (math.nan, 0.1), "b": (1.0, 0.1)}, N, N, 100), "nan"),
    ],
)
def test_refused(refused, seen):
    """What has no value is refused, with the value seen."""
    with pytest.raises(InputError) as error:
        refused()
    assert seen in str(error.value)
