"""What every recorder takes: exposures, steps of offers, outcomes and links, with the arguments that all share."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .assignment import Assignment, Reason
from .wire import LINK, OFFER_STEP, OUTCOME, link_fields, micros, offer_step_fields, outcome_fields

if TYPE_CHECKING:
    from .assigner import Assigner
    from .definition import Offer
    from .guards import Counts
    from .steps import Step

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

    def offer_step(
        self,
        assignment: Assignment,
        step: Step,
        *,
        offer: Offer | str | None = None,
        reason: str | None = None,
        at: datetime | None = None,
    ) -> None:
        """Record how far a visitor came with the offer of an assignment, for the experiment's funnel.

        Writes nothing where the reason is not SPLIT, or where the arm has no offer: a control takes no step. `expose`
        records by itself that an offer was withheld.

        Args:
            assignment: what `assign` or `next_offer` answered, with its offer.
            step: `reached`, `withheld`, `undelivered`, `delivered`, `accepted` or `declined`.
            offer: of several alternatives the one that was answered, or its name; by default the assignment's own.
            reason: a category: of `declined` what the visitor gave, of `undelivered` why, of `withheld` the guard (the
                assignment's own by default).
            at: when it happened, aware; the moment of this call by default.

        Raises:
            InputError: not an assignment, an unknown step, an impossible offer or reason, or a naive `at`.
        """
        try:
            shown = assignment.withheld_offer if assignment.offer is None else assignment.offer.name
            experiment, visitor, withheld = assignment.experiment, assignment.visitor, assignment.withheld
        except AttributeError as error:
            raise InputError(f"offer_step needs what assign() answered, seen {assignment!r}") from error
        # What is neither text nor an offer is refused with the name's own words.
        name: Any = shown if offer is None else getattr(offer, "name", offer)
        moment = time.time_ns() // 1_000 if at is None else micros(at)
        # Checked even where nothing is written: what is wrong should be seen in the control, too.
        fields = offer_step_fields(
            experiment,
            visitor,
            step,
            "none" if name is None else name,
            moment,
            withheld if step == "withheld" and reason is None else reason,
        )
        if name is not None and self._is_analysed(assignment):
            self._record_step(fields, timed=at is not None)

    def _is_analysed(self, assignment: Assignment) -> bool:
        """Whether what the visitor does belongs into the experiment's analysis."""
        return assignment.reason is Reason.SPLIT

    def _record_step(self, fields: Sequence[Any], *, timed: bool) -> None:
        """Keep a checked step; `timed` says that its time was given."""
        self._record(OFFER_STEP, fields)

    def link(self, anonymous: str | int, customer: str | int, *, at: datetime | None = None) -> None:
        """Record that an anonymous visitor turned out to be a customer. Assignment is not affected.

        Raises:
            InputError: an impossible id, both the same, or a naive time.
        """
        moment = time.time_ns() // 1_000 if at is None else micros(at)
        self._record(LINK, link_fields(anonymous, customer, moment))
