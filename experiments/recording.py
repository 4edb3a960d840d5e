"""What every recorder takes: exposures, outcomes and identity links, with the arguments that all of them share."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from .assignment import Assignment
from .wire import LINK, OUTCOME, link_fields, micros, outcome_fields

if TYPE_CHECKING:
    from .assigner import Assigner
    from .guards import Counts

__all__ = ["Recording"]


class Recording(ABC):
    """Base of the recorders: what is reported is checked here, and kept by each in its own way."""

    @abstractmethod
    def expose(self, assignment: Assignment, *, at: datetime | None = None) -> None:
        """Record that a visitor reached the point where the arms could first differ, control included."""

    @abstractmethod
    def _record(self, kind: str, fields: Sequence[Any]) -> bool:
        """Keep a checked record of `.wire`; whether it was kept."""

    def assign_and_expose(
        self,
        assigner: Assigner,
        experiment: str,
        visitor: str | int,
        attributes: Mapping[str, Any] | None = None,
        *,
        at: datetime | None = None,
        counts: Counts | None = None,
        prices: Mapping[str, Any] | None = None,
    ) -> Assignment:
        """Assign and record the exposure, for where the offer is decided and shown in one place.

        Arguments and errors as for `Assigner.assign` and `expose`; an offer that a guard withholds is exposed as well.
        """
        assignment = assigner.assign(experiment, visitor, attributes, at=at, counts=counts, prices=prices)
        self.expose(assignment, at=at)
        return assignment

    def outcome(
        self,
        outcome_id: str | int,
        visitor: str | int,
        name: str,
        *,
        value: Decimal | int | None = None,
        cost: Decimal | int | None = None,
        quantity: int | None = None,
        currency: str | None = None,
        refund_of: str | int | None = None,
        at: datetime | None = None,
        reporting_value: Decimal | int | None = None,
        reporting_cost: Decimal | int | None = None,
    ) -> None:
        """Record what a visitor did.

        Args:
            outcome_id: the caller's own id, such as the order number; unique for each name, the same again is the same.
            visitor: the id that was assigned.
            name: of the event, such as "purchase".
            value: in major units of the currency.
            cost: likewise, what the shop paid for it.
            quantity: number of pieces.
            currency: ISO 4217 code; None is the store's.
            refund_of: the outcome id of the same name that this one takes back, wholly or in part; `value` and `cost`
                are then what was given back and recovered, positive.
            at: when it happened, aware; by default the moment of this call, which then is no part of what must agree
                when the same outcome is reported twice.
            reporting_value: of an outcome in another currency than the store's, the value in the store's.
            reporting_cost: likewise the cost.

        Raises:
            InputError: an impossible id or name, money that is neither Decimal nor int, a refund's amount below 0, a
                naive time.
        """
        now = time.time_ns() // 1_000
        reported = reporting_value, reporting_cost
        fields = outcome_fields(
            outcome_id, visitor, name, at, value, cost, quantity, currency, refund_of, now, *reported
        )
        self._record(OUTCOME, fields)

    def link(self, anonymous: str | int, customer: str | int, *, at: datetime | None = None) -> None:
        """Record that an anonymous visitor turned out to be a customer. Assignment is not affected.

        Raises:
            InputError: an impossible id, both the same, or a naive time.
        """
        moment = time.time_ns() // 1_000 if at is None else micros(at)
        self._record(LINK, link_fields(anonymous, customer, moment))
