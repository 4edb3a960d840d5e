"""Visitors in clusters over phases: against whole projection matrices, identities, Simpson's paradox, coverage."""

# A None where a number belongs fails the test, as it should; stubs of scipy are incomplete.
# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportCallIssue=false

import math

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.stats import (
    Moments,
    compare_clusters,
    compare_clusters_over_strata,
    compare_means_over_strata,
    compare_ratios_over_strata,
)
from scipy.linalg import fractional_matrix_power


def rows(seed, agents=9, split=(0.15, 0.6)):
    """Raw rows of two phases with the same agents: value, arm, agent, phase."""
    rng = np.random.default_rng(seed)
    level = rng.normal(0, 1, agents)
    found = []
    for phase, treated in enumerate(split):
        agent = np.repeat(np.arange(agents), rng.integers(8, 25, agents))
        arm = (rng.random(len(agent)) < treated).astype(float)
        y = 5 + 3 * phase + 0.4 * arm + level[agent] + rng.gamma(2, 1, len(agent))
        found.append(np.column_stack([y, arm, agent, np.full(len(agent), phase)]))
    return np.concatenate(found)


def strata_of(data, which, extra=()):
    """An arm's clusters phase by phase."""
    strata = []
    for phase in np.unique(data[:, 3]):
        clusters = {}
        for agent in np.unique(data[:, 2]):
            y = data[(data[:, 1] == which) & (data[:, 2] == agent) & (data[:, 3] == phase), 0]
            if len(y):
                clusters[int(agent)] = Moments.from_arrays({"y": y, **{name: make(y) for name, make in extra}})
        strata.append(clusters)
    return strata


def merged(strata):
    return [Moments.merge(list(clusters.values())) for clusters in strata]


def test_cr2_by_its_matrices():
    """CR2 and its df from the regression on a cell for each arm of each phase, (I - H_gg)^(-1/2) and all."""
    data = rows(1)
    data = data[np.argsort(data[:, 2], kind="stable")]
    y, arm, agent, phase = data.T
    x = np.column_stack([(arm == a) & (phase == h) for h in (0, 1) for a in (1, 0)]).astype(float)
    weights = [np.mean(phase == h) for h in (0, 1)]
    contrast = np.array([weights[0], -weights[0], weights[1], -weights[1]])
    bread = np.linalg.inv(x.T @ x)
    hat = x @ bread @ x.T
    residual, rest = y - hat @ y, np.eye(len(y)) - hat
    score, taken = [], []
    for g in np.unique(agent):
        at = np.flatnonzero(agent == g)
        half = np.real(fractional_matrix_power(np.eye(len(at)) - hat[np.ix_(at, at)], -0.5))
        weight = half @ x[at] @ bread @ contrast
        score.append(weight @ residual[at])
        taken.append(rest[:, at] @ weight)
    gamma = np.array(taken) @ np.array(taken).T
    t, c = strata_of(data, 1), strata_of(data, 0)
    found = compare_clusters_over_strata(t, c, "y")
    assert found.difference.estimate == pytest.approx(float(contrast @ bread @ x.T @ y))
    assert found.difference.se == pytest.approx(math.sqrt(np.square(score).sum()), rel=1e-8)
    assert found.difference.df == pytest.approx(np.trace(gamma) ** 2 / np.square(gamma).sum(), rel=1e-8)
    independent = compare_means_over_strata(merged(t), merged(c), "y").difference
    assert found.difference.estimate == pytest.approx(independent.estimate)
    assert found.design_effect == pytest.approx((found.difference.se / independent.se) ** 2)


def test_one_phase_is_the_plain_comparison():
    """One stratum gives exactly the plain function's numbers."""
    data = rows(2)
    (t, _), (c, _) = strata_of(data, 1), strata_of(data, 0)
    assert compare_clusters_over_strata([t], [c], "y").difference == compare_clusters(t, c, "y").difference


def test_one_phase_split_at_random_is_nearly_the_whole():
    """Visitors dealt to two phases of the same split: the estimate, its error and its df hardly move."""
    rng = np.random.default_rng(3)
    agent = np.repeat(np.arange(30), 200)
    arm, phase = rng.integers(0, 2, (2, len(agent)))
    y = rng.normal(0, 1, 30)[agent] + rng.normal(0, 1, 30)[agent] * arm + rng.gamma(2, 1, len(agent))
    whole, halves = (np.column_stack([y, arm, agent, ph]) for ph in (np.zeros(len(agent)), phase))
    pooled = compare_clusters(*(strata_of(whole, a)[0] for a in (1, 0)), "y").difference
    found = compare_clusters_over_strata(*(strata_of(halves, a) for a in (1, 0)), "y").difference
    assert found.estimate == pytest.approx(pooled.estimate, abs=0.05 * pooled.se)
    assert found.se == pytest.approx(pooled.se, rel=0.02)
    assert found.df == pytest.approx(pooled.df, rel=0.02)


