"""Experiments drawn from past visitors: the arrays say what the estimators say of the same visitors."""

from __future__ import annotations

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.stats import (
    compare_adjusted,
    compare_means,
    compare_proportions,
    compare_ratios,
    skew_kappa,
)
from offerlift.stats.anytime import mixture_boundary
from offerlift.stats.simulation import (
    Population,
    adjusted_differences,
    against_margins,
    all_pairs,
    draw_moments,
    mean_values,
    mixture_boundaries,
    rate_margins,
    ratio_values,
    skew_kappas,
)

NAMES = {"converted": 0, "orders": 1, "value": 2, "past": 3, "missing": 4}
CELLS = [(0, 0), (1, 1), (3, 2)]


def shop(size: int = 3_000, seed: int = 7) -> Population:
    """A sixth of the visitors order, heavy-tailed, and more where they did before; of a fifth nothing is known."""
    rng = np.random.default_rng(seed)
    known = rng.random(size) < 0.8
    past = np.where(known, rng.lognormal(3, 1, size), 0.0)
    orders = np.where(rng.random(size) < 0.1 + 0.002 * np.minimum(past, 100), rng.integers(1, 4, size), 0)
    value = np.round(orders * rng.lognormal(3, 1.2, size), 2)
    values = np.column_stack([orders > 0, orders, value, past, ~known]).astype(float)
    return Population.of(values, np.ones(size, dtype=np.int64))


@pytest.fixture(scope="module")
def drawn():
    """Four experiments of three looks, control and two treatments, the first with a lift of the value."""
    rng = np.random.default_rng(3)
    visitors = rng.integers(800, 1_500, (4, 3, 3))
    base = shop()
    return draw_moments(rng, [base, base.scaled([2], 0.3), base], visitors, all_pairs(range(5)), [2])


def arms(drawn, cell, treatment, columns=NAMES):
    return drawn.moments((*cell, treatment + 1), columns), drawn.moments((*cell, 0), columns)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("treatment", [0, 1])
def test_estimates_are_those_of_the_estimators(drawn, cell, treatment):
    """Difference over standard error of means, rates, ratios and adjusted means, and κ, within 1e-9."""
    at = (*cell, treatment)
    t, c = arms(drawn, cell, treatment)
    pairs = [
        (mean_values(drawn, 2).differences(), compare_means(t, c, "value")),
        (mean_values(drawn, 0).differences(), compare_proportions(t, c, "converted")),
        (ratio_values(drawn, 2, 1).differences(), compare_ratios(t, c, "value", "orders")),
        (adjusted_differences(drawn, 2, [3, 4]), compare_adjusted(t, c, "value", ["past", "missing"])),
        (adjusted_differences(drawn, 0, [3, 4]), compare_adjusted(t, c, "converted", ["past", "missing"])),
    ]
    for (estimates, errors), found in pairs:
        difference = found.difference
        assert estimates[at] / errors[at] == pytest.approx(difference.estimate / difference.se, rel=1e-9, abs=1e-9)
        assert errors[at] == pytest.approx(difference.se, rel=1e-9)
    assert skew_kappas(drawn, 2)[at] == pytest.approx(skew_kappa(t, c, "value"), rel=1e-9)


def test_a_covariate_that_is_never_missing_takes_no_part():
    """A constant column has slope 0, as in the estimator."""
    base = shop()
    whole = Population.of(base.values[base.values[:, 4] == 0], np.ones(int((base.values[:, 4] == 0).sum()), dtype=int))
    drawn = draw_moments(np.random.default_rng(1), [whole, whole], np.array([[[900, 1_100]]]), all_pairs(range(5)))
    estimates, errors = adjusted_differences(drawn, 2, [3, 4])
    found = compare_adjusted(*arms(drawn, (0, 0), 0), "value", ["past", "missing"]).difference
    assert (estimates[0, 0, 0], errors[0, 0, 0]) == pytest.approx((found.estimate, found.se), rel=1e-9)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("treatment", [0, 1])
