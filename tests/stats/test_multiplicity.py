"""Several arms, many metrics: what is promised for all of them together."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from offerlift.errors import InputError
from offerlift.stats import (
    adjust_p_values,
    adjusted_alpha,
    dunnett_critical,
    dunnett_p_values,
    e_bh,
    intersection_union,
)
from scipy.special import ndtr
from scipy.stats import dunnett
from statsmodels.stats.multitest import multipletests

RUNS = 20_000


def close(hits, expected, runs=RUNS):
    return abs(hits / runs - expected) < 3.5 * math.sqrt(expected * (1 - expected) / runs)


def statistics(rng, variances, control_variance, df=math.inf, effects=0.0):
    """z- or t-values of RUNS experiments of several treatments against one control."""
    v = np.asarray(variances)
    treatments = rng.standard_normal((RUNS, len(v))) * np.sqrt(v) + effects
    control = rng.standard_normal((RUNS, 1)) * math.sqrt(control_variance)
    scale = 1.0 if math.isinf(df) else np.sqrt(rng.chisquare(df, (RUNS, 1)) / df)
    return (treatments - control) / np.sqrt(v + control_variance) / scale


@pytest.mark.parametrize(
    ("variances", "control_variance", "df"),
    [
        ([1.0] * 5, 1.0, math.inf),
        ([1.0, 2.0, 0.5, 4.0, 1.0], 0.3, math.inf),
        ([1.0] * 5, 1.0, 12.0),
        ([3.0, 1.0, 1.0, 0.2, 1.0], 2.0, 7.0),
    ],
)
@pytest.mark.parametrize("sides", [1, 2])
def test_familywise_error_and_coverage_at_five_arms(variances, control_variance, df, sides):
    """Five arms without effect: any crosses Dunnett's value in 5 %; with effects all intervals cover in 95 %."""
    rng = np.random.default_rng(50)
    critical = dunnett_critical(variances, control_variance, df=df, sides=sides)
    t = statistics(rng, variances, control_variance, df)
    size = np.abs(t) if sides == 2 else t
    # All intervals t ± c cover their effect exactly where no statistic without its effect crosses c.
    assert close((size.max(axis=1) > critical).sum(), 0.05)


def test_multi_arm_largest_gap_is_not_a_test():
    """Trap: the pair with the largest gap among six equal arms is "significant" at 1.96 in 37 %; Dunnett's is 5 %.

    Even against the control alone the most extreme of five arms crosses 1.96 in 17 %.
    """
    rng = np.random.default_rng(6)
    arms = rng.standard_normal((RUNS, 6))
    largest_gap = (arms.max(axis=1) - arms.min(axis=1)) / math.sqrt(2)
    assert 0.34 < (largest_gap > 1.96).mean() < 0.40
    against_control = np.abs(arms[:, 1:] - arms[:, :1]) / math.sqrt(2)
    assert 0.15 < (against_control.max(axis=1) > 1.96).mean() < 0.19
    assert close((against_control.max(axis=1) > dunnett_critical([1.0] * 5, 1.0)).sum(), 0.05)


@pytest.mark.parametrize("step_down", [False, True])
@pytest.mark.parametrize("effects", [0.0, np.array([0.0, 0.0, 0.0, 4.0, 9.0])])
def test_adjusted_p_values_keep_the_familywise_error(step_down, effects):
    """No true null is rejected in 95 % of experiments, with no effect anywhere or with two arms that have one."""
    rng = np.random.default_rng(9)
    v, null = [1.0, 0.5, 2.0, 1.0, 1.0], np.broadcast_to(effects, 5) == 0
    t = statistics(rng, v, 1.0, effects=effects)[:3000]
    false = sum(
        min(p for p, is_null in zip(dunnett_p_values(row, v, 1.0, step_down=step_down), null, strict=True) if is_null)
        < 0.05
        for row in t
    )
    assert false / 3000 < 0.05 + 3.5 * math.sqrt(0.05 * 0.95 / 3000)
    if step_down or null.all():
        # Not merely kept but used.
        assert false / 3000 > 0.03


