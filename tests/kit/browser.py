"""Real Chromium, driven by Playwright: pages of a given size, and what went wrong on them.

`tests/web/conftest.py` makes fixtures of this: `browser` (one for each file of tests) and `new_page`, which
opens pages in contexts of their own and fails the test at its end where one of them asked anything but loopback for
something, broke its content security policy, threw an error or logged one. A test that provokes an error says so
beforehand with `new_page.expect("a part of the message")`.

No browser is downloaded: the one that runs is `MONEYER_CHROMIUM`, or the first of `NAMES` on PATH. A network stands
behind none of its names, so a page that asks for another host gets nothing, too.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    WebSocket,
    expect,
    sync_playwright,
)

from tests.kit.missing import missing
from tests.kit.waiting import wait_until

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The first is Debian's Chromium without what a window needs: pages cost it two thirds of the processor's time."""
HOW_TO_INSTALL = "on Debian: apt-get install chromium-headless-shell; or set MONEYER_CHROMIUM to where one is"
PATIENCE_MS = 80_000
"""How long Playwright waits for what a test expects: a guard, for a busy machine. On one at rest a page may need 15
seconds: a node notices within ten that a listener has gone, and a page asks for its place within five."""
_START_MS = 180_000
"""For a browser to start, where several do so at once."""

WIDE, NARROW = (1440, 900), (360, 740)
"""Sizes of a window in CSS pixels: a desktop's, and a small telephone's."""

LOOKS = ((WIDE, False), (NARROW, True))
"""(size, dark): a page that is looked at in these two is looked at in both sizes and in both themes."""

_ARGUMENTS = (
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.*",
    "--disable-dev-shm-usage",  # in a container /dev/shm is small
    "--font-render-hinting=none",  # the same widths everywhere
)
_REPORT_VIOLATIONS = """
addEventListener('securitypolicyviolation', event => moneyerViolation(
    `${event.effectiveDirective} ${event.blockedURI} at ${event.sourceFile}:${event.lineNumber} ${event.sample}`))
"""
_NO_STREAM = re.compile(r"status of 503 .*/v1/events\)$")
_LOCAL_SCHEMES = {"about", "blob", "data"}


def find_chromium() -> str | None:
    """The browser's path, or None where there is none."""
    named = os.environ.get("MONEYER_CHROMIUM")
    return shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window. Skips the test where there is none; fails it when MONEYER_REQUIRE_BROWSER=1."""
    path = find_chromium()
    if path is None:
        why = f"there is no Chromium for this test; {HOW_TO_INSTALL}"
        missing(why, os.environ.get("MONEYER_REQUIRE_BROWSER"))
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*_ARGUMENTS], timeout=_START_MS)
        try:
            yield browser
        finally:
            browser.close()


def is_loopback(url: str) -> bool:
    """Whether a request for this URL stays on the machine."""
    parts = urlsplit(url)
    if parts.scheme in _LOCAL_SCHEMES or parts.hostname == "localhost":
        return True
    try:
        return ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


@dataclass
class NewPage:
    """Opens pages, and collects what goes wrong on them. `requests`: the URL of everything that was asked for."""

    browser: Browser
    requests: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    """Of the content security policy, as the browser describes them."""
    complaints: list[str] = field(default_factory=list)
    """Errors that a script threw or logged, and those that the browser logs."""
    expected: list[str] = field(default_factory=list)
    _may_stop: bool = False
    _contexts: list[BrowserContext] = field(default_factory=list)

    def __call__(
        self,
        width: int = WIDE[0],
        height: int = WIDE[1],
        *,
        dark: bool = False,
        javascript: bool = True,
        base_url: str | None = None,
        **options: Any,
    ) -> Page:
        """A page in a context of its own: no cookies, nothing cached. `options`: those of `Browser.new_context`."""
        context = self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            java_script_enabled=javascript,
            base_url=base_url,
            locale="en-GB",
            timezone_id="UTC",
            reduced_motion="reduce",
            **options,
        )
        context.set_default_timeout(PATIENCE_MS)
        context.on("request", self._on_request)
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("page", self._on_page)
        if javascript:
            context.expose_binding("moneyerViolation", lambda source, about: self.violations.append(about))
            context.add_init_script(_REPORT_VIOLATIONS)
        self._contexts.append(context)
        return context.new_page()

    def expect(self, part: str) -> None:
        """A complaint or violation whose message has this part is meant to happen. A request elsewhere never is."""
        self.expected.append(part)

    def expect_no_answer(self) -> None:
        """The node ends under a page: what browser and htmx log of requests without an answer is meant to happen.

        So is the 503 by which a node that is stopping takes no stream of events any more.
        """
        self.expected += ["net::ERR_", "Failed to fetch"]
        self._may_stop = True

    def close(self) -> None:
        for context in self._contexts:
            for page in context.pages:
                if not page.is_closed():
                    page.title()  # a round trip: what the page has reported until now arrives before its answer
            context.close()
        self._contexts.clear()

    def problems(self) -> list[str]:
        """A sentence for each thing that may not happen on a page of this node."""
        found = [f"a page broke its policy: {about}" for about in self.violations]
        complaints = [text for text in self.complaints if not (self._may_stop and _NO_STREAM.search(text))]
        found += [f"a page complained: {text}" for text in complaints]
        strange = [f"a page asked for {url}" for url in self.requests if not is_loopback(url)]
        return [*strange, *(text for text in found if not any(part in text for part in self.expected))]

    def _on_request(self, request: Request) -> None:
        self.requests.append(request.url)

    def _on_page(self, page: Page) -> None:
        page.on("websocket", self._on_websocket)

    def _on_websocket(self, socket: WebSocket) -> None:
        self.requests.append(socket.url)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"{message.text} ({message.location.get('url', '')})")


@contextmanager
def pages_of(browser: Browser) -> Iterator[NewPage]:
    """A `NewPage`, whose pages are closed and whose problems fail the test at the end of the block."""
    opened = NewPage(browser)
    try:
        yield opened
    finally:
        opened.close()
    found = opened.problems()
    assert not found, "\n".join(found)


def check_axe(page: Page, *, without: Sequence[str] = ()) -> None:
    """Axe-core finds nothing on this page. `without`: selectors of what is another project's markup."""
    context = {"exclude": [[selector] for selector in without]} if without else None
    found = Axe().run(page, context=context, options={"resultTypes": ["violations"]}).response["violations"]
    assert not found, "\n".join(map(_told, found))


def check_fits(page: Page) -> None:
    """Nothing on this page is wider than the window: a reader never scrolls sideways."""
    wide, window = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= window, f"{page.url} is {wide} px wide in a window of {window}"


def wait_for_truth(page: Page, expression: str, given: Any = None) -> None:
    """Until JavaScript is truthy on this page: an expression, or a function that gets `given`.

    `Page.wait_for_function` looks once like this, and then by the page's own `eval`, which our policy forbids.
    """
    wait_until(lambda: page.evaluate(expression, given), message=expression)


def _told(violation: dict[str, Any]) -> str:
    places = "; ".join(" ".join(map(str, node["target"])) for node in violation["nodes"])
    first = violation["nodes"][0].get("failureSummary", "").replace("\n", " ")
    return f"{violation['id']}: {violation['help']}: {places}: {first}"
