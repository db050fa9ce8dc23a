"""Real nodes, each in processes of its own: what `node.p2p` asks is what `node.api` answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.p2p.peer.errors import Refused
from moneyer.node.p2p.peer.peer_client import PeerClient
from tests.kit.chains import ChainBuilder
from tests.kit.running import ALICE, BOB, RunningNode, rich_coin, running
from tests.kit.system.ports import free_port

COIN = rich_coin()


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[RunningNode]]:
    with ExitStack() as stack:
        yield [stack.enter_context(running(tmp_path / name, COIN)) for name in ("one", "two")]


def test_a_node_takes_the_heavier_chain_of_another_and_keeps_its_own_otherwise(nodes: list[RunningNode]) -> None:
    one, two = nodes
    ours, theirs = ChainBuilder(COIN, "ours"), ChainBuilder(COIN, "theirs")
    ours.grow(3)
    theirs.add([theirs.transfer(ALICE, BOB, 1234, 1)])
    theirs.grow(4)
    one.take(ours)
    two.take(theirs)
    connected = one.post("/connect_node", {"node": [two.url, one.url, f"http://127.0.0.1:{free_port()}"]})
    assert connected.status == 201
    assert connected.json["nodes"] == [f"127.0.0.1:{two.port}"]
    assert [each["code"] for each in connected.json["failed"]] == ["self", "unreachable"]
    assert one.get("/replace_chain").json["message"] == "nodes updated."
    assert one.tip_hash == theirs.tip_hash == two.tip_hash
    assert one.get(f"/v1/accounts/{COIN.address(BOB.payload)}").json["balance"] == theirs.account(BOB).balance
    assert one.get("/replace_chain").json["message"] == "already largest chain"
    assert one.get("/v1/peers").json["peers"][0]["state"] == "connected"
    two.stop()
    assert one.get("/replace_chain").json["message"].startswith("no answer from the other node")
    assert one.get("/v1/peers").json["peers"][0]["state"] == "down"


def test_a_client_understands_a_real_node(nodes: list[RunningNode]) -> None:
    one, two = nodes
    chain = ChainBuilder(COIN)
    chain.grow(5)
    client = PeerClient(one.url)
    assert [client.push_block(raw) for raw in chain.raw] == ["extended"] * 5
    assert client.push_block(chain.raw[0]) == "already_known"
    assert client.hello().tip == show(chain.tip_hash)
    assert client.headers([bytes(32)]) == [codec.encode_header(block.header) for block in chain.blocks[1:]]
    hashes = [codec.block_hash(block.header) for block in chain.blocks]
    assert client.blocks([hashes[2], bytes(32), hashes[5]]) == [chain.raw[1], None, chain.raw[4]]
    good, bad = chain.transfer(ALICE, BOB, 5), chain.transfer(BOB, ALICE, 2**50)
    answer = client.push_transactions(codec.encode_transaction(good) + codec.encode_transaction(bad))
    assert (answer.accepted, [each.code for each in answer.rejected]) == (1, ["insufficient_funds"])
    assert codec.decode_spends(client.mempool()) == [good]
    client.connect(two.url, COIN.chain_id, "a-node-of-two")
    assert client.peers().peers == [two.url]
    with pytest.raises(Refused) as refused:
        client.push_block(codec.encode_block(chain.next_block(amount=1)))
    assert (refused.value.status, refused.value.rule) == (422, "bad_coinbase_amount")
