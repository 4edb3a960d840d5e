"""Segments on their way to the store: which values are kept, as which text, and what becomes of the others."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from offerlift.errors import InputError, PublishError
from offerlift.experiments import Assigner, Assignment, Counts, Exposure, Reason, Recorder, Snapshot, publish
from offerlift.experiments.assignment import NO_SEGMENTS
from offerlift.experiments.segments import segment_text, segments_of
from offerlift.experiments.snapshot import Published
from offerlift.experiments.spool import Spool
from offerlift.experiments.testing import CapturingRecorder
from offerlift.experiments.wire import EXPOSURE, exposure_fields, from_json, read_fields, to_json

from .shop import NOON, definition, guarded, holdout, published
from .test_guards import CAP


class Device(str, Enum):  # noqa: UP042 - the older way, whose str() is not the text
    PHONE = "phone"


class Tier(IntEnum):
    GOLD = 3


class Hostile(dict[str, Any]):
    def __repr__(self) -> str:
        raise RuntimeError("do not look at me")

    __str__ = __repr__


class Sink:
    """Takes the exposures that a recorder delivers."""

    def __init__(self) -> None:
        self.exposures: list[Exposure] = []

    def write_exposures(self, records: Any) -> None:
        self.exposures += records

    def write_outcomes(self, records: Any) -> None:
        raise AssertionError("no outcomes here")

    write_links = write_outcomes


KEPT = [
    ("DE", "DE"),
    ("de ", "de "),
    ("日本", "日本"),
    ("x" * 255, "x" * 255),
    (True, "true"),
    (False, "false"),
    (20, "20"),
    (-3, "-3"),
    (Decimal(20), "20"),
    (Decimal("20.00"), "20"),
    (Decimal("2E+1"), "20"),
    (Decimal("-0.50"), "-0.5"),
    (Decimal("-0.0"), "0"),
    (Decimal("0E+9"), "0"),
    (Decimal("12345678901234567890123456789012345.10"), "12345678901234567890123456789012345.1"),
    (Device.PHONE, "phone"),
    (Tier.GOLD, "3"),
    (None, None),
    ("", None),
]

DROPPED = [
    ("x" * 256, "at most 255 bytes"),
    ("é" * 128, "at most 255 bytes"),
    ("a\0b", "NUL"),
    ("\ud800", "surrogate"),
    (0.5, "type float"),
    (float("nan"), "type float"),
    (10**300, "at most 255"),
    (10**5_000, "at most 255"),
    (Decimal("1e999999"), "at most 255"),
    (Decimal("1e-999999"), "at most 255"),
    (Decimal("NaN"), "finite"),
    (Decimal("Infinity"), "finite"),
    (b"DE", "type bytes"),
    (["DE"], "type list"),
    ({"country": "DE"}, "type dict"),
    (Hostile(), "type Hostile"),
    (NOON, "type datetime"),
]


@pytest.mark.parametrize(("value", "text"), KEPT, ids=[repr(value)[:20] for value, _ in KEPT])
def test_a_value_becomes_the_text_of_its_category(value: Any, text: str | None) -> None:
    """Text as it is, numbers as digits without trailing zeros, true and false; the text of a text is itself."""
    assert segment_text(value) == text
    assert text is None or (segment_text(text) == text and type(segment_text(value)) is str)


@pytest.mark.parametrize(("value", "reason"), DROPPED, ids=[str(number) for number in range(len(DROPPED))])
def test_what_is_no_category_is_refused_with_its_reason(value: Any, reason: str) -> None:
    """What a column of ids cannot hold, a float and a container are refused; none of them is written out for it."""
    with pytest.raises(InputError, match=reason):
        segment_text(value)


@given(st.integers(-(10**40), 10**40), st.integers(0, 6))
def test_equal_numbers_are_one_category(number: int, zeros: int) -> None:
    """An integer and a Decimal of the same value have the same text, however many zeros it is written with."""
    assert segment_text(Decimal(f"{number}.{'0' * zeros}")) == segment_text(number) == segment_text(str(number))


def test_bad_values_leave_the_good_ones() -> None:
    """Missing values are left out, bad ones counted with a sentence each, the others kept by name in order."""
    kept, dropped = segments_of({"tier": 3, "country": "DE", "device": None, "cart": 1.5, 7: "x", "a\0": "y"})
    assert list(kept.items()) == [("country", "DE"), ("tier", "3")]
    assert len(dropped) == 3
    assert "segment 'cart': a segment is text" in dropped[0]
    assert segments_of("DE") == ({}, ("segments are a mapping of name to value, seen a str",))


def assigned(visitor: str, segments: Any, **changes: Any) -> Assignment:
    return Assignment(visitor, "exp", 1, "a", None, None, Reason.SPLIT, 17, None, segments, "abc")._replace(**changes)


@pytest.fixture(params=["memory", "spool"])
def place(request: pytest.FixtureRequest, tmp_path: Any) -> Any:
    """The spool of a recorder, or None for a recorder without."""
    return tmp_path / "spool.db" if request.param == "spool" else None


def test_an_exposure_carries_the_segments_of_its_definition(place: Any) -> None:
    """Of the attributes, those that the definition names arrive as text, through memory and through a spool."""
    sink = Sink()
    assigner = Assigner(Snapshot.of([published(definition(segments=("country", "tier", "device")))]))
    with Recorder(sink, place, linger=0.0) as recorder:
        recorder.assign_and_expose(assigner, "exp", "v1", {"country": "DE", "tier": 3, "name": "Ann"})
        recorder.assign_and_expose(assigner, "exp", "v2")
        assert recorder.flush(60)
        assert recorder.stats().segments_dropped == 0
    assert {one.visitor: one.segments for one in sink.exposures} == {"v1": {"country": "DE", "tier": "3"}, "v2": {}}


@pytest.mark.parametrize(("value", "reason"), DROPPED, ids=[str(number) for number in range(len(DROPPED))])
def test_a_bad_value_loses_neither_request_nor_exposure(place: Any, value: Any, reason: str) -> None:
    """The call returns, the exposure arrives with its other segments, and the value is counted."""
    sink = Sink()
    with Recorder(sink, place, linger=0.0) as recorder:
        recorder.expose(assigned("v1", {"bad": value, "country": "DE"}))
        assert recorder.flush(60)
        stats = recorder.stats()
    assert [(one.visitor, one.segments) for one in sink.exposures] == [("v1", {"country": "DE"})]
    assert (stats.segments_dropped, stats.dropped, stats.refused, stats.problem) == (1, 0, 0, "")


def test_bad_values_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A thousand bad values of one segment are a thousand counts and one line of the log, which names all it takes."""
    sink = Sink()
    with caplog.at_level(logging.WARNING, "offerlift.experiments"), Recorder(sink) as recorder:
        for number in range(1_000):
            recorder.expose(assigned(f"v{number}", {"cart": 0.5 + number}))
        assert recorder.flush(60)
        assert recorder.stats().segments_dropped == 1_000
    (line,) = [record.getMessage() for record in caplog.records]
    assert "segment 'cart'" in line
    assert "type float; the exposure of 'exp' is recorded without it" in line
    assert len(sink.exposures) == 1_000


