"""Who may read the dashboard, by which name, and the headers that every answer has."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from html import unescape

import pytest
from fastapi import FastAPI
from offerlift.errors import InputError
from offerlift.reports.web import app
from offerlift.reports.web.guarding import host_name
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

TOKEN = "a token of the shop 1234"


@pytest.fixture
def guarded(draft_file):
    """A dashboard that asks for a token."""
    with TestClient(app(draft_file, token=TOKEN), base_url="https://localhost") as client:
        yield client


@pytest.mark.parametrize("place", ["/", "/experiment?key=a-draft", "/overview.json", "/compare", "/nowhere"])
def test_every_answer_has_the_headers(few_client, place):
    """Nothing may be loaded, framed, stored or sniffed, whatever was asked for."""
    headers = few_client.get(place).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in policy
    assert not re.search("script|unsafe|data:|http", policy)
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


def test_the_policy_names_the_style_sheet_that_is_sent(few_client):
    """The hash in the header is that of the one element `style` of the page."""
    answer = few_client.get("/nowhere")
    (sheet,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in answer.headers["content-security-policy"]
    assert f"style-src 'sha256-{digest}';" in unescape(answer.text)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8321", 200),
        ("127.0.0.1:8321", 200),
        ("[::1]:8321", 200),
        ("192.168.1.7", 200),
        ("offers.shop.example", 200),
        ("evil.example", 400),
        ("localhost.evil.example", 400),
        ("offers.shop.example.evil.example:80", 400),
        ("localhost@evil.example", 400),
        ("", 400),
        ("[::1", 400),
        ("a b", 400),
    ],
)
def test_other_names_for_the_server_are_refused(draft_file, host, status):
    """A name that somebody else points here (DNS rebinding) gets no page."""
    with TestClient(app(draft_file, hosts=["offers.shop.example"]), base_url="http://localhost") as client:
        assert client.get("/sign-in", headers={"host": host}, follow_redirects=False).status_code in (303, 400)
        assert client.get("/", headers={"host": host}).status_code == status


def test_host_names_lose_their_port():
    """And the brackets of IPv6."""
    assert [host_name(one) for one in ("A.b:80", "[::1]:8", "::1:8", "a:b", "a:")] == ["a.b", "::1", "", "", ""]


def test_without_the_token_nothing_is_shown(guarded):
    """Neither page nor file nor whether an experiment exists; a browser gets a form, others a line."""
    for place in ("/", "/experiment?key=a-draft", "/experiment?key=none", "/overview.csv", "/nowhere"):
        answer = guarded.get(place, headers={"accept": "text/html"})
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert 'type="password"' in answer.text
        assert "a-draft" not in re.sub(r'name="next" value="[^"]*"', "", answer.text)
    answer = guarded.get("/overview.json")
    assert (answer.status_code, answer.headers["content-type"]) == (401, "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"Bearer {TOKEN[:-1]}", 401),
        (f"Bearer {TOKEN}x", 401),
        ("Bearer ", 401),
        (f"Basic {TOKEN}", 401),
        ("Bearer tökén".encode().decode("latin-1"), 401),
    ],
)
def test_a_token_is_taken_from_the_header(guarded, sent, status):
    """The whole token, as a bearer."""
    assert guarded.get("/", headers={"authorization": sent.encode("latin-1")}).status_code == status


def test_the_form_gives_a_cookie_that_scripts_and_other_sites_do_not_get(guarded):
    """HttpOnly, SameSite=Strict, Secure over https; the token is not in it, and the page that was asked for follows."""
    asked = guarded.get("/experiment?key=a-draft", headers={"accept": "text/html"}).text
    place = re.search(r'name="next" value="([^"]*)"', asked).group(1)
    answer = guarded.post("/sign-in", data={"token": TOKEN, "next": place}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "./experiment?key=a-draft")
    cookie = answer.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Secure", "Path=/;"))
    assert TOKEN not in cookie
    assert guarded.get("/experiment?key=a-draft").status_code == 200


def test_a_wrong_token_gives_no_cookie(guarded):
    """Nor does none, nor a form that is too long, nor one from another site."""
    for data in ({"token": "wrong"}, {}, {"token": TOKEN + "x" * 5000}, {"token": "ü" * 20}):
        answer = guarded.post("/sign-in", data=data)
        assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
    answer = guarded.post("/sign-in", data={"token": TOKEN}, headers={"sec-fetch-site": "cross-site"})
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)


@pytest.mark.parametrize(
    "place", ["//evil.example", "https://evil.example", "\\evil", "experiment/../..", "javascript:1"]
)
def test_signing_in_leads_nowhere_else(guarded, place):
    """A place that is none of the dashboard's pages is its overview."""
    answer = guarded.post("/sign-in", data={"token": TOKEN, "next": place}, follow_redirects=False)
    assert answer.headers["location"] == "./"


def test_a_forged_or_old_cookie_is_nothing(guarded, draft_file, monkeypatch):
    """The end of its time is signed, by the token."""
    guarded.post("/sign-in", data={"token": TOKEN}, follow_redirects=False)
    value = guarded.cookies["offerlift_dashboard"]
    until, _, signed = value.partition(".")
    guarded.cookies.clear()
    later = f"{int(until) + 1}.{signed}"
    with TestClient(app(draft_file, token=TOKEN[::-1]), base_url="https://localhost") as other:
        cases = [
            (guarded, later),
            (guarded, f"{until}."),
            (guarded, "x.y"),
            (guarded, f"²{until}.{signed}"),
            (other, value),
        ]
        for client, cookie in cases:
            sent = f"offerlift_dashboard={cookie}".encode()
            assert client.get("/", headers=[(b"cookie", sent)]).status_code == 401
    sent = {"cookie": f"offerlift_dashboard={value}"}
    assert guarded.get("/", headers=sent).status_code == 200
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 13 * 3600)
    assert guarded.get("/", headers=sent).status_code == 401


def test_under_a_prefix_the_cookie_is_the_dashboard_s_alone(draft_file):
    """Its path is where the dashboard is mounted, and signing in leads back to it."""
    whole = FastAPI()
    whole.mount("/offers", app(draft_file, token=TOKEN))
    with TestClient(whole, base_url="http://localhost") as client:
        answer = client.post("/offers/sign-in", data={"token": TOKEN}, follow_redirects=False)
        assert "Path=/offers/;" in answer.headers["set-cookie"]
        assert client.get("/offers/").status_code == 200
        assert client.get("/offers/sign-in", headers={"accept": "text/html"}).status_code == 401


def test_a_short_token_is_refused():
    """It is all that keeps others out."""
    with pytest.raises(InputError, match="15 characters"):
        app("shop.db", token="x" * 15)


def test_there_are_no_websockets(few_client):
    """A connection that is no request is closed."""
    with pytest.raises(WebSocketDisconnect), few_client.websocket_connect("/"):
        pass
