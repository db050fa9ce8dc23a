"""The first page: what just happened, what comes next, and the coin in six numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import msgspec

from ...api.calls.v1_accounts import RichQuery, rich
from ...api.calls.v1_blocks import BlockQuery, PartQuery, block_transactions, list_blocks, next_block
from ...api.calls.v1_transactions import PoolQuery, pool
from ...api.shapes.v1 import BlockSummary, NextBlock, Status, TransactionView
from ...core.errors import NoTimestamp
from ...system.decoding import prepare
from ...system.shares import DEAR_READS
from ..frame.pages import Page, Visit, content_of, page

LOOKED_AT: Final = 60
"""Blocks that the small pictures and the averages tell of."""
IN_STRIP: Final = 14
RICHEST: Final = 6
NEWS: Final = 8
"""Transfers that are listed."""
_BLOCKS_FOR_NEWS: Final = 3


@dataclass(frozen=True, slots=True)
class Pulse:
    """How the last blocks came: the oldest first. Rates and averages are None where too few blocks tell."""

    intervals: tuple[int, ...]
    """Seconds from each block to the next."""
    mean_interval: float | None
    hash_rate: float | None
    """Hashes a second of all miners: the work of these blocks over their time."""
    hash_rates: tuple[float, ...]
    """The same, of a few blocks each."""
    transfers: tuple[int, ...]
    """In each block."""


def pulse_of(blocks: Sequence[BlockSummary]) -> Pulse:
    """`blocks`: the newest first. Genesis tells nothing of time: its timestamp is the coin's."""
    rows = [each for each in reversed(blocks) if each.height > 0]
    intervals = tuple(after.timestamp - before.timestamp for before, after in pairwise(rows))
    span = rows[-1].timestamp - rows[0].timestamp if rows else 0
    step = max(2, len(rows) // 20)
    return Pulse(
        intervals=intervals,
        mean_interval=span / len(intervals) if intervals else None,
        hash_rate=_rate(rows[0], rows[-1]) if rows else None,
        hash_rates=tuple(
            rate for first, last in zip(rows, rows[step:], strict=False) if (rate := _rate(first, last)) is not None
        ),
        transfers=tuple(each.tx_count - 1 for each in rows),
    )


def _rate(first: BlockSummary, last: BlockSummary) -> float | None:
    seconds = last.timestamp - first.timestamp
    return (int(last.work, 16) - int(first.work, 16)) / seconds if seconds > 0 else None


prepare(Status)


def status_of(visit: Visit[object]) -> Status:
    """The answer of `/v1/status`."""
    return msgspec.json.decode(visit.call.parts.status.render(), type=Status)


def news_of(visit: Visit[object], blocks: Sequence[BlockSummary]) -> list[TransactionView]:
    """The latest transfers: those that wait first, then those of the newest blocks that have any."""
    waiting, _ = content_of(visit.ask(pool, PoolQuery(limit=NEWS)))
    found: list[TransactionView] = waiting.transactions[:NEWS]
    for block in [each for each in blocks if each.tx_count > 1 and each.height > 0][:_BLOCKS_FOR_NEWS]:
        if len(found) >= NEWS:
            break
        last = max(1, block.tx_count - (NEWS - len(found)))
        part, _ = content_of(visit.ask(block_transactions, PartQuery(start=last, limit=NEWS), block=block.hash))
        found += reversed(part.transactions)
    return found[:NEWS]


def upcoming(visit: Visit[object]) -> NextBlock | None:
    """The next block; None while this machine's clock is too far behind the chain to mine one."""
    try:
        return visit.ask(next_block)
    except NoTimestamp:
        return None


@page("/", bound=DEAR_READS, kept_seconds=1.0)
def home(visit: Visit[None]) -> Page:
    latest, _ = content_of(visit.ask(list_blocks, BlockQuery(limit=LOOKED_AT)))
    return Page(
        "home.html",
        {
            "status": status_of(visit),
            "next": upcoming(visit),
            "blocks": latest.blocks[:IN_STRIP],
            "pulse": pulse_of(latest.blocks),
            "difficulties": [visit.node.coin.difficulty(int(each.bits, 16)) for each in reversed(latest.blocks)],
            "issued": [visit.node.coin.issued(each.height) for each in reversed(latest.blocks)],
            "news": news_of(visit, latest.blocks),
            "rich": content_of(visit.ask(rich, RichQuery(limit=RICHEST)))[0].accounts,
        },
    )
