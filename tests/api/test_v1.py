"""What `/v1` tells of a chain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moneyer.node.api.calls.v1_status import healthz
from moneyer.node.api.endpoint import Reply
from moneyer.node.api.parts.api_parts import ApiParts
from moneyer.node.api.shapes.v1 import Health
from moneyer.node.core import codec
from moneyer.node.core.codec import merkle_root_of_branch, show, unshow
from moneyer.node.core.coinfile import coin_from_json
from moneyer.node.core.types import Transfer
from moneyer.node.service import Node
from tests.kit.callers.handlers import call_of
from tests.kit.chains import key, transfer
from tests.kit.running import ALICE, BOB, CAROL, RICH, RunningNode, running
from tests.kit.system.ports import free_port
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.both_databases


@pytest.fixture(scope="module")
def told(database: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A node with five blocks: three transfers in the third, a branch off the first, one transfer waiting."""
    with running(tmp_path_factory.mktemp("told") / "node") as node:
        for _ in range(2):
            node.extend()
        sent = [
            transfer(node.coin, ALICE, BOB, amount, 10, sequence, b"hi") for sequence, amount in enumerate((5, 6, 7))
        ]
        node.extend(transfers=sent)
        for _ in range(2):
            node.extend()
        branch = node.chain.branch(1, "branch")
        assert node.push(codec.encode_block(branch.add())).json["status"] == "side_branch"
        waiting = transfer(node.coin, CAROL, ALICE, 100, 3)
        assert node.post("/v1/transactions", {"raw": codec.encode_transaction(waiting).hex()}).status == 201
        yield node


def the_transfer(node: RunningNode) -> Transfer:
    found = node.chain.blocks[3].transactions[2]
    assert isinstance(found, Transfer)
    return found


def test_the_status_is_the_node_at_a_glance(told: RunningNode) -> None:
    status = told.get("/v1/status").json
    assert status["coin"] == {"name": "Easy Coin", "symbol": "EASY", "hrp": "easy", "decimals": 6, "block_time": 10}
    assert status["chain_id"] == show(told.coin.chain_id)
    assert (status["height"], status["tip"]) == (5, show(told.chain.tip_hash))
    assert status["work"] == f"{told.chain.work:064x}"
    assert (status["bits"], status["difficulty"]) == ("207fffff", 1.0)
    assert status["issued"] == told.coin.issued(5)
    assert (status["mempool"]["count"], status["mempool"]["bytes"]) == (1, codec.TRANSFER_BASE)
    assert (status["peers"], status["peers_connected"], status["syncing"]) == (0, 0, False)
    assert (status["role"], status["speaks_to_peers"], status["speaker"]) == ("all", True, None)
    worker = status["worker"]
    assert (worker["alive"], worker["hashrate"], worker["engine"], worker["mode"]) == (False, 0.0, None, None)
    assert (worker["blocks"], worker["stale"], worker["stale_share"]) == (0, 0, 0.0)


def test_the_status_follows_the_chain(fresh: RunningNode) -> None:
    for expected in range(1, 6):
        fresh.extend()
        assert fresh.get("/v1/status").json["height"] == expected


def test_the_coin_is_enough_to_join(told: RunningNode) -> None:
    assert coin_from_json(told.get("/v1/coin").json) == told.coin


def test_blocks_come_newest_first_in_pages(told: RunningNode) -> None:
    page = told.get("/v1/blocks?limit=2").json["blocks"]
    assert [block["height"] for block in page] == [5, 4]
    page = told.get("/v1/blocks?before=4&limit=9").json["blocks"]
    assert [block["height"] for block in page] == [3, 2, 1, 0]
    assert told.get("/v1/blocks?before=0").json["blocks"] == []
    block = page[0]
    raw = told.chain.raw[2]
    assert (block["size"], block["tx_count"], block["fees"], block["reward"]) == (len(raw), 4, 30, 10_000_030)
    assert block["miner"] == key("miner").address(told.coin)
    assert len(block["work"]) == 64


