"""Who finds the blocks of an interval, and when: by simulated time and a seeded chance."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from math import sqrt

import pytest

from moneyer.worker.demand import SPACINGS, IntervalTimer, draw_wait, hashes_of_block

BLOCKS = 6000
SIGMAS = 7.0
"""Chance goes so far once in 4 × 10^11 tries."""


def mined(seconds: float, rates: list[float], seed: int = 1) -> tuple[Counter[int], float, int]:
    """(blocks a worker, their mean spacing in intervals, beats at which two were less than 50 ms apart)."""
    chance, now, timestamps = random.Random(seed), 0.0, [0]
    found: Counter[int] = Counter()
    forks = 0
    began = 0.0
    for number in range(BLOCKS):
        if number == 500:
            began = now
        hashes = hashes_of_block(seconds, timestamps[-SPACINGS - 1 :])
        waits = [draw_wait(seconds, rate, hashes, chance) for rate in rates]
        first, *others = sorted(waits)
        forks += bool(others) and others[0] - first < 0.05
        found[waits.index(first)] += 1
        now += first
        median = sorted(timestamps[-11:])[len(timestamps[-11:]) // 2]
        timestamps.append(max(int(now), median + 1))
    return found, (now - began) / (BLOCKS - 500) / seconds, forks


@pytest.mark.parametrize("seconds", [5.0, 30.0])
@pytest.mark.parametrize(
    "rates", [[2e7] * 3, [1e6] * 3, [1e6, 2e6, 5e6], [1e9, 1e9], [2e7] * 10, [5e5, 5e7]], ids=lambda rates: f"{rates}"
)
def test_blocks_are_shared_by_chance_in_proportion_to_hash_rate(seconds: float, rates: list[float]) -> None:
    found, _, forks = mined(seconds, rates)
    for number, rate in enumerate(rates):
        part = rate / sum(rates)
        assert abs(found[number] - BLOCKS * part) < SIGMAS * sqrt(BLOCKS * part * (1 - part)), found
    assert forks < BLOCKS / 15


@pytest.mark.parametrize("seconds", [1.0, 5.0, 60.0])
@pytest.mark.parametrize("rates", [[1e6], [2e7], [4e8], [2e7] * 3, [1e6, 2e6, 4e6], [2e7] * 20])
def test_a_network_keeps_its_interval_whatever_it_consists_of(seconds: float, rates: list[float]) -> None:
    assert 0.8 < mined(seconds, rates)[1] < 1.25


def test_who_found_the_last_block_does_not_matter_for_the_next() -> None:
    chance = random.Random(4)
    waits = [[draw_wait(5, 2e7, 1e8, chance) for _ in range(3)] for _ in range(BLOCKS)]
    finders = [each.index(min(each)) for each in waits]
    repeats = sum(one == other for one, other in pairwise(finders))
    assert abs(repeats - BLOCKS / 3) < SIGMAS * sqrt(BLOCKS * 2 / 9)


def test_blocks_that_were_asked_for_and_pauses_hold_up_nobody_for_long() -> None:
    chance = random.Random(5)
    for known in ([7] * 65, list(range(65)), [0, 10**6], [0, 2**31], []):
        hashes = hashes_of_block(5, known)
        assert all(2.5 <= draw_wait(5, 1, hashes, chance) <= 15 for _ in range(200))
    assert hashes_of_block(5, [0, 0]) > hashes_of_block(5, [0, 5]) > hashes_of_block(5, [0, 20])
    assert hashes_of_block(5, [0, 20]) == hashes_of_block(5, [0, 10**6])


def test_a_wait_is_drawn_anew_at_each_tip_and_at_no_other_moment() -> None:
    now = 100.0
    timer = IntervalTimer(10, 2e7, lambda: now, random.Random(1))
    assert timer.wait == 10
    waits = []
    for tip in (b"genesis", b"ours", b"theirs"):
        timer.see(tip, lambda: [0, 10])
        waits.append(timer.wait)
        now += 1
        timer.see(tip, lambda: [])
        assert timer.wait == pytest.approx(waits[-1] - 1)
    assert len(set(waits)) == 3
    now += 100
    assert timer.wait == 0
