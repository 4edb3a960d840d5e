"""The traps that make A/B software wrong, each with the test that catches it.

`TRAPS` lists every trap with where it is caught: here, beside the code it concerns, or on the floor where the fault
would be made (a covariate from after the exposure is the store's).
"""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import ast
import math
from pathlib import Path

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.stats import (
    SKEW_LIMIT,
    Histogram,
    LargestValues,
    Moments,
    cap_from_orders,
    capped_moments,
    compare_adjusted,
    compare_means,
    compare_means_over_strata,
    compare_proportions,
    compare_proportions_over_strata,
    compare_ratios,
    covariate_balance,
    homogeneity_test,
    probability_b_beats_a,
    ratio_of,
    sample_ratio_test,
    skew_kappa,
)
from scipy.special import ndtr

from .samples import zeros_and_ones

TESTS = Path(__file__).resolve().parent.parent

TRAPS = {
    "orders treated as units": ["stats/test_traps.py::test_orders_are_not_units"],
    "ratio variance without covariance": [
        "stats/test_traps.py::test_ratio_variance_needs_the_covariance",
        "stats/test_identities.py::test_every_order_twice_does_not_narrow_a_ratio",
        "stats/test_peer_results.py::test_ratio_levels_and_variances_of_gbstats",
    ],
    "delta CI / NaN near zero control": [
        "stats/test_mean_corners.py::test_kinds_of_lift",
        "stats/test_coverage.py::test_true_lift_is_covered",
    ],
    "CI and p disagree": [
        "stats/test_identities.py::test_welch_p_interval_and_lift_agree",
        "stats/test_identities.py::test_shared_variance_agrees_as_well",
        "stats/test_identities.py::test_score_p_interval_and_ratio_agree",
        "stats/test_identities.py::test_anytime_p_and_interval_agree",
        "stats/test_strata.py::test_stratified_score_p_interval_and_ratio_agree",
    ],
    "CUPED covariate after exposure": [
        "storage/test_traps.py::test_a_covariate_from_after_the_exposure_is_not_used",
        "stats/test_traps.py::test_a_covariate_that_the_offer_changed_shows",
    ],
    "one/two-sided mix-ups": ["stats/test_published_values.py::test_dunnett_row_of_1964"],
    "'Bayes immune to peeking'": ["stats/test_traps.py::test_probability_of_being_better_is_no_stopping_rule"],
    "P(best) double counting": [
        "stats/test_bayes.py::test_probabilities_sum_to_one",
        "stats/test_bayes.py::test_equal_arms_are_equally_likely",
        "stats/test_bayes.py::test_not_the_product_of_pairs",
    ],
    "SRM masked by dedupe/late filter": [
        "stats/test_traps.py::test_a_loss_after_the_assignment_is_seen_in_the_analysed_counts",
        "reports/test_health.py::test_analysed_visitors_have_a_split_of_their_own",
    ],
    "Simpson on a change of split": ["stats/test_traps.py::test_simpson_on_a_change_of_split"],
    "window censoring": [
        "stats/test_traps.py::test_windows_that_have_not_passed",
        "storage/test_persons_and_refunds.py::test_who_still_waits_adds_nothing",
        "storage/test_observations.py::test_where_windows_begin_and_end",
    ],
    "currency / tax / refunds": [
        "storage/test_persons_and_refunds.py::test_money_in_another_currency",
        "storage/test_persons_and_refunds.py::test_a_metric_with_a_refund_window_matures_later",
        "reports/test_health.py::test_money_in_another_currency_without_a_reporting_value_blocks",
    ],
    "bots/outliers": [
        "stats/test_traps.py::test_one_order_a_thousand_times_too_large",
        "reports/test_diagnostics.py::test_one_order_a_thousand_times_too_large",
    ],
    "sequential clock that runs backwards": ["stats/test_group_sequential.py::test_clock_that_runs_backwards"],
    "boundary recomputed at changed looks re-spending α": [
        "stats/test_group_sequential.py::test_cumulative_alpha_at_random_looks"
    ],
    "multi-arm uses largest p-gap pair": ["stats/test_multiplicity.py::test_multi_arm_largest_gap_is_not_a_test"],
    "BH applied to guardrails": ["stats/test_multiplicity.py::test_guardrails_are_not_corrected"],
    "cap chosen after seeing data, per arm": [
        "stats/test_traps.py::test_a_cap_is_one_amount_from_before",
        "storage/test_persons_and_refunds.py::test_a_cap_limits_what_a_visitor_spends_in_all",
    ],
    "percentile on visitors not orders": [
        "stats/test_traps.py::test_a_percentile_of_visitors_is_a_lower_one_of_orders"
    ],
    "zero conversions / s²=0 both": [
        "stats/test_proportion_corners.py::test_score_interval_in_every_corner",
        "stats/test_mean_corners.py::test_means_without_information",
        "stats/test_mean_corners.py::test_rounding_is_not_variance",
    ],
    "n=0,1; n_c=1": [
        "stats/test_mean_corners.py::test_means_without_information",
        "stats/test_mean_corners.py::test_ratios_without_information",
        "stats/test_mean_corners.py::test_adjustment_without_information",
        "stats/test_strata.py::test_no_common_stratum",
    ],
    "x>n, negative n, NaN": [
        "stats/test_proportion_corners.py::test_impossible_counts",
        "stats/test_moments.py::test_refused",
    ],
    "catastrophic cancellation": ["stats/test_moments.py::test_no_catastrophic_cancellation"],
    "unequal allocation + heavy tail": ["stats/test_traps.py::test_nine_to_one_with_heavy_tails_raises_the_flag"],
    "identity switch / cross-device, offer shown to both": [
        "storage/test_observations.py::test_a_crossover_counts_from_when_it_happened",
        "storage/test_persons_and_refunds.py::test_linked_ids_are_one_person",
        "reports/test_health.py::test_crossovers_that_differ_by_arm_block",
    ],
    "triggered analysis with outcome-dependent trigger": [
        "stats/test_traps.py::test_a_trigger_that_depends_on_the_arm_is_seen"
    ],
    "list input to combine_effects; MN from statsmodels": [
        "stats/test_traps.py::test_statsmodels_is_not_used",
        "stats/test_published_values.py::test_statsmodels_bug_is_not_shared",
    ],
}


