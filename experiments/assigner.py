"""Assignment: visitor and snapshot in, arm out. Deterministic, in process, without network or state.

This runs in every request of a shop, so the path of an ordinary visitor is short: one lookup, the rules, one hash (two
where only a part of the layer is let in), one tuple. Everything that can be known before is prepared in `Compiled`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from ..errors import InputError, nearest
from .assignment import NO_SEGMENTS, Assignment, Reason
from .compiled import Compiled, Forced
from .definition import Offer
from .hashing import LONGEST_VISITOR, encode_visitor
from .snapshot import Published

if TYPE_CHECKING:
    from .bulk import Assignments
    from .explaining import Explanation
    from .guards import Counts, GuardState

__all__ = ["Assigner", "Assignment", "Compiled", "Reason"]

_RESPONSES = {"accept": "on_accept", "accepted": "on_accept", "decline": "on_decline", "declined": "on_decline"}
_HIDES = "the offer is withheld"


class Assigner:
    """Assigns visitors by the published versions of a snapshot. Safe to share between threads.

    Args:
        snapshot: experiment key -> published version.
        strict: raise for an unknown or unusable experiment instead of answering with the control; for tests.
        forced: experiment -> visitor id -> arm, for previews by staff. Forced visitors get the arm with
            reason FORCED while the experiment runs, and are not analysed.
        guard_state: where guards look up their counters, unless the caller gives `counts` with each call.

    Raises:
        InputError: a definition that was damaged by hand, such as weights that do not sum; `forced` has an impossible
            visitor id, or an arm that its experiment does not have. With `strict`, also a holdout, or a forced
            experiment, that is not in the snapshot.
    """

    def __init__(
        self,
        snapshot: Mapping[str, Published],
        strict: bool = False,
        *,
        forced: Mapping[str, Forced] | None = None,
        guard_state: GuardState | None = None,
    ):
        self._strict = strict
        self._forced = forced or {}
        self._guard_state = guard_state
        self._logged: set[str] = set()
        self._experiments = self._compile(snapshot)

    def use(self, snapshot: Mapping[str, Published]) -> None:
        """Go on with another snapshot: calls that have begun finish with the old one.

        Raises:
            InputError: as the constructor; the old snapshot stays in use.
        """
        self._experiments = self._compile(snapshot)

    def assign(
        self,
        experiment: str,
        visitor: str | int,
        attributes: Mapping[str, Any] | None = None,
        *,
        at: datetime | None = None,
        counts: Counts | None = None,
        prices: Mapping[str, Any] | None = None,
    ) -> Assignment:
        """The visitor's arm. Records nothing.

        Args:
            experiment: its key.
            visitor: text of 1 to 255 UTF-8 bytes, or an integer.
            attributes: what eligibility rules and the guard `requires` look at; what is missing does not meet them.
            at: the moment, aware; the present by default. Only start, end, frequency caps and timers look at it.
            counts: counters of the offer's guards, where the caller keeps them.
            prices: keywords of `offer.quote`, so that the price rules are applied here and not with the quote.

        Raises:
            InputError: an impossible visitor id, a naive `at`, or `prices` that are no amounts. With `strict`, also an
                unknown experiment, and a guard whose counter is not known.
        """
        # As `encode_visitor` begins, written out: the call costs a tenth of all.
        if type(visitor) is str and visitor.isascii() and 0 < len(visitor) <= LONGEST_VISITOR and "\0" not in visitor:
            text, encoded = visitor, visitor.encode()
        else:
            text, encoded = encode_visitor(visitor)
        if at is not None:
            _require_aware(at)
        compiled = self._experiments.get(experiment)
        if compiled is None or compiled.unusable:
            return self._error(text, experiment, compiled)
        assignment = compiled.assign(text, encoded, attributes, at)
        if (prices is not None or compiled.has_guards) and assignment.offer is not None:
            return self._guarded(assignment, at, counts, prices, attributes)
        return assignment

    def explain(
        self,
        experiment: str,
        visitor: str | int,
        attributes: Mapping[str, Any] | None = None,
        *,
        at: datetime | None = None,
        counts: Counts | None = None,
        prices: Mapping[str, Any] | None = None,
    ) -> Explanation:
        """What `assign` says, with each step that led there; arguments and errors as there.

        Raises:
            InputError: also an unknown experiment, of which there is nothing to explain.
        """
        from .explaining import explain

        compiled = self.compiled(experiment)
        # One moment for both, or a step could be on the other side of midnight.
        moment = at or datetime.now(UTC)
        assignment = self.assign(experiment, visitor, attributes, at=moment, counts=counts, prices=prices)
        return explain(compiled, assignment, attributes, moment)

    def assign_many(
        self,
        experiment: str,
        ids: Iterable[str | int],
        attributes: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        *,
        at: datetime | None = None,
        threads: int = 1,
    ) -> Assignments:
        """What `assign` says of each visitor, as arrays; for backfills and simulations. Needs numpy; leaves guards out.

        Args:
            experiment: its key.
            ids: visitor ids, as in `assign`; arrays too.
            attributes: one mapping for all, or one for each.
            at: the moment for all, aware; the present by default.
            threads: blocks of 8,192 ids hashed at once; two on two cores nearly halve the time.

        Raises:
            InputError: an unknown experiment, an impossible id, a naive `at`, or `attributes` of another length.
        """
        # Late: backends that assign one visitor at a time never load numpy.
        from .bulk import assign_compiled

        _require_aware(at)
        return assign_compiled(self.compiled(experiment), ids, attributes, at, threads)

    def next_offer(
        self,
        assignment: Assignment,
        response: Literal["accept", "accepted", "decline", "declined"],
        *,
        chosen: str | None = None,
        at: datetime | None = None,
        counts: Counts | None = None,
        prices: Mapping[str, Any] | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Assignment:
        """What follows in the visitor's arm: the same assignment with the next offer, or none at the funnel's end.

        Args:
            assignment: with the offer that was answered.
            response: what the visitor did.
            chosen: the name of the alternative that was answered, where several were shown at once.
            at, counts, prices, attributes: as in `assign`, for the next offer.

        Raises:
            InputError: an unknown response, or a `chosen` that was not shown.
        """
        if response not in _RESPONSES:
            raise InputError(f"a response is one of {', '.join(_RESPONSES)}, seen {response!r}")
        shown = {offer.name: offer for offer in (assignment.offer, *self._beside(assignment)) if offer is not None}
        if chosen is not None and chosen not in shown:
            raise InputError(f"{chosen!r} was not shown; shown: {', '.join(shown) or 'nothing'}")
        answered = assignment.offer if chosen is None else shown[chosen]
        name = None if answered is None else getattr(answered, _RESPONSES[response])
        follower = None if name is None else self._offer(assignment, name)
        following = assignment._replace(offer=follower, withheld=None, detail="", withheld_offer=None)
        return following if follower is None else self._guarded(following, at, counts, prices, attributes)

    def alternatives(
        self,
        assignment: Assignment,
        *,
        at: datetime | None = None,
        counts: Mapping[str, Counts] | None = None,
        prices: Mapping[str, Any] | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> tuple[Offer, ...]:
        """The offers that are shown at once with the assignment's own; what a guard withholds is not among them.

        Args:
            assignment: what `assign` or `next_offer` answered.
            at, prices, attributes: as in `assign`.
            counts: name of the offer -> its counters, where the caller keeps them.
        """
        known = counts or {}
        answers = (
            self._guarded(assignment._replace(offer=offer), at, known.get(offer.name), prices, attributes)
            for offer in self._beside(assignment)
        )
        return tuple(answer.offer for answer in answers if answer.offer is not None)

    def compiled(self, experiment: str) -> Compiled:
        """The prepared form of an experiment, for the bulk path and explanations.

        Raises:
            InputError: it is not in the snapshot, or an imported table.
        """
        compiled = self._experiments.get(experiment)
        if compiled is None or compiled.unusable:
            near = None if compiled is not None else nearest(experiment, self._experiments)
            raise InputError(
                self._problem(experiment, compiled), hint=None if near is None else f"Did you mean {near!r}?"
            )
        return compiled

    def _compile(self, snapshot: Mapping[str, Published]) -> dict[str, Compiled]:
        experiments = {key: Compiled(one, self._forced.get(key, {})) for key, one in snapshot.items()}
        for key, compiled in experiments.items():
            for name in compiled.published.definition.holdouts[:1]:
                compiled.holdout = experiments.get(name)
                if compiled.holdout is None:
                    self._fault(
                        f"{key}/{name}", f"the holdout {name!r} of {key!r} is not in the snapshot", "is ignored"
                    )
        for key in self._forced.keys() - experiments.keys():
            self._fault(f"{key}/forced", f"visitors are forced in {key!r}, which is not in the snapshot", "is ignored")
        return experiments

    def _guarded(
        self,
        assignment: Assignment,
        at: datetime | None,
        counts: Counts | None,
        prices: Mapping[str, Any] | None,
        attributes: Mapping[str, Any] | None,
    ) -> Assignment:
        # Late, as is all that most assignments do without: a worker's start should cost next to nothing.
        from .guards import withholding

        assert assignment.offer is not None
        withheld = withholding(
            assignment.offer,
            assignment.experiment,
            assignment.visitor,
            at=at,
            counts=counts,
            state=self._guard_state,
            prices=prices,
            attributes=attributes,
        )
        if withheld is None:
            return assignment
        if withheld.fault:
            self._fault(
                f"{assignment.experiment}/{withheld.guard}", f"{assignment.experiment!r}: {withheld.detail}", _HIDES
            )
        name = assignment.offer.name
        return assignment._replace(offer=None, withheld=withheld.guard, detail=withheld.detail, withheld_offer=name)

    def _beside(self, assignment: Assignment) -> list[Offer]:
        names = () if assignment.offer is None else assignment.offer.alternatives
        offers = (self._offer(assignment, name) for name in names)
        return [offer for offer in offers if offer is not None]

    def _offer(self, assignment: Assignment, name: str) -> Offer | None:
        compiled = self._experiments.get(assignment.experiment)
        return None if compiled is None else compiled.offers.get(name)

    def _problem(self, experiment: str, compiled: Compiled | None) -> str:
        if compiled is not None:
            return compiled.unusable
        return f"no experiment {experiment!r} in the snapshot; known: {', '.join(self._experiments) or 'none'}"

    def _error(self, visitor: str, experiment: str, compiled: Compiled | None) -> Assignment:
        problem = self._problem(experiment, compiled)
        self._fault(experiment, problem, "visitors get the control")
        if compiled is None:
            return Assignment(
                visitor, experiment, 0, "control", None, None, Reason.ERROR, None, None, NO_SEGMENTS, "", problem
            )
        return compiled.control(visitor, None, Reason.ERROR, problem)

    def _fault(self, key: str, problem: str, consequence: str) -> None:
        if self._strict:
            raise InputError(problem)
        # Once each, or a misspelt key would fill the log at the rate of requests; bounded, as keys come from anywhere.
        if key not in self._logged and len(self._logged) < 1_000:
            import logging

            self._logged.add(key)
            logging.getLogger("offerlift.experiments").error("%s; %s", problem, consequence)


def _require_aware(at: datetime | None) -> None:
    if at is not None and at.tzinfo is None:
        raise InputError(f"`at` needs a time zone, seen the naive {at}", hint="Use datetime.now(UTC).")
