"""All parts of one scorecard."""

from __future__ import annotations

from collections.abc import Sequence

from ...storage.observations import Observations
from ..details import Details
from ..tree import MetricRow
from .money import money_of
from .seen import Seen
from .tree import Offers
from .waiting import waiting_of
from .withholding import withheld_offers

__all__ = ["offers_of"]


def offers_of(
    observations: Observations, metrics: Sequence[MetricRow], details: Details, *, has_looks: bool, withheld: bool
) -> Offers:
    """Every part that the experiment asks for.

    Args:
        observations: what was seen.
        metrics: the scorecard's rows, with the intervals of the last look.
        details: reads what the observations do not have, once.
        has_looks: whether the plan has looks, whose intervals then decide.
        withheld: whether effects are kept back until the first look: then none is computed.
    """
    seen = Seen(observations, metrics, details, has_looks)
    if withheld:
        return withheld_offers(seen)
    money = money_of(seen)
    return Offers(money=money, waiting=waiting_of(seen, money))
