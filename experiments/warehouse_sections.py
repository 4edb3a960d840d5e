"""The definition language of `warehouse`: which tables somebody has already, and what their columns mean."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from .offer_sections import Section, value_or
from .scalars import Duration, Key, Label, problem
from .sql_scalars import Identifier, Query, TableName, Values
from .warehouse import (
    AssignmentSource,
    ComputedCovariate,
    CovariateSource,
    Epoch,
    FactSource,
    WarehouseTables,
)

__all__ = ["WarehouseSection"]


class RelationSection(Section):
    """Rows of a database that is only read."""

    table: TableName | None = None
    """Name of the table, such as shop.orders; a list of its parts where they have dots themselves."""
    sql: Query | None = None
    """A SELECT instead of a table."""
    visitor: Identifier
    """Column with the visitor's id, the same one in all tables."""
    at: Identifier
    """Column with the time; one without a time zone is taken as UTC."""
    epoch: Epoch | None = None
    """What `at` counts since 1970, where it is a number."""

    @model_validator(mode="after")
    def _one_origin(self) -> RelationSection:
        if (self.table is None) == (self.sql is None):
            raise problem("needs either `table` or `sql`")
        return self

    @property
    def parts(self) -> dict[str, Any]:
        """What every frozen relation has."""
        return {
            "table": self.table or (),
            "sql": self.sql,
            "visitor": self.visitor,
            "at": self.at,
            "epoch": self.epoch,
        }


class ExperimentColumn(Section):
    """The experiment's column, and what it has for this one."""

    column: Identifier
    """Its name."""
    value: Values
    """What it has for this experiment."""


ExperimentChoice = Annotated[
    Annotated[Identifier, Tag("<value>")] | Annotated[ExperimentColumn, Tag("<experiment>")],
    value_or("<experiment>"),
]


class AssignmentSection(RelationSection):
    """The log of exposures: any number of rows a visitor, of which the earliest counts."""

    arm: Identifier
    """Column with the arm."""
    arms: dict[Key, Values] | None = None
    """What that column has for our arms, such as {control: 0, discount: 1}; their names unless given."""
    experiment: ExperimentChoice | None = None
    """Column with the experiment's key, where the table has several; {column, value} where it has another name."""
    phase: Identifier | None = None
    """Column with the number of the phase, from 1 on; one phase unless given."""
    segments: dict[Label, Identifier] | None = None
    """Columns with the definition's segments, by the segment's name."""


class FactSection(RelationSection):
    """What visitors did, one row an outcome."""

    event: Label | None = None
    """The event that every row is, such as purchase."""
    event_column: Identifier | None = None
    """Column with the event, instead."""
    value: Identifier | None = None
    """Column with what was paid."""
    cost: Identifier | None = None
    """Column with what it cost the shop."""
    money: Literal["minor", "major"] | None = None
    """Whether amounts are in minor units (2990) or major ones (29.90); rounded to whole minor units."""
    currency: Identifier | None = None
    """Column with the currency of value and cost; the experiment's unless given."""
    reporting_value: Identifier | None = None
    """Column with the value in the experiment's currency, where `currency` is another."""
    reporting_cost: Identifier | None = None
    """Column with the cost in the experiment's currency, where `currency` is another."""
    id: Identifier | None = None
    """Column with an id that refunds point to."""
    refund_of: Identifier | None = None
    """Column with the id of the order that was given back, NULL in orders; amounts of refunds are positive."""

    @model_validator(mode="after")
    def _fits(self) -> FactSection:
        if (self.event is None) == (self.event_column is None):
            raise problem("needs either `event` or `event_column`", "event: purchase, where every row is one.")
        amounts = self.given("value", "cost", "reporting_value", "reporting_cost")
        if amounts and self.money is None:
            raise problem(
                f"`{amounts[0]}` needs `money`, which says what it is in",
                "money: major for 29.90, money: minor for 2990.",
            )
        if self.given("reporting_value", "reporting_cost") and self.currency is None:
            raise problem("amounts in the reporting currency need `currency`, the column that says of which rows")
        return self


class CovariateTable(RelationSection):
    """A number of each visitor, known at some time."""

    name: Label
    """What metrics call it."""
    value: Identifier
    """Column with the number."""


class CovariateOfFacts(Section):
    """A number computed from the facts before the exposure, 0 for visitors without any."""

    name: Label
    """What metrics call it."""
    event: Label
    """The event that is looked for."""
    measure: Literal["converted", "count", "value", "margin"] = "value"
    """Whether there was one, how many, the sum of value (in major units), or of value - cost."""
    window: Duration | None = None
    """How far back from the exposure; without limit unless given."""


def _covariate_tag(value: Any) -> str:
    if isinstance(value, CovariateTable | CovariateOfFacts):
        return "<facts>" if isinstance(value, CovariateOfFacts) else "<table>"
    return "<facts>" if isinstance(value, dict) and "event" in value else "<table>"


CovariateEntry = Annotated[
    Annotated[CovariateTable, Tag("<table>")] | Annotated[CovariateOfFacts, Tag("<facts>")],
    Discriminator(_covariate_tag),
]


class WarehouseSection(Section):
    """Tables that are there already, for `offerlift analyze --warehouse`."""

    assignments: AssignmentSection
    """Who was exposed to which arm, and when."""
    facts: Annotated[list[FactSection], Field(min_length=1)]
    """What visitors did."""
    covariates: list[CovariateEntry] | None = None
    """Numbers known before the exposure."""

    def tables(self, experiment: str) -> WarehouseTables:
        """The frozen form."""
        log = self.assignments
        named = log.experiment
        assignments = AssignmentSource(
            **log.parts,
            arm=log.arm,
            experiment=named.column if isinstance(named, ExperimentColumn) else named,
            experiment_value=named.value[0] if isinstance(named, ExperimentColumn) else experiment,
            phase=log.phase,
            arms={value: arm for arm, values in (log.arms or {}).items() for value in values},
            segments=log.segments or {},
        )
        own = ("event", "event_column", "value", "cost", "reporting_value", "reporting_cost", "money", "currency")
        facts = (
            FactSource(**fact.parts, **{key: getattr(fact, key) for key in (*own, "id", "refund_of")})
            for fact in self.facts
        )
        covariates = (
            ComputedCovariate(one.name, one.event, one.measure, one.window)
            if isinstance(one, CovariateOfFacts)
            else CovariateSource(**one.parts, name=one.name, value=one.value)
            for one in self.covariates or ()
        )
        return WarehouseTables(assignments, tuple(facts), tuple(covariates))
