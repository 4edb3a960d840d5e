"""What was decided about an experiment, by whom and why: numbered, and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from ..errors import InputError, known_or_nearest
from .engine import Raced
from .engines import insert_missing
from .lookups import arm_ids, find_ids
from .tables import decision, experiment
from .times import from_micros, to_micros

__all__ = ["Decided", "add_decision", "read_decisions"]


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision about an experiment.

    Attributes:
        action: what was decided: `ship`, `stop_harm`, `stop_no_effect`, or `continue`, by which the same plan goes on.
        arm: that ships; None with any other action.
        author: who decided.
        reason: why; "" where the recommendation was followed without another word.
        at: when.
        recommended_action, recommended_arm: what the report recommended at that moment, in its own words.
        recommended_reason: the report's reason.
        report_hash: SHA-256 of that report's JSON, apart from the release that made it.
        look: number of the last look that was recorded then; None where there was none.
        number: of the decision, 1 for the experiment's first; given by the store, 0 before.
    """

    action: str
    arm: str | None
    author: str
    reason: str
    at: datetime
    recommended_action: str
    recommended_arm: str | None = None
    recommended_reason: str = ""
    report_hash: str = ""
    look: int | None = None
    number: int = 0

    @property
    def follows(self) -> bool:
        """Whether it is what was recommended; `continue` is where nothing else was than to go on collecting."""
        if self.action == "continue":
            return self.recommended_action == "collecting"
        return (self.action, self.arm if self.action == "ship" else None) == (
            self.recommended_action,
            self.recommended_arm if self.action == "ship" else None,
        )


def read_decisions(connection: Connection, key: str) -> tuple[Decided, ...]:
    """All decisions about an experiment, by number."""
    rows = connection.execute(
        select(decision)
        .join(experiment, experiment.c.id == decision.c.experiment_id)
        .where(experiment.c.key == key)
        .order_by(decision.c.number)
    ).mappings()
    return tuple(
        Decided(
            action=row["decided_action"],
            arm=row["decided_arm"],
            author=row["author"],
            reason=row["reason"],
            at=from_micros(row["at"]),
            recommended_action=row["recommended_action"],
            recommended_arm=row["recommended_arm"],
            # Rows of version 3 have none of these.
            recommended_reason=row["recommended_reason"] or "",
            report_hash=row["report_hash"] or "",
            look=row["look"],
            number=row["number"],
        )
        for row in rows
    )


def add_decision(connection: Connection, key: str, made: Decided) -> int:
    """Record a decision under the next number, and return that.

    The latest decision again changes nothing: a writer that lost its connection while committing finds it recorded.

    Raises:
        InputError: no such experiment, or it never had the arm.
    """
    experiment_id = find_ids(connection, experiment, [key]).get(key)
    if experiment_id is None:
        raise InputError(f"no experiment {key!r} in this store")
    arms = arm_ids(connection, experiment_id)
    if made.arm is not None and made.arm not in arms:
        raise InputError(
            f"{key!r} never had an arm {made.arm!r}", hint=known_or_nearest(made.arm, arms, whose="Its arms")
        )
    own = decision.c.experiment_id == experiment_id
    latest = connection.scalar(select(func.max(decision.c.number)).where(own)) or 0
    row = _stored(made, experiment_id, latest)
    if latest:
        there = connection.execute(select(decision).where(own, decision.c.number == latest)).mappings().one()
        if dict(there) == row:
            return latest
    row["number"] = latest + 1
    if insert_missing(connection, decision, tuple(row), [tuple(row.values())]) != 1:
        raise Raced
    return latest + 1


def _stored(made: Decided, experiment_id: int, number: int) -> dict[str, object]:
    return {
        "experiment_id": experiment_id,
        "number": number,
        "at": to_micros(made.at),
        "recommended_action": made.recommended_action,
        "recommended_arm": made.recommended_arm,
        "decided_action": made.action,
        "decided_arm": made.arm,
        "author": made.author,
        "reason": made.reason,
        "report_hash": made.report_hash,
        "recommended_reason": made.recommended_reason,
        "look": made.look,
    }
