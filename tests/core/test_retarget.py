"""The retarget, held against `docs/protocol.md` word by word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moneyer.node.core import pow
from moneyer.node.core.pow import TimedBits

LIMIT = 0x1F00FFFF
BITS = st.sampled_from([0x1F00FFFF, 0x1E00ABCD, 0x1D00FFFF, 0x1B0404CB, 0x03000001])


def as_written(rows: list[TimedBits], height: int, block_time: int, difficulty_window: int) -> int:
    """The paragraph "Retarget (LWMA)", one line each."""
    n = min(height - 2, difficulty_window)
    rows = rows[-(n + 1) :]
    weighted, targets, prev = 0, 0, rows[0].timestamp
    for i in range(1, n + 1):
        now = max(rows[i].timestamp, prev + 1)
        weighted += i * min(6 * block_time, now - prev)
        targets += pow.decode_bits(rows[i].bits)
        prev = now
    wanted = block_time * n * (n + 1) // 2
    return pow.encode_bits(max(1, min(pow.decode_bits(LIMIT), targets // n * weighted // wanted)))


@given(
    st.lists(st.tuples(st.integers(-20, 100), BITS), min_size=5, max_size=60),
    st.integers(2, 30),
    st.integers(3, 50),
)
def test_bits_are_those_of_the_protocol_also_where_time_goes_back_or_stands_or_leaps(
    steps: list[tuple[int, int]], block_time: int, difficulty_window: int
) -> None:
    rows, now = [], 1_000_000
    for step, bits in steps:
        now += step
        rows.append(TimedBits(now, bits))
    found = pow.next_bits(
        rows,
        height=len(rows),
        block_time=block_time,
        difficulty_window=difficulty_window,
        retarget=True,
        pow_limit=LIMIT,
    )
    assert found == as_written(rows, len(rows), block_time, difficulty_window)


def test_too_few_rows_make_no_bits() -> None:
    rows = [TimedBits(1_000_000 + 10 * number, LIMIT) for number in range(20)]

    def bits_after(rows: list[TimedBits]) -> int:
        return pow.next_bits(rows, height=30, block_time=10, difficulty_window=20, retarget=True, pow_limit=LIMIT)

    with pytest.raises(ValueError, match="20 rows for the block at height 30, which takes 21"):
        bits_after(rows)
    assert bits_after([TimedBits(999_990, LIMIT), *rows]) == LIMIT
