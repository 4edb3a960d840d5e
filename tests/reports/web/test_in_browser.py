"""The review's file and the dashboard in a real Chromium: light, dark, on a phone, on paper, by keyboard."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from offerlift.reports import render_review_html, review_store
from offerlift.reports.web import app
from offerlift.storage import Store
from starlette.testclient import TestClient

from ...browser import PHONE, chromium, visit
from ...shelf import END
from .conftest import FEW

pytestmark = pytest.mark.slow

TOKEN = "a token for the browser"
PAGES = {
    "overview": "/",
    "winner": "/experiment?key=cart-free-shipping",
    "names": "/experiment?key=names",
    "arms": "/experiment?key=twelve-arms",
    "unhealthy": "/experiment?key=no-outcomes",
    "comparison": "/compare?key=cart-free-shipping&from=2026-03-15&to=2026-04-01",
    "comparison-of-all": "/compare?from=2026-03-15&to=2026-04-01",
    "nowhere": "/experiment?key=nowhere",
}
WIDE = {"width": 1280, "height": 800}
LOOKS = {
    "light": {"viewport": WIDE, "color_scheme": "light"},
    "dark": {"viewport": WIDE, "color_scheme": "dark"},
    "phone": {"viewport": {"width": PHONE, "height": 800}, "color_scheme": "light", "is_mobile": True},
}
CONTRAST = {"runOnly": ["color-contrast"]}
RULES = {"light": {}, "dark": CONTRAST, "phone": {"rules": {"color-contrast": {"enabled": False}}}}
"""Of axe-core: colours are looked at once in each scheme, as that takes longer than all the rest."""


@pytest.fixture(scope="module")
def browser():
    """One for all tests here."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def review_file(few_file, tmp_path_factory) -> Path:
    """The page of `offerlift review` of a few of the shelf."""
    path = tmp_path_factory.mktemp("review") / "review.html"
    with Store.open(few_file, read_only=True) as store:
        path.write_text(render_review_html(review_store(store, END, dry_run=True)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def dashboard(few_file, loaded) -> Iterator[str]:
    """Address of their dashboard, which has computed everything."""
    yield from served(few_file, loaded, None)


@pytest.fixture(scope="module")
def guarded(draft_file, loaded) -> Iterator[str]:
    """Address of a dashboard that asks for a token."""
    yield from served(draft_file, loaded, TOKEN)


def served(path, loaded, token) -> Iterator[str]:
    pages = app(path, token=token, fresh_seconds=3600)
    with TestClient(pages, base_url="http://localhost", headers={"authorization": f"Bearer {token}"}) as client:
        for place in PAGES.values():
            loaded(client, place)
    server = uvicorn.Server(uvicorn.Config(pages, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def check(seen, look: str) -> None:
    """What holds of every page in every look."""
    assert seen.left == []
    assert seen.errors == []
    assert seen.overflow() <= 0
    assert seen.unnamed_figures() == []
    assert seen.serious(RULES[look]) == []


@pytest.mark.parametrize("look", LOOKS)
def test_the_review_file_is_for_everybody(browser, review_file, look):
    """Nothing is asked for elsewhere, nothing is wider than the window, and axe-core finds nothing serious."""
    with visit(browser, review_file.as_uri(), name=f"review-{look}", **LOOKS[look]) as seen:
        check(seen, look)
        assert seen.page.locator("article.experiment").count() == len(FEW)


@pytest.mark.parametrize(
    ("name", "look"),
    [
        *((name, look) for name in ("overview", "comparison") for look in LOOKS),
        *((name, "phone") for name in ("winner", "names", "arms", "unhealthy", "comparison-of-all")),
        ("nowhere", "light"),
    ],
)
def test_the_dashboard_is_for_everybody(browser, dashboard, name, look):
    """The same of each of its pages; a missing page is one too."""
    with visit(browser, dashboard + PAGES[name], name=f"dashboard-{name}-{look}", **LOOKS[look]) as seen:
        if name == "nowhere":
            assert "404" in seen.errors.pop()
        check(seen, look)


@pytest.mark.parametrize("width", [WIDE["width"], 660, PHONE])
def test_no_two_words_of_a_scale_touch(browser, review_file, width):
    """Below the bars, of every experiment, also in a window that just has the overview as a table."""
    size = {"width": width, "height": 800}
    with visit(browser, review_file.as_uri(), name="scales", viewport=size) as seen:
        gaps = seen.page.evaluate(
            """() => [...document.querySelectorAll('svg.axis')].filter(axis => axis.checkVisibility()).flatMap(axis => {
                const boxes = [...axis.querySelectorAll('text')].map(one => one.getBoundingClientRect());
                boxes.sort((one, other) => one.left - other.left);
                return boxes.slice(1).map((box, at) => box.left - boxes[at].right);
            })"""
        )
        assert len(gaps) > 5
        assert min(gaps) > 3


def test_everything_is_reached_by_keyboard(browser, review_file, dashboard):
    """Links, fields, buttons and what is folded away."""
    for address in (review_file.as_uri(), dashboard + PAGES["overview"], dashboard + PAGES["unhealthy"]):
        with visit(browser, address, name="keyboard", **LOOKS["light"]) as seen:
            assert seen.unreached() == []


def test_what_is_folded_away_opens_by_keyboard(browser, dashboard):
    """The effects under "Do not read" are hidden until Enter on their heading."""
    with visit(browser, dashboard + PAGES["unhealthy"], name="unfolded", **LOOKS["light"]) as seen:
        folded = seen.page.locator("details").filter(has_text="Do not read").first
        effects = folded.locator("table").first
        assert not effects.is_visible()
        folded.locator("summary").first.focus(timeout=3000)
        seen.page.keyboard.press("Enter")
        assert effects.is_visible()


def test_it_prints(browser, review_file, dashboard):
    """A PDF with a page or more of each experiment, in which nothing is to be clicked."""
    for address, least in ((review_file.as_uri(), len(FEW)), (dashboard + PAGES["winner"], 2)):
        with visit(browser, address, name="print", **LOOKS["dark"]) as seen:
            made = seen.page.pdf(format="A4")
            assert made.startswith(b"%PDF-")
            assert made.count(b"/Type /Page\n") >= least
            seen.page.emulate_media(media="print")
            assert not any(one.is_visible() for one in seen.page.locator("form").all())


def test_names_are_text_in_the_browser_too(browser, review_file, dashboard):
    """No element comes of a name, and no script runs."""
    for address in (review_file.as_uri(), dashboard + PAGES["names"]):
        with visit(browser, address, name="script", **LOOKS["light"]) as seen:
            assert seen.page.locator("script").count() == 0
            assert "<script>alert(1)</script>" in seen.page.inner_text("body")


def test_one_signs_in_and_comes_to_the_page_that_was_asked_for(browser, guarded):
    """By the form, which asks again when the token is wrong; the cookie is no script's."""
    with visit(browser, f"{guarded}/experiment?key=a-draft", name="sign-in", **LOOKS["light"]) as seen:
        assert seen.serious() == []
        for typed in ("not the token at all", TOKEN):
            seen.page.fill("input[type=password]", typed)
            with seen.page.expect_navigation():
                seen.page.keyboard.press("Enter")
            if typed != TOKEN:
                assert "This is not the token." in seen.page.inner_text("body")
        assert seen.page.url == f"{guarded}/experiment?key=a-draft"
        assert seen.page.locator("h2").first.inner_text() == "a-draft"
        assert seen.page.evaluate("document.cookie") == ""


def test_from_the_overview_to_an_experiment_and_a_day(browser, dashboard):
    """Links and forms work as a reader uses them."""
    with visit(browser, f"{dashboard}/", name="walk", **LOOKS["light"]) as seen:
        seen.page.click("text=cart-free-shipping")
        seen.page.wait_for_load_state("load")
        assert seen.page.locator("h2").first.inner_text() == "cart-free-shipping"
        seen.page.fill("input[name=as_of]", "2026-04-01")
        seen.page.click("button:has-text('Show')")
        seen.page.wait_for_url("**as_of=2026-04-01*")
        assert "1 April 2026" in seen.page.inner_text("article")
        with seen.page.expect_download() as download:
            seen.page.click("text=CSV")
        assert download.value.suggested_filename == "cart-free-shipping-2026-04-01.csv"
        assert seen.errors == []