@pytest.mark.parametrize("trap", TRAPS)
def test_every_trap_has_its_tests(trap):
    """What is listed exists: a renamed or deleted test does not leave a trap open unseen."""
    for place in TRAPS[trap]:
        path, name = place.split("::")
        tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
        assert name in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)], place


def close_to_level(rejected, runs):
    return abs(rejected / runs - 0.05) < 3.5 * math.sqrt(0.05 * 0.95 / runs)


def test_orders_are_not_units():
    """Visitors with their own level and number of orders: type I is .05 over visitors, and far above it over orders."""
    rng = np.random.default_rng(1)
    runs, by_visitor, by_order = 600, 0, 0
    for _ in range(runs):
        arms, orders = [], []
        for _ in "tc":
            level, count = rng.lognormal(0, 1, 300), rng.poisson(4, 300)
            values = np.repeat(level, count) * rng.lognormal(0, 0.3, count.sum())
            total = np.bincount(np.repeat(np.arange(300), count), weights=values, minlength=300)
            arms.append(Moments.from_arrays({"money": total, "orders": count}))
            orders.append(Moments.from_arrays({"value": values}))
        by_visitor += compare_ratios(*arms, "money", "orders").difference.p_value < 0.05
        by_order += compare_means(*orders, "value").difference.p_value < 0.05
    assert close_to_level(by_visitor, runs)
    assert by_order / runs > 0.2


