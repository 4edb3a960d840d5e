"""The dashboard's pages: what they show and withhold, that they record nothing, and what a bad address gets."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from datetime import timedelta
from html import escape, unescape
from urllib.parse import quote, urljoin

import pytest
from fastapi import FastAPI
from offerlift.cli.app import run
from offerlift.experiments.publishing import publish, start
from offerlift.reports import review_store
from offerlift.reports.web import app
from offerlift.storage import Store
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from ...shelf import CASES, END, LONG_NAME, RIGHT_TO_LEFT, SCRIPT, START, Case, definition_of, fill
from .conftest import FEW

BEFORE, AFTER = "2026-03-15", "2026-04-01"
"""Days before and after the looks that the shelf has."""


def test_the_overview_has_every_experiment_in_the_order_of_the_meeting(few_client, loaded, few_file):
    """As `review --dry-run` has them, each with a link to its page."""
    page = loaded(few_client)
    with Store.open(few_file, read_only=True) as store:
        review = review_store(store, dry_run=True)
    places = [page.index(f"experiment?key={row.card.experiment}") for row in review.rows]
    assert places == sorted(places)
    assert len(places) == len(FEW)
    assert "Nothing is recorded by reading this page." in page


@pytest.mark.parametrize("key", FEW)
def test_an_experiment_has_the_page_of_the_report(few_client, key):
    """Health, arms and definition stand there, and names are text."""
    answer = few_client.get("/experiment", params={"key": key})
    assert answer.status_code == 200
    for arm in CASES[key].visitors:
        assert escape(arm) in answer.text
    assert SCRIPT not in answer.text
    assert "Can the numbers be trusted?" in answer.text


def test_downloads_say_the_same_as_the_command_line(few_client, few_file, capsys):
    """JSON as `analyze --json`, CSV as `analyze --format csv`; the HTML is a page without a server."""
    query = {"key": "cart-free-shipping", "as_of": AFTER}
    answers = {end: few_client.get(f"/experiment.{end}", params=query) for end in ("json", "csv", "html")}
    told = ["analyze", "cart-free-shipping", "--as-of", AFTER, "--db", f"sqlite:///{few_file}", "--format"]
    assert run([*told, "json"]) == 0
    assert answers["json"].json() == json.loads(capsys.readouterr().out)
    assert run([*told, "csv"]) == 0
    assert answers["csv"].text == capsys.readouterr().out
    assert answers["html"].text.startswith("<!doctype html>")
    assert "as_of" not in answers["html"].text
    for end, answer in answers.items():
        name = f"cart-free-shipping-{AFTER}.{end}"
        said = f"attachment; filename=\"{name}\"; filename*=UTF-8''{name}"
        assert answer.headers["content-disposition"] == said


def test_the_whole_review_can_be_downloaded(few_client, loaded):
    """All experiments as one page, one table and one document."""
    loaded(few_client)
    page, table, document = (few_client.get(f"/overview.{end}") for end in ("html", "csv", "json"))
    assert page.text.count('<article id="experiment-') == len(FEW)
    assert {row["experiment"] for row in csv.DictReader(io.StringIO(table.text))} == set(FEW)
    assert {one["experiment"] for one in document.json()["experiments"]} == set(FEW)
    assert document.json()["dry_run"] is True


def test_what_the_review_withholds_is_withheld_everywhere(tmp_path):
    """Before the first look no address gives an effect, here of 90 buyers against 30."""
    path = tmp_path / "early.db"
    with Store.open(path) as store:
        fill(store, "early", CASES["not-looked-at-yet"])
        shown = review_store(store, "2026-04-06", dry_run=True).rows[0].card
    assert shown.withheld
    with TestClient(app(path), base_url="http://localhost") as client:
        pages = {
            place: client.get(place, params={"key": "early"} | query).text
            for place, query in (
                ("/experiment", {"as_of": "2026-04-06"}),
                ("/experiment.html", {}),
                ("/experiment.csv", {}),
                ("/compare", {"from": BEFORE, "to": "2026-04-06"}),
            )
        }
        pages |= {place: client.get(place).text for place in ("/", "/overview.html", "/overview.csv")}
        document = client.get("/experiment.json", params={"key": "early"}).json()
    for place, page in pages.items():
        assert "withheld" in page, place
        # Its conversion is 30 %, that of the control 10 %, and the lift +200 %.
        assert "200%" not in page, place
        assert "30.0%" not in page, place
    comparisons = [one for metric in document["metrics"] for one in metric["comparisons"]]
    assert all(one["withheld"] and one["difference"]["estimate"] is None for one in comparisons)
    assert all(arm["value"] is None for metric in document["metrics"] for arm in metric["arms"])


def test_reading_records_nothing(tmp_path, few_file, loaded, until):
    """After every page was read, with looks due, the file has the bytes that it had, and no file beside it."""
    path = tmp_path / "shop.db"
    path.write_bytes(few_file.read_bytes())
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    with Store.open(path, read_only=True) as store:
        assert any(row.reviewed.look for row in review_store(store, END, dry_run=True).rows), "no look is due"
        looks = {key: store.looks(key) for key in store.experiments()}
    with TestClient(app(path), base_url="http://localhost") as client:
        loaded(client)
        for place in ("/experiment", "/experiment.html", "/experiment.json", "/experiment.csv"):
            assert client.get(place, params={"key": "cart-free-shipping"}).status_code == 200
        loaded(client, f"/compare?from={BEFORE}&to={AFTER}")
    # SQLite's own two files go when the last thread has closed the store.
    until(lambda: [file.name for file in tmp_path.iterdir()] == ["shop.db"])
    with Store.open(path, read_only=True) as store:
        assert {key: store.looks(key) for key in store.experiments()} == looks
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_two_days_stand_side_by_side(few_client):
    """What differs is marked and counted; a number is that of its day."""
    query = {"key": "cart-free-shipping", "from": BEFORE, "to": AFTER}
    page = few_client.get("/compare", params=query).text
    assert '<tr class="changed">\n<th scope="row">What to do</th>' in page
    visitors = page.split("Visitors of “control”")[1].split("</tr>")[0]
    counts = [
        few_client.get("/experiment.json", params={"key": query["key"], "as_of": day}).json() for day in (BEFORE, AFTER)
    ]
    for count in counts:
        assert f"{count['arms'][0]['visitors']:,}" in visitors
    assert counts[0]["arms"][0]["visitors"] < counts[1]["arms"][0]["visitors"]


def test_the_same_day_twice_differs_in_nothing(few_client):
    """No line is marked."""
    page = few_client.get("/compare", params={"key": "names", "from": AFTER, "to": AFTER}).text
    assert 'class="changed"' not in page
    assert "None of" in page


def test_all_experiments_are_compared(few_client, loaded):
    """Those that changed stand first, each with a link to its own comparison."""
    page = loaded(few_client, f"/compare?from={BEFORE}&to={AFTER}")
    assert page.index("cart-free-shipping") < page.index("a-draft")
    assert f"compare?key=cart-free-shipping&amp;from={BEFORE}&amp;to={AFTER}" in page
    assert page.rindex('class="changed"') < page.index(">same<")


@pytest.mark.parametrize(
    ("place", "status", "said"),
    [
        ("/nowhere", 404, "There is no such page."),
        ("/experiment", 404, "There is no experiment"),
        ("/experiment?key=cart-free-shiping", 404, "Did you mean"),
        ("/experiment?key=..%2F..%2Fetc%2Fpasswd", 404, "There is no experiment"),
        (f"/experiment?key={'x' * 50_000}", 404, "There is no experiment"),
        ("/experiment?key=%00%ff", 404, "There is no experiment"),
        (f"/experiment?key={quote(SCRIPT)}", 404, escape(SCRIPT)),
        ("/?as_of=yesterday", 400, "as_of is a day such as 2026-05-04"),
        ("/?as_of=2026-02-30", 400, "as_of is a day"),
        ("/?as_of=9999-12-31", 400, "lies in the future"),
        ("/?as_of=0001-01-01", 200, "1970-01-01"),
        ("/experiment?key=a-draft&as_of=1969-12-31", 400, "1970-01-01"),
        ("/compare?from=2026-03-01", 400, "to is not given"),
        ("/compare?key=a-draft&from=x&to=y", 400, "from is a day"),
    ],
)
def test_a_bad_address_is_answered_in_plain_words(few_client, loaded, place, status, said):
    """With the code that belongs to it, and no name as markup."""
    if status == 200:
        loaded(few_client, place)
    answer = few_client.get(place)
    assert answer.status_code == status
    assert said.replace("'", "&#39;") in answer.text
    assert SCRIPT not in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_nothing_can_be_sent(few_client, method):
    """Every method but GET and HEAD is refused, on every page."""
    for place in ("/", "/experiment", "/compare", "/nowhere"):
        answer = few_client.request(method, place)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_head_is_answered_like_get(few_client, loaded):
    """The same status and type, for pages and files."""
    loaded(few_client)
    for place in ("/", "/experiment?key=a-draft", "/experiment.csv?key=a-draft", "/overview.json", "/nowhere"):
        head, get = few_client.head(place), few_client.get(place)
        assert (head.status_code, head.headers["content-type"]) == (get.status_code, get.headers["content-type"])


def test_without_a_store_it_says_so_and_recovers(tmp_path):
    """503 with a word on when to come again; once there is a store, its pages."""
    path = tmp_path / "late.db"
    with TestClient(app(path), base_url="http://localhost") as client:
        answer = client.get("/")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "late.db" in answer.text
        Store.open(path).close()
        answer = client.get("/")
        assert answer.status_code == 200
        assert "The store has no experiments yet." in answer.text


ODD = ["a/b/../c", "a?b=c&d#e", 'say "hello"', SCRIPT, RIGHT_TO_LEFT, LONG_NAME, "%2e%2e", " spaces ", "a\\b\r\nX-Y: z"]


def test_keys_are_safe_in_addresses_and_file_names(tmp_path, loaded):
    """Whatever a key is made of, its links lead to its page, and a download's name is a name of one file."""
    path = tmp_path / "odd.db"
    case = Case({"control": 40, "b": 40}, {"control": 4, "b": 6})
    with Store.open(path) as store:
        for key in ODD:
            version = publish(definition_of(key, case), None, at=START)
            store.publish(version)
            store.publish(start(version, START))
    with TestClient(app(path), base_url="http://localhost") as client:
        page = loaded(client)
        for key in ODD:
            assert f'href="experiment?key={quote(key, safe="").replace("%20", "+")}"' in page
            shown = client.get("/experiment", params={"key": key})
            assert (shown.status_code, SCRIPT in shown.text) == (200, False)
            said = client.get("/experiment.json", params={"key": key}).headers["content-disposition"]
            assert "\n" not in said
            name = said.split('filename="')[1].split('"')[0]
            assert name.isascii()
            assert not set(name) & set('/\\"\r\n:<>')


