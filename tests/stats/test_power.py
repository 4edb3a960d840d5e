"""Planning: published numbers, other programs, identities, refusals."""

# Stubs of scipy and statsmodels are incomplete.
# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false, reportOptionalMemberAccess=false

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offerlift.errors import InputError
from offerlift.stats import (
    VISITORS_WITHOUT_PLAN,
    Design,
    Duration,
    Mean,
    Moments,
    Rate,
    achieved_power,
    compare_means,
    control_share_for,
    detectable_lift,
    dunnett_critical,
    inflation_factor,
    mixture_boundary,
    mixture_lambda,
    required_visitors,
    sequential_boundaries,
    time_to_decide,
)
from scipy.special import ndtr, ndtri

FIFTHS = (0.2, 0.4, 0.6, 0.8, 1.0)


def per_arm(endpoint, lift, **settings):
    return required_visitors(endpoint, lift, Design(**settings)).exact / 2


def rate_at(h, from_rate):
    """The lift over a rate that is h on the arcsine scale."""
    return math.sin(math.asin(math.sqrt(from_rate)) + h / 2) ** 2 / from_rate - 1


@pytest.mark.parametrize(
    ("source", "ours", "published", "tolerance"),
    [
        ("R power.prop.test(50, .5, .75)", lambda: achieved_power(Rate(0.5), 0.5, 100, Design()), 0.740165901331, 1e-6),
        ("R power.prop.test(, .5, .75, power=.9)", lambda: per_arm(Rate(0.5), 0.5, power=0.9), 76.7069301141, 0.01),
        ("Evan Miller's calculator, 20 % + 5 points", lambda: per_arm(Rate(0.2, "baseline"), 0.25), 1030, 1),
        ("R power.t.test(delta=1, power=.9)", lambda: per_arm(Mean(1, 1), 1.0, power=0.9), 22.0210977039, 0.001),
        (
            "Cohen 1988, example 6.3, as R pwr.2p2n.test",
            lambda: achieved_power(
                Rate(0.2, "arcsine"), rate_at(0.3, 0.2), 325, Design(alpha=0.1, shares=(80 / 325, 245 / 325))
            ),
            0.753292447232,
            1e-6,
        ),
        (
            "rpact getSampleSizeRates(pi1=pi2=.05, thetaH0=-.005)",
            lambda: required_visitors(Rate(0.05, "farrington-manning"), 0.0, Design(), null_lift=-0.1).exact,
            59739.3835539,
            1,
        ),
        (
            "rpact getDesignCharacteristics, asOF, K = 5",
            lambda: (
                required_visitors(Mean(1, 100), 0.01, Design(looks=FIFTHS)).exact
                / required_visitors(Mean(1, 100), 0.01, Design(looks=(1.0,))).exact
            ),
            1.02471989147,
            0.0005,
        ),
        (
            "tea-tasting 1.14, mean .05, variance .0475, ratio 2, normal",
            lambda: required_visitors(Mean(0.05, 0.0475), 0.1, Design(shares=(1 / 3, 2 / 3), looks=(1.0,))).exact,
            67107.5,
            0.5,
        ),
        (
            "tea-tasting 1.14, the same with 20,000 visitors in equal arms",
            lambda: detectable_lift(Mean(0.05, 0.0475), 20_000, Design()),
            0.17270939416435505,
            5e-7,
        ),
    ],
)
def test_published_number(source, ours, published, tolerance):
    """Each number comes out within the tolerance that its printing or its convention allows."""
    assert ours() == pytest.approx(published, abs=tolerance, rel=0), source


def test_the_rule_of_thumb_is_a_rounded_up_version():
    """Kohavi et al. 2009: 16 σ²/Δ² is 121,600 an arm at 5 % and a 5 % change; 16 stands for 2 (z + z)² = 15.7."""
    thumb = 16 * 0.05 * 0.95 / 0.0025**2
    assert thumb == pytest.approx(121_600)
    exact = 2 * (ndtri(0.975) + ndtri(0.8)) ** 2 * 0.05 * 0.95 / 0.0025**2
    assert per_arm(Mean(0.05, 0.05 * 0.95), 0.05) == pytest.approx(exact, rel=1e-4)
    assert 0.97 < exact / thumb < 1


