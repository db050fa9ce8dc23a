"""The side of `/p2p` that answers: asked by the real client, and by strangers; and the vectors through it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.core.coinfile import coin_from_json
from moneyer.node.p2p.peer import wire
from moneyer.node.p2p.peer.peer_client import PeerClient
from moneyer.node.system.shares import CALLBACKS
from tests.kit.chains import transfer
from tests.kit.net.peers import PeerServer, as_json, hello_of
from tests.kit.running import ALICE, BOB, RICH, RunningNode, running
from tests.kit.system.ports import free_port
from tests.kit.waiting import wait_until

OCTETS = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningNode, PeerClient]]:
    """A node with twelve blocks, and a client of it."""
    with running(tmp_path_factory.mktemp("asked") / "node") as node:
        for _ in range(12):
            node.extend()
        client = PeerClient(node.url)
        yield node, client
        client.close()


Asked = tuple[RunningNode, PeerClient]


def test_a_hello_tells_who_a_node_is(asked: Asked) -> None:
    node, client = asked
    hello = client.hello()
    assert (hello.protocol, hello.chain_id, hello.url) == (1, show(node.coin.chain_id), node.url)
    assert (hello.height, hello.tip, hello.claimed_work) == (12, show(node.chain.tip_hash), node.chain.work)
    assert hello.agent.startswith("moneyer/")
    assert node.get("/p2p/hello").json["rules"] == hello.rules == node.coin.rules
    assert client.hello().node_id == hello.node_id


def test_headers_follow_the_first_hash_that_is_known(asked: Asked) -> None:
    node, client = asked
    hashes = [codec.block_hash(block.header) for block in node.chain.blocks]
    headers = [codec.encode_header(block.header) for block in node.chain.blocks]
    assert client.headers([bytes(31) + b"\x01", hashes[9], hashes[3]]) == headers[10:]
    assert client.headers([]) == headers[1:]
    assert client.headers([hashes[12]]) == []


def test_blocks_come_in_the_order_asked(asked: Asked) -> None:
    node, client = asked
    hashes = [codec.block_hash(node.chain.blocks[height].header) for height in (3, 1, 2)]
    raw = node.chain.raw
    assert client.blocks([*hashes, bytes(32)]) == [raw[2], raw[0], raw[1], None]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/p2p/headers", {"locator": ["0" * 63]}),
        ("/p2p/headers", {"locator": ["0" * 64] * 102}),
        ("/p2p/headers", {"locator": "0" * 64}),
        ("/p2p/headers", {}),
        ("/p2p/blocks", {"hashes": []}),
        ("/p2p/blocks", {"hashes": ["0" * 64] * 129}),
        ("/p2p/blocks", {"hashes": ["0" * 64, "1" * 64, "0" * 64]}),
        ("/p2p/blocks", {"hashes": ["A" * 64]}),
        ("/p2p/blocks", {"hashes": [None]}),
        ("/p2p/connect", {"url": "http://127.0.0.1:1"}),
        ("/p2p/connect", {"url": "http://127.0.0.1:1", "chain_id": "0" * 64, "node_id": "<html>"}),
    ],
)
def test_what_the_protocol_does_not_know_is_not_understood(asked: Asked, path: str, body: dict[str, Any]) -> None:
    answer = asked[0].post(path, body)
    assert (answer.status, answer.code) == (400, "bad_field")


def test_transfers_are_taken_and_refused_one_by_one(fresh: RunningNode) -> None:
    good = [transfer(fresh.coin, ALICE, BOB, 5, 1, sequence) for sequence in range(3)]
    poor = transfer(fresh.coin, BOB, ALICE, RICH, 1)
    client = PeerClient(fresh.url)
    answer = client.push_transactions(b"".join(map(codec.encode_transaction, [good[0], poor, *good[1:], good[0]])))
    assert answer.accepted == 4
    assert [(each.txid, each.code) for each in answer.rejected] == [(show(codec.txid(poor)), "insufficient_funds")]
    assert sorted(each.sequence for each in codec.decode_spends(client.mempool())) == [0, 1, 2]
    client.close()


def test_transfers_cut_short_are_malformed(node: RunningNode) -> None:
    raw = codec.encode_transaction(transfer(node.coin, ALICE, BOB, 5))
    for cut in (raw[:-1], raw + b"\x01", b"\x02", codec.encode_transaction(node.coin.genesis.transactions[0])):
        answer = node.post("/p2p/transactions", cut, OCTETS)
        assert (answer.status, answer.code) == (400, "malformed")
    assert node.get("/v1/mempool").json["count"] == 0


def test_a_caller_is_called_back_where_it_calls_from(tmp_path: Path) -> None:
    with running(tmp_path / "one") as one, running(tmp_path / "two", one.coin) as two:
        client = PeerClient(two.url)
        hello = PeerClient(one.url).hello()
        client.connect(one.url, one.coin.chain_id, hello.node_id)
        assert [peer["url"] for peer in two.get("/v1/peers").json["peers"]] == [one.url]
        client.close()


def test_a_node_refuses_one_of_other_rules_whoever_asks_for_the_link(node: RunningNode) -> None:
    server = PeerServer({"GET /p2p/hello": as_json(hello_of(node.chain, rules=2))})
    try:
        named = node.post("/v1/peers", {"url": server.url})
        body = {"url": server.url, "chain_id": show(node.coin.chain_id), "node_id": "0" * 32}
        called = node.post("/p2p/connect", body)
    finally:
        server.close()
    assert [(each.status, each.code) for each in (named, called)] == [(422, "other_rules")] * 2
    assert "rules 2" in named.json["error"]["message"]
    assert node.get("/v1/peers").json["peers"] == []


def test_callers_that_do_not_answer_hold_no_more_than_a_few_of_the_servers_threads(fresh: RunningNode) -> None:
    stop = threading.Event()
    body = {"chain_id": show(fresh.coin.chain_id), "node_id": "0" * 32}
    closed = {**body, "url": f"http://127.0.0.1:{free_port()}"}
    with socket.create_server(("127.0.0.1", 0), backlog=1_000) as silent:
        waiting = {**body, "url": f"http://127.0.0.1:{silent.getsockname()[1]}"}

        def call() -> None:
            while not stop.is_set():
                fresh.post("/p2p/connect", waiting)

        threads = [threading.Thread(target=call) for _ in range(CALLBACKS.total)]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: fresh.post("/p2p/connect", closed).status == 503, 30, "the node to be busy")
        finally:
            stop.set()
    for thread in threads:
        thread.join()
    answer = fresh.post("/p2p/connect", closed)
    assert (answer.status, answer.code) == (422, "unreachable")


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("http://192.168.1.20:5001", 403),
        ("http://127.0.0.2:5001", 403),
        ("http://example.org:5001", 403),
        ("file:///etc/passwd", 400),
        ("http://169.254.169.254/", 400),
        ("http://user:pass@127.0.0.1:5001", 400),
        ("http://127.0.0.1:1", 422),
    ],
)
def test_nobody_makes_a_node_call_somewhere_else(node: RunningNode, url: str, status: int) -> None:
    body = {"url": url, "chain_id": show(node.coin.chain_id), "node_id": "0" * 32}
    assert node.post("/p2p/connect", body).status == status
    assert node.get("/v1/peers").json["peers"] == []


def test_a_node_that_listens_everywhere_knows_no_url_of_its_own(tmp_path: Path) -> None:
    with running(tmp_path / "node", development=False, host="0.0.0.0") as node:
        assert node.get("/p2p/hello").json["url"] is None


def statuses(node: RunningNode, raws: list[str]) -> list[str]:
    """What comes of each block: its status, or its code."""
    told = []
    for raw in raws:
        answer = node.push(bytes.fromhex(raw))
        assert answer.status == (200 if "status" in answer.json else 422), answer.body
        told.append(answer.json.get("status") or answer.code)
    return told


@pytest.fixture
def vector_node(vectors: dict[str, Any], tmp_path: Path) -> Iterator[RunningNode]:
    """A node of the vectors' coin, at the height where most of them begin."""
    with running(tmp_path / "vectors", coin_from_json(vectors["chain"]["coin"])) as node:
        height = vectors["invalid_blocks"]["parent_height"]
        assert statuses(node, vectors["chain"]["blocks"][:height]) == ["extended"] * height
        yield node


