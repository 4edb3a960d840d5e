from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from offerlift.experiments import json_schema
from offerlift.experiments.reading import read

SCHEMA = json_schema()
DOCS = Path(__file__).parents[2] / "docs" / "definitions.md"

_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | Decimal) and not isinstance(value, bool),
}
_CHECKS: dict[str, Callable[[Any, Any], bool]] = {
    "enum": lambda value, given: value in given,
    "const": lambda value, given: value == given,
    "pattern": lambda value, given: not isinstance(value, str) or re.search(given, value) is not None,
    "minimum": lambda value, given: not _TYPES["number"](value) or value >= given,
    "maximum": lambda value, given: not _TYPES["number"](value) or value <= given,
    "exclusiveMinimum": lambda value, given: not _TYPES["number"](value) or value > given,
    "exclusiveMaximum": lambda value, given: not _TYPES["number"](value) or value < given,
    "minItems": lambda value, given: not isinstance(value, list) or len(value) >= given,
    "maxItems": lambda value, given: not isinstance(value, list) or len(value) <= given,
    "minLength": lambda value, given: not isinstance(value, str) or len(value) >= given,
    "maxLength": lambda value, given: not isinstance(value, str) or len(value) <= given,
    "required": lambda value, given: not isinstance(value, dict) or set(given) <= set(value),
}
_NOTES = {"title", "description", "default", "examples", "$schema", "$defs"}


def _fits(value: Any, schema: dict[str, Any]) -> bool:
    """A small validator of the JSON Schema keywords that are used; an unknown keyword is a KeyError."""
    for keyword, given in schema.items():
        if keyword in _NOTES:
            continue
        if keyword == "$ref":
            holds = _fits(value, SCHEMA["$defs"][given.removeprefix("#/$defs/")])
        elif keyword == "type":
            holds = any(_TYPES[one](value) for one in ([given] if isinstance(given, str) else given))
        elif keyword == "anyOf":
            holds = any(_fits(value, one) for one in given)
        elif keyword == "oneOf":
            holds = sum(_fits(value, one) for one in given) == 1
        elif keyword == "items":
            holds = not isinstance(value, list) or all(_fits(one, given) for one in value)
        elif keyword == "propertyNames":
            holds = not isinstance(value, dict) or all(_fits(one, given) for one in value)
        elif keyword == "patternProperties":
            ((pattern, inner),) = given.items()
            holds = not isinstance(value, dict) or all(
                re.search(pattern, k) and _fits(v, inner) for k, v in value.items()
            )
        elif keyword == "properties":
            holds = not isinstance(value, dict) or all(_fits(value[k], given[k]) for k in value if k in given)
        elif keyword == "additionalProperties":
            extra = set(value) - set(schema.get("properties", ())) if isinstance(value, dict) else ()
            holds = "patternProperties" in schema or not extra
        else:
            holds = _CHECKS[keyword](value, given)
        if not holds:
            return False
    return True


def _values(text: str) -> Any:
    source, findings = read(text, "e.yaml")
    assert not findings
    return source.data


def _properties(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for section in (schema, *schema["$defs"].values()):
        yield from section.get("properties", {}).items()


def test_schema_is_draft_2020_12_json() -> None:
    """The schema names its dialect and title and is plain JSON."""
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["title"] == "offerlift experiment"
    assert json.loads(json.dumps(SCHEMA, allow_nan=False)) == SCHEMA


def test_every_key_is_described() -> None:
    """Editors can show a sentence for every key."""
    assert [key for key, value in _properties(SCHEMA) if not value.get("description")] == []
    assert all(section.get("description") for section in SCHEMA["$defs"].values())


def test_examples_fit(exit_downsell: str, cart_factorial: str, everything: str) -> None:
    """The example definitions fit the schema."""
    for text in (exit_downsell, cart_factorial, everything):
        assert _fits(_values(text), SCHEMA)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("owner:", "ownr:"),
        ("kind: downsell", "kind: downsel"),
        ("window: 7d", "window: 7"),
        ("percentage: 10", "percentage: 0"),
        ("percentage: 10", "percent: 10"),
        ("primary: revenue_per_visitor", "power: 90%"),
        ("adjusted: true", "adjusted: yes"),
        ("minimum_detectable_effect: 5%", "minimum_detectable_effect: 5"),
        ("currency: EUR", "currency: euro"),
        ("experiment: exit-downsell", "experiment: exit downsell"),
        ("conversion: {window", "conversions: {window"),
    ],
)
def test_faults_do_not_fit(exit_downsell: str, old: str, new: str) -> None:
    """An editor underlines what loading refuses for its structure."""
    assert old in exit_downsell
    assert not _fits(_values(exit_downsell.replace(old, new)), SCHEMA)


def test_reference_is_complete() -> None:
    """The reference names every key of the language."""
    text = DOCS.read_text(encoding="utf-8")
    assert sorted({key for key, _ in _properties(SCHEMA) if f"`{key}`" not in text}) == []


def test_examples_of_the_reference_are_valid() -> None:
    """Every whole definition in the reference loads."""
    from offerlift.experiments import parse_definition

    blocks = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL)
    whole = [block for block in blocks if block.startswith("experiment:")]
    assert whole
    for block in whole:
        parse_definition(block)


def test_what_shops_write_is_valid() -> None:
    """Each line of the table of offers loads, as the offer of an arm or beside it."""
    from offerlift.experiments import parse_definition

    table = DOCS.read_text(encoding="utf-8").partition("### What shops write")[2].partition("## Eligibility")[0]
    snippets = [
        one for row in table.splitlines() if row.startswith("| ") for one in re.findall("`([^`]+: [^`]+)`", row)
    ]
    assert len(snippets) > 20
    usual = {"kind": "loyalty", "placement": "cart", "trigger": "exit_intent"}
    plan = "primary: margin_per_visitor"
    for snippet in snippets:
        key = snippet.partition(":")[0]
        lines = {"experiment": "e", "metrics": "[margin_per_visitor]", "plan": f"{{{plan}}}"}
        rest = ""
        if key == "plan":
            lines |= {"plan": snippet.removeprefix("plan: ").replace("{", f"{{{plan}, "), "segments": "[agent]"}
        elif key in ("eligibility", "segments"):
            lines[key] = snippet.partition(": ")[2]
        else:
            rest = f", {snippet}"
        offer = ", ".join(f"{name}: {value}" for name, value in usual.items() if f"{name}: " not in snippet)
        lines["arms"] = f"[{{name: a}}, {{name: b, offer: {{{(offer + rest).strip(', ')}}}}}]"
        if key == "alternatives":
            names = snippet.partition("[")[2].rstrip("]").split(", ")
            lines["offers"] = f"{{{', '.join(f'{name}: {{{offer}}}' for name in names)}}}"
        assert parse_definition("".join(f"{name}: {value}\n" for name, value in lines.items())), snippet
