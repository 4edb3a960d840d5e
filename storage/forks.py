"""What is open when the process forks: on a connection that two use, what one was told is stored may be lost."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine

from ..experiments.processes import follow
from .engines import database_of

__all__ = ["AcrossForks"]


class AcrossForks:
    """Of what keeps connections: parent and child have their own after a fork, without being told of it.

    Another thread must not be in a transaction meanwhile: what it has open cannot be closed for it. A `Recorder` sees
    to that for its own thread.
    """

    def __init__(self, engine: Engine):
        self._engine = engine
        # Kept and never closed: closing would end the parent's connections too.
        self._inherited: list[Any] = []
        follow(self)

    def before_fork(self) -> None:
        """Close what must not be open in two processes; the next use opens it again."""
        database_of(self._engine).before_fork(self._engine)

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """Forget the connections without closing them: they are the parent's."""
        self._inherited.append(self._engine.pool)
        database_of(self._engine).after_fork(self._engine)

    def at_exit(self) -> None:
        """Nothing: what was acknowledged is stored."""
