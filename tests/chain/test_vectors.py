"""The vectors of a whole node: each block through `Chain.accept_block`, on a real database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.chain.verify import verify_chain
from moneyer.node.core import coinfile
from moneyer.node.core.codec import show
from moneyer.node.core.coin import Coin
from moneyer.node.core.errors import RuleError
from moneyer.node.core.types import Account
from tests.conftest import REPOSITORY
from tests.kit.databases import copy_node
from tests.kit.nodes import Node, OpenNode

pytestmark = pytest.mark.both_databases

Vectors = dict[str, Any]
NOW = 1_790_100_000
"""Later than every block of the vectors, but for the one that is too new."""

COPY: Vectors = json.loads((REPOSITORY / "tests" / "vectors" / "moneyer.json").read_text("utf-8"))
COIN: Coin = coinfile.coin_from_json(COPY["chain"]["coin"])
PARENT_HEIGHT = 30


def offer(node: Node, block: str) -> str:
    """The status, or the code of the rule that the block breaks."""
    try:
        return node.chain.accept_block(bytes.fromhex(block), NOW).status
    except RuleError as error:
        return error.code


def state(node: Node) -> Vectors:
    """As the vectors write it."""
    tip = node.tip
    return {
        "tip_shown": show(tip.block_hash),
        "height": tip.height,
        "work": f"{tip.work:x}",
        "bits": f"{tip.header.bits:08x}",
        "accounts": {
            COIN.address(payload): {"balance": account.balance, "sequence": account.sequence}
            for payload, account in node.accounts().items()
            if account != Account(0, 0)
        },
    }


@pytest.fixture(scope="module")
def folder_at_30(database: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("at-30")
    node = Node(folder, COIN)
    for block in COPY["chain"]["blocks"][:PARENT_HEIGHT]:
        assert offer(node, block) == "extended"
    node.store.close()
    return folder


@pytest.fixture
def node(folder_at_30: Path, tmp_path: Path) -> Iterator[Node]:
    """A node at height 30 of its own."""
    copy_node(folder_at_30, tmp_path / "data")
    opened = Node(tmp_path / "data", COIN)
    yield opened
    opened.store.close()


def test_the_chain_ends_with_these_balances_and_the_reorg_with_those(open_node: OpenNode) -> None:
    node = open_node(COIN)
    chain, reorg = COPY["chain"], COPY["reorg"]
    assert [offer(node, block) for block in chain["blocks"]] == ["extended"] * 60
    assert state(node) == chain["state"]
    answers = [offer(node, block) for block in reorg["blocks"]]
    assert answers == ["side_branch"] * (len(answers) - 1) + ["reorganized"]
    assert state(node) == reorg["state"]
    assert [offer(node, block) for block in chain["blocks"]] == ["already_known"] * 60
    assert state(node) == reorg["state"]
    assert verify_chain(node.store).height == 60


def test_an_invalid_block_has_its_code_and_changes_nothing_and_the_true_one_follows(node: Node) -> None:
    before = node.dump()
    for row in COPY["invalid_blocks"]["blocks"]:
        for _ in range(2):  # offered again it gets its own code again
            assert offer(node, row["raw"]) == row["code"], row["why"]
            assert node.dump() == before, row["why"]
    assert offer(node, COPY["invalid_blocks"]["valid_after"]) == "extended"


def test_invalid_blocks_keep_their_codes_after_a_restart(node: Node, open_node: OpenNode) -> None:
    rows = COPY["invalid_blocks"]["blocks"]
    codes = [row["code"] for row in rows]
    before = node.dump()
    assert [offer(node, row["raw"]) for row in rows] == codes
    node.store.close()
    again = open_node(COIN)
    assert [offer(again, row["raw"]) for row in reversed(rows)] == codes[::-1]
    assert again.dump() == before
    assert offer(again, COPY["invalid_blocks"]["valid_after"]) == "extended"
    assert verify_chain(again.store).height == 31


def test_false_bodies_do_not_condemn_the_true_block(node: Node) -> None:
    before = node.dump()
    for row in COPY["poison"]["blocks"]:
        assert offer(node, row["raw"]) == row["code"], row["why"]
        assert node.dump() == before
    assert offer(node, COPY["poison"]["true_block"]) == "extended"


def test_a_heavier_branch_with_a_bad_block_changes_nothing(node: Node) -> None:
    failed = COPY["failed_reorg"]
    assert state(node) == failed["state_before"]
    before = node.dump()
    assert {offer(node, block) for block in failed["branch"]} == {"side_branch"}
    for name, code in (("last_bad", failed["code"]), ("child_of_bad", "invalid_parent"), ("last_bad", failed["code"])):
        assert offer(node, failed[name]) == code
        assert node.dump() == before
    assert offer(node, failed["last_good"]) == "reorganized"
    assert state(node) == failed["state"]
    verify_chain(node.store)


def test_of_two_blocks_with_equal_work_the_first_stays_also_after_a_restart(node: Node, open_node: OpenNode) -> None:
    tie = COPY["tie"]
    assert [offer(node, tie[name]) for name in ("first", "second")] == ["extended", "side_branch"]
    node.store.close()
    again = open_node(COIN)
    assert show(again.tip.block_hash) == tie["tip_shown"]
    assert [offer(again, tie[name]) for name in ("second", "first")] == ["already_known"] * 2
    assert show(again.tip.block_hash) == tie["tip_shown"]


def test_a_rolled_version_is_valid(node: Node) -> None:
    assert offer(node, COPY["rolled_version"]["block"]) == "extended"


def test_the_median_of_few_and_of_many_ancestors(tmp_path: Path) -> None:
    for height, row in enumerate(COPY["median_time"]["rows"]):
        node = Node(tmp_path / f"at-{height}", COIN)
        for block in COPY["chain"]["blocks"][:height]:
            assert offer(node, block) == "extended"
        assert offer(node, row["time_too_old"]) == "time_too_old", height
        assert offer(node, row["valid"]) == "extended", height
        node.store.close()


def test_blocks_in_reverse_order_wait_as_orphans_and_then_all_connect(open_node: OpenNode) -> None:
    node = open_node(COIN)
    blocks = COPY["chain"]["blocks"]
    assert [offer(node, block) for block in reversed(blocks)] == ["orphan"] * 59 + ["extended"]
    assert len(node.chain.orphans) == 0
    assert state(node) == COPY["chain"]["state"]
