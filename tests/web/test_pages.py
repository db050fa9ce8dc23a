"""Pages in a real browser, on real nodes: they say what is so, keep up with it, and bear what strangers write."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.system.shares import EVENT_STREAMS
from tests.kit.browser import LOOKS, NARROW, WIDE, NewPage, check_axe, check_fits, wait_for_truth
from tests.kit.running import ALICE, BOB, CAROL, RunningNode, own_node, rich_coin, running
from tests.kit.waiting import wait_until

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "\"'><script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "abc\u202ecba\u2066x",
    "a\u0000b\u001b[31mred\u0007\u009b",
    "javascript:alert(1)",
    "\U0001f9d1\u200d\U0001f680" * 12,
)
"""Memos, at most 140 bytes each."""
LONG = "W" * 140


def is_reloaded(page: Page) -> bool:
    """Whether the page was loaded anew since `mark`."""
    return not page.evaluate("window.marked === true")


def mark(page: Page) -> None:
    page.evaluate("window.marked = true")
    expect(page.locator("#live-state")).to_have_attribute("data-state", "on")


@pytest.fixture(scope="module")
def lively(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node with some history: transfers and memos, a side branch, and transfers that wait."""
    with running(tmp_path_factory.mktemp("lively") / "node") as node:
        chain = node.chain
        for _ in range(3):
            node.extend()
        node.extend(transfers=[chain.transfer(ALICE, BOB, 1_000 + i, fee=5, memo=b"lunch") for i in range(1)])
        for memo in HOSTILE:
            node.extend(transfers=[chain.transfer(ALICE, CAROL, 7, fee=1, memo=memo.encode())])
        rival = chain.branch(chain.height - 1, "rival")
        assert node.take_block(codec.encode_block(rival.add())) == "side_branch"
        waiting = chain.transfer(BOB, CAROL, 42, fee=9, memo=HOSTILE[1].encode())
        assert node.post("/v1/transactions", {"raw": codec.encode_transaction(waiting).hex()}).status == 201
        yield node


def paths_of(node: RunningNode) -> list[str]:
    block = node.get("/v1/blocks/4/transactions").json["transactions"]
    waiting = node.get("/v1/mempool").json["transactions"][0]["txid"]
    return [
        *("/", "/blocks", "/block/4", "/block/0", "/mempool", "/supply", "/coin", "/mining", "/nothing-here"),
        f"/tx/{block[0]['txid']}",
        f"/tx/{block[1]['txid']}",
        f"/tx/{waiting}",
        f"/address/{ALICE.address(node.coin)}",
    ]


@pytest.mark.parametrize(("size", "dark"), [*LOOKS, ((740, 360), False), ((1920, 1080), True)])
def test_every_page_fits_reads_well_and_is_open_to_all(
    lively: RunningNode, new_page: NewPage, size: tuple[int, int], dark: bool
) -> None:
    new_page.expect("404")  # the browser logs the one that is not there
    page = new_page(*size, dark=dark)
    for path in paths_of(lively):
        page.goto(lively.url + path)
        check_fits(page)
        if (size, dark) in LOOKS:  # the others differ from these in their widths alone
            check_axe(page)
        assert page.locator("h1").count() == 1, path


def test_the_longest_words_that_a_coin_or_a_memo_may_have_fit(tmp_path: Path, new_page: NewPage) -> None:
    coin = rich_coin(name="W" * 64, symbol="W" * 12, message="M" * 100)
    with running(tmp_path / "node", coin) as node, closing(new_page):
        node.extend(transfers=[node.chain.transfer(ALICE, BOB, 5, memo=LONG.encode())])
        for size in (NARROW, WIDE):
            page = new_page(*size)
            for path in ("/", "/block/1", "/coin", f"/wallet/receive?memo={LONG}", f"/search?q={LONG}"):
                page.goto(node.url + path)
                check_fits(page)


def test_a_page_reads_the_same_without_javascript(lively: RunningNode, new_page: NewPage) -> None:
    new_page.expect("404")  # the browser logs the one that is not there
    page = new_page(javascript=False)
    for path in paths_of(lively):
        page.goto(lively.url + path)
        expect(page.locator("h1")).to_be_visible()
        check_text(page)
    page.goto(lively.url + "/block/4")
    expect(page.locator("table.transactions tbody tr")).to_have_count(2)
    expect(page.get_by_text("lunch")).to_be_visible()


