"""What a library with threads and files has to do when its process forks or ends.

Hooks are installed once and find the living objects by weak reference: nobody has to call `close` for correctness. No
signal handler is installed: a server has its own.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from typing import Protocol

__all__ = ["Follower", "follow"]


class Follower(Protocol):
    """An object that is told when its process forks or ends."""

    def before_fork(self) -> None:
        """Take the locks, close what must not be open in two processes."""

    def after_fork_in_parent(self) -> None:
        """Release the locks."""

    def after_fork_in_child(self) -> None:
        """Forget the threads and what belongs to the parent."""

    def at_exit(self) -> None:
        """Deliver what can be delivered in a short time."""


_followers: weakref.WeakSet[Follower] = weakref.WeakSet()
_changing = threading.Lock()
_forking: list[Follower] = []


def follow(follower: Follower) -> None:
    """Tell an object about forks and the end of its process, for as long as it lives."""
    with _changing:
        _followers.add(follower)


def _before_fork() -> None:
    # Held until after the fork, so that the same objects are told before and after.
    _changing.acquire()
    _forking[:] = list(_followers)
    for follower in _forking:
        follower.before_fork()


def _after_fork_in_parent() -> None:
    for follower in _forking:
        follower.after_fork_in_parent()
    _forking.clear()
    _changing.release()


def _after_fork_in_child() -> None:
    for follower in _forking:
        follower.after_fork_in_child()
    _forking.clear()
    _changing.release()


def _at_exit() -> None:
    for follower in list(_followers):
        follower.at_exit()


def _at_end_of_threads() -> None:
    # A child of multiprocessing ends with os._exit, which skips atexit, but waits for its threads before.
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        _at_exit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
# Runs after all threads but the daemons have ended, so what they record last is delivered too.
atexit.register(_at_exit)
# Not public, but the only hook that a child of multiprocessing runs; without it, flush before such a child ends.
if hasattr(threading, "_register_atexit"):
    threading._register_atexit(_at_end_of_threads)  # pyright: ignore[reportAttributeAccessIssue]
