"""The power that a plan promises is the power that the tests have: simulated with fixed seeds."""

# pyright: reportOptionalMemberAccess=false, reportArgumentType=false, reportCallIssue=false

import math

import numpy as np
import pytest
from offerlift.stats import (
    VISITORS_WITHOUT_PLAN,
    Design,
    Mean,
    Moments,
    Rate,
    anytime_interval,
    compare_adjusted,
    compare_means,
    compare_proportions,
    required_visitors,
    tuning_without_plan,
)


def close(wins, runs, promised, *, bias=0.0):
    """Within three and a half Monte-Carlo standard errors, and what the approximation itself is known to be off."""
    error = math.sqrt(promised * (1 - promised) / runs)
    assert wins / runs == pytest.approx(promised, abs=3.5 * error + bias)


def zeros_and_ones(x, n):
    x, n = int(x), int(n)
    spread = np.array([[x * (n - x) / n]])
    return Moments(("y",), n, np.array([x / n]), spread, np.zeros(1))


def counts(rng, rate, n, runs):
    return [zeros_and_ones(x, n) for x in rng.binomial(n, rate, size=runs)]


def revenue(rng, n, conversion, mean_order, sigma):
    """Moments of n visitors of whom some place one lognormal order."""
    orders = rng.lognormal(math.log(mean_order) - sigma**2 / 2, sigma, size=rng.binomial(n, conversion))
    mean = orders.sum() / n
    return Moments(("y",), n, np.array([mean]), np.array([[(orders**2).sum() - n * mean**2]]), np.zeros(1))


@pytest.mark.parametrize(("shares", "lift"), [((0.5, 0.5), 0.15), ((0.8, 0.2), 0.2), ((0.5, 0.5), -0.15)])
def test_conversion(shares, lift):
    """The score test of 4,000 experiments with the visitors required crosses in 80 % of them, on the right side."""
    rng, runs = np.random.default_rng(11), 4_000
    n_c, n_t = required_visitors(Rate(0.05), lift, Design(shares=shares)).by_arm
    wins = 0
    for t, c in zip(counts(rng, 0.05 * (1 + lift), n_t, runs), counts(rng, 0.05, n_c, runs), strict=True):
        difference = compare_proportions(t, c, "y").difference
        wins += difference.p_value < 0.05 and difference.estimate * lift > 0
    close(wins, runs, 0.8)


def test_revenue_with_heavy_tails():
    """Welch's test of lognormal orders (sigma 1) at 5 % conversion has the power that the orders' variance promises."""
    rng, runs = np.random.default_rng(12), 2_000
    square = 60.0**2 * math.exp(1.0)
    endpoint = Mean.of_orders(0.05, 60.0, square)
    # A lift of conversion, which takes the variance along.
    treated = Mean.of_orders(0.05 * 1.2, 60.0, square)
    endpoint = Mean(endpoint.mean, endpoint.variance, treated.variance)
    n_c, n_t = required_visitors(endpoint, 0.2, Design()).by_arm
    wins = 0
    for _ in range(runs):
        t, c = revenue(rng, n_t, 0.06, 60.0, 1.0), revenue(rng, n_c, 0.05, 60.0, 1.0)
        wins += compare_means(t, c, "y").difference.low > 0
    close(wins, runs, 0.8)


def test_a_small_experiment_by_the_noncentral_t():
    """With 12 visitors an arm the t test has the power promised, which the normal approximation overstates by .04."""
    rng, runs = np.random.default_rng(13), 4_000
    n_c, n_t = required_visitors(Mean(1.0, 1.0), 1.2, Design()).by_arm
    assert n_c == 12
    y = rng.normal(1.0, 1.0, size=(runs, n_c + n_t))
    y[:, n_c:] += 1.2
    wins = sum(
        compare_means(Moments.from_arrays({"y": row[n_c:]}), Moments.from_arrays({"y": row[:n_c]}), "y").difference.low
        > 0
        for row in y
    )
    # 12 an arm are a little more than the 11.94 required.
    close(wins, runs, 0.8, bias=0.003)


