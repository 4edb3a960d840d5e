"""Costs in the reporting currency, times of receipt, refunds found by their original, an archive for pruned rows."""

from __future__ import annotations

from offerlift.storage.migrations.steps import add_column, create_index, create_table, references
from sqlalchemy import BigInteger, Column, Integer, PrimaryKeyConstraint, String, Text, column

revision = "0002"
down_revision = None

# As they were when this was written: tables.py goes on, this does not.
NUMBER = BigInteger().with_variant(Integer(), "sqlite")
DOCUMENT = Text().with_variant(Text(2**32 - 1), "mysql", "mariadb")


def upgrade() -> None:
    """From version 1 to version 2."""
    # In the order in which writers take the tables, so that neither waits for the other for ever.
    add_column("exposure", Column("received_at", BigInteger))
    add_column("outcome", Column("reporting_cost", BigInteger))
    add_column("outcome", Column("received_at", BigInteger))
    create_index("outcome_refund", "outcome", ["refund_of", "event_id"], where=column("refund_of").is_not(None))
    create_table(
        "archive",
        Column("experiment_id", NUMBER, nullable=False, autoincrement=False),
        Column("part", String(32), nullable=False),
        Column("version", Integer, nullable=False),
        Column("as_of", BigInteger, nullable=False),
        Column("pruned_at", BigInteger, nullable=False),
        Column("document", DOCUMENT, nullable=False),
        PrimaryKeyConstraint("experiment_id", "part"),
        references("experiment_id", "experiment.id"),
        comment="What was read of a decided experiment, as JSON, before its rows were pruned; never changed.",
    )
