"""Debian's Chromium, driven by playwright; whatever a page does wrong is noted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
PHONE, DESKTOP = (360, 740), (1280, 900)
_QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Yield a browser; skip the test where there is none, but fail in CI."""
    if not CHROMIUM.exists():
        reason = f"there is no {CHROMIUM} (Debian package: chromium)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    arguments = [*_QUIET, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Tab:
    """A page in a browser, and what it did wrong."""

    page: Page
    url: str
    faults: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(self.url + path)

    def check(self) -> None:
        """Fail for errors on the console, for requests elsewhere, and for what axe finds."""
        assert not self.faults
        found = Axe().run(self.page).response["violations"]
        shown = [
            f"{each['id']}: {node['target']} {node['failureSummary']}"
            for each in found
            for node in each["nodes"]
        ]
        assert not shown, "\n".join(shown)

    def overflows(self) -> bool:
        """Return whether the page is wider than its window."""
        script = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        return bool(self.page.evaluate(script))


@contextmanager
def open_tab(
    browser: Browser,
    url: str,
    *,
    size: tuple[int, int] = DESKTOP,
    scheme: Any = "light",
    cookies: dict[str, str] | None = None,
    script: bool = True,
) -> Iterator[Tab]:
    """Yield a tab of a fresh profile.

    Args:
        cookies: by name, for `url`.
        script: whether JavaScript is on.
    """
    context: BrowserContext = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,
        java_script_enabled=script,
        reduced_motion="reduce",
    )
    given = cookies or {}
    context.add_cookies(
        [{"name": name, "value": value, "url": url} for name, value in given.items()]
    )
    tab = Tab(context.new_page(), url)
    tab.page.on("console", lambda message: _note(tab, message.type, message.text))
    tab.page.on("pageerror", lambda error: tab.faults.append(f"error {error}"))
    tab.page.on("request", lambda request: _note_request(tab, request.url))
    try:
        yield tab
    finally:
        context.close()


def _note(tab: Tab, kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        tab.faults.append(f"{kind} {text}")


def _note_request(tab: Tab, url: str) -> None:
    """Note requests to other hosts; another port of this host may be that of the streams."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https") and parts.hostname != urlsplit(tab.url).hostname:
        tab.faults.append(f"request to {url}")
