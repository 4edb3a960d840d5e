"""The parts before the first planned look: which there will be, and no number that an effect could be had from."""

from __future__ import annotations

from ..withholding import REASON
from .money import asks_for_money
from .seen import Seen
from .tree import Money, Offers, Waiting
from .waiting import asks_for_waiting

__all__ = ["withheld_offers"]


def withheld_offers(seen: Seen) -> Offers:
    """The parts that the experiment asks for, each withheld whole: nothing is computed that could leak."""
    return Offers(
        money=Money("withheld", REASON) if asks_for_money(seen) else None,
        waiting=Waiting("withheld", REASON) if asks_for_waiting(seen) else None,
    )