def test_a_holdout_exposure_has_no_segments(place: Any) -> None:
    """Segments are of the experiment whose definition names them, not of the holdout that covers it."""
    sink = Sink()
    with Recorder(sink, place, linger=0.0) as recorder:
        recorder.expose(assigned("v1", {"country": "DE"}, holdout=("spring", "offered"), holdout_phase=1))
        assert recorder.flush(60)
    assert {one.experiment: one.segments for one in sink.exposures} == {"exp": {"country": "DE"}, "spring": {}}


def test_a_test_sees_the_segments_that_are_recorded() -> None:
    """The capturing recorder lists what a recorder would write: text, without bad and missing values."""
    recorder = CapturingRecorder()
    segments = {"tier": Decimal("3.0"), "country": None, "cart": 0.5}
    recorder.expose(assigned("v1", segments, holdout=("spring", "offered"), holdout_phase=1), at=NOON)
    assert [one.segments for one in recorder.exposures] == [{"tier": "3"}, {}]


def test_exposures_spooled_before_are_delivered(tmp_path: Any) -> None:
    """Six fields are an exposure without segments, seven one with them, eight are set aside as damaged."""
    path, sink = tmp_path / "spool.db", Sink()
    Spool(path).close()
    six = ["exp", 1, "v1", "a", 5, "abc"]
    with sqlite3.connect(path) as connection:
        for fields in (six, [*six, {"country": "DE"}], [*six, {}, 1]):
            connection.execute("INSERT INTO record (kind, body) VALUES ('exposure', ?)", (json.dumps(fields),))
    connection.close()
    with Recorder(sink, path, linger=0.0) as recorder:
        deadline = time.monotonic() + 60
        while recorder.stats().spooled and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [one.reason[:16] for one in recorder.refused()] == ["a damaged record"]
    assert [one.segments for one in sink.exposures] == [{}, {"country": "DE"}]


