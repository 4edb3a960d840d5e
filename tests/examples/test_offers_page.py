"""The page on offers: its definitions are valid, its commands and links exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from offerlift.experiments import parse_definition, refusals

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "offers.md").read_text(encoding="utf-8")
DEFINITIONS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
KINDS = ("Down-sell", "Up-sell", "Cross-sell", "Bundle", "Flash sale", "Retention")


@pytest.mark.parametrize("text", DEFINITIONS, ids=[text.split()[1] for text in DEFINITIONS])
def test_a_definition_of_the_page_is_valid(text):
    """It loads, and nothing in it is refused when it is published."""
    definition = parse_definition(text)
    assert not refusals(definition)


def test_every_kind_has_its_section():
    """When to use it, how to measure it, what goes wrong, with a definition and the command of its example."""
    assert len(DEFINITIONS) == len(KINDS)
    for kind in KINDS:
        section = PAGE.split(f"\n## {kind}\n")[1].split("\n## ")[0]
        assert all(said in section for said in ("**Use it**", "**Measure", "**What goes wrong**", "```yaml")), kind
        (command,) = set(re.findall(r"python (examples/offers/\S+/run\.py) out", section))
        assert (ROOT / command).exists()


def test_links():
    """Links to files of the repository lead somewhere."""
    linked = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", PAGE)]
    assert linked
    assert [link for link in linked if not (ROOT / "docs" / link).exists()] == []
