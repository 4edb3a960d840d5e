"""Each step of an assignment in words, with its salt and bucket: for people who ask why somebody got what they got."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .assignment import Assignment
from .compiled import Compiled
from .definition import HOLDOUT_ARMS
from .eligibility import Eligibility, describe
from .hashing import bucket

__all__ = ["Explanation", "Step", "explain"]


@dataclass(frozen=True, slots=True)
class Step:
    """One question on the way.

    Attributes:
        name: state, times, forced, eligibility, holdout, shipped, layer, traffic, split or guards.
        text: what was found.
        decides: whether the arm was settled here; what follows it can only withhold the offer.
        salt: that was hashed, None where nothing was.
        bucket: 0 to 9,999 under the salt.
    """

    name: str
    text: str
    decides: bool = False
    salt: str | None = None
    bucket: int | None = None

    def __str__(self) -> str:
        hashed = "" if self.salt is None else f"  [{self.salt}: bucket {self.bucket}]"
        return f"{'=>' if self.decides else '  '} {self.name:<12}{self.text}{hashed}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """An assignment and the steps that led to it."""

    assignment: Assignment
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        one = self.assignment
        offer = f"the offer {one.offer.name}" if one.offer is not None else "no offer"
        withheld = f", withheld by {one.withheld}" if one.withheld is not None else ""
        head = f"{one.visitor} in {one.experiment}: {one.arm}, {offer}{withheld} ({one.reason})"
        return "\n".join([head, *map(str, self.steps)])


def explain(
    compiled: Compiled, assignment: Assignment, attributes: Mapping[str, Any] | None, at: datetime | None
) -> Explanation:
    """The steps up to the one that decides, found anew from the definition; then what the guards did."""
    steps: list[Step] = []
    for step in _steps(compiled, assignment.visitor, attributes, at):
        steps.append(step)
        if step.decides:
            break
    if assignment.withheld is not None:
        steps.append(Step("guards", f"{assignment.withheld} withholds the offer: {assignment.detail}"))
    elif assignment.offer is not None and assignment.offer.guards:
        steps.append(Step("guards", ", ".join(guard.type for guard in assignment.offer.guards) + " let the offer pass"))
    return Explanation(assignment, tuple(steps))


def _steps(
    compiled: Compiled, visitor: str, attributes: Mapping[str, Any] | None, at: datetime | None
) -> Iterator[Step]:
    published = compiled.published
    definition = published.definition
    state = f"{published.state}, version {published.version}, phase {published.phase}"
    closing = compiled.closing(at)
    yield Step("state", state, closing is not None and closing == compiled.closed)
    if compiled.timed:
        outside = compiled.outside(at)
        yield Step("times", "within its start and end" if outside is None else outside[1], outside is not None)
    if compiled.forced:
        forced = compiled.forced.get(visitor)
        yield Step("forced", "not forced" if forced is None else f"forced into {forced.name}", forced is not None)
    for rule in definition.eligibility:
        refusal = Eligibility([rule]).refusal(attributes)
        yield Step("eligibility", refusal or f"{describe(rule)} holds", bool(refusal))
    if compiled.holdout is not None:
        yield _holdout(compiled.holdout, visitor, at)
    if compiled.shipped is not None:
        yield Step("shipped", f"{compiled.shipped.name} is served to everyone eligible", True)
    if not compiled.all_traffic:
        salt = definition.traffic_salt
        slot = bucket(salt, visitor)
        low, high = definition.layer_range
        inside = low <= slot < high
        text = f"{'inside' if inside else 'outside'} of its range [{low}, {high})"
        yield Step("layer", text, not inside, salt, slot)
        let_in = slot < definition.traffic_end
        text = f"{'in' if let_in else 'not in'} the traffic, [{low}, {definition.traffic_end})"
        yield Step("traffic", text, not let_in, salt, slot)
    else:
        yield Step("traffic", "everyone is let in")
    split = bucket(definition.split_salt, visitor)
    high = 0
    for arm in definition.arms:
        low, high = high, high + arm.weight
        if low <= split < high:
            yield Step("split", f"{arm.name} has [{low}, {high})", True, definition.split_salt, split)


def _holdout(holdout: Compiled, visitor: str, at: datetime | None) -> Step:
    name = holdout.experiment
    if not holdout.is_open(at):
        return Step("holdout", f"{name} does not run")
    definition = holdout.published.definition
    salt = definition.split_salt
    found = bucket(salt, visitor)
    held = definition.arm(HOLDOUT_ARMS[0]).weight
    low = 0 if definition.arms[0].name == HOLDOUT_ARMS[0] else definition.arms[0].weight
    out = low <= found < low + held
    text = f"{'held out of' if out else 'takes part in'} {name}, which holds out [{low}, {low + held})"
    return Step("holdout", text, out, salt, found)
