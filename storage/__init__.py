"""The store and the files that analysts have: exposures and outcomes in, counts and moments out.

The only package that speaks SQL. SQLAlchemy is loaded when a store is first used, numpy when moments are.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .decisions import Decided
    from .distributions import Distribution, Distributions
    from .events import read_exposures, read_offer_steps, read_outcomes
    from .exploring import RecordedSegments
    from .funnels import ArmFunnel, Funnel, StepCount
    from .importing import (
        ImportReport,
        import_exposures,
        import_offer_steps,
        import_outcomes,
        import_table,
        write_rejects,
    )
    from .looks import Look
    from .observations import ArmCounts, Breakdown, Observations, Stratum
    from .results import Conflict, Refusal, WriteResult
    from .rows import Reject
    from .series import Series, SinceExposure
    from .showings import ByShowings
    from .store import Store
    from .table import Table, read_table
    from .upgrading import SchemaVersion, check_version, schema_version, upgrade, upgrade_sql
    from .visitors import VisitorValues
    from .warehouse import Warehouse

__all__ = [
    "ArmCounts",
    "ArmFunnel",
    "Breakdown",
    "ByShowings",
    "Conflict",
    "Decided",
    "Distribution",
    "Distributions",
    "Funnel",
    "ImportReport",
    "Look",
    "Observations",
    "RecordedSegments",
    "Refusal",
    "Reject",
    "SchemaVersion",
    "Series",
    "SinceExposure",
    "StepCount",
    "Store",
    "Stratum",
    "Table",
    "VisitorValues",
    "Warehouse",
    "WriteResult",
    "check_version",
    "import_exposures",
    "import_offer_steps",
    "import_outcomes",
    "import_table",
    "read_exposures",
    "read_offer_steps",
    "read_outcomes",
    "read_table",
    "schema_version",
    "upgrade",
    "upgrade_sql",
    "write_rejects",
]

_MODULES = {
    "decisions": ("Decided",),
    "distributions": ("Distribution", "Distributions"),
    "exploring": ("RecordedSegments",),
    "events": ("read_exposures", "read_offer_steps", "read_outcomes"),
    "funnels": ("ArmFunnel", "Funnel", "StepCount"),
    "importing": (
        "ImportReport",
        "import_exposures",
        "import_offer_steps",
        "import_outcomes",
        "import_table",
        "write_rejects",
    ),
    "looks": ("Look",),
    "observations": ("ArmCounts", "Breakdown", "Observations", "Stratum"),
    "results": ("Conflict", "Refusal", "WriteResult"),
    "rows": ("Reject",),
    "series": ("Series", "SinceExposure"),
    "showings": ("ByShowings",),
    "store": ("Store",),
    "table": ("Table", "read_table"),
    "upgrading": ("SchemaVersion", "check_version", "schema_version", "upgrade", "upgrade_sql"),
    "visitors": ("VisitorValues",),
    "warehouse": ("Warehouse",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
