"""The decision rule as a pure function: its branches, its error over simulated experiments, and that verdicts stay."""

from __future__ import annotations

import math

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.stats import ACTIONS, adjusted_alpha, sequential_boundaries
from offerlift.stats.decision_rule import (
    ErrorBudget,
    Evidence,
    Finding,
    error_budget,
    follow_rule,
    is_over,
    judge,
    planned_looks,
)
from scipy.special import ndtri

RUNS = 8_000
LOOKS = 12
CLOCKS = [look / LOOKS for look in range(1, LOOKS + 1)]


def walks(rng, arms, more=()):
    """z-values (runs, looks, arms, ...) without any effect: arms of one size share their control."""
    control = rng.standard_normal((RUNS, LOOKS, 1, *more)).cumsum(axis=1)
    treatment = rng.standard_normal((RUNS, LOOKS, arms, *more)).cumsum(axis=1)
    sizes = np.arange(1, LOOKS + 1).reshape(1, LOOKS, *[1] * (1 + len(more)))
    return (treatment - control) / np.sqrt(2 * sizes)


def margin(guardrails):
    """Margins over their standard errors at each look, with the power that several guardrails need: 1 - .2/(G + 1)."""
    at_end = 1.96 + ndtri(1 - 0.2 / (guardrails + 1))
    return at_end * np.sqrt(CLOCKS).reshape(1, LOOKS, 1, 1)


@pytest.mark.parametrize(("arms", "guardrails"), [(1, 0), (1, 2), (3, 0), (3, 2)])
def test_false_verdicts_of_the_whole_rule(arms, guardrails):
    """8,000 experiments without any effect, 12 looks: `ship` or `stop_harm` in at most 5.5 % + 3.5 s.e., not far below.

    The budget is .05 whatever the number of arms and guardrails; the alarms' Bonferroni leaves a little of it.
    """
    rng = np.random.default_rng([arms, guardrails])
    looks = planned_looks(CLOCKS, error_budget([1.0] * arms, 1.0, guardrails))
    guarded = walks(rng, arms, (guardrails,)) if guardrails else None
    done = follow_rule(looks, walks(rng, arms), guardrail_z=guarded, margin_z=margin(guardrails))
    false = done.share("ship", "stop_harm")
    error = 3.5 * math.sqrt(0.05 * 0.95 / RUNS)
    assert false <= 0.055 + error
    assert 0.04 - error <= false <= 0.05 + error
    assert is_over(done.findings).all()


def test_an_effect_is_found():
    """A drift for 80 % power at one look ships in nearly as many of the experiments, and the right arm of three."""
    rng = np.random.default_rng(4)
    drift = np.sqrt(CLOCKS) * (1.96 + 0.8416)
    one = walks(rng, 1) + drift[None, :, None]
    done = follow_rule(planned_looks(CLOCKS, error_budget([1.0], 1.0, 0)), one)
    assert done.share("ship") == pytest.approx(0.78, abs=0.02)
    assert 5 < done.look[done.findings == Finding.GAIN].mean() < 10
    three = walks(rng, 3)
    three[:, :, 1] += drift[None, :] * 1.5
    done = follow_rule(planned_looks(CLOCKS, error_budget([1.0] * 3, 1.0, 0)), three)
    assert (done.shipped == 1).mean() > 0.9
    assert np.isin(done.shipped, [0, 2]).mean() < 0.02


def test_the_budget():
    """.05 alone; with guardrails .04, and .01 in equal parts; the arms by Dunnett."""
    assert error_budget([1.0], 1.0, 0) == ErrorBudget(0.05, 0.05, None)
    found = error_budget([1.0, 2.0], 1.0, 3)
    assert found.primary == pytest.approx(0.04)
    assert found.comparison == adjusted_alpha([1.0, 2.0], 1.0, alpha=0.04)
    assert found.alarm == pytest.approx(0.01 / 6)


def test_the_boundaries_of_a_plan():
    """Two-sided for the primary, one-sided for the alarms, the last look spends the rest even of a shorter plan."""
    looks = planned_looks([0.3, 0.8], ErrorBudget(0.04, 0.04, 0.005))
    two, one = (sequential_boundaries([0.3, 0.8], alpha=a, sides=s, last=True) for a, s in ((0.04, 2), (0.005, 1)))
    assert [bound.z for bound in looks.primary] == list(two.z)
    assert looks.alarm is not None
    assert [bound.z for bound in looks.alarm] == list(one.z)
    assert looks.primary[-1].spent == 0.04


OPEN = np.array([Finding.OPEN])
UP, DOWN, NEITHER = (np.array([crossed]) for crossed in (1, -1, 0))


