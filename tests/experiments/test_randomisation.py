"""What the analysis relies on: uniform buckets, independent salts, ramps that move nobody, guards that bias nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from hashlib import md5
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offerlift.experiments import Arm, Assigner, Counts, Offer, Reason, bucket
from offerlift.experiments.bulk import buckets
from scipy.special import chdtrc

from .shop import BETTER, definition, guarded, holdout, published
from .test_guards import CAP
from .test_hashing import ANCHORS

BUCKETS = 10_000


def _p_value(counts: np.ndarray, expected: np.ndarray, df: int) -> float:
    return float(chdtrc(df, ((counts - expected) ** 2 / expected).sum()))


@pytest.mark.slow
def test_ten_million_sequential_ids_fill_all_buckets_evenly() -> None:
    """Ten million ids counted up, over 10,000 buckets: the chi-square is neither too large nor too small."""
    counts = np.zeros(BUCKETS, int)
    for start in range(0, 10_000_000, 1_000_000):
        counts += np.bincount(buckets("exp/s", np.arange(start, start + 1_000_000)), minlength=BUCKETS)
    assert counts.sum() == 10_000_000
    assert 1e-4 < _p_value(counts, np.full(BUCKETS, 1_000.0), BUCKETS - 1) < 1 - 1e-4


NEAR = [(f"exp-{n}/s", f"exp-{n + 1}/s") for n in range(10)] + [
    ("exp/s", "exp/t"),
    ("exp/s", "exp/h"),
    ("exp/s", "exp./s"),
    ("exp/s", "Exp/s"),
    ("exp.2/s", "exp.3/s"),
    ("exp/s", "exp.2/s"),
    ("a/s", "b/s"),
    ("aa/s", "aaa/s"),
    ("exp1/s", "exp01/s"),
    ("shop/t", "shop2/t"),
    ("spring-2026/h", "spring-2027/h"),
    ("exp/s", "pxe/s"),
]


def test_arms_of_near_salts_are_independent() -> None:
    """Arms of 50/25/25 under salts that differ in a character: no pair is dependent (contingency, Bonferroni)."""
    ids = [f"visitor-{number}" for number in range(60_000)]
    arm_of = np.repeat([0, 1, 2], [5_000, 2_500, 2_500])
    arms = {salt: arm_of[buckets(salt, ids)] for salt in dict.fromkeys(salt for pair in NEAR for salt in pair)}
    p_values = []
    for one, other in NEAR:
        table = np.bincount(arms[one] * 3 + arms[other], minlength=9).reshape(3, 3)
        p_values.append(_p_value(table, np.outer(table.sum(1), table.sum(0)) / len(ids), 4))
    assert len(p_values) >= 20
    assert min(p_values) > 0.001 / len(p_values)


@pytest.fixture(scope="module")
def of_each_bucket() -> dict[str, list[str]]:
    """Salt -> one visitor for each of the 10,000 buckets, in order."""
    ids = list(map(str, range(200_000)))
    found = {}
    for salt in ("exp/s", "shop/t"):
        values, first = np.unique(buckets(salt, ids), return_index=True)
        assert values.tolist() == list(range(BUCKETS))
        found[salt] = [ids[index] for index in first]
    return found


@pytest.mark.parametrize("weights", [(5_000, 2_500, 2_500), (3_334, 3_333, 3_333), (1, 9_998, 1), (0, 10_000, 0)])
def test_each_bucket_belongs_to_one_arm(of_each_bucket: dict[str, list[str]], weights: tuple[int, ...]) -> None:
    """Over all 10,000 buckets each arm gets exactly its weight, in one piece."""
    assigner = Assigner({"exp": published(definition(arms=tuple(map(Arm, "abc", weights))))})
    arms = [assigner.assign("exp", visitor).arm for visitor in of_each_bucket["exp/s"]]
    assert "".join(arms) == "a" * weights[0] + "b" * weights[1] + "c" * weights[2]


@pytest.mark.parametrize(
    ("layer_range", "traffic", "reasons"),
    [
        ((0, 10_000), "1/100", {"SPLIT": (0, 100), "NOT_IN_TRAFFIC": (100, 10_000)}),
        ((2_000, 6_000), "1/4", {"LAYER": None, "SPLIT": (2_000, 3_000), "NOT_IN_TRAFFIC": (3_000, 6_000)}),
        ((9_999, 10_000), "1", {"LAYER": None, "SPLIT": (9_999, 10_000)}),
    ],
)
def test_each_slot_of_a_layer(
    of_each_bucket: dict[str, list[str]], layer_range: tuple[int, int], traffic: str, reasons: dict
) -> None:
    """Over all 10,000 slots: in the range from its start to the traffic, then not in traffic, outside the layer's."""
    made = definition(layer="shop", layer_range=layer_range, traffic=Fraction(traffic))
    assigner = Assigner({"exp": published(made)})
    found = [str(assigner.assign("exp", visitor).reason) for visitor in of_each_bucket["shop/t"]]
    assert set(found) == set(reasons)
    for reason, slots in reasons.items():
        if slots is not None:
            assert [slot for slot, one in enumerate(found) if one == reason] == list(range(*slots))


