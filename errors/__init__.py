"""Every error that offerlift raises on purpose, in one tree.

The command line maps each class to its exit code: 2 for a usage or definition error, 3 for the store or the disk (safe
to retry). A message says what happened and the value seen; `hint` says what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .nearest import known_or_nearest, nearest

__all__ = [
    "ConflictError",
    "DefinitionError",
    "Finding",
    "InputError",
    "OfferliftError",
    "PublishError",
    "RecorderError",
    "SnapshotError",
    "StoreError",
    "known_or_nearest",
    "nearest",
]


class OfferliftError(Exception):
    """Root of all errors of the package.

    `hint` is one sentence that says what to do next, or None; `exit_code` is what the command line exits with.
    """

    exit_code = 2

    def __init__(self, message: str, *, hint: str | None = None):
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class InputError(OfferliftError, ValueError):
    """A value that cannot be used: the message shows it and says what is allowed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong in a definition file.

    `line` and `column` count from 1 (None where the file could not be read that far); `path` is the place inside the
    document, such as `arms[1].offer.discount.value`; `seen` is the value found there, as written.
    """

    file: str
    line: int | None
    column: int | None
    path: str
    seen: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}:{self.column or 1}"
        seen = f" (seen: {self.seen})" if self.seen else ""
        hint = f" {self.hint}" if self.hint else ""
        return f"{where}: {self.path or 'document'}: {self.message}{seen}{hint}"


class DefinitionError(OfferliftError):
    """A definition that is not valid; `findings` lists everything that is wrong with it."""

    def __init__(self, message: str, *, findings: Sequence[Finding] = (), hint: str | None = None):
        super().__init__(message, hint=hint)
        self.findings = tuple(findings)

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  {finding}" for finding in self.findings), *filter(None, [self.hint])])


class PublishError(DefinitionError):
    """A valid definition that must not be published as it is: not executed yet, or a change to what is frozen."""


class SnapshotError(OfferliftError):
    """A snapshot that cannot be read: missing, not JSON, of another format."""

    exit_code = 3


class StoreError(OfferliftError):
    """The store cannot be opened, read or written; safe to retry."""

    exit_code = 3


class RecorderError(OfferliftError, RuntimeError):
    """A recorder that cannot do what it is asked: a spool that cannot be used, or waiting inside an event loop."""

    exit_code = 3


class ConflictError(OfferliftError, ValueError):
    """A record whose id is already stored with other content; the stored one stays."""

    exit_code = 1
