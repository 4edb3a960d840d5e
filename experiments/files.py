"""Definitions in YAML files: read, validated, frozen; every finding at once, never a traceback."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import DefinitionError, Finding, InputError, known_or_nearest
from .building import build
from .checks import check_document
from .definition import Definition
from .documents import Document
from .problems import validate_document
from .reading import read
from .warehouse import WarehouseTables

__all__ = ["definition_files", "find_definition", "load_definition", "parse_definition", "validate"]

_LARGEST = 1_000_000


def load_definition(path: str | os.PathLike[str]) -> Definition:
    """The definition in a YAML file, one experiment a file.

    Raises:
        DefinitionError: with every finding, sorted by line.
    """
    file = os.fspath(path)
    text, findings = _text(Path(path), file)
    return build(_parse(text, file, findings))


def parse_definition(text: str, file: str = "<text>") -> Definition:
    """The definition in a YAML text; `file` names it in findings.

    Raises:
        DefinitionError: with every finding, sorted by line.
    """
    return build(_parse(text, file, []))


def definition_files(path: str | os.PathLike[str]) -> list[Path]:
    """The file itself, or each `*.yaml` and `*.yml` of a folder, sorted.

    Raises:
        OSError: the folder cannot be read.
    """
    folder = Path(path)
    if not folder.is_dir():
        return [folder]
    return sorted(one for one in folder.iterdir() if one.suffix in (".yaml", ".yml") and one.is_file())


def find_definition(path: str | os.PathLike[str], experiment: str) -> tuple[Definition, WarehouseTables | None]:
    """The definition of that key in a file or a folder, and its tables where it has a section `warehouse`.

    Raises:
        DefinitionError: the file of that key, or each file that could be it, is not valid.
        InputError: there is none of that key.
        OSError: the folder cannot be read.
    """
    known: list[str] = []
    broken: list[Finding] = []
    for file in definition_files(path):
        text, findings = _text(file, os.fspath(file))
        try:
            document = _parse(text, os.fspath(file), findings)
        except DefinitionError as error:
            broken += error.findings
            continue
        if document.experiment == experiment:
            return build(document), document.warehouse and document.warehouse.tables(experiment)
        known.append(document.experiment)
    message = f"no definition of {experiment!r} in {os.fspath(path)}"
    if broken:
        raise DefinitionError(f"{message} that is valid", findings=broken)
    raise InputError(message, hint=known_or_nearest(experiment, sorted(known), none="Give another path."))


def validate(path: str | os.PathLike[str]) -> list[Finding]:
    """Everything that is wrong with a definition file, or with each definition of a folder. Never raises."""
    if not Path(path).is_dir():
        return _examine(Path(path))[1]
    try:
        files = definition_files(path)
    except OSError as error:
        return [Finding(os.fspath(path), None, None, "", "", f"cannot be read: {error.strerror or error}")]
    if not files:
        hint = "`offerlift init` writes an example."
        return [Finding(os.fspath(path), None, None, "", "", "no definitions here: no *.yaml or *.yml file", hint)]
    findings: list[Finding] = []
    first_use: dict[str, str] = {}
    for file in files:
        definition, found = _examine(file)
        findings.extend(found)
        if definition is not None:
            first = first_use.setdefault(definition.experiment, file.name)
            if first != file.name:
                message = f"this key is already used in {first}"
                findings.append(Finding(str(file), None, None, "experiment", definition.experiment, message))
    return findings


def _examine(file: Path) -> tuple[Definition | None, list[Finding]]:
    try:
        return load_definition(file), []
    except DefinitionError as error:
        return None, list(error.findings)


def _parse(text: str | None, file: str, findings: list[Finding]) -> Document:
    if text is not None:
        source, findings = read(text, file)
        if source.data is not None:
            validated = validate_document(source)
            findings = [*findings, *validated.findings, *check_document(source, validated)]
            if not findings and validated.document is not None:
                return validated.document
    findings.sort(key=lambda finding: (finding.line or 0, finding.column or 0))
    count = f"{len(findings)} {'finding' if len(findings) == 1 else 'findings'}"
    raise DefinitionError(f"{file} is not a valid definition: {count}", findings=findings)


def _text(path: Path, file: str) -> tuple[str | None, list[Finding]]:
    def refused(message: str, hint: str | None = None, line: int | None = None) -> tuple[None, list[Finding]]:
        return None, [Finding(file, line, None, "", "", message, hint)]

    try:
        if path.is_dir():
            return refused("is a folder, not a file", "`offerlift validate` reads folders.")
        content = path.read_bytes()
    except FileNotFoundError:
        return refused("there is no such file")
    except (OSError, ValueError) as error:
        return refused(f"cannot be read: {getattr(error, 'strerror', None) or error}")
    if len(content) > _LARGEST:
        return refused(f"is larger than {_LARGEST} bytes, so it is no definition")
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"byte 0x{content[error.start]:02x}"
        return refused(f"is not UTF-8 ({byte} at position {error.start})", "Save the file as UTF-8.", line)