@pytest.mark.parametrize("ratio", [0.5, 1.0, 4.0])
@pytest.mark.parametrize(("delta", "nobs1"), [(0.2, 300), (0.4, 90), (0.05, 4000)])
def test_means_as_statsmodels(delta, nobs1, ratio):
    """Power of Welch's test with equal variances as TTestIndPower (equal arms) and NormalIndPower, upper side."""
    from statsmodels.stats.power import NormalIndPower, TTestIndPower

    total = nobs1 * (1 + ratio)
    shares = (ratio / (1 + ratio), 1 / (1 + ratio))
    ours = achieved_power(Mean(1.0, 1.0), delta, total, Design(shares=shares, looks=(1.0,)))
    theirs = NormalIndPower().power(delta, nobs1, 0.025, ratio=ratio, alternative="larger")
    assert ours == pytest.approx(theirs, rel=1e-9)
    if ratio == 1.0:
        ours = achieved_power(Mean(1.0, 1.0), delta, total, Design())
        theirs = TTestIndPower().power(delta, nobs1, 0.025, ratio=ratio, alternative="larger")
        assert ours == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize(("p", "lift", "power"), [(0.02, 0.1, 0.8), (0.05, 0.03, 0.9), (0.3, -0.2, 0.95)])
def test_rates_as_statsmodels(p, lift, power):
    """The sample size of the score test is statsmodels' from the pooled and the unpooled standard deviation."""
    from statsmodels.stats.power import normal_sample_size_one_tail

    q = p * (1 + lift)
    pooled = (p + q) / 2
    theirs = normal_sample_size_one_tail(
        abs(q - p),
        power,
        0.025,
        std_null=math.sqrt(2 * pooled * (1 - pooled)),
        std_alternative=math.sqrt(p * (1 - p) + q * (1 - q)),
    )
    assert per_arm(Rate(p), lift, power=power) == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize(("h", "ratio"), [(0.1, 1.0), (0.3, 3.0)])
def test_arcsine_as_statsmodels(h, ratio):
    """The arcsine test has the power of NormalIndPower at Cohen's h."""
    from statsmodels.stats.power import NormalIndPower

    total = 200 * (1 + ratio)
    shares = (ratio / (1 + ratio), 1 / (1 + ratio))
    ours = achieved_power(Rate(0.1, "arcsine"), rate_at(h, 0.1), total, Design(shares=shares))
    assert ours == pytest.approx(NormalIndPower().power(h, 200, 0.025, ratio=ratio, alternative="larger"), rel=1e-9)


def test_unpooled_is_the_wald_test():
    """(z + z)² (p q + p q)/δ² an arm."""
    z = ndtri(0.975) + ndtri(0.8)
    wald = z**2 * (0.05 * 0.95 + 0.06 * 0.94) / 0.01**2
    assert per_arm(Rate(0.05, "unpooled"), 0.2) == pytest.approx(wald, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    rate=st.floats(0.005, 0.5),
    lift=st.sampled_from([-0.3, -0.05, 0.02, 0.1, 0.4]),
    share=st.floats(0.1, 0.9),
    test=st.sampled_from(["score", "farrington-manning", "unpooled", "arcsine"]),
    looks=st.sampled_from([(), (0.5, 1.0), FIFTHS]),
)
def test_sample_size_power_and_detectable_lift_are_inverses(rate, lift, share, test, looks):
    """With the visitors required the power is that of the design and the detectable lift is the one asked for."""
    endpoint, design = Rate(rate, test), Design(shares=(share, 1 - share), looks=looks)
    found = required_visitors(endpoint, lift, design)
    assert achieved_power(endpoint, lift, found.exact, design) == pytest.approx(0.8, abs=1e-8)
    direction = "increase" if lift > 0 else "decrease"
    seen = detectable_lift(endpoint, found.exact, design, direction=direction)
    assert seen == pytest.approx(lift, rel=1e-6)
    assert found.total >= found.exact
    assert found.total - found.exact < 2


