"""Costs in the reporting currency, times of receipt, refunds found by their original, an archive for pruned rows."""

from __future__ import annotations

from offerlift.storage.columns import DOCUMENT, NUMBER, word
from offerlift.storage.migrations.steps import add_column, create_index, create_table, references
from sqlalchemy import BigInteger, Column, Integer, PrimaryKeyConstraint, column

revision = "0002"
down_revision = None


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
        Column("part", word(32), nullable=False),
        Column("version", Integer, nullable=False),
        Column("as_of", BigInteger, nullable=False),
        Column("pruned_at", BigInteger, nullable=False),
        Column("document", DOCUMENT, nullable=False),
        PrimaryKeyConstraint("experiment_id", "part"),
        references("experiment_id", "experiment.id"),
        comment="What was read of a decided experiment, as JSON, before its rows were pruned; never changed.",
    )
