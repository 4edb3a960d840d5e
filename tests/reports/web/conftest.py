"""Dashboards of real stores, by Starlette's own client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from offerlift.reports.web import app
from starlette.testclient import TestClient


@pytest.fixture(scope="session")
def shelf_client(shelf_file: Path) -> Iterator[TestClient]:
    """The dashboard of the shelf, which all tests share: what was computed for one need not be for the next."""
    with TestClient(app(shelf_file, fresh_seconds=3600), base_url="http://localhost") as client:
        yield client


@pytest.fixture
def loaded() -> Callable[..., str]:
    """Ask for a page until no experiment is waited for; the page."""

    def load(client: TestClient, url: str = "/") -> str:
        for _ in range(200):
            answer = client.get(url)
            if "being computed" not in answer.text:
                return answer.text
        pytest.fail("the dashboard did not finish")

    return load
