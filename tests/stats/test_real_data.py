"""Two public experiments, from their exact sums: Hillstrom's e-mails and Cookie Cats' gate."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import json
from itertools import pairwise
from pathlib import Path

import pytest
from offerlift.stats import (
    Moments,
    compare_adjusted,
    compare_means,
    compare_proportions,
    compare_ratios,
    homogeneity_test,
    miettinen_nurminen_difference,
    newcombe_difference,
    ratio_of,
    sample_ratio_test,
)

DATA = json.loads(Path(__file__).with_name("real_data.json").read_text(encoding="utf-8"))
HILLSTROM, COOKIE_CATS = DATA["hillstrom"], DATA["cookie_cats"]
PAIRS = list(HILLSTROM["comparisons"])
# statsmodels: OLS of spend on T, history - its mean over the pair's arms, and their product; coefficient of T.
INTERACTED = {
    "Mens E-Mail vs No E-Mail": 0.7674802347912241,
    "Womens E-Mail vs No E-Mail": 0.4227135871563351,
    "Mens E-Mail vs Womens E-Mail": 0.3449494629915094,
}


def hillstrom(arm):
    s = HILLSTROM["sums_in_cents"][arm]
    columns = ["spend", "history", "conversion", "visit"]
    products = {
        ("spend", "spend"): s["spend_spend"],
        ("history", "history"): s["history_history"],
        ("spend", "history"): s["spend_history"],
        ("spend", "conversion"): s["spend_conversion"],
        ("conversion", "conversion"): s["conversions"],
        ("visit", "visit"): s["visits"],
        # Not needed by any test here.
        ("history", "conversion"): 0,
        ("spend", "visit"): 0,
        ("history", "visit"): 0,
        ("conversion", "visit"): 0,
    }
    sums = [s["spend"], s["history"], s["conversions"], s["visits"]]
    cubes = [s["spend_cubed"], 0, 0, 0]
    return Moments.from_sums(columns, s["n"], sums, products, cubes, scale=[100, 100, 1, 1])


def arms(pair):
    return tuple(hillstrom(name) for name in pair.split(" vs "))


def cookie_cats(column):
    result = []
    for arm in ("gate_40", "gate_30"):
        s = COOKIE_CATS["sums"][arm]
        square = s["rounds_rounds"] if column == "rounds" else s[column]
        result.append(Moments.from_sums([column], s["n"], [s[column]], {(column, column): square}))
    return result


@pytest.mark.parametrize("arm", HILLSTROM["arms"])
def test_moments(arm):
    """Count, mean, variance and skewness of spend come out of the raw sums to 1e-9."""
    expected, m = HILLSTROM["arms"][arm], hillstrom(arm)
    assert m.n == expected["n"]
    assert m.mean_of("spend") == pytest.approx(expected["spend"]["mean"], rel=1e-12)
    assert m.variance_of("spend") == pytest.approx(expected["spend"]["var_ddof1"], rel=1e-12)
    population_skewness = float(m.m3[0]) / m.n / (float(m.m2[0, 0]) / m.n) ** 1.5
    adjusted = population_skewness * (m.n * (m.n - 1)) ** 0.5 / (m.n - 2)
    assert expected["spend"]["skew"] in (pytest.approx(population_skewness), pytest.approx(adjusted))


@pytest.mark.parametrize("pair", PAIRS)
def test_spend(pair):
    """Welch's difference, standard error, df, interval and p-value of spend agree to 1e-9."""
    expected, d = HILLSTROM["comparisons"][pair]["spend"], compare_means(*arms(pair), "spend").difference
    assert [d.estimate, d.se, d.df, d.p_value, d.low, d.high] == pytest.approx(
        [expected["diff"], expected["se"], expected["df"], expected["p"], *expected["ci95"]], rel=1e-9
    )


@pytest.mark.parametrize("pair", PAIRS)
def test_lift_of_spend(pair):
    """The lift's interval is that of the difference test, so that it is not the delta method's symmetric one."""
    comparison, expected = compare_means(*arms(pair), "spend"), HILLSTROM["comparisons"][pair]["spend"]
    lift = comparison.lift
    assert lift.kind == "bounded"
    assert lift.estimate == pytest.approx(expected["rel_lift"], rel=1e-12)
    assert lift.excludes_zero()
    assert lift.low > expected["rel_lift_delta_ci95"][0]
    assert lift.high > expected["rel_lift_delta_ci95"][1]


@pytest.mark.parametrize("metric", ["conversion", "visit"])
@pytest.mark.parametrize("pair", PAIRS)
def test_conversion(pair, metric):
    """The score test's p is the pooled z's but for N/(N - 1); Newcombe's interval agrees, and MN's is close to it."""
    expected, comparison = HILLSTROM["comparisons"][pair][metric], compare_proportions(*arms(pair), metric)
    d = comparison.difference
    counts = [expected[key] for key in ("x_t", "n_t", "x_c", "n_c")]
    assert d.estimate == pytest.approx(expected["diff"], rel=1e-12)
    assert d.se == pytest.approx(expected["se_unpooled"], rel=1e-4)
    assert newcombe_difference(*counts) == pytest.approx(expected["newcombe_ci95"], rel=1e-9)
    assert [d.low, d.high] == pytest.approx(expected["newcombe_ci95"], abs=0.02 * d.se)
    uncorrected = miettinen_nurminen_difference(*counts, correction=False)
    assert uncorrected.p_value == pytest.approx(expected["p_two_sided_pooled"], rel=1e-9)
    assert comparison.lift.estimate == pytest.approx(expected["rel_lift"], rel=1e-12)
    katz = expected["rel_lift_katz_log_ci95"]
    assert [comparison.lift.low, comparison.lift.high] == pytest.approx(katz, abs=0.02 * (katz[1] - katz[0]))


