"""What pages read of the chain: right, and bounded however long it is."""

from __future__ import annotations

import pytest

from moneyer.node.store.explore import tree
from tests.kit.chains import ChainBuilder, block_on, easy_coin
from tests.kit.nodes import OpenNode


def test_a_flood_of_branches_is_cut_and_the_main_chain_is_whole(
    open_node: OpenNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "MAX_BLOCKS", 20)
    coin = easy_coin()
    node = open_node(coin)
    chain = ChainBuilder(coin)
    chain.grow(10)
    node.take(chain)
    for number in range(15):
        node.offer(block_on(coin, chain.blocks[8].header, 9, extra=number.to_bytes(2, "big")))
    with node.store.read() as conn:
        rows, is_cut = tree.newest(conn, 10)
        assert is_cut
        assert [row.height for row in rows if row.main_chain] == list(range(10, 0, -1))
        assert len(rows) == 20
        rows, is_cut = tree.newest(conn, 5)
        assert not is_cut
        assert len(rows) == 20