def check_text(page: Page) -> None:
    """No template has left anything unsaid."""
    text = page.locator("body").inner_text()
    assert "None" not in text.split(), page.url
    assert "{{" not in text.replace(HOSTILE[2], ""), page.url


def test_a_block_appears_without_a_reload(tmp_path: Path, new_page: NewPage) -> None:
    with running(tmp_path / "node") as node, closing(new_page):
        page = new_page()
        page.goto(node.url)
        expect(page.get_by_text("There is only the genesis block yet")).to_be_visible()
        mark(page)
        node.extend()
        expect(page.locator(".cube[data-height='1']")).to_be_visible()
        node.extend(transfers=[node.chain.transfer(ALICE, BOB, 250)])
        expect(page.locator(".cube[data-height='2'] .big")).to_have_text("1 transfer")
        expect(page.locator("table.transactions")).to_contain_text("0.00025")
        assert not is_reloaded(page)


def test_a_transfer_goes_its_way_under_the_readers_eyes(tmp_path: Path, new_page: NewPage) -> None:
    with running(tmp_path / "node") as node, closing(new_page):
        transfer = node.chain.transfer(ALICE, BOB, 1_000)
        txid = node.post("/v1/transactions", {"raw": codec.encode_transaction(transfer).hex()}).json["txid"]
        page = new_page()
        page.goto(f"{node.url}/tx/{txid}")
        mark(page)
        expect(page.locator(".heading .badge")).to_have_text("ready")
        node.extend(transfers=[transfer])
        expect(page.locator(".heading .badge")).to_have_text("confirmed")
        expect(page.locator(".steps .now b")).to_have_text("1 confirmation")
        node.extend()
        expect(page.locator(".steps .now b")).to_have_text("2 confirmations")
        expect(page.locator(".merkle .way")).not_to_have_count(0)
        assert not is_reloaded(page)


def test_a_reorg_under_the_readers_eyes_is_told(tmp_path: Path, new_page: NewPage) -> None:
    with running(tmp_path / "node") as node, closing(new_page):
        node.extend()
        rival = node.chain.branch(0, "rival")
        page = new_page()
        page.goto(f"{node.url}/block/{show(node.tip_hash)}")
        mark(page)
        expect(page.locator(".heading .badge")).to_have_text("1 confirmation")
        for _ in range(2):
            node.take_block(codec.encode_block(rival.add()))
        expect(page.locator(".heading .badge")).to_contain_text("side branch")
        assert not is_reloaded(page)


def test_a_node_that_ends_is_told_and_comes_back_by_itself(tmp_path: Path, new_page: NewPage) -> None:
    new_page.expect_no_answer()
    with running(tmp_path / "node") as node, closing(new_page):
        page = new_page()
        page.goto(node.url)
        mark(page)
        where = page.locator("h1").bounding_box()
        node.stop(signal.SIGKILL)
        expect(page.get_by_role("alert")).to_be_visible()
        assert page.locator("h1").bounding_box() == where  # nothing is pushed aside
        node.start()
        node.wait_until_it_answers()
        expect(page.get_by_role("alert")).to_be_hidden()
        node.extend()
        expect(page.locator(".cube[data-height='1']")).to_be_visible()
        assert not is_reloaded(page)


def test_a_page_bears_an_error_in_place_of_news_and_asks_again(tmp_path: Path, new_page: NewPage) -> None:
    new_page.expect("status of 503")
    with running(tmp_path / "node") as node, closing(new_page):
        node.extend()
        page = new_page()
        page.goto(node.url)
        mark(page)
        error = node.get("/block/junk").body
        page.route(f"{node.url}/", lambda route: route.fulfill(status=503, body=error, content_type="text/html"))
        with page.expect_response(f"{node.url}/"):  # as a proxy or a busy node answers
            node.extend()
        expect(page.locator(".cube[data-height='1']")).to_be_visible()
        page.unroute(f"{node.url}/")
        expect(page.locator(".cube[data-height='2']")).to_be_visible()
        assert not is_reloaded(page)


