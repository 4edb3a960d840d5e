"""Experiments that share visitors."""

# A None where a number belongs fails the test, as it should.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportArgumentType=false, reportOperatorIssue=false

import json
import math
from itertools import product

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.stats import Moments, adjust_p_values, compare_means, overlap_interactions

from .samples import zeros_and_ones

ARMS = {"price": ("old", "new"), "banner": ("no", "yes"), "gift": ("no", "cup", "pen")}


def both(rng, first, second, interaction=0.0, n=200):
    """Moments of the visitors in both experiments; the interaction is of the last arms."""
    cells = {}
    for one, other in product(ARMS[first], ARMS[second]):
        shift = interaction if (one, other) == (ARMS[first][-1], ARMS[second][-1]) else 0.0
        cells[one, other] = Moments.from_arrays({"y": 3 + shift + rng.normal(0, 1, n)})
    return cells


def test_interaction_is_a_difference_of_welch_tests():
    """The effect of one experiment with the other's treatment, less that with its control; Welch's variances add up."""
    cells = both(np.random.default_rng(1), "price", "banner")
    found = overlap_interactions({("price", "banner"): cells}, ARMS, "y").pairs[0]
    with_it, without = (compare_means(cells["new", b], cells["old", b], "y").difference for b in ("yes", "no"))
    (contrast,) = found.contrasts
    assert contrast.estimate == pytest.approx(with_it.estimate - without.estimate, rel=1e-12)
    assert contrast.se == pytest.approx(math.hypot(with_it.se, without.se), rel=1e-12)
    assert contrast.detectable == pytest.approx((1.96 + 0.8416) * contrast.se, rel=0.01)
    assert contrast.name == "price: new v old × banner: yes v no"
    assert found.visitors == 800


def test_pairs_are_adjusted_together():
    """p-values of all pairs by Benjamini and Hochberg; the pair that interacts is listed, with its sign."""
    rng = np.random.default_rng(2)
    pairs = {
        ("price", "banner"): both(rng, "price", "banner"),
        ("price", "gift"): both(rng, "price", "gift", interaction=-1.0),
        ("banner", "gift"): both(rng, "banner", "gift"),
    }
    found = overlap_interactions(pairs, ARMS, "y")
    raw = [one.test.p_value for one in found.pairs]
    assert [one.test.p_adjusted for one in found.pairs] == pytest.approx(adjust_p_values(raw, "bh"))
    assert [one.experiments for one in found.interacting()] == [("price", "gift")]
    pair = found.pairs[1]
    assert (pair.test.df, len(pair.contrasts)) == (2, 2)
    assert pair.contrasts[1].p_adjusted < 0.001 < pair.contrasts[0].p_adjusted
    assert pair.contrasts[1].high < 0
    contrasts = [one for each in found.pairs for one in each.contrasts]
    assert [one.p_adjusted for one in contrasts] == pytest.approx(adjust_p_values([c.p_value for c in contrasts], "bh"))


def test_experiments_that_exclude_each_other():
    """Visitors who are never in both say nothing about an interaction: a status, no p-value, nothing adjusted."""
    rng = np.random.default_rng(3)
    cells = both(rng, "price", "banner")
    del cells["new", "yes"]
    pairs = {
        ("price", "banner"): cells,
        ("price", "gift"): both(rng, "price", "gift"),
        ("banner", "gift"): {("no", "no"): zeros_and_ones(1, 9)},
    }
    found = overlap_interactions(pairs, ARMS, "y")
    assert [one.test.status for one in found.pairs] == ["aliased", "ok", "insufficient"]
    assert found.pairs[0].test.reason == "nobody, or one visitor alone, had new with yes"
    assert found.pairs[0].test.p_value is None
    assert found.pairs[1].test.p_adjusted == found.pairs[1].test.p_value
    json.dumps(found.to_dicts(), allow_nan=False)


def test_on_the_log_scale_offers_that_multiply_do_not_interact():
    """5 % and 5 % that make 10.25 % are no interaction on the log scale, and one on the additive."""
    noise = np.random.default_rng(4).gamma(2, 1, 100_000)
    cells = {
        (p, b): Moments.from_arrays({"y": noise * 1.05 ** ((p == "new") + (b == "yes"))})
        for p, b in product(ARMS["price"], ARMS["banner"])
    }
    pairs = {("price", "banner"): cells}
    assert overlap_interactions(pairs, ARMS, "y", scale="log").pairs[0].contrasts[0].estimate == pytest.approx(
        0, abs=1e-12
    )
    assert overlap_interactions(pairs, ARMS, "y").pairs[0].contrasts[0].estimate == pytest.approx(
        0.0025 * noise.mean(), rel=1e-6
    )


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        (("price", "price"), "two different names"),
        (("price", "popup"), "'popup' has no arms"),
        (("price", "banner"), "its levels"),
    ],
)
def test_impossible_pairs(pair, words):
    """Pairs that are none, and arms that nobody named, are refused."""
    with pytest.raises(InputError, match=words):
        overlap_interactions({pair: {("old", "maybe"): zeros_and_ones(1, 5)}}, ARMS, "y")


def test_false_discoveries():
    """Ten pairs without any interaction: one is listed in at most 5 % of 1,000 programmes."""
    rng = np.random.default_rng(5)
    arms = {f"e{k}": (0, 1) for k in range(5)}
    names = [(a, b) for a in arms for b in arms if a < b]
    hits, runs = 0, 1_000
    for _ in range(runs):
        x = rng.binomial(2_000, 0.05, (len(names), 4)).tolist()
        pairs = {
            pair: {
                key: Moments.from_sums(["y"], 2_000, [k], {("y", "y"): k})
                for key, k in zip(product((0, 1), (0, 1)), row, strict=True)
            }
            for pair, row in zip(names, x, strict=True)
        }
        hits += bool(overlap_interactions(pairs, arms, "y").interacting())
    assert hits / runs <= 0.05 + 3.5 * math.sqrt(0.05 * 0.95 / runs)
    assert hits / runs >= 0.02
