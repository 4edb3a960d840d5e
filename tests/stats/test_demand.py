"""Demand curves through tested prices."""

# A None where a number belongs fails the test, as it should.
# pyright: reportGeneralTypeIssues=false

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offerlift.errors import InputError
from offerlift.stats import demand_curve

from .samples import zeros_and_ones

THREE = {"low": 10.0, "middle": 20.0, "high": 40.0}


def arms(n, *counts):
    return {name: zeros_and_ones(x, n) for name, x in zip(THREE, counts, strict=True)}


def fitted(n, *counts, **options):
    return demand_curve(arms(n, *counts), THREE, "y", **options)


@pytest.mark.parametrize(("counts", "elasticity"), [((400, 200, 100), -1.0), ((320, 80, 20), -2.0), ((8, 8, 8), 0.0)])
def test_elasticity_of_a_known_curve(counts, elasticity):
    """Rates that lie on q = k P^b give back b exactly, at every price, and no lack of fit."""
    found = fitted(1000, *counts)
    assert found.elasticity.estimate == pytest.approx(elasticity, abs=1e-12)
    assert found.elasticity_at(11.0) == found.elasticity
    assert found.fit.chi_squared == pytest.approx(0, abs=1e-18)
    assert found.fit.p_value == pytest.approx(1)
    assert found.rate_at(20.0).estimate == pytest.approx(counts[1] / 1000)


def test_logit_curve_of_known_rates():
    """Rates with logit q = a + b P give back b, and the elasticity b P (1 - q), which differs from price to price."""
    prices = {"a": 1.0, "b": 2.0, "c": 3.0}
    # Odds of 1, 1/3 and 1/9: the slope is -ln 3.
    counts = {"a": 500, "b": 250, "c": 100}
    found = demand_curve({k: zeros_and_ones(x, 1000) for k, x in counts.items()}, prices, "y", form="logit")
    assert found.slope == pytest.approx(-math.log(3))
    assert found.elasticity_at(1.0).estimate == pytest.approx(-math.log(3) * 0.5)
    assert found.elasticity_at(3.0).estimate == pytest.approx(-math.log(3) * 3 * 0.9)
    assert found.elasticity_price == 2.0


@pytest.mark.parametrize("form", ["log", "logit"])
def test_as_weighted_least_squares_of_statsmodels(form):
    """Coefficients, their covariance, the curve's standard errors and the lack of fit are those of statsmodels' WLS."""
    from statsmodels.regression.linear_model import WLS

    found = fitted(2000, 300, 190, 130, form=form)
    p, price = np.array([0.15, 0.095, 0.065]), np.array(list(THREE.values()))
    y, x, v = (
        (np.log(p), np.log(price), (1 - p) / (2000 * p))
        if form == "log"
        else (np.log(p / (1 - p)), price, 1 / (2000 * p * (1 - p)))
    )
    design = np.column_stack([np.ones(3), x])
    fit = WLS(y, design, weights=1 / v).fit()
    cov = fit.normalized_cov_params
    assert (found.intercept, found.slope) == pytest.approx(tuple(fit.params))
    assert found.covariance == pytest.approx((cov[0, 0], cov[0, 1], cov[1, 1]))
    assert found.fit.chi_squared == pytest.approx(float(((y - design @ fit.params) ** 2 / v).sum()))
    line, _ = found.line_at(20.0)
    assert line.se == pytest.approx(math.sqrt(design[1] @ cov @ design[1]))


@pytest.mark.filterwarnings("ignore:The Log link function")
def test_near_the_maximum_likelihood_of_a_binomial_with_log_link():
    """With hundreds of buyers a price it is statsmodels' log-binomial regression, within a tenth of its error."""
    import statsmodels.api as sm

    counts = np.array([700, 420, 260])
    found = fitted(10_000, *counts.tolist())
    design = np.column_stack([np.ones(3), np.log(list(THREE.values()))])
    model = sm.GLM(
        np.column_stack([counts, 10_000 - counts]), design, family=sm.families.Binomial(link=sm.families.links.Log())
    ).fit(start_params=[-1.0, -0.5])
    assert found.elasticity.estimate == pytest.approx(model.params[1], abs=0.1 * model.bse[1])
    assert found.elasticity.se == pytest.approx(model.bse[1], rel=0.02)


