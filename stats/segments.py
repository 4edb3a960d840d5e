"""Segments: for whom does an offer work? The interaction is tested first, and effects are shrunk towards the others'.

The largest of ten segments' effects is large by luck. So a segment is called different only by a contrast against all
other visitors, adjusted for how many there were, and what to expect of it is its shrunk effect. Segments that nobody
declared before the experiment are exploratory: they suggest the next experiment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .contrasts import Contrast, Scale, WaldTest, adjusted, arrays_of, contrast_of, log_estimate, wald_test_of
from .fieller import Estimate, check_alpha
from .moments import Moments
from .results import Comparison
from .segment_results import Segmentation, SegmentEffect, SegmentsComparison
from .shrinkage import Shrunk, shrink_together
from .strata import (
    compare_means_over_strata,
    compare_proportions_over_strata,
    compare_ratios_over_strata,
    mean_over_strata,
    ratio_over_strata,
    stratum_weights,
)

__all__ = ["MOST_DECLARED", "compare_segments"]

Array = NDArray[np.float64]
Strata = Sequence[Moments]
Kind = Literal["conversion", "mean"]

MOST_DECLARED = 10
"""Most attributes that can be declared: with more, adjusting for their number leaves nothing to be found."""


def compare_segments(
    segments: Mapping[str, Mapping[tuple[str, str], Moments | Strata]],
    column: str,
    *,
    control: str,
    declared: Sequence[str],
    per: str | None = None,
    kind: Kind = "mean",
    scale: Scale = "additive",
    alpha: float = 0.05,
    power: float = 0.8,
    smallest_effect: float | None = None,
) -> SegmentsComparison:
    """Effects by segment: whether they differ at all, where from the rest, and what is left of each after shrinkage.

    For an attribute with segments s and effects D_s = m_t,s - m_c,s with variances V_s: Cochran's (1954) Q, which is
    Wald's test that all D_s are the same, read as F (Fai and Cornelius 1996); the contrast of each segment with all
    others, D_s - Σ w_r D_r, w the others' shares of visitors; and the BLUP of each effect (`shrink_together`). Over the
    declared attributes p-values are adjusted by Benjamini and Hochberg (1995), tests and contrasts each among
    themselves; exploratory ones among themselves, as a filter and no proof. An attribute with two segments has one
    contrast, which counts once.

    Assumes attributes that are fixed before the exposure, and independent visitors. Not for attributes that the offer
    can change (buyers, those who saw the popup), nor for deciding whom to show an offer by the largest raw effect.

    On the additive scale an offer that brings everybody 5 % has a larger effect where more is bought; on the `log`
    scale it has the same.

    Args:
        segments: by attribute, the moments of the visitors by (its value, arm); over phases a sequence of moments each.
        column: the metric's column.
        control: name of the control.
        declared: attributes that were named before the experiment, at most ten; the others are exploratory.
        per: of a ratio of sums the denominator's column.
        kind: `conversion` for a column of zeros and ones: score intervals for `difference` and `lift`.
        scale: of contrasts, test and shrinkage: `additive` or `log`.
        alpha: 1 minus the confidence level; and the false discoveries accepted.
        power: of the detectable effects, at alpha.
        smallest_effect: the smallest difference between two segments' effects worth having, on the scale; for the
            shrinkage of two or three segments.

    Returns:
        Segments below two visitors in an arm, without variance, or without a mean on the scale have a status and a
        reason, and are left out of the test; fewer than two others make that `insufficient`.

    Raises:
        InputError: no control in an attribute, more than ten declared, a declared one without moments, no such column,
            or options out of range.

    Example:
        >>> from offerlift.stats import Moments
        >>> def visitors(mean):
        ...     return Moments.from_arrays({"margin": [mean - 3, mean, mean + 3] * 60})
        >>> device = {("phone", "control"): visitors(5.0), ("phone", "offer"): visitors(6.0),
        ...     ("desktop", "control"): visitors(8.0), ("desktop", "offer"): visitors(8.1)}
        >>> result = compare_segments({"device": device}, "margin", control="control", declared=["device"],
        ...     smallest_effect=0.5)
        >>> one, = result.segmentations
        >>> round(one.test.p_value, 4), [round(effect.shrunk.shrunk, 2) for effect in one.effects]
        (0.0142, [0.7, 0.4])
    """
    _check(segments, declared, kind, scale, power)
    alpha = check_alpha(alpha)
    analysis = _Analysis(column, per, kind, scale, alpha, power, smallest_effect)
    names = [*declared, *(name for name in segments if name not in declared)]
    found = [one for name in names for one in analysis.attribute(name, segments[name], control, name in declared)]
    judged = [
        *_adjusted([one for one in found if one.declared]),
        *_adjusted([one for one in found if not one.declared]),
    ]
    by = "Benjamini and Hochberg (1995), declared and exploratory attributes apart"
    return SegmentsComparison(tuple(judged), column, per, scale, alpha, power, by)


def _check(segments: Mapping[str, object], declared: Sequence[str], kind: str, scale: str, power: float) -> None:
    if isinstance(declared, str):
        raise InputError(f"declared is {declared!r}; a list of attributes is needed, such as [{declared!r}]")
    if len(declared) > MOST_DECLARED:
        raise InputError(
            f"{len(declared)} attributes are declared; at most {MOST_DECLARED} are tested",
            hint="Declare those that would change what is done; the others are shown as exploratory.",
        )
    missing = [name for name in declared if name not in segments]
    if missing or len(set(declared)) != len(declared):
        raise InputError(f"declared are {list(declared)}; different ones of {list(segments)} are needed")
    if kind not in get_args(Kind):
        raise InputError(f"kind is {kind!r}; it is conversion or mean")
    if scale not in get_args(Scale):
        raise InputError(f"scale is {scale!r}; it is additive or log")
    if not 0 < power < 1:
        raise InputError(f"power is {power!r}; a number strictly between 0 and 1 is needed, such as 0.8")


@dataclass(frozen=True, slots=True)
class _Analysis:
    """The options, and what is done with them to one attribute."""

    column: str
    per: str | None
    kind: Kind
    scale: Scale
    alpha: float
    power: float
    smallest_effect: float | None

    def compare(self, treatment: Strata, control: Strata) -> Comparison:
        """These visitors alone."""
        if self.per is not None:
            return compare_ratios_over_strata(treatment, control, self.column, self.per, alpha=self.alpha)
        by = compare_proportions_over_strata if self.kind == "conversion" else compare_means_over_strata
        return by(treatment, control, self.column, alpha=self.alpha)

    def estimate(self, strata: Strata, weights: Sequence[float]) -> Estimate | str:
        if self.per is not None:
            return ratio_over_strata(strata, self.column, self.per, weights)
        return mean_over_strata(strata, self.column, weights)

    def attribute(
        self, name: str, cells: Mapping[tuple[str, str], Moments | Strata], control: str, declared: bool
    ) -> list[Segmentation]:
        values = list(dict.fromkeys(value for value, _ in cells))
        arms = list(dict.fromkeys(arm for _, arm in cells))
        if control not in arms or len(arms) < 2:
            raise InputError(f"attribute {name!r} has the arms {arms}; the control {control!r} and another are needed")
        strata = {key: [given] if isinstance(given, Moments) else list(given) for key, given in cells.items()}
        found = []
        for arm in arms:
            if arm == control:
                continue
            parts = [
                _Segment.of(value, strata.get((value, arm), []), strata.get((value, control), []), self)
                for value in values
            ]
            test, effects = self.effects(parts)
            found.append(Segmentation(name, arm, declared, test, effects))
        return found

    def effects(self, segments: Sequence[_Segment]) -> tuple[WaldTest, tuple[SegmentEffect, ...]]:
        """The test that all effects are the same, and each segment's with its contrast and its shrunk value."""
        usable = [one for one in segments if one.pair is not None]
        if not usable:
            return WaldTest("insufficient", "no segment has an effect"), tuple(one.effect() for one in segments)
        cells = [estimate for one in usable for estimate in one.pair or ()]
        signs = np.kron(np.eye(len(usable)), np.array([1.0, -1.0])).astype(np.float64)
        mean, variance, _ = arrays_of(cells)
        shrunk = shrink_together(signs @ mean, signs**2 @ variance, self.smallest_effect) or [None] * len(usable)
        if len(usable) == 1:
            test = WaldTest("insufficient", f"only segment {usable[0].value!r} has an effect")
            contrasts = [None]
        else:
            test = wald_test_of(signs[1:] - signs[0], cells)
            contrasts = self.against_others(usable, signs, cells)
        more = {one.value: (contrast, after) for one, contrast, after in zip(usable, contrasts, shrunk, strict=True)}
        return test, tuple(one.effect(*more.get(one.value, (None, None))) for one in segments)

    def against_others(self, usable: Sequence[_Segment], signs: Array, cells: Sequence[Estimate]) -> list[Contrast]:
        visitors = np.array([float(one.visitors) for one in usable])
        found = []
        for at, one in enumerate(usable):
            share = np.where(np.arange(len(usable)) == at, 0.0, visitors)
            coefficients = signs[at] - share / share.sum() @ signs
            name = f"{one.value} v all others"
            found.append(contrast_of(name, coefficients, cells, scale=self.scale, alpha=self.alpha, power=self.power))
        return found