@pytest.mark.parametrize("readings", [None, 4, 30])
@pytest.mark.parametrize("tuned_at", [None, VISITORS_WITHOUT_PLAN])
def test_means_are_inverses_too(readings, tuned_at):
    """The same of a mean, one look and always-valid, at few and at many visitors."""
    design = Design(readings=readings, tuned_at=tuned_at, shares=(0.3, 0.7))
    for lift in (0.02, 0.5):
        found = required_visitors(Mean(2.0, 9.0), lift, design).exact
        assert achieved_power(Mean(2.0, 9.0), lift, found, design) == pytest.approx(0.8, abs=1e-8)
        assert detectable_lift(Mean(2.0, 9.0), found, design) == pytest.approx(lift, rel=1e-6)


def test_looks_cost_what_the_inflation_factor_says():
    """For a mean the visitors with looks are the inflation factor times those without, at another level and power."""
    looks = (0.3, 0.7, 1.0)
    with_looks, without = (
        required_visitors(Mean(1, 25), 0.02, Design(alpha=0.1, power=0.9, looks=at)).exact for at in (looks, (1.0,))
    )
    factor = inflation_factor(sequential_boundaries(looks, alpha=0.1), 0.9)
    assert with_looks / without == pytest.approx(factor, rel=1e-6)


def first_passage(drift, slope, alpha, steps=200):
    """Chance that a Brownian motion with drift ever crosses the mixture boundary before 1, watched all the time.

    Volterra's equation P(S(t) > b(t)) = Σ p_j P(S(t) > b(t) | at the boundary at t_j), by the midpoint rule.
    """
    t = np.arange(1, steps + 1) / steps
    mid = t - 0.5 / steps

    def b(at):
        return np.array([mixture_boundary(slope * x, alpha) for x in at]) * np.sqrt(at)

    left = ndtr((drift * t - b(t)) / np.sqrt(t))
    gap = np.maximum(t[:, None] - mid, 1e-300)
    kernel = np.tril(ndtr((drift * gap - (b(t)[:, None] - b(mid))) / np.sqrt(gap)))
    return float(np.linalg.solve(kernel, left).sum())


@pytest.mark.parametrize("power", [0.5, 0.8])
def test_always_valid_power_approaches_the_crossing_probability_of_brownian_motion(power):
    """With more and more readings the power rises to that of watching all the time, solved in another way.

    The distance falls like the square root of the gap between readings (Siegmund 1979), so twice as many readings take
    off three tenths of it.
    """
    visitors = required_visitors(Mean(1.0, 100.0), 0.05, Design(power=power, readings=400)).exact
    drift = math.sqrt(visitors) * 0.05 / math.sqrt(400.0)
    always = first_passage(drift, 2 * mixture_lambda(), 0.05)
    gaps = [
        always - achieved_power(Mean(1.0, 100.0), 0.05, visitors, Design(readings=readings))
        for readings in (50, 100, 200)
    ]
    assert min(gaps) > 0
    assert gaps[1] / gaps[0] == pytest.approx(math.sqrt(0.5), abs=0.03)
    assert gaps[2] / gaps[1] == pytest.approx(math.sqrt(0.5), abs=0.03)


def test_stopping_at_any_time_needs_less_than_the_bound_at_the_end():
    """The boundary is 1.57 times as wide at the end, so an end that decides alone needs more than reading on the way.

    In widths it is 1.57² visitors; for 80 % power ((3.06 + .84)/(1.96 + .84))² of a test with one look.
    """
    once, end_only, weekly, daily = (
        required_visitors(Mean(1, 100), 0.05, Design(looks=looks, readings=readings)).exact
        for looks, readings in (((1.0,), None), ((), 1), ((), 8), ((), 56))
    )
    boundary = mixture_boundary(2 * mixture_lambda())
    assert boundary / ndtri(0.975) == pytest.approx(1.57, abs=0.01)
    z = ndtri(0.8)
    assert end_only / once == pytest.approx(((boundary + z) / (ndtri(0.975) + z)) ** 2, rel=1e-6)
    assert once < daily < weekly < end_only