@pytest.mark.parametrize("traffic", ["1/100", "1/10", "1/2"])
def test_the_split_holds_inside_any_traffic(traffic: str) -> None:
    """50/25/25 inside 1 %, 10 % and 50 % of the traffic: who is let in says nothing about the arm."""
    made = definition(arms=tuple(map(Arm, "abc", (5_000, 2_500, 2_500))), traffic=Fraction(traffic))
    many = Assigner({"exp": published(made)}).assign_many("exp", list(map(str, range(400_000))))
    inside = many.is_reason(Reason.SPLIT)
    assert abs(inside.sum() / 400_000 / Fraction(traffic) - 1) < 0.06
    counts = np.bincount(many.arm[inside], minlength=3)
    assert _p_value(counts, counts.sum() * np.array([0.5, 0.25, 0.25]), 2) > 1e-3


IDS = list(map(str, range(1_500)))
RANGES = st.tuples(st.integers(0, BUCKETS), st.integers(0, BUCKETS)).map(sorted).filter(lambda r: r[0] < r[1])


@settings(deadline=None, derandomize=True, max_examples=50)
@given(RANGES, st.integers(1, BUCKETS), st.integers(1, BUCKETS))
def test_a_ramp_is_a_superset_with_equal_arms(layer_range: list[int], one: int, other: int) -> None:
    """Whoever takes part at some traffic takes part at any larger one, in the same arm."""
    low, high = sorted((one, other))
    small, large = (
        Assigner(
            {"exp": published(definition(layer_range=tuple(layer_range), traffic=Fraction(share, BUCKETS)))}
        ).assign_many("exp", IDS)
        for share in (low, high)
    )
    before = small.is_reason(Reason.SPLIT)
    assert large.is_reason(Reason.SPLIT)[before].all()
    assert (small.arm[before] == large.arm[before]).all()


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.lists(st.integers(1, BUCKETS - 1), min_size=1, max_size=6, unique=True), st.integers(1, BUCKETS))
def test_experiments_of_a_layer_never_share_a_visitor(cuts: list[int], traffic: int) -> None:
    """However a layer is divided: nobody takes part in two of its experiments, and at full traffic all in one."""
    edges = [0, *sorted(cuts), BUCKETS]
    taking_part = np.zeros(len(IDS), int)
    share = Fraction(traffic, BUCKETS)
    for number, layer_range in enumerate(pairwise(edges)):
        made = definition(f"e{number}", layer="shop", layer_range=layer_range, traffic=share)
        many = Assigner({made.experiment: published(made)}).assign_many(made.experiment, IDS)
        taking_part += many.is_reason(Reason.SPLIT)
    assert taking_part.max() <= 1
    assert share < 1 or taking_part.min() == 1


ANCHOR_SCRIPT = """
import sys, json
from offerlift.experiments import bucket
print(json.dumps([bucket(salt, visitor) for salt, visitor in json.load(sys.stdin)]))
"""


@pytest.mark.parametrize("seed", ["0", "1", "random"])
def test_anchors_under_any_hash_seed(seed: str) -> None:
    """Python's own hash randomisation moves no bucket."""
    done = subprocess.run(
        [sys.executable, "-c", ANCHOR_SCRIPT],
        input=json.dumps([(salt, visitor) for salt, visitor, _ in ANCHORS]),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": seed},
        check=True,
    )
    assert json.loads(done.stdout) == [expected for _, _, expected in ANCHORS]


