"""What visitors did by the number of offers they saw: described on its own, and part of no effect or decision.

The number comes after the assignment. Who comes more often sees more offers and buys more too, so that an offer without
any effect looks as if it worked better the more of it is seen. So there is neither a difference nor a test here.
"""

from __future__ import annotations

from ...stats import Moments
from ...storage.showings import ByShowings
from ..estimates import metric_unit
from ..format import quote
from ..phases import metric_value
from .funnel import asks_for_funnel
from .seen import Seen
from .tree import ByExposures, ExposuresRow

__all__ = ["LABEL", "asks_for_exposures", "by_exposures_of"]

LABEL = (
    "Descriptive, not an effect: how many offers a visitor saw was settled after the assignment, and visitors who come "
    "more often also buy more, offer or not. No arm is judged by it; what an offer does is said by all visitors of an "
    "arm together."
)

COUNTED = (
    "Counted are the different offers that a visitor was shown after the exposure and within the window of the metric. "
    "A store keeps the first time of each offer, so one that was seen again counts once."
)

TIMES = (
    "Counted is each time that {event} was recorded of a visitor, after the exposure and within the window of the "
    "metric."
)

OF_A_HOLDOUT = "They are those of all experiments that the holdout covers."


def asks_for_exposures(seen: Seen) -> bool:
    """Whether it may be known how many offers were seen: by an event or a step, or of all that a holdout covers."""
    if seen.definition.holdout or seen.definition.shown_event is not None:
        return True
    # Steps are optional: an experiment without them lacks nothing, and its visitors are not read for it.
    funnel = seen.details.offers.funnel() if asks_for_funnel(seen) else ""
    return not isinstance(funnel, str) and any("delivered" in arm.steps for arm in funnel.arms.values())


def by_exposures_of(seen: Seen) -> ByExposures | None:
    """The primary metric by arm and number of offers seen; None where nobody recorded that an offer was delivered."""
    found = seen.details.offers.by_showings() if asks_for_exposures(seen) else ""
    return None if isinstance(found, str) or not found.is_recorded else _shown(seen, found)


def _shown(seen: Seen, found: ByShowings) -> ByExposures:
    definition = seen.definition
    metric = definition.metric(found.metric)
    if found.event is not None:
        counted = TIMES.format(event=quote(found.event))
    else:
        counted = f"{COUNTED} {OF_A_HOLDOUT}" if definition.holdout else COUNTED
    rows = []
    for arm in (one.name for one in definition.arms):
        for number in sorted(found.moments):
            # Phases are taken together: there is no comparison that another split in one of them could bias.
            moments = Moments.merge(found.moments[number][arm])
            if moments.n:
                rows.append(ExposuresRow(arm, number, moments.n, metric_value(metric, moments)[0]))
    unit = metric_unit(metric, definition.currency)
    status, reason = ("ok", "") if rows else ("insufficient", "No visitor's window has passed yet.")
    return ByExposures(status, reason, LABEL, counted, metric.name, unit, found.most, tuple(rows))
