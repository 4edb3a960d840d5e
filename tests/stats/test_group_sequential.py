"""Planned looks: boundaries, repeated intervals and estimates after stopping."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import math

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.stats import (
    Boundaries,
    Estimate,
    Spending,
    classical_boundaries,
    compare_estimates,
    crossing_probabilities,
    drift_for_power,
    next_boundary,
    nominal_level,
    repeated_interval,
    repeated_lift,
    repeated_p_value,
    sequential_boundaries,
    spent_alpha,
    spent_by,
    stagewise_estimate,
)
from scipy.special import ndtr, ndtri

FIVE = (0.2, 0.4, 0.6, 0.8, 1.0)
TWELVE = tuple(k / 12 for k in range(1, 13))
FUNCTIONS = (
    Spending(),
    Spending("pocock"),
    Spending("kim_demets", 0.5),
    Spending("kim_demets", 3.0),
    Spending("hwang_shih_decani", -4.0),
    Spending("hwang_shih_decani", 0.0),
    Spending("hwang_shih_decani", 2.0),
)


def paths(rng, runs, clocks, drift=0.0):
    """z-values of `runs` experiments at the clocks."""
    steps = np.diff([0.0, *clocks])
    s = (rng.standard_normal((runs, len(clocks))) * np.sqrt(steps) + drift * steps).cumsum(axis=1)
    return s / np.sqrt(clocks)


def shares_close(hits, runs, expected):
    """Within 3.5 Monte Carlo standard errors."""
    return abs(hits / runs - expected) < 3.5 * math.sqrt(expected * (1 - expected) / runs)


def test_one_look_is_the_ordinary_test():
    """A single look at the end has boundary 1.96, interval ± 1.96 se, and the fixed-sample p-value."""
    one = sequential_boundaries([1.0])
    assert one.z[0] == pytest.approx(float(-ndtri(0.025)), rel=1e-12)
    assert one.spent == (0.05,)
    interval = repeated_interval(2.5, 1.0, one.z[0])
    assert (interval.low, interval.crossed) == (pytest.approx(2.5 - 1.959964, abs=1e-6), True)
    assert repeated_p_value([1.0], 2.5) == pytest.approx(2 * ndtr(-2.5), rel=1e-8)
    assert sequential_boundaries([1.0], sides=1).z[0] == pytest.approx(float(-ndtri(0.05)), rel=1e-12)


@pytest.mark.parametrize("spending", FUNCTIONS)
@pytest.mark.parametrize("sides", [1, 2])
def test_spending_functions_run_from_nothing_to_alpha(spending, sides):
    """Each starts at 0, never falls, ends at alpha, and stays there; two sides spend twice alpha/2."""
    spent = [spent_alpha(t, 0.04, spending=spending, sides=sides) for t in np.linspace(0, 1, 201)]
    assert spent[0] == 0
    assert spent[-1] == spent_alpha(1.7, 0.04, spending=spending, sides=sides) == 0.04
    assert np.all(np.diff(spent) >= 0)
    assert spent_alpha(0.6, 0.04, spending=spending) == 2 * spent_alpha(0.6, 0.02, spending=spending, sides=1)
    assert spent_alpha(1 - 1e-9, 0.04, spending=spending, sides=sides) == pytest.approx(0.04, rel=1e-7)


@pytest.mark.parametrize("alpha", [0.05, 0.01, 1e-4, 1e-6])
@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("spending", FUNCTIONS)
def test_cumulative_alpha_at_random_looks(spending, sides, alpha):
    """Trap: boundaries recomputed at changed looks spend what is left, never alpha again, down to alpha = 1e-6.

    The looks come one by one at times that nobody planned; the chance of crossing any of the boundaries, by recursion,
    is alpha at the end and the spending function's value before.
    """
    rng = np.random.default_rng(8)
    for _ in range(4):
        clocks, bounds, spent = [], [], 0.0
        for clock in [*np.sort(rng.uniform(0.02, 1.0, rng.integers(1, 9))), 1.0]:
            at = next_boundary(clocks, bounds, clock, alpha=alpha, spending=spending, sides=sides)
            clocks.append(at.clock)
            bounds.append(at.z)
            spent = spent_by(clocks, bounds, sides=sides)
            assert spent <= alpha * (1 + 1e-9)
            assert spent == pytest.approx(at.spent, rel=1e-8, abs=1e-13)
        assert spent == pytest.approx(alpha, rel=2e-3)


def test_recursion_agrees_with_simulated_paths():
    """First crossings above and below at unequal looks, with and without an effect, are those of simulated paths."""
    boundaries = sequential_boundaries([0.1, 0.35, 0.4, 0.9], spending="pocock", last=True)
    runs, rng = 200_000, np.random.default_rng(3)
    for drift in (0.0, 2.0):
        z = paths(rng, runs, boundaries.clocks, drift)
        first = np.argmax(np.abs(z) >= boundaries.z, axis=1)
        crossed = (np.abs(z) >= boundaries.z).any(axis=1)
        at_first = z[np.arange(runs), first]
        for k, (above, below) in enumerate(zip(*crossing_probabilities(boundaries, drift), strict=True)):
            here = crossed & (first == k)
            assert shares_close((here & (at_first > 0)).sum(), runs, above)
            assert shares_close((here & (at_first < 0)).sum(), runs, below)


def test_repeated_significance_tests():
    """Trap: 1.96 at each of 2, 3, 4, 5, 10, 20 equal looks errs in .083 to .248 (Armitage, McPherson and Rowe 1969)."""
    for looks, error in ((2, 0.083), (3, 0.107), (4, 0.126), (5, 0.142), (10, 0.193), (20, 0.248)):
        clocks = [k / looks for k in range(1, looks + 1)]
        assert spent_by(clocks, [1.959964] * looks) == pytest.approx(error, abs=6e-4)


def test_resolution_of_the_recursion():
    """Looks 0.2 % apart and looks far apart give the same crossing probabilities as paths with one more look do.

    A look whose boundary nobody can reach changes nothing, although the density is then carried over another grid.
    """
    clocks, bounds = [0.3, 0.301, 0.7, 0.702, 1.0], [2.8, 3.4, 2.4, 2.9, 2.1]
    plain = spent_by(clocks, bounds)
    for extra in (0.05, 0.29, 0.3005, 0.5, 0.701, 0.999):
        at = sorted([*clocks, extra])
        assert spent_by(at, [dict(zip(clocks, bounds, strict=True)).get(t, 30.0) for t in at]) == pytest.approx(
            plain, abs=2e-10
        )


def test_clock_that_runs_backwards():
    """Trap: a clock that runs backwards or past 1 is held; a repeated clock spends nothing and keeps its boundary."""
    held = sequential_boundaries([0.3, 0.5, 0.4, 0.5, 1.4])
    assert held.clocks == (0.3, 0.5, 0.5, 0.5, 1.0)
    assert held.z[2] == held.z[3] == held.z[1]
    assert held.spent[2] == held.spent[3] == pytest.approx(held.spent[1], rel=1e-12)
    plain = sequential_boundaries([0.3, 0.5, 1.0])
    assert (held.z[1], held.z[4]) == pytest.approx((plain.z[1], plain.z[2]), rel=1e-12)
    after_the_end = next_boundary(plain.clocks, plain.z, 1.2)
    assert (after_the_end.clock, after_the_end.z) == (1.0, plain.z[-1])


def test_looks_that_hardly_differ():
    """A look less than 0.1 % ahead spends nothing: its boundary is raised so that only 2 in 10⁹ can cross anew."""
    clocks, bounds = [0.5], [2.963]
    for clock in (0.5 + 1e-6, 0.5 + 4e-4):
        at = next_boundary(clocks, bounds, clock)
        assert at.spent == pytest.approx(spent_by(clocks, bounds), rel=1e-12)
        step = (at.z * math.sqrt(clock) - bounds[0] * math.sqrt(0.5)) / math.sqrt(clock - 0.5)
        assert step == pytest.approx(6.0, abs=1e-6)
        assert at.z < 2.963 + 0.2


def test_looks_one_by_one_are_those_planned_together():
    """What was spent is known from the stored boundaries alone, so that the next boundary is the planned one."""
    together = sequential_boundaries(TWELVE)
    for k in range(12):
        at = next_boundary(together.clocks[:k], together.z[:k], TWELVE[k])
        assert (at.z, at.spent) == pytest.approx((together.z[k], together.spent[k]), rel=1e-9)


def test_a_changed_alpha_pays_for_the_past():
    """When alpha changes between looks (other arms' variances), the total is the later one; nothing is spent twice."""
    first = next_boundary([], [], 0.5, alpha=0.02)
    second = next_boundary([first.clock], [first.z], 1.0, alpha=0.03)
    assert spent_by([0.5, 1.0], [first.z, second.z]) == pytest.approx(0.03, rel=1e-9)
    all_spent = next_boundary([0.5], [2.0], 0.7, alpha=0.02)
    assert all_spent.z > 37
    assert all_spent.spent == pytest.approx(2 * ndtr(-2.0), rel=1e-9)


def test_last_look_spends_the_rest():
    """A last look before the planned end has a lower boundary than a planned one there, and uses alpha up."""
    planned, ended = (sequential_boundaries([0.3, 0.6, 0.8], last=last) for last in (False, True))
    assert planned.z[:2] == ended.z[:2]
    assert ended.z[2] < planned.z[2]
    assert spent_by(ended.clocks, ended.z) == pytest.approx(0.05, rel=1e-9)
    assert spent_by(planned.clocks, planned.z) == pytest.approx(spent_alpha(0.8), rel=1e-9)


def test_one_and_two_sided_boundaries():
    """Trap: two sides at alpha have the boundaries of one side at alpha/2 (but for paths that cross both)."""
    two = sequential_boundaries(FIVE, alpha=0.05)
    one = sequential_boundaries(FIVE, alpha=0.025, sides=1)
    assert two.z == pytest.approx(one.z, abs=2e-6)
    assert two.spent == pytest.approx([2 * spent for spent in one.spent], rel=1e-12)
    assert sequential_boundaries(FIVE, alpha=0.05, sides=1).z[-1] < two.z[-1] - 0.2
    assert crossing_probabilities(one, -1.0)[1] == (0.0,) * 5


def test_swapped_arms_mirror():
    """With the sign of z turned, estimate and interval change sign; the p-value stays, to its last digits."""
    bounds = sequential_boundaries(FIVE).z
    for look, z in ((1, 5.1), (1, 9.5), (3, 2.9), (5, 0.4)):
        up, down = (stagewise_estimate(look, FIVE, bounds, sign * z, 0.7) for sign in (1, -1))
        assert (up.estimate, up.low, up.high) == pytest.approx((-down.estimate, -down.high, -down.low), rel=1e-9)
        assert up.p_value == pytest.approx(down.p_value, rel=1e-9, abs=0)


def test_power_and_drift():
    """The drift for 80 % power crosses with 80 %, and without boundaries' help is that of one look times √inflation."""
    boundaries = sequential_boundaries(TWELVE)
    drift = drift_for_power(boundaries, 0.8)
    assert sum(crossing_probabilities(boundaries, drift)[0]) == pytest.approx(0.8, abs=1e-9)
    assert drift_for_power(sequential_boundaries([1.0]), 0.8) == pytest.approx(
        float(-ndtri(0.025) + ndtri(0.8)), abs=1e-5
    )


@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock"])
def test_repeated_p_value_and_boundary_agree(spending):
    """The repeated p-value is below alpha exactly where z crosses that alpha's boundary, at each look."""
    for alpha in (0.05, 0.001):
        boundaries = sequential_boundaries(FIVE, alpha=alpha, spending=spending)
        for look in range(1, 6):
            for factor, below in ((1.0001, True), (0.9999, False)):
                p = repeated_p_value(FIVE[:look], -factor * boundaries.z[look - 1], spending=spending)
                assert (p < alpha) is below
                assert p == pytest.approx(alpha, rel=0.01)
    assert repeated_p_value(FIVE, 0.0) == 1.0
    assert repeated_p_value([0.5], 40.0) < 1e-100
    assert repeated_p_value([0.5, 1.0], -0.5, sides=1) == 1.0
    assert repeated_p_value([0.5, 1.0], 3.0, sides=1) < 0.005


def test_repeated_intervals_cover_at_all_looks_together():
    """The true effect lies inside the repeated intervals of all five looks in 95 % of experiments, effect or not."""
    boundaries, runs = sequential_boundaries(FIVE), 40_000
    for drift in (0.0, 2.5):
        z = paths(np.random.default_rng(5), runs, FIVE, drift)
        outside = (np.abs(z - drift * np.sqrt(FIVE)) >= boundaries.z).any(axis=1).sum()
        assert shares_close(outside, runs, 0.05)


def test_repeated_lift_agrees_with_the_difference():
    """Fieller's set at the boundary leaves out 0 exactly where the difference's repeated interval does."""
    rng = np.random.default_rng(12)
    crossed = 0
    for _ in range(400):
        c = Estimate(rng.uniform(0.5, 3), rng.uniform(0.01, 0.1), math.inf)
        t = Estimate(c.mean + rng.normal(0, 1), rng.uniform(0.01, 0.1), math.inf)
        boundary = rng.uniform(1.96, 5)
        interval = repeated_interval(t.mean - c.mean, math.sqrt(t.variance + c.variance), boundary)
        assert interval.crossed == repeated_lift(t, c, boundary).excludes_zero()
        assert interval.crossed == (interval.low > 0 or interval.high < 0)
        crossed += interval.crossed
    assert 50 < crossed < 350
    assert repeated_lift(Estimate(1.0, 0.1, math.inf), Estimate(-1.0, 0.1, math.inf), 2.0).kind == "undefined"


def test_nominal_level_gives_the_repeated_interval_of_a_pivot():
    """An estimator called at the boundary's level answers with estimate ± boundary · se and p at most that level."""
    t, c = Estimate(1.3, 0.01, math.inf), Estimate(1.0, 0.02, math.inf)
    comparison = compare_estimates(t, c, alpha=nominal_level(2.8), method="normal")
    interval = repeated_interval(0.3, math.sqrt(0.03), 2.8)
    assert (comparison.difference.low, comparison.difference.high) == pytest.approx((interval.low, interval.high))
    assert (comparison.lift.low, comparison.lift.high) == pytest.approx(
        (repeated_lift(t, c, 2.8).low, repeated_lift(t, c, 2.8).high), rel=1e-6
    )


def test_first_look_estimate_is_the_ordinary_one():
    """Stopped at the first look, estimate, interval and p-value are the fixed-sample ones."""
    got = stagewise_estimate(1, FIVE, sequential_boundaries(FIVE).z, 5.2, 0.1)
    assert (got.estimate, got.low, got.high) == pytest.approx((0.52, 0.52 - 0.1959964, 0.52 + 0.1959964), abs=1e-7)
    assert got.p_value == pytest.approx(2 * ndtr(-5.2), rel=1e-9)


def test_estimate_without_a_chance_to_stop_is_the_ordinary_one():
    """With earlier boundaries that nobody can reach, a later look's estimate is the ordinary one as well."""
    got = stagewise_estimate(3, FIVE, [30.0] * 5, 2.2, 2.0)
    assert (got.estimate, got.low, got.high) == pytest.approx((4.4, 4.4 - 3.919928, 4.4 + 3.919928), abs=1e-6)


def test_look_at_the_same_clock_is_no_chance_to_have_stopped():
    """A repeated clock before the stop does not move the estimate."""
    bounds = sequential_boundaries(FIVE).z
    plain = stagewise_estimate(2, FIVE, bounds, 3.5, 1.0)
    twice = stagewise_estimate(3, (0.2, 0.4, 0.4), (bounds[0], bounds[1], bounds[1]), 3.5, 1.0)
    assert twice == plain


@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock"])
@pytest.mark.parametrize("drift", [0.0, 1.5, 3.0])
def test_stagewise_estimate_is_median_unbiased_and_covers(spending, drift):
    """After stopping by the rule the estimate is below the truth half of the time; the interval covers in 95 %.

    The p-value agrees: without an effect it is below .05 in 5 %.
    """
    boundaries, runs = sequential_boundaries(FIVE, spending=spending), 2000
    z = paths(np.random.default_rng(77), runs, FIVE, drift)
    crossed = np.abs(z) >= boundaries.z
    stops = np.where(crossed.any(axis=1), crossed.argmax(axis=1), 4)
    low = inside = significant = raw_low = 0
    for row, reached, stop in zip(z, crossed, stops, strict=True):
        # The difference at clock t has standard error 1/√t when the drift is the difference.
        got = stagewise_estimate(stop + 1, boundaries.clocks, boundaries.z, row[stop], 1 / math.sqrt(FIVE[stop]))
        low += got.estimate < drift
        inside += got.low <= drift <= got.high
        significant += got.p_value < 0.05
        raw_low += row[stop] / math.sqrt(FIVE[stop]) < drift
        assert (got.p_value < 0.05) == (got.low > 0 or got.high < 0) == reached.any()
    assert shares_close(low, runs, 0.5)
    assert shares_close(inside, runs, 0.95)
    if drift == 0:
        assert shares_close(significant, runs, 0.05)
    if drift == 3.0:
        # The ordinary estimate exaggerates: this is what is corrected.
        assert raw_low / runs < 0.46


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sequential_boundaries([]), "at least one look"),
        (lambda: sequential_boundaries([0.0, 0.5]), "the clock shows 0.0"),
        (lambda: sequential_boundaries([math.nan]), "the clock shows nan"),
        (lambda: sequential_boundaries([0.5], alpha=0.0), "between 0 and 1"),
        (lambda: sequential_boundaries([0.5], sides=3), "sides = 3"),
        (lambda: sequential_boundaries([0.5], spending="obf"), "it is one of obrien_fleming"),
        (lambda: Spending("kim_demets"), "needs a finite number"),
        (lambda: Spending("kim_demets", 0.0), "above 0"),
        (lambda: Spending("pocock", 1.0), "has no parameter"),
        (lambda: spent_alpha(-0.1), "share of the plan"),
        (lambda: next_boundary([0.5], [], 0.7), "1 clocks but 0 boundaries"),
        (lambda: next_boundary([0.5], [-2.0], 0.7), "numbers above 0"),
        (lambda: classical_boundaries("haybittle", 3), "it is pocock or obrien_fleming"),
        (lambda: classical_boundaries("pocock", 0), "at least 1"),
        (lambda: drift_for_power(Boundaries((1.0,), (0.05,), (1.96,)), 1.0), "between 0 and 1"),
        (lambda: repeated_interval(1.0, 0.0, 2.0), "above 0"),
        (lambda: repeated_lift(Estimate(1, 1, 9), Estimate(1, 1, 9), 0.0), "above 0"),
        (lambda: repeated_p_value([0.5], math.nan), "z is NaN"),
        (lambda: stagewise_estimate(3, [0.5, 1.0], [2.9, 2.0], 2.5, 1.0), "look 3 of 2"),
        (lambda: stagewise_estimate(1, [0.5], [2.9], math.inf, 1.0), "finite z"),
        (lambda: stagewise_estimate(1, [0.5], [2.9], 3.0, 0.0), "error above 0"),
    ],
)
def test_refused(call, words):
    """Impossible arguments are refused with the value seen and what is allowed."""
    with pytest.raises(InputError, match=words):
        call()


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("step", [0.0, 0.0003])
def test_the_end_without_a_new_visitor_spends_the_rest(sides, step):
    """On the data of the look before, the end has the boundary which that look would have had as the last one.

    Both looks together then have exactly the error alpha: crossing the lower of their boundaries. A few visitors more
    raise it by what they can change, and no more.
    """
    first = next_boundary([], [], 0.3, sides=sides)
    look = next_boundary([0.3], [first.z], 0.6, sides=sides)
    end = next_boundary([0.3, 0.6], [first.z, look.z], 0.6 + step, sides=sides, last=True)
    at_once = next_boundary([0.3], [first.z], 0.6, sides=sides, last=True)
    assert look.spent < 0.02 < end.spent == pytest.approx(0.05)
    assert look.z > end.z + 0.2
    assert end.z == pytest.approx(at_once.z, abs=1e-9 if step == 0 else 0.15)
    assert end.z >= at_once.z - 1e-9
    if step == 0:
        assert spent_by([0.3, 0.6], [first.z, end.z], sides=sides) == pytest.approx(0.05, abs=1e-6)
