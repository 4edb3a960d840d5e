"""The life of an experiment from the command line: each step a version, the snapshot up to date, refusals that help."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from offerlift.cli.app import run
from offerlift.experiments import Assigner, Snapshot, bucket

DEFINITION = """\
experiment: {key}
{more}
arms:
  - {{name: control, weight: {weight}}}
  - name: ship-free
    weight: {rest}
    offer: {{kind: threshold, placement: cart, trigger: cart_view, free_shipping: true}}
metrics:
  - margin_per_visitor
plan: {{primary: margin_per_visitor}}
"""
HOLDOUT = """\
experiment: spring
holdout: true
arms:
  - {name: held_out, weight: 5%}
  - {name: offered, weight: 95%}
metrics: [margin_per_visitor]
plan: {primary: margin_per_visitor}
"""


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OFFERLIFT_DB", raising=False)


def write(key: str = "exp", more: str = "", weight: int = 5_000) -> str:
    file = Path(f"{key}.yaml")
    file.write_text(DEFINITION.format(key=key, more=more, weight=weight, rest=10_000 - weight), encoding="utf-8")
    return str(file)


def reason(capsys, visitor: str = "v1") -> tuple[str, str]:
    """Reason and arm of a visitor, by the snapshot that backends read."""
    capsys.readouterr()
    assert run(["assign", "exp", visitor, "--snapshot", "offers.json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    return answer["reason"], answer["arm"]


def test_from_publish_to_ship(capsys):
    """publish, start, pause, resume, phase, stop: the snapshot follows each step."""
    file = write()
    steps = [
        (["publish", file], "exp version 1 (draft)", "DRAFT"),
        (["start", "exp"], "exp version 2 (running, phase 1)", "SPLIT"),
        (["pause", "exp"], "exp version 3 (paused, phase 1)", "PAUSED"),
        (["pause", "exp"], "exp version 3 (paused, phase 1)", "PAUSED"),
        (["resume", "exp"], "exp version 4 (running, phase 1)", "SPLIT"),
        (["stop", "exp", "--yes"], "exp version 5 (stopped, phase 1)", "STOPPED"),
        (
            ["stop", "exp", "--serve", "ship-free", "--yes"],
            "exp version 6 (stopped, phase 1, serves ship-free)",
            "SHIPPED",
        ),
    ]
    for command, printed, answer in steps:
        capsys.readouterr()
        assert run(command) == 0
        assert capsys.readouterr().out.strip() == printed
        assert reason(capsys)[0] == answer
    assert reason(capsys)[1] == "ship-free"


def test_phase(capsys):
    """Other weights are refused by publish, which names `phase`; that opens the next one, analysed beside the first."""
    run(["publish", write()])
    run(["start", "exp"])
    assert run(["analyze", "exp", "--json"]) == 0
    file = write(weight=1_000)
    capsys.readouterr()
    assert run(["publish", file]) == 2
    assert "`offerlift phase FILE`" in capsys.readouterr().err
    assert run(["phase", file]) == 0
    assert capsys.readouterr().out.strip() == "exp version 3 (running, phase 2)"
    assert run(["phase", file]) == 2
    assert "nothing in 'exp' needs a new phase" in capsys.readouterr().err
    assert run(["phase", file, "--reshuffle"]) == 0
    assert json.loads(Path("offers.json").read_text())["experiments"]["exp"]["definition"]["salt"] == "exp.3"
    capsys.readouterr()
    assert run(["analyze", "exp", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["decision"]["action"] == "collecting"


def test_refusals_say_what_helps(capsys):
    """A step that does not fit exits with 2 and names the command that helps."""
    run(["publish", write()])
    capsys.readouterr()
    assert run(["pause", "exp"]) == 2
    assert "`offerlift start exp` starts it." in capsys.readouterr().err
    run(["start", "exp"])
    capsys.readouterr()
    assert run(["stop", "exp", "--serve", "both"]) == 2
    assert "Its arms: control, ship-free." in capsys.readouterr().err
    assert run(["resume", "exq"]) == 2


def test_layer_and_holdout(capsys):
    """Overlapping ranges are refused against what the store has; a holdout must run first."""
    Path("spring.yaml").write_text(HOLDOUT, encoding="utf-8")
    one = write("one", "layer: {name: shop, range: [0, 6000]}\nholdouts: [spring]")
    two = write("two", "layer: {name: shop, range: [5000, 10000]}")
    assert run(["publish", one]) == 2
    assert "holdouts: is not published" in capsys.readouterr().err
    assert run(["publish", "spring.yaml"]) == 0
    assert run(["publish", one]) == 0
    capsys.readouterr()
    assert run(["publish", two]) == 2
    assert "buckets [5000, 6000] belong to one (draft)" in capsys.readouterr().err
    assert run(["start", "one"]) == 2
    assert "`offerlift start spring` first." in capsys.readouterr().err
    assert run(["start", "spring"]) == 0
    assert run(["start", "one"]) == 0


def test_explain(capsys):
    """`assign --explain` prints the answer and each step with its bucket; an unknown experiment is an error."""
    run(["publish", write(more="traffic: 50%")])
    run(["start", "exp"])
    capsys.readouterr()
    assert run(["assign", "exp", "v1", "--explain", "--snapshot", "offers.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "v1 in exp: ship-free, the offer ship-free (SPLIT)"
    assert [line.split()[0] for line in lines[1:-1]] == ["state", "layer", "traffic"]
    assert f"[exp/t: bucket {bucket('exp/t', 'v1')}]" in lines[2]
    assert lines[-1].startswith("=> ")
    assert run(["assign", "exq", "v1", "--explain", "--snapshot", "offers.json"]) == 2


def test_a_snapshot_that_cannot_be_written(capsys):
    """The step is in the store, the message says that backends do not see it yet, and publishing again writes it."""
    file = write()
    run(["publish", file])
    capsys.readouterr()
    assert run(["start", "exp", "--snapshot", "none/offers.json"]) == 3
    error = capsys.readouterr().err
    assert (
        "the store is up to date, but backends do not see it yet: cannot write the snapshot none/offers.json" in error
    )
    assert "`offerlift publish FILE --snapshot PATH`" in error
    assert reason(capsys)[0] == "DRAFT"
    assert run(["publish", file]) == 0
    assert reason(capsys)[0] == "SPLIT"


def test_traffic_rises_within_a_phase_and_falls_only_with_a_new_one(capsys):
    """More traffic is published in the running phase and keeps everyone; less is refused until a phase is opened, in
    which those who stay keep their arms, since the salt stays; --reshuffle draws them anew."""
    run(["publish", write(more="traffic: 20%")])
    run(["start", "exp"])
    visitors = [f"v{number}" for number in range(300)]

    def arms() -> dict[str, str]:
        assigner = Assigner(Snapshot.load("offers.json"))
        answers = [assigner.assign("exp", visitor) for visitor in visitors]
        return {one.visitor: one.arm for one in answers if one.reason == "SPLIT"}

    small = arms()
    assert run(["publish", write(more="traffic: 60%")]) == 0
    large = arms()
    assert small.items() < large.items()
    file = write(more="traffic: 10%")
    capsys.readouterr()
    assert run(["publish", file]) == 2
    assert "within a phase traffic may only rise (seen: 0.6 -> 0.1)" in capsys.readouterr().err
    assert run(["phase", file]) == 0
    fewer = arms()
    assert fewer.items() < small.items()
    assert run(["phase", file, "--reshuffle"]) == 0
    anew = arms()
    assert anew.keys() == fewer.keys()
    assert anew != fewer


def test_start_and_end_times(capsys):
    """Before `starts_at` a started experiment is like a draft, after `ends_at` like a stopped one, which may be moved
    while it runs; one that has ended cannot be started."""
    run(["publish", write(more="starts_at: 2199-01-01T00:00:00Z")])
    run(["start", "exp"])
    assert reason(capsys)[0] == "DRAFT"
    run(["publish", write("other", "ends_at: 2020-01-01T00:00:00Z")])
    capsys.readouterr()
    assert run(["start", "other"]) == 2
    assert "Move `ends_at`, then `offerlift publish`" in capsys.readouterr().err
    run(["publish", write("third")])
    run(["start", "third"])
    assert run(["publish", write("third", "ends_at: 2020-01-01T00:00:00Z")]) == 0
    capsys.readouterr()
    assert run(["assign", "third", "v1", "--snapshot", "offers.json"]) == 0
    assert json.loads(capsys.readouterr().out)["reason"] == "STOPPED"
