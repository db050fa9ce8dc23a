"""What a page costs: a query or two, each transaction that it shows decoded once, and none that it doesn't show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from moneyer.node.api.calls.tutorial import ChainQuery, get_chain
from moneyer.node.api.calls.v1_accounts import HistoryQuery, history
from moneyer.node.api.calls.v1_blocks import BlockQuery, list_blocks, show_block
from moneyer.node.api.calls.v1_transactions import proof, show_transaction
from moneyer.node.api.endpoint import OfChain
from moneyer.node.api.parts.api_parts import ApiParts
from moneyer.node.api.parts.chain_cache import MerkleTrees
from moneyer.node.core import codec
from moneyer.node.core.codec import branch_in, merkle_branch, merkle_levels, show
from moneyer.node.core.types import LATEST_RULES, Transaction, Transfer
from moneyer.node.service import Node
from moneyer.node.store import chainstate
from moneyer.node.store.opening.check import root_of
from tests.kit.callers.handlers import call_of
from tests.kit.chains import ChainBuilder, transfer
from tests.kit.databases import node_config
from tests.kit.nodes import NOW, place_coin
from tests.kit.running import ALICE, BOB, rich_coin
from tests.kit.statements import statements

pytestmark = pytest.mark.both_databases

FULL = 250
"""Transfers in a block of more than two parts."""


def payments(chain: ChainBuilder, memos: list[bytes]) -> list[Transfer]:
    """A transfer of ALICE's a memo, one behind the other."""
    start = chain.account(ALICE).sequence
    return [transfer(chain.coin, ALICE, BOB, 1, 1, start + number, memo) for number, memo in enumerate(memos)]


def _chain() -> ChainBuilder:
    chain = ChainBuilder(rich_coin())
    for count in (3, FULL, 0, FULL, 1):
        chain.add(payments(chain, [b"x" * (number % 7) for number in range(count)]))
    return chain


CHAIN = _chain()


@pytest.fixture(scope="module")
def node(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node's parts, in this process, with CHAIN."""
    data: Path = tmp_path_factory.mktemp("reads") / "node"
    place_coin(data, CHAIN.coin)
    opened = Node.open(node_config(data, development=True, min_fee=0, manual=True))
    opened.chain.accept_blocks(CHAIN.raw, NOW)
    yield opened
    opened.close()


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Transaction]:
    """Every transaction that is decoded from now on, a transfer's fields too."""
    seen: list[Transaction] = []
    really, fields_of = codec.decode_transaction, codec.transfer_fields

    def counting(raw: bytes, offset: int = 0, *, rules: int = LATEST_RULES) -> tuple[Transaction, int]:
        found = really(raw, offset, rules=rules)
        seen.append(found[0])
        return found

    def counting_fields(raw: bytes) -> tuple[bytes, bytes, int, int, int, bytes, bytes]:
        found = fields_of(raw)
        seen.append(Transfer(*found))
        return found

    monkeypatch.setattr(codec, "decode_transaction", counting)
    monkeypatch.setattr(codec, "transfer_fields", counting_fields)
    return seen


@pytest.fixture(scope="module")
def parts(node: Node) -> ApiParts:
    return ApiParts.of(node)


def touching(payload: bytes) -> list[str]:
    """txids of CHAIN that touch an account, newest first."""
    found = [
        show(codec.txid(each))
        for block in (CHAIN.coin.genesis, *CHAIN.blocks[1:])
        for each in block.transactions
        if payload in (each.receiver, getattr(each, "sender", b""))
    ]
    return found[::-1]


@pytest.mark.parametrize("limit", [1, 7, 100, 1000])
def test_a_page_of_a_history_reads_each_part_once_and_decodes_what_it_shows(
    node: Node, parts: ApiParts, decoded: list[Transaction], limit: int
) -> None:
    whose = BOB.address(CHAIN.coin)
    with statements(node.store) as seen:
        page = history(node, call_of(parts, {"address": whose}, query=HistoryQuery(limit=limit))).content
    assert len(seen) == 3  # where they stand, the parts in which they do, and the tip's height
    assert [each.txid for each in page.transactions] == touching(BOB.payload)[:limit]
    assert len(decoded) <= limit + 1


@pytest.mark.parametrize("limit", [1, 97, 120])
def test_the_pages_of_a_history_are_the_whole_of_it(node: Node, parts: ApiParts, limit: int) -> None:
    if limit == 1:
        limit = 101  # a page that ends at a part's edge, and one that doesn't
    found, before, path = [], None, {"address": ALICE.address(CHAIN.coin)}
    while True:
        page = history(node, call_of(parts, path, query=HistoryQuery(before=before, limit=limit))).content
        found += page.transactions
        before = page.next
        if before is None:
            break
    assert [each.txid for each in found] == touching(ALICE.payload)
    assert [(each.height, each.position) for each in found] == sorted(
        [(each.height, each.position) for each in found], reverse=True
    )


