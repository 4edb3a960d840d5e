"""Posteriors: exact probabilities, losses and intervals of Beta arms; normal arms with and without a prior."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offerlift.stats import (
    Moments,
    beta_posteriors,
    expected_loss_beta,
    normal_expected_loss,
    normal_posteriors,
    probability_b_beats_a,
)
from offerlift.stats.beta import Beta, probability_best
from scipy import integrate, stats


def arm(x, n):
    return Moments.from_sums(["y"], n, [x], {("y", "y"): x})


@st.composite
def counts(draw, largest=10**7):
    n = draw(st.integers(0, 50) | st.integers(0, largest))
    return draw(st.sampled_from([0, n]) | st.integers(0, n)), n


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(counts(), min_size=2, max_size=5), st.sampled_from([(1, 1), (0.5, 0.5), (2, 40)]))
def test_probabilities_sum_to_one(arms, prior):
    """P(best) over all arms sums to 1 within 1e-12, whatever their sizes; so does wanting the lowest rate."""
    data = {str(k): arm(*c) for k, c in enumerate(arms)}
    for direction in ("increase", "decrease"):
        posterior = beta_posteriors(data, "y", "0", prior=prior, direction=direction)
        assert sum(posterior.probability_best.values()) == pytest.approx(1, abs=1e-12)
        assert all(0 <= p <= 1 + 1e-12 for p in posterior.probability_best.values())
        for against in posterior.against_control.values():
            assert -1 <= against.low < against.high <= 1
            assert against.expected_loss >= 0


@pytest.mark.parametrize(
    "arms",
    [
        [(1581, 29921), (1701, 30301), (1551, 29451)],
        [(5e5, 9.5e6), (5.1e5, 9.49e6), (5e5, 9.5e6)],
        [(5e5, 9.5e6), (6, 96), (600, 9400)],
        [(0.5, 100.5), (3.5, 97.5), (1.5, 10.5), (0.5, 0.5)],
    ],
)
def test_integrals_are_a_partition(arms):
    """The separate integrals of P(best), before any division, sum to 1 within 1e-11."""
    assert sum(probability_best([Beta(a, b) for a, b in arms])) == pytest.approx(1, abs=1e-11)


@pytest.mark.parametrize("k", [2, 3, 5, 8])
@pytest.mark.parametrize(("x", "n"), [(0, 100), (3, 100), (100, 100), (0, 0), (250_000, 10**7)])
def test_equal_arms_are_equally_likely(k, x, n):
    """k arms with the same data are best with probability 1/k each."""
    best = beta_posteriors({str(i): arm(x, n) for i in range(k)}, "y", "0").probability_best
    assert list(best.values()) == pytest.approx([1 / k] * k, abs=1e-12)


def test_not_the_product_of_pairs():
    """P(best of three) is not the product of the pairwise probabilities: 1/3, where the product says 1/4."""
    posterior = beta_posteriors({name: arm(10, 100) for name in "abc"}, "y", "a")
    pairwise = posterior.against_control["b"].probability_better ** 2
    assert pairwise == pytest.approx(0.25)
    assert posterior.probability_best["b"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("t", "c"),
    [((57, 1000), (50, 1000)), ((0, 20), (3, 15)), ((1, 1), (0, 1)), ((40, 40), (35, 40)), ((3, 10), (300, 1000))],
)
@pytest.mark.parametrize("prior", [(1.0, 1.0), (0.5, 0.5)])
def test_against_adaptive_integration(t, c, prior):
    """Probability, loss and both ends of the interval agree with scipy's adaptive integration to 1e-8."""
    posterior = beta_posteriors({"c": arm(*c), "t": arm(*t)}, "y", "c", prior=prior).against_control["t"]
    x, y = (stats.beta(prior[0] + s, prior[1] + n - s) for s, n in (t, c))

    def below(d):
        # P(x - y <= d), in the quantile of y, which has no singular density.
        value, _ = integrate.quad(lambda u: x.cdf(y.ppf(u) + d), 0, 1, epsabs=1e-11, limit=500)
        return value

    assert posterior.probability_better == pytest.approx(1 - below(0.0), abs=1e-8)
    assert below(posterior.low) == pytest.approx(0.025, abs=1e-8)
    assert below(posterior.high) == pytest.approx(0.975, abs=1e-8)
    loss, _ = integrate.quad(lambda p: x.cdf(p) * y.sf(p), 0, 1, epsabs=1e-12, limit=500)
    assert posterior.expected_loss == pytest.approx(loss, abs=1e-9)