def test_the_vectors_chain_and_reorg_go_through_a_running_node(
    vectors: dict[str, Any], vector_node: RunningNode
) -> None:
    height = vectors["invalid_blocks"]["parent_height"]
    statuses(vector_node, vectors["chain"]["blocks"][height:])
    for part in ("chain", "reorg"):
        if part == "reorg":
            assert statuses(vector_node, vectors[part]["blocks"])[-1] == "reorganized"
        state = vectors[part]["state"]
        told = vector_node.get("/v1/status").json
        assert (told["tip"], told["height"], int(told["work"], 16)) == (
            state["tip_shown"],
            state["height"],
            int(state["work"], 16),
        )
        for address, account in state["accounts"].items():
            held = vector_node.get(f"/v1/accounts/{address}").json
            assert (held["balance"], held["sequence"]) == (account["balance"], account["sequence"])
    assert vector_node.get("/is_valid").json["valid"] is True


def test_the_vectors_invalid_blocks_change_nothing(vectors: dict[str, Any], vector_node: RunningNode) -> None:
    tip = vector_node.get("/v1/status").json["tip"]
    for block in vectors["invalid_blocks"]["blocks"]:
        assert statuses(vector_node, [block["raw"]]) == [block["code"]], block["why"]
        assert vector_node.get("/v1/status").json["tip"] == tip
    assert statuses(vector_node, [vectors["invalid_blocks"]["valid_after"]]) == ["extended"]


