"""Several experiments on the same visitors at once, and a holdout of all their offers, with what is true of it.

    programme = SimulatedProgramme({"sale": sale_shop, "shipping": shipping_shop}, held_out=0.1)
    simulation = programme.run([sale, shipping], holdout, seed=1)
    programme.truth.difference("customer_value", "offered")

A visitor is in an arm of each experiment, independently; what reached the visitor works together as the levels of a
factorial do (`combined`). Whoever is held out gets nothing of any.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ..assigner import Assigner
from ..definition import HOLDOUT_ARMS, Definition
from ..publishing import publish
from ..records import Exposure, Outcome
from ..snapshot import Published, Snapshot
from .behaviour import NOTHING, Behaviour, combined
from .captures import exposures_of
from .expected import Expected, check_probabilities, expected, mixed
from .purchases import Purchases, Visitors, arrivals, purchases
from .simulated import HiddenCounters, SimulatedShop
from .simulation import Positions, Simulation
from .truth import Truth

__all__ = ["ProgrammeSimulation", "SimulatedProgramme"]

Array = NDArray[np.float64]

HELD_OUT, OFFERED = HOLDOUT_ARMS


@dataclass(frozen=True)
class SimulatedProgramme:
    """Experiments that share all their visitors, under one holdout.

    Attributes:
        shops: key of an experiment -> its shop: what its arms do, and their shares. All of one population and of the
            same habits.
        held_out: share of the visitors whom no offer reaches.

    Raises:
        InputError: no experiment, shops of other habits or another population, a share that is not between 0 and 1, or
            visitors who would do something with a probability above 1 where offers come together.
    """

    shops: Mapping[str, SimulatedShop]
    held_out: float = 0.1

    def __post_init__(self) -> None:
        if not self.shops:
            raise InputError("there is no experiment; a programme needs one or more")
        if not 0 < self.held_out < 1:
            raise InputError(f"held_out is a share between 0 and 1, seen {self.held_out!r}")
        first = self._any
        for key, shop in self.shops.items():
            if shop.habits != first.habits or shop.population != first.population:
                raise InputError(f"the shop of {key!r} has other habits or another population than the first")
        for share, how in self.ways:
            for group in first.population.groups if share else ():
                check_probabilities(first.habits, how, group, first.population.agent_spread, OFFERED)

    @property
    def _any(self) -> SimulatedShop:
        return next(iter(self.shops.values()))

    @property
    def events(self) -> tuple[str, ...]:
        """Names of the events besides purchases."""
        return tuple(sorted({name for shop in self.shops.values() for name in shop.events}))

    @cached_property
    def ways(self) -> list[tuple[float, Behaviour]]:
        """What can reach a visitor who is not held out, all experiments together, each with its probability."""
        reached = [_reached(shop) for shop in self.shops.values()]
        return [
            (math.prod(share for share, _ in each), combined(*(how for _, how in each)))
            for each in itertools.product(*reached)
        ]

    @cached_property
    def truth(self) -> Truth:
        """What is expected of `held_out` and of `offered`, in closed form."""
        first = self._any
        return _Together(first.habits, first.population, {HELD_OUT: NOTHING, OFFERED: NOTHING}, HELD_OUT, self.ways)

    def arrays(self, seed: int | Sequence[int], visitors: int) -> dict[str, dict[str, Array]]:
        """Matured visitors of the holdout: `held_out` and `offered` -> column -> one number a visitor.

        Columns as in `Purchases.columns`; and of the offered, by the experiments' keys, the number of their arm.

        Args:
            seed: the same seed, the same numbers.
            visitors: held out and offered together.
        """
        first = self._any
        everybody = arrivals(np.random.default_rng(seed), first.population, visitors, self.events)
        rng = np.random.default_rng([*np.atleast_1d(seed).tolist(), 1])
        held = rng.random(visitors) < self.held_out
        apart, offered = everybody.take(np.flatnonzero(held)), everybody.take(np.flatnonzero(~held))
        arms, seen = [], []
        for shop in self.shops.values():
            split = rng.choice(len(shop.behaviours), len(offered), p=[shop.shares[arm] for arm in shop.behaviours])
            reaches = np.array([one.delivered for one in shop.behaviours.values()])[split]
            arms.append(split)
            seen.append(np.where(rng.random(len(offered)) < reaches, split, -1))
        found: dict[str, Array] = {}
        for positions, how in self._grouped(seen):
            did = purchases(first.habits, first.population, how, offered.take(positions)).columns()
            for name, values in did.items():
                found.setdefault(name, np.zeros(len(offered)))[positions] = values
        found.update({key: split.astype(np.float64) for key, split in zip(self.shops, arms, strict=True)})
        nothing = purchases(first.habits, first.population, NOTHING, apart).columns()
        return {HELD_OUT: nothing, OFFERED: found}

    def run(
        self,
        definitions: Sequence[Definition],
        holdout: Definition,
        *,
        seed: int | Sequence[int],
        visitors: int | None = None,
    ) -> ProgrammeSimulation:
        """All experiments, visitor by visitor through the assigner; everybody comes to each of them on arrival.

        Args:
            definitions: of the experiments, each of which names the holdout in `holdouts`; started on the first day.
            holdout: of the holdout, whose shares take the place of `held_out`.
            seed: of visitors and their luck.
            visitors: how many come; by default as many as the population's arrivals make of it.

        Raises:
            InputError: experiments other than those of the shops, one that the holdout does not cover, or as in
                `SimulatedShop.run`.
        """
        first = self._any
        self._check(definitions, holdout)
        day = first.population.first_day
        published = [publish(holdout, None, state="running", at=day)]
        for definition in definitions:
            published.append(publish(definition, None, state="running", at=day, others=tuple(published)))
        everybody = arrivals(np.random.default_rng(seed), first.population, visitors, self.events)
        ids = [f"visitor-{number:07d}" for number in range(1, len(everybody) + 1)]
        rng = np.random.default_rng([*np.atleast_1d(seed).tolist(), 1])
        simulations = {}
        for one in published[1:]:
            key, shop = one.definition.experiment, self.shops[one.definition.experiment]
            # A visitor may be spared one offer and get the next one.
            own = {name: rng.random(len(everybody)) for name in ("withhold", "deliver")}
            lucky = replace(everybody, luck={**everybody.luck, **own})
            hidden = HiddenCounters(shop, one.definition, dict(zip(ids, own["withhold"].tolist(), strict=True)))
            assigner = Assigner(Snapshot.of(published), strict=True, guard_state=hidden)
            assignments = [
                assigner.assign(key, visitor, shop.attributes(lucky, at), at=lucky.arrived(at))
                for at, visitor in enumerate(ids)
            ]
            simulations[key] = Simulation(shop.behaviours, shop.habits, shop.population, one, lucky, ids, assignments)
        return ProgrammeSimulation(tuple(published), simulations, self._everything(simulations, everybody, ids))

    def _everything(self, simulations: Mapping[str, Simulation], everybody: Visitors, ids: list[str]) -> Simulation:
        """What visitors did, whatever reached them."""
        seen = []
        for key, shop in self.shops.items():
            one = simulations[key]
            numbers = {arm: number for number, arm in enumerate(shop.behaviours)}
            arms = np.array([numbers[assignment.arm] for assignment in one.assignments])
            seen.append(np.where(one.delivered, arms, -1))
        some = next(iter(simulations.values()))
        grouped = self._grouped(seen)
        return _Everything(
            some.behaviours, some.habits, some.population, some.published, everybody, ids, some.assignments, grouped
        )

    def _grouped(self, seen: Sequence[NDArray[np.int64]]) -> list[tuple[Positions, Behaviour]]:
        """Visitors whom the same reached: their positions and how they behave; -1 for nothing of an experiment."""
        behaviours = [[_bare(one) for one in shop.behaviours.values()] for shop in self.shops.values()]
        found, way = np.unique(np.stack(seen), axis=1, return_inverse=True)
        return [
            (
                np.flatnonzero(way.ravel() == number),
                combined(*(of[at] for of, at in zip(behaviours, arms, strict=True) if at >= 0)),
            )
            for number, arms in enumerate(found.T.tolist())
        ]

    def _check(self, definitions: Sequence[Definition], holdout: Definition) -> None:
        keys = [definition.experiment for definition in definitions]
        if sorted(keys) != sorted(self.shops):
            raise InputError(f"the experiments are {', '.join(keys)}; there are shops of {', '.join(self.shops)}")
        if not holdout.holdout:
            raise InputError(f"{holdout.experiment!r} is no holdout", hint="Say holdout: true in its definition.")
        for definition in definitions:
            self.shops[definition.experiment].check_arms(definition)
            if holdout.experiment not in definition.holdouts:
                raise InputError(
                    f"{definition.experiment!r} is not covered by the holdout {holdout.experiment!r}",
                    hint=f"Say holdouts: [{holdout.experiment}] in its definition.",
                )


@dataclass(frozen=True, eq=False)
class ProgrammeSimulation:
    """Everything that happened in one run of a programme.

    Attributes:
        published: the holdout, then the experiments.
        simulations: key of an experiment -> who came to it, with what the assigner said. What visitors did is of all
            experiments together, so take outcomes from here.
        everything: what visitors did.
    """

    published: tuple[Published, ...]
    simulations: Mapping[str, Simulation]
    everything: Simulation

    def exposures(self) -> Iterator[Exposure]:
        """What `Recorder.expose` would write, the holdout's at every experiment."""
        for one in self.simulations.values():
            for at, assignment in enumerate(one.assignments):
                yield from exposures_of(assignment, one.visitors.arrived(at))

    def outcomes(self, *, arrived_by: datetime | None = None) -> Iterator[Outcome]:
        """As in `Simulation.outcomes`."""
        return self.everything.outcomes(arrived_by=arrived_by)

    def columns(self, side: str) -> dict[str, Array]:
        """Per visitor of `held_out` or `offered`, once everything has happened."""
        some = next(iter(self.simulations.values()))
        at = np.array([one.holdout is not None and one.holdout[1] == side for one in some.assignments], dtype=bool)
        gathered: dict[str, Array] = {}
        for positions, _, did in self.everything.parts:
            for name, values in did.columns().items():
                gathered.setdefault(name, np.zeros(len(at)))[positions] = values
        return {name: values[at] for name, values in gathered.items()}


