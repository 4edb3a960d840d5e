from __future__ import annotations

import pytest
from offerlift.experiments import Assigner
from offerlift.experiments.integrations.asgi import OffersMiddleware
from offerlift.experiments.testing import CapturingRecorder
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket


async def leave(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.state.offers.assign_and_expose("exit").arm)


def leave_in_a_thread(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.state.offers.visitor, headers={"Vary": "Accept-Language"})


async def about(request: Request) -> PlainTextResponse:
    return PlainTextResponse("about")


async def chat(websocket: WebSocket) -> None:
    visitor = websocket.state.offers.visitor
    await websocket.accept()
    await websocket.send_text(visitor)
    await websocket.close()


@pytest.fixture
def client(assigner: Assigner, recorder: CapturingRecorder) -> TestClient:
    app = Starlette(
        routes=[
            Route("/leave", leave),
            Route("/thread", leave_in_a_thread),
            Route("/about", about),
            WebSocketRoute("/chat", chat),
        ],
        middleware=[
            Middleware(
                OffersMiddleware, assigner=assigner, recorder=recorder, attributes=lambda scope: {"country": "DE"}
            )
        ],
    )
    return TestClient(app)


def test_a_visitor_keeps_id_and_arm(client: TestClient, recorder: CapturingRecorder) -> None:
    """The first response sets the cookie; the second request is the same visitor in the same arm."""
    first, second = client.get("/leave"), client.get("/leave")
    assert first.text == second.text
    rules = first.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=34560000"} == set(rules[1:])
    assert "set-cookie" not in second.headers
    assert first.headers["vary"] == second.headers["vary"] == "Cookie"
    visitor = client.cookies["offerlift_visitor"]
    assert {(each.visitor, each.arm) for each in recorder.exposures} == {(visitor, first.text)}


def test_a_page_without_offers_stays_cacheable(client: TestClient) -> None:
    """An endpoint that asks for nothing sets no cookie and does not vary."""
    response = client.get("/about")
    assert "set-cookie" not in response.headers
    assert "vary" not in response.headers


def test_a_sync_endpoint_and_its_headers(client: TestClient) -> None:
    """An endpoint in a thread has the same visit; its own headers stay."""
    response = client.get("/thread")
    assert response.text == client.cookies["offerlift_visitor"]
    assert response.headers.get_list("vary") == ["Accept-Language", "Cookie"]


@pytest.mark.parametrize(
    "sent", ["offerlift_visitor=v17", 'cart={"a":[1]}; offerlift_visitor=v17; x', "a b=1;offerlift_visitor=v17;y="]
)
def test_odd_cookies_beside_it_do_no_harm(client: TestClient, sent: str) -> None:
    """The id is found among cookies that http.cookies would refuse."""
    assert client.get("/thread", headers={"Cookie": sent}).text == "v17"


def test_https_and_websockets(client: TestClient) -> None:
    """Over HTTPS the cookie is secure, and a websocket sets it when it is accepted."""
    with client.websocket_connect("wss://testserver/chat") as websocket:
        visitor = websocket.receive_text()
        headers = {key: value.decode() for key, value in websocket.extra_headers or []}
    assert headers[b"set-cookie"].startswith(f"offerlift_visitor={visitor}; ")
    assert headers[b"set-cookie"].endswith("; Secure")


def test_the_lifespan_goes_through(client: TestClient) -> None:
    """Start and end of the application are none of the middleware's business."""
    with client:
        assert client.get("/about").status_code == 200


def test_a_missing_option_fails_at_the_start(assigner: Assigner) -> None:
    """Without a recorder, building the application fails, not the first request."""
    with pytest.raises(TypeError, match="recorder"):
        OffersMiddleware(Starlette(), assigner=assigner)
