"""The value of a decision and of waiting, against simulation and limits."""

import math

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.stats import (
    expected_net_gain,
    gain_of_waiting,
    normal_expected_loss,
    value_of_more_visitors,
    value_of_perfect_information,
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


@pytest.mark.parametrize(
    ("refused", "seen"),
    [
        (lambda: expected_net_gain(0.1, -1), "-1 visitors"),
        (lambda: expected_net_gain(0.1, 1, switching_cost=math.nan), "nan"),
        (lambda: value_of_perfect_information(0.1, -0.1), "-0.1"),
        (lambda: value_of_more_visitors(0.1, 0.1, 0.2), "0.2 later"),
        (lambda: gain_of_waiting(0.1, 0.2, 0.1, 10, in_treatment=6, in_control=5), "of 10 until"),
    ],
)
def test_refused(refused, seen):
    """What has no value is refused, with the value seen."""
    with pytest.raises(InputError) as error:
        refused()
    assert seen in str(error.value)
