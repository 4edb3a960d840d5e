"""The randomisation test and the Bayesian bootstrap, against enumeration, draws by hand and simulated shops."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import math
from itertools import combinations

import numpy as np
import pytest
import scipy.stats
from offerlift.errors import InputError
from offerlift.stats import Histogram, Moments, bayesian_bootstrap, compare_means, permutation_test


def money(rng, n, rate, sigma, factor=1.0):
    """Each visitor's revenue in cents: lognormal orders of mean 20.00 among zeros."""
    value = rng.lognormal(math.log(2000) - sigma * sigma / 2, sigma, n) * factor
    return np.round(value * (rng.random(n) < rate)).astype(np.int64)


def welch_t(t, c):
    return float(scipy.stats.ttest_ind(t, c, equal_var=False).statistic)


def test_all_ways_to_deal_the_values_out():
    """With 70 ways to deal eight values the p-values are the exact shares of them, within Monte-Carlo error."""
    t, c = [5.0, 9.0, 1.0, 30.0], [2.0, 1.0, 0.0, 4.0]
    pool = np.array(t + c)
    seen = welch_t(t, c)
    exact = []
    for chosen in combinations(range(8), 4):
        inside = np.isin(np.arange(8), chosen)
        exact.append(welch_t(pool[inside], pool[~inside]))
    greater = np.mean(np.array(exact) >= seen - 1e-9)
    less = np.mean(np.array(exact) <= seen + 1e-9)
    test = permutation_test(t, c, resamples=40_000)
    assert test.statistic == pytest.approx(seen, rel=1e-12)
    error = math.sqrt(greater * (1 - greater) / 40_000)
    assert abs(test.p_greater - greater) < 4 * error
    assert abs(test.p_less - less) < 4 * error
    assert test.p_value == 2 * min(test.p_greater, test.p_less)
    assert test.error == pytest.approx(2 * error, rel=0.03)


def test_agrees_with_scipy_on_raw_values():
    """scipy's permutation test with the same statistic gives the same p-value within both Monte-Carlo errors."""
    rng = np.random.default_rng(1)
    t, c = rng.lognormal(0.35, 1, 40), rng.lognormal(0, 1, 60)
    ours = permutation_test(t, c)
    theirs = scipy.stats.permutation_test(
        (t, c), lambda x, y: scipy.stats.ttest_ind(x, y, equal_var=False).statistic, n_resamples=2000, rng=rng
    )
    assert ours.p_value == pytest.approx(theirs.pvalue, abs=4 * math.hypot(ours.error, ours.error * math.sqrt(5)))


def test_one_and_the_same_every_time():
    """A seed fixes the result to the last bit, another one moves it, and histograms in any order are equal."""
    rng = np.random.default_rng(2)
    t, c = (money(rng, n, 0.05, 1.0).tolist() for n in (500, 1500))
    first = permutation_test(Histogram.of(t, scale=100), Histogram.of(c, scale=100), resamples=999, seed=3)
    again = permutation_test(Histogram.of(t[::-1], scale=100), Histogram.of(c, scale=100), resamples=999, seed=3)
    assert first == again
    assert first != permutation_test(Histogram.of(t, scale=100), Histogram.of(c, scale=100), resamples=999, seed=4)
    draws = [bayesian_bootstrap({"t": t, "c": c}, "c", draws=1000, seed=s) for s in (3, 3, 4)]
    assert draws[0] == draws[1] != draws[2]


def test_the_p_value_is_never_zero():
    """(b + 1)/(B + 1): the most extreme of 999 resamples is .001 to each side, and swapped arms swap the tails."""
    t, c = [0.0] * 50 + list(range(100, 150)), [0.0] * 100
    test, swapped = permutation_test(t, c, resamples=999), permutation_test(c, t, resamples=999)
    assert (test.p_greater, test.p_less, test.p_value) == (0.001, 1.0, 0.002)
    assert (swapped.p_greater, swapped.p_less, swapped.p_value) == (1.0, 0.001, 0.002)


def test_level_at_nine_to_one():
    """At 9:1 with 50 orders in the small arm and σ = 1.5 Welch rejects too often on one side; this does not."""
    rng = np.random.default_rng(3)
    runs, low, high, welch = 400, 0, 0, 0
    for run in range(runs):
        small, big = money(rng, 1000, 0.05, 1.5), money(rng, 9000, 0.05, 1.5)
        t, c = (Histogram.of(x.tolist(), scale=100) for x in (small, big))
        test = permutation_test(t, c, resamples=99, seed=run)
        low, high = low + (test.p_less <= 0.05), high + (test.p_greater <= 0.05)
        plain = compare_means(*(Moments.from_arrays({"y": x / 100}) for x in (small, big)), "y").difference
        welch += plain.p_value < 0.1 and plain.estimate < 0
    error = math.sqrt(0.05 * 0.95 / runs)
    assert abs(low / runs - 0.05) < 3.5 * error
    assert abs(high / runs - 0.05) < 3.5 * error
    assert welch / runs > 0.05 + 3.5 * error


@pytest.mark.parametrize(
    ("t", "c", "reason"),
    [([1.0], [1.0, 2.0], "1 visitors in an arm"), ([], [1.0, 2.0], "0 visitors"), ([0.0] * 9, [0.0] * 9, "no visitor")],
)
def test_nothing_to_deal_out(t, c, reason):
    """Too few visitors, or values that are all equal, have a reason and no number."""
    test = permutation_test(t, c)
    assert test.status == "insufficient"
    assert reason in test.reason
    assert test.p_value is None
    assert test.statistic is None


