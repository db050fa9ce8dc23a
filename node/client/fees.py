"""Which fee gets a transfer into the next block, seen from the mempool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

TYPICAL_SIZE = 220
"""Bytes of a transfer with a short memo (185 without one)."""


def next_block_fee(
    waiting: Sequence[dict[str, Any]], total_bytes: int, size: int, *, max_block_bytes: int, least: int
) -> int:
    """Base units for a transfer of `size` bytes. `waiting`: of the mempool, by fee per byte, highest first.

    `least` while a block has room for all that waits (`total_bytes`); else a tenth more per byte than what just fits.
    """
    room = max_block_bytes * 9 // 10 - size
    if total_bytes <= room or not waiting:
        return least
    used, last = 0, waiting[-1]
    for each in waiting:
        used += int(each["size"])
        if used > room:
            last = each
            break
    return max(least, -(-int(last["fee"]) * size * 11 // (int(last["size"]) * 10)) + 1)