def test_a_poisoned_body_does_not_condemn_its_header(vectors: dict[str, Any], vector_node: RunningNode) -> None:
    for block in vectors["poison"]["blocks"]:
        assert statuses(vector_node, [block["raw"]]) == [block["code"]], block["why"]
    assert statuses(vector_node, [vectors["poison"]["true_block"]]) == ["extended"]


def test_a_reorg_that_fails_leaves_everything_as_it_was(vectors: dict[str, Any], vector_node: RunningNode) -> None:
    failed = vectors["failed_reorg"]
    assert set(statuses(vector_node, failed["branch"])) == {"side_branch"}
    refused = [failed["last_bad"], failed["child_of_bad"]]
    assert statuses(vector_node, refused) == [failed["code"], "invalid_parent"]
    assert vector_node.get("/v1/status").json["tip"] == failed["state_before"]["tip_shown"]
    assert statuses(vector_node, [failed["last_good"]]) == ["reorganized"]


def test_an_orphan_is_held_until_its_parent_comes(fresh: RunningNode) -> None:
    first, second = (codec.encode_block(fresh.chain.add()) for _ in range(2))
    assert fresh.push(second).json == {"status": "orphan"}
    assert fresh.push(first).json == {"status": "extended"}
    assert fresh.get("/v1/status").json["height"] == 2
    assert fresh.push(second).json == {"status": "already_known"}


def test_many_large_blocks_are_cut_after_eight_megabytes() -> None:
    framed = wire.frame_blocks([b"x" * 3_000_000] * 5)
    assert len(framed) <= wire.CUT_BYTES
    assert len(wire.split_blocks(framed, 5, 4_000_000)) == 2
    assert len(wire.frame_blocks([b"x" * 9_000_000])) == 9_000_004
