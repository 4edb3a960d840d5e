"""An OpenFeature provider: flags are experiments, variants are arms. Needs `offerlift[openfeature]`.

What a flag resolves to, for the experiment whose key it is:

- boolean: whether the visitor's arm is another than the control and its offer is not withheld.
- string: the name of the arm.
- object: `{"arm": ..., "offer": {...} or None, "withheld": ... or None}`, the offer as in the snapshot's JSON: fields
  at their default left out, money and percentages as text, durations in microseconds.
- float, integer: the value of the discount, 0 for an arm without one and for a withheld offer. The arms' discounts must
  be of one type and have a value (for integers: a whole one), else TYPE_MISMATCH. This is decided by the experiment
  and not by the arm, because an error in one arm alone would bias the comparison.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar
from uuid import uuid4

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType
from openfeature.flag_evaluation import Reason as FlagReason
from openfeature.provider import AbstractProvider, Metadata
from openfeature.track import TrackingEventDetails

from ...errors import InputError
from ..assigner import Assigner, Assignment, Reason
from ..codec import encode
from ..definition import Arm, Offer
from ..hashing import canonical_visitor
from ..recording import Recording

__all__ = ["OfferliftProvider"]

_log = logging.getLogger("offerlift.experiments")

T = TypeVar("T")

REASONS: Mapping[Reason, FlagReason] = {
    Reason.DRAFT: FlagReason.DISABLED,
    Reason.STOPPED: FlagReason.DISABLED,
    Reason.PAUSED: FlagReason.DISABLED,
    Reason.FORCED: FlagReason.TARGETING_MATCH,
    Reason.NOT_ELIGIBLE: FlagReason.DEFAULT,
    Reason.HOLDOUT: FlagReason.SPLIT,
    Reason.SHIPPED: FlagReason.STATIC,
    Reason.LAYER: FlagReason.DEFAULT,
    Reason.NOT_IN_TRAFFIC: FlagReason.DEFAULT,
    Reason.SPLIT: FlagReason.SPLIT,
}
"""The standard's reason for each of ours but ERROR; ours is in the flag metadata."""

OUTCOME_ATTRIBUTES = ("cost", "quantity", "currency", "refund_of", "reporting_value", "reporting_cost")
MONEY = ("value", "cost", "reporting_value", "reporting_cost")