def test_single_step_agrees_with_the_critical_value():
    """A single-step p-value is below alpha exactly where the statistic exceeds Dunnett's critical value."""
    v = [1.0, 0.5, 2.0]
    for df in (6.0, math.inf):
        for sides in (1, 2):
            for alpha in (0.05, 1e-4, 1e-8):
                critical = dunnett_critical(v, 0.7, alpha=alpha, df=df, sides=sides)
                got = dunnett_p_values([critical, 0.0, 1.0], v, 0.7, df=df, sides=sides, step_down=False)
                assert got[0] == pytest.approx(alpha, rel=1e-9)


def test_step_down_is_single_step_for_the_largest_and_plain_for_the_last():
    """The most extreme arm is judged among all, the least alone; p-values rise in that order."""
    v, t = [1.0, 0.5, 2.0], [-1.2, 3.1, 2.4]
    single, step = (dunnett_p_values(t, v, 1.0, step_down=down) for down in (False, True))
    assert step[1] == single[1]
    assert step[2] < single[2]
    assert step[0] == pytest.approx(2 * ndtr(-1.2), rel=1e-9)
    assert step[1] < step[2] < step[0]
    tied = dunnett_p_values([2.4, 2.4, 2.4], [1.0] * 3, 1.0)
    assert tied[0] == tied[1] == tied[2]


def test_dunnett_p_values_are_scipys():
    """With a pooled variance they are those of scipy.stats.dunnett, which integrates by random numbers (5e-4 here)."""
    rng = np.random.default_rng(2)
    control, *samples = (rng.normal(shift, 1, n) for shift, n in ((0, 12), (0.4, 10), (1.3, 15), (-0.6, 8)))
    df = sum(len(x) - 1 for x in (control, *samples))
    pooled = sum(((x - x.mean()) ** 2).sum() for x in (control, *samples)) / df
    t = [(x.mean() - control.mean()) / math.sqrt(pooled * (1 / len(x) + 1 / len(control))) for x in samples]
    theirs = dunnett(*samples, control=control, random_state=4)
    assert t == pytest.approx(theirs.statistic.tolist(), rel=1e-12)
    v = [pooled / len(x) for x in samples]
    ours = dunnett_p_values(t, v, pooled / len(control), df=df, step_down=False)
    assert ours == pytest.approx(theirs.pvalue.tolist(), abs=5e-4)


def test_one_and_two_sided_dunnett():
    """Trap: two sides at alpha are about one side at alpha/2, never at alpha; one-sided p falls as t rises."""
    two, one, wrong = (
        dunnett_critical([1.0] * 3, 1.0, alpha=alpha, sides=sides)
        for alpha, sides in ((0.05, 2), (0.025, 1), (0.05, 1))
    )
    assert two == pytest.approx(one, abs=0.006)
    assert wrong < two - 0.25
    assert dunnett_p_values([-3.0, 3.0], [1.0] * 2, 1.0, sides=1)[0] > 0.99
    assert dunnett_p_values([-3.0, 3.0], [1.0] * 2, 1.0, sides=2)[0] < 0.01


def test_adjusted_alpha_at_small_levels():
    """The level for each arm lies between alpha/k and alpha down to 1e-6, one arm has alpha itself."""
    for alpha in (0.05, 0.01, 1e-6):
        level = adjusted_alpha([1.0] * 5, 1.0, alpha=alpha)
        assert alpha / 5 < level < alpha
        assert adjusted_alpha([1.0], 2.0, alpha=alpha) == pytest.approx(alpha, rel=1e-9)


