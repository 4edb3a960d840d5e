"""Choosing the arm in a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from threading import Lock
from types import MethodType, TracebackType
from typing import Any

from ...errors import InputError, known_or_nearest
from ..assigner import Assigner
from ..assignment import NO_SEGMENTS, Assignment, Reason
from ..definition import Offer
from ..hashing import canonical_visitor
from .decorating import Decorating

__all__ = ["FORCED_HERE", "force_arm"]

FORCED_HERE = "forced by force_arm"
"""Detail of a forced assignment, which tells a test's from a preview of the staff."""

_FROM_DEFINITION: Any = object()

_lock = Lock()
_active: list[force_arm] = []


class force_arm(Decorating):  # noqa: N801 - used like a function, as contextlib names its own
    """Every visitor gets this arm, from every `Assigner` of the process, in all threads. Context manager or decorator.

    The arm comes whatever state, eligibility, holdout, traffic and guards say, so that a test depends on neither the
    visitor nor the state that was published last. The reason is FORCED: no recorder ever writes it, and
    `capture_exposures` shows it. Of several for one experiment, the innermost counts.

    Args:
        experiment: its key.
        arm: name of one of its arms.
        offer: instead of the arm's own; None for none, as if a guard had withheld it. With an offer given, the
            experiment need not be in the snapshot.

    Raises:
        InputError: from `assign`, where the snapshot does not have the experiment or the arm.
    """

    def __init__(self, experiment: str, arm: str, *, offer: Offer | None = _FROM_DEFINITION):
        self.experiment = experiment
        self.arm = arm
        self._offer = offer

    def __enter__(self) -> force_arm:
        """Force from now on."""
        with _lock:
            if not _active:
                # The class itself is patched on purpose: code under test has made its assigner already.
                Assigner.assign = _Forcing(Assigner.assign)  # type: ignore[method-assign]
            _active.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Force no longer."""
        with _lock:
            # From the end, so that what was entered twice is left in order.
            del _active[len(_active) - 1 - _active[::-1].index(self)]
            if not _active:
                # On the class, the descriptor gives the method that it replaced.
                Assigner.assign = Assigner.assign

    def answer(self, assigner: Assigner, visitor: str | int, attributes: Mapping[str, Any] | None) -> Assignment:
        """What `assign` answers while this is the innermost for its experiment."""
        known = canonical_visitor(visitor)
        try:
            compiled = assigner.compiled(self.experiment)
        except InputError as error:
            if self._offer is not _FROM_DEFINITION:
                key, arm, offer, reason = self.experiment, self.arm, self._offer, Reason.FORCED
                return Assignment(known, key, 1, arm, offer, None, reason, None, None, NO_SEGMENTS, "", FORCED_HERE)
            raise InputError(
                f"cannot force an arm: {error.message}",
                hint="Publish it into the snapshot of the tests, or give force_arm(..., offer=...).",
            ) from None
        arm = next((arm for arm in compiled.arms if arm.name == self.arm), None)
        if arm is None:
            raise InputError(
                f"experiment {self.experiment!r} has no arm {self.arm!r} to force",
                hint=known_or_nearest(self.arm, [arm.name for arm in compiled.arms], whose="It has"),
            )
        assignment = compiled.answer(known, attributes, arm, Reason.FORCED, None, FORCED_HERE)
        return assignment if self._offer is _FROM_DEFINITION else assignment._replace(offer=self._offer)


class _Forcing:
    """In the place of `Assigner.assign`; a data descriptor, so it comes before methods that an instance has of its own,
    as those of an assigner that follows its snapshot."""

    def __init__(self, original: Callable[..., Assignment]):
        self.original = original

    def __get__(self, assigner: Assigner | None, owner: type) -> Callable[..., Assignment]:
        if assigner is None:
            return self.original
        usual = vars(assigner).get("assign") or MethodType(self.original, assigner)
        return partial(_assign, assigner, usual)

    def __set__(self, assigner: Assigner, method: Callable[..., Assignment]) -> None:
        vars(assigner)["assign"] = method


def _assign(
    assigner: Assigner,
    usual: Callable[..., Assignment],
    experiment: str,
    visitor: str | int,
    attributes: Mapping[str, Any] | None = None,
    **options: Any,
) -> Assignment:
    forced = next((each for each in tuple(_active)[::-1] if each.experiment == experiment), None)
    if forced is None:
        return usual(experiment, visitor, attributes, **options)
    return forced.answer(assigner, visitor, attributes)
