"""A node's API and its worker accept blocks at once: two real processes on one database."""

from __future__ import annotations

from pathlib import Path

import pytest

from moneyer.node.chain.verify import verify_chain
from moneyer.node.core import codec
from moneyer.node.store import blocks
from moneyer.node.store.explore.tree import Leaves
from tests.chain.children import accept_when_told
from tests.kit.chains import ChainBuilder, easy_coin, key
from tests.kit.nodes import OpenNode
from tests.kit.system.processes import Child, children

pytestmark = pytest.mark.both_databases

ROUNDS = 25


def test_two_processes_at_one_height_make_one_tip_and_one_side_branch(tmp_path: Path, open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin())
    node = open_node(chain.coin)
    folder = node.store.config.data
    with children(*(Child(accept_when_told, folder, chain.coin) for _ in range(2))) as both:
        assert [child.hear() for child in both] == ["ready", "ready"]
        for height in range(1, ROUNDS + 1):
            rivals = [chain.next_block(receiver=key(f"miner {number}")) for number in range(2)]
            for child, block in zip(both, rivals, strict=True):
                child.tell(codec.encode_block(block))
            answers = [child.hear() for child in both]
            assert sorted(answers) == ["extended", "side_branch"]
            winner = rivals[answers.index("extended")]
            assert node.tip_hash == codec.block_hash(winner.header)
            with node.store.read() as conn:
                assert [row.height for row in Leaves().look(conn)][:2] == [height, height]
            chain.append(winner)
    assert node.accounts() == chain.accounts
    verify_chain(node.store)


def test_the_same_block_in_two_processes_at_once_joins_once(open_node: OpenNode) -> None:
    chain = ChainBuilder(easy_coin())
    node = open_node(chain.coin)
    with children(*(Child(accept_when_told, node.store.config.data, chain.coin) for _ in range(2))) as both:
        assert [child.hear() for child in both] == ["ready", "ready"]
        for _ in range(ROUNDS):
            raw = codec.encode_block(chain.add())
            for child in both:
                child.tell(raw)
            assert sorted(child.hear() for child in both) == ["already_known", "extended"]
    with node.store.read() as conn:
        assert blocks.count(conn) == ROUNDS + 1
    verify_chain(node.store)
