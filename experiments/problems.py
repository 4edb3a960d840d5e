"""Structural validation: everything that is wrong with a document, in our words, at its place.

Where parts are wrong, the rest is still returned: what does not fit is taken out until the document fits, and `broken`
says which places cannot be relied on, so that the semantic checks of the others still run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from ..errors import Finding
from .documents import Document
from .reading import Path, Source

__all__ = ["Validated", "near", "validate_document"]

_PLACEHOLDERS: dict[str, Any] = {
    "experiment": "experiment",
    "metrics": ["conversion"],
    "plan": {"primary": "conversion"},
}
"""What stands in for a required part that cannot be read, so that the checks of the others can run."""


@dataclass(frozen=True, slots=True)
class Validated:
    """What could be read of a document.

    `document` is None where not even the rest fits. `removed` are the original paths left out of it.
    """

    document: Document | None
    broken: frozenset[Path]
    removed: frozenset[Path]
    findings: tuple[Finding, ...]

    def original(self, path: Path) -> Path:
        """The place in the file of a place in `document`, whose lists may be shorter."""
        return _original(path, self.removed)

    def reliable(self, *patterns: str) -> bool:
        """Whether nothing is broken at these places, such as `arms.*.weight`; `*` is any key or index."""
        return not any(_overlap(tuple(pattern.split(".")), place) for pattern in patterns for place in self.broken)


def validate_document(source: Source) -> Validated:
    """Validate what was read, but for the places where reading has already found something."""
    places, removed = set(source.broken), set(source.broken)
    findings: list[Finding] = []
    for attempt in range(20):
        before = frozenset(removed)
        try:
            document = Document.model_validate(_without(source.data, removed, ()))
        except ValidationError as error:
            for one in error.errors(include_url=False):
                place = _original(_plain(one["loc"]), before)
                kind = one["type"]
                if attempt == 0 and not any(_inside(place, known) for known in source.broken):
                    findings.append(_finding(source, place, one))
                places.add(_suspect(place, one) if kind == "extra_forbidden" else place)
                removed.add(place[:-1] if kind == "missing" and len(place) > 1 else place)
        else:
            return Validated(document, frozenset(places), frozenset(removed), tuple(findings))
    return Validated(None, frozenset(places), frozenset(removed), tuple(findings))


def near(word: str, known: Iterable[str]) -> str | None:
    """A hint that names the known word that was probably meant, if one is near."""
    words = [str(one) for one in known]
    lowered = {one.lower().replace("-", "_"): one for one in words}
    wanted = word.lower().replace("-", "_").replace(" ", "_")
    found = get_close_matches(wanted, lowered, n=1, cutoff=0.6)
    # A part of a longer name is near too: revenue for revenue_per_visitor.
    found = found or [one for one in lowered if len(wanted) > 3 and wanted in one.split("_")]
    return f"Did you mean {lowered[found[0]]}?" if found else None


def _finding(source: Source, place: Path, error: Any) -> Finding:
    kind, context = error["type"], error.get("ctx") or {}
    if kind == "extra_forbidden":
        known = _known_keys(error["loc"][:-1])
        hint = near(str(place[-1]), known) or f"Known here: {', '.join(known)}."
        return source.finding(place, "unknown key", hint=hint, seen=str(place[-1]), at_key=True)
    if kind == "missing":
        return source.finding(place, "is required", seen="")
    if kind == "literal_error":
        allowed = _literals(error)
        hint = near(error["input"], allowed) if isinstance(error["input"], str) else None
        return source.finding(place, f"must be one of {', '.join(allowed)}", hint=hint)
    message, hint = _words(kind, context, error)
    return source.finding(place, message, hint=hint)


def _words(kind: str, context: dict[str, Any], error: Any) -> tuple[str, str | None]:
    """Our words for pydantic's common kinds of error, and a hint."""
    if kind == "offerlift":
        return str(context["message"]), context["hint"]
    if kind.startswith(("bool_",)):
        said = str(error["input"]).lower() in ("yes", "no", "on", "off", "y", "n")
        return "must be true or false", "YAML 1.2 reads yes, no, on and off as text." if said else None
    words = {
        "int_type": "must be a whole number",
        "list_type": "must be a list, one entry a line after '- '",
        "dict_type": "must be a mapping of keys to values",
        "model_type": "must be a mapping of keys to values",
        "model_attributes_type": "must be a mapping of keys to values",
        "string_type": "must be text",
        "greater_than_equal": f"must be {context.get('ge')} or more",
        "less_than_equal": f"must be {context.get('le')} or less",
        "too_short": f"needs at least {context.get('min_length')} entries, seen {context.get('actual_length')}",
        "too_long": f"has at most {context.get('max_length')} entries, seen {context.get('actual_length')}",
    }
    return words.get(kind) or str(error["msg"]), None


