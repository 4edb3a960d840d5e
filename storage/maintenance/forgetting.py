"""Erasing a visitor's id, so that every total stays as it is.

The id becomes a random one that leads back to nobody. Exposures, outcomes, steps of offers, covariates and links stay
as rows of that random id, so that visitors, moments and the check of the split do not change by a single count.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Column, Connection, Table, delete, func, or_, select, update

from ...experiments.hashing import canonical_visitor
from ..engine import reading, writing
from ..engines import database_of, matches
from ..forgotten import is_forgotten, new_forgotten_id
from ..lookups import find_ids
from ..store import Store
from ..tables import covariate, exposure, identity, offer_step, outcome, segment, visitor

__all__ = ["Forgetting", "forget_visitor", "plan_forgetting"]


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What forgetting a visitor erases, or has erased, and what stays without the id.

    Attributes:
        store: URL of the store, without its password.
        done: whether it was done.
        ids: the ids that are erased: the visitor's, and with `linked` all that links connect with it; none where the
            store does not know the visitor.
        linked: other ids of the same person that stay, as `linked` was not asked for.
        erased: rows that go, by table: the attributes of `segment`.
        renamed_outcomes: outcomes whose own id becomes a random one.
        anonymous: rows that stay, by table, and belong to nobody any more.
    """

    store: str
    done: bool
    ids: tuple[str, ...]
    linked: tuple[str, ...]
    erased: dict[str, int]
    renamed_outcomes: int
    anonymous: dict[str, int]


def plan_forgetting(store: Store, key: str | int, *, linked: bool = False, outcome_ids: bool = False) -> Forgetting:
    """What `forget_visitor` would erase; nothing is changed.

    Raises:
        InputError: an id that no visitor can have.
    """
    with reading(store.engine) as connection:
        return _planned(connection, store.url, canonical_visitor(key), linked, outcome_ids)[0]


def forget_visitor(store: Store, key: str | int, *, linked: bool = False, outcome_ids: bool = False) -> Forgetting:
    """Erase a visitor's id everywhere in the store.

    The id becomes a random one, which is not told. The attributes that were stored with exposures go: in a breakdown
    the visitor is "(missing)" then. What is written for the same id later is that of a new visitor.

    Args:
        store: to erase from.
        key: the visitor's id.
        linked: erase all ids that identity links connect with it, too.
        outcome_ids: replace the ids of all outcomes; otherwise of those only that have the visitor's id in them. An
            outcome whose id was replaced is a new one when it is delivered again, and refunds to come do not find it.

    Raises:
        InputError: an id that no visitor can have.
    """

    def forget(connection: Connection) -> Forgetting:
        plan, numbers = _planned(connection, store.url, canonical_visitor(key), linked, outcome_ids)
        if numbers:
            database_of(connection).overwrite_erased(connection)
            _rename_outcomes(connection, _renamed(connection, numbers, plan.ids, outcome_ids))
            connection.execute(delete(segment).where(matches(connection, segment.c.visitor_id, numbers)))
            for number in numbers:
                connection.execute(update(visitor).where(visitor.c.id == number).values(key=new_forgotten_id()))
        return Forgetting(plan.store, True, plan.ids, plan.linked, plan.erased, plan.renamed_outcomes, plan.anonymous)

    done = writing(store.engine, forget)
    # What was overwritten must not stay in a log either.
    database_of(store.engine).checkpoint(store.engine)
    return done


def _planned(
    connection: Connection, url: str, key: str, linked: bool, outcome_ids: bool
) -> tuple[Forgetting, list[int]]:
    """What is to be done, and the numbers of the ids."""
    found = find_ids(connection, visitor, [key])
    if not found:
        return Forgetting(url, False, (), (), {}, 0, {}), []
    person = _person(connection, found[key])
    others = {one: number for one, number in person.items() if number != found[key]}
    ids = found | (others if linked else {})
    numbers = sorted(ids.values())
    plan = Forgetting(
        url,
        False,
        tuple(ids),
        () if linked else tuple(others),
        {segment.name: _count(connection, segment, (segment.c.visitor_id,), numbers)},
        len(_renamed(connection, numbers, tuple(ids), outcome_ids)),
        {
            table.name: _count(connection, table, columns, numbers)
            for table, columns in (
                (exposure, (exposure.c.visitor_id,)),
                (outcome, (outcome.c.visitor_id,)),
                (offer_step, (offer_step.c.visitor_id,)),
                (covariate, (covariate.c.visitor_id,)),
                (identity, (identity.c.anonymous_id, identity.c.customer_id)),
            )
        },
    )
    return plan, numbers


def _count(connection: Connection, table: Table, columns: Sequence[Column], numbers: Collection[int]) -> int:
    own = or_(*(matches(connection, column, numbers) for column in columns))
    return connection.scalars(select(func.count()).select_from(table).where(own)).one()


def _person(connection: Connection, number: int) -> dict[str, int]:
    """Ids that links connect with a visitor, however many steps away, that were not forgotten; by id."""
    known, new = {number}, {number}
    while new:
        rows = connection.execute(
            select(identity.c.anonymous_id, identity.c.customer_id).where(
                or_(matches(connection, identity.c.anonymous_id, new), matches(connection, identity.c.customer_id, new))
            )
        )
        new = {one for row in rows for one in row} - known
        known |= new
    keys = connection.execute(select(visitor.c.key, visitor.c.id).where(matches(connection, visitor.c.id, known)))
    return {key: one for key, one in sorted(tuple(row) for row in keys) if not is_forgotten(key)}


def _renamed(
    connection: Connection, numbers: Collection[int], ids: Sequence[str], outcome_ids: bool
) -> list[tuple[int, str]]:
    """Event and id of the outcomes that get another id."""
    # As a word of its own: visitor 7 is not in order-177.
    named = re.compile("|".join(rf"(?<![^\W_]){re.escape(one)}(?![^\W_])" for one in ids))
    own = matches(connection, outcome.c.visitor_id, numbers)
    rows = connection.execute(select(outcome.c.event_id, outcome.c.outcome_id, outcome.c.refund_of).where(own)).all()
    own_ids = {(event_id, one) for event_id, one, _ in rows if outcome_ids or named.search(one)}
    # The original of a refund may not have come yet, or be somebody else's.
    return sorted(own_ids | {(event_id, one) for event_id, _, one in rows if one is not None and named.search(one)})


def _rename_outcomes(connection: Connection, renamed: Sequence[tuple[int, str]]) -> None:
    """Give outcomes random ids, and their refunds the same pointers."""
    for event_id, old in renamed:
        new = new_forgotten_id()
        of_event = outcome.c.event_id == event_id
        connection.execute(update(outcome).where(of_event, outcome.c.refund_of == old).values(refund_of=new))
        connection.execute(update(outcome).where(of_event, outcome.c.outcome_id == old).values(outcome_id=new))
