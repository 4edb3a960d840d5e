"""For the tests of a shop: choose the arm, see the exposures, deliver nothing. Needs the standard library alone.

    from offerlift.experiments.testing import capture_exposures, force_arm

    def test_the_exit_popup_shows_the_lighter_product(client):
        with force_arm("exit-downsell", "lighter-10-off"), capture_exposures() as exposures:
            page = client.get("/cart/leave")
        assert "Lighter mug" in page.text
        assert [(each.experiment, each.arm) for each in exposures] == [("exit-downsell", "lighter-10-off")]

The pytest fixture of the same is in `.fixtures`, which imports pytest. `SimulatedShop`, a shop whose truth is known,
and `SimulatedProgramme`, several experiments under a holdout, need numpy, which is loaded with them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .arms import force_arm
from .behaviour import Behaviour, Choice
from .captures import CapturingRecorder, capture_exposures, capture_outcomes
from .habits import Group, Habits, Population

if TYPE_CHECKING:
    from .programme import ProgrammeSimulation, SimulatedProgramme
    from .simulated import SimulatedShop
    from .simulation import Simulation
    from .truth import Truth

__all__ = [
    "Behaviour",
    "CapturingRecorder",
    "Choice",
    "Group",
    "Habits",
    "Population",
    "ProgrammeSimulation",
    "SimulatedProgramme",
    "SimulatedShop",
    "Simulation",
    "Truth",
    "capture_exposures",
    "capture_outcomes",
    "force_arm",
]

# Loaded on first use: the tests of a backend never pay for numpy.
_LAZY = {
    "ProgrammeSimulation": "programme",
    "SimulatedProgramme": "programme",
    "SimulatedShop": "simulated",
    "Simulation": "simulation",
    "Truth": "truth",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LAZY[name]}", __name__), name)