@given(
    st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.01, 0.05, 1.0]), min_size=1, max_size=12),
    st.sampled_from(
        [
            ("bonferroni", "bonferroni"),
            ("holm", "holm"),
            ("hochberg", "simes-hochberg"),
            ("hommel", "hommel"),
            ("bh", "fdr_bh"),
            ("by", "fdr_by"),
        ]
    ),
)
def test_adjusted_p_values_are_statsmodels(p, names):
    """All six methods agree with statsmodels, ties and any order included."""
    ours, theirs = names
    assert adjust_p_values(p, ours) == pytest.approx(multipletests(p, method=theirs)[1].tolist(), rel=1e-9, abs=1e-12)


def test_which_method_finds_more():
    """On any p-values Hommel <= Hochberg <= Holm <= Bonferroni, and BH <= Hommel."""
    rng = np.random.default_rng(4)
    for _ in range(50):
        p = rng.beta(0.4, 1, 8)
        bonferroni, holm, hochberg, hommel, bh = (
            np.array(adjust_p_values(p, method)) for method in ("bonferroni", "holm", "hochberg", "hommel", "bh")
        )
        for less, more in ((bh, hommel), (hommel, hochberg), (hochberg, holm), (holm, bonferroni)):
            assert (less <= more + 1e-15).all()


def test_empty_families():
    """Nothing adjusted is nothing; no hypotheses, no rejections."""
    assert adjust_p_values([], "hommel") == ()
    assert e_bh([]) == ()


def test_e_bh_threshold():
    """Of four at alpha = .1 the first needs 40, two together 20 each, and the order given does not matter."""
    assert e_bh([0, 39.9, 0, 0], 0.1) == (False,) * 4
    assert e_bh([0, 40.1, 0, 0], 0.1) == (False, True, False, False)
    assert e_bh([0, 20.1, 1, 20.1], 0.1) == (False, True, False, True)


def test_e_bh_keeps_false_discoveries_under_dependence():
    """With e-values exp(z λ - λ²/2) that share a cause, false discoveries are at most alpha of all on average."""
    rng = np.random.default_rng(21)
    shared, own = rng.standard_normal((2000, 1)), rng.standard_normal((2000, 8))
    z = math.sqrt(0.7) * shared + math.sqrt(0.3) * own + np.array([3.0] * 3 + [0.0] * 5)
    e = np.exp(z * 3 - 4.5)
    proportion = found = 0.0
    for row in e:
        rejected = np.array(e_bh(row, 0.1))
        proportion += rejected[3:].sum() / max(rejected.sum(), 1)
        found += rejected[:3].sum()
    assert proportion / 2000 < 0.1
    assert found / 6000 > 0.25


def test_guardrails_are_not_corrected():
    """Trap: guardrails must all pass; p = .02 passes beside any others, where Benjamini-Hochberg would withdraw it.

    The verdict is that of the worst, and one failure outweighs the rest.
    """
    p = [0.02, 0.024, 0.03, 0.4]
    each = ["passed" if value < 0.025 else "inconclusive" for value in p]
    assert [value < 0.025 for value in adjust_p_values(p, "bh")] != [result == "passed" for result in each]
    assert intersection_union(each) == "inconclusive"
    assert intersection_union(each[:2]) == "passed"
    assert intersection_union(["passed", "failed", "inconclusive"]) == "failed"
    assert intersection_union([]) == "passed"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: adjust_p_values([0.1, 1.2], "holm"), "numbers from 0 to 1"),
        (lambda: adjust_p_values([math.nan], "bh"), "numbers from 0 to 1"),
        (lambda: adjust_p_values([0.1], "fdr"), "it is one of bonferroni"),
        (lambda: e_bh([-1.0]), "at least 0"),
        (lambda: e_bh([1.0], 1.0), "between 0 and 1"),
        (lambda: dunnett_p_values([1.0], [1.0, 1.0], 1.0), "one number for each"),
        (lambda: dunnett_p_values([math.nan], [1.0], 1.0), "one number for each"),
        (lambda: dunnett_p_values([1.0], [-1.0], 1.0), "at least 0"),
    ],
)
def test_refused(call, words):
    """Impossible arguments are refused with the value seen and what is allowed."""
    with pytest.raises(InputError, match=words):
        call()
