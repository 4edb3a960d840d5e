"""How many records contradicted a stored one or were refused, counted from the day of this upgrade on."""

from __future__ import annotations

from alembic import op
from offerlift.experiments.metrics import DAY
from offerlift.storage.columns import ID, word
from offerlift.storage.migrations.steps import create_table
from offerlift.storage.times import now_micros
from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, Text, column, delete, insert, table

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """From version 4 to version 5."""
    create_table(
        "rejection",
        Column("kind", word(16), nullable=False),
        Column("name", ID, nullable=False),
        Column("at", BigInteger, nullable=False, autoincrement=False),
        Column("conflicts", BigInteger, nullable=False),
        Column("refused", BigInteger, nullable=False),
        PrimaryKeyConstraint("kind", "name", "at"),
        comment="How many records of a day were not taken: other content under a stored id, or nothing that can be "
        "stored.",
        sqlite_with_rowid=False,
    )
    # What was not taken before today nobody counted.
    now = now_micros()
    begun = {"kind": "", "name": "", "at": now - now % DAY, "conflicts": 0, "refused": 0}
    columns = [column(key, Text if value == "" else BigInteger) for key, value in begun.items()]
    rejection = table("rejection", *columns, schema=op.get_context().opts["schema"])
    # An upgrade that was killed half-way may have left the row.
    op.execute(delete(rejection).where(rejection.c.kind == ""))
    op.execute(insert(rejection).values(begun))