def _literals(error: Any) -> list[str]:
    expected = str(error["ctx"]["expected"])
    return [word.strip().strip("'") for word in expected.replace(" or ", ", ").split(",")]


def _plain(location: tuple[str | int, ...]) -> Path:
    """A pydantic location without the names of alternatives."""
    return tuple(part for part in location if not _is_tag(part))


def _is_tag(part: str | int) -> bool:
    return isinstance(part, str) and (part == "[key]" or (part.startswith("<") and part.endswith(">")))


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
    """Keys of the model at a pydantic location."""
    models = _models(Document, location)
    return [field.alias or name for model in models[:1] for name, field in model.model_fields.items()]


def _models(annotation: Any, location: tuple[str | int, ...]) -> list[type[BaseModel]]:
    """The models that an annotation allows after following a location."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        tags = [one.tag for one in arguments[1:] if hasattr(one, "tag")]
        if tags and location and _is_tag(location[0]):
            return _models(arguments[0], location[1:]) if location[0] in tags else []
        return _models(arguments[0], location)
    if origin in (Union, UnionType):
        return [model for option in arguments for model in _models(option, location)]
    if origin in (list, dict):
        return _models(arguments[-1], location[1:]) if location else []
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return []
    if not location:
        return [annotation]
    for name, field in annotation.model_fields.items():
        if (field.alias or name) == location[0]:
            wrapped = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
            return _models(wrapped, location[1:])
    return []


def _suspect(place: Path, error: Any) -> Path:
    """The place that an unknown key probably stands for: the key meant, else any key beside it."""
    hint = near(str(place[-1]), _known_keys(error["loc"][:-1]))
    meant = hint.removeprefix("Did you mean ").removesuffix("?") if hint else None
    return (*place[:-1], meant) if meant else place[:-1]


def _without(value: Any, removed: set[Path], path: Path) -> Any:
    if isinstance(value, dict):
        kept = {
            key: _without(item, removed, (*path, key)) for key, item in value.items() if (*path, key) not in removed
        }
        if not path:
            kept.update({key: stand_in for key, stand_in in _PLACEHOLDERS.items() if (key,) in removed})
        return kept
    if isinstance(value, list):
        return [
            _without(item, removed, (*path, index)) for index, item in enumerate(value) if (*path, index) not in removed
        ]
    return value


def _original(path: Path, removed: frozenset[Path]) -> Path:
    place: Path = ()
    for part in path:
        if isinstance(part, int):
            gone = sorted(
                one[-1] for one in removed if len(one) == len(place) + 1 and one[:-1] == place and type(one[-1]) is int
            )
            for index in gone:
                part += index <= part
        place = (*place, part)
    return place


def _inside(place: Path, known: Path) -> bool:
    return place[: len(known)] == known


def _overlap(pattern: tuple[str, ...], place: Path) -> bool:
    return all(want == "*" or want == str(part) for want, part in zip(pattern, place, strict=False))
