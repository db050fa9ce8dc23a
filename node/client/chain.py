"""The main chain as an iterator that bears reorgs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from node.client.node import Client

_PAGE = 500
_REMEMBERED = 2_000
"""Hashes of blocks given: a deeper reorg is not noticed."""

BlockSummary = dict[str, Any]


def follow_blocks(client: Client, start: int, *, follow: bool, poll: float) -> Iterator[BlockSummary]:
    """See `Client.blocks`."""
    given: dict[int, str] = {}
    following = start
    while True:
        status = client.status()
        if given.get(following - 1) == status["tip"] or (following - 1 not in given and status["height"] < following):
            if not follow:
                return
            time.sleep(poll)
            continue
        first = max(0, following - 1)
        page = _page(client, first, min(_PAGE, status["height"] - first + 1))
        if following - 1 in given and (not page or page[0]["hash"] != given[following - 1]):
            following = _fork(client, given, following)
            continue
        for block in page:
            if block["height"] < following:
                continue
            given[block["height"]] = block["hash"]
            given.pop(block["height"] - _REMEMBERED, None)
            following = block["height"] + 1
            yield block


def _page(client: Client, first: int, count: int) -> list[BlockSummary]:
    """Main-chain blocks from height `first`, oldest first, at most `count`."""
    if count < 1:
        return []
    blocks: list[BlockSummary] = client.get(f"/v1/blocks?before={min(first + count, 2**32 - 1)}&limit={count}")[
        "blocks"
    ]
    # Where the tip has sunk meanwhile, the page reaches below `first`.
    return [block for block in reversed(blocks) if block["height"] >= first]


def _fork(client: Client, given: dict[int, str], following: int) -> int:
    """The first height at which the main chain is no longer what was given."""
    while following - 1 in given:
        first = max(0, following - 100)
        now = {block["height"]: block["hash"] for block in _page(client, first, following - first)}
        same = [height for height, block_hash in now.items() if given.get(height) == block_hash]
        if same:
            following = max(same) + 1
            break
        following = first
    for height in [height for height in given if height >= following]:
        del given[height]
    return following
