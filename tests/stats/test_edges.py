"""Corners and refused input: never NaN, never a made-up 0 or 1, always a reason."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import math
import subprocess
import sys
from dataclasses import astuple

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.stats import (
    Difference,
    Estimate,
    Moments,
    anytime_interval,
    beta_posteriors,
    compare_adjusted,
    compare_estimates,
    compare_means,
    compare_proportions,
    compare_ratios,
    counts_of,
    dunnett_critical,
    e_value,
    fieller,
    homogeneity_test,
    log_e_value,
    miettinen_nurminen_difference,
    miettinen_nurminen_ratio,
    mixture_boundary,
    newcombe_difference,
    normal_posteriors,
    ratio_of,
    sample_ratio_test,
    sequential_sample_ratio_test,
    skew_kappa,
    tuning_one_look,
    tuning_without_plan,
    wilson_interval,
)
from scipy.special import ndtri


def zeros_and_ones(x, n):
    return Moments.from_sums(["y"], n, [x], {("y", "y"): x}, [x])


def column(*values, name="y"):
    return Moments.from_arrays({name: np.array(values, dtype=float)})


CORNERS = [
    (0, 100, 0, 100),
    (100, 100, 100, 100),
    (0, 100, 100, 100),
    (100, 100, 0, 100),
    (0, 1, 0, 1),
    (1, 1, 1, 1),
    (1, 1, 0, 1),
    (0, 1, 1, 1),
    (0, 1, 0, 10**7),
    (1, 1, 5, 10**7),
    (0, 10**7, 0, 10**7),
    (1, 10**7, 2, 10**7),
    (1, 10**7, 0, 3),
    (10**7 - 1, 10**7, 10**7 - 3, 10**7),
    (10**7, 10**7, 10**7 - 1, 10**7),
    (9, 10, 3, 10),
    (5, 56, 0, 29),
]


@pytest.mark.parametrize("counts", CORNERS, ids=str)
@pytest.mark.parametrize("alpha", [1e-6, 0.05, 0.5])
def test_score_interval_in_every_corner(counts, alpha):
    """The interval holds the estimate, ends solve the score equation of a plain-bisection maximum likelihood."""
    n_t, n_c = counts[1], counts[3]
    d = miettinen_nurminen_difference(*counts, alpha=alpha)
    assert -1 <= d.low <= d.estimate <= d.high <= 1
    assert d.low < d.high
    assert 0 <= d.p_value <= 1
    critical = -float(ndtri(alpha / 2))
    for end in (d.low, d.high):
        if abs(end) < 1:
            z2 = (d.estimate - end) ** 2 / (_variance_by_bisection(counts, end) * (n_t + n_c) / (n_t + n_c - 1))
            assert math.sqrt(z2) == pytest.approx(critical, rel=1e-6)


def _variance_by_bisection(counts, delta):
    """Restricted variance from the score alone, by bisection on p_c, in terms that do not cancel."""
    x_t, n_t, x_c, n_c = counts
    low, high = max(0.0, -delta), min(1.0, 1 - delta)

    def score(p):
        parts = [(x_t, p + delta, 1), (n_t - x_t, 1 - p - delta, -1), (x_c, p, 1), (n_c - x_c, 1 - p, -1)]
        return sum(sign * x / max(q, 1e-300) for x, q, sign in parts if x)

    for _ in range(2000):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        low, high = (middle, high) if score(middle) > 0 else (low, middle)
    p_c = (low + high) / 2
    p_t = p_c + delta
    return max(p_t * (1 - p_t), 0) / n_t + p_c * (1 - p_c) / n_c


def test_no_conversions_at_all():
    """0/100 v 0/100: difference 0, p = 1, a finite symmetric interval, no lift and the reason for it."""
    comparison = compare_proportions(zeros_and_ones(0, 100), zeros_and_ones(0, 100), "y")
    d = comparison.difference
    z2 = 3.841458820694124
    assert (d.estimate, d.p_value) == (0, 1)
    assert d.high == pytest.approx(z2 / (100 * 199 / 200 + z2), rel=1e-12)
    assert d.low == -d.high
    assert comparison.lift.kind == "undefined"
    assert "no conversions" in comparison.lift.reason
    always = anytime_interval(d, a=tuning_one_look())
    assert always.low < 0 < always.high
    assert always.p_value == 1


def test_one_sided_zero_counts():
    """Without control conversions the lift has no upper end; without treatment conversions its low end is -1."""
    above = compare_proportions(zeros_and_ones(9, 100), zeros_and_ones(0, 100), "y").lift
    assert (above.kind, above.estimate, above.high) == ("unbounded", None, None)
    assert above.low > 0
    below = compare_proportions(zeros_and_ones(0, 100), zeros_and_ones(9, 100), "y").lift
    assert (below.kind, below.estimate, below.low) == ("bounded", -1, -1)
    assert below.high < 0


def test_tiny_p_values_are_not_zero():
    """5,000 v 6,000 of 100,000 has p = 1e-22, and p-values go on down to 1e-290."""
    d = miettinen_nurminen_difference(6000, 100_000, 5000, 100_000)
    assert d.p_value == pytest.approx(1.0386508313774e-22, rel=1e-9)
    assert 1e-299 < miettinen_nurminen_difference(94_000, 10**6, 80_000, 10**6).p_value < 1e-200
    t, c = Estimate(36.5, 0.5, 1e6), Estimate(0.5, 0.5, 1e6)
    assert 1e-299 < compare_estimates(t, c, method="welch").difference.p_value < 1e-250


@pytest.mark.parametrize(
    "counts",
    [(3, 1, 0, 5), (-1, 10, 0, 5), (0, 0, 0, 5), (1.5, 10, 0, 5), (float("nan"), 10, 0, 5), (1, float("inf"), 0, 5)],
)
def test_impossible_counts(counts):
    """x > n, negative, fractional, NaN, infinite or no visitors: refused by every function of counts."""
    functions = [miettinen_nurminen_difference, miettinen_nurminen_ratio, newcombe_difference]
    for function in functions:
        with pytest.raises(InputError, match="0 <= x <= n"):
            function(*counts)
        with pytest.raises(InputError, match="0 <= x <= n"):
            function(*counts[2:], *counts[:2])
    with pytest.raises(InputError, match="0 <= x <= n"):
        wilson_interval(*counts[:2])


@pytest.mark.parametrize("values", [(0.0, 0.5, 1.0), (0.0, 2.0), (1.0, 1.0, -1.0), (3.0, 0.0, 0.0)])
def test_column_that_is_not_zeros_and_ones(values):
    """Revenue passed as a conversion is refused."""
    good = zeros_and_ones(3, 10)
    for t, c in ((column(*values), good), (good, column(*values))):
        with pytest.raises(InputError, match="not 0/1"):
            compare_proportions(t, c, "y")


def test_counts_survive_merging():
    """Counts come back from merged float moments of ten million visitors."""
    parts = [zeros_and_ones(7 * k + 3, 250_001) for k in range(40)]
    assert counts_of(Moments.merge(parts), "y") == (sum(7 * k + 3 for k in range(40)), 40 * 250_001)


@pytest.mark.parametrize(
    ("t", "c", "status", "words"),
    [
        (column(), column(1, 2), "insufficient", "0 visitors"),
        (column(1, 2), column(5), "insufficient", "1 visitor in an arm"),
        (column(0, 0, 0), column(0, 0), "insufficient", "does not vary within either arm"),
        (column(*[0.1] * 7), column(*[0.3] * 5), "insufficient", "does not vary within either arm"),
    ],
)
def test_means_without_information(t, c, status, words):
    """Too few visitors or no variance: no difference, no p of 0 or 1, and the reason."""
    comparison = compare_means(t, c, "y")
    assert (comparison.status, comparison.difference) == (status, None)
    assert words in comparison.reason
    assert comparison.lift.kind == "undefined"
    assert comparison.lift.reason == comparison.reason


def test_rounding_is_not_variance():
    """Equal values whose sum of squares is only rounding are insufficient, not a p-value of 1e-300."""
    arms = [Moments(("y",), 50, np.array([m]), np.array([[50 * (m * 2e-16) ** 2]]), np.zeros(1)) for m in (0.1, 0.3)]
    assert compare_means(*arms, "y").status == "insufficient"
    tight = [Moments(("y",), 50, np.array([m]), np.array([[50.0]]), np.zeros(1)) for m in (1e9, 1e9 + 1)]
    assert compare_means(*tight, "y").difference.se == pytest.approx(math.sqrt(2 / 49), rel=1e-12)


def test_one_arm_without_variance():
    """A control that never varies still gives Welch's test, on the treatment's df, and a bounded lift."""
    comparison = compare_means(column(1, 2, 3, 4), column(2, 2, 2), "y")
    assert comparison.difference.df == pytest.approx(3)
    assert comparison.lift.kind == "bounded"
    assert comparison.lift.low == pytest.approx(comparison.difference.low / 2, rel=1e-12)
    other = compare_means(column(2, 2, 2), column(1, 2, 3, 4), "y")
    assert other.lift.kind in ("bounded", "complement", "unbounded")


@pytest.mark.parametrize("mean", [0.0, -3.0])
def test_control_mean_not_above_zero(mean):
    """A loss-making or empty control has a difference and no relative lift, and says why."""
    comparison = compare_means(column(1, 2, 3), column(mean - 1, mean, mean + 1), "y")
    assert comparison.status == "ok"
    assert comparison.difference is not None
    assert comparison.lift.kind == "undefined"
    assert "not above 0" in comparison.lift.reason


def test_kinds_of_lift():
    """A control mean 10, 1.5 and 0.5 standard errors from 0: bounded, complement, nothing ruled out."""
    kinds = []
    for z, m in ((10.0, 12.0), (1.5, 9.0), (0.5, 0.4)):
        lift = compare_estimates(Estimate(m, 1.0, 1000), Estimate(z, 1.0, 1000), method="welch").lift
        kinds.append(lift.kind)
        closed = fieller(m, 1.0, z, 1.0, 1.96)
        assert closed.kind == lift.kind
        if lift.kind == "complement":
            assert lift.low < lift.high < lift.estimate
            assert "ruled out" in lift.reason
    assert kinds == ["bounded", "complement", "unbounded"]


def test_infinite_direction_has_the_controls_df():
    """Bounded or not is judged at r = ∞ with df = n_c - 1: with three control visitors 4 SE from 0 are not enough."""

    def kind(df_c):
        return compare_estimates(Estimate(4.0, 1.0, 1e6), Estimate(4.0, 1.0, df_c), method="welch").lift.kind

    assert kind(2) != "bounded"  # t_2 = 4.30
    assert kind(4) == "bounded"  # t_4 = 2.78


@pytest.mark.parametrize(
    ("t", "c", "status", "words"),
    [
        (
            {"y": [0, 0, 0], "x": [0, 0, 0]},
            {"y": [1, 2, 3], "x": [1, 1, 2]},
            "undefined",
            "not above 0 in the treatment",
        ),
        ({"y": [1, 2, 3], "x": [1, 1, 2]}, {"y": [0, 0, 0], "x": [0, 0, 0]}, "undefined", "not above 0 in the control"),
        ({"y": [5], "x": [1]}, {"y": [1, 2, 3], "x": [1, 1, 2]}, "insufficient", "1 visitor in the treatment"),
        ({"y": [5, 0, 0], "x": [1, 0, 0]}, {"y": [1, 2, 3], "x": [1, 1, 2]}, "insufficient", "no variance"),
    ],
)
def test_ratios_without_information(t, c, status, words):
    """No orders, one visitor or one order: the ratio is undefined or insufficient, with the arm named."""
    comparison = compare_ratios(Moments.from_arrays(t), Moments.from_arrays(c), "y", "x")
    assert (comparison.status, comparison.difference) == (status, None)
    assert words in comparison.reason


def test_ratio_of_nothing():
    """An arm without denominators has no ratio."""
    assert ratio_of(Moments.zero(["y", "x"]), "y", "x") is None
    assert ratio_of(Moments.from_arrays({"y": [0.0, 0.0], "x": [0.0, 0.0]}), "y", "x") is None


def test_adjustment_without_information():
    """Fewer visitors than slopes need, and a metric that is its covariate, are insufficient."""
    few = Moments.from_arrays({"y": [1.0, 2.0], "x": [3.0, 5.0]})
    many = Moments.from_arrays({"y": [1.0, 2.0, 5.0, 3.0], "x": [3.0, 5.0, 4.0, 4.0]})
    comparison = compare_adjusted(few, many, "y", ["x"])
    assert (comparison.status, comparison.adjustment) == ("insufficient", None)
    assert "2 visitors in the treatment" in comparison.reason
    copy = Moments.from_arrays({"y": [1.0, 2.0, 5.0, 3.0], "x": [2.0, 4.0, 10.0, 6.0]})
    assert compare_adjusted(copy, copy, "y", ["x"]).status == "insufficient"
    assert compare_adjusted(many, many, "y", []).difference.p_value == 1


def test_huge_evidence_does_not_overflow():
    """z = 1e6 gives an infinite e-value, its logarithm, and a p-value of 0 without a warning."""
    assert e_value(1e6, 5.0) == math.inf
    assert log_e_value(1e6, 5.0) == pytest.approx(5 / 12 * 1e12)
    assert anytime_interval(Difference(1e6, 1.0, math.inf, 0, 0, 0, ""), a=5.0).p_value == 0
    assert tuning_without_plan(20_000) == tuning_one_look()


@pytest.mark.parametrize("se", [0.0, float("nan")])
def test_anytime_needs_a_standard_error(se):
    """No standard error, no interval."""
    with pytest.raises(InputError, match="standard error"):
        anytime_interval(Difference(1.0, se, math.inf, 0, 0, 0, ""), a=1.0)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, float("nan"), 5])
def test_impossible_levels(alpha):
    """A level outside (0, 1), such as 5 for 5 %, is refused everywhere."""
    t, c = zeros_and_ones(3, 10), zeros_and_ones(4, 10)
    for call in (
        lambda: compare_means(t, c, "y", alpha=alpha),
        lambda: compare_proportions(t, c, "y", alpha=alpha),
        lambda: compare_adjusted(t, c, "y", [], alpha=alpha),
        lambda: mixture_boundary(1.0, alpha),
        lambda: dunnett_critical([1.0], 1.0, alpha=alpha),
        lambda: beta_posteriors({"c": c, "t": t}, "y", "c", level=alpha),
    ):
        with pytest.raises(InputError, match="between 0 and 1"):
            call()


@pytest.mark.parametrize(
    ("counts", "shares", "words"),
    [
        ([1, 2], [0.5], "2 counts but 1 shares"),
        ({"a": 1, "b": 2}, {"a": 0.5, "c": 0.5}, "arms"),
        ({"a": 1}, [1.0], "name their arms"),
        ([1, -2], [0.5, 0.5], "whole numbers"),
        ([1, 2.5], [0.5, 0.5], "whole numbers"),
        ([1, float("nan")], [0.5, 0.5], "whole numbers"),
        ([1, 2], [0.0, 0.0], "sum above 0"),
        ([1, 2], [-1, 2], "at least 0"),
        ([1, 2], [float("nan"), 1], "at least 0"),
    ],
)
def test_impossible_sample_ratios(counts, shares, words):
    """Counts and shares that do not fit each other are refused, by both tests."""
    for test in (sample_ratio_test, sequential_sample_ratio_test):
        with pytest.raises(InputError, match=words):
            test(counts, shares)


def test_sample_ratio_corners():
    """Nobody yet and one arm give p = 1; visitors where none belong give p = 0 with the arm named; order is free."""
    for test in (sample_ratio_test, sequential_sample_ratio_test):
        assert test([0, 0], [1, 1]).p_value == 1
        assert test([5], [1]).p_value == 1
        stray = test({"a": 10, "b": 1}, {"a": 1.0, "b": 0.0})
        assert stray.p_value == 0
        assert "visitors in b" in stray.reason
        assert test({"a": 10, "b": 0}, {"a": 1.0, "b": 0.0}).p_value == 1
        assert test({"a": 30, "b": 10}, {"b": 1, "a": 3}).p_value == 1
        assert 0 <= test([10**9, 10**9 + 1], [1, 1]).p_value <= 1
    assert sample_ratio_test([10**9, 10**9 - 10**6], [1, 1]).p_value < 1e-100


def test_homogeneity_corners():
    """Nothing, everything or a single arm converting is no difference; more successes than visitors is refused."""
    assert homogeneity_test([0, 0], [5, 9]).p_value == 1
    assert homogeneity_test([5, 9], [5, 9]).p_value == 1
    assert homogeneity_test([2, 0], [5, 0]).p_value == 1
    with pytest.raises(InputError, match="exceed"):
        homogeneity_test([6, 1], [5, 9])


@pytest.mark.parametrize(
    "call",
    [
        lambda: dunnett_critical([], 1.0),
        lambda: dunnett_critical([1.0, -1.0], 1.0),
        lambda: dunnett_critical([0.0], 0.0),
        lambda: dunnett_critical([1.0], float("nan")),
        lambda: dunnett_critical([1.0], 1.0, df=0.0),
        lambda: dunnett_critical([1.0], 1.0, sides=3),
        lambda: mixture_boundary(0.0),
        lambda: mixture_boundary(float("inf")),
        lambda: log_e_value(float("nan"), 1.0),
        lambda: sequential_sample_ratio_test([1, 2], [1, 1], concentration=0),
        lambda: normal_posteriors({"c": (1.0, 1.0)}, "t"),
        lambda: normal_posteriors({"c": (1.0, -1.0)}, "c"),
        lambda: normal_posteriors({"c": (float("nan"), 1.0)}, "c"),
        lambda: normal_posteriors({"c": (1.0, 1.0), "t": (1.0, 1.0)}, "c", prior_lift=(0.0, 0.0)),
        lambda: normal_posteriors({"c": (0.0, 1.0), "t": (1.0, 1.0)}, "c", prior_lift=(0.0, 0.1)),
        lambda: beta_posteriors({"c": zeros_and_ones(1, 2)}, "y", "c", prior=(0, 1)),
        lambda: beta_posteriors({"c": zeros_and_ones(1, 2)}, "y", "c", direction="up"),
    ],
)
def test_refused(call):
    """Impossible arguments are refused with an InputError."""
    with pytest.raises(InputError):
        call()


def test_skewness_without_information():
    """κ is 0 where there is no standard error."""
    assert skew_kappa(column(1), column(1, 2), "y") == 0
    assert skew_kappa(column(1, 1), column(2, 2), "y") == 0


def test_results_are_plain_floats():
    """NumPy scalars go in; Python floats come out of every method."""
    rng = np.random.default_rng(1)
    t, c = (
        Moments.from_arrays({"y": rng.gamma(1, 5, n), "x": rng.gamma(1, 5, n), "b": rng.integers(0, 2, n)})
        for n in (50, 60)
    )
    d = compare_means(t, c, "y", alpha=np.float64(0.05))
    adjusted = compare_adjusted(t, c, "y", ["x"])
    beta = beta_posteriors({"t": t, "c": c}, "b", "c")
    normal = normal_posteriors({"t": (np.float64(1), np.float64(2)), "c": (np.float64(1), np.float64(2))}, "c")
    records = [
        d.difference,
        d.lift,
        adjusted.difference,
        adjusted.adjustment,
        compare_ratios(t, c, "y", "x").difference,
        miettinen_nurminen_difference(np.int64(3), np.int64(10), np.int64(5), np.int64(12)),
        miettinen_nurminen_ratio(np.int64(3), np.int64(10), np.int64(5), np.int64(12)),
        anytime_interval(d.difference, a=np.float64(2)),
        beta.against_control["t"],
        normal.against_control["t"],
        sample_ratio_test([np.int64(5), np.int64(6)], [np.float64(0.5), np.float64(0.5)]),
        sequential_sample_ratio_test([np.int64(5), np.int64(6)], [1, 1]),
    ]
    values = [value for record in records for value in astuple(record)]
    values += [*beta.probability_best.values(), *normal.probability_best.values()]
    values += [*wilson_interval(3, 10), *newcombe_difference(3, 10, 4, 12), dunnett_critical([1.0, 2.0], 1.0)]
    values += [skew_kappa(t, c, "y"), *ratio_of(t, "y", "x"), mixture_boundary(np.float64(2.0))]
    assert {type(value) for value in values} <= {float, int, str, tuple, type(None)}
    assert not any(isinstance(value, float) and math.isnan(value) for value in values)


def test_import_is_light():
    """`offerlift.stats` needs numpy and scipy.special; not scipy.stats, scipy.optimize, pandas or statsmodels."""
    code = "import sys, offerlift.stats; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "scipy.special" in loaded
    for heavy in (
        "scipy.stats",
        "scipy.optimize",
        "scipy.integrate",
        "pandas",
        "statsmodels",
        "sqlalchemy",
        "matplotlib",
    ):
        assert heavy not in loaded
    assert not [
        name for name in loaded if name.startswith("offerlift.") and name.split(".")[1] not in ("stats", "errors")
    ]
