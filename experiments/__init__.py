"""Definitions, snapshot and assignment: what is tested and who sees what.

Importing this package, loading a snapshot and assigning need the standard library alone; reading definitions from YAML
loads ruamel.yaml and pydantic on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .assigner import Assigner
from .assignment import Assignment, Reason
from .definition import BUCKETS, Arm, Audience, Definition, Offer, Plan, Rule, State
from .hashing import bucket, canonical_visitor
from .metrics import BUILT_IN_METRICS, Column, CovariateUse, Metric
from .snapshot import Published, Snapshot
from .terms import Discount, Guard, Price

if TYPE_CHECKING:
    from .bulk import Assignments
    from .documents import json_schema
    from .explaining import Explanation
    from .files import load_definition, parse_definition, validate
    from .guards import Counts, GuardState
    from .lifecycle import open_phase, pause, resume, stop
    from .publishing import assignment_hash, plan_hash, publish, refusals, start
    from .quoting import Quote
    from .recorder import Recorder, RecorderStats
    from .records import Covariate, Exposure, Link, OfferStep, Outcome
    from .refresh import LiveAssigner, SnapshotSource

__all__ = [
    "BUCKETS",
    "BUILT_IN_METRICS",
    "Arm",
    "Assigner",
    "Assignment",
    "Assignments",
    "Audience",
    "Column",
    "Counts",
    "Covariate",
    "CovariateUse",
    "Definition",
    "Discount",
    "Explanation",
    "Exposure",
    "Guard",
    "GuardState",
    "Link",
    "LiveAssigner",
    "Metric",
    "Offer",
    "OfferStep",
    "Outcome",
    "Plan",
    "Price",
    "Published",
    "Quote",
    "Reason",
    "Recorder",
    "RecorderStats",
    "Rule",
    "Snapshot",
    "SnapshotSource",
    "State",
    "assignment_hash",
    "bucket",
    "canonical_visitor",
    "json_schema",
    "load_definition",
    "open_phase",
    "parse_definition",
    "pause",
    "plan_hash",
    "publish",
    "refusals",
    "resume",
    "start",
    "stop",
    "validate",
]

# Loaded on first use: a backend that only assigns never pays for them.
_LAZY = {
    "Assignments": "bulk",
    "Counts": "guards",
    "Covariate": "records",
    "Exposure": "records",
    "Explanation": "explaining",
    "GuardState": "guards",
    "Link": "records",
    "LiveAssigner": "refresh",
    "OfferStep": "records",
    "Outcome": "records",
    "Quote": "quoting",
    "Recorder": "recorder",
    "RecorderStats": "recorder",
    "SnapshotSource": "refresh",
    "open_phase": "lifecycle",
    "pause": "lifecycle",
    "resume": "lifecycle",
    "stop": "lifecycle",
    "assignment_hash": "publishing",
    "plan_hash": "publishing",
    "publish": "publishing",
    "refusals": "publishing",
    "start": "publishing",
    "json_schema": "documents",
    "load_definition": "files",
    "parse_definition": "files",
    "validate": "files",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LAZY[name]}", __name__), name)
