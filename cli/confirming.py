"""Asking before something changes: one rule for all commands.

- `--dry-run` says what would change, and changes nothing.
- `--yes` does not ask.
- At a terminal every command that changes what is there already asks first. The kill switch `pause` never does, and
  neither does what only adds: an import, a weekly review.
- Where nobody is there to be asked (a pipe, cron, CI), what can be taken back is done: `publish`, `start`, `phase`,
  `resume`, `decide`. What cannot is refused with exit code 2: `stop`, `review --reveal`, `db upgrade`, `db prune`,
  `db forget`, and replacing files.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

import click

from ..errors import InputError

__all__ = ["changes", "confirm"]

dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


def changes(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--dry-run` and `--yes`, passed as `dry_run` and `yes`."""
    return dry_run_option(yes_option(command))


def confirm(question: str, details: Iterable[str] = (), *, yes: bool = False, refusal: str | None = None) -> None:
    """Ask at a terminal, on standard error; returns where the answer is yes.

    Args:
        question: ends with a question mark.
        details: lines that stand before it.
        yes: whether to go on without asking.
        refusal: of what cannot be taken back, why it is not done where nobody is there to be asked; None: it is done.

    Raises:
        InputError: it cannot be taken back, and nobody is there.
        Abort: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        if refusal is None:
            return
        raise InputError(refusal, hint="Look with --dry-run, then say --yes.")
    for line in details:
        click.echo(line, err=True)
    click.confirm(question, abort=True, err=True)