def test_a_transaction_is_found_wherever_in_its_block_it_stands(
    node: Node, parts: ApiParts, decoded: list[Transaction]
) -> None:
    for position, transaction in enumerate(CHAIN.blocks[2].transactions):
        decoded.clear()
        found = show_transaction(node, call_of(parts, {"txid": show(codec.txid(transaction))}))
        assert isinstance(found, OfChain)
        view = found.content
        assert (view.height, view.position) == (2, position)
        assert decoded == [transaction]


def test_a_block_is_decoded_once_whole(node: Node, parts: ApiParts, decoded: list[Transaction]) -> None:
    block = CHAIN.blocks[4]
    found = show_block(node, call_of(parts, {"block": "4"}))
    assert isinstance(found, OfChain)
    detail = found.content
    assert [each.txid for each in detail.transactions] == [show(codec.txid(each)) for each in block.transactions]
    assert tuple(decoded) == block.transactions


def test_a_proof_decodes_nothing_and_the_next_one_of_that_block_reads_no_body(
    node: Node, parts: ApiParts, decoded: list[Transaction]
) -> None:
    block = CHAIN.blocks[2]
    txids = [codec.txid(each) for each in block.transactions]
    for position in (0, 1, FULL // 2, FULL):
        with statements(node.store) as seen:
            found = proof(node, call_of(parts, {"txid": show(txids[position])}))
        assert found.branch == [show(each) for each in merkle_branch(txids, position)]
        assert any("FROM bodies" in statement for statement in seen) == (position == 0)
    assert decoded == []


def test_trees_in_memory_are_bounded_and_the_longest_unused_goes() -> None:
    small, large = ([bytes(32)] * count for count in (4, 64))
    trees = MerkleTrees(73 * 2 * sum(map(len, merkle_levels(small))))
    for name in (b"a", b"b"):
        trees.keep(name, merkle_levels(small))
    assert trees.get(b"a") is not None
    trees.keep(b"c", merkle_levels(small))
    assert [trees.get(name) is not None for name in (b"a", b"b", b"c")] == [True, False, True]
    trees.keep(b"too large", merkle_levels(large))
    assert trees.get(b"too large") is None


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13])
def test_a_branch_in_a_known_tree_is_the_branch(count: int) -> None:
    txids = [bytes([number]) * 32 for number in range(count)]
    levels = merkle_levels(txids)
    assert [branch_in(levels, each) for each in range(count)] == [merkle_branch(txids, each) for each in range(count)]


def test_a_page_of_blocks_is_one_query(node: Node, parts: ApiParts) -> None:
    for limit in (1, 3, 1000):
        with statements(node.store) as seen:
            page = list_blocks(node, call_of(parts, query=BlockQuery(limit=limit))).content
        assert len(seen) == 2  # the page, and which tip it belongs to
        assert len(page.blocks) == min(limit, 6)


def test_a_page_of_the_chain_is_read_together_and_decodes_each_block_once(
    node: Node, parts: ApiParts, decoded: list[Transaction]
) -> None:
    with statements(node.store) as seen:
        page = get_chain(node, call_of(parts, query=ChainQuery(from_=2, limit=4)))
    assert len(seen) == 3  # the page, its bodies (a few megabytes at a time), and the chain's length
    assert (len(page.chain), page.length, page.next) == (4, 6, 6)
    assert len(decoded) == sum(len(CHAIN.blocks[height].transactions) for height in range(1, 5))
    assert get_chain(node, call_of(parts, query=ChainQuery(from_=6, limit=4))).next is None
    assert get_chain(node, call_of(parts, query=ChainQuery(from_=7, limit=4))).chain == []


@pytest.mark.parametrize("memo", [0, 140])
def test_the_parts_of_a_body_are_the_body_cut_between_transactions(memo: int) -> None:
    chain = CHAIN.branch(0, f"memo {memo}")
    for count in (0, 1, 2, 90, 110, 300):
        block = chain.add(payments(chain, [b"m" * memo] * count))
        body = codec.encode_body(block.transactions)
        sizes = [codec.transaction_size(each) for each in block.transactions]
        parts = list(chainstate.parts_of(body, sizes, len(sizes)))
        assert b"".join(part for _, part, _ in parts) == body
        assert all(len(part) < chainstate.PART_BYTES + codec.MAX_TRANSFER for _, part, _ in parts)
        assert len(parts) <= 1 + len(body) // chainstate.PART_BYTES
        assert root_of(parts) == block.header.merkle_root