class OfferliftProvider(AbstractProvider):
    """Resolves flags by assignment, and exposes the visitor when a flag is evaluated.

    The visitor is the `targeting_key`, the attributes are the context's. The variant is the arm; the flag metadata have
    `experiment`, `arm`, `reason`, `phase`, `hash`, and `bucket`, `withheld`, `detail` where there are any.

    Args:
        assigner: decides the arms.
        recorder: takes exposures, and outcomes from `track`; it stays the caller's to flush and close.
        expose: whether evaluating a flag records the exposure. Say False where flags are evaluated before the arms
            differ (all at once at the start of a page), and expose yourself.

    Raises:
        InputError: no recorder, and `expose` is not False.
    """

    def __init__(self, assigner: Assigner, recorder: Recording | None = None, *, expose: bool = True):
        super().__init__()
        if recorder is None and expose:
            raise InputError(
                "evaluating a flag records an exposure, and there is no recorder",
                hint="Give a Recorder, or expose=False.",
            )
        self._assigner = assigner
        self._recorder = recorder
        self._expose = expose

    def get_metadata(self) -> Metadata:
        """The provider's name."""
        return Metadata("offerlift")

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Whether the visitor's arm is another than the control and its offer is not withheld."""

        def value(assignment: Assignment) -> bool:
            control = self._assigner.compiled(flag_key).control_arm.name
            return assignment.arm != control and assignment.withheld is None

        return self._resolve(flag_key, default_value, evaluation_context, value)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """The name of the visitor's arm."""
        return self._resolve(flag_key, default_value, evaluation_context, lambda assignment: assignment.arm)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """The value of the discount, if it is whole in every arm; 0 for none."""

        def value(assignment: Assignment) -> int:
            return int(_discount(assignment, self._assigner.compiled(flag_key).arms, whole=True))

        return self._resolve(flag_key, default_value, evaluation_context, value)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """The value of the discount; 0.0 for none."""

        def value(assignment: Assignment) -> float:
            return float(_discount(assignment, self._assigner.compiled(flag_key).arms))

        return self._resolve(flag_key, default_value, evaluation_context, value)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """Arm, offer and the guard that withheld it."""
        return self._resolve(flag_key, default_value, evaluation_context, _as_object)

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Record an outcome of the context's visitor, named after the event.

        The details' value is the outcome's; their attributes `outcome_id`, `cost`, `quantity`, `currency`, `refund_of`,
        `reporting_value` and `reporting_cost` are its own, others are not recorded. Without `outcome_id` each call is
        an outcome of its own: give one (the order's) where the caller may repeat itself. Never raises: what cannot be
        recorded is logged.
        """
        if self._recorder is None:
            _log.error("outcome %r is lost: the OpenFeature provider has no recorder", tracking_event_name)
            return
        details = tracking_event_details or TrackingEventDetails()
        outcome_id: Any = details.attributes.get("outcome_id", uuid4().hex)
        values: dict[str, Any] = {
            name: details.attributes[name] for name in OUTCOME_ATTRIBUTES if name in details.attributes
        }
        try:
            if evaluation_context is None or evaluation_context.targeting_key is None:
                raise InputError("the evaluation context has no targeting_key")
            if details.value is not None:
                values["value"] = details.value
            values |= {name: _exact(values[name]) for name in MONEY if name in values}
            self._recorder.outcome(outcome_id, evaluation_context.targeting_key, tracking_event_name, **values)
        except Exception as error:  # The standard gives tracking no way to fail, and a request must not break for it.
            _log.error("outcome %r (%s) is lost: %s", tracking_event_name, outcome_id, error)

    def _resolve(
        self,
        flag_key: str,
        default: T,
        context: EvaluationContext | None,
        value: Callable[[Assignment], T],
    ) -> FlagResolutionDetails[T]:
        if context is None or context.targeting_key is None:
            return _failed(default, ErrorCode.TARGETING_KEY_MISSING, "the visitor id is the targeting_key")
        try:
            visitor = canonical_visitor(context.targeting_key)
        except InputError as error:
            return _failed(default, ErrorCode.INVALID_CONTEXT, error.message)
        assignment = self._assigner.assign(flag_key, visitor, context.attributes)
        if assignment.reason is Reason.ERROR:
            return _failed(default, ErrorCode.FLAG_NOT_FOUND, assignment.detail)
        try:
            resolved = value(assignment)
        except InputError as error:
            return _failed(default, ErrorCode.TYPE_MISMATCH, error.message)
        if self._expose and self._recorder is not None:
            self._recorder.expose(assignment)
        return FlagResolutionDetails(
            resolved, reason=REASONS[assignment.reason], variant=assignment.arm, flag_metadata=_metadata(assignment)
        )


def _failed(default: T, code: ErrorCode, message: str) -> FlagResolutionDetails[T]:
    return FlagResolutionDetails(default, error_code=code, error_message=message, reason=FlagReason.ERROR)


def _metadata(assignment: Assignment) -> dict[str, bool | int | float | str]:
    metadata: dict[str, bool | int | float | str] = {
        "experiment": assignment.experiment,
        "arm": assignment.arm,
        "reason": str(assignment.reason),
        "phase": assignment.phase,
        "hash": assignment.hash,
    }
    further = {"bucket": assignment.bucket, "withheld": assignment.withheld, "detail": assignment.detail or None}
    return metadata | {name: value for name, value in further.items() if value is not None}


def _as_object(assignment: Assignment) -> dict[str, Any]:
    offer = encode(assignment.offer) if assignment.offer is not None else None
    return {"arm": assignment.arm, "offer": offer, "withheld": assignment.withheld}


def _discount(assignment: Assignment, arms: Sequence[Arm], *, whole: bool = False) -> Decimal:
    discounts = [arm.offer.discount for arm in arms if arm.offer is not None and arm.offer.discount is not None]
    types = sorted({discount.type for discount in discounts})
    if len(types) != 1:
        raise InputError(f"a number needs discounts of one type in the arms, seen {', '.join(types) or 'none'}")
    values = [discount.value for discount in discounts]
    if None in values:
        raise InputError(f"a discount of type {types[0]} has no value")
    fractions = [str(value) for value in values if value is not None and value != int(value)]
    if whole and fractions:
        raise InputError(f"the arms' discounts are not whole: {', '.join(fractions)}; ask for a float")
    return _value(assignment.offer)


def _value(offer: Offer | None) -> Decimal:
    if offer is None or offer.discount is None or offer.discount.value is None:
        return Decimal(0)
    return offer.discount.value


def _exact(value: Any) -> Any:
    # The standard's numbers are doubles; the shortest text that reads back as the double is the price that was meant.
    return Decimal(str(value)) if isinstance(value, float) else value
