"""A simulated shop: visitors through the real assigner, what they do, and the truth that an analysis is held against.

    shop = SimulatedShop({"control": Behaviour(), "ten-off": Behaviour(price=0.9)})
    simulation = shop.run(definition, seed=1)
    store.write_exposures(simulation.exposures())
    store.write_outcomes(simulation.outcomes())
    shop.truth.difference("margin_per_visitor", "ten-off")

`arrays` gives what an analysis would find of matured visitors, without ids and records, for thousands of seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ..assigner import Assigner
from ..definition import Definition
from ..publishing import publish
from ..snapshot import Published, Snapshot
from .behaviour import NOTHING, Behaviour, behaviour_of
from .expected import check_probabilities
from .habits import Habits, Population
from .purchases import Purchases, Visitors, arrivals, purchases
from .simulation import Simulation
from .truth import Truth

__all__ = ["HiddenCounters", "SimulatedShop"]

Array = NDArray[np.float64]

_HABITS, _POPULATION = Habits(), Population()


@dataclass(frozen=True)
class SimulatedShop:
    """A shop whose visitors behave as described, under each arm of an experiment.

    Attributes:
        behaviours: arm -> how it changes what visitors do.
        habits: how visitors buy where nothing is offered.
        population: who comes, and when.
        control: the reference arm; the first one by default.
        shares: arm -> share of the visitors, for `arrays`; equal by default. `run` splits as the definition says.

    Raises:
        InputError: an arm without a behaviour, shares that do not sum to 1, or visitors who would do something with a
            probability above 1.
    """

    behaviours: Mapping[str, Behaviour]
    habits: Habits = _HABITS
    population: Population = _POPULATION
    control: str = ""
    shares: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.control:
            object.__setattr__(self, "control", next(iter(self.behaviours)))
        if not self.shares:
            object.__setattr__(self, "shares", dict.fromkeys(self.behaviours, 1 / len(self.behaviours)))
        if {self.control, *self.shares} != set(self.behaviours) or abs(sum(self.shares.values()) - 1) > 1e-9:
            raise InputError(
                f"control and shares must be of the arms {', '.join(self.behaviours)}, shares summing to 1; seen "
                f"{self.control!r} and {dict(self.shares)}"
            )
        for arm, behaviour in self.behaviours.items():
            for group in self.population.groups:
                check_probabilities(self.habits, behaviour, group, self.population.agent_spread, arm)

    @classmethod
    def of(
        cls,
        definition: Definition,
        *,
        habits: Habits | None = None,
        population: Population | None = None,
        messages: Mapping[str, float] | None = None,
        gift_cost: float = 5.0,
        behaviours: Mapping[str, Behaviour] | None = None,
    ) -> SimulatedShop:
        """The shop of a definition: each arm behaves as its offer says (`behaviour_of`), unless `behaviours` names it.

        Args:
            definition: its arms, control and shares.
            habits, population: the shop's.
            messages: the words of a message -> its factor on the probability to buy.
            gift_cost: what a gift costs the shop.
            behaviours: arm -> behaviour, in place of what follows from the offer.
        """
        buying = habits or _HABITS
        known = dict(behaviours or {})
        if unknown := set(known) - {arm.name for arm in definition.arms}:
            raise InputError(f"no such arm in {definition.experiment!r}: {', '.join(sorted(unknown))}")
        derived = {
            arm.name: known[arm.name]
            if arm.name in known
            else behaviour_of(arm.offer, basket=buying.basket, messages=messages, gift_cost=gift_cost)
            for arm in definition.arms
        }
        shares = {arm: float(share) for arm, share in definition.expected_shares.items()}
        return cls(derived, buying, population or _POPULATION, definition.control, shares)

    @cached_property
    def truth(self) -> Truth:
        """What is expected of every arm, in closed form."""
        return Truth(self.habits, self.population, self.behaviours, self.control)

    @property
    def events(self) -> tuple[str, ...]:
        """Names of the events besides purchases."""
        named = [self.habits.events, *(behaviour.events for behaviour in self.behaviours.values())]
        return tuple(sorted({name for events in named for name in events}))

    def potential(self, seed: int | Sequence[int], visitors: int) -> dict[str, dict[str, Array]]:
        """The same visitors under every arm: arm -> column -> one number a visitor.

        Differences of means between arms estimate the truth with little noise. Columns as in `Purchases.columns`.
        """
        everybody = self._visitors(seed, visitors)
        return {arm: self._columns(arm, everybody) for arm in self.behaviours}

    def arrays(
        self, seed: int | Sequence[int], visitors: int, *, unit: Literal["visitor", "agent"] = "visitor"
    ) -> dict[str, dict[str, Array]]:
        """One experiment of matured visitors: arm -> column -> one number a visitor of that arm.

        Columns as in `Purchases.columns`, and `past_revenue` (NaN where it is not known), `group` (index into the
        population's) and `agent`.

        Args:
            seed: the same seed, the same numbers.
            visitors: in all arms together.
            unit: what is randomised; with `agent`, all customers of an agent are in one arm.
        """
        everybody = self._visitors(seed, visitors)
        arms = list(self.behaviours)
        rng = np.random.default_rng([*np.atleast_1d(seed).tolist(), 1])
        shares = [self.shares[arm] for arm in arms]
        if unit == "agent":
            split = _in_turn(rng, shares, self.population.agents)[everybody.agent]
        else:
            split = rng.choice(len(arms), visitors, p=shares)
        found = {}
        for number, arm in enumerate(arms):
            of_arm = everybody.take(np.flatnonzero(split == number))
            found[arm] = {
                **self._columns(arm, of_arm),
                "past_revenue": of_arm.past_revenue,
                "group": of_arm.group.astype(np.float64),
                "agent": of_arm.agent.astype(np.float64),
            }
        return found

    def run(
        self,
        experiment: Definition | Published,
        *,
        seed: int | Sequence[int],
        visitors: int | None = None,
        snapshot: Mapping[str, Published] | None = None,
    ) -> Simulation:
        """One experiment, visitor by visitor through the assigner.

        Args:
            experiment: its definition, which is started on the population's first day, or a published version.
            seed: of visitors and their luck; the same seed, the same records.
            visitors: how many come; by default as many as the population's arrivals make of it.
            snapshot: other published experiments, such as the holdout that covers it.

        Raises:
            InputError: the arms are not those of the behaviours, or an arm withholds its offer without a guard that
                could.
        """
        first_day = self.population.first_day
        published = (
            publish(experiment, None, state="running", at=first_day, others=(snapshot or {}).values())
            if isinstance(experiment, Definition)
            else experiment
        )
        self.check_arms(published.definition)
        everybody = self._visitors(seed, visitors)
        key = published.definition.experiment
        ids = [f"{key}-{number:07d}" for number in range(1, len(everybody) + 1)]
        hidden = HiddenCounters(
            self, published.definition, dict(zip(ids, everybody.luck["withhold"].tolist(), strict=True))
        )
        known = Snapshot.of([*(one for name, one in (snapshot or {}).items() if name != key), published])
        assigner = Assigner(known, strict=True, guard_state=hidden)
        assignments = [
            assigner.assign(key, visitor, self.attributes(everybody, at), at=everybody.arrived(at))
            for at, visitor in enumerate(ids)
        ]
        return Simulation(self.behaviours, self.habits, self.population, published, everybody, ids, assignments)

    def _visitors(self, seed: int | Sequence[int], count: int | None) -> Visitors:
        return arrivals(np.random.default_rng(seed), self.population, count, self.events)

    def attributes(self, everybody: Visitors, at: int) -> dict[str, Any]:
        """What is known of a visitor, as eligibility rules and segments ask for it."""
        people = self.population
        if not everybody.eligible[at]:
            return dict(people.ineligible_attributes)
        known = {**people.attributes, people.group_attribute: people.groups[int(everybody.group[at])].name}
        if people.agents:
            known[people.agent_attribute] = agent_name(int(everybody.agent[at]))
        return known

    def _columns(self, arm: str, visitors: Visitors) -> dict[str, Array]:
        """What the visitors of an arm do, those included whom its offer does not reach."""
        behaviour = self.behaviours[arm]
        missed = (visitors.luck["withhold"] < behaviour.withheld) | (visitors.luck["deliver"] < behaviour.undelivered)
        seen = self._purchases(behaviour, visitors).columns()
        if not missed.any():
            return seen
        unseen = self._purchases(NOTHING, visitors).columns()
        return {name: np.where(missed, unseen[name], seen[name]) for name in seen}

    def _purchases(self, behaviour: Behaviour, visitors: Visitors) -> Purchases:
        return purchases(self.habits, self.population, behaviour, visitors)

    def check_arms(self, definition: Definition) -> None:
        """Refuse a definition of other arms, or one that could not withhold what its behaviour withholds."""
        arms = {arm.name: arm for arm in definition.arms}
        if set(arms) != set(self.behaviours):
            raise InputError(
                f"{definition.experiment!r} has the arms {', '.join(arms)}; there are behaviours of "
                f"{', '.join(self.behaviours)}"
            )
        for name, behaviour in self.behaviours.items():
            offer = arms[name].offer
            capped = offer is not None and any(guard.type == "frequency_cap" for guard in offer.guards)
            if behaviour.withheld and not capped:
                raise InputError(
                    f"arm {name!r} withholds from {behaviour.withheld:.0%}, but its offer has no frequency_cap",
                    hint="Give its offer a frequency_cap, or use `undelivered`.",
                )


def _in_turn(rng: np.random.Generator, shares: Sequence[float], agents: int) -> NDArray[np.int64]:
    """An arm for each agent, as many of each as its share says, in random order."""
    if agents < len(shares):
        raise InputError(f"{agents} agents cannot be randomised to {len(shares)} arms")
    ends = np.rint(np.cumsum(shares) * agents).astype(np.int64)
    return rng.permutation(np.searchsorted(ends, np.arange(agents), side="right"))


def agent_name(agent: int) -> str:
    """What an agent is called in attributes and segments."""
    return f"agent-{agent + 1:02d}"


class HiddenCounters:
    """The counters of the guards: a visitor has seen the offer too often, or not at all, as luck has it."""

    def __init__(self, shop: SimulatedShop, definition: Definition, luck: Mapping[str, float]):
        arms = {arm.offer.name: arm.name for arm in definition.arms if arm.offer is not None}
        self._withheld = {offer: shop.behaviours[arm].withheld for offer, arm in arms.items()}
        self._luck = luck

    def shown(self, experiment: str, offer: str, visitor: str, since: datetime) -> int:
        """As in `GuardState`."""
        return 1_000_000 if self._luck[visitor] < self._withheld.get(offer, 0.0) else 0

    def accepted(self, experiment: str, offer: str) -> int:
        """As in `GuardState`."""
        return 0
