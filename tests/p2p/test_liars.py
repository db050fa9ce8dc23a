"""Real nodes among peers that answer with anything but the protocol: they go on, with the honest ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from moneyer.node.core import codec
from moneyer.node.core.codec import sha256d
from moneyer.node.core.coin import Coin
from moneyer.node.p2p.peer import wire
from tests.kit.chains import ChainBuilder
from tests.kit.net.gossip import COIN, SOON, blocks_told, gossiping, listener, peers_of, wait_until_told
from tests.kit.net.peers import BLOCKS, HELLO, OCTETS, Answer, PeerServer, Serve, as_bytes, as_json, hello_of
from tests.kit.running import RunningNode, rich_coin, running
from tests.kit.system.process_tree import children_of
from tests.kit.waiting import wait_until

HEADERS = "POST /p2p/headers"
HTML = b"<html><body>It works!</body></html>"
NAN = b'{"peers": [NaN], "protocol": NaN, "height": NaN}'
DEEP = b'{"peers": ' + b"[" * 30_000 + b"]" * 30_000 + b"}"
LIES = {
    f"{path} {name}": (path, body)
    for path in (HELLO, HEADERS, BLOCKS, "GET /p2p/peers", "GET /p2p/mempool", "POST /p2p/connect")
    for name, body in (("html", HTML), ("nan", NAN), ("deep", DEEP))
}


def test_a_node_lives_through_every_answer_that_is_none_and_goes_on_with_who_is_honest(
    tmp_path: Path, serve: Serve
) -> None:
    liars: dict[str, PeerServer] = {}
    for name, (path, body) in LIES.items():
        chain = ChainBuilder(COIN, path)
        if path in (HEADERS, BLOCKS):  # one that outweighs ours, so that it is asked for, and that nobody else has
            chain.grow(3)
        liars[name] = serve({**listener(chain, node_id=f"liar-{len(liars):03}"), path: as_bytes(body)})
    honest = serve(listener(ChainBuilder(COIN, "honest")))
    urls = [honest.url, *(liar.url for liar in liars.values())]
    with gossiping(tmp_path / "node", urls, outbound=len(urls)) as node:
        wait_until_told(honest)
        for name, (path, _) in LIES.items():
            asked = liars[name].asked
            if path not in (HEADERS, BLOCKS):  # those are asked of one peer that claims so much, not of each
                wait_until(lambda asked=asked, path=path: path in [each for each, _ in asked], SOON, name)  # type: ignore[misc]
        by_path = {
            path: [liars[name].url for name, (where, _) in LIES.items() if where == path] for path, _ in LIES.values()
        }

        def are_marked() -> bool:
            known = peers_of(node)
            quiet = [known.get(url) != "connected" for path in (HELLO, "GET /p2p/peers") for url in by_path[path]]
            return all(quiet) and any(known.get(url) == "down" for url in (*by_path[HEADERS], *by_path[BLOCKS]))

        wait_until(are_marked, 2 * SOON, "the liars to be marked")
        for _ in range(2):
            node.extend()
            wait_until(lambda: blocks_told(honest)[-1:] == [node.chain.tip_hash], SOON, "the honest one to be told")
        assert peers_of(node)[honest.url] == "connected"
        assert "a fault of this node" not in node.log


class EndlessHeaders:
    """Valid headers of the least work that the coin allows, made as they are asked for; the last answer is unlinked."""

    def __init__(self, coin: Coin, node: RunningNode, answers: int) -> None:
        self.memory: list[int] = []
        self._node = node
        self._left = answers
        self._tip = coin.genesis.header

    def serve(self, _body: bytes) -> Answer:
        self.memory.append(memory(self._node))
        self._left -= 1
        if self._left == 0:
            self._tip = replace(self._tip, merkle_root=bytes([1] * 32))
        return Answer(b"".join(self._next() for _ in range(wire.MAX_HEADERS)), kind=OCTETS)

    def _next(self) -> bytes:
        prev_hash, when = codec.block_hash(self._tip), self._tip.timestamp + 60
        self._tip = replace(self._tip, prev_hash=prev_hash, merkle_root=bytes(32), timestamp=when)
        head = codec.encode_header(self._tip)[:76]
        for nonce in range(2**16):
            raw = head + nonce.to_bytes(4, "little")
            if sha256d(raw)[-1] < 0x7F:
                self._tip = replace(self._tip, nonce=nonce)
                return raw
        raise AssertionError


def memory(node: RunningNode) -> int:
    """Bytes of memory that the node's processes don't share: shared pages count for more as other processes end."""
    total = 0
    for pid in (node.process.pid, *children_of(node.process.pid)):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss_Anon:"))
    return total * 1024


def test_headers_without_end_are_not_kept_and_whoever_sends_them_is_marked_down(tmp_path: Path, serve: Serve) -> None:
    coin = rich_coin(retarget=True, clock_tolerance=60, difficulty_window=5)
    with running(tmp_path / "node", coin) as node:
        while node.chain.work < 200_000:
            when = max(node.chain.tip.header.timestamp + 1, node.chain.median_time_past + 1)
            node.extend(timestamp=when)
        before = node.get("/v1/tips").body
        endless = EndlessHeaders(coin, node, answers=30)
        claims = hello_of(ChainBuilder(coin, "endless"), work="f" * 64, height=2**31)
        peer = serve({HELLO: as_json(claims), HEADERS: endless.serve})
        assert node.post("/connect_node", {"node": [peer.url]}).status == 201
        assert node.get("/replace_chain").json["message"] == "already largest chain"
        assert len(endless.memory) == 30
        sent = (len(endless.memory) - 5) * wire.MAX_HEADERS
        grown = endless.memory[-1] - endless.memory[4]
        # 32 bytes of each are kept, and of the very many not even those; a header held as an object takes 500.
        assert grown < 150 * sent, f"{grown} bytes for {sent} headers"
        assert node.get("/v1/tips").body == before
        assert peer.bodies("/p2p/blocks") == []
        assert peers_of(node)[peer.url] == "down"
