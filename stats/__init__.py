"""Estimates, intervals, tests and posteriors from moments alone.

Every method takes `Moments` (or the few numbers it needs) and returns a frozen record of plain floats; t is the
treatment and c the control. Nothing here reads data, keeps state or draws random numbers.
"""

from __future__ import annotations

from .adjustment import AdjustedComparison, Adjustment, compare_adjusted
from .anytime import (
    BURN_IN_CONVERSIONS,
    VISITORS_WITHOUT_PLAN,
    RunningAnytime,
    anytime_interval,
    anytime_lift,
    e_value,
    log_e_value,
    mixture_boundary,
    mixture_lambda,
    mixture_rho,
    normal_mixture_bound,
    normal_mixture_log_martingale,
    running_anytime,
    tuning_one_look,
    tuning_with_plan,
    tuning_without_plan,
)
from .arms import ArmComparison, ArmsComparison, ArmValue
from .bayes import (
    ArmsPosterior,
    beta_posteriors,
    expected_loss_beta,
    normal_expected_loss,
    normal_posteriors,
    normal_update,
    probability_b_beats_a,
)
from .by_arm import moments_by_arm
from .comparing import compare
from .days import DaysComparison, compare_days
from .fieller import Estimate, Shared, compare_estimates, fieller
from .group_sequential import (
    Boundaries,
    Boundary,
    RepeatedInterval,
    StagewiseEstimate,
    classical_boundaries,
    crossing_probabilities,
    drift_for_power,
    inflation_factor,
    next_boundary,
    nominal_level,
    repeated_interval,
    repeated_lift,
    repeated_p_value,
    sequential_boundaries,
    spent_by,
    stagewise_estimate,
)
from .histogram import Histogram, LargestValues
from .means import compare_means, mean_estimate
from .moments import Moments
from .multiplicity import adjust_p_values, adjusted_alpha, dunnett_critical, dunnett_p_values, e_bh
from .noninferiority import NonInferiority, intersection_union, non_inferiority, non_inferiority_proportions
from .proportions import (
    compare_proportions,
    counts_of,
    miettinen_nurminen_difference,
    miettinen_nurminen_ratio,
    newcombe_difference,
    wilson_interval,
)
from .ratios import compare_ratios, ratio_of
from .results import Anytime, Comparison, Difference, Inputs, Lift, Posterior, RatioInterval, SampleRatio
from .showing import Shown
from .skewness import SKEW_LIMIT, skew_kappa
from .spending import Spending, spent_alpha
from .srm import homogeneity_test, running_sample_ratio_test, sample_ratio_test, sequential_sample_ratio_test

__all__ = [
    "BURN_IN_CONVERSIONS",
    "SKEW_LIMIT",
    "VISITORS_WITHOUT_PLAN",
    "AdjustedComparison",
    "Adjustment",
    "Anytime",
    "ArmComparison",
    "ArmValue",
    "ArmsComparison",
    "ArmsPosterior",
    "Boundaries",
    "Boundary",
    "Comparison",
    "DaysComparison",
    "Difference",
    "Estimate",
    "Histogram",
    "Inputs",
    "LargestValues",
    "Lift",
    "Moments",
    "NonInferiority",
    "Posterior",
    "RatioInterval",
    "RepeatedInterval",
    "RunningAnytime",
    "SampleRatio",
    "Shared",
    "Shown",
    "Spending",
    "StagewiseEstimate",
    "adjust_p_values",
    "adjusted_alpha",
    "anytime_interval",
    "anytime_lift",
    "beta_posteriors",
    "classical_boundaries",
    "compare",
    "compare_adjusted",
    "compare_days",
    "compare_estimates",
    "compare_means",
    "compare_proportions",
    "compare_ratios",
    "counts_of",
    "crossing_probabilities",
    "drift_for_power",
    "dunnett_critical",
    "dunnett_p_values",
    "e_bh",
    "e_value",
    "expected_loss_beta",
    "fieller",
    "homogeneity_test",
    "inflation_factor",
    "intersection_union",
    "log_e_value",
    "mean_estimate",
    "miettinen_nurminen_difference",
    "miettinen_nurminen_ratio",
    "mixture_boundary",
    "mixture_lambda",
    "mixture_rho",
    "moments_by_arm",
    "newcombe_difference",
    "next_boundary",
    "nominal_level",
    "non_inferiority",
    "non_inferiority_proportions",
    "normal_expected_loss",
    "normal_mixture_bound",
    "normal_mixture_log_martingale",
    "normal_posteriors",
    "normal_update",
    "probability_b_beats_a",
    "ratio_of",
    "repeated_interval",
    "repeated_lift",
    "repeated_p_value",
    "running_anytime",
    "running_sample_ratio_test",
    "sample_ratio_test",
    "sequential_boundaries",
    "sequential_sample_ratio_test",
    "skew_kappa",
    "spent_alpha",
    "spent_by",
    "stagewise_estimate",
    "tuning_one_look",
    "tuning_with_plan",
    "tuning_without_plan",
    "wilson_interval",
]
