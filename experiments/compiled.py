"""One published experiment, prepared for many visitors: the path that every assignment takes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

from ..errors import InputError, known_or_nearest
from .assignment import NO_SEGMENTS, Assignment, Reason
from .definition import BUCKETS, HOLDOUT_ARMS, Arm, Offer
from .eligibility import Eligibility
from .hashing import bucket_of_bytes, canonical_visitor, first_64_bits, md5
from .invariants import broken
from .snapshot import Published

__all__ = ["Compiled", "Forced", "Held"]

_CLOSED = {
    "draft": (Reason.DRAFT, "not started"),
    "stopped": (Reason.STOPPED, "stopped"),
    "paused": (Reason.PAUSED, "paused"),
}
_PRECEDENCE = tuple(Reason)
_SPLIT = Reason.SPLIT
_new_tuple = tuple.__new__

Forced = Mapping[str, str] | Mapping[int, str]
"""Visitor id -> name of the arm."""

Held = tuple[tuple[str, str] | None, int, str]
"""Holdout (name and arm), its phase and its hash, as they stand in an assignment."""

_NOT_COVERED: Held = (None, 0, "")


class Compiled:
    """One published version, prepared for many visitors. `holdout` is set once all experiments are compiled.

    Raises:
        InputError: the definition breaks what reading guarantees, or an arm or visitor to force is impossible.
    """

    def __init__(self, published: Published, forced: Forced):
        definition = published.definition
        for path, seen, message in broken(definition):
            # Here, where the former snapshot can still be kept, and not in a request.
            raise InputError(f"{definition.experiment!r} is damaged: {path} {message}, seen {seen}")
        self.published = published
        self.experiment = definition.experiment
        self.phase = published.phase
        self.hash = published.assignment_hash
        self.segments = definition.recorded_segments
        self.unusable = (
            f"experiment {self.experiment!r} is an imported table: its visitors were assigned elsewhere"
            if definition.source == "table"
            else ""
        )
        self.offers = {offer.name: offer for offer in map(self._with_currency, definition.offers)}
        self.arms = tuple(self._with_offer(arm) for arm in definition.arms)
        self.limits = tuple(accumulate(arm.weight for arm in self.arms))
        named = {arm.name: arm for arm in self.arms}
        self.control_arm = named[definition.control]
        self.has_guards = any(offer.is_limited for offer in self.offers.values())

        self.shipped = named.get(published.serve or "") if published.is_shipped else None
        self.closed = None if self.shipped is not None else _CLOSED.get(published.state)
        self.starts_at, self.ends_at = definition.starts_at, definition.ends_at
        self.timed = self.shipped is None and (self.starts_at is not None or self.ends_at is not None)
        self.forced = {canonical_visitor(visitor): self._forced_arm(named, arm) for visitor, arm in forced.items()}
        # What most experiments have none of, behind one question.
        self.gated = self.closed is not None or self.timed or bool(self.forced)
        self.eligibility = Eligibility(definition.eligibility)
        self.refusal = self.eligibility.refusal if self.eligibility else None
        self.attribute, self.listed = self.eligibility.attribute, self.eligibility.listed
        self.holdout: Compiled | None = None

        self.traffic_prefix = f"{definition.traffic_salt}:".encode()
        self.split_prefix = f"{definition.split_salt}:".encode()
        self.layer_low, self.layer_high = definition.layer_range
        self.traffic_high = definition.traffic_end
        self.all_traffic = self.layer_low == 0 and self.traffic_high == BUCKETS

    def assign(
        self, visitor: str, encoded: bytes, attributes: Mapping[str, Any] | None, at: datetime | None
    ) -> Assignment:
        """The arm of a checked visitor id, before guards."""
        if self.gated:
            answer = self.gate(visitor, attributes, at)
            if answer is not None:
                return answer
        if self.refusal is not None:
            # One rule on a text such as the country is what most experiments have; it is not worth a call.
            seen = attributes.get(self.attribute) if type(attributes) is dict else None
            refusal = "" if type(seen) is str and seen in self.listed else self.refusal(attributes)
            if refusal:
                return self.control(visitor, attributes, Reason.NOT_ELIGIBLE, refusal)
        held = _NOT_COVERED
        if self.holdout is not None:
            held = self.holdout.hold(encoded, at)
            if held[0] is not None and held[0][1] == HOLDOUT_ARMS[0]:
                return self.control(visitor, attributes, Reason.HOLDOUT, "", held)._replace(offer=None)
        if self.shipped is not None:
            return self.answer(visitor, attributes, self.shipped, Reason.SHIPPED, None, "", held)
        if not self.all_traffic:
            slot = bucket_of_bytes(self.traffic_prefix, encoded)
            if not self.layer_low <= slot < self.layer_high:
                return self.control(visitor, attributes, Reason.LAYER, "", held)
            if slot >= self.traffic_high:
                return self.control(visitor, attributes, Reason.NOT_IN_TRAFFIC, "", held)
        # From here on as `bucket_of_bytes` and `answer`, written out: two calls more would cost more than the rules.
        split = (first_64_bits(md5(self.split_prefix + encoded).digest())[0] >> 4) % BUCKETS
        arm = self.arms[bisect_right(self.limits, split)]
        if self.segments:
            return self.answer(visitor, attributes, arm, _SPLIT, split, "", held)
        holdout, holdout_phase, holdout_hash = held
        return _new_tuple(
            Assignment,
            (
                visitor,
                self.experiment,
                self.phase,
                arm.name,
                arm.offer,
                None,
                _SPLIT,
                split,
                holdout,
                NO_SEGMENTS,
                self.hash,
                "",
                holdout_phase,
                holdout_hash,
                None,
            ),
        )

    def gate(self, visitor: str, attributes: Mapping[str, Any] | None, at: datetime | None) -> Assignment | None:
        """The answer of an experiment that does not run now, or for a forced visitor; None for all others."""
        closed = self.closing(at)
        if closed is not None:
            return self.control(visitor, attributes, *closed)
        if visitor in self.forced:
            return self.answer(visitor, attributes, self.forced[visitor], Reason.FORCED, None)
        return None

    def closing(self, at: datetime | None) -> tuple[Reason, str] | None:
        """Why it does not run at that moment, None while it does: of state and times, what comes first as a reason."""
        outside = self.outside(at) if self.timed else None
        if self.closed is None or outside is None:
            return self.closed or outside
        return min(self.closed, outside, key=lambda closed: _PRECEDENCE.index(closed[0]))

    def outside(self, at: datetime | None) -> tuple[Reason, str] | None:
        """Whether it is before the start or after the end."""
        moment = at or datetime.now(UTC)
        if self.starts_at is not None and moment < self.starts_at:
            return Reason.DRAFT, f"starts at {self.starts_at.isoformat()}"
        if self.ends_at is not None and moment >= self.ends_at:
            return Reason.STOPPED, f"ended at {self.ends_at.isoformat()}"
        return None

    def is_open(self, at: datetime | None) -> bool:
        """Whether it runs at that moment."""
        return self.closing(at) is None

    def hold(self, encoded: bytes, at: datetime | None) -> Held:
        """As a holdout: on which side the visitor is, nowhere while it does not run."""
        if not self.is_open(at):
            return _NOT_COVERED
        arm = self.arms[bisect_right(self.limits, bucket_of_bytes(self.split_prefix, encoded))]
        return (self.experiment, arm.name), self.phase, self.hash

    def control(
        self,
        visitor: str,
        attributes: Mapping[str, Any] | None,
        reason: Reason,
        detail: str = "",
        held: Held = _NOT_COVERED,
    ) -> Assignment:
        """The control's answer, for a reason other than the split."""
        return self.answer(visitor, attributes, self.control_arm, reason, None, detail, held)

    def answer(
        self,
        visitor: str,
        attributes: Mapping[str, Any] | None,
        arm: Arm,
        reason: Reason,
        bucket: int | None,
        detail: str = "",
        held: Held = _NOT_COVERED,
    ) -> Assignment:
        """An arm as an assignment."""
        segments = NO_SEGMENTS
        if self.segments and isinstance(attributes, Mapping):
            segments = {name: attributes.get(name) for name in self.segments}
        holdout, holdout_phase, holdout_hash = held
        # NamedTuple's own constructor would cost as much as the hash.
        return _new_tuple(
            Assignment,
            (
                visitor,
                self.experiment,
                self.phase,
                arm.name,
                arm.offer,
                None,
                reason,
                bucket,
                holdout,
                segments,
                self.hash,
                detail,
                holdout_phase,
                holdout_hash,
                None,
            ),
        )

    def _with_currency(self, offer: Offer) -> Offer:
        return replace(offer, currency=self.published.definition.currency)

    def _with_offer(self, arm: Arm) -> Arm:
        if arm.offer is None:
            return arm
        offer = self._with_currency(arm.offer)
        self.offers.setdefault(offer.name, offer)
        return replace(arm, offer=offer)

    def _forced_arm(self, named: Mapping[str, Arm], name: str) -> Arm:
        if name not in named:
            raise InputError(
                f"experiment {self.experiment!r} has no arm {name!r} to force",
                hint=known_or_nearest(name, named, whose="It has"),
            )
        return named[name]
