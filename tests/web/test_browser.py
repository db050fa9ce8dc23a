"""The kit's browser finds what may not happen on a page, and the vendored scripts run under the pages' policy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, expect

from tests.kit.browser import NewPage, check_axe, check_fits, chromium, is_loopback, pages_of, wait_for_truth
from tools.vendor import FOLDER

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
TYPES = {"js": "text/javascript", "css": "text/css", "html": "text/html; charset=utf-8"}
Site = Callable[[dict[str, str]], str]


@contextmanager
def serving(files: dict[str, str]) -> Iterator[str]:
    """Serves these texts by their paths, and the vendored files under /vendor/. Yields the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path.startswith("/vendor/"):
                body = (FOLDER / path.removeprefix("/vendor/")).read_bytes()
            else:
                body = files.get(path, "").encode()
            self.send_response(200)
            self.send_header("Content-Type", TYPES.get(path.rpartition(".")[2], TYPES["html"]))
            self.send_header("Content-Security-Policy", POLICY)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    """Serves files for one test, and answers with the URL of their page `/`."""
    with ExitStack() as stack:
        yield lambda files: stack.enter_context(serving(files))


def html(head: str = "", main: str = "") -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page</title>{head}</head>'
        f"<body><main><h1>A page</h1>{main}</main></body></html>"
    )


def problems(browser: Browser, url: str) -> list[str]:
    opened = NewPage(browser)
    page = opened()
    page.goto(url)
    opened.close()
    return opened.problems()


def test_a_page_that_does_nothing_wrong_passes(site: Site, new_page: NewPage) -> None:
    page = new_page()
    page.goto(site({"/": html()}))
    check_axe(page)
    check_fits(page)


@pytest.mark.parametrize(
    ("main", "told"),
    [
        ('<img alt="" src="http://elsewhere.example/a.png">', "elsewhere.example"),
        ('<p style="color: red">red</p>', "a page broke its policy: style-src-attr"),
        ("<script>1</script>", "a page broke its policy: script-src-elem"),
        ('<script src="/throws.js"></script>', "a page complained: it is thrown"),
        ('<script src="/logs.js"></script>', "a page complained: it is logged"),
        ('<script src="/connects.js"></script>', "http://192.0.2.1/"),
    ],
)
def test_what_a_page_may_not_do_is_found(browser: Browser, site: Site, main: str, told: str) -> None:
    url = site(
        {
            "/": html(main=main),
            "/throws.js": "throw new Error('it is thrown')",
            "/logs.js": "console.error('it is logged')",
            "/connects.js": "fetch('http://192.0.2.1/').catch(() => {})",
        }
    )
    assert any(told in problem for problem in problems(browser, url))


def test_a_page_that_broke_a_rule_fails_its_test(browser: Browser, site: Site) -> None:
    url = site({"/": html(main='<p style="color: red">red</p>')})
    with pytest.raises(AssertionError, match="style-src-attr"), pages_of(browser) as opened:
        opened().goto(url)
    with pages_of(browser) as opened:
        opened.expect("style-src-attr")
        opened.expect("inline style")
        opened().goto(url)


def test_axe_and_width_are_checked(site: Site, new_page: NewPage) -> None:
    page = new_page(360, 740)
    picture = '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">'
    page.goto(site({"/": html(main=f"{picture}<pre>{'wide ' * 100}</pre>")}))
    with pytest.raises(AssertionError, match="image-alt"):
        check_axe(page)
    check_axe(page, without=["img"])
    with pytest.raises(AssertionError, match="px wide in a window of 360"):
        check_fits(page)


def test_what_becomes_true_later_is_waited_for_under_the_policy(site: Site, new_page: NewPage) -> None:
    page = new_page()
    page.goto(site({"/": html('<script src="/late.js"></script>'), "/late.js": "setTimeout(() => { late = 5 }, 300)"}))
    wait_for_truth(page, "window.late")
    wait_for_truth(page, "wanted => window.late === wanted", 5)


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:5001/", True),
        ("http://[::1]:5001/", True),
        ("http://localhost:5001/", True),
        ("data:image/gif;base64,", True),
        ("http://127.0.0.1.example/", False),
        ("https://192.0.2.1/", False),
        ("ws://example.org/", False),
    ],
)
def test_loopback_is_told_from_elsewhere(url: str, local: bool) -> None:
    assert is_loopback(url) == local


