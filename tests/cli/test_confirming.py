"""One rule for asking: a --dry-run everywhere, a question at a terminal, and without one only what can be undone."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click
import pytest
from offerlift.cli.app import cli, run
from offerlift.storage import Store

CHANGING = [
    ["publish", "other.yaml"],
    ["start", "draft"],
    ["phase", "phase.yaml"],
    ["resume", "paused"],
    ["decide", "cart", "continue"],
    ["stop", "cart"],
    ["review", "--reveal", "cart", "--as-of", "2026-03-09"],
    ["db", "forget", "7"],
    ["db", "prune", "--before", "2026-03-04"],
]
"""Commands that ask."""

IRREVERSIBLE = {"stop", "review", "forget", "prune"}

NEVER_ASK = [["pause", "cart"], ["import", "exposures", "more.csv", "--experiment", "cart"], ["review"]]


@pytest.fixture(scope="session")
def furnished(shelf):
    """A folder for copying: beside `cart` a draft, one that is paused, one that is over, and files for the rest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OFFERLIFT_DB", raising=False)
        shutil.copytree(shelf / "planned", shelf / "furnished")
        patch.chdir(shelf / "furnished")
        _furnish()
    return shelf / "furnished"


@pytest.fixture
def shop(furnished, planned, tmp_path):
    """That folder, with its store where commands look for one."""
    shutil.copytree(furnished, tmp_path, dirs_exist_ok=True)


def _furnish() -> None:
    text = Path("cart.yaml").read_text(encoding="utf-8")
    for key in ("draft", "paused", "over", "other"):
        Path(f"{key}.yaml").write_text(text.replace("experiment: cart", f"experiment: {key}"), encoding="utf-8")
    Path("phase.yaml").write_text(text + "traffic: 50%\n", encoding="utf-8")
    Path("more.csv").write_text("visitor,arm,at\nz,control,2026-03-02T00:00:00Z\n", encoding="utf-8")
    old = Path("old.csv")
    old.write_text("visitor,arm,at\nq,control,2026-03-02T00:00:00Z\n", encoding="utf-8")
    for key in ("draft", "paused", "over"):
        assert run(["publish", f"{key}.yaml"]) == 0
    for command in (
        ["start", "paused"],
        ["pause", "paused"],
        ["start", "over"],
        ["import", "exposures", "old.csv", "--experiment", "over"],
        ["stop", "over", "--yes"],
    ):
        assert run(command) == 0


def contents() -> list[object]:
    """Everything that a command could have changed: all rows of the store, and the files of the folder."""
    with Store.open("offerlift.db") as store, store.engine.connect() as connection:
        from offerlift.storage.tables import metadata

        rows = [
            (table.name, sorted(map(repr, connection.execute(table.select())))) for table in metadata.tables.values()
        ]
    files = sorted((path.name, path.read_bytes()) for path in Path().iterdir() if path.suffix not in (".db",))
    return [rows, files]


def test_every_command_that_changes_something_is_known():
    """Commands with --yes, and those of this list: a new one has to be put under the rule."""
    found = set()
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        inner = {name: command}
        if isinstance(command, click.Group):
            inner = {f"{name} {one}": command.get_command(context, one) for one in command.list_commands(context)}
        for path, one in inner.items():
            assert one is not None
            options = {option for parameter in one.params for option in parameter.opts}
            if "--yes" in options:
                assert "--dry-run" in options, path
                found.add(path)
    asking = {" ".join(command[:2]) if command[0] == "db" else command[0] for command in CHANGING}
    assert found == asking | {"init", "db upgrade"}


@pytest.mark.parametrize("command", CHANGING, ids=" ".join)
def test_a_dry_run_changes_nothing(shop, capsys, command):
    """Not a row, not a file, and it says so or what would be done; without being asked."""
    before = contents()
    assert run([*command, "--dry-run"]) == 0
    out, err = capsys.readouterr()
    assert contents() == before
    assert "Dry run" in err or "WOULD BE RECORDED" in out or "to be erased" in out


