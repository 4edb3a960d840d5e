"""`--format`: every command that prints data says the same in text, JSON, CSV and Markdown, and withholds the same."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from offerlift.cli.app import cli, run
from offerlift.cli.output import Output, prints
from offerlift.reports.csv_text import csv_text
from offerlift.reports.markdown import code, escaped

WRITES_FOR_MACHINES = {"schema", "completion", "serve"}
"""Commands whose output is one thing alone: a schema, a script, pages for a browser."""


def commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with the words by which it is called."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def test_every_command_that_prints_data_has_the_same_formats():
    """`--format` and `--json` come from one decorator, and no command has others of its own."""
    for path, command in commands():
        options = {option for one in command.params for option in one.opts}
        if path[0] in WRITES_FOR_MACHINES:
            assert "--format" not in options
            continue
        assert {"--format", "--json"} <= options, path
        chosen = next(one for one in command.params if one.name == "chosen")
        assert isinstance(chosen.type, click.Choice)
        assert list(chosen.type.choices) == ["text", "json", "csv", "markdown"]


PRINTING = [
    ["status"],
    ["log"],
    ["log", "cart"],
    ["check"],
    ["check", "cart"],
    ["analyze", "cart"],
    ["analyze", "cart", "--by", "day"],
    ["review", "--dry-run"],
    ["decide", "cart", "continue", "--dry-run"],
    ["plan", "cart", "--baseline", "20%", "--visitors-per-week", "700", "--lift", "10%"],
    ["assign", "cart", "v1"],
    ["validate", "cart.yaml"],
    ["publish", "cart.yaml", "--dry-run"],
    ["pause", "cart", "--dry-run"],
    ["stop", "cart", "--serve", "ship-free", "--dry-run"],
    ["import", "exposures", "exposures.csv", "--experiment", "cart"],
    ["doctor"],
    ["db", "stats"],
    ["db", "current"],
    ["db", "check"],
    ["db", "upgrade"],
    ["db", "prune", "--before", "2026-02-01", "--dry-run"],
    ["db", "export", "--to", "out", "--force", "--files", "csv"],
    ["db", "forget", "7", "--dry-run"],
    ["sql", "cart"],
    ["report", "cart", "-o", "cart.html"],
]


@pytest.mark.parametrize("command", PRINTING, ids=" ".join)
def test_each_format_can_be_read(planned, capsys, command):
    """JSON is one document, CSV has a header and rows as wide, and standard output has nothing else in it."""
    printed = {}
    for chosen in ("text", "json", "csv", "markdown"):
        assert run([*command, "--format", chosen]) == 0, capsys.readouterr().err
        printed[chosen] = capsys.readouterr().out
    json.loads(printed["json"])
    rows = list(csv.reader(io.StringIO(printed["csv"])))
    assert {len(row) for row in rows} <= {len(rows[0])} if rows else not printed["csv"]
    assert all(name and not name.startswith("=") for name in (rows[0] if rows else []))
    assert printed["text"] or command[0] in ("validate",)
    assert printed["markdown"].strip()
    assert "\x1b" not in printed["text"] + printed["markdown"]
    assert run([*command, "--json"]) == 0
    assert type(json.loads(capsys.readouterr().out)) is type(json.loads(printed["json"]))


def test_json_and_another_format_exclude_each_other(planned, capsys):
    """Asked for two, none is guessed."""
    assert run(["status", "--json", "--format", "csv"]) == 2
    assert "either --json or --format csv" in capsys.readouterr().err
    assert run(["status", "--json", "--format", "json"]) == 0


def printed(capsys, *command: str) -> str:
    capsys.readouterr()
    assert run(list(command)) == 0
    return capsys.readouterr().out


WITHHOLDING = [
    ["analyze", "cart"],
    ["analyze", "cart", "--by", "day"],
    ["review", "--dry-run"],
    ["status"],
    ["check", "cart"],
    ["log", "cart"],
    ["decide", "cart", "continue", "--dry-run"],
]
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d[\d:.+Z]*")
HASH = re.compile(r"[0-9a-f]{64}")


@pytest.mark.parametrize("command", WITHHOLDING, ids=" ".join)
def test_nothing_tells_an_effect_before_the_first_look(planned, planned_otherwise, capsys, command):
    """With the arms' buyers exchanged every output stays the same to the letter; once a look is made, it does not."""
    dated = ["--as-of", "2026-03-14"] if command[0] in ("analyze", "review") else []

    def said() -> dict[str, str]:
        return {
            chosen: HASH.sub("HASH", MOMENT.sub("MOMENT", printed(capsys, *command, *dated, "--format", chosen)))
            for chosen in ("text", "json", "csv", "markdown")
        }

    first = said()
    planned_otherwise()
    assert said() == first
    if command[0] not in ("analyze", "review"):
        return
    for chosen, text in first.items():
        assert {"json": '"withheld": true', "csv": ",withheld,"}.get(chosen, "withheld") in text
    assert run(["review", "--as-of", "2026-03-14"]) == 0
    for chosen, text in said().items():
        assert text != first[chosen]
        assert "withheld until" not in text


