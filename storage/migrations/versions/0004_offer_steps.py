"""How far visitors came with an offer; which report a decision was made on, and what it recommended."""

from __future__ import annotations

from offerlift.storage.columns import DOCUMENT, NUMBER, word
from offerlift.storage.migrations.steps import add_column, create_table
from sqlalchemy import BigInteger, Column, Integer, PrimaryKeyConstraint

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """From version 3 to version 4."""
    add_column("decision", Column("report_hash", word(64)))
    add_column("decision", Column("recommended_reason", DOCUMENT))
    add_column("decision", Column("look", Integer))
    create_table(
        "offer_step",
        Column("experiment_id", NUMBER, nullable=False, autoincrement=False),
        Column("visitor_id", NUMBER, nullable=False, autoincrement=False),
        Column("step", word(16), nullable=False),
        Column("offer_id", NUMBER, nullable=False, autoincrement=False),
        Column("at", BigInteger, nullable=False),
        Column("reason_id", NUMBER),
        Column("received_at", BigInteger, nullable=False),
        PrimaryKeyConstraint("experiment_id", "visitor_id", "step", "offer_id"),
        comment="How far a visitor came with an offer: of each step the earliest time, and the reason given then.",
        sqlite_with_rowid=False,
    )
