"""The funnel: how far visitors came with the offers, as a diagnosis and never as the metric."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ...storage.funnels import ArmFunnel
from .seen import Seen
from .tree import Funnel, FunnelRow

__all__ = ["asks_for_funnel", "funnel_of"]


def asks_for_funnel(seen: Seen) -> bool:
    """Whether any arm makes an offer."""
    return any(arm.offer is not None for arm in seen.definition.arms)


def funnel_of(seen: Seen, *, withheld: bool = False) -> Funnel | None:
    """The steps of each arm; None where no arm makes an offer, or nobody recorded a step.

    Args:
        seen: the experiment.
        withheld: whether the visitors who accepted or declined are kept back: who does, tells of the effect.
    """
    if not asks_for_funnel(seen):
        return None
    found = seen.details.offers.funnel()
    if isinstance(found, str) or found.note:
        # Steps are optional: an experiment without them lacks nothing.
        return None
    arms = [arm.name for arm in seen.definition.arms]
    return Funnel("ok", "", tuple(_row(arm, found.arms[arm], withheld) for arm in arms if arm in found.arms))


def _row(arm: str, found: ArmFunnel, withheld: bool) -> FunnelRow:
    steps = found.steps
    delivered, accepted = steps.get("delivered", 0), steps.get("accepted", 0)
    shown = not withheld
    return FunnelRow(
        arm,
        found.visitors,
        steps.get("reached"),
        delivered,
        steps.get("undelivered", 0),
        _reasons(found, "withheld"),
        _reasons(found, "undelivered"),
        accepted if shown else None,
        steps.get("declined", 0) if shown else None,
        _reasons(found, "declined") if shown else None,
        accepted / delivered if shown and delivered else None,
    )


def _reasons(found: ArmFunnel, step: str) -> Mapping[str, int]:
    """Visitors by reason, over the offers of the arm."""
    counts = Counter[str]()
    for steps in found.offers.values():
        if step in steps:
            counts.update(dict(steps[step].reasons))
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))
