from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import django
import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.test.utils import override_settings
from django.urls import path
from offerlift.experiments import Assigner
from offerlift.experiments.integrations.django import offers_middleware
from offerlift.experiments.testing import CapturingRecorder

SHOP = "offerlift_tests_django_shop"

if not settings.configured:
    settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=SHOP, MIDDLEWARE=[f"{SHOP}.offers"])
    django.setup()


@pytest.fixture
def shop(assigner: Assigner, recorder: CapturingRecorder) -> Iterator[None]:
    """The module that a project would write: middleware, views and routes."""

    def leave(request: Any) -> HttpResponse:
        return HttpResponse(request.offers.assign_and_expose("exit").arm)

    async def leave_async(request: Any) -> HttpResponse:
        return HttpResponse(request.offers.assign_and_expose("exit").arm)

    def customer(request: Any) -> str | None:
        return request.headers.get("X-Customer")

    module: Any = ModuleType(SHOP)
    module.offers = offers_middleware(
        assigner, recorder, identify=customer, attributes=lambda request: {"country": request.GET.get("country", "DE")}
    )
    module.urlpatterns = [
        path("leave", leave),
        path("leave-async", leave_async),
        path("about", lambda request: HttpResponse(b"about")),
    ]
    sys.modules[SHOP] = module
    with override_settings(ROOT_URLCONF=SHOP):
        yield
    del sys.modules[SHOP]


@pytest.mark.usefixtures("shop")
class TestDjango:
    def test_a_visitor_keeps_id_and_arm(self, recorder: CapturingRecorder) -> None:
        """The first response sets the cookie; the second request is the same visitor in the same arm."""
        client: Any = Client()
        first, second = client.get("/leave"), client.get("/leave")
        assert first.content == second.content
        cookie = first.cookies["offerlift_visitor"]
        assert (cookie["max-age"], cookie["httponly"], cookie["samesite"], cookie["secure"]) == (
            34560000,
            True,
            "Lax",
            "",
        )
        assert not second.cookies
        assert first.headers["Vary"] == second.headers["Vary"] == "Cookie"
        assert {(each.visitor, each.arm) for each in recorder.exposures} == {(cookie.value, first.content.decode())}

    def test_the_async_stack(self, recorder: CapturingRecorder) -> None:
        """Under ASGI the middleware runs as a coroutine, with the same answer for the same visitor."""
        client: Any = Client()
        sync = client.get("/leave")
        asynchronous: Any = AsyncClient()
        asynchronous.cookies = client.cookies
        response = asyncio.run(asynchronous.get("/leave-async"))
        assert response.content == sync.content
        assert response.headers["Vary"] == "Cookie"
        assert len({each.visitor for each in recorder.exposures}) == 1
        assert len(recorder.exposures) == 2

    def test_a_page_without_offers_stays_cacheable(self) -> None:
        """A view that asks for nothing sets no cookie and does not vary."""
        client: Any = Client()
        response = client.get("/about")
        assert not response.cookies
        assert "Vary" not in response.headers

    def test_the_shops_own_id(self, recorder: CapturingRecorder) -> None:
        """An id from the request comes first, and sets no cookie."""
        client: Any = Client()
        response = client.get("/leave", headers={"X-Customer": "c-1"})
        assert [each.visitor for each in recorder.exposures] == ["c-1"]
        assert not response.cookies

    def test_attributes_and_https(self, recorder: CapturingRecorder) -> None:
        """Attributes come from the request; over HTTPS the cookie is secure."""
        client: Any = Client()
        response = client.get("/leave?country=FR", secure=True)
        assert response.content == b"control"
        assert recorder.exposures == []
        assert response.cookies["offerlift_visitor"]["secure"]
