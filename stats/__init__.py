"""Estimates, intervals, tests and posteriors from moments alone.

Every method takes `Moments` (or the few numbers it needs) and returns a frozen record of plain floats; t is the
treatment and c the control. Nothing here reads data or keeps state; `permutation_test` and `bayesian_bootstrap` take an
additive `Histogram` or raw values, and draw random numbers from the seed they are given.
"""

from __future__ import annotations

from .adjustment import AdjustedComparison, Adjustment, CovariateBalance, compare_adjusted, covariate_balance
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
from .bayes import (
    ArmsPosterior,
    beta_posteriors,
    expected_loss_beta,
    normal_expected_loss,
    normal_posteriors,
    normal_update,
    probability_b_beats_a,
)
from .decomposition import Factor, RevenueDecomposition, decompose_revenue
from .exact import conditional_mid_p
from .fieller import Estimate, Shared, compare_estimates, fieller
from .histogram import LARGEST_SHARE_LIMIT, Histogram, LargestValues
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
from .quantiles import QuantileComparison, QuantileEstimate, compare_quantiles, quantile_interval
from .ratios import compare_ratios, linearised, ratio_of
from .resampling import BootstrapPosterior, PermutationTest, bayesian_bootstrap, permutation_test
from .results import Anytime, Comparison, Difference, Lift, Posterior, RatioInterval, SampleRatio
from .rope import rope_means, rope_rates
from .skewness import SKEW_LIMIT, skew_kappa
from .srm import (
    homogeneity_test,
    running_sample_ratio_test,
    sample_ratio_by_group,
    sample_ratio_test,
    sequential_sample_ratio_test,
)
from .strata import (
    beta_posteriors_over_strata,
    compare_adjusted_over_strata,
    compare_means_over_strata,
    compare_proportions_over_strata,
    compare_ratios_over_strata,
    mean_over_strata,
    ratio_over_strata,
    skew_kappa_over_strata,
    stratum_weights,
)
from .winsor import cap_from_orders, capped_moments

__all__ = [
    "LARGEST_SHARE_LIMIT",
    "SKEW_LIMIT",
    "AdjustedComparison",
    "Adjustment",
    "Anytime",
    "ArmsPosterior",
    "BootstrapPosterior",
    "Comparison",
    "CovariateBalance",
    "Difference",
    "Estimate",
    "Factor",
    "Histogram",
    "LargestValues",
    "Lift",
    "Moments",
    "PermutationTest",
    "Posterior",
    "QuantileComparison",
    "QuantileEstimate",
    "RatioInterval",
    "RevenueDecomposition",
    "SampleRatio",
    "Shared",
    "adjusted_alpha",
    "anytime_interval",
    "bayesian_bootstrap",
    "beta_posteriors",
    "beta_posteriors_over_strata",
    "cap_from_orders",
    "capped_moments",
    "compare_adjusted",
    "compare_adjusted_over_strata",
    "compare_estimates",
    "compare_means",
    "compare_means_over_strata",
    "compare_proportions",
    "compare_proportions_over_strata",
    "compare_quantiles",
    "compare_ratios",
    "compare_ratios_over_strata",
    "conditional_mid_p",
    "counts_of",
    "covariate_balance",
    "decompose_revenue",
    "dunnett_critical",
    "e_value",
    "expected_loss_beta",
    "fieller",
    "homogeneity_test",
    "linearised",
    "log_e_value",
    "mean_estimate",
    "mean_over_strata",
    "miettinen_nurminen_difference",
    "miettinen_nurminen_ratio",
    "mixture_boundary",
    "mixture_lambda",
    "mixture_rho",
    "newcombe_difference",
    "normal_expected_loss",
    "normal_mixture_bound",
    "normal_mixture_log_martingale",
    "normal_posteriors",
    "normal_update",
    "permutation_test",
    "probability_b_beats_a",
    "quantile_interval",
    "ratio_of",
    "ratio_over_strata",
    "rope_means",
    "rope_rates",
    "running_sample_ratio_test",
    "sample_ratio_by_group",
    "sample_ratio_test",
    "sequential_sample_ratio_test",
    "skew_kappa",
    "skew_kappa_over_strata",
    "stratum_weights",
    "tuning_one_look",
    "tuning_without_plan",
    "wilson_interval",
]
