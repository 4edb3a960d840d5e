"""Parquet on the command line: the commands and numbers of CSV, and errors that say what to do."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from offerlift.cli.app import run

TABLE = ["--arm", "arm", "--control", "a", "--visitor", "visitor", "--conversion", "bought", "--revenue", "spent"]
COUNT = 600
SHOP = {
    "visitor": list(range(1, COUNT + 1)),
    "arm": ["ab"[number % 2] for number in range(COUNT)],
    "bought": [number % 3 == 0 for number in range(COUNT)],
    "spent": [12.5 if number % 3 == 0 else 0.0 for number in range(COUNT)],
}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OFFERLIFT_DB", raising=False)


def write_both(columns: dict[str, list[object]], name: str) -> None:
    pq.write_table(pa.table(columns), f"{name}.parquet")
    with Path(f"{name}.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *zip(*columns.values(), strict=True)])


def test_a_parquet_table_gives_the_numbers_of_the_csv(capsys):
    """`analyze --table` and `import table` take either format: one card, one content."""
    write_both(SHOP, "t")
    cards = []
    for file in ("t.csv", "t.parquet"):
        assert run(["analyze", "--table", file, *TABLE, "--json"]) == 0
        cards.append(json.loads(capsys.readouterr().out))
    assert cards[0]["experiment"] == "t"
    assert (cards[0]["arms"], cards[0]["metrics"]) == (cards[1]["arms"], cards[1]["metrics"])
    assert run(["import", "table", "t.parquet", "--experiment", "t", *TABLE]) == 0
    assert "600 rows read: 600 new" in capsys.readouterr().out
    assert run(["import", "table", "t.csv", "--experiment", "t", *TABLE]) == 0
    assert "600 rows read: 0 new, 0 changed, 600 repeated" in capsys.readouterr().out


def test_refused_rows_are_listed_by_their_number(capsys):
    """Rows of a Parquet file count from 1; the rejects file has the number, the reason and the cells."""
    spent = [*SHOP["spent"][:-2], 1.005, None]
    pq.write_table(pa.table(SHOP | {"spent": spent}), "t.csv")
    assert run(["analyze", "--table", "t.csv", *TABLE]) == 0
    assert "t.csv, row 599: column 'spent': EUR has 2 decimal places, seen 1.005" in capsys.readouterr().err
    assert run(["import", "table", "t.csv", "--experiment", "t", *TABLE]) == 1
    assert "row 600: column 'spent': an amount is empty" in capsys.readouterr().err
    with Path("t.csv.rejects.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["row", "reason", "arm", "visitor", "bought", "spent"]
    assert [row[0] for row in rows[1:]] == ["599", "600"]
    assert rows[1][2:] == ["a", "599", "false", "1.005"]


def test_events_from_parquet(capsys):
    """Exposures and outcomes with integer ids, timestamps and decimals arrive; the same again changes nothing."""
    assert run(["init"]) == 0
    assert run(["publish", "offers"]) == 0
    assert run(["start", "free-shipping"]) == 0
    at = [datetime(2026, 1, 5, 10, tzinfo=UTC), datetime(2026, 1, 5, 11, tzinfo=UTC)]
    pq.write_table(pa.table({"visitor": [1, 2], "arm": ["control", "free-from-39"], "at": at}), "e.parquet")
    total = pa.array(["80.10", "3"]).cast(pa.decimal128(10, 2))
    pq.write_table(pa.table({"id": [1, 2], "visitor": ["1", "2"], "at": at, "total": total}), "o.parquet")
    exposures = ["import", "exposures", "e.parquet", "--experiment", "free-shipping"]
    outcomes = ["import", "outcomes", "o.parquet", "--event", "purchase", "--value", "total"]
    for said in ("2 rows read: 2 new", "2 rows read: 0 new, 0 changed, 2 repeated"):
        capsys.readouterr()
        assert run(exposures) == 0
        assert run(outcomes) == 0
        assert capsys.readouterr().out.count(said) == 2
    assert run(["analyze", "free-shipping", "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    revenue = next(metric for metric in card["metrics"] if metric["metric"] == "revenue_per_visitor")
    assert {arm["arm"]: arm["value"] for arm in revenue["arms"]} == {"control": 80.1, "free-from-39": 3.0}


def test_times_without_a_zone_are_refused_before_anything_is_stored(capsys):
    """The error names file, column, type and remedy, with exit code 2."""
    assert run(["init"]) == 0
    assert run(["publish", "offers"]) == 0
    at = [datetime(2026, 1, 5, 10)]  # noqa: DTZ001 - that it has none is the point
    pq.write_table(pa.table({"visitor": [1], "arm": ["control"], "at": at}), "e.parquet")
    capsys.readouterr()
    assert run(["import", "exposures", "e.parquet", "--experiment", "free-shipping"]) == 2
    said = capsys.readouterr().err
    assert "e.parquet, column 'at': a time is text or a timestamp with a time zone; seen timestamp[us]" in said
    assert "Without its zone" in said


def test_events_of_a_column_that_no_metric_counts_are_named(capsys):
    """With --event-column too a misspelt event is not silent: each is named beside those that count."""
    assert run(["init"]) == 0
    assert run(["publish", "offers"]) == 0
    names = ["purchase", "purchas", *(f"other-{number}" for number in range(6)), "bad:name"]
    at = "2026-01-06T00:00:00Z"
    rows = "".join(f"{number},v{number},{at},{name}\n" for number, name in enumerate(names))
    Path("all.csv").write_text(f"id,visitor,at,what\n{rows}")
    Path("good.csv").write_text(f"id,visitor,at,what\n99,v99,{at},purchase\n")
    capsys.readouterr()
    assert run(["import", "outcomes", "good.csv", "--event-column", "what"]) == 0
    assert "Warning" not in capsys.readouterr().err
    assert run(["import", "outcomes", "all.csv", "--event-column", "what"]) == 1
    listed = "'other-0', 'other-1', 'other-2', 'other-3', 'other-4' and 2 more"
    assert f"no metric of any experiment counts {listed}; the events that count: purchase" in capsys.readouterr().err