def test_csv_is_for_a_spreadsheet():
    """Raw numbers with every digit, UTC times, empty cells for what is absent, and no cell that is a formula."""
    rows = [
        {
            "name": one,
            "value": 0.1 + 0.2,
            "negative": -1.5,
            "count": 1_200,
            "at": datetime.fromisoformat("2026-03-02T02:30:00+02:00"),
            "none": None,
            "flag": True,
            "list": ["a", "b"],
        }
        for one in ("=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\n=1", "plain", 'say "x", y')
    ]
    cells = list(csv.reader(io.StringIO(csv_text(rows))))
    assert cells[0] == list(rows[0])
    assert [row[0] for row in cells[1:]] == [
        *("'=HYPERLINK(1)", "'+1", "'-1", "'@SUM(A1)", "'\tx", "'\nx", "'\n=1", "plain", 'say "x", y'),
    ]
    assert cells[1][1:] == ["0.30000000000000004", "-1.5", "1200", "2026-03-02T00:30:00Z", "", "true", "a; b"]
    assert csv_text([]) == ""


def test_names_and_texts_are_safe_in_a_chat(planned, capsys):
    """A name is a code span that nothing in it ends, other text is escaped: neither mention nor link comes of them."""
    assert code("a`b<!channel>") == "`a'b<!channel>`"
    assert code("a\x1b[31m\nb") == "`a�[31m�b`"
    assert escaped("*x* <!here> [y](z) `w`") == "\\*x\\* \\<!here\\> \\[y\\](z) \\`w\\`"
    said = printed(capsys, "review", "--dry-run", "--format", "markdown")
    assert "- `cart` (running, =team\\*one\\*): **Collecting" in said
    assert "'=team*one*" in printed(capsys, "review", "--dry-run", "--format", "csv")


def test_a_text_becomes_a_block_of_code_that_it_cannot_end():
    """Where a command has no Markdown of its own, its text stands in a fence longer than any in it."""

    @click.command()
    @prints
    def command() -> Output:
        return Output("```\nx", {}, [])

    from click.testing import CliRunner

    assert CliRunner().invoke(command, ["--format", "markdown"]).output == "````\n```\nx\n````\n"


def test_the_review_in_each_format_says_the_same(planned, capsys):
    """After the look: the lift, the action and the command that follows stand in all four."""
    assert run(["review", "--as-of", "2026-03-14"]) == 0
    dated = ["--as-of", "2026-03-14"]
    document = json.loads(printed(capsys, "review", *dated, "--json"))
    (one,) = document["experiments"]
    assert (one["action"], one["arm"], one["next_step"]["command"]) == (
        "ship",
        "ship-free",
        "offerlift stop cart --serve ship-free",
    )
    (row,) = csv.DictReader(io.StringIO(printed(capsys, "review", *dated, "--format", "csv")))
    assert (row["action"], row["ship"], row["next_step"]) == ("ship", "ship-free", one["next_step"]["command"])
    primary = one["scorecard"]["metrics"][0]["comparisons"][0]["sequential"]["lift"]
    assert [float(row[name]) for name in ("lift", "lift_low", "lift_high")] == [
        primary["estimate"],
        primary["low"],
        primary["high"],
    ]
    said = printed(capsys, "review", *dated, "--format", "markdown")
    assert "**Ship “ship-free”.**" in said
    assert "Next: `offerlift stop cart --serve ship-free`" in said
    assert max(map(len, said.splitlines())) < 300