def test_a_billion_visitors():
    """So many visitors cannot be dealt out by numpy: refused with what to do, not wrong."""
    with pytest.raises(InputError, match="too many"):
        permutation_test(Histogram({0: 10**9, 5: 3}), Histogram({0: 5, 5: 2}))


def test_bootstrap_is_rubins():
    """The draws are those of Dirichlet(1, ..., 1) weights over every single visitor, zeros included."""
    rng = np.random.default_rng(4)
    data = {arm: money(rng, n, 0.08, 1.0) / 100 for arm, n in (("c", 300), ("a", 200), ("b", 250))}
    posterior = bayesian_bootstrap(data, "c", draws=40_000)
    direct = np.stack([rng.dirichlet(np.ones(len(x)), 40_000) @ x for x in data.values()])
    best = np.bincount(direct.argmax(axis=0), minlength=3) / 40_000
    assert list(posterior.probability_best.values()) == pytest.approx(best.tolist(), abs=6 * posterior.error)
    for at, arm in ((1, "a"), (2, "b")):
        gap, against = direct[at] - direct[0], posterior.against_control[arm]
        assert against.probability_better == pytest.approx((gap > 0).mean(), abs=6 * posterior.error)
        assert against.expected_loss == pytest.approx(np.maximum(-gap, 0).mean(), rel=0.05)
        ends = np.quantile(gap, [0.025, 0.975])
        assert [against.low, against.high] == pytest.approx(ends.tolist(), abs=0.03 * (ends[1] - ends[0]))
        lift = np.quantile(direct[at] / direct[0] - 1, [0.025, 0.975])
        assert posterior.lift[arm] == pytest.approx(lift.tolist(), abs=0.03 * (lift[1] - lift[0]))


def test_bootstrap_where_less_is_better():
    """With a decrease wanted, chances and losses are those of the other direction; the interval stays t - c."""
    rng = np.random.default_rng(5)
    data = {arm: money(rng, 400, 0.1, 1.0) / 100 for arm in "ct"}
    more, less = (bayesian_bootstrap(data, "c", direction=d) for d in ("increase", "decrease"))
    t_more, t_less = more.against_control["t"], less.against_control["t"]
    assert t_more.probability_better + t_less.probability_better == pytest.approx(1)
    assert (t_more.low, t_more.high) == (t_less.low, t_less.high)
    gap = sum(x.mean() * sign for x, sign in zip((data["t"], data["c"]), (1, -1), strict=True))
    assert t_less.expected_loss - t_more.expected_loss == pytest.approx(gap, abs=0.02 * (t_more.high - t_more.low))


def test_totals_undo_the_bins():
    """Prices of 9.99 and 10.99 fall into bins whose middles are .55 apart; with exact totals they are 1.00 apart."""
    arms = {
        "c": Histogram.of([0] * 300 + [999] * 100, scale=100),
        "t": Histogram.of([0] * 300 + [1099] * 100, scale=100),
    }
    totals = {"c": 999.0, "t": 1099.0}
    binned, exact = bayesian_bootstrap(arms, "c"), bayesian_bootstrap(arms, "c", totals=totals)
    middle = [(one.against_control["t"].low + one.against_control["t"].high) / 2 for one in (binned, exact)]
    # A quarter of the visitors buy; the errors are those of the share of buyers.
    assert middle[1] - middle[0] == pytest.approx((1.00 - 0.55) / 4, abs=0.03)


def test_bootstrap_covers_few_orders():
    """With 60 orders an arm the 95 % credible interval holds the true difference as often as it says."""
    rng = np.random.default_rng(6)
    runs, inside = 300, 0
    for run in range(runs):
        arms = {arm: Histogram.of(money(rng, 1200, 0.05, 1.0).tolist(), scale=100) for arm in "ct"}
        against = bayesian_bootstrap(arms, "c", draws=1000, seed=run).against_control["t"]
        inside += against.low <= 0 <= against.high
    assert 0.94 - 3.5 * math.sqrt(0.94 * 0.06 / runs) < inside / runs < 0.975


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: permutation_test([1.0, 2.0], [3.0], resamples=10), "at least 99"),
        (lambda: permutation_test([1.0, math.nan], [3.0, 1.0]), "finite"),
        (lambda: permutation_test(Histogram.of([1, 2]), Histogram.of([1, 2], scale=100)), "different scales"),
        (lambda: permutation_test(Histogram.of([0, 1000], scale=100), [0.0, 10.0]), "histograms and others raw"),
        (lambda: bayesian_bootstrap({"c": [0, 1], "t": Histogram.of([0, 1])}, "c"), "histograms and others raw"),
        (lambda: bayesian_bootstrap({"c": [1.0, 0.0], "t": [0.0, 0.0]}, "c"), "0 values other than 0 of 2"),
        (lambda: bayesian_bootstrap({"c": [1.0, 0.0]}, "t"), "no arm 't'"),
        (lambda: bayesian_bootstrap({"c": [1.0, 0.0]}, "c", draws=5), "at least 1000"),
        (lambda: bayesian_bootstrap({"c": [1.0, 0.0]}, "c", totals={"t": 1.0}), "totals are of arms"),
        (lambda: bayesian_bootstrap({"c": [1.0, 0.0]}, "c", totals={"c": -1.0}), "total of -1.0"),
    ],
)
def test_refused_resampling(make, message):
    """What cannot be resampled is refused with the value seen."""
    with pytest.raises(InputError, match=message):
        make()