def test_several_arms_use_dunnett_in_place_of_z():
    """Four equal arms need ((d + z)/(1.96 + z))² times the visitors of an arm, d Dunnett's critical value."""
    shares = (0.25,) * 4
    many = required_visitors(Mean(1, 100), 0.05, Design(shares=shares, looks=(1.0,))).by_arm[0]
    one = required_visitors(Mean(1, 100), 0.05, Design(looks=(1.0,))).by_arm[0]
    d, z = dunnett_critical([1.0] * 3, 1.0), ndtri(0.8)
    assert many / one == pytest.approx(((d + z) / (ndtri(0.975) + z)) ** 2, rel=1e-4)


def test_the_smallest_treatment_counts():
    """With unequal treatments the power is that of the smallest one, so that every treatment has it."""
    uneven = Design(shares=(0.5, 0.3, 0.2))
    alone = Design(alpha=uneven.level, shares=(5 / 7, 2 / 7))
    power = achieved_power(Mean(1, 100), 0.05, 100_000, uneven)
    assert power == pytest.approx(achieved_power(Mean(1, 100), 0.05, 70_000, alone), rel=1e-9)


def test_the_control_share_is_the_best_there_is():
    """For four treatments √4 : 1 needs fewer visitors than an even split or an even larger control."""

    def needed(control):
        design = Design(shares=(control, *[(1 - control) / 4] * 4))
        return required_visitors(Mean(1, 100), 0.05, design).exact

    best = control_share_for(4)
    assert best == pytest.approx(2 / 6)
    assert needed(best) < min(needed(0.2), needed(0.45))
    # Dunnett's critical value moves the exact optimum a little.
    assert needed(best) < 1.01 * min(needed(best + step) for step in (-0.06, -0.03, 0.03, 0.06))


def test_cuped_saves_r_squared():
    """A covariate that explains 40 % of the variance saves 40 % of the visitors."""
    plain, adjusted = (
        required_visitors(endpoint, 0.05, Design(looks=(1.0,))).exact
        for endpoint in (Mean(2, 50), Mean(2, 50).adjusted(0.4))
    )
    assert adjusted / plain == pytest.approx(0.6, rel=1e-9)
    assert Rate(0.1).adjusted(0.4).variance == pytest.approx(0.09 * 0.6)


def test_guardrails_take_alpha_and_power():
    """With two guardrails the primary has alpha .04 and guardrails one-sided .025, each powered at 1 - .2/3."""
    design = Design(guardrails=2)
    assert design.level == pytest.approx(0.04)
    assert design.target == pytest.approx(1 - 0.2 / 3)
    guardrail = Design(shares=(0.4, 0.3, 0.3), guardrails=2).of_guardrail()
    assert (guardrail.level, guardrail.target, guardrail.guardrails) == (0.05, pytest.approx(1 - 0.2 / 3), 0)


def test_the_harm_budget_is_that_of_the_decision():
    """A plan counts with the same share of alpha for harm alarms as the rule spends."""
    from offerlift.reports import decision
    from offerlift.stats import power

    assert decision.HARM_BUDGET == power.HARM_BUDGET


def test_revenue_from_orders_is_that_of_visitors():
    """p E[y²] - (p E[y])² is the variance of visitors of whom a share p orders once, whatever the orders' shape."""
    rng = np.random.default_rng(5)
    orders = rng.lognormal(4.0, 1.5, size=400)
    visitors = np.concatenate([orders, np.zeros(9_600)])
    seen = Mean.of(Moments.from_arrays({"revenue": visitors}), "revenue")
    told = Mean.of_orders(0.04, float(orders.mean()), float((orders**2).mean()))
    assert told.mean == pytest.approx(seen.mean)
    assert told.variance == pytest.approx(seen.variance * 9_999 / 10_000)


