"""What was said and shown at a look is kept with it."""

from __future__ import annotations

from offerlift.storage.columns import DOCUMENT
from offerlift.storage.migrations.steps import add_column
from sqlalchemy import Column

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """From version 2 to version 3."""
    add_column("look", Column("document", DOCUMENT))