def test_ratio():
    """Counts as the denominator give the mean; any other one the combined ratio, with about its own design effect."""
    data = rows(4, agents=25)
    extra = (("one", np.ones_like), ("x", lambda y: 1 + (y > 6)))
    t, c = (strata_of(data, a, extra) for a in (1, 0))
    mean, counted = (compare_clusters_over_strata(t, c, "y", per=per) for per in (None, "one"))
    assert [counted.difference.estimate, counted.difference.se, counted.difference.df] == pytest.approx(
        [mean.difference.estimate, mean.difference.se, mean.difference.df]
    )
    found = compare_clusters_over_strata(t, c, "y", per="x")
    independent = compare_ratios_over_strata(merged(t), merged(c), "y", "x").difference
    assert found.difference.estimate == pytest.approx(independent.estimate)
    assert found.design_effect == pytest.approx((found.difference.se / independent.se) ** 2)
    one, plain = compare_clusters_over_strata(t[:1], c[:1], "y", per="x"), compare_clusters(t[0], c[0], "y", per="x")
    assert one.difference == plain.difference
    assert compare_clusters_over_strata(t, c, "y", per="x", variance="cr1").difference.df == 24


def test_a_changed_split_is_no_effect():
    """Phases that differ by much more than chance: within them nothing differs, all together a lot would."""
    hits = pooled = 0
    runs = 400
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        level = rng.normal(0, 0.6, 20)
        sums = [[{}, {}], [{}, {}]]
        for phase, (sizes, base) in enumerate((((5, 45), 0.0), ((25, 25), 2.0))):
            for a, n in enumerate(sizes):
                totals = n * (base + level) + math.sqrt(n) * rng.normal(0, 1, 20)
                sums[a][phase] = {g: (n, float(totals[g])) for g in range(20)}
        found = compare_clusters_over_strata(*sums).difference
        hits += found.low <= 0 <= found.high
        both = [{g: tuple(np.add(arm[0][g], arm[1][g])) for g in range(20)} for arm in sums]
        pooled += compare_clusters(*both).difference.low > 0
    assert hits / runs == pytest.approx(0.95, abs=3.5 * math.sqrt(0.05 * 0.95 / runs))
    assert pooled == runs


def test_an_agent_of_both_phases_counts_once():
    """What an agent does for one arm in either phase adds up before it is squared: more than two phases apart would."""
    rng = np.random.default_rng(5)
    taste = rng.normal(0, 3, 20)

    def agents(treated, phase):
        return {
            f"{g}{phase}": Moments.from_arrays({"y": (taste[g] if treated else 0) + rng.normal(0, 1, 30)})
            for g in range(20)
        }

    same = [[agents(a, ""), agents(a, "")] for a in (True, False)]
    named = [[one, {f"{g} again": clusters for g, clusters in two.items()}] for one, two in same]
    once, twice = compare_clusters_over_strata(*same, "y"), compare_clusters_over_strata(*named, "y")
    assert (once.clusters, twice.clusters) == (20, 40)
    assert once.difference.se == pytest.approx(twice.difference.se * math.sqrt(2), rel=0.05)


@pytest.mark.parametrize(
    ("t", "c", "options", "status", "words"),
    [
        ([{"a": (5, 1.0)}, {}], [{}, {"a": (5, 1.0)}], {}, "insufficient", "no phase has two visitors"),
        ([{"a": (5, 1.0), "b": (5, 2.0)}, {"a": (9, 1.0)}], [{"a": (5, 1.0), "b": (4, 3.0)}] * 2, {}, "insufficient",
         "1 cluster"),
        (
            [{k: Moments.from_arrays({"y": [1.0, 2.0], "x": [0.0, 0.0]}) for k in "ab"}] * 2,
            [{k: Moments.from_arrays({"y": [1.0, 2.0], "x": [1.0, 0.0]}) for k in "ab"}] * 2,
            {"column": "y", "per": "x"}, "undefined", "not above 0 in the treatment",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_said(t, c, options, status, words):
    """A status with its reason, never a number."""
    found = compare_clusters_over_strata(t, c, **options)
    assert (found.status, found.difference) == (status, None)
    assert words in found.reason


def test_a_phase_without_an_arm_is_left_out():
    """An arm that came in the second phase is compared on it alone."""
    data = rows(6)
    t, c = strata_of(data, 1), strata_of(data, 0)
    found = compare_clusters_over_strata([{}, t[1]], c, "y")
    assert found.difference == compare_clusters(t[1], c[1], "y").difference
    assert found.design_effect > 0


def test_impossible_strata_are_refused():
    """As many phases in either arm, and a known variance."""
    t = [{"a": (5, 1.0), "b": (5, 2.0)}] * 2
    with pytest.raises(InputError, match="strata"):
        compare_clusters_over_strata(t, t[:1])
    with pytest.raises(InputError, match="cr2 or cr1"):
        compare_clusters_over_strata(t, t, variance="hc3")
