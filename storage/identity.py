"""Writing identity links: which customer an anonymous visitor turned out to be. The first customer stays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from ..errors import InputError
from ..experiments.hashing import canonical_visitor
from ..experiments.records import Link
from .engine import Raced
from .engines import insert_missing, matches
from .forgotten import is_forgotten
from .lookups import visitor_ids
from .results import Conflict, Tally
from .tables import identity, visitor
from .times import to_micros

__all__ = ["prepare_links", "store_links"]


@dataclass(frozen=True, slots=True)
class PreparedLink:
    """A checked link; `index` is its position among the records written."""

    index: int
    anonymous: str
    customer: str
    at: int


def prepare_links(records: Iterable[tuple[int, Link]], tally: Tally) -> list[PreparedLink]:
    """The records that can be stored; the others are refused in the tally."""
    return tally.prepared(records, _prepare)


def _prepare(index: int, record: Link) -> PreparedLink:
    if not isinstance(record, Link):
        raise InputError(f"a Link is needed, seen {record!r}")
    anonymous, customer = canonical_visitor(record.anonymous), canonical_visitor(record.customer)
    if anonymous == customer:
        raise InputError(f"a visitor cannot be linked to itself, seen {anonymous!r} twice")
    return PreparedLink(index, anonymous, customer, to_micros(record.at))


def store_links(connection: Connection, records: Sequence[PreparedLink]) -> Tally:
    """Store one transaction's links; a link to the same customer again changes nothing, to another is a conflict.

    Raises:
        Raced: another writer linked one of the visitors meanwhile; the transaction has to be repeated.
    """
    tally = Tally()
    visitors = visitor_ids(connection, {key for one in records for key in (one.anonymous, one.customer)})
    known = _stored(connection, [visitors[one.anonymous] for one in records])
    rows = {}
    for one in records:
        number = visitors[one.anonymous]
        customer = known.get(number)
        if customer is None:
            known[number] = one.customer
            rows[number] = (number, visitors[one.customer], one.at)
            tally.new += 1
        elif customer == one.customer:
            tally.repeated += 1
        else:
            known_as = "a forgotten customer" if is_forgotten(customer) else f"customer {customer!r}"
            message = (
                f"visitor {one.anonymous!r} is linked to {known_as}; this one has {one.customer!r}; "
                "the stored one stays"
            )
            tally.conflicts.append(Conflict(one.index, message))
    if insert_missing(connection, identity, ("anonymous_id", "customer_id", "at"), sorted(rows.values())) != len(rows):
        raise Raced
    return tally


def _stored(connection: Connection, numbers: Sequence[int]) -> dict[int, str]:
    found = connection.execute(
        select(identity.c.anonymous_id, visitor.c.key)
        .join(visitor, visitor.c.id == identity.c.customer_id)
        .where(matches(connection, identity.c.anonymous_id, numbers))
    )
    return {row[0]: row[1] for row in found}
