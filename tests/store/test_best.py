"""Fork choice is one query: the chain with the most work, of equals the one that joined the tree first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import strategies as st
from sqlalchemy import Connection

from moneyer.node.store import blocks, chainstate
from moneyer.node.store.engine import Store
from tests.core.pure_node import Tip, wins
from tests.kit.chains import easy_coin
from tests.kit.databases import examples, node_config

pytestmark = pytest.mark.both_databases

COIN = easy_coin()


@pytest.fixture(scope="module")
def store(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store.open(node_config(tmp_path_factory.mktemp("best")), COIN)
    yield opened
    opened.close()


class _Undo(Exception):
    """Takes an example's blocks out again."""


@examples(60, 15, st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=1, max_size=12))
def test_the_valid_chain_with_the_most_work_wins_and_of_equals_the_first(
    store: Store, drawn: list[tuple[int, bool]]
) -> None:
    """`drawn`: (work, is invalid) of blocks, in the order in which they join."""

    def check(conn: Connection) -> None:
        best = Tip(COIN.chain_id, 0, 0, 0)
        for number, (work, is_invalid) in enumerate(drawn, 1):
            block_hash = number.to_bytes(32, "big")
            body = b"\0"
            new = chainstate.NewBlock(COIN.genesis, block_hash, body, 1, work, ())
            chainstate.add(conn, [new])
            if is_invalid:
                chainstate.condemn(conn, block_hash, "bad_signature")
            elif wins(tip := Tip(block_hash, 1, work, number), best):
                best = tip
            assert blocks.best(conn).block_hash == best.block_hash
        raise _Undo

    with pytest.raises(_Undo):
        store.write(check)
