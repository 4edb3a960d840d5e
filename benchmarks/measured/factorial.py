"""Factorial experiments, overlapping experiments and segments on simulated shops, from their moments."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from itertools import product

import numpy as np
from numpy.typing import NDArray
from offerlift.stats import Moments, compare_segments, normal_posteriors, overlap_interactions, shrink
from offerlift.stats.contrasts import detectable_effect, satterthwaite_contrasts, wald_statistics
from offerlift.stats.factorial_design import CellModel, Grid
from scipy.special import chdtrc, stdtr, stdtrit

from .draws import draw_revenue
from .tables import Cell, Row, Table, share

__all__ = ["BEST_CELL", "FACTORIAL", "FACTORIAL_TESTS", "OVERLAPS", "SEGMENTS"]

Array = NDArray[np.float64]
EIGHT = Grid.of({"a": (0, 1), "b": (0, 1), "c": (0, 1)})
NINE = Grid.of({"a": (0, 1, 2), "b": (0, 1, 2)})


def _cells(rng: np.random.Generator, runs: int, cell: Mapping[str, Cell], lifts: Array) -> tuple[Array, Array, float]:
    """Means and their variances, shape (runs, cells), of cells whose order values have these lifts; df of each."""
    n, rate, sigma = cell["n"], cell["rate"], cell["sigma"]
    drawn = [draw_revenue(rng, runs, n, rate, sigma, lift=lift)[0] for lift in lifts.tolist()]
    return np.stack([one.mean for one in drawn], 1), np.stack([one.variance / n for one in drawn], 1), n - 1.0


def measure_factorial(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    rng = np.random.default_rng(seed)
    effect = 0.2 if cell["effect"] == "a +20 %" else 0.0
    lifts = np.array([effect * levels[0] for levels in EIGHT.cells])
    mean, variance, df = _cells(rng, runs, cell, lifts)
    truth = cell["rate"] * (1 + lifts)
    kept = (mean > 0).all(axis=1) & (variance > 0).all(axis=1)
    mean, variance = mean[kept], variance[kept]
    if cell["scale"] == "log":
        mean, variance, truth = np.log(mean), variance / mean**2, np.log(truth)
    rows = np.vstack([EIGHT.contrasts(term)[1] for term in EIGHT.terms])
    estimate, total, freedom = satterthwaite_contrasts(rows, mean, variance, np.full(8, df))
    error = np.abs(estimate - rows @ truth) / np.sqrt(total)
    covered = error <= -stdtrit(freedom, 0.025)
    p_value = 2 * stdtr(freedom, -np.abs(estimate) / np.sqrt(total))
    # Holm errs exactly where the smallest p-value of a true null among those left does: one effect leaves five.
    null = np.abs(rows[:6] @ truth) < 1e-12
    false = (p_value[:, :6][:, null] <= 0.05 / null.sum()).any(axis=1)
    count = len(mean)
    return {
        "usable": share(count, runs),
        "main effects": share(covered[:, :3].mean(axis=1).sum(), count),
        "two-way": share(covered[:, 3:6].mean(axis=1).sum(), count),
        "three-way": share(covered[:, 6].sum(), count),
        "any false in the family": share(false.sum(), count),
    }


FACTORIAL = Table(
    "factorial",
    "Factorial experiments: single effects",
    "Two levels of three factors, n visitors a cell, revenue per visitor: coverage of the 95 % intervals of main "
    "effects and interactions, and how often any of the family of six terms (main effects, two-way) is falsely "
    "found after Holm. `usable`: every cell has orders of different value.",
    [
        {"n": n, "rate": rate, "sigma": 1.0, "scale": scale, "effect": effect}
        for n, rate, scale, effect in itertools.product(
            (500, 5_000), (0.02, 0.05), ("additive", "log"), ("none", "a +20 %")
        )
    ],
    measure_factorial,
    lambda cell: 20_000 if cell["n"] == 500 else 2_000,
)


def measure_tests(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    rng = np.random.default_rng(seed)
    mean, variance, df = _cells(rng, runs, cell, np.zeros(9))
    kept = (variance > 0).all(axis=1)
    mean, variance = mean[kept], variance[kept]
    found = {}
    for term, name in ((("a",), "main effect, 2 df"), (("a", "b"), "interaction, 4 df")):
        p_value = wald_statistics(NINE.contrasts(term)[1], mean, variance, np.full(9, df))[2]
        found[name] = share((p_value < 0.05).sum(), len(mean))
    fitted = CellModel(NINE, NINE.cells, ["a", "b"])
    lack = [chdtrc(4, fitted.lack_of_fit(m, v)) < 0.05 for m, v in zip(mean, variance, strict=True)]
    return {**found, "lack of fit, 4 df": share(sum(lack), len(mean))}


FACTORIAL_TESTS = Table(
    "factorial_tests",
    "Factorial experiments: tests of several contrasts",
    "Two factors of three levels without any effect, n visitors a cell, revenue per visitor: how often p < .05. "
    "Lack of fit is of the model with main effects alone.",
    [
        {"n": n, "rate": rate, "sigma": sigma}
        for n, rate, sigma in itertools.product((500, 5_000), (0.02, 0.05), (1.0, 1.5))
    ],
    measure_tests,
    lambda _: 2_000,
)


def measure_best(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    rng = np.random.default_rng(seed)
    right = claimed = 0.0
    raw, after = [], []
    for _ in range(runs):
        truth = 10 + cell["spread"] * rng.normal(0, 1, cell["cells"])
        se = rng.uniform(0.6, 1.4, cell["cells"])
        mean = truth + rng.normal(0, se)
        shrunk = shrink(mean, se**2)
        best = max(range(len(mean)), key=lambda at: (shrunk[at].shrunk, mean[at]))
        posterior = {str(at): (one.shrunk, one.shrunk_se**2) for at, one in enumerate(shrunk)}
        claimed += normal_posteriors(posterior, "0").probability_best[str(best)]
        right += truth[best] == truth.max()
        raw.append(mean[best] - truth[best])
        after.append(shrunk[best].shrunk - truth[best])
    return {
        "best cell found": share(right, runs),
        "claimed P(best)": share(claimed, runs),
        "raw mean less truth": _mean_and_error(raw),
        "shrunk mean less truth": _mean_and_error(after),
    }


def _mean_and_error(values: list[float]) -> str:
    return f"{np.mean(values):+.3f} ± {np.std(values) / math.sqrt(len(values)):.3f}"


BEST_CELL = Table(
    "best_cell",
    "The best cell of a factorial experiment",
    "Cells whose true means differ by the `spread` (a standard deviation), each measured with a standard error "
    "of .6 to 1.4: how often the chosen cell is truly the best and how often P(best) says so, and by how much "
    "its raw and its shrunk mean exceed its true one (without spread every cell is as good; no one of them is "
    "the best).",
    [{"cells": cells, "spread": spread} for cells, spread in itertools.product((4, 8), (0.0, 1.0, 2.0))],
    measure_best,
    lambda _: 1_000,
)


def measure_overlaps(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    rng = np.random.default_rng(seed)
    n, rate = cell["n"], 0.05
    arms = {f"e{k}": (0, 1) for k in range(4)}
    names = [(a, b) for a in arms for b in arms if a < b]
    variance = rate * (1 - rate) / n
    effect = detectable_effect(2 * math.sqrt(variance), 4.0 * (n - 1), 0.05, 0.8) if cell["effect"] == "one" else 0.0
    listed = discovered = raw = covered = 0
    proportion = 0.0
    for _ in range(runs):
        rates = np.full((len(names), 4), rate)
        rates[0, 3] += effect
        pairs = {
            pair: dict(zip(product((0, 1), (0, 1)), (_conversions(n, x) for x in row), strict=True))
            for pair, row in zip(names, rng.binomial(n, rates).tolist(), strict=True)
        }
        found = overlap_interactions(pairs, arms, "y")
        interacting = [one.experiments for one in found.interacting()]
        false = [one for one in interacting if not effect or one != names[0]]
        listed += bool(false)
        proportion += len(false) / max(len(interacting), 1)
        discovered += names[0] in interacting
        first = found.pairs[0].contrasts[0]
        raw += first.p_value <= 0.05
        covered += first.low <= effect <= first.high
    return {
        "any false": share(listed, runs),
        "false of those listed": share(proportion, runs),
        "first pair listed": share(discovered, runs),
        "first pair p < .05": share(raw, runs),
        "coverage": share(covered, runs),
    }


def _conversions(n: int, x: int) -> Moments:
    return Moments.from_sums(["y"], n, [x], {("y", "y"): x})


OVERLAPS = Table(
    "overlaps",
    "Experiments that share visitors",
    "Six pairs of four experiments, n visitors in each combination of arms, 5 % conversion. `effect` one: the "
    "first pair interacts by what it is said to detect with 80 %; of those listed after Benjamini and Hochberg "
    "at most 5 % should be false on average.",
    [{"n": n, "effect": effect} for n, effect in itertools.product((1_000, 10_000), ("none", "one"))],
    measure_overlaps,
    lambda _: 1_000,
)


def measure_segments(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    rng = np.random.default_rng(seed)
    n, attributes, values = cell["n"], 3, 4
    false = right = contrasts = shrunk = every = 0
    proportion = 0.0
    for _ in range(runs):
        effect = np.full((attributes, values), 0.01)
        if cell["effect"] == "one":
            effect[0, 0] = 0.06
        if cell["effect"] == "many":
            effect[0] += rng.normal(0, 0.02, values)
        x = rng.binomial(n, np.stack([np.full_like(effect, 0.1), 0.1 + effect], -1)).tolist()
        segments = {
            str(a): {
                (str(v), arm): _conversions(n, k)
                for v, pair in enumerate(of_attribute)
                for arm, k in zip(("control", "offer"), pair, strict=True)
            }
            for a, of_attribute in enumerate(x)
        }
        found = compare_segments(segments, "y", control="control", declared=list(segments))
        named = [int(one.attribute) for one, _ in found.differing()]
        wrong = [a for a in named if a or cell["effect"] == "none"]
        false += bool(wrong)
        right += 0 in named
        proportion += len(wrong) / max(len(named), 1)
        for one, truth in zip(found.segmentations[0].effects, effect[0].tolist(), strict=True):
            every += 1
            other = truth - (effect[0].sum() - truth) / (values - 1)
            contrasts += one.against_others.low <= other <= one.against_others.high
            shrunk += abs(one.shrunk.shrunk - truth) <= 1.96 * one.shrunk.shrunk_se
    return {
        "any false": share(false, runs),
        "false of those named": share(proportion, runs),
        "first attribute named": share(right, runs),
        "coverage of contrasts": share(contrasts, every),
        "shrunk ± 1.96 se": share(shrunk, every),
    }


SEGMENTS = Table(
    "segments",
    "Segments",
    "Three declared attributes of four segments, n visitors an arm and segment, 10 % conversion, an effect of "
    "one point. `one`: six points in one segment of the first attribute; `many`: its effects differ by 2 points "
    "(a standard deviation). How often an attribute without differences is named, the share of false ones, and "
    "the first attribute's coverage: of its contrasts against all others, and of the shrunk effects.",
    [{"n": n, "effect": effect} for n, effect in itertools.product((1_000, 4_000), ("none", "one", "many"))],
    measure_segments,
    lambda _: 1_000,
)
