"""The parts before the first planned look: which there will be, and no number that an effect could be had from."""

from __future__ import annotations

from ..withholding import REASON
from .after_sale import maturity
from .by_exposures import LABEL, asks_for_exposures
from .factorial import asks_for_factorial
from .funnel import funnel_of
from .incremental import asks_for_incremental
from .money import asks_for_money
from .response import asks_for_response
from .seen import Seen
from .segments import asks_for_segments, without_numbers
from .tree import AfterSale, ByExposures, Cluster, Factorial, Incremental, Money, Offers, Response, Waiting
from .waiting import asks_for_waiting

__all__ = ["withheld_offers"]


def withheld_offers(seen: Seen) -> Offers:
    """The parts that the experiment asks for, each withheld whole: nothing is computed that could leak.

    What is no effect stays: who waits for a window, and how far offers came up to the visitor's own answer.
    """
    definition = seen.definition
    doses, cluster = asks_for_response(seen), definition.plan.cluster
    return Offers(
        money=Money("withheld", REASON) if asks_for_money(seen) else None,
        factorial=Factorial("withheld", REASON) if asks_for_factorial(definition) else None,
        response=None if doses is None else Response("withheld", REASON, doses.kind, doses.unit),
        incremental=Incremental("withheld", REASON) if asks_for_incremental(seen) else None,
        segments=tuple(
            without_numbers(name, label, "withheld", REASON) for name, label in asks_for_segments(seen).items()
        ),
        funnel=funnel_of(seen, withheld=True),
        after_sale=AfterSale("withheld", REASON, maturity=maturity(seen.observations)),
        waiting=Waiting("withheld", REASON) if asks_for_waiting(seen) else None,
        clusters=None if cluster is None else Cluster(cluster, "withheld", REASON),
        by_exposures=ByExposures("withheld", REASON, LABEL) if asks_for_exposures(seen) else None,
    )
