"""Results as they leave the package."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import math
from dataclasses import astuple

import numpy as np
from offerlift.stats import (
    Estimate,
    Moments,
    anytime_interval,
    beta_posteriors,
    compare_adjusted,
    compare_means,
    compare_means_over_strata,
    compare_proportions_over_strata,
    compare_ratios,
    compare_ratios_over_strata,
    dunnett_critical,
    miettinen_nurminen_difference,
    miettinen_nurminen_ratio,
    mixture_boundary,
    newcombe_difference,
    non_inferiority,
    non_inferiority_proportions,
    normal_posteriors,
    ratio_of,
    sample_ratio_test,
    sequential_sample_ratio_test,
    skew_kappa,
    wilson_interval,
)


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


def test_comparisons_over_strata_can_be_done_again():
    """A comparison over strata carries the moments of every stratum, with numbers or without, and gives them again."""
    rng = np.random.default_rng(2)
    parts = [
        Moments.from_arrays({"y": rng.gamma(1, 5, n), "x": rng.gamma(1, 5, n), "b": rng.integers(0, 2, n)})
        for n in (50, 60, 70, 80)
    ]
    treatment, control = parts[:2], parts[2:]
    empty = [Moments.zero(["y", "x", "b"])] * 2
    for method, columns in (
        (compare_means_over_strata, ("y",)),
        (compare_proportions_over_strata, ("b",)),
        (compare_ratios_over_strata, ("y", "x")),
    ):
        result = method(treatment, control, *columns, alpha=0.1)
        inputs = result.inputs
        assert inputs.columns == columns
        assert method(inputs.treatment, inputs.control, *inputs.columns, alpha=inputs.alpha) == result
        assert method(empty, control, *columns).inputs.treatment is empty


def test_guardrails_can_be_done_again():
    """A test of non-inferiority carries estimates or counts, margin and level, also where it has no numbers."""
    pairs = ((Estimate(9.9, 0.01, 99), Estimate(10.0, 0.01, 99)), (Estimate(1, 1, 9), Estimate(0, 1, 9)))
    for treatment, control in pairs:
        result = non_inferiority(treatment, control, 0.04, alpha=0.05)
        inputs = result.inputs
        assert non_inferiority(inputs.treatment, inputs.control, inputs.margin, alpha=inputs.alpha) == result
        assert (inputs.margin, inputs.alpha) == (0.04, 0.05)
    for counts in ((480, 10_000, 500, 10_000), (3, 100, 0, 100)):
        result = non_inferiority_proportions(*counts, margin=0.02)
        inputs = result.inputs
        again = non_inferiority_proportions(*inputs.treatment, *inputs.control, inputs.margin, alpha=inputs.alpha)
        assert again == result
        assert (*inputs.treatment, *inputs.control) == counts
