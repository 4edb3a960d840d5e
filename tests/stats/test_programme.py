"""The total of a programme of experiments."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offerlift.errors import InputError
from offerlift.stats import PastExperiment, programme_total, sceptical_prior, shrink_by_experience


def experiments(effects, se=0.02, limit=1.96, weights=None):
    errors = np.broadcast_to(se, np.shape(effects)).tolist()
    weights = weights or [1.0] * len(errors)
    return [
        PastExperiment(f"e{i}", y, s, y > limit * s, w)
        for i, (y, s, w) in enumerate(zip(np.asarray(effects).tolist(), errors, weights, strict=True))
    ]


def total(past, **options):
    return programme_total(past, smallest_effect=0.05, **options)


def test_below_ten_experiments_the_sceptical_prior():
    """Each shipped effect keeps τ²/(τ² + v) of itself, with its posterior variance; losers change nothing then."""
    past = [PastExperiment("a", 0.06, 0.02, True), PastExperiment("b", 0.05, 0.01, True)]
    found = total([*past, PastExperiment("c", -0.09, 0.02, False)])
    tau2 = sceptical_prior(0.05)
    keep = [tau2 / (tau2 + v) for v in (0.0004, 0.0001)]
    assert found.prior == "sceptical"
    assert found.total.estimate == pytest.approx(keep[0] * 0.06 + keep[1] * 0.05)
    assert found.total.se == pytest.approx(math.sqrt(keep[0] * 0.0004 + keep[1] * 0.0001))
    assert found.total.high == pytest.approx(found.total.estimate + 1.959964 * found.total.se, rel=1e-6)
    assert (found.raw, found.shipped, found.experiments) == (pytest.approx(0.11), 2, 3)


def test_from_ten_on_their_own_distribution_by_simulation():
    """Mean, error and quantiles of the sum are those of drawing τ, μ and every effect from their posterior."""
    rng = np.random.default_rng(101)
    effects = rng.normal(0.01, 0.03, 12)
    past = experiments(effects, se=rng.uniform(0.01, 0.03, 12))
    found = total(past)
    y, v = np.array([one.effect for one in past]), np.array([one.se**2 for one in past])
    # The density of τ on a fine grid, by the likelihood with μ integrated out, written as determinants.
    tau = np.linspace(0, 0.3, 6001)[1:]
    density = []
    for one in tau:
        spread = np.diag(v + one**2)
        inverse = np.linalg.inv(spread)
        ones = np.ones(12)
        of_mu = 1 / (ones @ inverse @ ones)
        mu = of_mu * (ones @ inverse @ y)
        left = y - mu
        density.append(-0.5 * np.linalg.slogdet(spread)[1] + 0.5 * math.log(of_mu) - 0.5 * left @ inverse @ left)
    weights = np.exp(np.array(density) - max(density))
    drawn = rng.choice(tau, 200_000, p=weights / weights.sum())
    precision = 1 / (v + drawn[:, None] ** 2)
    of_mu = 1 / precision.sum(axis=1)
    mu = rng.normal(of_mu * (precision @ y), np.sqrt(of_mu))
    keep = drawn[:, None] ** 2 / (drawn[:, None] ** 2 + v)
    truths = rng.normal(mu[:, None] + keep * (y - mu[:, None]), np.sqrt(keep * v))
    sums = truths[:, [one.shipped for one in past]].sum(axis=1)
    assert found.shipped >= 3
    assert found.total.estimate == pytest.approx(sums.mean(), abs=3.5 * sums.std() / math.sqrt(200_000))
    assert found.total.se == pytest.approx(sums.std(), rel=0.01)
    assert (found.total.low, found.total.high) == pytest.approx(
        tuple(np.quantile(sums, [0.025, 0.975])), abs=0.02 * sums.std()
    )
    for at, one in enumerate(past):
        assert found.effects[one.name].shrunk == pytest.approx(truths[:, at].mean(), abs=4 * truths[:, at].std() / 447)


def test_losers_pull_the_winners_down():
    """The same winners are worth less beside losers than beside other winners."""
    winners = [0.05, 0.06, 0.055, 0.05, 0.06]
    beside_losers = total(experiments([*winners, *[-0.02, 0.0, -0.01, 0.01, -0.03, 0.0]]))
    beside_winners = total(experiments([*winners, *[0.038, 0.036, 0.035, 0.037, 0.036, 0.038]]))
    assert beside_losers.total.estimate < beside_losers.raw
    ours = sum(beside_winners.effects[f"e{i}"].shrunk for i in range(5))
    assert beside_losers.total.estimate < ours


def test_a_store_of_winners_is_said():
    """All shipped: a sentence says that losers are missing; nothing shipped: the total is 0, and said so."""
    assert "losers" in total(experiments([0.05, 0.06])).note
    nothing = total(experiments([0.0, 0.01]))
    assert (nothing.total.estimate, nothing.total.se, nothing.raw, nothing.shipped) == (0, 0, 0, 0)
    assert nothing.note == "nothing was shipped"
    assert total(experiments([0.05, 0.01])).note == ""


def test_each_effect_is_that_of_experience():
    """One of eleven experiments is shrunk as a new one beside the ten others."""
    effects = [0.04, 0.01, -0.02, 0.03, 0.0, 0.02, 0.05, -0.01, 0.01, 0.0, 0.06]
    found = total(experiments(effects))
    alone = shrink_by_experience(0.06, 0.0004, effects[:10], [0.0004] * 10, 0.05)
    assert found.effects["e10"].shrunk == pytest.approx(alone.shrunk, rel=1e-9)
    assert found.effects["e10"].shrunk_se == pytest.approx(alone.shrunk_se, rel=1e-9)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=14),
    st.floats(0.001, 1000),
    st.floats(0.01, 100),
    st.randoms(use_true_random=False),
)
def test_order_unit_and_weight(effects, unit, weight, random):
    """Another order changes nothing; another unit, or weights k times as large, multiply the totals."""
    first = total(experiments(effects))
    shuffled = experiments(effects)
    random.shuffle(shuffled)
    for other, factor in (
        (total(shuffled), 1.0),
        (total(experiments(effects, weights=[weight] * len(effects))), weight),
        (programme_total(experiments(np.array(effects) * unit, 0.02 * unit), smallest_effect=0.05 * unit), unit),
    ):
        assert other.raw == pytest.approx(first.raw * factor, rel=1e-7, abs=1e-12 * factor)
        for name in ("estimate", "se", "low", "high"):
            expected = getattr(first.total, name) * factor
            assert getattr(other.total, name) == pytest.approx(expected, rel=1e-5, abs=1e-7 * factor)
    assert first.total.low <= first.total.estimate <= first.total.high


def test_the_correction_is_that_of_lee_and_shen():
    """Raw total less Σ w σ φ(b - y/σ) over all experiments; None without thresholds."""
    past = [PastExperiment("a", 0.05, 0.01, True, 2.0), PastExperiment("b", 0.01, 0.02, False, 3.0)]
    bias = sum(
        w * se * math.exp(-((b - y / se) ** 2) / 2) / math.sqrt(2 * math.pi)
        for y, se, b, w in ((0.05, 0.01, 1.96, 2.0), (0.01, 0.02, 1.64, 3.0))
    )
    assert total(past, thresholds=[1.96, 1.64]).corrected == pytest.approx(0.1 - bias)
    assert total(past).corrected is None


def test_a_programme_of_winners_is_worth_what_the_shrunk_total_says():
    """Over 1,000 programmes of 40 offers the raw total is a quarter too large, the shrunk one right, its interval too.

    True lifts N(1 %, 2 %), standard error 2 %; shipped where z exceeds 1.96.
    """
    rng, runs, covered = np.random.default_rng(102), 1_000, 0
    sums = np.zeros(4)
    for _ in range(runs):
        truth = rng.normal(0.01, 0.02, size=40)
        past = experiments(truth + rng.normal(0, 0.02, size=40))
        found = total(past, thresholds=1.96)
        true = truth[[one.shipped for one in past]].sum()
        covered += found.total.low <= true <= found.total.high
        sums += true, found.raw, found.total.estimate, found.corrected or 0.0
    true, raw, shrunk, corrected = sums
    assert raw / true > 1.25
    assert shrunk / true == pytest.approx(1, abs=0.03)
    # Lee and Shen plug the noisy estimates into the bias, which takes off only part of it.
    assert raw > corrected
    assert abs(corrected / true - 1) < abs(raw / true - 1)
    assert covered / runs == pytest.approx(0.95, abs=3.5 * math.sqrt(0.95 * 0.05 / runs))


def test_below_ten_the_interval_holds_where_the_prior_does():
    """Over 4,000 programmes of 5 offers whose effects are as the sceptical prior says, 95 % hold the true total."""
    rng, covered, some = np.random.default_rng(103), 0, 0
    for _ in range(4_000):
        truth = rng.normal(0, math.sqrt(sceptical_prior(0.05)), 5)
        past = experiments(truth + rng.normal(0, 0.02, 5))
        found = total(past)
        some += found.shipped > 0
        true = truth[[one.shipped for one in past]].sum()
        covered += found.shipped > 0 and found.total.low <= true <= found.total.high
    assert some > 1_000
    assert covered / some == pytest.approx(0.95, abs=3.5 * math.sqrt(0.95 * 0.05 / some))


@pytest.mark.parametrize(
    ("past", "options", "seen"),
    [
        ([], {}, "no experiments"),
        ([PastExperiment("a", 0.1, 0.1, True)] * 2, {}, "'a'"),
        ([PastExperiment("a", 0.1, 0.0, True)], {}, "0.0"),
        ([PastExperiment("a", math.nan, 0.1, True)], {}, "nan"),
        ([PastExperiment("a", 0.1, 0.1, True, math.inf)], {}, "inf"),
        ([PastExperiment("a", 0.1, 0.1, True)], {"alpha": 0}, "alpha is 0"),
        ([PastExperiment("a", 0.1, 0.1, True)], {"smallest_effect": 0.0}, "0.0"),
    ],
)
def test_refused(past, options, seen):
    """What is no programme is refused, with the value seen."""
    with pytest.raises(InputError, match=seen):
        programme_total(past, **({"smallest_effect": 0.05} | options))
