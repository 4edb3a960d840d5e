"""Dose-response: contrasts, the monotone curve, the best of the tested doses."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offerlift.errors import InputError
from offerlift.stats import Moments, compare_means, dose_response, normal_posteriors

from .samples import column


def arms_of(*means, sd=1.0, n=400):
    """Arms with just these means and this standard deviation."""
    half = np.repeat([-1.0, 1.0], n // 2) * sd * math.sqrt((n - 1) / n)
    return {f"d{i}": Moments.from_arrays({"y": mean + half}) for i, mean in enumerate(means)}


def doses_of(*doses):
    return {f"d{i}": dose for i, dose in enumerate(doses)}


def test_contrasts_are_the_least_squares_polynomial():
    """Slope and squared coefficient are those of numpy's polyfit over doses from 0 to 1, whatever their distances."""
    means, doses = (2.0, 2.6, 2.9, 2.2), (0.0, 5.0, 20.0, 30.0)
    found = dose_response(arms_of(*means), doses_of(*doses), "y")
    scaled = np.array(doses) / 30
    assert found.linear.estimate == pytest.approx(np.polyfit(scaled, means, 1)[0])
    assert found.quadratic.estimate == pytest.approx(np.polyfit(scaled, means, 2)[0])


def test_contrasts_have_the_variance_of_their_weights():
    """With equal variances the slope's error is that of ordinary least squares; its df are Satterthwaite's."""
    found = dose_response(arms_of(1.0, 1.1, 1.3, n=100), doses_of(0, 1, 2), "y")
    assert found.linear.se == pytest.approx(math.sqrt(0.01 / 0.5))
    # Weights -1, 0 and 1 on the ends: two equal parts of 99 degrees of freedom.
    assert found.linear.df == pytest.approx(198)
    assert found.quadratic.se == pytest.approx(math.sqrt(0.01 * (2**2 + 4**2 + 2**2)))


def test_two_doses_are_the_difference_of_two_arms():
    """With two doses the linear contrast is Welch's difference, to the p-value; there is no quadratic one."""
    arms = {"d0": column(*range(20)), "d1": column(*range(5, 60))}
    found = dose_response(arms, doses_of(0.0, 0.25), "y")
    welch = compare_means(arms["d1"], arms["d0"], "y").difference
    assert found.quadratic is None
    for name in ("estimate", "se", "df", "low", "high", "p_value"):
        assert getattr(found.linear, name) == pytest.approx(getattr(welch, name))


def test_chances_are_those_of_normal_posteriors():
    """P(best) of the doses is that of independent normal means, mirrored where less is better."""
    arms, doses = arms_of(2.0, 2.1, 2.05), doses_of(0, 10, 20)
    estimates = {name: (one.mean_of("y"), one.variance_of("y") / one.n) for name, one in arms.items()}
    for direction in ("increase", "decrease"):
        expected = normal_posteriors(estimates, "d0", direction=direction).probability_best
        found = dose_response(arms, doses, "y", direction=direction)
        assert {one.arm: one.probability_best for one in found.doses} == pytest.approx(expected)
    assert found.best == "d0"


def test_regret_by_simulation():
    """Expected regret is the average distance to the best over a million draws of the means."""
    arms = arms_of(2.0, 2.1, 2.05)
    found = dose_response(arms, doses_of(0, 10, 20), "y")
    drawn = np.random.default_rng(61).normal([2.0, 2.1, 2.05], 0.05, (1_000_000, 3))
    lost = drawn.max(axis=1)[:, None] - drawn
    for one, loss in zip(found.doses, lost.T, strict=True):
        assert one.expected_regret == pytest.approx(loss.mean(), abs=3.5 * loss.std() / 1000)


