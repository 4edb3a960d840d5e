from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from offerlift.errors import InputError, SnapshotError
from offerlift.experiments import Definition, Metric, Published, Rule, Snapshot, State, parse_definition
from offerlift.experiments.codec import definition_from_dict, definition_to_dict

AT = datetime(2026, 3, 1, 12, 0, 0, 123, tzinfo=UTC)

texts = st.text(st.characters(codec="utf-8"), max_size=8)
finite = st.floats(allow_nan=False, allow_infinity=False)
scalars = texts | st.integers() | finite | st.booleans()
_STRATEGIES = {
    str: texts,
    float: finite,
    Decimal: st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12),
    datetime: st.datetimes(timezones=st.just(UTC)),
    Fraction: st.fractions(),
    Rule: st.builds(Rule, texts, st.sampled_from(["eq", "in"]), st.none() | scalars | st.lists(scalars).map(tuple)),
}
filters = st.lists(st.tuples(texts, texts, scalars | st.lists(scalars, max_size=2).map(tuple)), max_size=2).map(tuple)


@st.composite
def instances(draw: st.DrawFn, kind: Any) -> Any:
    """A value of an annotated type of `definition.py`, every field drawn."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in _STRATEGIES:
        return draw(_STRATEGIES[kind])
    if origin in (Union, UnionType):
        return draw(instances(draw(st.sampled_from(arguments))))
    if origin is Literal:
        return draw(st.sampled_from(arguments))
    if origin is tuple and arguments[-1] is Ellipsis:
        return tuple(draw(instances(arguments[0])) for _ in range(draw(st.integers(0, 2))))
    if origin is tuple:
        return tuple(draw(instances(one)) for one in arguments)
    if origin is Mapping:
        return {draw(texts): draw(instances(arguments[1])) for _ in range(draw(st.integers(0, 2)))}
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        given_filters = {"filters": draw(filters)} if kind is Metric else {}
        drawn = {one.name: draw(instances(hints[one.name])) for one in fields(kind) if one.name not in given_filters}
        return kind(**drawn, **given_filters)  # pyright: ignore[reportCallIssue]
    return draw(st.from_type(kind))


def _published(text: str, state: State = "running", version: int = 1) -> Published:
    return Published(parse_definition(text), state, 1, version, AT, AT, "a" * 16, "b" * 16)


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(instances(Definition))
def test_definition_round_trip(definition: Definition) -> None:
    """Every definition, whatever is in its fields, is the same after JSON."""
    again = definition_from_dict(json.loads(json.dumps(definition_to_dict(definition), allow_nan=False)))
    assert again == definition
    assert [type(rule.value) for rule in again.eligibility] == [type(rule.value) for rule in definition.eligibility]


def test_examples_round_trip(exit_downsell: str, cart_factorial: str, everything: str, tmp_path: Path) -> None:
    """A snapshot of real definitions is the same after writing and loading, and so is a version alone."""
    snapshot = Snapshot.of(_published(text) for text in (exit_downsell, cart_factorial, everything))
    snapshot.write(tmp_path / "offers.json")
    assert Snapshot.load(tmp_path / "offers.json") == snapshot
    assert len(snapshot) == 3
    for one in snapshot.values():
        assert Published.from_json(one.to_json()) == one


def test_format_comes_first(exit_downsell: str) -> None:
    """The first key of both JSON forms is the integer `format`."""
    for text in (Snapshot.of([_published(exit_downsell)]).to_json(), _published(exit_downsell).to_json()):
        assert next(iter(json.loads(text).items())) == ("format", 1)


def test_empty_snapshot() -> None:
    """A snapshot without experiments is valid."""
    assert dict(Snapshot.from_json(Snapshot({}).to_json())) == {}


def test_text_is_readable(exit_downsell: str) -> None:
    """Human text is written as it is, not as escapes."""
    assert "free shipping — or nothing" in Snapshot.of([_published(exit_downsell)]).to_json()


def test_same_number_same_text(everything: str) -> None:
    """89.90 and 89.9 are one price: equal definitions have equal JSON, and so equal hashes."""
    other = everything.replace("89.90", "89.9")
    assert definition_to_dict(parse_definition(everything)) == definition_to_dict(parse_definition(other))


def test_replace(exit_downsell: str, cart_factorial: str) -> None:
    """`replace` gives a new snapshot and leaves the old one alone."""
    old = Snapshot.of([_published(exit_downsell)])
    new = old.replace(_published(cart_factorial)).replace(_published(exit_downsell, version=2))
    assert {key: one.version for key, one in old.items()} == {"exit-downsell": 1}
    assert {key: one.version for key, one in new.items()} == {"exit-downsell": 2, "cart-threshold": 1}


def _damaged(text: str) -> list[tuple[str, str]]:
    whole = Snapshot.of([_published(text)]).to_json()
    values = json.loads(whole)
    experiment = values["experiments"]["exit-downsell"]

    def changed(path: list[Any], value: Any) -> str:
        copy = json.loads(whole)
        place = copy
        for part in path[:-1]:
            place = place[part]
        if value is ...:
            del place[path[-1]]
        else:
            place[path[-1]] = value
        return json.dumps(copy)

    inside = ["experiments", "exit-downsell"]
    assert experiment["state"] == "running"
    return [
        (whole[: len(whole) // 2], "truncated"),
        ("", "truncated"),
        ("[" * 100_000, "truncated"),
        ("[]", "must be a JSON object"),
        (changed(["format"], 2), "reads format 1, seen 2"),
        (changed(["format"], "1"), "reads format 1, seen '1'"),
        (changed(["format"], ...), "reads format 1, seen None"),
        (changed(["experiments"], []), "no object `experiments`"),
        (changed([*inside, "state"], "runing"), "exit-downsell.state: must be one of draft, running"),
        (changed([*inside, "version"], True), "version: must be an integer"),
        (changed([*inside, "version"], ...), "'version' is missing"),
        (changed([*inside, "extra"], 1), "unknown key 'extra'"),
        (changed([*inside, "published_at"], "2026-03-01T00:00:00"), "a time with its offset"),
        (changed([*inside, "published_at"], "soon"), "must be a datetime"),
        (changed([*inside, "definition"], 5), "must be an object"),
        (changed([*inside, "definition", "experiment"], "other"), "holds the definition of 'other'"),
        (changed([*inside, "definition", "arms"], {}), "arms: must be a list"),
        (changed([*inside, "definition", "arms", 0, "weight"], 0.5), "arms[0].weight: must be an integer"),
        (changed([*inside, "definition", "arms", 1, "offer", "discount", "value"], "NaN"), "a finite number"),
        (changed([*inside, "definition", "arms", 1, "offer", "discount", "value"], "ten"), "must be a Decimal"),
        (changed([*inside, "definition", "traffic"], "1/0"), "must be a Fraction"),
        (changed([*inside, "definition", "layer_range"], [1]), "a list of 2"),
        (changed([*inside, "definition", "eligibility", 0, "value"], {}), "eligibility[0].value"),
        (changed([*inside, "definition", "currency"], None), "currency: must be text"),
    ]


def test_damaged_snapshots(exit_downsell: str, tmp_path: Path) -> None:
    """Every damage is a SnapshotError that names the place and says what to do, never another exception."""
    for content, expected in _damaged(exit_downsell):
        (tmp_path / "offers.json").write_text(content)
        with pytest.raises(SnapshotError) as caught:
            Snapshot.load(tmp_path / "offers.json")
        assert expected in caught.value.message
        assert caught.value.hint
        assert "offers.json" in caught.value.message


def test_unreadable_files(tmp_path: Path) -> None:
    """A missing file, a folder and bytes that are not UTF-8 are SnapshotErrors."""
    (tmp_path / "bytes.json").write_bytes(b'{"format": 1, "\xff"}')
    for name, expected in [("missing.json", "no snapshot at"), (".", "cannot read"), ("bytes.json", "not UTF-8")]:
        with pytest.raises(SnapshotError, match=expected):
            Snapshot.load(tmp_path / name)


def test_write_is_atomic(exit_downsell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When writing fails half-way, the old file is untouched and nothing is left beside it."""
    path = tmp_path / "offers.json"
    Snapshot({}).write(path)
    before = path.read_bytes()

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(SnapshotError, match="No space left"):
        Snapshot.of([_published(exit_downsell)]).write(path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["offers.json"]


def test_write_into_a_missing_folder(tmp_path: Path) -> None:
    """A folder that does not exist is a SnapshotError with a hint."""
    with pytest.raises(SnapshotError, match="cannot write") as caught:
        Snapshot({}).write(tmp_path / "none" / "offers.json")
    assert caught.value.hint


def test_decoding_refuses_lists_of_wrong_content() -> None:
    """A definition that is no object at all is an InputError."""
    with pytest.raises(InputError, match="must be an object"):
        definition_from_dict([])
