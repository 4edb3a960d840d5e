"""`offerlift plan`, from the shop's own rows to weeks."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from offerlift.cli.app import run
from offerlift.stats import VISITORS_WITHOUT_PLAN, Design, Mean, detectable_lift

DEFINITION = """
experiment: {key}
traffic: {traffic}
arms:
  - {{name: control}}
  - {{name: b}}
metrics:
  - revenue_per_visitor: {{window: 7d}}
  - conversion: {{window: 7d}}
plan:
  primary: {primary}
  minimum_detectable_effect: 10%
  longest_duration: {longest}
"""
START = datetime(2026, 1, 5, tzinfo=UTC)
DAYS, A_DAY = 20, 150
VISITORS = DAYS * A_DAY + 75


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OFFERLIFT_DB", raising=False)


def define(key: str, *, primary: str = "revenue_per_visitor", traffic: str = "100%", longest: str = "8w") -> None:
    Path("offers").mkdir(exist_ok=True)
    text = DEFINITION.format(key=key, primary=primary, traffic=traffic, longest=longest)
    Path(f"offers/{key}.yaml").write_text(text)


@pytest.fixture
def shop(capsys):
    """A store with `past`: 150 visitors a day for 20 days and 75 on the last; a tenth of an arm orders for 30 or 90."""
    define("past")
    assert run(["publish", "offers"]) == 0
    assert run(["start", "past"]) == 0
    exposures, outcomes = ["visitor,arm,at"], ["id,visitor,at,total"]
    for n in range(VISITORS):
        at = START + timedelta(days=n // A_DAY, minutes=n % A_DAY)
        exposures.append(f"v{n},{('control', 'b')[n % 2]},{at:%Y-%m-%dT%H:%M:%SZ}")
        if n // 2 % 10 == 0:
            outcomes.append(f"o{n},v{n},{at + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ},{(30, 90)[n // 20 % 2]}")
    Path("e.csv").write_text("\n".join(exposures) + "\n")
    Path("o.csv").write_text("\n".join(outcomes) + "\n")
    assert run(["import", "exposures", "e.csv", "--experiment", "past"]) == 0
    assert run(["import", "outcomes", "o.csv", "--event", "purchase", "--value", "total"]) == 0
    capsys.readouterr()


def planned(capsys, *arguments: str) -> dict:
    assert run(["plan", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_history_is_the_experiments_own(shop, capsys):
    """Baseline, variance and traffic are those of the control's visitors; the last, unfinished day is no traffic."""
    found = planned(capsys, "past")
    orders = [(30, 90)[n // 20 % 2] for n in range(0, VISITORS, 2) if n // 2 % 10 == 0]
    visitors = len(range(0, VISITORS, 2))
    mean = sum(orders) / visitors
    variance = (sum(value**2 for value in orders) - visitors * mean**2) / (visitors - 1)
    assert found["source"] == "past"
    assert found["history_visitors"] == visitors
    assert found["mean"] == pytest.approx(mean)
    assert found["sd"] == pytest.approx(math.sqrt(variance))
    assert found["visitors_per_week"] == pytest.approx(7 * A_DAY)
    row = next(row for row in found["by_week"] if row["week"] == 8)
    design = Design(readings=7, tuned_at=VISITORS_WITHOUT_PLAN)
    assert row["detectable_lift"] == pytest.approx(detectable_lift(Mean(mean, variance), 7 * 7 * A_DAY, design))


def test_the_page_has_answer_weeks_and_shortcuts(shop, capsys):
    """The page says how long, that it is too long, what is seen by when, and what would shorten it; exit code 0."""
    assert run(["plan", "past"]) == 0
    page = capsys.readouterr().out
    for part in ("PLAN  past", "HISTORY  past: 1,538 analysed visitors", "ANSWER", "WEEKS", "WHAT WOULD SHORTEN IT"):
        assert part in page
    assert "1,050 visitors a week" in page
    assert "It cannot be decided within the longest duration, 8 weeks." in page
    assert max(map(len, page.splitlines())) <= 100


def test_a_new_experiment_takes_the_history_of_one_that_measures_the_same(shop, capsys):
    """Before it starts, from a file, the traffic is scaled to what it lets in."""
    define("new", traffic="50%")
    found = planned(capsys, "new", "--definitions", "offers")
    assert found["experiment"] == "new"
    assert found["source"] == "past"
    assert found["visitors_per_week"] == pytest.approx(7 * A_DAY / 2)
    assert "traffic: 100%" in [one["change"] for one in found["shortcuts"]]
    published = planned(capsys, "past")
    assert found["mean"] == published["mean"]


def test_a_cap_comes_from_the_orders(shop, capsys):
    """A cap at 99 % of the orders is proposed where it helps: where one order is far larger than the others."""
    changes = [one["change"] for one in planned(capsys, "past")["shortcuts"]]
    assert changes
    assert not any("cap" in change for change in changes)
    Path("big.csv").write_text("id,visitor,at,total\nbig,v2,2026-01-05T20:00:00Z,2000\n")
    assert run(["import", "outcomes", "big.csv", "--event", "purchase", "--value", "total"]) == 0
    capsys.readouterr()
    changes = [one["change"] for one in planned(capsys, "past")["shortcuts"]]
    assert "a cap of €91.00 a visitor, at 99% of the orders" in changes


def test_without_history_it_says_what_to_give(shop, capsys):
    """An experiment that nobody measured before is refused with the three ways out; numbers are one."""
    define("rate", primary="conversion")
    Path("offers/rate.yaml").write_text(Path("offers/rate.yaml").read_text().replace("window: 7d", "window: 9d"))
    assert run(["plan", "rate", "--definitions", "offers"]) == 2
    error = capsys.readouterr().err
    assert "1,000 analysed visitors" in error
    assert "--baseline" in error
    found = planned(capsys, "rate", "--definitions", "offers", "--from", "past")
    assert found["mean"] == pytest.approx(0.1, abs=0.005)
    assert found["notes"] == ["past measures conversion in another window."]


def test_numbers_need_no_store(capsys):
    """With --definitions and --baseline no store is opened, and none is made."""
    define("rate", primary="conversion")
    arguments = ["rate", "--definitions", "offers", "--baseline", "5%", "--visitors-per-week", "20000", "--lift", "8%"]
    found = planned(capsys, *arguments)
    assert (found["mean"], found["minimum_detectable_effect"]) == (0.05, 0.08)
    assert found["weeks"] > 2
    assert found["source"] == ""
    assert not Path("offerlift.db").exists()
    assert run(["plan", *arguments]) == 0
    assert "HISTORY  as given" in capsys.readouterr().out


def test_a_file_is_history(capsys):
    """A file of one row a visitor gives mean and variance; the traffic has to be given."""
    define("new")
    rows = [f"{('control', 'b')[n % 2]},{50 if n % 8 < 2 else 0}" for n in range(400)]
    Path("t.csv").write_text("arm,spent\n" + "\n".join(rows) + "\n")
    table = ["--table", "t.csv", "--arm", "arm", "--control", "control", "--revenue", "spent"]
    found = planned(capsys, "new", "--definitions", "offers", *table, "--visitors-per-week", "3000")
    assert found["mean"] == pytest.approx(12.5)
    assert found["visitors_per_week"] == 3000
    assert planned(capsys, "new", "--definitions", "offers", *table)["weeks"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--baseline", "2.4"], "Give --sd"),
        (["--sd", "3"], "--sd goes with --baseline"),
        (["--baseline", "2.4", "--sd", "3", "--table", "t.csv"], "give one history"),
        (["--baseline", "2.4", "--sd", "3", "--lift", "500%"], "--lift is 5.0"),
        (["--baseline", "much"], "'much' is not a number"),
        (["--baseline", "nan", "--sd", "3"], "the mean is nan"),
        (["--baseline", "2.4", "--sd", "3", "--r-squared", "1.2"], "R² is 1.2"),
    ],
)
def test_bad_usage_exits_with_2(arguments, said, capsys):
    """What cannot be meant is said, with exit code 2."""
    define("new")
    assert run(["plan", "new", "--definitions", "offers", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_an_unknown_experiment_exits_with_2(shop, capsys):
    """A key that the store does not have is named."""
    assert run(["plan", "nothing"]) == 2
    assert "nothing" in capsys.readouterr().err


def test_an_imported_table_is_history_without_traffic(capsys):
    """Its visitors came at the instant of the import: neither a traffic nor a window is made of that."""
    define("new")
    rows = [f"v{n},{('control', 'b')[n % 2]},{50 if n % 8 < 2 else 0}" for n in range(2_400)]
    Path("t.csv").write_text("visitor,arm,spent\n" + "\n".join(rows) + "\n")
    columns = ["--arm", "arm", "--control", "control", "--visitor", "visitor", "--revenue", "spent"]
    assert run(["import", "table", "t.csv", "--experiment", "mailing", *columns]) == 0
    capsys.readouterr()
    found = planned(capsys, "mailing", "--lift", "10%")
    assert (found["mean"], found["visitors_per_week"], found["window_days"]) == (12.5, None, 0.0)
    assert (found["since"], found["weeks"]) == (None, None)
    found = planned(capsys, "new", "--definitions", "offers", "--from", "mailing", "--visitors-per-week", "3000")
    assert (found["mean"], found["window_days"]) == (12.5, 7.0)
    assert found["weeks"] > 2
