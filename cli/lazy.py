"""Groups of commands that load a command's module only when it is called, and say what was meant by a mistyped one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NoReturn

import click

from ..errors import nearest

__all__ = ["Group", "LazyGroup", "Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command is, and the line that the help of its group has of it.

    Attributes:
        module: of this package, such as `lifecycle`.
        name: of the command there.
        help: the first sentence of its own help, word by word; a test compares them.
    """

    module: str
    name: str
    help: str


class Group(click.Group):
    """A group that names the nearest command to one that it does not have."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is called, as click finds it; an unknown one is a usage error."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            _refuse(ctx, args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)


class LazyGroup(Group):
    """A group that knows its commands by name, and loads one when it is called."""

    def __init__(self, *args: Any, sections: Mapping[str, Mapping[str, Place]], **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.sections = sections
        self._places = {name: place for places in sections.values() for name, place in places.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, in the order of the help."""
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command, loaded now; None where there is none of that name."""
        place = self._places.get(cmd_name)
        return None if place is None else getattr(import_module(f".{place.module}", __package__), place.name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a line a command, without loading any."""
        width = max(map(len, self._places))
        for heading, places in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl([(f"{name:<{width}}", place.help) for name, place in places.items()])


def _refuse(ctx: click.Context, name: str, known: list[str]) -> NoReturn:
    near = nearest(name, known)
    meant = f" Did you mean {near!r}?" if near else f" `{ctx.command_path} --help` lists all."
    raise click.UsageError(f"No such command {name!r}.{meant}", ctx)