def test_ratio_variance_needs_the_covariance():
    """Where money goes with orders their ratio's error is that of the bootstrap; without s_xy it is far too large."""
    rng = np.random.default_rng(2)
    orders = rng.poisson(2, 4000)
    money = orders * rng.gamma(20, 2, 4000)
    arm = Moments.from_arrays({"y": money, "x": orders})
    ratio, se = ratio_of(arm, "y", "x")
    rows = rng.integers(0, 4000, (1000, 4000))
    assert se == pytest.approx(np.std(money[rows].sum(axis=1) / orders[rows].sum(axis=1)), rel=0.08)
    without = math.sqrt((arm.variance_of("y") + ratio**2 * arm.variance_of("x")) / 4000) / arm.mean_of("x")
    assert without > 2 * se


def test_a_covariate_that_the_offer_changed_shows():
    """x := y + noise takes a true effect away with a tiny error; as the arms differ in x, it is not from before."""
    rng = np.random.default_rng(3)
    arms, honest = [], []
    for effect in (1.0, 0.0):
        past = rng.gamma(2, 10, 3000)
        y = effect + 0.3 * past + rng.normal(0, 3, 3000)
        arms.append(Moments.from_arrays({"y": y, "x": y + rng.normal(0, 0.5, 3000)}))
        honest.append(Moments.from_arrays({"y": y, "x": past}))
    assert compare_means(*arms, "y").difference.low > 0
    adjusted = compare_adjusted(*arms, "y", ["x"])
    assert adjusted.adjustment.r_squared > 0.9
    assert adjusted.difference.high < 0.5
    assert covariate_balance(*arms, ["x"]).p_value < 1e-6
    assert covariate_balance(*honest, ["x"]).p_value > 0.001
    good = compare_adjusted(*honest, "y", ["x"]).difference
    assert good.low < 1.0 < good.high


def test_covariates_from_before_are_balanced():
    """Over two covariates and a constant the balance's p-value is uniform; one that doubles another adds no df."""
    rng = np.random.default_rng(4)
    p = []
    for _ in range(600):
        arms = []
        for n in (80, 160):
            x = rng.gamma(4, 1, n)
            missing = rng.random(n) < 0.3
            known = x * ~missing
            arms.append(Moments.from_arrays({"x": known, "m": missing, "two": 2 * known, "flat": np.ones(n)}))
        found = covariate_balance(*arms, ["x", "m", "two", "flat"])
        assert found.df == 2
        p.append(found.p_value)
    assert close_to_level(np.sum(np.array(p) < 0.05), 600)
    assert np.mean(p) == pytest.approx(0.5, abs=3.5 * math.sqrt(1 / 12 / 600))
    flat = Moments.from_arrays({"flat": np.ones(9)})
    assert covariate_balance(flat, flat, ["flat"]).p_value == 1
    with pytest.raises(InputError, match="two in each arm"):
        covariate_balance(zeros_and_ones(1, 1), zeros_and_ones(1, 5), ["y"])


def test_probability_of_being_better_is_no_stopping_rule():
    """Stopping when either arm is better with 95 % ends more than half of A/A tests in 100 looks (T5), and an expected
    loss below .5 % of the rate picks the treatment in about half."""
    rng = np.random.default_rng(5)
    runs, looks = 2000, np.arange(1, 101)
    walks = np.cumsum(rng.normal(size=(runs, 100)), axis=1) / np.sqrt(looks)
    # A flat prior's P(better) is Φ(z).
    assert ((ndtr(walks) > 0.95) | (ndtr(walks) < 0.05)).any(axis=1).mean() > 0.5
    # By exact posteriors at a few looks of a 5 % conversion, one side alone.
    stopped = 0
    for _ in range(200):
        x = np.cumsum(rng.binomial(500, 0.05, (10, 2)), axis=0)
        n = 500 * np.arange(1, 11)
        stopped += any(
            probability_b_beats_a(1 + a, 1 + m - a, 1 + b, 1 + m - b) > 0.95
            for (a, b), m in zip(x.tolist(), n.tolist(), strict=True)
        )
    assert stopped / 200 > 0.1


