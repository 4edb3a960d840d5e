"""The choice among tested prices."""

# A None where a number belongs fails the test, as it should.
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offerlift.errors import InputError
from offerlift.stats import Moments, choose_price, demand_curve
from offerlift.stats.pricing import _log_chances, _logit_chances
from scipy.special import expit

from .samples import zeros_and_ones

PRICES = {"a": 20.0, "b": 25.0, "c": 30.0}


def arms(n, *counts):
    return {name: zeros_and_ones(x, n) for name, x in zip(PRICES, counts, strict=False)}


def chosen(n, *counts, **options):
    return choose_price(arms(n, *counts), PRICES, "y", **({"unit_cost": 10.0} | options))


def test_profit_of_each_price_is_seen_first():
    """Without any curve: (P - c) x/n, its binomial standard error, and P(best) that adds up to 1."""
    found = chosen(1000, 100, 70, 51)
    assert [one.profit for one in found.tested] == pytest.approx([1.0, 1.05, 1.02])
    assert found["b"].profit_se == pytest.approx(15 * math.sqrt(0.07 * 0.93 / 1000))
    assert sum(one.probability_best for one in found.tested) == pytest.approx(1, abs=1e-12)
    assert sum(one.model_probability_best for one in found.tested) == pytest.approx(1, abs=1e-12)
    assert (found.best, found.model_best, found.boundary) == ("b", "b", "")


def test_chances_of_the_arms_by_simulation():
    """P(best) and expected regret from the arms are those of a million draws of their profits."""
    found = chosen(1000, 100, 80, 65)
    means = np.array([one.profit for one in found.tested])
    sds = np.array([one.profit_se for one in found.tested])
    drawn = np.random.default_rng(51).normal(means, sds, (1_000_000, 3))
    best = np.bincount(drawn.argmax(axis=1), minlength=3) / len(drawn)
    lost = drawn.max(axis=1)[:, None] - drawn
    assert [one.probability_best for one in found.tested] == pytest.approx(best.tolist(), abs=0.0018)
    for one, loss in zip(found.tested, lost.T, strict=True):
        assert one.expected_regret == pytest.approx(loss.mean(), abs=3.5 * loss.std() / 1000)


@pytest.mark.parametrize("form", ["log", "logit"])
def test_chances_of_the_curve_by_simulation(form):
    """P(best) and expected regret from the curve are those of a million draws of its two parameters."""
    found = chosen(800, 90, 70, 55, form=form)
    aa, ab, bb = found.demand.covariance
    drawn = np.random.default_rng(52).multivariate_normal(
        [found.demand.intercept, found.demand.slope], [[aa, ab], [ab, bb]], 1_000_000
    )
    price = np.array(list(PRICES.values()))
    x = np.log(price) if form == "log" else price
    line = drawn[:, :1] + drawn[:, 1:] * x
    profit = (price - 10) * (np.exp(line) if form == "log" else expit(line))
    best = np.bincount(profit.argmax(axis=1), minlength=3) / len(drawn)
    lost = profit.max(axis=1)[:, None] - profit
    # The grid of the logit is good to 0.2 %.
    grid = 0.0 if form == "log" else 0.002
    assert [one.model_probability_best for one in found.tested] == pytest.approx(best.tolist(), abs=0.0018 + grid)
    for one, loss in zip(found.tested, lost.T, strict=True):
        allowed = 3.5 * loss.std() / 1000 + grid * loss.mean()
        assert one.model_expected_regret == pytest.approx(loss.mean(), abs=allowed)


def test_exact_and_grid_agree_where_demand_is_small():
    """With rates far below 1 a logit is a logarithm: the exact chances of a curve in ln P meet the grid's."""
    price, earned = np.array([20.0, 20.05, 20.1]), np.array([1.0, 1.025, 1.045])
    middle = math.log(20.05)
    # An elasticity of -10 ± 20, and a level at the middle price of which nothing depends on it.
    aa, ab, bb = 0.01 + 400.0 * middle**2, -400.0 * middle, 400.0
    mean, covariance = np.array([10 * middle, -10.0]), (aa, ab, bb)
    exact = _log_chances(price, earned, mean, covariance)
    # So close together, ln P is a line: b ln P = b (ln 20.05 - 1) + (b / 20.05) P.
    shift, slope = middle - 1, 1 / 20.05
    linear = (aa + 2 * shift * ab + shift * shift * bb, slope * (ab + shift * bb), slope * slope * bb)
    # The level is moved down to where a logit is a logarithm; a factor of all profits changes no chance.
    grid = _logit_chances(price, earned, np.array([mean[0] + shift * mean[1] - 20, slope * mean[1]]), linear)
    assert grid[0].tolist() == pytest.approx(exact[0].tolist(), abs=0.004)


