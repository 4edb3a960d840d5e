"""Visitors in clusters: against statsmodels on raw rows, identities, coverage."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false, reportCallIssue=false

import math

import numpy as np
import pytest
import statsmodels.api as sm
from offerlift.errors import InputError
from offerlift.stats import Moments, compare_clusters, compare_means
from scipy.linalg import fractional_matrix_power


def rows(rng, agents, *, nested, largest=40):
    """Raw rows: value, arm, agent."""
    agent = np.repeat(np.arange(agents), rng.integers(2, largest, agents))
    arm = (agent % 2 if nested else rng.integers(0, 2, len(agent))).astype(float)
    y = 5 + 0.4 * arm + rng.normal(0, 1, agents)[agent] + rng.gamma(2, 1, len(agent))
    return y, arm, agent


def arm_of(y, arm, agent, which):
    chosen = arm == which
    return {int(g): Moments.from_arrays({"y": y[chosen & (agent == g)]}) for g in np.unique(agent[chosen])}


@pytest.mark.parametrize("nested", [True, False])
def test_cr1_as_statsmodels(nested):
    """CR1 has the difference, standard error, p-value and interval of OLS with cov_type="cluster"."""
    y, arm, agent = rows(np.random.default_rng(1), 17, nested=nested)
    found = compare_clusters(arm_of(y, arm, agent, 1), arm_of(y, arm, agent, 0), "y", variance="cr1").difference
    fit = sm.OLS(y, sm.add_constant(arm)).fit(cov_type="cluster", cov_kwds={"groups": agent}, use_t=True)
    expected = [fit.params[1], fit.bse[1], fit.pvalues[1], *fit.conf_int()[1]]
    assert [found.estimate, found.se, found.p_value, found.low, found.high] == pytest.approx(expected, rel=1e-9)
    assert found.df == 16


@pytest.mark.parametrize("nested", [True, False])
def test_cr2_by_its_matrices(nested):
    """CR2 and Bell and McCaffrey's df from the whole projection matrices, (I - H_gg)^(-1/2) and all."""
    y, arm, agent = rows(np.random.default_rng(2), 8, nested=nested, largest=12)
    order = np.argsort(agent, kind="stable")
    y, arm, agent = y[order], arm[order], agent[order]
    x = sm.add_constant(arm)
    bread = np.linalg.inv(x.T @ x)
    hat = x @ bread @ x.T
    residual = y - hat @ y
    effect = bread[1]
    taken, score = [], []
    rest = np.eye(len(y)) - hat
    for g in np.unique(agent):
        at = np.flatnonzero(agent == g)
        half = np.real(fractional_matrix_power(np.eye(len(at)) - hat[np.ix_(at, at)], -0.5))
        weight = half @ x[at] @ effect
        score.append(weight @ residual[at])
        taken.append(rest[:, at] @ weight)
    gamma = np.array(taken) @ np.array(taken).T
    found = compare_clusters(arm_of(y, arm, agent, 1), arm_of(y, arm, agent, 0), "y").difference
    assert found.se == pytest.approx(math.sqrt(np.square(score).sum()), rel=1e-8)
    assert found.df == pytest.approx(np.trace(gamma) ** 2 / np.square(gamma).sum(), rel=1e-8)


def test_clusters_of_one_visitor_are_welch():
    """Where every visitor is a cluster, CR2 is the Welch test's variance."""
    rng = np.random.default_rng(3)
    t, c = rng.normal(0, 1, 30), rng.normal(0, 3, 12)
    found = compare_clusters(
        {f"t{k}": (1, x) for k, x in enumerate(t)}, {f"c{k}": (1, x) for k, x in enumerate(c)}
    ).difference
    welch = compare_means(*(Moments.from_arrays({"y": arm}) for arm in (t, c)), "y").difference
    assert [found.estimate, found.se] == pytest.approx([welch.estimate, welch.se], rel=1e-12)


def test_arms_swapped_and_money_scaled():
    """The arms the other way round negate the difference; another unit scales it; the lift at no change agrees."""
    y, arm, agent = rows(np.random.default_rng(4), 12, nested=False)
    t, c = arm_of(y, arm, agent, 1), arm_of(y, arm, agent, 0)
    found, back = compare_clusters(t, c, "y"), compare_clusters(c, t, "y")
    cents = compare_clusters(arm_of(100 * y, arm, agent, 1), arm_of(100 * y, arm, agent, 0), "y")
    assert back.difference.estimate == pytest.approx(-found.difference.estimate, rel=1e-12)
    assert [back.difference.se, back.difference.df] == pytest.approx([found.difference.se, found.difference.df])
    assert [cents.difference.estimate, cents.difference.se] == pytest.approx(
        [100 * found.difference.estimate, 100 * found.difference.se], rel=1e-9
    )
    assert cents.lift.low == pytest.approx(found.lift.low, rel=1e-9)
    for alpha in (0.5, 0.05, found.difference.p_value * 1.001, found.difference.p_value * 0.999):
        one = compare_clusters(t, c, "y", alpha=alpha)
        assert (
            one.lift.excludes_zero()
            == (one.difference.p_value < alpha)
            == (not one.difference.low <= 0 <= one.difference.high)
        )


def test_shared_clusters_cancel():
    """Agents in both arms cost nothing of their own level; the same sums under other names do."""
    rng = np.random.default_rng(5)
    level = rng.normal(0, 5, 20)
    t = {k: Moments.from_arrays({"y": level[k] + rng.normal(0, 1, 40)}) for k in range(20)}
    c = {k: Moments.from_arrays({"y": level[k] + rng.normal(0, 1, 40)}) for k in range(20)}
    shared, apart = compare_clusters(t, c, "y"), compare_clusters(t, {f"c{k}": one for k, one in c.items()}, "y")
    assert (shared.shared, apart.shared, apart.clusters) == (20, 0, 40)
    assert shared.design_effect < 0.3
    assert apart.design_effect > 10
    assert shared.difference.se < apart.difference.se / 5


