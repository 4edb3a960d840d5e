"""Visitors in clusters: coverage of the cluster-robust difference with ten to forty agents."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import numpy as np
from offerlift.stats import compare_clusters
from scipy.special import ndtri

from .tables import Cell, Row, Table, share

__all__ = ["CLUSTERS"]

VISITORS = 60
"""Of an agent, on average."""


def measure(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    rng = np.random.default_rng(seed)
    found = dict.fromkeys(("CR2", "CR1", "independent"), 0)
    defined = 0
    for _ in range(runs):
        sums = _experiment(cell, rng)
        cr2 = compare_clusters(sums[1], sums[0]).difference
        if cr2 is None:
            continue
        defined += 1
        cr1 = compare_clusters(sums[1], sums[0], variance="cr1").difference
        found["CR2"] += cr2.low <= 0 <= cr2.high
        found["CR1"] += cr1.low <= 0 <= cr1.high
        found["independent"] += abs(cr2.estimate) <= -ndtri(0.025) * _independent_se(sums, cell["icc"])
    return {
        "defined": share(defined, runs),
        "CR2, Bell-McCaffrey": share(found["CR2"], defined),
        "CR1, t(G - 1)": share(found["CR1"], defined),
        "as if independent": share(found["independent"], defined),
    }


def _experiment(cell: Mapping[str, Cell], rng: np.random.Generator) -> list[dict[int, tuple[int, float]]]:
    """Visitors and sums by agent, of the control and of the treatment, with no effect on average.

    A visitor's own variance is 1; agents differ by the intraclass correlation, and in a shared design by half as much
    again in what the treatment does to their visitors.
    """
    agents = cell["agents"]
    size = np.full(agents, VISITORS)
    if cell["sizes"] == "uneven":
        weight = np.exp(rng.normal(0, 1, agents))
        size = np.maximum(np.round(agents * VISITORS * weight / weight.sum()), 2).astype(int)
    between = math.sqrt(cell["icc"] / (1 - cell["icc"]))
    level = rng.normal(0, between, agents)
    if cell["design"] == "shared":
        treated = rng.binomial(size, 0.5)
        effect = rng.normal(0, between * math.sqrt(0.5), agents)
    else:
        treated = np.where(np.arange(agents) < agents * (0.25 if cell["design"] == "nested 1:3" else 0.5), size, 0)
        effect = np.zeros(agents)
    arms = []
    for n, mean in ((size - treated, level), (treated, level + effect)):
        total = n * mean + np.sqrt(n) * rng.normal(0, 1, agents)
        arms.append({k: (int(n[k]), float(total[k])) for k in range(agents) if n[k]})
    return arms


def _independent_se(sums: list[dict[int, tuple[int, float]]], icc: float) -> float:
    """What the standard error would be, by the visitors' true variance, if they were independent."""
    return math.sqrt(sum(1 / (1 - icc) / sum(n for n, _ in arm.values()) for arm in sums))


CLUSTERS = Table(
    "clusters",
    "Visitors in clusters",
    "Coverage of the 95 % interval of a difference whose visitors come from agents, 60 each (uneven: lognormal "
    "sizes, coefficient of variation 1.3). Shared: each agent has visitors of both arms, and the effect differs "
    "between agents; nested: an agent has one arm (1:3, a quarter of the agents the treatment). `defined`: at "
    "least two degrees of freedom.",
    [
        {"design": design, "sizes": sizes, "agents": agents, "icc": icc}
        for design, sizes, agents, icc in itertools.product(
            ("shared", "nested", "nested 1:3"), ("equal", "uneven"), (10, 20, 40), (0.05, 0.3)
        )
    ],
    measure,
    lambda _: 2_000,
)
