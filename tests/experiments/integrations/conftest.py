from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from offerlift.experiments import (
    BUILT_IN_METRICS,
    Arm,
    Assigner,
    Definition,
    Discount,
    Offer,
    Plan,
    Published,
    Rule,
    Snapshot,
)
from offerlift.experiments.testing import CapturingRecorder

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEN_OFF = Offer("ten-off", "downsell", "exit_popup", "exit_intent", discount=Discount("percentage", Decimal(10)))
TWENTY_OFF = Offer("twenty-off", "downsell", "exit_popup", "exit_intent", discount=Discount("percentage", Decimal(20)))
EXIT = Definition(
    "exit",
    "control",
    (Arm("control", 4_000), Arm("ten-off", 3_000, TEN_OFF), Arm("twenty-off", 3_000, TWENTY_OFF)),
    (BUILT_IN_METRICS["conversion"],),
    Plan("conversion"),
    eligibility=(Rule("country", "in", ("DE",)),),
)


def published(definition: Definition = EXIT, **changes: Any) -> Published:
    return replace(Published(definition, "running", 1, 1, NOON, NOON, "hash-1", "plan-1"), **changes)


def visitors_by_arm(assigner: Assigner) -> dict[str, str]:
    return {assigner.assign("exit", f"v{n}", {"country": "DE"}).arm: f"v{n}" for n in range(100)}


@pytest.fixture
def assigner() -> Assigner:
    return Assigner(Snapshot.of([published()]))


@pytest.fixture
def recorder() -> CapturingRecorder:
    return CapturingRecorder()
