"""For the tests of a shop: choose the arm, see the exposures, deliver nothing. Needs the standard library alone.

    from offerlift.experiments.testing import capture_exposures, force_arm

    def test_the_exit_popup_shows_the_lighter_product(client):
        with force_arm("exit-downsell", "lighter-10-off"), capture_exposures() as exposures:
            page = client.get("/cart/leave")
        assert "Lighter mug" in page.text
        assert [(each.experiment, each.arm) for each in exposures] == [("exit-downsell", "lighter-10-off")]

The pytest fixture of the same is in `.fixtures`, which imports pytest.
"""

from .arms import force_arm
from .captures import CapturingRecorder, capture_exposures, capture_outcomes

__all__ = ["CapturingRecorder", "capture_exposures", "capture_outcomes", "force_arm"]
