"""Shrinkage and the winner's curse."""

# Stubs of statsmodels are incomplete.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportOptionalOperand=false

import math

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.stats import (
    between_variance,
    programme_total,
    sceptical_prior,
    shrink,
    shrink_arms,
    shrink_by_experience,
    shrink_together,
)

# Tuberculosis, cases and non-cases among the vaccinated and the others (Colditz et al. 1994, JAMA 271:698).
BCG = np.array(
    [
        (4, 119, 11, 128),
        (6, 300, 29, 274),
        (3, 228, 11, 209),
        (62, 13536, 248, 12619),
        (33, 5036, 47, 5761),
        (180, 1361, 372, 1079),
        (8, 2537, 10, 619),
        (505, 87886, 499, 87892),
        (29, 7470, 45, 7232),
        (17, 1699, 65, 1600),
        (186, 50448, 141, 27197),
        (5, 2493, 3, 2338),
        (27, 16886, 29, 17825),
    ],
    dtype=float,
)
A, B, C, D = BCG.T
LOG_RISK_RATIO = np.log(A / (A + B)) - np.log(C / (C + D))
VARIANCE = 1 / A - 1 / (A + B) + 1 / C - 1 / (C + D)


def test_between_variance_as_metafor():
    """τ² of the BCG trials: .318094 by Paule and Mandel, .3088 by DerSimonian and Laird, as R metafor prints them."""
    assert between_variance(LOG_RISK_RATIO, VARIANCE) == pytest.approx(0.318093711863, abs=1e-4)
    assert between_variance(LOG_RISK_RATIO, VARIANCE, method="dersimonian-laird") == pytest.approx(0.3088, abs=5e-5)


def test_blup_as_metafor():
    """The shrunk effects are those of R metafor's blup(rma(method="DL"))."""
    expected = [
        *(-0.79939097318587, -1.24857356869349, -0.98442901326414, -1.39727718735984, -0.28819042950961),
        *(-0.78454052415113, -1.24061173320939, 0.00275444027673, -0.50723154853818, -1.2456355655797),
        *(-0.35384195409228, -0.28836447090031, -0.14819135874476),
    ]
    found = shrink(LOG_RISK_RATIO, VARIANCE, method="dersimonian-laird")
    assert [one.shrunk for one in found] == pytest.approx(expected, abs=1e-7)
    assert [one.raw for one in found] == LOG_RISK_RATIO.tolist()


@pytest.mark.parametrize("k", [2, 5, 40])
def test_between_variance_as_statsmodels(k):
    """Both estimates of τ² are those of statsmodels' combine_effects, where it is 0 as well."""
    from statsmodels.stats.meta_analysis import combine_effects

    rng, zeros = np.random.default_rng(k), 0
    for _ in range(60):
        variances = rng.uniform(0.2, 3.0, size=k)
        effects = rng.normal(0.3, np.sqrt(variances + rng.choice([0.0, 1.0])))
        with np.errstate(invalid="ignore"):
            # They leave a negative τ² as it is.
            one_step = max(combine_effects(effects, variances, method_re="chi2").tau2, 0.0)
        # Their iteration ends once the equation holds within 1e-5; asked for more it may answer 0.
        iterated = combine_effects(effects, variances, method_re="iterated").tau2
        assert between_variance(effects, variances, method="dersimonian-laird") == pytest.approx(one_step, abs=1e-12)
        assert between_variance(effects, variances) == pytest.approx(iterated, abs=5e-5)
        zeros += iterated == 0
    assert 0 < zeros < 60


def test_few_arms_are_drawn_towards_nothing():
    """Three arms use the sceptical prior N(0, (MDE/1.96)²); four tell themselves how far effects lie apart."""
    three = shrink_arms([0.04, 0.0, 0.02], [0.0004] * 3, 0.05)
    assert {one.prior for one in three} == {"sceptical"}
    keep = sceptical_prior(0.05) / (sceptical_prior(0.05) + 0.0004)
    assert three[0].shrunk == pytest.approx(0.04 * keep)
    assert three[0].shrunk_se == pytest.approx(math.sqrt(keep * 0.0004))
    four = shrink_arms([0.09, 0.0, 0.02, -0.03], [0.0004] * 4, 0.05)
    assert {one.prior for one in four} == {"effects"}


