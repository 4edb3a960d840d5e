"""Whether this machine, the store and the snapshot are as they should be: what `offerlift doctor` prints."""

from __future__ import annotations

import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import URL

from ..errors import OfferliftError
from ..experiments.snapshot import Snapshot
from .engine import database_url, read
from .engines import database_of
from .store import Store
from .upgrading import check_version

__all__ = ["LEAST_FREE", "MOST_SKEW", "Diagnosis", "examine"]

Status = Literal["ok", "warn", "fail", "not_run"]

MOST_SKEW = 5.0
"""Seconds by which the clocks of this machine and of the store's server may differ."""

LEAST_FREE = 1 << 30
"""Bytes that should be free where a file of ours grows; a store's next upgrade or vacuum needs its own size besides."""

NOT_FOR_USERS = ("benchmarks", "docs", "test")
"""Extras that this package itself is developed with."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was looked at.

    Attributes:
        check: what it is about.
        status: `warn` and `fail` are findings; `not_run` is what could not be looked at, or does not apply.
        detail: what was seen, in a sentence.
        hint: what to do about it; "" where nothing is to be done.
    """

    check: str
    status: Status
    detail: str
    hint: str = ""


def examine(url: str | Path, snapshot: Path, *, schema: str | None = None) -> tuple[Diagnosis, ...]:
    """Look at the installation, the store, the snapshot, the clocks and the disks; nothing is changed.

    Args:
        url: of the store.
        snapshot: that backends read.
        schema: of PostgreSQL, that holds the store.
    """
    found = [*_installation(), _timezone()]
    try:
        address = database_url(url)
        layout = check_version(url, schema=schema)
    except OfferliftError as error:
        reason = "the store cannot be read"
        store = [Diagnosis("store", "fail", error.message, error.hint or "")]
        store += [Diagnosis(name, "not_run", reason) for name in ("schema", "snapshot", "clock")]
        return (*found, *store, *_disks(None, snapshot))
    shown = address.render_as_string(hide_password=True)
    if layout.pending:
        detail = f"{shown} has schema version {layout.stored}; this offerlift needs {layout.needed}"
        found.append(Diagnosis("store", "ok", f"{shown} answers."))
        found.append(Diagnosis("schema", "fail", f"{detail}.", "`offerlift db upgrade` brings it there."))
        found += [Diagnosis(name, "not_run", "the schema comes first") for name in ("snapshot", "clock")]
        return (*found, *_disks(address, snapshot))
    try:
        with Store.open(url, schema=schema, create=False) as store:
            keys = store.experiments()
            count = f"{len(keys)} experiment{'' if len(keys) == 1 else 's'}"
            found += [
                Diagnosis("store", "ok", f"{shown} answers: {count}, {store.currency}."),
                Diagnosis("schema", "ok", f"Version {layout.stored}, the one that is needed."),
                _snapshot(store, snapshot),
                _clock(store),
            ]
    except OfferliftError as error:
        found.append(Diagnosis("store", "fail", error.message, error.hint or ""))
    return (*found, *_disks(address, snapshot))


def _installation() -> Iterator[Diagnosis]:
    try:
        own, known = version("offerlift"), metadata("offerlift")
    except PackageNotFoundError:
        yield Diagnosis("offerlift", "fail", "It is not installed, only found by its path.", "pip install offerlift")
        return
    python = f"Python {platform.python_version()} on {platform.system()}"
    yield Diagnosis("offerlift", "ok", f"Version {own}, {python}.")
    wanted = [_requirement(one) for one in known.get_all("Requires-Dist") or []]
    needed = [name for name, extra in wanted if extra is None]
    missing = [name for name in needed if _installed(name) is None]
    if missing:
        hint = "Install offerlift again, with its dependencies."
        yield Diagnosis("packages", "fail", f"Missing: {', '.join(missing)}.", hint)
    else:
        yield Diagnosis("packages", "ok", f"{', '.join(f'{name} {_installed(name)}' for name in needed)}.")
    for extra in sorted(set(known.get_all("Provides-Extra") or []) - set(NOT_FOR_USERS)):
        names = [name for name, of in wanted if of == extra]
        absent = [name for name in names if _installed(name) is None]
        if absent:
            detail = f"Not installed: {', '.join(absent)} {'is' if len(absent) == 1 else 'are'} missing."
            yield Diagnosis(
                f"extra {extra}", "not_run", detail, f"Where it is wanted: pip install 'offerlift[{extra}]'."
            )
        else:
            yield Diagnosis(f"extra {extra}", "ok", f"{', '.join(f'{name} {_installed(name)}' for name in names)}.")


