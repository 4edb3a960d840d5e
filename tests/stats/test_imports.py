"""What importing the statistics costs."""

# A None where a number belongs fails the test, as it should; stubs of scipy and statsmodels are incomplete.
# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalIterable=false
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

import subprocess
import sys


def test_import_is_light():
    """`offerlift.stats` needs numpy and scipy.special; not scipy.stats, scipy.optimize, pandas or statsmodels."""
    code = "import sys, offerlift.stats; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "scipy.special" in loaded
    for heavy in (
        "scipy.stats",
        "scipy.optimize",
        "scipy.integrate",
        "pandas",
        "statsmodels",
        "sqlalchemy",
        "matplotlib",
    ):
        assert heavy not in loaded
    assert not [
        name for name in loaded if name.startswith("offerlift.") and name.split(".")[1] not in ("stats", "errors")
    ]
