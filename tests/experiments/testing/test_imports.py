from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from offerlift.experiments import integrations


def _loaded_after(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_testing_module_needs_the_standard_library_alone() -> None:
    """Forcing and capturing load neither numpy nor pytest nor a database driver."""
    loaded = _loaded_after(
        "from offerlift.experiments.testing import capture_exposures, force_arm\n"
        "with force_arm('exit', 'b', offer=None), capture_exposures() as exposures: pass"
    )
    assert not loaded & {"numpy", "scipy", "sqlalchemy", "pydantic", "ruamel", "pytest", "flask"}


def test_a_backend_loads_neither_integrations_nor_testing() -> None:
    """`offerlift.experiments` alone imports no framework, no OpenFeature and none of these modules."""
    loaded = _loaded_after("from offerlift.experiments import Assigner, Snapshot\nAssigner(Snapshot.of([]))")
    assert "offerlift.experiments" in loaded
    assert not loaded & {"offerlift.experiments.testing", "offerlift.experiments.integrations"}
    assert not loaded & {"openfeature", "django", "flask", "starlette", "pytest"}


def test_each_integration_imports_its_own_framework_only() -> None:
    """Of the frameworks, each module loads one; the package itself and the ASGI helper none."""
    frameworks = {"openfeature", "django", "flask", "starlette"}
    package = "offerlift.experiments.integrations"
    for module, own in {
        "openfeature": {"openfeature"},
        "django": {"django"},
        "flask": {"flask"},
        "asgi": set(),
    }.items():
        assert _loaded_after(f"import {package}.{module}") & frameworks == own


@pytest.mark.parametrize("module", ["django", "flask", "asgi"])
def test_a_web_helper_is_read_in_a_minute(module: str) -> None:
    """Each stays under 60 lines: what the frameworks have in common is in one place."""
    path = Path(integrations.__file__).with_name(f"{module}.py")
    assert len(path.read_text(encoding="utf-8").splitlines()) < 60
