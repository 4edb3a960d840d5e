"""`offerlift doctor`: what is wrong with the machine, the store or the snapshot, and what to do about it."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

import pytest
from offerlift.cli.app import run
from offerlift.storage import Store, doctor
from offerlift.storage.doctor import examine


def diagnoses(capsys, code: int, *arguments: str) -> dict[str, tuple[str, str, str]]:
    capsys.readouterr()
    assert run(["doctor", "--json", *arguments]) == code
    found = json.loads(capsys.readouterr().out)
    assert found["healthy"] is (code == 0)
    return {one["check"]: (one["status"], one["detail"], one["hint"]) for one in found["checks"]}


def test_all_is_well(planned, capsys):
    """Versions, packages, extras, store, schema, snapshot, clock, time zone and disks; exit code 0."""
    found = diagnoses(capsys, 0)
    assert {"offerlift", "packages", "timezone", "store", "schema", "snapshot", "clock"} <= found.keys()
    assert found["snapshot"][:2] == ("ok", "offers.json has what is published: 1 of 1.")
    assert "1 experiment, EUR" in found["store"][1]
    assert "numpy" in found["packages"][1]
    assert found["extra spark"][0] in ("ok", "not_run")
    assert not {"extra test", "extra docs", "extra benchmarks"} & found.keys()
    assert {name for name in found if name.startswith("disk")} == {"disk of the store", "disk of the snapshot"}


def test_a_snapshot_that_is_behind(planned, capsys):
    """Missing, damaged, older than the store, or with what the store does not have: each is a finding."""
    text = Path("offers.json").read_text(encoding="utf-8")
    assert run(["pause", "cart", "--snapshot", "elsewhere.json"]) == 0
    status, detail, hint = diagnoses(capsys, 1)["snapshot"]
    assert (status, detail) == ("fail", "offers.json is behind the store in cart.")
    assert "offerlift publish" in hint
    assert diagnoses(capsys, 0, "--snapshot", "elsewhere.json")["snapshot"][0] == "ok"
    Path("offers.json").write_text(text[:100], encoding="utf-8")
    assert "not valid JSON" in diagnoses(capsys, 1)["snapshot"][1]
    Path("offers.json").unlink()
    assert diagnoses(capsys, 1)["snapshot"][1] == "There is none at offers.json."
    Path("offers.json").write_text(text, encoding="utf-8")
    assert run(["resume", "cart", "--snapshot", "elsewhere.json"]) == 0
    Store.open("other.db").close()
    assert "which the store does not have" in diagnoses(capsys, 1, "--db", "other.db")["snapshot"][1]


def test_a_store_that_cannot_be_used(planned, capsys):
    """None, or one of an older layout: what to do stands beside it, and the rest is said not to have been looked at."""
    found = diagnoses(capsys, 1, "--db", "sqlite:///none.db")
    assert found["store"][0] == "fail"
    assert {found[name][0] for name in ("schema", "snapshot", "clock")} == {"not_run"}
    assert not Path("none.db").exists()
    connection = sqlite3.connect("offerlift.db")
    connection.execute("UPDATE store SET value = '3' WHERE key = 'schema_version'")
    connection.commit()
    connection.close()
    found = diagnoses(capsys, 1)
    assert (found["store"][0], found["schema"][0]) == ("ok", "fail")
    assert "offerlift db upgrade" in found["schema"][2]


def test_time_zone_and_disk(planned, capsys, monkeypatch):
    """A zone that the system does not know is read as UTC without a word; a disk that is nearly full stops writers."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    assert diagnoses(capsys, 0)["timezone"][0] == "ok"
    monkeypatch.setenv("TZ", "CET-1CEST")
    assert diagnoses(capsys, 0)["timezone"][0] == "ok"
    monkeypatch.setenv("TZ", "Europe/Berlim")
    status, detail, hint = diagnoses(capsys, 1)["timezone"]
    assert (status, "'Europe/Berlim'" in detail, "unset it" in hint) == ("warn", True, True)
    monkeypatch.delenv("TZ")
    monkeypatch.setattr(doctor, "LEAST_FREE", 1 << 60)
    assert diagnoses(capsys, 1)["disk of the store"][0] == "warn"


def test_clocks(store_url, tmp_path, monkeypatch):
    """A server's clock is compared with ours, one in this process is ours; a difference of minutes is a finding."""
    Store.open(store_url).close()
    found = {one.check: one for one in examine(store_url, tmp_path / "offers.json")}
    assert found["clock"].status == "ok"
    is_server = not store_url.startswith(("sqlite", "duckdb"))
    assert ("server's clock" in found["clock"].detail) is is_server
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 120)
    found = {one.check: one for one in examine(store_url, tmp_path / "offers.json")}
    assert found["clock"].status == ("fail" if is_server else "ok")
    if is_server:
        assert found["clock"].detail.startswith("The server's clock is 120.")
        assert "ahead of" in found["clock"].detail


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("numpy>=1.26", ("numpy", None)),
        ("ruamel.yaml>=0.18.6", ("ruamel.yaml", None)),
        ('psycopg[binary]>=3.2; extra == "postgresql"', ("psycopg", "postgresql")),
        ("x<2; python_version > '3' and extra == 'a-b'", ("x", "a-b")),
    ],
)
def test_requirements(line, expected):
    """Name and extra of a line of the package's metadata."""
    assert doctor._requirement(line) == expected
