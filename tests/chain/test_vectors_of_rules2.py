"""The vectors of rules 2 of a whole node: blocks through `Chain.accept_block`, spends through its mempool."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from moneyer.node.chain.mempool import Mempool
from moneyer.node.chain.verify import verify_chain
from moneyer.node.core import codec, coinfile
from moneyer.node.core.codec import show
from moneyer.node.core.coin import Coin
from moneyer.node.core.errors import RuleError
from moneyer.node.core.types import NO_ACCOUNT
from moneyer.node.store.assets import asset_pages
from tests.chain.test_vectors import Vectors, offer
from tests.conftest import REPOSITORY
from tests.kit.databases import copy_node
from tests.kit.nodes import Node, OpenNode

pytestmark = pytest.mark.both_databases

COPY: Vectors = json.loads((REPOSITORY / "tests" / "vectors" / "rules2.json").read_text("utf-8"))
COIN: Coin = coinfile.coin_from_json(COPY["chain"]["coin"])
PLAIN: Coin = coinfile.coin_from_json(COPY["rules_1"]["coin"])
PARENT_HEIGHT = 30


def state(node: Node) -> Vectors:
    """As the vectors write it."""
    tip = node.tip
    with node.store.read() as conn:
        assets, holdings = asset_pages.everything(conn), asset_pages.all_holdings(conn)
        following = node.chain.ancestry.context_after(conn, tip.block_hash)
    held: dict[bytes, list[Vectors]] = {}
    for (payload, asset), amount in sorted(holdings.items(), key=lambda row: row[0][1]):
        held.setdefault(payload, []).append({"asset": asset.hex(), "amount": amount})
    accounts = node.accounts()
    used = {payload for payload, account in accounts.items() if account != NO_ACCOUNT} | held.keys()
    return {
        "tip_shown": show(tip.block_hash),
        "height": tip.height,
        "work": f"{tip.work:x}",
        "bits": f"{tip.header.bits:08x}",
        "median_time_past": following.median_time_past,
        "accounts": {
            COIN.address(payload): {
                "balance": accounts[payload].balance,
                "sequence": accounts[payload].sequence,
                "assets": held.get(payload, []),
            }
            for payload in used
        },
        "assets": {
            asset.hex(): {
                "issuer": COIN.address(each.issuer),
                "symbol": each.symbol.decode(),
                "name": each.name.decode(),
                "decimals": each.decimals,
                "max_supply": each.max_supply,
                "content": each.content.hex(),
                "minted": each.minted,
                "burned": each.burned,
            }
            for asset, each in assets.items()
        },
    }


def told(found: Vectors) -> Vectors:
    """A state of the vectors with each account's assets in the order of their ids."""
    accounts = {
        address: {**account, "assets": sorted(account["assets"], key=lambda row: str(row["asset"]))}
        for address, account in found["accounts"].items()
    }
    return {**found, "accounts": accounts}


def send(node: Node, raw: str) -> str:
    """The status, or the code of the rule that a transaction breaks."""
    try:
        spend = codec.decode_spend(bytes.fromhex(raw), rules=node.coin.rules)
        return node.mempool.accept_transfer(spend).status
    except RuleError as error:
        return error.code


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


def test_the_chain_the_reorg_and_the_way_back_end_in_these_states(open_node: OpenNode) -> None:
    node = open_node(COIN)
    chain, reorg, back = COPY["chain"], COPY["reorg"], COPY["reorg_back"]
    for block in chain["blocks"][:PARENT_HEIGHT]:
        assert offer(node, block) == "extended"
    assert state(node) == told(chain["state_at_30"])
    assert {offer(node, block) for block in chain["blocks"][PARENT_HEIGHT:]} == {"extended"}
    assert state(node) == told(chain["state"])
    verify_chain(node.store)
    answers = [offer(node, block) for block in reorg["blocks"]]
    assert "reorganized" in answers
    assert set(answers[: answers.index("reorganized")]) <= {"side_branch"}
    assert state(node) == told(reorg["state"])
    with node.store.read() as conn:
        assert asset_pages.get(conn, bytes.fromhex(reorg["undone_asset"])) is None
        assert asset_pages.get(conn, bytes.fromhex(reorg["other_terms"])) is not None
    verify_chain(node.store)
    assert [offer(node, block) for block in back["blocks"]][-1] in ("reorganized", "extended")
    assert state(node) == told(back["state"])
    verify_chain(node.store)