def test_elasticity_above_minus_one_ends_at_the_highest_price():
    """Inelastic demand: the best of the tested prices is the highest, which is said to be the end of the range."""
    found = chosen(20_000, 2000, 1900, 1850)
    assert found.demand.elasticity.estimate > -1
    assert found.model_best == "c"
    assert found.boundary == (
        "the elasticity is above -1: the best price is the highest tested, 30; higher ones were not tested"
    )


def test_the_highest_price_can_be_best_of_elastic_demand():
    """At an elasticity of -1.5 and a cost of 19 profit still rises at the end; elasticity is not blamed."""
    found = chosen(20_000, 4000, 2862, 2177, unit_cost=19.0)
    assert -1.6 < found.demand.elasticity.estimate < -1.4
    assert found.boundary == "the best price is the highest tested, 30; higher ones were not tested"


def test_the_lowest_price_is_an_end_as_well():
    """Very elastic demand: the lowest tested price is the best, lower ones were not tested."""
    found = chosen(20_000, 4000, 1000, 300)
    assert found.boundary == "the best price is the lowest tested, 20; lower ones were not tested"


def test_a_margin_column_counts_before_price_less_cost():
    """With a margin column the arms' profits are its means; without a unit cost there is no curve."""
    rng = np.random.default_rng(53)

    def arm(rate, margin):
        bought = (rng.random(4000) < rate).astype(float)
        return Moments.from_arrays({"y": bought, "margin": bought * rng.gamma(4, margin / 4, 4000)})

    every = {"a": arm(0.1, 9.0), "b": arm(0.08, 15.0), "c": arm(0.05, 20.0)}
    found = choose_price(every, PRICES, "y", margin="margin")
    assert [one.profit for one in found.tested] == [one.mean_of("margin") for one in every.values()]
    assert found.demand is None
    assert found.model_best is None
    with pytest.raises(InputError, match="unit cost"):
        found.profit_at(22.0, 10.0)
    both = choose_price(every, PRICES, "y", margin="margin", unit_cost=10.0)
    assert both.best == found.best
    assert both.demand.status == "ok"


def test_profit_between_tested_prices_and_never_beyond():
    """The curve's profit inside the range is (P - c) q(P); outside it is an error."""
    found = chosen(5000, 500, 400, 300)
    rate = found.demand.rate_at(22.0)
    assert found.profit_at(22.0, 10.0).estimate == pytest.approx(12 * rate.estimate)
    assert found.profit_at(22.0, 30.0).low == pytest.approx(-8 * rate.high)
    for price in (19.99, 30.01):
        with pytest.raises(InputError, match="not tested"):
            found.profit_at(price, 10.0)


def test_a_price_without_a_sale_is_insufficient():
    """No sale at a price: no P(best), no best price, a reason; the profits that were seen stay."""
    found = chosen(1000, 100, 60, 0)
    assert (found.status, found.best, found.model_best) == ("insufficient", None, None)
    assert "'c'" in found.reason
    assert found["c"].profit == 0
    assert found["c"].profit_se is None
    assert all(one.probability_best is None and one.model_profit is None for one in found.tested)
    assert found["a"].profit_low < 1.0 < found["a"].profit_high
    left_out = choose_price(arms(1000, 100, 60, 0), {"a": 20.0, "b": 25.0}, "y", unit_cost=10.0)
    assert left_out.status == "ok"


