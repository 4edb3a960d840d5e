"""`compare`: whatever the data come in, the numbers of the function that fits."""

from operator import itemgetter

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.stats import (
    Moments,
    anytime_interval,
    beta_posteriors,
    compare,
    compare_adjusted,
    compare_means,
    compare_proportions,
    compare_ratios,
    moments_by_arm,
    normal_posteriors,
    tuning_without_plan,
)

RNG = np.random.default_rng(1)
N = 6000
PAST = RNG.gamma(1, 10, N)
BOUGHT = RNG.random(N) < 0.2
VISITORS = {
    "arm": RNG.choice(["control", "late", "cheap"], N),
    "bought": BOUGHT,
    "orders": BOUGHT * (1 + (RNG.random(N) < 0.2)),
    "revenue": BOUGHT * RNG.lognormal(3, 1, N) + PAST,
    "past": PAST,
}
ARMS = moments_by_arm(VISITORS, "arm", ["bought", "orders", "revenue", "past"])
CASES = {
    "mean": ({"metric": "revenue"}, lambda t, c: compare_means(t, c, "revenue")),
    "conversion": ({"metric": "bought"}, lambda t, c: compare_proportions(t, c, "bought")),
    "conversion as a mean": ({"metric": "bought", "kind": "mean"}, lambda t, c: compare_means(t, c, "bought")),
    "ratio": ({"metric": "revenue", "per": "orders"}, lambda t, c: compare_ratios(t, c, "revenue", "orders")),
    "adjusted": ({"metric": "revenue", "covariate": "past"}, lambda t, c: compare_adjusted(t, c, "revenue", ["past"])),
}


@pytest.mark.parametrize("name", CASES)
def test_compare_is_the_function_that_fits(name):
    """Every arm's comparison, its always-valid interval and the inputs are those of the function called by hand."""
    options, by_hand = CASES[name]
    result = compare(ARMS, control="control", **options)
    assert [arm.arm for arm in result.arms] == ["control", "cheap", "late"]
    for arm in ("cheap", "late"):
        expected = by_hand(ARMS[arm], ARMS["control"])
        assert result[arm].comparison == expected
        n = ARMS[arm].n + ARMS["control"].n
        assert result[arm].anytime == anytime_interval(expected.difference, a=tuning_without_plan(n))
        inputs = result[arm].comparison.inputs
        assert (inputs.treatment, inputs.control, inputs.alpha) == (ARMS[arm], ARMS["control"], 0.05)
    assert result.moments == {name: ARMS[name] for name in ("control", "cheap", "late")}


@pytest.mark.parametrize("name", CASES)
def test_a_frame_and_its_moments_are_one(name):
    """Columns with their arm, arrays by arm and moments by arm give one result."""
    options, _ = CASES[name]
    expected = compare(ARMS, control="control", **options).to_dicts()
    columns = [name for name in VISITORS if name != "arm"]
    by_arm = {
        arm: {name: VISITORS[name][VISITORS["arm"] == arm] for name in columns} for arm in ("control", "late", "cheap")
    }
    for data, extra in ((VISITORS, {"arm": "arm"}), (by_arm, {})):
        rows = compare(data, control="control", **options, **extra).to_dicts()
        for row, other in zip(
            sorted(rows, key=itemgetter("arm")), sorted(expected, key=itemgetter("arm")), strict=True
        ):
            assert list(row) == list(other)
            for column, value in other.items():
                assert row[column] == (pytest.approx(value, rel=1e-12) if isinstance(value, float) else value), column


def test_plain_arrays():
    """Two arrays by arm are enough; the metric needs no name."""
    result = compare({"a": [0.0, 3.0, 9.0, 1.0], "b": [1.0, 4.0, 9.0, 3.0]}, control="a")
    assert (result.metric, result.kind) == ("value", "mean")
    assert result["b"].difference.estimate == pytest.approx(1.0)


