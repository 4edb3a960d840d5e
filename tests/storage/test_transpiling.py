"""The statements of an analysis in other engines' SQL: golden files, escapes, and the same numbers."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
import sqlglot
from offerlift.errors import InputError
from offerlift.experiments.hashing import bucket
from offerlift.experiments.metrics import BUILT_IN_METRICS, DAY, Column, CovariateUse, Metric
from offerlift.experiments.records import Covariate, Exposure, Outcome
from offerlift.storage.engine import reading
from offerlift.storage.store import Store
from offerlift.storage.tables import exposure
from offerlift.storage.times import to_micros
from offerlift.storage.transpiling import DIALECTS, analysis_statements, transpile
from sqlalchemy import Double, create_engine, event, literal, select, text
from sqlglot import expressions as exp

GOLDEN = Path(__file__).parent / "golden_sql"
ROOT = Path(__file__).parents[2]
WRITE = "OFFERLIFT_WRITE_GOLDEN_SQL"
METRICS = (
    *(replace(BUILT_IN_METRICS[name], window_end=7 * DAY) for name in ("conversion", "margin_per_visitor")),
    Metric(
        "revenue",
        "revenue",
        Column("purchase", "value"),
        window_end=14 * DAY,
        covariate=CovariateUse("history", window=30 * DAY),
    ),
)


@pytest.fixture
def filled(memory, make_published, at) -> Store:
    """A store with an experiment of three arms and some outcomes."""
    memory.publish(make_published(metrics=METRICS))
    visitors = [f"v{i}" for i in range(60)]
    memory.write_exposures(Exposure("exit", one, "abc"[i % 3], at(i)) for i, one in enumerate(visitors))
    memory.write_covariates(Covariate(one, "history", i / 7, at(0)) for i, one in enumerate(visitors))
    memory.write_outcomes(
        Outcome(one, one, "purchase", at(i * DAY // 4), value=i, cost=1) for i, one in enumerate(visitors) if i % 4
    )
    return memory


@pytest.mark.parametrize("dialect", ["bigquery", "redshift", "snowflake", "trino"])
def test_the_statements_are_the_golden_ones(filled, at, dialect):
    """What is written for a warehouse that no test connects to changes only on purpose.

    Write the files again with OFFERLIFT_WRITE_GOLDEN_SQL=1 pytest tests/storage/test_transpiling.py, and read the
    difference.
    """
    written = filled.analysis_sql("exit", dialect, as_of=at(60 * DAY))
    path = GOLDEN / f"{dialect}.sql"
    if os.environ.get(WRITE):
        path.write_text(";\n\n".join(written) + ";\n", encoding="utf-8")
    golden = [one for one in sqlglot.parse(path.read_text(encoding="utf-8"), read=dialect) if one is not None]
    # Compared as trees: another version of SQLGlot may break its lines elsewhere.
    assert [sqlglot.parse_one(one, read=dialect) for one in written] == golden


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_the_text_gives_the_same_rows(filled, at, dialect):
    """Run as text, without a single parameter, the statements answer what they answer as SQLAlchemy sends them."""
    published, as_of = filled.published("exit"), to_micros(at(60 * DAY))
    with reading(filled._engine) as connection:
        statements = analysis_statements(connection, published, as_of)
        assert len(statements) == 3
        native = [sorted(map(tuple, connection.execute(one))) for one in statements]
        assert all(native)
        written = [transpile(one, dialect) for one in statements]
        if dialect == "postgres":
            written = [sqlglot.transpile(one, read="postgres", write="sqlite")[0] for one in written]
        assert [sorted(map(tuple, connection.exec_driver_sql(one))) for one in written] == native


def test_nothing_is_run(filled, at):
    """Recording asks the facts for no row, and afterwards the connection answers as before."""
    published, sent = filled.published("exit"), []
    with reading(filled._engine) as connection:
        event.listen(connection, "before_cursor_execute", lambda *call: sent.append(call[2:4]))
        statements = analysis_statements(connection, published, to_micros(at(60 * DAY)))
        asked = [parameters for sql, parameters in sent if "FROM exposure" in sql]
        assert [parameters[-2] for parameters in asked] == [0] * len(statements)
        assert connection.scalar(select(exposure.c.phase).limit(1)) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("value", ["it's", "\\'; DROP TABLE shop; --", '"', "%s :a ? {b} $1", "Å 漢 🛒", "a\nb\tc"])
def test_text_is_written_so_that_it_is_read_back(dialect, value):
    """Quotes, backslashes, markers and SQL stay inside the literal."""
    tree = sqlglot.parse_one(transpile(select(literal(value).label("x")), dialect), read=dialect)
    (found,) = tree.find_all(exp.Literal)
    assert (found.is_string, found.this) == (True, value)
    assert len(tree.expressions) == 1


def test_doubles_stay_doubles():
    """A number with a point is cast, as most warehouses would read a DECIMAL; 17 digits arrive."""
    written = transpile(select((literal(0.1 + 0.2, Double) * literal(2.0, Double)).label("x")), "snowflake")
    assert "CAST(0.30000000000000004 AS DOUBLE) * CAST(2.0 AS DOUBLE)" in written


def test_what_cannot_be_written_is_refused(monkeypatch):
    """An unknown dialect and a number that is none are errors; a missing SQLGlot says what to install."""
    with pytest.raises(InputError, match=r"'cobol'.*\n.*bigquery"):
        transpile(select(literal(1)), "cobol")
    with pytest.raises(InputError, match="cannot be written"):
        transpile(select(literal(float("nan"), Double)), "trino")
    monkeypatch.setitem(__import__("sys").modules, "sqlglot", None)
    with pytest.raises(InputError, match=r"pip install 'offerlift\[transpile\]'"):
        transpile(select(literal(1)), "trino")


DOCUMENTED = re.findall(
    r"^-- (\w+)\n(.+)$", (ROOT / "docs" / "assignment.md").read_text(encoding="utf-8"), flags=re.MULTILINE
)


@pytest.mark.parametrize(("name", "expression"), DOCUMENTED, ids=[name for name, _ in DOCUMENTED])
def test_the_documented_bucket_can_be_read(name, expression):
    """Each expression is SQL in its warehouse, with 15 digits (ClickHouse: 60 bits), 10,000 buckets, one column."""
    name = {"PostgreSQL": "postgres"}.get(name, name.lower())
    tree = sqlglot.parse_one(f"SELECT {expression}", read=name)
    literals = {literal.this for literal in tree.find_all(exp.Literal)}
    assert {"free-shipping/s:", "10000"} <= literals
    assert literals & ({"8", "4"} if name == "clickhouse" else {"15"})
    assert [column.name for column in tree.find_all(exp.Column)] == ["visitor"]
    assert len(DOCUMENTED) == 9


VISITORS = ["v1", "A", "a", "it's", "Å ß 漢 🛒", "17", "x" * 255]


def test_the_documented_bucket_of_postgresql_is_ours(postgresql_server):
    """The expression, pasted into the server, gives the assigner's buckets."""
    expression = dict(DOCUMENTED)["PostgreSQL"]
    engine = create_engine(postgresql_server)
    with engine.connect() as connection:
        statement = text(f"SELECT {expression} FROM (VALUES (:visitor)) AS v (visitor)".replace("::", r"\:\:"))
        for visitor in VISITORS:
            assert connection.scalar(statement, {"visitor": visitor}) == bucket("free-shipping/s", visitor)
    engine.dispose()