def test_elasticity_of_a_logit_by_its_gradient():
    """The standard error of b P (1 - q) is the delta method's: differences of the elasticity by a and b."""
    found = fitted(2000, 300, 190, 130, form="logit")
    step = 1e-6

    def elasticity(a, b, price=25.0):
        return b * price * (1 - 1 / (1 + math.exp(-a - b * price)))

    a, b = found.intercept, found.slope
    gradient = np.array(
        [
            (elasticity(a + step, b) - elasticity(a - step, b)) / (2 * step),
            (elasticity(a, b + step) - elasticity(a, b - step)) / (2 * step),
        ]
    )
    aa, ab, bb = found.covariance
    expected = math.sqrt(gradient @ np.array([[aa, ab], [ab, bb]]) @ gradient)
    assert found.elasticity_at(25.0).se == pytest.approx(expected, rel=1e-5)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(1, 199), min_size=3, max_size=3),
    st.floats(0.01, 1000.0),
    st.sampled_from(["log", "logit"]),
    st.permutations(list(THREE)),
)
def test_neither_currency_nor_order_of_arms_matters(counts, rate, form, order):
    """Prices in another currency, or arms in another order, leave elasticity, interval and lack of fit as they are."""
    first = fitted(200, *counts, form=form)
    every = arms(200, *counts)
    other = demand_curve({k: every[k] for k in order}, {k: THREE[k] * rate for k in order}, "y", form=form)
    for one, two in ((first.elasticity, other.elasticity), (first.rate_at(20.0), other.rate_at(20.0 * rate))):
        assert (two.estimate, two.se, two.low, two.high) == pytest.approx(
            (one.estimate, one.se, one.low, one.high), rel=1e-6, abs=1e-9
        )
    assert other.fit.chi_squared == pytest.approx(first.fit.chi_squared, rel=1e-6, abs=1e-9)
    assert [one.arm for one in other.tested] == list(THREE)


def test_ten_times_the_visitors_take_the_root_of_ten_off_the_interval():
    """The standard error falls with the root of the visitors; the estimate stays."""
    few, many = fitted(1000, 100, 60, 40), fitted(10_000, 1000, 600, 400)
    assert many.elasticity.estimate == pytest.approx(few.elasticity.estimate)
    assert many.elasticity.se == pytest.approx(few.elasticity.se / math.sqrt(10))


def test_a_bend_is_lack_of_fit():
    """Demand that collapses beyond a price does not lie on a curve of one elasticity, and is said so."""
    assert fitted(10_000, 1000, 980, 200).fit.p_value < 1e-6
    assert demand_curve(arms(100, 20, 10, 5), {"low": 1.0, "high": 2.0}, "y").fit is None


@pytest.mark.parametrize("price", [9.99, 40.01, 0.0, -1.0, math.nan, math.inf])
def test_nothing_is_said_of_a_price_outside_the_tested_range(price):
    """Rate and elasticity of a price that was not between tested ones are an error that names the range."""
    found = fitted(1000, 100, 60, 40)
    for ask in (found.rate_at, found.elasticity_at, found.line_at):
        with pytest.raises(InputError, match=r"10\.0 to 40\.0"):
            ask(price)


@pytest.mark.parametrize(
    ("counts", "n", "said"),
    [((100, 60, 0), 1000, "nobody bought at 40.0"), ((50, 50, 50), 50, "everybody bought"), ((0, 0, 0), 0, "no visit")],
)
def test_no_curve_without_variance(counts, n, said):
    """A price at which nobody, or everybody, bought leaves no curve, a status, and the rates that were seen."""
    found = fitted(n, *counts)
    assert found.status == "insufficient"
    assert said in found.reason
    assert found.elasticity is None
    rows = found.to_dicts()
    assert [row["conversions"] for row in rows] == list(counts)
    assert all(row["estimate"] is None and row["low"] is None for row in rows)
    with pytest.raises(InputError, match="no demand curve"):
        found.rate_at(20.0)


@pytest.mark.parametrize(
    ("prices", "seen"),
    [
        ({"low": 10.0}, "1 tested price"),
        ({"low": 10.0, "other": 12.0}, "'other'"),
        ({"low": 10.0, "high": 10.0}, "same price 10.0"),
        ({"low": 0.0, "high": 10.0}, "0.0"),
        ({"low": -1.0, "high": 10.0}, "-1.0"),
        ({"low": math.nan, "high": 10.0}, "nan"),
        ({"low": 1.0, "high": math.inf}, "inf"),
    ],
)
def test_refused_prices(prices, seen):
    """Prices that make no curve are refused, with the value seen."""
    with pytest.raises(InputError, match=seen):
        demand_curve(arms(100, 10, 8, 5), prices, "y")


