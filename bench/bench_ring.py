"""A block around a ring: how long until all of 50 nodes have it, each of which knows its two neighbours alone.

All nodes live in this one process, and so share one interpreter and two cores: real stores on a real disk, real chains,
links and HTTP on loopback; only the server is a simple one. The clock starts when a block is handed to one node, and
stops when the last of them has committed it. The block goes both ways around, so it is passed on 25 times.
"""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.common import SHORT, below, folder, plain, report
from bench.wsgi import ThreadServer
from moneyer.node.api.app import build_app
from moneyer.node.config import Config
from moneyer.node.core import codec
from moneyer.node.core.codec import sha256d
from moneyer.node.core.coinfile import coin_to_toml
from moneyer.node.p2p.peer.peer_client import PeerClient
from moneyer.node.service import Node
from moneyer.node.store import blocks
from moneyer.node.system.threads import in_threads
from tests.kit.chains import ChainBuilder, easy_coin, key, transfer
from tests.kit.system.ports import free_port
from tests.kit.waiting import wait_until

NODES = 50
ROUNDS = 5 if SHORT else 20
PAUSE = 0.3
TRANSFERS = 100
"""In the larger block; the other one has none."""
WANTED = 3.0
ALICE, BOB = key("alice"), key("bob")
COIN = easy_coin(premine=[(ALICE, 10**12)])


@dataclass
class Ring:
    nodes: list[Node]

    def neighbours_connected(self) -> bool:
        return all(node.gossip.connected == 2 for node in self.nodes)

    def time(self, raw: bytes, first: int) -> list[float]:
        """Seconds until each node has the block that node `first` is given; in no order."""
        wanted = sha256d(raw[:80])
        arrived: dict[int, float] = {}
        everyone = threading.Event()

        def watch(number: int, node: Node) -> None:
            def look(_reorganized: bool) -> None:
                if number not in arrived and node.gossip.relay.tip.block_hash == wanted:
                    arrived[number] = time.perf_counter()
                    if len(arrived) == len(self.nodes):
                        everyone.set()

            node.gossip.relay.subscribe(look)
            watchers.append((node, look))

        watchers: list[tuple[Node, object]] = []
        for number, node in enumerate(self.nodes):
            watch(number, node)
        client = PeerClient(self.nodes[first].config.local_url)
        started = time.perf_counter()
        client.push_block(raw)
        if not everyone.wait(60):
            raise RuntimeError(f"only {len(arrived)} of {len(self.nodes)} nodes have the block after a minute")
        client.close()
        for node, look in watchers:
            node.gossip.relay.unsubscribe(look)  # type: ignore[arg-type]
        return [each - started for each in arrived.values()]


@contextmanager
def ring(data: Path, size: int) -> Iterator[Ring]:
    with ExitStack() as stack:
        ports = [free_port() for _ in range(size)]
        nodes: list[Node] = []
        for number, port in enumerate(ports):
            own = data / f"node{number}"
            own.mkdir()
            (own / "coin.toml").write_text(coin_to_toml(COIN), "utf-8")
            neighbours = (ports[number - 1], ports[(number + 1) % size])
            peers = tuple(f"http://127.0.0.1:{each}" for each in neighbours)
            node = Node.open(Config(own, port=port, peers=peers, outbound=2, development=True, min_fee=0))
            stack.callback(node.close)
            server = ThreadServer(port, build_app(node))
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            nodes.append(node)
        stack.callback(in_threads, lambda node: node.stop(), nodes, size)
        for node in nodes:
            node.start()
        made = Ring(nodes)
        wait_until(made.neighbours_connected, 120, "each node to be connected with its two neighbours")
        yield made


def main() -> None:
    with folder() as data:
        started = time.perf_counter()
        with ring(data, NODES) as here:
            up = time.perf_counter() - started
            chain, sequence = ChainBuilder(COIN), 0
            empty: list[list[float]] = []
            began = time.process_time()
            full: list[list[float]] = []
            for number in range(2 * ROUNDS):
                payments = []
                if number % 2:
                    payments = [transfer(COIN, ALICE, BOB, 1, 1, sequence + each) for each in range(TRANSFERS)]
                    sequence += TRANSFERS
                raw = codec.encode_block(chain.add(payments))
                (full if number % 2 else empty).append(here.time(raw, number * 7 % NODES))
                time.sleep(PAUSE)
            spent = (time.process_time() - began) / (2 * ROUNDS * NODES)
            assert here.neighbours_connected()
            for node in here.nodes:
                with node.store.read() as conn:
                    assert blocks.tip(conn).block_hash == chain.tip_hash
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    half = NODES // 2
    figures = [
        below(f"an empty block reaches all {NODES} nodes", [max(each) for each in empty], "s", WANTED),
        below(f"a block of {TRANSFERS} transfers reaches all", [max(each) for each in full], "s", WANTED),
        plain("an empty block reaches half of them", [sorted(each)[half] for each in empty], "s"),
        plain("one hop (of 25)", [max(each) / half * 1000 for each in empty], "ms"),
        plain("processor of a block at a node, the caller's share included", [1000 * spent], "ms"),
        plain("until all were connected, from nothing", [up], "s"),
        plain("memory of this process at most", [memory], "MB"),
    ]
    report("ring", figures)


if __name__ == "__main__":
    main()