def test_three_arms_against_a_plain_sum():
    """P(best) of three unequal arms, near 0 and near 1, agrees with ∫ f_i F_j F_k by the midpoint rule."""
    p = (np.arange(400_000) + 0.5) / 400_000
    for counts in ([(3, 100), (5, 80), (1, 200)], [(97, 100), (75, 80), (199, 200)], [(9, 10), (1, 10), (500, 600)]):
        best = beta_posteriors({str(i): arm(x, n) for i, (x, n) in enumerate(counts)}, "y", "0").probability_best
        shapes = [(1 + x, 1 + n - x) for x, n in counts]
        for i, own in enumerate(shapes):
            inside = np.prod([stats.beta.cdf(p, *other) for j, other in enumerate(shapes) if j != i], axis=0)
            assert best[str(i)] == pytest.approx(float(np.mean(stats.beta.pdf(p, *own) * inside)), abs=2e-8)


def test_whole_parameters_by_the_closed_form():
    """P(B > A) is Miller's finite sum for whole parameters, also at a million."""
    from scipy.special import betaln

    for a, b, c, d in ((3, 8, 5, 7), (121, 81, 101, 101), (40, 960, 52, 948)):
        i = np.arange(c)
        total = np.exp(betaln(a + i, b + d) - np.log(d + i) - betaln(1 + i, d) - betaln(a, b)).sum()
        assert probability_b_beats_a(a, b, c, d) == pytest.approx(total, rel=1e-10)


def test_swapped_arms_and_directions():
    """Swapping arms mirrors the interval; wanting a decrease mirrors probability and loss, and keeps the interval."""
    data = {"c": arm(50, 1000), "t": arm(64, 1100)}
    t = beta_posteriors(data, "y", "c").against_control["t"]
    c = beta_posteriors(data, "y", "t").against_control["c"]
    down = beta_posteriors(data, "y", "c", direction="decrease")
    assert (c.low, c.high) == pytest.approx((-t.high, -t.low), rel=1e-9)
    assert t.probability_better + c.probability_better == pytest.approx(1, abs=1e-12)
    lower = down.against_control["t"]
    assert (lower.low, lower.high) == (t.low, t.high)
    assert lower.probability_better == pytest.approx(c.probability_better, rel=1e-9)
    assert lower.expected_loss == pytest.approx(c.expected_loss, rel=1e-9)
    assert down.probability_best["c"] == pytest.approx(t.probability_better, rel=1e-9)
    # E(c - t)⁺ - E(t - c)⁺ = E(c - t).
    assert t.expected_loss - c.expected_loss == pytest.approx(51 / 1002 - 65 / 1102, abs=1e-12)


def test_small_losses_keep_their_digits():
    """A loss of 1e-12 agrees with the normal approximation's size and is not lost in 1 - 1."""
    loss = expected_loss_beta(5_000, 95_000, 5_800, 94_200)
    sd = math.sqrt(2 * 0.054 * 0.946 / 1e5)
    assert 0.2 < loss / normal_expected_loss(-0.008, sd) < 5
    assert 0 < loss < 1e-15


def test_interval_at_ten_million_is_normal():
    """At ten million visitors the interval of the difference is the normal one to 1e-6 of its width."""
    t = beta_posteriors({"c": arm(500_000, 10**7), "t": arm(510_000, 10**7)}, "y", "c").against_control["t"]
    sd = math.sqrt(0.05 * 0.95 / 1e7 + 0.051 * 0.949 / 1e7)
    assert [t.low, t.high] == pytest.approx([0.001 - 1.959964 * sd, 0.001 + 1.959964 * sd], abs=1e-4 * sd)


def test_levels():
    """A 99 % interval is wider than a 90 % one, and each has its mass."""
    data = {"c": arm(5, 100), "t": arm(9, 100)}
    wide, narrow = (beta_posteriors(data, "y", "c", level=level).against_control["t"] for level in (0.99, 0.9))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_coverage_of_the_credible_interval():
    """At 2 % and 500 visitors an arm the 95 % interval covers .948 (T6), here within 3.5 errors of 1,000 runs."""
    rng = np.random.default_rng(11)
    draws = rng.binomial(500, 0.02, (1000, 2))
    cache = {}
    hits = 0
    for t, c in draws.tolist():
        if (t, c) not in cache:
            got = beta_posteriors({"c": arm(c, 500), "t": arm(t, 500)}, "y", "c").against_control["t"]
            cache[t, c] = got.low <= 0 <= got.high
        hits += cache[t, c]
    assert abs(hits / 1000 - 0.948) < 3.5 * math.sqrt(0.948 * 0.052 / 1000 + 0.004**2)


