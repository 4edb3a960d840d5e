"""Which of the shop's own tables hold what: the frozen form of a definition's section `warehouse`.

It is no part of the `Definition`: backends that assign never need it, and a table that moves changes no experiment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "AssignmentSource",
    "ComputedCovariate",
    "CovariateSource",
    "Epoch",
    "FactSource",
    "Relation",
    "WarehouseTables",
]

Epoch = Literal["seconds", "milliseconds", "microseconds"]


@dataclass(frozen=True, slots=True)
class Relation:
    """Rows in somebody else's database: the parts of a table's name, or a SELECT.

    Attributes:
        table: catalog, schema and name, as many as are needed; empty where there is `sql`.
        sql: a SELECT without a semicolon.
        visitor: column with the visitor's id.
        at: column with the time; one without a zone is taken as UTC.
        epoch: what an `at` that is a number counts since 1970; None: it is a time.
    """

    table: tuple[str, ...]
    sql: str | None
    visitor: str
    at: str
    epoch: Epoch | None = None

    @property
    def label(self) -> str:
        """How messages call it."""
        return f"the table {'.'.join(self.table)}" if self.table else f"the query {' '.join((self.sql or '').split())}"


@dataclass(frozen=True, slots=True)
class AssignmentSource(Relation):
    """The raw log of exposures: any number of rows a visitor.

    Attributes:
        arm: column with the arm.
        experiment: column with the experiment; None: all rows are of this one.
        experiment_value: what that column has for this experiment.
        phase: column with the phase, 1 or more; None: there is one.
        arms: what the column `arm` has -> name of the arm; what is not in it is a name itself.
        segments: name of a segment -> its column.
    """

    arm: str = "arm"
    experiment: str | None = None
    experiment_value: str = ""
    phase: str | None = None
    arms: Mapping[str, str] = field(default_factory=dict, hash=False)
    segments: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class FactSource(Relation):
    """What visitors did: one row an outcome or, with `refund_of`, a refund.

    Attributes:
        event: the event that every row is; None: `event_column` says which.
        event_column: column with the event.
        value, cost, reporting_value, reporting_cost: columns with money, the last two in the experiment's currency.
        money: whether these are in minor units (2990) or in major ones (29.90).
        currency: column with the currency of value and cost; None: all is in the experiment's.
        id: column with what `refund_of` points to.
        refund_of: column with the id of what was given back, NULL in orders.
    """

    event: str | None = None
    event_column: str | None = None
    value: str | None = None
    cost: str | None = None
    reporting_value: str | None = None
    reporting_cost: str | None = None
    money: Literal["minor", "major"] | None = None
    currency: str | None = None
    id: str | None = None
    refund_of: str | None = None

    def has(self, event: str | None) -> bool:
        """Whether rows of an event (None: any) may be in it."""
        return event is None or self.event is None or event == self.event


@dataclass(frozen=True, slots=True)
class CovariateSource(Relation):
    """A number of each visitor at some times; the latest one before the exposure counts."""

    name: str = ""
    value: str = "value"


@dataclass(frozen=True, slots=True)
class ComputedCovariate:
    """A number taken from the facts before the exposure; 0 for visitors without any.

    `window` is how far back, in microseconds; None: without limit.
    """

    name: str
    event: str
    measure: Literal["converted", "count", "value", "margin"]
    window: int | None = None


@dataclass(frozen=True, slots=True)
class WarehouseTables:
    """All tables of one experiment."""

    assignments: AssignmentSource
    facts: tuple[FactSource, ...]
    covariates: tuple[CovariateSource | ComputedCovariate, ...] = ()

    def covariate(self, name: str) -> CovariateSource | ComputedCovariate | None:
        """The covariate of that name."""
        return next((one for one in self.covariates if one.name == name), None)