@dataclass(frozen=True, slots=True)
class _Segment:
    """A segment's comparison, and its two estimates on the scale of the test, if it has them."""

    value: str
    visitors: int
    comparison: Comparison
    pair: tuple[Estimate, Estimate] | None = None

    def effect(self, against_others: Contrast | None = None, shrunk: Shrunk | None = None) -> SegmentEffect:
        """What is shown of it."""
        one = self.comparison
        return SegmentEffect(
            self.value, self.visitors, one.status, one.reason, one.difference, one.lift, against_others, shrunk
        )

    @classmethod
    def of(cls, value: str, treatment: Strata, control: Strata, options: _Analysis) -> _Segment:
        visitors = sum(part.n for part in (*treatment, *control))
        for name, strata in (("treatment", treatment), ("control", control)):
            n = sum(part.n for part in strata)
            if n < 2:
                reason = f"{n} visitor{'s' if n != 1 else ''} in the {name}; a variance needs two"
                return cls(value, visitors, Comparison.without("insufficient", reason))
        comparison = options.compare(treatment, control)
        if comparison.status != "ok":
            return cls(value, visitors, comparison)
        weights = stratum_weights([treatment, control])
        pair = [_on_scale(options.estimate(strata, weights), options.scale) for strata in (treatment, control)]
        for one in pair:
            if isinstance(one, str):
                return cls(value, visitors, Comparison.without("undefined", one))
        t, c = (one for one in pair if isinstance(one, Estimate))
        if t.variance + c.variance == 0:
            return cls(value, visitors, Comparison.without("insufficient", f"{options.column!r} does not vary"))
        return cls(value, visitors, comparison, (t, c))


