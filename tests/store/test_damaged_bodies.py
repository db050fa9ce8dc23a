"""What is overwritten in a stored body is a sentence about the file, whoever reads it, and no mistake of the node."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from moneyer.node.api.shapes.render import stored_view
from moneyer.node.store import accounts, blocks, transactions
from moneyer.node.store.errors import StoreDamaged
from tests.kit.damage import ALICE, CHAIN, change, made
from tests.kit.nodes import Node

COIN = CHAIN.coin
OF_BLOCK_5: Final = "WHERE joined = (SELECT joined FROM blocks WHERE height = 5 AND main_chain)"
PLACES: Final = {
    "none": f"UPDATE bodies SET offsets = x'' {OF_BLOCK_5}",
    "three bytes too few": f"UPDATE bodies SET offsets = substr(offsets, 1, length(offsets) - 3) {OF_BLOCK_5}",
    "no part": f"DELETE FROM bodies {OF_BLOCK_5}",
}


def test_a_memo_that_is_no_text_any_more(tmp_path: Path) -> None:
    folder = made(tmp_path)
    with Node(folder, COIN) as node:
        with node.store.read() as conn:
            (body,) = conn.exec_driver_sql(f"SELECT body FROM bodies {OF_BLOCK_5}").one()
        overwritten = body.replace(b"memo", b"\xffemo")
        change(folder, f"UPDATE bodies SET body = x'{overwritten.hex()}' {OF_BLOCK_5}")
        with node.store.read() as conn:
            row = blocks.by_height(conn, 5)
            assert row is not None
            raws = transactions.of_block(conn, row.joined)
        assert len(raws) == 3
        (raw,) = [raw for raw in raws if b"\xffemo" in raw]
        with pytest.raises(StoreDamaged, match="a stored transaction is damaged"):
            stored_view(COIN, raw, "confirmed", ("", 5, 0), 0, 1)


@pytest.mark.parametrize("what", PLACES)
def test_places_of_transactions_that_are_gone(tmp_path: Path, what: str) -> None:
    folder = made(tmp_path)
    with Node(folder, COIN) as node:
        change(folder, PLACES[what])
        with node.store.read() as conn:
            with pytest.raises(StoreDamaged):
                accounts.history(conn, ALICE.payload, None, 100)
            row = blocks.by_height(conn, 5)
            assert row is not None
            if what == "none":
                with pytest.raises(StoreDamaged):
                    transactions.of_block(conn, row.joined)