def test_a_block_has_two_names(told: RunningNode) -> None:
    by_height = told.get("/v1/blocks/3").json
    assert told.get(f"/v1/blocks/{by_height['hash']}").json == by_height
    assert told.get(f"/v1/blocks/{by_height['hash'].upper()}").json == by_height
    assert (by_height["confirmations"], by_height["main_chain"]) == (3, True)
    assert [each["kind"] for each in by_height["transactions"]] == ["coinbase", "transfer", "transfer", "transfer"]
    assert told.get("/v1/blocks/3/raw").body == told.chain.raw[2]
    assert told.get("/v1/blocks/3/raw").headers["content-type"] == "application/octet-stream"


def test_every_branch_has_its_tip(told: RunningNode) -> None:
    tips = told.get("/v1/tips").json["tips"]
    assert [(tip["height"], tip["status"], tip["fork_height"]) for tip in tips] == [
        (5, "active", 5),
        (2, "side_branch", 1),
    ]
    side = told.get(f"/v1/blocks/{tips[1]['hash']}").json
    assert (side["main_chain"], side["confirmations"]) == (False, 0)
    assert side["transactions"][0]["status"] == "side_branch"


def test_a_transaction_is_told_whole(told: RunningNode) -> None:
    signed = the_transfer(told)
    view = told.get(f"/v1/transactions/{show(codec.txid(signed))}").json
    assert view["block_hash"] == told.get("/v1/blocks/3").json["hash"]
    assert {name: view[name] for name in ("kind", "amount", "fee", "sequence", "memo", "status")} == {
        "kind": "transfer",
        "amount": 6,
        "fee": 10,
        "sequence": 1,
        "memo": "hi",
        "status": "confirmed",
    }
    assert (view["height"], view["position"], view["confirmations"]) == (3, 2, 3)
    assert view["signature"] == signed.signature.hex()
    assert view["size"] == len(codec.encode_transaction(signed))
    minted = told.get(f"/v1/transactions/{show(codec.txid(told.chain.tip.transactions[0]))}").json
    assert (minted["kind"], minted["sender"], minted["memo"], minted["sequence"]) == ("coinbase", None, None, None)


def test_a_proof_leads_to_the_header(told: RunningNode) -> None:
    txid = codec.txid(the_transfer(told))
    proof = told.get(f"/v1/transactions/{show(txid)}/proof").json
    header = codec.decode_header(bytes.fromhex(proof["header"]))
    assert header == told.chain.blocks[3].header
    branch = [unshow(sibling) for sibling in proof["branch"]]
    assert merkle_root_of_branch(txid, proof["position"], branch) == header.merkle_root
    waiting = told.get("/v1/mempool").json["transactions"][0]["txid"]
    assert told.get(f"/v1/transactions/{waiting}/proof").status == 404


def test_the_mempool_is_told_best_paying_first(fresh: RunningNode) -> None:
    for fee, sender in ((5, ALICE), (50, BOB), (20, CAROL)):
        raw = codec.encode_transaction(transfer(fresh.coin, sender, ALICE, 1, fee))
        fresh.post("/v1/transactions", {"raw": raw.hex()})
    pool = fresh.get("/v1/mempool?limit=2").json
    assert (pool["count"], pool["bytes"]) == (3, 3 * codec.TRANSFER_BASE)
    assert [each["fee"] for each in pool["transactions"]] == [50, 20]


def test_an_account_tells_what_it_has_and_what_is_on_its_way(told: RunningNode) -> None:
    alice = told.get(f"/v1/accounts/{ALICE.address(told.coin)}").json
    assert (alice["balance"], alice["sequence"]) == (RICH - 18 - 30, 3)
    assert alice["pending"] == {"incoming": 100, "outgoing": 0, "next_sequence": 3}
    carol = told.get(f"/v1/accounts/{CAROL.address(told.coin).upper()}").json
    assert (carol["address"], carol["pending"]["outgoing"]) == (CAROL.address(told.coin), 103)
    assert carol["pending"]["next_sequence"] == 1
    nobody = told.get(f"/v1/accounts/{key('nobody').address(told.coin)}").json
    assert (nobody["balance"], nobody["sequence"]) == (0, 0)


def test_a_history_comes_newest_first_in_pages(told: RunningNode) -> None:
    path = f"/v1/accounts/{ALICE.address(told.coin)}/transactions"
    seen: list[tuple[int, int]] = []
    cursor = ""
    while True:
        page = told.get(f"{path}?limit=2{cursor}").json
        seen += [(each["height"], each["position"]) for each in page["transactions"]]
        if page["next"] is None:
            break
        cursor = f"&before={page['next']}"
    assert seen == [(3, 3), (3, 2), (3, 1), (0, 1)]
    assert told.get(path).json["next"] is None


