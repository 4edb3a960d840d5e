"""`offerlift simulate`, from the shop's own rows to what is said to those who pay."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from offerlift.cli.app import run

DEFINITION = """
experiment: {key}
arms:
  - {{name: control}}
  - {{name: b}}
metrics:
  - revenue_per_visitor: {{window: 7d}}
  - conversion: {{window: 7d, margin: 20%}}
plan:
  primary: {primary}
  guardrails: {guardrails}
  minimum_detectable_effect: 40%
  looks: 2
  sample_size: 6000
"""
START = datetime(2026, 1, 5, tzinfo=UTC)
VISITORS = 3_000


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OFFERLIFT_DB", raising=False)


def define(key: str, *, primary: str = "revenue_per_visitor", guardrails: str = "[]", window: str = "7d") -> None:
    Path("offers").mkdir(exist_ok=True)
    text = DEFINITION.format(key=key, primary=primary, guardrails=guardrails).replace("7d", window)
    Path(f"offers/{key}.yaml").write_text(text)


@pytest.fixture
def shop(capsys):
    """A store with `past`: 150 visitors a day for 20 days, half of them in the control; a tenth orders for 30 or 90."""
    define("past")
    assert run(["publish", "offers"]) == 0
    assert run(["start", "past"]) == 0
    exposures, outcomes = ["visitor,arm,at"], ["id,visitor,at,total"]
    for n in range(VISITORS):
        at = START + timedelta(days=n // 150, minutes=n % 150)
        exposures.append(f"v{n},{('control', 'b')[n % 2]},{at:%Y-%m-%dT%H:%M:%SZ}")
        if n // 2 % 10 == 0:
            outcomes.append(f"o{n},v{n},{at + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ},{(30, 90)[n // 20 % 2]}")
    Path("e.csv").write_text("\n".join(exposures) + "\n")
    Path("o.csv").write_text("\n".join(outcomes) + "\n")
    assert run(["import", "exposures", "e.csv", "--experiment", "past"]) == 0
    assert run(["import", "outcomes", "o.csv", "--event", "purchase", "--value", "total"]) == 0
    capsys.readouterr()


def simulated(capsys, *arguments: str) -> dict:
    assert run(["simulate", *arguments, "--runs", "200", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_page_says_what_would_have_happened(shop, capsys):
    """Plan, history, the endings with their errors, weeks, and two sentences for people; nothing on standard error."""
    assert run(["simulate", "past", "--runs", "200"]) == 0
    page, error = capsys.readouterr()
    for part in (
        "PLAN past: revenue per visitor, planned looks at 50% and 100%",
        "HISTORY past: 1,500 visitors of the control, 150 conversions",
        "1,050 visitors a week",
        "no effect (A/A)",
        "revenue per visitor +40%",
        "UNTIL THE DECISION",
        "Of 100 experiments without any effect, about",
        "The plan allows 5%",
        "(the plan wants 80%)",
    ):
        assert part in " ".join(page.split()), part
    assert error == ""
    assert max(map(len, page.splitlines())) <= 100


def test_the_json_has_every_scenario_and_the_seed_decides(shop, capsys):
    """The same seed prints the same; shares sum to 1; the harm that is named is a third scenario."""
    first = simulated(capsys, "past", "--harm", "conversion=-15%")
    assert first == simulated(capsys, "past", "--harm", "conversion=-15%")
    assert first != simulated(capsys, "past", "--harm", "conversion=-15%", "--seed", "2")
    assert [one["effect"] for one in first["scenarios"]] == [0, 0.4, 0.4]
    assert first["scenarios"][2]["harm"] == {"conversion": -0.15}
    for one in first["scenarios"]:
        assert sum(share["share"] for share in one["outcomes"].values()) == pytest.approx(1)
    assert first["weeks"] == pytest.approx([3000 / 1050 + 1, 6000 / 1050 + 1])
    assert simulated(capsys, "past", "--visitors-per-week", "6000", "--lift", "10%")["weeks"][-1] == 2


def test_a_new_plan_takes_the_visitors_of_an_earlier_experiment(shop, capsys):
    """Before it is published, from a file; the guardrail has its history there too."""
    define("new", guardrails="[conversion]")
    found = simulated(capsys, "new", "--definitions", "offers", "--from", "past")
    assert (found["experiment"], found["source"], found["history_visitors"]) == ("new", "past", 1_500)
    assert found["guardrails"] == ["conversion"]


def test_a_file_can_be_the_history(capsys):
    """One row a visitor, without a store; it has no times, so that no weeks are said."""
    define("new")
    rows = [f"{'xy'[n % 2]},{(n // 2 % 9 == 0) * (20 + n % 70)}" for n in range(4_000)]
    Path("shop.csv").write_text("arm,spent\n" + "\n".join(rows) + "\n")
    columns = ["--table", "shop.csv", "--arm", "arm", "--control", "x", "--revenue", "spent"]
    found = simulated(capsys, "new", "--definitions", "offers", *columns)
    assert (found["source"], found["history_visitors"], found["weeks"]) == ("shop.csv", 2_000, None)


def test_a_rate_can_be_the_history(capsys):
    """A conversion's rate is enough; money is refused with what to do."""
    define("rate", primary="conversion")
    define("money")
    assert simulated(capsys, "rate", "--definitions", "offers", "--baseline", "10%")["source"] == ""
    assert run(["simulate", "money", "--definitions", "offers", "--baseline", "10%"]) == 2
    assert "--from EXPERIMENT" in capsys.readouterr().err


def test_without_history_it_says_what_to_give(shop, capsys):
    """Nobody measured it in that window: exit code 2, with the ways out."""
    define("other", window="9d")
    assert run(["simulate", "other", "--definitions", "offers"]) == 2
    error = capsys.readouterr().err
    assert "1,000 analysed visitors" in error
    assert "--from EXPERIMENT" in error
    assert "--table FILE" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "past", "--baseline", "3%"], "give one history"),
        (["--lift", "150%"], "above 0 and below 1"),
        (["--harm", "conversion"], "METRIC=CHANGE"),
        (["--harm", "conversion=0"], "no relative change"),
        (["--harm", "returns=-3%"], "no history of 'returns'"),
        (["--runs", "10"], "100<=x<=100000"),
    ],
)
def test_arguments_that_cannot_be_are_refused(shop, capsys, arguments, message):
    """Exit code 2, and why."""
    assert run(["simulate", "past", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_the_bar_is_shown_at_a_terminal_only(shop, capsys, monkeypatch):
    """On standard error, and never in what is printed."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert run(["simulate", "past", "--runs", "200", "--json"]) == 0
    seen = capsys.readouterr()
    assert "Simulating" in seen.err
    assert json.loads(seen.out)["runs"] == 200