def _requirement(text: str) -> tuple[str, str | None]:
    """Name and extra of a line such as `duckdb>=1.4; extra == "duckdb"`."""
    name = re.match(r"[\w.-]+", text)
    extra = re.search(r"""extra\s*==\s*['"]([\w-]+)['"]""", text)
    return name[0] if name else text, extra[1] if extra else None


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _timezone() -> Diagnosis:
    named = os.environ.get("TZ", "").removeprefix(":")
    offset = datetime.now().astimezone().strftime("%z")
    if named and not named.startswith("/"):
        try:
            ZoneInfo(named)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            # POSIX allows rules too, such as CET-1CEST; a name without a digit is neither.
            if not any(character.isdigit() for character in named):
                detail = f"TZ is {named!r}, which this system does not know, so that its clock reads UTC."
                return Diagnosis("timezone", "warn", detail, "Set TZ to a name such as Europe/Berlin, or unset it.")
    zone = time.tzname[bool(time.localtime().tm_isdst)]
    return Diagnosis("timezone", "ok", f"{zone} (UTC{offset}); offerlift stores and prints UTC whatever it is.")


def _snapshot(store: Store, path: Path) -> Diagnosis:
    """Whether backends read what is published."""
    versions = [store.published(key) for key in store.experiments()]
    stored = {one.definition.experiment: one for one in versions if one.definition.source == "assigner"}
    hint = f"`offerlift publish FILE --snapshot {path}` writes it."
    if not path.exists():
        if not stored:
            return Diagnosis("snapshot", "not_run", f"There is none at {path}, and nothing for backends to read.")
        return Diagnosis("snapshot", "fail", f"There is none at {path}.", f"Name it with --snapshot, or: {hint}")
    try:
        written = Snapshot.load(path)
    except OfferliftError as error:
        return Diagnosis("snapshot", "fail", error.message, error.hint or "")
    behind = sorted(key for key, one in stored.items() if written.get(key) != one)
    unknown = sorted(set(written) - set(stored))
    if behind or unknown:
        parts = [f"behind the store in {', '.join(behind)}"] if behind else []
        parts += [f"with {', '.join(unknown)}, which the store does not have"] if unknown else []
        return Diagnosis("snapshot", "fail", f"{path} is {' and '.join(parts)}.", hint)
    return Diagnosis("snapshot", "ok", f"{path} has what is published: {len(stored)} of {len(stored)}.")


def _clock(store: Store) -> Diagnosis:
    """How far this machine's clock and the server's are apart."""
    skews = []
    for _ in range(3):
        before = time.time()
        seconds = read(store.engine, lambda connection: database_of(connection).clock(connection))
        if seconds is None:
            return Diagnosis("clock", "ok", "The store is on this machine, with its clock.")
        skews.append(seconds - (before + time.time()) / 2)
    skew = min(skews, key=abs)
    detail = f"The server's clock is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} this machine's."
    if abs(skew) > MOST_SKEW:
        hint = "Let both follow a time server: times of exposures and orders come from several machines."
        return Diagnosis("clock", "fail", detail, hint)
    return Diagnosis("clock", "ok", detail)


def _disks(address: URL | None, snapshot: Path) -> Iterator[Diagnosis]:
    """Whether there is room, and permission, where our files are."""
    places = {"snapshot": snapshot}
    if address is not None and address.get_backend_name() in ("sqlite", "duckdb") and address.database:
        places = {"store": Path(address.database), **places}
    for name, path in places.items():
        folder = path.resolve().parent
        if not folder.is_dir():
            yield Diagnosis(f"disk of the {name}", "fail", f"There is no folder {folder}.", "Make it, or name another.")
            continue
        free = shutil.disk_usage(folder).free
        size = path.stat().st_size if path.exists() else 0
        detail = f"{free / 1e9:,.1f} GB are free in {folder}."
        if not os.access(path if path.exists() else folder, os.W_OK):
            yield Diagnosis(f"disk of the {name}", "fail", f"{path} cannot be written.", "Check the permissions.")
        elif free < max(LEAST_FREE, size):
            hint = f"Keep {max(LEAST_FREE, size) / 1e9:,.1f} GB free."
            yield Diagnosis(f"disk of the {name}", "warn", detail, hint)
        else:
            yield Diagnosis(f"disk of the {name}", "ok", detail)
