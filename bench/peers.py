"""A node beside litecoind, in turns in one run: `python -m bench.peers`, as `bench/peers.md` tells.

Some parts alone: `python -m bench.peers accept reads start sync relay reorg`.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import bench_sync
from bench.bench_relay import blocks_to
from bench.chains import Line, Payments, bench_coin, make_chain
from bench.common import SHORT, Cost, Figure, at_least, folder, in_turns, plain, ratios, report
from bench.litecoin import HEADERS, Litecoin, call, is_here, litecoin
from bench.process import Served, node, under_load
from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.core.coin import Coin
from tests.kit.net.gossip import line

ROUNDS = 2 if SHORT else 5
COUNT = 500 if SHORT else 3_000
"""Transfers a round."""
SECONDS = 1.0 if SHORT else 3.0
LONG = 1_000 if SHORT else 10_000
"""Empty blocks."""
BLOCKS, TRANSFERS = (3 if SHORT else 10), 2_000
DEPTH = 200 if SHORT else 1_000


def posted(server: Served | Litecoin, connections: int, path: str, bodies: Path, lines: list[str]) -> Cost:
    """Each body once; every one of them must be taken."""
    bodies.write_text("\n".join(lines))
    headers = HEADERS if isinstance(server, Litecoin) else ()
    cost, result = under_load(server, connections, 600, path, bodies, headers=headers)
    assert set(result["statuses"]) <= {"200", "201"}, result
    return cost


def asked(server: Served | Litecoin, path: str, bodies: Path | None = None) -> Cost:
    """The same question, or those of `bodies`, again and again from eight connections."""
    headers = HEADERS if isinstance(server, Litecoin) else ()
    cost, result = under_load(server, 8, SECONDS, path, bodies, again=True, headers=headers)
    assert set(result["statuses"]) == {"200"}, result
    return cost


def beside(
    what: str,
    ours: list[Cost] | list[float],
    theirs: list[Cost] | list[float],
    unit: str,
    wanted: float,
    *,
    is_time: bool = False,
) -> list[Figure]:
    """Both, and ours over theirs (for times theirs over ours): above 1 ours is faster."""
    ratio = ratios(theirs, ours) if is_time else ratios(ours, theirs)
    return [
        plain(f"{what}: Moneyer", ours, unit),
        plain(f"{what}: litecoind", theirs, unit),
        at_least(f"{what}: ratio", ratio, "×", wanted),
    ]


def accept(data: Path, coin: Coin) -> list[Figure]:
    """Signed transfers, durable when answered (litecoind's are in memory only)."""
    figures: list[Figure] = []
    payments = Payments(coin)
    with node(data / "ours", coin) as ours, litecoin(data / "theirs") as theirs:
        theirs.become_rich()

        def post_ours(connections: int) -> Cost:
            lines = [json.dumps({"raw": codec.encode_transaction(each).hex()}) for each in payments.take(COUNT)]
            return posted(ours, connections, "/v1/transactions", data / "bodies", lines)

        for connections in (8, 1):
            hexes = iter([theirs.signed(COUNT) for _ in range(ROUNDS)])

            def post_theirs(connections: int = connections, hexes: Any = hexes) -> Cost:
                lines = [json.dumps(call("sendrawtransaction", each)) for each in next(hexes)]
                return posted(theirs, connections, "/", data / "bodies", lines)

            mine, other = in_turns(ROUNDS, lambda n=connections: post_ours(n), post_theirs)  # type: ignore[misc]
            figures += beside(f"accept, {connections} connections", mine, other, "/s", 1.0)
    return figures


def reads(data: Path, coin: Coin) -> list[Figure]:
    """An account, a transaction, a block of one transfer: each of many, from eight connections."""
    payments = Payments(coin).take(200)
    make_chain(data / "ours", coin, Line(coin).raws(200, payments))
    with node(data / "ours", coin) as ours, litecoin(data / "theirs") as theirs:
        theirs.become_rich()
        theirs.ask("sendrawtransaction", theirs.signed(1)[0])
        theirs.mine(1)
        block = theirs.ask("getbestblockhash")
        txid = theirs.ask("getblock", block)["tx"][1]
        pairs = (
            ("account", f"/v1/accounts/{coin.address(payments[0].receiver)}", call("gettxout", txid, 0), 0.5),
            (
                "transaction",
                f"/v1/transactions/{show(codec.txid(payments[50]))}",
                call("getrawtransaction", txid, True),
                0.6,
            ),
            ("block of one transfer", "/v1/blocks/50", call("getblock", block, 2), 2.5),
        )
        figures: list[Figure] = []
        for what, path, question, wanted in pairs:
            (data / "question").write_text(json.dumps(question))
            mine, other = in_turns(
                ROUNDS,
                lambda path=path: asked(ours, path),  # type: ignore[misc]
                lambda: asked(theirs, "/", data / "question"),
            )
            figures += beside(f"GET {what}", mine, other, "/s", wanted)
    return figures


def start(data: Path, coin: Coin) -> list[Figure]:
    """From the start of the process until it answers: an empty chain, and one of empty blocks."""
    make_chain(data / "long", coin, Line(coin).raws(LONG))
    with litecoin(data / "theirs") as theirs:
        theirs.ask("createwallet", "bench")
        theirs.mine(LONG)

    def ours(name: str) -> float:
        with node(data / name, coin) as served:
            return served.start_seconds

    def theirs_answers(name: str) -> float:
        with litecoin(data / name) as served:
            return served.start_seconds

    figures: list[Figure] = []
    for what, mine, peer in (("an empty chain", "empty", "none"), (f"{LONG:,} blocks", "long", "theirs")):
        answered, other = in_turns(ROUNDS, lambda mine=mine: ours(mine), lambda peer=peer: theirs_answers(peer))  # type: ignore[misc]
        figures += beside(f"start on {what}", answered, other, "s", 0.5, is_time=True)
    return figures


def sync(data: Path, coin: Coin) -> list[Figure]:
    """A node gets full blocks from another one over loopback, from its first answer on.

    litecoind's has the blocks with the money that these spend, and ours an empty chain: our coins begin with money.
    """
    count = BLOCKS * TRANSFERS
    raws = Line(coin).raws(BLOCKS, Payments(coin).take(count))
    with litecoin(data / "theirs") as theirs:
        theirs.become_rich()
        hexes = theirs.signed(count)
    seed = shutil.copytree(data / "theirs", data / "seed")
    with bench_sync.serving(data / "ours", coin, raws) as source, litecoin(data / "theirs", "-wallet=bench") as theirs:
        for first in range(0, count, TRANSFERS):
            theirs.ask_many([call("sendrawtransaction", each) for each in hexes[first : first + TRANSFERS]])
            theirs.mine(1)
        tip = theirs.ask("getbestblockhash")

        def theirs_synced() -> float:
            with folder() as where, litecoin(shutil.copytree(seed, where / "data")) as fresh:
                return count / reached(fresh, theirs, tip)

        mine, other = in_turns(ROUNDS, lambda: count / bench_sync.sync([source], coin, BLOCKS).took, theirs_synced)
    return beside(f"sync of {count:,} transfers", mine, other, "transfers/s", 1.5)


def reached(fresh: Litecoin, source: Litecoin, tip: str) -> float:
    """Seconds from the connection until `tip` is its tip."""
    began = time.perf_counter()
    fresh.connect(source)
    fresh.wait_for(tip)
    return time.perf_counter() - began


def reorg(data: Path, coin: Coin) -> list[Figure]:
    """A node on a branch of empty blocks meets one whose branch is a block longer."""
    with litecoin(data / "short") as short, litecoin(data / "long") as long:
        for each, blocks in ((short, DEPTH), (long, DEPTH + 1)):
            each.ask("createwallet", "bench")
            each.mine(blocks)
    make_chain(data / "old", coin, Line(coin, "old").raws(DEPTH))
    with (
        bench_sync.serving(data / "new", coin, Line(coin, "new").raws(DEPTH + 1)) as source,
        litecoin(data / "long") as theirs,
    ):
        tip = theirs.ask("getbestblockhash")

        def ours_turned() -> float:
            with folder() as where:
                return bench_sync.sync([source], coin, DEPTH + 1, shutil.copytree(data / "old", where / "data")).took

        def theirs_turned() -> float:
            with folder() as where, litecoin(shutil.copytree(data / "short", where / "data")) as fresh:
                return reached(fresh, theirs, tip)

        mine, other = in_turns(ROUNDS, ours_turned, theirs_turned)
    return beside(f"reorg of {DEPTH:,} empty blocks", mine, other, "s", 1.2, is_time=True)


def relay(data: Path, coin: Coin) -> list[Figure]:
    """A block handed to one node until it is its neighbour's tip."""
    with line(data / "line", 2) as (first, second):
        mine = blocks_to(first, second)
    with litecoin(data / "a") as a, litecoin(data / "b") as b:
        a.become_rich()
        b.connect(a)
        b.wait_for(a.ask("getbestblockhash"))
        other = []
        for _ in range(len(mine)):
            began = time.perf_counter()
            (block,) = a.ask("generatetoaddress", 1, a.address)
            b.wait_for(block)
            other.append((time.perf_counter() - began) * 1000)
            time.sleep(0.03)
    return beside("a block to the next node", mine, other, "ms", 0.6, is_time=True)


PARTS: dict[str, Callable[[Path, Coin], list[Figure]]] = {
    "accept": accept,
    "reads": reads,
    "start": start,
    "sync": sync,
    "relay": relay,
    "reorg": reorg,
}


def main() -> None:
    if not is_here():
        raise SystemExit("litecoind is not installed: `apt-get install litecoind` (Debian), see bench/peers.md")
    coin = bench_coin()
    figures: list[Figure] = []
    for name in sys.argv[1:] or PARTS:
        with folder() as data:
            figures += PARTS[name](data, coin)
    report("peers", figures)


if __name__ == "__main__":
    main()
