"""What a reader of `help(...)` gets: an example of everything public, and one that is true."""

import doctest
import importlib
import inspect
import pkgutil

import offerlift.stats
import pytest

MODULES = sorted(found.name for found in pkgutil.iter_modules(offerlift.stats.__path__))
PUBLIC = [
    name
    for name in offerlift.stats.__all__
    if inspect.isclass(getattr(offerlift.stats, name)) or inspect.isfunction(getattr(offerlift.stats, name))
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_true(name):
    """Every example in a docstring prints what stands beneath it."""
    module = importlib.import_module(f"offerlift.stats.{name}")
    failures, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failures == 0


@pytest.mark.parametrize("name", PUBLIC)
def test_everything_public_has_an_example(name):
    """A public function or class shows how it is called."""
    assert "\nExample:\n    >>> " in (inspect.getdoc(getattr(offerlift.stats, name)) or "")


def test_a_wrong_example_is_found(tmp_path, monkeypatch):
    """The check runs examples: one that is wrong fails."""
    (tmp_path / "planted_example.py").write_text('def f():\n    """One.\n\n    >>> 1 + 1\n    3\n    """\n')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(doctest.DocTestFailure):
        doctest.testmod(importlib.import_module("planted_example"), raise_on_error=True)
