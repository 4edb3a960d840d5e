from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import offerlift.experiments as package

SCRIPT = """
import sys
from datetime import UTC, datetime
from offerlift.experiments import BUILT_IN_METRICS, Arm, Assigner, Definition, Plan, Rule, Snapshot, bucket
from offerlift.experiments.publishing import publish

definition = Definition(
    "exp", "a", (Arm("a", 5000), Arm("b", 5000)), (BUILT_IN_METRICS["conversion"],), Plan("conversion"),
    eligibility=(Rule("country", "in", ("DE",)),),
)
published = publish(definition, None, state="running", at=datetime.now(UTC))
Snapshot.of([published]).write(sys.argv[1])
assigner = Assigner(Snapshot.load(sys.argv[1]))
print([assigner.assign("exp", f"v{n}", {"country": "DE"}).arm for n in range(20)], published.assignment_hash)
heavy = {"numpy", "scipy", "sqlalchemy", "pydantic", "ruamel", "statsmodels", "matplotlib", "jinja2", "click"}
loaded = sorted({name.split(".")[0] for name in sys.modules} & heavy)
assert not loaded, loaded
"""


def _run(path: Path, seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    command = [sys.executable, "-c", SCRIPT, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_backends_need_the_standard_library_alone(tmp_path: Path) -> None:
    """Importing, writing and loading a snapshot and assigning load none of the heavy packages, whatever the hash seed;
    and the seed changes no assignment."""
    outputs = {_run(tmp_path / "offers.json", seed) for seed in ("0", "1", "2")}
    assert len(outputs) == 1
    assert "'b'" in outputs.pop()


def test_every_exported_name_exists() -> None:
    """Each name of `__all__` can be had, the lazy ones included; others are an AttributeError."""
    assert all(getattr(package, name) is not None for name in package.__all__)
    assert not hasattr(package, "nonsense")
