"""The page on notebooks tells the truth: its blocks run, and print what stands beneath them."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "notebook.md"
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def run(code, names):
    """Run a block; the value of its last line, if that is an expression."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "notebook.md", "exec"), names)
    return eval(compile(ast.Expression(last.value), "notebook.md", "eval"), names) if last else None


def test_the_page_runs():
    """Every block of docs/notebook.md runs in order, and shows the text beneath it."""
    for package in ("pandas", "polars", "duckdb"):
        pytest.importorskip(package)
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    names, blocks = {}, BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    shown = 0
    for code, expected in blocks:
        value = run(code, names)
        if expected:
            assert str(value) == expected.rstrip("\n")
            shown += 1
    pyplot.close("all")
    assert len(blocks) > 8
    assert shown == 4


def test_readme_example_runs():
    """README's example of the library runs and prints what stands beneath it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text[text.index("## As a library") :]
    ((code, expected), *_) = BLOCK.findall(section)
    assert str(run(code, {})) == expected.rstrip("\n")