@pytest.mark.parametrize("pair", PAIRS)
def test_adjusted_spend(pair):
    """A slope for each arm: the interacted regression to 1e-12; peers' single slopes differ by what that explains."""
    (t, c), expected = arms(pair), HILLSTROM["comparisons"][pair]
    d = compare_adjusted(t, c, "spend", ["history"]).difference
    assert d.estimate == pytest.approx(INTERACTED[pair], rel=1e-10)
    # One slope from within the arms is the regression without interaction, one from all rows together is CUPED's first
    # form (Deng et al. 2013). Both are near, and neither is ours.
    between = t.mean_of("history") - c.mean_of("history")
    within = (t.m2[0, 1] + c.m2[0, 1]) / (t.m2[1, 1] + c.m2[1, 1])
    pooled = (t + c).m2[0, 1] / (t + c).m2[1, 1]
    plain = t.mean_of("spend") - c.mean_of("spend")
    for slope, name, field in (
        (within, "spend_ancova_HC2", "coef"),
        (pooled, "spend_cuped_history_two_arm_theta", "diff"),
    ):
        assert plain - slope * between == pytest.approx(expected[name][field], rel=1e-10)
        assert 1e-7 < abs(d.estimate - expected[name][field]) < 1e-3 * d.se
        assert d.se == pytest.approx(expected[name]["se"], rel=1e-3)


@pytest.mark.parametrize("pair", PAIRS)
def test_average_order_value(pair):
    """Order values and their difference agree with the delta method, whose errors take n rather than n - 1."""
    expected, (t, c) = HILLSTROM["comparisons"][pair]["aov_ratio_delta"], arms(pair)
    for arm, name in ((t, "t"), (c, "c")):
        estimate, se = ratio_of(arm, "spend", "conversion")
        assert estimate == pytest.approx(expected[f"aov_{name}"], rel=1e-12)
        assert se == pytest.approx(expected[f"se_{name}"], rel=1e-4)
    d = compare_ratios(t, c, "spend", "conversion").difference
    assert d.estimate == pytest.approx(expected["diff"], rel=1e-9)
    assert d.p_value == pytest.approx(expected["p"], rel=1e-4)


def test_hillstrom_sample_ratio():
    """Three equal arms: χ² = 0.2025 on 2 df, p = .904."""
    expected = HILLSTROM["srm_equal"]
    test = sample_ratio_test(expected["counts"], expected["expected_ratio"])
    assert [test.statistic, test.df, test.p_value] == pytest.approx([expected["chi2"], 2, expected["p"]], rel=1e-9)


def test_hillstrom_homogeneity():
    """Conversion of the three arms: χ² = 55.26, p = 1e-12."""
    expected, sums = HILLSTROM["chi2_conversion_3arm"], HILLSTROM["sums_in_cents"]
    test = homogeneity_test({a: s["conversions"] for a, s in sums.items()}, {a: s["n"] for a, s in sums.items()})
    assert [test.statistic, test.p_value] == pytest.approx([expected["chi2"], expected["p"]], rel=1e-8)


def test_cookie_cats():
    """Rounds by Welch, retention by the score test and the suspicious sample ratio (p = .0086) agree."""
    expected = COOKIE_CATS["comparisons"]
    d, e = compare_means(*cookie_cats("rounds"), "rounds").difference, expected["sum_gamerounds"]
    assert [d.estimate, d.se, d.df, d.p_value, d.low, d.high] == pytest.approx(
        [e["diff"], e["se"], e["df"], e["p"], *e["ci95"]], rel=1e-9
    )
    for column, name in (("ret1", "retention_1"), ("ret7", "retention_7")):
        d, e = compare_proportions(*cookie_cats(column), column).difference, expected[name]
        assert d.p_value == pytest.approx(e["p_two_sided_pooled"], rel=1e-4)
        assert [d.low, d.high] == pytest.approx(e["newcombe_ci95"], abs=1e-6)
    srm = sample_ratio_test(expected["srm_equal"]["counts"], [1, 1])
    assert srm.p_value == pytest.approx(0.008607987810836262, rel=1e-9)


def test_marketing_96_to_4():
    """588,101 visitors split 96:4: rate difference, Newcombe's interval and the pooled p agree."""
    e = DATA["marketing_ab"]
    counts = [e[key] for key in ("x_t", "n_t", "x_c", "n_c")]
    assert newcombe_difference(*counts) == pytest.approx(e["newcombe_ci95"], rel=1e-9)
    d = miettinen_nurminen_difference(*counts, correction=False)
    assert d.p_value == pytest.approx(e["p_two_sided_pooled"], rel=1e-9)


def test_ends_move_apart_with_the_level():
    """The 99 % interval holds the 95 % one, which holds the 80 % one: difference and lift."""
    t, c = arms(PAIRS[1])
    for compare in (
        lambda alpha: compare_means(t, c, "spend", alpha=alpha),
        lambda alpha: compare_proportions(t, c, "conversion", alpha=alpha),
        lambda alpha: compare_adjusted(t, c, "spend", ["history"], alpha=alpha),
        lambda alpha: compare_ratios(t, c, "spend", "conversion", alpha=alpha),
    ):
        for wide, narrow in pairwise(compare(alpha) for alpha in (0.01, 0.05, 0.2)):
            assert wide.difference.low < narrow.difference.low < narrow.difference.high < wide.difference.high
            assert wide.lift.low < narrow.lift.low < narrow.lift.high < wide.lift.high