def test_normal_posterior_without_a_prior():
    """Flat prior: P(better) is Φ(D/SD), the interval D ± 1.96 SD, and the loss the closed form."""
    t = normal_posteriors({"c": (1.0, 0.01), "t": (1.2, 0.03)}, "c").against_control["t"]
    assert t.probability_better == pytest.approx(stats.norm.cdf(1.0), rel=1e-12)
    assert [t.low, t.high] == pytest.approx([0.2 - 0.2 * 1.959963985, 0.2 + 0.2 * 1.959963985], rel=1e-8)
    assert t.expected_loss == pytest.approx(0.2 * (stats.norm.pdf(1) - stats.norm.sf(1)), rel=1e-12)


def test_normal_posterior_with_a_prior():
    """A prior N(0.02, 0.05²) on the lift of a control mean of 10 shrinks the difference as (τ² D + V μ0)/(τ² + V)."""
    t = normal_posteriors({"c": (10.0, 0.02), "t": (11.0, 0.03)}, "c", prior_lift=(0.02, 0.05)).against_control["t"]
    mean, variance = (0.25 * 1.0 + 0.05 * 0.2) / 0.30, 0.25 * 0.05 / 0.30
    assert (t.low + t.high) / 2 == pytest.approx(mean, rel=1e-12)
    assert t.high - t.low == pytest.approx(2 * 1.959963985 * math.sqrt(variance), rel=1e-8)


def test_normal_best_against_simulation_free_formulas():
    """Two arms: P(best) is P(better), with and without prior; three equal ones 1/3 each; a wide prior is a flat one."""
    arms = {"c": (10.0, 0.02), "t": (10.1, 0.03)}
    for prior in (None, (0.01, 0.02)):
        for direction in ("increase", "decrease"):
            posterior = normal_posteriors(arms, "c", prior_lift=prior, direction=direction)
            better = posterior.against_control["t"].probability_better
            assert posterior.probability_best["t"] == pytest.approx(better, abs=1e-12)
            assert sum(posterior.probability_best.values()) == pytest.approx(1, abs=1e-12)
    three = dict.fromkeys("cab", (5.0, 0.3))
    assert list(normal_posteriors(three, "c").probability_best.values()) == pytest.approx([1 / 3] * 3, abs=1e-12)
    unequal = {"c": (5.0, 0.3), "a": (5.5, 1e-4), "b": (5.2, 2.0)}
    flat = normal_posteriors(unequal, "c").probability_best
    wide = normal_posteriors(unequal, "c", prior_lift=(0.0, 1e5)).probability_best
    assert sum(flat.values()) == pytest.approx(1, abs=1e-12)
    assert list(wide.values()) == pytest.approx(list(flat.values()), abs=1e-6)


def test_certain_arms():
    """Arms without variance rank by their means; ties share; the interval is a point."""
    posterior = normal_posteriors({"c": (1.0, 0.0), "a": (1.0, 0.0), "b": (0.5, 0.0)}, "c")
    assert posterior.probability_best == {"c": 0.5, "a": 0.5, "b": 0.0}
    assert posterior.against_control["a"].probability_better == 0.5
    assert posterior.against_control["b"].probability_better == 0
    assert posterior.against_control["b"].expected_loss == 0.5
    mixed = normal_posteriors({"c": (1.0, 0.0), "a": (1.1, 0.01)}, "c").probability_best
    assert mixed["a"] == pytest.approx(stats.norm.cdf(1.0), abs=1e-8)


def test_normal_loss_far_out():
    """The expected loss keeps its digits where φ and u Φ nearly cancel, and is continuous at the switch."""
    for u in (1.0, 4.9, 5.1, 12.0, 30.0):
        value, _ = integrate.quad(lambda x, u=u: x * math.exp(-x * x / 2 - u * x), 0, np.inf, epsabs=0, epsrel=1e-12)
        exact = value * math.exp(-u * u / 2) / math.sqrt(2 * math.pi)
        assert normal_expected_loss(-u, 1.0) == pytest.approx(exact, rel=1e-9)
    assert normal_expected_loss(2.0, 0.0) == 2.0
    assert normal_expected_loss(-2.0, 0.0) == 0.0