def test_ratio_by_clusters():
    """With `per`, a ratio's residuals: visitors' counts as the denominator give the mean per visitor."""
    y, arm, agent = rows(np.random.default_rng(6), 12, nested=False)
    arms = [
        {
            g: Moments.from_arrays({"y": y[(arm == a) & (agent == g)], "one": np.ones(one.n)})
            for g, one in arm_of(y, arm, agent, a).items()
        }
        for a in (1, 0)
    ]
    mean, ratio = compare_clusters(*arms, "y"), compare_clusters(*arms, "y", per="one")
    assert ratio.difference.se == pytest.approx(mean.difference.se, rel=1e-12)
    assert ratio.difference.df == pytest.approx(mean.difference.df, rel=1e-12)
    assert ratio.design_effect == pytest.approx(mean.design_effect, rel=1e-9)


def test_pairs_and_moments_agree():
    """A cluster's number of visitors and sum are enough; how visitors vary within it is needed only for comparison."""
    y, arm, agent = rows(np.random.default_rng(7), 12, nested=False)
    t, c = arm_of(y, arm, agent, 1), arm_of(y, arm, agent, 0)
    pairs = [{g: (one.n, one.sum_of("y")) for g, one in clusters.items()} for clusters in (t, c)]
    full, sums = compare_clusters(t, c, "y"), compare_clusters(*pairs)
    assert sums.difference.se == pytest.approx(full.difference.se, rel=1e-12)
    assert sums.design_effect is None
    assert full.design_effect > 0


@pytest.mark.parametrize(
    ("t", "c", "status", "words"),
    [
        ({}, {}, "insufficient", "0 cluster"),
        ({"a": (5, 1.0)}, {"a": (5, 2.0), "b": (4, 1.0)}, "insufficient", "1 cluster"),
        ({"a": (5, 1.0), "b": (0, 0.0)}, {"a": (5, 2.0), "b": (4, 1.0)}, "insufficient", "1 cluster"),
        ({"a": (5, 5.0), "b": (4, 4.0)}, {"a": (5, 10.0), "b": (4, 8.0)}, "insufficient", "do not vary"),
        ({"a": (5, 1.0), "b": (5, 4.0)}, {k: (50, 5.0 * k) for k in range(20)}, "insufficient", "degrees of freedom"),
    ],
)
def test_too_few_clusters(t, c, status, words):
    """Too little to know the variance by is a status with its reason."""
    found = compare_clusters(t, c)
    assert (found.status, found.difference) == (status, None)
    assert words in found.reason
    assert found.lift.kind == "undefined"


def test_no_denominator():
    """A ratio whose denominator sums to nothing is undefined."""
    t = {k: Moments.from_arrays({"y": [1.0, 2.0], "x": [0.0, 0.0]}) for k in "ab"}
    assert compare_clusters(t, t, "y", per="x").status == "undefined"


def test_few_clusters_are_said():
    """Below eight degrees of freedom there is a warning; from there on none."""
    y, arm, agent = rows(np.random.default_rng(8), 6, nested=True)
    assert "few clusters" in compare_clusters(arm_of(y, arm, agent, 1), arm_of(y, arm, agent, 0), "y").warning
    y, arm, agent = rows(np.random.default_rng(8), 40, nested=True)
    assert compare_clusters(arm_of(y, arm, agent, 1), arm_of(y, arm, agent, 0), "y").warning == ""


@pytest.mark.parametrize(
    ("t", "options", "words"),
    [
        ({"a": Moments.from_arrays({"y": [1, 2]})}, {}, "column of the metric"),
        ({"a": (5, 1.0)}, {"column": "y"}, "where moments are given"),
        ({"a": (-5, 1.0)}, {}, "number of visitors"),
        ({"a": (2.5, 1.0)}, {}, "number of visitors"),
        ({"a": (5, math.nan)}, {}, "number of visitors"),
        ({"a": (5, 1.0)}, {"variance": "hc3"}, "cr2 or cr1"),
        ({"a": (5, 1.0)}, {"alpha": 0}, "alpha"),
    ],
)
def test_impossible_clusters(t, options, words):
    """What cannot be used is refused."""
    with pytest.raises(InputError, match=words):
        compare_clusters(t, t, **options)


@pytest.mark.parametrize(("nested", "expected"), [(True, 0.95), (False, 0.95)])
def test_coverage_with_ten_agents(nested, expected):
    """2,000 experiments with ten agents of one size and an intraclass correlation of .3; ignoring agents does not."""
    rng = np.random.default_rng(9)
    runs, size = 2_000, 30
    covered = ignored = 0
    for _ in range(runs):
        level = rng.normal(0, 0.65, 10)
        sums = {}
        for a in (0, 1):
            own = level + (rng.normal(0, 0.4, 10) if not nested else 0)
            sums[a] = {
                k: (size, size * own[k] + math.sqrt(size) * rng.normal()) for k in range(10) if not nested or k % 2 == a
            }
        found = compare_clusters(sums[1], sums[0]).difference
        covered += found.low <= 0 <= found.high
        ignored += abs(found.estimate) <= 1.96 * math.sqrt(1.42 * 2 / (size * len(sums[0])))
    assert covered / runs == pytest.approx(expected, abs=3.5 * math.sqrt(0.05 * 0.95 / runs))
    assert ignored / runs < 0.8
