"""The examples in the docstrings of the statistics."""

import doctest
import importlib
import pkgutil

import offerlift.stats
import pytest

MODULES = [module.name for module in pkgutil.iter_modules(offerlift.stats.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    """Each example gives what its docstring shows."""
    result = doctest.testmod(importlib.import_module(f"offerlift.stats.{name}"))
    assert result.failed == 0


def test_there_are_examples():
    """The examples are found where they stand, so that none passes by not being run."""
    module = importlib.import_module("offerlift.stats.group_sequential")
    assert sum(len(test.examples) for test in doctest.DocTestFinder().find(module)) > 5
