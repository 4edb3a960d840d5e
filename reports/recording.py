"""Making a look: the one place where a review of an experiment becomes an event."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ..stats import Finding
from ..storage import Store
from ..storage.looks import Look
from ..storage.observations import Observations
from . import look_sentences as say
from .decision import blocked, decide
from .details import Details
from .diagnostics import with_randomisation
from .estimates import metric_rows
from .health import health_checks
from .looks import (
    budget_of,
    corrected,
    due_look,
    has_planned_looks,
    is_decided,
    look_at,
    look_rows,
    progress_of,
    recorded_verdicts,
    verdict_rows,
)
from .offers.clusters import clustered
from .scorecard import checked, scorecard
from .tree import HealthCheck, Scorecard

__all__ = ["Reviewed", "make_look", "record_look", "report_hash", "review_observations"]


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What a review of one experiment found.

    Attributes:
        scorecard: as it is shown.
        look: number of the look that was recorded by this review; None where none was.
        reason: one sentence on why one was, or was not.
        planned: whether the plan asked for the look that was recorded.
    """

    scorecard: Scorecard
    look: int | None
    reason: str
    planned: bool = False


def record_look(store: Store, key: str, as_of: datetime | None = None, reveal: bool = False) -> Reviewed:
    """Review an experiment: record a look where one is due, and return the scorecard.

    Looks are due where the clock has newly reached a planned share of the sample, and at the end. A review before the
    first one records nothing and shows health only; between looks, the verdicts are those of the last. Nothing is
    recorded while a health check fails, of a table, once all is decided, and as of a time that is not after the last
    look. Of several reviews at once one records the look, and all show it.

    Without planned looks the always-valid interval decides at any time and spends nothing; what is recorded is a
    verdict once it is reached, so that it stays.

    Args:
        store: where the experiment is.
        key: of the experiment.
        as_of: the moment of the review; None: now.
        reveal: whether to look although no look is due. That is recorded as unplanned, and spends like any other.

    Raises:
        InputError: no experiment of that key, or a naive time.
    """
    return review_observations(store, store.observations(key, as_of=as_of), reveal=reveal)


def review_observations(
    store: Store, observations: Observations, *, reveal: bool = False, dry_run: bool = False
) -> Reviewed:
    """As `record_look`, of observations that were read already.

    Args:
        store: that they are of.
        observations: as of the moment of the review.
        reveal: whether to look although no look is due.
        dry_run: whether to say only which look would be recorded: nothing is written, and the scorecard has no more
            than the looks before show.
    """
    key = observations.definition.experiment
    past = store.looks(key)
    details = Details.of_store(store, observations)
    health = checked(observations, past, details)
    made, reason = make_look(observations, past, reveal=reveal, details=details, health=health)
    if not made:
        return Reviewed(scorecard(observations, past, details, health=health), None, reason)
    if dry_run:
        before = scorecard(observations, past, details, health=health)
        return Reviewed(before, made[0].look, _would_record(observations, made), made[0].planned)
    card = scorecard(observations, [*past, *made], details, health=health)
    shown = report_hash(card)
    rows = [replace(one, report_hash=shown) for one in made]
    if not store.record_look(key, rows):
        return Reviewed(scorecard(observations, store.looks(key), details, health=health), None, say.ANOTHER_REVIEW)
    return Reviewed(card, rows[0].look, reason, rows[0].planned)


def _would_record(observations: Observations, rows: Sequence[Look]) -> str:
    if has_planned_looks(observations.definition):
        return say.recorded(rows[0], would=True)
    return say.verdict_recorded([one.arm for one in rows], would=True)


def report_hash(card: Scorecard) -> str:
    """SHA-256 of a scorecard's JSON, apart from the release that made it."""
    content = card.to_dict() | {"generated_by": None}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def make_look(
    observations: Observations,
    past: Sequence[Look] = (),
    *,
    reveal: bool = False,
    details: Details | None = None,
    health: Sequence[HealthCheck] | None = None,
) -> tuple[list[Look], str]:
    """The rows of the look that is to be made now, and why; no rows where none is. Nothing is written.

    Args:
        observations: of now.
        past: all looks that are recorded, also those of a later time.
        reveal: whether to look although no look is due.
        details: reads single visitors where a check needs them.
        health: what `health_checks` found of the same; None: they are run here.
    """
    details = details or Details()
    definition = observations.definition
    if definition.source == "table":
        return [], say.READ_ONCE
    if health is None:
        health = health_checks(observations, details)
    stop = blocked(observations, health)
    if stop is not None:
        return [], say.not_recorded(stop[1])
    if past and observations.as_of <= past[-1].at:
        return [], say.NOT_LATER
    before = recorded_verdicts(definition, past)
    if not has_planned_looks(definition):
        metrics = with_randomisation(
            metric_rows(observations, clusters=clustered(observations, details)), observations, details
        )
        _, verdicts = decide(observations, health, metrics, before=before)
        rows = verdict_rows(metrics, verdicts, before, observations, past)
        return rows, say.verdict_recorded([one.arm for one in rows]) if rows else say.ANY_DAY
    if is_decided(definition, past):
        return [], say.ALL_DECIDED
    due = due_look(observations, past, reveal=reveal)
    if not due.now:
        progress = progress_of(observations, past)
        return [], say.nothing_due(progress) if progress.clock > 0 else say.NO_VISITOR_YET
    look = look_at(observations, past, due, budget_of(observations))
    metrics = with_randomisation(
        metric_rows(observations, look, clusters=clustered(observations, details)), observations, details
    )
    _, verdicts = decide(observations, health, metrics, look=look, before=before)
    findings = {arm: verdict.finding or Finding.OPEN for arm, verdict in verdicts.items()}
    rows = look_rows(corrected(metrics, look, findings), look, verdicts, before)
    return rows, say.recorded(rows[0])
