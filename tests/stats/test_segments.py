"""Effects by segment: the interaction first, then contrasts, then what is left after shrinkage."""

# A None where a number belongs fails the test, as it should.
# The stubs of statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportArgumentType=false
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false

import json
import math

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.stats import (
    Moments,
    adjust_p_values,
    compare_means,
    compare_proportions,
    compare_segments,
    overlap_interactions,
    shrink,
)
from statsmodels.stats.meta_analysis import combine_effects

from .samples import zeros_and_ones


def attribute(rng, effects, n=300, arms=("offer",)):
    """Moments by (value, arm); each value has its own level and its own effect of the first arm."""
    cells = {}
    for value, effect in effects.items():
        size = int(n * rng.uniform(0.6, 1.5))
        level = rng.normal(3, 1)
        cells[value, "control"] = Moments.from_arrays({"y": level + rng.normal(0, 1, size)})
        for arm in arms:
            shift = effect if arm == arms[0] else 0.0
            cells[value, arm] = Moments.from_arrays({"y": level + shift + rng.normal(0, 1, size)})
    return cells


def compared(cells, **options):
    return compare_segments({"device": cells}, "y", control="control", declared=["device"], **options).segmentations[0]


def test_test_is_cochrans_q():
    """χ² is Cochran's Q of the segments' effects, as statsmodels has it for a meta-analysis."""
    cells = attribute(np.random.default_rng(1), dict.fromkeys("abcde", 0.2))
    found = compared(cells)
    effects = [compare_means(cells[v, "offer"], cells[v, "control"], "y").difference for v in "abcde"]
    other = combine_effects(np.array([d.estimate for d in effects]), np.array([d.se**2 for d in effects]))
    assert found.test.chi_squared == pytest.approx(other.q, rel=1e-9)
    assert found.test.df == 4
    assert [one.difference for one in found.effects] == effects


def test_two_segments_are_one_interaction():
    """Contrasts mirror each other, count once, and are the interaction of two experiments with the same cells."""
    cells = attribute(np.random.default_rng(2), {"new": 0.5, "known": 0.0})
    first, second = compared(cells).effects
    assert first.against_others.estimate == pytest.approx(-second.against_others.estimate, rel=1e-12)
    assert first.against_others.p_adjusted == first.against_others.p_value == second.against_others.p_adjusted
    arms = {"who": ("known", "new"), "page": ("control", "offer")}
    pair = overlap_interactions({("who", "page"): cells}, arms, "y").pairs[0].contrasts[0]
    assert [first.against_others.estimate, first.against_others.se, first.against_others.df] == pytest.approx(
        [pair.estimate, pair.se, pair.df], rel=1e-9
    )
    assert compared(cells).test.p_value == pytest.approx(pair.p_value, rel=1e-9)


def test_contrast_is_against_all_other_visitors():
    """A segment's effect less the others' mean effect by their visitors."""
    cells = attribute(np.random.default_rng(3), {"a": 1.0, "b": 0.0, "c": 0.0})
    effects = {one.value: one for one in compared(cells).effects}
    b, c = effects["b"], effects["c"]
    others = (b.visitors * b.difference.estimate + c.visitors * c.difference.estimate) / (b.visitors + c.visitors)
    assert effects["a"].against_others.estimate == pytest.approx(effects["a"].difference.estimate - others, rel=1e-9)


def test_shrunk_towards_the_overall_effect():
    """From four segments on the shrunk effects are those of `shrink`; below, none unless a smallest effect is named."""
    cells = attribute(np.random.default_rng(4), {"a": 1.0, "b": 0.0, "c": 0.3, "d": 0.1})
    found = compared(cells).effects
    alone = shrink([one.difference.estimate for one in found], [one.difference.se**2 for one in found])
    assert [one.shrunk.shrunk for one in found] == pytest.approx([one.shrunk for one in alone], rel=1e-9)
    two = attribute(np.random.default_rng(4), {"new": 1.0, "known": 0.0})
    assert [one.shrunk for one in compared(two).effects] == [None, None]
    new, known = compared(two, smallest_effect=0.2).effects
    assert known.difference.estimate < known.shrunk.shrunk < new.shrunk.shrunk < new.difference.estimate


def test_declared_and_exploratory_are_adjusted_apart():
    """Labels, order, and Benjamini and Hochberg among the declared alone; only these can be called different."""
    rng = np.random.default_rng(5)
    segments = {
        "colour": attribute(rng, {"red": 2.0, "blue": 0.0, "green": 0.0}),
        "device": attribute(rng, {"phone": 0.0, "desktop": 0.0}),
        "country": attribute(rng, {"de": 0.0, "at": 0.0, "ch": 1.5}),
    }
    found = compare_segments(segments, "y", control="control", declared=["device", "country"])
    assert [(one.attribute, one.label) for one in found.segmentations] == [
        ("device", "declared"),
        ("country", "declared"),
        ("colour", "exploratory"),
    ]
    device, country, colour = found.segmentations
    tests = [device.test.p_value, country.test.p_value]
    assert [device.test.p_adjusted, country.test.p_adjusted] == pytest.approx(adjust_p_values(tests, "bh"))
    raw = [device.effects[0].against_others.p_value, *(one.against_others.p_value for one in country.effects)]
    adjusted = [device.effects[0].against_others.p_adjusted, *(o.against_others.p_adjusted for o in country.effects)]
    assert adjusted == pytest.approx(adjust_p_values(raw, "bh"))
    assert colour.test.p_adjusted == colour.test.p_value < 1e-6
    assert {(one.attribute, effect.value) for one, effect in found.differing()} == {
        ("country", "ch"),
        ("country", "de"),
        ("country", "at"),
    }
    alone = compare_segments({"colour": segments["colour"]}, "y", control="control", declared=[])
    assert alone.differing() == ()