def test_the_rows_of_a_scorecard_are_its_numbers(planned, capsys):
    """One row a metric and arm; what JSON says in full is in the cells in full."""
    assert run(["review", "--as-of", "2026-03-14"]) == 0
    dated = ["--as-of", "2026-03-14"]
    card = json.loads(printed(capsys, "analyze", "cart", *dated, "--json"))
    rows = list(csv.DictReader(io.StringIO(printed(capsys, "analyze", "cart", *dated, "--format", "csv"))))
    assert [(row["metric"], row["arm"]) for row in rows] == [
        (metric["metric"], arm["arm"]) for metric in card["metrics"] for arm in metric["arms"]
    ]
    treated = rows[1]
    comparison = card["metrics"][0]["comparisons"][0]
    assert float(treated["difference"]) == comparison["difference"]["estimate"]
    assert float(treated["deciding_low"]) == comparison["sequential"]["low"]
    assert treated["as_of"].endswith("Z")
    assert datetime.fromisoformat(treated["as_of"]) == datetime.fromisoformat(card["as_of"]).astimezone(UTC)
    assert (rows[0]["is_control"], rows[0]["difference"]) == ("true", "")


def test_a_failing_check_hides_the_effects_from_spreadsheet_and_chat(planned, capsys):
    """A wrong split: cells say do_not_read where effects would stand, and the chat shows none."""
    assert run(["review", "--as-of", "2026-03-14"]) == 0
    rows = [f"x{i},ship-free,2026-03-02T{i // 60 % 24:02}:{i % 60:02}:00Z" for i in range(900)]
    Path("more.csv").write_text("\n".join(["visitor,arm,at", *rows]), encoding="utf-8")
    assert run(["import", "exposures", "more.csv", "--experiment", "cart"]) == 0
    dated = ["--as-of", "2026-03-14"]
    cells = list(csv.DictReader(io.StringIO(printed(capsys, "analyze", "cart", *dated, "--format", "csv"))))
    assert {row["lift"] for row in cells} == {"", "do_not_read"}
    said = printed(capsys, "analyze", "cart", *dated, "--format", "markdown")
    assert "not shown: health fails" in said
    assert "- Health, fail: srm" in said
    assert run(["report", "cart", "--png", "charts"]) == 2
    assert "a health check fails" in capsys.readouterr().err


def test_no_colour_where_nobody_wants_it(planned, monkeypatch):
    """At a terminal the text is coloured, unless NO_COLOR says no."""
    import sys

    from offerlift.cli.output import has_colour

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert has_colour()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not has_colour()


def test_charts_are_png_files(planned, capsys):
    """`--png` writes each chart, `-o x.png` the lifts; before the first look there is nothing to draw."""
    assert run(["report", "cart", "--png", "charts"]) == 2
    assert "withheld until the first planned look" in capsys.readouterr().err
    assert not Path("charts").exists()
    assert run(["review", "--as-of", "2026-03-14"]) == 0
    written = printed(capsys, "report", "cart", "--png", "charts", "-o", "lifts.png").split()
    names = ("lifts", "money", "lift-by-day", "visitors-by-day")
    assert written == ["lifts.png", *(f"charts/cart-{name}.png" for name in names)]
    for path in written:
        assert Path(path).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert Path(path).stat().st_size > 10_000
    assert run(["report", "cart"]) == 2
    assert "-o FILE.html" in capsys.readouterr().err
