"""The pytest fixture. In the root conftest.py: `pytest_plugins = ["offerlift.experiments.testing.fixtures"]`.

There is no entry point on purpose: it would import offerlift at every start of pytest, in every project of the
environment, before coverage begins to measure.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from ..definition import Offer
from ..records import Exposure, Outcome
from .arms import force_arm
from .captures import capture_exposures, capture_outcomes

__all__ = ["OfferTesting", "offer_testing"]


@dataclass
class OfferTesting:
    """What the fixture `offer_testing` gives: no recorder delivers during the test, and arms are forced to its end.

    Attributes:
        exposures: as from `capture_exposures`.
        outcomes: as from `capture_outcomes`.
    """

    exposures: list[Exposure]
    outcomes: list[Outcome]
    _stack: ExitStack = field(repr=False)

    def force_arm(self, experiment: str, arm: str, **options: Offer | None) -> None:
        """As `force_arm`, until the test ends."""
        self._stack.enter_context(force_arm(experiment, arm, **options))


@pytest.fixture
def offer_testing() -> Iterator[OfferTesting]:
    """Choose arms, see exposures and outcomes, deliver nothing."""
    with ExitStack() as stack:
        exposures = stack.enter_context(capture_exposures())
        outcomes = stack.enter_context(capture_outcomes())
        yield OfferTesting(exposures, outcomes, stack)