def test_several_treatments():
    """Each treatment has a segmentation of its own, against the same control."""
    cells = attribute(np.random.default_rng(6), {"a": 1.0, "b": 0.0}, arms=("offer", "gift"))
    found = compare_segments({"device": cells}, "y", control="control", declared=["device"])
    assert [(one.arm, one.test.p_value < 0.001) for one in found.segmentations] == [("offer", True), ("gift", False)]


def test_conversion_has_score_intervals():
    """With `kind` conversion a segment's own interval is Miettinen and Nurminen's."""
    cells = {
        (v, a): zeros_and_ones(x, 200)
        for v, a, x in [("n", "control", 9), ("n", "offer", 21), ("k", "control", 20), ("k", "offer", 22)]
    }
    found = compared(cells, kind="conversion").effects[0]
    score = compare_proportions(cells["n", "offer"], cells["n", "control"], "y")
    assert (found.difference, found.lift) == (score.difference, score.lift)


def test_same_lift_on_other_levels():
    """Five per cent everywhere is one effect on the log scale and several on the additive."""
    noise = np.random.default_rng(7).gamma(9, 1, 40_000)
    cells = {
        (v, a): Moments.from_arrays({"y": level * noise * (1.05 if a == "offer" else 1)})
        for v, level in (("low", 1.0), ("high", 6.0))
        for a in ("control", "offer")
    }
    assert compared(cells, scale="log").effects[0].against_others.estimate == pytest.approx(0, abs=1e-12)
    assert compared(cells).test.p_value < 0.001


def test_segments_that_say_nothing():
    """A segment without visitors, variance or mean is left out of the test with its reason; below two there is none."""
    rng = np.random.default_rng(8)
    good = attribute(rng, dict.fromkeys("ab", 0.1))
    cells = {
        **good,
        ("c", "control"): zeros_and_ones(0, 50),
        ("c", "offer"): zeros_and_ones(0, 50),
        ("d", "offer"): zeros_and_ones(1, 1),
    }
    found = compared(cells)
    assert [one.status for one in found.effects] == ["ok", "ok", "insufficient", "insufficient"]
    assert "visitor" in found.effects[3].reason
    assert found.test == compared(good).test
    assert compared({key: one for key, one in cells.items() if key[0] != "b"}).test.status == "insufficient"
    nothing = compared({key: one for key, one in cells.items() if key[0] in "cd"})
    assert nothing.test.status == "insufficient"
    assert nothing.test.p_value is None
    negative = {**good, ("a", "control"): Moments.from_arrays({"y": [-1.0, -2.0, 1.0]})}
    assert compared(negative, scale="log").effects[0].status == "undefined"
    for one in (found, nothing):
        json.dumps(one.to_dicts(), allow_nan=False)


def test_phases_within_segments():
    """Segments take moments by phase, as everything does."""
    rng = np.random.default_rng(9)
    cells = attribute(rng, dict.fromkeys("ab", 0.1))
    more = attribute(rng, dict.fromkeys("ab", 0.1))
    found = compared({key: [one, more[key]] for key, one in cells.items()})
    assert found.effects[0].difference.method == "welch-strata"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"declared": "device"}, "a list of attributes"),
        ({"declared": ["shoe size"]}, "shoe size"),
        ({"declared": ["device", "device"]}, "different ones"),
        ({"declared": [f"a{k}" for k in range(11)]}, "at most 10"),
        ({"control": "nobody"}, "the control 'nobody'"),
        ({"kind": "ratio"}, "conversion or mean"),
        ({"scale": "sqrt"}, "additive or log"),
        ({"alpha": 0}, "alpha"),
        ({"power": 1}, "power"),
    ],
)
def test_impossible_segments(options, words):
    """What does not fit is refused."""
    cells = attribute(np.random.default_rng(1), dict.fromkeys("ab", 0.1), n=5)
    with pytest.raises(InputError, match=words):
        compare_segments({"device": cells}, "y", **{"control": "control", "declared": ["device"], **options})


def test_false_discoveries():
    """Three attributes of four segments, one effect for all: some segment is called different in at most 5 %."""
    rng = np.random.default_rng(10)
    runs, hits = 600, 0
    for _ in range(runs):
        x = rng.binomial(1_000, 0.1, (3, 4, 2)).tolist()
        segments = {
            str(a): {
                (str(v), arm): Moments.from_sums(["y"], 1_000, [k], {("y", "y"): k})
                for v, pair in enumerate(values)
                for arm, k in zip(("control", "offer"), pair, strict=True)
            }
            for a, values in enumerate(x)
        }
        found = compare_segments(segments, "y", control="control", declared=list(segments))
        hits += bool(found.differing())
    assert hits / runs <= 0.05 + 3.5 * math.sqrt(0.05 * 0.95 / runs)
    assert hits > 0