def test_a_colon_cannot_confuse() -> None:
    """Ids may have colons, since salts may not: no salt and id are another salt and id."""
    assert bucket("exp/s", "a:b") == int(md5(b"exp/s:a:b").hexdigest()[:15], 16) % BUCKETS
    assert len({bucket("exp/s", one) for one in ("a:b", "ab", "a:", ":a", "a", ":")}) == 6


def _z(values: np.ndarray, treated: np.ndarray) -> float:
    """Difference of the arms' means over its standard error."""
    one, other = values[treated], values[~treated]
    return float((one.mean() - other.mean()) / np.sqrt(one.var() / len(one) + other.var() / len(other)))


def _sample_ratio(treated: np.ndarray) -> float:
    counts = np.bincount(treated.astype(int), minlength=2)
    return _p_value(counts, np.full(2, len(treated) / 2), 1)


def test_guards_keep_an_a_a_an_a_a() -> None:
    """Where only one arm is ever capped, all its visitors stay exposed in it: no sample ratio mismatch, no bias.
    Leaving the withheld ones out, as a careless backend would, shows both at once."""
    random = np.random.default_rng(7)
    arms = (Arm("a", 5_000, BETTER), Arm("b", 5_000, guarded(CAP)))
    assigner = Assigner({"exp": published(definition(arms=arms))})
    seen = random.poisson(1, 8_000)
    # Those who come often have seen it often and buy more, whatever the arm.
    revenue = 10.0 * seen + random.exponential(20, 8_000)
    answers = [assigner.assign("exp", v, counts=Counts(shown=int(count))) for v, count in enumerate(seen)]
    treated = np.array([one.arm == "b" for one in answers])
    exposed = np.array([one.reason is Reason.SPLIT for one in answers])
    withheld = np.array([one.withheld is not None for one in answers])
    assert exposed.all()
    assert (withheld == (treated & (seen >= 2))).all()
    assert _sample_ratio(treated) > 1e-3
    assert abs(_z(revenue, treated)) < 3.3
    kept = ~withheld
    assert _sample_ratio(treated[kept]) < 1e-6
    assert abs(_z(revenue[kept], treated[kept])) > 6


def test_holdout_keeps_an_a_a_an_a_a() -> None:
    """Inside a holdout the arms stay balanced, and both sides of the holdout are exposed for every eligible visitor of
    a covered experiment, whatever its traffic."""
    made = definition(arms=(Arm("a", 5_000), Arm("b", 5_000)), holdouts=("spring",), traffic=Fraction(1, 2))
    assigner = Assigner({"exp": published(made), "spring": published(holdout(held=5_000))})
    many = assigner.assign_many("exp", list(map(str, range(60_000))))
    revenue = np.random.default_rng(8).exponential(20, 60_000)
    assert many.in_holdout.all()
    assert _sample_ratio(many.held_out) > 1e-3
    assert abs(_z(revenue, many.held_out)) < 3.3
    split = many.is_reason(Reason.SPLIT)
    assert _sample_ratio(many.arm[split] == 1) > 1e-3
    assert abs(_z(revenue[split], many.arm[split] == 1)) < 3.3
    # Only those who take part: the holdout's sides would no longer be comparable.
    assert _sample_ratio(many.held_out[split | many.held_out]) < 1e-6


def test_timing_keeps_an_a_a_an_a_a() -> None:
    """Arms that differ in delay are exposed at the enrolment, so leaving before the late offer biases nothing; exposed
    when the offer shows, they would differ."""
    late = replace(Offer("late", "cross_sell", "email", "purchase"), delay=2 * 86_400_000_000)
    arms = (Arm("a", 5_000, replace(late, name="now", delay=0)), Arm("b", 5_000, late))
    assigner = Assigner({"exp": published(definition(arms=arms, enrol_on="purchase"))})
    random = np.random.default_rng(9)
    stays_days = random.exponential(3, 8_000)
    revenue = 5 * stays_days + random.exponential(20, 8_000)
    answers = [assigner.assign("exp", visitor) for visitor in range(8_000)]
    treated = np.array([one.arm == "b" for one in answers])
    assert _sample_ratio(treated) > 1e-3
    assert abs(_z(revenue, treated)) < 3.3
    shown = np.array(
        [
            one.offer is not None and stays * 86_400_000_000 >= one.offer.delay
            for one, stays in zip(answers, stays_days, strict=True)
        ]
    )
    assert _sample_ratio(treated[shown]) < 1e-6
    assert abs(_z(revenue[shown], treated[shown])) > 6
