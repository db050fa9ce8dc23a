"""Proof of work: compact bits, targets, work, and the retarget (LWMA)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from operator import mul, sub
from typing import NamedTuple

from .errors import BadBits

_MAX_256 = 2**256 - 1


class TimedBits(NamedTuple):
    """What the retarget and the median look at in a header."""

    timestamp: int
    bits: int


@lru_cache(maxsize=1024)
def decode_bits(bits: int) -> int:
    """The 256-bit target of compact `bits`. Raises BadBits when negative, zero or over 256 bits."""
    exponent, mantissa = bits >> 24, bits & 0x7FFFFF
    target = mantissa >> 8 * (3 - exponent) if exponent <= 3 else mantissa << 8 * (exponent - 3)
    if bits & 0x800000 or target == 0 or target > _MAX_256:
        raise BadBits("bits are negative, zero or over 256 bits", found=f"{bits:08x}")
    return target


def encode_bits(target: int) -> int:
    """Compact bits of a target, truncated as Bitcoin does."""
    size = (target.bit_length() + 7) // 8
    mantissa = target << 8 * (3 - size) if size <= 3 else target >> 8 * (size - 3)
    if mantissa & 0x800000:
        mantissa >>= 8
        size += 1
    return size << 24 | mantissa


def block_work(target: int) -> int:
    """Hashes that a block at `target` stands for."""
    return (_MAX_256 + 1) // (target + 1)


def hash_number(block_hash: bytes) -> int:
    """A hash as the number that is compared with the target."""
    return int.from_bytes(block_hash, "little")


def retarget_window(height: int, difficulty_window: int) -> int:
    """n: the number of solve times that the block at `height` looks back on (may be < 3, then no retarget)."""
    return min(height - 2, difficulty_window)


def next_bits(
    window: Sequence[TimedBits], *, height: int, block_time: int, difficulty_window: int, retarget: bool, pow_limit: int
) -> int:
    """The bits that the block at `height` must carry.

    `window` ends with the parent (height - 1), oldest first, and holds at least n + 1 rows (n: `retarget_window`).
    Raises ValueError where it does not: other bits would split the chain.
    """
    n = retarget_window(height, difficulty_window)
    if not retarget or n < 3:
        return pow_limit
    rows = window[-(n + 1) :]
    if len(rows) != n + 1:
        raise ValueError(f"{len(rows)} rows for the block at height {height}, which takes {n + 1}")
    times = [row.timestamp for row in rows]
    solve_times = list(map(sub, times[1:], times))
    if min(solve_times) < 1 or max(solve_times) > 6 * block_time:
        times = list(accumulate(times, lambda prev, now: max(now, prev + 1)))
        solve_times = [min(6 * block_time, now - prev) for prev, now in pairwise(times)]
    weighted_times = sum(map(mul, range(1, n + 1), solve_times))
    targets = sum([decode_bits(row.bits) for row in rows[1:]])
    wanted = block_time * n * (n + 1) // 2
    target = max(1, min(decode_bits(pow_limit), (targets // n) * weighted_times // wanted))
    return encode_bits(target)


def median_time_past(timestamps: Sequence[int]) -> int:
    """Median of the last up to 11 timestamps of a chain (given oldest or newest first)."""
    ordered = sorted(timestamps)
    return ordered[len(ordered) // 2]
