"""All parts of one scorecard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...storage.observations import Observations
from ..details import Details
from ..tree import MetricRow
from .after_sale import after_sale_of
from .by_exposures import by_exposures_of
from .clusters import Clustered, clusters_of
from .factorial import factorial_of
from .funnel import funnel_of
from .incremental import incremental_of
from .money import money_of
from .response import response_of
from .seen import Seen
from .segments import segments_of
from .tree import Offers
from .waiting import waiting_of
from .withholding import withheld_offers

__all__ = ["offers_of"]


def offers_of(
    observations: Observations,
    metrics: Sequence[MetricRow],
    details: Details,
    clusters: Mapping[str, Clustered] | None = None,
    *,
    has_looks: bool,
    withheld: bool,
) -> Offers:
    """Every part that the experiment asks for.

    Args:
        observations: what was seen.
        metrics: the scorecard's rows, with the intervals of the last look.
        details: reads what the observations do not have, once.
        clusters: the comparisons that the primary's rows were made of, where the plan names clusters.
        has_looks: whether the plan has looks, whose intervals then decide.
        withheld: whether effects are kept back until the first look: then none is computed.
    """
    seen = Seen(observations, metrics, details, has_looks)
    if withheld:
        return withheld_offers(seen)
    money = money_of(seen)
    return Offers(
        money=money,
        factorial=factorial_of(seen),
        response=response_of(seen),
        incremental=incremental_of(seen),
        segments=segments_of(seen),
        funnel=funnel_of(seen),
        after_sale=after_sale_of(seen),
        waiting=waiting_of(seen, money),
        clusters=clusters_of(observations, clusters),
        by_exposures=by_exposures_of(seen),
    )
