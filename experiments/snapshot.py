"""The snapshot: the published versions that backends read, as one JSON file, with the standard library alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..errors import InputError, SnapshotError
from .codec import decode, encode
from .definition import Definition, State

__all__ = ["FORMAT", "Published", "Snapshot"]

FORMAT = 1
"""Number of the JSON layout; a reader refuses every other."""

_REWRITE = "Write it again with `offerlift publish FILE --snapshot PATH`."


@dataclass(frozen=True, slots=True)
class Published:
    """One immutable version of an experiment.

    Attributes:
        definition: what was published.
        state: draft, running, paused or stopped.
        phase: 0 until it starts, then counted from 1.
        version: counted from 1 for each experiment.
        published_at: when this version was made; aware.
        started_at: when the experiment started; None while it is a draft.
        assignment_hash: of all that decides who sees what; travels with every exposure.
        plan_hash: of metrics and plan; frozen at start.
        serve: of a stopped experiment, the arm whose offer everyone eligible gets from now on, if any.
    """

    definition: Definition
    state: State
    phase: int
    version: int
    published_at: datetime
    started_at: datetime | None
    assignment_hash: str
    plan_hash: str
    serve: str | None = None

    @property
    def is_shipped(self) -> bool:
        """Whether it is stopped and serves one arm to everyone eligible."""
        return self.state == "stopped" and self.serve is not None

    def to_json(self) -> str:
        """This version as a JSON object, `format` first."""
        return json.dumps({"format": FORMAT, **encode(self)}, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Published:
        """The version written by `to_json`.

        Raises:
            SnapshotError: not JSON, of another format, or damaged.
        """
        values = _parse(text, "published version")
        return _decode_published({key: item for key, item in values.items() if key != "format"}, "published version")


class Snapshot(Mapping[str, Published]):
    """Experiment key -> published version, never changed in place; `replace` gives a new one."""

    def __init__(self, experiments: Mapping[str, Published]):
        self._experiments = dict(experiments)

    @classmethod
    def of(cls, published: Iterable[Published]) -> Snapshot:
        """A snapshot of these versions; of one key, the last given."""
        return cls({one.definition.experiment: one for one in published})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Snapshot:
        """The snapshot in a file.

        Raises:
            SnapshotError: missing, unreadable, not JSON (truncated), of another format, or damaged.
        """
        where = os.fspath(path)
        if "://" in str(where):
            raise SnapshotError(
                f"{str(where).split('://')[0]}://... is a store, and a snapshot is a file",
                hint="`LiveAssigner(URL)` reads a store and follows it.",
            )
        try:
            # Without pathlib, which a worker would import for nothing else.
            with open(path, "rb") as file:  # noqa: PTH123
                text = file.read().decode()
        except FileNotFoundError as error:
            raise SnapshotError(f"no snapshot at {where}", hint=_REWRITE) from error
        except OSError as error:
            raise SnapshotError(f"cannot read the snapshot {where}: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise SnapshotError(f"the snapshot {where} is not UTF-8 (byte {error.start})", hint=_REWRITE) from error
        return cls.from_json(text, where)

    @classmethod
    def from_json(cls, text: str, where: str = "snapshot") -> Snapshot:
        """The snapshot written by `to_json`; `where` names it in errors.

        Raises:
            SnapshotError: not JSON (truncated), of another format, or damaged.
        """
        experiments = _parse(text, where).get("experiments")
        if not isinstance(experiments, dict):
            raise SnapshotError(f"{where}: damaged, it has no object `experiments`", hint=_REWRITE)
        read = {key: _decode_published(values, f"{where}: experiments.{key}") for key, values in experiments.items()}
        for key, one in read.items():
            if one.definition.experiment != key:
                raise SnapshotError(
                    f"{where}: damaged, {key!r} holds the definition of {one.definition.experiment!r}", hint=_REWRITE
                )
        return cls(read)

    def to_json(self) -> str:
        """The snapshot as JSON: `format` first, experiments sorted by key, one line each."""
        entries = (
            f"    {json.dumps(key, ensure_ascii=False)}: "
            + json.dumps(encode(self._experiments[key]), ensure_ascii=False, allow_nan=False)
            for key in sorted(self._experiments)
        )
        body = ",\n".join(entries)
        return (
            f'{{\n  "format": {FORMAT},\n  "experiments": {{{chr(10) + body + chr(10) + "  " if body else ""}}}\n}}\n'
        )

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the snapshot so that a reader sees the old file or the new one, never half of one.

        Raises:
            SnapshotError: the folder or file cannot be written; the old file is untouched.
        """
        from contextlib import suppress
        from pathlib import Path

        target = Path(path)
        beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            with beside.open("w", encoding="utf-8", newline="\n") as file:
                file.write(self.to_json())
                file.flush()
                os.fsync(file.fileno())
            beside.replace(target)
        except OSError as error:
            with suppress(OSError):
                beside.unlink()
            raise SnapshotError(
                f"cannot write the snapshot {os.fspath(path)}: {error.strerror or error}",
                hint="Check that the folder exists and can be written.",
            ) from error

    def replace(self, published: Published) -> Snapshot:
        """A snapshot with this version instead of the experiment's former one, if any."""
        return Snapshot({**self._experiments, published.definition.experiment: published})

    def __getitem__(self, experiment: str) -> Published:
        return self._experiments[experiment]

    def __iter__(self) -> Iterator[str]:
        return iter(self._experiments)

    def __len__(self) -> int:
        return len(self._experiments)

    def __repr__(self) -> str:
        return f"Snapshot({', '.join(f'{key} v{one.version} {one.state}' for key, one in self._experiments.items())})"


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SnapshotError(f"{where}: not valid JSON, perhaps truncated ({error})", hint=_REWRITE) from error
    if not isinstance(values, dict):
        raise SnapshotError(f"{where}: must be a JSON object, seen a {type(values).__name__}", hint=_REWRITE)
    if values.get("format") != FORMAT:
        raise SnapshotError(
            f"{where}: this version reads format {FORMAT}, seen {values.get('format')!r}",
            hint="Use the same version of offerlift for publishing and reading, or write the snapshot again.",
        )
    return values


def _decode_published(values: object, where: str) -> Published:
    try:
        return decode(Published, values, where)
    except InputError as error:
        raise SnapshotError(f"damaged: {error.message}", hint=_REWRITE) from error