def test_without_segments_an_older_version_reads_the_record() -> None:
    """Six fields are written where there are no segments: a process of an older version on the same spool reads it."""
    assert len(exposure_fields("exp", 1, "v1", "a", 5, "abc", {})) == 6
    fields = exposure_fields("exp", 1, "v1", "a", 5, "abc", {"land": "Österreich", "x": '"\\\n'})
    read = read_fields(EXPOSURE, from_json(to_json(fields)))
    at = datetime(1970, 1, 1, 0, 0, 0, 5, tzinfo=UTC)
    assert read == Exposure("exp", "v1", "a", at, 1, "abc", {"land": "Österreich", "x": '"\\\n'})


def test_an_exposure_is_a_value() -> None:
    """It can be hashed, copied into a dictionary and compared, segments included."""
    one = Exposure("exp", "v1", "a", NOON, segments={"country": "DE"})
    assert hash(one) == hash(replace(one, segments={}))
    assert one != replace(one, segments={})
    assert asdict(one)["segments"] == {"country": "DE"}


def test_segments_are_published() -> None:
    """A definition with segments is published and assigned with; without, all assignments share one empty mapping."""
    one = publish(definition(segments=("country",)), None, state="running", at=NOON)
    assert Assigner(Snapshot.of([one])).assign("exp", "v1", {"country": "DE"}).segments == {"country": "DE"}
    plain = publish(definition(), None, state="running", at=NOON)
    assert Assigner(Snapshot.of([plain])).assign("exp", "v1", {"country": "DE"}).segments is NO_SEGMENTS


def test_exploratory_segments_are_recorded_like_the_others() -> None:
    """Assigned and read from the snapshot with; they are part of neither hash, so they may change while it runs."""
    planned = publish(definition(segments=("country",)), None, state="running", at=NOON)
    one = publish(definition(segments=("country",), exploratory_segments=("tier",)), planned, at=NOON)
    assert (one.assignment_hash, one.plan_hash) == (planned.assignment_hash, planned.plan_hash)
    read = Published.from_json(one.to_json())
    assert read.definition.recorded_segments == ("country", "tier")
    given = {"country": "DE", "tier": 3, "cart": 7}
    assert Assigner(Snapshot.of([read])).assign("exp", "v1", given).segments == {"country": "DE", "tier": 3}
    alone = publish(definition(exploratory_segments=("tier",)), None, state="running", at=NOON)
    assert Assigner(Snapshot.of([alone])).assign("exp", "v1", given).segments == {"tier": 3}


@pytest.mark.parametrize("key", ["segments", "exploratory_segments"])
def test_a_holdout_with_segments_is_refused(key: str) -> None:
    """They would never be recorded, so publishing says where to name them instead."""
    with pytest.raises(PublishError) as caught:
        publish(holdout(**{key: ("country",)}), None, at=NOON)
    (finding,) = caught.value.findings
    assert (finding.path, finding.seen) == (key, "country")
    assert "name them in the experiments that it covers" in finding.message


def test_assign_and_expose_hands_counts_and_prices_on() -> None:
    """Guards see the caller's counters, and price rules the caller's prices, in both recorders."""
    capped = definition(arms=tuple(replace(arm, offer=guarded(CAP)) for arm in definition().arms))
    assigner = Assigner(Snapshot.of([published(capped)]))
    with Recorder(Sink()) as real:
        for recorder in (real, CapturingRecorder()):
            shown = recorder.assign_and_expose(assigner, "exp", "v1", counts=Counts(shown=1))
            withheld = recorder.assign_and_expose(assigner, "exp", "v1", counts=Counts(shown=2))
            assert (shown.withheld, withheld.withheld) == (None, "frequency_cap")
            with pytest.raises(InputError, match="base_price"):
                recorder.assign_and_expose(assigner, "exp", "v1", counts=Counts(shown=1), prices={"base_price": 1.5})
