"""Numbers that other packages gave for the same data, where their conventions are ours: reproduced."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import pytest
from offerlift.stats import (
    ratio_of,
)

from .peers import PEERS, moments, ours
from .test_peer_conventions import OTHER

SAME = {
    "gb-welch-abs-mean": ("effect", "ci_lower", "ci_upper", "p_value", "se", "dof"),
    "tt-welch-mean": ("effect_size", "effect_size_ci_lower", "effect_size_ci_upper", "pvalue", "statistic"),
    "sp-ttest-mean": ("difference", "ci_lower", "ci_upper", "p_value"),
    "gb-ratio-abs": ("effect", "ci_lower", "ci_upper", "p_value", "se", "dof"),
    "gb-bayes-quantile-p90": (
        *("effect", "ci_lower", "ci_upper", "chance_to_win"),
        *("posterior_sd", "risk_of_control", "risk_of_treatment"),
    ),
    "gb-risk-closed-form": ("risk_of_control", "risk_of_treatment"),
    "tt-by": ("pvalue_adj", "null_rejected"),
    "tt-holm-bonf": ("pvalue_adj", "null_rejected"),
    "sp-gst-5looks": ("z_bounds",),
    "sp-gst-uneven": ("z_bounds",),
    "sp-gst-onesided": ("z_bounds",),
    "gb-srm-0": ("p_value",),
    "gb-srm-1": ("p_value",),
    "sp-srm": ("p_value",),
    "sv-ssrm-0": ("p_value", "bayes_factor"),
    "sv-ssrm-2": ("p_value", "bayes_factor"),
    "cs-normal-mixture-1s": ("bound", "log_mixture"),
}


@pytest.mark.parametrize("name", SAME)
def test_same_convention(name):
    """Where the conventions are ours the peer's number is ours, to its tolerance."""
    case = PEERS[name]
    got = ours(case)
    for field in SAME[name]:
        assert got[field] == pytest.approx(case["expected"][field], rel=case["tolerance"]), field


def test_ratio_levels_and_variances_of_gbstats():
    """The arms' ratios and their variances per visitor are those of gbstats as well."""
    case = PEERS["gb-ratio-abs"]
    for arm in ("control", "treatment"):
        estimate, se = ratio_of(moments(case["inputs"][arm]), "y", "x")
        assert estimate == pytest.approx(case["expected"][f"{arm}_ratio"], rel=1e-12)
        n = case["inputs"][arm]["n"]
        assert se**2 * n == pytest.approx(case["expected"][f"{arm}_var_per_unit"], rel=1e-12)


def test_every_peer_case_is_treated():
    """Each copied case is either reproduced or has its difference stated."""
    assert set(SAME) | set(OTHER) == set(PEERS)
    assert not set(SAME) & set(OTHER)
