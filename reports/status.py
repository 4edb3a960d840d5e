"""All experiments of a store in a line each: where they are, and what is to be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from ..experiments.snapshot import Published
from ..storage import Store
from .review import ReviewRow, review_store
from .tree import Action

__all__ = ["Status", "status_of"]


@dataclass(frozen=True, slots=True)
class Status:
    """Where one experiment is.

    Attributes:
        state: draft, running, paused, stopped, or `table` where one was imported.
        phase: 0 of a draft.
        since: when it came into that state and phase.
        visitors: exposed in all phases.
        action, arm: what the rule says now; while nothing may be read, that.
        weeks_left: as in the weekly review; None where there is no planned end, or nothing left to wait for.
        step: what is to be done, in words.
        command: that does it; "" where none does.
        warnings: the health checks that warn; what fails is the action.
    """

    experiment: str
    state: str
    phase: int
    since: datetime
    visitors: int
    action: Action
    arm: str | None
    weeks_left: float | None
    step: str
    command: str
    owner: str
    warnings: tuple[str, ...] = ()


def status_of(store: Store) -> tuple[Status, ...]:
    """Every experiment, in the order of the weekly review. No look is recorded, and what is withheld stays so."""
    return tuple(_status(row, store.versions(row.card.experiment)) for row in review_store(store, dry_run=True).rows)


def _status(row: ReviewRow, versions: Sequence[Published]) -> Status:
    card, latest = row.card, versions[-1]
    same = takewhile(lambda one: (one.state, one.phase) == (latest.state, latest.phase), reversed(versions))
    return Status(
        experiment=card.experiment,
        state=row.state,
        phase=latest.phase,
        since=list(same)[-1].published_at,
        visitors=sum(arm.visitors for arm in card.arms),
        action=card.decision.action,
        arm=card.decision.arm,
        weeks_left=row.weeks_left,
        step=f"{row.step.action}.{f' {row.step.following}' if row.step.following else ''}",
        command=row.step.command,
        owner=card.definition.owner,
        warnings=tuple(one.check for one in card.health if one.status == "warn"),
    )
