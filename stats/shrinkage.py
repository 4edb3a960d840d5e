"""Shrinkage: what is left of an effect once it is known among how many others, or how sceptical, it was picked.

The largest of several estimates is too large on average (the winner's curse). Drawing every estimate towards what such
effects usually are undoes that on average. Raw and shrunk always come together: the shrunk one is what to expect after
shipping, the raw one is what was measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from ..errors import InputError
from .roots import bracketed_root
from .rules import legendre
from .showing import Shown

__all__ = [
    "LEAST_ARMS",
    "LEAST_EXPERIMENTS",
    "Experience",
    "Shrunk",
    "between_variance",
    "sceptical_prior",
    "shrink",
    "shrink_arms",
    "shrink_by_experience",
    "shrink_together",
]

Array = NDArray[np.float64]
Tau = Literal["paule-mandel", "dersimonian-laird"]
Prior = Literal["effects", "experience", "sceptical"]

LEAST_ARMS = 4
"""Treatments of one experiment from which on they tell how far apart effects are; below, the sceptical prior."""

LEAST_EXPERIMENTS = 10
"""Past experiments, losers included, from which on they do the same for a new one."""


@dataclass(frozen=True, slots=True)
class Shrunk(Shown):
    """An estimate before and after shrinkage.

    Attributes:
        raw, raw_se: as measured.
        shrunk, shrunk_se: posterior mean and standard deviation, given the prior.
        prior_mean, prior_variance: what it was drawn towards, and how far effects lie from it (τ²); of past experiments
            the posterior means of μ and τ².
        prior: where that comes from: `effects` (those estimated together), `experience` (past experiments) or
            `sceptical`.

    Example:
        >>> one, = shrink_arms([0.04], [0.0004], 0.05)
        >>> print(one)
        Shrunk
          raw             0.04
          raw_se          0.02
          shrunk          0.02477
          shrunk_se       0.01574
          prior_mean      0
          prior_variance  0.0006508
          prior           sceptical
    """

    raw: float
    raw_se: float
    shrunk: float
    shrunk_se: float
    prior_mean: float
    prior_variance: float
    prior: Prior


def between_variance(effects: ArrayLike, variances: ArrayLike, *, method: Tau = "paule-mandel") -> float:
    """τ²: by how much true effects differ from each other, beyond what their standard errors explain.

    `paule-mandel` (1982) solves Q(τ²) = Σ (y_i - μ)²/(v_i + τ²) = k - 1, `dersimonian-laird` (1986) is its one-step
    version τ² = max(0, (Q(0) - (k - 1))/(Σw - Σw²/Σw)), w = 1/v. Assumes independent estimates: arms that share a
    control are not, and their τ² comes out a little too small.

    Not for two or three estimates, which say next to nothing of τ².

    Args:
        effects: shape (k,), two or more.
        variances: shape (k,), squared standard errors, above 0.

    Raises:
        InputError: other shapes or values, or another method.

    Example:
        >>> round(between_variance([0.02, -0.01, 0.06, 0.01], [1e-4, 1e-4, 2e-4, 1e-4]), 6)
        0.000706
    """
    y, v = effects_and_variances(effects, variances)
    if len(y) < 2:
        raise InputError(f"{len(y)} effects; how far they differ takes two or more")
    if method == "dersimonian-laird":
        w = 1 / v
        return float(max(0.0, (_spread(y, v, 0.0) - (len(y) - 1)) / (w.sum() - (w @ w) / w.sum())))
    if method != "paule-mandel":
        raise InputError(f"method {method!r}; it is paule-mandel or dersimonian-laird")

    def excess(tau2: float) -> float:
        return _spread(y, v, tau2) - (len(y) - 1)

    low = excess(0.0)
    if low <= 0:
        return 0.0
    # Q(τ²) is below Σ(y - ȳ)²/τ², so that the root is below this.
    high = float(((y - y.mean()) ** 2).sum() / (len(y) - 1))
    top = excess(high)
    return bracketed_root(excess, 0.0, high, low, top, tolerance=1e-14 * high) if top < 0 else high


def shrink(effects: ArrayLike, variances: ArrayLike, *, method: Tau = "paule-mandel") -> list[Shrunk]:
    """Each effect drawn towards their common mean: (τ² y_i + v_i μ)/(τ² + v_i), the BLUP (Robinson 1991).

    μ is the mean weighted by 1/(v_i + τ²). `shrunk_se`² is τ² v_i/(τ² + v_i) and, for μ being estimated as well,
    (v_i/(τ² + v_i))² var(μ). It takes τ² as known, which flatters with few effects: use `shrink_arms` or
    `shrink_by_experience`, which ask for enough of them.

    Assumes independent estimates with known variances. Not for a smallest or largest effect chosen from many without
    the others.

    Args, Raises: as in `between_variance`.

    Example:
        >>> [round(one.shrunk, 4) for one in shrink([0.02, -0.01, 0.06, 0.01], [1e-4, 1e-4, 2e-4, 1e-4])]
        [0.0199, -0.0064, 0.0509, 0.0111]
    """
    y, v = effects_and_variances(effects, variances)
    tau2 = between_variance(y, v, method=method)
    mu, of_mu = _centre(y, v, tau2), _variance_of_centre(v, tau2)
    return [_blup(float(a), float(b), mu, tau2, "effects", of_mu) for a, b in zip(y, v, strict=True)]


def sceptical_prior(smallest_effect: float) -> float:
    """Variance of the prior N(0, (MDE/1.96)²): in 19 of 20 offers the effect is smaller than the one worth having.

    A normal prior centred on no effect (Spiegelhalter, Freedman and Parmar 1994). Assumes that the plan's minimum
    detectable effect is the smallest worth having. Not where ten past experiments are known: `shrink_by_experience`.

    Example:
        >>> round(math.sqrt(sceptical_prior(0.05)), 4)
        0.0255
    """
    if not 0 < smallest_effect < math.inf:
        raise InputError(f"the smallest effect worth having is {smallest_effect!r}; a number above 0 is needed")
    return (smallest_effect / -float(ndtri(0.025))) ** 2


def shrink_arms(effects: ArrayLike, variances: ArrayLike, smallest_effect: float) -> list[Shrunk]:
    """The arms of one experiment: drawn towards each other from four treatments on, below towards no effect.

    `shrink`, or with fewer than four the normal posterior under `sceptical_prior` (Robinson 1991; Spiegelhalter,
    Freedman and Parmar 1994). Assumes arms of one kind; the control that they share is not taken into account. Not for
    the verdict, which takes the raw interval.

    Args:
        effects, variances: of each treatment against the control, on the scale of `smallest_effect`.
        smallest_effect: the minimum detectable effect of the plan, for the sceptical prior.

    Example:
        >>> one, = shrink_arms([0.04], [0.0004], 0.05)
        >>> round(one.shrunk, 4), one.prior
        (0.0248, 'sceptical')
    """
    y, v = effects_and_variances(effects, variances)
    if len(y) >= LEAST_ARMS:
        return shrink(y, v)
    return shrink_sceptically(y, v, smallest_effect)


def shrink_together(
    effects: ArrayLike, variances: ArrayLike, smallest_effect: float | None = None
) -> list[Shrunk] | None:
    """Independent estimates of one kind, such as cells or segments: drawn towards their common mean.

    `shrink` from four on. Below, with the `sceptical_prior` of the smallest effect on the difference of any two, so
    that each lies N(μ, (MDE/1.96)²/2) around the mean μ weighted by 1/(v_i + τ²) (Spiegelhalter, Freedman and Parmar
    1994); None where nobody says how large that is, as two or three estimates cannot tell.

    Assumes that no estimate is expected to lie above another. Not for arms against one control: `shrink_arms`.

    Args:
        effects, variances: as in `between_variance`, one or more.
        smallest_effect: the smallest difference between two of them that is worth having.

    Example:
        >>> [round(one.shrunk, 3) for one in shrink_together([5.0, 5.4], [0.01, 0.01], 0.3)]
        [5.092, 5.308]
    """
    y, v = effects_and_variances(effects, variances)
    if len(y) >= LEAST_ARMS:
        return shrink(y, v)
    if smallest_effect is None or len(y) == 0:
        return None
    tau2 = sceptical_prior(smallest_effect) / 2
    mu, of_mu = _centre(y, v, tau2), _variance_of_centre(v, tau2)
    return [_blup(float(a), float(b), mu, tau2, "sceptical", of_mu) for a, b in zip(y, v, strict=True)]


def shrink_by_experience(
    effect: float, variance: float, past_effects: ArrayLike, past_variances: ArrayLike, smallest_effect: float
) -> Shrunk:
    """A new effect drawn towards what past experiments had, from ten of them on; below towards no effect.

    Wants *all* past experiments of the kind, losers included: a store of winners makes every offer look good.

    The posterior (τ² y + v μ)/(τ² + v), averaged over how well all experiments together agree with each μ and τ
    (`Experience`; Gelman et al. 2013, section 5.4). At the one most likely τ², which is often 0, the new effect would
    be the mean of the past, known for certain. Assumes that the new offer is one of their kind. Not for the verdict,
    which takes the raw interval.

    Args:
        effect, variance: of the new experiment, on the scale of the others (mostly the relative lift).
        past_effects, past_variances: shape (k,); may be empty.
        smallest_effect: as in `shrink_arms`.

    Example:
        >>> past = [0.01, -0.02, 0.03, 0.0, 0.02, -0.01, 0.01, 0.04, -0.03, 0.0]
        >>> found = shrink_by_experience(0.08, 0.0009, past, [0.0003] * 10, 0.05)
        >>> found.prior, round(found.shrunk, 3), round(found.shrunk_se, 3)
        ('experience', 0.029, 0.022)
    """
    (y,), (v,) = effects_and_variances([effect], [variance])
    past, past_v = effects_and_variances(past_effects, past_variances)
    if len(past) < LEAST_EXPERIMENTS:
        return shrink_sceptically(np.array([y]), np.array([v]), smallest_effect)[0]
    return Experience.of(np.append(past, y), np.append(past_v, v)).shrunk(len(past))


@dataclass(frozen=True, slots=True)
class Experience:
    """The distribution of true effects, N(μ, τ²) with flat priors on μ and τ, as k experiments leave it.

    Arrays over points of a grid of τ: what is not known of it is averaged over.

    Attributes:
        y, v: the experiments' estimates and their variances, shape (k,).
        weights: posterior weights of the points, summing to 1.
        tau2, mu, of_mu: at each point τ², the mean of μ and its variance.
    """

    y: Array
    v: Array
    weights: Array
    tau2: Array
    mu: Array
    of_mu: Array

    @classmethod
    def of(cls, y: Array, v: Array) -> Experience:
        """What some experiments say, at least five.

        p(τ | y) ∝ var(μ)^½ Π (v_i + τ²)^-½ exp(-(y_i - μ)²/2(v_i + τ²)) (Gelman et al. 2013, eq. 5.21). Beyond the end
        of the grid it has fallen like τ to the power of 1 - k.
        """
        nodes, w = legendre(256)
        # Denser towards 0, where the smallest standard errors make the likelihood bend.
        half = (nodes + 1) / 2
        end = 8 * float(y.std()) + 4 * math.sqrt(float(np.median(v)))
        tau2, w = (end * half**2) ** 2, w * half
        precision = 1 / (v + tau2[:, None])
        of_mu = 1 / precision.sum(axis=1)
        mu = of_mu * (precision @ y)
        misfit = (precision * (y - mu[:, None]) ** 2).sum(axis=1)
        log_density = (np.log(of_mu) + np.log(precision).sum(axis=1) - misfit) / 2
        weights = w * np.exp(log_density - log_density.max())
        return cls(y, v, weights / weights.sum(), tau2, mu, of_mu)

    def keep(self) -> Array:
        """How much of each effect's distance from μ is kept, τ²/(τ² + v): one row a point, one column an effect."""
        return self.tau2[:, None] / (self.tau2[:, None] + self.v)

    def shrunk(self, at: int) -> Shrunk:
        """One of the effects, with posterior mean and standard deviation over all points."""
        keep, raw, v = self.keep()[:, at], float(self.y[at]), float(self.v[at])
        means = self.mu + keep * (raw - self.mu)
        middle = float(self.weights @ means)
        spread = keep * v + (1 - keep) ** 2 * self.of_mu + (means - middle) ** 2
        centre, tau2 = float(self.weights @ self.mu), float(self.weights @ self.tau2)
        return Shrunk(raw, math.sqrt(v), middle, math.sqrt(float(self.weights @ spread)), centre, tau2, "experience")


