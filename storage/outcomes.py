"""Writing outcomes and covariates: once for each id, the first content stays."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from ..errors import InputError
from ..experiments.hashing import canonical_visitor
from ..experiments.records import Covariate, Outcome
from .cells import LARGEST_NUMBER, flushed
from .engine import Raced
from .engines import insert_missing, matches
from .forgotten import is_forgotten
from .horizon import is_pruned, prune_horizon, too_old
from .lookups import name_ids, visitor_ids
from .money import check_currency, major_units, minor_units
from .names import check_id, check_name
from .results import Conflict, Refusal, Tally
from .tables import covariate, outcome, visitor
from .times import from_micros, to_micros

__all__ = ["prepare_covariates", "prepare_outcomes", "store_covariates", "store_outcomes"]


class Content(NamedTuple):
    """What makes two outcomes of one id the same; `at` is None where the time of writing was taken."""

    visitor: str
    value: int | None
    cost: int | None
    quantity: int | None
    currency: str
    reporting_value: int | None
    reporting_cost: int | None
    refund_of: str | None
    at: int | None

    def same(self, other: Content) -> bool:
        """Whether both say the same; a time counts only where both were given one."""
        timed = self.at is not None and other.at is not None
        # Of a visitor who was forgotten nobody can say who it was.
        same_visitor = self.visitor == other.visitor or is_forgotten(self.visitor)
        return same_visitor and self[1:-1] == other[1:-1] and (not timed or self.at == other.at)

    def __str__(self) -> str:
        parts = ["a forgotten visitor" if is_forgotten(self.visitor) else f"visitor {self.visitor!r}"]
        for name, amount in (("value", self.value), ("cost", self.cost)):
            if amount is not None:
                parts.append(f"{name} {major_units(amount, self.currency)} {self.currency}")
        for name, amount in (("reporting value", self.reporting_value), ("reporting cost", self.reporting_cost)):
            if amount is not None:
                parts.append(f"{name} {amount} minor units")
        if self.quantity is not None:
            parts.append(f"quantity {self.quantity}")
        if self.refund_of is not None:
            parts.append(f"refund of {self.refund_of!r}")
        if self.at is not None:
            parts.append(f"at {from_micros(self.at).isoformat()}")
        return ", ".join(parts)


class PreparedOutcome(NamedTuple):
    """A checked outcome; `place` is its position among the records written."""

    place: int
    event: str
    outcome_id: str
    content: Content
    recorded_at: int | None = None


class PreparedCovariate(NamedTuple):
    """A checked covariate; `place` is its position among the records written."""

    place: int
    name: str
    visitor: str
    at: int
    value: float


def prepare_outcomes(records: Iterable[tuple[int, Outcome]], currency: str, tally: Tally) -> list[PreparedOutcome]:
    """The records that can be stored in a store of that currency; the others are refused in the tally."""
    prepared = []
    for index, record in records:
        try:
            prepared.append(_prepare_outcome(index, record, currency))
        except InputError as error:
            tally.refused.append(Refusal(index, str(error)))
    return prepared


def _prepare_outcome(index: int, record: Outcome, currency: str) -> PreparedOutcome:
    if not isinstance(record, Outcome):
        raise InputError(f"an Outcome is needed, seen {record!r}")
    quantity = record.quantity
    if quantity is not None and (isinstance(quantity, bool) or not isinstance(quantity, int) or abs(quantity) >= 2**53):
        raise InputError(f"a quantity is a whole number below 2**53, seen {quantity!r}")
    own = currency if record.currency is None else check_currency(record.currency)
    value, cost, refund_of = record.value, record.cost, record.refund_of
    reporting_value, reporting_cost = record.reporting_value, record.reporting_cost
    content = Content(
        canonical_visitor(record.visitor),
        None if value is None else minor_units(value, own),
        None if cost is None else minor_units(cost, own),
        quantity,
        own,
        None if reporting_value is None else minor_units(reporting_value, currency),
        None if reporting_cost is None else minor_units(reporting_cost, currency),
        None if refund_of is None else check_id("refund_of", refund_of),
        None if record.at is None else to_micros(record.at),
    )
    outcome_id = check_id("an outcome id", record.outcome_id)
    if not reporting_value is reporting_cost is None:
        _check_reporting(content, currency)
    if refund_of is not None:
        _check_refund(content, outcome_id)
    recorded_at = None if record.recorded_at is None else to_micros(record.recorded_at)
    return PreparedOutcome(index, check_name("an event", record.name), outcome_id, content, recorded_at)


def _check_reporting(content: Content, currency: str) -> None:
    reported = content.reporting_value, content.reporting_cost
    if content.currency == currency:
        raise InputError(
            f"the amounts are in the store's currency {currency} and have a reporting amount as well",
            hint="Leave reporting_value and reporting_cost out, or say in which currency value and cost are.",
        )
    for name, own, reporting in zip(("value", "cost"), (content.value, content.cost), reported, strict=True):
        if (own is None) != (reporting is None):
            missing, given = (f"reporting_{name}", name) if reporting is None else (name, f"reporting_{name}")
            raise InputError(
                f"an outcome in {content.currency} has {given} but no {missing}",
                hint=f"In {currency} either all of its amounts are known, or none.",
            )


def _check_refund(content: Content, outcome_id: str) -> None:
    if content.refund_of == outcome_id:
        raise InputError(f"outcome {outcome_id!r} is a refund of itself", hint="A refund has an id of its own.")
    amounts = (content.value, content.cost, content.reporting_value, content.reporting_cost)
    if any(amount is not None and amount < 0 for amount in amounts):
        raise InputError(
            f"a refund's amounts are positive, seen {content}",
            hint="Write what was given back and recovered; refund_of says that it is taken away.",
        )


def store_outcomes(connection: Connection, records: Sequence[PreparedOutcome], now: int) -> Tally:
    """Store one transaction's outcomes; received at `now` in microseconds.

    Those without a time get when they were recorded, or `now`.

    Raises:
        Raced: another writer stored one of the ids meanwhile; the transaction has to be repeated.
    """
    tally = Tally()
    horizon = prune_horizon(connection)
    groups: dict[str, list[PreparedOutcome]] = defaultdict(list)
    for record in records:
        groups[record.event].append(record)
    events = name_ids(connection, groups.keys())
    added: dict[str, dict[str, PreparedOutcome]] = defaultdict(dict)
    for event in sorted(groups):
        known = _stored_outcomes(connection, events[event], [one.outcome_id for one in groups[event]])
        for one in groups[event]:
            stored = known.get(one.outcome_id)
            if stored is None and is_pruned(_time(one, now), horizon):
                tally.refused.append(Refusal(one.place, too_old("an outcome", _time(one, now), horizon)))
            elif stored is None:
                known[one.outcome_id] = one.content
                added[event][one.outcome_id] = one
                tally.new += 1
            elif stored == one.content or stored.same(one.content):
                tally.repeated += 1
            else:
                tally.conflicts.append(Conflict(one.place, _conflict(one, stored)))
    # Of new outcomes only: what is not stored must not bring a forgotten visitor's id back.
    visitors = visitor_ids(connection, {one.content.visitor for group in added.values() for one in group.values()})
    for event, group in added.items():
        rows = [_outcome_row(events[event], group[key], visitors, now) for key in sorted(group)]
        if insert_missing(connection, outcome, _FIELDS, rows) != len(rows):
            raise Raced
    return tally


def _stored_outcomes(connection: Connection, event_id: int, keys: Sequence[str]) -> dict[str, Content]:
    rows = connection.execute(
        select(
            outcome.c.outcome_id,
            outcome.c.at_given,
            visitor.c.key,
            *(outcome.c[name] for name in _AMOUNTS),
            outcome.c.at,
        )
        .join(visitor, visitor.c.id == outcome.c.visitor_id)
        .where(outcome.c.event_id == event_id, matches(connection, outcome.c.outcome_id, keys))
    )
    return {row[0]: Content(*row[2:-1], at=row[-1] if row[1] else None) for row in map(tuple, rows)}


def _conflict(offered: PreparedOutcome, stored: Content) -> str:
    return (
        f"outcome {offered.outcome_id!r} of {offered.event!r} is stored with {stored}; "
        f"this one has {offered.content}; the stored one stays"
    )


_AMOUNTS = ("value", "cost", "quantity", "currency", "reporting_value", "reporting_cost", "refund_of")
"""Fields of a row and of a Content, one after the other in both."""

_FIELDS = ("visitor_id", "event_id", "outcome_id", *_AMOUNTS, "at", "at_given", "received_at")


def _time(record: PreparedOutcome, now: int) -> int:
    recorded_at = now if record.recorded_at is None else record.recorded_at
    return recorded_at if record.content.at is None else record.content.at


def _outcome_row(
    event_id: int, record: PreparedOutcome, visitors: dict[str, int], now: int
) -> tuple[int | str | None, ...]:
    """The values of _FIELDS."""
    visitor_key, *amounts, at = record.content
    given = at is not None
    return visitors[visitor_key], event_id, record.outcome_id, *amounts, _time(record, now), int(given), now


def prepare_covariates(records: Iterable[tuple[int, Covariate]], tally: Tally) -> list[PreparedCovariate]:
    """The records that can be stored; the others are refused in the tally."""
    return tally.prepared(records, _prepare_covariate)


def _prepare_covariate(index: int, record: Covariate) -> PreparedCovariate:
    if not isinstance(record, Covariate):
        raise InputError(f"a Covariate is needed, seen {record!r}")
    try:
        value = math.nan if isinstance(record.value, bool | str | bytes) else float(record.value)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    # Its cube must still be a number that a database can hold.
    if not abs(value) <= LARGEST_NUMBER:
        raise InputError(f"a covariate is a finite number of at most 1e60, seen {record.value!r}")
    name = check_name("a covariate", record.name)
    return PreparedCovariate(index, name, canonical_visitor(record.visitor), to_micros(record.at), flushed(value))


def store_covariates(connection: Connection, records: Sequence[PreparedCovariate]) -> Tally:
    """Store one transaction's covariates.

    Raises:
        Raced: another writer stored one of the values meanwhile; the transaction has to be repeated.
    """
    tally = Tally()
    groups: dict[str, list[PreparedCovariate]] = defaultdict(list)
    for record in records:
        groups[record.name].append(record)
    names = name_ids(connection, groups.keys())
    visitors = visitor_ids(connection, {one.visitor for one in records})
    for name in sorted(groups):
        known = _stored_covariates(connection, names[name], visitors, groups[name])
        added: dict[tuple[int, int], float] = {}
        for one in groups[name]:
            key = visitors[one.visitor], one.at
            stored = known.get(key)
            if stored is None:
                known[key] = added[key] = one.value
                tally.new += 1
            elif stored == one.value:
                tally.repeated += 1
            else:
                message = (
                    f"covariate {name!r} of visitor {one.visitor!r} at {from_micros(one.at).isoformat()} "
                    f"is stored with {stored!r}; this one has {one.value!r}; the stored one stays"
                )
                tally.conflicts.append(Conflict(one.place, message))
        rows = [(names[name], *key, added[key]) for key in sorted(added)]
        if insert_missing(connection, covariate, ("name_id", "visitor_id", "at", "value"), rows) != len(rows):
            raise Raced
    return tally


def _stored_covariates(
    connection: Connection, name_id: int, visitors: dict[str, int], records: Sequence[PreparedCovariate]
) -> dict[tuple[int, int], float]:
    times = [one.at for one in records]
    rows = connection.execute(
        select(covariate.c.visitor_id, covariate.c.at, covariate.c.value)
        .where(covariate.c.name_id == name_id, covariate.c.at.between(min(times), max(times)))
        .where(matches(connection, covariate.c.visitor_id, [visitors[one.visitor] for one in records]))
    )
    return {(visitor_id, at): value for visitor_id, at, value in rows}
