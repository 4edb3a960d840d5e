from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from offerlift.cli.app import cli

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

VISIT = """
import warnings, app
shop = app.create_app()
client = shop.test_client()
popups, totals = set(), set()
for number in range(40):
    client = shop.test_client()
    page = client.get("/cart/leave").get_json()
    popups.add(page["popup"])
    totals.add(page.get("total"))
    assert client.get("/cart/leave").get_json()["popup"] == page["popup"]
    assert client.post("/orders", data={"total": "80.10", "number": f"o-{number}"}).status_code == 201
abroad = shop.test_client().get("/cart/leave?country=US").get_json()
assert abroad == {"popup": None}, abroad
print(sorted(map(str, popups)), sorted(map(str, totals)))
"""


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run([*command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def _offerlift(folder: Path, *arguments: str) -> str:
    # In this process: a fresh one would spend seconds on importing the statistics.
    with contextlib.chdir(folder):
        done = CliRunner().invoke(cli, list(arguments))
    assert done.exit_code == 0, f"{arguments}: {done.output}"
    return done.stdout


def _commands(folder: Path) -> list[list[str]]:
    """The offerlift commands of an example's README, in order."""
    readme = (folder / "README.md").read_text(encoding="utf-8")
    return [line.split("#")[0].split()[1:] for line in re.findall(r"^offerlift .*$", readme, re.MULTILINE)]


@pytest.fixture
def example(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the example's folder, published and started as its README says."""
    folder = tmp_path / request.param
    shutil.copytree(EXAMPLES / request.param, folder)
    for command in _commands(folder)[:2]:
        _offerlift(folder, *command)
    return folder


@pytest.mark.parametrize("example", ["flask_shop"], indirect=True)
def test_the_flask_shop(example: Path) -> None:
    """Forty visitors see all three arms, keep theirs, buy, and are in the store once each; the quote is right."""
    printed = _run(example, sys.executable, "-W", "error", "-c", VISIT)
    assert "'Ten percent off, for a quarter of an hour', 'Your order ships for free'" in printed
    assert "['85.00', '89.00', 'None']" in printed
    analysis = json.loads(_offerlift(example, *_commands(example)[-1], "--json"))
    assert sum(arm["visitors"] for arm in analysis["arms"]) == 40


@pytest.mark.parametrize("example", ["newsletter"], indirect=True)
def test_the_newsletter(example: Path) -> None:
    """The job exposes every eligible customer once, control included, and again nobody new when it runs again."""
    first = _run(example, sys.executable, "-W", "error", "send.py")
    assert _run(example, sys.executable, "-W", "error", "send.py") == first
    counts = {arm: int(count) for arm, count in (line.split(": ") for line in first.splitlines())}
    assert set(counts) == {"control", "five-euros", "ten-euros"}
    analysis = json.loads(_offerlift(example, *_commands(example)[-1], "--json"))
    assert {arm["arm"]: arm["visitors"] for arm in analysis["arms"]} == counts
