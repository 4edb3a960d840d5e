"""What a programme of experiments brought in all: the shipped offers together, less their winner's curse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from ..errors import InputError
from .fieller import check_alpha
from .results import Amount
from .roots import bracketed_root
from .showing import Row, Shown
from .shrinkage import LEAST_EXPERIMENTS, Experience, Shrunk, effects_and_variances, shrink_sceptically

__all__ = ["PastExperiment", "Programme", "programme_total"]

Array = NDArray[np.float64]

LOSERS_MISSING = "every experiment was shipped: a store without losers makes all of them look too good"
NOTHING_SHIPPED = "nothing was shipped"


@dataclass(frozen=True, slots=True)
class PastExperiment(Shown):
    """One experiment of a programme, shipped or not.

    Attributes:
        name: what it is called.
        effect, se: estimate and standard error at its end, in the unit of all others (mostly the relative lift).
        shipped: whether the offer was shipped.
        weight: what an effect of 1 is worth in the unit of the total, such as the money a week of the pages it is on; 1
            adds up the effects themselves.

    Example:
        >>> PastExperiment("free shipping from 50", 0.04, 0.01, shipped=True).weight
        1.0
    """

    name: str
    effect: float
    se: float
    shipped: bool
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Programme(Shown):
    """What the shipped offers of a programme brought together.

    Attributes:
        raw: sum of the raw estimates: too large, since the lucky ones were shipped.
        total: the sum after shrinkage, with its credible interval; the headline.
        corrected: the raw sum less its expected excess (Lee and Shen 2018); None where nobody gave the thresholds.
        shipped, experiments: how many offers, and of how many experiments.
        prior: `experience` (from ten experiments on their own distribution) or `sceptical`.
        note: one sentence where the total needs a caution; "" otherwise.
        effects: each experiment before and after shrinkage, in its own unit, by name.

    Example:
        >>> past = [PastExperiment("a", 0.04, 0.01, True), PastExperiment("b", 0.01, 0.01, False)]
        >>> found = programme_total(past, smallest_effect=0.05)
        >>> found.raw, round(found.total.estimate, 4), found.prior
        (0.04, 0.0347, 'sceptical')
    """

    raw: float
    total: Amount
    corrected: float | None
    shipped: int
    experiments: int
    prior: str
    note: str
    effects: dict[str, Shrunk]

    def to_dicts(self) -> list[Row]:
        """One row: the totals."""
        return [
            {
                "raw": self.raw,
                "estimate": self.total.estimate,
                "se": self.total.se,
                "low": self.total.low,
                "high": self.total.high,
                "corrected": self.corrected,
                "shipped": self.shipped,
                "experiments": self.experiments,
                "prior": self.prior,
                "note": self.note,
            }
        ]


def programme_total(
    past: Sequence[PastExperiment],
    *,
    smallest_effect: float,
    thresholds: ArrayLike | None = None,
    alpha: float = 0.05,
) -> Programme:
    """The shipped offers' effects together, shrunk and with an interval, beside their raw sum.

    From ten experiments on, true effects are taken as N(μ, τ²) with flat priors on μ and τ, and the sum's distribution
    is integrated over both (Gelman et al. 2013, section 5.4): how far effects lie apart is not taken as known, and a τ
    estimated as 0 makes nothing certain. Below ten, each effect has the sceptical prior N(0, (MDE/1.96)²). Given such a
    prior, picking the winners does not bias the sum (Senn 2008).

    With `thresholds` also the raw sum of the shipped corrected for having been selected (Lee and Shen 2018):
    Σ_shipped y_i - Σ_all σ_i φ(b_i - y_i/σ_i), where i is shipped if y_i/σ_i > b_i. The correction takes all
    experiments, shipped or not, and wants the rule to have been this one.

    Assumes independent experiments of one kind whose effects add up and last. Not for a store of shipped offers alone:
    losers belong to it, and a flat store of winners cannot be mended here.

    Args:
        past: every experiment of the programme, losers included.
        smallest_effect: the minimum detectable effect of the plans, for the sceptical prior.
        thresholds: the z-value b_i above which it would be shipped, one each or one for all.
        alpha: 1 minus the level of the interval, two-sided.

    Raises:
        InputError: no experiment, a name twice, a standard error that is not above 0, numbers that are not finite.

    Example:
        >>> past = [PastExperiment(f"e{i}", y, 0.01, y > 0.0196) for i, y in enumerate([0.04, 0.01, -0.02, 0.03] * 3)]
        >>> total = programme_total(past, smallest_effect=0.05, thresholds=1.96)
        >>> round(total.raw, 3), round(total.total.estimate, 3), round(total.corrected, 3)
        (0.21, 0.191, 0.194)
    """
    alpha = check_alpha(alpha)
    y, v, w = _checked(past)
    chosen = np.where([one.shipped for one in past], w, 0.0)
    if len(past) < LEAST_EXPERIMENTS:
        prior = "sceptical"
        effects = shrink_sceptically(y, v, smallest_effect)
        total = Amount.around(
            float(chosen @ [one.shrunk for one in effects]),
            float(chosen**2 @ [one.shrunk_se**2 for one in effects]),
            -float(ndtri(alpha / 2)),
        )
    else:
        prior, experience = "experience", Experience.of(y, v)
        effects = [experience.shrunk(at) for at in range(len(past))]
        total = _sum_of(experience, chosen, alpha)
    shipped = sum(one.shipped for one in past)
    note = NOTHING_SHIPPED if shipped == 0 else LOSERS_MISSING if shipped == len(past) > 1 else ""
    raw = math.fsum(one.effect * one.weight for one in past if one.shipped)
    return Programme(
        raw,
        total,
        None if thresholds is None else raw - _expected_excess(y, v, w, thresholds),
        shipped,
        len(past),
        prior,
        note,
        {one.name: effect for one, effect in zip(past, effects, strict=True)},
    )


def _checked(past: Sequence[PastExperiment]) -> tuple[Array, Array, Array]:
    """Effects, variances and weights."""
    if not past:
        raise InputError("there are no experiments; a programme has one or more")
    names = [one.name for one in past]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"the experiment {twice!r} is there twice; each belongs once", hint="Give each another name.")
    for one in past:
        if not 0 < one.se < math.inf or not math.isfinite(one.weight):
            raise InputError(
                f"experiment {one.name!r} has the standard error {one.se!r} and the weight {one.weight!r};"
                " a finite number above 0 and a finite one are needed"
            )
    y, v = effects_and_variances([one.effect for one in past], [one.se**2 for one in past])
    return y, v, np.array([one.weight for one in past], dtype=np.float64)


def _sum_of(experience: Experience, chosen: Array, alpha: float) -> Amount:
    """The weighted sum of true effects: a mixture of normals over τ, its mean, standard deviation and equal tails."""
    keep, weights = experience.keep(), experience.weights
    # Given τ the effects share what is not known of μ, so that their sum has it as a whole.
    means = (keep * experience.y) @ chosen + ((1 - keep) @ chosen) * experience.mu
    variances = (keep * experience.v) @ chosen**2 + ((1 - keep) @ chosen) ** 2 * experience.of_mu
    middle = float(weights @ means)
    variance = float(weights @ (variances + (means - middle) ** 2))
    if variance == 0:
        return Amount(middle, 0.0, middle, middle)
    sds = np.sqrt(variances)
    z = -float(ndtri(alpha / 2))

    def end(share: float, side: float) -> float:
        def above(x: float) -> float:
            return float(weights @ ndtr((x - means) / sds)) - share

        # Each component's own quantile lies on one side or the other of the mixture's.
        ends = means + side * z * sds
        low, high = float(ends.min()), float(ends.max())
        if low == high or above(low) >= 0:
            return low
        return bracketed_root(above, low, high, above(low), above(high)) if above(high) > 0 else high

    return Amount(middle, math.sqrt(variance), end(alpha / 2, -1.0), end(1 - alpha / 2, 1.0))


def _expected_excess(y: Array, v: Array, w: Array, thresholds: ArrayLike) -> float:
    se = np.sqrt(v)
    away = np.broadcast_to(np.asarray(thresholds, dtype=np.float64), y.shape) - y / se
    return float((w * se) @ (np.exp(-(away**2) / 2) / math.sqrt(2 * math.pi)))