def test_isotonic_pools_violators_by_their_precision():
    """Neighbours out of order become their mean weighted by n/s²; those in order stay."""
    arms = {"d0": column(*[1.0, 3.0] * 50), "d1": column(*[0.0, 2.0] * 200), "d2": column(*[3.0, 5.0] * 50)}
    found = dose_response(arms, doses_of(0, 1, 2), "y")
    weights = np.array([arms[name].n / arms[name].variance_of("y") for name in ("d0", "d1")])
    pooled = float(weights @ [2.0, 1.0] / weights.sum())
    assert [one.isotonic for one in found.doses] == pytest.approx([pooled, pooled, 4.0])
    falling = dose_response(arms, doses_of(0, 1, 2), "y", monotone="decreasing")
    assert sorted((one.isotonic for one in falling.doses), reverse=True) == [one.isotonic for one in falling.doses]


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.floats(-50, 50), min_size=3, max_size=6),
    st.floats(0.001, 1000.0),
    st.floats(-100, 100),
    st.floats(0.001, 1000.0),
    st.randoms(use_true_random=False),
)
def test_scale_of_money_and_dose_and_order(means, money, shift, dose, random):
    """Money scales estimates and regrets, the unit and zero of doses nothing; the order of arms nothing either."""
    levels = [float(i * i) for i in range(len(means))]
    first = dose_response(arms_of(*means), doses_of(*levels), "y")
    scaled = arms_of(*(mean * money for mean in means), sd=money)
    order = list(scaled)
    random.shuffle(order)
    moved = doses_of(*(shift + dose * level for level in levels))
    other = dose_response({k: scaled[k] for k in order}, {k: moved[k] for k in order}, "y")
    tolerance = {"rel": 1e-6, "abs": 1e-6 * money}
    assert [one.arm for one in other.doses] == list(scaled)
    for one, two in ((first.linear, other.linear), (first.quadratic, other.quadratic)):
        assert (two.estimate, two.se, two.low) == pytest.approx(
            tuple(money * x for x in (one.estimate, one.se, one.low)), **tolerance
        )
    for one, two in zip(first.doses, other.doses, strict=True):
        assert two.probability_best == pytest.approx(one.probability_best, abs=1e-6)
        assert two.expected_regret == pytest.approx(money * one.expected_regret, **tolerance)
        assert 0 <= one.probability_best <= 1
        assert one.expected_regret >= 0


def test_an_arm_without_variance_is_insufficient():
    """A dose of which nothing is known leaves no contrast and no best dose; what was seen of the others stays."""
    arms = {"d0": column(1, 2, 3), "d1": column(0, 0, 0), "d2": column(5)}
    found = dose_response(arms, doses_of(0, 1, 2), "y")
    assert (found.status, found.linear, found.best) == ("insufficient", None, None)
    assert "'d1'" in found.reason
    assert [one.estimate for one in found.doses] == [2.0, 0.0, None]
    assert found["d0"].low < 2 < found["d0"].high
    assert found["d1"].se is None
    assert all(one.probability_best is None for one in found.doses)


@pytest.mark.parametrize(
    ("doses", "options", "seen"),
    [
        ({"d0": 1.0}, {}, "1 dose"),
        ({"d0": 1.0, "d9": 2.0}, {}, "'d9'"),
        ({"d0": 1.0, "d1": 1.0}, {}, "same dose 1.0"),
        ({"d0": 1.0, "d1": math.nan}, {}, "nan"),
        ({"d0": 1.0, "d1": 2.0}, {"monotone": "up"}, "'up'"),
        ({"d0": 1.0, "d1": 2.0}, {"direction": "up"}, "'up'"),
        ({"d0": 1.0, "d1": 2.0}, {"alpha": 0}, "alpha is 0"),
    ],
)
def test_refused(doses, options, seen):
    """What is no response is refused, with the value seen."""
    arms = arms_of(1.0, 2.0)
    with pytest.raises(InputError, match=seen):
        dose_response(arms, doses, "y", **options)
    with pytest.raises(InputError, match="'d9'"):
        dose_response(arms, doses_of(0, 1), "y")["d9"]


def test_coverage_of_both_contrasts():
    """With four unequal arms of skewed money both intervals hold the truth in 95 % of 2,000 experiments."""
    rng, runs = np.random.default_rng(62), 2_000
    means, sizes, doses = np.array([1.0, 1.2, 1.3, 1.1]), (400, 200, 200, 300), (0.0, 0.1, 0.2, 0.4)
    scaled = np.array(doses) / 0.4
    truth = np.polyfit(scaled, means, 1)[0], np.polyfit(scaled, means, 2)[0]
    covered = np.zeros(2)
    for _ in range(runs):
        arms = {
            f"d{i}": Moments.from_arrays({"y": rng.gamma(0.5, mean / 0.5, n)})
            for i, (mean, n) in enumerate(zip(means, sizes, strict=True))
        }
        found = dose_response(arms, doses_of(*doses), "y")
        covered += [
            one.low <= true <= one.high for one, true in zip((found.linear, found.quadratic), truth, strict=True)
        ]
    assert covered / runs == pytest.approx(0.95, abs=3.5 * math.sqrt(0.95 * 0.05 / runs))
