"""Shrinkage and the winner's curse."""

# Stubs of statsmodels are incomplete.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportOptionalOperand=false

import math

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.stats import (
    between_variance,
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
    assert np.mean(past) < found.shrunk < 0.08


def test_much_experience_is_the_blup_of_its_variance():
    """With 3,000 past experiments μ and τ² are known, and the posterior is (τ² y + v μ)/(τ² + v)."""
    rng = np.random.default_rng(22)
    past = rng.normal(0.01, 0.02, 3000) + rng.normal(0, 0.01, 3000)
    found = shrink_by_experience(0.08, 0.0009, past, [0.0001] * 3000, 0.05)
    tau2 = between_variance(past, [0.0001] * 3000)
    assert found.shrunk == pytest.approx((tau2 * 0.08 + 0.0009 * np.mean(past)) / (tau2 + 0.0009), rel=0.003)
    assert found.shrunk_se == pytest.approx(math.sqrt(tau2 * 0.0009 / (tau2 + 0.0009)), rel=0.003)
    assert found.prior_variance == pytest.approx(tau2, rel=0.003)


def test_a_past_without_differences_makes_nothing_certain():
    """Where τ² is estimated as 0 the new effect is not the mean of the past for certain: its error is above 0."""
    past = [0.01, 0.012, 0.008, 0.011, 0.009, 0.01, 0.012, 0.008, 0.011, 0.009]
    assert between_variance(past, [0.0004] * 10) == 0
    found = shrink_by_experience(0.08, 0.0004, past, [0.0004] * 10, 0.05)
    assert found.shrunk_se > 0.005
    assert 0.01 < found.shrunk < 0.08
    alone, *_ = shrink(past, [0.0004] * 10)
    # They are all their mean, which is known with the error of ten.
    assert alone.shrunk_se == pytest.approx(math.sqrt(0.0004 / 10))


@pytest.mark.parametrize("tau", [0.0, 0.01, 0.03])
def test_a_new_effect_beside_ten_past_ones_is_covered(tau):
    """Over 2,000 programmes the shrunk effect's 95 % interval holds the new truth at least that often, at any τ."""
    rng, covered, runs = np.random.default_rng(23), 0, 2_000
    for _ in range(runs):
        past = rng.normal(0.005, tau, 10) + rng.normal(0, 0.02, 10)
        truth = rng.normal(0.005, tau)
        found = shrink_by_experience(truth + rng.normal(0, 0.02), 0.0004, past, [0.0004] * 10, 0.05)
        covered += abs(found.shrunk - truth) < 1.96 * found.shrunk_se
    assert covered / runs > 0.95 - 3.5 * math.sqrt(0.95 * 0.05 / runs)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_the_unit_of_effects_does_not_matter(factor):
    """In per cent or in millions, everything scales."""
    past = [0.02, -0.01, 0.03, 0.0, 0.01, 0.05, -0.02, 0.0, 0.02, 0.06]
    one = shrink_by_experience(0.08, 0.0009, past, [0.0001] * 10, 0.05)
    scaled = np.array(past) * factor
    two = shrink_by_experience(0.08 * factor, 0.0009 * factor**2, scaled, [0.0001 * factor**2] * 10, 0.05 * factor)
    assert (two.shrunk, two.shrunk_se) == pytest.approx((one.shrunk * factor, one.shrunk_se * factor))


def test_effects_that_do_not_differ_are_all_their_mean():
    """Where standard errors explain the differences τ² is 0 and every effect is the mean."""
    found = shrink([0.01, 0.012, 0.008, 0.011], [0.01] * 4)
    assert {round(one.shrunk, 12) for one in found} == {round(np.mean([0.01, 0.012, 0.008, 0.011]), 12)}


@pytest.mark.parametrize(
    ("refused", "seen"),
    [
        (lambda: between_variance([0.1], [0.1]), "1 effects"),
        (lambda: between_variance([0.1, 0.2], [0.1]), "shape (1,)"),
        (lambda: between_variance([0.1, math.nan], [0.1, 0.1]), "nan"),
        (lambda: between_variance([0.1, 0.2], [0.1, 0.0]), "[0.1, 0.0]"),
        (lambda: between_variance([0.1, 0.2], [0.1, 0.1], method="reml"), "'reml'"),
        (lambda: sceptical_prior(0.0), "0.0"),
    ],
)
def test_refused(refused, seen):
    """What cannot be shrunk is refused, with the value seen."""
    with pytest.raises(InputError) as error:
        refused()
    assert seen in str(error.value)


def test_equal_estimates_have_the_error_of_their_mean():
    """Where nothing but chance separates them, all are the common mean with its standard error, not with none."""
    found = shrink_together([1.0, 1.1, 0.9, 1.0], [0.04] * 4) or []
    assert [one.shrunk for one in found] == pytest.approx([1.0] * 4)
    assert [one.shrunk_se for one in found] == pytest.approx([0.1] * 4)
    far = shrink_together([0.0, 100.0, -100.0, 50.0], [0.04] * 4) or []
    assert [one.shrunk_se for one in far] == pytest.approx([0.2] * 4, rel=1e-4)
    assert shrink_together([1.0, 2.0], [0.1, 0.1]) is None
