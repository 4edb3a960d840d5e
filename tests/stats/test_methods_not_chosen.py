"""Published and peers' numbers of methods that are not offered: rebuilt by their own formulas, with ours beside them.

Each case says why the method was not chosen; that our number is another one is part of the test.
"""

# A None where a number belongs fails the test, as it should; stubs of scipy are incomplete.
# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false

import math

import numpy as np
import pytest
from offerlift.stats import (
    compare_adjusted,
    compare_means,
    compare_proportions,
    miettinen_nurminen_difference,
    miettinen_nurminen_ratio,
    mixture_rho,
    normal_mixture_bound,
    normal_posteriors,
)
from scipy.optimize import brentq
from scipy.special import betaln, ndtri
from scipy.stats import barnard_exact, boschloo_exact

from .peers import PEERS, arms
from .test_peer_conventions import log_ratio, pooled_theta

Z = -float(ndtri(0.025))


def ends(interval):
    return [interval.low, interval.high]


def wald(x_t, n_t, x_c, n_c):
    p_t, p_c = x_t / n_t, x_c / n_c
    half = Z * math.sqrt(p_t * (1 - p_t) / n_t + p_c * (1 - p_c) / n_c)
    return [p_t - p_c - half, p_t - p_c + half]


def agresti_caffo(x_t, n_t, x_c, n_c):
    return wald(x_t + 1, n_t + 2, x_c + 1, n_c + 2)


def katz(x_t, n_t, x_c, n_c):
    half = Z * math.sqrt(1 / x_t - 1 / n_t + 1 / x_c - 1 / n_c)
    return [x_t * n_c / (x_c * n_t) * math.exp(side * half) for side in (-1, 1)]


@pytest.mark.parametrize(
    ("formula", "counts", "published", "tolerance", "ours"),
    [
        # Newcombe (1998), table II, method 1: covers .86 at 100 v 900 visitors and 2 %.
        (wald, (56, 70, 48, 80), [0.0575, 0.3425], 6e-5, miettinen_nurminen_difference),
        # PropCIs, Fagerland et al. (2015): covers .99 at 100 v 100 visitors and 2 %.
        (agresti_caffo, (7, 34, 1, 34), [0.01161167, 0.32172166], 1e-8, miettinen_nurminen_difference),
        # Fagerland et al. (2015), two digits: covers .9995 at 100 v 100 visitors and 2 %, and knows no 0.
        (katz, (7, 34, 1, 34), [0.91, 54], 0.3, miettinen_nurminen_ratio),
    ],
)
def test_intervals_of_two_proportions(formula, counts, published, tolerance, ours):
    """Wald's, Agresti and Caffo's and Katz's intervals as printed; the score interval is another one."""
    assert formula(*counts) == pytest.approx(published, abs=tolerance)
    assert np.abs(np.subtract(ends(ours(*counts)), published)).max() > max(5 * tolerance, 1e-3)


@pytest.mark.parametrize(("exact", "peer"), [(barnard_exact, 0.8346045586223284), (boschloo_exact, 0.8550269872112957)])
def test_unconditional_exact_tests(exact, peer):
    """tea-tasting's Barnard and Boschloo p for 16/30 v 14/28: exact at any n but slow, without an interval.

    The score test's p is near Barnard's, which orders the tables by the same statistic.
    """
    assert exact([[16, 14], [14, 14]]).pvalue == pytest.approx(peer, rel=1e-6)
    assert miettinen_nurminen_difference(16, 30, 14, 28).p_value == pytest.approx(0.8013029901161527, rel=1e-9)


def log_beta_binomial_martingale(s, v, v_opt, g, h):
    """Two-sided beta-binomial mixture of Howard et al. (2021), for increments in [-g, h]."""
    r, u = max(mixture_rho(v_opt) - g * h, 1e-3 * g * h), g + h
    mixed = betaln((r + v - g * s) / (g * u), (r + v + h * s) / (h * u)) - betaln(r / (g * u), r / (h * u))
    return v / (g * h) * math.log(u) - (v + h * s) / (h * u) * math.log(g) - (v - g * s) / (g * u) * math.log(h) + mixed


def test_bernoulli_confidence_sequence():
    """confseq's exact sequence for one rate: 700 of 1,000 give (.651630, .745950), ours with v = n p(1 - p) differs.

    It needs bounded values of one arm; ours is for differences of any metric, in large samples.
    """
    bound = brentq(lambda s: log_beta_binomial_martingale(s, 100, 100, 0.2, 0.8) - math.log(20), 1, 60)
    assert bound == pytest.approx(31.4308, abs=1e-4)

    def excess(p):
        v = p * (1 - p)
        return log_beta_binomial_martingale(700 - 1000 * p, 1000 * v, 100 * v, p, 1 - p) - math.log(20)

    found = [brentq(excess, 0.3, 0.7, xtol=1e-14), brentq(excess, 0.7, 0.99, xtol=1e-14)]
    assert found == pytest.approx([0.6516298138699764, 0.7459495007851729], rel=1e-9)
    half = normal_mixture_bound(210, 0.05, 21) / 1000
    assert [0.7 - half, 0.7 + half] == pytest.approx([0.6530230, 0.7469770], abs=1e-7)