def _on_scale(estimate: Estimate | str, scale: Scale) -> Estimate | str:
    if isinstance(estimate, str) or scale == "additive":
        return estimate
    if estimate.mean <= 0:
        return f"a mean is {estimate.mean:g}, which has no logarithm"
    return log_estimate(estimate)


def _adjusted(found: Sequence[Segmentation]) -> list[Segmentation]:
    """P-values adjusted among these attributes: tests, and contrasts, of which two that mirror each other are one."""
    tests = adjusted([one.test for one in found], "bh")
    counted = [[effect.against_others for effect in one.effects if effect.against_others is not None] for one in found]
    distinct = [contrasts[:1] if len(contrasts) == 2 else contrasts for contrasts in counted]
    p_values = iter([one.p_adjusted for one in adjusted([one for contrasts in distinct for one in contrasts], "bh")])
    judged = []
    for one, test, contrasts, own in zip(found, tests, counted, distinct, strict=True):
        of_own = [next(p_values) for _ in own]
        of_all = iter(of_own * 2 if len(own) < len(contrasts) else of_own)
        effects = tuple(
            effect
            if effect.against_others is None
            else replace(effect, against_others=replace(effect.against_others, p_adjusted=next(of_all)))
            for effect in one.effects
        )
        judged.append(replace(one, test=test, effects=effects))
    return judged
