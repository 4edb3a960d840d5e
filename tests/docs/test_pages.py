"""The pages tell the truth: the tutorial's commands run and print what it shows, and the blocks of a store run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from offerlift.cli.app import run
from offerlift.experiments import Assigner, Snapshot
from offerlift.reports.demo import run_demo

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"^```(\w+)( \w+)?\n(.*?)^```\n", re.MULTILINE | re.DOTALL)


def matches(shown: str, printed: str) -> bool:
    """Whether the text is what was printed; `...` stands for anything."""
    parts = [re.escape(part) for part in shown.strip().split("...")]
    return re.fullmatch(r".*?".join(parts), printed.strip(), re.DOTALL) is not None


def test_a_text_must_be_what_was_printed():
    """Dots stand for anything, everything else for itself."""
    assert matches("a\n...\nz.", "a\nb\nc\nz.")
    assert not matches("a\n...\nz.", "a\nb\nzz")
    assert not matches("a\n...\ny", "b\na\nb\ny")


def test_the_tutorial(tmp_path, monkeypatch, capsys):
    """From `init` to the log of the decision: each command ends with 0, each text beneath is what was printed."""
    monkeypatch.chdir(tmp_path)
    for name in ("OFFERLIFT_DB", "OFFERLIFT_SNAPSHOT", "OFFERLIFT_USER"):
        monkeypatch.delenv(name, raising=False)
    printed, commands, texts = "", 0, 0
    for kind, more, content in BLOCK.findall((DOCS / "tutorial.md").read_text(encoding="utf-8")):
        if kind == "bash" and not more:
            capsys.readouterr()
            for line in content.splitlines():
                program, *arguments = shlex.split(line)
                assert program == "offerlift"
                assert run(arguments) == 0, capsys.readouterr().err
                commands += 1
            printed = capsys.readouterr().out
        elif kind == "python":
            exec(compile(content, "tutorial.md", "exec"), {})
        elif kind == "text":
            assert matches(content, printed), printed
            texts += 1
    assert (commands, texts) == (16, 8)
    assert (tmp_path / "review.html").stat().st_size > 10_000


def test_the_blocks_of_a_store(tmp_path, monkeypatch):
    """What the pages do with a store of the demo runs, from the first line to the last."""
    pd = pytest.importorskip("pandas")
    from offerlift.stats import compare

    run_demo(tmp_path, share=0.02)
    monkeypatch.chdir(tmp_path)
    ran = 0
    for page in sorted(DOCS.glob("*.md")):
        names = {"pd": pd, "compare": compare}
        for kind, more, content in BLOCK.findall(page.read_text(encoding="utf-8")):
            if (kind, more) == ("python", " store"):
                exec(compile(content, page.name, "exec"), names)
                ran += 1
    assert ran >= 3


def test_the_page_for_backends(tmp_path, monkeypatch):
    """Its blocks run one after the other and leave the exposure in the store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OFFERLIFT_DB", raising=False)
    for command in (["init"], ["publish", "offers"], ["start", "free-shipping"]):
        assert run([*command, *(["--db", "shop.db"] if command != ["init"] else [])]) == 0
    names: dict[str, object] = {}
    for kind, more, content in BLOCK.findall((DOCS / "for-backends.md").read_text(encoding="utf-8")):
        if (kind, more) == ("python", ""):
            exec(compile(content, "for-backends.md", "exec"), names)
    from offerlift.storage import Store

    with Store.open("shop.db") as store:
        arms = store.observations("free-shipping").arms
    expected = Assigner(Snapshot.load("offers.json")).assign(
        "free-shipping", "visitor-17", {"country": "DE", "cart_total": 45}
    )
    assert {arm: counts.visitors for arm, counts in arms.items() if counts.visitors} == {expected.arm: 1}
