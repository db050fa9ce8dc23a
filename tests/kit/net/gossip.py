"""Networks of real nodes that gossip, and small peers that only listen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moneyer.node.core import codec
from moneyer.node.core.codec import sha256d, show
from moneyer.node.core.coin import Coin
from moneyer.node.core.types import Spend
from moneyer.node.devnet.chaos import Proxy
from moneyer.node.p2p.peer.peer_client import PeerClient
from tests.kit.chains import ChainBuilder
from tests.kit.net.peers import OCTETS, Answer, PeerServer, Route, as_json, hello_of, honest
from tests.kit.running import RunningNode, rich_coin, running
from tests.kit.system.ports import free_port
from tests.kit.waiting import wait_until

COIN = rich_coin()
SOON = 20.0
"""Seconds in which a network is in step, on a busy machine."""


@contextmanager
def gossiping(data: Path, peers: Iterable[str] = (), coin: Coin = COIN, **options: Any) -> Iterator[RunningNode]:
    """A node that runs without `--manual`."""
    with running(data, coin, manual=False, peers=tuple(peers), **options) as node:
        yield node


@contextmanager
def line(folder: Path, length: int, coin: Coin = COIN) -> Iterator[list[RunningNode]]:
    """Nodes each of which is connected with the one before it and the one behind it, and with no other."""
    with ExitStack() as stack:
        nodes: list[RunningNode] = []
        for number in range(length):
            peers = [nodes[-1].url] if nodes else []
            data = folder / f"node{number}"
            nodes.append(stack.enter_context(gossiping(data, peers, coin, outbound=len(peers))))
        for number, node in enumerate(nodes):
            wait_for_peers(node, 2 if 0 < number < length - 1 else 1)
        yield nodes


def peers_of(node: RunningNode) -> dict[str, str]:
    """URL and state of each."""
    return {peer["url"]: peer["state"] for peer in node.get("/v1/peers").json["peers"]}


def wait_for_peers(node: RunningNode, count: int) -> None:
    def connected() -> bool:
        return list(peers_of(node).values()).count("connected") >= count

    wait_until(connected, SOON, f"{count} peers of {node.url}")


def pool_of(node: RunningNode) -> set[str]:
    return {each["txid"] for each in node.get("/v1/mempool?limit=1000").json["transactions"]}


def wait_for_pool(node: RunningNode, txids: Iterable[str], timeout: float = SOON) -> None:
    wanted = set(txids)
    wait_until(lambda: pool_of(node) == wanted, timeout, f"{len(wanted)} transfers at {node.url}")


def post_transfer(node: RunningNode, transfer: Spend) -> str:
    """As a wallet does; the txid."""
    raw = codec.encode_transaction(transfer)
    answer = node.post("/v1/transactions", {"raw": raw.hex()})
    assert answer.status == 201, answer.body
    return show(sha256d(raw))


def node_id_of(node: RunningNode) -> str:
    return PeerClient(node.url).hello().node_id


# peers that listen


def listener(chain: ChainBuilder, **hello: Any) -> dict[str, Route]:
    """The routes of a peer that takes whatever it is told, and tells nothing."""
    return {
        **honest(chain, **hello),
        "POST /p2p/connect": as_json({"url": "http://127.0.0.1:1", "state": "connected"}),
        "POST /p2p/block": as_json({"status": "extended"}),
        "POST /p2p/transactions": as_json({"accepted": 0, "rejected": []}),
        "GET /p2p/mempool": lambda _: Answer(b"", kind=OCTETS),
        "GET /p2p/peers": as_json({"peers": []}),
    }


def wait_until_told(server: PeerServer) -> None:
    """Wait until a node is linked with the server: then it has told its URL."""
    wait_until(lambda: server.bodies("/p2p/connect"), SOON, "a node to connect")


def blocks_told(server: PeerServer) -> list[bytes]:
    """Hashes of the blocks that the server was sent, in order."""
    return [sha256d(raw[:80]) for raw in server.bodies("/p2p/block")]


def transfers_told(server: PeerServer) -> list[str]:
    """Txids that the server was sent, in order."""
    batches = [codec.decode_spends(body) for body in server.bodies("/p2p/transactions")]
    return [show(codec.txid(transfer)) for batch in batches for transfer in batch]


def push_as(chain: ChainBuilder, node: RunningNode, path: str, raw: bytes) -> Any:
    """Send to a node what the listener of `chain` would send."""
    headers = {"Content-Type": OCTETS, "Moneyer-Node": str(hello_of(chain)["node_id"])}
    answer = node.post(path, raw, headers)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


# networks that can be torn


@dataclass
class Member:
    node: RunningNode
    proxy: Proxy
    node_id: str


@contextmanager
def torn_network(folder: Path, size: int, coin: Coin = COIN) -> Iterator[list[Member]]:
    """Nodes that know each other only by their proxies, which can be cut."""
    with ExitStack() as stack:
        ports = [free_port() for _ in range(size)]
        proxies = [Proxy(port) for port in ports]
        for proxy in proxies:
            stack.callback(proxy.close)
        members = []
        for number, (port, proxy) in enumerate(zip(ports, proxies, strict=True)):
            others = [other.url for other in proxies if other is not proxy]
            node = stack.enter_context(gossiping(folder / f"node{number}", others, coin, port=port, announce=proxy.url))
            members.append(Member(node, proxy, node_id_of(node)))
        for member in members:
            wait_for_peers(member.node, size - 1)
        yield members


def tear(members: Sequence[Member], *groups: Sequence[int]) -> None:
    """Only members of one group reach each other from now on."""
    for group in groups:
        inside = {members[number].node_id for number in group}
        for number in group:
            members[number].proxy.cut(member.node_id for member in members if member.node_id not in inside)


def heal(members: Sequence[Member]) -> None:
    for member in members:
        member.proxy.heal()
