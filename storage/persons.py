"""Who is one person: identity links followed to their end, whatever their order, chains and circles included."""

from __future__ import annotations

from sqlalchemy import CTE, Connection, FromClause, case, func, select

from .tables import identity

__all__ = ["person_relation"]


def person_relation(connection: Connection, as_of: int) -> FromClause:
    """visitor_id and person_id of every visitor who was linked to a customer by then.

    Each visitor leads to one customer. Steps are doubled until both ends of every link lead to the same person: once
    for plain links, and once more each time the longest chain is twice as long.
    """
    step = (
        select(
            identity.c.anonymous_id.label("visitor_id"),
            identity.c.customer_id.label("reached"),
            identity.c.customer_id.label("lowest"),
        )
        .where(identity.c.at <= as_of)
        .cte("step0")
    )
    number = 0
    while not _settled(connection, person := _persons(step, number), as_of):
        number += 1
        step = _doubled(step, number)
    return person


def _persons(step: CTE, number: int) -> CTE:
    further = step.alias()
    # Who goes round in a circle is the lowest number in it.
    person = func.coalesce(further.c.lowest, step.c.reached)
    joined = step.outerjoin(further, further.c.visitor_id == step.c.reached)
    return select(step.c.visitor_id, person.label("person_id")).select_from(joined).cte(f"person{number}")


def _doubled(step: CTE, number: int) -> CTE:
    further = step.alias()
    lowest = case((further.c.lowest < step.c.lowest, further.c.lowest), else_=step.c.lowest)
    return (
        select(
            step.c.visitor_id,
            func.coalesce(further.c.reached, step.c.reached).label("reached"),
            lowest.label("lowest"),
        )
        .select_from(step.outerjoin(further, further.c.visitor_id == step.c.reached))
        .cte(f"step{number}")
    )


def _settled(connection: Connection, person: CTE, as_of: int) -> bool:
    customer = person.alias()
    joined = identity.join(person, person.c.visitor_id == identity.c.anonymous_id).outerjoin(
        customer, customer.c.visitor_id == identity.c.customer_id
    )
    torn = person.c.person_id != func.coalesce(customer.c.person_id, identity.c.customer_id)
    found = select(identity.c.anonymous_id).select_from(joined).where(identity.c.at <= as_of, torn).limit(1)
    return connection.execute(found).first() is None
