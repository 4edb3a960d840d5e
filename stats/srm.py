"""Are the arms as large as they were meant to be? Fixed and sequential tests of counts (sample ratio mismatch)."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import SupportsFloat

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, gammaln

from ..errors import InputError
from .results import SampleRatio

__all__ = [
    "homogeneity_test",
    "running_sample_ratio_test",
    "sample_ratio_by_group",
    "sample_ratio_test",
    "sequential_sample_ratio_test",
]

Counts = Mapping[str, int] | Sequence[int]
Shares = Mapping[str, SupportsFloat] | Sequence[SupportsFloat]
Array = NDArray[np.float64]


def sample_ratio_test(counts: Counts, shares: Shares) -> SampleRatio:
    """Pearson's chi-squared of visitors by arm against the intended shares, one look.

    Σ (n_i - N θ_i)²/(N θ_i) on k - 1 degrees of freedom (Pearson 1900). Assumes one look at visitors, not at sessions;
    alarm below .001. Not for looking every day: `sequential_sample_ratio_test`.

    Args:
        counts: visitors by arm.
        shares: intended shares or weights of the same arms (normalised here); a share of 0 expects nobody.

    Raises:
        InputError: other arms in the one than in the other, negative or fractional counts, shares that are negative or
            all 0.

    Example:
        >>> round(sample_ratio_test({"a": 5100, "b": 4900}, {"a": 1, "b": 1}).p_value, 4)
        0.0455
    """
    observed, share, stray = _prepare(counts, shares)
    method, df = "pearson-chi-squared", max(len(observed) - 1, 0)
    if stray:
        return SampleRatio(0.0, math.inf, df, method, stray)
    total = float(observed.sum())
    if total == 0:
        return SampleRatio(1.0, 0.0, df, method, "no visitors")
    if df == 0:
        return SampleRatio(1.0, 0.0, df, method, "one arm: there is nothing to compare")
    expected = total * share
    statistic = float(((observed - expected) ** 2 / expected).sum())
    return SampleRatio(float(chdtrc(df, statistic)), statistic, df, method)


def sequential_sample_ratio_test(counts: Counts, shares: Shares, *, concentration: float = 100) -> SampleRatio:
    """Dirichlet-multinomial mixture test that may be read at every visitor (Lindon and Malek 2022).

    BF = Γ(Σα)/Γ(Σα + n) · Π Γ(α_i + n_i)/Γ(α_i) · Π θ_i^-n_i with α = concentration · θ; the p-value is min(1, 1/BF) at
    these counts, and the smallest over all looks is valid at any time.

    Assumes independent visitors. Not as sensitive at one look as Pearson's.

    Args:
        counts: visitors by arm.
        shares: intended shares or weights of the same arms.
        concentration: how closely the mixture keeps to the intended shares.

    Returns:
        `statistic` is ln BF.

    Raises:
        InputError: as `sample_ratio_test`, or a concentration that is not above 0.

    Example:
        >>> round(sequential_sample_ratio_test({"a": 5400, "b": 4600}, {"a": 1, "b": 1}).p_value, 12)
        0.0
    """
    observed, share, stray = _prepare(counts, shares)
    if not 0 < concentration < math.inf:
        raise InputError(f"concentration is {concentration!r}; a finite number above 0 is needed")
    method = "dirichlet-multinomial"
    if stray:
        return SampleRatio(0.0, math.inf, 0, method, stray)
    total = float(observed.sum())
    if total == 0:
        return SampleRatio(1.0, 0.0, 0, method, "no visitors")
    prior = concentration * share
    log_bf = float(
        (gammaln(prior + observed) - gammaln(prior) - observed * np.log(share)).sum()
        + gammaln(concentration)
        - gammaln(concentration + total)
    )
    return SampleRatio(math.exp(-max(log_bf, 0.0)), log_bf, 0, method)


def running_sample_ratio_test(looks: Iterable[Mapping[str, int]], shares: Mapping[str, SupportsFloat]) -> SampleRatio:
    """The sequential test over a history: the smallest p-value of all looks so far (Lindon & Malek 2022).

    The p-value of one moment rises again when the deviation is diluted; the running minimum stays a valid p-value at
    any time and, once it has rejected, keeps it.

    Args:
        looks: visitors of each arm that were added since the look before, in order of time.
        shares: as `sequential_sample_ratio_test`.

    Returns:
        The result at the look with the smallest p-value; of no looks, that of no visitors.

    Raises:
        InputError: as `sequential_sample_ratio_test`.

    Example:
        >>> days = [{"a": 500, "b": 500}, {"a": 600, "b": 400}, {"a": 500, "b": 500}]
        >>> running_sample_ratio_test(days, {"a": 1, "b": 1}).p_value < 0.01
        True
    """
    totals = dict.fromkeys(shares, 0)
    smallest = sequential_sample_ratio_test(totals, shares)
    for added in looks:
        totals = {arm: total + added[arm] for arm, total in totals.items()}
        smallest = min(smallest, sequential_sample_ratio_test(totals, shares), key=lambda result: result.p_value)
    return smallest


def sample_ratio_by_group(
    groups: Mapping[Hashable, Mapping[str, int]], shares: Mapping[str, SupportsFloat]
) -> dict[Hashable, SampleRatio]:
    """The fixed test within every day, segment or other group of visitors, with p-values adjusted for their number.

    A warning, never a verdict: a split that is wrong in one group only points at its cause. p is Holm's (1979) over the
    groups, so that a healthy experiment raises any of them as seldom as one test.

    Triggered visitors, or any other part that was chosen after the assignment, are compared with the assigned ones by
    `homogeneity_test(triggered, assigned)`: a trigger that depends on the arm spoils the comparison whatever the split.

    Args:
        groups: by group, visitors by arm.
        shares: intended shares or weights of the same arms.

    Returns:
        By group in the order given, with the adjusted p-value.

    Raises:
        InputError: as `sample_ratio_test`.
    """
    tests = {name: sample_ratio_test(counts, shares) for name, counts in groups.items()}
    adjusted: dict[Hashable, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(tests, key=lambda name: tests[name].p_value)):
        largest = max(largest, min((len(tests) - rank) * tests[name].p_value, 1.0))
        adjusted[name] = largest
    return {name: replace(test, p_value=adjusted[name]) for name, test in tests.items()}


def homogeneity_test(successes: Counts, totals: Counts) -> SampleRatio:
    """Pearson's chi-squared of k proportions being equal, without continuity correction.

    Arms without visitors are left out; p = 1 where nothing varies.

    Pearson (1900). Assumes independent visitors and five expected in each cell. Not for comparing a metric between
    arms: `compare_proportions` has the interval as well.

    Raises:
        InputError: other arms in the one than in the other, or successes outside 0..total.

    Example:
        >>> round(homogeneity_test({"a": 30, "b": 50}, {"a": 1000, "b": 1000}).p_value, 4)
        0.0225
    """
    x, n, _ = _align(successes, totals, "successes", "totals")
    x, n = _whole(x, "successes"), _whole(n, "totals")
    if (x > n).any():
        raise InputError(f"successes {x.astype(int).tolist()} exceed totals {n.astype(int).tolist()}")
    x, n = x[n > 0], n[n > 0]
    method, df = "pearson-chi-squared", max(len(n) - 1, 0)
    if df == 0 or x.sum() in (0, n.sum()):
        return SampleRatio(1.0, 0.0, df, method, "nothing varies between the arms")
    rate = x.sum() / n.sum()
    statistic = float(((x - n * rate) ** 2 / (n * rate * (1 - rate))).sum())
    return SampleRatio(float(chdtrc(df, statistic)), statistic, df, method)


def _prepare(counts: Counts, shares: Shares) -> tuple[Array, Array, str]:
    """Counts and normalised shares of the arms that expect visitors, and a sentence on visitors nobody expected."""
    raw, raw_shares, names = _align(counts, shares, "counts", "shares")
    observed = _whole(raw, "counts")
    share = np.array([float(value) for value in raw_shares], dtype=np.float64)
    if not np.isfinite(share).all() or (share < 0).any() or not share.sum() > 0:
        raise InputError(f"shares are {share.tolist()}; numbers of at least 0 with a sum above 0 are needed")
    stray = [name for name, o, s in zip(names, observed, share, strict=True) if s == 0 and o > 0]
    reason = f"visitors in {', '.join(stray)}, which should have none" if stray else ""
    expected = share > 0
    # One rounding only where the shares are fractions such as 1/3.
    exact = [value if isinstance(value, Fraction) else Fraction(float(value)) for value in raw_shares]
    total = sum(exact)
    share = np.array([float(value / total) for value in exact])
    return observed[expected], share[expected], reason


def _align(first, second, first_name: str, second_name: str) -> tuple[list, list, list[str]]:
    """Both as lists in the order of the second, with the arms' names."""
    if isinstance(first, Mapping) != isinstance(second, Mapping):
        raise InputError(f"{first_name} and {second_name} must both name their arms, or neither")
    if isinstance(first, Mapping):
        if set(first) != set(second):
            raise InputError(f"{first_name} are of arms {list(first)}, {second_name} of {list(second)}")
        return [first[name] for name in second], list(second.values()), list(second)
    if len(first) != len(second):
        raise InputError(f"{len(first)} {first_name} but {len(second)} {second_name}")
    return list(first), list(second), [f"arm {i + 1}" for i in range(len(second))]


def _whole(values: Sequence[int], name: str) -> Array:
    array = np.array([float(value) for value in values], dtype=np.float64)
    if not np.isfinite(array).all() or (array < 0).any() or (array != np.floor(array)).any():
        raise InputError(f"{name} are {array.tolist()}; whole numbers of at least 0 are needed")
    return array