def test_a_ratio_is_planned_with_its_linearised_variance():
    """The variance of a ratio's endpoint is that of (y - R x)/x̄ over visitors."""
    rng = np.random.default_rng(3)
    x = rng.poisson(1.2, size=500).astype(float)
    y = x * rng.lognormal(3, 0.5, size=500)
    endpoint = Mean.of_ratio(Moments.from_arrays({"value": y, "orders": x}), "value", "orders")
    assert endpoint.mean == pytest.approx(y.sum() / x.sum())
    assert endpoint.variance == pytest.approx(np.var((y - endpoint.mean * x) / x.mean(), ddof=1))


def test_welch_with_unequal_variances_is_the_power_of_the_test_made():
    """At an effect of exactly t standard errors of the seen variances the power is near one half."""
    rng = np.random.default_rng(8)
    t, c = (Moments.from_arrays({"y": rng.normal(10, sd, size=n)}) for sd, n in ((4.0, 40), (1.0, 160)))
    difference = compare_means(t, c, "y").difference
    half = (difference.high - difference.low) / 2
    endpoint = Mean(10.0, c.variance_of("y"), t.variance_of("y"))
    power = achieved_power(endpoint, half / 10.0, 200, Design(shares=(0.8, 0.2)))
    assert power == pytest.approx(0.5, abs=0.01)


def test_no_lift_of_a_rate_is_detectable():
    """Where not even every visitor buying would be seen, there is no detectable lift, and it is None."""
    assert detectable_lift(Rate(0.9), 20, Design()) is None
    assert detectable_lift(Rate(0.05), 40, Design(), direction="decrease") is None


def test_duration_is_whole_weeks_of_two_at_least_and_the_window():
    """Enrolment in whole weeks, at least two; the window comes on top; a whole number of weeks is not rounded up."""
    assert time_to_decide(100, 50_000, window_days=3) == Duration(2, 3)
    assert time_to_decide(150_001, 50_000, window_days=14).days == 42
    assert time_to_decide(150_000, 50_000) == Duration(3, 0.0)
    assert time_to_decide(7 * 0.1 * 3, 0.7).enrolment_weeks == 3
    assert Duration(3, 1).weeks == 4


@pytest.mark.parametrize(
    ("refused", "seen"),
    [
        (lambda: Design(alpha=0), "alpha is 0"),
        (lambda: Design(power=1.0), "power is 1.0"),
        (lambda: Design(shares=(0.5, 0.4)), "shares are (0.5, 0.4)"),
        (lambda: Design(looks=(0.5, 0.5, 1.0)), "looks are (0.5, 0.5, 1.0)"),
        (lambda: Design(looks=(0.5,)), "looks are (0.5,)"),
        (lambda: Design(looks=(0.5, 1.0), readings=4), "readings 4"),
        (lambda: Design(readings=0), "0 readings"),
        (lambda: Design(tuned_at=0.0), "tuned at 0.0"),
        (lambda: Design(guardrails=-1), "-1 guardrails"),
        (lambda: Mean(0.0, 1.0), "the mean is 0.0"),
        (lambda: Mean(1.0, math.nan), "a variance is nan"),
        (lambda: Mean(1.0, 1.0).adjusted(1.0), "R² is 1.0"),
        (lambda: Mean.of_orders(0.1, 10.0, 99.0), "mean square 99.0"),
        (lambda: Mean.of_ratio(Moments.zero(["a", "b"]), "a", "b"), "0 visitors"),
        (lambda: Rate(0.0), "the rate is 0.0"),
        (lambda: Rate(0.1, "guess"), "'guess'"),
        (lambda: required_visitors(Rate(0.5), 1.0, Design()), "a lift of 1 takes a rate of 0.5 to 1"),
        (lambda: required_visitors(Mean(1, 1), 0.0, Design()), "both 0.0"),
        (lambda: achieved_power(Mean(1, 1), 0.1, 3, Design()), "3 visitors"),
        (lambda: achieved_power(Mean(1, 1), 0.1, math.nan, Design()), "nan visitors"),
        (lambda: time_to_decide(100, 0), "0 a week"),
        (lambda: control_share_for(0), "0 treatments"),
    ],
)
def test_refused(refused, seen):
    """What cannot be planned is refused, with the value seen."""
    with pytest.raises(InputError) as error:
        refused()
    assert seen in str(error.value)
