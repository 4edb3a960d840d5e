"""Files of exposures, of outcomes and of steps of offers, one record a row."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from ..errors import InputError
from ..experiments.records import Exposure, OfferStep, Outcome
from ..experiments.steps import check_reason, check_step
from .cells import parse_whole
from .files import open_rows
from .money import check_currency, major_units, parse_minor_units
from .names import check_event
from .rows import Meaning, Records, RowFile
from .times import parse_time

__all__ = ["read_exposures", "read_offer_steps", "read_outcomes"]


def read_exposures(
    path: str | Path,
    *,
    experiment: str | None = None,
    experiment_column: str | None = None,
    visitor: str = "visitor",
    arm: str = "arm",
    at: str = "at",
    phase: int = 1,
    encoding: str = "utf-8",
    delimiter: str = ",",
) -> Records[Exposure]:
    """Exposures in a file (CSV, gzipped or not, or Parquet), read while they are iterated over.

    Args:
        path: the file.
        experiment: key of the experiment, the same for all rows.
        experiment_column: instead, the column that holds it.
        visitor: column of the visitor's id.
        arm: column of the arm's name.
        at: column of the time, ISO 8601 with its offset.
        phase: of all exposures.
        encoding: of a CSV file.
        delimiter: between the cells of a CSV file.

    Raises:
        InputError: the file or a column is missing, empty or of a type that cannot be read; not exactly
            one of the two experiments is given.
    """
    file = open_rows(path, encoding=encoding, delimiter=delimiter)
    key_of = _constant_or_column(file, "experiment", experiment, experiment_column, str)
    visitor_at, arm_at = file.position(visitor, Meaning.ID), file.position(arm)
    time_of = file.field(at, Meaning.TIME, parse_time)

    def make(cells: list[str]) -> Exposure:
        return Exposure(key_of(cells), cells[visitor_at], cells[arm_at], time_of(cells), phase)

    return Records(file, make)


def read_offer_steps(
    path: str | Path,
    *,
    experiment: str | None = None,
    experiment_column: str | None = None,
    visitor: str = "visitor",
    step: str = "step",
    offer: str = "offer",
    at: str = "at",
    reason: str | None = None,
    encoding: str = "utf-8",
    delimiter: str = ",",
) -> Records[OfferStep]:
    """Steps of offers in a file (CSV, gzipped or not, or Parquet), read while they are iterated over.

    Args:
        path: the file.
        experiment: key of the experiment, the same for all rows.
        experiment_column: instead, the column that holds it.
        visitor: column of the visitor's id.
        step: column of the step, one of `offerlift.experiments.steps.STEPS`.
        offer: column of the offer's name.
        at: column of the time, ISO 8601 with its offset.
        reason: column of the reason; an empty cell means that there is none.
        encoding: of a CSV file.
        delimiter: between the cells of a CSV file.

    Raises:
        InputError: the file or a column is missing, empty or of a type that cannot be read; not exactly
            one of the two experiments is given.
    """
    file = open_rows(path, encoding=encoding, delimiter=delimiter)
    key_of = _constant_or_column(file, "experiment", experiment, experiment_column, str)
    visitor_at, offer_at = file.position(visitor, Meaning.ID), file.position(offer)
    step_of = file.field(step, Meaning.NAME, check_step)
    time_of = file.field(at, Meaning.TIME, parse_time)
    reason_of = file.optional(reason, Meaning.NAME, str)

    def make(cells: list[str]) -> OfferStep:
        known = step_of(cells)
        why = check_reason(known, reason_of(cells))
        return OfferStep(key_of(cells), cells[visitor_at], known, cells[offer_at], time_of(cells), why)

    return Records(file, make)


def read_outcomes(
    path: str | Path,
    *,
    outcome_id: str = "outcome_id",
    visitor: str = "visitor",
    event: str | None = None,
    event_column: str | None = None,
    at: str | None = None,
    value: str | None = None,
    cost: str | None = None,
    quantity: str | None = None,
    currency: str = "EUR",
    currency_column: str | None = None,
    refund_of: str | None = None,
    reporting_value: str | None = None,
    reporting_cost: str | None = None,
    encoding: str = "utf-8",
    delimiter: str = ",",
) -> Records[Outcome]:
    """Outcomes in a file (CSV, gzipped or not, or Parquet), read while they are iterated over.

    An empty cell of an optional column means that the record has none.

    Args:
        path: the file.
        outcome_id: column of the id, unique inside the event.
        visitor: column of the visitor's id.
        event: name of the event, the same for all rows.
        event_column: instead, the column that holds it.
        at: column of the time, ISO 8601 with its offset; without one, the time of writing.
        value: column of the value in major units.
        cost: column of the cost in major units.
        quantity: column of a whole number.
        currency: ISO 4217 code of the store.
        currency_column: column of the currency of value and cost; the store's where it is empty.
        refund_of: column of the id of the refunded outcome; value and cost are then positive.
        reporting_value: column of the value in the store's currency, of outcomes in another one.
        reporting_cost: likewise of the cost.
        encoding: of a CSV file.
        delimiter: between the cells of a CSV file.

    Raises:
        InputError: the file or a column is missing, empty or of a type that cannot be read; not exactly
            one of the two events is given.
    """
    check_currency(currency)
    if event is not None:
        check_event(event)
    file = open_rows(path, encoding=encoding, delimiter=delimiter)
    event_of = _constant_or_column(file, "event", event, event_column, check_event)
    id_at, visitor_at = file.position(outcome_id, Meaning.ID), file.position(visitor, Meaning.ID)
    time_of = file.optional(at, Meaning.TIME, parse_time)
    value_of, cost_of, reporting_value_of, reporting_cost_of = (
        file.optional(column, Meaning.AMOUNT, _amount) for column in (value, cost, reporting_value, reporting_cost)
    )
    quantity_of = file.optional(quantity, Meaning.NUMBER, parse_whole)
    currency_of = file.optional(currency_column, Meaning.NAME, check_currency)
    refund_of_ = file.optional(refund_of, Meaning.ID, str)

    def make(cells: list[str]) -> Outcome:
        code = currency_of(cells) or currency
        return Outcome(
            cells[id_at],
            cells[visitor_at],
            event_of(cells),
            time_of(cells),
            value=value_of(cells, code),
            cost=cost_of(cells, code),
            quantity=quantity_of(cells),
            currency=code,
            refund_of=refund_of_(cells),
            reporting_value=reporting_value_of(cells, currency),
            reporting_cost=reporting_cost_of(cells, currency),
        )

    return Records(file, make)


def _constant_or_column(
    file: RowFile, what: str, constant: str | None, column: str | None, check: Callable[[str], str]
) -> Callable[[list[str]], str]:
    if (constant is None) == (column is None):
        raise InputError(
            f"give either {what} or {what}_column", hint=f"{what}_column is for files with several of them."
        )
    if column is None:
        assert constant is not None
        return lambda _cells: constant
    return file.field(column, Meaning.NAME, check)


def _amount(text: str, currency: str) -> Decimal:
    return major_units(parse_minor_units(text, currency), currency)