def test_a_page_that_gets_no_stream_asks_by_itself_and_does_not_call_the_node_away(
    tmp_path: Path, new_page: NewPage
) -> None:
    new_page.expect("status of 503")
    with running(tmp_path / "node") as node, ExitStack() as streams, closing(new_page):
        while listeners(node) < EVENT_STREAMS.each:
            streams.enter_context(stream_of(node))
        page = new_page()
        page.goto(node.url)
        expect(page.locator("#live-state")).to_have_text("not live")
        expect(page.get_by_role("alert")).to_be_hidden()
        page.evaluate("window.marked = true")
        node.extend()
        expect(page.locator(".cube[data-height='1']")).to_be_visible()
        expect(page.get_by_role("alert")).to_be_hidden()
        assert not is_reloaded(page)
        streams.close()
        expect(page.locator("#live-state")).to_have_attribute("data-state", "on")


@contextmanager
def stream_of(node: RunningNode) -> Iterator[None]:
    """A listener of the node's events."""
    with socket.create_connection(("127.0.0.1", node.port), timeout=30) as sock:
        sock.sendall(b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert sock.recv(12) == b"HTTP/1.1 200"
        yield


def test_a_page_of_what_is_no_more_says_so(tmp_path: Path, new_page: NewPage) -> None:
    new_page.expect("status of 404")
    with running(tmp_path / "node") as node, closing(new_page):
        rival = node.chain.branch(0, "rival")
        old = node.chain.transfer(ALICE, BOB, 1_000)
        new = rival.transfer(ALICE, CAROL, 2_000, fee=50_000)
        txid = node.post("/v1/transactions", {"raw": codec.encode_transaction(old).hex()}).json["txid"]
        page = new_page()
        page.goto(f"{node.url}/tx/{txid}")
        mark(page)
        assert node.post("/v1/transactions", {"raw": codec.encode_transaction(new).hex()}).status == 201
        expect(page.locator("h1")).to_have_text("There is no such thing here")
        assert not is_reloaded(page)


def test_a_thousand_blocks_at_once_leave_the_page_as_it_should_be(tmp_path: Path, new_page: NewPage) -> None:
    with running(tmp_path / "one") as one, running(tmp_path / "two", one.coin) as two, closing(new_page):
        for _ in range(1_000):
            two.chain.add()
        two.take(two.chain)
        page = new_page()
        page.goto(one.url)
        mark(page)
        one.post("/connect_node", {"node": [two.url]})
        one.get("/replace_chain")  # all of them in a few commits
        expect(page.locator(".cube[data-height='1000']")).to_be_visible()
        expect(page.locator(".cube[data-height]")).to_have_count(14)
        assert not is_reloaded(page)


def test_two_tabs_share_one_stream(tmp_path: Path, new_page: NewPage) -> None:
    with running(tmp_path / "node") as node, closing(new_page):
        first = new_page()
        second = first.context.new_page()
        for page in (first, second):
            page.goto(node.url)
            mark(page)
        node.extend()
        for page in (first, second):
            page.bring_to_front()
            expect(page.locator(".cube[data-height='1']")).to_be_visible()
        assert listeners(node) == 1
        first.close()
        node.extend()
        expect(second.locator(".cube[data-height='2']")).to_be_visible()  # it has taken the stream over


def listeners(node: RunningNode) -> int:
    found = re.search(r"^moneyer_event_clients (\d+)", node.get("/metrics").body.decode(), re.MULTILINE)
    assert found
    return int(found[1])


def test_what_strangers_write_is_text(lively: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    page.on("dialog", lambda dialog: pytest.fail(f"a page said {dialog.message}"))
    page.goto(f"{lively.url}/address/{CAROL.address(lively.coin)}")
    text = page.locator("main").inner_text()
    assert HOSTILE[0] in text
    assert HOSTILE[1] in text
    assert HOSTILE[2] in text
    assert r"abc\u202ecba\u2066x" in text
    assert r"a\x00b\x1b[31mred\x07\x9b" in text
    assert "\u202e" not in page.content()
    for path in paths_of(lively):
        body = lively.get(path, {"Accept": "text/html"}).body.decode()
        assert "<img src=x" not in body
        assert not set(body) & set("\u202e\u2066\x00\x1b\x9b\u200d")


def test_colours_are_the_systems_or_the_readers_choice(lively: RunningNode, new_page: NewPage) -> None:
    page = new_page(dark=True)
    page.goto(lively.url)

    def colour() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    dark = colour()
    page.get_by_role("button", name="Light or dark").click()
    light = colour()
    assert light != dark
    page.goto(f"{lively.url}/blocks")
    assert colour() == light
    for _ in range(2):  # to dark for good, then to the system's choice, which is dark here
        page.get_by_role("button", name="Light or dark").click()
        assert colour() == dark
    page.emulate_media(color_scheme="light")
    assert colour() == light


def test_the_first_page_is_small_and_asked_for_once(lively: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    page.goto(lively.url)
    sizes = page.evaluate(
        "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
        ".reduce((sum, each) => sum + each.transferSize, 0)"
    )
    assert sizes < 300_000
    page.goto(f"{lively.url}/blocks")
    again = page.evaluate(
        "performance.getEntriesByType('resource').filter(each => each.transferSize > 0).map(e => e.name)"
    )
    assert [each for each in again if "/static/" in each] == []


def test_the_keyboard_alone_reads_the_chain(lively: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    page.goto(lively.url)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")  # the strip, which scrolls by the arrow keys
    expect(page.locator(".strip")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")  # behind the next block the newest one
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("Block")


def test_names_are_for_the_owner_of_the_wallet_alone(tmp_path: Path) -> None:
    with running(tmp_path / "open") as node:
        assert ">miner<" in node.get("/mining").body.decode() or node.height == 0
        node.chain.add(receiver=node.coin.payload(miner_of(node)))
        node.take(node.chain)
        assert ">miner</a>" in node.get("/block/1").body.decode()
    with own_node(tmp_path / "own") as node:
        node.extend(receiver=ALICE)
        body = node.get("/block/1").body.decode()
        assert ALICE.address(node.coin) in body
        assert ">alice<" not in body


def miner_of(node: RunningNode) -> str:
    found: str = node.get("/v1/mining/template").json["address"]
    return found


def test_a_page_is_kept_until_something_changes(lively: RunningNode) -> None:
    first = lively.get("/block/2")
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    assert lively.get("/block/2", {"If-None-Match": tag}).status == 304
    lively.extend()
    wait_until(lambda: lively.get("/block/2", {"If-None-Match": tag}).status == 200, 5, "another confirmation")


def test_every_page_has_the_policy_and_a_program_gets_json(lively: RunningNode) -> None:
    for path in paths_of(lively):
        answer = lively.get(path, {"Accept": "text/html"})
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert lively.get("/nothing-here").code == "not_found"
    assert lively.get("/v1/nothing", {"Accept": "text/html"}).code == "not_found"
    assert lively.get("/block/junk").status == 400
    assert b"<h1>" in lively.get("/block/junk").body


@pytest.mark.parametrize(
    "name",
    ["../pages.py", "..%2fpages.py", "%2e%2e/site.py", "app.css%00.js", "vendor/vendor.json", "nothing.js", ""],
)
def test_only_static_files_are_served(lively: RunningNode, name: str) -> None:
    version = re.search(r"/static/([0-9a-f]{16})/", lively.get("/").body.decode())
    assert version
    style = lively.get(f"/static/{version[1]}/app.css")
    assert "immutable" in style.headers["cache-control"]
    assert lively.get(f"/static/{version[1]}/{name}").status == 404
    assert lively.get("/static/0000000000000000/app.css").status == 404


def test_the_search_finds_what_is_meant_and_says_what_it_looked_for(lively: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    page.goto(lively.url)
    box = page.get_by_label("Search")
    block = lively.get("/v1/blocks/4/summary").json
    txid = lively.get("/v1/blocks/4/transactions").json["transactions"][1]["txid"]
    for text, where in [
        ("4", f"/block/{block['hash']}"),
        (" #4 ", f"/block/{block['hash']}"),
        (block["hash"].upper(), f"/block/{block['hash']}"),
        (txid, f"/tx/{txid}"),
        (txid[:12], f"/tx/{txid}"),
        (ALICE.address(lively.coin), f"/address/{ALICE.address(lively.coin)}"),
        ("miner", "/address/"),
    ]:
        box.fill(text)
        box.press("Enter")
        page.wait_for_url(f"**{where}*")
    for junk in ("'; DROP TABLE blocks; --", "<script>alert(1)</script>", "nobody at all", "99999999", "ffffffffff"):
        box.fill(junk)
        box.press("Enter")
        expect(page.locator("h1")).to_have_text("Nothing found")
        expect(page.locator("main")).to_contain_text(re.compile(r"This node looked for[: ]"))
        check_axe(page)


def test_a_search_for_ten_thousand_letters_is_told_off_kindly(lively: RunningNode) -> None:
    answer = lively.get(f"/search?q={'a' * 10_000}", {"Accept": "text/html"})
    assert answer.status == 400
    assert b"<h1>That did not work</h1>" in answer.body
    answer = lively.get(f"/search?q={'a' * 1_000}")
    assert answer.status == 200
    assert b"1,000 characters" in answer.body


def test_the_menu_of_a_narrow_screen_shows_where_one_is(lively: RunningNode, new_page: NewPage) -> None:
    page = new_page(*NARROW)
    for path in ("/", "/block/4", "/mining", "/wallet"):
        page.goto(lively.url + path)
        # Whole but for a part of a pixel: Chromium 156 scrolls by such.
        expect(page.locator(".top nav [aria-current]")).to_be_in_viewport(ratio=0.99)


def test_what_a_page_says_of_a_passing_state_is_asked_for_again(lively: RunningNode, new_page: NewPage) -> None:
    page = new_page()
    page.add_init_script("addEventListener('htmx:after:swap', () => { window.swapped = true })")
    page.goto(lively.url)
    mark(page)
    wait_for_truth(page, "window.swapped")  # a page that hears the node asks once; what follows is not written over
    page.evaluate("document.querySelector('#live h1').dataset.again = ''")
    with page.expect_response(lively.url + "/"):
        page.evaluate("document.body.dispatchEvent(new Event('htmx:after:swap'))")
    expect(page.locator("[data-again]")).to_have_count(0)


def test_a_chain_without_blocks_speaks_of_none(tmp_path: Path, new_page: NewPage) -> None:
    with running(tmp_path / "node") as node, closing(new_page):
        page = new_page(javascript=False, base_url=node.url)
        for path in ("/", "/mining", "/block/0", "/mempool", "/supply"):
            page.goto(path)
            expect(page.locator("main")).not_to_contain_text(
                re.compile(r"last [01] blocks|\b1 (blocks|steps|bytes)\b|0\.00")
            )
        page.goto("/block/0")
        expect(page.locator(".fields")).to_contain_text("Nobody had to")


WATCH_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const each of list.getEntries()) {
    shifts.push([each.value, ...each.sources.map((source) => source.node?.id || source.node?.className)]);
  }
}).observe({ type: 'layout-shift', buffered: true });
"""


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_nothing_jumps_while_a_page_loads_and_while_blocks_come(
    tmp_path: Path, new_page: NewPage, size: tuple[int, int]
) -> None:
    with running(tmp_path / "node") as node, closing(new_page):
        for _ in range(4):
            node.extend()
        page = new_page(*size, base_url=node.url)
        page.emulate_media(reduced_motion="no-preference")
        page.add_init_script(WATCH_SHIFTS)
        for path in ("/blocks", "/block/3", "/mining", "/docs", "/"):
            page.goto(path)
            mark(page)
            assert page.evaluate("shifts") == [], path
        for height in (5, 6):
            node.extend()
            expect(page.locator(f'.cube[data-height="{height}"]')).to_be_visible()
            page.evaluate(
                "Promise.all(document.getAnimations().filter((each) => each.effect.target.matches('.cube'))"
                ".map((each) => each.finished))"
            )
        assert page.evaluate("shifts") == []
        page.goto("about:blank")
