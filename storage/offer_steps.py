"""Writing the steps of offers: one row a visitor, step and offer, whatever the order in which the records arrive.

The earliest record of a row counts, with its reason; of one moment the one with a reason, then the reason that sorts
first. So any order and any batching of the same records gives the same rows.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from ..errors import InputError
from ..experiments.hashing import canonical_visitor
from ..experiments.records import OfferStep
from ..experiments.steps import check_reason, check_step
from .engine import Raced
from .engines import insert_missing, locked, matches, update_rows
from .horizon import is_pruned, prune_horizon, too_old
from .lookups import find_ids, name_ids, visitors_and_new
from .names import check_name
from .results import Refusal, Tally
from .tables import definition, experiment, name, offer_step
from .times import to_micros

__all__ = ["PreparedStep", "prepare_offer_steps", "store_offer_steps"]


class When(NamedTuple):
    """What a row says of its step: the earlier is the smaller, then a reason before none, then the reason by its
    letters."""

    at: int
    without_reason: bool
    reason: str


class PreparedStep(NamedTuple):
    """A checked record; `place` is its position among the records written."""

    place: int
    experiment: str
    visitor: str
    step: str
    offer: str
    when: When


def prepare_offer_steps(records: Iterable[tuple[int, OfferStep]], tally: Tally) -> list[PreparedStep]:
    """The records that can be stored; the others are refused in the tally."""
    return tally.prepared(records, _prepare)


def _prepare(index: int, record: OfferStep) -> PreparedStep:
    if not isinstance(record, OfferStep):
        raise InputError(f"an OfferStep is needed, seen {record!r}")
    key = check_name("an experiment", record.experiment)
    step, offer = check_step(record.step), check_name("an offer", record.offer)
    reason = check_reason(step, record.reason)
    when = When(to_micros(record.at), reason is None, reason or "")
    return PreparedStep(index, key, canonical_visitor(record.visitor), step, offer, when)


def store_offer_steps(connection: Connection, records: Sequence[PreparedStep], now: int) -> Tally:
    """Store one transaction's steps, received at `now` in microseconds.

    Raises:
        Raced: another writer stored one of the rows meanwhile; the transaction has to be repeated.
    """
    tally = Tally()
    horizon = prune_horizon(connection)
    experiments = find_ids(connection, experiment, {one.experiment for one in records})
    offers = _offers(connection, experiments.values())
    known = [one for one in records if _is_known(one, experiments, offers, tally)]
    visitors, new = visitors_and_new(connection, {one.visitor for one in known})
    numbers = name_ids(connection, {one.offer for one in known} | {one.when.reason for one in known} - {""})
    groups: dict[str, list[PreparedStep]] = defaultdict(list)
    for one in known:
        groups[one.experiment].append(one)
    for key, group in sorted(groups.items()):
        old = {visitors[one.visitor] for one in group if one.visitor not in new}
        _store_group(connection, experiments[key], visitors, numbers, old, group, now, horizon, tally)
    return tally


def _offers(connection: Connection, experiment_ids: Collection[int]) -> dict[int, set[str]]:
    """The offers that some version of each experiment has: a step may come late, of a version long past."""
    found: dict[int, set[str]] = {number: set() for number in experiment_ids}
    if not found:
        return found
    documents = select(definition.c.experiment_id, definition.c.document).where(
        matches(connection, definition.c.experiment_id, list(found))
    )
    for experiment_id, document in connection.execute(documents):
        # Not by `Published.from_json`: a transaction needs these names of each version, and nothing else.
        values = json.loads(document)["definition"]
        arms = (arm["offer"] for arm in values.get("arms", ()) if arm.get("offer") is not None)
        found[experiment_id] |= {offer["name"] for offer in (*arms, *values.get("offers", ()))}
    return found


def _is_known(one: PreparedStep, experiments: dict[str, int], offers: dict[int, set[str]], tally: Tally) -> bool:
    """Whether the experiment has the offer; otherwise the record is refused."""
    number = experiments.get(one.experiment)
    if number is None:
        message = f"unknown experiment {one.experiment!r}; publish its definition first"
    elif one.offer not in offers[number]:
        listed = ", ".join(map(repr, sorted(offers[number]))) or "none"
        message = f"unknown offer {one.offer!r} of {one.experiment!r}; its offers are {listed}"
    else:
        return True
    tally.refused.append(Refusal(one.place, message))
    return False


Key = tuple[int, str, int]
"""visitor_id, step, offer_id."""

_KEY = ("experiment_id", "visitor_id", "step", "offer_id")
_FIELDS = (*_KEY, "at", "reason_id")


def _store_group(
    connection: Connection,
    experiment_id: int,
    visitors: dict[str, int],
    numbers: dict[str, int],
    old: Collection[int],
    records: Sequence[PreparedStep],
    now: int,
    horizon: int | None,
    tally: Tally,
) -> None:
    stored = _read(connection, experiment_id, old) if old else {}
    state = dict(stored)
    for one in records:
        key = visitors[one.visitor], one.step, numbers[one.offer]
        before = state.get(key)
        if before is not None and before <= one.when:
            tally.repeated += 1
        elif is_pruned(one.when.at, horizon):
            tally.refused.append(Refusal(one.place, too_old("a step of an offer", one.when.at, horizon)))
        else:
            state[key] = one.when
            tally.changed += before is not None
    added = sorted(state.keys() - stored.keys())
    tally.new += len(added)

    def row(key: Key, *more: int) -> tuple[int | str | None, ...]:
        at, without_reason, reason = state[key]
        return experiment_id, *key, at, None if without_reason else numbers[reason], *more

    if added and insert_missing(
        connection, offer_step, (*_FIELDS, "received_at"), [row(key, now) for key in added]
    ) != len(added):
        raise Raced
    changed = [key for key in sorted(stored) if state[key] is not stored[key]]
    if changed:
        update_rows(connection, offer_step, _FIELDS, [row(key) for key in changed])


def _read(connection: Connection, experiment_id: int, visitors: Collection[int]) -> dict[Key, When]:
    statement = (
        select(*(offer_step.c[field] for field in ("visitor_id", "step", "offer_id", "at", "reason_id")))
        .where(offer_step.c.experiment_id == experiment_id)
        .where(matches(connection, offer_step.c.visitor_id, list(visitors)))
        # Locked in one order by all writers.
        .order_by(offer_step.c.visitor_id, offer_step.c.step, offer_step.c.offer_id)
    )
    rows = list(map(tuple, connection.execute(locked(connection, statement))))
    reasons = {reason_id for *_, reason_id in rows if reason_id is not None}
    texts = {}
    if reasons:
        found = select(name.c.id, name.c.key).where(matches(connection, name.c.id, list(reasons)))
        texts = dict(connection.execute(found).all())
    return {
        (visitor_id, step, offer_id): When(at, reason_id is None, "" if reason_id is None else texts[reason_id])
        for visitor_id, step, offer_id, at, reason_id in rows
    }
