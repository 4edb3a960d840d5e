"""Estimates, intervals, tests and posteriors from moments alone.

Every method takes `Moments` (or the few numbers it needs) and returns a frozen record of plain floats; t is the
treatment and c the control. Nothing here reads data, keeps state or draws random numbers.
"""

from __future__ import annotations

from .adjustment import AdjustedComparison, Adjustment, compare_adjusted
from .anytime import (
    anytime_interval,
    e_value,
    log_e_value,
    mixture_boundary,
    mixture_lambda,
    mixture_rho,
    normal_mixture_bound,
    normal_mixture_log_martingale,
    tuning_one_look,
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
from .histogram import Histogram, LargestValues
from .means import compare_means, mean_estimate
from .moments import Moments
from .multiplicity import adjusted_alpha, dunnett_critical
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
from .srm import homogeneity_test, running_sample_ratio_test, sample_ratio_test, sequential_sample_ratio_test

__all__ = [
    "SKEW_LIMIT",
    "AdjustedComparison",
    "Adjustment",
    "Anytime",
    "ArmComparison",
    "ArmValue",
    "ArmsComparison",
    "ArmsPosterior",
    "Comparison",
    "DaysComparison",
    "Difference",
    "Estimate",
    "Histogram",
    "Inputs",
    "LargestValues",
    "Lift",
    "Moments",
    "Posterior",
    "RatioInterval",
    "SampleRatio",
    "Shared",
    "Shown",
    "adjusted_alpha",
    "anytime_interval",
    "beta_posteriors",
    "compare",
    "compare_adjusted",
    "compare_days",
    "compare_estimates",
    "compare_means",
    "compare_proportions",
    "compare_ratios",
    "counts_of",
    "dunnett_critical",
    "e_value",
    "expected_loss_beta",
    "fieller",
    "homogeneity_test",
    "log_e_value",
    "mean_estimate",
    "miettinen_nurminen_difference",
    "miettinen_nurminen_ratio",
    "mixture_boundary",
    "mixture_lambda",
    "mixture_rho",
    "moments_by_arm",
    "newcombe_difference",
    "normal_expected_loss",
    "normal_mixture_bound",
    "normal_mixture_log_martingale",
    "normal_posteriors",
    "normal_update",
    "probability_b_beats_a",
    "ratio_of",
    "running_sample_ratio_test",
    "sample_ratio_test",
    "sequential_sample_ratio_test",
    "skew_kappa",
    "tuning_one_look",
    "tuning_without_plan",
    "wilson_interval",
]
