"""Experiments on the `SimulatedShop` of `offerlift.experiments.testing`, as moments, for `benchmarks/offers.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from offerlift.experiments.testing import SimulatedShop
from offerlift.stats import Moments

__all__ = ["Arms", "experiments", "holds", "moments"]

Arms = Mapping[str, Mapping[str, NDArray[np.float64]]]
"""Arm -> column -> one number a visitor."""


def experiments(shop: SimulatedShop, seed: int, runs: int, visitors: int) -> Iterator[Arms]:
    """So many experiments of one shop, each from a seed of its own."""
    for run in range(runs):
        yield shop.arrays([seed, run], visitors)


def moments(arms: Arms, *columns: str) -> dict[str, Moments]:
    """Moments of every arm."""
    return {arm: Moments.from_arrays({name: values[name] for name in columns}) for arm, values in arms.items()}


def holds(found, truth: float) -> bool:
    """Whether an interval has the truth: bounded, open at an end, or all but what lies between its ends."""
    kind = getattr(found, "kind", "bounded")
    if kind == "complement":
        return truth <= found.low or truth >= found.high
    if kind == "undefined":
        return False
    return (found.low is None or found.low <= truth) and (found.high is None or truth <= found.high)