def test_refused_forms():
    """Only the two forms, and no column that is not 0/1."""
    with pytest.raises(InputError, match="'linear'"):
        fitted(100, 10, 8, 5, form="linear")
    with pytest.raises(InputError, match="'z'"):
        demand_curve(arms(100, 10, 8, 5), THREE, "z")


@pytest.mark.parametrize(("n", "elasticity"), [(500, -2.0), (5_000, -0.8)])
def test_coverage(n, elasticity):
    """The interval of the elasticity holds the truth in 95 % of 2,000 experiments, from ten buyers a price on."""
    rng, runs, covered = np.random.default_rng(41), 2_000, 0
    prices = {"low": 10.0, "middle": 14.0, "high": 20.0}
    rates = 0.08 * np.array([1.0, 1.4, 2.0]) ** elasticity
    for counts in rng.binomial(n, rates, (runs, 3)).tolist():
        found = demand_curve(arms(n, *counts), prices, "y")
        covered += found.elasticity is not None and found.elasticity.low <= elasticity <= found.elasticity.high
    assert covered / runs == pytest.approx(0.95, abs=3.5 * math.sqrt(0.95 * 0.05 / runs))


def test_over_strata_by_hand():
    """Σ w p with Σ w² p (1 - p)/n at every price, the shares of all visitors as weights; then the same line."""
    strata = {
        "low": (zeros_and_ones(30, 300), zeros_and_ones(500, 2500)),
        "middle": (zeros_and_ones(90, 1200), zeros_and_ones(240, 1500)),
        "high": (zeros_and_ones(75, 1500), zeros_and_ones(100, 1000)),
    }
    w = np.array([0.375, 0.625])
    n = np.array([[one.n for one in pair] for pair in strata.values()])
    p = np.array([[one.mean_of("y") for one in pair] for pair in strata.values()])
    rate, variance = p @ w, (p * (1 - p) / n) @ w**2
    x, y, weight = np.log(list(THREE.values())), np.log(rate), rate**2 / variance
    centred = x - weight @ x / weight.sum()
    slope = (weight * centred) @ y / (weight @ centred**2)
    found = demand_curve(strata, THREE, "y")
    assert found.elasticity.estimate == pytest.approx(slope)
    assert found.elasticity.se == pytest.approx(1 / math.sqrt(weight @ centred**2))
    assert [one.rate for one in found.tested] == pytest.approx(rate.tolist())
    assert [(one.n, one.conversions) for one in found.tested] == [(2800, 530), (2700, 330), (2500, 175)]
    given = demand_curve(strata, THREE, "y", visitors=[8000, 0])
    first = {arm: one[0] for arm, one in strata.items()}
    assert given.elasticity == demand_curve(first, THREE, "y").elasticity


@pytest.mark.parametrize("form", ["log", "logit"])
def test_one_stratum_is_the_plain_curve(form):
    """A sequence of one moments an arm changes nothing."""
    plain = arms(1000, 200, 120, 60)
    found = demand_curve({arm: (one,) for arm, one in plain.items()}, THREE, "y", form=form)
    assert found == demand_curve(plain, THREE, "y", form=form)


def test_a_split_that_moves_with_demand_is_no_elasticity():
    """Demand that no price moves, cheap in the quiet phase and dear in the busy one: pooled it rises with the price."""
    strata = {
        "low": (zeros_and_ones(360, 3600), zeros_and_ones(160, 400)),
        "high": (zeros_and_ones(40, 400), zeros_and_ones(1440, 3600)),
    }
    prices = {"low": 10.0, "high": 20.0}
    pooled = {arm: one[0] + one[1] for arm, one in strata.items()}
    assert demand_curve(pooled, prices, "y").elasticity.low > 1
    found = demand_curve(strata, prices, "y").elasticity
    assert found.low < 0 < found.high
    assert found.estimate == pytest.approx(0, abs=1e-12)


def test_a_phase_that_lacks_a_price_is_left_out():
    """The dearest came later: only then were all prices there; and if never all at once, there is no curve."""
    empty = zeros_and_ones(0, 0)
    strata = {
        arm: (empty if arm == "high" else zeros_and_ones(50, 700), zeros_and_ones(x, 1000))
        for arm, x in zip(THREE, (200, 110, 60), strict=True)
    }
    assert demand_curve(strata, THREE, "y").elasticity == fitted(1000, 200, 110, 60).elasticity
    strata["low"] = strata["low"][0], empty
    found = demand_curve(strata, THREE, "y")
    assert (found.status, found.reason) == ("insufficient", "no stratum has two visitors at every price")
