"""Every command is explained: help, an example that is a command line, an entry in the docs, and hints for typos."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from offerlift.cli.app import SECTIONS, cli, run

ROOT = Path(__file__).resolve().parents[2]
DOCS = "\n".join(
    path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
)


def commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    """Every command and group, with the words by which it is called."""
    found = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found.append(((*path, name), command))
        if isinstance(command, click.Group):
            found += commands(command, (*path, name))
    return found


LEAVES = [(path, command) for path, command in commands() if not isinstance(command, click.Group)]
NAMES = [" ".join(path) for path, _ in LEAVES]


def test_the_overview_says_what_each_command_says_of_itself():
    """The lines of `offerlift --help`, which loads no command, are the first sentences of the commands' own help."""
    for places in SECTIONS.values():
        for name, place in places.items():
            command = cli.get_command(click.Context(cli), name)
            assert command is not None
            assert (command.help or "").split("\n\n")[0].strip() == place.help, name
            assert command.name == name


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=NAMES)
def test_every_command_has_help_and_an_example_that_is_one(path, command):
    """Its help explains every option, and its example has arguments and options that the command knows."""
    assert command.help
    for one in command.params:
        assert not isinstance(one, click.Option) or one.help, one.name
    assert command.epilog.startswith("Example: offerlift " + " ".join(path))
    line = command.epilog.removeprefix("Example: offerlift ").split(" || ")[0].split(" > ")[0]
    words = shlex.split(line)[len(path) :]
    command.make_parser(click.Context(command)).parse_args(list(words))


@pytest.mark.parametrize("path", [path for path, _ in LEAVES], ids=NAMES)
def test_every_command_is_in_the_docs(path):
    """A page or the README has it as `offerlift NAME`."""
    assert f"offerlift {' '.join(path)}" in DOCS


@pytest.mark.parametrize("path", [path for path, _ in LEAVES], ids=NAMES)
def test_help_is_printed_and_changes_nothing(path, capsys, tmp_path, monkeypatch):
    """`--help` of each, with exit code 0 and no file left behind."""
    monkeypatch.chdir(tmp_path)
    assert run([*path, "--help"]) == 0
    assert f"Usage: offerlift {' '.join(path)}" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["anlyze"], "'analyze'"),
        (["STATUS"], "'status'"),
        (["db", "upgrad"], "'upgrade'"),
        (["import", "exposure"], "'exposures'"),
        (["status", "--fromat", "json"], "'--format'"),
        (["analyze", "crt"], "'cart'"),
        (["check", "cart", "crt"], "'cart'"),
        (["log", "crt"], "'cart'"),
        (["audit", "crt"], "'cart'"),
        (["sql", "crt"], "'cart'"),
        (["plan", "crt"], "'cart'"),
        (["report", "crt", "-o", "x.html"], "'cart'"),
        (["start", "crt"], "'cart'"),
        (["stop", "crt", "--yes"], "'cart'"),
        (["decide", "crt", "continue"], "'cart'"),
        (["decide", "cart", "contine"], "continue"),
        (["decide", "cart", "ship", "ship-fre", "--reason", "x"], "'ship-free'"),
        (["stop", "cart", "--serve", "ship-fre", "--yes"], "'ship-free'"),
        (["assign", "crt", "v1"], "'cart'"),
        (["assign", "cart", "v1", "--force", "ship-fre"], "'ship-free'"),
        (
            [
                "simulate",
                "cart",
                "--baseline",
                "20%",
                "--visitors-per-week",
                "700",
                "--lift",
                "9%",
                "--harm",
                "convrsion=-3%",
            ],
            "'conversion'",
        ),
        (["review", "--reveal", "crt"], "'cart'"),
        (["sql", "cart", "--dialect", "bigqery"], "'bigquery'"),
        (["db", "export", "--to", "x", "--table", "outcom"], "'outcome'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistyped_name_is_answered_with_the_right_one(planned, capsys, typed, meant):
    """Commands, options, experiments, arms, metrics and the rest: exit code 2, and the nearest name."""
    assert run(typed) == 2
    error = capsys.readouterr().err
    assert f"Did you mean {meant}" in error or f"did you mean {meant}" in error.lower(), error


def test_a_name_that_is_like_none_lists_what_there_is(planned, capsys):
    """Nothing near: the keys that there are, or how to see all commands."""
    assert run(["analyze", "zzz"]) == 2
    assert "There are: cart." in capsys.readouterr().err
    assert run(["zzz"]) == 2
    assert "`offerlift --help` lists all" in capsys.readouterr().err


def test_the_overview_loads_no_command():
    """`offerlift --help` and a mistyped command leave every command's module alone."""
    code = (
        "import sys\nfrom offerlift.cli.app import run\n"
        "assert run(['--help']) == 0 and run(['nothing']) == 2\n"
        "print(*sorted(name for name in sys.modules if name.startswith('offerlift')), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stderr.splitlines()[-1].split()) <= {
        *("offerlift", "offerlift.cli", "offerlift.cli.app", "offerlift.cli.lazy"),
        *("offerlift.errors", "offerlift.errors.nearest"),
    }


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell, capsys):
    """The script goes to standard output, how to install it to standard error."""
    assert run(["completion", shell]) == 0
    out, err = capsys.readouterr()
    assert "_OFFERLIFT_COMPLETE" in out
    assert f"offerlift completion {shell}" in err
    assert "offerlift completion" not in out


@pytest.mark.parametrize(
    ("words", "known"),
    [
        ("offerlift st", ["start", "stop", "status"]),
        ("offerlift stop x --se", ["--serve"]),
        ("offerlift analyze c", ["cart"]),
        ("offerlift check cart c", ["cart"]),
        ("offerlift --db none.db analyze c", []),
        ("offerlift analyze --db none.db c", []),
    ],
)
def test_completion_completes(planned, words, known):
    """What the script asks for is answered with commands, options, and experiments of the store, where there is one."""
    asked = {"_OFFERLIFT_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    code = "import sys; sys.argv[0] = 'offerlift'; from offerlift.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **asked}
    )
    assert done.stdout.split() == [f"plain,{name}" for name in known]
