"""Takes the pictures of the pages in README and docs: `python -m tools.pictures`. Needs Chromium, ports from 5601 up.

A network of three manual nodes in a folder of its own: coins move, two nodes mine apart from each other, and one gives
its branch up. Each picture is of such a page, as it is then. Then a network from a graph: a small world that is split,
with a slow connection and a stopped node (`python -m tools.pictures graph` takes these two alone).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from playwright.sync_api import Browser, Page, ViewportSize

from moneyer import Network
from tests.kit.browser import chromium

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
PORT = 5601
GRAPH_PORT = 5621
NODES = [f"http://127.0.0.1:{PORT + number}" for number in range(3)]
SIZE: ViewportSize = {"width": 1200, "height": 780}
_START_SECONDS = 60
Act = Callable[[Page], object]
"""What is done on a page before its picture is taken."""

PAYMENTS = (
    ("alice", "bob", "2.5", "lunch"),
    ("bob", "carol", "12", "the tent"),
    ("carol", "dave", "0.75", "coffee"),
    ("dave", "alice", "40", "rent, first half"),
    ("erin", "bob", "3.2", "thanks!"),
)


@contextmanager
def network() -> Iterator[None]:
    """Three nodes that tell each other nothing until asked."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-P", "-m", "moneyer", "up", "--manual", "--port", str(PORT), "--data", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            for url in NODES:
                _wait_for(url)
            yield
        finally:
            process.terminate()
            process.wait()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            if requests.get(f"{url}/v1/status", timeout=2).json()["worker"]["alive"]:
                return
        except requests.RequestException:
            pass
        if time.monotonic() > deadline:
            raise SystemExit(f"{url} does not answer")
        time.sleep(0.1)


def post(url: str, body: object) -> None:
    requests.post(url, json=body, timeout=60).raise_for_status()


def get(url: str) -> None:
    requests.get(url, timeout=60).raise_for_status()


def pay(node: str, *payments: tuple[str, str, str, str]) -> None:
    for sender, receiver, amount, memo in payments:
        body = {"sender": sender, "receiver": receiver, "amount": float(amount), "memo": memo}
        post(f"{node}/add_transaction", body)


def mine(node: str, blocks: int) -> None:
    for _ in range(blocks):
        get(f"{node}/mine_block")


def live() -> None:
    """What the pictures show: some blocks with transfers in common, then branches."""
    first, second, third = NODES
    for node in NODES:
        post(f"{node}/connect_node", {"node": [other for other in NODES if other != node]})
    for number in range(10):
        pay(first, *PAYMENTS[: number % (len(PAYMENTS) + 1)])
        mine(first, 1)
    for node in (second, third):
        get(f"{node}/replace_chain")
    mine(second, 2)  # a branch that will lose
    pay(first, *PAYMENTS)
    mine(first, 3)
    get(f"{second}/replace_chain")
    mine(third, 1)
    mine(second, 1)
    pay(second, *PAYMENTS[:3])


def picture(
    browser: Browser,
    name: str,
    url: str,
    *,
    dark: bool = False,
    act: Act = lambda page: None,
    size: ViewportSize = SIZE,
) -> None:
    context = browser.new_context(viewport=size, color_scheme="dark" if dark else "light", reduced_motion="reduce")
    page = context.new_page()
    page.goto(url, wait_until="load")
    page.wait_for_selector("#live-state[data-state=on]")
    act(page)
    page.wait_for_timeout(1_000)  # what is drawn after loading
    page.screenshot(path=PICTURES / f"{name}.png")
    context.close()


def change_an_old_block(page: Page) -> None:
    page.get_by_label("What stands in it").nth(1).fill("Ann pays Ben 500")


def graph(browser: Browser) -> None:
    """A small world whose halves mine apart, as a file and on its page."""
    with tempfile.TemporaryDirectory() as folder, Network("smallworld:10:4", data=folder, port=GRAPH_PORT) as net:
        net.mine("1", 3)
        net.wait_one_tip()
        names = list(net.nodes)
        net.split(names[:5], names[5:])
        net.delay("2", "3", 300)
        net.mine("2", 2)
        net.mine("8", 3)
        net.stop("5")
        net.wait_for(lambda: len({net[name].tip for name in names if name != "5"}) == 2)
        draw = ["net", "draw", str(PICTURES / "smallworld.svg"), "--data", folder]
        subprocess.run([sys.executable, "-P", "-m", "moneyer", *draw], check=True)
        picture(browser, "network", f"{net['1'].url}/network", size={"width": 1200, "height": 900})


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    if sys.argv[1:] != ["graph"]:
        pages()
    with chromium() as browser:
        graph(browser)


def pages() -> None:
    with network(), chromium() as browser:
        live()
        picture(browser, "home", NODES[1])
        picture(browser, "forks", f"{NODES[1]}/forks", dark=True)
        picture(browser, "lesson", f"{NODES[1]}/learn/chain", act=change_an_old_block)
        picture(browser, "wallet", f"{NODES[1]}/wallet", dark=True)


if __name__ == "__main__":
    main()
