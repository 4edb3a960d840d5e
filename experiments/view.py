"""What the semantic checks look at, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .building import WrittenArm, WrittenOffer
from .documents import Document
from .metrics import Metric
from .reading import Path

__all__ = ["Check", "Fault", "View"]

Fault = tuple[Path, str, str | None, str | None]
"""Place, message, hint, and what was seen (None: what is written there)."""


@dataclass(frozen=True, slots=True)
class View:
    """A document with its arms, offers and metrics resolved as far as they can be."""

    document: Document
    arms: list[WrittenArm]
    offers: list[WrittenOffer]
    metrics: list[Metric]

    def metric(self, name: str) -> Metric | None:
        """The metric of that name, if there is one."""
        return next((metric for metric in self.metrics if metric.name == name), None)

    @property
    def all_offers(self) -> dict[str, WrittenOffer]:
        """Every offer by name: those of `offers`, then the arms' own."""
        named = {written.offer.name: written for written in self.offers}
        for arm in self.arms:
            if arm.written is not None:
                named.setdefault(arm.written.offer.name, arm.written)
        return named


Check = Callable[[View], Iterator[Fault]]
