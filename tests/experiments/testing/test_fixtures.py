from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

CONFTEST = 'pytest_plugins = ["offerlift.experiments.testing.fixtures"]'
SUITE = """
from offerlift.experiments import Assigner, Recorder

class Broken:
    def write_exposures(self, rows): raise AssertionError("delivered")
    write_outcomes = write_links = write_exposures

assigner, recorder = Assigner({}), Recorder(Broken())

def shop():
    assignment = recorder.assign_and_expose(assigner, "exit", "v1")
    recorder.outcome("order-1", "v1", "purchase", value=80)
    return assignment.arm

def test_forced(offer_testing):
    offer_testing.force_arm("exit", "b", offer=None)
    assert shop() == "b"
    assert [each.arm for each in offer_testing.exposures] == ["b"]
    assert [each.value for each in offer_testing.outcomes] == [80]

def test_over_with_the_test(offer_testing):
    assert shop() == "control"
    assert offer_testing.exposures == []
    assert recorder.stats().delivered == recorder.stats().queued == 0
"""


def test_the_fixture_forces_and_captures_for_one_test(pytester: pytest.Pytester) -> None:
    """One line in conftest.py gives the fixture; its arms and lists last for a test and nothing is delivered."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(SUITE)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_no_plugin_is_loaded_unasked() -> None:
    """There is no entry point: pytest in the same environment never imports offerlift by itself."""
    from importlib.metadata import distribution

    assert not [entry for entry in distribution("offerlift").entry_points if entry.group == "pytest11"]