@pytest.mark.parametrize(
    ("evidence", "finding"),
    [
        (Evidence(NEITHER), "OPEN"),
        (Evidence(NEITHER, ended=True), "ENDED"),
        (Evidence(NEITHER, no_effect=True), "NO_WORTHWHILE_EFFECT"),
        (Evidence(NEITHER, failed=True), "OPEN"),
        (Evidence(NEITHER, failed=True, no_effect=True, ended=True), "GUARDRAIL_FAILED_AT_END"),
        (Evidence(NEITHER, passed=False, ended=True), "ENDED"),
        (Evidence(NEITHER, alarm=True), "ALARM"),
        (Evidence(UP, alarm=True), "ALARM"),
        (Evidence(UP), "GAIN"),
        (Evidence(UP, ended=True, no_effect=True), "GAIN"),
        (Evidence(UP, passed=False), "GUARDRAIL_INCONCLUSIVE"),
        (Evidence(UP, failed=True, passed=False), "GUARDRAIL_FAILED"),
        (Evidence(UP, doubted=True), "GAIN_IN_DOUBT"),
        (Evidence(UP, gain_doubted=True), "GAIN_IN_DOUBT"),
        (Evidence(DOWN), "HARM"),
        (Evidence(DOWN, passed=False, failed=True), "HARM"),
        (Evidence(DOWN, gain_doubted=True), "HARM"),
        (Evidence(DOWN, doubted=True), "HARM_IN_DOUBT"),
        (Evidence(UP, too_early=True), "TOO_EARLY"),
        (Evidence(UP, computable=False), "NOT_COMPUTABLE"),
        (Evidence(UP, too_early=True, ended=True), "TOO_EARLY_AT_END"),
        (Evidence(UP, healthy=False), "UNHEALTHY"),
    ],
)
def test_the_branches(evidence, finding):
    """One arm, one look: which finding follows from what was seen."""
    assert Finding(judge(evidence)[0]).name == finding
    assert Finding(judge(evidence, OPEN)[0]).name == finding


@pytest.mark.parametrize("before", list(Finding))
def test_what_stays(before):
    """A final finding outlives any evidence but failing health; one that waits does not."""
    later = Finding(judge(Evidence(DOWN), np.array([before]))[0])
    assert later == (before if before.is_final else Finding.HARM)
    assert Finding(judge(Evidence(DOWN, healthy=False), np.array([before]))[0]) == Finding.UNHEALTHY


def test_every_finding_has_an_action():
    """Those that wait are collecting, and health alone is not to be read."""
    assert set(ACTIONS) == set(Finding)
    assert {finding.action for finding in Finding if not finding.is_final} == {"collecting", "do_not_read"}
    assert "collecting" not in {finding.action for finding in Finding if finding.is_final}


def test_a_gain_ends_the_experiment_and_harm_does_not():
    """Beside an arm that gains the others stay open; beside one that harms they are judged on."""
    evidence = Evidence(np.array([[0, 1], [0, 1]]))
    before = np.array([[Finding.GAIN, Finding.OPEN], [Finding.HARM, Finding.OPEN]])
    after = judge(evidence, before)
    assert after.tolist() == [[Finding.GAIN, Finding.OPEN], [Finding.HARM, Finding.GAIN]]
    assert is_over(before).tolist() == [True, False]
    assert is_over(np.array([Finding.HARM, Finding.ENDED]))


def test_verdicts_are_not_taken_back():
    """Of 8,000 experiments, every first crossing is the verdict at the end, however many un-cross later."""
    rng = np.random.default_rng(9)
    z = walks(rng, 1)
    bounds = sequential_boundaries(CLOCKS).z
    beyond = np.abs(z[:, :, 0]) >= np.array(bounds)
    first = beyond.argmax(axis=1)
    done = follow_rule(planned_looks(CLOCKS, error_budget([1.0], 1.0, 0)), z)
    crossed = beyond.any(axis=1)
    assert (done.look[crossed, 0] == first[crossed] + 1).all()
    signs = np.sign(z[np.arange(RUNS), first, 0])
    expected = np.where(signs > 0, Finding.GAIN, Finding.HARM)
    assert (done.findings[crossed, 0] == expected[crossed]).all()
    assert (~beyond[crossed, -1]).mean() > 0.2


def test_the_largest_of_several_gains_ships():
    """Two arms cross at the first look; the estimates say which is the larger, and without them z does."""
    looks = planned_looks([1.0], error_budget([1.0, 1.0], 1.0, 0))
    z = np.array([[[4.0, 3.0]]])
    assert follow_rule(looks, z).shipped.tolist() == [0]
    assert follow_rule(looks, z, estimates=np.array([[[1.0, 2.0]]])).shipped.tolist() == [1]
    assert follow_rule(looks, z * 0).shipped.tolist() == [-1]


def test_a_failing_health_check_only_suspends():
    """Unhealthy at the second look of three: what was found before it is there afterwards, and a crossing waits."""
    looks = planned_looks([0.4, 0.7, 1.0], error_budget([1.0], 1.0, 0))
    well = np.array([True, False, True]).reshape(1, 3, 1)
    z = np.array([[[9.0], [0.0], [0.0]], [[0.0], [9.0], [0.0]], [[0.0], [9.0], [9.0]]])
    done = follow_rule(looks, z, healthy=well)
    assert done.findings[:, 0].tolist() == [Finding.GAIN, Finding.ENDED, Finding.GAIN]
    assert done.look[:, 0].tolist() == [1, 3, 3]


def test_what_does_not_fit_is_refused():
    """Other shapes than the looks have, guardrails without a budget, no looks at all."""
    looks = planned_looks([0.5, 1.0], error_budget([1.0], 1.0, 0))
    with pytest.raises(InputError, match=r"2 looks, arms"):
        follow_rule(looks, np.zeros((5, 3, 1)))
    with pytest.raises(InputError, match="go together"):
        follow_rule(looks, np.zeros((5, 2, 1)), guardrail_z=np.zeros((5, 2, 1, 1)))
    with pytest.raises(InputError, match="no clocks"):
        planned_looks([], error_budget([1.0], 1.0, 0))