def test_a_loss_after_the_assignment_is_seen_in_the_analysed_counts():
    """One per cent lost in one arm after the assignment: assigned counts are as planned, the analysed ones are not."""
    rng = np.random.default_rng(6)
    assigned = {"c": 1_000_400, "t": 999_600}
    analysed = {"c": assigned["c"], "t": assigned["t"] - int(rng.binomial(assigned["t"], 0.01))}
    assert sample_ratio_test(assigned, {"c": 1, "t": 1}).p_value > 0.05
    assert sample_ratio_test(analysed, {"c": 1, "t": 1}).p_value < 1e-6
    assert homogeneity_test(analysed, assigned).p_value < 1e-100


def test_simpson_on_a_change_of_split():
    """90:10 and then 50:50 while the level rises, no effect: pooled arms differ, phases as strata do not."""
    rng = np.random.default_rng(7)
    runs, wrong, pooled, estimates = 400, {"means": 0, "rates": 0}, 0, []
    for _ in range(runs):
        arms = []
        for sizes in ((300, 1500), (2700, 1500)):
            parts = []
            for n, rate in zip(sizes, (0.05, 0.10), strict=True):
                bought = rng.random(n) < rate
                parts.append(Moments.from_arrays({"bought": bought, "money": bought * rng.gamma(2, 20, n)}))
            arms.append(parts)
        t, c = arms
        difference = compare_means_over_strata(t, c, "money").difference
        wrong["means"] += difference.p_value < 0.05
        estimates.append(difference.estimate)
        wrong["rates"] += compare_proportions_over_strata(t, c, "bought").difference.p_value < 0.05
        pooled += compare_proportions(Moments.merge(t), Moments.merge(c), "bought").difference.p_value < 0.05
    assert close_to_level(wrong["means"], runs)
    assert close_to_level(wrong["rates"], runs)
    assert abs(np.mean(estimates)) < 3.5 * np.std(estimates) / math.sqrt(runs)
    assert pooled / runs > 0.8


def test_a_ramp_at_constant_split_is_unbiased():
    """Ten times as many visitors in the second phase, 50:50 in both: pooled and stratified agree on no effect."""
    rng = np.random.default_rng(8)
    runs, wrong = 400, 0
    for _ in range(runs):
        t, c = (
            [zeros_and_ones(int(rng.binomial(n, rate)), n) for n, rate in ((200, 0.05), (2000, 0.1))] for _ in range(2)
        )
        wrong += compare_proportions(Moments.merge(t), Moments.merge(c), "y").difference.p_value < 0.05
    assert close_to_level(wrong, runs)


def test_windows_that_have_not_passed():
    """Offers that only come later, to a growing shop: counting visitors who still wait halves a true lift of 20 %."""
    rng = np.random.default_rng(9)
    mature, everybody = [], []
    for lift in (0.2, 0.0):
        day = rng.choice(28, 60_000, p=np.arange(1, 29) / 406)
        # The treatment's orders come a week later than the control's.
        delay = rng.uniform(7, 14, 60_000) if lift else rng.uniform(0, 7, 60_000)
        bought = rng.random(60_000) < 0.1 * (1 + lift)
        seen = bought & (day + delay <= 28)
        everybody.append(Moments.from_arrays({"y": seen}))
        mature.append(Moments.from_arrays({"y": seen[day + 14 <= 28]}))
    assert compare_proportions(*mature, "y").lift.low < 0.2 < compare_proportions(*mature, "y").lift.high
    assert compare_proportions(*everybody, "y").lift.high < 0


