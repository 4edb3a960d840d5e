"""The command line as a user meets it: output, exit codes, and what it says to bad input."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
import sqlglot
from offerlift.cli.app import cli, run

HEADER = "visitor,arm,bought,spent\n"
TABLE = ["--arm", "arm", "--control", "a", "--visitor", "visitor", "--conversion", "bought", "--revenue", "spent"]


def rows(*lines: str) -> str:
    return HEADER + "".join(f"{line}\n" for line in lines)


GOOD = rows(*(f"v{i},{'ab'[i % 2]},{i % 3 == 0:d},{12.5 if i % 3 == 0 else 0}" for i in range(1, 601)))


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OFFERLIFT_DB", raising=False)


def write(name: str, content: str | bytes) -> str:
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return name


def test_from_init_to_report(capsys):
    """The road of the README: init, validate, publish, start, assign, import, analyze, report."""
    assert run(["init"]) == 0
    assert run(["validate", "offers"]) == 0
    assert run(["publish", "offers"]) == 0
    snapshot = json.loads(Path("offers.json").read_text())
    assert next(iter(snapshot)) == "format"
    capsys.readouterr()

    attributes = ["--attributes", '{"country": "DE", "cart_total": 45}']
    assert run(["assign", "free-shipping", "v1", *attributes]) == 0
    assert json.loads(capsys.readouterr().out)["reason"] == "DRAFT"
    assert run(["start", "free-shipping"]) == 0
    capsys.readouterr()
    assert run(["assign", "free-shipping", "v1", *attributes, "--snapshot", "offers.json"]) == 0
    from_file = json.loads(capsys.readouterr().out)
    assert run(["assign", "free-shipping", "v1", *attributes]) == 0
    assert json.loads(capsys.readouterr().out) == from_file
    assert from_file["reason"] == "SPLIT"
    assert from_file["arm"] in ("control", "free-from-39")
    assert run(["assign", "free-shipping", "v1"]) == 0
    assert json.loads(capsys.readouterr().out)["reason"] == "NOT_ELIGIBLE"

    write("e.csv", "visitor,arm,at\nv1,control,2026-01-05T10:00:00Z\nv2,free-from-39,2026-01-05T11:00:00+01:00\n")
    write("o.csv", "id,visitor,at,total,paid\n1,v1,2026-01-06T00:00:00Z,80.10,51.00\n")
    assert run(["import", "exposures", "e.csv", "--experiment", "free-shipping"]) == 0
    assert run(["import", "outcomes", "o.csv", "--event", "purchase", "--value", "total", "--cost", "paid"]) == 0
    capsys.readouterr()
    assert run(["analyze", "free-shipping", "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert {arm["arm"]: arm["visitors"] for arm in card["arms"]} == {"control": 1, "free-from-39": 1}
    margin = next(metric for metric in card["metrics"] if metric["metric"] == "margin_per_visitor")
    assert margin["arms"][0]["value"] == 29.1
    assert run(["analyze", "free-shipping"]) == 0
    assert run(["report", "free-shipping", "-o", "r.html"]) == 0
    assert "free-shipping" in Path("r.html").read_text()


def test_a_table_needs_no_store(capsys):
    """`analyze --table` prints the object and leaves no file behind; the store gives the same numbers."""
    write("t.csv", GOOD)
    assert run(["analyze", "--table", "t.csv", *TABLE, "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert [path.name for path in Path().iterdir()] == ["t.csv"]
    assert card["experiment"] == "t"
    assert run(["import", "table", "t.csv", "--experiment", "t", *TABLE]) == 0
    capsys.readouterr()
    assert run(["analyze", "t", "--json"]) == 0
    stored = json.loads(capsys.readouterr().out)
    assert (stored["arms"], stored["metrics"]) == (card["arms"], card["metrics"])


def test_the_store_is_named_before_or_after_the_command_or_in_the_environment(capsys, monkeypatch):
    """--db wins after the command, then before it, then OFFERLIFT_DB, then offerlift.db here."""
    write("t.csv", GOOD)
    do = ["import", "table", "t.csv", "--experiment", "t", *TABLE]
    assert run(["--db", "sqlite:///before.db", *do]) == 0
    assert run([*do, "--db", "sqlite:///after.db"]) == 0
    monkeypatch.setenv("OFFERLIFT_DB", "sqlite:///environment.db")
    assert run(do) == 0
    assert {path.name for path in Path().glob("*.db")} == {"before.db", "after.db", "environment.db"}


def test_bad_rows_are_refused_and_good_ones_stored(capsys):
    """Each bad row is listed with line and reason in the rejects file; the exit code is 1; good rows are in."""
    bad = rows(
        "v1,a,1,10.00",
        "v2,b,0,nan",
        "v3,b,1,inf",
        "v4,a,maybe,3",
        "v5,a,1,ten",
        "v6,b,1,-4.50",
        "v1,a,0,0",
        "v7,,1,1",
        "v8,a,1,1.005",
        "v1,a,1,10.00",
        ",a,1,1",
        "v9,b,0,0",
    )
    write("t.csv", bad)
    assert run(["import", "table", "t.csv", "--experiment", "t", *TABLE]) == 1
    rejects = Path("t.csv.rejects.csv").read_text().splitlines()
    assert [int(line.split(",")[0]) for line in rejects[1:]] == [3, 4, 5, 6, 8, 9, 10, 12]
    assert "maybe" in rejects[3]
    capsys.readouterr()
    assert run(["analyze", "t", "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert sum(arm["visitors"] for arm in card["arms"]) == 3


def test_unknown_arms_are_refused_where_the_weights_name_the_arms(capsys):
    """With --weights a row of another arm is refused by name, and the planned split is what the weights say."""
    write("t.csv", GOOD + "v900,c,0,0\n")
    assert run(["import", "table", "t.csv", "--experiment", "t", *TABLE, "--weights", "a=1,b=3"]) == 1
    assert "'c'" in capsys.readouterr().err
    run(["analyze", "t", "--json"])
    card = json.loads(capsys.readouterr().out)
    assert {arm["arm"]: arm["expected_share"] for arm in card["arms"]} == {"a": 0.25, "b": 0.75}
    assert card["decision"]["action"] == "do_not_read"


@pytest.mark.parametrize(
    ("content", "arguments", "code", "said"),
    [
        ("", TABLE, 2, "empty"),
        (HEADER, TABLE, 2, "no rows"),
        (GOOD, [*TABLE, "--revenue", "spend"], 2, "spent"),
        (GOOD.encode() + "v99999,a,1,1 \u20ac\n".encode("cp1252"), TABLE, 2, "UTF-8"),
        (GOOD, [*TABLE, "--control", "z"], 2, "'z'"),
        (GOOD, ["--arm", "arm"], 2, "--control"),
        (GOOD, ["--arm", "arm", "--control", "a"], 2, "--revenue"),
        (GOOD, [*TABLE, "--weights", "a=1"], 2, "weight"),
        (GOOD, [*TABLE, "--weights", "a=1,b=-1"], 2, "-1"),
        (GOOD, [*TABLE, "--weights", "a,b"], 2, "ARM=N"),
        (GOOD, [*TABLE, "--primary", "clicks"], 2, "clicks"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_whole(content, arguments, code, said, capsys):
    """What is wrong is said with what was seen, on standard error, without a traceback; nothing is written."""
    write("t.csv", content)
    for command in (["analyze", "--table", "t.csv"], ["import", "table", "t.csv", "--experiment", "t"]):
        assert run([*command, *arguments]) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert said in err
        assert "Traceback" not in err


def test_a_damaged_archive_is_refused_with_what_to_do(capsys):
    """A gzipped file that was cut off names the last line that was read and says to copy the file again."""
    write("t.csv.gz", gzip.compress(GOOD.encode())[:-20])
    assert run(["analyze", "--table", "t.csv.gz", *TABLE]) == 2
    err = capsys.readouterr().err
    assert "cannot read t.csv.gz after line" in err
    assert "copy it again" in err


def test_refused_rows_are_counted_in_words(capsys):
    """One refused row and several are each said in a sentence that fits the number."""
    for refused, said in ((1, "1 row was refused and is"), (2, "2 rows were refused and are")):
        write("t.csv", GOOD + "".join(f"x{row},a,1,nothing\n" for row in range(refused)))
        assert run(["analyze", "--table", "t.csv", *TABLE]) == 0
        assert f"{said} not in the numbers" in capsys.readouterr().err


def test_a_second_import_with_other_content_loses_nothing(capsys):
    """A visitor who comes again with another outcome is refused by line; what was stored stays."""
    write("t.csv", GOOD)
    assert run(["import", "table", "t.csv", "--experiment", "t", *TABLE]) == 0
    capsys.readouterr()
    run(["analyze", "t", "--json"])
    before = json.loads(capsys.readouterr().out)
    write("t.csv", GOOD.replace("v3,b,1,12.5", "v3,b,1,99.0"))
    assert run(["import", "table", "t.csv", "--experiment", "t", *TABLE]) == 1
    assert "v3" in Path("t.csv.rejects.csv").read_text()
    capsys.readouterr()
    run(["analyze", "t", "--json"])
    assert json.loads(capsys.readouterr().out)["metrics"] == before["metrics"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:////proc/none/shop.db", "/proc/none"),
        ("sqlite:////proc/shop.db", "/proc/shop.db"),
        ("sqlite:///t.csv/shop.db", "t.csv"),
        ("sqlite:///t.csv", "not a database"),
        ("postgresql+psycopg://nobody@127.0.0.1:1/none", "127.0.0.1:1"),
        ("nosuch://x/y", "nosuch"),
    ],
)
def test_a_store_that_cannot_be_opened_is_an_io_error(url, said, capsys):
    """A store that cannot be reached exits with 3 and says what is wrong with which."""
    write("t.csv", GOOD)
    code = run(["import", "table", "t.csv", "--experiment", "t", *TABLE, "--db", url])
    err = capsys.readouterr().err
    assert code == 3
    assert "Traceback" not in err
    assert said in err


def test_reading_commands_do_not_create_a_store(capsys):
    """A mistyped store is an error, not a new empty file."""
    assert run(["analyze", "t", "--db", "sqlite:///mistyped.db"]) == 3
    assert "mistyped.db" in capsys.readouterr().err
    assert not Path("mistyped.db").exists()


def test_a_mistyped_experiment_gets_a_suggestion(capsys):
    """An unknown experiment exits with 2 and names the nearest one."""
    write("t.csv", GOOD)
    run(["import", "table", "t.csv", "--experiment", "exit-downsell", *TABLE])
    assert run(["analyze", "exit-downsel"]) == 2
    assert "exit-downsell" in capsys.readouterr().err


def test_findings_of_validate(capsys):
    """validate lists every finding with file, line, path, value and what is allowed, and exits with 1."""
    run(["init"])
    file = Path("offers/free-shipping.yaml")
    text = file.read_text()
    broken = text.replace("kind: threshold", "kind: treshold").replace(
        "- name: control", "- {name: control, weight: 4}"
    )
    file.write_text(broken)
    capsys.readouterr()
    assert run(["validate", "offers"]) == 1
    out = capsys.readouterr().out
    line = 1 + broken[: broken.index("treshold")].count("\n")
    assert f"free-shipping.yaml:{line}:" in out
    assert "treshold" in out
    assert "threshold" in out.replace("treshold", "")
    assert run(["publish", "offers"]) == 2
    assert not Path("offerlift.db").exists()
    assert run(["validate", "nowhere"]) == 1
    assert run(["validate", "offers", "--json"]) == 1


def test_an_imported_table_is_no_business_of_the_backends(capsys):
    """The snapshot holds what offerlift assigns; a table in the same store is not in it."""
    write("t.csv", GOOD)
    assert run(["import", "table", "t.csv", "--experiment", "t", *TABLE]) == 0
    assert run(["init"]) == 0
    assert run(["publish", "offers"]) == 0
    assert "free-shipping" in Path("offers.json").read_text()
    assert '"t"' not in Path("offers.json").read_text()


def test_two_currencies_are_refused_before_a_store_is_made(capsys):
    """A folder with definitions in two currencies leaves no store behind."""
    run(["init"])
    file = Path("offers/free-shipping.yaml")
    other = file.read_text().replace("free-shipping", "other").replace("EUR", "USD")
    Path("offers/other.yaml").write_text(other)
    assert run(["publish", "offers"]) == 2
    assert "EUR and USD" in capsys.readouterr().err
    assert not Path("offerlift.db").exists()


def test_a_negative_seed_is_a_usage_error(capsys):
    """`demo --seed -1` is refused in words."""
    assert run(["demo", "--seed", "-1"]) == 2


def test_schema_is_json(capsys):
    """The JSON Schema is one JSON object that knows the arms."""
    assert run(["schema"]) == 0
    assert "arms" in json.loads(capsys.readouterr().out)["properties"]


@pytest.mark.parametrize("value", ["{", "[1]", '"x"'])
def test_attributes_have_to_be_an_object(value, capsys):
    """--attributes that are not a JSON object exit with 2 and show what was given."""
    run(["init"])
    run(["publish", "offers"])
    assert run(["assign", "free-shipping", "v1", "--attributes", value]) == 2


def test_every_command_has_help():
    """Each command and group explains itself, and each of its options too."""
    todo = [cli]
    while todo:
        command = todo.pop()
        assert command.help, command.name
        options = [option for option in command.params if isinstance(option, click.Option)]
        assert all(option.help for option in options), command.name
        todo.extend(getattr(command, "commands", {}).values())


def test_every_command_is_in_the_readme():
    """A command that README does not mention does not exist for its readers."""
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    missing = [name for name in cli.commands if f"offerlift {name}" not in readme and f"`{name}`" not in readme]
    assert missing == []


def test_a_bug_exits_with_70(monkeypatch, capsys):
    """An unexpected exception is called a bug, with its traceback on standard error."""
    monkeypatch.setattr(cli, "main", lambda *a, **k: 1 / 0)
    assert run(["schema"]) == 70
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_the_installed_command_runs_and_survives_a_closed_pipe():
    """`offerlift schema | head -1` works from a shell."""
    script = f"set -o pipefail; {sys.executable} -c 'from offerlift.cli import main; main()' schema | head -c 1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{", "")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", ":memory:", "duckdb://"])
def test_a_store_in_memory_is_refused(url, capsys):
    """It would be gone with the command."""
    write("t.csv", GOOD)
    assert run(["import", "table", "t.csv", "--experiment", "t", *TABLE, "--db", url]) == 2
    assert "in memory" in capsys.readouterr().err


def test_parameters_that_sqlite_would_not_get(capsys):
    """`?mode=ro` without uri=true is refused in words, not by a warning."""
    assert run(["analyze", "t", "--db", "sqlite:///x.db?mode=ro"]) == 3
    assert "uri=true" in capsys.readouterr().err


@pytest.mark.parametrize(("rejects", "code"), [("t.csv", 2), ("missing/r.csv", 3)])
def test_where_rejects_go_is_checked_first(rejects, code, capsys):
    """Nothing is stored when the refused rows could not be listed."""
    write("t.csv", GOOD)
    assert run(["import", "table", "t.csv", "--experiment", "t", *TABLE, "--rejects", rejects]) == code
    assert not Path("offerlift.db").exists()


@pytest.mark.parametrize(("delimiter", "character"), [(";", ";"), ("tab", "\t")])
def test_other_delimiters(delimiter, character, capsys):
    """A file with semicolons or tabs is read when told so; the error says which it seems to have."""
    write("t.csv", GOOD.replace(",", character))
    assert run(["analyze", "--table", "t.csv", *TABLE]) == 2
    assert "--delimiter" in capsys.readouterr().err
    for command in (["analyze", "--table", "t.csv"], ["import", "table", "t.csv", "--experiment", "t"]):
        assert run([*command, *TABLE, "--delimiter", delimiter]) == 0


def test_events_that_no_metric_counts(capsys):
    """An event with a colon is refused; one that no experiment counts is stored with a warning."""
    assert run(["init"]) == 0
    assert run(["publish", "offers"]) == 0
    write("o.csv", "id,visitor,at\n1,v,2026-01-06T00:00:00Z\n")
    assert run(["import", "outcomes", "o.csv", "--event", "pur:chase"]) == 2
    capsys.readouterr()
    assert run(["import", "outcomes", "o.csv", "--event", "purchas"]) == 0
    assert "no metric of any experiment counts 'purchas'" in capsys.readouterr().err
    assert run(["import", "outcomes", "o.csv", "--event", "purchase"]) == 0
    assert "Warning" not in capsys.readouterr().err


def test_a_folder_is_no_table(capsys):
    """An input that cannot be read is an I/O error."""
    assert run(["analyze", "--table", ".", *TABLE]) == 3
    assert "folder" in capsys.readouterr().err


def test_the_statements_of_an_analysis_are_printed(capsys):
    """`offerlift sql` prints what an analysis sends, statement by statement, in the dialect that was asked for."""
    assert run(["init"]) == run(["publish", "offers"]) == run(["start", "free-shipping"]) == 0
    capsys.readouterr()
    assert run(["sql", "free-shipping", "--dialect", "bigquery"]) == 0
    printed = capsys.readouterr().out
    statements = [one for one in sqlglot.parse(printed, read="bigquery") if one is not None]
    assert len(statements) == printed.count("-- free-shipping: ") == 2
    assert "MOD(subject.`at`, 86400000000)" in printed
    assert run(["sql", "free-shipping", "--dialect", "cobol"]) == 2
    assert "bigquery" in capsys.readouterr().err


@pytest.fixture
def two_days():
    """The experiment of `init`, an hour ahead of UTC, with exposures around midnight, an order."""
    run(["init"])
    path = Path("offers/free-shipping.yaml")
    path.write_text(path.read_text() + '\nutc_offset: "+01:00"\n')
    assert run(["publish", "offers"]) == 0
    assert run(["start", "free-shipping"]) == 0
    write("e.csv", "visitor,arm,at\nv1,control,2026-01-05T22:59:59Z\nv2,free-from-39,2026-01-05T23:00:00Z\n")
    write("o.csv", "id,visitor,at,total,paid\n1,v1,2026-01-07T09:00:00Z,80.10,51.00\n")
    assert run(["import", "exposures", "e.csv", "--experiment", "free-shipping"]) == 0
    assert run(["import", "outcomes", "o.csv", "--event", "purchase", "--value", "total", "--cost", "paid"]) == 0


def test_analyze_by_day(capsys, two_days):
    """Days begin at the definition's offset; the page and the JSON have each on which something changed."""
    capsys.readouterr()
    assert run(["analyze", "free-shipping", "--by", "day", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(day["day"], day["visitors"]) for day in found["days"]] == [
        ("2026-01-05", {"control": 1, "free-from-39": 0}),
        ("2026-01-06", {"control": 1, "free-from-39": 1}),
        ("2026-01-07", {"control": 1, "free-from-39": 1}),
    ]
    margin = [
        next(metric for metric in day["metrics"] if metric["metric"] == "margin_per_visitor") for day in found["days"]
    ]
    assert [metric["arms"][0]["value"] for metric in margin] == [0, 0, 29.1]
    assert run(["analyze", "free-shipping", "--by", "day"]) == 0
    assert "2026-01-07" in capsys.readouterr().out


def test_analyze_as_of(capsys, two_days):
    """A date is its end by the offset, a time is that moment: who came later is not there."""
    capsys.readouterr()
    for moment, visitors in [
        ("2026-01-04", [0, 0]),
        ("2026-01-05", [1, 0]),
        ("2026-01-05T23:00:00Z", [1, 1]),
        ("2026-01-06", [1, 1]),
    ]:
        assert run(["analyze", "free-shipping", "--as-of", moment, "--json"]) == 0
        assert [arm["visitors"] for arm in json.loads(capsys.readouterr().out)["arms"]] == visitors
    assert run(["analyze", "free-shipping", "--by", "day", "--as-of", "2026-01-05", "--json"]) == 0
    assert [day["day"] for day in json.loads(capsys.readouterr().out)["days"]] == ["2026-01-05"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["free-shipping", "--as-of", "2099-01-01"], "future"),
        (["free-shipping", "--as-of", "5 May"], "must look like"),
        (["--table", "t.csv", *TABLE, "--as-of", "2026-01-01"], "--as-of needs the times"),
        (["--table", "t.csv", *TABLE, "--by", "day"], "--by needs the times"),
        (["free-shipping", "--by", "week"], "week"),
    ],
)
def test_impossible_times_of_an_analysis(capsys, two_days, arguments, message):
    """What has no time, and times that are none, are usage errors that say so."""
    write("t.csv", GOOD)
    capsys.readouterr()
    assert run(["analyze", *arguments]) == 2
    assert message in capsys.readouterr().err
