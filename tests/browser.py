"""A real Chromium for tests: started once, and what a page did in it.

Skipped where no Chromium is found, but failed where CI=true; OFFERLIFT_TEST_CHROMIUM says where it is. Screenshots stay
in the folder OFFERLIFT_TEST_SCREENSHOTS, where that is set.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["PHONE", "Visit", "chromium", "visit"]

PHONE = 400
"""Width of a phone in pixels."""

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
PLACES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser."""
    from playwright.sync_api import sync_playwright

    found = os.environ.get("OFFERLIFT_TEST_CHROMIUM") or next(filter(None, map(shutil.which, PLACES)), None)
    if found is None:
        reason = "no Chromium to test with (OFFERLIFT_TEST_CHROMIUM, or `apt-get install chromium`)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        # On a developer's machine alone: in CI it has failed above.
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page that is open, and what happened while it was.

    Attributes:
        page: of Playwright.
        errors: what the console and the page complained about.
        left: addresses elsewhere that were asked for; none of them was reached.
    """

    page: Page
    errors: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def serious(self, rules: Mapping[str, Any] | None = None) -> list[str]:
        """What axe-core finds that keeps people out: rule, and the first places.

        Args:
            rules: `runOnly` and `rules` of its options; all of them where None.
        """
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page, options={"resultTypes": ["violations"], **(rules or {})}).response["violations"]
        return [
            f"{one['id']} ({one['impact']}): {[node['target'] for node in one['nodes'][:3]]}"
            for one in found
            if one["impact"] in ("serious", "critical")
        ]

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        return self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def unnamed_figures(self) -> list[str]:
        """Drawings that a screen reader gets neither a title with a description of, nor is told to pass over."""
        return self.page.evaluate(
            """() => [...document.querySelectorAll('svg')]
                .filter(svg => !svg.closest('[aria-hidden="true"]') && !svg.parentElement.closest('svg'))
                .filter(svg => svg.getAttribute('role') !== 'img' || !svg.querySelector(':scope > title')?.textContent
                    || !svg.querySelector(':scope > desc')?.textContent)
                .map(svg => svg.outerHTML.slice(0, 200))"""
        )

    def unreached(self) -> list[str]:
        """What can be used with a mouse and is not reached by Tab from the top."""
        number = self.page.evaluate(
            """() => {
                const all = [...document.querySelectorAll('a[href], button, input, select, summary, [tabindex]')]
                    .filter(one => one.type !== 'hidden' && one.tabIndex >= 0 && one.checkVisibility());
                all.forEach((one, at) => one.dataset.place = at);
                window.reached = new Set();
                document.addEventListener('focusin', event => window.reached.add(event.target.dataset.place));
                return all.length;
            }"""
        )
        # Date fields have several stops each, and browsers stop at boxes that scroll.
        for _ in range(4 * number + 20):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("[...window.reached].filter(one => one !== undefined).length") == number:
                return []
        return self.page.evaluate(
            """() => [...document.querySelectorAll('[data-place]')]
                .filter(one => !window.reached.has(one.dataset.place)).map(one => one.outerHTML.slice(0, 120))"""
        )


@contextmanager
def visit(browser: Browser, address: str, *, name: str, **settings: Any) -> Iterator[Visit]:
    """Open an address in a window of its own, with Playwright's settings; nothing elsewhere can be reached from it."""
    context = browser.new_context(**settings)
    page = context.new_page()
    seen = Visit(page)
    home = urlsplit(address)

    def follow(route: Any) -> None:
        asked = urlsplit(route.request.url)
        if (asked.scheme, asked.netloc) == (home.scheme, home.netloc) or asked.scheme == "data":
            return route.continue_()
        seen.left.append(route.request.url)
        return route.abort()

    page.route("**/*", follow)
    page.on(
        "console", lambda message: seen.errors.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.goto(address, wait_until="load")
    yield seen
    folder = os.environ.get("OFFERLIFT_TEST_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
    context.close()
