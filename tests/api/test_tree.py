"""`GET /v1/tree`: the newest heights with every branch."""

from __future__ import annotations

import pytest

from moneyer.node.core import codec
from moneyer.node.core.codec import show
from tests.kit.chains import block_on, key
from tests.kit.running import RunningNode

pytestmark = pytest.mark.both_databases


def test_the_tree_has_the_newest_heights_with_every_branch(fresh: RunningNode) -> None:
    for _ in range(4):
        fresh.extend()
    side = fresh.chain.branch(2, "side")
    low = fresh.chain.branch(0, "low")
    for block in (side.add(), low.add()):
        assert fresh.push(codec.encode_block(block)).json["status"] == "side_branch"
    told = fresh.get("/v1/tree?depth=3").json
    assert [(block["height"], block["status"], block["main_chain"]) for block in told["blocks"]] == [
        (4, "active", True),
        (3, "active", True),
        (3, "side_branch", False),
        (2, "active", True),
    ]
    assert told["truncated"] is False
    fork = told["blocks"][2]
    assert fork["hash"] == show(side.tip_hash)
    assert fork["prev_hash"] == told["blocks"][3]["hash"]
    assert (fork["tx_count"], fork["miner"]) == (1, key("miner").address(fresh.coin))
    assert fork["work"] == f"{side.work:064x}"
    assert fork["timestamp"] == side.tip.header.timestamp
    whole = fresh.get("/v1/tree").json["blocks"]
    assert [block["height"] for block in whole] == [4, 3, 3, 2, 1, 1, 0]


def test_the_tree_of_genesis_alone_is_one_block(fresh: RunningNode) -> None:
    (genesis,) = fresh.get("/v1/tree?depth=200").json["blocks"]
    assert (genesis["height"], genesis["status"]) == (0, "active")


def test_an_invalid_block_stands_in_the_tree_without_a_miner(fresh: RunningNode) -> None:
    fresh.extend()
    bad = block_on(fresh.coin, fresh.chain.tip.header, 2, amount=fresh.coin.subsidy(2) + 1)
    assert fresh.push(codec.encode_block(bad)).status == 422
    found = {block["height"]: block for block in fresh.get("/v1/tree").json["blocks"]}
    assert (found[2]["status"], found[2]["miner"], found[2]["main_chain"]) == ("invalid", None, False)


def test_a_reorg_changes_which_blocks_are_active(fresh: RunningNode) -> None:
    fresh.extend()
    before = fresh.get("/v1/tree")
    side = fresh.chain.branch(0, "side")
    side.grow(2)
    fresh.take(side)
    after = fresh.get("/v1/tree", {"If-None-Match": before.headers["etag"]})
    assert after.status == 200
    assert [(block["height"], block["status"]) for block in after.json["blocks"]] == [
        (2, "active"),
        (1, "active"),
        (1, "side_branch"),
        (0, "active"),
    ]


@pytest.mark.parametrize("depth", ["0", "201", "-1", "x", "1&depth=2", "1e3"])
def test_a_depth_that_is_none_is_refused(node: RunningNode, depth: str) -> None:
    answer = node.get(f"/v1/tree?depth={depth}")
    assert answer.status == 400
    assert "depth" in answer.json["error"]["message"]
