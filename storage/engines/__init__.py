"""The kinds of database that a store can be in: one module each, behind one interface (`Database`).

Whatever is said differently to one of them is said there; everywhere else the statements are the same.
"""

from __future__ import annotations

from .base import Database, Row
from .registry import bucket_in_sql, database_of, insert_keys, insert_missing, locked, matches, update_rows

__all__ = [
    "Database",
    "Row",
    "bucket_in_sql",
    "database_of",
    "insert_keys",
    "insert_missing",
    "locked",
    "matches",
    "update_rows",
]
