"""The same as `test_randomisation`, at sizes that see smaller faults; part of the full check alone."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import numpy as np
import pytest
from offerlift.experiments import Arm, Assigner, Counts, Reason, bucket
from offerlift.experiments.bulk import buckets
from scipy.special import chdtrc, kolmogorov, ndtr

from .shop import BETTER, definition, guarded, holdout, published
from .test_guards import CAP
from .test_randomisation import BUCKETS, NEAR

pytestmark = pytest.mark.full

HALVES = (Arm("a", 5_000), Arm("b", 5_000))
REVENUE = np.random.default_rng(11).pareto(3, 20_000) * 40


def _chi_square(counts: np.ndarray, expected: np.ndarray, df: int) -> float:
    return float(chdtrc(df, ((counts - expected) ** 2 / expected).sum()))


def _is_uniform(p_values: Iterable[float]) -> bool:
    """Kolmogorov-Smirnov at 1e-4: p-values of a true null are uniform."""
    ordered = np.sort(np.fromiter(p_values, float))
    steps = np.arange(len(ordered) + 1) / len(ordered)
    distance = max(np.max(steps[1:] - ordered), np.max(ordered - steps[:-1]))
    return bool(kolmogorov(distance * np.sqrt(len(ordered))) > 1e-4)


def _sample_ratio(treated: np.ndarray) -> float:
    return _chi_square(np.bincount(treated, minlength=2), np.full(2, len(treated) / 2), 1)


def _difference(values: np.ndarray, treated: np.ndarray) -> float:
    one, other = values[treated], values[~treated]
    z = (one.mean() - other.mean()) / np.sqrt(one.var() / len(one) + other.var() / len(other))
    return float(2 * ndtr(-abs(z)))


@pytest.mark.parametrize("shape", ["{}", "visitor-{}", "{:016x}", "shop:{}@example.org"])
def test_ten_million_ids_of_any_shape_fill_all_buckets_evenly(shape: str) -> None:
    """Counted up in decimal, prefixed, in hexadecimal, in an address: ten million ids give each bucket its share."""
    counts = np.zeros(BUCKETS, int)
    for start in range(0, 10_000_000, 500_000):
        ids = [shape.format(number) for number in range(start, start + 500_000)]
        counts += np.bincount(buckets("exit-downsell/s", ids, threads=2), minlength=BUCKETS)
    assert counts.sum() == 10_000_000
    assert 1e-4 < _chi_square(counts, np.full(BUCKETS, 1_000.0), BUCKETS - 1) < 1 - 1e-4


def test_near_salts_over_a_million_visitors() -> None:
    """Buckets in tenths under salts that differ in a character: no pair is dependent (contingency, Bonferroni)."""
    ids = [f"visitor-{number}" for number in range(1_000_000)]
    salts = dict.fromkeys(salt for pair in NEAR for salt in pair)
    tenths = {salt: (buckets(salt, ids, threads=2) // 1_000).astype(int) for salt in salts}
    tables = [np.bincount(tenths[one] * 10 + tenths[other], minlength=100).reshape(10, 10) for one, other in NEAR]
    p_values = [_chi_square(table, np.outer(table.sum(1), table.sum(0)) / len(ids), 81) for table in tables]
    assert len(p_values) >= 20
    assert min(p_values) > 0.001 / len(p_values)


def test_half_a_million_ids_in_bulk_are_the_scalar_ones() -> None:
    """Random ids of all lengths and scripts, one by one and in bulk."""
    random = np.random.default_rng(12)
    letters = np.array(list("abcXYZ019-_:. éß日😀\u0301"))
    drawn = ["".join(random.choice(letters, length)) for length in random.integers(1, 60, 250_000)]
    numbers = random.integers(-(2**63), 2**63 - 1, 250_000).tolist()
    ids = [one for pair in zip(drawn, numbers, strict=True) for one in pair]
    assert buckets("exit-downsell/s", ids, threads=2).tolist() == [bucket("exit-downsell/s", one) for one in ids]


@pytest.mark.parametrize("traffic", ["1", "1/10"])
@pytest.mark.parametrize("held", [0, 2_000])
def test_a_a_is_calibrated_over_a_thousand_experiments(traffic: str, held: int) -> None:
    """A thousand A/A experiments on the same visitors with heavy-tailed revenue, with and without ramp and holdout:
    the p-values of the sample ratio and of the difference are uniform."""
    ids = [f"customer-{number}" for number in range(len(REVENUE))]
    ratios, differences = [], []
    for number in range(1_000):
        made = definition(f"aa-{number}", arms=HALVES, traffic=Fraction(traffic), holdouts=("spring",) if held else ())
        experiments = {made.experiment: published(made)}
        if held:
            experiments["spring"] = published(holdout(f"spring-{number}", held=held))
        many = Assigner(experiments).assign_many(made.experiment, ids)
        taking_part = many.is_reason(Reason.SPLIT)
        treated = many.arm[taking_part] == 1
        ratios.append(_sample_ratio(treated))
        differences.append(_difference(REVENUE[taking_part], treated))
    assert _is_uniform(ratios)
    assert _is_uniform(differences)


def test_guards_are_calibrated_over_many_experiments() -> None:
    """Four hundred A/A experiments in which only one arm is ever capped: the p-values of the sample ratio and of the
    difference are uniform among the exposed; among those who saw the offer they are not."""
    random = np.random.default_rng(13)
    arms = (Arm("a", 5_000, BETTER), Arm("b", 5_000, guarded(CAP)))
    ratios, differences, careless = [], [], []
    for number in range(400):
        seen = random.poisson(1, 3_000)
        revenue = 10.0 * seen + random.exponential(20, len(seen))
        assigner = Assigner({"exp": published(definition(arms=arms, salt=f"aa-{number}"))})
        answers = [assigner.assign("exp", v, counts=Counts(shown=int(count))) for v, count in enumerate(seen)]
        treated = np.array([one.arm == "b" for one in answers if one.reason is Reason.SPLIT])
        shown = np.array([one.withheld is None for one in answers])
        ratios.append(_sample_ratio(treated))
        differences.append(_difference(revenue, treated))
        careless.append(_difference(revenue[shown], treated[shown]))
    assert _is_uniform(ratios)
    assert _is_uniform(differences)
    assert not _is_uniform(careless)