def test_few_past_experiments_are_no_experience():
    """Nine past experiments leave the sceptical prior, ten are the prior."""
    past = [0.02, -0.01, 0.03, 0.0, 0.01, 0.05, -0.02, 0.0, 0.02, 0.06]
    assert shrink_by_experience(0.08, 0.0009, past[:9], [0.0001] * 9, 0.05).prior == "sceptical"
    found = shrink_by_experience(0.08, 0.0009, past, [0.0001] * 10, 0.05)
    assert found.prior == "experience"
    tau2 = between_variance(past, [0.0001] * 10)
    assert found.shrunk == pytest.approx((tau2 * 0.08 + 0.0009 * np.mean(past)) / (tau2 + 0.0009))


def test_effects_that_do_not_differ_are_all_their_mean():
    """Where standard errors explain the differences τ² is 0 and every effect is the mean."""
    found = shrink([0.01, 0.012, 0.008, 0.011], [0.01] * 4)
    assert {round(one.shrunk, 12) for one in found} == {round(np.mean([0.01, 0.012, 0.008, 0.011]), 12)}


def test_a_programme_of_winners_is_worth_what_the_shrunk_total_says():
    """Over 400 programmes of 40 offers the raw total of those shipped is a quarter too large, the shrunk one is right.

    True lifts N(1 %, 2 %), standard error 2 %; shipped where z exceeds 1.96.
    """
    rng = np.random.default_rng(21)
    sums = np.zeros(4)
    for _ in range(400):
        truth = rng.normal(0.01, 0.02, size=40)
        seen = truth + rng.normal(0, 0.02, size=40)
        shipped = seen / 0.02 > 1.96
        total = programme_total(shrink(seen, [0.0004] * 40), shipped.tolist(), thresholds=1.96)
        sums += truth[shipped].sum(), total.raw, total.shrunk, total.corrected or 0.0
    true, raw, shrunk, corrected = sums
    assert raw / true > 1.25
    assert shrunk / true == pytest.approx(1, abs=0.03)
    # Lee and Shen plug the noisy estimates into the bias, which takes off only part of it.
    assert raw > corrected
    assert abs(corrected / true - 1) < abs(raw / true - 1)


def test_the_correction_is_that_of_lee_and_shen():
    """Raw total less Σ σ φ(b - y/σ) over all experiments; None without thresholds."""
    past = shrink([0.05, 0.01], [0.0001, 0.0004])
    total = programme_total(past, [True, False], thresholds=[1.96, 1.64])
    bias = sum(
        se * math.exp(-((b - y / se) ** 2) / 2) / math.sqrt(2 * math.pi)
        for y, se, b in ((0.05, 0.01, 1.96), (0.01, 0.02, 1.64))
    )
    assert total.corrected == pytest.approx(0.05 - bias)
    assert (total.raw, total.shipped) == (0.05, 1)
    assert programme_total(past, [True, False]).corrected is None


@pytest.mark.parametrize(
    ("refused", "seen"),
    [
        (lambda: between_variance([0.1], [0.1]), "1 effects"),
        (lambda: between_variance([0.1, 0.2], [0.1]), "shape (1,)"),
        (lambda: between_variance([0.1, math.nan], [0.1, 0.1]), "nan"),
        (lambda: between_variance([0.1, 0.2], [0.1, 0.0]), "[0.1, 0.0]"),
        (lambda: between_variance([0.1, 0.2], [0.1, 0.1], method="reml"), "'reml'"),
        (lambda: sceptical_prior(0.0), "0.0"),
        (lambda: programme_total(shrink([0.1, 0.2], [0.1, 0.1]), [True]), "2 estimates, but 1"),
    ],
)
def test_refused(refused, seen):
    """What cannot be shrunk is refused, with the value seen."""
    with pytest.raises(InputError) as error:
        refused()
    assert seen in str(error.value)


def test_equal_estimates_have_the_error_of_their_mean():
    """Where nothing but chance separates them, all are the common mean with its standard error, not with none."""
    found = shrink_together([1.0, 1.1, 0.9, 1.0], [0.04] * 4)
    assert [one.shrunk for one in found] == pytest.approx([1.0] * 4)
    assert [one.shrunk_se for one in found] == pytest.approx([0.1] * 4)
    far = shrink_together([0.0, 100.0, -100.0, 50.0], [0.04] * 4)
    assert [one.shrunk_se for one in far] == pytest.approx([0.2] * 4, rel=1e-4)
    assert shrink_together([1.0, 2.0], [0.1, 0.1]) is None
