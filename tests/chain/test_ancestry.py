"""Contexts of headers along the branches of a tree, asked for in any order."""

from __future__ import annotations

import random
from typing import cast

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from moneyer.node.chain.pipeline import Ancestry
from moneyer.node.core import codec
from moneyer.node.core.pow import TimedBits
from moneyer.node.core.rules import context_of
from moneyer.node.core.types import Header
from tests.kit.chains import easy_coin

COIN = easy_coin(retarget=True, block_time=10, difficulty_window=5)
NO_ROWS = cast(Connection, None)
"""Every header is remembered: no row is asked for."""


@given(st.integers(0, 2**32), st.integers(2, 60))
def test_a_context_depends_on_the_branch_alone(seed: int, count: int) -> None:
    chance = random.Random(seed)
    ancestry = Ancestry(COIN)
    genesis = COIN.genesis.header
    lines = {COIN.chain_id: [TimedBits(genesis.timestamp, genesis.bits)]}
    ancestry.remember(COIN.chain_id, genesis, 0)
    for nonce in range(count):
        parent = chance.choice([*list(lines)[-2:], *lines])
        line = lines[parent]
        header = Header(1, parent, bytes(32), line[-1].timestamp + chance.randint(-5, 80), COIN.pow_limit, nonce)
        child = codec.block_hash(header)
        ancestry.remember(child, header, len(line))
        lines[child] = [*line, TimedBits(header.timestamp, header.bits)]
        for asked in chance.choices(list(lines), k=2):
            expected = context_of(COIN, len(lines[asked]), lines[asked])
            assert ancestry.context_after(NO_ROWS, asked) == expected