def test_peers_are_added_listed_and_removed(tmp_path: Path) -> None:
    with running(tmp_path / "one") as one, running(tmp_path / "two", one.coin) as two:
        added = one.post("/v1/peers", {"url": two.url})
        assert (added.status, added.json["url"], added.json["state"]) == (201, two.url, "connected")
        assert [peer["url"] for peer in one.get("/v1/peers").json["peers"]] == [two.url]
        assert one.get("/v1/status").json["peers"] == 1
        assert one.get("/p2p/peers").json["peers"] == [two.url]
        assert one.call("DELETE", f"/v1/peers/127.0.0.1:{two.port}").json == {"removed": f"127.0.0.1:{two.port}"}
        assert one.get("/v1/peers").json["peers"] == []
        assert one.call("DELETE", f"/v1/peers/127.0.0.1:{two.port}").status == 404


def test_a_peer_that_the_start_names_is_met_once_it_is_there(tmp_path: Path) -> None:
    port = free_port()
    strange = ("file:///etc/passwd", f"http://127.0.0.1:{port}")
    with running(tmp_path / "one", peers=strange) as one, running(tmp_path / "two", one.coin, port=port):
        wait_until(lambda: one.get("/v1/peers").json["peers"], 20, "the peer to be met")
        assert "file:///etc/passwd is not taken" in one.log


def test_the_node_is_healthy(told: RunningNode) -> None:
    assert told.get("/healthz").json == {
        "status": "ok",
        "height": 5,
        "database": True,
        "writer": True,
        "peers": {"known": 0, "connected": 0},
        "busy": [],
        "problem": None,
    }


def test_a_node_that_cannot_do_its_work_is_not_well(fresh: RunningNode) -> None:
    """Asked in this process, on the node's own folder: what was broken is put together again by nobody."""
    fresh.stop()
    node = Node.open(fresh.config)
    call = call_of(ApiParts.of(node))
    well = healthz(node, call)
    assert isinstance(well, Health)
    assert (well.status, well.database, well.writer, well.problem) == ("ok", True, True, None)
    node.store.close()  # the thread that writes has ended
    told = healthz(node, call)
    assert isinstance(told, Reply)
    assert isinstance(told.content, Health)
    assert (told.status, told.content.status, told.content.writer) == (503, "failing", False)
    assert "writes" in str(told.content.problem)


@pytest.mark.sqlite_only("a server's files are out of a node's reach")
def test_a_node_whose_file_is_gone_is_not_well(fresh: RunningNode) -> None:
    fresh.stop()
    node = Node.open(fresh.config)
    call = call_of(ApiParts.of(node))
    assert isinstance(healthz(node, call), Health)
    node.store.close()
    for file in fresh.config.data.glob("chain.db*"):
        file.unlink()
    told = healthz(node, call)
    assert isinstance(told, Reply)
    assert isinstance(told.content, Health)
    assert (told.status, told.content.status, told.content.database) == (503, "failing", False)
    assert "deleted or replaced" in str(told.content.problem)


def test_a_page_of_the_mempool_is_by_fee_rate_ready_or_not_and_of_equals_the_oldest_first(fresh: RunningNode) -> None:
    sent = []
    for sequence, fee in ((0, 7), (1, 9), (5, 9), (6, 7), (2, 7), (8, 30)):
        each = transfer(fresh.coin, ALICE, BOB, 1, fee * 1000, sequence)
        sent.append(each)
        assert fresh.post("/v1/transactions", {"raw": codec.encode_transaction(each).hex()}).status == 201
    wanted = [show(codec.txid(each)) for each in sorted(sent, key=lambda each: -each.fee)]
    for limit in (1, 2, 3, 4, 5, 6, 100):
        page = fresh.get(f"/v1/mempool?limit={limit}").json["transactions"]
        assert [each["txid"] for each in page] == wanted[:limit]
    assert fresh.get("/p2p/mempool").body == b"".join(
        codec.encode_transaction(each) for each in sorted(sent, key=lambda each: -each.fee)
    )
