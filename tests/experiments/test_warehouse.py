"""The section `warehouse`: what it becomes, and what is refused in it."""

from __future__ import annotations

import pytest
from offerlift.errors import DefinitionError, InputError
from offerlift.experiments import parse_definition
from offerlift.experiments.files import find_definition
from offerlift.experiments.warehouse import ComputedCovariate

TEXT = """\
experiment: exit
segments: [country]
exploratory_segments: [browser]
arms: [{name: control}, {name: discount}]
metrics: [conversion, {revenue_per_visitor: {window: 7d, covariate: past}}]
plan: {primary: conversion}
warehouse:
  assignments:
    table: ab.log
    visitor: user_id
    at: seen
    arm: variant
    arms: {control: 0, discount: [1, true]}
    experiment: {column: test, value: 17}
    segments: {country: geo, browser: agent}
  facts:
    - {sql: "SELECT a.*, ';' AS x FROM orders a", visitor: id, at: paid, event: purchase, value: total, money: major}
  covariates:
    - {name: past, event: purchase, window: 90d}
"""


def test_what_the_section_becomes(tmp_path):
    """Names in parts, values as text, the measure that is not written; and nothing of it is in the definition."""
    path = tmp_path / "exit.yaml"
    path.write_text(TEXT)
    definition, tables = find_definition(tmp_path, "exit")
    assert tables is not None
    log = tables.assignments
    assert (log.table, log.experiment, log.experiment_value) == (("ab", "log"), "test", "17")
    assert (log.arms, log.segments) == (
        {"0": "control", "1": "discount", "true": "discount"},
        {"country": "geo", "browser": "agent"},
    )
    assert tables.covariates == (ComputedCovariate("past", "purchase", "value", 90 * 86_400_000_000),)
    assert definition == parse_definition(TEXT.split("warehouse:")[0])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("discount: [1", "discont: [1", "must be one of the arms: control, discount"),
        ("discount: [1, true]", "discount: [0]", "'0' already means the arm control"),
        ("country: geo", "land: geo", "is no segment of this definition"),
        ("event: purchase, value", "event: order, value", "no table has the event 'purchase', which conversion needs"),
        (", value: total, money: major", "", "no table of the event 'purchase' has a `value`"),
        (", money: major", "", "`value` needs `money`, which says what it is in"),
        ("name: past, event", "name: paste, event", "has no 'past', which revenue_per_visitor is adjusted by"),
        ("table: ab.log", "table: a.b.c.d", "must be the name of a table"),
        ("table: ab.log", "epoch: seconds", "needs either `table` or `sql`"),
        ("SELECT a.*", "DELETE a.*", "must be a SELECT"),
        ("';' AS x", "1 AS x; DROP TABLE orders", "without a semicolon"),
        ("orders a", "(orders a", "as many closing parentheses as opening ones"),
        ("FROM orders a", "INTO copied FROM orders a", "must only read, seen INTO"),
        ("paid, event", "paid, refund_of: r, event", "no table of the same event has an `id`"),
    ],
)
def test_what_does_not_fit_is_found(old, new, message):
    """Arms, events, covariates and columns that do not fit together are findings of the definition."""
    assert old in TEXT
    with pytest.raises(DefinitionError) as raised:
        parse_definition(TEXT.replace(old, new))
    assert any(message in finding.message for finding in raised.value.findings), raised.value


def test_a_key_that_is_not_there(tmp_path):
    """The keys that are there are listed; a broken file that could be it is shown instead."""
    (tmp_path / "exit.yaml").write_text(TEXT)
    with pytest.raises(InputError, match="no definition of 'entry'") as raised:
        find_definition(tmp_path, "entry")
    assert raised.value.hint == "There are: exit."
    (tmp_path / "entry.yaml").write_text("experiment: entry")
    with pytest.raises(DefinitionError, match=r"no definition of 'entry' in .* that is valid"):
        find_definition(tmp_path, "entry")
