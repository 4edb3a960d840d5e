"""What the tests of the store share: definitions, times, and a store in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from offerlift.experiments.definition import Arm, Definition, Offer, Plan
from offerlift.experiments.metrics import Column, Metric
from offerlift.experiments.snapshot import Published
from offerlift.storage.store import Store

START = datetime(2026, 3, 1, tzinfo=UTC)
METRICS = (
    Metric("conversion", "conversion", Column("purchase", "converted")),
    Metric("revenue_per_visitor", "revenue", Column("purchase", "value")),
)


@pytest.fixture
def at() -> Callable[[int], datetime]:
    """The time so many microseconds after the experiment's start."""
    return lambda micros: START + timedelta(microseconds=micros)


@pytest.fixture
def make_published() -> Callable[..., Published]:
    """A published version of an experiment with arms a (control), b and c."""

    def make(
        key: str = "exit",
        metrics: tuple[Metric, ...] = METRICS,
        *,
        arms: tuple[str, ...] = ("a", "b", "c"),
        version: int = 1,
        currency: str = "EUR",
    ) -> Published:
        weights = [10_000 - len(arms) + 1, *[1] * (len(arms) - 1)]
        definition = Definition(
            key,
            arms[0],
            tuple(Arm(arm, weight) for arm, weight in zip(arms, weights, strict=True)),
            metrics,
            Plan(metrics[0].name),
            currency=currency,
        )
        return Published(definition, "running", 1, version, START, START, "hash", "plan")

    return make


@pytest.fixture
def memory() -> Iterator[Store]:
    """An empty store in memory."""
    with Store.open("sqlite://") as opened:
        yield opened


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """A file of that text (or those bytes), for reading back."""

    def write_file(content: str | bytes, name: str = "shop.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


@pytest.fixture
def offering(make_published: Callable[..., Published]) -> Callable[..., Published]:
    """A published version whose arm b has an offer and whose arm c has one with two alternatives; a has none."""

    def make(key: str = "exit", metrics: tuple[Metric, ...] = METRICS) -> Published:
        published = make_published(key, metrics)
        control, b, c = published.definition.arms
        arms = (
            control,
            replace(b, offer=Offer("rebate", "downsell", "cart", "offer_declined")),
            replace(c, offer=Offer("small", "downsell", "cart", "offer_declined", alternatives=("slow", "gift"))),
        )
        offers = tuple(Offer(name, "downsell", "cart", "offer_declined") for name in ("slow", "gift"))
        return replace(published, definition=replace(published.definition, arms=arms, offers=offers))

    return make
