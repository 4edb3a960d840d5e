"""Dashboards of real stores, by Starlette's own client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from offerlift.reports.web import app
from offerlift.storage import Store
from starlette.testclient import TestClient

from ...shelf import CASES, fill, fill_shelf

FEW = (
    *("cart-free-shipping", "thank-you-upsell", "twelve-arms", "names", "no-outcomes", "not-looked-at-yet"),
    "a-draft",
)
"""Of the shelf, one of each kind: a winner, one with a look due, many arms, names, unhealthy, withheld, a draft."""


@pytest.fixture(scope="session")
def few_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a few of the shelf, reviewed for three weeks; nobody writes to it."""
    path = tmp_path_factory.mktemp("few") / "few.db"
    with Store.open(path) as store:
        fill_shelf(store, cases={key: CASES[key] for key in FEW})
    return path


@pytest.fixture(scope="session")
def few_client(few_file: Path) -> Iterator[TestClient]:
    """Its dashboard, which all tests share: what was computed for one need not be for the next."""
    with TestClient(app(few_file, fresh_seconds=3600), base_url="http://localhost") as client:
        yield client


@pytest.fixture(scope="session")
def draft_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with nothing but a draft, which is computed in no time; nobody writes to it."""
    path = tmp_path_factory.mktemp("draft") / "draft.db"
    with Store.open(path) as store:
        fill(store, "a-draft", CASES["a-draft"])
    return path


@pytest.fixture(scope="session")
def loaded() -> Callable[..., str]:
    """Ask for a page until no experiment is waited for; the page."""

    def load(client: TestClient, url: str = "/") -> str:
        for _ in range(200):
            answer = client.get(url)
            if "being computed" not in answer.text:
                return answer.text
        pytest.fail("the dashboard did not finish")

    return load
