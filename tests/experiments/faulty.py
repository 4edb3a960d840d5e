"""Small definitions with one thing in them changed, and what is found in them."""

from __future__ import annotations

import pytest
from offerlift.errors import DefinitionError, Finding
from offerlift.experiments import parse_definition

MINIMAL = {
    "experiment": "e",
    "arms": "[{name: a}, {name: b}]",
    "metrics": "[conversion]",
    "plan": "{primary: conversion}",
}


def findings_in(text: str) -> list[Finding]:
    with pytest.raises(DefinitionError) as caught:
        parse_definition(text, "e.yaml")
    return list(caught.value.findings)


def tried(text: str) -> list[Finding]:
    """The findings of a text; none where it is a definition."""
    try:
        parse_definition(text, "e.yaml")
    except DefinitionError as error:
        return list(error.findings) or pytest.fail("an error without findings")
    return []


def with_lines(**lines: str) -> str:
    return "".join(f"{key}: {value}\n" for key, value in {**MINIMAL, **lines}.items() if value)


def one_finding(**lines: str) -> Finding:
    findings = findings_in(with_lines(**lines))
    assert len(findings) == 1, [str(one) for one in findings]
    return findings[0]


def with_offer(rest: str, **lines: str) -> dict[str, str]:
    """Lines of a definition whose second arm shows an offer; margin is the primary metric."""
    return {
        "arms": f"[{{name: a}}, {{name: b, offer: {{placement: cart, {rest}}}}}]",
        "metrics": "[margin_per_visitor]",
        "plan": "{primary: margin_per_visitor}",
        **lines,
    }