def test_lognormal_hurdle():
    """bayesian-testing's Beta x normal-inverse-gamma revenue: P(best) .0002, .033, .967 by its own simulation.

    It believes that order values are lognormal; with gamma values it covers the level of revenue in 8 %, and where they
    bunch at a threshold it finds lifts that are not there. Ours takes the mean as it is, normal: .0002, .071, .929.
    """
    rng, draws = np.random.default_rng(152), 400_000
    fits = [  # visitors, orders, Σ value, Σ ln, Σ ln², then priors: beta a, m, w, inverse gamma a and b
        (31_500, 1580, 30830.02561, 3831.806394737816, 11029.923165846496, 1, 1, 0.01, 0, 0),
        (32_000, 1700, 35203.21689, 4211.72986767986, 12259.51868396913, 0.5, 2, 0.02, 0, 0),
        (31_000, 1550, 37259.56336, 4055.965234848171, 12357.911862914, 0.5, 1, 0.01, 1, 2),
    ]
    revenue, estimates = [], {}
    for name, (visitors, n, total, logs, squares, beta_a, m, w, a, b) in zip("ABC", fits, strict=True):
        mean, spread = logs / n, squares - logs**2 / n
        scale = b + spread / 2 + n * w / (n + w) * (mean - m) ** 2 / 2
        variance = scale / rng.gamma(a + n / 2, size=draws)
        centre = rng.normal((w * m + n * mean) / (n + w), np.sqrt(variance / (n + w)))
        rate = rng.beta(beta_a + n, 0.5 + visitors - n, size=draws)
        revenue.append(rate * np.exp(centre + variance / 2))
        # The sum of squares was not kept: that of the fitted lognormal.
        level, second = total / visitors, n * math.exp(2 * mean + 2 * spread / n) / visitors
        estimates[name] = level, (second - level**2) / visitors
    drawn = np.array(revenue)
    best = np.bincount(drawn.argmax(axis=0), minlength=3) / draws
    assert best.tolist() == pytest.approx([0.00016, 0.032745, 0.967095], abs=0.01)
    loss = (drawn.max(axis=0) - drawn).mean(axis=1)
    assert loss.tolist() == pytest.approx([0.2205026, 0.1211306, 0.0008501], abs=0.01)
    ours = list(normal_posteriors(estimates, "A").probability_best.values())
    assert sum(ours) == pytest.approx(1, abs=1e-12)
    assert ours == pytest.approx([0.00016155, 0.07083417, 0.92900428], abs=1e-7)


LIFTS = ("rel_effect_size_ci_lower", "rel_effect_size_ci_upper")


def adjusted_log_ratio(case):
    """tea-tasting's log-ratio interval of means adjusted by one slope."""
    adjusted, (t, c) = pooled_theta(case), arms(case)
    theta, parts = adjusted["theta"], []
    for arm, level in ((t, adjusted["treatment"]), (c, adjusted["control"])):
        variance = arm.variance_of("y") + theta**2 * arm.variance_of("x") - 2 * theta * arm.covariance_of("y", "x")
        parts.append({"n": arm.n, "sum": level * arm.n, "sum_squares": variance * (arm.n - 1) + level**2 * arm.n})
    return log_ratio({"inputs": {"treatment": parts[0], "control": parts[1]}})


def pooled_log_ratio(case):
    """tea-tasting's log-ratio interval of proportions with the null's standard error, corrected for continuity."""
    t, c = arms(case)
    ratio, pooled = t.mean_of("y") / c.mean_of("y"), (t.sum_of("y") + c.sum_of("y")) / (t.n + c.n)
    half = Z * math.sqrt((1 - pooled) / pooled * (1 / t.n + 1 / c.n))
    if case["inputs"]["correction"]:
        half += (1 / t.n + 1 / c.n) / 2 / c.mean_of("y")
    return dict(zip(LIFTS, (ratio * math.exp(-half) - 1, ratio * math.exp(half) - 1), strict=True))


@pytest.mark.parametrize(
    ("name", "rebuild", "compare"),
    [
        ("tt-welch-mean", log_ratio, compare_means),
        ("tt-cuped", adjusted_log_ratio, lambda t, c, y: compare_adjusted(t, c, y, ["x"])),
        ("tt-prop-norm", pooled_log_ratio, compare_proportions),
        ("tt-prop-norm-cc", pooled_log_ratio, compare_proportions),
    ],
)
def test_lifts_of_tea_tasting(name, rebuild, compare):
    """tea-tasting's intervals of the lift are those of the log ratio; ours invert the test of the difference.

    On the log scale the interval can leave out 0 where the difference's does not, or the other way round.
    """
    case = PEERS[name]
    expected, rebuilt, ours = case["expected"], rebuild(case), compare(*arms(case), "y").lift
    for end, our_end in zip(LIFTS, ends(ours), strict=True):
        assert rebuilt[end] == pytest.approx(expected[end], rel=1e-9), end
        assert abs(our_end - expected[end]) > 1e-4, end


def test_lift_of_gbstats_cuped():
    """gbstats' adjusted lift: adjusted difference over the *unadjusted* control mean, by the delta method.

    The control's part of the variance is that of R ȳ - θ x̄, with R the unadjusted ratio. Ours has the
    adjusted mean below the line.
    """
    case = PEERS["gb-cuped-rel"]
    expected, adjusted, (t, c) = case["expected"], pooled_theta(case), arms(case)
    theta, level, ratio = adjusted["theta"], c.mean_of("y"), t.mean_of("y") / c.mean_of("y")
    parts = []
    for arm, r in ((t, 1.0), (c, ratio)):
        s_xy = arm.covariance_of("y", "x")
        parts.append((r * r * arm.variance_of("y") + theta**2 * arm.variance_of("x") - 2 * theta * r * s_xy) / arm.n)
    assert adjusted["effect"] / level == pytest.approx(expected["effect"], rel=1e-9)
    assert math.sqrt(sum(parts)) / level == pytest.approx(expected["se"], rel=1e-9)
    lift = compare_adjusted(t, c, "y", ["x"]).lift
    assert abs(lift.estimate - expected["effect"]) > 1e-3