def test_a_margin_is_at_the_limit_where_it_is_an_end_of_the_lifts_interval(drawn, cell, treatment):
    """z is 1.96 at the lower end of the estimators' 95 % interval of the lift, and -1.96 at the upper end."""
    at = (*cell, treatment)
    t, c = arms(drawn, cell, treatment)
    for against, lift in (
        (lambda ratio: against_margins(mean_values(drawn, 2), ratio), compare_means(t, c, "value").lift),
        (lambda ratio: against_margins(ratio_values(drawn, 2, 1), ratio), compare_ratios(t, c, "value", "orders").lift),
        (
            lambda ratio: rate_margins(drawn.n, drawn.means[..., 0], ratio),
            compare_proportions(t, c, "converted").lift,
        ),
    ):
        for end, z in ((lift.low, 1.959964), (lift.high, -1.959964)):
            # Above 1 the margin is one that must not be exceeded.
            assert against(1 + end)[at] == pytest.approx(-z if end > 0 else z, abs=1e-6)


def test_a_margin_says_nothing_where_the_control_may_be_nothing():
    """An unbounded interval neither passes nor fails."""
    rare = Population.of(np.array([[0.0], [5.0]]), np.array([999, 1]))
    drawn = draw_moments(np.random.default_rng(5), [rare, rare], np.array([[[1_500, 1_500]]]), [(0, 0)])
    t, c = arms(drawn, (0, 0), 0, {"value": 0})
    assert compare_means(t, c, "value").lift.kind != "bounded"
    assert against_margins(mean_values(drawn, 0), 0.9)[0, 0, 0] == 0


def test_what_is_drawn_adds_up_look_by_look_and_has_the_distribution_of_the_visitors():
    """Means and squares of many arms are the population's within 4 standard errors, drawn singly or by number."""
    base = shop(400)
    for size in (50, 40_000):
        drawn = draw_moments(np.random.default_rng(2), [base], np.full((50, 3, 1), size), [(2, 2), (0, 2)])
        assert drawn.n[:, :, 0].tolist() == [[size, 2 * size, 3 * size]] * 50
        total = 50 * 3 * size
        means = drawn.means[:, -1, 0].mean(axis=0)
        spread = np.sqrt(base.weights @ base.values**2 - base.mean() ** 2)
        assert np.all(np.abs(means - base.mean()) <= 4 * spread / np.sqrt(total))
        about = base.values - base.mean()
        square = about[:, 0] * about[:, 2]
        found = (drawn.products[0, 2][:, -1, 0] / (3 * size - 1)).mean()
        expected = base.weights @ square
        assert abs(found - expected) <= 4 * np.sqrt(base.weights @ square**2 - expected**2) / np.sqrt(total)


def test_a_lift_of_a_rate_adds_converts_who_do_what_converts_do():
    """The rate rises by the lift and the value with it; per convert nothing changes; of nobody the past does."""
    base = shop()
    for lift in (0.2, -0.3):
        more = base.converted(0, lift)
        assert more.mean()[0] == pytest.approx(base.mean()[0] * (1 + lift))
        assert more.mean()[2] / more.mean()[0] == pytest.approx(base.mean()[2] / base.mean()[0])
        kept = base.converted(0, lift, [3, 4])
        assert kept.weights.sum() == pytest.approx(1)
        assert kept.mean()[0] == pytest.approx(base.mean()[0] * (1 + lift))
        assert kept.mean()[3] == pytest.approx(base.mean()[3], rel=2e-3)
        assert abs(more.mean()[3] / base.mean()[3] - 1) > 5e-3


def test_a_rate_cannot_leave_zero_and_one():
    """A lift that would make more converts than visitors is refused; so are nobody and no visitors."""
    with pytest.raises(InputError, match="between 0 and 1"):
        shop().converted(0, 20.0)
    with pytest.raises(InputError, match="between 0 and 1"):
        Population.of(np.zeros((1, 1)), np.array([5])).converted(0, 0.1)
    with pytest.raises(InputError, match="no visitors"):
        Population.of(np.zeros((1, 1)), np.array([0]))


def test_boundaries_of_an_array_are_those_of_each():
    """The always-valid boundary for an array of tunings."""
    tunings = np.array([0.01, 0.4, 3.0])
    for alpha in (0.05, 0.01):
        assert mixture_boundaries(tunings, alpha) == pytest.approx([mixture_boundary(a, alpha) for a in tunings])
