"""The worker's hash rate, by a clock of the test's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moneyer.worker.reports import HashrateMeter


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


# Hashes are whole: where few are tried, one more or less is much of them.
@given(
    st.floats(min_value=1e6, max_value=1e12),
    st.lists(st.floats(min_value=1e-4, max_value=1.4), min_size=40, max_size=200),
)
def test_an_even_search_has_its_rate_however_often_it_is_told(rate: float, gaps: list[float]) -> None:
    clock = Clock()
    meter = HashrateMeter(clock)
    for gap in gaps:
        clock.now += gap
        meter.see(int((clock.now - 1000) * rate))
    assert meter.rate == pytest.approx(rate, rel=0.05)


def test_it_begins_with_the_first_hashes_and_the_pause_before_a_search_does_not_count() -> None:
    clock = Clock()
    meter = HashrateMeter(clock)
    total = 0
    for _ in range(2):
        meter.see(total)
        assert meter.rate == 0
        clock.now += 3600
        for _ in range(8):
            total += 500
            meter.see(total)
            clock.now += 0.5
        assert meter.rate == pytest.approx(1000)
        meter.rest()
        assert meter.rate == 0


def test_another_speed_is_the_speed_within_its_seconds_and_silence_is_none() -> None:
    clock = Clock()
    meter = HashrateMeter(clock)
    total = 0
    for speed in (8000, 2000, 0):
        for _ in range(60):
            clock.now += 0.25
            total += speed // 4
            meter.see(total)
        if speed:
            assert meter.rate == pytest.approx(speed)
    assert 0 < meter.rate < 1100
    clock.now += 3600
    assert meter.rate < 10
