"""Visitors in two experiments: arm by arm as plain Python finds them, on every engine that stores."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from offerlift.errors import InputError
from offerlift.experiments.records import Exposure
from offerlift.storage.store import Store

from . import model
from .test_statements import EXAMPLES, assert_moments, fill, metrics, shops, visitors

NUMBERS = count()
others = st.lists(st.tuples(visitors, st.integers(1, 3), st.sampled_from(model.ARMS), st.integers(0, 30)), max_size=8)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "duckdb"])
def shared_store(request):
    """A store that all examples of a property share, for speed."""
    urls = {"sqlite": "sqlite://", "duckdb": "duckdb://"}
    url = urls.get(request.param) or request.getfixturevalue(f"{request.param}_url")
    with Store.open(url) as opened:
        yield opened


def published_in(store, make_published, used, phase):
    key = f"both{next(NUMBERS)}"
    store.publish(replace(make_published(key, used), phase=phase))
    return key


@given(shops(), others, metrics(), st.integers(1, 3), st.integers(1, 3), st.integers(4, 24) | st.just(45))
@settings(EXAMPLES, max_examples=40)
def test_each_combination_of_arms_has_what_plain_python_finds(
    shared_store, make_published, at, shop, seen, used, phase, other_phase, as_of
):
    """Phases, links, refunds and crossovers in both: visitors and moments of those exposed in both by then."""
    assume(all(metric.denominator != metric.numerator for metric in used))
    first = published_in(shared_store, make_published, used, phase)
    second = published_in(shared_store, make_published, used, other_phase)
    fill(shared_store, first, shop, at)
    shared_store.write_exposures(Exposure(second, visitor, arm, at(t), p) for visitor, p, arm, t in seen)
    found = shared_store.overlap(first, second, as_of=at(as_of))
    mine = model.people(shop, phase, as_of)
    theirs = model.people(replace(shop, exposures=seen), other_phase, as_of)
    arm_of = {visitor: one.arm for one in theirs for visitor in one.ids}
    in_both = [(one, arms.pop()) for one in mine if (arms := {arm_of[v] for v in one.ids if v in arm_of})]
    assert sum(found.visitors.values()) == len(in_both)
    for (arm, other), number in found.visitors.items():
        own = [one for one, beside in in_both if (one.arm, beside) == (arm, other)]
        assert number == len(own)
        for metric in used:
            strata = found.moments[metric.name][arm, other]
            assert len(strata) == phase
            for at_phase, moments in enumerate(strata, start=1):
                in_phase = [one for one in own if one.phase == at_phase]
                assert_moments(moments, model.moments(shop, in_phase, metric, as_of), metric)


def test_nobody_in_both_is_no_combination(memory, make_published, at):
    """Two experiments that exclude each other have no arms in common."""
    for key, visitor in (("one", "v1"), ("two", "v2")):
        memory.publish(make_published(key))
        memory.write_exposures([Exposure(key, visitor, "a", at(1))])
    found = memory.overlap("one", "two")
    assert (found.visitors, found.moments["conversion"]) == ({}, {})


def test_two_experiments_are_needed(memory, make_published):
    """Neither twice the same nor one that nobody published."""
    memory.publish(make_published("one"))
    with pytest.raises(InputError, match="'one' is named twice"):
        memory.overlap("one", "one")
    with pytest.raises(InputError, match="two"):
        memory.overlap("one", "two")
