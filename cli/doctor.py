"""`offerlift doctor`: whether this machine, the store and the snapshot are as they should be."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .database import store_options
from .definitions import snapshot_option
from .output import Output, prints, table

if TYPE_CHECKING:
    from ..storage.doctor import Diagnosis

__all__ = ["doctor"]


@click.command(epilog="Example: offerlift doctor --snapshot offers.json")
@snapshot_option
@store_options
@prints
def doctor(snapshot: Path, schema: str | None, db: str) -> Output:
    """Check this machine, the store and the snapshot.

    Versions, extras, whether the store answers and has the right layout, whether backends read what is published,
    clocks, time zone and disk space. Nothing is changed. Exit code 1 where there is a finding; an extra that is not
    installed is none.
    """
    from ..storage.doctor import examine

    found = examine(db, snapshot, schema=schema)
    rows = [asdict(one) for one in found]
    findings = [one for one in found if one.status in ("fail", "warn")]
    return Output(lambda: _text(found), {"healthy": not findings, "checks": rows}, rows, findings=bool(findings))


def _text(found: tuple[Diagnosis, ...]) -> str:
    said = [(one, f"{one.detail} {one.hint}" if one.status in ("fail", "warn") else one.detail) for one in found]
    return table([(one.status.replace("_", " "), one.check, words.rstrip()) for one, words in said])
