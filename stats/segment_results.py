"""What the analysis of segments returns."""

from __future__ import annotations

from dataclasses import dataclass

from .contrasts import Contrast, Scale, Status, WaldTest
from .results import Difference, Lift
from .showing import Row, Shown
from .shrinkage import Shrunk

__all__ = ["SegmentEffect", "Segmentation", "SegmentsComparison"]


@dataclass(frozen=True, slots=True)
class SegmentEffect(Shown):
    """A treatment's effect on the visitors of one segment.

    Attributes:
        value: of the attribute.
        visitors: of the treatment and the control together.
        status: as of `Comparison`, with the `reason`.
        difference, lift: of these visitors alone, as measured. Not to be picked by: see `shrunk`.
        against_others: the effect here less that on all other visitors, whose segments are weighted by their visitors;
            `p_adjusted` among the contrasts of all declared attributes, or of all exploratory ones.
        shrunk: the effect drawn towards that of the other segments: what to expect of it. None where two or three
            segments cannot say how far effects differ and no `smallest_effect` does.

    Example:
        >>> SegmentEffect("new", 40, "insufficient", "one visitor").difference is None
        True
    """

    value: str
    visitors: int
    status: Status
    reason: str = ""
    difference: Difference | None = None
    lift: Lift | None = None
    against_others: Contrast | None = None
    shrunk: Shrunk | None = None


@dataclass(frozen=True, slots=True)
class Segmentation(Shown):
    """One attribute, one treatment.

    Attributes:
        attribute, arm: which.
        declared: before the experiment; if not, exploratory.
        test: that the effect is the same in all segments (Cochran's Q); to be read first.
        effects: by value.

    Example:
        >>> Segmentation("device", "offer", True, WaldTest("insufficient", "one segment"), ()).label
        'declared'
    """

    attribute: str
    arm: str
    declared: bool
    test: WaldTest
    effects: tuple[SegmentEffect, ...]

    @property
    def label(self) -> str:
        """`declared` or `exploratory`."""
        return "declared" if self.declared else "exploratory"

    def to_dicts(self) -> list[Row]:
        """One row a segment."""
        return [self._row(one) for one in self.effects]

    def _row(self, one: SegmentEffect) -> Row:
        row: Row = {
            "attribute": self.attribute,
            "value": one.value,
            "arm": self.arm,
            "label": self.label,
            "visitors": one.visitors,
            "status": one.status,
            "reason": one.reason,
            "p_same_effect": self.test.p_value,
        }
        difference, contrast, shrunk = one.difference, one.against_others, one.shrunk
        for name in ("estimate", "se", "low", "high"):
            row[name] = None if difference is None else getattr(difference, name)
        row["against_others"] = None if contrast is None else contrast.estimate
        row["p_adjusted"] = None if contrast is None else contrast.p_adjusted
        row["detectable"] = None if contrast is None else contrast.detectable
        row["shrunk"] = None if shrunk is None else shrunk.shrunk
        row["shrunk_se"] = None if shrunk is None else shrunk.shrunk_se
        return row


@dataclass(frozen=True, slots=True)
class SegmentsComparison(Shown):
    """All segments of an experiment on one metric.

    Attributes:
        segmentations: by attribute and treatment, the declared ones first.
        column, per, scale, alpha, power: as asked for.
        multiplicity: how p-values are adjusted.

    Example:
        >>> SegmentsComparison((), "margin", None, "additive", 0.05, 0.8, "").differing()
        ()
    """

    segmentations: tuple[Segmentation, ...]
    column: str
    per: str | None
    scale: Scale
    alpha: float
    power: float
    multiplicity: str

    def differing(self) -> tuple[tuple[Segmentation, SegmentEffect], ...]:
        """Declared segments in which the effect is another: by the attribute's test and by the segment's contrast."""
        return tuple(
            (one, effect)
            for one in self.segmentations
            if one.declared and _at_most(one.test.p_adjusted, self.alpha)
            for effect in one.effects
            if effect.against_others is not None and _at_most(effect.against_others.p_adjusted, self.alpha)
        )

    def to_dicts(self) -> list[Row]:
        """One row a segment and treatment."""
        return [row for one in self.segmentations for row in one.to_dicts()]


def _at_most(p_value: float | None, alpha: float) -> bool:
    return p_value is not None and p_value <= alpha