def test_adjusted_for_a_covariate():
    """CUPED with R² = .5 has the power promised with half of the variance."""
    rng, runs = np.random.default_rng(14), 1_500
    n_c, n_t = required_visitors(Mean(5.0, 4.0).adjusted(0.5), 0.06, Design()).by_arm
    wins = 0
    for _ in range(runs):
        arms = []
        for n, mean in ((n_t, 5.3), (n_c, 5.0)):
            x = rng.normal(0, math.sqrt(2), size=n)
            arms.append(Moments.from_arrays({"y": mean + x + rng.normal(0, math.sqrt(2), size=n), "x": x}))
        wins += compare_adjusted(*arms, "y", ["x"]).difference.low > 0
    close(wins, runs, 0.8)


def test_several_arms():
    """Of three treatments one has the lift: it crosses at Dunnett's level in 80 % of the experiments."""
    rng, runs = np.random.default_rng(15), 4_000
    design = Design(shares=(0.4, 0.2, 0.2, 0.2))
    n_c, n_t, *_ = required_visitors(Rate(0.1), 0.1, design).by_arm
    level = design.level
    wins = sum(
        compare_proportions(t, c, "y").difference.p_value < level and t.mean[0] > c.mean[0]
        for t, c in zip(counts(rng, 0.11, n_t, runs), counts(rng, 0.1, n_c, runs), strict=True)
    )
    close(wins, runs, 0.8)


def test_a_guardrail():
    """A conversion that did not change is shown to be no more than 10 % worse as often as the plan says."""
    rng, runs = np.random.default_rng(16), 3_000
    design = Design(guardrails=1).of_guardrail()
    n_c, n_t = required_visitors(Rate(0.05), 0.0, design, null_lift=-0.1).by_arm
    wins = sum(
        compare_proportions(t, c, "y").lift.low > -0.1
        for t, c in zip(counts(rng, 0.05, n_t, runs), counts(rng, 0.05, n_c, runs), strict=True)
    )
    assert design.target == pytest.approx(0.9)
    close(wins, runs, 0.9)


def at_looks(rng, rate, n, clocks, runs):
    """Conversions of n visitors an arm by each look: shape (runs, looks), and the visitors by then."""
    visitors = np.round(np.array(clocks) * n).astype(int)
    return rng.binomial(np.diff(visitors, prepend=0), rate, size=(runs, len(clocks))).cumsum(axis=1), visitors


def test_planned_looks():
    """Crossing upward at any of five looks by Lan and DeMets's boundaries: 80 % of the experiments."""
    rng, runs, clocks = np.random.default_rng(17), 6_000, (0.2, 0.4, 0.6, 0.8, 1.0)
    design = Design(looks=clocks)
    n = required_visitors(Rate(0.05), 0.1, design).by_arm[0]
    (x_t, visitors), (x_c, _) = at_looks(rng, 0.055, n, clocks, runs), at_looks(rng, 0.05, n, clocks, runs)
    pooled = (x_t + x_c) / (2 * visitors)
    z = (x_t - x_c) / visitors / np.sqrt(pooled * (1 - pooled) * 2 / visitors)
    bounds = np.array(design.boundaries(2 * n).z)
    up = (z >= bounds).argmax(axis=1), (z >= bounds).any(axis=1)
    down_first = (z <= -bounds).any(axis=1) & ((z <= -bounds).argmax(axis=1) < np.where(up[1], up[0], len(clocks)))
    close(int((up[1] & ~down_first).sum()), runs, 0.8)


@pytest.mark.parametrize(("rate", "lift"), [(0.05, 0.1), (0.3, 0.08)])
def test_always_valid(rate, lift):
    """Read eight times by `anytime_interval`, tuned as without a plan: 80 % of the experiments ever cross upward."""
    rng, runs = np.random.default_rng(18), 1_500
    clocks = tuple((k + 1) / 8 for k in range(8))
    design = Design(readings=8, tuned_at=VISITORS_WITHOUT_PLAN)
    n = required_visitors(Rate(rate), lift, design).by_arm[0]
    (x_t, visitors), (x_c, _) = (at_looks(rng, p, n, clocks, runs) for p in (rate * (1 + lift), rate))
    wins = 0
    for run in range(runs):
        for k, m in enumerate(visitors):
            t, c = zeros_and_ones(x_t[run, k], m), zeros_and_ones(x_c[run, k], m)
            difference = compare_proportions(t, c, "y").difference
            found = anytime_interval(difference, a=tuning_without_plan(2 * int(m)))
            if found.p_value < 0.05:
                wins += difference.estimate > 0
                break
    # The always-valid interval divides by the unpooled standard error, a plan for the score test by the pooled one.
    close(wins, runs, 0.8)
