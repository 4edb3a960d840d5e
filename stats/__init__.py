"""Estimates, intervals, tests and posteriors from moments alone.

Every method takes `Moments` (or the few numbers it needs) and returns a frozen record of plain floats; t is the
treatment and c the control. Nothing here reads data or keeps state; what draws random numbers takes their seed.

Comparisons are loaded at once, planning, planned looks, strata and resampling when they are first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .adjustment import (
    AdjustedComparison,
    Adjustment,
    CovariateBalance,
    compare_adjusted,
    covariate_balance,
    explained_variance,
)
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
from .fieller import Estimate, Shared, compare_estimates, fieller
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
from .ratios import compare_ratios, linearised, ratio_of
from .results import Amount, Anytime, Comparison, Difference, Inputs, Lift, Posterior, RatioInterval, SampleRatio
from .showing import Shown
from .skewness import SKEW_LIMIT, skew_kappa
from .srm import (
    homogeneity_test,
    running_sample_ratio_test,
    sample_ratio_by_group,
    sample_ratio_test,
    sequential_sample_ratio_test,
)

if TYPE_CHECKING:
    from .bunching import (
        Band,
        Bunching,
        OrderHistogram,
        order_histogram,
        threshold_bunching,
    )
    from .bunching_strata import (
        threshold_bunching_over_strata,
    )
    from .clusters import (
        FEW_CLUSTERS,
        ClusterComparison,
        compare_clusters,
        compare_clusters_over_strata,
    )
    from .combined import (
        moments_over_strata,
    )
    from .contrasts import (
        Contrast,
        WaldTest,
    )
    from .course import (
        Course,
        DayOfCourse,
        course_since_exposure,
    )
    from .days import (
        DaysComparison,
        compare_days,
    )
    from .decision_rule import (
        ACTIONS,
        HARM_SHARE,
        NON_INFERIORITY,
        Action,
        ErrorBudget,
        Evidence,
        Finding,
        PlannedLooks,
        Verdicts,
        error_budget,
        follow_bounds,
        follow_rule,
        is_over,
        judge,
        planned_looks,
    )
    from .decomposition import (
        Factor,
        RevenueDecomposition,
        decompose_revenue,
    )
    from .demand import (
        CurveFit,
        Demand,
        TestedRate,
        demand_curve,
    )
    from .endpoints import (
        Endpoint,
        Mean,
        Rate,
        Signal,
    )
    from .exact import (
        conditional_mid_p,
    )
    from .factorial import (
        compare_factorial,
    )
    from .factorial_design import (
        Aliases,
        factorial_aliases,
    )
    from .factorial_results import (
        FactorialCell,
        FactorialComparison,
        FactorialEffect,
        LackOfFit,
    )
    from .group_sequential import (
        Boundaries,
        Boundary,
        classical_boundaries,
        crossing_probabilities,
        drift_for_power,
        inflation_factor,
        next_boundary,
        sequential_boundaries,
        spent_by,
    )
    from .histogram import (
        LARGEST_SHARE_LIMIT,
        Histogram,
        LargestValues,
    )
    from .incremental import (
        Incrementality,
        incrementality,
    )
    from .money import (
        Audience,
        Money,
        campaign_total,
        customer_value,
        money_per_week,
    )
    from .overlaps import (
        OverlapInteraction,
        Overlaps,
        overlap_interactions,
    )
    from .power import (
        Design,
        Duration,
        SampleSize,
        achieved_power,
        control_share_for,
        detectable_lift,
        required_visitors,
        time_to_decide,
    )
    from .pricing import (
        PriceChoice,
        TestedPrice,
        choose_price,
    )
    from .programme import (
        PastExperiment,
        Programme,
        programme_total,
    )
    from .quantiles import (
        QuantileComparison,
        QuantileEstimate,
        compare_quantiles,
        quantile_interval,
    )
    from .repeated import (
        RepeatedInterval,
        StagewiseEstimate,
        nominal_level,
        repeated_interval,
        repeated_lift,
        repeated_p_value,
        stagewise_estimate,
    )
    from .resampling import (
        BootstrapPosterior,
        PermutationTest,
        bayesian_bootstrap,
        permutation_test,
    )
    from .response import (
        Dose,
        DoseResponse,
        dose_response,
    )
    from .rope import (
        rope_means,
        rope_rates,
    )
    from .segment_results import (
        Segmentation,
        SegmentEffect,
        SegmentsComparison,
    )
    from .segments import (
        MOST_DECLARED,
        compare_segments,
    )
    from .shrinkage import (
        Shrunk,
        between_variance,
        sceptical_prior,
        shrink,
        shrink_arms,
        shrink_by_experience,
        shrink_together,
    )
    from .spending import (
        Spending,
        spent_alpha,
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
    from .value import (
        Waiting,
        expected_net_gain,
        gain_of_waiting,
        value_of_more_visitors,
        value_of_perfect_information,
        value_of_waiting,
    )
    from .winsor import (
        cap_from_orders,
        capped_moments,
    )

_LATE = {
    "bunching": (
        "Band",
        "Bunching",
        "OrderHistogram",
        "order_histogram",
        "threshold_bunching",
    ),
    "bunching_strata": ("threshold_bunching_over_strata",),
    "combined": ("moments_over_strata",),
    "clusters": (
        "ClusterComparison",
        "FEW_CLUSTERS",
        "compare_clusters",
        "compare_clusters_over_strata",
    ),
    "contrasts": (
        "Contrast",
        "WaldTest",
    ),
    "course": (
        "Course",
        "DayOfCourse",
        "course_since_exposure",
    ),
    "days": (
        "DaysComparison",
        "compare_days",
    ),
    "decision_rule": (
        "ACTIONS",
        "Action",
        "ErrorBudget",
        "Evidence",
        "Finding",
        "HARM_SHARE",
        "NON_INFERIORITY",
        "PlannedLooks",
        "Verdicts",
        "error_budget",
        "follow_bounds",
        "follow_rule",
        "is_over",
        "judge",
        "planned_looks",
    ),
    "decomposition": (
        "Factor",
        "RevenueDecomposition",
        "decompose_revenue",
    ),
    "demand": (
        "CurveFit",
        "Demand",
        "TestedRate",
        "demand_curve",
    ),
    "endpoints": (
        "Endpoint",
        "Mean",
        "Rate",
        "Signal",
    ),
    "exact": ("conditional_mid_p",),
    "factorial": ("compare_factorial",),
    "factorial_design": (
        "Aliases",
        "factorial_aliases",
    ),
    "factorial_results": (
        "FactorialCell",
        "FactorialComparison",
        "FactorialEffect",
        "LackOfFit",
    ),
    "group_sequential": (
        "Boundaries",
        "Boundary",
        "classical_boundaries",
        "crossing_probabilities",
        "drift_for_power",
        "inflation_factor",
        "next_boundary",
        "sequential_boundaries",
        "spent_by",
    ),
    "histogram": (
        "Histogram",
        "LARGEST_SHARE_LIMIT",
        "LargestValues",
    ),
    "incremental": (
        "Incrementality",
        "incrementality",
    ),
    "money": (
        "Audience",
        "Money",
        "campaign_total",
        "customer_value",
        "money_per_week",
    ),
    "overlaps": (
        "OverlapInteraction",
        "Overlaps",
        "overlap_interactions",
    ),
    "power": (
        "Design",
        "Duration",
        "SampleSize",
        "achieved_power",
        "control_share_for",
        "detectable_lift",
        "required_visitors",
        "time_to_decide",
    ),
    "pricing": (
        "PriceChoice",
        "TestedPrice",
        "choose_price",
    ),
    "programme": (
        "PastExperiment",
        "Programme",
        "programme_total",
    ),
    "quantiles": (
        "QuantileComparison",
        "QuantileEstimate",
        "compare_quantiles",
        "quantile_interval",
    ),
    "repeated": (
        "RepeatedInterval",
        "StagewiseEstimate",
        "nominal_level",
        "repeated_interval",
        "repeated_lift",
        "repeated_p_value",
        "stagewise_estimate",
    ),
    "resampling": (
        "BootstrapPosterior",
        "PermutationTest",
        "bayesian_bootstrap",
        "permutation_test",
    ),
    "response": (
        "Dose",
        "DoseResponse",
        "dose_response",
    ),
    "rope": (
        "rope_means",
        "rope_rates",
    ),
    "segment_results": (
        "SegmentEffect",
        "Segmentation",
        "SegmentsComparison",
    ),
    "segments": (
        "MOST_DECLARED",
        "compare_segments",
    ),
    "shrinkage": (
        "Shrunk",
        "between_variance",
        "sceptical_prior",
        "shrink",
        "shrink_arms",
        "shrink_by_experience",
        "shrink_together",
    ),
    "spending": (
        "Spending",
        "spent_alpha",
    ),
    "strata": (
        "beta_posteriors_over_strata",
        "compare_adjusted_over_strata",
        "compare_means_over_strata",
        "compare_proportions_over_strata",
        "compare_ratios_over_strata",
        "mean_over_strata",
        "ratio_over_strata",
        "skew_kappa_over_strata",
        "stratum_weights",
    ),
    "value": (
        "Waiting",
        "expected_net_gain",
        "gain_of_waiting",
        "value_of_more_visitors",
        "value_of_perfect_information",
        "value_of_waiting",
    ),
    "winsor": (
        "cap_from_orders",
        "capped_moments",
    ),
}
_HOME = {name: module for module, names in _LATE.items() for name in names}

__all__ = [
    "ACTIONS",
    "BURN_IN_CONVERSIONS",
    "FEW_CLUSTERS",
    "HARM_SHARE",
    "LARGEST_SHARE_LIMIT",
    "MOST_DECLARED",
    "NON_INFERIORITY",
    "SKEW_LIMIT",
    "VISITORS_WITHOUT_PLAN",
    "Action",
    "AdjustedComparison",
    "Adjustment",
    "Aliases",
    "Amount",
    "Anytime",
    "ArmComparison",
    "ArmValue",
    "ArmsComparison",
    "ArmsPosterior",
    "Audience",
    "Band",
    "BootstrapPosterior",
    "Boundaries",
    "Boundary",
    "Bunching",
    "ClusterComparison",
    "Comparison",
    "Contrast",
    "Course",
    "CovariateBalance",
    "CurveFit",
    "DayOfCourse",
    "DaysComparison",
    "Demand",
    "Design",
    "Difference",
    "Dose",
    "DoseResponse",
    "Duration",
    "Endpoint",
    "ErrorBudget",
    "Estimate",
    "Evidence",
    "Factor",
    "FactorialCell",
    "FactorialComparison",
    "FactorialEffect",
    "Finding",
    "Histogram",
    "Incrementality",
    "Inputs",
    "LackOfFit",
    "LargestValues",
    "Lift",
    "Mean",
    "Moments",
    "Money",
    "NonInferiority",
    "OrderHistogram",
    "OverlapInteraction",
    "Overlaps",
    "PastExperiment",
    "PermutationTest",
    "PlannedLooks",
    "Posterior",
    "PriceChoice",
    "Programme",
    "QuantileComparison",
    "QuantileEstimate",
    "Rate",
    "RatioInterval",
    "RepeatedInterval",
    "RevenueDecomposition",
    "RunningAnytime",
    "SampleRatio",
    "SampleSize",
    "SegmentEffect",
    "Segmentation",
    "SegmentsComparison",
    "Shared",
    "Shown",
    "Shrunk",
    "Signal",
    "Spending",
    "StagewiseEstimate",
    "TestedPrice",
    "TestedRate",
    "Verdicts",
    "Waiting",
    "WaldTest",
    "achieved_power",
    "adjust_p_values",
    "adjusted_alpha",
    "anytime_interval",
    "anytime_lift",
    "bayesian_bootstrap",
    "beta_posteriors",
    "beta_posteriors_over_strata",
    "between_variance",
    "campaign_total",
    "cap_from_orders",
    "capped_moments",
    "choose_price",
    "classical_boundaries",
    "compare",
    "compare_adjusted",
    "compare_adjusted_over_strata",
    "compare_clusters",
    "compare_clusters_over_strata",
    "compare_days",
    "compare_estimates",
    "compare_factorial",
    "compare_means",
    "compare_means_over_strata",
    "compare_proportions",
    "compare_proportions_over_strata",
    "compare_quantiles",
    "compare_ratios",
    "compare_ratios_over_strata",
    "compare_segments",
    "conditional_mid_p",
    "control_share_for",
    "counts_of",
    "course_since_exposure",
    "covariate_balance",
    "crossing_probabilities",
    "customer_value",
    "decompose_revenue",
    "demand_curve",
    "detectable_lift",
    "dose_response",
    "drift_for_power",
    "dunnett_critical",
    "dunnett_p_values",
    "e_bh",
    "e_value",
    "error_budget",
    "expected_loss_beta",
    "expected_net_gain",
    "explained_variance",
    "factorial_aliases",
    "fieller",
    "follow_bounds",
    "follow_rule",
    "gain_of_waiting",
    "homogeneity_test",
    "incrementality",
    "inflation_factor",
    "intersection_union",
    "is_over",
    "judge",
    "linearised",
    "log_e_value",
    "mean_estimate",
    "mean_over_strata",
    "miettinen_nurminen_difference",
    "miettinen_nurminen_ratio",
    "mixture_boundary",
    "mixture_lambda",
    "mixture_rho",
    "moments_by_arm",
    "moments_over_strata",
    "money_per_week",
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
    "order_histogram",
    "overlap_interactions",
    "permutation_test",
    "planned_looks",
    "probability_b_beats_a",
    "programme_total",
    "quantile_interval",
    "ratio_of",
    "ratio_over_strata",
    "repeated_interval",
    "repeated_lift",
    "repeated_p_value",
    "required_visitors",
    "rope_means",
    "rope_rates",
    "running_anytime",
    "running_sample_ratio_test",
    "sample_ratio_by_group",
    "sample_ratio_test",
    "sceptical_prior",
    "sequential_boundaries",
    "sequential_sample_ratio_test",
    "shrink",
    "shrink_arms",
    "shrink_by_experience",
    "shrink_together",
    "skew_kappa",
    "skew_kappa_over_strata",
    "spent_alpha",
    "spent_by",
    "stagewise_estimate",
    "stratum_weights",
    "threshold_bunching",
    "threshold_bunching_over_strata",
    "time_to_decide",
    "tuning_one_look",
    "tuning_with_plan",
    "tuning_without_plan",
    "value_of_more_visitors",
    "value_of_perfect_information",
    "value_of_waiting",
    "wilson_interval",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Kept, so that this is asked once a name.
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
