"""The cases that were run through other packages, and our numbers for them under the peers' names."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import json
import math
from pathlib import Path

from offerlift.stats import (
    Moments,
    Spending,
    adjust_p_values,
    compare_adjusted,
    compare_means,
    compare_means_over_strata,
    compare_proportions,
    compare_ratios,
    conditional_mid_p,
    normal_expected_loss,
    normal_mixture_bound,
    normal_mixture_log_martingale,
    normal_posteriors,
    sample_ratio_test,
    sequential_boundaries,
    sequential_sample_ratio_test,
)

NORMAL_975 = 1.959963984540054
PEERS = {
    case["id"]: case
    for case in json.loads(Path(__file__).with_name("golden.json").read_text(encoding="utf-8"))["peers"]
}


def moments(arm):
    """Moments of y (and x) from a peer's raw sums."""
    n = arm["n"]
    if "successes" in arm:
        return Moments.from_sums(["y"], n, [arm["successes"]], {("y", "y"): arm["successes"]})
    if "sum" in arm:
        return Moments.from_sums(["y"], n, [arm["sum"]], {("y", "y"): arm["sum_squares"]})
    first, second, product = ("num", "den", "num_den") if "num_sum" in arm else ("post", "pre", "post_pre")
    squares = {("y", "y"): arm[f"{first}_sum_squares"], ("x", "x"): arm[f"{second}_sum_squares"]}
    squares["y", "x"] = arm[f"{product}_sum_of_products"]
    return Moments.from_sums(["y", "x"], n, [arm[f"{first}_sum"], arm[f"{second}_sum"]], squares)


def arms(case):
    return moments(case["inputs"]["treatment"]), moments(case["inputs"]["control"])


def of_difference(d):
    return {"effect": d.estimate, "ci_lower": d.low, "ci_upper": d.high, "p_value": d.p_value, "se": d.se, "dof": d.df}


def ours(case):
    """Our numbers for a case, under the peers' names."""
    i = case["inputs"]
    control = i.get("control")
    if isinstance(control, dict) and i.get("method") != "fisher":
        if "num_sum" in control:
            return of_difference(compare_ratios(*arms(case), "y", "x").difference)
        if "num" in control:
            t, c = (Moments.from_arrays(i[arm]) for arm in ("treatment", "control"))
            d = compare_ratios(t, c, "num", "den").difference
        elif "post_sum" in control:
            d = compare_adjusted(*arms(case), "y", ["x"]).difference
        elif "sum" in control:
            d = compare_means(*arms(case), "y").difference
        else:
            d = compare_proportions(*arms(case), "y").difference
        names = {"ate": d.estimate, "std_error": d.se, "std_err": d.se, "difference": d.estimate, "pvalue": d.p_value}
        sizes = {"effect_size": d.estimate, "effect_size_ci_lower": d.low, "effect_size_ci_upper": d.high}
        return of_difference(d) | names | sizes | {"statistic": d.estimate / d.se}
    if "information_fractions" in i:
        function = Spending("kim_demets", 2.0)
        looks = sequential_boundaries(i["information_fractions"], alpha=i["alpha"], spending=function, sides=i["sides"])
        return {"z_bounds": list(looks.z)}
    if "p" in i:
        method = {"tt-by": "by", "tt-holm-bonf": "holm", "tt-hochberg-sidak": "hochberg"}[case["id"]]
        adjusted = list(adjust_p_values(i["p"], method))
        return {"pvalue_adj": adjusted, "null_rejected": [p <= i["alpha"] for p in adjusted]}
    if "theta0" in i:
        test = sequential_sample_ratio_test(i["counts"], i["theta0"], concentration=i["k"])
        return {"p_value": test.p_value, "bayes_factor": math.exp(test.statistic)}
    if "strata" in i:
        t, c = ([moments(stratum[arm]) for stratum in i["strata"]] for arm in ("treatment", "control"))
        return of_difference(compare_means_over_strata(t, c, "y").difference)
    if "nu" in i:
        # A quantile with its 95 % interval, whose variance the peer takes with n below the line.
        estimates = {
            arm: (i[arm]["q"], ((i[arm]["hi"] - i[arm]["lo"]) / (2 * NORMAL_975)) ** 2 * (1 - 1 / i[arm]["n"]))
            for arm in "ct"
        }
        against = normal_posteriors(estimates, "c").against_control["t"]
        effect = i["t"]["q"] - i["c"]["q"]
        return {
            "effect": effect,
            "ci_lower": against.low,
            "ci_upper": against.high,
            "chance_to_win": against.probability_better,
            "posterior_sd": math.sqrt(sum(variance for _, variance in estimates.values())),
            "risk_of_control": against.expected_loss + effect,
            "risk_of_treatment": against.expected_loss,
        }
    if i.get("method") == "fisher":
        t, c = i["treatment"], i["control"]
        return {"pvalue": conditional_mid_p(t["successes"], t["n"], c["successes"], c["n"])}
    if "users" in i:
        return {"p_value": sample_ratio_test(i["users"], i["weights"]).p_value}
    if "v_opt" in i:
        bound = normal_mixture_bound(i["v"], i["alpha"], i["v_opt"], two_sided=False)
        return {"bound": bound, "log_mixture": normal_mixture_log_martingale(10, i["v"], i["v_opt"], two_sided=False)}
    if "mu" in i:
        losses = normal_expected_loss(i["mu"], i["sigma"]), normal_expected_loss(-i["mu"], i["sigma"])
        return dict(zip(("risk_of_control", "risk_of_treatment"), losses, strict=True))
    return {"pvalue": sample_ratio_test([i["control"], i["treatment"]], [1, i["ratio"]]).p_value}
