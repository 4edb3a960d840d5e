"""`decide`, `log`, `status` and `check`: what was decided is kept, and where everything is can be seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from offerlift.cli.app import run
from offerlift.experiments import Snapshot
from offerlift.storage import Store

AS_OF = ["--as-of", "2026-03-14"]


def decisions():
    with Store.open("offerlift.db") as store:
        return store.decisions("cart")


def state() -> str:
    with Store.open("offerlift.db") as store:
        return store.published("cart").state


def test_a_decision_is_kept_beside_the_recommendation(planned, capsys, monkeypatch):
    """After the look that says ship: who, what, why, the report's hash, the look; and the command that does it."""
    assert run(["review", *AS_OF]) == 0
    monkeypatch.setenv("OFFERLIFT_USER", "Team Kasse")
    capsys.readouterr()
    assert run(["decide", "cart", "ship", "ship-free"]) == 0
    out, err = capsys.readouterr()
    assert out == "cart, decision 1 by Team Kasse: Ship “ship-free”, as was recommended.\n"
    assert err.rstrip().endswith("stop cart --serve ship-free")
    assert run(["decide", "cart", "continue", "--by", "Ada", "--reason", "one more week"]) == 0
    first, second = decisions()
    assert (first.number, first.action, first.arm, first.author, first.look, first.follows) == (
        1,
        "ship",
        "ship-free",
        "Team Kasse",
        1,
        True,
    )
    assert (first.recommended_action, first.recommended_arm, len(first.report_hash)) == ("ship", "ship-free", 64)
    assert (second.number, second.author, second.reason, second.follows) == (2, "Ada", "one more week", False)
    assert state() == "running"


def test_against_the_recommendation_a_reason_is_needed(planned, capsys):
    """Before the first look the report says to collect: to ship is refused without a reason, to go on is not."""
    assert run(["decide", "cart", "ship", "ship-free"]) == 2
    assert "recommends collecting, and this decides otherwise: a reason is needed" in capsys.readouterr().err
    assert run(["decide", "cart", "ship", "ship-free", "--reason", "  "]) == 2
    assert decisions() == ()
    assert run(["decide", "cart", "continue", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["number"], row["follows"], row["look"], row["recommended_action"]) == (1, True, None, "collecting")


def test_stop_does_what_was_decided(planned, capsys):
    """`--stop` needs a yes where nobody is there; with it the decision is kept and everyone gets the arm."""
    assert run(["review", *AS_OF]) == 0
    command = ["decide", "cart", "ship", "ship-free", "--stop"]
    assert run(command) == 2
    assert "say --yes" in capsys.readouterr().err
    assert (decisions(), state()) == ((), "running")
    assert run([*command, "--dry-run"]) == 0
    assert (decisions(), state()) == ((), "running")
    assert run([*command, "--yes"]) == 0
    assert (len(decisions()), state()) == (1, "stopped")
    assert Snapshot.load("offers.json")["cart"].serve == "ship-free"
    assert run(["decide", "cart", "continue", "--stop"]) == 2


def test_nobody_is_nobody(planned, capsys, monkeypatch):
    """Where even the system does not know who calls, somebody has to be named."""
    import getpass

    def nobody() -> str:
        raise KeyError

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert run(["decide", "cart", "continue"]) == 2
    assert "OFFERLIFT_USER" in capsys.readouterr().err
    monkeypatch.setattr(getpass, "getuser", lambda: "shop")
    assert run(["decide", "cart", "continue"]) == 0
    assert decisions()[0].author == "shop"


def test_the_log_has_it_all(planned, capsys):
    """Versions, the look that was revealed, decisions; of one experiment or of all, the newest last."""
    assert run(["review", "--as-of", "2026-03-09", "--reveal", "cart", "--yes"]) == 0
    assert run(["decide", "cart", "continue", "--by", "Ada", "--reason", "Größe \x1b[2J"]) == 0
    assert run(["pause", "cart"]) == 0
    assert "\x1b" not in capsys.readouterr().out
    capsys.readouterr()
    assert run(["log", "cart", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["changes"]
    assert [one["kind"] for one in found] == ["reveal", "published", "started", "decision", "paused"]
    assert sorted(one["at"] for one in found) == [one["at"] for one in found]
    assert found[3]["by"] == "Ada"
    assert run(["log"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert "not planned" in lines[0]
    assert "Größe �[2J (Ada)" in lines[3]


def test_status_says_where_everything_is(planned, capsys):
    """State, phase, since, visitors, what the rule says, and the step that follows; nothing is recorded."""
    capsys.readouterr()
    assert run(["status", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["experiments"]
    assert (one["experiment"], one["state"], one["phase"], one["visitors"]) == ("cart", "running", 1, 1_200)
    assert (one["action"], one["command"], one["owner"]) == ("collecting", "", "=team*one*")
    with Store.open("offerlift.db") as store:
        assert store.looks("cart") == ()
        assert one["since"] == store.versions("cart")[1].published_at.isoformat()
    assert run(["pause", "cart"]) == 0
    capsys.readouterr()
    assert run(["status"]) == 0
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split()[:3] == ["EXPERIMENT", "state", "phase"]
    assert row.split()[:3] == ["cart", "paused", "1"]
    assert row.endswith("offerlift resume cart")


def test_status_of_nothing(tmp_path, monkeypatch, capsys):
    """A store without experiments says so."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OFFERLIFT_DB", raising=False)
    Store.open("offerlift.db").close()
    for command in (["status"], ["status", "--format", "markdown"]):
        assert run(command) == 0
        assert capsys.readouterr().out == "The store has no experiments yet.\n"
    assert run(["log"]) == 0
    assert run(["check"]) == 0
    assert "No experiment runs." in capsys.readouterr().err


def test_check_fails_where_a_blocking_check_does(planned, capsys):
    """0 while nothing blocks; 1 with a wrong split; drafts and what is over are looked at only if they are named."""
    assert run(["check"]) == 0
    assert "not run  cart" in capsys.readouterr().out
    rows = [f"x{i},ship-free,2026-03-02T{i // 60 % 24:02}:{i % 60:02}:00Z" for i in range(900)]
    Path("more.csv").write_text("\n".join(["visitor,arm,at", *rows]), encoding="utf-8")
    assert run(["import", "exposures", "more.csv", "--experiment", "cart"]) == 0
    capsys.readouterr()
    assert run(["check", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["healthy"] is False
    assert {one["check"] for one in found["checks"] if one["status"] == "fail"} >= {"srm", "srm_sequential"}
    assert run(["check", "--format", "markdown"]) == 1
    assert "- `cart`: fail: srm." in capsys.readouterr().out
    assert run(["stop", "cart", "--yes"]) == 0
    assert run(["check"]) == 0
    assert run(["check", "cart"]) == 1


@pytest.mark.parametrize("arguments", [["ship"], ["stop_harm", "ship-free"], ["ship", "control", "--reason", "x"]])
def test_what_cannot_be_decided_is_a_usage_error(planned, capsys, arguments):
    """Exit code 2, and nothing is kept."""
    assert run(["decide", "cart", *arguments]) == 2
    assert "Error" in capsys.readouterr().err
    assert decisions() == ()
