"""The pages: answers a second, what a browser fetches and when it paints, and what 100 open pages cost the node.

On a chain of 10,000 blocks with a million transfers (in the short form 500 and 10,000). The rates are of one page asked
for again and again, kept by the node as its JSON answers are; `anew` is one rendered for the first time. Paint and
bytes are Chromium's own figures, where there is one: each page in a browser that has nothing cached.
"""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.chains import FAR, Line, Payments, bench_coin, open_store
from bench.common import SHORT, Cost, Figure, at_least, below, by_processor, folder, in_turns, plain, report
from bench.process import Served, node, trivial, under_load
from moneyer.node.chain.accept import Chain
from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.core.coin import Coin
from moneyer.node.core.types import Transfer
from tests.kit.browser import chromium, find_chromium

BLOCKS = 500 if SHORT else 10_000
FULL, FULL_BLOCKS = (2_000, 5) if SHORT else (4_000, 250)
CONNECTIONS = 8
SECONDS = 1.0 if SHORT else 3.0
ROUNDS = 2 if SHORT else 5
OPEN_PAGES = 100
FOLLOWED = 6 if SHORT else 30
"""Seconds, and blocks, for which the open pages follow the chain."""
_LISTENERS_EACH = 30
"""Streams from one address: others come from 127.0.0.2 and so on, as other people's browsers do."""

PAINT = """() => new Promise(done => {
  const told = () => {
    const paint = performance.getEntriesByName('first-contentful-paint')[0];
    if (!paint) return setTimeout(told, 20);
    const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
    done([paint.startTime, all.reduce((sum, each) => sum + each.transferSize, 0)]);
  };
  told();
})"""


def fill(data: Path, coin: Coin) -> tuple[Line, Transfer]:
    """Full blocks, and blocks with a few transfers on top of them; a transfer in the middle."""
    line, payments = Line(coin), Payments(coin)
    some: Transfer | None = None
    store = open_store(data, coin)
    chain = Chain(store)
    for _ in range(FULL_BLOCKS):
        transfers = payments.take(FULL)
        some = some or transfers[FULL // 2]
        chain.accept_blocks(line.raws(1, transfers), FAR)
    while line.height < BLOCKS:
        step = min(500, BLOCKS - line.height)
        chain.accept_blocks(line.raws(step, payments.take(3 * step)), FAR)
    store.close()
    assert some is not None
    return line, some


def rates(ours: Served, other: Served, what: str, path: str, wanted: float) -> list[Figure]:
    """A page beside a trivial handler, in turns; and its times."""
    times: list[tuple[float, float]] = []

    def ask(served: Served, path: str) -> Cost:
        cost, result = under_load(served, CONNECTIONS, SECONDS, path)
        assert set(result["statuses"]) == {"200"}, result
        if served is ours:
            times.append((result["p50"], result["p99"]))
        return cost

    mine, least = in_turns(ROUNDS, lambda: ask(ours, path), lambda: ask(other, "/"))
    return [
        at_least(what, mine, "/s", wanted),
        by_processor(f"{what}, by a trivial handler", mine, least),
        plain("… p50", [p50 for p50, _ in times], "ms"),
        plain("… p99", [p99 for _, p99 in times], "ms"),
    ]


def painted(ours: Served, pages: dict[str, str]) -> list[Figure]:
    """First paint and bytes of each page, in a browser that has nothing cached."""
    if find_chromium() is None:
        return []
    figures = []
    with chromium() as browser:
        for what, path in pages.items():
            paints, sizes = [], []
            for _ in range(3 if SHORT else 7):
                context = browser.new_context()
                page = context.new_page()
                page.goto(f"http://127.0.0.1:{ours.port}{path}", wait_until="load")
                paint, size = page.evaluate(PAINT)
                paints.append(paint)
                sizes.append(size / 1e3)
                context.close()
            figures += [
                below(f"{what}: first paint", paints, "ms", 200),
                below(f"{what}: transferred, nothing cached", sizes, "kB", 300),
            ]
    return figures


def anew(ours: Served, what: str, paths: Iterator[str]) -> Figure:
    """The node's processor for a page that it has not kept: each of `paths` once."""
    before, count = ours.processor(), 0
    for path in paths:
        connection = http.client.HTTPConnection("127.0.0.1", ours.port, timeout=30)
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, path
        connection.close()
        count += 1
    return plain(f"{what}, made anew", [(ours.processor() - before) / count * 1e3], "ms of processor")


@contextmanager
def open_page(port: int, number: int) -> Iterator[None]:
    """What an open first page does: it listens, and asks for itself again at each block."""
    source = (f"127.0.0.{2 + number // _LISTENERS_EACH}", 0)
    stream = http.client.HTTPConnection("127.0.0.1", port, timeout=60, source_address=source)
    stream.request("GET", "/v1/events")
    listening = stream.sock  # the answer takes it over
    events = stream.getresponse()
    assert events.status == 200, (number, events.read())

    def follow() -> None:
        etag = ""
        pages = http.client.HTTPConnection("127.0.0.1", port, timeout=60, source_address=source)
        try:
            while line := events.readline():
                if line != b"event: block\n":
                    continue
                pages.request("GET", "/", headers={"If-None-Match": etag})
                answer = pages.getresponse()
                answer.read()
                etag = answer.headers["ETag"] or etag
        except (OSError, ValueError, http.client.HTTPException, AttributeError):
            pass  # closed from outside
        finally:
            pages.close()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        stream.close()


def followed(ours: Served, line: Line) -> Figure:
    """The node's processor while a block comes each second and 100 pages are open, as a share of one core."""
    with ExitStack() as stack:
        for number in range(OPEN_PAGES):
            stack.enter_context(open_page(ours.port, number))
        before, began = ours.processor(), time.monotonic()
        for number in range(FOLLOWED):
            push(ours.port, codec.encode_block(line.add()))
            time.sleep(max(0.0, began + number + 1 - time.monotonic()))
        share = (ours.processor() - before) / (time.monotonic() - began) * 100
    return below(f"{OPEN_PAGES} open pages, a block each second", [share], "% of a core", 20)


def push(port: int, raw: bytes) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/p2p/block", raw, {"Content-Type": "application/octet-stream"})
    answer = connection.getresponse()
    body = answer.read()
    assert b"extended" in body, body
    connection.close()


def main() -> None:
    coin = bench_coin()
    with folder() as data:
        line, some = fill(data, coin)
        paths = {
            "home": "/",
            "block": f"/block/{BLOCKS // 2}",
            f"block of {FULL:,}": "/block/2",
            "transaction": f"/tx/{show(codec.txid(some))}",
            "address": f"/address/{coin.address(some.receiver)}",
        }
        wanted = {"home": 1_000}
        figures: list[Figure] = []
        with node(data, coin, "--manual") as ours, trivial() as other:
            figures.append(plain("start until it answers", [ours.start_seconds], "s"))
            figures.append(anew(ours, "block", (f"/block/{height}" for height in range(BLOCKS - 60, BLOCKS - 10))))
            for what, path in paths.items():
                figures += rates(ours, other, what, path, wanted.get(what, 500))
            figures += painted(ours, paths)
            figures.append(followed(ours, line))
            figures.append(plain("memory of the node behind it all", [ours.pss() / 1e6], "MB"))
    report("pages", figures)


if __name__ == "__main__":
    main()
