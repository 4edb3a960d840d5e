"""The store's tables, one set of SQLAlchemy Core declarations for every engine.

Text ids are kept once, in lookup tables, and are integers everywhere else. Times are UTC microseconds since 1970 and
money is whole minor units of its currency, both 64-bit integers. Text compares by bytes on every engine.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.schema import SchemaItem

from .columns import DOCUMENT, ID, NUMBER, word

__all__ = [
    "SCHEMA_VERSION",
    "arm",
    "covariate",
    "decision",
    "definition",
    "experiment",
    "exposure",
    "identity",
    "import_file",
    "look",
    "metadata",
    "name",
    "outcome",
    "segment",
    "store",
    "visitor",
]

SCHEMA_VERSION = 1
"""Number of this layout; a store of another number is not opened."""

metadata = MetaData()


def _lookup(table: str, *columns: SchemaItem) -> Table:
    return Table(table, metadata, Column("id", NUMBER, primary_key=True), *columns)


store = Table(
    "store",
    metadata,
    Column("key", ID, primary_key=True),
    Column("value", DOCUMENT, nullable=False),
    comment="What offerlift knows about this store: schema_version, currency.",
)

experiment = _lookup("experiment", Column("key", ID, nullable=False, unique=True))

arm = _lookup(
    "arm",
    Column("experiment_id", NUMBER, ForeignKey("experiment.id"), nullable=False),
    Column("name", ID, nullable=False),
    UniqueConstraint("experiment_id", "name"),
)

visitor = _lookup("visitor", Column("key", ID, nullable=False, unique=True))

# Names of events, covariates and segments share one lookup table: they are few.
name = _lookup("name", Column("key", ID, nullable=False, unique=True))

definition = Table(
    "definition",
    metadata,
    Column("experiment_id", NUMBER, ForeignKey("experiment.id"), primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("state", word(16), nullable=False),
    Column("phase", Integer, nullable=False),
    Column("published_at", BigInteger, nullable=False),
    Column("assignment_hash", word(64), nullable=False),
    Column("plan_hash", word(64), nullable=False),
    Column("document", DOCUMENT, nullable=False),
    comment="Every published version, never changed; document is the JSON that backends read.",
)

# Facts have no foreign keys: their writer has just looked the numbers up, and checking again costs a third of the time.
exposure = Table(
    "exposure",
    metadata,
    Column("experiment_id", NUMBER, primary_key=True, autoincrement=False),
    Column("phase", Integer, primary_key=True, autoincrement=False),
    Column("visitor_id", NUMBER, primary_key=True, autoincrement=False),
    Column("arm_id", NUMBER, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("assignment_hash", word(64), nullable=False),
    Column("crossover_arm_id", NUMBER),
    Column("crossover_at", BigInteger),
    CheckConstraint("(crossover_arm_id IS NULL) = (crossover_at IS NULL)"),
    sqlite_with_rowid=False,
    comment="One row a visitor: the earliest exposure, and the earliest one in another arm.",
)

# The order of the primary key is the order of reading: a visitor's outcomes of one event by time.
outcome = Table(
    "outcome",
    metadata,
    Column("visitor_id", NUMBER, primary_key=True, autoincrement=False),
    Column("event_id", NUMBER, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("outcome_id", ID, primary_key=True),
    Column("at_given", Integer, nullable=False),
    Column("value", BigInteger),
    Column("cost", BigInteger),
    Column("quantity", BigInteger),
    Column("currency", word(3), nullable=False),
    Column("reporting_value", BigInteger),
    Column("reporting_cost", BigInteger),
    Column("refund_of", ID),
    # In this order no planner mistakes it for a way to find the outcomes of an event.
    UniqueConstraint("outcome_id", "event_id"),
    # Refunds are few: where an index can be of some rows only, finding them costs the others nothing.
    Index(
        "outcome_refund",
        "refund_of",
        "event_id",
        sqlite_where=text("refund_of IS NOT NULL"),
        postgresql_where=text("refund_of IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
    comment="at_given is 0 where the time of writing was taken; such a time is not content.",
)

covariate = Table(
    "covariate",
    metadata,
    Column("name_id", NUMBER, primary_key=True, autoincrement=False),
    Column("visitor_id", NUMBER, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("value", Double, nullable=False),
    sqlite_with_rowid=False,
)

segment = Table(
    "segment",
    metadata,
    Column("experiment_id", NUMBER, primary_key=True, autoincrement=False),
    Column("phase", Integer, primary_key=True, autoincrement=False),
    Column("visitor_id", NUMBER, primary_key=True, autoincrement=False),
    Column("name_id", NUMBER, primary_key=True, autoincrement=False),
    Column("value", ID, nullable=False),
    sqlite_with_rowid=False,
)

identity = Table(
    "identity",
    metadata,
    Column("anonymous_id", NUMBER, primary_key=True, autoincrement=False),
    Column("customer_id", NUMBER, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("identity_customer", "customer_id"),
    sqlite_with_rowid=False,
)

look = Table(
    "look",
    metadata,
    Column("experiment_id", NUMBER, ForeignKey("experiment.id"), primary_key=True, autoincrement=False),
    Column("look", Integer, primary_key=True, autoincrement=False),
    Column("arm_id", NUMBER, ForeignKey("arm.id"), primary_key=True, autoincrement=False),
    Column("metric", ID, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("clock", Double, nullable=False),
    Column("estimate", Double),
    Column("z", Double),
    Column("se", Double),
    Column("boundary", Double),
    Column("alpha_spent", Double),
    Column("planned", Integer, nullable=False),
    Column("verdict", word(32), nullable=False),
    Column("report_hash", word(64), nullable=False),
)

decision = Table(
    "decision",
    metadata,
    Column("experiment_id", NUMBER, ForeignKey("experiment.id"), primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("recommended_action", word(32), nullable=False),
    Column("recommended_arm", ID),
    Column("decided_action", word(32), nullable=False),
    Column("decided_arm", ID),
    Column("author", DOCUMENT, nullable=False),
    Column("reason", DOCUMENT, nullable=False),
)

import_file = Table(
    "import_file",
    metadata,
    Column("experiment_id", NUMBER, ForeignKey("experiment.id"), primary_key=True, autoincrement=False),
    Column("file", ID, primary_key=True),
    Column("read", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    comment="Rows of an imported table that were read and refused, at the last import of a file of that name.",
)