def test_an_invalid_block_has_its_code_and_changes_nothing_and_the_true_one_follows(node: Node) -> None:
    before = node.dump()
    for row in COPY["invalid_blocks"]["blocks"]:
        for _ in range(2):  # offered again it gets its own code again
            assert offer(node, row["raw"]) == row["code"], row["why"]
            assert node.dump() == before, row["why"]
    assert offer(node, COPY["invalid_blocks"]["valid_after"]) == "extended"
    verify_chain(node.store)


def test_false_bodies_do_not_condemn_the_true_block(node: Node) -> None:
    before = node.dump()
    for row in COPY["poison"]["blocks"]:
        assert offer(node, row["raw"]) == row["code"], row["why"]
        assert node.dump() == before
    assert offer(node, COPY["poison"]["true_block"]) == "extended"


def test_a_heavier_branch_with_a_bad_block_changes_nothing(node: Node) -> None:
    failed = COPY["failed_reorg"]
    assert state(node) == told(failed["state_before"])
    before = node.dump()
    assert {offer(node, block) for block in failed["branch"]} == {"side_branch"}
    for _ in range(2):
        assert offer(node, failed["last_bad"]) == failed["code"]
        assert node.dump() == before
    assert offer(node, failed["last_good"]) == "reorganized"
    assert state(node) == told(failed["state"])
    verify_chain(node.store)


@pytest.mark.parametrize("row", COPY["locked"], ids=lambda row: str(row["about"])[:20])
def test_what_is_locked_at_a_height_is_valid_at_the_next(node: Node, row: Vectors) -> None:
    assert offer(node, row["early"]) == "locked"
    assert send(node, row["fund"]) == "ready"
    assert offer(node, row["between"]) == "extended"
    assert send(node, row["spend"]) == "ready"
    assert offer(node, row["then"]) == "extended"
    verify_chain(node.store)


def test_the_pool_judges_transactions_in_context(node: Node) -> None:
    found = COPY["transactions_in_context"]
    for row in found["refused"]:
        spend = codec.decode_spend(bytes.fromhex(row["raw"]), rules=2)
        with pytest.raises(RuleError) as caught:
            node.mempool.accept_transfer(spend)
        assert caught.value.code == row["code"], row["why"]
        assert row.get("details", {}).items() <= caught.value.details.items()
        with pytest.raises(RuleError) as caught:
            node.mempool.check_transfer(spend)
        assert caught.value.code == row["code"], row["why"]
    for row in found["accepted"]:
        spend = codec.decode_spend(bytes.fromhex(row["raw"]), rules=2)
        assert show(node.mempool.accept_transfer(spend).txid) == row["txid_shown"]
    for row in found["then_refused"]:
        assert send(node, row["raw"]) == row["code"], row["why"]
    verify_chain(node.store)


@pytest.mark.parametrize("section", ["transactions_invalid", "transactions_random"])
def test_a_transaction_that_is_wrong_by_itself_has_its_code(node: Node, section: str) -> None:
    """By a pool that refused nothing lately: later ones are asked for their sequence before their signature."""
    for row in COPY[section]:
        node.mempool = Mempool(node.store)
        assert row["code"] is None or send(node, row["raw"]) == row["code"], row["why"]


def test_under_rules_1_there_are_no_other_versions_and_no_contracts(open_node: OpenNode) -> None:
    node = open_node(PLAIN)
    found = COPY["rules_1"]
    assert [offer(node, block) for block in found["blocks"]] == ["extended"] * len(found["blocks"])
    assert {address: account["balance"] for address, account in found["state"]["accounts"].items()} == {
        PLAIN.address(payload): account.balance for payload, account in node.accounts().items() if account.balance
    }
    before = node.dump()
    for row in found["invalid_blocks"]:
        assert offer(node, row["raw"]) == row["code"], row["why"]
        assert node.dump() == before
    for row in found["transactions_invalid"]:
        assert send(node, row["raw"]) == row["code"], row["why"]