@pytest.mark.parametrize("outer", ["starlette", "fastapi"])
def test_it_can_be_mounted_under_a_prefix(draft_file, outer, loaded):
    """In a FastAPI and in a Starlette application its relative links lead to its own pages."""
    dashboard = app(draft_file, hosts=["shop.example"])
    if outer == "fastapi":
        whole = FastAPI()
        whole.mount("/offers", dashboard)
    else:
        whole = Starlette(routes=[Mount("/offers", dashboard)])
    with TestClient(whole, base_url="http://shop.example") as client:
        assert client.get("/offers").url.path == "/offers/"
        places = re.findall(r'(?:href|action)="([^"#]*)"', loaded(client, "/offers/"))
        assert "experiment?key=a-draft" in places
        for place in places:
            asked = client.get(
                urljoin(
                    "/offers/", f"{unescape(place)}{'?from=2026-04-01&to=2026-04-02' if place == 'compare' else ''}"
                )
            )
            assert (asked.status_code, asked.url.path.startswith("/offers/")) == (200, True), place


def test_a_later_look_and_a_new_experiment_appear(tmp_path, loaded, until):
    """Within seconds of a review or a publication, whatever was computed before."""
    path = tmp_path / "live.db"
    with Store.open(path) as store:
        fill(store, "early", CASES["exit-ten-off"])
    with TestClient(app(path, fresh_seconds=3600), base_url="http://localhost") as client:
        assert "withheld until the first look" in loaded(client)
        with Store.open(path) as store:
            review_store(store, END + timedelta(days=1))
            fill(store, "another", CASES["stopped-long-ago"])
        until(lambda: "Stop, harm" in (page := client.get("/").text) and "another" in page)