@dataclass(frozen=True, eq=False)
class _Everything(Simulation):
    """Visitors of several experiments: what they did does not follow from one of them."""

    grouped: list[tuple[Positions, Behaviour]]

    @cached_property
    def parts(self) -> list[tuple[Positions, Behaviour, Purchases]]:
        return [
            (at, how, purchases(self.habits, self.population, how, self.visitors.take(at))) for at, how in self.grouped
        ]


@dataclass(frozen=True)
class _Together(Truth):
    """The truth of a holdout: of the offered, a mix of everything that can reach them."""

    ways: list[tuple[float, Behaviour]]

    @cached_property
    def _expected(self) -> dict[tuple[str, str], Expected]:
        found = {}
        for group in self.population.groups:
            found[HELD_OUT, group.name] = expected(self.habits, NOTHING, group)
            parts = [(share, expected(self.habits, how, group)) for share, how in self.ways]
            found[OFFERED, group.name] = mixed(parts)
        return found


def _bare(behaviour: Behaviour) -> Behaviour:
    """A behaviour of those whom it reached."""
    return replace(behaviour, withheld=0.0, undelivered=0.0)


def _reached(shop: SimulatedShop) -> list[tuple[float, Behaviour]]:
    """What of one experiment reaches a visitor, each with its probability; nothing first."""
    found = [(0.0, NOTHING)]
    for arm, behaviour in shop.behaviours.items():
        share = shop.shares[arm]
        nothing, _ = found[0]
        found[0] = nothing + share * (1 - behaviour.delivered), NOTHING
        if _bare(behaviour) == NOTHING:
            found[0] = found[0][0] + share * behaviour.delivered, NOTHING
        else:
            found.append((share * behaviour.delivered, _bare(behaviour)))
    return found
