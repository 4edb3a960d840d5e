"""A backend that follows its store: what is published there is in use without a restart."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

import pytest
from offerlift.experiments import BUILT_IN_METRICS, Arm, Definition, LiveAssigner, Plan, Published
from offerlift.experiments.publishing import assignment_hash, plan_hash
from offerlift.storage import Store
from sqlalchemy import text

from .test_audit import AT


@pytest.fixture
def running() -> Published:
    arms = (Arm("a", 5_000), Arm("b", 5_000))
    definition = Definition("exit", "a", arms, (BUILT_IN_METRICS["conversion"],), Plan("conversion"))
    return Published(definition, "running", 1, 1, AT, AT, assignment_hash(definition), plan_hash(definition))


def paused(published: Published) -> Published:
    return replace(published, state="paused", version=published.version + 1)


def wait_for(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_is_published_is_in_use_by_itself(store, store_url, running):
    """Without any call, the background thread finds the new version, in SQLite and in PostgreSQL."""
    store.publish(running)
    live = LiveAssigner(store_url, every=0.05)
    assert live.assign("exit", "v1").reason == "SPLIT"
    store.publish(paused(running))
    wait_for(lambda: live.assign("exit", "v1").reason == "PAUSED")
    assert live.problem == ""
    live.close()


def test_a_bad_version_in_the_store_keeps_the_old_one(store, store_url, running, caplog):
    """A version that cannot be read leaves the answers as they were and is named in `problem` and the log, once; after
    a good one all is well. The password of a URL is in neither."""
    store.publish(running)
    live = LiveAssigner(store_url, every=3600)
    before = live.assign("exit", "v1")
    store.publish(paused(running))
    with store._engine.begin() as connection:
        connection.execute(
            text("UPDATE definition SET document = :bad WHERE version = 2"), {"bad": '{"format": 1, "sta'}
        )
    with caplog.at_level(logging.ERROR, logger="offerlift.experiments"):
        assert live.source.refresh() is False
        assert live.source.refresh() is False
    assert live.assign("exit", "v1") == before
    assert "is kept as it was" in live.problem
    assert store_url not in live.problem + caplog.text
    assert len(caplog.records) == 1
    store.publish(replace(running, state="stopped", version=3))
    assert live.source.refresh() is True
    assert (live.assign("exit", "v1").reason, live.problem) == ("STOPPED", "")
    live.close()


def test_a_store_that_goes_away_keeps_the_old_one(tmp_path, running):
    """Where the store cannot be opened any more, the last snapshot stays in use."""
    path = tmp_path / "shop.db"
    with Store.open(f"sqlite:///{path}") as made:
        made.publish(running)
    live = LiveAssigner(f"sqlite:///{path}", every=3600)
    path.unlink()
    assert live.source.refresh() is False
    assert "is kept as it was" in live.problem
    assert live.assign("exit", "v1").reason == "SPLIT"
    live.close()
