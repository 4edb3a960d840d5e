"""How the documentation becomes a site: `sphinx-build -W -b html docs site`."""

import re
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

project = "offerlift"
author = "offerlift"
release = version = installed_version("offerlift")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx_click",
]
html_theme = "furo"
html_title = f"offerlift {release}"
exclude_patterns = ["site"]
PAGES = Path(__file__).parent

# Pages link to the headings of others, as they do where the files are read by themselves.
myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath", "colon_fence"]

# Docstrings are plain sentences with names in single backticks.
default_role = "code"
autodoc_member_order = "alphabetical"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "imported-members": True, "show-inheritance": False}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

nitpicky = False
python_use_unqualified_type_names = True
suppress_warnings = [
    # JSON and YAML of the pages leave parts out with "...", which is neither.
    "misc.highlighting_failure",
    # Types in signatures are links where they are clear; several classes have an attribute `mean`.
    "ref.python",
]


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _as_text)
    for event in ("description", "options", "arguments", "epilog"):
        app.connect(f"sphinx-click-process-{event}", _as_help)
    app.connect("source-read", _as_site)


def _as_site(app: Any, name: str, source: list[str]) -> None:
    """Turn a page that is read beside the code into one of the site.

    Patterns of the contents without a page (yet) are left out, and links to examples, which the site does not have,
    become their paths.
    """
    if name == "index":
        lines = source[0].splitlines(keepends=True)
        found = [line for line in lines if "*" not in line or "**" in line or list(PAGES.glob(f"{line.strip()}.md"))]
        source[0] = "".join(found)
    source[0] = re.sub(r"\[([^\]]+)\]\(\.\./(examples/[^)]+)\)", r"\1 (`\2`)", source[0])


def _as_help(app: Any, context: Any, lines: list[str]) -> None:
    """Let the help of a command be text: *.yaml is no emphasis."""
    lines[:] = [line.replace("*", r"\*") if not line.startswith("..") else line for line in lines]


def _as_text(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Let formulas in docstrings be text: |z| is no substitution, and the underscore of n_ no reference."""
    for number, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            parts = re.split(r"(`[^`]*`)", line)
            parts[::2] = [re.sub(r"(?<=\w)_(?=\W|$)", r"\\_", part.replace("|", r"\|")) for part in parts[::2]]
            lines[number] = "".join(parts)
