"""Lists of a node as iterators: what has pages, and the main chain, which survives reorgs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol
from urllib.parse import urlencode

from .errors import ClientError
from .events import Events, passes

_PAGE = 500
"""Blocks of one request."""
_ROWS = 100
"""Rows of one request, of what has pages."""
_PAUSE = 0.5
"""Seconds before a node that could not answer is asked again."""
_REMEMBERED = 2_000
"""Blocks given whose hashes are remembered: a deeper reorg is not noticed."""

BlockSummary = dict[str, Any]


class Source(Protocol):
    """The part of `Client` that a walk uses."""

    def status(self) -> Any: ...

    def get(self, path: str) -> Any: ...

    def events(self, *, patience: float) -> Events: ...


def walk_pages(
    fetch: Callable[[str], dict[str, Any]],
    path: str,
    key: str,
    left: int | None,
    *,
    cursor: str = "before",
    **query: str,
) -> Iterator[dict[str, Any]]:
    """What a paged call lists under `key`; pages are fetched as they are needed.

    `left`: how many at most, None for all; `cursor`: the parameter that takes a page's `next`; `query`: the others.
    """
    while left is None or left > 0:
        count = _ROWS if left is None else min(left, _ROWS)
        page = fetch(f"{path}?{urlencode({'limit': count, **query})}")
        yield from page[key]
        if page["next"] is None:
            return
        left = None if left is None else left - len(page[key])
        query[cursor] = str(page["next"])


def walk_blocks(client: Source, start: int) -> Iterator[BlockSummary]:
    """See `Client.blocks`, without `follow`."""
    return _Walk(client, start).to_tip()


def follow_blocks(client: Source, start: int, *, patience: float) -> Iterator[BlockSummary]:
    """See `Client.blocks`, with `follow`."""
    walk, is_behind, met = _Walk(client, start), True, time.monotonic()
    with client.events(patience=patience) as events:
        while True:
            if is_behind:
                try:
                    yield from walk.to_tip()
                except ClientError as error:
                    # The events wait for a node that is being started again, and so does this.
                    if not passes(error) or time.monotonic() - met > patience:
                        raise
                    time.sleep(_PAUSE)
                    continue
                is_behind = False
            event = next(events)
            met = time.monotonic()
            if event.kind == "block" and walk.is_next(event.data):
                yield walk.take(event.data)
            elif event.kind in ("block", "reorg", "reset"):
                is_behind = not walk.has(event.data)


class _Walk:
    """A position on the main chain. `following`: the height that comes next."""

    def __init__(self, client: Source, start: int) -> None:
        self._client = client
        self._given: dict[int, str] = {}
        self.following = start

    def to_tip(self) -> Iterator[BlockSummary]:
        """The blocks up to the tip; after a reorg from the first block that changed."""
        while True:
            status, last = self._client.status(), self._given.get(self.following - 1)
            if last == status["tip"] or (last is None and status["height"] < self.following):
                return
            first = max(0, self.following - 1)
            page = _page(self._client, first, min(_PAGE, status["height"] - first + 1))
            if last is not None and (not page or page[0]["hash"] != last):
                self.following = _fork(self._client, self._given, self.following)
                continue
            for block in page:
                if block["height"] >= self.following:
                    yield self.take(block)

    def is_next(self, block: BlockSummary) -> bool:
        """Whether the block stands on the block that was given last."""
        last = self._given.get(self.following - 1)
        return block["height"] == self.following and last is not None and block["prev_hash"] == last

    def has(self, event: dict[str, Any]) -> bool:
        """Whether the event's block was given already."""
        return "hash" in event and self._given.get(event["height"]) == event["hash"]

    def take(self, block: BlockSummary) -> BlockSummary:
        """Go on behind a block that is given now."""
        self._given[block["height"]] = block["hash"]
        self._given.pop(block["height"] - _REMEMBERED, None)
        self.following = block["height"] + 1
        return block


def _page(client: Source, first: int, count: int) -> list[BlockSummary]:
    """Main-chain blocks from height `first`, oldest first, at most `count`."""
    if count < 1:
        return []
    blocks: list[BlockSummary] = client.get(f"/v1/blocks?before={min(first + count, 2**32 - 1)}&limit={count}")[
        "blocks"
    ]
    # Where the tip has sunk meanwhile, the page reaches below `first`.
    return [block for block in reversed(blocks) if block["height"] >= first]


def _fork(client: Source, given: dict[int, str], following: int) -> int:
    """The first height at which the main chain differs from what was given."""
    lowest = min(given)
    while following > lowest:
        first = max(lowest, following - 100)
        now = {block["height"]: block["hash"] for block in _page(client, first, following - first)}
        same = [height for height, block_hash in now.items() if given.get(height) == block_hash]
        if same:
            following = max(same) + 1
            break
        following = first
    for height in [height for height in given if height >= following]:
        del given[height]
    return following
