from __future__ import annotations

import pytest
from flask import Flask, Response, abort, g, make_response
from flask.testing import FlaskClient
from offerlift.experiments import Assigner
from offerlift.experiments.integrations.flask import Offers
from offerlift.experiments.testing import CapturingRecorder


@pytest.fixture
def client(assigner: Assigner, recorder: CapturingRecorder) -> FlaskClient:
    app = Flask("shop")
    Offers(app, assigner, recorder, attributes=lambda request: {"country": request.headers.get("X-Country", "DE")})

    @app.get("/leave")
    def leave() -> str:
        return g.offers.assign_and_expose("exit").arm

    @app.get("/about")
    def about() -> str:
        return "about"

    @app.get("/gone")
    def gone() -> str:
        g.offers.assign("exit")
        abort(410)

    @app.get("/language")
    def language() -> Response:
        response = make_response(g.offers.visitor)
        response.vary.add("Accept-Language")
        return response

    return app.test_client()


def test_a_visitor_keeps_id_and_arm(client: FlaskClient, recorder: CapturingRecorder) -> None:
    """The first response sets the cookie; the second request is the same visitor, in the same arm."""
    first, second = client.get("/leave"), client.get("/leave")
    assert first.text == second.text
    assert "offerlift_visitor=" in first.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=34560000"} <= set(first.headers["Set-Cookie"].split("; "))
    assert "Set-Cookie" not in second.headers
    assert first.headers["Vary"] == second.headers["Vary"] == "Cookie"
    cookie = client.get_cookie("offerlift_visitor")
    assert cookie is not None
    assert {(each.visitor, each.arm) for each in recorder.exposures} == {(cookie.value, first.text)}


def test_a_page_without_offers_stays_cacheable(client: FlaskClient) -> None:
    """A view that asks for nothing sets no cookie and does not vary."""
    response = client.get("/about")
    assert "Set-Cookie" not in response.headers
    assert "Vary" not in response.headers


def test_attributes_come_from_the_request(client: FlaskClient, recorder: CapturingRecorder) -> None:
    """A visitor from elsewhere is not eligible: the control, and no exposure."""
    assert client.get("/leave", headers={"X-Country": "FR"}).text == "control"
    assert recorder.exposures == []


def test_errors_and_https(client: FlaskClient) -> None:
    """An error response keeps the visitor too, and over HTTPS the cookie is secure."""
    response = client.get("/gone", base_url="https://shop.example")
    assert response.status_code == 410
    assert "Secure" in response.headers["Set-Cookie"]


def test_other_vary_headers_stay(client: FlaskClient) -> None:
    """What the view says about caching is kept."""
    assert client.get("/language").headers["Vary"] == "Accept-Language, Cookie"


def test_an_application_factory(assigner: Assigner, recorder: CapturingRecorder) -> None:
    """Without an application, `init_app` attaches later, with another cookie name."""
    offers = Offers(None, assigner, recorder, cookie="vid")
    app = Flask("shop")
    offers.init_app(app)
    app.add_url_rule("/", view_func=lambda: g.offers.visitor)
    client = app.test_client()
    client.set_cookie("vid", "v17")
    assert client.get("/").text == "v17"
    assert app.extensions["offerlift"] is offers