def shrink_sceptically(y: Array, v: Array, smallest_effect: float) -> list[Shrunk]:
    """Each effect under the sceptical prior by itself."""
    prior = sceptical_prior(smallest_effect)
    return [_blup(float(a), float(b), 0.0, prior, "sceptical") for a, b in zip(y, v, strict=True)]


def effects_and_variances(effects: ArrayLike, variances: ArrayLike) -> tuple[Array, Array]:
    y, v = np.asarray(effects, dtype=np.float64), np.asarray(variances, dtype=np.float64)
    if y.ndim != 1 or y.shape != v.shape:
        raise InputError(f"effects of shape {y.shape} and variances of shape {v.shape}; one variance each is needed")
    if not np.isfinite(y).all() or not np.isfinite(v).all() or not (v > 0).all():
        raise InputError(
            f"effects {y.tolist()} with variances {v.tolist()}; finite effects and variances above 0 are needed"
        )
    return y, v


def _centre(y: Array, v: Array, tau2: float) -> float:
    w = 1 / (v + tau2)
    return float((w @ y) / w.sum())


def _spread(y: Array, v: Array, tau2: float) -> float:
    w = 1 / (v + tau2)
    return float(w @ (y - (w @ y) / w.sum()) ** 2)


def _variance_of_centre(v: Array, tau2: float) -> float:
    return float(1 / (1 / (v + tau2)).sum())


def _blup(y: float, v: float, mu: float, tau2: float, prior: Prior, of_mu: float = 0.0) -> Shrunk:
    keep = tau2 / (tau2 + v)
    se = math.sqrt(keep * v + (1 - keep) ** 2 * of_mu)
    return Shrunk(y, math.sqrt(v), mu + keep * (y - mu), se, mu, tau2, prior)
