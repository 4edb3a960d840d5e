"""Stores as releases before the present one wrote them, and what a database holds, for comparing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import sqlalchemy
from offerlift.storage import tables
from sqlalchemy import Connection, Engine

FOLDER = Path(__file__).parent / "version_1"
ROWS: list[dict[str, Any]] = json.loads((FOLDER / "rows.json").read_text(encoding="utf-8"))
OBSERVATIONS: dict[str, Any] = json.loads((FOLDER / "observations.json").read_text(encoding="utf-8"))

NUMBERED = ("experiment", "arm", "visitor", "name")

_TAKE_NUMBERS = {
    "postgresql": "SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT max(id) FROM {name}))",
    "duckdb": "SELECT nextval('{name}_id_seq') FROM {name}",
}


def write_version_1(url: str) -> None:
    """Fill an empty database with the tables and rows of a store that the first release wrote."""
    engine = sqlalchemy.create_engine(url)
    name = {"mysql": "mariadb"}.get(engine.dialect.name, engine.dialect.name)
    with engine.begin() as connection:
        ddl = (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
        for statement in ddl.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
        for part in ROWS:
            names = list(part["rows"][0])
            table = sqlalchemy.table(part["table"], *map(_column, names))
            connection.execute(table.insert(), part["rows"])
        # A store that gave these numbers out itself goes on after them.
        if engine.dialect.name in _TAKE_NUMBERS:
            for name in NUMBERED:
                connection.exec_driver_sql(_TAKE_NUMBERS[engine.dialect.name].format(name=name)).all()
    if engine.dialect.name == "sqlite":
        raw = engine.raw_connection()
        raw.cursor().execute("PRAGMA journal_mode = WAL").close()
        raw.close()
    engine.dispose()


def _column(name: str) -> sqlalchemy.ColumnClause[Any]:
    # Quoted, as `at` is a word of DuckDB's.
    return sqlalchemy.column(sqlalchemy.sql.quoted_name(name, True))


def stored_rows(url: str) -> list[dict[str, Any]]:
    """All rows of all tables that version 1 had, in the shape of ROWS and with the columns of version 1."""
    engine = sqlalchemy.create_engine(url)
    found = []
    with engine.connect() as connection:
        for part in ROWS:
            columns = list(map(_column, part["rows"][0]))
            rows = connection.execute(sqlalchemy.select(*columns).select_from(sqlalchemy.table(part["table"])))
            found.append({"table": part["table"], "rows": [dict(row._mapping) for row in rows]})
    engine.dispose()
    return [{"table": part["table"], "rows": by_value(part["rows"])} for part in found]


def by_value(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows in an order of their own, as a table has none."""
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


def remove_all(url: str) -> None:
    """Leave a database without tables, whatever is in it."""
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        for table in reversed(tables.metadata.sorted_tables):
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {table.name}")
            if engine.dialect.name == "duckdb":
                connection.exec_driver_sql(f"DROP SEQUENCE IF EXISTS {table.name}_id_seq")
    engine.dispose()


def layout(url: str) -> set[tuple[object, ...]]:
    """Everything that the database says of its tables, as far as one store differs from another by it."""
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        found = _LAYOUTS[engine.dialect.name](connection, engine)
    engine.dispose()
    return found


def _sqlite(connection: Connection, engine: Engine) -> set[tuple[object, ...]]:
    rows = connection.exec_driver_sql("SELECT type, name, tbl_name, sql FROM sqlite_master")
    # The statements themselves, spaces and line breaks apart: they have the checks and WITHOUT ROWID as well.
    found: set[tuple[object, ...]] = {(*row[:3], re.sub(r"\s+", "", row[3] or "")) for row in rows}
    for _, name, _, _ in {one for one in found if one[0] == "table"}:
        found |= {("column", name, *column) for column in connection.exec_driver_sql(f"PRAGMA table_info({name})")}
    return found


def _postgresql(connection: Connection, engine: Engine) -> set[tuple[object, ...]]:
    schema = connection.exec_driver_sql("SELECT current_schema()").scalar_one()
    found: set[tuple[object, ...]] = set()
    for statement in (
        """SELECT 'column', c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                  a.attcollation, pg_get_expr(d.adbin, d.adrelid)
           FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
           LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
           WHERE c.relkind = 'r' AND a.attnum > 0 AND c.relnamespace = current_schema()::regnamespace""",
        """SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
           FROM pg_constraint WHERE connamespace = current_schema()::regnamespace""",
        "SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()",
        """SELECT 'table', relname, relkind, obj_description(oid, 'pg_class')
           FROM pg_class WHERE relnamespace = current_schema()::regnamespace""",
    ):
        for row in connection.exec_driver_sql(statement):
            found.add(tuple(cell.replace(f"{schema}.", "") if isinstance(cell, str) else cell for cell in row))
    return found


def _mariadb(connection: Connection, engine: Engine) -> set[tuple[object, ...]]:
    found: set[tuple[object, ...]] = set()
    for (name,) in connection.exec_driver_sql("SHOW TABLES").all():
        (_, text) = connection.exec_driver_sql(f"SHOW CREATE TABLE `{name}`").one()
        found.add(("table", name, re.sub(r" AUTO_INCREMENT=\d+", "", text)))
    return found


def _duckdb(connection: Connection, engine: Engine) -> set[tuple[object, ...]]:
    found: set[tuple[object, ...]] = set()
    for statement in (
        """SELECT 'column', table_name, column_index, column_name, data_type, is_nullable, column_default
           FROM duckdb_columns() WHERE NOT internal""",
        "SELECT 'constraint', table_name, constraint_type, constraint_text FROM duckdb_constraints()",
        "SELECT 'index', table_name, index_name, is_unique, sql FROM duckdb_indexes()",
        "SELECT 'table', table_name, comment FROM duckdb_tables() WHERE NOT internal",
        "SELECT 'sequence', sequence_name, increment_by FROM duckdb_sequences()",
    ):
        found |= {tuple(row) for row in connection.exec_driver_sql(statement)}
    return found


_LAYOUTS = {"sqlite": _sqlite, "postgresql": _postgresql, "mysql": _mariadb, "duckdb": _duckdb}
