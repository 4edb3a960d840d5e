"""How an older store becomes one of the present layout: one Alembic revision a schema version, in `versions/`.

A revision is named after the version that it leads to: `0002` makes a store of version 1 one of version 2. Version 1 is
where it starts, so there is no 0001. A new store is made in one step from storage/tables.py, which the revisions
therefore have to arrive at; a test compares the two on every engine.

Alembic orders the revisions and speaks each engine's DDL. Its own table `alembic_version` is not used: the number that
releases before migrations look at, `schema_version` in the table `store`, stays the only one.
"""
