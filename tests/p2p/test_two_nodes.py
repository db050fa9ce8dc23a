"""Real nodes, each in processes of its own: what `node.p2p` asks is what `node.api` answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.core.policy import Key, Threshold
from moneyer.node.core.types import COIN_ASSET, Payment, Spend
from moneyer.node.p2p.peer.errors import Refused
from moneyer.node.p2p.peer.peer_client import PeerClient
from tests.kit.chains import ChainBuilder, burn, contract, issue, meet, mint, pay, transfer
from tests.kit.net.gossip import gossiping, line, post_transfer, wait_for_pool
from tests.kit.running import ALICE, BOB, CAROL, RICH, RunningNode, rich_coin, running
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


TWO = rich_coin(rules=2)
BOTH = Threshold(2, (Key(ALICE.payload[1:]), Key(BOB.payload[1:])))


def test_nodes_of_rules_2_tell_each_other_every_version_and_go_over_to_the_heavier_chain(tmp_path: Path) -> None:
    """What a reorg undoes is gone at both, also from their pools: an asset, and what was sent of it meanwhile."""
    made = issue(TWO, ALICE, 100, 150, receiver=BOB)
    asset = codec.asset_id(TWO.chain_id, made)
    shared = contract(BOTH)
    with line(tmp_path, 2, TWO) as (one, two):
        winner = ChainBuilder(TWO, "winner")
        one.extend(transfers=[made, pay(TWO, BOB, shared, 20, asset), transfer(TWO, BOB, shared, 500, sequence=1)])
        two.wait_for_tip(one.chain)
        of_both = Payment(shared, 1, 0, b"", b"", CAROL.payload, asset, 5)
        waiting: list[Spend] = [mint(TWO, ALICE, asset, 50, sequence=1), burn(TWO, BOB, asset, 3, sequence=2)]
        waiting += [meet(TWO, of_both, BOTH, (0, 1), (ALICE, BOB)), pay(TWO, CAROL, shared, 7, COIN_ASSET)]
        txids = [post_transfer(node, each) for node, each in zip((one, two, one, two), waiting, strict=True)]
        for node in (one, two):
            wait_for_pool(node, txids)
        winner.add()
        again = pay(TWO, ALICE, BOB, RICH - 10, COIN_ASSET)
        winner.add([again])
        with gossiping(tmp_path / "third", coin=TWO) as third:
            third.take(winner)
            third.post("/v1/peers", {"url": two.url})
            for node in (one, two):
                node.wait_for_tip(winner)
                assert node.get(f"/v1/assets/{asset.hex()}").status == 404
                # The issue's place is taken. BOB's coin for the contract needs what came before it; CAROL's does not.
                wait_for_pool(node, [txids[3], show(codec.txid(transfer(TWO, BOB, shared, 500, sequence=1)))])
                assert node.get("/is_valid").json["valid"] is True


def test_nodes_of_rules_1_and_rules_2_refuse_each_other_with_a_sentence(tmp_path: Path) -> None:
    with running(tmp_path / "one", COIN) as one, running(tmp_path / "two", TWO) as two:
        for here, there, rules in ((one, two, (1, 2)), (two, one, (2, 1))):
            (failed,) = here.post("/connect_node", {"node": [there.url]}).json["failed"]
            assert failed["code"] == "other_rules"
            assert f"by rules {rules[1]}, this node by rules {rules[0]}: " in failed["message"]
            assert here.get("/v1/peers").json["peers"] == []
