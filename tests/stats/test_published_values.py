"""Numbers printed in papers and by other programs, reproduced."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import json
import math
from pathlib import Path

import numpy as np
import pytest
from offerlift.stats import (
    Estimate,
    Moments,
    Spending,
    adjust_p_values,
    beta_posteriors,
    classical_boundaries,
    compare_estimates,
    dunnett_critical,
    e_bh,
    expected_loss_beta,
    fieller,
    homogeneity_test,
    inflation_factor,
    miettinen_nurminen_difference,
    miettinen_nurminen_ratio,
    mixture_boundary,
    mixture_lambda,
    mixture_rho,
    newcombe_difference,
    normal_mixture_bound,
    probability_b_beats_a,
    running_sample_ratio_test,
    sample_ratio_test,
    sequential_boundaries,
    sequential_sample_ratio_test,
    wilson_interval,
)
from scipy.special import stdtrit

CASES = json.loads(Path(__file__).with_name("golden.json").read_text(encoding="utf-8"))["published"]


def counts(i):
    return i["x1"], i["n1"], i["x2"], i["n2"]


def ends(interval):
    return [interval.low, interval.high]


def mee(i):
    return ends(miettinen_nurminen_difference(*counts(i), correction=False))


def welch(i):
    arms = (Estimate(i[f"mean{k}"], i[f"var{k}"] / i[f"n{k}"], i[f"n{k}"] - 1) for k in (1, 2))
    d = compare_estimates(*arms, method="welch").difference
    return [d.estimate / d.se, d.df, d.p_value, d.low, d.high]


def fieller_pooled(i):
    df = i["n_t"] + i["n_c"] - 2
    pooled = ((i["n_t"] - 1) * i["var_t"] + (i["n_c"] - 1) * i["var_c"]) / df
    return ends(fieller(i["mean_t"], pooled / i["n_t"], i["mean_c"], pooled / i["n_c"], stdtrit(df, 0.975)))


def fieller_plugin(i):
    v_t, v_c, rho = i["var_t"] / i["n_t"], i["var_c"] / i["n_c"], i["mean_t"] / i["mean_c"]
    df = (v_t + rho**2 * v_c) ** 2 / (v_t**2 / (i["n_t"] - 1) + rho**4 * v_c**2 / (i["n_c"] - 1))
    return ends(fieller(i["mean_t"], v_t, i["mean_c"], v_c, stdtrit(df, 0.975)))


def fieller_inverted(i):
    t, c = (Estimate(i[f"mean_{a}"], i[f"var_{a}"] / i[f"n_{a}"], i[f"n_{a}"] - 1) for a in "tc")
    lift = compare_estimates(t, c, method="welch").lift
    return [lift.low + 1, lift.high + 1]


def dunnett(sides):
    return lambda i: dunnett_critical([1.0] * i["k_treatments"], 1.0, alpha=i["alpha"], df=float(i["df"]), sides=sides)


def sequential_srm(i):
    rows = np.random.RandomState(1).multinomial(1, [0.1, 0.3, 0.6], size=1000).cumsum(axis=0)
    for n, row in enumerate(rows, start=1):
        p = sequential_sample_ratio_test(row.tolist(), i["theta0"]).p_value
        if p < i["u"]:
            arms = ["a", "b", "c"]
            looks = [dict(zip(arms, one, strict=True)) for one in np.diff(rows, axis=0, prepend=0).tolist()]
            shares = dict(zip(arms, i["theta0"], strict=True))
            # The running minimum keeps the p-value of the stop.
            assert running_sample_ratio_test(looks[:n], shares).p_value == pytest.approx(p, rel=1e-12)
            assert running_sample_ratio_test(looks, shares).p_value <= p
            return [n, p]
    return None


def looks(spending):
    def boundaries(i):
        clocks = i.get("info") or [k / i["K"] for k in range(1, i["K"] + 1)]
        function = Spending(spending, i.get("gamma"))
        return list(sequential_boundaries(clocks, alpha=i["alpha_one_sided"], spending=function, sides=1).z)

    return boundaries


def classical(shape):
    return lambda i: classical_boundaries(shape, i["K"], alpha=i["alpha"]).z[-1]


def inflation(i):
    one_side = i["alpha_one_sided"]
    if i.get("bounds") == "OBF":
        return inflation_factor(classical_boundaries("obrien_fleming", i["K"], alpha=one_side, sides=1), i["power"])
    clocks = [k / i["K"] for k in range(1, i["K"] + 1)]
    return inflation_factor(sequential_boundaries(clocks, alpha=one_side, sides=1), i["power"])


def best_of(i):
    arms = {
        str(k): Moments.from_sums(["y"], n, [x], {("y", "y"): x})
        for k, (x, n) in enumerate(zip(i["successes"], i["totals"], strict=True))
    }
    return list(beta_posteriors(arms, "y", "0", prior=(0.5, 0.5)).probability_best.values())


METHODS = {
    "newcombe_diff_ci": lambda i: newcombe_difference(*counts(i)),
    "miettinen_nurminen_diff_ci": lambda i: ends(miettinen_nurminen_difference(*counts(i))),
    "mee_diff_ci": mee,
    "koopman_ratio_ci": lambda i: ends(miettinen_nurminen_ratio(*counts(i), correction=False)),
    "wilson_ci": lambda i: wilson_interval(i["x"], i["n"]),
    "welch_from_moments": welch,
    "fieller_pooled_t": fieller_pooled,
    "fieller_unequal_var_satterthwaite_plugin": fieller_plugin,
    "fieller_unequal_var_satterthwaite_inverted": fieller_inverted,
    "dunnett_crit_one_sided": dunnett(1),
    "dunnett_crit_two_sided": dunnett(2),
    "pocock_two_sided": classical("pocock"),
    "obrien_fleming_two_sided": classical("obrien_fleming"),
    "lan_demets_pocock_spending": looks("pocock"),
    "lan_demets_obf_spending": looks("obrien_fleming"),
    "kim_demets_power_spending": looks("kim_demets"),
    "hwang_shih_decani_spending": looks("hwang_shih_decani"),
    "group_sequential_inflation": inflation,
    "p_adjust_holm": lambda i: adjust_p_values(i["p"], "holm"),
    "p_adjust_hochberg": lambda i: adjust_p_values(i["p"], "hochberg"),
    "p_adjust_hommel": lambda i: adjust_p_values(i["p"], "hommel"),
    "p_adjust_BH": lambda i: adjust_p_values(i["p"], "bh"),
    "p_adjust_BY": lambda i: adjust_p_values(i["p"], "by"),
    "e_bh": lambda i: e_bh(i["e"], i["alpha"]),
    "srm_chi2_p": lambda i: sample_ratio_test(i["counts"], i["split"]).p_value,
    "sequential_srm_multinomial": sequential_srm,
    "normal_mixture_best_rho": lambda i: mixture_rho(i["v_opt"], i["alpha_opt"]),
    "normal_mixture_bound": lambda i: normal_mixture_bound(i["v"], i["alpha"], i["v_opt"], i["alpha_opt"]),
    "identity_msprt_equals_asymp_cs": lambda i: [mixture_boundary(i["a"], i["alpha"])],
    "prob_b_beats_a_beta": lambda i: probability_b_beats_a(i["alpha_A"], i["beta_A"], i["alpha_B"], i["beta_B"]),
    "prob_best_k_arms_beta": best_of,
    "prob_best_k_arms_beta_exact": best_of,
    "expected_loss_choose_B_beta": lambda i: expected_loss_beta(i["alpha_A"], i["beta_A"], i["alpha_B"], i["beta_B"]),
    "chi2_k_proportions": lambda i: (lambda test: [test.statistic, test.p_value])(homogeneity_test(i["x"], i["n"])),
}


@pytest.mark.parametrize("case", CASES, ids=[f"{case['id']}-{case['method']}" for case in CASES])
def test_published_value(case):
    """Each published number comes out within the tolerance that its printing allows."""
    ours = METHODS[case["method"]](case["inputs"])
    assert ours == pytest.approx(case["expected"], abs=case["tolerance"], rel=0)


def test_dunnett_row_of_1964():
    """The two-sided 5 % row for infinite df, one to nine treatments, as printed in 1964 with two decimals."""
    row = [dunnett_critical([1.0] * k, 1.0) for k in range(1, 10)]
    assert row == pytest.approx([1.96, 2.21, 2.35, 2.44, 2.51, 2.57, 2.61, 2.65, 2.69], abs=0.0051)


def test_mixture_lambda_is_the_minimiser():
    """No other tuning gives a lower boundary than λ, at several levels."""
    assert mixture_lambda(0.05) == pytest.approx(8.211968, abs=1e-6)
    for alpha in (0.2, 0.05, 0.001, 1e-9):
        best = mixture_boundary(mixture_lambda(alpha), alpha)
        for factor in (0.5, 0.99, 1.01, 2.0):
            assert mixture_boundary(mixture_lambda(alpha) * factor, alpha) > best


def test_statsmodels_bug_is_not_shared():
    """56/70 v 48/80 gives the published upper end .3382 where statsmodels 0.15.0 gives .34404."""
    high = miettinen_nurminen_difference(56, 70, 48, 80).high
    assert high == pytest.approx(0.33817294, abs=1e-8)
    assert not math.isclose(high, 0.34404, abs_tol=1e-3)
