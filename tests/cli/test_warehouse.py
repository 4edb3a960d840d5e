"""`analyze --warehouse`: the worked example of the documentation, and the demo both ways."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from offerlift.cli.app import run
from offerlift.reports.demo import run_demo

DOCS = Path(__file__).parents[2] / "docs" / "warehouses.md"

MAPPED = """
warehouse:
  assignments:
    table: viewed
    visitor: user_id
    at: viewed_at
    epoch: microseconds
    arm: variation
    experiment: experiment_key
  facts:
    - {table: orders, visitor: user_id, at: paid_at, event_column: kind, value: total, cost: cost, money: minor}
  covariates:
    - name: past_revenue
      table: customers
      visitor: user_id
      at: known_at
      epoch: microseconds
      value: spent
"""
# Times of orders are text, as in most SQLite files.
RAW = """
ATTACH '{store}' AS ours;
CREATE TABLE viewed AS SELECT v.key AS user_id, x.key AS experiment_key, a.name AS variation, e.at AS viewed_at
    FROM ours.exposure e JOIN ours.visitor v ON v.id = e.visitor_id JOIN ours.experiment x ON x.id = e.experiment_id
    JOIN ours.arm a ON a.id = e.arm_id;
CREATE TABLE orders AS SELECT v.key AS user_id, n.key AS kind, o.value AS total, o.cost AS cost,
    strftime('%Y-%m-%d %H:%M:%S', o.at / 1000000, 'unixepoch') || printf('.%06d', o.at % 1000000) AS paid_at
    FROM ours.outcome o JOIN ours.visitor v ON v.id = o.visitor_id JOIN ours.name n ON n.id = o.event_id;
CREATE TABLE customers AS SELECT v.key AS user_id, c.at AS known_at, c.value AS spent
    FROM ours.covariate c JOIN ours.visitor v ON v.id = c.visitor_id;
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OFFERLIFT_DB", raising=False)
    return tmp_path


@pytest.fixture
def example(folder):
    """What the documentation says to write, written."""
    text = DOCS.read_text(encoding="utf-8")
    definition, *_ = re.findall(r"```yaml\n(experiment:.*?)```", text, flags=re.DOTALL)
    statements, *_ = re.findall(r"```sql\n(COPY.*?)```", text, flags=re.DOTALL)
    (folder / "offers").mkdir()
    (folder / "warehouse").mkdir()
    (folder / "offers" / "free-shipping.yaml").write_text(definition)
    with duckdb.connect() as connection:
        connection.execute(statements)
    return folder


def test_the_worked_example_works(example, capsys):
    """Its definition and tables give a scorecard of all visitors, by day too, and a page; the folder stays as it is."""
    before = {path: path.read_bytes() for path in (example / "warehouse").iterdir()}
    command = ["analyze", "free-shipping", "--warehouse", "duckdb:///warehouse"]
    assert run([*command, "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert {arm["arm"]: arm["visitors"] for arm in card["arms"]} == {"control": 10_000, "free-from-39": 10_000}
    assert run([*command, "--by", "day", "--as-of", "2026-03-10"]) == 0
    assert "by day until 10 March 2026" in capsys.readouterr().out
    assert run(["report", "free-shipping", "--warehouse", "duckdb:///warehouse", "-o", "page.html"]) == 0
    assert "free-from-39" in Path("page.html").read_text()
    assert {path: path.read_bytes() for path in (example / "warehouse").iterdir()} == before
    assert sorted(path.name for path in example.iterdir()) == ["offers", "page.html", "warehouse"]


def leaves(document: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every value of a JSON document, with its path."""
    if not isinstance(document, dict | list):
        yield path, document
        return
    for key, value in document.items() if isinstance(document, dict) else enumerate(document):
        yield from leaves(value, (*path, key))


LOOKED = {"sequential", "progress", "decision", "verdict", "verdict_reason", "randomisation", "randomisation_reason"}
"""What the looks that a store keeps have a say in, and the test of single visitors' values, which it alone gives."""

LOOKED |= {"offers"}
"""Of offers too: money is that of the last look; days since the exposure, segments and funnels a store alone reads."""


def test_the_demo_has_one_scorecard_both_ways(folder, capsys):
    """Stored, and as raw tables of another database, an experiment gives the same JSON, but for what looks decided.

    A warehouse keeps no looks: there the always-valid interval decides.
    """
    run_demo(folder / "demo", share=0.01)
    raw = sqlite3.connect(folder / "raw.db")
    raw.executescript(RAW.format(store=folder / "demo" / "shop.db"))
    raw.close()
    for path in (folder / "demo").glob("*.yaml"):
        path.write_text(path.read_text() + MAPPED)
    for key in ("exit-downsell", "upsell-timing"):
        outputs = []
        for source in (
            ["--db", "sqlite:///demo/shop.db"],
            ["--warehouse", "sqlite:///raw.db", "--definitions", "demo"],
        ):
            assert run(["analyze", key, "--as-of", "2026-11-01T00:00Z", "--json", *source]) == 0
            outputs.append(json.loads(capsys.readouterr().out))
        looked, live = ({path for path, _ in leaves(output) if LOOKED & set(path)} for output in outputs)
        assert any(path[-1] == "boundary" for path in looked)
        assert not any(path[-1] == "boundary" for path in live)
        # A store alone counts the records that it did not take.
        refusals = [next(one for one in output["health"] if one["check"] == "conflicts") for output in outputs]
        assert [one["status"] for one in refusals] == ["ok", "not_run"]
        refusals[1].update(refusals[0])
        stored, mapped = ({p: v for p, v in leaves(output) if not LOOKED & set(p)} for output in outputs)
        assert mapped.keys() == stored.keys()
        for path, value in stored.items():
            # Sums of a covariate are added up in another order.
            assert mapped[path] == (pytest.approx(value, rel=1e-9) if isinstance(value, float) else value), path
        assert sum(arm["visitors"] for arm in outputs[0]["arms"]) > 500


def test_a_definition_without_tables_says_so(example, capsys):
    """Without Parquet files, without a section `warehouse`, without a definition of that key: what to do is said."""
    path = example / "offers" / "free-shipping.yaml"
    assert run(["analyze", "free-shipping", "--warehouse", "duckdb:///offers"]) == 3
    assert "has no Parquet files" in capsys.readouterr().err
    path.write_text(path.read_text().split("warehouse:")[0])
    assert run(["analyze", "free-shipping", "--warehouse", "duckdb:///warehouse"]) == 2
    assert "Add a section `warehouse`" in capsys.readouterr().err
    assert run(["analyze", "free", "--warehouse", "duckdb:///warehouse"]) == 2
    assert "There are: free-shipping." in capsys.readouterr().err