def test_a_test_without_a_browser_says_how_to_install_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONEYER_CHROMIUM", "/nowhere/chromium")
    monkeypatch.delenv("MONEYER_REQUIRE_BROWSER", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install chromium"), chromium():
        pass
    monkeypatch.setenv("MONEYER_REQUIRE_BROWSER", "1")
    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium"), chromium():
        pass


HTMX = """<meta name="htmx-config" content='{"includeIndicatorCSS": false, "history": false}'>
<script src="/vendor/htmx/htmx.min.js"></script>"""


def test_htmx_morphs_a_region_under_the_policy(site: Site, new_page: NewPage) -> None:
    """What the reader has typed, and where the focus is, stay."""
    files = {
        "/": html(
            HTMX,
            '<div id="live" hx-get="/next" hx-trigger="moneyer:block from:body" hx-select="#live" '
            'hx-target="this" hx-swap="outerMorph"><p id="tip">1</p><label>Name <input id="name"></label></div>',
        )
    }
    files["/next"] = files["/"].replace(">1<", ">2<")
    page = new_page()
    page.goto(site(files))
    page.fill("#name", "alice")
    page.evaluate("document.body.dispatchEvent(new CustomEvent('moneyer:block'))")
    expect(page.locator("#tip")).to_have_text("2")
    expect(page.locator("#name")).to_have_value("alice")
    expect(page.locator("#name")).to_be_focused()


def test_uplot_draws_under_the_policy(site: Site, new_page: NewPage) -> None:
    script = """
new uPlot({width: 300, height: 100, series: [{}, {label: 'height', stroke: 'red'}]}, [[1, 2, 3], [1, 4, 9]],
          document.getElementById('plot'))
"""
    head = (
        '<link rel="stylesheet" href="/vendor/uplot/uPlot.min.css">'
        '<script src="/vendor/uplot/uPlot.iife.min.js" defer></script><script src="/draw.js" defer></script>'
    )
    page = new_page()
    page.goto(site({"/": html(head, '<div id="plot"></div>'), "/draw.js": script}))
    expect(page.locator("#plot canvas")).to_be_visible()
    expect(page.locator("#plot .u-legend")).to_contain_text("height")


def test_cytoscape_draws_under_the_policy(site: Site, new_page: NewPage) -> None:
    """It leaves its own <style> out where the page has an element of that name already."""
    script = """
import cytoscape from '/vendor/cytoscape/cytoscape.esm.min.js'
const graph = cytoscape({
    container: document.getElementById('graph'),
    elements: [{data: {id: 'a'}}, {data: {id: 'b'}}, {data: {source: 'a', target: 'b'}}],
    style: [{selector: 'node', style: {'background-color': '#08c', label: 'data(id)'}}],
})
document.title = `${graph.nodes().length} nodes`
"""
    head = (
        '<meta id="__________cytoscape_stylesheet"><link rel="stylesheet" href="/graph.css">'
        '<script type="module" src="/draw.js"></script>'
    )
    files = {
        "/": html(head, '<div id="graph"></div>'),
        "/draw.js": script,
        "/graph.css": "#graph { position: relative; height: 300px }",
    }
    page = new_page()
    page.goto(site(files))
    expect(page).to_have_title("2 nodes")
    expect(page.locator("#graph canvas")).to_have_count(3)


def test_noble_signs_under_the_policy(site: Site, new_page: NewPage) -> None:
    script = """
import {schnorr, utils} from '/vendor/noble-secp256k1/index.js'
const key = utils.randomSecretKey()
const message = new Uint8Array(32)
const signature = await schnorr.signAsync(message, key)
document.title = String(await schnorr.verifyAsync(signature, message, schnorr.getPublicKey(key)))
"""
    page = new_page()
    page.goto(site({"/": html('<script type="module" src="/sign.js"></script>'), "/sign.js": script}))
    expect(page).to_have_title("true")
