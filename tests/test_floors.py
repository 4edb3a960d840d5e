"""The house: which package may import which, and what a backend's import costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

MAY_IMPORT = {
    "errors": set(),
    "stats": {"errors"},
    "experiments": {"errors"},
    "storage": {"errors", "stats", "experiments"},
    "reports": {"errors", "stats", "experiments", "storage"},
    "cli": {"errors", "stats", "experiments", "storage", "reports"},
}


def imported_packages(path: Path, package: str) -> set[str]:
    """Other packages of the house that a file imports, relatively or by their installed name."""
    depth = len(path.relative_to(ROOT / package).parts)
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == depth + 1:
            found |= {node.module.split(".")[0]} if node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("offerlift."):
            found.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("offerlift.")}
    return found - {package}


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_import_only_the_floors_below(package):
    """No file reaches up or sideways: stats and experiments stand alone, storage sees both, and so on up.

    One exception, which is no import: the recorder's delivery and the snapshot's refresh load the store late, through
    the entry point `offerlift.stores` (experiments/sinks.py); see the test below.
    """
    files = sorted((ROOT / package).rglob("*.py"))
    assert files, f"no files in {package}"
    reaching = {str(path.relative_to(ROOT)): imported_packages(path, package) - MAY_IMPORT[package] for path in files}
    assert {path: up for path, up in reaching.items() if up} == {}


def test_the_floor_check_sees_both_ways_of_importing(tmp_path, monkeypatch):
    """A relative and an absolute import from another package are both found."""
    (tmp_path / "stats").mkdir()
    planted = tmp_path / "stats" / "planted.py"
    planted.write_text("from ..storage.store import Store\nimport offerlift.cli\nfrom .moments import Moments\n")
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    assert imported_packages(planted, "stats") == {"storage", "cli"}


def imported_siblings(package: str) -> dict[Path, set[Path]]:
    """Each file of a package and the files of it that it imports, late ones and those for types alone included."""
    files = set((ROOT / package).rglob("*.py"))
    found: dict[Path, set[Path]] = {}
    for path in files:
        found[path] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                folder = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
                names = [folder, *(folder / alias.name for alias in node.names)]
                found[path] |= {one.with_suffix(".py") for one in names} & files
    return found


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_no_import_runs_in_a_circle(package):
    """Inside a package too imports go one way, so each file can be read with those below it alone."""
    imports = imported_siblings(package)
    assert len(imports) == 1 or any(imports.values())
    TopologicalSorter(imports).prepare()


def test_the_circle_check_sees_late_imports(tmp_path, monkeypatch):
    """A circle through an import inside a function, and through a subpackage, is found."""
    (tmp_path / "stats" / "more").mkdir(parents=True)
    (tmp_path / "stats" / "one.py").write_text("def late():\n    from .more import two\n")
    (tmp_path / "stats" / "more" / "two.py").write_text("from ..one import late\n")
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    with pytest.raises(CycleError):
        TopologicalSorter(imported_siblings("stats")).prepare()


def loaded_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after running some code."""
    script = f"{code}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_assigning_loads_only_the_standard_library():
    """A backend that imports the assigner pays for neither numpy, scipy, sqlalchemy, pydantic nor ruamel."""
    loaded = loaded_after(
        "from offerlift.experiments import Assigner, Snapshot, bucket\n"
        "Assigner(Snapshot.of([])).assign('none', 'v1', {'country': 'DE'})"
    )
    assert "offerlift" in loaded
    allowed = set(sys.stdlib_module_names) | {"offerlift", "__main__", "sitecustomize", "usercustomize"}
    assert {name for name in loaded - allowed if not name.startswith(("_", "__editable__"))} == set()


def test_the_store_is_found_in_one_place_only():
    """Only experiments/sinks.py looks an entry point up, and what it finds is the Store of storage."""
    looking = [
        str(path.relative_to(ROOT))
        for package in MAY_IMPORT
        for path in (ROOT / package).rglob("*.py")
        if "entry_points" in path.read_text(encoding="utf-8")
    ]
    assert looking == ["experiments/sinks.py"]
    (found,) = entry_points(group="offerlift.stores")
    assert (found.name, found.value) == ("default", "offerlift.storage.store:Store")


def test_recording_loads_only_the_standard_library():
    """Importing and using a recorder into a sink loads nothing heavy, and SQLite only where there is a spool."""
    loaded = loaded_after(
        "from offerlift.experiments import Recorder\n"
        "class Sink:\n    write_exposures = write_outcomes = write_links = staticmethod(lambda records: None)\n"
        "with Recorder(Sink()) as recorder:\n    recorder.outcome('o1', 'v1', 'purchase')"
    )
    assert "offerlift" in loaded
    allowed = set(sys.stdlib_module_names) | {"offerlift", "__main__", "sitecustomize", "usercustomize"}
    assert {name for name in loaded - allowed if not name.startswith(("_", "__editable__"))} == set()
    assert not loaded & {"sqlite3", "asyncio", "importlib.metadata"}


def test_statistics_load_only_numpy_and_scipy():
    """A notebook that imports the statistics waits for neither pandas nor statsmodels nor scipy.stats."""
    loaded = loaded_after("import offerlift.stats, sys\nassert 'scipy.stats' not in sys.modules")
    assert {"numpy", "scipy"} <= loaded
    assert not loaded & {"pandas", "polars", "narwhals", "statsmodels", "matplotlib", "sqlalchemy", "pydantic"}


def test_help_loads_nothing_heavy():
    """`offerlift --help` answers without loading the packages that only some commands need."""
    loaded = loaded_after(
        "from click.testing import CliRunner\nfrom offerlift.cli.app import cli\n"
        "assert CliRunner().invoke(cli, ['--help']).exit_code == 0"
    )
    assert not loaded & {"numpy", "scipy", "pandas", "statsmodels", "matplotlib", "sqlalchemy", "pydantic", "jinja2"}


def test_every_package_is_typed_and_declared():
    """Each folder of the house has py.typed, and pyproject maps it to its installed name."""
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for package in MAY_IMPORT:
        assert (ROOT / package / "py.typed").exists()
        assert f'"offerlift.{package}" = "{package}"' in pyproject