@pytest.mark.parametrize("command", CHANGING, ids=" ".join)
def test_at_a_terminal_it_asks(shop, capsys, monkeypatch, command):
    """A no changes nothing, a yes does it, and --yes does not ask."""
    asked: list[str] = []

    def answer(given: bool):
        def ask(question: str, abort: bool, err: bool) -> bool:
            assert abort
            assert err
            asked.append(question)
            if not given:
                raise click.Abort
            return True

        return ask

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    before = contents()
    monkeypatch.setattr(click, "confirm", answer(False))
    assert run(command) == 130
    assert contents() == before
    shutil.copy("offerlift.db", "before.keep")
    monkeypatch.setattr(click, "confirm", answer(True))
    assert run(command) == 0
    assert contents()[0] != before[0]
    assert len(asked) == 2
    assert all(question.endswith(("?", ".")) for question in asked)
    shutil.copy("before.keep", "offerlift.db")
    for beside in Path().glob("offerlift.db-*"):
        beside.unlink()
    assert run([*command, "--yes"]) == 0
    assert len(asked) == 2


@pytest.mark.parametrize("command", CHANGING, ids=" ".join)
def test_without_a_terminal_only_what_can_be_undone_is_done(shop, capsys, command):
    """What cannot be taken back is refused with exit code 2 and a hint; the rest is done."""
    before = contents()
    name = command[1] if command[0] == "db" else command[0]
    if name in IRREVERSIBLE:
        assert run(command) == 2
        assert "Look with --dry-run, then say --yes." in capsys.readouterr().err
        assert contents() == before
    else:
        assert run(command) == 0
        assert contents() != before


@pytest.mark.parametrize("command", NEVER_ASK, ids=" ".join)
def test_some_never_ask(shop, monkeypatch, command):
    """The kill switch does not wait for anybody, at a terminal or not; what only adds does not either."""

    def ask(*_: object, **__: object) -> bool:
        raise AssertionError("it asked")

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(click, "confirm", ask)
    assert run(command) == 0


def test_init_leaves_an_edited_file_alone(tmp_path, monkeypatch, capsys):
    """The same file again is nothing to ask about; an edited one is replaced only after a yes."""
    monkeypatch.chdir(tmp_path)
    assert run(["init", "--dry-run"]) == 0
    assert list(tmp_path.iterdir()) == []
    assert run(["init"]) == 0
    assert run(["init"]) == 0
    file = tmp_path / "offers" / "free-shipping.yaml"
    shipped = file.read_text(encoding="utf-8")
    file.write_text("mine", encoding="utf-8")
    capsys.readouterr()
    assert run(["init"]) == 2
    assert "exists already and was left as it is" in capsys.readouterr().err
    assert file.read_text(encoding="utf-8") == "mine"
    assert run(["init", "--yes"]) == 0
    assert file.read_text(encoding="utf-8") == shipped


def test_an_import_is_tried_out(planned, capsys):
    """It counts as the import would, refused rows are named, no rejects file is written, and nothing is stored."""
    rows = ["visitor,arm,at", "n1,control,2026-03-02T00:00:00Z", "n2,nobody,2026-03-02T00:00:00Z"]
    Path("new.csv").write_text("\n".join([*rows, "0,ship-free,2026-03-02T00:00:00Z"]), encoding="utf-8")
    before = contents()
    command = ["import", "exposures", "new.csv", "--experiment", "cart"]
    assert run([*command, "--dry-run"]) == 1
    tried, said = capsys.readouterr()
    assert "unknown arm 'nobody'" in said
    assert contents() == before
    assert run(command) == 1
    assert capsys.readouterr().out == tried == "3 rows read: 1 new, 0 changed, 1 repeated, 1 refused\n"
    assert Path("new.csv.rejects.csv").exists()


def test_a_table_is_tried_out_without_a_store(tmp_path, monkeypatch, capsys):
    """Where there is no store yet, none is made by a dry run; of a publication neither."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OFFERLIFT_DB", raising=False)
    lines = [f"v{i},{'ab'[i % 2]},{i % 3 == 0:d}" for i in range(60)]
    Path("t.csv").write_text("\n".join(["visitor,arm,bought", *lines]), encoding="utf-8")
    columns = ["--arm", "arm", "--control", "a", "--visitor", "visitor", "--conversion", "bought"]
    assert run(["import", "table", "t.csv", "--experiment", "t", *columns, "--dry-run"]) == 0
    assert "60 rows read: 60 new" in capsys.readouterr().out
    assert run(["init"]) == 0
    assert run(["publish", "offers", "--dry-run"]) == 0
    assert "free-shipping version 1 (draft)" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["offers", "t.csv"]