def test_one_order_a_thousand_times_too_large():
    """One order ×1,000 raises κ and the largest value's share; the capped row hardly moves."""
    rng = np.random.default_rng(10)
    arms = {arm: rng.lognormal(3.5, 0.5, 8000) * (rng.random(8000) < 0.1) for arm in "ct"}
    cap = cap_from_orders(rng.lognormal(3.5, 0.5, 20_000))
    bot = {arm: values.copy() for arm, values in arms.items()}
    bot["t"][np.flatnonzero(bot["t"])[0]] *= 1000
    kappa, largest, capped = [], [], []
    for data in (arms, bot):
        raw = {arm: Moments.from_arrays({"y": values}) for arm, values in data.items()}
        kappa.append(abs(skew_kappa(raw["t"], raw["c"], "y")))
        top = np.sort(data["t"])[::-1]
        largest.append(LargestValues(tuple(top[:10].tolist()), float(top.sum())).is_concentrated)
        row = capped_moments(data, cap)
        capped.append(compare_means(row["t"], row["c"], "capped").difference)
    assert kappa[0] < SKEW_LIMIT < kappa[1]
    assert largest == [False, True]
    assert abs(capped[1].estimate - capped[0].estimate) < 0.3 * capped[0].se


def test_a_cap_is_one_amount_from_before():
    """A cap for each arm is refused: at each arm's own 99.9 % it takes away the effect it should show."""
    rng = np.random.default_rng(11)
    arms = {"c": rng.exponential(30, 5000), "t": rng.exponential(30, 5000)}
    with pytest.raises(InputError, match="all arms need the same one"):
        capped_moments(arms, {"c": 100.0, "t": 200.0})


def test_a_percentile_of_visitors_is_a_lower_one_of_orders():
    """At 2 % conversion 99.9 % of visitors are 95 % of orders, and such values are refused as orders."""
    rng = np.random.default_rng(12)
    orders = np.round(rng.lognormal(8, 1, 2000)).astype(int)
    visitors = np.concatenate([orders, np.zeros(98_000, dtype=int)])
    by_visitors = np.quantile(visitors, 0.999)
    assert (orders <= by_visitors).mean() == pytest.approx(0.95, abs=0.001)
    assert cap_from_orders(orders) > 2 * by_visitors
    for mistaken in (visitors, Histogram.of(visitors.tolist())):
        with pytest.raises(InputError, match="single orders are needed"):
            cap_from_orders(mistaken)


def test_nine_to_one_with_heavy_tails_raises_the_flag():
    """At 9:1 with 100 orders in the small arm and σ = 1.5 (T1: .904) κ is above .06 in nine samples of ten."""
    rng = np.random.default_rng(13)

    def arm(n):
        return Moments.from_arrays({"y": rng.lognormal(-1.125, 1.5, n) * (rng.random(n) < 0.02)})

    uneven = [skew_kappa(arm(5000), arm(45_000), "y") for _ in range(60)]
    even = [skew_kappa(arm(50_000), arm(50_000), "y") for _ in range(60)]
    assert np.mean(np.abs(uneven) > SKEW_LIMIT) > 0.8
    # With equal arms it has either sign, and neither tail is systematically short.
    assert abs(np.mean(even)) < np.mean(uneven) / 5


def test_a_trigger_that_depends_on_the_arm_is_seen():
    """A popup that buyers see more often triggers more of the treatment: triggered of assigned differ, p < .001."""
    rng = np.random.default_rng(14)
    assigned = {"c": 50_000, "t": 50_000}
    healthy = {arm: int(rng.binomial(n, 0.2)) for arm, n in assigned.items()}
    spoilt = {"c": int(rng.binomial(50_000, 0.2)), "t": int(rng.binomial(50_000, 0.22))}
    assert homogeneity_test(healthy, assigned).p_value > 0.01
    assert homogeneity_test(spoilt, assigned).p_value < 0.001


def test_statsmodels_is_not_used():
    """The library imports no statsmodels: its score interval is wrong, and lists break its combine_effects."""
    root = TESTS.parent
    for folder in ("stats", "storage", "reports", "experiments", "cli"):
        for path in (root / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not [name for name in names if name.split(".")[0] == "statsmodels"], path