def test_posteriors_are_those_of_the_metric():
    """Beta posteriors for conversions, normal ones for means, of all arms together; mirrored where less is wanted."""
    order = {name: ARMS[name] for name in ("control", "cheap", "late")}
    conversion = compare(ARMS, "bought", control="control", direction="decrease")
    expected = beta_posteriors(order, "bought", "control", direction="decrease")
    assert {name: row.bayes for name, row in conversion.against_control.items()} == expected.against_control
    assert {arm.arm: arm.probability_best for arm in conversion.arms} == expected.probability_best
    mean = compare(ARMS, "revenue", control="control")
    estimates = {name: (one.mean_of("revenue"), one.variance_of("revenue") / one.n) for name, one in order.items()}
    expected = normal_posteriors(estimates, "control").against_control["late"]
    assert mean["late"].bayes.probability_better == pytest.approx(expected.probability_better, rel=1e-12)


def test_an_adjusted_posterior_is_of_the_adjusted_difference():
    """P(better) of an adjusted comparison comes from its own difference and standard error, far narrower here."""
    result = compare(ARMS, "revenue", control="control", covariate="past")["late"]
    d = result.difference
    normal = normal_posteriors({"c": (0.0, 0.0), "t": (d.estimate, d.se**2)}, "c").against_control["t"]
    assert result.bayes == normal
    assert d.se < 0.95 * result.unadjusted.difference.se


def test_too_few_visitors_are_a_reason_not_a_number():
    """One visitor in an arm: status, reason, no difference, no interval, and a table that says so."""
    result = compare({"a": [1.5, 2.0, 4.0], "b": [3.5]}, control="a")
    assert (result["b"].status, result["b"].difference, result["b"].anytime) == ("insufficient", None, None)
    assert "1 visitor in an arm" in str(result)
    assert result.to_dicts()[1]["p_value"] is None


def test_leaning_intervals_are_noted():
    """Nine to one with heavy tails: the skew flag is in the notes."""
    rng = np.random.default_rng(2)
    values = [rng.lognormal(0, 1.5, n) * (rng.random(n) < 0.05) for n in (900, 9000)]
    assert "skewed" in compare({"small": values[0], "big": values[1]}, control="big").notes[0]


def test_the_stores_moments_need_no_metric():
    """The first column of moments is the metric, as in `Store.observations(...).moments[metric]`."""
    assert compare(ARMS, control="control") == compare(ARMS, "bought", control="control")


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (ARMS, {"control": "z"}, "no arm 'z'"),
        ({"a": ARMS["late"]}, {"control": "a"}, "only the arm"),
        ({}, {"control": "a"}, "no arms"),
        (VISITORS, {"control": "control", "arm": "arm"}, "which column"),
        (ARMS, {"control": "control", "metric": "nothing"}, "nothing"),
        (ARMS, {"control": "control", "metric": "revenue", "kind": "conversion"}, "not 0/1"),
        (ARMS, {"control": "control", "metric": "revenue", "per": "orders", "covariate": "past"}, "ratio"),
        (ARMS, {"control": "control", "alpha": 5}, "between 0 and 1"),
        ([1, 2], {"control": "a"}, "column of arms"),
    ],
)
def test_refused(data, options, words):
    """What cannot be compared is said."""
    with pytest.raises(InputError, match=words):
        compare(data, **options)


def test_an_arm_that_was_not_compared():
    """Asking for the control, or for nobody, names the arms there are."""
    with pytest.raises(InputError, match="cheap"):
        compare(ARMS, control="control")["control"]


def test_moments_say_what_they_are():
    """Moments print n, means and spreads, not arrays."""
    assert repr(Moments.from_arrays({"x": [1.0, 3.0]})) == "Moments(n=2, x: mean 2, sd 1.414)"
    assert repr(Moments.from_arrays({"x": [1.0]})) == "Moments(n=1, x: mean 1)"
