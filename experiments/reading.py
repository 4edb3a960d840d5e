"""YAML 1.2 into plain values that remember where they stood.

Scalars follow the core schema of YAML 1.2.2 (section 10.3.2): `NO` and `yes` are text, `010` is ten, only `true` and
`false` are booleans. Numbers with a point become `Decimal` with the digits as typed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from ..errors import Finding

__all__ = ["Path", "Source", "path_text", "read"]

Path = tuple[str | int, ...]

_MOST_NODES = 20_000
_DEEPEST = 30
_LONGEST_NUMBER = 30

_NULL = re.compile(r"(?:~|null|Null|NULL|)\Z")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
_INT = re.compile(r"[-+]?[0-9]+\Z")
_OTHER_BASE = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,2})?\Z")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")


@dataclass(frozen=True, slots=True)
class Mark:
    """Where something stands, from 1, and what is written there."""

    line: int
    column: int
    seen: str


@dataclass(slots=True)
class Source:
    """A read document: plain values, marks of every value and key by path, and the paths that could not be read."""

    file: str
    data: Any = None
    values: dict[Path, Mark] = field(default_factory=dict)
    keys: dict[Path, Mark] = field(default_factory=dict)
    broken: set[Path] = field(default_factory=set)

    def finding(
        self, path: Path, message: str, *, hint: str | None = None, seen: str | None = None, at_key: bool = False
    ) -> Finding:
        """A finding at a path, or at its nearest written parent; `seen` is what is written there unless given."""
        mark = (self.keys.get(path) if at_key else None) or self.values.get(path)
        parent = path
        while mark is None and parent:
            parent = parent[:-1]
            # A key that is missing is best looked for where its mapping is named.
            mark = self.keys.get(parent) or self.values.get(parent)
        if seen is None:
            seen = mark.seen if mark is not None and parent == path else ""
        return Finding(self.file, mark and mark.line, mark and mark.column, path_text(path), seen, message, hint)


def path_text(path: Path) -> str:
    """A path as people read it: `arms[1].offer.discount.percentage`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def read(text: str, file: str) -> tuple[Source, list[Finding]]:
    """The document in a YAML text and everything that keeps it from being read. Never raises."""
    source = Source(file)
    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        return source, [_syntax_finding(error, file)]
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        seen = f"U+{error.character:04X}"
        return source, [Finding(file, line, None, "", seen, "a character that is not allowed in YAML", "Take it out.")]
    except RecursionError:
        return source, [Finding(file, None, None, "", "", f"nested more than {_DEEPEST} levels deep")]
    except (YAMLError, ValueError, ArithmeticError, LookupError, AttributeError, TypeError) as error:
        # Some malformed escapes and directives end in plain Python errors inside ruamel.yaml.
        return source, [Finding(file, None, None, "", "", f"not valid YAML: {_one_line(error)}")]
    if node is None or (isinstance(node, ScalarNode) and _NULL.match(node.value) and node.style is None):
        return source, [Finding(file, 1, 1, "", "", "the file is empty", "`offerlift init` writes an example.")]
    if not isinstance(node, MappingNode):
        mark = _mark(node)
        return source, [
            Finding(
                file, mark.line, mark.column, "", mark.seen, "a definition is a mapping that starts with `experiment:`"
            )
        ]
    converter = _Converter(source)
    source.data = converter.convert(node, ())
    return source, converter.findings


class _Converter:
    """Composed nodes to plain values, with marks; collects what is wrong on the way."""

    def __init__(self, source: Source):
        self.source = source
        self.findings: list[Finding] = []
        self.count = 0

    def convert(self, node: Node, path: Path) -> Any:
        self.source.values[path] = _mark(node)
        self.count += 1
        # Aliases may make a small file endlessly large.
        if len(path) > _DEEPEST or self.count > _MOST_NODES:
            if self.count <= _MOST_NODES + 1:
                self.report(path, f"nested more than {_DEEPEST} levels deep or with too many values")
            return None
        if not str(node.tag).startswith("tag:yaml.org,2002:"):
            self.report(path, f"unknown YAML tag {node.tag}", hint="Leave tags out.")
            return None
        if isinstance(node, MappingNode):
            return self.mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.convert(item, (*path, index)) for index, item in enumerate(node.value)]
        return self.scalar(node, path)

    def mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self.source.keys[(*path, "?")] = _mark(key)
                self.report((*path, "?"), "a key must be a word")
                continue
            place = (*path, key.value)
            if key.value in values:
                first = self.source.keys[place].line
                self.source.broken.add(place)
                self.findings.append(
                    Finding(
                        self.source.file,
                        key.start_mark.line + 1,
                        key.start_mark.column + 1,
                        path_text(place),
                        key.value,
                        f"this key is already given in line {first}",
                    )
                )
                continue
            self.source.keys[place] = _mark(key)
            values[key.value] = self.convert(value, place)
        return values

    def scalar(self, node: Any, path: Path) -> Any:
        text: str = node.value
        if any("\ud800" <= character <= "\udfff" or character == "\0" for character in text):
            self.report(path, "contains a character that cannot be stored (NUL or half a surrogate pair)")
            return None
        if node.style is not None or str(node.tag) == "tag:yaml.org,2002:str":
            return text
        if _NULL.match(text):
            return None
        if _BOOL.match(text):
            return text.lower() == "true"
        if _NOT_FINITE.match(text):
            self.report(path, "must be a finite number")
            return None
        is_number = _INT.match(text) or _OTHER_BASE.match(text) or _FLOAT.match(text)
        if is_number and len(text) > _LONGEST_NUMBER:
            self.report(path, f"a number has at most {_LONGEST_NUMBER} digits")
            return None
        if _INT.match(text):
            return int(text)
        if _OTHER_BASE.match(text):
            return int(text, 0)
        return Decimal(text) if is_number else text

    def report(self, path: Path, message: str, hint: str | None = None) -> None:
        self.source.broken.add(path)
        self.findings.append(self.source.finding(path, message, hint=hint, at_key=path[-1:] == ("?",)))


def _syntax_finding(error: MarkedYAMLError, file: str) -> Finding:
    mark = error.problem_mark or error.context_mark
    problem = ", ".join(_one_line(part) for part in (error.context, error.problem) if part) or "not readable"
    hint = None
    if "mapping values are not allowed" in problem:
        hint = "A text that contains ': ' needs quotes; otherwise check the indentation."
    elif "'\\t'" in problem:
        hint = "Indent with spaces, not with tabs."
    elif "another document" in problem:
        hint = "One experiment a file: split it at `---`."
    return Finding(
        file,
        mark.line + 1 if mark is not None else None,
        mark.column + 1 if mark is not None else None,
        "",
        "",
        f"not valid YAML: {problem}",
        hint,
    )


def _mark(node: Any) -> Mark:
    return Mark(node.start_mark.line + 1, node.start_mark.column + 1, _seen(node))


def _seen(node: Any, depth: int = 0) -> str:
    """What is written, shortened to one line."""
    if isinstance(node, ScalarNode):
        text = f'"{node.value}"' if node.style in ("'", '"') else node.value or ("null" if depth == 0 else "")
    elif depth > 2:
        text = "..."
    elif isinstance(node, SequenceNode):
        text = f"[{', '.join(_seen(item, depth + 1) for item in node.value[:10])}]"
    else:
        items = (f"{_seen(key, depth + 1)}: {_seen(value, depth + 1)}".strip() for key, value in node.value[:10])
        text = f"{{{', '.join(items)}}}"
    text = " ".join(text.split()).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 80 else f"{text[:77]}..."


def _one_line(problem: object) -> str:
    return " ".join(str(problem).split())
