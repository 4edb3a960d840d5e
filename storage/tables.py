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
)
from sqlalchemy.schema import SchemaItem

from .columns import DOCUMENT, ID, NUMBER, word

__all__ = [
    "PARTIAL_INDEXES",
    "SCHEMA_VERSION",
    "archive",
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
    "offer_step",
    "outcome",
    "rejection",
    "segment",
    "store",
    "visitor",
]

SCHEMA_VERSION = 5
"""Number of this layout, and of the migration that leads to it; a store of another number is not opened.

A new store gets in one step what is declared here. An older one gets there by storage/migrations, which append: a new
column stands last in its table.
"""

metadata = MetaData()

PARTIAL_INDEXES = ("sqlite", "postgresql")
"""Engines that can index some of the rows only."""


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

# Names of events, covariates, segments, offers and reasons share one lookup table: they are few.
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

# `received_at` is when a fact was first written to this store, by the writer's clock; NULL in rows of version 1. It is
# not content, and no analysis looks at it.
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
    Column("received_at", BigInteger),
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
    Column("refund_of", ID),
    Column("reporting_cost", BigInteger),
    Column("received_at", BigInteger),
    # In this order no planner mistakes it for a way to find the outcomes of an event.
    UniqueConstraint("outcome_id", "event_id"),
    sqlite_with_rowid=False,
    comment="at_given is 0 where the time of writing was taken; such a time is not content.",
)

# Refunds are few: where an engine can, only they are indexed.
_refund = outcome.c.refund_of.is_not(None)
Index(
    "outcome_refund",
    outcome.c.refund_of,
    outcome.c.event_id,
    sqlite_where=_refund,
    postgresql_where=_refund,
).ddl_if(callable_=lambda *_, dialect, **__: dialect.name in PARTIAL_INDEXES)
Index("outcome_refund", outcome.c.refund_of, outcome.c.event_id).ddl_if(
    callable_=lambda *_, dialect, **__: dialect.name not in PARTIAL_INDEXES
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

# The lookup table `name` has the offers and the reasons: few texts, which would otherwise stand in every row.
offer_step = Table(
    "offer_step",
    metadata,
    Column("experiment_id", NUMBER, primary_key=True, autoincrement=False),
    Column("visitor_id", NUMBER, primary_key=True, autoincrement=False),
    Column("step", word(16), primary_key=True),
    Column("offer_id", NUMBER, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("reason_id", NUMBER),
    Column("received_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
    comment="How far a visitor came with an offer: of each step the earliest time, and the reason given then.",
)

# One row a look, arm and metric, never changed; `document` is the JSON of what was said and shown of it.
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
    Column("document", DOCUMENT),
)

# Never changed; `report_hash`, `recommended_reason` and `look` say of which report and look the recommendation was, and
# are NULL in rows of version 3.
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
    Column("report_hash", word(64)),
    Column("recommended_reason", DOCUMENT),
    Column("look", Integer),
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

archive = Table(
    "archive",
    metadata,
    Column("experiment_id", NUMBER, ForeignKey("experiment.id"), primary_key=True, autoincrement=False),
    Column("part", word(32), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("as_of", BigInteger, nullable=False),
    Column("pruned_at", BigInteger, nullable=False),
    Column("document", DOCUMENT, nullable=False),
    comment="What was read of a decided experiment, as JSON, before its rows were pruned; never changed.",
)

# Of kind "" is the row that says since when an upgraded store counts; `name` is an experiment's, an event's or a
# covariate's, and of something that cannot even be asked for "".
rejection = Table(
    "rejection",
    metadata,
    Column("kind", word(16), primary_key=True),
    Column("name", ID, primary_key=True),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("conflicts", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    sqlite_with_rowid=False,
    comment="How many records of a day were not taken: other content under a stored id, or nothing that can be stored.",
)