def test_prices_below_the_cost_are_never_best():
    """A tested price below the cost loses with every sale: never the best by the curve, and its regret shows it."""
    found = chosen(1000, 300, 100, 50, unit_cost=22.0)
    assert found["a"].model_probability_best == 0
    assert found["a"].profit < 0
    assert found["a"].model_profit < 0
    assert found["a"].model_expected_regret > found["b"].model_expected_regret


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(5, 195), min_size=3, max_size=3), st.floats(0.01, 1000.0), st.permutations(list(PRICES)))
def test_currency_scales_money_alone(counts, rate, order):
    """In another currency, or arms in another order, chances stay and profits and regrets are multiplied."""
    first = chosen(200, *counts)
    every = arms(200, *counts)
    other = choose_price({k: every[k] for k in order}, {k: PRICES[k] * rate for k in order}, "y", unit_cost=10.0 * rate)
    for one, two in zip(first.tested, other.tested, strict=True):
        assert two.arm == one.arm
        for name in ("probability_best", "model_probability_best"):
            assert getattr(two, name) == pytest.approx(getattr(one, name), abs=1e-6)
        for name in ("profit", "expected_regret", "model_profit", "model_expected_regret"):
            assert getattr(two, name) == pytest.approx(rate * getattr(one, name), rel=1e-6, abs=1e-9 * rate)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 199), min_size=3, max_size=3), st.sampled_from(["log", "logit"]))
def test_no_other_choice_is_expected_to_lose_less(counts, form):
    """Chances are probabilities, regrets at least 0, and the price called best has the least of them."""
    found = chosen(200, *counts, form=form)
    for one in found.tested:
        assert 0 <= one.probability_best <= 1
        assert 0 <= one.model_probability_best <= 1
        assert one.expected_regret >= 0
        assert one.model_expected_regret >= 0
    assert found[found.best].expected_regret == min(one.expected_regret for one in found.tested)
    assert found[found.best].profit == max(one.profit for one in found.tested)
    assert found[found.model_best].model_expected_regret == min(one.model_expected_regret for one in found.tested)


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        ({"unit_cost": None}, "unit cost or a margin"),
        ({"unit_cost": -1.0}, "-1.0"),
        ({"unit_cost": 30.0}, "30.0"),
        ({"unit_cost": math.nan}, "nan"),
        ({"margin": "margin"}, "'margin'"),
        ({"alpha": 5}, "5"),
    ],
)
def test_refused(options, seen):
    """What cannot be chosen from is refused, with the value seen."""
    with pytest.raises(InputError, match=seen):
        chosen(1000, 100, 80, 50, **options)
    with pytest.raises(InputError, match="'d'"):
        chosen(1000, 100, 80, 50)["d"]


def test_said_and_true_chances_of_the_best_price():
    """Over 2,000 shops with elasticities drawn wide, P(best) and regret as said are what came of it."""
    rng, n, cost = np.random.default_rng(54), 4000, 10.0
    price = np.array(list(PRICES.values()))
    said, right, promised, lost = [], [], [], []
    for _ in range(2_000):
        rate = 0.08 * (price / 20) ** rng.uniform(-6, 2)
        found = choose_price(arms(n, *rng.binomial(n, np.minimum(rate, 1)).tolist()), PRICES, "y", unit_cost=cost)
        if found.model_best is None:
            continue
        profit, row = (price - cost) * rate, found[found.model_best]
        at = list(PRICES).index(row.arm)
        said.append(row.model_probability_best)
        right.append(profit[at] == profit.max())
        promised.append(row.model_expected_regret)
        lost.append(profit.max() - profit[at])
    assert len(said) > 1_990
    wrong = np.mean(said) - np.mean(right)
    assert abs(wrong) < 3.5 * math.sqrt(np.mean(right) * (1 - np.mean(right)) / len(right))
    assert abs(np.mean(promised) - np.mean(lost)) < 3.5 * np.std(lost) / math.sqrt(len(lost))


def test_the_curve_knows_more_than_the_arms_where_it_holds():
    """The curve's interval of a profit is shorter than the arm's own; the arms' needs no curve to hold."""
    found = chosen(5000, 500, 358, 272)
    assert found.demand == demand_curve(arms(5000, 500, 358, 272), PRICES, "y")
    for one in found.tested:
        assert one.model_high - one.model_low < one.profit_high - one.profit_low
