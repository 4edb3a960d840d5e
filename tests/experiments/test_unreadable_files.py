"""Texts and files that are no definition: findings, quickly, and never another exception."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offerlift.errors import DefinitionError
from offerlift.experiments import load_definition, validate

from .faulty import findings_in, tried, with_lines


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "the file is empty"),
        ("# only a comment\n", 1, "the file is empty"),
        ("- a\n", 1, "a definition is a mapping"),
        ("experiment\n", 1, "a definition is a mapping"),
        ("experiment: [a\nb: c\n", 2, "not valid YAML"),
        ("a: b: c\n", 1, "mapping values are not allowed"),
        ("a:\n\t- b\n", 2, "cannot start any token"),
        ("a: 1\n---\nb: 2\n", 2, "another document"),
        ("a: *b\n", 1, "undefined alias"),
        ("x: 1\ny: a\x00b\n", 2, "a character that is not allowed in YAML"),
        ('a: "\\q"\n', 1, "unknown escape"),
    ],
)
def test_unreadable_texts(text: str, line: int, message: str) -> None:
    """What is not a YAML mapping is one finding with its line."""
    findings = findings_in(text)
    assert len(findings) == 1
    assert findings[0].line == line
    assert message in findings[0].message


def test_forbidden_characters() -> None:
    """A control character is named by its code point."""
    (finding,) = findings_in("x: 1\ny: a\x01b\n")
    assert (finding.line, finding.seen) == (2, "U+0001")


def test_duplicate_keys() -> None:
    """A key given twice is a finding at the second, naming the line of the first; the rest is still checked."""
    findings = findings_in(with_lines(control="c") + "experiment: f\n")
    assert [(one.path, one.line) for one in findings] == [("control", 5), ("experiment", 6)]
    assert "already given in line 1" in findings[1].message


def test_hostile_nesting() -> None:
    """Deep nesting, aliases of aliases and an alias of itself end in findings, quickly."""
    laughs = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    for text in ("a: " + "[" * 50 + "]" * 50, "a: " + "[" * 2_000, "a: &x [*x]\n", laughs):
        assert any("deep" in one.message or "not valid YAML" in one.message for one in findings_in(text))


def test_files(tmp_path: Path) -> None:
    """A missing file, a folder, bytes that are not UTF-8 and a huge file are findings; a BOM does no harm."""
    good = tmp_path / "good.yaml"
    good.write_bytes(b"\xef\xbb\xbf" + with_lines().encode())
    assert load_definition(good).experiment == "e"
    assert validate(good) == []
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"experiment: e\nowner: J\xf6rg\n")
    (finding,) = validate(latin)
    assert (finding.line, finding.message) == (2, "is not UTF-8 (byte 0xf6 at position 22)")
    assert validate(tmp_path / "none.yaml")[0].message == "there is no such file"
    assert validate("a\0b")[0].message.startswith("cannot be read")
    huge = tmp_path / "huge.yaml"
    huge.write_bytes(b"#" * 1_000_001)
    assert "larger than" in validate(huge)[0].message
    with pytest.raises(DefinitionError) as caught:
        load_definition(tmp_path)
    assert caught.value.findings[0].message == "is a folder, not a file"


def test_folders(tmp_path: Path) -> None:
    """A folder is read file by file in order; a key used in two files is a finding, and so is an empty folder."""
    assert "no definitions here" in validate(tmp_path)[0].message
    (tmp_path / "b.yml").write_text(with_lines())
    (tmp_path / "a.yaml").write_text(with_lines())
    (tmp_path / "c.yaml").write_text(with_lines(control="x", experiment="c"))
    (tmp_path / "notes.txt").write_text("no definition")
    findings = validate(tmp_path)
    assert [(Path(one.file).name, one.path) for one in findings] == [("b.yml", "experiment"), ("c.yaml", "control")]
    assert findings[0].message == "this key is already used in a.yaml"


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.data())
def test_mutations_never_raise(data: st.DataObject, everything: str) -> None:
    """Whatever is cut out of, or put into, a definition: it is read, or the error has findings with their file."""
    text = everything
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.sampled_from([0, 1, 3, 20])))
        pieces = ["", ":", "- ", "{", "]", "null", "true", "5", "1e9", '"', "\n", "&a ", "*a", "x", "%", "\ud800", "!!"]
        piece: Any = data.draw(st.sampled_from(pieces) | st.text(max_size=4))
        text = text[:start] + piece + text[end:]
    findings = tried(text)
    assert all(one.file == "e.yaml" and str(one) for one in findings)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda x: (
            st.lists(x, max_size=2)
            | st.dictionaries(
                st.sampled_from(["name", "kind", "offer", "percentage", "conversion", "weight", "window"]),
                x,
                max_size=3,
            )
        ),
        max_leaves=8,
    ),
    st.sampled_from(["arms", "metrics", "plan", "factors", "offers", "offer", "eligibility", "layer"]),
)
def test_any_structure_never_raises(value: object, key: str) -> None:
    """Whatever structure stands under a key, the answer is a definition or findings."""
    assert all(map(str, tried(with_lines(**{key: json.dumps(value)}))))
