"""`offerlift assign --explain`: for every reason, the steps that led there with their buckets."""

from __future__ import annotations

from pathlib import Path

import pytest
from offerlift.cli.app import run
from offerlift.experiments import bucket

DEFINITION = """\
experiment: {key}
{more}
arms:
  - {{name: control, weight: 50%}}
  - name: ship-free
    weight: 50%
    offer: {{kind: threshold, placement: cart, trigger: cart_view, free_shipping: true}}
metrics: [margin_per_visitor]
plan: {{primary: margin_per_visitor}}
"""
HOLDOUT = """\
experiment: spring
holdout: true
arms:
  - {name: held_out, weight: 50%}
  - {name: offered, weight: 50%}
metrics: [margin_per_visitor]
plan: {primary: margin_per_visitor}
"""
RULE = "eligibility: [{attribute: country, in: [SE, NO]}]"
HELD_OUT, OFFERED = (
    next(str(n) for n in range(100) if (bucket("spring/h", n) < 5_000) is held) for held in (True, False)
)

# Reason -> lines of the definition, commands after `publish`, visitor, options, the names of the steps, salts hashed.
EVERY = {
    "DRAFT": ("", [], "v", [], ["state"], []),
    "DRAFT, not yet": ("starts_at: 2199-01-01T00:00:00Z", ["start"], "v", [], ["state", "times"], []),
    "STOPPED": ("", ["start", "stop --yes"], "v", [], ["state"], []),
    "PAUSED": ("", ["start", "pause"], "v", [], ["state"], []),
    "FORCED": (RULE, ["start"], "v", ["--force", "ship-free"], ["state", "forced"], []),
    "NOT_ELIGIBLE": (RULE, ["start"], "v", ["--attributes", '{"country": "DE"}'], ["state", "eligibility"], []),
    "HOLDOUT": ("holdouts: [spring]", ["start"], HELD_OUT, [], ["state", "holdout"], ["spring/h"]),
    "SHIPPED": ("", ["start", "stop --yes --serve ship-free"], "v", [], ["state", "shipped"], []),
    "LAYER": ("layer: {name: cart, range: [0, 1]}", ["start"], "v", [], ["state", "layer"], ["cart/t"]),
    "NOT_IN_TRAFFIC": (
        "layer: {name: cart}\ntraffic: 0.01%",
        ["start"],
        "v",
        [],
        ["state", "layer", "traffic"],
        ["cart/t", "cart/t"],
    ),
    "SPLIT": (
        "holdouts: [spring]\ntraffic: 99.99%",
        ["start"],
        OFFERED,
        [],
        ["state", "holdout", "layer", "traffic", "split"],
        ["spring/h", "exp/t", "exp/t", "exp/s"],
    ),
}


@pytest.mark.parametrize("case", EVERY)
def test_every_reason_is_explained(case, tmp_path, monkeypatch, capsys):
    """The steps of each reason in order, the last one deciding, each hash with its salt and bucket."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OFFERLIFT_DB", raising=False)
    more, commands, visitor, options, steps, salts = EVERY[case]
    Path("spring.yaml").write_text(HOLDOUT, encoding="utf-8")
    Path("exp.yaml").write_text(DEFINITION.format(key="exp", more=more), encoding="utf-8")
    for command in ("publish spring.yaml", "start spring", "publish exp.yaml"):
        assert run(command.split()) == 0
    for command, *rest in map(str.split, commands):
        assert run([command, "exp", *rest]) == 0
    capsys.readouterr()
    assert run(["assign", "exp", visitor, "--explain", *options]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.startswith(f"{visitor} in exp: ")
    assert head.endswith(f"({case.split(',')[0]})")
    assert [line[3:].split()[0] for line in lines] == steps
    assert [line.startswith("=>") for line in lines] == [False] * (len(lines) - 1) + [True]
    hashed = [line.split("[")[-1].rstrip("]") for line in lines if "bucket" in line]
    assert hashed == [f"{salt}: bucket {bucket(salt, visitor)}" for salt in salts]


def test_an_imported_table_has_nothing_to_explain(tmp_path, monkeypatch, capsys):
    """ERROR is an error at the command line: an experiment that is not there, or a table, with exit code 2."""
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("segment,conversion\na,1\nb,0\na,0\nb,1\n", encoding="utf-8")
    table = ["import", "table", "t.csv", "--experiment", "mail", "--arm", "segment", "--control", "a"]
    assert run([*table, "--conversion", "conversion"]) == 0
    capsys.readouterr()
    assert run(["assign", "mail", "v", "--explain"]) == 2
    assert "is an imported table: its visitors were assigned elsewhere" in capsys.readouterr().err
    assert run(["assign", "nothing", "v", "--explain"]) == 2
    assert "no experiment 'nothing' in the snapshot; known: mail" in capsys.readouterr().err
