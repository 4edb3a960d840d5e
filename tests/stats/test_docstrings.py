"""What a reader of `help(...)` gets: the source, what is assumed, when not to use it, and an example that is true."""

import doctest
import importlib
import inspect
import pkgutil
import re

import offerlift.stats
import pytest

ASSUMES = re.compile(r"\b[Aa]ssum|Large-sample")
EXCLUDES = re.compile(
    r"\b(excludes|When not to use it|[Nn]ot (for|a|as|where|the|to|with|one|exact|in|what|corrected)|nor)\b"
)
SOURCE = re.compile(r"\b(18|19|20)\d\d\b|`[a-z_]+`")
MODULES = sorted(found.name for found in pkgutil.iter_modules(offerlift.stats.__path__))
PUBLIC = [
    name
    for name in offerlift.stats.__all__
    if inspect.isclass(getattr(offerlift.stats, name)) or inspect.isfunction(getattr(offerlift.stats, name))
]
FUNCTIONS = [name for name in PUBLIC if inspect.isfunction(getattr(offerlift.stats, name))]


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_true(name):
    """Every example in a docstring prints what stands beneath it, to the letter."""
    module = importlib.import_module(f"offerlift.stats.{name}")
    failures, _ = doctest.testmod(module)
    assert failures == 0


def test_examples_are_run_where_they_stand():
    """The examples that readers see are among those that run, so that none passes by not being run."""
    run = {
        test.name
        for name in MODULES
        for test in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(f"offerlift.stats.{name}"))
        if test.examples
    }
    assert {f"{getattr(offerlift.stats, name).__module__}.{name}" for name in PUBLIC} <= run


@pytest.mark.parametrize("name", PUBLIC)
def test_everything_public_has_an_example(name):
    """A public function or class shows how it is called."""
    assert "\nExample:\n    >>> " in (inspect.getdoc(getattr(offerlift.stats, name)) or "")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_says_where_it_holds(name):
    """A public function names its source (a paper, or who has it), what it assumes, when not to use it."""
    said = " ".join((inspect.getdoc(getattr(offerlift.stats, name)) or "").split())
    missing = [
        word
        for word, rule in (("source", SOURCE), ("assumes", ASSUMES), ("not for", EXCLUDES))
        if not rule.search(said)
    ]
    assert not missing


def test_a_wrong_example_is_found(tmp_path, monkeypatch):
    """The check runs examples: one that is wrong fails."""
    (tmp_path / "planted_example.py").write_text('def f():\n    """One.\n\n    >>> 1 + 1\n    3\n    """\n')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(doctest.DocTestFailure):
        doctest.testmod(importlib.import_module("planted_example"), raise_on_error=True)
