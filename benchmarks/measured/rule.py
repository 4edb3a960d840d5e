"""The whole decision rule: planned looks, several arms, guardrails."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import numpy as np
from offerlift.stats import Finding, error_budget, follow_rule, planned_looks
from scipy.special import ndtri

from .draws import Array
from .tables import Cell, Row, Table, share

__all__ = ["RULE"]

LOOKS = 12
VISITORS = 2_000
"""New visitors of each arm at each look."""

RATE, SIGMA = 0.05, 1.0
CORRELATION = 0.4
"""Of each guardrail with the primary metric, within an arm."""

POWER = 0.8
BLOCK = 500


def measure(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    """Revenue per visitor is drawn order by order; guardrails are normal, as sums of very many visitors are."""
    arms, guardrails, effect = cell["arms"], cell["guardrails"], cell["effect"]
    rng = np.random.default_rng(seed)
    clocks = [(k + 1) / LOOKS for k in range(LOOKS)]
    looks = planned_looks(clocks, error_budget([1.0] * arms, 1.0, guardrails))
    # The power of one look at the end for one arm: what is lost by looks and arms is seen in the table.
    lift = 0.0 if effect == "none" else _lift_for_power()
    findings = [_block(rng, min(BLOCK, runs - start), arms, guardrails, lift, looks) for start in range(0, runs, BLOCK)]
    found = np.concatenate([one.findings for one in findings])
    when = np.concatenate([one.look for one in findings])
    shipped = np.concatenate([one.shipped for one in findings])
    harm = np.isin(found, (Finding.ALARM, Finding.HARM, Finding.GUARDRAIL_FAILED, Finding.GUARDRAIL_FAILED_AT_END))
    stopped = np.where(shipped >= 0, np.take_along_axis(when, np.maximum(shipped, 0)[:, None], 1)[:, 0], LOOKS)
    return {
        "ship": share((shipped >= 0).sum(), runs),
        # Without an effect no arm is the right one.
        "of these the right arm": share((shipped == 0).sum(), (shipped >= 0).sum()) if lift else "-",
        "stop_harm": share(harm.any(axis=1).sum(), runs),
        "ship or stop_harm": share(((shipped >= 0) | harm.any(axis=1)).sum(), runs),
        "mean look of the end": float(stopped.mean()),
    }


def _block(rng: np.random.Generator, runs: int, arms: int, guardrails: int, lift: float, looks):
    """Only the first treatment has the effect."""
    first, second = _revenue(rng, (runs, LOOKS, arms + 1))
    factor = np.ones(arms + 1)
    factor[1] += lift
    # How far each arm's money is from its mean, for the guardrails.
    moved = (first - VISITORS * RATE) / math.sqrt(VISITORS * RATE * math.exp(SIGMA * SIGMA))
    total, square = (np.cumsum(one * factor**k, axis=1) for k, one in ((1, first), (2, second)))
    n = VISITORS * np.arange(1, LOOKS + 1)[None, :, None]
    mean = total / n
    variance = (square - n * mean**2) / (n - 1) / n
    z = (mean[:, :, 1:] - mean[:, :, :1]) / np.sqrt(variance[:, :, 1:] + variance[:, :, :1])
    if not guardrails:
        return follow_rule(looks, z)
    own = rng.standard_normal((*moved.shape, guardrails))
    walk = np.cumsum(CORRELATION * moved[..., None] + math.sqrt(1 - CORRELATION**2) * own, axis=1)
    guarded = (walk[:, :, 1:] - walk[:, :, :1]) / np.sqrt(2 * np.arange(1, LOOKS + 1))[None, :, None, None]
    # Each powered at 1 - β/(G + 1) at the end, as plans ask for.
    at_end = 1.959964 + float(ndtri(1 - (1 - POWER) / (guardrails + 1)))
    margin = at_end * np.sqrt(np.arange(1, LOOKS + 1) / LOOKS)[None, :, None, None]
    return follow_rule(looks, z, guardrail_z=guarded, margin_z=margin)


def _revenue(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Σx and Σx² of the new visitors in each cell."""
    orders = rng.binomial(VISITORS, RATE, math.prod(shape))
    values = rng.lognormal(-SIGMA * SIGMA / 2, SIGMA, orders.sum())
    cell = np.repeat(np.arange(orders.size), orders)
    first, second = (np.bincount(cell, weights=values**k, minlength=orders.size) for k in (1, 2))
    return first.reshape(shape), second.reshape(shape)


def _lift_for_power() -> float:
    n = VISITORS * LOOKS
    # Variance of a visitor's revenue: p E[y²] - (p E y)².
    variance = RATE * math.exp(SIGMA * SIGMA) - RATE**2
    return (1.959964 + float(ndtri(POWER))) * math.sqrt(2 * variance / n) / RATE


RULE = Table(
    "rule",
    "The whole decision rule over twelve looks",
    "Equal arms, revenue per visitor, twelve equally spaced planned looks, guardrails correlated .4 with the primary "
    "metric. `none`: nothing has an effect, and `ship or stop_harm` is false, at most 5.5 %. `one arm`: the revenue of "
    "the first arm has the lift that a single look at the end would find with 80 % power.",
    [
        {"arms": arms, "guardrails": guardrails, "effect": effect}
        for arms, guardrails, effect in (
            *itertools.product((1, 2, 3, 4, 5), (0, 1, 2, 3, 5), ("none",)),
            *itertools.product((1, 3, 5), (0, 2), ("one arm",)),
        )
    ],
    measure,
)
